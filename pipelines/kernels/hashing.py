"""xxh32, xxh64 and SHA-1 of byte spans, equal to the xxhash package and hashlib bit for bit.

    xxh32(data, start, stop, seed) -> uint32       shingles of MinHash
    xxh64(data, start, stop, seed) -> uint64       table lookups inside kernels
    sha1_32(data, start, stop, block, words)       SHA-1, its first 32 bits, as datasketch's default
    xxh64_spans(data, offsets, seed) -> uint64[n_docs]     of every document; likewise the other two

The first three are helpers for other kernels (no call costs a Python object). numba widens what it computes on
32-bit integers to 64 bits, so xxh32 and SHA-1 work in uint64 and cut to 32 bits where a bit could
come back down (before a right shift or a rotation).

Source: Y. Collet, xxHash specification 0.2.0, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md;
FIPS 180-4 (SHA-1). Neither resists an attacker who wants two equal documents; nothing here needs that.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel

__all__ = [
    "clear",
    "read64",
    "sha1_32",
    "sha1_32_spans",
    "sha1_64",
    "xxh32",
    "xxh32_spans",
    "xxh64",
    "xxh64_spans",
]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
U32s = npt.NDArray[np.uint32]
U64s = npt.NDArray[np.uint64]

_MASK = np.uint64(0xFFFFFFFF)
_P32_1 = np.uint64(0x9E3779B1)
_P32_2 = np.uint64(0x85EBCA77)
_P32_3 = np.uint64(0xC2B2AE3D)
_P32_4 = np.uint64(0x27D4EB2F)
_P32_5 = np.uint64(0x165667B1)
_P64_1 = np.uint64(0x9E3779B185EBCA87)
_P64_2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P64_3 = np.uint64(0x165667B19E3779F9)
_P64_4 = np.uint64(0x85EBCA77C2B2AE63)
_P64_5 = np.uint64(0x27D4EB2F165667C5)


@inline
def clear(table: U64s, size: int) -> None:
    """Makes the first `size` slots of a table empty, by a loop: assigning to a slice takes long to compile."""
    for slot in range(size):
        table[slot] = np.uint64(0)


@inline
def _read32(data: Bytes, at: int) -> np.uint64:
    """Four bytes, little-endian. LLVM makes one load of it, but only of indices that cannot be negative."""
    i = np.uint64(at)
    low = np.uint64(data[i]) | np.uint64(data[i + np.uint64(1)]) << np.uint64(8)
    high = np.uint64(data[i + np.uint64(2)]) | np.uint64(data[i + np.uint64(3)]) << np.uint64(8)
    return low | high << np.uint64(16)


@inline
def read64(data: Bytes, at: int) -> np.uint64:
    """Eight bytes, little-endian."""
    return _read32(data, at) | _read32(data, at + 4) << np.uint64(32)


@inline
def _rotl32(x: np.uint64, by: int) -> np.uint64:
    x &= _MASK
    return (x << np.uint64(by) | x >> np.uint64(32 - by)) & _MASK


@inline
def _rotl64(x: np.uint64, by: int) -> np.uint64:
    return x << np.uint64(by) | x >> np.uint64(64 - by)


@inline
def _round32(acc: np.uint64, lane: np.uint64) -> np.uint64:
    return _rotl32(acc + lane * _P32_2, 13) * _P32_1 & _MASK


@inline
def _round64(acc: np.uint64, lane: np.uint64) -> np.uint64:
    return _rotl64(acc + lane * _P64_2, 31) * _P64_1


@inline
def xxh32(data: Bytes, start: int, stop: int, seed: np.uint64) -> np.uint32:
    """xxh32 of `data[start:stop]`."""
    at = start
    h = seed + _P32_5
    if stop - start >= 16:
        a, b, c, d = seed + _P32_1 + _P32_2, seed + _P32_2, seed, seed - _P32_1
        while at + 16 <= stop:
            a = _round32(a, _read32(data, at))
            b = _round32(b, _read32(data, at + 4))
            c = _round32(c, _read32(data, at + 8))
            d = _round32(d, _read32(data, at + 12))
            at += 16
        h = _rotl32(a, 1) + _rotl32(b, 7) + _rotl32(c, 12) + _rotl32(d, 18)
    h = h + np.uint64(stop - start) & _MASK
    while at + 4 <= stop:
        h = _rotl32(h + _read32(data, at) * _P32_3, 17) * _P32_4 & _MASK
        at += 4
    while at < stop:
        h = _rotl32(h + np.uint64(data[at]) * _P32_5, 11) * _P32_1 & _MASK
        at += 1
    h = (h ^ h >> np.uint64(15)) * _P32_2 & _MASK
    h = (h ^ h >> np.uint64(13)) * _P32_3 & _MASK
    return np.uint32(h ^ h >> np.uint64(16))


@inline
def xxh64(data: Bytes, start: int, stop: int, seed: np.uint64) -> np.uint64:
    """xxh64 of `data[start:stop]`."""
    at = start
    h = seed + _P64_5
    if stop - start >= 32:
        a, b, c, d = seed + _P64_1 + _P64_2, seed + _P64_2, seed, seed - _P64_1
        while at + 32 <= stop:
            a = _round64(a, read64(data, at))
            b = _round64(b, read64(data, at + 8))
            c = _round64(c, read64(data, at + 16))
            d = _round64(d, read64(data, at + 24))
            at += 32
        h = _rotl64(a, 1) + _rotl64(b, 7) + _rotl64(c, 12) + _rotl64(d, 18)
        h = (h ^ _round64(np.uint64(0), a)) * _P64_1 + _P64_4
        h = (h ^ _round64(np.uint64(0), b)) * _P64_1 + _P64_4
        h = (h ^ _round64(np.uint64(0), c)) * _P64_1 + _P64_4
        h = (h ^ _round64(np.uint64(0), d)) * _P64_1 + _P64_4
    h += np.uint64(stop - start)
    while at + 8 <= stop:
        h = _rotl64(h ^ _round64(np.uint64(0), read64(data, at)), 27) * _P64_1 + _P64_4
        at += 8
    if at + 4 <= stop:
        h = _rotl64(h ^ _read32(data, at) * _P64_1, 23) * _P64_2 + _P64_3
        at += 4
    while at < stop:
        h = _rotl64(h ^ np.uint64(data[at]) * _P64_5, 11) * _P64_1
        at += 1
    h = (h ^ h >> np.uint64(33)) * _P64_2
    h = (h ^ h >> np.uint64(29)) * _P64_3
    return h ^ h >> np.uint64(32)


@inline
def _sha1_block(words: U32s, state: U32s) -> None:
    """One round of SHA-1: mixes `words[:16]`, the block's big-endian words, into `state[:5]`."""
    for t in range(16, 80):
        mixed = words[t - 3] ^ words[t - 8] ^ words[t - 14] ^ words[t - 16]
        words[t] = np.uint32(_rotl32(np.uint64(mixed), 1))
    a, b, c = np.uint64(state[0]), np.uint64(state[1]), np.uint64(state[2])
    d, e = np.uint64(state[3]), np.uint64(state[4])
    for t in range(80):
        if t < 20:
            f = (b & c | ~b & d) + np.uint64(0x5A827999)
        elif t < 40:
            f = (b ^ c ^ d) + np.uint64(0x6ED9EBA1)
        elif t < 60:
            f = (b & c | b & d | c & d) + np.uint64(0x8F1BBCDC)
        else:
            f = (b ^ c ^ d) + np.uint64(0xCA62C1D6)
        new = _rotl32(a, 5) + f + e + np.uint64(words[t]) & _MASK
        a, b, c, d, e = new, a, _rotl32(b, 30), c, d
    state[0] = np.uint32(np.uint64(state[0]) + a)
    state[1] = np.uint32(np.uint64(state[1]) + b)
    state[2] = np.uint32(np.uint64(state[2]) + c)
    state[3] = np.uint32(np.uint64(state[3]) + d)
    state[4] = np.uint32(np.uint64(state[4]) + e)


