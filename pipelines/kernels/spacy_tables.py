"""The rules of spaCy's blank English tokenizer as arrays that kernels index.

    classes: uint16[0x110000]     by code point: bits SPACE, ALPHA, LOWER, ...
    shapes: uint8[256]            by byte, for words of ASCII letters: LETTER, BLANK, MARK, DOT
    strings: uint64[N_SLOTS * 8]   every string with a rule of its own, a hash table of rows of a cache line:
                                  N_BYTES, RULE, PATTERN, AFTER_DIGIT and the text in four words, low byte first
    lengths: uint64[3 * 256]      by first byte: bit n where a string of n bytes starts so, for each of three columns
             ... + [512]          behind them, from SIEVE on: a bit for each hash of 15 bits that a string has
    hints: uint8[N_HINTS]         by the hash of a word's letters: is a look into `strings` worth it

RULE and PATTERN have bit k where a token starts at byte k, AFTER_DIGIT is 1; 0 is no such rule.
Made in 10 ms; the classes stay zero pages where no class is set, the rest is 300 kB.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.kernels import spacy_data

__all__ = [
    "AFTER_DIGIT",
    "ALNUM",
    "ALPHA",
    "BLANK",
    "DIGIT",
    "DOT",
    "DOT_BEFORE",
    "HINT_MARK",
    "HINT_WORD",
    "ICON",
    "LOWER",
    "MARK",
    "MAX_PATTERN",
    "MAX_TEXT",
    "MIX",
    "N_BYTES",
    "N_SLOTS",
    "PATTERN",
    "PREFIX",
    "QUOTE",
    "RULE",
    "SIEVE",
    "SPACE",
    "SUFFIX",
    "TEXT",
    "UPPER",
    "WORD",
    "SpacyTables",
    "spacy_tables",
]

CLASSES = (
    "SPACE",
    "ALPHA",
    "LOWER",
    "UPPER",
    "QUOTE",
    "ICON",
    "PREFIX",
    "SUFFIX",
    "DOT_BEFORE",
    "DIGIT",
    "WORD",
)
SPACE, ALPHA, LOWER, UPPER, QUOTE, ICON, PREFIX, SUFFIX, DOT_BEFORE, DIGIT, WORD = (1 << k for k in range(11))
ALNUM, BLANK, MARK, DOT = 1, 2, 4, 8
# Columns of `strings`; TEXT is the first of four. For a Python int numba would compile `mark` once for each.
N_BYTES, RULE, PATTERN, AFTER_DIGIT, TEXT = (np.int64(column) for column in range(5))
HINT_WORD, HINT_MARK = 1, 2
N_SLOTS = 4096
N_HINTS = 1 << 14
SIEVE = 3 * 256  # 4 kB that stay in the cache, and spare most strings a look at 256 kB that do not
MAX_TEXT = 32  # bytes of the longest string
MAX_PATTERN = 12  # tokens of the longest pattern
MIX = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1


class SpacyTables(NamedTuple):
    """The arrays above, in the order that `spacy_words.cut_words` takes them."""

    classes: npt.NDArray[np.uint16]
    shapes: npt.NDArray[np.uint8]
    strings: npt.NDArray[np.uint64]
    lengths: npt.NDArray[np.uint64]
    hints: npt.NDArray[np.uint8]


def _classes() -> npt.NDArray[np.uint16]:
    classes = np.zeros(0x110000, np.uint16)
    for k, name in enumerate(CLASSES):
        for first, last in (item.split("-") for item in getattr(spacy_data, name).split()):
            classes[int(first, 16) : int(last, 16) + 1] |= 1 << k
    return classes


def _shapes(classes: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint8]:
    """MARK is what is cut off behind letters and digits whatever they are; a full stop only behind some."""
    shapes = np.zeros(256, np.uint8)
    for byte in range(128):
        shapes[byte] = ALNUM * chr(byte).isalnum() | BLANK * bool(classes[byte] & SPACE)
        shapes[byte] |= MARK * bool(classes[byte] & SUFFIX)
    shapes[ord(".")] = DOT
    return shapes


def _items(table: str) -> dict[bytes, list[bytes]]:
    """The tokens of each item of a generated table, and of its twin with the typographic apostrophe."""
    items = [item for text in table.split() for item in dict.fromkeys((text, text.replace("'", "’")))]
    return {item.replace("¦", "").encode(): item.encode().split("¦".encode()) for item in items}


def _starts(tokens: list[bytes] | None) -> int:
    """One bit for the first byte of each token; none for no tokens."""
    lengths = [len(token) for token in tokens or []]
    return sum(1 << start for start in itertools.accumulate(lengths[:-1], initial=0)) if lengths else 0


def _words(text: bytes) -> list[int]:
    """The text as four words of eight bytes, the first byte lowest."""
    return [int.from_bytes(text[at : at + 8], "little") for at in range(0, MAX_TEXT, 8)]


def _mixed(text: bytes) -> int:
    """The hash of which the first bits say where a text is looked for; `spacy_affixes.mark` computes the same."""
    return (_words(text)[0] * MIX & _WORD ^ len(text)) * MIX & _WORD


def _strings(rules: dict[bytes, list[bytes]], patterns: dict[bytes, list[bytes]]) -> npt.NDArray[np.uint64]:
    strings = np.zeros((N_SLOTS, 8), np.uint64)
    after_digit = {text.encode() for text in spacy_data.AFTER_DIGIT.split()}
    for text in sorted({*rules, *after_digit}):
        assert len(text) <= MAX_TEXT, "the kernel looks no longer string up"
        slot = _mixed(text) >> 52
        while strings[slot, N_BYTES]:
            slot = (slot + 1) % N_SLOTS
        starts = _starts(rules.get(text)), _starts(patterns.get(text))
        strings[slot] = [len(text), *starts, text in after_digit, *_words(text)]
    return strings


def _lengths(strings: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    lengths, sieve = np.zeros((3, 256), np.uint64), np.zeros(512, np.uint64)
    for row in strings[strings[:, N_BYTES] > 0]:
        text = row[TEXT:].tobytes()[: int(row[N_BYTES])]
        for k, column in enumerate((RULE, PATTERN, AFTER_DIGIT)):
            if row[column]:
                lengths[k, text[0]] |= np.uint64(1 << len(text))
        sieve[_mixed(text) >> 55] |= np.uint64(1 << (_mixed(text) >> 49 & 63))
    return np.concatenate([lengths.ravel(), sieve])


def _hints(rules: dict[bytes, list[bytes]], shapes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    hints = np.zeros(N_HINTS, np.uint8)
    for text, tokens in rules.items():
        marked = bool(shapes[text[-1]] & (MARK | DOT))
        stem = text[:-1] if marked else text
        if stem.isalnum() and stem.isascii() and (marked or len(tokens) > 1):
            packed = int.from_bytes(stem[:8], "little")
            hints[(packed * MIX & _WORD) >> 50] |= HINT_MARK if marked else HINT_WORD
    return hints


@cache
def spacy_tables() -> SpacyTables:
    """The tables, made once for each process; none of them is to be written to."""
    rules, patterns = _items(spacy_data.SPECIALS), _items(spacy_data.PATTERNS)
    classes, strings = _classes(), _strings(rules, patterns)
    shapes = _shapes(classes)
    tables = SpacyTables(classes, shapes, strings.ravel(), _lengths(strings), _hints(rules, shapes))
    for array in tables:
        array.flags.writeable = False
    return tables
