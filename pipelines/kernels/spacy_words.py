r"""The words of spaCy's blank English tokenizer (`spacy.blank("en")`), as spans of bytes.

    "Mr. O'Neil's well-known (U.S.) dog can't."
     Mr. | O'Neil | 's | well | - | known | ( | U.S. | ) | dog | ca | n't | .

datatrove cuts English into these words for Gopher's, C4's and FineWeb's rules and for MinHash, so a
recipe asks for them where its decisions are to equal datatrove's. Tokens of white space are left out, as
datatrove leaves them out. For each run without white space:

    special cases ("can't", "Mr.", ":-)") are looked up first and after every cut
    prefixes and suffixes are cut off in turn    ( ... )    's    .    km behind a digit
    what is left is one token if it is a URL, else it is cut at infixes   well|-|known   end|.|Next
    special cases are looked for once more among the run's tokens         sq.|-|m|. -> "m."

A run of ASCII letters, alone or before one mark, is most of English and takes a short cut: it is looked up
only where a filter of 16 kB says that it may be a special case. The tables come from spaCy 3.8.18
(`spacy_data`); nothing here needs spaCy.

Price: 200 MB/s on English books, 130 on pages of many menus and languages; 190 on Chinese.
16 bytes of address space for each byte of text, of which those of the words are touched; `word_groups`, which
kernels should read, has them for 256 kB.

Not as spaCy: a special case that spaCy overlooks among the tokens of a run because a longer one, with a
space in it, overlaps it ("x:) )" is x :) ) here and x : ) ) there; 2 of 40,000 strings made to be hard,
none of 5,527 real texts).

Source: spaCy 3.8, spacy/tokenizer.pyx and spacy/lang/en, https://spacy.io/usage/linguistic-features#tokenization
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel, pointer
from pipelines.kernels.spacy_affixes import decode_back, infix, mark, pack, prefix, suffix
from pipelines.kernels.spacy_tables import (
    BLANK,
    DOT,
    HINT_DOT,
    HINT_WORD,
    LETTER,
    MARK,
    MAX_PATTERN,
    MAX_TEXT,
    MIX,
    PATTERN,
    RULE,
    SPACE,
    spacy_tables,
)  # fmt: skip
from pipelines.kernels.spacy_urls import is_url
from pipelines.kernels.words import byte_at, decode

__all__ = ["WordSpans", "cut_words", "spacy_word_spans", "word_groups"]

Bytes = npt.NDArray[np.uint8]
Classes = npt.NDArray[np.uint16]
Offsets = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_GROUP_BYTES = 1 << 18
_MIX = np.uint64(MIX)
_EACH = np.uint64(0x0101010101010101)  # one in each of eight bytes


class WordSpans(NamedTuple):
    """Word w is `data[starts[w]:ends[w]]`; document d has words `offsets[d]` to `offsets[d + 1]`. All int64."""

    starts: Offsets
    ends: Offsets
    offsets: Offsets


@inline
def _put_special(start: int, stop: int, mask: np.uint64, starts: Offsets, ends: Offsets, n: int) -> int:
    """Writes the tokens of a special case; returns where the next token goes."""
    first = start
    for k in range(1, stop - start):
        if mask >> np.uint64(k) & np.uint64(1):
            starts[n], ends[n] = first, start + k
            first = start + k
            n += 1
    starts[n], ends[n] = first, stop
    return n + 1


@inline
def _put_pieces(
    data: Bytes, start: int, stop: int, classes: Classes, starts: Offsets, ends: Offsets, n: int
) -> int:
    """Writes what stands between the infixes and the infixes; returns where the next token goes."""
    at = first = start
    before: int = np.int64(0)  # type: ignore[assignment]
    while at < stop:
        byte = byte_at(data, at)
        if 97 <= byte | 0x20 <= 122 and byte < 0x80:  # no infix starts with a letter
            before, at = byte, at + 1
            continue
        n_bytes = infix(data, at, stop, before, classes)
        if n_bytes and at > start:
            if first < at:
                starts[n], ends[n] = first, at
                n += 1
            starts[n], ends[n] = at, at + n_bytes
            n += 1
            first = at + n_bytes
        if n_bytes:
            at += n_bytes
            before = decode_back(data, start, at)[0]
        else:
            before, at = decode(data, at, stop)
    if first < stop:
        starts[n], ends[n] = first, stop
        n += 1
    return n


@inline
def _matches(
    data: Bytes, first: int, n_tokens: int, starts: Offsets, ends: Offsets, strings: Words, lengths: Words
) -> bool:
    """Whether these tokens are those of a pattern."""
    start, stop = starts[first], ends[first + n_tokens - 1]
    if stop - start > MAX_TEXT:
        return False
    mask = np.uint64(0)
    for k in range(first, first + n_tokens):
        mask |= np.uint64(1) << np.uint64(starts[k] - start)
    return bool(mark(data, start, stop, PATTERN, strings, lengths) == mask)


@inline
def _rewrite(
    data: Bytes,
    first: int,
    n: int,
    longest: int,
    starts: Offsets,
    ends: Offsets,
    strings: Words,
    lengths: Words,
) -> int:
    """The slow half of `_join_specials`, for a run that has a match."""
    n_tokens = n - first
    taken, widths = np.zeros(n_tokens, np.uint8), np.ones(n_tokens, np.int64)
    old_starts, old_ends = np.empty(n_tokens, np.int64), np.empty(n_tokens, np.int64)
    for k in range(n_tokens):
        old_starts[k], old_ends[k] = starts[first + k], ends[first + k]
    for width in range(longest, 1, -1):
        for k in range(n_tokens - width + 1):
            if _matches(data, first + k, width, starts, ends, strings, lengths):
                if not taken[k] and not taken[k + width - 1]:
                    widths[k] = width
                taken[k : k + width] = 1
    k, out = 0, first
    while k < n_tokens:
        start, stop = old_starts[k], old_ends[k + widths[k] - 1]
        mask = mark(data, start, stop, RULE, strings, lengths) if widths[k] > 1 else np.uint64(1)
        out = _put_special(start, stop, mask, starts, ends, out)
        k += widths[k]
    return out


@inline
def _join_specials(
    data: Bytes, first: int, n: int, starts: Offsets, ends: Offsets, strings: Words, lengths: Words
) -> int:
    """Puts special cases in the place of the tokens they match, longest first, then leftmost.

    A match that begins or ends inside one that came before it is left alone, accepted or not.
    """
    for width in range(min(MAX_PATTERN, n - first), 1, -1):
        for k in range(first, n - width + 1):
            if _matches(data, k, width, starts, ends, strings, lengths):
                return _rewrite(data, first, n, width, starts, ends, strings, lengths)
    return n


@inline
def _cut_run(  # noqa: C901 -- the order of the rules, seen whole
    data: Bytes, start: int, stop: int, classes: Classes, strings: Words, lengths: Words,
    starts: Offsets, ends: Offsets, n: int,
) -> int:  # fmt: skip
    """Writes the tokens of a run without white space; returns where the next token goes.

    Suffixes are found from the right: they wait at the far end of the room that the run has, a token a byte.
    """
    first, room = n, n + stop - start
    waiting = room
    at, end = start, stop
    special = np.uint64(0)
    while at < end:
        special = mark(data, at, end, RULE, strings, lengths)
        if special:
            break
        n_front = prefix(data, at, end, classes)
        if n_front:
            special = mark(data, at + n_front, end, RULE, strings, lengths)
        n_back = 0
        if not special:
            n_back = suffix(data, at + n_front, end, classes, strings, lengths)
            if n_back:
                special = mark(data, at, end - n_back, RULE, strings, lengths)
                n_front = 0 if special else n_front
        if n_front:
            starts[n], ends[n] = at, at + n_front
            n += 1
        if n_back:
            waiting -= 1
            starts[waiting], ends[waiting] = end - n_back, end
        at, end = at + n_front, end - n_back
        if special or n_front + n_back == 0:
            break
    if at < end:
        if special:
            n = _put_special(at, end, special, starts, ends, n)
        elif is_url(data, at, end, classes):
            starts[n], ends[n] = at, end
            n += 1
        else:
            n = _put_pieces(data, at, end, classes, starts, ends, n)
    for k in range(waiting, room):
        starts[n], ends[n] = starts[k], ends[k]
        n += 1
    return _join_specials(data, first, n, starts, ends, strings, lengths) if n - first > 2 else n


@inline
def _run_end(data: Bytes, at: int, end: int, classes: Classes, shapes: Bytes) -> int:
    """Where the next white space stands."""
    while at < end:
        byte = byte_at(data, at)
        if byte < 0x80:
            if shapes[byte] & BLANK:
                return at
            at += 1
        elif byte < 0xC0:
            at += 1
        else:
            point, after = decode(data, at, end)
            if classes[point] & SPACE:
                return at
            at = after
    return end


@inline
def _load(data: Bytes, at: int) -> np.uint64:
    """Eight bytes as one word, the first lowest; LLVM makes one load of it."""
    word = np.uint64(data[at])
    word |= np.uint64(data[at + 1]) << np.uint64(8)
    word |= np.uint64(data[at + 2]) << np.uint64(16)
    word |= np.uint64(data[at + 3]) << np.uint64(24)
    word |= np.uint64(data[at + 4]) << np.uint64(32)
    word |= np.uint64(data[at + 5]) << np.uint64(40)
    word |= np.uint64(data[at + 6]) << np.uint64(48)
    return word | np.uint64(data[at + 7]) << np.uint64(56)


@inline
def _n_letters(word: np.uint64) -> int:
    """How many of the eight bytes, from the lowest, are ASCII letters before the first that is not."""
    folded = (word | _EACH * np.uint64(0x20)) & _EACH * np.uint64(0x7F)
    from_a, past_z = folded + _EACH * np.uint64(128 - 97), folded + _EACH * np.uint64(128 - 123)
    others = ~(from_a & ~past_z & ~word) & _EACH * np.uint64(0x80)
    if others == np.uint64(0):
        return 8
    below = (others & (~others + np.uint64(1))) - np.uint64(1)  # all bits under the first other byte's mark
    return np.int64(((below & _EACH) * _EACH) >> np.uint64(56)) - 1  # type: ignore[return-value]


@inline
def _letters(data: Bytes, start: int, end: int, readable: int, shapes: Bytes) -> tuple[int, np.uint64]:
    """Where the ASCII letters from `start` end, and up to eight of them as one word."""
    at = start
    if start + 8 <= readable:
        word = _load(data, start)
        n_letters = _n_letters(word)
        if n_letters < 8 and start + n_letters <= end:
            return start + n_letters, word & ((np.uint64(1) << np.uint64(8 * n_letters)) - np.uint64(1))
        at = min(start + n_letters, end)
    while at < end and shapes[byte_at(data, at)] & LETTER:
        at += 1
    return at, pack(data, start, at)


@kernel(
    f"int64({BYTES}, {OFFSETS}, Array(uint16, 1, 'C', readonly=True), {BYTES}, "
    "Array(uint64, 1, 'C', readonly=True), Array(uint64, 1, 'C', readonly=True), "
    f"{BYTES}, int64[::1], int64[::1], int64[::1])"
)
def cut_words(
    data: Bytes, offsets: Offsets, classes: Classes, shapes: Bytes, strings: Words, lengths: Words,
    hints: Bytes, starts: Offsets, ends: Offsets, word_offsets: Offsets,
) -> int:  # fmt: skip
    """Writes the words' starts and ends and where each document's begin; returns how many words there are."""
    readable = len(data)
    data, classes, shapes = pointer(data), pointer(classes), pointer(shapes)
    strings, lengths, starts, ends = pointer(strings), pointer(lengths), pointer(starts), pointer(ends)
    n: int = np.int64(0)  # type: ignore[assignment]  # of a 0 numba would compile all helpers once more
    for doc in range(len(offsets) - 1):
        word_offsets[doc] = n
        at, end = offsets[doc], offsets[doc + 1]
        while at < end:
            if shapes[byte_at(data, at)] & BLANK:
                at += 1
                continue
            start = at
            at, packed = _letters(data, start, end, readable, shapes)
            letters = at
            shape = shapes[byte_at(data, at)] if at < end else BLANK
            if shape & (MARK | DOT) and letters > start:
                ended = at + 1 >= end or shapes[byte_at(data, at + 1)] & BLANK
                cut = ended and (shape & MARK or byte_at(data, at - 1) >= 97)
                shape = BLANK if cut else 0
                at += 1 if cut else 0
            if shape & BLANK:
                wanted = HINT_WORD | (HINT_DOT if letters < at else 0)
                special = hints[packed * _MIX >> np.uint64(50)] & wanted and (
                    mark(data, start, letters, RULE, strings, lengths) > np.uint64(1)
                    or mark(data, start, at, RULE, strings, lengths) > np.uint64(0)
                )
                if not special:
                    starts[n], ends[n] = start, letters
                    n += 1
                    if letters < at:
                        starts[n], ends[n] = letters, at
                        n += 1
                    at += 1
                    continue
            at = _run_end(data, at, end, classes, shapes)
            if at > start:
                n = _cut_run(data, start, at, classes, strings, lengths, starts, ends, n)
            else:
                at = decode(data, at, end)[1]  # a white space of several bytes
    word_offsets[len(offsets) - 1] = n
    return n


def _cut(data: Bytes, offsets: Offsets, starts: Offsets, ends: Offsets) -> WordSpans:
    word_offsets = np.empty(len(offsets), np.int64)
    n_words = cut_words(data, offsets, *spacy_tables(), starts, ends, word_offsets)
    return WordSpans(starts[:n_words], ends[:n_words], word_offsets)


def spacy_word_spans(data: Bytes, offsets: Offsets) -> WordSpans:
    """The words of every document in order; one pass. `data[starts[w]:ends[w]]` is word w's UTF-8."""
    room = int(offsets[-1] - offsets[0])  # no token is empty
    return _cut(data, offsets, np.empty(room, np.int64), np.empty(room, np.int64))


def word_groups(data: Bytes, offsets: Offsets) -> Iterator[tuple[Offsets, WordSpans]]:
    """Consecutive documents, as their own `offsets`, and their words, which the next group overwrites.

    A group is 256 kB of text or one document: its words stay in the cache for the kernel that reads them,
    where those of a whole batch would be new memory for every word.
    """
    n_docs = len(offsets) - 1
    cuts = [0]
    while cuts[-1] < n_docs:
        last = int(np.searchsorted(offsets, offsets[cuts[-1]] + _GROUP_BYTES, "right")) - 1
        cuts.append(min(max(last, cuts[-1] + 1), n_docs))
    room = int(np.diff(offsets[cuts]).max(initial=0))
    starts, ends = np.empty(room, np.int64), np.empty(room, np.int64)
    for first, last in pairwise(cuts):
        group = offsets[first : last + 1]
        yield group, _cut(data, group, starts, ends)
