"""Sorted sets of 32-bit numbers: how many two have in common; and who stays where each may stand for others.

    hashes  1 4 7 9 | 4 7 8      ends 0 4 7      pair (0, 1)   ->   2 in common

    edges by rank  (0, 1) (1, 2)     ->  0 stays; 1 falls for 0; 2 stays, for 1 is gone: a chain takes nobody with it

Price: 1.5 ns a number of either set; one pass over the edges.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import OFFSETS, kernel

__all__ = ["count_common", "settle_stars"]

Numbers = npt.NDArray[np.int64]


@kernel(f"int64[::1](uint32[::1], {OFFSETS}, {OFFSETS}, {OFFSETS})")
def count_common(hashes: npt.NDArray[np.uint32], ends: Numbers, a: Numbers, b: Numbers) -> Numbers:
    """How many numbers sets `a[i]` and `b[i]` share, int64[n]. Set s is `hashes[ends[s]:ends[s + 1]]`, ascending."""
    counts = np.zeros(len(a), np.int64)
    for pair in range(len(a)):
        i, last_i = np.uint64(ends[a[pair]]), np.uint64(ends[a[pair] + 1])
        j, last_j = np.uint64(ends[b[pair]]), np.uint64(ends[b[pair] + 1])
        n_common = 0
        while i < last_i and j < last_j:
            x, y = hashes[i], hashes[j]
            n_common += x == y
            i += np.uint64(x <= y)
            j += np.uint64(y <= x)
        counts[pair] = n_common
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
