"""A share of a whole, as a recipe writes it, asked of counts without a rounding: .7 of 10 is 7."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["least_counts", "most_counts"]

_EXACT = Context(prec=64)  # 19 digits of a count times 17 of a share
I64s = npt.NDArray[np.int64]


def least_counts(totals: npt.NDArray[Any], share: float) -> I64s:
    """The least whole number that is `share` of each total or more: int64[n].

    share: in [0, 1], taken as it is written: 0.7 is seven tenths, not the double nearest to it.

    >>> least_counts(np.array([10, 11, 0]), 0.7).tolist()
    [7, 8, 0]
    """
    return _counts(totals, share, ROUND_CEILING)


def most_counts(totals: npt.NDArray[Any], share: float) -> I64s:
    """The largest whole number that is `share` of each total or less: int64[n].

    >>> most_counts(np.array([10, 11, 0]), 0.7).tolist()
    [7, 7, 0]
    """
    return _counts(totals, share, ROUND_FLOOR)


def _counts(totals: npt.NDArray[Any], share: float, rounding: str) -> I64s:
    wanted = Decimal(repr(share))
    distinct, place = np.unique(totals, return_inverse=True)
    exact = (_EXACT.multiply(total, wanted) for total in map(Decimal, distinct.tolist()))
    return np.array([int(number.to_integral_value(rounding)) for number in exact], dtype=np.int64)[place]
