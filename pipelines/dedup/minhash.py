"""Near-duplicates: of documents that share most of their word 5-grams, one stays.

    sign     a part -> 80 MinHashes a document, and a key for each of 16 bands of 5       556 bytes a document
    match    a band, a range of keys -> candidates: pairs of documents with equal bands, nearly alike
    sets     a part -> all shingles of the documents that some candidate pair names
    verify   a range of pairs -> those whose shingles are alike: |A and B| / |A or B| >= min_jaccard
    cluster  all pairs that are alike -> who falls for whom
    verdict  a part -> keep or `near_duplicate`, with cluster, keeper and similarity in per mille

Two documents of Jaccard similarity s share a band with probability 1 - (1 - s^rows)^bands: .947 at .7 for 16 x 5,
.998 at .8, and .005 at .2, which costs a comparison and removes nobody: whoever falls has been compared with the one
that stays. Shingles are compared of pairs whose signatures do not rule it out, three standard errors below the limit.
FineWeb's 14 x 8 (.92 at .8, .56 at .7), which verifies nothing, finds most copies with one word in fifty changed and a
third of those with one in twenty; it is `{bands: 14, rows: 8, verify: none}`.

    verify: exact      by all shingles. A document falls only for one that stays and is itself like it: of a chain
                       a - b - c, where c is not like a, b falls for a and c stays
    verify: estimate   the same by signatures alone, without reading texts again: standard error .05
    verify: none       one equal band makes two documents one; whoever is connected falls. Ends of a chain may have
                       little in common, a template may chain thousands of pages; the facts name the largest clusters

Who is better is decided as `keep` says (`ranks.py`), then by (place of the source in the recipe, doc_id). Of documents
that share a band no two stay that were compared and are alike; `candidates.py` says who is compared: all of small
groups, and in one of k at most 16 k pairs. Equal texts always are. A document without words is never merged, one of
fewer words than a shingle has one shingle (in scheme `datatrove`, as there, it is never merged).

Price: signing 190 MB/s a core, reading included; the rest `docs/scale.md`; match holds at most 8 bytes of memory a
document of its range, 80 for one whose band is another's too and 60 for each of its pairs, cluster at most 380 for each
document that has a duplicate and 130 for each pair of alike ones; a page of a template has 4 to 16 pairs in each band.

Source: Broder 1997; Lee et al. 2022, "Deduplicating training data makes language models better"; Penedo et
al. 2024 (FineWeb), section 3.4, per crawl there (`within: source`).
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from pipelines.dedup.against import digests_of, finished_parts
from pipelines.dedup.arrays import read_arrays, write_arrays
from pipelines.dedup.candidates import lead, near, ranked, split_equal, with_equals
from pipelines.dedup.clusters import cluster_documents
from pipelines.dedup.compared import compared, first_ordinals
from pipelines.dedup.evidence import (
    n_verifications,
    sets_between,
    verify_pairs,
    write_sets,
)
from pipelines.dedup.members import (
    read_members,
    settle,
    tell_clusters,
)
from pipelines.dedup.ranks import Keep, check_score, rank_columns, ranks, require_score
from pipelines.dedup.repeats import (
    KERNELS,
    bases,
    bucket_slice,
    n_buckets,
    repeated,
    span,
)
from pipelines.dedup.signatures import (
    Hash,
    Scheme,
    SchemeName,
    band_keys,
    places_of,
    sign_texts,
    sorted_keys,
    text_keys,
    whole_keys,
)
from pipelines.dedup.texts import id_words, text_bytes
from pipelines.kernels.word_spans import CUTTERS
from pipelines.stage import LARGEST, Gather, GatherTask, Phase

__all__ = ["MinHash", "find_edges", "judge", "sign_finished", "sign_part", "write_sets_against"]

I64s = npt.NDArray[np.int64]
U64s = npt.NDArray[np.uint64]


class MinHash(Gather):
    """Drops documents that share most of their word n-grams with another."""

    name: ClassVar[str] = "minhash"
    version: ClassVar[int] = 6
    reasons: ClassVar[tuple[str, ...]] = ("near_duplicate",)
    path_fields: ClassVar[tuple[str, ...]] = ("against",)
    corpus_fields: ClassVar[tuple[str, ...]] = ("against",)

    ngram: int = Field(default=5, ge=1, le=255)
    """Words in a shingle; a document of fewer words has one shingle, of all of them."""
    bands: int = Field(default=16, ge=1, le=1024)
    """Bands; one equal band makes two documents candidates."""
    rows: int = Field(default=5, ge=1, le=64)
    """Hashes in a band."""
    seed: int = Field(default=1, ge=0, lt=1 << 32)
    """Seed of the permutations."""
    scheme: SchemeName = "quern"
    """Whose signatures: our own, the fastest; datasketch's (its "affine32") or datatrove's, bit for bit."""
    hash: Hash = "xxhash"
    """Hash of a shingle in the others' schemes; `sha1`, datasketch's default and FineWeb's, is four times as slow."""
    within: Literal["source", "all"] = "all"
    """`source` compares only documents of the same source."""
    keep: Keep = "first"
    """Who stays: the first by (source's place in the recipe, doc_id), or before that the longest, the newest by `date`
    or the one with the highest `score`."""
    score: str | None = None
    """A column of numbers for `keep: highest`."""
    verify: Literal["exact", "estimate", "none"] = "exact"
    """Whether candidates are compared before one falls: by all their shingles, by their signatures, or not at all."""
    min_jaccard: float = Field(default=0.7, ge=0, le=1)
    """Least similarity of a document that falls and the one that stays for it, unless `verify: none`."""
    against: tuple[str, ...] = ()
    """Finished corpora (`DIR` or `DIR@digest`), whose documents stay: what is like one of them falls."""
    max_cluster: int | None = Field(default=None, ge=2, le=LARGEST)
    """Clusters of more documents are counted in the facts, as `giant` says with what follows."""
    giant: Literal["count", "keep"] = "count"
    """Whether of a cluster of more than `max_cluster` all but one fall like of any other, or all stay: what chains
    thousands is as a rule a template, not a copy."""

    def side_inputs(self, folder: Path) -> dict[str, str]:
        """The digest of every corpus it compares with."""
        return digests_of(folder, self.against)

    @model_validator(mode="after")
    def _score_has_a_use(self) -> MinHash:
        check_score(self.keep, self.score)
        return self

    @model_validator(mode="after")
    def _giants_have_a_size(self) -> MinHash:
        if self.giant == "keep" and self.max_cluster is None:
            raise ValueError(
                "expected `max_cluster: N` beside giant: keep, got none: no cluster would be too large; write both"
            )
        return self

    @model_validator(mode="after")
    def _hash_is_anothers(self) -> MinHash:
        if self.scheme == "quern" and self.hash != "xxhash":
            raise ValueError(
                f"expected `hash` beside scheme: datasketch or datatrove, got hash: {self.hash} beside scheme: quern, "
                "which has a hash of its own; leave it out, or write the scheme"
            )
        return self

    @property
    def signing(self) -> Scheme:
        """What makes signatures comparable."""
        return Scheme(self.ngram, self.bands, self.rows, self.seed, self.hash, self.scheme)

    def kernels(self) -> tuple[str, ...]:
        """Those that shingle, sign, compare and join."""
        signing = {
            "quern": ("sketches.sketch_documents", "sketches.distinct_shingles"),
            "datasketch": ("minhash.shingle_documents", "minhash.sign_documents"),
            "datatrove": (
                "simplify.simplify_documents",
                *CUTTERS["spacy"],
                "simplify.hash_words",
                "simplify.sign_wide_shingles",
                "sets.distinct_in",
            ),
        }[self.scheme]
        if self.verify == "none":
            return (*signing, *KERNELS, "clusters.union_edges", "clusters.flatten_parents")
        return (*signing, *KERNELS, "hashing.xxh64_spans", "sets.count_common", "sets.settle_stars")

    def limits(self) -> dict[str, tuple[str, str]]:
        """By how much it may be like one that stays, in per mille; nothing where one equal band decides."""
        if self.verify == "none":
            return {}
        return {"near_duplicate": ("similarity", f"< {self.min_jaccard * 1000:g} per mille")}

    def phases(self) -> list[Phase]:
        """sign, match, cluster, verdict; before the third sets and verify where shingles are compared."""
        n_finished = partial(_n_finished, stage=self)
        sets_against = Phase("sets_against", n_finished, partial(write_sets_against, stage=self))
        verify = partial(verify_pairs, min_jaccard=self.min_jaccard, finished=bool(self.against))
        comparing = [
            Phase("sets", "part", partial(write_sets, scheme=self.signing)),
            *([sets_against] if self.against else []),
            Phase("verify", n_verifications, verify),
        ]
        cluster = partial(
            cluster_documents,
            verify=self.verify,
            has_rank=self.keep != "first",
            max_cluster=self.max_cluster,
            keeps_giants=self.giant == "keep",
            finished=bool(self.against),
        )
        sign_against = Phase("sign_against", n_finished, partial(sign_finished, stage=self))
        return [
            Phase("sign", "part", partial(sign_part, stage=self)),
            *([sign_against] if self.against else []),
            Phase("match", partial(_n_matches, stage=self), partial(find_edges, stage=self)),
            *(comparing if self.verify == "exact" else []),
            Phase("cluster", "one", cluster),
            Phase("verdict", "part", partial(judge, stage=self), keep=True),
        ]


