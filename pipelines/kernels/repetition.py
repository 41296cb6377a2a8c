r"""Counts behind Gopher's repetition rules: repeated lines and paragraphs, frequent and repeated n-grams.

    "a b a b a b"     words  a b a b a b
      top_2_gram_chars      9   "a b" three times, its space counted
      dup_5_gram_chars      0   "ababa" and "babab" are each new

datatrove's arithmetic (filters/gopher_repetition_filter.py), over runs of non-white space (`words`), over words of
any script (`light_words`) or, for its very counts, over spaCy's (`spacy_words`):

- lines are what stands between runs of newlines, the empty piece before a first or after a last run
  included; paragraphs likewise between two or more newlines, after white space is stripped off both
  ends of the text. A newline is "\n" or "\r\n"; over spaCy's words "\n" alone, as datatrove has it, so
  that every blank line of a "\r\n" text is a duplicate line;
- a line or paragraph is a duplicate when an equal one came before it;
- of the most frequent n-gram of words (the first seen of several) all occurrences count, a single one
  too, at its length with single spaces between the words;
- repeated n-grams (5 to 10) are compared and counted without spaces, and a repeat moves on by n words,
  so no character counts twice; n-grams that begin inside a repeat are not remembered.

Lengths are in code points; `n_chars` is the text's. Equality is exact: tables with open addressing find
candidates by a hash and every hit compares bytes or numbers. What makes it fast:

- one scan, 64 bytes at a time, finds lines, words and code points: a bit a byte, and the bits that change;
- a word of at most 15 bytes is a pair of numbers, compared as such and copied by two stores;
- a word is numbered by its first occurrence; of two numbers comes that of a pair, of two pairs that of three
  words, and where a half occurs once, the whole is not looked at;
- n-grams of five and more are looked at only where their first 16 bytes occur elsewhere, and hashed only
  where their last 8 and their length do too: a few words in a hundred.

Price on one core: 190 MB/s of English beside a busy machine's other work, 225 in its quiet moments; of spaCy's words
85 and 115 with their cutting, 140 and 170 once they are cut. Memory: 13 bytes for each byte of the longest document
in English, 60 where every other byte is a newline. No document may have 2 GiB.

Source: Rae et al. 2021, Gopher, table A1, https://arxiv.org/abs/2112.11446
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.kernels.duplicates import duplicate_spans, table_size
from pipelines.kernels.grams import (
    SEEN_PER_WORD,
    SLACK,
    chars_of,
    dup_n_gram_chars,
    item,
    keep_repeated,
    number_pairs,
    number_words,
    sift_words,
)
from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel, pointer
from pipelines.kernels.lanes import ALL, N_LANES, between, first_bit, n_bits_set
from pipelines.kernels.sentences import text_classes
from pipelines.kernels.unicode import SPACE, character_classes
from pipelines.kernels.word_spans import word_groups
from pipelines.kernels.words import byte_at, decode, strip

__all__ = ["DUP_N_GRAMS", "REPETITION_COUNTS", "TOP_N_GRAMS", "count_repetition", "repetition_counts"]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int32]
Keys = npt.NDArray[np.uint64]

TOP_N_GRAMS = (2, 3, 4)
DUP_N_GRAMS = (5, 6, 7, 8, 9, 10)

REPETITION_COUNTS = (
    "n_chars",
    "n_lines",
    "n_dup_lines",
    "n_dup_line_chars",
    "n_paragraphs",
    "n_dup_paragraphs",
    "n_dup_paragraph_chars",
    *(f"top_{n}_gram_chars" for n in TOP_N_GRAMS),
    *(f"dup_{n}_gram_chars" for n in DUP_N_GRAMS),
)


class _Room(NamedTuple):
    """Arrays of the longest document's size, which all documents use in turn."""

    lines: Offsets
    line_table: Keys
    word_starts: Offsets
    word_ends: Offsets
    packed: Bytes
    tail: Bytes
    seen: Bytes
    starts: Indices
    low: Keys
    high: Keys
    ids: Indices
    times: Indices
    kept: Indices
    table: Indices


