"""Slow, obvious twins of the kernels: one document at a time, Python strings, no shared code.

White space is spelled out because `str.split()` and `str.isspace()` know four more characters
(U+001C to U+001F) than the property White_Space.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x31F0, 0x31FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF),
)  # fmt: skip


def words(text: str) -> list[str]:
    return [word for word in re.split(f"[{WHITE_SPACE}]+", text) if word]


def ascii_lower(word: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in word)


def is_alphabetic(char: str) -> bool:
    return unicodedata.category(char)[0] == "L"


def lines(text: str) -> list[str]:
    pieces = text.split("\n")
    return pieces[:-1] if pieces[-1] == "" else pieces


def quality_counts(text: str) -> dict[str, int]:
    stripped = [line.strip(WHITE_SPACE) for line in lines(text)]
    return {
        "n_words": len(words(text)),
        "n_word_chars": sum(len(word) for word in words(text)),
        "n_alpha_words": sum(any(is_alphabetic(c) for c in word) for word in words(text)),
        "n_stop_words": len(STOP_WORDS & {ascii_lower(word) for word in words(text)}),
        "n_hashes": text.count("#"),
        "n_ellipses": text.count("...") + text.count("…"),
        "n_lines": len(stripped),
        "n_bullet_lines": sum(line.startswith(("•", "-")) for line in stripped),
        "n_ellipsis_lines": sum(line.endswith(("...", "…")) for line in stripped),
    }


def duplicates(pieces: list[str]) -> tuple[int, int]:
    seen: set[str] = set()
    n_duplicates = n_chars = 0
    for piece in pieces:
        if piece in seen:
            n_duplicates += 1
            n_chars += len(piece)
        seen.add(piece)
    return n_duplicates, n_chars


def top_n_gram_chars(split: list[str], n: int) -> int:
    grams = Counter(" ".join(split[i : i + n]) for i in range(len(split) - n + 1))
    if not grams:
        return 0
    gram, times = grams.most_common(1)[0]
    return len(gram) * times


def dup_n_gram_chars(split: list[str], n: int) -> int:
    seen: set[str] = set()
    n_chars = at = 0
    while at + n <= len(split):
        gram = "".join(split[at : at + n])
        if gram in seen:
            n_chars += len(gram)
            at += n
        else:
            seen.add(gram)
            at += 1
    return n_chars


def repetition_counts(text: str) -> dict[str, int]:
    return counts_over(words(text), text, newline=r"(?:\r?\n)", stripped=text.strip(WHITE_SPACE))


def counts_over(split: list[str], text: str, *, newline: str, stripped: str) -> dict[str, int]:
    text_lines = re.split(rf"{newline}+", text) if text else []
    paragraphs = re.split(rf"{newline}{{2,}}", stripped) if text else []
    n_dup_lines, n_dup_line_chars = duplicates(text_lines)
    n_dup_paragraphs, n_dup_paragraph_chars = duplicates(paragraphs)
    counts = {
        "n_chars": len(text),
        "n_lines": len(text_lines),
        "n_dup_lines": n_dup_lines,
        "n_dup_line_chars": n_dup_line_chars,
        "n_paragraphs": len(paragraphs),
        "n_dup_paragraphs": n_dup_paragraphs,
        "n_dup_paragraph_chars": n_dup_paragraph_chars,
    }
    counts |= {f"top_{n}_gram_chars": top_n_gram_chars(split, n) for n in (2, 3, 4)}
    return counts | {f"dup_{n}_gram_chars": dup_n_gram_chars(split, n) for n in range(5, 11)}


def is_punctuation(char: str) -> bool:
    return unicodedata.category(char)[0] == "P" or char in "$+<=>^`|~"


def simple_lower(char: str) -> str:
    return "i" if char == "İ" else char.lower()


def shingle_words(text: str) -> list[str]:
    found = [""]
    for char in text:
        if char in WHITE_SPACE or is_punctuation(char):
            found.append("")
        elif any(first <= ord(char) <= last for first, last in UNSPACED):
            found += [char, ""]
        else:
            found[-1] += simple_lower(char)
    return [word for word in found if word]


def shingles(text: str, n: int) -> list[bytes]:
    split = shingle_words(text)
    n = min(n, len(split))
    grams = [" ".join(split[i : i + n]) for i in range(len(split) - n + 1)] if split else []
    return [gram.encode() for gram in dict.fromkeys(grams)]
