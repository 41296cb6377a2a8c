"""Tags, comments and raw text of HTML, byte by byte: helpers of `html.py`.

    <p class="lead" hidden>     read_name: p     read_attributes: hints of "lead", HIDDEN
    <!-- a > b -->              past_declaration: behind it
    <script>a<b</script >       past_raw: behind the end tag

All are given the page and a place, read no byte twice and none past its end.

Source: WHATWG, HTML, 13.2.5 (tokenization); scripts in comments in scripts are not looked for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.html_names import NAME_BITS, pack
from pipelines.kernels.jit import inline
from pipelines.kernels.search import find
from pipelines.kernels.words import byte_at

__all__ = [
    "BYTE_CLASS", "HIDDEN", "HREF", "find", "is_letter", "look_up", "past_declaration", "past_raw", "read_attributes",
    "read_name",
]  # fmt: skip

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

MAX_NAME_WORDS = 3

# Beside the hints of `html_names`, what an attribute says of its element.
HIDDEN, HREF = 1 << 16, 1 << 17

_MIX = np.uint64(0x9E3779B97F4A7C15)
_CLASS_NAME, _ID, _ROLE, _ITEMPROP = (np.uint64(pack(name)) for name in ("class", "id", "role", "itemprop"))
_HREF_NAME, _STYLE, _HIDDEN_NAME = (np.uint64(pack(name)) for name in ("href", "style", "hidden"))
_ARIA_HIDDEN, _TRUE, _FALSE = (np.uint64(pack(name)) for name in ("aria-hidden", "true", "false"))
_DISPLAY, _NONE, _VISIBILITY = (np.uint64(pack(name)) for name in ("display", "none", "visibility"))


def _byte_classes() -> Bytes:
    # What stands in text: 0 a letter or the like, 1 white space, 2 markup, 3 a control, 4 a mark of a sentence,
    # 5 the lead byte of a longer character, 6 a byte that only continues one.
    classes = np.zeros(256, np.uint8)
    classes[:32] = classes[127] = 3
    classes[[9, 10, 12, 13, 32]] = 1
    classes[[ord("<"), ord("&")]] = 2
    classes[[ord(c) for c in ".,;:!?"]] = 4
    classes[128:192], classes[192:] = 6, 5
    return classes


def _name_classes() -> Bytes:
    # Six bits a character of a name, as `html_names.pack` has them; 0 for what ends a name.
    classes = np.full(256, 39, np.uint8)
    classes[[9, 10, 12, 13, 32, ord("/"), ord(">")]] = 0
    classes[ord("-")] = 38
    for letter in range(26):
        classes[[65 + letter, 97 + letter]] = 1 + letter
    classes[48:58] = np.arange(28, 38)
    return classes


BYTE_CLASS = _byte_classes()
_NAME = _name_classes()


@inline
def look_up(keys: Keys, values: Ints, key: np.uint64, bits: int) -> int:
    """The value of a key; -1 for a key that the table, of 2**bits slots, does not have."""
    at = np.int64((key * _MIX) >> np.uint64(64 - bits))
    while keys[at] != np.uint64(0):
        if keys[at] == key:
            value: int = values[at]
            return value
        at = (at + 1) & ((1 << bits) - 1)
    return -1


@inline
def read_name(html: Bytes, at: int, size: int) -> tuple[np.uint64, int]:
    """A tag's name as a key, and where it ends."""
    key = np.uint64(0)
    while at < size:
        bits = _NAME[byte_at(html, at)]
        if bits == 0:
            break
        key = key << np.uint64(6) | np.uint64(bits)
        at += 1
    return key, at


@inline
def is_letter(byte: int) -> bool:
    """Whether a byte is one of a to z, regardless of case."""
    return 97 <= (byte | 32) <= 122


@inline
def _word(html: Bytes, at: int, end: int) -> tuple[np.uint64, int]:
    """The key of the letters and hyphens that come next in html[at:end], and where they end."""
    key = np.uint64(0)
    while at < end:
        byte = byte_at(html, at)
        if not is_letter(byte) and byte != 45:
            break
        key = key << np.uint64(6) | np.uint64(_NAME[byte])
        at += 1
    return key, at


@inline
def _hides(html: Bytes, at: int, end: int) -> bool:
    """Whether a style says `display: none` or `visibility: hidden`."""
    before = np.uint64(0)
    while at < end:
        key, at = _word(html, at, end)
        if key != np.uint64(0):
            if (before == _DISPLAY and key == _NONE) or (before == _VISIBILITY and key == _HIDDEN_NAME):
                return True
            before = key
        at += 1
    return False


