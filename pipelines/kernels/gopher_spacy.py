r"""Counts behind Gopher's quality rules over words that are given, spaCy's as datatrove takes them or light ones.

    "The end... - of\x85it!"      tokens  The | end | ... | - | of | it | !
      n_tokens 7, n_words 4, n_word_chars 10 (three tokens hold symbols only)
      n_alpha_words 4, n_stop_words 1 ("of"; "The" is not "the"), n_lines 2, n_ellipses 1

Where this differs from `gopher`, which counts runs of non-white space and lines at "\n":

- a word is a token with a character that is not one of datatrove's PUNCTUATION_SET, and its characters
  all count; hashes, ellipses and alphabetic words are shares of all tokens;
- stop words match in their own case;
- lines end where `str.splitlines` ends them, and white space is what `str.strip` takes for it.

Over light words (`light_words`) only the last holds: every word has a letter or a number and so counts, none is a
symbol, stop words match in any case of ASCII, and those of one letter within a gram of Han or hiragana too.

Price on one core: 110 to 150 MB/s of English, 200 of Chinese; spaCy's words are two thirds of it. Over light words
220 to 290 and 80.

Source: datatrove 0.10.1, pipeline/filters/gopher_quality_filter.py and utils/text.py
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
import numpy.typing as npt

from pipelines.kernels.gopher import QUALITY_COUNTS, STOP_WORDS, lower_ascii, n_bits, stop_table
from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel, pointer
from pipelines.kernels.lanes import ALL, N_LANES, between, first_bit, n_bits_set, readable
from pipelines.kernels.light_words import PAIRED, light_classes
from pipelines.kernels.sentences import LINE_END, TERMINAL, text_classes
from pipelines.kernels.spacy_affixes import decode_back
from pipelines.kernels.unicode import ALPHA, SPACE
from pipelines.kernels.word_spans import CutWords, word_groups
from pipelines.kernels.words import byte_at, decode

__all__ = ["SPACY_QUALITY_COUNTS", "count_spacy_quality", "light_quality_counts", "spacy_quality_counts"]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

SPACY_QUALITY_COUNTS = (
    "n_tokens",
    "n_words",
    "n_word_chars",
    "n_alpha_words",
    "n_stop_words",
    "n_hashes",
    "n_ellipses",
    "n_lines",
    "n_bullet_lines",
    "n_ellipsis_lines",
)

N_LENGTHS = 1 << 10  # bytes of a stop word, and one more

# datatrove's PUNCTUATION without its controls: a choice of its own, a full-width 1 among them.
SYMBOLS = "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"
CONTROLS = (*range(9), 11, 12, *range(13, 32), *range(127, 160))

_SPACE, _ALPHA, _SYMBOL, _LINE_END, _PAIRED = 1, 2, 4, 8, 16


@cache
def gopher_classes() -> Bytes:
    """The classes of every code point for these counts, `uint8[0x110000]`."""
    told = text_classes()
    classes = np.zeros(len(told), np.uint8)
    for bit, ours in ((SPACE, _SPACE), (ALPHA, _ALPHA), (TERMINAL, _SYMBOL), (LINE_END, _LINE_END)):
        classes[told & bit != 0] |= ours
    classes[[*map(ord, SYMBOLS), *CONTROLS]] |= _SYMBOL
    classes.flags.writeable = False
    return classes


@cache
def light_quality_classes() -> Bytes:
    """The same without symbols, which no light word consists of, and with the letters of grams of one or two."""
    classes = gopher_classes() & np.uint8(0xFF ^ _SYMBOL)
    classes[light_classes() & PAIRED != 0] |= _PAIRED
    classes.flags.writeable = False
    return classes


@inline
def _n_chars(data: Bytes, start: int, stop: int) -> int:
    n_chars = 0
    for at in range(start, stop):
        n_chars += byte_at(data, at) & 0xC0 != 0x80
    return n_chars


@inline
def _n_doc_chars(data: Bytes, start: int, stop: int, n_readable: int) -> int:
    """`_n_chars` of many bytes, 64 at a time."""
    n_tails, at = 0, start
    while at < stop:
        place = min(at, n_readable - N_LANES)
        tails = between(data, place, 0x80, 0xBF) >> np.uint64(at - place)
        if at + N_LANES > stop:
            tails &= ~(ALL << np.uint64(stop - at))
        n_tails += n_bits_set(tails)
        at += N_LANES
    return stop - start - n_tails


@inline
def _told(data: Bytes, at: int, end: int, n_readable: int) -> np.uint64:
    """Which of the 64 bytes from `at` on, and before `end`, begin # . … or a line end."""
    place = min(at, n_readable - N_LANES)
    told = between(data, place, 35, 35) | between(data, place, 46, 46) | between(data, place, 10, 13)
    told |= between(data, place, 28, 30) | between(data, place, 0xC2, 0xC2) | between(data, place, 0xE2, 0xE2)
    told >>= np.uint64(at - place)
    return told & ~(ALL << np.uint64(end - at)) if at + N_LANES > end else told


