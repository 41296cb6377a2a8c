"""Word n-grams as 64-bit numbers: made from benchmarks, looked up in documents.

    "The cat, sat."  words       the  cat  sat                 cut as `minhash` cuts them
                     hashes      h0   h1   h2                  xxh64 of each
                     prefix      0  p1  p2  p3                 p[i + 1] = p[i] * B + h[i]   modulo 2^64
                     n-gram      mix(p[i + n] - p[i] * B^n, n)

A prefix gives an n-gram of any width in two multiplications, so looking for short items too (8 to 12 words)
costs no more hashing. Every n-gram looked for begins with an anchor, its first 8 words, say, and a filter of
anchors answers for nearly every place of a document with one load.

Two different n-grams get one number with a chance near 2^-60: one false hit in a trillion words looked up among
a million n-grams.

Not here: verifying a hit word by word; no table of words is kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.kernels.hashing import xxh64
from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel
from pipelines.kernels.minhash import normalise
from pipelines.kernels.unicode import character_classes, lower_deltas

__all__ = [
    "BASE",
    "Hits",
    "NgramTable",
    "Ngrams",
    "fill_table",
    "find_in_documents",
    "find_ngrams",
    "hash_ngrams",
    "join_documents",
    "join_words",
    "make_ngrams",
    "make_table",
    "power_of",
]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
U64s = npt.NDArray[np.uint64]
I32s = npt.NDArray[np.int32]

BASE = np.uint64(0x9E3779B97F4A7C15)  # odd: 2^64 / golden ratio
_LOWER = "Array(int32, 1, 'C', readonly=True)"
_U64S = "Array(uint64, 1, 'C', readonly=True)"


class Hits(NamedTuple):
    """N-grams of documents that stand in a table, by document, then place.

    doc, gram: int64[n_hits]; words: the first hit's words of each document that has one, joined by spaces:
    document d has `words[word_ends[d]:word_ends[d + 1]]`.
    """

    doc: Offsets
    gram: Offsets
    words: Bytes
    word_ends: Offsets


class NgramTable(NamedTuple):
    """An open-addressing table of n-gram numbers, and a bit filter of their anchors.

    keys: uint64[n_slots]; gram: int64[n_slots], an index, -1 in an empty slot; filter: uint8[n_slots].
    """

    keys: U64s
    gram: Offsets
    filter: Bytes


class Ngrams(NamedTuple):
    """The n-grams of texts: text t has `grams[ends[t]:ends[t + 1]]`.

    grams, anchors: uint64[n_grams]; n_words: int64[n_texts].
    """

    grams: U64s
    anchors: U64s
    ends: Offsets
    n_words: Offsets


@inline
def _mix(value: np.uint64, width: int) -> np.uint64:
    value ^= np.uint64(width) * np.uint64(0xD6E8FEB86659FD93)
    value = (value ^ value >> np.uint64(32)) * np.uint64(0xD6E8FEB86659FD93)
    value = (value ^ value >> np.uint64(32)) * np.uint64(0xD6E8FEB86659FD93)
    return value ^ value >> np.uint64(32)


@inline
def power_of(width: int) -> np.uint64:
    """BASE to the power of `width`: what the words before an n-gram weigh behind it."""
    power = np.uint64(1)
    for _ in range(width):
        power *= BASE
    return power


@inline
def _hash_words(out: Bytes, starts: Offsets, n_words: int, prefix: U64s) -> None:
    prefix[0] = np.uint64(0)
    for word in range(n_words):
        value = xxh64(out, starts[word], starts[word + 1] - 1, np.uint64(0))
        prefix[word + 1] = prefix[word] * BASE + value


@inline
def _longest(offsets: Offsets) -> int:
    longest = 0
    for doc in range(len(offsets) - 1):
        longest = max(longest, offsets[doc + 1] - offsets[doc])
    return longest


@kernel(f"Tuple((uint8[::1], int64[::1]))({BYTES}, {OFFSETS}, {BYTES}, {_LOWER})")
def join_documents(data: Bytes, offsets: Offsets, classes: Bytes, lower: I32s) -> tuple[Bytes, Offsets]:
    """The words of each document, a space after each, and where each document's begin."""
    longest = _longest(offsets)
    out, starts = np.empty(2 * longest + 8, np.uint8), np.empty(longest + 2, np.int64)
    joined = np.empty(2 * (offsets[-1] - offsets[0]) + 8 * len(offsets), np.uint8)
    ends = np.zeros(len(offsets), np.int64)
    for doc in range(len(offsets) - 1):
        n_words = normalise(data, offsets[doc], offsets[doc + 1], classes, lower, out, starts)
        ends[doc + 1] = ends[doc] + starts[n_words]
        joined[ends[doc] : ends[doc + 1]] = out[: starts[n_words]]
    return joined[: ends[-1]], ends


