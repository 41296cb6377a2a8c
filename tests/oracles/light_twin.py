"""The slow, obvious twin of `kernels/light_words.py`: characters, categories and regular expressions."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

HAN_AND_HIRAGANA = (
    (0x3005, 0x3007), (0x3041, 0x309F), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF),
    (0x1B001, 0x1B11F), (0x1B150, 0x1B152), (0x20000, 0x323AF),
)  # fmt: skip
SOUTH_EAST_ASIA = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF),
    (0xA9E0, 0xA9FF), (0xAA60, 0xAADF), (0x11700, 0x1174F),
)  # fmt: skip
CONTINUES = "\u00ad\u200c\u200d\u2060ー\uff70\uff9e\uff9f"
STACKS = "\u17d2\u1039\u1a60"


@cache
def kind(char: str) -> str:
    """h, s: letters of scripts in grams; l: other letters and numbers; d: digits; e: marks; j, c: joins; else "."."""
    category = unicodedata.category(char)
    if category[0] == "M" or char in CONTINUES:
        return "e"
    if category == "Nd":
        return "d"
    if category[0] in "LN":
        for name, blocks in (("h", HAN_AND_HIRAGANA), ("s", SOUTH_EAST_ASIA)):
            if any(first <= ord(char) <= last for first, last in blocks):
                return name
        return "l"
    return "j" if char in "'’.·_" else "c" if char == "," else "."


def words(text: str) -> list[str]:
    kinds = "".join(map(kind, text))
    found = []
    for match in re.finditer(r"[ld](?:[lde]|j(?=[ld])|(?<=d)c(?=d))*|h[he]*|s[se]*", kinds):
        piece = text[match.start() : match.end()]
        found += grams(piece, kinds[match.start()]) if match[0][0] in "hs" else [piece]
    return found


def grams(run: str, script: str) -> list[str]:
    """A run of letters and marks of a script without spaces, cut where two letters are not bonded."""
    most, share = (2, 5) if script == "h" else (4, 7)
    found: list[list[str]] = []
    before = ""
    for char in run:
        if kind(char) == "e" or (before and before in STACKS):
            found[-1][-1] += char
        elif before and len(found[-1]) < most and bond(before, char) < share:
            found[-1].append(char)
        else:
            found.append([char])
        before = char
    return ["".join(letters) for letters in found]


def bond(before: str, char: str) -> int:
    return ((ord(before) << 21 | ord(char)) * 0x9E3779B97F4A7C15 & 2**64 - 1) >> 61
