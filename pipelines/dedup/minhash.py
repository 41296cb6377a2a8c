"""Near-duplicates: of documents that share most of their word 5-grams, one stays.

    sign     a part -> 112 MinHashes a document, and a key for each of 14 bands of 8      632 bytes a document
    match    a band, a range of keys -> edges: documents with equal bands, each with the first of its group
    cluster  all edges -> connected components, the keeper of each
    verdict  a part -> keep or `near_duplicate`, with cluster, keeper and estimated similarity in per mille

Two documents of Jaccard similarity s share a band with probability 1 - (1 - s^rows)^bands: .92 at .8, .56 at
.7, .06 at .5 for 14 x 8, FineWeb's setting, which therefore finds most copies with one word in fifty changed
and few with one in twenty. More bands of fewer rows find more; `min_jaccard` then takes back what they find
too much, by comparing whole signatures before an edge is made.

Components are transitive: the ends of a chain may have little in common, and a template may chain thousands
of pages. Nothing is cut; the facts name the largest clusters, and `max_cluster` counts those above a size.

The keeper is the first by (place of its source in the recipe, doc_id), or the longest text. A document
without words is never merged. Signatures equal datasketch's `MinHash(num_perm=112, seed=1, scheme="affine32")`
over our shingles.

Price: signing 66 MB/s a core, reading included; match holds about 40 bytes of memory a document of its range,
cluster about 150 for each document that has a duplicate.

Source: Broder 1997; Lee et al. 2022, "Deduplicating training data makes language models better"; Penedo et
al. 2024 (FineWeb), section 3.4, per crawl there (`within: source`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, Decimal
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from pipelines.dedup.arrays import ArrayFile, read_arrays, write_arrays
from pipelines.dedup.members import Members, cluster_facts, make_members, read_members, settle, write_members
from pipelines.dedup.repeats import (
    Repeats,
    bases,
    bucket_slice,
    gather,
    group_starts,
    n_buckets,
    priorities,
    repeated,
)
from pipelines.dedup.signatures import (
    Scheme,
    band_keys,
    count_equal,
    read_signatures,
    sign_texts,
    sorted_keys,
)
from pipelines.dedup.texts import id_words, text_bytes
from pipelines.kernels.clusters import flatten_parents, union_edges
from pipelines.stage import Gather, GatherTask, Phase

__all__ = ["MinHash", "cluster_documents", "find_edges", "join_clusters", "judge", "sign_part"]

I64s = npt.NDArray[np.int64]
U64s = npt.NDArray[np.uint64]
MAX_LEADERS = 16


class MinHash(Gather):
    """Drops documents that share most of their word n-grams with another."""

    name: ClassVar[str] = "minhash"
    version: ClassVar[int] = 1
    reasons: ClassVar[tuple[str, ...]] = ("near_duplicate",)

    ngram: int = Field(default=5, ge=1, le=255)
    """Words in a shingle; a document of fewer words has one shingle, of all of them."""
    bands: int = Field(default=14, ge=1, le=1024)
    """Bands; one equal band makes two documents candidates."""
    rows: int = Field(default=8, ge=1, le=64)
    """Hashes in a band."""
    seed: int = Field(default=1, ge=0, lt=1 << 32)
    """Seed of the permutations."""
    hash: Literal["xxh32", "sha1"] = "xxh32"
    """Hash of a shingle; `sha1` is datasketch's default and four times as slow."""
    within: Literal["source", "all"] = "all"
    """`source` compares only documents of the same source."""
    keep: Literal["first", "longest"] = "first"
    """Who stays: the first by (source's place in the recipe, doc_id), or the longest text, ties by that."""
    min_jaccard: float | None = Field(default=None, ge=0, le=1)
    """Least similarity, estimated from whole signatures, of two documents that share a band."""
    max_cluster: int | None = Field(default=None, ge=2)
    """Clusters of more documents are counted in the facts; they are not cut."""

    @property
    def scheme(self) -> Scheme:
        """What makes signatures comparable."""
        return Scheme(self.ngram, self.bands, self.rows, self.seed, self.hash)

    def kernels(self) -> tuple[str, ...]:
        """Those that shingle, sign and join."""
        joining = ("clusters.union_edges", "clusters.flatten_parents")
        return ("minhash.shingle_documents", "minhash.sign_documents", *joining)

    def phases(self) -> list[Phase]:
        """sign, match, cluster, verdict."""
        return [
            Phase("sign", "part", partial(sign_part, stage=self)),
            Phase("match", partial(_n_matches, bands=self.bands), partial(find_edges, stage=self)),
            Phase("cluster", "one", partial(cluster_documents, stage=self)),
            Phase("verdict", "part", partial(judge, stage=self), keep=True),
        ]