@kernel(
    f"Tuple((uint64[::1], uint64[::1], int64[::1], int64[::1]))"
    f"({BYTES}, {OFFSETS}, {BYTES}, {_LOWER}, int64, int64)"
)
def hash_ngrams(
    data: Bytes, offsets: Offsets, classes: Bytes, lower: I32s, n_gram: int, min_words: int
) -> tuple[U64s, U64s, Offsets, Offsets]:
    """The n-grams of each text, their anchors, where each text's begin, and how many words each text has."""
    longest = _longest(offsets)
    out, starts = np.empty(2 * longest + 8, np.uint8), np.empty(longest + 2, np.int64)
    prefix = np.empty(longest + 2, np.uint64)
    grams = np.empty(offsets[-1] - offsets[0] + len(offsets), np.uint64)  # a word has a byte or more
    anchors = np.empty(len(grams), np.uint64)
    anchor_power = power_of(min_words)
    ends, n_words_of = np.zeros(len(offsets), np.int64), np.zeros(len(offsets) - 1, np.int64)
    n_grams = 0
    for doc in range(len(offsets) - 1):
        n_words = normalise(data, offsets[doc], offsets[doc + 1], classes, lower, out, starts)
        n_words_of[doc] = n_words
        _hash_words(out, starts, n_words, prefix)
        width = min(n_gram, n_words)
        power = power_of(width)
        for word in range(n_words - width + 1 if n_words >= min_words else 0):
            grams[n_grams] = _mix(prefix[word + width] - prefix[word] * power, width)
            anchors[n_grams] = _mix(prefix[word + min_words] - prefix[word] * anchor_power, min_words)
            n_grams += 1
        ends[doc + 1] = n_grams
    return grams[:n_grams].copy(), anchors[:n_grams].copy(), ends, n_words_of


@kernel(f"Tuple((uint64[::1], int64[::1], uint8[::1]))({_U64S}, {_U64S})")
def fill_table(grams: U64s, anchors: U64s) -> tuple[U64s, Offsets, Bytes]:
    """A table of at most half full slots and a filter of 16 bits or more an anchor."""
    size = 16
    while size < 2 * len(grams):
        size *= 2
    keys, values = np.zeros(size, np.uint64), np.full(size, -1, np.int64)
    bits = np.zeros(size, np.uint8)
    for gram in range(len(grams)):
        key, anchor = grams[gram], anchors[gram]
        bits[np.int64(anchor >> np.uint64(3)) & size - 1] |= np.uint8(1) << np.uint8(anchor & np.uint64(7))
        slot = np.int64(key >> np.uint64(24)) & size - 1
        while values[slot] >= 0:
            slot = slot + 1 & size - 1
        keys[slot], values[slot] = key, gram
    return keys, values, bits


@inline
def _may_begin(anchor: np.uint64, bits: Bytes) -> bool:
    """Whether some n-gram of the table may begin with the anchor; false for 15 of 16 others."""
    byte = bits[np.int64(anchor >> np.uint64(3)) & len(bits) - 1]
    return bool(byte >> np.uint8(anchor & np.uint64(7)) & 1)


@inline
def _look_up(key: np.uint64, keys: U64s, values: Offsets) -> int:
    """The index of a gram, -1 where it is not in the table."""
    mask = len(keys) - 1
    slot = np.int64(key >> np.uint64(24)) & mask
    while values[slot] >= 0:
        if keys[slot] == key:
            return int(values[slot])
        slot = slot + 1 & mask
    return -1


@inline
def _grown(old: Offsets) -> Offsets:
    new = np.empty(2 * len(old), np.int64)
    new[: len(old)] = old
    return new