def _n_finished(task: GatherTask, *, stage: MinHash) -> int:
    return len(finished_parts(task.folder, stage.against, task.sides))


def _n_matches(task: GatherTask, *, stage: MinHash) -> int:
    finished = task.facts_of("sign_against") if stage.against else []
    n_docs = sum(part.n_docs for part in task.parts) + sum(facts["n_docs"] for facts in finished)
    # A document that is compared takes up to four times the memory of one that is not.
    return stage.bands * n_buckets(n_docs * (1 if stage.verify == "none" else 4))


def sign_part(task: GatherTask, *, stage: MinHash) -> None:
    """Write the signatures of the documents of a part that are alive and have words."""
    table = task.read_part(task.unit, ["doc_id", "text", *rank_columns(stage.keep, stage.score)])
    _sign(task, table, task.alive(task.unit), task.parts[task.unit].source, stage)


def sign_finished(task: GatherTask, *, stage: MinHash) -> None:
    """The same for a part of a finished corpus."""
    part = finished_parts(task.folder, stage.against, task.sides)[task.unit]
    table = part.read(["doc_id", "text", *rank_columns(stage.keep, stage.score)])
    _sign(task, table, part.alive(), part.source, stage)
    task.facts.update(n_docs=part.n_docs, corpus=part.corpus)


