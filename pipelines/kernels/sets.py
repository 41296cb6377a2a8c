"""Sets of 32-bit numbers: how many two have in common; and who stays where each may stand for others.

    hashes  4 1 9 7 | 7 8 4      ends 0 4 7      pair (0, 1)   ->   2 in common

    edges by rank  (0, 1) (1, 2)     ->  0 stays; 1 falls for 0; 2 stays, for 1 is gone: a chain takes nobody with it

Numbers are looked up in an open table of a set, at most half full, which serves all pairs with that set in a row; to
sort them first takes ten times as long.

Price: 2 ns a number of the second set, 4 of the first; one pass over the edges.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.hashing import clear
from pipelines.kernels.jit import OFFSETS, inline, kernel

__all__ = ["add_if_new", "count_common", "distinct_in", "settle_stars", "table_size"]

Numbers = npt.NDArray[np.int64]

_SPREAD = np.uint32(0x85EBCA6B)  # odd, of MurmurHash3's finalizer
_TAKEN = np.uint64(1 << 32)  # 0 is an empty slot and also a number


@inline
def table_size(n: int) -> int:
    """Slots for n numbers, a power of two."""
    size = 16
    while size < 2 * n:
        size *= 2
    return size


@inline
def _slot(value: np.uint32, size: int) -> int:
    return np.int64(value * _SPREAD >> np.uint32(7)) & size - 1  # type: ignore[return-value]


@inline
def add_if_new(value: np.uint32, table: npt.NDArray[np.uint64], size: int) -> bool:
    """Puts a number into a table; whether it was not there yet. table: of `size` slots, cleared before the first."""
    slot = _slot(value, size)
    key = np.uint64(value) | _TAKEN
    while table[slot]:
        if table[slot] == key:
            return False
        slot = slot + 1 & size - 1
    table[slot] = key
    return True


@kernel(f"Tuple((uint32[::1], int64[::1]))(uint32[::1], {OFFSETS})")
def distinct_in(hashes: npt.NDArray[np.uint32], ends: Numbers) -> tuple[npt.NDArray[np.uint32], Numbers]:
    """The distinct numbers of each list `hashes[ends[d]:ends[d + 1]]`, by where they come first; where each begins."""
    distinct, stops, n = np.empty(len(hashes), np.uint32), np.zeros(len(ends), np.int64), 0
    table = np.empty(16, np.uint64)
    for doc in range(len(ends) - 1):
        size = table_size(ends[doc + 1] - ends[doc])
        if size > len(table):
            table = np.empty(size, np.uint64)
        clear(table, size)
        for index in range(ends[doc], ends[doc + 1]):
            if add_if_new(hashes[index], table, size):
                distinct[n] = hashes[index]
                n += 1
        stops[doc + 1] = n
    return distinct[:n].copy(), stops


@inline
def _has(value: np.uint32, table: npt.NDArray[np.uint64], size: int) -> bool:
    slot = _slot(value, size)
    key = np.uint64(value) | _TAKEN
    while table[slot]:
        if table[slot] == key:
            return True
        slot = slot + 1 & size - 1
    return False


@kernel(f"int64[::1](uint32[::1], {OFFSETS}, {OFFSETS}, {OFFSETS})")
def count_common(hashes: npt.NDArray[np.uint32], ends: Numbers, a: Numbers, b: Numbers) -> Numbers:
    """How many numbers sets `a[i]` and `b[i]` share, int64[n]; fastest where equal `a` stand together.

    Set s is `hashes[ends[s]:ends[s + 1]]`, every number once.
    """
    counts = np.zeros(len(a), np.int64)
    table, size, held = np.empty(16, np.uint64), 16, -1
    for pair in range(len(a)):
        if a[pair] != held:
            held = a[pair]
            first, last = ends[held], ends[held + 1]
            size = table_size(last - first)
            if size > len(table):
                table = np.empty(size, np.uint64)
            clear(table, size)
            for index in range(first, last):
                add_if_new(hashes[index], table, size)
        for index in range(ends[b[pair]], ends[b[pair] + 1]):
            counts[pair] += _has(hashes[index], table, size)
    return counts


@kernel(f"int64[::1](int64, {OFFSETS}, {OFFSETS})")
def settle_stars(n_nodes: int, better: Numbers, worse: Numbers) -> Numbers:
    """Of each node the edge by which it falls, -1 where it stays.

    better, worse: edges between nodes numbered by rank, better[i] < worse[i], sorted by (worse, better). A node falls
    if a better one that stays is its neighbour, and for the best of these.
    """
    fell_by = np.full(n_nodes, -1, np.int64)
    for edge in range(len(worse)):
        node = worse[edge]
        if fell_by[node] < 0 and fell_by[better[edge]] < 0:
            fell_by[node] = edge
    return fell_by