@kernel(
    f"Tuple((int64[::1], int64[::1], int64[::1], int64[::1], uint8[::1], int64[::1]))"
    f"({BYTES}, {OFFSETS}, {BYTES}, {_LOWER}, {OFFSETS}, int64, {_U64S}, {OFFSETS}, {BYTES})"
)
def find_in_documents(
    data: Bytes, offsets: Offsets, classes: Bytes, lower: I32s,
    widths: Offsets, n_anchor: int, keys: U64s, values: Offsets, bits: Bytes,
) -> tuple[Offsets, Offsets, Offsets, Offsets, Bytes, Offsets]:  # fmt: skip
    """Hits as (doc, gram, word, width), and the words of each document's first hit with where they end."""
    longest = _longest(offsets)
    out, starts = np.empty(2 * longest + 8, np.uint8), np.empty(longest + 2, np.int64)
    prefix = np.empty(longest + 2, np.uint64)
    powers, anchor_power = np.empty(len(widths), np.uint64), power_of(n_anchor)
    for i in range(len(widths)):
        powers[i] = power_of(widths[i])
    docs, grams = np.empty(256, np.int64), np.empty(256, np.int64)
    places, wide = np.empty(256, np.int64), np.empty(256, np.int64)
    words, ends = np.empty(4096, np.uint8), np.zeros(len(offsets), np.int64)
    n_hits = 0
    for doc in range(len(offsets) - 1):
        n_words = normalise(data, offsets[doc], offsets[doc + 1], classes, lower, out, starts)
        _hash_words(out, starts, n_words, prefix)
        first = n_hits
        for word in range(n_words - n_anchor + 1):
            if not _may_begin(_mix(prefix[word + n_anchor] - prefix[word] * anchor_power, n_anchor), bits):
                continue
            for i in range(len(widths)):
                stop = word + widths[i]
                if stop > n_words:
                    continue
                gram = _look_up(_mix(prefix[stop] - prefix[word] * powers[i], widths[i]), keys, values)
                if gram < 0:
                    continue
                if n_hits == len(docs):
                    docs, grams, places, wide = _grown(docs), _grown(grams), _grown(places), _grown(wide)
                docs[n_hits], grams[n_hits], places[n_hits], wide[n_hits] = doc, gram, word, widths[i]
                n_hits += 1
        ends[doc + 1] = ends[doc]
        if n_hits > first:
            low, high = starts[places[first]], starts[places[first] + wide[first]] - 1
            ends[doc + 1] += high - low
            if ends[doc + 1] > len(words):
                more = np.empty(2 * ends[doc + 1], np.uint8)
                more[: ends[doc]] = words[: ends[doc]]
                words = more
            words[ends[doc] : ends[doc + 1]] = out[low:high]
    return (
        docs[:n_hits].copy(), grams[:n_hits].copy(), places[:n_hits].copy(), wide[:n_hits].copy(),
        words[: ends[-1]].copy(), ends,
    )  # fmt: skip


def join_words(data: Bytes, offsets: Offsets) -> tuple[Bytes, Offsets]:
    """The words of each document in lower case, a space after each: bytes and `int64[n_docs + 1]`.

    Empty for a document without words. One pass; twice the text of memory.
    """
    joined: tuple[Bytes, Offsets] = join_documents(data, offsets, character_classes(), lower_deltas())
    return joined


def make_ngrams(data: Bytes, offsets: Offsets, *, n_gram: int, min_words: int) -> Ngrams:
    """The n-grams of each text, and as their anchors the first `min_words` words of each; min_words <= n_gram.

    A text of `min_words` to `n_gram - 1` words has one, of all its words; a shorter one has none.
    """
    assert 1 <= min_words <= n_gram, "every n-gram begins with its anchor"
    return Ngrams(*hash_ngrams(data, offsets, character_classes(), lower_deltas(), n_gram, min_words))


def make_table(grams: U64s, anchors: U64s) -> NgramTable:
    """A table of distinct n-grams, each with its anchor; a hit names the index. 34 to 68 bytes a gram."""
    return NgramTable(*fill_table(grams, anchors))


def find_ngrams(data: Bytes, offsets: Offsets, *, table: NgramTable, widths: Offsets, min_words: int) -> Hits:
    """Every place in the documents whose next `w` words, for `w` in `widths`, are in the table.

    min_words: the width of the table's anchors; no width is below it.
    """
    doc, gram, _, _, words, ends = find_in_documents(
        data, offsets, character_classes(), lower_deltas(), widths, min_words, *table
    )
    return Hits(doc, gram, words, ends)