def _n_matches(task: GatherTask, *, bands: int) -> int:
    return bands * n_buckets(sum(part.n_docs for part in task.parts))


def sign_part(task: GatherTask, *, stage: MinHash) -> None:
    """Write the signatures of the documents of a part that are alive and have words."""
    table = task.read_part(task.unit, ["doc_id", "text"])
    alive = task.alive(task.unit)
    signatures, n_shingles = sign_texts(table if alive.all() else table.filter(pa.array(alive)), stage.scheme)
    signed = n_shingles > 0
    rows = np.flatnonzero(alive)[signed]
    banded = signatures[signed].reshape(-1, stage.bands, stage.rows).transpose(1, 0, 2)
    source = task.parts[task.unit].source
    keys, at = sorted_keys(band_keys(banded, within=source if stage.within == "source" else None))
    high, low = id_words(table)
    arrays: dict[str, npt.NDArray[Any]] = {"signature": banded, "key": keys, "at": at}
    arrays |= {"id_high": high[rows], "id_low": low[rows], "row": rows, "n_bytes": text_bytes(table)}
    with task.output("signatures", ".arrays") as file:
        write_arrays(file, arrays, about=stage.scheme.about())
    task.facts.update(n_signed=len(rows), n_without_words=int(alive.sum()) - len(rows))


