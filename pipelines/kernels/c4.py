r"""C4's rules over lines: which lines go, which documents go, and how many sentences are left.

    "Menu\nA line that stays.[1] \nIt needs JavaScript.\n"
      line_spans   "Menu\n" too_few_words, "[1]" citation, " \nIt needs..." javascript and white space
      the text     "A line that stays."

`cut_lines` names the spans to remove (an Edit), `c4_counts` measures what a document is dropped for
(a Rule, over the text that is left). The first spares a line for which the second drops the document.

For each line of `str.splitlines`, stripped, in datatrove's order, the first that holds:

    word_too_long     a word of `str.split` has more than `max_word_chars` characters
    no_end_mark       the line, citations removed, does not end with . ? ! " or ', or ends with "..."
    too_few_words     fewer words than `min_words`, citations counted
    (spared)          it says "lorem ipsum"
    javascript        it says "javascript"
    (spared)          it has a "{"
    policy            it says "cookie policy", "privacy policy", "terms of use", "use cookies", ...

With `units: sentences` a sentence stands for each line, wherever lines end: those of spaCy's sentencizer over the whole
text, joined by a blank. What is left keeps the line ends inside its sentences.

Citations are `[12]`, `[]`, `[edit]` and `[citation needed]`, with digits of any script. What is left of a line
keeps its inner white space; lines are joined by "\n", and the whole is stripped. Upper and lower case of ASCII are
one (datatrove lowers all of Unicode, so that the Kelvin sign is a k there).

Price: one pass over the bytes and a second over those of lines that are not dropped first.

Source: Raffel et al. 2020, T5, section 2.2, https://arxiv.org/abs/1910.10683; datatrove 0.10.1,
pipeline/filters/c4_filters.py, whose order and arithmetic this is.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel, pointer
from pipelines.kernels.lanes import readable
from pipelines.kernels.line_words import line_after, read_line
from pipelines.kernels.phrases import (
    SAYS_CURLY_BRACKET,
    SAYS_JAVASCRIPT,
    SAYS_LOREM_IPSUM,
    SAYS_POLICY,
    find_mentions,
    next_sign,
    number_sentences,
    says,
)
from pipelines.kernels.sentences import (
    DIGIT,
    count_light_sentences,
    count_sentences,
    count_spacy_sentences,
    find_spacy_sentences,
    line_stop,
    text_classes,
)
from pipelines.kernels.word_spans import word_groups
from pipelines.kernels.words import byte_at, decode, strip

__all__ = [
    "C4_COUNTS",
    "LINE_REASONS",
    "LineSpans",
    "Units",
    "c4_counts",
    "count_c4_sentences",
    "cut_lines",
    "line_spans",
]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Spans = npt.NDArray[np.int64]
Units = Literal["lines", "sentences"]

LINE_REASONS = (
    "word_too_long",
    "no_end_mark",
    "too_few_words",
    "javascript",
    "policy",
    "citation",
    "white_space",
)
C4_COUNTS = ("n_sentences", "lorem_ipsum_line", "curly_bracket_line")

_WORD_TOO_LONG, _NO_END_MARK, _TOO_FEW_WORDS, _JAVASCRIPT, _POLICY, _CITATION, _WHITE_SPACE = range(7)
_KEEP = -1

_EDIT, _NEEDED = np.frombuffer(b"[edit]", np.uint8), np.frombuffer(b"[citation needed]", np.uint8)


@inline
def _starts_with(data: Bytes, at: int, end: int, what: Bytes) -> bool:
    if at + len(what) > end:
        return False
    for k in range(len(what)):
        if byte_at(data, at + k) != byte_at(what, k):
            return False
    return True


@inline
def _citation(data: Bytes, at: int, end: int, classes: Bytes) -> int:
    """Where the citation that starts at byte `at` ends; 0 if none does."""
    if byte_at(data, at) != 91:
        return 0
    stop = at + 1
    while stop < end:
        point, after = decode(data, stop, end)
        if point == 93:
            return after
        if not byte_at(classes, point) & DIGIT:
            break
        stop = after
    if _starts_with(data, at, end, _EDIT):
        return at + len(_EDIT)
    return at + len(_NEEDED) if _starts_with(data, at, end, _NEEDED) else 0


@inline
def _without_citations(data: Bytes, first: int, last: int, classes: Bytes, out: Bytes) -> int:
    """Writes the line without its citations; returns how many bytes that is."""
    length, at = 0, first
    while at < last:
        stop = _citation(data, at, last, classes)
        if stop:
            at = stop
        else:
            out[length] = data[at]
            length += 1
            at += 1
    return length


@inline
def _has_end_mark(line: Bytes, start: int, stop: int) -> bool:
    if start == stop:
        return False
    byte = byte_at(line, stop - 1)
    if byte == 46 and stop - start >= 3:
        return not (byte_at(line, stop - 2) == 46 and byte_at(line, stop - 3) == 46)
    return byte == 46 or byte == 63 or byte == 33 or byte == 34 or byte == 39


@inline
def _says_between(
    data: Bytes, start: int, stop: int, sign: int, end: int, n_readable: int
) -> tuple[int, int]:
    """What [start, stop) says, and the first sign behind it; sign: the first one from `start` on."""
    said = 0
    while sign < stop:
        said |= says(data, max(start, sign - 11), min(stop, sign + 14))
        sign = next_sign(data, sign + 1, end, n_readable)
    return said, sign


@inline
def _fate(line: Bytes, start: int, stop: int, n_words: int, said: int, rules: Offsets) -> int:
    """The reason why a line without its citations goes, or `_KEEP`. said: by it; rules: as `cut_lines` has them."""
    if rules[2] and not _has_end_mark(line, start, stop):
        return _NO_END_MARK
    if n_words < rules[1]:
        return _TOO_FEW_WORDS
    if rules[6] and said & SAYS_LOREM_IPSUM:
        return _KEEP
    if rules[4] and said & SAYS_JAVASCRIPT:
        return _JAVASCRIPT
    if rules[7] and said & SAYS_CURLY_BRACKET:
        return _KEEP
    return _POLICY if rules[5] and said & SAYS_POLICY else _KEEP


@inline
def _add(
    spans: Spans, n: int, row: int, start: int, stop: int, replacement: int, reason: int
) -> tuple[Spans, int]:
    """The spans with one more, in twice the room where they were full; one that changes nothing is none."""
    if start >= stop and replacement < 0:
        return spans, n
    if n == len(spans):
        wider = np.empty((2 * n, 5), np.int64)
        for i in range(n):
            for k in range(5):
                wider[i, k] = spans[i, k]
        spans = wider
    spans[n, 0], spans[n, 1], spans[n, 2], spans[n, 3], spans[n, 4] = row, start, stop, replacement, reason
    return spans, n + 1


@inline
def _cover(spans: Spans, since: int, n: int, row: int, start: int, stop: int) -> tuple[Spans, int]:
    """The spans from `since` on, which lie in [start, stop), made to cover it whole and to replace nothing."""
    if since == n:
        return _add(spans, n, row, start, stop, -1, _WHITE_SPACE)
    at = start
    for i in range(since, n):
        spans[i, 1], spans[i, 3] = at, -1
        at = spans[i, 2]
    spans[n - 1, 2] = stop
    return spans, n


@inline
def _goes_on(data: Bytes, start: int, base: int, spans: Spans, n: int, reason: int) -> bool:
    """Whether a line that goes for `reason` can share the last span: it touches a line that went for the same.

    The account counts words in each span by itself, with white space of ASCII between: any other line end parts them.
    """
    is_last = spans[n - 1, 2] == start - base and spans[n - 1, 3] < 0 and spans[n - 1, 4] == reason
    return is_last and 9 <= byte_at(data, start - 1) <= 13


@kernel(f"int64[:, ::1]({BYTES}, {OFFSETS}, {BYTES}, {OFFSETS}, {OFFSETS})")
def cut_lines(  # noqa: C901 -- one flat pass over the lines
    data: Bytes, offsets: Offsets, classes: Bytes, rules: Offsets, sentence_ends: Offsets
) -> Spans:
    """The spans to cut, `int64[n_spans, 5]`: document, start, stop (bytes in it), 0 for a joint or -1, reason.

    Neighbouring lines that go for one reason share a span: a text of line ends takes 40 bytes, and not 40 a line.

    data: at least 64 bytes. rules: int64[8]: most characters of a word or -1, fewest words, then 0 or 1 for: end
    marks, citations, javascript, policy; lines spared for "lorem ipsum", for "{".
    sentence_ends: where each sentence ends, one document's after another's; they are taken for lines and joined by a
    blank. Without any lines are lines, joined by "\\n".
    """
    by_sentence, sentence = len(sentence_ends) > 0, 0
    joint = 32 if by_sentence else 10
    n_readable, data = len(data), pointer(data)
    max_chars = rules[0] if rules[0] >= 0 else n_readable
    longest_doc = 0
    for doc in range(len(offsets) - 1):
        longest_doc = max(longest_doc, offsets[doc + 1] - offsets[doc])
    scratch = np.empty(longest_doc, np.uint8)
    spans, n = np.empty((1024, 5), np.int64), 0
    for doc in range(len(offsets) - 1):
        base, end = offsets[doc], offsets[doc + 1]
        at = base
        first_span, started = n, False
        solid_stop, n_then = base, n  # the end of what is left so far, and the spans before it
        sign = next_sign(data, base, end, n_readable)
        while at < end:
            start = at
            if by_sentence:
                stop = at = sentence_ends[sentence]
                sentence += 1
            else:
                stop = line_stop(data, at, end, n_readable, classes)
                at = line_after(data, stop, end)
            first, last, n_words, longest, bracket = read_line(
                data, start, stop, n_readable, classes, max_chars
            )
            said, sign = _says_between(data, first, last, sign, end, n_readable)
            if by_sentence and first == last:
                fate = _WHITE_SPACE  # no sentence at all, where a blank line is a line
            elif rules[0] >= 0 and longest > rules[0]:
                fate = _WORD_TOO_LONG
            elif bracket and rules[3]:
                length = _without_citations(data, first, last, classes, scratch)
                fate = _fate(scratch, 0, length, n_words, says(scratch, 0, length), rules)
            else:
                fate = _fate(data, first, last, n_words, said, rules)
            if (
                fate != _KEEP
                and not by_sentence
                and n > first_span
                and _goes_on(data, start, base, spans, n, fate)
            ):
                spans[n - 1, 2] = at - base
                continue
            if fate != _KEEP:
                spans, n = _add(spans, n, doc, start - base, at - base, -1, fate)
                continue
            spans, n = _add(spans, n, doc, start - base, first - base, -1, _WHITE_SPACE)
            piece = first
            while piece < last:  # what stands between two citations
                stop, after = last, last
                if bracket and rules[3]:
                    stop, after = piece, 0
                    while stop < last and not after:
                        after = _citation(data, stop, last, classes)
                        stop += not after
                    after = max(after, stop)
                solid, solid_last = strip(data, piece, stop, classes) if bracket else (piece, stop)
                if solid < solid_last:
                    if not started:
                        spans, n = _cover(spans, first_span, n, doc, 0, solid - base)
                        started = True
                    solid_stop, n_then = solid_last, n
                spans, n = _add(spans, n, doc, stop - base, after - base, -1, _CITATION)
                piece = after
            if last < end and (at - last != 1 or byte_at(data, last) != joint):
                spans, n = _add(spans, n, doc, last - base, at - base, 0, _WHITE_SPACE)
        if solid_stop < end:
            spans, n = _cover(spans, n_then, n, doc, solid_stop - base, end - base)
    return spans[:n]


@kernel(f"int64[::1]({BYTES}, {OFFSETS}, {BYTES})")
def count_c4_sentences(data: Bytes, offsets: Offsets, classes: Bytes) -> Offsets:
    """Sentences of each document, `int64[n_docs]`, as `sentences` counts them by spaces."""
    counts = np.zeros(len(offsets) - 1, np.int64)
    for doc in range(len(counts)):
        at, end = offsets[doc], offsets[doc + 1]
        while at < end:
            n_sentences, _, at = count_sentences(data, at, end, classes)
            counts[doc] += n_sentences
    return counts


class LineSpans(NamedTuple):
    """Spans to cut out of documents, in order: `row`, `start`, `end` in its bytes, `is_joint`, `reason`."""

    row: Offsets
    start: Offsets
    end: Offsets
    is_joint: npt.NDArray[np.bool_]
    reason: npt.NDArray[np.int64]


def line_spans(
    data: Bytes,
    offsets: Offsets,
    *,
    units: Units = "lines",
    max_word_chars: int | None = 1000,
    min_words: int | None = 3,
    end_marks: bool = True,
    citations: bool = True,
    javascript: bool = True,
    policy: bool = True,
    spare_lorem_ipsum: bool = True,
    spare_curly_bracket: bool = True,
) -> LineSpans:
    """What C4 cuts out of documents: whole lines by their reason, citations, white space that joins no lines.

    `is_joint` where a newline takes the span's place, or a blank between sentences. reason: index into `LINE_REASONS`.
    """
    limits = (-1 if max_word_chars is None else max_word_chars, min_words or 0)
    switches = (end_marks, citations, javascript, policy, spare_lorem_ipsum, spare_curly_bracket)
    rules = np.array([*limits, *switches], np.int64)
    found = cut_lines(readable(data), offsets, text_classes(), rules, _sentence_ends(data, offsets, units))
    row, start, end, replacement, reason = (np.ascontiguousarray(column) for column in found.T)
    return LineSpans(row, start, end, replacement == 0, reason)


def _sentence_ends(data: Bytes, offsets: Offsets, units: Units) -> Offsets:
    """Where each sentence ends, int64[n_sentences]; nothing where lines are asked for."""
    groups = word_groups(readable(data), offsets, "spacy") if units == "sentences" else ()
    found = [find_spacy_sentences(data, group, text_classes(), *words) for group, words in groups]
    return np.concatenate([np.zeros(0, np.int64), *found])


def c4_counts(
    data: Bytes,
    offsets: Offsets,
    *,
    units: Units = "lines",
    words: Literal["spaces", "spacy", "light"] = "spaces",
) -> dict[str, npt.NDArray[np.int64]]:
    """Every measure of `C4_COUNTS` by name, each `int64[n_docs]`; lines are numbered from 1, 0 is none.

    units: what a line is; sentences are always those of spaCy's words. words: how the sentences of lines are counted,
    as `sentences` has it.
    """
    data, classes = readable(data), text_classes()
    if units == "sentences":
        groups = word_groups(data, offsets, "spacy")
        numbers = [number_sentences(data, group, classes, *spans) for group, spans in groups]
        return dict(
            zip(C4_COUNTS, np.concatenate([np.zeros((3, 0), np.int64), *numbers], axis=1), strict=True)
        )
    lorem, curly = find_mentions(data, offsets, classes)
    if words == "spaces":
        n_sentences = count_c4_sentences(data, offsets, classes)
    else:
        count = count_spacy_sentences if words == "spacy" else count_light_sentences
        groups = word_groups(data, offsets, words)
        counts = [count(data, group, classes, *spans) for group, spans in groups]
        n_sentences = np.concatenate([np.zeros(0, np.int64), *counts])
    return dict(zip(C4_COUNTS, (n_sentences, lorem, curly), strict=True))
