"""The slow, obvious twin of `kernels/sketches.py`: Python's integers, a word at a time."""

from __future__ import annotations

from tests.oracles.kernel_twins import shingle_words

MASK64, MASK32 = (1 << 64) - 1, (1 << 32) - 1
BASE, K1, K2 = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F


def hash_word(word: str) -> int:
    raw = word.encode()
    value = len(raw) * K2 & MASK64
    for at in range(0, len(raw), 8):
        value = (value ^ int.from_bytes(raw[at : at + 8], "little")) * K1 & MASK64
        value ^= value >> 32
    return value * K2 & MASK64


def shingle_hashes(text: str, n_gram: int) -> list[int]:
    words = [hash_word(word) for word in shingle_words(text)]
    width = min(n_gram, len(words))
    return [mix(words[at : at + width]) for at in range(len(words) - width + 1)] if words else []


def mix(words: list[int]) -> int:
    value = 0
    for word in words:
        value = (value * BASE + word) & MASK64
    value = (value ^ value >> 32) * K1 & MASK64
    value = (value ^ value >> 32) * K2 & MASK64
    return value >> 32


def signature(text: str, n_gram: int, a: list[int], b: list[int]) -> list[int]:
    hashes = shingle_hashes(text, n_gram)
    return [min(((x * h + y) & MASK32 for h in hashes), default=MASK32) for x, y in zip(a, b, strict=True)]
