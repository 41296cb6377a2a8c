r"""Counts behind Gopher's repetition rules: repeated lines and paragraphs, frequent and repeated n-grams.

    "a b a b a b"     words  a b a b a b
      top_2_gram_chars      9   "a b" three times, its space counted
      dup_5_gram_chars      0   "ababa" and "babab" are each new

datatrove's arithmetic (filters/gopher_repetition_filter.py), over runs of non-white space (`words`) or, for
its very counts, over spaCy's words (`spacy_words`):

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
candidates by a hash and every hit compares bytes or numbers. What makes it fast is what need not be looked at:

- a word is numbered by its first occurrence; of two numbers comes that of a pair, of two pairs that of three
  words, and where a half occurs once, so does the whole;
- n-grams of five and more are hashed only where their first 16 bytes occur elsewhere, a few in a hundred.

Price: 3 passes over the bytes and 4 over the words. Memory: 30 bytes for each byte of the longest document.

Source: Rae et al. 2021, Gopher, table A1, https://arxiv.org/abs/2112.11446
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from pipelines.kernels.duplicates import count_chars, duplicate_spans, table_size
from pipelines.kernels.grams import (
    SEEN_PER_WORD,
    SLACK,
    dup_n_gram_chars,
    number_pairs,
    number_words,
    sift_pairs,
    sift_words,
)
from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel
from pipelines.kernels.sentences import text_classes
from pipelines.kernels.spacy_words import word_groups
from pipelines.kernels.unicode import SPACE, character_classes
from pipelines.kernels.words import byte_at, decode, strip

__all__ = ["DUP_N_GRAMS", "REPETITION_COUNTS", "TOP_N_GRAMS", "count_repetition", "repetition_counts"]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]

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


@inline
def _newline(data: Bytes, at: int, stop: int, longest: int) -> int:
    """The length of the newline at byte `at`: 1, 2 if `longest` is 2, or, where there is none, 0."""
    if data[at] == 10:
        return 1
    if longest == 2 and data[at] == 13 and at + 1 < stop and data[at + 1] == 10:
        return 2
    return 0


@inline
def _split(data: Bytes, start: int, stop: int, min_newlines: int, newline: int, spans: Offsets) -> int:
    """Writes the starts and stops of the pieces between runs of newlines; returns how many pieces."""
    n_pieces = 0
    piece = at = start
    while at < stop:
        if byte_at(data, at) > 13:
            at += 1
            continue
        run_end, n_newlines = at, 0
        width = _newline(data, at, stop, newline)
        while width:
            run_end += width
            n_newlines += 1
            width = _newline(data, run_end, stop, newline) if run_end < stop else 0
        if n_newlines >= min_newlines:
            spans[2 * n_pieces], spans[2 * n_pieces + 1] = piece, at
            n_pieces += 1
            piece = run_end
        at = max(run_end, at + 1)
    spans[2 * n_pieces], spans[2 * n_pieces + 1] = piece, stop
    return n_pieces + 1


@inline
def _pack_words(
    data: Bytes, start: int, stop: int, classes: Bytes, packed: Bytes, starts: Offsets, chars: Offsets
) -> int:
    """Writes the words without the spaces between them; returns how many words there are.

    Word w is `packed[starts[w]:starts[w + 1]]` and `chars` counts the characters before it. Both have an
    entry past the last word.
    """
    n_words = length = n_tails = 0  # bytes of a character behind its first
    between, at = 1, start
    while at < stop:
        byte, n_bytes = byte_at(data, at), 1
        kind = byte_at(classes, byte)
        if byte >= 0x80:
            point, after = decode(data, at, stop)
            n_bytes, kind = after - at, byte_at(classes, point)
        solid = 1 - (kind & SPACE)
        # Written for every byte and kept only where a word begins: a branch costs more than the stores.
        starts[n_words], chars[n_words] = length, length - n_tails
        n_words += between & solid
        between = 1 - solid
        packed[length] = byte
        if n_bytes > 1 and solid:
            for k in range(1, n_bytes):
                packed[length + k] = data[at + k]
                n_tails += byte_at(data, at + k) & 0xC0 == 0x80
        length += n_bytes * solid
        at += n_bytes
    starts[n_words], chars[n_words] = length, length - n_tails
    return n_words


@inline
def _pack_spans(
    data: Bytes, word_starts: Offsets, word_ends: Offsets, first_word: int, last_word: int,
    packed: Bytes, starts: Offsets, chars: Offsets,
) -> int:  # fmt: skip
    """What `_pack_words` writes, for words that are given."""
    n_words = n_chars = length = 0
    for word in range(first_word, last_word):
        starts[n_words], chars[n_words] = length, n_chars
        for at in range(word_starts[word], word_ends[word]):
            byte = byte_at(data, at)
            packed[length] = byte
            length += 1
            n_chars += byte & 0xC0 != 0x80
        n_words += 1
    starts[n_words], chars[n_words] = length, n_chars
    return n_words


@kernel(f"int64[:, ::1]({BYTES}, {OFFSETS}, {BYTES}, {OFFSETS}, {OFFSETS}, {OFFSETS})")
def count_repetition(
    data: Bytes,
    offsets: Offsets,
    classes: Bytes,
    word_starts: Offsets,
    word_ends: Offsets,
    word_offsets: Offsets,
) -> npt.NDArray[np.int64]:
    """One row of `REPETITION_COUNTS` per measure, `int64[16, n_docs]`.

    Words are those given, as `spacy_words.WordSpans`; without any `word_offsets`, runs of non-white space.
    """
    n_docs = len(offsets) - 1
    longest = 0
    for doc in range(n_docs):
        longest = max(longest, offsets[doc + 1] - offsets[doc])
    counts = np.zeros((16, n_docs), np.int64)
    max_words = longest // 2 + 1  # a space stands between two
    max_pieces = longest // 2 + 2  # a newline stands between two, and the outer two may be empty
    given = len(word_offsets) > 0
    newline = 1 if given else 2
    if given:
        for doc in range(n_docs):
            max_words = max(max_words, word_offsets[doc + 1] - word_offsets[doc])
    spans = np.empty(2 * max_pieces, np.int64)
    table = np.empty(table_size(max(max_pieces, max_words)), np.uint64)
    packed = np.empty(longest + SLACK, np.uint8)
    seen = np.empty(SEEN_PER_WORD * table_size(max_words) // 2, np.uint8)
    starts, chars = np.empty(max_words + 1, np.int64), np.empty(max_words + 1, np.int64)
    ids, firsts = np.empty(max_words, np.int64), np.empty(max_words, np.int64)
    times, sifted = np.empty(max_words, np.int64), np.empty(max_words, np.int64)
    for doc in range(n_docs):
        start, stop = offsets[doc], offsets[doc + 1]
        if start == stop:
            continue
        counts[0, doc] = count_chars(data, start, stop)
        n_spans = _split(data, start, stop, 1, newline, spans)
        counts[1, doc] = n_spans
        counts[2, doc], counts[3, doc] = duplicate_spans(data, spans, n_spans, table)
        first, last = strip(data, start, stop, classes)
        n_spans = _split(data, first, last, 2, newline, spans)
        counts[4, doc] = n_spans
        counts[5, doc], counts[6, doc] = duplicate_spans(data, spans, n_spans, table)
        if given:
            n_words = _pack_spans(
                data, word_starts, word_ends, word_offsets[doc], word_offsets[doc + 1],
                packed, starts, chars,
            )  # fmt: skip
        else:
            n_words = _pack_words(data, start, stop, classes, packed, starts, chars)
        number_words(packed, starts, n_words, table, ids, times)
        for n in range(2, min(4, n_words) + 1):
            n_sifted = sift_pairs(ids, n_words - n + 1, seen, sifted)
            best, most = number_pairs(ids, n_words - n + 1, sifted, n_sifted, table, firsts, times)
            counts[5 + n, doc] = (chars[best + n] - chars[best] + n - 1) * most
            ids, firsts = firsts, ids
        n_sifted = sift_words(packed, starts, n_words, seen, sifted)
        for n in range(5, 11):
            counts[5 + n, doc] = dup_n_gram_chars(packed, starts, chars, n_words, n, sifted, n_sifted, table)
    return counts


def repetition_counts(
    data: Bytes, offsets: Offsets, *, words: Literal["spaces", "spacy"] = "spaces"
) -> dict[str, npt.NDArray[np.int64]]:
    """Every measure of `REPETITION_COUNTS` by name, each `int64[n_docs]`; all 0 for an empty document."""
    if words == "spaces":
        none = np.empty(0, np.int64)
        rows = count_repetition(data, offsets, character_classes(), none, none, none)
    else:
        counted = [
            count_repetition(data, docs, text_classes(), *spans) for docs, spans in word_groups(data, offsets)
        ]
        rows = np.concatenate([np.empty((len(REPETITION_COUNTS), 0), np.int64), *counted], axis=1)
    return dict(zip(REPETITION_COUNTS, rows, strict=True))
