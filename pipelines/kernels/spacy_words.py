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

A run of ASCII letters and digits, alone or before one mark, is most of English and takes a short cut: it is found in
the bits of a window of 64 bytes (`lanes`) and looked up only where a filter of 16 kB says that it may be a special
case; the short cut alone runs at 700 MB/s. The tables come from spaCy 3.8.18 (`spacy_data`); nothing here needs spaCy.

Price: 230 to 340 MB/s on English books, 150 to 220 on web pages, 240 on Chinese.
16 bytes of address space for each byte of text, of which those of the words are touched; `word_spans.word_groups`,
which kernels should read, has them for 64 kB.

Not as spaCy: a special case that spaCy overlooks among the tokens of a run because a longer one, with a
space in it, overlaps it ("x:) )" is x :) ) here and x : ) ) there; 2 of 40,000 strings made to be hard,
none of 5,527 real texts).

Source: spaCy 3.8, spacy/tokenizer.pyx and spacy/lang/en, https://spacy.io/usage/linguistic-features#tokenization
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel, pointer
from pipelines.kernels.lanes import ALL, N_LANES, between, first_bit
from pipelines.kernels.spacy_affixes import decode_back, infix, mark, prefix, suffix
from pipelines.kernels.spacy_tables import (
    ALNUM,
    ALPHA,
    BLANK,
    DOT,
    HINT_MARK,
    HINT_WORD,
    ICON,
    MARK,
    MAX_PATTERN,
    MAX_TEXT,
    MIX,
    PATTERN,
    RULE,
    SPACE,
)  # fmt: skip
from pipelines.kernels.spacy_urls import is_url
from pipelines.kernels.wide import load64
from pipelines.kernels.words import byte_at, decode

__all__ = ["cut_words"]

Bytes = npt.NDArray[np.uint8]
Classes = npt.NDArray[np.uint16]
Offsets = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_MIX = np.uint64(MIX)


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
        if (
            97 <= byte | 0x20 <= 122 and byte < 0x80
        ):  # no infix starts with a letter, of another script either
            before, at = byte, at + 1
            continue
        if byte >= 0x80:
            point, after = decode(data, at, stop)
            if classes[point] & (ALPHA | ICON) == ALPHA:
                before, at = point, after
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
    if stop - start > MAX_TEXT or not lengths[256 + byte_at(data, start)] >> np.uint64(
        stop - start
    ) & np.uint64(1):
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
    longest = min(MAX_PATTERN, n - first)
    for k in range(first, n - 1):
        if not lengths[256 + byte_at(data, starts[k])]:
            continue
        for width in range(2, min(longest, n - k) + 1):
            if _matches(data, k, width, starts, ends, strings, lengths):
                return _rewrite(data, first, n, longest, starts, ends, strings, lengths)
    return n


