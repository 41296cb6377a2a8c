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

Lengths are in code points; `n_chars` is the text's. Equality is exact: hash tables with open addressing
find candidates and every hit compares bytes. A table holds 32 bits of hash and the index of the first
occurrence in one word; hashes of n-grams are differences of one polynomial prefix hash, so they cost
the same for every n. Memory: 40 bytes for each byte of the longest document.

Source: Rae et al. 2021, Gopher, table A1, https://arxiv.org/abs/2112.11446
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from pipelines.kernels.duplicates import count_chars, duplicate_spans, same_bytes, table_size
from pipelines.kernels.hashing import clear
from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel
from pipelines.kernels.sentences import text_classes
from pipelines.kernels.spacy_words import word_groups
from pipelines.kernels.unicode import SPACE, character_classes
from pipelines.kernels.words import byte_at, decode, next_word

__all__ = ["DUP_N_GRAMS", "REPETITION_COUNTS", "TOP_N_GRAMS", "count_repetition", "repetition_counts"]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Table = npt.NDArray[np.uint64]

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

_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that its powers do not die out modulo 2^64
_N_POWERS = 1024  # n-grams longer than this many bytes take a loop
_TAG = np.uint64(0xFFFFFFFF00000000)
_INDEX = np.uint64(0xFFFFFFFF)


@inline
def _mix(x: np.uint64) -> np.uint64:
    """A bijection that spreads a polynomial hash, whose low bits are weak, over all bits."""
    x = (x ^ x >> np.uint64(32)) * np.uint64(0xD6E8FEB86659FD93)
    x = (x ^ x >> np.uint64(32)) * np.uint64(0xD6E8FEB86659FD93)
    return x ^ x >> np.uint64(32)


@inline
def _power(n: int, powers: Table) -> np.uint64:
    """The base to the n-th power modulo 2^64."""
    if n < len(powers):
        found: np.uint64 = powers[n]
        return found
    result, square = np.uint64(1), _BASE
    while n:
        if n & 1:
            result *= square
        square *= square
        n >>= 1
    return result


@inline
def _item(entry: np.uint64) -> int:
    """The item whose first occurrence an entry of a table stands for."""
    return np.int64(entry & _INDEX) - 1  # type: ignore[return-value]


@inline
def _same_words(starts: Offsets, a: int, b: int, n: int) -> bool:
    """Whether the n words from `a` have the lengths of the n words from `b`."""
    for k in range(1, n + 1):
        if starts[a + k] - starts[a] != starts[b + k] - starts[b]:
            return False
    return True


@inline
def _strip(data: Bytes, start: int, stop: int, classes: Bytes) -> tuple[int, int]:
    """The span without white space at either end."""
    first, last = next_word(data, start, stop, classes)[0], start
    at = first
    while at < stop:
        point, at = decode(data, at, stop)
        if not byte_at(classes, point) & SPACE:
            last = at
    return first, max(first, last)


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
    data: Bytes, start: int, stop: int, classes: Bytes,
    packed: Bytes, starts: Offsets, chars: Offsets, prefix: Table,
) -> int:  # fmt: skip
    """Writes the words without the spaces between them; returns how many words there are.

    Word w is `packed[starts[w]:starts[w + 1]]`; `chars` counts the characters and `prefix` is the
    polynomial hash of all that stands before a word. Each of the three has an entry past the last word.
    """
    n_words = n_chars = length = 0
    h = np.uint64(0)
    first, after = next_word(data, start, stop, classes)
    while first < after:
        starts[n_words], chars[n_words], prefix[n_words] = length, n_chars, h
        for at in range(first, after):
            byte = byte_at(data, at)
            packed[length] = byte
            length += 1
            n_chars += byte & 0xC0 != 0x80
            h = h * _BASE + np.uint64(byte) + np.uint64(1)
        n_words += 1
        first, after = next_word(data, after, stop, classes)
    starts[n_words], chars[n_words], prefix[n_words] = length, n_chars, h
    return n_words


@inline
def _pack_spans(
    data: Bytes, word_starts: Offsets, word_ends: Offsets, first_word: int, last_word: int,
    packed: Bytes, starts: Offsets, chars: Offsets, prefix: Table,
) -> int:  # fmt: skip
    """What `_pack_words` writes, for words that are given."""
    n_words = n_chars = length = 0
    h = np.uint64(0)
    for word in range(first_word, last_word):
        starts[n_words], chars[n_words], prefix[n_words] = length, n_chars, h
        for at in range(word_starts[word], word_ends[word]):
            byte = byte_at(data, at)
            packed[length] = byte
            length += 1
            n_chars += byte & 0xC0 != 0x80
            h = h * _BASE + np.uint64(byte) + np.uint64(1)
        n_words += 1
    starts[n_words], chars[n_words], prefix[n_words] = length, n_chars, h
    return n_words


