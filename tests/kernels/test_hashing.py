"""Every hash against the package that defines it."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.hashing import sha1_32_spans, xxh32_spans, xxh64_spans
from tests.kernels.texts import as_arrays

SPANS = [np.random.default_rng(n).bytes(n) for n in range(301)]
many = settings(max_examples=150, deadline=None)
spans = st.lists(st.binary(max_size=400), max_size=8)


def sha1_low(span: bytes) -> int:
    return int.from_bytes(hashlib.sha1(span).digest()[:4], "little")


@pytest.mark.parametrize("seed", [0, 1, 0x9E3779B1, 2**32 - 1])
def test_xxh32_and_xxh64_are_right_at_every_length_to_300(seed: int) -> None:
    arrays = as_arrays(SPANS)
    assert xxh32_spans(*arrays, np.uint64(seed)).tolist() == [xxhash.xxh32_intdigest(s, seed) for s in SPANS]
    assert xxh64_spans(*arrays, np.uint64(seed)).tolist() == [xxhash.xxh64_intdigest(s, seed) for s in SPANS]


def test_sha1_is_right_at_every_length_to_300() -> None:
    assert sha1_32_spans(*as_arrays(SPANS)).tolist() == [sha1_low(span) for span in SPANS]


@many
@given(spans, st.integers(0, 2**32 - 1))
def test_hashes_of_random_bytes_are_right(docs: list[bytes], seed: int) -> None:
    arrays = as_arrays(docs)
    assert xxh32_spans(*arrays, np.uint64(seed)).tolist() == [xxhash.xxh32_intdigest(d, seed) for d in docs]
    assert xxh64_spans(*arrays, np.uint64(seed)).tolist() == [xxhash.xxh64_intdigest(d, seed) for d in docs]
    assert sha1_32_spans(*arrays).tolist() == [sha1_low(doc) for doc in docs]
