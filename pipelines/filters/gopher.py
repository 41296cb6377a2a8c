"""Gopher's rules: is it prose (`gopher_quality`), and does it repeat itself (`gopher_repetition`).

    measure   one kernel pass -> integers          n_words 6, n_word_chars 24, n_hashes 0, ...
    decide    ratios in float64 beside the limits  24 / 6 = 4.0 in [3, 10]; a document's first failing limit

Every limit is inclusive and `None` turns it off. What is counted, and how other projects count, stands in
`kernels/gopher.py` and `kernels/repetition.py`. With `words: spaces`, words are runs of non-white space, so no
full stop is a word, and stop words match in any case ("The"). With `words: spacy`, both follow datatrove to
the letter (`kernels/gopher_spacy.py`): words are those of spaCy's English tokenizer. With `words: light` they are runs
of letters and numbers of any script, and grams of about a word's length where a script has no spaces
(`kernels/light_words.py`): punctuation is no word, so that it lowers no alphabetic share; the rest is as with spaces,
but that lines of quality are Python's. Limits of English do not hold there: docs/recipes.md has FineWeb-2's.

Price on one core, English, beside other work: quality 150 MB/s, 110 to 150 over spaCy's words, 220 to 290 over light
ones; repetition 190 to 225, 85 to 115 over spaCy's, 170 over light ones (120 of Chinese), the dearest rule, so
place it after the cheap ones. An empty document is `empty` to repetition and too short for quality.

Source: Rae et al. 2021, Gopher, appendix A.1 and table A1, https://arxiv.org/abs/2112.11446; the limits are
those of datatrove's filters, which FineWeb ran.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from pipelines.batch import Batch, Values
from pipelines.filters.labels import SPACED
from pipelines.filters.limits import Frac, Limit, Number, Rate, described, failing, reasons, refuse_crossed
from pipelines.kernels.gopher import MAX_STOP_WORDS, QUALITY_COUNTS, STOP_WORDS, lower_ascii, quality_counts
from pipelines.kernels.gopher_spacy import SPACY_QUALITY_COUNTS, light_quality_counts, spacy_quality_counts
from pipelines.kernels.repetition import REPETITION_COUNTS, repetition_counts
from pipelines.kernels.word_spans import CUTTERS
from pipelines.stage import Rule, Verdicts, first_failing

__all__ = ["GopherQuality", "GopherRepetition"]

Counts = dict[str, npt.NDArray[np.int64]]

QUALITY_LIMITS = (
    Limit("too_few_words", "min_words", "n_words"),
    Limit("too_many_words", "max_words", "n_words"),
    Limit("words_too_short", "min_mean_word_chars", "n_word_chars", "n_words"),
    Limit("words_too_long", "max_mean_word_chars", "n_word_chars", "n_words"),
    Limit("too_many_hashes", "max_hashes_per_word", "n_hashes", "n_words"),
    Limit("too_many_ellipses", "max_ellipses_per_word", "n_ellipses", "n_words"),
    Limit("too_many_bullet_lines", "max_bullet_line_frac", "n_bullet_lines", "n_lines"),
    Limit("too_many_ellipsis_lines", "max_ellipsis_line_frac", "n_ellipsis_lines", "n_lines"),
    Limit("too_few_alphabetic_words", "min_alpha_word_frac", "n_alpha_words", "n_words"),
    Limit("too_few_stop_words", "min_stop_words", "n_stop_words"),
)

# datatrove's shares of words are of all tokens, its numbers and lengths of those that are no mere symbols.
SPACY_QUALITY_LIMITS = tuple(
    limit._replace(per="n_tokens") if limit.per == "n_words" and limit.of != "n_word_chars" else limit
    for limit in QUALITY_LIMITS
)

REPETITION_LIMITS = (
    Limit("empty", "min_chars", "n_chars"),
    Limit("duplicate_paragraphs", "max_dup_paragraph_frac", "n_dup_paragraphs", "n_paragraphs"),
    Limit("duplicate_paragraph_chars", "max_dup_paragraph_char_frac", "n_dup_paragraph_chars", "n_chars"),
    Limit("duplicate_lines", "max_dup_line_frac", "n_dup_lines", "n_lines"),
    Limit("duplicate_line_chars", "max_dup_line_char_frac", "n_dup_line_chars", "n_chars"),
    *(Limit(f"frequent_{n}_gram", f"max_top_{n}_gram_frac", f"top_{n}_gram_chars", "n_chars") for n in (2, 3, 4)),
    *(Limit(f"repeated_{n}_grams", f"max_dup_{n}_gram_frac", f"dup_{n}_gram_chars", "n_chars") for n in range(5, 11)),
)  # fmt: skip


class GopherQuality(Rule):
    """Drops what does not read like prose: too short, odd words, symbols, bullets, no stop words."""

    name: ClassVar[str] = "gopher_quality"
    version: ClassVar[int] = 2
    reasons: ClassVar[tuple[str, ...]] = reasons(QUALITY_LIMITS)
    languages: ClassVar[tuple[str, ...]] = ("en",)
    measuring: ClassVar[tuple[str, ...]] = ("words", "stop_words")

    words: Literal["spaces", "spacy", "light"] = "spaces"
    """What a word is: a run of non-white space; for datatrove's verdicts, a token of spaCy's English; or, in any
    language, a run or gram of letters and numbers."""
    min_words: Number | None = 50
    """Fewest words."""
    max_words: Number | None = 100_000
    """Most words."""
    min_mean_word_chars: Rate | None = 3.0
    """Smallest mean length of a word, in characters."""
    max_mean_word_chars: Rate | None = 10.0
    """Largest mean length of a word, in characters."""
    max_hashes_per_word: Rate | None = 0.1
    """Most `#` for each word."""
    max_ellipses_per_word: Rate | None = 0.1
    """Most `...` and `…` for each word."""
    max_bullet_line_frac: Frac | None = 0.9
    """Largest share of lines that start with `•` or `-`, white space aside."""
    max_ellipsis_line_frac: Frac | None = 0.3
    """Largest share of lines that end with `...` or `…`, white space aside."""
    min_alpha_word_frac: Frac | None = 0.8
    """Smallest share of words with an alphabetic character."""
    min_stop_words: Number | None = 2
    """Fewest different stop words."""
    stop_words: tuple[str, ...] = Field(default=STOP_WORDS, max_length=MAX_STOP_WORDS)
    """The stop words, at most 64; unless `words` is `spacy`, upper and lower case of ASCII are one (É and é are two).
    In `words: light` one of a single Han or hiragana letter, such as 的, is found in any gram."""

    @model_validator(mode="after")
    def _limits_can_be_met(self) -> GopherQuality:
        refuse_crossed(self, "min_words", "max_words")
        refuse_crossed(self, "min_mean_word_chars", "max_mean_word_chars")
        # As the kernels compare them.
        words = self.stop_words if self.words == "spacy" else lower_ascii(self.stop_words)
        n_different = len({*words})
        if n_different < (self.min_stop_words or 0):
            raise ValueError(
                f"expected stop_words to be at least as many as min_stop_words, {self.min_stop_words}, got "
                f"{n_different}; no document would have so many: give more of them, or  min_stop_words: null"
            )
        return self

    def kernels(self) -> tuple[str, ...]:
        """One pass over the text; spaCy's words and light ones take another."""
        if self.words == "spaces":
            return ("gopher.count_quality",)
        return ("gopher_spacy.count_spacy_quality", *CUTTERS[self.words])

    def numbers(self) -> tuple[str, ...]:
        """What is counted."""
        return SPACY_QUALITY_COUNTS if self.words == "spacy" else QUALITY_COUNTS

    def measure(self, batch: Batch) -> Counts:
        """`kernels.gopher.QUALITY_COUNTS`, or `SPACY_QUALITY_COUNTS` for spaCy's words, each int64[n_docs]."""
        counts = {"spaces": quality_counts, "spacy": spacy_quality_counts, "light": light_quality_counts}
        return counts[self.words](*batch.text(), stop_words=self.stop_words)

    def decide(self, values: Values) -> Verdicts:
        """The first limit each document breaks, in the order of the reasons."""
        return first_failing(len(values["n_words"]), failing(self, self._quality_limits(), values))

    def limits(self) -> dict[str, tuple[str, str]]:
        """Every limit that is on, as a quantity and its bound."""
        return described(self, self._quality_limits())

    def _quality_limits(self) -> tuple[Limit, ...]:
        return SPACY_QUALITY_LIMITS if self.words == "spacy" else QUALITY_LIMITS


