"""Shares of counts, against fractions."""

from decimal import Decimal
from fractions import Fraction
from math import ceil

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.shares import least_counts


@given(st.lists(st.integers(0, 2**62), max_size=9), st.floats(0, 1, allow_subnormal=False))
def test_the_least_count_is_that_of_fractions(totals, share):
    found = least_counts(np.array(totals, dtype=np.int64), share)
    assert found.tolist() == [ceil(total * Fraction(Decimal(repr(share)))) for total in totals]
