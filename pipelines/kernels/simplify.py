r"""datatrove's MinHash: its simplified text, spaCy's words of it, its hashes and its signatures, bit for bit.

    "Café №7 cost $3.50\n(in 1999)"
    simplified    "cafe №0 cost $0 in 0"             lower case, numbers as 0, marks and punctuation as one space
    words         cafe  №0  cost  $  0  in  0        spaCy's, `words "spacy"`
    shingles      xxh64("cafe №0 cost $ 0"), ...     5 words joined by spaces; a text of fewer has none
    signature     for each k the smallest  (a_k * h + b_k modulo 2^64) modulo 2^61 - 1

Of `simplify_text` this leaves out: whether a capital sigma ends a word is asked of the letters beside it, whatever
marks stand between; marks left over by a decomposition keep their order. Numbers are those of Unicode 14.

Price: 15 MB/s a core for 112 hashes, a tenth of it for words.

Source: datatrove 0.10.1, utils/text.py and pipeline/dedup/minhash.py.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.kernels import unicode_bases, unicode_data
from pipelines.kernels.hashing import sha1_64, xxh64
from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel
from pipelines.kernels.lanes import readable
from pipelines.kernels.unicode import lower_deltas
from pipelines.kernels.word_spans import word_groups
from pipelines.kernels.words import byte_at, decode, encode

__all__ = [
    "WideShingles",
    "hash_words",
    "sign_wide",
    "sign_wide_shingles",
    "simplify",
    "simplify_documents",
    "wide_permutations",
    "wide_shingles",
]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
U64s = npt.NDArray[np.uint64]
HashName = Literal["xxh64", "sha1"]

# datatrove's PUNCTUATION but for a digit, which is 0 by then; controls are in it. Then what `\s` takes beside it.
GAPS = """
0-8 B-1F 21-2F 3A-40 5B-60 7B-9F AB-AB B4-B4 BB-BB 2013-2014 2019-2019 201C-201E 2026-2026 2236-2236 2501-2501
25BA-25BA 3001-3002 3008-300D 3010-3011 FF01-FF01 FF05-FF05 FF08-FF09 FF0C-FF0C FF0E-FF0E FF1A-FF1B
FF1F-FF1F FF5E-FF5E
9-D 1C-20 85-85 A0-A0 1680-1680 2000-200A 2028-2029 202F-202F 205F-205F 3000-3000
"""
POINTS = ".,،٫⎖⎗⎘"
MERSENNE = np.uint64((1 << 61) - 1)

_DIGIT, _GAP, _NONSPACING, _LONG, _POINT, _LETTER = 1, 2, 4, 8, 16, 32
_SIGMA, _FINAL_SIGMA = 0x3A3, 0x3C2
_XXH64, _SHA1 = 0, 1
_FIRST_SYLLABLE, _LAST_SYLLABLE = 0xAC00, 0xD7A3
_DELTAS = "Array(int32, 1, 'C', readonly=True)"
_U64S = "Array(uint64, 1, 'C', readonly=True)"


class WideShingles(NamedTuple):
    """The 64-bit hashes of each document's shingles, equal ones as often as they come, and where each one's begin."""

    hashes: U64s
    offsets: Offsets


@cache
def _kinds() -> Bytes:
    """What every code point is once it is in lower case: uint8[0x110000] of or-ed bits."""
    kinds = np.zeros(0x110000, np.uint8)
    tables = {
        _DIGIT: unicode_data.DECIMAL, _LETTER: unicode_data.ALPHABETIC,
        _GAP: GAPS, _NONSPACING: unicode_bases.NONSPACING,
    }  # fmt: skip
    for bit, ranges in tables.items():
        for first, last in (item.split("-") for item in ranges.split()):
            kinds[int(first, 16) : int(last, 16) + 1] |= bit
    kinds[[int(item.partition("=")[0], 16) for item in unicode_bases.LONG_BASES.split()]] |= _LONG
    kinds[[*map(ord, POINTS)]] |= _POINT
    kinds.flags.writeable = False
    return kinds


@cache
def _base_deltas() -> npt.NDArray[np.int32]:
    """The distance from every code point to what is left of it without marks, int32[0x110000]."""
    deltas = np.zeros(0x110000, np.int32)
    for item in unicode_bases.BASES.split():
        first, last, step, delta = re.split(r"(?<=[0-9A-F])[-:]", item, maxsplit=3)
        deltas[int(first, 16) : int(last, 16) + 1 : int(step)] = int(delta)
    deltas.flags.writeable = False
    return deltas


@cache
def _long_bases() -> npt.NDArray[np.int32]:
    """The few characters of which several are left: int32[n, 4], the character and up to three, zeros behind."""
    rows = [[int(part, 16) for part in re.split("[=+]", item)] for item in unicode_bases.LONG_BASES.split()]
    table = np.array([row + [0] * (4 - len(row)) for row in rows], np.int32)
    table.flags.writeable = False
    return table


@inline
def _write_base(
    out: Bytes, n: int, point: int, kind: int, bases: npt.NDArray[np.int32], several: npt.NDArray[np.int32]
) -> int:
    """Writes a character without its marks; returns where the next one goes."""
    if kind & _NONSPACING:
        return n
    if _FIRST_SYLLABLE <= point <= _LAST_SYLLABLE:
        index = point - _FIRST_SYLLABLE
        n = encode(out, n, 0x1100 + index // 588)
        n = encode(out, n, 0x1161 + index % 588 // 28)
        return encode(out, n, 0x11A7 + index % 28) if index % 28 else n
    if kind & _LONG:
        row = 0
        while several[row, 0] != point:
            row += 1
        for k in range(1, 4):
            if several[row, k]:
                n = encode(out, n, several[row, k])
        return n
    return encode(out, n, point + bases[np.uint64(point)])


@inline
def _begins_letter(data: Bytes, at: int, end: int, kinds: Bytes) -> bool:
    return at < end and byte_at(kinds, decode(data, at, end)[0]) & _LETTER != 0


@inline
def _number_end(data: Bytes, at: int, end: int, kinds: Bytes) -> int:
    """Where the decimal digits end that begin at byte `at`."""
    while at < end:
        point, after = decode(data, at, end)
        if not byte_at(kinds, point) & _DIGIT:
            break
        at = after
    return at


@kernel(
    f"Tuple((uint8[::1], int64[::1]))({BYTES}, {OFFSETS}, {BYTES}, {_DELTAS}, {_DELTAS}, "
    "Array(int32, 2, 'C', readonly=True))"
)
def simplify_documents(
    data: Bytes, offsets: Offsets, kinds: Bytes,
    lower: npt.NDArray[np.int32], bases: npt.NDArray[np.int32], several: npt.NDArray[np.int32],
) -> tuple[Bytes, Offsets]:  # fmt: skip
    """The simplified texts and where each begins. No character grows beyond three times its bytes."""
    out = np.empty(3 * (offsets[-1] - offsets[0]) + 64, np.uint8)
    ends, n = np.zeros(len(offsets), np.int64), 0
    for doc in range(len(offsets) - 1):
        at, end = offsets[doc], offsets[doc + 1]
        gap = in_word = False
        while at < end:
            point, after = decode(data, at, end)
            is_final = point == _SIGMA and in_word and not _begins_letter(data, after, end, kinds)
            point = _FINAL_SIGMA if is_final else point + lower[np.uint64(point)]
            kind = byte_at(kinds, point)
            in_word = kind & _LETTER != 0
            if kind & _GAP:
                gap = True
                at = after
                continue
            if gap and n > ends[doc]:
                out[n] = 32
                n += 1
            gap = False
            if not kind & _DIGIT:
                n = _write_base(out, n, point, kind, bases, several)
                at = after
                continue
            out[n] = 48
            n += 1
            at = _number_end(data, at, end, kinds)
            if at < end:
                point, after = decode(data, at, end)
                if byte_at(kinds, point) & _POINT:
                    stop = _number_end(data, after, end, kinds)
                    at = stop if stop > after else at
        ends[doc + 1] = n
    return out[:n], ends


@kernel(f"Tuple((uint64[::1], int64[::1]))({BYTES}, {OFFSETS}, {OFFSETS}, {OFFSETS}, int64, int64)")
def hash_words(
    data: Bytes, starts: Offsets, ends: Offsets, word_offsets: Offsets, n_gram: int, hash_kind: int
) -> tuple[U64s, Offsets]:
    """The hash of every run of `n_gram` words of each document, joined by spaces, and where each document's begin."""
    n_docs, most, longest = len(word_offsets) - 1, 0, 0
    for doc in range(n_docs):
        n_words, n_bytes = word_offsets[doc + 1] - word_offsets[doc], 0
        for word in range(word_offsets[doc], word_offsets[doc + 1]):
            n_bytes += ends[word] - starts[word] + 1
        most, longest = max(most, n_words), max(longest, n_bytes)
    joined, places = np.empty(longest + 8, np.uint8), np.empty(most + 1, np.int64)
    block, words = np.empty(128, np.uint8), np.empty(85, np.uint32)
    hashes, hash_ends, n = np.empty(len(starts) + 1, np.uint64), np.zeros(n_docs + 1, np.int64), 0
    for doc in range(n_docs):
        first, n_words, length = word_offsets[doc], word_offsets[doc + 1] - word_offsets[doc], 0
        for word in range(n_words):
            places[word] = length
            for at in range(starts[first + word], ends[first + word]):
                joined[length] = data[at]
                length += 1
            joined[length] = 32
            length += 1
        places[n_words] = length
        for word in range(n_words - n_gram + 1):
            start, stop = places[word], places[word + n_gram] - 1
            if hash_kind == _SHA1:
                hashes[n] = sha1_64(joined, start, stop, block, words)
            else:
                hashes[n] = xxh64(joined, start, stop, np.uint64(0))
            n += 1
        hash_ends[doc + 1] = n
    return hashes[:n].copy(), hash_ends