@inline
def _sha1(data: Bytes, start: int, stop: int, block: Bytes, words: U32s) -> None:
    """Leaves the state of SHA-1 of `data[start:stop]` in `words[80:85]`; block, words: as `sha1_32` has them."""
    state = words[80:85]
    state[0], state[1], state[2] = 0x67452301, 0xEFCDAB89, 0x98BADCFE
    state[3], state[4] = 0x10325476, 0xC3D2E1F0
    n_bytes = stop - start
    n_blocks = (n_bytes + 8) // 64 + 1
    for index in range(n_blocks):
        for i in range(64):
            at = index * 64 + i
            block[i] = data[start + at] if at < n_bytes else 0x80 if at == n_bytes else 0
        if index == n_blocks - 1:
            for i in range(8):
                block[63 - i] = n_bytes * 8 >> 8 * i & 0xFF
        for t in range(16):
            quad = _read32(block, 4 * t)
            words[t] = np.uint32(_swap32(quad))
        _sha1_block(words, state)


@inline
def sha1_32(data: Bytes, start: int, stop: int, block: Bytes, words: U32s) -> np.uint32:
    """The first four bytes of SHA-1 of `data[start:stop]`, read little-endian, as datasketch reads them.

    `block: uint8[128]` and `words: uint32[85]` are scratch of the caller.
    """
    _sha1(data, start, stop, block, words)
    return np.uint32(_swap32(np.uint64(words[80])))


