"""Helpers of the repetition kernel: which n-grams of a text's words occur twice, at few looks a word.

    words    a  b  c  a  b        packed   "abcab", starts 0 1 2 3 4 5
    ids      1  2  3  1  2        each word by its first occurrence, counted from 1
    kept     0  3                 the words that occur twice and so does the next; the pairs to be numbered
    ids      1  2  3  1  2        of "a b" and "a b", again by the first occurrence

Two to four words: of the numbers of two neighbouring n-grams comes that of an (n + 1)-gram, exactly. Five and
more are compared as bytes without spaces, only at words whose first 16 bytes (8 of a short n-gram) occur twice.
Slots are shared by chance now and then, which keeps a word in vain and loses none.

    low, high    a word's 16 bytes and its length in one: equal if and only if the words are
    "and"        low 'and' and five zeros, high 3 << 56          a longer word: its hash, 255 << 56 | its length

All arrays are `jit.pointer`s, and items of `ids`, `times`, `low`, `high` and `keys` begin at 1: a slot of 0 is
empty and stands for the item looked up, which equals itself, so that no branch asks whether it is new. Loops take no
branch that a text decides, but for words of more than 15 bytes and where two share a slot.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.duplicates import same_bytes, span_hash, table_size
from pipelines.kernels.jit import inline
from pipelines.kernels.lanes import first_bit
from pipelines.kernels.wide import load64, store64
from pipelines.kernels.words import byte_at

__all__ = [
    "SEEN_PER_WORD",
    "SLACK",
    "chars_of",
    "dup_n_gram_chars",
    "item",
    "keep_repeated",
    "number_pairs",
    "number_words",
    "sift_words",
]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Indices = npt.NDArray[np.int32]
Keys = npt.NDArray[np.uint64]

SLACK = 32  # bytes behind the last word that may be read and written
SEEN_PER_WORD = 8
SHORT = 15  # a word's most bytes beside its length in 16
_LONG = np.uint64(255 << 56)
_ODD_1, _ODD_2, _ODD_3 = (
    np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93), np.uint64(0xC2B2AE3D27D4EB4F)
)  # fmt: skip
_ONES = np.uint64(0xFFFFFFFFFFFFFFFF)


@inline
def item(items: Indices, at: int) -> int:
    """One of them, in the width that kernels compute with."""
    return np.int64(items[at])  # type: ignore[return-value]


@inline
def _shift_of(size: int) -> np.uint64:
    """By how much a hash is shifted right to be a slot of a table, of which the size is a power of two."""
    return np.uint64(64 - first_bit(np.uint64(size)))


@inline
def _slot_of(low: np.uint64, high: np.uint64, shift: np.uint64) -> int:
    """A slot of a table for two numbers; the highest bits of the products, which depend on all of theirs."""
    return np.int64(low * _ODD_1 + high * _ODD_2 >> shift)  # type: ignore[return-value]


@inline
def _clear(table: Indices, size: int) -> None:
    for slot in range(size):
        table[slot] = 0


@inline
def _first_bytes(data: Bytes, at: int, n_bytes: int) -> tuple[np.uint64, np.uint64]:
    """A word of at most `SHORT` bytes as `low` and `high`; reads 16 bytes."""
    n_low, n_high = min(n_bytes, 8), max(n_bytes - 8, 0)
    low = load64(data, at) & _ONES >> np.uint64(64 - 8 * n_low)
    high = load64(data, at + 8) & (np.uint64(1) << np.uint64(8 * n_high)) - np.uint64(1)
    return low, high | np.uint64(n_bytes) << np.uint64(56)


@inline
def _pack_slowly(data: Bytes, begin: int, end: int, readable: int, packed: Bytes, length: int) -> None:
    """Copies bytes, and zeros behind them; for a long word, or one so near the data's end that 16 cannot be read."""
    while end - begin >= 16 and begin + 16 <= readable:
        store64(packed, length, load64(data, begin))
        store64(packed, length + 8, load64(data, begin + 8))
        begin, length = begin + 16, length + 16
    store64(packed, length, np.uint64(0))
    store64(packed, length + 8, np.uint64(0))
    for k in range(end - begin):
        packed[length + k] = data[begin + k]


@inline
def _first_or(first: int, own: int) -> int:
    """What a slot holds, or `own` of an empty one; arithmetic, for whether a word is new no branch can guess."""
    return first | own & first - 1 >> 63


@inline
def _differ(
    packed: Bytes, starts: Indices, low: Keys, high: Keys, first: int, own: int, n_bytes: int
) -> bool:
    """Whether the words of ids `first` and `own` are two; the keys and bytes of both are written."""
    differ = bool((low[first] ^ low[own] | high[first] ^ high[own]) != 0)
    if n_bytes > SHORT and not differ:
        differ = not same_bytes(packed, item(starts, first - 1), item(starts, own - 1), n_bytes)
    return differ