def find_edges(task: GatherTask, *, stage: MinHash) -> None:
    """Write the edges that one band makes in one range of its keys: pairs of ordinals a < b, sorted."""
    files = read_signatures(task.inputs("sign", "signatures"))
    band, bucket = task.unit % stage.bands, task.unit // stage.bands
    keys = [file["key"][band] for file in files]
    found = repeated(keys, [bucket_slice(k, bucket, task.n_units // stage.bands) for k in keys])
    key, ordinals = _ranked(task, files, found, band)
    pairs = zip(*_pairs(key, ordinals, task=task, stage=stage, files=files), strict=True)
    leaders, members = (np.concatenate(side) for side in pairs)
    low, high = np.minimum(leaders, members), np.maximum(leaders, members)
    order = np.lexsort((high, low))
    with task.output("edges", ".arrays") as file:
        write_arrays(file, {"a": low[order], "b": high[order]})
    task.facts["n_edges"] = len(order)


def _ranked(task: GatherTask, files: Sequence[ArrayFile], found: Repeats, band: int) -> tuple[U64s, I64s]:
    """Keys and ordinals of documents with a repeated key, by (key, priority of the source, doc_id)."""
    key = gather([file["key"][band] for file in files], found)
    mine = Repeats(found.file, gather([file["at"][band] for file in files], found).astype(np.int64))
    ids = (gather([file[name] for file in files], mine) for name in ("id_low", "id_high"))
    order = np.lexsort((*ids, priorities(task.parts)[mine.file], key))
    ordinals = bases(task.parts)[mine.file] + gather([file["row"] for file in files], mine)
    return key[order], ordinals[order]


def _pairs(
    key: U64s, ordinals: I64s, *, task: GatherTask, stage: MinHash, files: Sequence[ArrayFile]
) -> Iterator[tuple[I64s, I64s]]:
    """(leaders, members): each document with the first of its group. At least one pair of arrays.

    With `min_jaccard` a document that is not like its leader goes on to the next round, where the first of
    those left leads; after 16 leaders it stays alone, so a group of k costs at most 16 k comparisons.
    """
    for _ in range(MAX_LEADERS):
        starts = group_starts(key)
        leaders = np.repeat(ordinals[starts[:-1]], np.diff(starts))
        is_member = np.ones(len(key), dtype=np.bool_)
        is_member[starts[:-1]] = False
        key, ordinals, leaders = key[is_member], ordinals[is_member], leaders[is_member]
        alike = _alike(files, bases(task.parts), leaders, ordinals, stage=stage)
        yield leaders[alike], ordinals[alike]
        key, ordinals = key[~alike], ordinals[~alike]
        if not len(key):
            return


def _alike(
    files: Sequence[ArrayFile], first: I64s, a: I64s, b: I64s, *, stage: MinHash
) -> npt.NDArray[np.bool_]:
    if stage.min_jaccard is None:
        return np.ones(len(a), dtype=np.bool_)
    # In integers: the least number of equal hashes that reaches the limit as it was written.
    least = (Decimal(repr(stage.min_jaccard)) * stage.bands * stage.rows).to_integral_value(ROUND_CEILING)
    return count_equal(files, first, a, b) >= int(least)


def join_clusters(paths: Sequence[Path]) -> tuple[I64s, I64s]:
    """The ordinals that any edge names, ascending, and for each a number equal within its component."""
    nodes = np.zeros(0, dtype=np.int64)
    for path in paths:
        edges = read_arrays(path)
        nodes = np.union1d(nodes, np.concatenate([edges["a"], edges["b"]]))
    parent = np.arange(len(nodes))
    for path in paths:
        edges = read_arrays(path)
        union_edges(parent, np.searchsorted(nodes, edges["a"]), np.searchsorted(nodes, edges["b"]))
    flatten_parents(parent)
    return nodes, parent


def cluster_documents(task: GatherTask, *, stage: MinHash) -> None:
    """Write the members of all clusters."""
    files = read_signatures(task.inputs("sign", "signatures"))
    nodes, roots = join_clusters(task.inputs("match", "edges"))
    first = bases(task.parts)
    owner = np.searchsorted(first, nodes, side="right") - 1
    where = Repeats(owner, nodes - first[owner])
    ranks = [priorities(task.parts)[owner]]
    if stage.keep == "longest":
        ranks.insert(0, -gather([file["n_bytes"] for file in files], where))
    members = make_members(roots, nodes, *_ids_of(files, where), *ranks)
    with task.output("members", ".arrays") as file:
        write_members(file, members)
    task.facts.update(cluster_facts(members, above=stage.max_cluster))


def _ids_of(files: Sequence[ArrayFile], rows: Repeats) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The ids of documents named by (file, row)."""
    at = np.zeros(len(rows.at), dtype=np.int64)
    for number in np.unique(rows.file).tolist():
        mine = slice(*np.searchsorted(rows.file, [number, number + 1]))
        at[mine] = np.searchsorted(files[number]["row"], rows.at[mine])
    places = Repeats(rows.file, at)
    return gather([f["id_high"] for f in files], places), gather([f["id_low"] for f in files], places)


def judge(task: GatherTask, *, stage: MinHash) -> None:
    """Write the verdicts of a part."""
    files = read_signatures(task.inputs("sign", "signatures"))
    first = bases(task.parts)
    low, high = first[task.unit : task.unit + 2].tolist()
    members = read_members(task.inputs("cluster", "members"), low, high)
    similarity = _similarity(files, first, members, task.parts[task.unit].n_docs, unit=task.unit)
    settle(task, stage, members, files[task.unit]["n_bytes"], similarity=similarity)


def _similarity(
    files: Sequence[ArrayFile], first: I64s, members: Members, n_docs: int, *, unit: int
) -> pa.Array:
    """Of each document that falls, in per mille: the share of its signature that equals its keeper's."""
    falls = members.keeper != members.ordinal
    bands, _, rows = files[unit]["signature"].shape
    equal = count_equal(files, first, members.ordinal[falls], members.keeper[falls])
    column, mask = np.zeros(n_docs, dtype=np.int32), np.ones(n_docs, dtype=np.bool_)
    at = members.ordinal[falls] - first[unit]
    column[at], mask[at] = equal * 1000 // (bands * rows), False
    return pa.array(column, mask=mask)
