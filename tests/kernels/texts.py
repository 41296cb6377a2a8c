"""Texts for the kernel tests: hypothesis strategies and synthetic documents of ten scripts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

SCRIPTS = {
    "Latin": (0x61, 0x7A), "Accented": (0xC0, 0x17F), "Greek": (0x391, 0x3C9), "Cyrillic": (0x410, 0x44F),
    "Han": (0x4E00, 0x4FFF), "Arabic": (0x621, 0x64A), "Devanagari": (0x905, 0x94D),
    "Thai": (0xE01, 0xE3A), "Hangul": (0xAC00, 0xAD00), "Emoji": (0x1F600, 0x1F64F),
}  # fmt: skip
SPACES = [" ", " ", " ", " ", "\n", "\n\n", "\r\n", ". ", ", ", "\u3000", "\u2028", " - ", "...", "。"]

# What the rules look at, so that random texts meet it: stop words, symbols, odd spaces, odd cases.
_PIECES = st.sampled_from(
    ["the", "The", "BE", "of,", "and", "that", "have", "with", "a", "b", "ab", "#", "…", "...", "....", "..",
     ".", "•", "-", " ", "\n", "\n\n", "\r\n", "\r", "\t", "\x1c", "\x85", "\u3000", "\u2028", "İ", "ß", "Σ",
     "ς", "\u212a", "Ⱥ", "中", "文", "ไ", "ท", "é", "e\u0301", "\x00", "\ufffd", "😀", "_", "$", "“", "”"]
)  # fmt: skip
_RANDOM = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
_PIECED = st.lists(_PIECES, max_size=60).map("".join)
_SPACED = st.lists(_PIECES, max_size=60).map(" ".join)

# Few words, many times, some of which joined are others, and words on both sides of 8 and of 16 bytes.
_AGAIN = st.sampled_from(
    ["a", "b", "ab", "ba", "a\x00", "éé", "seven77", "eight888", "nine99999", "fifteen-bytes-15", "sixteen-bytes-16",
     "seventeen-bytes-17", "seventeen-bytes-18", "an-even-longer-word-of-34-bytes-34", "\n", "\n\n", "\r\n", "\u2003"]
)  # fmt: skip
repetitive_texts = st.tuples(
    st.lists(_AGAIN, max_size=12), st.lists(_AGAIN, max_size=60), st.integers(0, 4)
).map(lambda parts: " ".join((parts[0] + parts[1]) + parts[0] * parts[2]))

texts = _RANDOM | _PIECED | _SPACED
documents = st.lists(texts, max_size=6)


def as_arrays(docs: Sequence[str | bytes]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The documents as kernels take them: `data: uint8[n_bytes]`, `offsets: int64[n_docs + 1]`."""
    encoded = [doc.encode() if isinstance(doc, str) else doc for doc in docs]
    offsets = np.cumsum([0, *(len(doc) for doc in encoded)], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), offsets


def synthetic_documents(n_docs: int, *, seed: int) -> list[str]:
    """Documents of 0 to 300 words, each in one of ten scripts with now and then a word of another."""
    rng = np.random.default_rng(seed)
    names = list(SCRIPTS)
    return [_document(rng, names, names[i % len(names)]) for i in range(n_docs)]


def _document(rng: np.random.Generator, names: list[str], script: str) -> str:
    words = []
    for _ in range(int(rng.integers(0, 301)) if rng.random() > 0.05 else int(rng.integers(0, 6))):
        first, last = SCRIPTS[script if rng.random() < 0.9 else names[rng.integers(len(names))]]
        word = "".join(map(chr, rng.integers(first, last + 1, int(rng.integers(1, 9)))))
        words.append(word.upper() if rng.random() < 0.1 else word)
    return "".join(word + SPACES[rng.integers(len(SPACES))] for word in words)