@inline
def number_words(
    data: Bytes, readable: int, word_starts: Offsets, word_ends: Offsets, n_words: int,
    packed: Bytes, starts: Indices, low: Keys, high: Keys, table: Indices, ids: Indices, times: Indices,
) -> None:  # fmt: skip
    """Writes the words without the spaces between them and, for each, the first equal one and how often that occurs.

    Word w is `packed[starts[w]:starts[w + 1]]`, `ids[w + 1]` is 1 + the first equal word, and `times[id]` counts.
    """
    size = table_size(n_words)
    shift = _shift_of(size)
    _clear(table, size)
    length = 0
    for word in range(n_words):
        begin, end = word_starts[word], word_ends[word]
        n_bytes = end - begin
        starts[word] = length
        if n_bytes <= SHORT and begin + 16 <= readable:
            a, b = _first_bytes(data, begin, n_bytes)
            store64(packed, length, a)
            store64(packed, length + 8, b)
        else:
            _pack_slowly(data, begin, end, readable, packed, length)
            if n_bytes <= SHORT:
                a, b = _first_bytes(packed, length, n_bytes)
            else:
                a, b = span_hash(packed, length, length + n_bytes), _LONG | np.uint64(n_bytes)
        own = word + 1
        low[own], high[own] = a, b
        slot = _slot_of(a, b, shift)
        first = _first_or(item(table, slot), own)
        while _differ(packed, starts, low, high, first, own, n_bytes):
            slot = slot + 1 & size - 1
            first = _first_or(item(table, slot), own)
        table[slot] = first
        ids[own], times[own] = first, 0
        times[first] += 1
        length += n_bytes
    starts[n_words] = length


@inline
def keep_repeated(ids: Indices, times: Indices, n_words: int, kept: Indices) -> int:
    """Writes the words, from 1, that occur twice as does the next one; returns how many."""
    n_kept = 0
    before = False
    for word in range(1, n_words + 1):
        repeated = times[ids[word]] > 1
        kept[n_kept] = word - 1
        n_kept += before & repeated
        before = repeated
    return n_kept


@inline
def number_pairs(
    ids: Indices, times: Indices, kept: Indices, n_kept: int, keys: Keys, table: Indices
) -> tuple[int, int, int]:
    """Makes ids of n-grams ids of (n + 1)-grams, of those in `kept`, and keeps the ones that may go on.

    Returns how many are kept: those that occur twice as does the next. And the most frequent one, the first of
    several, from 1, and how often it occurs: 1 and 1 where none occurs twice.
    """
    size = table_size(n_kept)
    shift = _shift_of(size)
    _clear(table, size)
    for index in range(n_kept):
        at = item(kept, index)
        key = np.uint64(ids[at]) << np.uint64(32) | np.uint64(ids[at + 1])
        slot = _slot_of(key, np.uint64(0), shift)
        keys[at] = key
        first = _first_or(item(table, slot), at)
        while keys[first] != key:
            slot = slot + 1 & size - 1
            first = _first_or(item(table, slot), at)
        table[slot] = first
        ids[at], times[at] = first, 0
        times[first] += 1
    best, most = 1, 1
    n_on, before = 0, -1
    for index in range(n_kept):
        at = item(kept, index)
        n_times = item(times, item(ids, at))
        if n_times > most:
            best, most = at, n_times
        kept[n_on] = at - 1
        n_on += (before == at - 1) & (n_times > 1)
        before = at if n_times > 1 else -1
    return n_on, best, most


@inline
def _slot_16(packed: Bytes, at: int, shift: np.uint64) -> int:
    return np.int64((load64(packed, at) * _ODD_1 ^ load64(packed, at + 8)) * _ODD_2 >> shift)  # type: ignore[return-value]


@inline
def _slot_8(packed: Bytes, at: int, shift: np.uint64) -> int:
    return np.int64((load64(packed, at) ^ _ODD_1) * _ODD_3 >> shift)  # type: ignore[return-value]


@inline
def _sift_8(
    packed: Bytes, starts: Indices, n_words: int, seen: Bytes, slots: Indices, sifted: Indices
) -> int:
    """Writes the words of which another one has the slot of the first 8 bytes; returns how many."""
    size = SEEN_PER_WORD * table_size(n_words) // 2
    shift = _shift_of(size)
    for slot in range(size):
        seen[slot] = 0
    for word in range(n_words):
        slots[word] = slot = _slot_8(packed, item(starts, word), shift)
        seen[slot] = 1 + (seen[slot] > 0)
    n_left = 0
    for word in range(n_words):
        sifted[n_left] = word
        n_left += (seen[slots[word]] > 1) | (starts[word + 5] - starts[word] < 8)
    return n_left