@kernel(f"uint64[:, ::1]({_U64S}, {OFFSETS}, {_U64S}, {_U64S})")
def sign_wide_shingles(hashes: U64s, offsets: Offsets, a: U64s, b: U64s) -> U64s:
    """The signature of each document's hashes, uint64[n_docs, n_permutations]; all bits set where it has none."""
    signatures = np.full((len(offsets) - 1, len(a)), np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64)
    for doc in range(len(offsets) - 1):
        lowest = signatures[doc]
        for index in range(offsets[doc], offsets[doc + 1]):
            h = hashes[index]
            for k in range(len(a)):
                x = a[k] * h + b[k]
                x = (x & MERSENNE) + (x >> np.uint64(61))
                x = x - MERSENNE if x >= MERSENNE else x
                lowest[k] = min(lowest[k], x)
    return signatures


@cache
def wide_permutations(n_permutations: int, seed: int) -> tuple[U64s, U64s]:
    """The multipliers and addends that datatrove draws. numpy promises that RandomState's stream never changes."""
    generator = np.random.RandomState(seed)
    most = int(MERSENNE)
    a = generator.randint(1, most, dtype=np.uint64, size=(1, n_permutations))
    b = generator.randint(0, most, dtype=np.uint64, size=(1, n_permutations))
    return a[0], b[0]


