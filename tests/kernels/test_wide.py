"""What works on many bytes at once, against the same done byte by byte."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.jit import inline, pointer
from pipelines.kernels.wide import bit_count, in_range, load64, lowest_bit, store64

many = settings(max_examples=200, deadline=None)
words = st.integers(0, 2**64 - 1)


@inline
def range_of(data: np.ndarray, at: int, first: int, count: int) -> np.uint64:
    return in_range(pointer(data), at, first, count)


@inline
def copy_8(data: np.ndarray, source: int, target: int) -> np.uint64:
    word = load64(pointer(data), source)
    store64(pointer(data), target, word)
    return word


@inline
def bits_of(word: np.uint64) -> tuple[int, int]:
    return lowest_bit(word), bit_count(word)


@many
@given(st.binary(min_size=70, max_size=70), st.integers(0, 6), st.integers(0, 255), st.integers(0, 255))
def test_a_bit_is_set_for_each_byte_of_the_range_and_for_no_other(
    block: bytes, at: int, first: int, count: int
) -> None:
    bits = int(range_of(np.frombuffer(block, np.uint8).copy(), at, first, count))
    assert [bits >> k & 1 for k in range(64)] == [(block[at + k] - first) % 256 < count for k in range(64)]


@many
@given(st.binary(min_size=32, max_size=32), st.integers(0, 24), st.integers(0, 24))
def test_eight_bytes_are_read_and_written_lowest_first_and_no_others(
    block: bytes, source: int, target: int
) -> None:
    data = np.frombuffer(block, np.uint8).copy()
    word = block[source : source + 8]
    assert int(copy_8(data, source, target)) == int.from_bytes(word, "little")
    assert data.tobytes() == block[:target] + word + block[target + 8 :]


@many
@given(words | st.integers(0, 63).map(lambda k: 1 << k))
def test_bits_are_counted_and_the_lowest_is_found(word: int) -> None:
    lowest = (word & -word).bit_length() - 1 if word else 64
    assert bits_of(np.uint64(word)) == (lowest, word.bit_count())