def write_sets_against(task: GatherTask, *, stage: MinHash) -> None:
    """Write the distinct shingles of the documents of a finished part that some edge names."""
    part = finished_parts(task.folder, stage.against, task.sides)[task.unit]
    first = first_ordinals(task, [facts["n_docs"] for facts in task.facts_of("sign_against")])
    low, high = first[len(task.parts) + task.unit :][:2].tolist()
    sets_between(task, low, high, part.read, stage.signing)


def _sign(
    task: GatherTask, table: pa.Table, alive: npt.NDArray[np.bool_], source: str, stage: MinHash
) -> None:
    signatures, n_shingles = sign_texts(
        table if alive.all() else table.filter(pa.array(alive)), stage.signing
    )
    signed = n_shingles > 0
    rows = np.flatnonzero(alive)[signed]
    signatures = signatures[signed]
    within = source if stage.within == "source" else None
    bands = band_keys(signatures.reshape(-1, stage.bands, stage.rows), within=within)
    keys, at = sorted_keys(bands)
    high, low = id_words(table)
    arrays: dict[str, npt.NDArray[Any]] = {"signature": signatures, "key": keys, "at": at}
    # What is compared by shingles is one group with its equals only if their shingles are equal too.
    arrays["whole"] = text_keys(table)[rows] if stage.verify == "exact" else whole_keys(bands)
    arrays |= {"id_high": high[rows], "id_low": low[rows], "row": rows, "place": places_of(rows, len(alive))}
    arrays["n_bytes"] = text_bytes(table)
    if stage.keep != "first":
        arrays["rank"] = ranks(table, stage.keep, stage.score)[rows]
        task.facts["has_score"] = stage.score in table.column_names
    with task.output("signatures", ".arrays") as file:
        write_arrays(file, arrays, about=stage.signing.about())
    # datatrove signs no text of fewer words than a shingle.
    unsigned = "n_too_short" if stage.scheme == "datatrove" else "n_without_words"
    task.facts.update({"n_signed": len(rows), unsigned: int(alive.sum()) - len(rows)})