@inline
def _lower(byte: int, fold: int) -> int:
    """The byte of ASCII's lower case if `fold` is 32, the byte itself if it is 0."""
    return byte + fold if 65 <= byte <= 90 else byte


@inline
def _stop_word_bit(
    data: Bytes, start: int, stop: int, candidates: np.uint64, stops: Bytes, stop_ends: Offsets, fold: int
) -> np.uint64:
    """The bit of the stop word that a token is, 0 for others. candidates: stop words of its length, as bits."""
    while candidates:
        index = first_bit(candidates)
        first = stop_ends[index] - (stop - start)
        k = 0
        while k < stop - start and _lower(byte_at(data, start + k), fold) == byte_at(stops, first + k):
            k += 1
        if k == stop - start:
            return np.uint64(1) << np.uint64(index)
        candidates &= candidates - np.uint64(1)
    return np.uint64(0)


@inline
def _letter_bits(
    data: Bytes, at: int, stop: int, by_byte: Words, by_length: Words, stops: Bytes, stop_ends: Offsets
) -> np.uint64:
    """The bits of the stop words that are single letters of a gram."""
    bits = np.uint64(0)
    while at < stop:
        after = decode(data, at, stop)[1]
        found = by_byte[byte_at(data, at)] & by_length[after - at]
        if found:
            bits |= _stop_word_bit(data, at, after, found, stops, stop_ends, 0)
        at = after
    return bits


@inline
def _told_stop_words(stops: Bytes, stop_ends: Offsets, fold: int) -> tuple[Words, Words]:
    """By first byte and by length in bytes: the stop words that have it, as bits."""
    by_byte, by_length = np.zeros(256, np.uint64), np.zeros(N_LENGTHS, np.uint64)
    first = 0
    for index in range(len(stop_ends)):
        last = stop_ends[index]
        if first < last < first + N_LENGTHS:
            by_byte[stops[first]] |= np.uint64(1) << np.uint64(index)
            by_length[last - first] |= np.uint64(1) << np.uint64(index)
        first = last
    for byte in range(65, 91):
        by_byte[byte] |= by_byte[_lower(byte, fold)]
    return by_byte, by_length


@inline
def _word(data: Bytes, start: int, stop: int, classes: Bytes) -> tuple[bool, bool]:
    """Whether a character of the token is no symbol, and whether one is alphabetic."""
    if 97 <= byte_at(data, start) | 0x20 <= 122:  # a letter of ASCII, as most begin
        return True, True
    plain = alpha = False
    at = start
    while not (plain and alpha) and at < stop:
        point, at = decode(data, at, stop)
        kind = byte_at(classes, point)
        plain |= kind & _SYMBOL == 0
        alpha |= kind & _ALPHA != 0
    return plain, alpha


@inline
def _is_bullet_line(data: Bytes, start: int, stop: int, classes: Bytes) -> bool:
    """Whether the line starts with "•" or "-", white space aside."""
    at, point = start, 32
    while at < stop and byte_at(classes, point) & _SPACE:
        point, at = decode(data, at, stop)
    return point == 0x2022 or point == 45


@inline
def _is_ellipsis_line(data: Bytes, start: int, stop: int, classes: Bytes) -> bool:
    """Whether the line ends with "..." or "…", white space aside."""
    point, at = 32, stop
    while at > start and byte_at(classes, point) & _SPACE:
        stop = at
        point, at = decode_back(data, start, stop)
    if point != 46:
        return point == 0x2026
    return stop - 3 >= start and byte_at(data, stop - 2) == 46 and byte_at(data, stop - 3) == 46


@inline
def _count_line(data: Bytes, start: int, stop: int, classes: Bytes, doc: int, counts: Offsets) -> None:
    counts[7, doc] += 1
    counts[8, doc] += _is_bullet_line(data, start, stop, classes)
    counts[9, doc] += _is_ellipsis_line(data, start, stop, classes)


