"""Shingles against their twin, signatures against datasketch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xxhash
from datasketch import MinHash
from datasketch.hashfunc import sha1_hash32
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.minhash import permutations, shingle, sign, sketch
from tests.kernels.texts import as_arrays, documents, synthetic_documents
from tests.oracles import kernel_twins

SENTENCES = Path(__file__).parents[3] / "shared" / "data" / "langid" / "lingua-sentences"
PERMUTATIONS = MinHash(num_perm=112, seed=1).permutations


def datasketch_signature(text: str, *, n_gram: int = 5) -> np.ndarray:
    reference = MinHash(
        num_perm=112, seed=1, scheme="affine32", permutations=PERMUTATIONS, hashfunc=xxhash.xxh32_intdigest
    )
    reference.update_batch(kernel_twins.shingles(text, n_gram))
    return reference.hashvalues


@settings(max_examples=200, deadline=None)
@given(documents, st.integers(1, 6))
def test_shingles_are_the_twins_hashed_once_each_in_order(docs: list[str], n_gram: int) -> None:
    hashes, offsets = shingle(*as_arrays(docs), n_gram=n_gram)
    for index, doc in enumerate(docs):
        expected = [xxhash.xxh32_intdigest(gram) for gram in kernel_twins.shingles(doc, n_gram)]
        assert hashes[offsets[index] : offsets[index + 1]].tolist() == list(dict.fromkeys(expected))


def test_signatures_of_a_thousand_texts_of_ten_scripts_equal_datasketchs_bit_for_bit() -> None:
    docs = synthetic_documents(1000, seed=11)
    signatures, n_shingles = sketch(*as_arrays(docs))
    assert signatures.dtype == np.uint32
    assert signatures.shape == (1000, 112)
    assert 0 < (n_shingles == 0).sum() < 20, "the texts should hold a few without words"
    for doc, signature in zip(docs, signatures, strict=True):
        assert np.array_equal(signature, datasketch_signature(doc))


@pytest.mark.real
@pytest.mark.skipif(not SENTENCES.exists(), reason="needs ../shared/data")
def test_signatures_of_real_sentences_of_75_languages_equal_datasketchs() -> None:
    files = sorted(path for path in SENTENCES.rglob("*") if path.is_file())
    docs = [
        "\n".join(path.read_text("utf-8").splitlines()[first : first + 8])
        for path in files
        for first in range(0, 120, 8)
    ]
    assert len(docs) >= 1000
    signatures, _ = sketch(*as_arrays(docs))
    for doc, signature in zip(docs, signatures, strict=True):
        assert np.array_equal(signature, datasketch_signature(doc))


def test_with_sha1_signatures_equal_datasketchs_defaults() -> None:
    docs = synthetic_documents(40, seed=5)
    signatures = sign(shingle(*as_arrays(docs), hash_name="sha1"), n_permutations=128, seed=1)
    for doc, signature in zip(docs, signatures, strict=True):
        reference = MinHash(num_perm=128, hashfunc=sha1_hash32)
        reference.update_batch(kernel_twins.shingles(doc, 5))
        assert np.array_equal(signature, reference.hashvalues)


@pytest.mark.parametrize(("n_permutations", "seed"), [(1, 0), (112, 1), (128, 42), (260, 2**31)])
def test_permutations_are_the_ones_datasketch_draws(n_permutations: int, seed: int) -> None:
    ours = permutations(n_permutations, seed)
    assert np.array_equal(ours, MinHash(num_perm=n_permutations, seed=seed).permutations)


def test_a_short_document_has_one_shingle_and_an_empty_one_none() -> None:
    signatures, n_shingles = sketch(*as_arrays(["Two words", "two, WORDS!", " ... \n", ""]))
    assert n_shingles.tolist() == [1, 1, 0, 0]
    assert np.array_equal(signatures[0], signatures[1])
    assert (signatures[2:] == 0xFFFFFFFF).all()


def test_case_punctuation_and_spacing_do_not_change_a_signature_but_a_word_does() -> None:
    docs = [
        "It was the best of times, it was the worst of times",
        "IT WAS the “best” of\r\n\ttimes - it was the worst of times.",
        "It was the best of times, it was the worst of crimes",
    ]
    signatures, _ = sketch(*as_arrays(docs))
    assert np.array_equal(signatures[0], signatures[1])
    assert 0.4 < (signatures[0] == signatures[2]).mean() < 1


def test_chinese_is_cut_by_characters_so_that_an_edit_leaves_most_shingles_standing() -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E64)))
    signatures, n_shingles = sketch(*as_arrays([text, text[:50] + "龍" + text[51:]]))
    assert n_shingles.tolist() == [96, 96]
    assert (signatures[0] == signatures[1]).mean() > 0.7


def test_lower_case_may_be_longer_than_upper_case() -> None:
    text = "Ⱥ " * 200 + "Ⱥ" * 500
    hashes, _ = shingle(*as_arrays([text]))
    expected = [xxhash.xxh32_intdigest(gram) for gram in kernel_twins.shingles(text, 5)]
    assert hashes.tolist() == expected
