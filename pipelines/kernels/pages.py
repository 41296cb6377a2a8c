r"""What a page's bytes tell before anything reads them: how many tags at most, whether they are UTF-8, the title.

    b"<html><title>Tea</title><body>caf\xc3"      scan_page   5 times `<`; UTF-8 up to byte 33, where it was cut
                                                  find_title  6

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

__all__ = ["find_title", "scan_page"]

Bytes = npt.NDArray[np.uint8]

_TITLE, _BODY, _SVG = (np.frombuffer(name, np.uint8) for name in (b"title", b"body", b"svg"))


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
