r"""Our own MinHash: words found 64 bytes at a time, shingles from prefix sums, signatures four shingles at a time.

    "Don't stop, stop!"   words       don  t  stop  stop                  those of `minhash.normalise`
                          w           a 64-bit hash of each               read where it stands, nothing is copied
                          prefix      p[i + 1] = p[i] * B + w[i]          modulo 2^64
                          shingle     mix(p[i + n] - p[i] * B^n)          32 bits of n words, two multiplications
                          signature   for each k the smallest  a_k * shingle + b_k  modulo 2^32

`minhash` writes every word down, hashes the bytes of every shingle and remembers which it has seen, so that its
signatures are datasketch's; a minimum does not mind what comes twice. Permutations are the same in both: they are
affine over hashes that are mixed well, and their estimates follow the theory (tests/dedup/test_recall.py).

A word's hash reads its lower case as UTF-8, eight bytes at a time; letters and digits of ASCII with their sixth bit
set, which is lower case for letters and changes no digit. A document of fewer words than n has one shingle, of all its
words, and one of no words none; the signature is then 0xFFFFFFFF throughout.

Two different shingles get one number with a chance of 2^-32: in a pair of documents of 10,000 shingles each that adds
2 in 10^6 to their similarity.

Price: 260 MB/s of English a core for 112 hashes. 8 bytes of scratch for each word of the longest document.

Source: Broder 1997. Prefix sums are Rabin and Karp's fingerprints.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.hashing import clear, read64
from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel, pointer
from pipelines.kernels.lanes import ALL, N_LANES, between, first_bit, readable
from pipelines.kernels.minhash import permutations
from pipelines.kernels.sets import add_if_new, table_size
from pipelines.kernels.unicode import PUNCT, SPACE, UNSPACED, character_classes, lower_deltas
from pipelines.kernels.words import byte_at, decode, encode

__all__ = [
    "distinct_shingles",
    "hash_words",
    "most_words",
    "shingle_sets",
    "sketch_documents",
    "sketch_texts",
]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
U32s = npt.NDArray[np.uint32]
U64s = npt.NDArray[np.uint64]

_DELTAS = "Array(int32, 1, 'C', readonly=True)"
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd: 2^64 / golden ratio
_K1 = np.uint64(0xD6E8FEB86659FD93)
_K2 = np.uint64(0xA0761D6478BD642F)
_SIXTH_BITS = np.uint64(0x2020202020202020)
_MOST = np.uint32(0xFFFFFFFF)


@inline
def _absorb(value: np.uint64, eight: np.uint64) -> np.uint64:
    value = (value ^ eight) * _K1
    return value ^ value >> np.uint64(32)


@inline
def _few(data: Bytes, at: int, n_bytes: int) -> np.uint64:
    """Fewer than eight bytes, little-endian, zeros behind them."""
    eight = np.uint64(0)
    for i in range(n_bytes):
        eight |= np.uint64(byte_at(data, at + i)) << np.uint64(8 * i)
    return eight


@inline
def _hash_bytes(data: Bytes, start: int, stop: int, n_readable: int, sixth: np.uint64) -> np.uint64:
    """The hash of a word; sixth: bits to set in every eight bytes of it."""
    value = np.uint64(stop - start) * _K2
    at = start
    while at + 8 <= stop:
        value = _absorb(value, read64(data, at) | sixth)
        at += 8
    n_left = stop - at
    if n_left:
        inside = ALL >> np.uint64(64 - 8 * n_left)
        eight = read64(data, at) if at + 8 <= n_readable else _few(data, at, n_left)
        value = _absorb(value, (eight | sixth) & inside)
    return value * _K2


@inline
def _window(data: Bytes, at: int, end: int, n_readable: int) -> tuple[np.uint64, np.uint64]:
    """Of the 64 bytes from `at` on, and before `end`: those that may be in words; controls and those beyond ASCII."""
    place = min(at, n_readable - N_LANES)
    n_before = np.uint64(at - place)
    within = ALL >> np.uint64(max(N_LANES - (end - at), 0))
    blank = between(data, place, 9, 13) | between(data, place, 32, 47)
    marks = between(data, place, 58, 64) | between(data, place, 91, 96) | between(data, place, 123, 126)
    others = between(data, place, 0x80, 0xFF) | between(data, place, 0, 31)
    return ~((blank | marks) >> n_before) & within, others >> n_before & within


@inline
def _hash_run(
    data: Bytes, at: int, stop: int, classes: Bytes, lower: npt.NDArray[np.int32], out: Bytes, hashes: U64s, n: int
) -> int:  # fmt: skip
    """Writes the hashes of the words between two separators of ASCII; returns where the next one goes."""
    length = 0
    while at < stop:
        point, at = decode(data, at, stop)
        kind = byte_at(classes, point)
        if kind & (SPACE | PUNCT | UNSPACED) and length:
            hashes[n] = _hash_bytes(out, 0, length, length, np.uint64(0))
            length = 0
            n += 1
        if kind & (SPACE | PUNCT):
            continue
        if point < 0x80:
            out[length] = point + lower[np.uint64(point)]
            length += 1
        else:
            length = encode(out, length, point + lower[np.uint64(point)])
        if kind & UNSPACED:
            hashes[n] = _hash_bytes(out, 0, length, length, np.uint64(0))
            length = 0
            n += 1
    if length:
        hashes[n] = _hash_bytes(out, 0, length, length, np.uint64(0))
        n += 1
    return n


@inline
def hash_words(
    data: Bytes, start: int, end: int, n_readable: int,
    classes: Bytes, lower: npt.NDArray[np.int32], out: Bytes, hashes: U64s,
) -> int:  # fmt: skip
    """Writes the hash of every word of a document; returns how many there are."""
    n, at = 0, start
    while at < end:
        base = at
        solid, others = _window(data, base, end, n_readable)
        at = base + N_LANES
        while solid:
            first = first_bit(solid)
            rest = ALL << np.uint64(first)
            stop = first_bit(~solid & rest)
            if stop == N_LANES and base + N_LANES < end:
                if first > 0:
                    at = base + first  # the run goes on behind the window: once more from where it starts
                    break
                stop = N_LANES
                while base + stop < end:
                    more, _ = _window(data, base + stop, end, n_readable)
                    n_more = first_bit(~more)
                    stop += n_more
                    if n_more < N_LANES:
                        break
                at = min(base + stop, end)
                n = _hash_run(data, base, at, classes, lower, out, hashes, n)
                break
            behind = ALL << np.uint64(stop) if stop < N_LANES else np.uint64(0)
            stop = min(base + stop, end)
            if others & rest & ~behind:
                n = _hash_run(data, base + first, stop, classes, lower, out, hashes, n)
            else:
                hashes[n] = _hash_bytes(data, base + first, stop, n_readable, _SIXTH_BITS)
                n += 1
            solid &= behind
    return n


@inline
def _mix(value: np.uint64) -> np.uint32:
    value = (value ^ value >> np.uint64(32)) * _K1
    value = (value ^ value >> np.uint64(32)) * _K2
    return np.uint32(value >> np.uint64(32))


@inline
def _shingle(hashes: U64s, n_words: int, n_gram: int, shingles: U32s) -> int:
    """Writes the hash of every shingle of a document; returns how many there are."""
    if n_words == 0:
        return 0
    width = min(n_gram, n_words)
    power, value = np.uint64(1), np.uint64(0)
    for i in range(width):
        value = value * _BASE + hashes[i]
        power *= _BASE
    shingles[0] = _mix(value)
    for i in range(width, n_words):
        value = value * _BASE + hashes[i] - power * hashes[i - width]
        shingles[i - width + 1] = _mix(value)
    return n_words - width + 1


@inline
def _lowest(shingles: U32s, n_shingles: int, a: U32s, b: U32s, lowest: U32s, n_hashes: int) -> None:
    """Lowers a signature by all shingles, four at a time: the signature is then read and written a fourth as often."""
    whole = n_shingles - n_shingles % 4
    for i in range(0, whole, 4):
        h0, h1, h2, h3 = shingles[i], shingles[i + 1], shingles[i + 2], shingles[i + 3]
        for k in range(n_hashes):
            low = min(np.uint32(a[k] * h0 + b[k]), np.uint32(a[k] * h1 + b[k]))
            high = min(np.uint32(a[k] * h2 + b[k]), np.uint32(a[k] * h3 + b[k]))
            lowest[k] = min(lowest[k], low, high)
    for i in range(whole, n_shingles):
        h = shingles[i]
        for k in range(n_hashes):
            lowest[k] = min(lowest[k], np.uint32(a[k] * h + b[k]))


@inline
def most_words(offsets: Offsets) -> int:
    """No document has more words than bytes, nor a word more bytes in lower case than twice its own."""
    longest = 0
    for doc in range(len(offsets) - 1):
        longest = max(longest, offsets[doc + 1] - offsets[doc])
    return longest + 1


@kernel(
    f"Tuple((uint32[:, ::1], int64[::1]))({BYTES}, {OFFSETS}, {BYTES}, {_DELTAS}, int64, uint32[::1], uint32[::1])"
)
def sketch_documents(
    data: Bytes, offsets: Offsets, classes: Bytes, lower: npt.NDArray[np.int32], n_gram: int, a: U32s, b: U32s
) -> tuple[U32s, Offsets]:
    """The signature of each document, and how many shingles it has, equal ones counted. data: at least 64 bytes."""
    most, n_hashes = most_words(offsets), len(a)
    words, shingles, out = (
        np.empty(most, np.uint64),
        np.empty(most, np.uint32),
        np.empty(2 * most + 8, np.uint8),
    )
    signatures = np.full((len(offsets) - 1, n_hashes), _MOST, np.uint32)
    counts = np.zeros(len(offsets) - 1, np.int64)
    text, kinds, deltas = pointer(data), pointer(classes), pointer(lower)
    for doc in range(len(counts)):
        n_words = hash_words(
            text, offsets[doc], offsets[doc + 1], len(data), kinds, deltas, pointer(out), pointer(words)
        )
        counts[doc] = _shingle(pointer(words), n_words, n_gram, pointer(shingles))
        _lowest(shingles, counts[doc], a, b, signatures[doc], n_hashes)
    return signatures, counts


@kernel(f"Tuple((uint32[::1], int64[::1]))({BYTES}, {OFFSETS}, {BYTES}, {_DELTAS}, int64)")
def distinct_shingles(
    data: Bytes, offsets: Offsets, classes: Bytes, lower: npt.NDArray[np.int32], n_gram: int
) -> tuple[U32s, Offsets]:
    """The distinct shingles of each document, by where they come first, and where each one's begin."""
    most = most_words(offsets)
    words, shingles, out = (
        np.empty(most, np.uint64),
        np.empty(most, np.uint32),
        np.empty(2 * most + 8, np.uint8),
    )
    distinct = np.empty(1024 + (offsets[-1] - offsets[0]) // 4, np.uint32)
    ends, n, table = np.zeros(len(offsets), np.int64), 0, np.empty(16, np.uint64)
    text, kinds, deltas = pointer(data), pointer(classes), pointer(lower)
    for doc in range(len(offsets) - 1):
        n_words = hash_words(
            text, offsets[doc], offsets[doc + 1], len(data), kinds, deltas, pointer(out), pointer(words)
        )
        n_shingles = _shingle(pointer(words), n_words, n_gram, pointer(shingles))
        size = table_size(n_shingles)
        if size > len(table):
            table = np.empty(size, np.uint64)
        clear(table, size)
        if n + n_shingles > len(distinct):
            wider = np.empty(2 * (n + n_shingles), np.uint32)
            for index in range(n):
                wider[index] = distinct[index]
            distinct = wider
        for index in range(n_shingles):
            if add_if_new(shingles[index], table, size):
                distinct[n] = shingles[index]
                n += 1
        ends[doc + 1] = n
    return distinct[:n].copy(), ends


def sketch_texts(
    data: Bytes, offsets: Offsets, *, n_gram: int = 5, n_permutations: int = 112, seed: int = 1
) -> tuple[U32s, Offsets]:
    """Signatures uint32[n_docs, n_permutations] and numbers of shingles int64[n_docs].

    A document with no shingle has no words, and a signature that must not be compared.
    """
    assert n_gram >= 1, "a shingle has words"
    tables = character_classes(), lower_deltas()
    sketched: tuple[U32s, Offsets] = sketch_documents(
        readable(data), offsets, *tables, n_gram, *permutations(n_permutations, seed)
    )
    return sketched


def shingle_sets(data: Bytes, offsets: Offsets, *, n_gram: int = 5) -> tuple[U32s, Offsets]:
    """The distinct shingles of each document: document d has `sets[ends[d]:ends[d + 1]]`, by where they come first."""
    found: tuple[U32s, Offsets] = distinct_shingles(
        readable(data), offsets, character_classes(), lower_deltas(), n_gram
    )
    return found
