r"""Characters of HTML's text, and the block of it that grows: helpers of `html.py`.

    "Boil &amp;\n  wait, "    ->  "Boil & wait,"     11 characters, 3 words, 1 mark

What is known of the page so far is one array of numbers, the state: how far text is written, what the block that
grows counts, how deep elements are open and what they do to their text. White space is owed until a character
follows, so no block begins or ends with it.

Source: WHATWG, HTML, 13.2.5.72 to 13.2.5.80 (character references), 13.5 (names).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.html_names import CHARACTER_BITS
from pipelines.kernels.html_tags import BYTE_CLASS, is_letter, look_up
from pipelines.kernels.jit import inline
from pipelines.kernels.words import byte_at, decode, encode

__all__ = [
    "BLOCK_COLUMNS", "BLOCK_ROW", "BULLET", "DEEPEST", "DEPTH", "ELEMENT", "LINES", "LINK_IN", "N_BLOCKS", "N_ELEMENTS",
    "OVER", "PRE_IN", "START", "STATE_SIZE", "UNSEEN_IN", "W", "end_block", "write_text",
]  # fmt: skip

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int32]

# n_chars and n_link_chars count an ideograph, kana or hangul twice: it says as much as two letters. n_marks:
# commas, stops and their like before a space. bullet: 1 where a list item begins.
BLOCK_COLUMNS = ("start", "end", "n_chars", "n_link_chars", "n_words", "n_marks", "element", "bullet", "pre")
BLOCK_ROW = len(BLOCK_COLUMNS)

# Places in the state: of the text written and the block that grows; of the elements that are open.
W, START, CHARS, LINKED, WORDS, MARKS, SPACE, LINES, BULLET = range(9)
DEPTH, DEEPEST, OVER, UNSEEN_IN, LINK_IN, PRE_IN, ELEMENT, N_ELEMENTS, N_BLOCKS = range(9, 18)
STATE_SIZE = 18

# Windows-1252 for the numeric entities of 128 to 159, as HTML reads them.
_C1 = np.array([ord(bytes([i]).decode("cp1252", "replace")) for i in range(128, 160)], np.int64)
_FNV = np.uint64(0x100000001B3)
# Commas, stops, exclamation and question marks of CJK, Arabic, Devanagari, Armenian; the ellipsis.
_CLAUSE_MARKS = np.array([ord(c) for c in "、。，．！？；،؛؟۔।։…"], np.int64)


@inline
def _numeric(html: Bytes, at: int, size: int) -> tuple[int, int]:
    """(the character that the `&#` at `at` stands for, 0 for itself; where it ends)."""
    end = at + 2
    base = 10
    if end < size and byte_at(html, end) | 32 == 120:
        base = 16
        end += 1
    first = end
    point = 0
    while end < size:
        byte = byte_at(html, end)
        digit = byte - 48 if byte < 58 else (byte | 32) - 87 if (byte | 32) >= 97 else 99
        if digit < 0 or digit >= base:
            break
        point = min(point * base + digit, 0x110000)
        end += 1
    if end == first:
        return 0, at + 1
    end += end < size and byte_at(html, end) == 59
    if 128 <= point < 160:
        return _C1[point - 128], end
    return (0xFFFD if point == 0 or point > 0x10FFFF or 0xD800 <= point < 0xE000 else point), end


@inline
def _entity(html: Bytes, at: int, size: int, entities: Keys, characters: Ints) -> tuple[int, int]:
    """(the characters that the `&` at `at` stands for, 0 for itself; where they end). A second is times 2**32."""
    if at + 1 < size and byte_at(html, at + 1) == 35:
        return _numeric(html, at, size)
    key = np.uint64(0)
    found, end, i = 0, at + 1, at + 1
    while i < size and i < at + 34:
        byte = byte_at(html, i)
        if not (is_letter(byte) or 48 <= byte < 58 or byte == 59):
            break
        key = key * _FNV + np.uint64(byte)
        i += 1
        # Without a semicolon names have two to six letters; the longest that fits counts.
        if byte == 59 or i - at <= 7:
            value = look_up(entities, characters, key, CHARACTER_BITS)
            if value > 0:
                found, end = value, i
        if byte == 59:
            break
    return found, end


@inline
def _is_mark(point: int) -> bool:
    """Whether a character beyond ASCII ends a clause."""
    for mark in _CLAUSE_MARKS:
        if point == mark:
            return True
    return False


@inline
def _is_unneeded(point: int) -> bool:
    """Controls but white space, byte order marks, soft hyphens."""
    return 0x7F <= point < 0xA0 or point == 0xFEFF or point == 0xAD or (point < 32 and BYTE_CLASS[point] == 3)


@inline
def _is_space(point: int) -> bool:
    """White space beyond ASCII, which is collapsed like a blank."""
    if point < 0x2000:
        return point == 0xA0
    return (
        point <= 0x200A or 0x2028 <= point <= 0x2029 or point == 0x202F or point == 0x205F or point == 0x3000
    )


@inline
def write_text(  # noqa: C901 -- one flat pass over the bytes
    html: Bytes, at: int, end: int, size: int, text: Bytes, s: Ints, entities: Keys, characters: Ints
) -> None:
    """Appends html[at:end], which has no tags, to the block that grows."""
    w, start, space, lines = s[W], s[START], s[SPACE], s[LINES]
    pre = s[PRE_IN] > 0
    n_chars = n_words = n_marks = 0
    second = 0
    while at < end or second:
        if second:
            point, second = second, 0
        else:
            byte = byte_at(html, at)
            sort = BYTE_CLASS[byte]
            point = byte
            if sort == 5:
                point, at = decode(html, at, end)
            elif byte == 38:
                found, at = _entity(html, at, size, entities, characters)
                point, second = (found & 0xFFFFFFFF, found >> 32) if found else (38, 0)
            else:
                at += 1
                if sort in (3, 6) or (pre and byte == 13):
                    continue
        if point <= 32 or point >= 127:
            if _is_unneeded(point):
                continue
            if point <= 32 or _is_space(point):
                if pre:
                    # A new line right behind <pre> is not shown.
                    if w > start or point != 10:
                        text[w] = min(point, 32)
                        w += 1
                elif space == 0:
                    space = 1
                    n_marks += w > start and BYTE_CLASS[text[w - 1]] == 4
                continue
        if w > start:
            if lines:
                text[w] = 10
                w += 1
                n_words += 1
            elif space:
                text[w] = 32
                w += 1
                n_chars += 1
                n_words += 1
        space = lines = 0
        if point < 128:
            text[w] = point
            w += 1
        else:
            w = encode(text, w, point)
            if 0x2E80 <= point < 0xE000:
                n_chars += 1
            if _is_mark(point):
                n_marks += 1
        n_chars += 1
    s[W], s[SPACE], s[LINES] = w, space, lines
    s[CHARS] += n_chars
    s[WORDS] += n_words
    s[MARKS] += n_marks
    if s[LINK_IN] > 0:
        s[LINKED] += n_chars


@inline
def end_block(text: Bytes, blocks: Rows, s: Ints) -> None:
    """Records the block that grows, if it has text, and begins another."""
    w, start = s[W], s[START]
    while w > start and BYTE_CLASS[text[w - 1]] == 1:
        w -= 1
    if w > start:
        row = BLOCK_ROW * s[N_BLOCKS]
        s[N_BLOCKS] += 1
        blocks[row + 0], blocks[row + 1] = start, w
        blocks[row + 2], blocks[row + 3] = s[CHARS], s[LINKED]
        blocks[row + 4] = s[WORDS] + 1
        # A mark counts before white space; at the end that is still owed, or counted already.
        blocks[row + 5] = s[MARKS] + (s[SPACE] == 0 and BYTE_CLASS[text[w - 1]] == 4)
        blocks[row + 6], blocks[row + 7], blocks[row + 8] = s[ELEMENT], s[BULLET], s[PRE_IN] > 0
        s[BULLET] = 0
    s[W] = s[START] = w
    s[CHARS] = s[LINKED] = s[WORDS] = s[MARKS] = s[SPACE] = s[LINES] = 0
