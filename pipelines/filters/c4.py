"""C4's rules: `c4_lines` takes lines and citations out of the text, `c4_quality` drops documents by what is left.

    "Menu\\nA line that stays.[1]\\nYou need JavaScript for this.\\n"
    c4_lines      -> "A line that stays."            values: removed_bytes, removed_words
    c4_quality    n_sentences 1 < 5: too_few_sentences

Put the second right after the first. Both rest on `kernels/c4.py`, which says what counts in which order; a line
with "lorem ipsum" or "{" is left in the text, as datatrove drops the document for it.

    our reason, of a line      our parameter, c4_lines        datatrove's, C4QualityFilter
    word_too_long              max_word_chars 1000            max_word_length
    no_end_mark                end_marks True                 filter_no_terminal_punct (FineWeb: False)
    too_few_words              min_words 3                    min_words_per_line
    javascript                 javascript True                filter_javascript
    policy                     policy True                    filter_policy
    citation, white_space      citations True                 remove_citations; strip and join
    (what is a line)           units lines                    split_paragraph True; sentences: False

    our reason, of a document  our parameter, c4_quality      datatrove's
    lorem_ipsum                lorem_ipsum True               filter_lorem_ipsum
    curly_bracket              curly_bracket True             filter_curly_bracket
    too_few_sentences          min_sentences 5                min_num_sentences
    (what is a line)           units lines, as c4_lines has   split_paragraph True; sentences: False

With `units: sentences` in both, a sentence of spaCy's sentencizer is judged where a line was, and a blank joins what
stays:

    "It is a long\\nway home. Menu. Log in"    ->  "It is a long\\nway home."

`c4_quality` then takes `words: spacy` alone, and counts the sentences of the text that is left, datatrove those it has
kept: of "So it is.[1] Then it is not." spaCy makes one sentence and, without its citation, two. A sentence of
punctuation alone, which only its line kept apart, is one with that before it once a blank joins them: "a. a. :)." and,
on the next line, "! ?. :)." are two for datatrove and one here, so that a text with few others may go as
`too_few_sentences`. And a "{" that opens a sentence on a new line closes the one before it once a blank joins them,
which may change the reason, not the verdict. Verdicts were equal on all but 8 of 6,148 texts (`benchmarks/parity.py`),
7 of them edited to have such a citation, and the texts that are kept on all.

All limits are inclusive on both sides; `None` turns one off (datatrove: -1). With `words: spacy` sentences are those
of datatrove's sentencizer; one of its counts is out of reach, the white space that citations leave at a text's ends
("[1] [2] [3]" as its last line), which is stripped here before and there after counting. Its bad words are
`c4_bad_words`, mC4's paragraphs `c4_paragraphs`.

With `words: light` the rule is for any language: a mark of any script ends a sentence unless it stands inside a word
(`kernels/sentences.py`). Thai has no such marks: `min_sentences: null` there.

Price on one core, English: 340 MB/s for the lines; the rule 250, over spaCy's words 130, over light ones
400. By sentences 110, the rule 170.

Source: Raffel et al. 2020, T5, section 2.2, https://arxiv.org/abs/1910.10683; datatrove 0.10.1,
pipeline/filters/c4_filters.py.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from pipelines.batch import Batch, Values
from pipelines.filters.limits import Number
from pipelines.kernels.c4 import C4_COUNTS, LINE_REASONS, Units, c4_counts, line_spans
from pipelines.kernels.word_spans import CUTTERS
from pipelines.stage import Edit, Rule, Spans, Verdicts, first_failing

__all__ = ["C4Lines", "C4Quality"]


class C4Lines(Edit):
    """Takes out lines that are no sentences, or speak of JavaScript and cookies, and Wikipedia's citations."""

    name: ClassVar[str] = "c4_lines"
    version: ClassVar[int] = 1
    reasons: ClassVar[tuple[str, ...]] = LINE_REASONS
    languages: ClassVar[tuple[str, ...]] = ("en",)

    units: Units = "lines"
    """What is judged, stays or goes: lines, or the sentences of spaCy's sentencizer, which a blank then joins."""
    max_word_chars: Number | None = 1000
    """Most characters of a line's longest word."""
    end_marks: bool = True
    """Whether a line must end with `.`, `?`, `!`, `"` or `'`, and not with `...`."""
    min_words: Number | None = 3
    """Fewest words of a line."""
    javascript: bool = True
    """Whether lines with `javascript` go."""
    policy: bool = True
    """Whether lines with `terms of use`, `privacy policy`, `use cookies` and the like go."""
    citations: bool = True
    """Whether `[1]`, `[]`, `[edit]` and `[citation needed]` go."""
    spare_lorem_ipsum: bool = True
    """Whether a line with `lorem ipsum` stays although it says `javascript` or the like, for the rule to see it."""
    spare_curly_bracket: bool = True
    """Whether a line with `{` stays although it speaks of policies, for the rule to see it."""

    def kernels(self) -> tuple[str, ...]:
        """One pass, and another over what is left; sentences take spaCy's words."""
        words = () if self.units == "lines" else ("sentences.find_spacy_sentences", "spacy_words.cut_words")
        return ("c4.cut_lines", *words, *super().kernels())

    def spans(self, batch: Batch) -> Spans:
        """Lines, citations and the white space around lines; one newline joins two lines, a blank two sentences."""
        found = line_spans(*batch.text(), **self.model_dump(exclude={"route"}))
        replacement = np.where(found.is_joint, 0, -1).astype(np.int32)
        return Spans(
            found.row,
            found.start,
            found.end,
            replacement,
            found.reason.astype(np.uint8),
            replacements=(b"\n" if self.units == "lines" else b" ",),
        )


