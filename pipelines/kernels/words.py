r"""Characters and words of UTF-8 text.

A word is a maximal run of characters without the property White_Space, the definition of Gopher and
DCLM (Python's `split()`, but for U+001C to U+001F, which `split()` takes for spaces too). A full stop
stays with its word and Chinese has few words; where that matters (shingles) `minhash` cuts otherwise.

    "Well,  she said.\n"   ->  "Well,"  "she"  "said."

Text is taken to be valid UTF-8, as Arrow's strings are. A malformed byte gives a wrong character, but
no helper here ever reads past the end it was given.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel
from pipelines.kernels.unicode import SPACE, character_classes

__all__ = ["byte_at", "count_words", "decode", "encode", "next_word", "strip"]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


@inline
def byte_at(data: Bytes, at: int) -> int:
    """The byte at `at`, which is not negative: an unsigned index spares the kernel Python's wrap-around."""
    return np.int64(data[np.uint64(at)])  # type: ignore[return-value]


@inline
def decode(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """The code point at byte `at`, and where the next one starts (at most `end`)."""
    lead = byte_at(data, at)
    if lead < 0x80:
        return lead, at + 1
    if lead < 0xE0 and at + 2 <= end:
        return (lead & 0x1F) << 6 | byte_at(data, at + 1) & 0x3F, at + 2
    if lead < 0xF0 and at + 3 <= end:
        tail = (byte_at(data, at + 1) & 0x3F) << 6 | byte_at(data, at + 2) & 0x3F
        return (lead & 0x0F) << 12 | tail, at + 3
    if at + 4 <= end:
        tail = (byte_at(data, at + 1) & 0x3F) << 12 | (byte_at(data, at + 2) & 0x3F) << 6
        point = (lead & 0x07) << 18 | tail | byte_at(data, at + 3) & 0x3F
        return min(point, 0x10FFFF), at + 4
    return 0xFFFD, at + 1


@inline
def encode(out: Bytes, at: int, point: int) -> int:
    """Writes a code point as UTF-8 at byte `at`; returns where the next one goes."""
    if point < 0x80:
        out[at] = point
        return at + 1
    if point < 0x800:
        out[at] = 0xC0 | point >> 6
        out[at + 1] = 0x80 | point & 0x3F
        return at + 2
    if point < 0x10000:
        out[at] = 0xE0 | point >> 12
        out[at + 1] = 0x80 | point >> 6 & 0x3F
        out[at + 2] = 0x80 | point & 0x3F
        return at + 3
    out[at] = 0xF0 | point >> 18
    out[at + 1] = 0x80 | point >> 12 & 0x3F
    out[at + 2] = 0x80 | point >> 6 & 0x3F
    out[at + 3] = 0x80 | point & 0x3F
    return at + 4


@inline
def next_word(data: Bytes, at: int, end: int, classes: Bytes) -> tuple[int, int]:
    """The span of the first word that starts at or after byte `at`; `(end, end)` when there is none."""
    start = at
    while start < end:
        point, after = decode(data, start, end)
        if not byte_at(classes, point) & SPACE:
            break
        start = after
    stop = start
    while stop < end:
        point, after = decode(data, stop, end)
        if byte_at(classes, point) & SPACE:
            break
        stop = after
    return start, stop


@inline
def strip(data: Bytes, start: int, stop: int, classes: Bytes) -> tuple[int, int]:
    """The span without white space at either end; empty where there is nothing else."""
    first, last = next_word(data, start, stop, classes)[0], stop
    while last > first:
        at = last - 1
        while at > first and byte_at(data, at) & 0xC0 == 0x80:
            at -= 1
        if not byte_at(classes, decode(data, at, stop)[0]) & SPACE:
            break
        last = at
    return first, last


@kernel(f"int64[::1]({BYTES}, {OFFSETS}, {BYTES})")
def _count_words(data: Bytes, offsets: Offsets, classes: Bytes) -> Offsets:
    counts = np.zeros(len(offsets) - 1, np.int64)
    for doc in range(len(counts)):
        at, end = offsets[doc], offsets[doc + 1]
        start, at = next_word(data, at, end, classes)
        while start < at:
            counts[doc] += 1
            start, at = next_word(data, at, end, classes)
    return counts


def count_words(data: Bytes, offsets: Offsets) -> Offsets:
    """The number of words of each document, `int64[n_docs]`; one pass."""
    return _count_words(data, offsets, character_classes())
