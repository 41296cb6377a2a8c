"""Our own signatures against their twin in Python's integers, and against the sets they estimate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.minhash import permutations
from pipelines.kernels.sketches import shingle_sets, sketch_texts
from tests.kernels.texts import as_arrays, documents, repetitive_texts, synthetic_documents
from tests.oracles import sketch_twin


def check(docs: list[str], n_gram: int) -> None:
    a, b = (list(map(int, side)) for side in permutations(9, 3))
    arrays = as_arrays(docs)
    signatures, n_shingles = sketch_texts(*arrays, n_gram=n_gram, n_permutations=9, seed=3)
    sets, ends = shingle_sets(*arrays, n_gram=n_gram)
    for index, doc in enumerate(docs):
        hashes = sketch_twin.shingle_hashes(doc, n_gram)
        assert n_shingles[index] == len(hashes)
        assert sets[ends[index] : ends[index + 1]].tolist() == list(dict.fromkeys(hashes))
        assert signatures[index].tolist() == sketch_twin.signature(doc, n_gram, a, b)


@settings(max_examples=300, deadline=None)
@given(documents, st.integers(1, 6))
def test_signatures_and_sets_are_the_twins(docs: list[str], n_gram: int) -> None:
    check(docs, n_gram)


@settings(max_examples=200, deadline=None)
@given(repetitive_texts, st.integers(0, 70), st.sampled_from(["", "é", "中", "x" * 70, "y" * 130, "É" * 40]))
def test_words_at_every_place_of_a_window_are_the_twins(text: str, n_before: int, long_word: str) -> None:
    check([("ab " * 40)[:n_before] + long_word + text, text + long_word], 5)


def test_documents_of_ten_scripts_are_the_twins() -> None:
    check(synthetic_documents(120, seed=11), 5)


def test_a_signature_does_not_depend_on_what_stands_beside_a_document() -> None:
    docs = ["the End", "of the", "", "Story, told AGAIN and again " * 9, "a"]
    together, _ = sketch_texts(*as_arrays(docs))
    for doc, signature in zip(docs, together, strict=True):
        assert np.array_equal(sketch_texts(*as_arrays([doc]))[0][0], signature)


@pytest.mark.parametrize(
    "other", ["IT WAS the “best”\r\n of times, it was...", "it was the best of times it was"]
)
def test_case_punctuation_and_spacing_change_nothing(other: str) -> None:
    one, two = sketch_texts(*as_arrays(["It was the best of times; it was", other]))[0]
    assert np.array_equal(one, two)


def test_a_short_document_has_one_shingle_and_an_empty_one_none() -> None:
    signatures, n_shingles = sketch_texts(*as_arrays(["Two words", "two, WORDS!", " ... \n", ""]))
    assert n_shingles.tolist() == [1, 1, 0, 0]
    assert np.array_equal(signatures[0], signatures[1])
    assert (signatures[2:] == 0xFFFFFFFF).all()