@inline
def _cut_run(  # noqa: C901 -- the order of the rules, seen whole
    data: Bytes, start: int, stop: int, letters: np.uint64, digits: np.uint64, classes: Classes,
    strings: Words, lengths: Words, starts: Offsets, ends: Offsets, n: int,
) -> int:  # fmt: skip
    """Writes the tokens of a run without white space; returns where the next token goes.

    letters: bit k where byte k is an ASCII letter, 0 for a run that goes on behind the window; digits: 0 where it has
    no digit. Suffixes are found from the right: they wait at the far end of the room that the run has, a token a byte.
    """
    first, room = n, n + stop - start
    waiting = room
    at, end = start, stop
    special = mark(data, at, end, RULE, strings, lengths)
    only_letters = False  # nothing to cut off, no URL, no infix
    while at < end and not special:
        if letters and first_bit(~(letters >> np.uint64(at - start))) >= end - at:
            only_letters = True
            break
        n_front = prefix(data, at, end, classes)
        if n_front:
            special = mark(data, at + n_front, end, RULE, strings, lengths)
        n_back = 0
        if not special:
            n_back = suffix(data, at + n_front, end, digits, classes, strings, lengths)
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
        if n_front + n_back == 0:
            break
        if n_front and n_back:  # after one cut it has been looked up already
            special = mark(data, at, end, RULE, strings, lengths)
    if at < end:
        if special:
            n = _put_special(at, end, special, starts, ends, n)
        elif only_letters or is_url(data, at, end, classes):
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
def _window(data: Bytes, at: int, end: int, n_readable: int) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Of the 64 bytes from `at` on: which are ASCII letters, digits, blanks; blanks is all that is behind `end`."""
    place = min(at, n_readable - N_LANES)
    letters = between(data, place, 97, 122) | between(data, place, 65, 90)
    digits = between(data, place, 48, 57)
    blanks = between(data, place, 9, 13) | between(data, place, 28, 32)
    n_before = np.uint64(at - place)
    letters, digits, blanks = letters >> n_before, digits >> n_before, blanks >> n_before
    if at + N_LANES > end:
        behind = ALL << np.uint64(end - at)
        return letters & ~behind, digits & ~behind, blanks | behind
    return letters, digits, blanks


@inline
def _is_special(data: Bytes, start: int, letters: int, stop: int, strings: Words, lengths: Words) -> bool:
    """Whether a word, or it and the mark behind it, is cut otherwise than into these two."""
    return bool(
        mark(data, start, letters, RULE, strings, lengths) > np.uint64(1)
        or mark(data, start, stop, RULE, strings, lengths) > np.uint64(0)
    )


@kernel(
    f"int64({BYTES}, {OFFSETS}, Array(uint16, 1, 'C', readonly=True), {BYTES}, "
    "Array(uint64, 1, 'C', readonly=True), Array(uint64, 1, 'C', readonly=True), "
    f"{BYTES}, int64[::1], int64[::1], int64[::1])"
)
def cut_words(
    data: Bytes, offsets: Offsets, classes: Classes, shapes: Bytes, strings: Words, lengths: Words,
    hints: Bytes, starts: Offsets, ends: Offsets, word_offsets: Offsets,
) -> int:  # fmt: skip
    """Writes the words' starts and ends and where each document's begin; returns how many words there are.

    data: at least 64 bytes. One item more of `starts` and `ends` than there are words is written to.
    """
    n_readable = len(data)
    data, classes, shapes, hints = pointer(data), pointer(classes), pointer(shapes), pointer(hints)
    strings, lengths, starts, ends = pointer(strings), pointer(lengths), pointer(starts), pointer(ends)
    n: int = np.int64(0)  # type: ignore[assignment]  # of a 0 numba would compile all helpers once more
    for doc in range(len(offsets) - 1):
        word_offsets[doc] = n
        at, end = offsets[doc], offsets[doc + 1]
        while at < end:
            base = at
            letters, digits, blanks = _window(data, base, end, n_readable)
            at = base + N_LANES
            solid = ~blanks
            while solid:
                first = first_bit(solid)
                rest = ALL << np.uint64(first)
                stop = first_bit(blanks & rest)
                close = first_bit(~(letters | digits) & rest)
                if stop == N_LANES and first > 0 and at < end:
                    at = base + first  # the run goes on behind the window: once more from where it starts
                    break
                start, n_marks = base + first, stop - close
                run_digits = digits & rest & ((np.uint64(1) << np.uint64(stop & 63)) - np.uint64(1))
                if close > first and n_marks < 2 and stop < N_LANES and start + 8 <= n_readable:
                    last, shape = byte_at(data, base + close - 1), shapes[byte_at(data, base + stop - 1)]
                    marked = shape & (ALNUM | MARK) or (shape & DOT and not 65 <= last <= 90)
                    if marked and (last < 65 or not run_digits):
                        others = np.uint64(64 - 8 * min(close - first, 8))
                        slot = (load64(data, start) << others >> others) * _MIX >> np.uint64(50)
                        if not hints[slot] & (HINT_WORD + HINT_MARK * n_marks) or not _is_special(
                            data, start, base + close, base + stop, strings, lengths
                        ):
                            starts[n], ends[n] = start, base + close
                            starts[n + 1], ends[n + 1] = base + close, base + stop
                            n += 1 + n_marks
                            solid &= ALL << np.uint64(stop)
                            continue
                stop_at = _run_end(data, start, end, classes, shapes)
                if stop_at > start:
                    run_letters = letters >> np.uint64(first) if stop < N_LANES else np.uint64(0)
                    run_digits = run_digits if stop < N_LANES else ALL
                    n = _cut_run(
                        data, start, stop_at, run_letters, run_digits, classes, strings, lengths, starts, ends, n
                    )  # fmt: skip
                else:
                    stop_at = decode(data, start, end)[1]  # a white space of several bytes
                if stop_at >= base + N_LANES:
                    at = stop_at
                    break
                solid &= ALL << np.uint64(stop_at - base)
    word_offsets[len(offsets) - 1] = n
    return n
