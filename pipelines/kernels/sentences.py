r"""Where lines and sentences end, as Python, datatrove and spaCy see it: one class table for their rules.

    classes: uint8[0x110000]     bits SPACE, ALPHA, PUNCT as `unicode` has them, but for what is said here,
                                 and LINE_END, TERMINAL, SENTENCE_END, DIGIT

- SPACE is what `str.split` and `str.strip` take for white space: White_Space and U+001C to U+001F;
- PUNCT are the general categories P* alone: `$ + < = > ^ ` | ~` are symbols to spaCy;
- DIGIT are the general category Nd, the decimal digits of every script;
- LINE_END is where `str.splitlines` cuts; "\r\n" is one end, which the kernels see to;
- TERMINAL ends a line in FineWeb's rule: datatrove's TERMINAL_PUNCTUATION, 159 characters. It is no
  property of Unicode: of 15.0's 172 with Sentence_Terminal it lacks U+2024, U+FE12 and a dozen more, and it
  has the Khmer signs U+17D6, U+17D9 and U+17DA beside them;
- SENTENCE_END ends a sentence for spaCy's sentencizer: 128 characters, all of them TERMINAL.

Three ways to count sentences:

    words "spaces"   "Mr. X paid 3.5. Good..."     2: a mark ends one where white space follows it and its
                                                   closing marks; full stops in a row end none
    words "spacy"    the sentencizer's own rule over spaCy's words, "Mr." being one word that ends nothing
    words "light"    "3.5 m.去吗?好"             3: a mark of any script ends one unless it stands inside a word;
                                                   what holds no word is none

Price: 1.1 MB of table, made once in 3 ms.

Source: datatrove 0.10.1, utils/text.py; spaCy 3.8, pipeline/sentencizer.pyx; the Python library, str.splitlines.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from pipelines.kernels import unicode_data
from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel, pointer
from pipelines.kernels.lanes import ALL, N_LANES, between, first_bit
from pipelines.kernels.unicode import PUNCT, SPACE, character_classes
from pipelines.kernels.words import byte_at, decode

__all__ = [
    "DIGIT",
    "LINE_END",
    "SENTENCE_END",
    "TERMINAL",
    "count_light_sentences",
    "count_sentences",
    "count_spacy_sentences",
    "find_spacy_sentences",
    "line_ends",
    "line_stop",
    "next_sentence",
    "text_classes",
]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]

TERMINAL = 16
SENTENCE_END = 32
LINE_END = 64
DIGIT = 128

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


def _mark(classes: Bytes, ranges: str, bits: int) -> None:
    for first, last in (item.split("-") for item in ranges.split()):
        classes[int(first, 16) : int(last, 16) + 1] |= bits


@cache
def text_classes() -> Bytes:
    """The classes of every code point, `uint8[0x110000]` of or-ed bits."""
    classes = character_classes().copy()
    _mark(classes, "1C-1F", SPACE)
    _mark(classes, LINE_ENDS, LINE_END)
    _mark(classes, unicode_data.DECIMAL, DIGIT)
    _mark(classes, TERMINAL_MARKS, TERMINAL | SENTENCE_END)
    for first, last in (item.split("-") for item in ENDS_NO_SENTENCE.split()):
        classes[int(first, 16) : int(last, 16) + 1] &= 0xFF ^ SENTENCE_END
    for symbol in SYMBOLS:
        classes[ord(symbol)] &= 0xFF ^ PUNCT
    classes.flags.writeable = False
    return classes


@inline
def count_sentences(data: Bytes, at: int, end: int, classes: Bytes) -> tuple[int, int, int]:
    """The sentences of one line, by white space; where the line stops, and where the next one starts.

    A mark of ASCII ends a sentence if white space follows it and what closes it; two full stops in a row end
    none; a mark of another script always does. A line of white space has no sentence.
    """
    n_sentences = 0
    ended, ending = True, False  # whether what comes next begins one; whether it does after white space
    before = 0
    while at < end:
        point = byte_at(data, at)
        if point < 0x80:
            after = at + 1
        else:
            point, after = decode(data, at, end)
        kind = byte_at(classes, point)
        if not kind & (SPACE | PUNCT):
            n_sentences += ended
            ended = ending = False
        elif kind & SPACE:
            ended |= ending
            if kind & LINE_END:
                stop = at
                if point == 13 and after < end and byte_at(data, after) == 10:
                    after += 1
                return n_sentences, stop, after
        elif kind & SENTENCE_END:
            if point == 46:
                follows = after < end and byte_at(data, after) == 46
                ending |= not (follows or before == 46)
            elif point < 0x80:
                ending = True
            else:
                ended = True
        before = point
        at = after
    return n_sentences, end, end


@inline
def line_ends(data: Bytes, at: int, end: int, n_readable: int) -> np.uint64:
    """Which of the 64 bytes from `at` on, and before `end`, may begin a line end; those from 0x80 on are to be decoded.

    data: a pointer to `n_readable` bytes, 64 or more.
    """
    place = min(at, n_readable - N_LANES)
    found = between(data, place, 10, 13) | between(data, place, 28, 30)
    found |= between(data, place, 0xC2, 0xC2) | between(data, place, 0xE2, 0xE2)
    found >>= np.uint64(at - place)
    return found & ~(ALL << np.uint64(end - at)) if at + N_LANES > end else found


@inline
def line_stop(data: Bytes, at: int, end: int, n_readable: int, classes: Bytes) -> int:
    """The byte at which the line that byte `at` is in ends."""
    while at < end:
        found = line_ends(data, at, end, n_readable)
        while found:
            stop = at + first_bit(found)
            if byte_at(classes, decode(data, stop, end)[0]) & LINE_END:
                return stop
            found &= found - np.uint64(1)
        at += N_LANES
    return end


@inline
def _is_punctuation(data: Bytes, start: int, stop: int, classes: Bytes) -> bool:
    while start < stop:
        point, start = decode(data, start, stop)
        if not byte_at(classes, point) & PUNCT:
            return False
    return True


@inline
def _is_end_mark(data: Bytes, start: int, stop: int, classes: Bytes) -> bool:
    """Whether a token is one character that ends a sentence."""
    point, after = decode(data, start, stop)
    return after == stop and byte_at(classes, point) & SENTENCE_END != 0


@inline
def _is_space_token(data: Bytes, start: int, stop: int) -> bool:
    """Whether white space between words is a token to spaCy: all but nothing and one blank."""
    return stop - start > 1 or (stop - start == 1 and byte_at(data, start) != 32)


@inline
def next_sentence(
    data: Bytes, at: int, stop: int, word: int, last_word: int, classes: Bytes, starts: Offsets, ends: Offsets
) -> tuple[int, int]:
    """Where the sentence that begins at byte `at` ends, `stop` at most, and the first word behind it.

    starts, ends: spaCy's words; those from `word` to `last_word` may be in it. The next sentence begins with the first
    token behind a mark that is no punctuation, be it white space; a mark is a word of its own.
    """
    ended = False
    while word < last_word and starts[word] < stop:
        first, last = starts[word], ends[word]
        if ended and _is_space_token(data, at, first):
            return at, word
        if last - first <= 4 and _is_end_mark(data, first, last, classes):
            ended = True
        elif ended and not _is_punctuation(data, first, last, classes):
            return first, word
        at = last
        word += 1
    return at if ended and _is_space_token(data, at, stop) else stop, word


@kernel(f"int64[::1]({BYTES}, {OFFSETS}, {BYTES}, {OFFSETS}, {OFFSETS}, {OFFSETS})")
def count_spacy_sentences(
    data: Bytes, offsets: Offsets, classes: Bytes, starts: Offsets, ends: Offsets, word_offsets: Offsets
) -> Offsets:
    """Sentences of each document, `int64[n_docs]`: the sentencizer's, line by line, at least one a line.

    data: at least 64 bytes. starts, ends, word_offsets: spaCy's words, as `spacy_words` gives them.
    """
    n_readable = len(data)
    data, classes, starts, ends = pointer(data), pointer(classes), pointer(starts), pointer(ends)
    counts = np.zeros(len(offsets) - 1, np.int64)
    for doc in range(len(counts)):
        at, end = offsets[doc], offsets[doc + 1]
        word, last_word = word_offsets[doc], word_offsets[doc + 1]
        while at < end:
            stop = line_stop(data, at, end, n_readable, classes)
            n_sentences = 0
            while at < stop or not n_sentences:
                at, word = next_sentence(data, at, stop, word, last_word, classes, starts, ends)
                n_sentences += 1
            counts[doc] += n_sentences
            if stop < end:
                point, at = decode(data, stop, end)
                if point == 13 and at < end and byte_at(data, at) == 10:
                    at += 1
            else:
                at = end
    return counts


@kernel(f"int64[::1]({BYTES}, {OFFSETS}, {BYTES}, {OFFSETS}, {OFFSETS}, {OFFSETS})")
def find_spacy_sentences(
    data: Bytes, offsets: Offsets, classes: Bytes, starts: Offsets, ends: Offsets, word_offsets: Offsets
) -> Offsets:
    """The bytes at which sentences end, one document's after another's; between them they hold every byte.

    starts, ends, word_offsets: spaCy's words. Lines end no sentence; the last may be white space.
    """
    n_most = len(offsets) + len(starts)
    data, classes, starts, ends = pointer(data), pointer(classes), pointer(starts), pointer(ends)
    stops, n = np.empty(n_most, np.int64), 0
    for doc in range(len(offsets) - 1):
        at, end = offsets[doc], offsets[doc + 1]
        word, last_word = word_offsets[doc], word_offsets[doc + 1]
        while at < end:
            at, word = next_sentence(data, at, end, word, last_word, classes, starts, ends)
            stops[n] = at
            n += 1
    return stops[:n].copy()


@inline
def _ends_sentence(data: Bytes, at: int, stop: int, classes: Bytes) -> bool:
    """Whether what stands between two words ends a sentence."""
    while at < stop:
        point, at = decode(data, at, stop)
        if byte_at(classes, point) & (SENTENCE_END | LINE_END):
            return True
    return False


@kernel(f"int64[::1]({BYTES}, {OFFSETS}, {BYTES}, {OFFSETS}, {OFFSETS}, {OFFSETS})")
def count_light_sentences(
    data: Bytes, offsets: Offsets, classes: Bytes, starts: Offsets, ends: Offsets, word_offsets: Offsets
) -> Offsets:
    """Sentences of each document, `int64[n_docs]`: stretches with a word in them, between marks and line ends.

    starts, ends, word_offsets: light words, as `word_spans` gives them.
    """
    data, classes, starts, ends = pointer(data), pointer(classes), pointer(starts), pointer(ends)
    counts = np.zeros(len(offsets) - 1, np.int64)
    for doc in range(len(counts)):
        first = word_offsets[doc]
        n_sentences = int(first < word_offsets[doc + 1])
        for word in range(first + 1, word_offsets[doc + 1]):
            before, at = ends[word - 1], starts[word]
            if at > before and not (at - before == 1 and byte_at(data, before) == 32):
                n_sentences += _ends_sentence(data, before, at, classes)
        counts[doc] = n_sentences
    return counts
