"""Sixty-four bytes at a time: against Python's own comparison, at every place in a buffer."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from pipelines.kernels.jit import pointer
from pipelines.kernels.lanes import ALL, N_LANES, between, first_bit, n_bits_set, readable

DATA = np.random.default_rng(3).integers(0, 256, 200, np.uint8)


@numba.njit
def bits_of(data: np.ndarray, at: int, low: int, high: int) -> tuple[np.uint64, int, int]:
    bits = between(pointer(data), at, low, high)
    return bits, first_bit(bits), n_bits_set(bits)


@pytest.mark.parametrize(("low", "high"), [(97, 122), (0, 255), (10, 10), (0x80, 0xBF), (0xF0, 0xFF), (0, 0)])
def test_bit_k_says_whether_byte_k_is_in_the_range_whatever_the_place(low: int, high: int) -> None:
    for at in range(len(DATA) - N_LANES + 1):
        inside = [low <= byte <= high for byte in DATA[at : at + N_LANES].tolist()]
        expected = sum(1 << k for k, is_in in enumerate(inside) if is_in)
        bits, first, n_set = bits_of(DATA, at, low, high)
        assert int(bits) == expected
        assert (first, n_set) == (inside.index(True) if expected else 64, sum(inside))


def test_fewer_than_64_bytes_are_copied_and_more_are_not() -> None:
    assert readable(DATA) is DATA
    short = readable(DATA[:10])
    assert len(short) >= N_LANES
    assert np.array_equal(short[:10], DATA[:10])
    assert int(ALL) == (1 << N_LANES) - 1