class C4Quality(Rule):
    """Drops placeholder text, code, and what has few sentences."""

    name: ClassVar[str] = "c4_quality"
    version: ClassVar[int] = 1
    reasons: ClassVar[tuple[str, ...]] = ("lorem_ipsum", "curly_bracket", "too_few_sentences")
    languages: ClassVar[tuple[str, ...]] = ("en",)
    measuring: ClassVar[tuple[str, ...]] = ("units", "words")

    units: Units = "lines"
    """What `c4_lines` judged: the same as there. Sentences go from one line to the next, lines do not."""
    words: Literal["spaces", "spacy", "light"] = "spaces"
    """How sentences are told: by marks before white space; by spaCy's words and its sentencizer; or, in any
    language, by marks outside words."""
    lorem_ipsum: bool = True
    """Whether `lorem ipsum` drops the document."""
    curly_bracket: bool = True
    """Whether `{` drops the document."""
    min_sentences: Number | None = 5
    """Fewest sentences."""

    @model_validator(mode="after")
    def _sentences_are_spacys(self) -> C4Quality:
        if self.units == "sentences" and self.words != "spacy":
            raise ValueError(
                f"expected words: spacy beside units: sentences, got words: {self.words}; `c4_lines` cuts sentences by "
                "spaCy's words, so others would be counted here: write words: spacy, or units: lines"
            )
        return self

    def kernels(self) -> tuple[str, ...]:
        """Two passes; spaCy's words and light ones take another."""
        if self.units == "sentences":
            return ("phrases.number_sentences", *CUTTERS[self.words])
        counts = {"spaces": "c4.count_c4_sentences", "spacy": "sentences.count_spacy_sentences",
                  "light": "sentences.count_light_sentences"}  # fmt: skip
        return ("phrases.find_mentions", counts[self.words], *CUTTERS[self.words])

    def numbers(self) -> tuple[str, ...]:
        """What is counted, and the first lines with what is looked for."""
        return C4_COUNTS

    def measure(self, batch: Batch) -> dict[str, npt.NDArray[np.int64]]:
        """The counts of `kernels.c4.C4_COUNTS`, each int64[n_docs]."""
        return c4_counts(*batch.text(), units=self.units, words=self.words)

    def decide(self, values: Values) -> Verdicts:
        """What stands first in the document gives the reason; on one line, "lorem ipsum"."""
        n_sentences = np.asarray(values["n_sentences"])
        lorem = np.asarray(values["lorem_ipsum_line"]) * int(self.lorem_ipsum)
        curly = np.asarray(values["curly_bracket_line"]) * int(self.curly_bracket)
        lorem_first = (lorem > 0) & ((curly == 0) | (lorem <= curly))
        few = n_sentences < (0 if self.min_sentences is None else self.min_sentences)
        return first_failing(len(n_sentences), [lorem_first, curly > 0, few])

    def limits(self) -> dict[str, tuple[str, str]]:
        """Every limit that is on, as a quantity and its bound."""
        all_limits = {
            "lorem_ipsum": ("lorem_ipsum_line", "= 0") if self.lorem_ipsum else None,
            "curly_bracket": ("curly_bracket_line", "= 0") if self.curly_bracket else None,
            "too_few_sentences": ("n_sentences", f">= {self.min_sentences}")
            if self.min_sentences is not None
            else None,
        }
        return {reason: limit for reason, limit in all_limits.items() if limit}
