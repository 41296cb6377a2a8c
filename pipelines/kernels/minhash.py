"""MinHash: shingles of words, and signatures equal to datasketch's bit for bit.

    "Don't stop, stop!"   words       don  t  stop  stop
                          2-grams     "don t"  "t stop"  "stop stop"     n_gram=2
                          hashes      xxh32 of each, every distinct value once, in order of first occurrence
                          signature   for each of 112 permutations the smallest permuted hash

A shingle word is a maximal run of characters that are neither White_Space nor punctuation (categories
P* and the ASCII symbols), in simple lower case; each character of a script written without spaces (Han,
kana, Thai, Lao, Khmer, Burmese) is a word of its own. A shingle is n words joined by single spaces, as
UTF-8. A document of fewer words than n has one shingle, of all its words; one of no words has none, and
its signature is datasketch's of the empty set, 0xFFFFFFFF throughout, which equals nobody's by merit:
callers must look at `n_shingles` and leave such documents alone.

A signature is `min over shingles of a_k * fmix32(h) + b_k modulo 2^32`, datasketch 2's scheme
"affine32". datatrove differs: it cuts by a tokenizer of the language, strips accents, makes digits 0,
and never compares a document of fewer than five words.

Price: 3 bytes of scratch for each byte of the longest document, 4 bytes for each shingle kept.

Source: Broder 1997; E. Zhu, datasketch 2.0, minhash.py, https://github.com/ekzhu/datasketch;
fmix32 is MurmurHash3's finalizer, A. Appleby, public domain.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.kernels.hashing import clear, sha1_32, xxh32
from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel
from pipelines.kernels.sets import add_if_new, table_size
from pipelines.kernels.unicode import PUNCT, SPACE, UNSPACED, character_classes, lower_deltas
from pipelines.kernels.words import byte_at, decode, encode

__all__ = [
    "Shingles",
    "normalise",
    "permutations",
    "shingle",
    "shingle_documents",
    "sign",
    "sign_documents",
    "sketch",
]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
U32s = npt.NDArray[np.uint32]
HashName = Literal["xxh32", "sha1"]

_DELTAS = "Array(int32, 1, 'C', readonly=True)"
_XXH32, _SHA1 = 0, 1
_FMIX_1 = np.uint32(0x85EBCA6B)
_FMIX_2 = np.uint32(0xC2B2AE35)


class Shingles(NamedTuple):
    """The distinct shingle hashes of each document: document d has `hashes[offsets[d]:offsets[d + 1]]`."""

    hashes: U32s
    offsets: Offsets


@inline
def normalise(
    data: Bytes, start: int, stop: int, classes: Bytes, lower: npt.NDArray[np.int32],
    out: Bytes, starts: Offsets,
) -> int:  # fmt: skip
    """Writes the words, a space after each, and where each starts; returns how many words there are.

    Word w is `out[starts[w]:starts[w + 1] - 1]`.
    """
    n_words = length = 0
    in_word = False
    at = start
    while at < stop:
        point, at = decode(data, at, stop)
        kind = byte_at(classes, point)
        if kind & (SPACE | PUNCT | UNSPACED) and in_word:
            out[length] = 32
            length += 1
            in_word = False
        if kind & (SPACE | PUNCT):
            continue
        if not in_word:
            starts[n_words] = length
            n_words += 1
        length = encode(out, length, point + lower[np.uint64(point)])
        in_word = not kind & UNSPACED
        if not in_word:
            out[length] = 32
            length += 1
    if in_word:
        out[length] = 32
        length += 1
    starts[n_words] = length
    return n_words


@kernel(f"Tuple((uint32[::1], int64[::1]))({BYTES}, {OFFSETS}, {BYTES}, {_DELTAS}, int64, int64)")
def shingle_documents(
    data: Bytes, offsets: Offsets, classes: Bytes, lower: npt.NDArray[np.int32], n_gram: int, hash_kind: int
) -> tuple[U32s, Offsets]:
    """The distinct shingle hashes of each document, room for more, and where each document's begin."""
    longest = 0
    for doc in range(len(offsets) - 1):
        longest = max(longest, offsets[doc + 1] - offsets[doc])
    out = np.empty(2 * longest + 8, np.uint8)  # "Ⱥ" grows by a byte in lower case; a space follows each word
    starts = np.empty(longest + 2, np.int64)
    table = np.empty(16, np.uint64)
    block, words = np.empty(128, np.uint8), np.empty(85, np.uint32)
    hashes = np.empty(1024 + (offsets[-1] - offsets[0]) // 4, np.uint32)
    ends = np.zeros(len(offsets), np.int64)
    n_hashes = 0
    for doc in range(len(offsets) - 1):
        n_words = normalise(data, offsets[doc], offsets[doc + 1], classes, lower, out, starts)
        n_shingles = max(n_words - n_gram + 1, min(n_words, 1))
        width = min(n_gram, n_words)
        size = table_size(n_shingles)
        if size > len(table):
            table = np.empty(size, np.uint64)
        clear(table, size)
        if n_hashes + n_shingles > len(hashes):
            grown = np.empty(2 * (n_hashes + n_shingles), np.uint32)
            for index in range(n_hashes):
                grown[index] = hashes[index]
            hashes = grown
        for word in range(n_shingles):
            first, last = starts[word], starts[word + width] - 1
            if hash_kind == _SHA1:
                value = sha1_32(out, first, last, block, words)
            else:
                value = xxh32(out, first, last, np.uint64(0))
            if add_if_new(value, table, size):
                hashes[n_hashes] = value
                n_hashes += 1
        ends[doc + 1] = n_hashes
    return hashes, ends


@kernel(f"uint32[:, ::1](uint32[::1], {OFFSETS}, uint32[::1], uint32[::1])")
def sign_documents(hashes: U32s, offsets: Offsets, a: U32s, b: U32s) -> U32s:
    """The signature of each document's hashes, `uint32[n_docs, n_permutations]`."""
    signatures = np.full((len(offsets) - 1, len(a)), 0xFFFFFFFF, np.uint32)
    for doc in range(len(offsets) - 1):
        lowest = signatures[doc]
        for index in range(offsets[doc], offsets[doc + 1]):
            h = hashes[index]
            h = np.uint32((h ^ h >> np.uint32(16)) * _FMIX_1)
            h = np.uint32((h ^ h >> np.uint32(13)) * _FMIX_2)
            h = np.uint32(h ^ h >> np.uint32(16))
            for k in range(len(a)):
                permuted = np.uint32(a[k] * h + b[k])
                lowest[k] = min(lowest[k], permuted)
    return signatures


@cache
def permutations(n_permutations: int, seed: int) -> tuple[U32s, U32s]:
    """The multipliers (odd) and addends datasketch draws for `MinHash(num_perm, seed, scheme="affine32")`.

    numpy promises that the stream of RandomState never changes.
    """
    generator = np.random.RandomState(seed)
    a = generator.randint(0, 1 << 31, n_permutations, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    b = generator.randint(0, 1 << 32, n_permutations, dtype=np.uint32)
    return a, b


def shingle(data: Bytes, offsets: Offsets, *, n_gram: int = 5, hash_name: HashName = "xxh32") -> Shingles:
    """The distinct 32-bit hashes of each document's shingles, in order of first occurrence.

    `hash_name`: `xxh32`, or `sha1`, datasketch's default, which takes four times as long.
    """
    assert n_gram >= 1, "a shingle has words"
    kind = {"xxh32": _XXH32, "sha1": _SHA1}[hash_name]
    hashes, ends = shingle_documents(data, offsets, character_classes(), lower_deltas(), n_gram, kind)
    return Shingles(hashes[: ends[-1]].copy(), ends)


def sign(shingles: Shingles, *, n_permutations: int = 112, seed: int = 1) -> U32s:
    """The MinHash signature of each document, `uint32[n_docs, n_permutations]`."""
    return sign_documents(shingles.hashes, shingles.offsets, *permutations(n_permutations, seed))


def sketch(
    data: Bytes, offsets: Offsets, *, n_gram: int = 5, n_permutations: int = 112, seed: int = 1
) -> tuple[U32s, Offsets]:
    """Signatures `uint32[n_docs, n_permutations]` and numbers of distinct shingles `int64[n_docs]`.

    A document with no shingle has no words, and a signature that must not be compared.
    """
    shingles = shingle(data, offsets, n_gram=n_gram)
    return sign(shingles, n_permutations=n_permutations, seed=seed), np.diff(shingles.offsets)
