"""Limits as data: one table from which a rule's verdicts, its reasons and its explanations come.

    Limit("too_many_hashes", "max_hashes_per_word", "n_hashes", "n_words")

    drops with `too_many_hashes` where n_hashes / n_words > stage.max_hashes_per_word

Every limit is inclusive: a value equal to its limit passes. `None` turns a limit off; 0 is a number. The
ratio is one float64 division of two integers, hence the double nearest to the true ratio, and 3 of 10
meets a limit written 0.3 exactly. A ratio of nothing (no words, no lines) is 0.

What no document could meet, or every one would, is no limit but a slip: a share of 80, a minimum above its maximum.
The types of the parameters refuse it: `Frac` is in [0, 1], `Rate` and `Number` are 0 or more, and a `Number` is no
larger than a kernel can hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from pipelines.stage import LARGEST

__all__ = ["Frac", "Limit", "Number", "Rate", "described", "failing", "reasons", "refuse_crossed"]

Frac = Annotated[float, Field(ge=0, le=1)]
"""A share of something, or a score."""
Rate = Annotated[float, Field(ge=0)]
"""So many of one thing for each of another, or a mean."""
Number = Annotated[int, Field(ge=0, le=LARGEST)]
"""How many."""


class Limit(NamedTuple):
    """A bound on `of / per` (on `of` alone where `per` is None), set by the parameter `field`, min_ or max_."""

    reason: str
    field: str
    of: str
    per: str | None = None

    @property
    def is_minimum(self) -> bool:
        """Whether the parameter bounds from below; its name says so."""
        return self.field.startswith("min_")


def reasons(limits: Sequence[Limit]) -> tuple[str, ...]:
    """The reasons in the order of the limits, which is the order of the verdicts' codes."""
    return tuple(limit.reason for limit in limits)


def _quantity(limit: Limit, values: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    of = np.asarray(values[limit.of], np.float64)
    if limit.per is None:
        return of
    per = np.asarray(values[limit.per], np.float64)
    return np.divide(of, per, out=np.zeros_like(of), where=per > 0)


def failing(stage: object, limits: Sequence[Limit], values: Mapping[str, Any]) -> list[npt.NDArray[np.bool_]]:
    """For each limit bool[n_docs]: which documents break it; none where the parameter is None."""
    tests = []
    for limit in limits:
        quantity, bound = _quantity(limit, values), getattr(stage, limit.field)
        if bound is None:
            tests.append(np.zeros(len(quantity), np.bool_))
        else:
            tests.append(quantity < bound if limit.is_minimum else quantity > bound)
    return tests


def described(stage: object, limits: Sequence[Limit]) -> dict[str, tuple[str, str]]:
    """reason -> (the measured quantity, its limit) of each limit that is on, for people.

    `{"too_many_hashes": ("n_hashes / n_words", "<= 0.1")}`
    """
    return {
        limit.reason: (
            limit.of if limit.per is None else f"{limit.of} / {limit.per}",
            f"{'>=' if limit.is_minimum else '<='} {getattr(stage, limit.field)}",
        )
        for limit in limits
        if getattr(stage, limit.field) is not None
    }


def refuse_crossed(stage: BaseModel, least: str, most: str) -> None:
    """Refuses a parameter `least` above the parameter `most`, which no document could meet.

    Raises: ValueError.
    """
    low, high = getattr(stage, least), getattr(stage, most)
    if low is not None and high is not None and low > high:
        raise ValueError(
            f"expected {least} of at most {most}, {high}, got {low}; no document would pass: move one of them, or turn "
            "it off with null"
        )
