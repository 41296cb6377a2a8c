r"""One line's words by white space: how many, the longest, and where the first begins and the last ends.

    " So it is. [1]\n"    first 1, last 14, 4 words, 3 characters the longest, a bracket

A line is read 64 bytes at a time (`lanes.py`); one that has white space beyond ASCII, or a word that may be too long
because it has more bytes than characters, character by character.

Price: 1 GB/s of ASCII, 300 MB/s character by character.
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
def _read_block(
    data: Bytes, at: int, end: int, n_readable: int, classes: Bytes
) -> tuple[np.uint64, bool, bool, bool]:
    """Which of the 64 bytes from `at` on, and before `end`, are in words, those beyond ASCII among them.

    Then whether any is beyond ASCII, any of these is white space, and any is "[".
    """
    place = min(at, n_readable - N_LANES)
    shift = np.uint64(at - place)
    inside = ~(ALL << np.uint64(end - at)) if at + N_LANES > end else ALL
    spaces = (between(data, place, 9, 13) | between(data, place, 28, 32)) >> shift
    high = between(data, place, 0x80, 0xFF) >> shift & inside
    brackets = between(data, place, 91, 91) >> shift
    blank = False
    if high:
        # What leads white space beyond ASCII: U+85, A0; U+1680; U+2000 to 205F; U+3000.
        leads = (between(data, place, 0xC2, 0xC2) | between(data, place, 0xE1, 0xE3)) >> shift & inside
        while leads:
            point, _ = decode(data, at + first_bit(leads), end)
            blank |= byte_at(classes, point) & SPACE != 0
            leads &= leads - np.uint64(1)
    return ~spaces & inside, high != 0, blank, brackets & inside != 0


@inline
def _longest_run(bits: np.uint64) -> int:
    length = 0
    while bits:
        bits &= bits << np.uint64(1)
        length += 1
    return length


@inline
def _read_blocks(
    data: Bytes, at: int, end: int, n_readable: int, classes: Bytes
) -> tuple[int, int, int, int, bool, bool, bool]:
    """`read_line`, its longest word in bytes; whether all is ASCII, and whether any of this is true.

    It is not where white space is beyond ASCII.
    """
    first = last = -1
    n_words = longest = length = 0  # length: of the word that the block before ended in
    bracket, is_ascii = False, True
    while at < end:
        words, is_high, is_blank, has_bracket = _read_block(data, at, end, n_readable, classes)
        if is_blank:
            return first, last, n_words, longest, bracket, False, False
        is_ascii &= not is_high
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
    return first, last, n_words, max(longest, length), bracket, is_ascii, True


@inline
def read_line(
    data: Bytes, at: int, end: int, n_readable: int, classes: Bytes, max_chars: int
) -> tuple[int, int, int, int, bool]:
    """One line, which ends at `end`: its span without white space at the ends, words, longest word, any "[".

    The longest word is told in characters where it has more than `max_chars`, else in characters or in bytes.
    """
    first, last, n_words, longest, bracket, is_ascii, is_true = _read_blocks(
        data, at, end, n_readable, classes
    )
    if not is_true or (longest > max_chars and not is_ascii):
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
