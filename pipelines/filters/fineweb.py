"""FineWeb's own rules: lists, menus and fragments, told by how lines end, how long they are and how they repeat.

    measure   one kernel pass -> integers          n_lines 40, n_ended_lines 4, n_short_lines 12, ...
    decide    ratios in float64 beside the limits  4 / 40 = 0.1 < 0.12: too_few_ended_lines

Every limit is inclusive and `None` turns it off. datatrove drops where a ratio is below 0.12 or above the others,
so the sides of every edge are the same. What is counted stands in `kernels/fineweb.py`.

    our reason             datatrove's         our parameter               datatrove's
    too_few_lines          empty               min_lines 1                 (fixed)
    too_few_ended_lines    line_punct_ratio    min_ended_line_frac 0.12    line_punct_thr
                                               pass_if_none_ended False    line_punct_exclude_zero
    too_many_short_lines   short_line_ratio    max_short_line_frac 0.67    short_line_thr
                                               short_line_chars 30         short_line_length
    repeated_line_chars    char_dup_ratio      max_dup_line_char_frac .01  char_duplicates_ratio
    too_many_newlines      list_ratio          max_newlines_per_word 0.3   new_line_ratio

0.01 is what FineWeb ran with (its paper's body says 0.1, its appendix E.4 and the code 0.01); the limit on
newlines is in the code alone. With `words: spaces` two differences decide documents: "\\r\\n" is a newline, and
words are those of `str.split`, where a comma is none. `words: spacy` is datatrove's own rule. `words: light` is for any
language (`kernels/light_words.py`), "\\r\\n" a newline and a comma no word; where characters hold more, as Han does,
`max_short_line_frac: null` (FineWeb-2 turned it off for every language) and what docs/recipes.md has beside it.

Price on one core: 550 MB/s of English; 150 over spaCy's words, 270 over light ones.

Source: Penedo et al. 2024, The FineWeb Datasets, section 3.6 and appendix E.4, https://arxiv.org/abs/2406.17557;
datatrove 0.10.1, pipeline/filters/fineweb_quality_filter.py.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from pipelines.batch import Batch, Values
from pipelines.filters.labels import SPACED
from pipelines.filters.limits import Frac, Limit, Number, Rate, described, failing, reasons
from pipelines.kernels.fineweb import FINEWEB_COUNTS, fineweb_counts
from pipelines.kernels.word_spans import CUTTERS
from pipelines.stage import Rule, Verdicts, first_failing

__all__ = ["FINEWEB_LIMITS", "FineWebQuality"]

FINEWEB_LIMITS = (
    Limit("too_few_lines", "min_lines", "n_lines"),
    Limit("too_few_ended_lines", "min_ended_line_frac", "n_ended_lines", "n_lines"),
    Limit("too_many_short_lines", "max_short_line_frac", "n_short_lines", "n_lines"),
    Limit("repeated_line_chars", "max_dup_line_char_frac", "n_dup_line_chars", "n_chars"),
    Limit("too_many_newlines", "max_newlines_per_word", "n_newlines", "n_words"),
)
ENDED = [limit.reason for limit in FINEWEB_LIMITS].index("too_few_ended_lines")


class FineWebQuality(Rule):
    """Drops lists, menus and fragments: lines that end without a mark, are short, repeated, or hold few words."""

    name: ClassVar[str] = "fineweb_quality"
    version: ClassVar[int] = 1
    reasons: ClassVar[tuple[str, ...]] = reasons(FINEWEB_LIMITS)
    languages: ClassVar[tuple[str, ...]] = SPACED
    measuring: ClassVar[tuple[str, ...]] = ("words", "short_line_chars")

    words: Literal["spaces", "spacy", "light"] = "spaces"
    """`spaces`: runs of non-white space. `spacy`: the words of spaCy's English tokenizer, and "\\n" alone a newline.
    `light`: runs or grams of letters and numbers, in any language."""
    min_lines: Number | None = 1
    """Fewest lines that are not blank."""
    min_ended_line_frac: Frac | None = 0.12
    """Smallest share of lines that end with a mark such as `.`, `?`, `!` or `。`, quotation marks not among them."""
    pass_if_none_ended: bool = False
    """Whether a document without any such line passes `min_ended_line_frac`: verse, say, or a script without marks."""
    max_short_line_frac: Frac | None = 0.67
    """Largest share of short lines."""
    short_line_chars: Number = 30
    """Most characters of a short line."""
    max_dup_line_char_frac: Frac | None = 0.01
    """Largest share of characters in lines that equal an earlier one; newlines are no characters here."""
    max_newlines_per_word: Rate | None = 0.3
    """Most newlines for each word, those of blank lines included."""

    def kernels(self) -> tuple[str, ...]:
        """One pass over the text; spaCy's words and light ones take another."""
        return ("fineweb.count_fineweb", *CUTTERS[self.words])

    def numbers(self) -> tuple[str, ...]:
        """What is counted."""
        return FINEWEB_COUNTS

    def measure(self, batch: Batch) -> dict[str, npt.NDArray[np.int64]]:
        """The counts of `kernels.fineweb.FINEWEB_COUNTS`, each int64[n_docs]."""
        return fineweb_counts(*batch.text(), short_line_chars=self.short_line_chars, words=self.words)

    def decide(self, values: Values) -> Verdicts:
        """The first limit each document breaks, in the order of the reasons."""
        tests = failing(self, FINEWEB_LIMITS, values)
        if self.pass_if_none_ended:
            tests[ENDED] &= np.asarray(values["n_ended_lines"]) > 0
        return first_failing(len(values["n_lines"]), tests)

    def limits(self) -> dict[str, tuple[str, str]]:
        """Every limit that is on, as a quantity and its bound."""
        return described(self, FINEWEB_LIMITS)
