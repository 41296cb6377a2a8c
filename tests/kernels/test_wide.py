"""Eight bytes as one number, against the same bytes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.jit import inline, pointer
from pipelines.kernels.wide import load64, store64


@inline
def copy_8(data: np.ndarray, source: int, target: int) -> np.uint64:
    word = load64(pointer(data), source)
    store64(pointer(data), target, word)
    return word


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(0, 24), st.integers(0, 24))
def test_eight_bytes_are_read_and_written_lowest_first_and_no_others(
    block: bytes, source: int, target: int
) -> None:
    data = np.frombuffer(block, np.uint8).copy()
    word = block[source : source + 8]
    assert int(copy_8(data, source, target)) == int.from_bytes(word, "little")
    assert data.tobytes() == block[:target] + word + block[target + 8 :]