@inline
def _hints(html: Bytes, at: int, end: int, words: Keys, hints: Ints) -> int:
    """What the words of an attribute hint at; a word is letters, and a capital after a small one begins another.

    Names of more than MAX_NAME_WORDS words are sentences (a heading as an id) and hint at nothing.
    """
    found = in_name = 0
    n_words = 0
    while at < end:
        key = np.uint64(0)
        before = 0
        while at < end:
            byte = byte_at(html, at)
            if not is_letter(byte) or (byte < 97 and before >= 97):
                break
            key = key << np.uint64(6) | np.uint64(byte & 31)
            before = byte
            at += 1
        if key != np.uint64(0):
            n_words += 1
            hint = look_up(words, hints, key, NAME_BITS)
            if hint > 0:
                in_name |= hint
        if at >= end or BYTE_CLASS[byte_at(html, at)] == 1:
            if n_words <= MAX_NAME_WORDS:
                found |= in_name
            in_name = n_words = 0
        if at < end and not is_letter(byte_at(html, at)):
            at += 1
    return found


@inline
def _attribute(html: Bytes, name: np.uint64, at: int, end: int, words: Keys, hints: Ints) -> int:
    """What one attribute, its value html[at:end], says of its element: hints, HIDDEN, HREF."""
    if name in (_CLASS_NAME, _ID, _ROLE, _ITEMPROP):
        return _hints(html, at, end, words, hints)
    if name == _HREF_NAME:
        return HREF
    if name == _STYLE:
        return HIDDEN if _hides(html, at, end) else 0
    if name == _HIDDEN_NAME:
        return 0 if _word(html, at, end)[0] == _FALSE else HIDDEN
    if name == _ARIA_HIDDEN and _word(html, at, end)[0] == _TRUE:
        return HIDDEN
    return 0


@inline
def read_attributes(html: Bytes, at: int, size: int, words: Keys, hints: Ints) -> tuple[int, int]:
    """(where the tag ends, what its attributes say); the tag goes on to the first `>` outside quotes."""
    said = 0
    while at < size:
        byte = byte_at(html, at)
        if byte == 62:
            return at + 1, said
        if byte == 47 or BYTE_CLASS[byte] == 1:
            at += 1
            continue
        name = np.uint64(_NAME[byte])
        at += 1
        while at < size:
            byte = byte_at(html, at)
            if byte == 61 or _NAME[byte] == 0:
                break
            name = name << np.uint64(6) | np.uint64(_NAME[byte])
            at += 1
        while at < size and BYTE_CLASS[byte_at(html, at)] == 1:
            at += 1
        value = value_end = at
        if at < size and byte_at(html, at) == 61:
            at += 1
            while at < size and BYTE_CLASS[byte_at(html, at)] == 1:
                at += 1
            quote = byte_at(html, at) if at < size else 0
            value = at
            if quote == 34 or quote == 39:
                value = at + 1
                value_end = find(html, value, size, quote)
                at = value_end + 1
            else:
                while at < size and byte_at(html, at) != 62 and BYTE_CLASS[byte_at(html, at)] != 1:
                    at += 1
                value_end = at
        said |= _attribute(html, name, value, value_end, words, hints)
    return size, said


@inline
def past_declaration(html: Bytes, at: int, size: int) -> int:
    """Where a comment, doctype, CDATA section or instruction that begins at `at` ends."""
    if not (at + 4 <= size and byte_at(html, at + 2) == 45 and byte_at(html, at + 3) == 45):
        return find(html, at, size, 62) + 1
    at += 4
    if at < size and byte_at(html, at) == 62:
        return at + 1
    if at + 1 < size and byte_at(html, at) == 45 and byte_at(html, at + 1) == 62:
        return at + 2
    dashes = 0
    while at < size:
        byte = byte_at(html, at)
        if byte == 62 and dashes >= 2:
            return at + 1
        if byte == 45:
            dashes += 1
        elif byte != 33 or dashes < 2:
            dashes = 0
        at += 1
    return at


@inline
def past_raw(html: Bytes, at: int, size: int, key: np.uint64) -> int:
    """Where the end tag of a raw text ends."""
    while at < size:
        at = find(html, at, size, 60)
        if at + 2 < size and byte_at(html, at + 1) == 47:
            name, end = read_name(html, at + 2, size)
            if name == key:
                return find(html, end, size, 62) + 1
        at += 1
    return size
