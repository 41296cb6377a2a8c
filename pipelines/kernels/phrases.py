r"""What C4's rules look for in a text: "lorem ipsum", "{", and what speaks of JavaScript, cookies and policies.

    "Lorem IPSUM {"        says          SAYS_LOREM_IPSUM | SAYS_CURLY_BRACKET, of any stretch of bytes
    "Menu\nLorem ipsum\n"  find_mentions [2], [0]: the first line with each, from 1
    "So. Lorem ipsum. A {" number_sentences [3], [2], [3]: how many there are, and the first of them with each

    next_sign             where the next three letters stand that may be in a phrase, or "{"

Upper and lower case of ASCII are one. A stretch is read a byte at a time, for the letter that is rarest in each phrase;
a whole text 64 bytes at a time, for "{" and "m ip", or for three letters of every phrase, at 4 GB/s.

Source: Raffel et al. 2020, T5, section 2.2, https://arxiv.org/abs/1910.10683; datatrove 0.10.1,
pipeline/filters/c4_filters.py
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel, pointer
from pipelines.kernels.lanes import ALL, N_LANES, between, first_bit
from pipelines.kernels.sentences import LINE_END, next_sentence
from pipelines.kernels.words import byte_at, decode

__all__ = [
    "SAYS_CURLY_BRACKET",
    "SAYS_JAVASCRIPT",
    "SAYS_LOREM_IPSUM",
    "SAYS_POLICY",
    "find_mentions",
    "next_sign",
    "number_sentences",
    "says",
]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]

# What a line may say, and in each phrase the letter that English uses least: only that one is looked for.
PHRASES = (
    ("lorem ipsum", "m", 1), ("javascript", "j", 2), ("privacy policy", "v", 8), ("cookie policy", "k", 8),
    ("uses cookies", "k", 8), ("use of cookies", "k", 8), ("use cookies", "k", 8), ("terms of use", "f", 8),
)  # fmt: skip
SAYS_LOREM_IPSUM, SAYS_JAVASCRIPT, SAYS_CURLY_BRACKET, SAYS_POLICY = 1, 2, 4, 8
_PHRASE_BYTES = np.frombuffer("".join(phrase for phrase, _, _ in PHRASES).encode(), np.uint8)
_PHRASE_ENDS = np.cumsum([len(phrase) for phrase, _, _ in PHRASES], dtype=np.int64)
_RARE_AT = np.array([phrase.index(rare) for phrase, rare, _ in PHRASES], np.int64)
_SAYS = np.array([bit for _, _, bit in PHRASES], np.int64)
_IS_RARE = np.zeros(256, np.uint8)
_IS_RARE[[ord(letter) for _, rare, _ in PHRASES for letter in (rare, rare.upper())] + [ord("{")]] = 1


@inline
def _lower(byte: int) -> int:
    return byte + 32 if 65 <= byte <= 90 else byte


@inline
def says(line: Bytes, start: int, stop: int) -> int:
    """What the line says, as bits."""
    found = 0
    for at in range(start, stop):
        byte = byte_at(line, at)
        if not _IS_RARE[byte]:
            continue
        if byte == 123:
            found |= SAYS_CURLY_BRACKET
        phrase = 0
        for index in range(len(_PHRASE_ENDS)):
            n_bytes = _PHRASE_ENDS[index] - phrase
            begin = at - _RARE_AT[index]
            if begin >= start and begin + n_bytes <= stop:
                k = 0
                while k < n_bytes and _lower(byte_at(line, begin + k)) == byte_at(_PHRASE_BYTES, phrase + k):
                    k += 1
                if k == n_bytes:
                    found |= _SAYS[index]
            phrase = _PHRASE_ENDS[index]
    return found


@inline
def _mentions(data: Bytes, at: int, end: int, n_readable: int) -> tuple[np.uint64, np.uint64]:
    """Of the bytes from `at` on: which are "{", and at which of them, but for the last three of 64, "m ip" begins."""
    place = min(at, n_readable - N_LANES)
    curly = between(data, place, 123, 123)
    lorem = between(data, place, 109, 109) | between(data, place, 77, 77)
    lorem &= between(data, place, 32, 32) >> np.uint64(1)
    lorem &= (between(data, place, 105, 105) | between(data, place, 73, 73)) >> np.uint64(2)
    lorem &= (between(data, place, 112, 112) | between(data, place, 80, 80)) >> np.uint64(3)
    curly, lorem = curly >> np.uint64(at - place), lorem >> np.uint64(at - place)
    inside = ~(ALL << np.uint64(end - at)) if at + N_LANES > end else ALL
    return curly & inside, lorem & inside


@inline
def _letters(data: Bytes, at: int, lower: int) -> np.uint64:
    """Which of the 64 bytes from `at` on are a letter, in either case."""
    return between(data, at, lower, lower) | between(data, at, lower - 32, lower - 32)


@inline
def _signs(data: Bytes, at: int, end: int, n_readable: int) -> np.uint64:
    """At which of the 62 bytes from `at` on, and before `end`, "m i", "jav", "vac", "kie" or "f u" begins, or is a "{".

    Each of PHRASES has one of them.
    """
    place = min(at, n_readable - N_LANES)
    one, two = np.uint64(1), np.uint64(2)
    a, i, v = _letters(data, place, 97), _letters(data, place, 105), _letters(data, place, 118)
    blank = between(data, place, 32, 32) >> one
    found = _letters(data, place, 109) & blank & i >> two
    found |= _letters(data, place, 106) & a >> one & v >> two
    found |= v & a >> one & _letters(data, place, 99) >> two
    found |= _letters(data, place, 107) & i >> one & _letters(data, place, 101) >> two
    found |= _letters(data, place, 102) & blank & _letters(data, place, 117) >> two
    found |= between(data, place, 123, 123)
    inside = ~(ALL << np.uint64(end - at)) if at + N_LANES > end else ALL
    return found >> np.uint64(at - place) & inside


@inline
def next_sign(data: Bytes, at: int, end: int, n_readable: int) -> int:
    """The first byte from `at` on at which a part of a phrase begins, or "{"; `end` for none. data: a pointer.

    A phrase with its part at byte p lies in [p - 11, p + 14).
    """
    while at < end:
        found = _signs(data, at, end, n_readable)
        if found:
            return at + first_bit(found)
        at += N_LANES - 2
    return end


@inline
def _line_of(data: Bytes, start: int, at: int, end: int, classes: Bytes) -> int:
    """The number of the line that byte `at` is in, from 1; 0 where that is the end."""
    if at == end:
        return 0
    n_lines = 1
    while start < at:
        point, start = decode(data, start, end)
        if byte_at(classes, point) & LINE_END:
            n_lines += not (point == 13 and start < end and byte_at(data, start) == 10)
    return n_lines


@inline
def _first_mentions(data: Bytes, start: int, end: int, n_readable: int) -> tuple[int, int]:
    """The bytes at which the first "lorem ipsum" and the first "{" begin; `end` for none. data: a pointer."""
    lorem = curly = end
    for base in range(start, end, N_LANES - 3):
        curlies, lorems = _mentions(data, base, end, n_readable)
        if curlies:
            curly = min(curly, base + first_bit(curlies))
        while lorems:
            at = base + first_bit(lorems) - 4
            if at >= start and says(data, at, min(at + 11, end)) & SAYS_LOREM_IPSUM:
                lorem = min(lorem, at)
            lorems &= lorems - np.uint64(1)
    return lorem, curly


@kernel(f"int64[:, ::1]({BYTES}, {OFFSETS}, {BYTES})")
def find_mentions(data: Bytes, offsets: Offsets, classes: Bytes) -> npt.NDArray[np.int64]:
    """The first lines that say "lorem ipsum" and that have a "{", `int64[2, n_docs]`. data: at least 64 bytes."""
    n_readable = len(data)
    data, classes = pointer(data), pointer(classes)
    counts = np.zeros((2, len(offsets) - 1), np.int64)
    for doc in range(len(offsets) - 1):
        start, end = offsets[doc], offsets[doc + 1]
        lorem, curly = _first_mentions(data, start, end, n_readable)
        counts[0, doc] = _line_of(data, start, lorem, end, classes)
        counts[1, doc] = _line_of(data, start, curly, end, classes)
    return counts


@kernel(f"int64[:, ::1]({BYTES}, {OFFSETS}, {BYTES}, {OFFSETS}, {OFFSETS}, {OFFSETS})")
def number_sentences(
    data: Bytes, offsets: Offsets, classes: Bytes, starts: Offsets, ends: Offsets, word_offsets: Offsets
) -> npt.NDArray[np.int64]:
    """How many sentences there are, and the first to say "lorem ipsum" and to have a "{", from 1: `int64[3, n_docs]`.

    data: at least 64 bytes. starts, ends, word_offsets: spaCy's words, as `next_sentence` takes them. White space alone
    is no sentence.
    """
    n_readable = len(data)
    data, classes, starts, ends = pointer(data), pointer(classes), pointer(starts), pointer(ends)
    counts = np.zeros((3, len(offsets) - 1), np.int64)
    for doc in range(len(offsets) - 1):
        at, end = offsets[doc], offsets[doc + 1]
        lorem, curly = _first_mentions(data, at, end, n_readable)
        word, last_word = word_offsets[doc], word_offsets[doc + 1]
        while word < last_word:
            start = at
            at, word = next_sentence(data, start, end, word, last_word, classes, starts, ends)
            counts[0, doc] += 1
            if start <= lorem < at:
                counts[1, doc] = counts[0, doc]
            if start <= curly < at:
                counts[2, doc] = counts[0, doc]
    return counts
