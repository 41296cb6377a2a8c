r"""One line's words by white space: how many, the longest, and where the first begins and the last ends.

    " So it is. [1]\n"    first 1, last 14, 4 words, 3 characters the longest, a bracket

A line of ASCII is read 64 bytes at a time (`lanes.py`), any other character by character.

Price: 1 GB/s of ASCII, 300 MB/s of other lines.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import inline
from pipelines.kernels.lanes import ALL, N_LANES, between, first_bit, n_bits_set, n_leading
from pipelines.kernels.unicode import SPACE
from pipelines.kernels.words import byte_at, decode

__all__ = ["line_after", "read_line"]

Bytes = npt.NDArray[np.uint8]


@inline
def _read_block(data: Bytes, at: int, end: int, n_readable: int) -> tuple[np.uint64, bool, bool]:
    """Which of the 64 bytes from `at` on, and before `end`, are in words; any beyond ASCII, any "["."""
    place = min(at, n_readable - N_LANES)
    shift = np.uint64(at - place)
    inside = ~(ALL << np.uint64(end - at)) if at + N_LANES > end else ALL
    spaces = (between(data, place, 9, 13) | between(data, place, 28, 32)) >> shift
    high = between(data, place, 0x80, 0xFF) >> shift
    brackets = between(data, place, 91, 91) >> shift
    return ~spaces & inside, high & inside != 0, brackets & inside != 0


@inline
def _longest_run(bits: np.uint64) -> int:
    length = 0
    while bits:
        bits &= bits << np.uint64(1)
        length += 1
    return length


@inline
def _read_ascii(data: Bytes, at: int, end: int, n_readable: int) -> tuple[int, int, int, int, bool, bool]:
    """`read_line`, 64 bytes at a time; whether the line is all ASCII, or the rest is not true."""
    first = last = -1
    n_words = longest = length = 0  # length: of the word that the block before ended in
    bracket = False
    while at < end:
        words, is_high, has_bracket = _read_block(data, at, end, n_readable)
        if is_high:
            return first, last, n_words, longest, bracket, False
        bracket |= has_bracket
        if words:
            first = at + first_bit(words) if first < 0 else first
            begins = words & ~(words << np.uint64(1))
            n_words += n_bits_set(begins) - int(length > 0 and words & np.uint64(1) != 0)
            last = at + N_LANES - n_leading(words)
        if words == ALL:
            length += N_LANES
        else:
            longest = max(longest, length + first_bit(~words), _longest_run(words))
            length = n_leading(~words)
        at += N_LANES
    return first, last, n_words, max(longest, length), bracket, True


@inline
def read_line(
    data: Bytes, at: int, end: int, n_readable: int, classes: Bytes
) -> tuple[int, int, int, int, bool]:
    """One line, which ends at `end`: its span without white space at the ends, words, longest word, any "["."""
    first, last, n_words, longest, bracket, is_ascii = _read_ascii(data, at, end, n_readable)
    if not is_ascii:
        first, last, n_words, longest, bracket = _read_characters(data, at, end, classes)
    if first < 0:
        first = last = end
    return first, last, n_words, longest, bracket


@inline
def _read_characters(data: Bytes, at: int, end: int, classes: Bytes) -> tuple[int, int, int, int, bool]:
    """The same of any line, character by character."""
    first = last = -1
    n_words = longest = length = 0
    bracket = False
    while at < end:
        point, after = decode(data, at, end)
        if byte_at(classes, point) & SPACE:
            length = 0
        else:
            n_words += length == 0
            length += 1
            longest = max(longest, length)
            bracket |= point == 91
            if first < 0:
                first = at
            last = after
        at = after
    return first, last, n_words, longest, bracket


@inline
def line_after(data: Bytes, stop: int, end: int) -> int:
    """Where the line begins that follows the line end at `stop`."""
    if stop >= end:
        return end
    point, after = decode(data, stop, end)
    return after + 1 if point == 13 and after < end and byte_at(data, after) == 10 else after
