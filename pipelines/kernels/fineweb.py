r"""Counts behind FineWeb's own rules: lines that end well, short lines, repeated lines, newlines, words.

    "A line.\nA line.\n\nMenu\n"
      n_lines 3, n_ended_lines 2, n_short_lines 3, n_dup_line_chars 7
      n_newlines 4, n_chars 18 (without newlines), n_words 5

One pass, and one over the line's bytes for its hash. Ratios and limits are the filter's (`filters/fineweb.py`).

- Lines end at "\n" or "\r\n"; lines of white space alone are no lines. Over spaCy's words they end at "\n"
  alone, as datatrove has it, so that no line of a "\r\n" text ends with a mark;
- a line ends well if its last character, white space after it included, is TERMINAL (`sentences`):
  "The end. " and "he said.”" do not;
- a line is short with at most `short_line_chars` characters, white space at its ends included;
- a line equal to an earlier one counts with all its characters;
- words are runs of what is not white space, those of `str.split`, or light ones of any script, or spaCy's,
  datatrove's choice.

Source: Penedo et al. 2024, The FineWeb Datasets, section 3.6 and appendix E.4, https://arxiv.org/abs/2406.17557;
datatrove 0.10.1, pipeline/filters/fineweb_quality_filter.py, whose arithmetic this is.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from pipelines.kernels.duplicates import duplicate_spans, table_size
from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel
from pipelines.kernels.sentences import TERMINAL, text_classes
from pipelines.kernels.unicode import SPACE
from pipelines.kernels.word_spans import word_groups
from pipelines.kernels.words import byte_at, decode

__all__ = ["FINEWEB_COUNTS", "count_fineweb", "fineweb_counts"]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]

FINEWEB_COUNTS = (
    "n_lines",
    "n_ended_lines",
    "n_short_lines",
    "n_dup_line_chars",
    "n_newlines",
    "n_chars",
    "n_words",
)


@inline
def _count_newlines(data: Bytes, start: int, stop: int) -> int:
    n_newlines = 0
    for at in range(start, stop):
        n_newlines += byte_at(data, at) == 10
    return n_newlines


@inline
def _read_line(data: Bytes, at: int, end: int, classes: Bytes, crlf: int) -> tuple[int, int, int, int, int]:
    """One line: where its text stops, where the next one starts, its characters, its words, its last character."""
    n_chars = n_words = last = 0
    between = 1  # 1 between words
    while at < end:
        point = byte_at(data, at)
        if point == 10:
            return at, at + 1, n_chars, n_words, last
        if crlf and point == 13 and at + 1 < end and byte_at(data, at + 1) == 10:
            return at, at + 2, n_chars, n_words, last
        if point < 0x80:
            at += 1
        else:
            point, at = decode(data, at, end)
        space = byte_at(classes, point) & SPACE
        n_words += between & ~space
        between = space
        n_chars += 1
        last = point
    return end, end, n_chars, n_words, last


@kernel(f"int64[:, ::1]({BYTES}, {OFFSETS}, {BYTES}, int64, int64)")
def count_fineweb(
    data: Bytes, offsets: Offsets, classes: Bytes, short_line_chars: int, crlf: int
) -> npt.NDArray[np.int64]:
    """One row of `FINEWEB_COUNTS` per measure, `int64[7, n_docs]`. crlf: 1 if "\\r\\n" is a newline."""
    n_docs = len(offsets) - 1
    counts = np.zeros((7, n_docs), np.int64)
    most = 0
    for doc in range(n_docs):
        counts[4, doc] = _count_newlines(data, offsets[doc], offsets[doc + 1])
        most = max(most, counts[4, doc])
    spans = np.empty(2 * (most + 1), np.int64)
    table = np.empty(table_size(most + 1), np.uint64)
    for doc in range(n_docs):
        at, end = offsets[doc], offsets[doc + 1]
        n_lines = n_ended = n_short = n_all_chars = n_all_words = 0
        while at < end:
            start = at
            stop, at, n_chars, n_words, last = _read_line(data, start, end, classes, crlf)
            n_all_chars += n_chars
            n_all_words += n_words
            if n_words:
                spans[2 * n_lines], spans[2 * n_lines + 1] = start, stop
                n_lines += 1
                n_ended += byte_at(classes, last) & TERMINAL != 0
                n_short += n_chars <= short_line_chars
        counts[0, doc] = n_lines
        counts[1, doc] = n_ended
        counts[2, doc] = n_short
        counts[3, doc] = duplicate_spans(data, spans, n_lines, table)[1]
        counts[5, doc] = n_all_chars
        counts[6, doc] = n_all_words
    return counts


def fineweb_counts(
    data: Bytes,
    offsets: Offsets,
    *,
    short_line_chars: int = 30,
    words: Literal["spaces", "spacy", "light"] = "spaces",
) -> dict[str, npt.NDArray[np.int64]]:
    """Every measure of `FINEWEB_COUNTS` by name, each `int64[n_docs]`; all 0 for an empty document."""
    rows = count_fineweb(data, offsets, text_classes(), short_line_chars, words != "spacy")
    counts = dict(zip(FINEWEB_COUNTS, rows, strict=True))
    if words != "spaces":
        groups = (np.diff(spans.offsets) for _, spans in word_groups(data, offsets, words))
        counts["n_words"] = np.concatenate([np.zeros(0, np.int64), *groups])
    return counts
