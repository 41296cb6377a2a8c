r"""Words of a list in running text: how often one stands there, by itself or inside others.

    "Dr. Dickens, DICK!"     list: dick      by itself 1 ("DICK"), inside others 2

Text is put in lower case (simple mapping, one character for one), the list is taken as it is spelt. A word stands by
itself where the characters before and behind it are no word characters: letters, digits, numbers and "_", those of
Python's `\w`. Words may hold spaces and come in any script.

    moves: int32[n_states, n_symbols]   a state for each beginning of a word, bytes that are in no word are symbol 0
    sizes: int32[n_states]              bytes of the longest word that ends here, 0 for none
    shorter: int32[n_states]            the state of the next shorter word that ends here too

Two characters of Unicode have longer or other lower cases in Python: "İ" gives two there, and a "Σ" at a word's end
is "ς" there.

Price: two passes over the bytes, one to lower them, one through the automaton.

Source: Aho and Corasick 1975, https://doi.org/10.1145/360825.360855; datatrove 0.10.1,
pipeline/filters/c4_filters.py, C4BadWordsFilter, whose regular expression this is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.kernels import unicode_data
from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel
from pipelines.kernels.unicode import ALPHA, character_classes, lower_deltas
from pipelines.kernels.words import byte_at, decode, encode

__all__ = ["Automaton", "count_listed_words", "listed_words", "make_automaton", "word_characters"]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
I32s = npt.NDArray[np.int32]

_DELTAS = "Array(int32, 1, 'C', readonly=True)"

# The general categories Nl and No of Unicode 14.0.0, which str.isnumeric accepts beside Nd.
OTHER_NUMBERS = """
B2-B3 B9-B9 BC-BE 9F4-9F9 B72-B77 BF0-BF2 C78-C7E D58-D5E D70-D78 F2A-F33 1369-137C 16EE-16F0 17F0-17F9 19DA-19DA
2070-2070 2074-2079 2080-2089 2150-2182 2185-2189 2460-249B 24EA-24FF 2776-2793 2CFD-2CFD 3007-3007 3021-3029
3038-303A 3192-3195 3220-3229 3248-324F 3251-325F 3280-3289 32B1-32BF A6E6-A6EF A830-A835 10107-10133 10140-10178
1018A-1018B 102E1-102FB 10320-10323 10341-10341 1034A-1034A 103D1-103D5 10858-1085F 10879-1087F 108A7-108AF
108FB-108FF 10916-1091B 109BC-109BD 109C0-109CF 109D2-109FF 10A40-10A48 10A7D-10A7E 10A9D-10A9F 10AEB-10AEF
10B58-10B5F 10B78-10B7F 10BA9-10BAF 10CFA-10CFF 10E60-10E7E 10F1D-10F26 10F51-10F54 10FC5-10FCB 11052-11065
111E1-111F4 1173A-1173B 118EA-118F2 11C5A-11C6C 11FC0-11FD4 12400-1246E 16B5B-16B61 16E80-16E96 1D2E0-1D2F3
1D360-1D378 1E8C7-1E8CF 1EC71-1ECAB 1ECAD-1ECAF 1ECB1-1ECB4 1ED01-1ED2D 1ED2F-1ED3D 1F100-1F10C
"""


class Automaton(NamedTuple):
    """The words of a list, as `count_listed_words` looks for them."""

    symbols: Bytes
    moves: I32s
    sizes: I32s
    shorter: I32s


@cache
def word_characters() -> Bytes:
    r"""Which code points `\w` accepts: uint8[0x110000], 0 or 1."""
    found: Bytes = (character_classes() & ALPHA != 0).astype(np.uint8)
    for first, last in (item.split("-") for item in (unicode_data.DECIMAL + OTHER_NUMBERS).split()):
        found[int(first, 16) : int(last, 16) + 1] = 1
    found[ord("_")] = 1
    found.flags.writeable = False
    return found


def make_automaton(words: Collection[str]) -> Automaton:
    """The automaton of words, none of them empty; state 0 is the start."""
    spelt = sorted(word.encode() for word in words)
    used = sorted(set(b"".join(spelt)))
    symbols = np.zeros(256, np.uint8)
    symbols[used] = np.arange(1, len(used) + 1)
    moves, sizes = [[-1] * (len(used) + 1)], [0]
    for word in spelt:
        state = 0
        for symbol in symbols[list(word)].tolist():
            if moves[state][symbol] < 0:
                moves[state][symbol] = len(moves)
                moves.append([-1] * (len(used) + 1))
                sizes.append(0)
            state = moves[state][symbol]
        sizes[state] = len(word)
    shorter = _complete(moves, sizes)
    return Automaton(
        symbols, np.array(moves, np.int32), np.array(sizes, np.int32), np.array(shorter, np.int32)
    )


def _complete(moves: list[list[int]], sizes: list[int]) -> list[int]:
    """Gives every state its missing moves, and returns for each the state of the next shorter word, 0 for none."""
    fallback, shorter = [0] * len(moves), [0] * len(moves)
    waiting = deque([0])
    while waiting:
        state = waiting.popleft()
        back = fallback[state]
        shorter[state] = back if sizes[back] else shorter[back]
        for symbol, target in enumerate(moves[state]):
            other = moves[back][symbol] if state else 0
            if target < 0:
                moves[state][symbol] = max(other, 0)
            else:
                fallback[target] = max(other, 0)
                waiting.append(target)
    return shorter


@inline
def _lowered(data: Bytes, at: int, end: int, lower: I32s, out: Bytes) -> int:
    """Writes a text in lower case; returns how many bytes that is."""
    length = 0
    while at < end:
        byte = byte_at(data, at)
        if byte < 0x80:
            out[length] = byte + 32 if 65 <= byte <= 90 else byte
            length += 1
            at += 1
        else:
            point, at = decode(data, at, end)
            length = encode(out, length, point + lower[point])
    return length


@inline
def _is_word(text: Bytes, at: int, end: int, is_word: Bytes) -> bool:
    """Whether the character at byte `at`, if there is one, is a word character."""
    if at < 0 or at >= end:
        return False
    while at > 0 and byte_at(text, at) & 0xC0 == 0x80:
        at -= 1
    point, _ = decode(text, at, end)
    return byte_at(is_word, point) != 0


@kernel(
    f"int64[::1]({BYTES}, {OFFSETS}, {_DELTAS}, {BYTES}, {BYTES}, int32[:, ::1], int32[::1], int32[::1], int64)"
)
def count_listed_words(
    data: Bytes, offsets: Offsets, lower: I32s, is_word: Bytes,
    symbols: Bytes, moves: I32s, sizes: I32s, shorter: I32s, alone: int,
) -> Offsets:  # fmt: skip
    """Places at which a listed word ends, `int64[n_docs]`; by itself if `alone`."""
    counts = np.zeros(len(offsets) - 1, np.int64)
    longest = 0
    for doc in range(len(counts)):
        longest = max(longest, offsets[doc + 1] - offsets[doc])
    text = np.empty(longest + longest // 2 + 4, np.uint8)  # "Ⱥ" has two bytes, "ⱥ" three
    for doc in range(len(counts)):
        end = _lowered(data, offsets[doc], offsets[doc + 1], lower, text)
        state = 0
        for at in range(end):
            state = moves[state, symbols[text[at]]]
            found = state if sizes[state] else shorter[state]
            if not found or (alone and _is_word(text, at + 1, end, is_word)):
                continue
            while found and alone and _is_word(text, at - sizes[found], end, is_word):
                found = shorter[found]
            counts[doc] += found > 0
    return counts


def listed_words(data: Bytes, offsets: Offsets, automaton: Automaton, *, alone: bool) -> Offsets:
    """`count_listed_words` with the tables of Unicode."""
    found: Offsets = count_listed_words(
        data, offsets, lower_deltas(), word_characters(), *automaton, int(alone)
    )
    return found
