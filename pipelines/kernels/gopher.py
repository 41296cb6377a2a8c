r"""Counts behind Gopher's quality rules: words, symbols, lines, stop words.

    "Stop words: the, of.\n- one...\n"
      n_words 6, n_word_chars 24, n_alpha_words 5, n_stop_words 0 ("the," is not "the")
      n_lines 2, n_bullet_lines 1, n_ellipsis_lines 1, n_ellipses 1, n_hashes 0

One pass, a byte at a time. Ratios and limits are the filter's (`filters/gopher.py`).

Lines end at "\n" (a "\r" before it is white space like any other); a last line needs no "\n", blank
lines count. Lengths are in code points. Definitions of the field differ; ours are:

- words are runs of non-white space (Gopher, DCLM); datatrove takes spaCy's, so there a full stop is a
  word of its own, and counts towards no length and against the alphabetic share (`gopher_spacy`);
- stop words are counted once each (datatrove), ignoring case in ASCII (DCLM, which counts repeats;
  datatrove's "The" never matches); a stop word with punctuation on it is another word;
- bullets are "•" and "-" (datatrove; dolma takes "*" and "-"); ellipses are "..." and "…".

Source: Rae et al. 2021, Gopher, appendix A.1.1, https://arxiv.org/abs/2112.11446
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel
from pipelines.kernels.unicode import ALPHA, SPACE, character_classes
from pipelines.kernels.words import byte_at, decode

__all__ = [
    "MAX_STOP_WORDS", "QUALITY_COUNTS", "STOP_WORDS",
    "count_quality", "lower_ascii", "n_bits", "quality_counts", "stop_table", "stop_word_bit",
]  # fmt: skip

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
MAX_STOP_WORDS = 64  # one bit each

QUALITY_COUNTS = (
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


@inline
def stop_word_bit(
    data: Bytes, start: int, stop: int, stops: Bytes, stop_ends: Offsets, fold: int
) -> np.uint64:
    """The bit of the stop word that `data[start:stop]` is, 0 for others. `fold` is 32 to ignore ASCII case."""
    first = 0
    for index in range(len(stop_ends)):
        last = stop_ends[index]
        if last - first == stop - start:
            k = 0
            while k < last - first:
                byte = data[start + k]
                if 65 <= byte <= 90:
                    byte += fold
                if byte != stops[first + k]:
                    break
                k += 1
            if k == last - first:
                return np.uint64(1) << np.uint64(index)
        first = last
    return np.uint64(0)


@inline
def n_bits(bits: np.uint64) -> int:
    """How many bits are set."""
    count = 0
    while bits:
        bits &= bits - np.uint64(1)
        count += 1
    return count


@kernel(f"int64[:, ::1]({BYTES}, {OFFSETS}, {BYTES}, {BYTES}, {OFFSETS})")
def count_quality(  # noqa: C901 -- one flat pass over the bytes
    data: Bytes, offsets: Offsets, classes: Bytes, stops: Bytes, stop_ends: Offsets
) -> npt.NDArray[np.int64]:
    """One row of `QUALITY_COUNTS` per measure, `int64[n_measures, n_docs]`."""
    counts = np.zeros((9, len(offsets) - 1), np.int64)
    longest_stop = 0
    for index in range(len(stop_ends)):
        longest_stop = max(longest_stop, stop_ends[index] - (stop_ends[index - 1] if index else 0))
    for doc in range(len(offsets) - 1):
        at, end = offsets[doc], offsets[doc + 1]
        n_words = n_chars = n_alpha = n_hashes = n_ellipses = n_lines = n_bullets = n_tails = 0
        seen_stops = np.uint64(0)
        word_start = -1  # -1 between words
        alpha = False
        first = -1  # the line's first character that is not white space, -1 for none yet
        dots = 0  # full stops in a row that end the line so far, white space after them aside; -1 for "…"
        open_dots = 0  # full stops in a row since the last "..." counted
        line_start = at
        while at <= end:
            if at < end:
                point, after = decode(data, at, end)
            else:
                point, after = 10, end + 1  # one "\n" more closes the last word and line
            kind = byte_at(classes, point)
            if not kind & SPACE:
                if word_start < 0:
                    word_start = at
                    alpha = False
                    dots = 0
                n_chars += 1
                alpha |= kind & ALPHA != 0
                if first < 0:
                    first = point
                if point == 46:
                    dots = max(dots, 0) + 1
                    open_dots += 1
                    if open_dots == 3:
                        n_ellipses += 1
                        open_dots = 0
                else:
                    open_dots = 0
                    dots = -1 if point == 0x2026 else 0
                    n_ellipses += point == 0x2026
                    n_hashes += point == 35
            else:
                open_dots = 0
                if word_start >= 0:
                    n_words += 1
                    n_alpha += alpha
                    if at - word_start <= longest_stop:
                        seen_stops |= stop_word_bit(data, word_start, at, stops, stop_ends, 32)
                    word_start = -1
                if point == 10:
                    if at < end or at > line_start:
                        n_lines += 1
                        n_bullets += first == 0x2022 or first == 45
                        n_tails += dots >= 3 or dots < 0
                    first, dots = -1, 0
                    line_start = after
            at = after
        counts[0, doc] = n_words
        counts[1, doc] = n_chars
        counts[2, doc] = n_alpha
        counts[3, doc] = n_bits(seen_stops)
        counts[4, doc] = n_hashes
        counts[5, doc] = n_ellipses
        counts[6, doc] = n_lines
        counts[7, doc] = n_bullets
        counts[8, doc] = n_tails
    return counts


def stop_table(stop_words: Iterable[str]) -> tuple[Bytes, Offsets]:
    """The stop words as bytes, one after the other, and where each ends; a repeated one once."""
    stops = [word.encode() for word in dict.fromkeys(stop_words)]
    assert len(stops) <= MAX_STOP_WORDS, "one bit each"
    return np.frombuffer(b"".join(stops), np.uint8), np.cumsum([len(word) for word in stops], dtype=np.int64)


def lower_ascii(words: Iterable[str]) -> list[str]:
    """The words as a text is compared with them: of `É` a text keeps the case, so a word keeps it too.

    >>> lower_ascii(["École", "The"])
    ['École', 'the']
    """
    return [word.encode().lower().decode() for word in words]


def quality_counts(
    data: Bytes, offsets: Offsets, *, stop_words: tuple[str, ...] = STOP_WORDS
) -> dict[str, npt.NDArray[np.int64]]:
    """Every measure of `QUALITY_COUNTS` by name, each `int64[n_docs]`.

    `stop_words` are compared after lower-casing ASCII; at most 64.
    """
    rows = count_quality(data, offsets, character_classes(), *stop_table(lower_ascii(stop_words)))
    return dict(zip(QUALITY_COUNTS, rows, strict=True))
