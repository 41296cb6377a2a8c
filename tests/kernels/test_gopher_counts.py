"""The counts of Gopher's rules against their twins and against datatrove."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from datatrove.pipeline.filters import gopher_repetition_filter as datatrove
from hypothesis import given, settings

from pipelines.kernels.gopher import quality_counts
from pipelines.kernels.gopher_spacy import light_quality_counts
from pipelines.kernels.repetition import DUP_N_GRAMS, TOP_N_GRAMS, repetition_counts
from pipelines.kernels.words import count_words
from tests.kernels.texts import as_arrays, documents, synthetic_documents
from tests.oracles import kernel_twins

many = settings(max_examples=200, deadline=None)


def rows(counts: dict[str, np.ndarray]) -> list[dict[str, int]]:
    """The columns as one dict a document."""
    return [dict(zip(counts, map(int, row), strict=True)) for row in zip(*counts.values(), strict=True)]


@many
@given(documents)
def test_words_are_counted_as_the_twin_counts_them(docs: list[str]) -> None:
    assert list(count_words(*as_arrays(docs))) == [len(kernel_twins.words(doc)) for doc in docs]


@many
@given(documents)
def test_quality_counts_equal_the_twins(docs: list[str]) -> None:
    assert rows(quality_counts(*as_arrays(docs))) == [kernel_twins.quality_counts(doc) for doc in docs]


@many
@given(documents)
def test_repetition_counts_equal_the_twins(docs: list[str]) -> None:
    assert rows(repetition_counts(*as_arrays(docs))) == [kernel_twins.repetition_counts(doc) for doc in docs]


def test_counts_of_long_texts_of_ten_scripts_equal_the_twins() -> None:
    docs = synthetic_documents(60, seed=3)
    docs += [doc * 3 for doc in docs[:20]]
    arrays = as_arrays(docs)
    assert rows(quality_counts(*arrays)) == [kernel_twins.quality_counts(doc) for doc in docs]
    assert rows(repetition_counts(*arrays)) == [kernel_twins.repetition_counts(doc) for doc in docs]


def test_an_n_gram_longer_than_the_table_of_powers_is_still_found() -> None:
    words = " ".join(chr(97 + i) * 700 for i in range(5))
    [counts] = rows(repetition_counts(*as_arrays([f"{words} {words}"])))
    assert counts["dup_5_gram_chars"] == 3500
    assert counts["top_2_gram_chars"] == 2 * 1401


def test_a_slice_of_a_batch_counts_as_the_documents_alone() -> None:
    data, offsets = as_arrays(["skip me", "the end...", "", "- the\r\nend"])
    [first, empty, last] = rows(quality_counts(data, offsets[1:]))
    assert first == kernel_twins.quality_counts("the end...")
    assert set(empty.values()) == {0}
    assert (last["n_lines"], last["n_bullet_lines"], last["n_stop_words"]) == (2, 1, 1)


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("a...... b", "n_ellipses", 2),
        ("….", "n_ellipsis_lines", 0),
        ("one.. .", "n_ellipsis_lines", 0),
        ("one ... \r\ntwo…\n", "n_ellipsis_lines", 2),
        ("\x00- no bullet", "n_bullet_lines", 0),
        ("  \u3000• bullet", "n_bullet_lines", 1),
        ("THE the The", "n_stop_words", 1),
        ("the, to.", "n_stop_words", 0),
        ("a\n\nb\n", "n_lines", 3),
        ("ह १ 1 _", "n_alpha_words", 1),
    ],
)
def test_a_definition_holds_at_its_edge(text: str, name: str, expected: int) -> None:
    assert rows(quality_counts(*as_arrays([text])))[0][name] == expected


def test_stop_words_can_be_another_languages_and_each_counts_once() -> None:
    counts = quality_counts(*as_arrays(["Der Hund und DER Kater und été"]), stop_words=("der", "und", "été"))
    assert list(counts["n_stop_words"]) == [3]


@pytest.mark.parametrize("count", [quality_counts, light_quality_counts])
def test_a_stop_word_with_a_capital_beyond_ascii_matches_itself(count: Any) -> None:
    for word, n_found in (("École", 1), ("ÉTÉ", 1), ("école", 0), ("The", 1)):
        counts = count(*as_arrays(["École ÉTÉ THE"]), stop_words=(word,))
        assert list(counts["n_stop_words"]) == [n_found]


@many
@given(documents)
def test_repetition_equals_datatrove_given_the_same_words(docs: list[str]) -> None:
    docs = [doc.replace("\r", "").replace("\x1c", "") or "x" for doc in docs]
    for doc, counts in zip(docs, rows(repetition_counts(*as_arrays(docs))), strict=True):
        rule = datatrove.GopherRepetitionFilter()
        words = kernel_twins.words(doc)
        line_pair = datatrove.find_duplicates(rule._line_splitter.split(doc))
        paragraph_pair = datatrove.find_duplicates(
            rule.paragraph_exp.split(doc.strip(kernel_twins.WHITE_SPACE))
        )
        assert (counts["n_dup_lines"], counts["n_dup_line_chars"]) == line_pair
        assert (counts["n_dup_paragraphs"], counts["n_dup_paragraph_chars"]) == paragraph_pair
        for n in TOP_N_GRAMS:
            grams = datatrove.get_n_grams(words, n)
            assert counts[f"top_{n}_gram_chars"] == (datatrove.find_top_duplicate(grams) if grams else 0)
        for n in DUP_N_GRAMS:
            assert counts[f"dup_{n}_gram_chars"] == datatrove.find_all_duplicate(words, n)
