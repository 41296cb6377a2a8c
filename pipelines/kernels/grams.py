"""Helpers of the repetition kernel: which n-grams of a text's words occur twice, at few looks a word.

    words    a  b  c  a  b        packed   "abcab", starts 0 1 2 3 4 5
    ids      0  1 -1  0  1        each word by its first occurrence, -1 where no other equals it
    pairs    0 -1 -1  0           "a b" by its first occurrence; halves of -1 are not looked at

Two to four words: of the numbers of two neighbouring n-grams comes that of an (n + 1)-gram, exactly. Five and
more are compared as bytes without spaces, only at words whose first 16 bytes (8 of a short n-gram) occur twice.
Slots are shared by chance now and then, which keeps a word in vain and loses none.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.duplicates import table_size
from pipelines.kernels.hashing import clear, read64
from pipelines.kernels.jit import inline

__all__ = [
    "SEEN_PER_WORD",
    "SLACK",
    "dup_n_gram_chars",
    "number_pairs",
    "number_words",
    "sift_pairs",
    "sift_words",
]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Table = npt.NDArray[np.uint64]

_TAG = np.uint64(0xFFFFFFFF00000000)
_INDEX = np.uint64(0xFFFFFFFF)
_ODD_1, _ODD_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
SLACK = 16  # bytes that may be read behind the last word
SEEN_PER_WORD = 8  # slots for each word when words are sifted: one unrepeated word in ten is kept in vain


@inline
def _mix(x: np.uint64) -> np.uint64:
    """A bijection that spreads the bits of a key over all bits."""
    x = (x ^ x >> np.uint64(32)) * _ODD_2
    return x ^ x >> np.uint64(32)


@inline
def _item(entry: np.uint64) -> int:
    """The word whose first occurrence an entry of a table stands for."""
    return np.int64(entry & _INDEX) - 1  # type: ignore[return-value]


@inline
def _read_some(packed: Bytes, at: int, n_bytes: int) -> np.uint64:
    """Up to eight bytes, zeros above them; reads all eight."""
    return read64(packed, at) & np.uint64(0xFFFFFFFFFFFFFFFF) >> np.uint64(64 - 8 * n_bytes)


@inline
def _word_hash(packed: Bytes, start: int, stop: int) -> np.uint64:
    h = np.uint64(stop - start) * _ODD_1
    while start + 8 < stop:
        h = _mix(h ^ read64(packed, start))
        start += 8
    return _mix((h ^ _read_some(packed, start, stop - start)) * _ODD_1)


@inline
def _same_run(packed: Bytes, a: int, b: int, n_bytes: int) -> bool:
    """Whether the n bytes from `a`, at least one, are those from `b`."""
    while n_bytes > 8:
        if read64(packed, a) != read64(packed, b):
            return False
        a, b, n_bytes = a + 8, b + 8, n_bytes - 8
    return bool(_read_some(packed, a, n_bytes) == _read_some(packed, b, n_bytes))


@inline
def number_words(
    packed: Bytes, starts: Offsets, n_words: int, table: Table, ids: Offsets, times: Offsets
) -> None:
    """Writes for each word the index of the first equal one, -1 where no other equals it."""
    size = table_size(n_words)
    clear(table, size)
    for word in range(n_words):
        begin = starts[word]
        n_bytes = starts[word + 1] - begin
        h = _word_hash(packed, begin, begin + n_bytes)
        slot = np.int64(h & np.uint64(size - 1))
        other = word
        while table[slot]:
            entry = table[slot]
            if entry & _TAG == h & _TAG:
                other = _item(entry)
                same_length = starts[other + 1] - starts[other] == n_bytes
                if same_length and _same_run(packed, starts[other], begin, n_bytes):
                    break
            slot = slot + 1 & size - 1
        if table[slot]:
            times[other] += 1
        else:
            other = word
            table[slot] = h & _TAG | np.uint64(word + 1)
            times[word] = 1
        ids[word] = other
    for word in range(n_words):
        if times[ids[word]] == 1:
            ids[word] = -1


@inline
def _pair_hash(a: int, b: int) -> np.uint64:
    return _mix(np.uint64(a) * _ODD_1 + np.uint64(b) * _ODD_2)


@inline
def sift_pairs(ids: Offsets, n_pairs: int, seen: Bytes, sifted: Offsets) -> int:
    """Writes the pairs that may occur twice: both halves do, and another pair shares their slot. Returns how many."""
    n_both = 0
    for at in range(n_pairs):
        sifted[n_both] = at
        n_both += int(ids[at] >= 0 and ids[at + 1] >= 0)
    size = SEEN_PER_WORD * table_size(n_both) // 2
    for place in range(size):
        seen[place] = 0
    for index in range(n_both):
        at = sifted[index]
        slot = np.int64(_pair_hash(ids[at], ids[at + 1]) & np.uint64(size - 1))
        seen[slot] = 1 + (seen[slot] > 0)
    n_sifted = 0
    for index in range(n_both):
        at = sifted[index]
        slot = np.int64(_pair_hash(ids[at], ids[at + 1]) & np.uint64(size - 1))
        sifted[n_sifted] = at
        n_sifted += int(seen[slot] > 1)
    return n_sifted


@inline
def number_pairs(
    ids: Offsets, n_pairs: int, sifted: Offsets, n_sifted: int, table: Table, firsts: Offsets, times: Offsets
) -> tuple[int, int]:
    """Writes for each two neighbours the index of the first equal two, -1 where no other two are equal to them.

    Of ids of n-grams it makes ids of (n + 1)-grams, which equal each other if both halves do. Returns the most
    frequent, the first of several, and how often it occurs.
    """
    for at in range(n_pairs):
        firsts[at] = -1
    size = table_size(n_sifted)
    clear(table, size)
    for index in range(n_sifted):
        at = sifted[index]
        a, b = ids[at], ids[at + 1]
        slot = np.int64(_pair_hash(a, b) & np.uint64(size - 1))
        other = at
        while table[slot]:
            other = _item(table[slot])
            if ids[other] == a and ids[other + 1] == b:
                break
            slot = slot + 1 & size - 1
        if table[slot]:
            times[other] += 1
        else:
            other = at
            table[slot] = np.uint64(at + 1)
            times[at] = 1
        firsts[at] = other
    best, most = 0, 1
    for index in range(n_sifted):
        at = sifted[index]
        n_times = times[firsts[at]]
        if n_times == 1:
            firsts[at] = -1
        elif n_times > most:
            best, most = at, int(n_times)
    return best, most


@inline
def _slot_16(packed: Bytes, at: int, size: int) -> int:
    h = (read64(packed, at) * _ODD_1 ^ read64(packed, at + 8)) * _ODD_2
    return np.int64(h >> np.uint64(32)) & size - 1  # type: ignore[return-value]


@inline
def _slot_8(packed: Bytes, at: int, size: int) -> int:
    h = (read64(packed, at) ^ _ODD_1) * _ODD_2
    return np.int64(h >> np.uint64(32)) & size - 1  # type: ignore[return-value]


@inline
def sift_words(packed: Bytes, starts: Offsets, n_words: int, seen: Bytes, sifted: Offsets) -> int:
    """Writes the words at which an n-gram of five or more may begin that occurs twice; returns how many.

    Two equal n-grams of at least 16 bytes share their first 16, shorter ones of at least 8 their first 8. So
    words whose first bytes occur once are out, and with them nearly all of a text that does not repeat itself.
    """
    size, end = SEEN_PER_WORD * table_size(n_words) // 2, starts[n_words]
    for slot in range(size):
        seen[slot] = 0
    for word in range(n_words - 4):
        at = starts[word]
        if end - at >= 16:
            slot = _slot_16(packed, at, size)
            seen[slot] = 1 + (seen[slot] > 0)
        if 8 <= starts[word + 5] - at < 16:
            slot = _slot_8(packed, at, size)
            seen[slot] = 1 + (seen[slot] > 0)
    n_sifted = 0
    for word in range(n_words - 4):
        at = starts[word]
        n_bytes = starts[word + 5] - at
        twice = end - at >= 16 and seen[_slot_16(packed, at, size)] > 1
        if not twice and n_bytes < 16:
            twice = n_bytes < 8 or seen[_slot_8(packed, at, size)] > 1
        sifted[n_sifted] = word
        n_sifted += twice
    return n_sifted


@inline
def dup_n_gram_chars(
    packed: Bytes, starts: Offsets, chars: Offsets, n_words: int, n: int,
    sifted: Offsets, n_sifted: int, table: Table,
) -> int:  # fmt: skip
    """Characters of n-grams that were seen before, none counted twice, spaces not counted."""
    size = table_size(n_sifted)
    clear(table, size)
    n_chars = free = 0
    for index in range(n_sifted):
        word = sifted[index]
        if word < free or word + n > n_words:
            continue
        begin = starts[word]
        n_bytes = starts[word + n] - begin
        h = _word_hash(packed, begin, begin + n_bytes)
        slot = np.int64(h & np.uint64(size - 1))
        while table[slot]:
            entry = table[slot]
            if entry & _TAG == h & _TAG:
                other = _item(entry)
                same_length = starts[other + n] - starts[other] == n_bytes
                if same_length and _same_run(packed, starts[other], begin, n_bytes):
                    break
            slot = slot + 1 & size - 1
        if table[slot]:
            n_chars += chars[word + n] - chars[word]
            free = word + n
        else:
            table[slot] = h & _TAG | np.uint64(word + 1)
    return n_chars
