"""Candidates compared by all their shingles, and who falls for whom.

    pairs     edges of all bands      (7, 3) (9, 3) (9, 7)          (member, leader), each once
    sets      a part -> the distinct shingles of documents named in a pair                  4 bytes a shingle
    verify    a range of pairs -> those with |A and B| / |A or B| >= min_jaccard, and how much
    stars     by rank: a document falls if one that stays is its neighbour, and for the best of these

No text is read but of documents named in a pair. Nothing here knows how candidates were found.

Price: 250 MB/s of text of candidates for their sets; 3 us a pair of documents of 6,000 characters; memory for
`_HASHES_AT_ONCE` shingles, or those of one pair.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.dedup.arrays import ArrayFile, Column, read_arrays, write_arrays
from pipelines.dedup.compared import first_ordinals
from pipelines.dedup.repeats import bases, span
from pipelines.dedup.signatures import Scheme, shingles_of
from pipelines.kernels.sets import count_common, settle_stars
from pipelines.shares import least_counts
from pipelines.stage import GatherTask

__all__ = [
    "Stars",
    "make_stars",
    "member_at",
    "n_verifications",
    "per_mille",
    "sets_between",
    "unique_lots",
    "unique_pairs",
    "verify_pairs",
    "write_sets",
]

I64s = npt.NDArray[np.int64]
PAIRS_A_TASK = 1 << 20
_HASHES_AT_ONCE = 1 << 24


def n_verifications(task: GatherTask) -> int:
    """How many tasks the pairs are dealt to."""
    n_edges = sum(int(facts["n_edges"]) for facts in task.facts_of("match"))
    return max(1, -(-n_edges // PAIRS_A_TASK))


def write_sets(task: GatherTask, *, scheme: Scheme) -> None:
    """Write the distinct shingles of the documents of a part that some edge names."""
    low, high = bases(task.parts)[task.unit : task.unit + 2].tolist()
    sets_between(task, low, high, partial(task.read_part, task.unit), scheme)


def sets_between(
    task: GatherTask, low: int, high: int, read: Callable[[Sequence[str]], pa.Table], scheme: Scheme
) -> None:
    """Write the distinct shingles of the documents with these ordinals that some edge names; read: of their part."""
    named = [read_arrays(path).column("named") for path in task.inputs("match", "edges")]
    mine = [ordinals[span(ordinals, low, high)] for ordinals in named]
    rows = np.unique(np.concatenate(mine)) - low
    hashes, ends = np.zeros(0, dtype=np.uint32), np.zeros(1, dtype=np.int64)
    if len(rows):
        table = read(["text"])
        hashes, ends = shingles_of(table.take(pa.array(rows)), scheme)
    with task.output("sets", ".arrays") as file:
        write_arrays(file, {"row": rows, "ends": ends, "hashes": hashes})
    task.facts["n_sets"] = len(rows)


def verify_pairs(task: GatherTask, *, min_jaccard: float, finished: bool) -> None:
    """Write the pairs of a range that are alike, and their similarity in per mille."""
    paths, n_finished = task.inputs("sets", "sets"), list[int]()
    if finished:
        paths = [*paths, *task.inputs("sets_against", "sets")]
        n_finished = [facts["n_docs"] for facts in task.facts_of("sign_against")]
    a, b = unique_pairs(task.inputs("match", "edges"), task.unit, of=task.n_units)
    sets = _Sets([read_arrays(path) for path in paths], first_ordinals(task, n_finished))
    order = np.argsort(b, kind="stable")  # those of one leader together
    back = np.argsort(order)
    n_common, n_either = (counts[back] for counts in sets.compare(b[order], a[order]))
    alike = n_common >= least_counts(n_either, min_jaccard)
    similarity = (n_common * 1000 // np.maximum(n_either, 1))[alike]
    with task.output("alike", ".arrays") as file:
        write_arrays(file, {"a": a[alike], "b": b[alike], "similarity": similarity})
    task.facts.update(n_pairs=len(a), n_alike=int(alike.sum()))


def unique_pairs(paths: Sequence[Path], lot: int, *, of: int) -> tuple[I64s, I64s]:
    """The pairs of all bands, each once, ascending: the `lot`-th of about equal lots, those of one member together."""
    files = [read_arrays(path) for path in paths]
    members = [file.column("a") for file in files]
    low, high = (member_at(members, at, of=of) for at in (lot, lot + 1))
    return _pairs_between(files, low, high)


def unique_lots(paths: Sequence[Path], n_lots: int) -> Iterator[tuple[I64s, I64s]]:
    """The same of every lot, one after another."""
    files = [read_arrays(path) for path in paths]
    members = [file.column("a") for file in files]
    cuts = [member_at(members, at, of=n_lots) for at in range(n_lots + 1)]
    for low, high in pairwise(cuts):
        yield _pairs_between(files, low, high)


def _pairs_between(files: Sequence[ArrayFile], low: int, high: int) -> tuple[I64s, I64s]:
    found = [np.zeros((0, 2), dtype=np.int64)]
    for file in files:
        mine = span(file.column("a"), low, high)
        found.append(np.stack([file.column("a")[mine], file.column("b")[mine]], axis=1))
    pairs = np.concatenate(found)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    is_new = np.ones(len(pairs), dtype=np.bool_)
    is_new[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return np.ascontiguousarray(pairs[is_new, 0]), np.ascontiguousarray(pairs[is_new, 1])


def member_at(members: Sequence[Column], lot: int, *, of: int) -> int:
    """The least ordinal below which at least lot / of all pairs have their member; members: of each file, ascending."""
    wanted = -(-sum(map(len, members)) * lot // of)
    low, high = 0, max((int(column[len(column) - 1]) + 1 for column in members if len(column)), default=0)
    # Where the ordinal is to be found in each file narrows with it, so few of a file's numbers are read.
    spans = [(0, len(column)) for column in members]
    while low < high:
        middle = (low + high) // 2
        places = [_below(column, middle, *span) for column, span in zip(members, spans, strict=True)]
        if sum(places) >= wanted:
            high, spans = middle, [(first, at) for (first, _), at in zip(spans, places, strict=True)]
        else:
            low, spans = middle + 1, [(at, last) for (_, last), at in zip(spans, places, strict=True)]
    return low


def _below(column: Column, ordinal: int, first: int, last: int) -> int:
    """How many of an ascending column are below an ordinal, which is between `first` and `last` of them."""
    return first + bisect_left(range(first, last), ordinal, key=lambda at: int(column[at]))


class _Sets(NamedTuple):
    """The sets of all parts, mapped; first: the ordinal of each part's first row."""

    files: Sequence[ArrayFile]
    first: I64s

    def compare(self, a: I64s, b: I64s) -> tuple[I64s, I64s]:
        """Of each pair how many shingles are in both, and in either: int64[n] each."""
        sizes = [self._places(side)[2] for side in (a, b)]
        common = [self._common(a[mine], b[mine]) for mine in _spans(sizes[0] + sizes[1])]
        n_common = np.concatenate([np.zeros(0, dtype=np.int64), *common])
        return n_common, sizes[0] + sizes[1] - n_common

    def _common(self, a: I64s, b: I64s) -> I64s:
        docs = np.unique(np.concatenate([a, b]))
        owner, start, size = self._places(docs)
        taken = [np.zeros(0, dtype=np.uint32)]
        for number in np.unique(owner).tolist():
            mine = slice(*np.searchsorted(owner, [number, number + 1]))
            taken += self.files[number].column("hashes").spans(start[mine], size[mine])
        hashes = np.concatenate(taken)
        ends = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        return count_common(hashes, ends, np.searchsorted(docs, a), np.searchsorted(docs, b))

    def _places(self, ordinals: I64s) -> tuple[I64s, I64s, I64s]:
        """Of each document the file its set is in, where it starts there and how many shingles it has."""
        owner = np.searchsorted(self.first, ordinals, side="right") - 1
        start, size = np.zeros(len(ordinals), dtype=np.int64), np.zeros(len(ordinals), dtype=np.int64)
        for number in np.unique(owner).tolist():
            mine, file = np.flatnonzero(owner == number), self.files[number]
            at = np.searchsorted(file["row"], ordinals[mine] - self.first[number])
            start[mine], size[mine] = file["ends"][at], file["ends"][at + 1] - file["ends"][at]
        return owner, start, size