def find_edges(task: GatherTask, *, stage: MinHash) -> None:
    """Write the edges that one band makes in one range of its keys: (member a, its leader b) by ordinal, sorted.

    named: the ordinals in any pair, ascending, each once.
    """
    require_score(task, stage.keep, stage.score)
    docs = compared(task, finished=bool(stage.against))
    band, bucket = task.unit % stage.bands, task.unit // stage.bands
    keys = [file.column("key").row(band) for file in docs.files]
    places = repeated(keys, [bucket_slice(k, bucket, task.n_units // stage.bands) for k in keys])
    verifies = stage.verify != "none"
    group = ranked(docs, places, band, has_rank=stage.keep != "first", whole=verifies)
    if verifies:
        same, firsts = split_equal(group)
        maybe, surely = _hashes_to_agree(stage)
        likely = near(docs, firsts, maybe=maybe, surely=surely)
        # Equals have every band in common: told once, by the first.
        found = [*([same] if band == 0 else []), *(with_equals(*pair, same) for pair in likely)]
    else:
        found = [lead(group)[:2]]
    nobody = np.zeros(0, dtype=np.int64)
    leaders, members = (np.concatenate(side) for side in zip((nobody, nobody), *found, strict=True))
    found.clear()
    own = members < docs.n_own
    members, leaders = members[own], leaders[own]
    order = np.lexsort((leaders, members))
    members = members[order]
    leaders = leaders[order]
    named = np.union1d(members, leaders)
    with task.output("edges", ".arrays") as file:
        write_arrays(file, {"a": members, "b": leaders, "named": named})
    task.facts["n_edges"] = len(members)


def _hashes_to_agree(stage: MinHash) -> tuple[int, int]:
    """In how many hashes two documents agree at least that may be alike, and that surely are.

    By estimate the limit as it was written. Where shingles decide three standard errors less, by which one in some
    hundreds of pairs that are just at the limit is missed; and two more.
    """
    n_hashes, limit = stage.bands * stage.rows, Decimal(repr(stage.min_jaccard))
    error = (limit * (1 - limit) / n_hashes).sqrt() if stage.verify == "exact" else Decimal(0)
    maybe, surely = (limit + n * error for n in (-3, 2))
    return max(0, _ceil(maybe * n_hashes)), min(n_hashes, _ceil(surely * n_hashes))


def _ceil(number: Decimal) -> int:
    return int(number.to_integral_value(ROUND_CEILING))


def judge(task: GatherTask, *, stage: MinHash) -> None:
    """Write the verdicts of a part."""
    low, high = bases(task.parts)[task.unit : task.unit + 2].tolist()
    paths = task.inputs("cluster", "members")
    members = read_members(paths, low, high)
    falls = members.keeper != members.ordinal
    [file] = map(read_arrays, paths)
    found = file.column("similarity")[span(file.column("ordinal"), low, high)][falls]
    n_docs = task.parts[task.unit].n_docs
    column, mask = np.zeros(n_docs, dtype=np.int32), np.ones(n_docs, dtype=np.bool_)
    at = members.ordinal[falls] - low
    column[at], mask[at] = found, False
    evidence = {"similarity": pa.array(column, mask=mask)}
    if stage.against:
        evidence["keeper_in"] = _corpora_of(task, members.keeper[falls], at, n_docs)
    signed = read_arrays(task.inputs("sign", "signatures")[task.unit])
    settle(task, stage, members, signed["n_bytes"], **evidence)
    tell_clusters(task, "cluster")


def _corpora_of(task: GatherTask, keeper: I64s, at: I64s, n_docs: int) -> pa.Array:
    """The finished corpus that each keeper stands in, null for one of this corpus and where nobody falls."""
    told = task.facts_of("sign_against")
    names, first = (
        [facts["corpus"] for facts in told],
        first_ordinals(task, [facts["n_docs"] for facts in told]),
    )
    owner = np.searchsorted(first, keeper, side="right") - 1 - len(task.parts)
    column = np.zeros(n_docs, dtype=np.int64)
    mask = np.ones(n_docs, dtype=np.bool_)
    column[at], mask[at] = np.maximum(owner, 0), owner < 0
    return pa.array(names, pa.string()).take(pa.array(column, mask=mask))
