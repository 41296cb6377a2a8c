r"""What spaCy's English rules cut off in front, behind and in the middle of a run without white space.

    (U.S.                ->  prefix "("           rules of one character, "..", "US$", "+" but not "+1"
    dog's  5km  end.     ->  suffix "'s" "km" "."  a full stop only behind what DOT_BEFORE holds
    well-known  a,b  x/y ->  infix between letters

Every helper takes the run as `data[start:stop]` and returns how many bytes it cuts, 0 for none. `data`,
`classes`, `strings` and `lengths` are pointers (`jit.pointer`): see `spacy_tables` for what they hold.

Source: spaCy 3.8, spacy/lang/{punctuation,char_classes}.py and spacy/lang/en/punctuation.py
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import inline
from pipelines.kernels.spacy_tables import (
    AFTER_DIGIT,
    ALPHA,
    DOT_BEFORE,
    ICON,
    LOWER,
    MAX_TEXT,
    MIX,
    N_BYTES,
    N_SLOTS,
    PREFIX,
    QUOTE,
    RULE,
    SIEVE,
    SUFFIX,
    TEXT,
    UPPER,
)  # fmt: skip
from pipelines.kernels.wide import load64
from pipelines.kernels.words import byte_at, decode

__all__ = ["class_at", "decode_back", "infix", "is_ascii_digit", "mark", "pack", "prefix", "suffix"]

Bytes = npt.NDArray[np.uint8]
Classes = npt.NDArray[np.uint16]
Words = npt.NDArray[np.uint64]

_MIX = np.uint64(MIX)
_ELLIPSIS, _DEGREE, _APOSTROPHE, _EN_DASH, _EM_DASH = 0x2026, 0xB0, 0x2019, 0x2013, 0x2014


@inline
def pack(data: Bytes, start: int, stop: int) -> np.uint64:
    """Up to eight bytes as one word, the first byte lowest; at least one. One load, which may begin before `start`."""
    n_bytes = min(stop - start, 8)
    if start + n_bytes >= 8:
        return load64(data, start + n_bytes - 8) >> np.uint64(64 - 8 * n_bytes)
    front = np.uint64(0)
    for k in range(n_bytes):
        front |= np.uint64(byte_at(data, start + k)) << np.uint64(8 * k)
    return front


@inline
def _text_byte(strings: Words, row: int, k: int) -> int:
    """Byte k of the text of a row of `strings`."""
    return np.int64(strings[row + TEXT + (k >> 3)] >> np.uint64(8 * (k & 7)) & np.uint64(0xFF))  # type: ignore[return-value]


@inline
def mark(data: Bytes, start: int, stop: int, column: np.int64, strings: Words, lengths: Words) -> np.uint64:
    """What the strings with rules say of `data[start:stop]`; 0 where it is not one of them."""
    n_bytes = stop - start
    if n_bytes > MAX_TEXT or n_bytes <= 0:
        return np.uint64(0)
    first = (column - RULE) * 256 + byte_at(data, start)
    if not lengths[np.uint64(first)] >> np.uint64(n_bytes) & np.uint64(1):
        return np.uint64(0)
    front = pack(data, start, stop)
    mixed = (front * _MIX ^ np.uint64(n_bytes)) * _MIX
    bit = mixed >> np.uint64(49) & np.uint64(63)
    if not lengths[np.uint64(SIEVE) + (mixed >> np.uint64(55))] >> bit & np.uint64(1):
        return np.uint64(0)
    row: int = np.int64(mixed >> np.uint64(52)) * 8  # type: ignore[assignment]
    while strings[row + N_BYTES]:
        if strings[row + TEXT] == front and strings[row + N_BYTES] == n_bytes:
            k = 8
            while k < n_bytes and _text_byte(strings, row, k) == byte_at(data, start + k):
                k += 1
            if k >= n_bytes:
                found: np.uint64 = strings[row + column]
                return found
        row = (row + 8) & (8 * N_SLOTS - 1)
    return np.uint64(0)


@inline
def decode_back(data: Bytes, start: int, stop: int) -> tuple[int, int]:
    """The last code point before byte `stop`, and where it starts; there is one."""
    at = stop - 1
    while at > start and byte_at(data, at) & 0xC0 == 0x80:
        at -= 1
    return decode(data, at, stop)[0], at


@inline
def class_at(data: Bytes, at: int, stop: int, classes: Classes) -> int:
    """The classes of the character at byte `at`; none at the end."""
    return int(classes[decode(data, at, stop)[0]]) if at < stop else 0


@inline
def is_ascii_digit(byte: int) -> bool:
    """Whether a byte, or a code point, is one of 0 to 9."""
    return 48 <= byte <= 57


@inline
def _n_dots(data: Bytes, at: int, stop: int) -> int:
    n = 0
    while at + n < stop and byte_at(data, at + n) == 46:
        n += 1
    return n


@inline
def prefix(data: Bytes, start: int, stop: int, classes: Classes) -> int:
    """The bytes to cut off in front, 0 for none."""
    point, after = decode(data, start, stop)
    if classes[point] & PREFIX:
        return after - start
    if point == 43:  # + unless of a number
        return 0 if after < stop and is_ascii_digit(byte_at(data, after)) else 1
    if point == 46:
        n_dots = _n_dots(data, start, stop)
        return n_dots if n_dots > 1 else 0
    if point == 85:  # US$
        return 3 if start + 3 <= stop and data[start + 1] == 83 and data[start + 2] == 36 else 0
    if point == 65 or point == 67:  # A$ and C$
        return 2 if start + 2 <= stop and data[start + 1] == 36 else 0
    return 0


@inline
def _dot_suffix(data: Bytes, start: int, stop: int, classes: Classes) -> int:
    """How many of the full stops at the end are to be cut off."""
    at = stop - 1
    while at > start and byte_at(data, at - 1) == 46:
        at -= 1
    if stop - at > 1:
        return stop - at
    if at == start:
        return 0
    last, at = decode_back(data, start, at)
    if classes[last] & DOT_BEFORE:
        return 1
    if at == start:
        return 0
    before, at = decode_back(data, start, at)
    upper = classes[last] & UPPER and classes[before] & UPPER
    degree = before == _DEGREE and (last == 67 or last == 70 or last == 75)
    return 1 if upper or degree else 0


@inline
def _after_digit(data: Bytes, start: int, stop: int, strings: Words, lengths: Words) -> int:
    """The bytes of a unit, a currency or a plus sign behind the last digit; the longest that spaCy tries."""
    lowest = max(start, stop - 1 - MAX_TEXT)
    at = stop - 1
    while at >= lowest and not is_ascii_digit(byte_at(data, at)):
        at -= 1
    if at < lowest:
        return 0
    return stop - 1 - at if mark(data, at + 1, stop, AFTER_DIGIT, strings, lengths) else 0


@inline
def suffix(
    data: Bytes, start: int, stop: int, digits: np.uint64, classes: Classes, strings: Words, lengths: Words
) -> int:
    """The bytes to cut off behind, 0 for none: the longest suffix, for spaCy searches from the left.

    digits: 0 where the run has no digit of ASCII.
    """
    if start >= stop:
        return 0
    n_bytes = _after_digit(data, start, stop, strings, lengths) if digits else 0
    if n_bytes:
        return n_bytes
    point, at = decode_back(data, start, stop)
    if point == 46:
        return _dot_suffix(data, start, stop, classes)
    if point == 115 or point == 83:  # 's and 'S
        before, first = decode_back(data, start, at) if at > start else (0, at)
        return stop - first if before == 39 or before == _APOSTROPHE else 0
    if point == _ELLIPSIS and at > start and decode_back(data, start, at)[0] == _ELLIPSIS:
        return 6
    return stop - at if classes[point] & SUFFIX else 0


@inline
def _hyphen(data: Bytes, at: int, stop: int, point: int, classes: Classes) -> int:
    """The bytes of the hyphen or dash at `at` that letters follow: - -- --- – — —— ~, else 0."""
    if point == 45:
        n = 1
        while n < 4 and at + n < stop and byte_at(data, at + n) == 45:
            n += 1
        return n if n < 4 and class_at(data, at + n, stop, classes) & ALPHA else 0
    if point == 126:
        return 1 if class_at(data, at + 1, stop, classes) & ALPHA else 0
    if point != _EN_DASH and point != _EM_DASH:
        return 0
    if class_at(data, at + 3, stop, classes) & ALPHA:
        return 3
    twice = point == _EM_DASH and at + 3 < stop and decode(data, at + 3, stop)[0] == _EM_DASH
    return 6 if twice and class_at(data, at + 6, stop, classes) & ALPHA else 0


@inline
def infix(data: Bytes, at: int, stop: int, before: int, classes: Classes) -> int:
    """The bytes of the infix at `at`, 0 for none; `before` is the code point in front, 0 at the start."""
    point, after = decode(data, at, stop)
    kind, behind = classes[point], classes[before]
    if kind & ALPHA and not kind & ICON:
        return 0
    if point == 46:
        n_dots = _n_dots(data, at, stop)
        if n_dots > 1:
            return n_dots
        follows = class_at(data, after, stop, classes) & (UPPER | QUOTE)
        return 1 if behind & (LOWER | QUOTE) and follows else 0
    if kind & ICON or point == _ELLIPSIS:
        return after - at
    digit = is_ascii_digit(before)
    sign = point == 43 or point == 45 or point == 42 or point == 94  # + - * ^
    if (
        digit
        and sign
        and after < stop
        and (is_ascii_digit(byte_at(data, after)) or byte_at(data, after) == 45)
    ):
        return 1
    if point == 44:
        return 1 if behind & ALPHA and class_at(data, after, stop, classes) & ALPHA else 0
    if not (digit or behind & ALPHA):
        return 0
    if point == 58 or point == 47 or 60 <= point <= 62:
        return 1 if class_at(data, after, stop, classes) & ALPHA else 0
    return _hyphen(data, at, stop, point, classes)
