"""Helpers of kernels that look for equal pieces of a text: one open-addressing table, no Python object.

    table   uint64[power of two]   0, or 32 bits of hash above and 1 + the piece's index below
    spans   int64[2 * n_spans]     start, stop, start, stop, ...   bytes in `data`

A hit on the 32 bits is compared byte for byte, so equality is exact. A table is at most half full. `data` may be
an array or a `jit.pointer`; nothing outside a span is read.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.hashing import clear, read64
from pipelines.kernels.jit import inline
from pipelines.kernels.words import byte_at

__all__ = ["count_chars", "duplicate_spans", "same_bytes", "span_hash", "table_size"]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Table = npt.NDArray[np.uint64]

_TAG = np.uint64(0xFFFFFFFF00000000)
_INDEX = np.uint64(0xFFFFFFFF)
_ODD_1, _ODD_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)


@inline
def table_size(n_items: int) -> int:
    """A power of two at least twice the number of items."""
    size = 16
    while size < 2 * n_items:
        size *= 2
    return size


@inline
def _stir(h: np.uint64, x: np.uint64) -> np.uint64:
    """One step of a hash; another `x` always gives another result."""
    h = (h ^ x) * _ODD_1
    return h << np.uint64(29) | h >> np.uint64(35)


@inline
def span_hash(data: Bytes, start: int, stop: int) -> np.uint64:
    """A hash of the bytes, its upper half as good as its lower; 16 bytes a step, in two lanes.

    The last step reads the last 8 bytes, some of them twice: no loop over single bytes, but in spans below 8.
    """
    a, b = np.uint64(stop - start), _ODD_2
    if stop - start < 8:
        for at in range(start, stop):
            a = a << np.uint64(8) | np.uint64(byte_at(data, at))
    else:
        at = start
        while at + 16 < stop:
            a, b = _stir(a, read64(data, at)), _stir(b, read64(data, at + 8))
            at += 16
        if at + 8 < stop:
            b = _stir(b, read64(data, at))
        a = _stir(a, read64(data, stop - 8))
    h = _stir(a, b) * _ODD_2
    return h ^ h >> np.uint64(32)


@inline
def same_bytes(data: Bytes, a: int, b: int, n_bytes: int) -> bool:
    """Whether the n bytes from `a` are those from `b`."""
    while n_bytes >= 8:
        if read64(data, a) != read64(data, b):
            return False
        a, b, n_bytes = a + 8, b + 8, n_bytes - 8
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
        h = span_hash(data, start, stop)
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
