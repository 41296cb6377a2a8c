"""Helpers of kernels that look for equal pieces of a text: one open-addressing table, no Python object.

    table   uint64[power of two]   0, or 32 bits of hash above and 1 + the piece's index below
    spans   int64[2 * n_spans]     start, stop, start, stop, ...   bytes in `data`

A hit on the 32 bits is compared byte for byte, so equality is exact. A table is at most half full.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.hashing import clear, xxh64
from pipelines.kernels.jit import inline
from pipelines.kernels.words import byte_at

__all__ = ["count_chars", "duplicate_spans", "same_bytes", "table_size"]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Table = npt.NDArray[np.uint64]

_TAG = np.uint64(0xFFFFFFFF00000000)
_INDEX = np.uint64(0xFFFFFFFF)


@inline
def table_size(n_items: int) -> int:
    """A power of two at least twice the number of items."""
    size = 16
    while size < 2 * n_items:
        size *= 2
    return size


@inline
def same_bytes(data: Bytes, a: int, b: int, n_bytes: int) -> bool:
    """Whether the n bytes from `a` are those from `b`."""
    for k in range(n_bytes):
        if byte_at(data, a + k) != byte_at(data, b + k):
            return False
    return True


@inline
def count_chars(data: Bytes, start: int, stop: int) -> int:
    """The code points of `data[start:stop]`."""
    n_chars = 0
    for at in range(start, stop):
        n_chars += byte_at(data, at) & 0xC0 != 0x80
    return n_chars


@inline
def duplicate_spans(data: Bytes, spans: Offsets, n_spans: int, table: Table) -> tuple[int, int]:
    """How many spans equal an earlier one, and the code points of those."""
    size = table_size(n_spans)
    clear(table, size)
    n_duplicates = n_chars = 0
    for index in range(n_spans):
        start, stop = spans[2 * index], spans[2 * index + 1]
        h = xxh64(data, start, stop, np.uint64(0))
        slot = np.int64(h & np.uint64(size - 1))
        while table[slot]:
            entry = table[slot]
            if entry & _TAG == h & _TAG:
                other = np.int64(entry & _INDEX) - 1
                first, last = spans[2 * other], spans[2 * other + 1]
                if last - first == stop - start and same_bytes(data, first, start, stop - start):
                    break
            slot = slot + 1 & size - 1
        if table[slot]:
            n_duplicates += 1
            n_chars += count_chars(data, start, stop)
        else:
            table[slot] = h & _TAG | np.uint64(index + 1)
    return n_duplicates, n_chars
