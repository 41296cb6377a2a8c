"""Near-duplicates: of documents that share most of their word 5-grams, one stays.

    sign     a part -> 100 MinHashes a document, and a key for each of 20 bands of 5      686 bytes a document
    match    a band, a range of keys -> candidates: pairs of documents with equal bands, nearly alike
    sets     a part -> all shingles of the documents that some candidate pair names
    verify   a range of pairs -> those whose shingles are alike: |A and B| / |A or B| >= min_jaccard
    cluster  all pairs that are alike -> who falls for whom
    verdict  a part -> keep or `near_duplicate`, with cluster, keeper and similarity in per mille

Two documents of Jaccard similarity s share a band with probability 1 - (1 - s^rows)^bands: .975 at .7 for 20 x 5,
.9996 at .8, and .006 at .2, which costs a comparison and removes nobody: whoever falls has been compared with the one
that stays. Shingles are compared of pairs whose signatures do not rule it out, three standard errors below the limit.
FineWeb's 14 x 8 (.92 at .8, .56 at .7), which verifies nothing, finds most copies with one word in fifty changed and a
third of those with one in twenty; it is `{bands: 14, rows: 8, verify: none}`.

    verify: exact      by all shingles. A document falls only for one that stays and is itself like it: of a chain
                       a - b - c, where c is not like a, b falls for a and c stays
    verify: estimate   the same by signatures alone, without reading texts again: standard error .05
    verify: none       one equal band makes two documents one; whoever is connected falls. Ends of a chain may have
                       little in common, a template may chain thousands of pages; the facts name the largest clusters

Who is better is decided by (place of the source in the recipe, doc_id), or first by length. Of documents that share a
band no two stay that were compared and are alike; `candidates.py` says who is compared: all of small groups, and in one
of k at most 16 k pairs. Equal texts always are. A document without words is never merged, one of fewer words than a
shingle has one shingle (in scheme `datatrove`, as there, it is never merged).

Price: signing 190 MB/s a core, reading included; the rest `docs/scale.md`; match holds at most 8 bytes of memory a
document of its range, 80 for one whose band is another's too and 60 for each of its pairs, cluster at most 380 for each
document that has a duplicate and 130 for each pair of alike ones; a page of a template has 4 to 16 pairs in each band.

Source: Broder 1997; Lee et al. 2022, "Deduplicating training data makes language models better"; Penedo et
al. 2024 (FineWeb), section 3.4, per crawl there (`within: source`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, Decimal
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from pipelines.dedup.arrays import ArrayFile, read_arrays, write_arrays
from pipelines.dedup.candidates import lead, near, ranked, split_equal, with_equals
from pipelines.dedup.evidence import (
    make_stars,
    n_verifications,
    per_mille,
    unique_lots,
    verify_pairs,
    write_sets,
)
from pipelines.dedup.members import Members, cluster_facts, make_members, read_members, settle, write_members
from pipelines.dedup.repeats import (
    KERNELS,
    Repeats,
    bases,
    bucket_slice,
    gather,
    n_buckets,
    priorities,
    repeated,
    span,
)
from pipelines.dedup.signatures import (
    Hash,
    Scheme,
    SchemeName,
    band_keys,
    count_equal,
    places_of,
    read_signatures,
    sign_texts,
    sorted_keys,
    text_keys,
    whole_keys,
)
from pipelines.dedup.texts import id_words, text_bytes
from pipelines.kernels.clusters import flatten_parents, union_edges
from pipelines.kernels.word_spans import CUTTERS
from pipelines.stage import LARGEST, Gather, GatherTask, Phase

__all__ = ["MinHash", "cluster_documents", "find_edges", "join_clusters", "judge", "sign_part"]

I64s = npt.NDArray[np.int64]
U64s = npt.NDArray[np.uint64]


class MinHash(Gather):
    """Drops documents that share most of their word n-grams with another."""

    name: ClassVar[str] = "minhash"
    version: ClassVar[int] = 3
    reasons: ClassVar[tuple[str, ...]] = ("near_duplicate",)

    ngram: int = Field(default=5, ge=1, le=255)
    """Words in a shingle; a document of fewer words has one shingle, of all of them."""
    bands: int = Field(default=20, ge=1, le=1024)
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
    keep: Literal["first", "longest"] = "first"
    """Who stays: the first by (source's place in the recipe, doc_id), or the longest text, ties by that."""
    verify: Literal["exact", "estimate", "none"] = "exact"
    """Whether candidates are compared before one falls: by all their shingles, by their signatures, or not at all."""
    min_jaccard: float = Field(default=0.7, ge=0, le=1)
    """Least similarity of a document that falls and the one that stays for it, unless `verify: none`."""
    max_cluster: int | None = Field(default=None, ge=2, le=LARGEST)
    """Clusters of more documents are counted in the facts; they are not cut."""

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

    def phases(self) -> list[Phase]:
        """sign, match, cluster, verdict; before the third sets and verify where shingles are compared."""
        comparing = [
            Phase("sets", "part", partial(write_sets, scheme=self.signing)),
            Phase("verify", n_verifications, partial(verify_pairs, min_jaccard=self.min_jaccard)),
        ]
        return [
            Phase("sign", "part", partial(sign_part, stage=self)),
            Phase("match", partial(_n_matches, stage=self), partial(find_edges, stage=self)),
            *(comparing if self.verify == "exact" else []),
            Phase("cluster", "one", partial(cluster_documents, stage=self)),
            Phase("verdict", "part", partial(judge, stage=self), keep=True),
        ]


def _n_matches(task: GatherTask, *, stage: MinHash) -> int:
    # A document that is compared takes up to four times the memory of one that is not.
    n_docs = sum(part.n_docs for part in task.parts) * (1 if stage.verify == "none" else 4)
    return stage.bands * n_buckets(n_docs)


def sign_part(task: GatherTask, *, stage: MinHash) -> None:
    """Write the signatures of the documents of a part that are alive and have words."""
    table = task.read_part(task.unit, ["doc_id", "text"])
    alive = task.alive(task.unit)
    signatures, n_shingles = sign_texts(
        table if alive.all() else table.filter(pa.array(alive)), stage.signing
    )
    signed = n_shingles > 0
    rows = np.flatnonzero(alive)[signed]
    signatures = signatures[signed]
    source = task.parts[task.unit].source if stage.within == "source" else None
    bands = band_keys(signatures.reshape(-1, stage.bands, stage.rows), within=source)
    keys, at = sorted_keys(bands)
    high, low = id_words(table)
    arrays: dict[str, npt.NDArray[Any]] = {"signature": signatures, "key": keys, "at": at}
    # What is compared by shingles is one group with its equals only if their shingles are equal too.
    arrays["whole"] = text_keys(table)[rows] if stage.verify == "exact" else whole_keys(bands)
    arrays |= {"id_high": high[rows], "id_low": low[rows], "row": rows, "place": places_of(rows, len(alive))}
    arrays["n_bytes"] = text_bytes(table)
    with task.output("signatures", ".arrays") as file:
        write_arrays(file, arrays, about=stage.signing.about())
    # datatrove signs no text of fewer words than a shingle.
    unsigned = "n_too_short" if stage.scheme == "datatrove" else "n_without_words"
    task.facts.update({"n_signed": len(rows), unsigned: int(alive.sum()) - len(rows)})


def find_edges(task: GatherTask, *, stage: MinHash) -> None:
    """Write the edges that one band makes in one range of its keys: (member a, its leader b) by ordinal, sorted.

    named: the ordinals in any pair, ascending, each once.
    """
    files = read_signatures(task.inputs("sign", "signatures"))
    band, bucket = task.unit % stage.bands, task.unit // stage.bands
    keys = [file.column("key").row(band) for file in files]
    places = repeated(keys, [bucket_slice(k, bucket, task.n_units // stage.bands) for k in keys])
    verifies = stage.verify != "none"
    group = ranked(task, files, places, band, longest=stage.keep == "longest", whole=verifies)
    if verifies:
        same, firsts = split_equal(group)
        maybe, surely = _hashes_to_agree(stage)
        likely = near(firsts, files, bases(task.parts), maybe=maybe, surely=surely)
        # Equals have every band in common: told once, by the first.
        found = [*([same] if band == 0 else []), *(with_equals(*pair, same) for pair in likely)]
    else:
        found = [lead(group)[:2]]
    nobody = np.zeros(0, dtype=np.int64)
    leaders, members = (np.concatenate(side) for side in zip((nobody, nobody), *found, strict=True))
    found.clear()
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


def join_clusters(paths: Sequence[Path], n_docs: int) -> tuple[I64s, I64s]:
    """The ordinals that any edge names, ascending, and for each a number equal within its component."""
    nodes = _named(n_docs, (read_arrays(path)["named"] for path in paths))
    parent = np.arange(len(nodes))
    for path in paths:
        edges = read_arrays(path)
        union_edges(parent, np.searchsorted(nodes, edges["a"]), np.searchsorted(nodes, edges["b"]))
    flatten_parents(parent)
    return nodes, parent


def _named(n_docs: int, ordinals: Iterable[I64s]) -> I64s:
    """All that are named, ascending, each once."""
    is_named = np.zeros(n_docs, dtype=np.bool_)
    for some in ordinals:
        is_named[some] = True
    return np.flatnonzero(is_named)


def cluster_documents(task: GatherTask, *, stage: MinHash) -> None:
    """Write the members of all clusters, and how alike each one that falls is to its keeper where that is known."""
    files = read_signatures(task.inputs("sign", "signatures"))
    extra: dict[str, I64s] = {}
    if stage.verify == "none":
        nodes, roots = join_clusters(task.inputs("match", "edges"), int(bases(task.parts)[-1]))
        members = make_members(
            roots, nodes, *_ids_of(files, _where(task, nodes)), *_ranks(task, files, nodes, stage)
        )
    else:
        members, similarity = _stars(task, files, stage)
        extra = {} if similarity is None else {"similarity": similarity}
    with task.output("members", ".arrays") as file:
        write_members(file, members, **extra)
    task.facts.update(cluster_facts(members, above=stage.max_cluster))
    for name in ("n_pairs", "n_alike") if stage.verify == "exact" else ():
        task.facts[name] = sum(facts[name] for facts in task.facts_of("verify"))


def _stars(task: GatherTask, files: Sequence[ArrayFile], stage: MinHash) -> tuple[Members, I64s | None]:
    """The members, and of each in per mille how alike it is to its keeper, -1 for a keeper; None where unknown."""
    found = [read_arrays(p) for p in task.inputs("verify", "alike")] if stage.verify == "exact" else []
    a, b = _joined(found) if stage.verify == "exact" else _all_pairs(task)
    nodes = _named(int(bases(task.parts)[-1]), [a, b])
    high, low = _ids_of(files, _where(task, nodes))
    order = np.lexsort((low, high, *reversed(_ranks(task, files, nodes, stage))))
    rank = np.empty(len(nodes), dtype=np.int64)
    rank[order] = np.arange(len(nodes))
    stars = make_stars(nodes, rank, a, b)
    keeper = np.searchsorted(nodes, stars.keeper)
    sizes = np.bincount(keeper, minlength=len(nodes))
    members = Members(stars.ordinal, stars.keeper, high[keeper], low[keeper], sizes[keeper].astype(np.int64))
    if stage.verify != "exact":
        return members, None
    similarity = np.concatenate([np.zeros(0, dtype=np.int64), *(file["similarity"] for file in found)])
    return members, per_mille(similarity, stars.edge)


def _joined(files: Sequence[ArrayFile]) -> tuple[I64s, I64s]:
    a, b = (np.concatenate([np.zeros(0, dtype=np.int64), *(file[side] for file in files)]) for side in "ab")
    return a, b


def _all_pairs(task: GatherTask) -> tuple[I64s, I64s]:
    """The pairs of all bands, each once. A lot at a time: most pairs are in many bands."""
    found = unique_lots(task.inputs("match", "edges"), n_verifications(task))
    a, b = (np.concatenate(side) for side in zip(*found, strict=True))
    return a, b


def _where(task: GatherTask, ordinals: I64s) -> Repeats:
    first = bases(task.parts)
    owner = np.searchsorted(first, ordinals, side="right") - 1
    return Repeats(owner, ordinals - first[owner])


def _ranks(task: GatherTask, files: Sequence[ArrayFile], nodes: I64s, stage: MinHash) -> list[I64s]:
    """What decides who stays before the doc_id does, the most important first; smaller is better."""
    where = _where(task, nodes)
    ranks = [priorities(task.parts)[where.file]]
    if stage.keep == "longest":
        ranks.insert(0, -gather([file.column("n_bytes") for file in files], where))
    return ranks


def _ids_of(files: Sequence[ArrayFile], rows: Repeats) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The ids of documents named by (file, row)."""
    places = Repeats(rows.file, gather([f.column("place") for f in files], rows).astype(np.int64))
    high, low = (gather([f.column(name) for f in files], places) for name in ("id_high", "id_low"))
    return high, low


def judge(task: GatherTask, *, stage: MinHash) -> None:
    """Write the verdicts of a part."""
    files = read_signatures(task.inputs("sign", "signatures"))
    first = bases(task.parts)
    low, high = first[task.unit : task.unit + 2].tolist()
    paths = task.inputs("cluster", "members")
    members = read_members(paths, low, high)
    falls = members.keeper != members.ordinal
    if stage.verify == "exact":
        [file] = map(read_arrays, paths)
        found = file.column("similarity")[span(file.column("ordinal"), low, high)][falls]
    else:
        equal = count_equal(files, first, members.ordinal[falls], members.keeper[falls])
        found = equal * 1000 // (stage.bands * stage.rows)
    n_docs = task.parts[task.unit].n_docs
    column, mask = np.zeros(n_docs, dtype=np.int32), np.ones(n_docs, dtype=np.bool_)
    at = members.ordinal[falls] - low
    column[at], mask[at] = found, False
    settle(task, stage, members, files[task.unit]["n_bytes"], similarity=pa.array(column, mask=mask))