def simplify(data: Bytes, offsets: Offsets) -> tuple[Bytes, Offsets]:
    """The texts as datatrove's `simplify_text` makes them: bytes and `int64[n_docs + 1]`."""
    simplified: tuple[Bytes, Offsets] = simplify_documents(
        data, offsets, _kinds(), lower_deltas(), _base_deltas(), _long_bases()
    )
    return simplified


def wide_shingles(
    data: Bytes, offsets: Offsets, *, n_gram: int = 5, hash_name: HashName = "xxh64"
) -> WideShingles:
    """The hashes of each document's shingles as datatrove takes them. `sha1`: FineWeb's, four times as slow."""
    text, ends = simplify(data, offsets)
    hashes, counts = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    padded, kind = readable(text), {"xxh64": _XXH64, "sha1": _SHA1}[hash_name]
    for _, spans in word_groups(padded, ends, "spacy"):
        found, stops = hash_words(padded, *spans, n_gram, kind)
        hashes.append(found)
        counts.append(np.diff(stops))
    return WideShingles(
        np.concatenate(hashes), np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
    )


def sign_wide(shingles: WideShingles, *, n_permutations: int = 112, seed: int = 1) -> U64s:
    """datatrove's signature of each document, `uint64[n_docs, n_permutations]`."""
    signed: U64s = sign_wide_shingles(*shingles, *wide_permutations(n_permutations, seed))
    return signed