class GopherRepetition(Rule):
    """Drops what repeats its lines, its paragraphs or its phrases. All shares of characters are of the text's."""

    name: ClassVar[str] = "gopher_repetition"
    version: ClassVar[int] = 2
    reasons: ClassVar[tuple[str, ...]] = reasons(REPETITION_LIMITS)
    languages: ClassVar[tuple[str, ...]] = SPACED
    measuring: ClassVar[tuple[str, ...]] = ("words",)

    words: Literal["spaces", "spacy", "light"] = "spaces"
    """What a word is: a run of non-white space; for datatrove's verdicts, a token of spaCy's English; or, in any
    language, a run or gram of letters and numbers."""
    min_chars: Number | None = 1
    """Fewest characters: a text of none has nothing to repeat, and datatrove drops it here."""
    max_dup_paragraph_frac: Frac | None = 0.3
    """Largest share of paragraphs that equal an earlier one."""
    max_dup_paragraph_char_frac: Frac | None = 0.2
    """Largest share of characters in such paragraphs."""
    max_dup_line_frac: Frac | None = 0.3
    """Largest share of lines that equal an earlier one."""
    max_dup_line_char_frac: Frac | None = 0.2
    """Largest share of characters in such lines."""
    max_top_2_gram_frac: Frac | None = 0.2
    """Largest share of characters in the most frequent pair of words."""
    max_top_3_gram_frac: Frac | None = 0.18
    """Largest share of characters in the most frequent three words."""
    max_top_4_gram_frac: Frac | None = 0.16
    """Largest share of characters in the most frequent four words."""
    max_dup_5_gram_frac: Frac | None = 0.15
    """Largest share of characters in repeated runs of five words."""
    max_dup_6_gram_frac: Frac | None = 0.14
    """Largest share of characters in repeated runs of six words."""
    max_dup_7_gram_frac: Frac | None = 0.13
    """Largest share of characters in repeated runs of seven words."""
    max_dup_8_gram_frac: Frac | None = 0.12
    """Largest share of characters in repeated runs of eight words."""
    max_dup_9_gram_frac: Frac | None = 0.11
    """Largest share of characters in repeated runs of nine words."""
    max_dup_10_gram_frac: Frac | None = 0.1
    """Largest share of characters in repeated runs of ten words."""

    def kernels(self) -> tuple[str, ...]:
        """One kernel, a pass over the words for each n; spaCy's words and light ones take another."""
        return ("repetition.count_repetition", *CUTTERS[self.words])

    def numbers(self) -> tuple[str, ...]:
        """What is counted."""
        return REPETITION_COUNTS

    def measure(self, batch: Batch) -> Counts:
        """The counts of `kernels.repetition.REPETITION_COUNTS`, each int64[n_docs]."""
        return repetition_counts(*batch.text(), words=self.words)

    def decide(self, values: Values) -> Verdicts:
        """The first limit each document breaks, in the order of the reasons."""
        return first_failing(len(values["n_chars"]), failing(self, REPETITION_LIMITS, values))

    def limits(self) -> dict[str, tuple[str, str]]:
        """Every limit that is on, as a quantity and its bound."""
        return described(self, REPETITION_LIMITS)