@inline
def _make_room(longest: int, max_words: int, max_cut: int) -> _Room:
    """For documents of at most so many bytes and words; of those that it cuts, a block writes 63 in vain."""
    max_lines = longest // 2 + 2  # a newline stands between two, and the outer two may be empty
    return _Room(
        np.empty(2 * max_lines, np.int64),
        np.empty(table_size(max_lines), np.uint64),
        np.empty(max_cut + N_LANES, np.int64),
        np.empty(max_cut + N_LANES, np.int64),
        np.empty(longest + SLACK, np.uint8),
        np.empty(N_LANES, np.uint8),
        np.empty(SEEN_PER_WORD * table_size(max_words) // 2, np.uint8),
        np.empty(max_words + 1, np.int32),
        np.empty(max_words + 1, np.uint64),
        np.empty(max_words + 1, np.uint64),
        np.empty(max_words + 1, np.int32),
        np.empty(max_words + 1, np.int32),
        np.empty(max_words + 1, np.int32),
        np.empty(table_size(max_words), np.int32),
    )


@inline
def _block(data: Bytes, readable: int, at: int, tail: Bytes) -> tuple[Bytes, int]:
    """Where the 64 bytes from `at` can be read; a copy in `tail` where the data ends before."""
    if at + N_LANES <= readable:
        return data, at
    for k in range(readable - at):
        tail[k] = data[at + k]
    return tail, 0


@inline
def _other_spaces(
    data: Bytes, base: int, leads: np.uint64, stop: int, classes: Bytes
) -> tuple[np.uint64, np.uint64]:
    """The bytes of white space beyond ASCII, of those that begin at `leads`: in this block and in the next."""
    spaces, spilled = np.uint64(0), np.uint64(0)
    while leads:
        bit = first_bit(leads)
        leads &= leads - np.uint64(1)
        point, after = decode(data, base + bit, stop)
        if byte_at(classes, point) & SPACE:
            run = (np.uint64(1) << np.uint64(after - base - bit)) - np.uint64(1)
            spaces |= run << np.uint64(bit)
            spilled |= run >> np.uint64(64 - bit) if bit > 60 else np.uint64(0)
    return spaces, spilled


@inline
def _cut_lines(
    data: Bytes, start: int, base: int, newlines: np.uint64, newline: int, lines: Offsets, n_lines: int
) -> int:
    """Ends lines at a block's newlines; returns how many lines have ended.

    `lines` are starts and ends by turns; the start of the line that goes on stands behind the last end.
    """
    while newlines:
        at = base + first_bit(newlines)
        newlines &= newlines - np.uint64(1)
        begin = at - int(newline == 2 and at > start and byte_at(data, at - 1) == 13)
        if n_lines == 0 or begin > lines[2 * n_lines]:  # else the run of newlines goes on
            lines[2 * n_lines + 1] = begin
            n_lines += 1
        lines[2 * n_lines] = at + 1
    return n_lines


@inline
def _scan(
    data: Bytes,
    readable: int,
    start: int,
    stop: int,
    classes: Bytes,
    cut_words: int,
    newline: int,
    room: _Room,
) -> tuple[int, int, int]:
    """Writes where lines and, if `cut_words` is 1, words begin and end; returns the code points, lines and words.

    newline: 1 where "\\n" alone is one, 2 where "\\r\\n" is one too.
    """
    lines, tail = pointer(room.lines), pointer(room.tail)
    word_starts, word_ends = pointer(room.word_starts), pointer(room.word_ends)
    n_chars, n_lines, n_begun, n_ended = stop - start, 0, 0, 0
    solid_before = spilled = np.uint64(0)
    lines[0] = start
    for base in range(start, stop, N_LANES):
        block, at = _block(data, readable, base, tail)
        within = ALL >> np.uint64(max(N_LANES - (stop - base), 0))
        n_chars -= n_bits_set(between(block, at, 0x80, 0xBF) & within)
        newlines = between(block, at, 10, 10) & within
        n_lines = _cut_lines(data, start, base, newlines, newline, lines, n_lines)
        if cut_words:
            spaces = between(block, at, 9, 13) | between(block, at, 32, 32) | spilled | ~within
            leads = (between(block, at, 0xC2, 0xC2) | between(block, at, 0xE1, 0xE3)) & within
            others, spilled = _other_spaces(data, base, leads, stop, classes)
            solid = ~(spaces | others)
            edges = solid ^ (solid << np.uint64(1) | solid_before)
            solid_before = solid >> np.uint64(63)
            begins, ends = edges & solid, edges & ~solid
            n_begins, n_ends = n_bits_set(begins), n_bits_set(ends)
            for k in range(max(n_begins, n_ends)):
                word_starts[n_begun + k] = base + first_bit(begins)
                word_ends[n_ended + k] = base + first_bit(ends)
                begins &= begins - np.uint64(1)
                ends &= ends - np.uint64(1)
            n_begun += n_begins
            n_ended += n_ends
    if n_ended < n_begun:
        word_ends[n_ended] = stop
    lines[2 * n_lines + 1] = stop
    return n_chars, n_lines + 1, n_begun


@inline
def _join_lines(data: Bytes, first: int, last: int, lines: Offsets, n_lines: int) -> int:
    """Makes paragraphs of the lines: those with one newline between them are one. Returns how many.

    What lies before `first` and behind `last` is white space.
    """
    n_paragraphs = 0
    begin = first
    for line in range(n_lines - 1):
        end, next_begin = lines[2 * line + 1], lines[2 * line + 2]
        one = next_begin - end == 1 or (next_begin - end == 2 and byte_at(data, end) == 13)
        if first < end < last and not one:
            lines[2 * n_paragraphs], lines[2 * n_paragraphs + 1] = begin, end
            n_paragraphs += 1
            begin = next_begin
    lines[2 * n_paragraphs], lines[2 * n_paragraphs + 1] = begin, last
    return n_paragraphs + 1


@inline
def _count_pieces(
    data: Bytes, start: int, stop: int, classes: Bytes, n_lines: int, room: _Room, row: Offsets
) -> None:
    """Counts repeated lines, then paragraphs, in `row[1:7]`; the lines in `room` become paragraphs."""
    lines, table = pointer(room.lines), pointer(room.line_table)
    row[1] = n_lines
    row[2], row[3] = duplicate_spans(data, lines, n_lines, table)
    first, last = strip(data, start, stop, classes)
    n_paragraphs = _join_lines(data, first, last, lines, n_lines)
    row[4] = n_paragraphs
    row[5], row[6] = duplicate_spans(data, lines, n_paragraphs, table)


@inline
def _count_grams(
    data: Bytes, readable: int, word_starts: Offsets, word_ends: Offsets, n_words: int, n_tails: int,
    room: _Room, row: Offsets,
) -> None:  # fmt: skip
    """Counts frequent and repeated n-grams in `row[7:16]`; `n_tails` are the text's bytes less its code points."""
    packed, starts, seen = pointer(room.packed), pointer(room.starts), pointer(room.seen)
    low, high, table = pointer(room.low), pointer(room.high), pointer(room.table)
    ids, times, kept = pointer(room.ids), pointer(room.times), pointer(room.kept)
    number_words(
        data, readable, word_starts, word_ends, n_words, packed, starts, low, high, table, ids, times
    )
    n_kept = keep_repeated(ids, times, n_words, kept)
    for n in range(2, min(4, n_words) + 1):
        n_kept, best, most = number_pairs(ids, times, kept, n_kept, low, table)
        begin, end = item(starts, best - 1), item(starts, best - 1 + n)
        row[5 + n] = (chars_of(packed, begin, end, n_tails) + n - 1) * most
    n_sifted = sift_words(packed, starts, n_words, seen, ids, kept)
    if n_sifted > 1:
        for n in range(5, 11):
            row[5 + n] = dup_n_gram_chars(
                packed, starts, n_words, n, kept, n_sifted, seen, ids, table, low, n_tails
            )


@kernel(f"int64[:, ::1]({BYTES}, {OFFSETS}, {BYTES}, int64, {OFFSETS}, {OFFSETS}, {OFFSETS})")
def count_repetition(
    data: Bytes,
    offsets: Offsets,
    classes: Bytes,
    newline: int,
    word_starts: Offsets,
    word_ends: Offsets,
    word_offsets: Offsets,
) -> npt.NDArray[np.int64]:
    """One row of `REPETITION_COUNTS` per measure, `int64[16, n_docs]`.

    newline: 2 where "\\r\\n" is one, 1 where "\\n" alone is. Words are those given, as `word_spans.WordSpans`; without
    any `word_offsets`, runs of non-white space.
    """
    n_docs, given = len(offsets) - 1, len(word_offsets) > 0
    longest = max_words = 0
    for doc in range(n_docs):
        longest = max(longest, offsets[doc + 1] - offsets[doc])
        if given:
            max_words = max(max_words, word_offsets[doc + 1] - word_offsets[doc])
    max_cut = 0 if given else longest // 2 + 1  # a space stands between two
    room = _make_room(longest, max(max_words, max_cut), max_cut)
    counts, row = np.zeros((16, n_docs), np.int64), np.zeros(16, np.int64)
    text, kinds = pointer(data), pointer(classes)
    for doc in range(n_docs):
        start, stop = offsets[doc], offsets[doc + 1]
        if start == stop:
            continue
        row[:] = 0
        row[0], n_lines, n_words = _scan(text, len(data), start, stop, kinds, 1 - int(given), newline, room)
        _count_pieces(text, start, stop, kinds, n_lines, room, row)
        n_tails = stop - start - row[0]
        if given:
            first, last = word_offsets[doc], word_offsets[doc + 1]
            _count_grams(
                text, len(data), pointer(word_starts[first:]), pointer(word_ends[first:]), last - first,
                n_tails, room, row,
            )  # fmt: skip
        else:
            _count_grams(
                text, len(data), pointer(room.word_starts), pointer(room.word_ends), n_words,
                n_tails, room, row,
            )  # fmt: skip
        for measure in range(16):
            counts[measure, doc] = row[measure]
    return counts


def repetition_counts(
    data: Bytes, offsets: Offsets, *, words: Literal["spaces", "spacy", "light"] = "spaces"
) -> dict[str, npt.NDArray[np.int64]]:
    """Every measure of `REPETITION_COUNTS` by name, each `int64[n_docs]`; all 0 for an empty document."""
    if words == "spaces":
        none = np.empty(0, np.int64)
        rows = count_repetition(data, offsets, character_classes(), 2, none, none, none)
    else:
        classes, newline = (text_classes(), 1) if words == "spacy" else (character_classes(), 2)
        counted = [
            count_repetition(data, docs, classes, newline, *spans)
            for docs, spans in word_groups(data, offsets, words)
        ]
        rows = np.concatenate([np.empty((len(REPETITION_COUNTS), 0), np.int64), *counted], axis=1)
    return dict(zip(REPETITION_COUNTS, rows, strict=True))