@inline
def sha1_64(data: Bytes, start: int, stop: int, block: Bytes, words: U32s) -> np.uint64:
    """The first eight bytes, read little-endian, as datatrove reads them; block, words: as above."""
    _sha1(data, start, stop, block, words)
    return _swap32(np.uint64(words[80])) | _swap32(np.uint64(words[81])) << np.uint64(32)


@inline
def _swap32(x: np.uint64) -> np.uint64:
    """The four bytes of `x` in the other order."""
    high = (x & np.uint64(0xFF)) << np.uint64(24) | (x & np.uint64(0xFF00)) << np.uint64(8)
    return high | x >> np.uint64(8) & np.uint64(0xFF00) | x >> np.uint64(24) & np.uint64(0xFF)


@kernel(f"uint32[::1]({BYTES}, {OFFSETS}, uint64)")
def xxh32_spans(data: Bytes, offsets: Offsets, seed: np.uint64) -> U32s:
    """xxh32 of each document, `uint32[n_docs]`."""
    hashes = np.empty(len(offsets) - 1, np.uint32)
    for doc in range(len(hashes)):
        hashes[doc] = xxh32(data, offsets[doc], offsets[doc + 1], seed)
    return hashes


@kernel(f"uint64[::1]({BYTES}, {OFFSETS}, uint64)")
def xxh64_spans(data: Bytes, offsets: Offsets, seed: np.uint64) -> U64s:
    """xxh64 of each document, `uint64[n_docs]`."""
    hashes = np.empty(len(offsets) - 1, np.uint64)
    for doc in range(len(hashes)):
        hashes[doc] = xxh64(data, offsets[doc], offsets[doc + 1], seed)
    return hashes


@kernel(f"uint32[::1]({BYTES}, {OFFSETS})")
def sha1_32_spans(data: Bytes, offsets: Offsets) -> U32s:
    """`sha1_32` of each document, `uint32[n_docs]`."""
    block, words = np.empty(128, np.uint8), np.empty(85, np.uint32)
    hashes = np.empty(len(offsets) - 1, np.uint32)
    for doc in range(len(hashes)):
        hashes[doc] = sha1_32(data, offsets[doc], offsets[doc + 1], block, words)
    return hashes