def _spans(sizes: I64s) -> Iterator[slice]:
    """Stretches of pairs with about as many shingles as are held at once."""
    lot = np.cumsum(sizes) // _HASHES_AT_ONCE
    cuts = [0, *(np.flatnonzero(np.diff(lot)) + 1).tolist(), len(sizes)]
    yield from (slice(low, high) for low, high in pairwise(cuts) if high > low)


class Stars(NamedTuple):
    """Documents that fall or stand for others, by ordinal, ascending.

    keeper: the ordinal of the one that stays, its own for that one; edge: by which it falls, -1.
    """

    ordinal: I64s
    keeper: I64s
    edge: I64s


def make_stars(nodes: I64s, rank: I64s, a: I64s, b: I64s) -> Stars:
    """Who falls for whom. nodes: ordinals, ascending; rank: int64[n_nodes], each once; a, b: edges, as ordinals."""
    by_rank = np.argsort(rank)
    better, worse = (rank[np.searchsorted(nodes, side)] for side in (a, b))
    swapped = np.flatnonzero(better > worse)
    better[swapped], worse[swapped] = worse[swapped], better[swapped]
    order = np.lexsort((better, worse))
    better = better[order]
    fell_by = settle_stars(len(nodes), better, worse[order])
    falls = np.flatnonzero(fell_by >= 0)
    edge, for_whom = order[fell_by[falls]], better[fell_by[falls]]
    stays = np.unique(for_whom)
    ranks = np.concatenate([falls, stays])
    ordinal, keeper = nodes[by_rank[ranks]], nodes[by_rank[np.concatenate([for_whom, stays])]]
    edges = np.concatenate([edge, np.full(len(stays), -1, dtype=np.int64)])
    back = np.argsort(ordinal, kind="stable")
    return Stars(ordinal[back], keeper[back], edges[back])


def per_mille(similarity: npt.NDArray[Any], edge: I64s) -> I64s:
    """The similarity of each document's edge, -1 for those that stay."""
    found = np.full(len(edge), -1, dtype=np.int64)
    found[edge >= 0] = similarity[edge[edge >= 0]]
    return found
