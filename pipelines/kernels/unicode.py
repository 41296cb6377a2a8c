"""What a character is, and its lower case, as arrays that kernels index by code point.

    classes: uint8[0x110000]     bits SPACE, ALPHA, PUNCT, UNSPACED
    lower: int32[0x110000]       what to add to a code point for its simple lower case, 0 for most

The Unicode version is fixed in `unicode_data.py`, whatever interpreter runs. The arrays are 5.5 MB of
address space but stay zero pages where no class is set: about 0.9 MB resident, made in 2 ms.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import numpy.typing as npt

from pipelines.kernels import unicode_data

__all__ = ["ALPHA", "PUNCT", "SPACE", "UNSPACED", "character_classes", "lower_deltas"]

SPACE = 1
ALPHA = 2
PUNCT = 4
UNSPACED = 8

# Blocks of scripts written without spaces between words: Thai and Lao, Myanmar, Khmer, kana, Han.
UNSPACED_BLOCKS = "E00-EFF 1000-109F 1780-17FF 3040-30FF 31F0-31FF 3400-4DBF 4E00-9FFF F900-FAFF 20000-323AF"

_N_CODE_POINTS = 0x110000


@cache
def character_classes() -> npt.NDArray[np.uint8]:
    """The classes of every code point, `uint8[0x110000]` of or-ed bits."""
    classes = np.zeros(_N_CODE_POINTS, np.uint8)
    ranges_of = {
        SPACE: unicode_data.WHITE_SPACE,
        ALPHA: unicode_data.ALPHABETIC,
        PUNCT: unicode_data.PUNCTUATION,
        UNSPACED: UNSPACED_BLOCKS,
    }
    for bit, ranges in ranges_of.items():
        for first, last in (item.split("-") for item in ranges.split()):
            classes[int(first, 16) : int(last, 16) + 1] |= bit
    classes.flags.writeable = False
    return classes


@cache
def lower_deltas() -> npt.NDArray[np.int32]:
    """The distance from every code point to its simple lower case, `int32[0x110000]`."""
    deltas = np.zeros(_N_CODE_POINTS, np.int32)
    for item in unicode_data.LOWER.split():
        first, last, step, delta = re.split(r"(?<=[0-9A-F])[-:]", item, maxsplit=3)
        deltas[int(first, 16) : int(last, 16) + 1 : int(step)] = int(delta)
    deltas.flags.writeable = False
    return deltas
