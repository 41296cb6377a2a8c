"""Shares of counts, against fractions."""

from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.shares import least_counts, most_counts


@given(st.lists(st.integers(0, 2**62), max_size=9), st.floats(0, 1, allow_subnormal=False))
def test_counts_are_those_of_fractions(totals, share):
    exact = [total * Fraction(Decimal(repr(share))) for total in totals]
    counts = np.array(totals, dtype=np.int64)
    assert least_counts(counts, share).tolist() == [ceil(number) for number in exact]
    assert most_counts(counts, share).tolist() == [floor(number) for number in exact]