@inline
def _top_n_gram_chars(
    packed: Bytes, starts: Offsets, chars: Offsets, prefix: Table, powers: Table,
    n_words: int, n: int, table: Table, times: Offsets,
) -> int:  # fmt: skip
    """Occurrences of the most frequent n-gram (the first of several) times its length with spaces."""
    size = table_size(n_words)
    clear(table, size)
    best, most = 0, 0
    for word in range(n_words - n + 1):
        begin = starts[word]
        n_bytes = starts[word + n] - begin
        h = _mix(prefix[word + n] - prefix[word] * _power(n_bytes, powers))
        slot = np.int64(h & np.uint64(size - 1))
        other = word
        while table[slot]:
            entry = table[slot]
            if entry & _TAG == h & _TAG:
                other = _item(entry)
                same_lengths = _same_words(starts, other, word, n)
                if same_lengths and same_bytes(packed, starts[other], begin, n_bytes):
                    break
            slot = slot + 1 & size - 1
        if table[slot]:
            times[other] += 1
        else:
            other = word
            table[slot] = h & _TAG | np.uint64(word + 1)
            times[word] = 1
        if times[other] > most or (times[other] == most and other < best):
            best, most = other, int(times[other])
    return (chars[best + n] - chars[best] + n - 1) * most if most else 0


@inline
def _dup_n_gram_chars(
    packed: Bytes, starts: Offsets, chars: Offsets, prefix: Table, powers: Table,
    n_words: int, n: int, table: Table,
) -> int:  # fmt: skip
    """Characters of n-grams that were seen before, none counted twice, spaces not counted."""
    size = table_size(n_words)
    clear(table, size)
    n_chars = word = 0
    while word < n_words - n + 1:
        begin = starts[word]
        n_bytes = starts[word + n] - begin
        h = _mix(prefix[word + n] - prefix[word] * _power(n_bytes, powers))
        slot = np.int64(h & np.uint64(size - 1))
        while table[slot]:
            entry = table[slot]
            if entry & _TAG == h & _TAG:
                other = _item(entry)
                same_length = starts[other + n] - starts[other] == n_bytes
                if same_length and same_bytes(packed, starts[other], begin, n_bytes):
                    break
            slot = slot + 1 & size - 1
        if table[slot]:
            n_chars += chars[word + n] - chars[word]
            word += n
        else:
            table[slot] = h & _TAG | np.uint64(word + 1)
            word += 1
    return n_chars


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
    packed = np.empty(longest, np.uint8)
    starts, chars = np.empty(max_words + 1, np.int64), np.empty(max_words + 1, np.int64)
    times, prefix = np.empty(max_words + 1, np.int64), np.empty(max_words + 1, np.uint64)
    powers = np.empty(_N_POWERS, np.uint64)
    powers[0] = np.uint64(1)
    for k in range(1, _N_POWERS):
        powers[k] = powers[k - 1] * _BASE
    for doc in range(n_docs):
        start, stop = offsets[doc], offsets[doc + 1]
        if start == stop:
            continue
        counts[0, doc] = count_chars(data, start, stop)
        n_spans = _split(data, start, stop, 1, newline, spans)
        counts[1, doc] = n_spans
        counts[2, doc], counts[3, doc] = duplicate_spans(data, spans, n_spans, table)
        first, last = _strip(data, start, stop, classes)
        n_spans = _split(data, first, last, 2, newline, spans)
        counts[4, doc] = n_spans
        counts[5, doc], counts[6, doc] = duplicate_spans(data, spans, n_spans, table)
        if given:
            n_words = _pack_spans(
                data, word_starts, word_ends, word_offsets[doc], word_offsets[doc + 1],
                packed, starts, chars, prefix,
            )  # fmt: skip
        else:
            n_words = _pack_words(data, start, stop, classes, packed, starts, chars, prefix)
        for n in range(2, 5):
            counts[5 + n, doc] = _top_n_gram_chars(
                packed, starts, chars, prefix, powers, n_words, n, table, times
            )
        for n in range(5, 11):
            counts[5 + n, doc] = _dup_n_gram_chars(packed, starts, chars, prefix, powers, n_words, n, table)
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