@kernel(
    f"int64[:, ::1]({BYTES}, {OFFSETS}, {OFFSETS}, {OFFSETS}, {OFFSETS}, {BYTES}, {BYTES}, {OFFSETS}, int64)"
)
def count_spacy_quality(
    data: Bytes, offsets: Offsets, starts: Offsets, ends: Offsets, word_offsets: Offsets,
    classes: Bytes, stops: Bytes, stop_ends: Offsets, light: int,
) -> npt.NDArray[np.int64]:  # fmt: skip
    """One row of `SPACY_QUALITY_COUNTS` per measure, `int64[n_measures, n_docs]`.

    light: 1 where the words are light ones, 0 where they are spaCy's.
    """
    n_readable, fold = len(data), 32 * light
    data, classes, starts, ends = pointer(data), pointer(classes), pointer(starts), pointer(ends)
    by_byte, by_length = _told_stop_words(stops, stop_ends, fold)
    counts = np.zeros((10, len(offsets) - 1), np.int64)
    for doc in range(len(offsets) - 1):
        n_words = n_alpha = 0
        n_other_chars = 0  # between the words, and in tokens that are symbols
        seen_stops = np.uint64(0)
        before = offsets[doc]
        for word in range(word_offsets[doc], word_offsets[doc + 1]):
            start, stop = starts[word], ends[word]
            gap = start - before
            n_other_chars += gap if gap < 2 else _n_chars(data, before, start)
            before = stop
            plain, alpha = _word(data, start, stop, classes)
            n_alpha += alpha
            n_words += plain
            if not plain:
                n_other_chars += _n_chars(data, start, stop)
            # Those seen are no candidates: a prose text has them all after a page, and no branch is guessed wrong.
            found = by_byte[byte_at(data, start)] & by_length[min(stop - start, N_LENGTHS - 1)] & ~seen_stops
            if found:
                seen_stops |= _stop_word_bit(data, start, stop, found, stops, stop_ends, fold)
            if (
                light
                and byte_at(data, start) >= 0xE3
                and byte_at(classes, decode(data, start, stop)[0]) & _PAIRED
            ):
                seen_stops |= _letter_bits(data, start, stop, by_byte, by_length, stops, stop_ends)
        n_other_chars += _n_chars(data, before, offsets[doc + 1])
        counts[0, doc] = word_offsets[doc + 1] - word_offsets[doc]
        counts[1, doc], counts[3, doc] = n_words, n_alpha
        counts[2, doc] = _n_doc_chars(data, offsets[doc], offsets[doc + 1], n_readable) - n_other_chars
        counts[4, doc] = n_bits(seen_stops)
        line, end = offsets[doc], offsets[doc + 1]
        n_hashes = n_ellipses = 0
        run = 0  # full stops in a row since the last "..." counted
        behind = line  # the byte behind the last of them
        for base in range(line, end, N_LANES):
            told = _told(data, base, end, n_readable)
            while told:
                at = base + first_bit(told)
                told &= told - np.uint64(1)
                point, after = decode(data, at, end)
                run = (run + 1 if at == behind else 1) if point == 46 else 0
                behind = after
                n_hashes += point == 35
                if point == 0x2026 or run == 3:
                    n_ellipses += 1
                    run = 0
                if at >= line and byte_at(classes, point) & _LINE_END:
                    _count_line(data, line, at, classes, doc, counts)
                    line = after + (point == 13 and after < end and byte_at(data, after) == 10)
        counts[5, doc], counts[6, doc] = n_hashes, n_ellipses
        if line < end:
            _count_line(data, line, end, classes, doc, counts)
    return counts


def _quality_rows(
    data: Bytes, offsets: Offsets, words: CutWords, classes: Bytes, stop_words: Iterable[str]
) -> dict[str, npt.NDArray[np.int64]]:
    data, table = readable(data), stop_table(stop_words)
    groups = word_groups(data, offsets, words)
    rows = [
        count_spacy_quality(data, group, *spans, classes, *table, int(words == "light"))
        for group, spans in groups
    ]
    empty = np.zeros((len(SPACY_QUALITY_COUNTS), 0), np.int64)
    return dict(zip(SPACY_QUALITY_COUNTS, np.concatenate([empty, *rows], axis=1), strict=True))


def spacy_quality_counts(
    data: Bytes, offsets: Offsets, *, stop_words: tuple[str, ...] = STOP_WORDS
) -> dict[str, npt.NDArray[np.int64]]:
    """Every measure of `SPACY_QUALITY_COUNTS` by name, each `int64[n_docs]`; at most 64 stop words."""
    return _quality_rows(data, offsets, "spacy", gopher_classes(), stop_words)


def light_quality_counts(
    data: Bytes, offsets: Offsets, *, stop_words: tuple[str, ...] = STOP_WORDS
) -> dict[str, npt.NDArray[np.int64]]:
    """Every measure of `gopher.QUALITY_COUNTS` over light words, each `int64[n_docs]`; at most 64 stop words.

    `stop_words` are compared after lower-casing ASCII; one of a single letter of Han or hiragana with every letter.
    """
    lowered = lower_ascii(stop_words)
    counts = _quality_rows(data, offsets, "light", light_quality_classes(), lowered)
    return {name: counts[name] for name in QUALITY_COUNTS}
