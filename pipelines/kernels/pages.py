r"""What a page's bytes tell before anything reads them: how many tags at most, whether they are UTF-8, the title.

    b"<html><title>Tea</title><body>caf\xc3"      scan_page   5 times `<`; UTF-8 up to byte 33, where it was cut
                                                  find_title  6
                                                  scan_markup 3 open at once; no option; no tag is long

Price: 0.1 ns a byte, 1 ns a byte that is not ASCII; a title is looked for up to the body. What it does not do: say
which encoding bytes have that are not UTF-8 (`extract/charset.py`).

Source: Unicode 17, table 3-7 (well-formed UTF-8).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import BYTES, inline, kernel, pointer
from pipelines.kernels.search import count, find, find_high
from pipelines.kernels.words import byte_at

__all__ = ["find_title", "scan_markup", "scan_page"]

Bytes = npt.NDArray[np.uint8]

_TITLE, _BODY, _SVG = (np.frombuffer(name, np.uint8) for name in (b"title", b"body", b"svg"))
_OPTION, _LOUD_OPTION = (np.frombuffer(name, np.uint8) for name in (b"option", b"OPTION"))


@inline
def _past_character(data: Bytes, at: int, end: int) -> int:
    """Where the character of several bytes at `at` ends; beyond `end` where that cuts it, `at` where it is none."""
    lead = byte_at(data, at)
    if lead < 0xC2 or lead > 0xF4:
        return at
    size = 2 + (lead >= 0xE0) + (lead >= 0xF0)
    low = 0xA0 if lead == 0xE0 else 0x90 if lead == 0xF0 else 0x80
    high = 0x9F if lead == 0xED else 0x8F if lead == 0xF4 else 0xBF
    for i in range(1, size):
        if at + i >= end:
            break
        byte = byte_at(data, at + i)
        if byte < low or byte > high:
            return at
        low, high = 0x80, 0xBF
    return at + size


@kernel(f"Tuple((int64, int64))({BYTES})")
def scan_page(page: Bytes) -> tuple[int, int]:
    """(how many `<` there are, up to where all is UTF-8; -1 for bytes that are not).

    A character cut by the end is left out, not wrong.
    """
    data, end = pointer(page), len(page)
    n_tags = count(data, 0, end, 60)
    at = 0
    while True:
        at = find_high(data, at, end)
        if at >= end:
            return n_tags, end
        after = _past_character(data, at, end)
        if after == at:
            return n_tags, -1
        if after > end:
            return n_tags, at
        at = after


@inline
def _is_named(data: Bytes, at: int, end: int, name: Bytes) -> bool:
    """Whether a name stands there, its letters regardless of case."""
    if at + len(name) > end:
        return False
    for i in range(len(name)):
        if data[at + i] | 32 != name[i]:
            return False
    return True


@inline
def _is_ended(data: Bytes, at: int, end: int) -> bool:
    """Whether a `>` or white space stands there."""
    return at < end and (data[at] == 62 or 9 <= data[at] <= 13 or 28 <= data[at] <= 32)


@kernel(f"int64({BYTES})")
def find_title(page: Bytes) -> int:
    """Where the first `<title` begins; -1 if there is none before the first `<body` or `<svg`."""
    data, end = pointer(page), len(page)
    at = find(data, 0, end, 60)
    while at < end:
        if _is_named(data, at + 1, end, _TITLE):
            return at
        if _is_named(data, at + 1, end, _BODY) and _is_ended(data, at + 5, end):
            return -1
        if _is_named(data, at + 1, end, _SVG) and _is_ended(data, at + 4, end):
            return -1
        at = find(data, at + 1, end, 60)
    return -1


@inline
def _spells(data: Bytes, at: int, end: int, name: Bytes) -> bool:
    """Whether a name stands there, letter for letter."""
    if at + len(name) > end:
        return False
    for i in range(len(name)):
        if data[at + i] != name[i]:
            return False
    return True


@inline
def _letter(data: Bytes, at: int, end: int) -> int:
    """The byte there in lower case and without its highest bit; a blank beyond the end."""
    letter: int = data[at] & 0x7F | 32 if at < end else 32
    return letter


@inline
def _count_attributes(data: Bytes, at: int, end: int) -> int:
    """Runs of white space in a tag outside quoted values; a quote that nothing closes is none."""
    n_runs, in_run = 0, False
    while at < end:
        byte = data[at]
        if byte == 34 or byte == 39:
            close = find(data, at + 1, end, byte)
            if close < end:
                at = close + 1
                continue
        is_space = 9 <= byte <= 13 or byte == 32
        n_runs += is_space and not in_run
        in_run = is_space
        at += 1
    return n_runs


@kernel(f"Tuple((int64, int64, int64, int64))({BYTES}, {BYTES}, int64)")
def scan_markup(page: Bytes, kinds: Bytes, long: int) -> tuple[int, int, int, int]:
    """(how many elements are open at once, rather too many; kinds seen; `<option`s; most attributes of a long tag).

    kinds: uint8[2**21], by a name's first three letters, 7 bits each: 1 for elements that make no depth, and other
    bits, of which the second number has all that any tag's name has. A tag ends at a `>` or the next `<`. long: the
    bytes above which a tag's attributes are counted.
    """
    data, end = pointer(page), len(page)
    depth = low = n_open = seen = n_options = n_attributes = 0
    at = find(data, 0, end, 60)
    while at < end:
        following = find(data, at + 1, end, 60)
        closes = at + 1 < end and data[at + 1] == 47
        first = at + 1 + closes
        letter = _letter(data, first, end)
        code = letter << 14 | _letter(data, first + 1, end) << 7 | _letter(data, first + 2, end)
        kind: int = kinds[code]
        seen |= kind
        if 97 <= letter <= 122 and kind & 1 == 0:
            # From the lowest point before it, not from zero: tags closed too often must not hide what opens later.
            depth += -1 if closes else 1
            low = min(low, depth)
            n_open = max(n_open, depth - low)
        n_options += _spells(data, at + 1, end, _OPTION) or _spells(data, at + 1, end, _LOUD_OPTION)
        if following - at > long:
            stop = find(data, at, following, 62)
            if stop - at > long:
                n_attributes = max(n_attributes, _count_attributes(data, at, stop))
        at = following
    return n_open, seen, n_options, n_attributes
