r"""Where lines and sentences end, as Python, datatrove and spaCy see it: one class table for their rules.

    classes: uint8[0x110000]     bits SPACE, ALPHA, PUNCT as `unicode` has them, but for what is said here,
                                 and LINE_END, TERMINAL, SENTENCE_END

- SPACE is what `str.split` and `str.strip` take for white space: White_Space and U+001C to U+001F;
- PUNCT are the general categories P* alone: `$ + < = > ^ ` | ~` are symbols to spaCy;
- LINE_END is where `str.splitlines` cuts; "\r\n" is one end, which the kernels see to;
- TERMINAL ends a line in FineWeb's rule: datatrove's TERMINAL_PUNCTUATION, 159 characters. It is no
  property of Unicode: of 15.0's 172 with Sentence_Terminal it lacks U+2024, U+FE12 and a dozen more, and it
  has the Khmer signs U+17D6, U+17D9 and U+17DA beside them;
- SENTENCE_END ends a sentence for spaCy's sentencizer: 128 characters, all of them TERMINAL.

Two ways to count sentences:

    words "spaces"   "Mr. X paid 3.5. Good..."     2: a mark ends one where white space follows it and its
                                                   closing marks; full stops in a row end none
    words "spacy"    the sentencizer's own rule over spaCy's words, "Mr." being one word that ends nothing

Price: 1.1 MB of table, made once in 3 ms.

Source: datatrove 0.10.1, utils/text.py; spaCy 3.8, pipeline/sentencizer.pyx; the Python library, str.splitlines.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from pipelines.kernels.unicode import PUNCT, SPACE, character_classes

__all__ = ["LINE_END", "SENTENCE_END", "TERMINAL", "text_classes"]

TERMINAL = 16
SENTENCE_END = 32
LINE_END = 64

SYMBOLS = "$+<=>^`|~"
LINE_ENDS = "A-D 1C-1E 85-85 2028-2029"
TERMINAL_MARKS = """
21-21 2E-2E 3F-3F 589-589 61D-61F 6D4-6D4 700-702 7F9-7F9 837-837 839-839 83D-83E 964-965 104A-104B 1362-1362
1367-1368 166E-166E 1735-1736 17D4-17D6 17D9-17DA 1803-1803 1809-1809 1944-1945 1AA8-1AAB 1B5A-1B5B 1B5E-1B5F
1B7D-1B7E 1C3B-1C3C 1C7E-1C7F 203C-203D 2047-2049 2E2E-2E2E 2E3C-2E3C 2E53-2E54 3002-3002 A4FF-A4FF A60E-A60F
A6F3-A6F3 A6F7-A6F7 A876-A877 A8CE-A8CF A92F-A92F A9C8-A9C9 AA5D-AA5F AAF0-AAF1 ABEB-ABEB FE52-FE52 FE56-FE57
FF01-FF01 FF0E-FF0E FF1F-FF1F FF61-FF61 10A56-10A57 10F55-10F59 10F86-10F89 11047-11048 110BE-110C1 11141-11143
111C5-111C6 111CD-111CD 111DE-111DF 11238-11239 1123B-1123C 112A9-112A9 1144B-1144C 115C2-115C3 115C9-115D7
11641-11642 1173C-1173E 11944-11944 11946-11946 11A42-11A43 11A9B-11A9C 11C41-11C42 11EF7-11EF8 11F43-11F44
16A6E-16A6F 16AF5-16AF5 16B37-16B38 16B44-16B44 16E98-16E98 1BC9F-1BC9F 1DA88-1DA88
"""
ENDS_NO_SENTENCE = """
61D-61E 837-837 839-839 83D-83E 17D4-17D6 17D9-17DA 1B7D-1B7E 2E53-2E54 10F55-10F59 10F86-10F89 11944-11944
11946-11946 11EF7-11EF8 11F43-11F44 16E98-16E98
"""


def _mark(classes: npt.NDArray[np.uint8], ranges: str, bits: int) -> None:
    for first, last in (item.split("-") for item in ranges.split()):
        classes[int(first, 16) : int(last, 16) + 1] |= bits


@cache
def text_classes() -> npt.NDArray[np.uint8]:
    """The classes of every code point, `uint8[0x110000]` of or-ed bits."""
    classes = character_classes().copy()
    _mark(classes, "1C-1F", SPACE)
    _mark(classes, LINE_ENDS, LINE_END)
    _mark(classes, TERMINAL_MARKS, TERMINAL | SENTENCE_END)
    for first, last in (item.split("-") for item in ENDS_NO_SENTENCE.split()):
        classes[int(first, 16) : int(last, 16) + 1] &= 0xFF ^ SENTENCE_END
    for symbol in SYMBOLS:
        classes[ord(symbol)] &= 0xFF ^ PUNCT
    classes.flags.writeable = False
    return classes
