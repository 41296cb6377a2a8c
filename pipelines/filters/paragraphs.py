"""mC4's rule for pages: three paragraphs of two hundred characters, or it goes.

    measure   lines of at least 200 characters    n_long_paragraphs 2
    decide    2 < 3: too_few_long_paragraphs

    our reason                 datatrove's, C4ParagraphFilter   our parameter             datatrove's
    too_few_long_paragraphs    < 3 paragraphs                   min_paragraphs 3          (fixed)
                                                                min_paragraph_chars 200   (fixed)

Limits are inclusive on both sides. A text with fewer than three lines has fewer than three long ones, so
datatrove's first test, of lines, adds nothing to its second.

Price on one core: 1 GB/s.

Source: Xue et al. 2021, mT5, section 3.1, https://arxiv.org/abs/2010.11934; datatrove 0.10.1,
pipeline/filters/c4_filters.py.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from pipelines.batch import Batch, Values
from pipelines.filters.limits import Limit, Number, described, failing, reasons
from pipelines.kernels.paragraphs import count_long_paragraphs
from pipelines.stage import Rule, Verdicts, first_failing

__all__ = ["C4Paragraphs"]

LIMITS = (Limit("too_few_long_paragraphs", "min_paragraphs", "n_long_paragraphs"),)


class C4Paragraphs(Rule):
    """Drops pages with fewer than three long paragraphs."""

    name: ClassVar[str] = "c4_paragraphs"
    version: ClassVar[int] = 1
    reasons: ClassVar[tuple[str, ...]] = reasons(LIMITS)
    measuring: ClassVar[tuple[str, ...]] = ("min_paragraph_chars",)

    min_paragraphs: Number | None = 3
    """Fewest long paragraphs."""
    min_paragraph_chars: Number = 200
    """Fewest characters of a long paragraph, which is a line."""

    def kernels(self) -> tuple[str, ...]:
        """One pass."""
        return ("paragraphs.count_long_paragraphs",)

    def numbers(self) -> tuple[str, ...]:
        """What is counted."""
        return ("n_long_paragraphs",)

    def measure(self, batch: Batch) -> dict[str, npt.NDArray[np.int64]]:
        """n_long_paragraphs: int64[n_docs]."""
        return {"n_long_paragraphs": count_long_paragraphs(*batch.text(), self.min_paragraph_chars)}

    def decide(self, values: Values) -> Verdicts:
        """Too few of them."""
        return first_failing(len(values["n_long_paragraphs"]), failing(self, LIMITS, values))

    def limits(self) -> dict[str, tuple[str, str]]:
        """The limit, if it is on."""
        return described(self, LIMITS)