@inline
def _sift_16(
    packed: Bytes, starts: Indices, sifted: Indices, n_sifted: int, seen: Bytes, slots: Indices
) -> int:
    """Leaves the words of which another one has the slot of the first 16 bytes, or of 8; returns how many."""
    size = SEEN_PER_WORD * table_size(n_sifted) // 2
    shift = _shift_of(size)
    for slot in range(size):
        seen[slot] = 0
    for index in range(n_sifted):
        word = item(sifted, index)
        at, n_bytes = item(starts, word), starts[word + 5] - starts[word]
        slots[index] = slot = _slot_16(packed, at, shift)
        seen[slot] = 1 + (seen[slot] > 0)
        if n_bytes < 16:
            slot = _slot_8(packed, at, shift)
            seen[slot] = 1 + (seen[slot] > 0)
    n_left = 0
    for index in range(n_sifted):
        word = item(sifted, index)
        at, n_bytes = item(starts, word), starts[word + 5] - starts[word]
        twice = seen[slots[index]] > 1
        if n_bytes < 16:
            twice |= (n_bytes < 8) | (seen[_slot_8(packed, at, shift)] > 1)
        sifted[n_left] = word
        n_left += twice
    return n_left


@inline
def sift_words(
    packed: Bytes, starts: Indices, n_words: int, seen: Bytes, slots: Indices, sifted: Indices
) -> int:
    """Writes the words at which an n-gram of five or more may begin that occurs twice; returns how many.

    Two equal n-grams of at least 16 bytes share their first 16, shorter ones of at least 8 their first 8. So
    words whose first bytes occur once are out, and with them nearly all of a text that does not repeat itself.
    First 8 are looked at, for one load and one product a word, and of the few in ten that stay, 16. A last
    word's 16 bytes may end behind the text, in whatever stands there: that can only keep it in vain.
    """
    n_sifted = _sift_8(packed, starts, max(n_words - 4, 0), seen, slots, sifted)
    return _sift_16(packed, starts, sifted, n_sifted, seen, slots)


@inline
def chars_of(packed: Bytes, start: int, stop: int, n_tails: int) -> int:
    """The code points of a span of a text that has `n_tails` bytes beyond the first of a character."""
    n_chars = stop - start
    if n_tails:
        for at in range(start, stop):
            n_chars -= byte_at(packed, at) & 0xC0 == 0x80
    return n_chars


@inline
def _sift_n_grams(
    packed: Bytes, starts: Indices, n: int, sifted: Indices, n_sifted: int, seen: Bytes, slots: Indices
) -> None:
    """Marks the slots of the n-grams' lengths and last 8 bytes: 1, or 2 where another one has it."""
    size = SEEN_PER_WORD * table_size(n_sifted) // 2
    shift = _shift_of(size)
    for slot in range(size):
        seen[slot] = 0
    for index in range(n_sifted):
        word = item(sifted, index)
        begin, end = item(starts, word), item(starts, word + n)
        last = load64(packed, max(end - 8, begin)) & _ONES >> np.uint64(64 - 8 * min(end - begin, 8))
        slots[index] = slot = _slot_of(last, np.uint64(end - begin), shift)
        seen[slot] = 1 + (seen[slot] > 0)


@inline
def dup_n_gram_chars(
    packed: Bytes, starts: Indices, n_words: int, n: int, sifted: Indices, n_sifted: int,
    seen: Bytes, slots: Indices, table: Indices, keys: Keys, n_tails: int,
) -> int:  # fmt: skip
    """Characters of n-grams that were seen before, none counted twice, spaces not counted."""
    while n_sifted > 0 and sifted[n_sifted - 1] + n > n_words:
        n_sifted -= 1
    _sift_n_grams(packed, starts, n, sifted, n_sifted, seen, slots)
    size = table_size(n_sifted)
    shift = _shift_of(size)
    _clear(table, size)
    n_chars = free = 0
    for index in range(n_sifted):
        word = item(sifted, index)
        if seen[slots[index]] < 2 or word < free:
            continue
        begin, end = item(starts, word), item(starts, word + n)
        key = span_hash(packed, begin, end)
        slot = _slot_of(key, np.uint64(0), shift)
        other = item(table, slot) - 1
        while other >= 0:
            first = item(starts, other)
            same_length = starts[other + n] - first == end - begin
            if keys[other] == key and same_length and same_bytes(packed, first, begin, end - begin):
                break
            slot = slot + 1 & size - 1
            other = item(table, slot) - 1
        if other >= 0:
            n_chars += chars_of(packed, begin, end, n_tails)
            free = word + n
        else:
            table[slot] = word + 1
            keys[word] = key
    return n_chars
