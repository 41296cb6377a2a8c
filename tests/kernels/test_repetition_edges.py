"""Repetition where its kernel changes its way: ends of blocks of 64 bytes, of the data, words of 8 and 16 bytes."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.repetition import repetition_counts
from pipelines.kernels.unicode import SPACE, character_classes
from tests.kernels.texts import as_arrays, documents, repetitive_texts, synthetic_documents
from tests.oracles import kernel_twins, spacy_twin

many = settings(max_examples=200, deadline=None)


def rows(docs: list[str], *, words: Literal["spaces", "spacy"] = "spaces") -> list[dict[str, int]]:
    counts = repetition_counts(*as_arrays(docs), words=words)
    return [dict(zip(counts, map(int, row), strict=True)) for row in zip(*counts.values(), strict=True)]


def over_spacys(text: str) -> dict[str, int]:
    return kernel_twins.counts_over(spacy_twin.words(text), text, newline=r"\n", stripped=text.strip())


@many
@given(st.lists(repetitive_texts, max_size=4))
def test_texts_that_repeat_their_words_count_as_the_twins(docs: list[str]) -> None:
    assert rows(docs) == [kernel_twins.repetition_counts(doc) for doc in docs]
    assert rows(docs, words="spacy") == [over_spacys(doc) for doc in docs]


@many
@given(documents)
def test_counts_over_spacys_words_equal_the_twins(docs: list[str]) -> None:
    assert rows(docs, words="spacy") == [over_spacys(doc) for doc in docs]


def test_long_texts_of_ten_scripts_over_spacys_words_equal_the_twins() -> None:
    docs = synthetic_documents(40, seed=5)
    docs += [doc * 2 for doc in docs[:10]]
    assert rows(docs, words="spacy") == [over_spacys(doc) for doc in docs]


@pytest.mark.parametrize("space", kernel_twins.WHITE_SPACE)
def test_white_space_ends_a_word_wherever_it_stands_in_a_block(space: str) -> None:
    docs = [f"{'x' * k}{space}y x y x{space}y" for k in range(130)]
    assert rows(docs) == [kernel_twins.repetition_counts(doc) for doc in docs]


def test_no_white_space_beyond_ascii_begins_with_a_byte_that_the_scan_passes_over() -> None:
    spaces = np.flatnonzero(character_classes() & SPACE)
    leads = {chr(point).encode()[0] for point in spaces if point > 127}
    assert leads <= {0xC2, 0xE1, 0xE2, 0xE3}


def test_words_of_any_length_are_told_apart_by_every_byte_and_by_their_length() -> None:
    docs = []
    for n in range(1, 41):
        word = "abcdefghij" * 4
        word = word[:n]
        others = [word[:k] + "X" + word[k + 1 :] for k in range(n)]
        docs += [f"{word} b {other} b {word} b" for other in [*others, word + "\x00", word + "k"]]
    assert rows(docs) == [kernel_twins.repetition_counts(doc) for doc in docs]


@pytest.mark.parametrize("n_last", range(1, 40))
def test_a_last_word_counts_though_no_16_bytes_are_left_to_read(n_last: int) -> None:
    last = "z" * n_last
    doc = f"{last} b {last} b {last}"
    assert rows([doc]) == [kernel_twins.repetition_counts(doc)]


def test_a_document_counts_alike_wherever_it_begins_in_the_batch() -> None:
    doc = "é to be\r\n\r\nor not to be\n\nto\u3000be or not to be, that is\u2003to be\n" * 2
    for before in range(70):
        assert rows(["x" * before, doc])[1] == kernel_twins.repetition_counts(doc)


@pytest.mark.parametrize("last", ["f", "f" * 6, "f" * 11, "f" * 12, "f" * 40])
def test_n_grams_that_are_equal_without_spaces_are_equal_though_their_words_are_not(last: str) -> None:
    doc = f"ab c d e {last} - a bc d e {last}"
    [counts] = rows([doc])
    assert counts["dup_5_gram_chars"] == 5 + len(last)
    assert counts == kernel_twins.repetition_counts(doc)


def test_n_grams_that_share_their_first_16_bytes_their_last_8_and_their_length_are_told_apart() -> None:
    doc = " ".join(f"the same sixteen bytes {number} and the same eight" for number in range(1000, 1300))
    [counts] = rows([doc])
    assert counts["dup_9_gram_chars"] == kernel_twins.repetition_counts(doc)["dup_9_gram_chars"] == 0
    assert counts == kernel_twins.repetition_counts(doc)


def test_of_two_most_frequent_n_grams_the_first_seen_counts() -> None:
    [counts] = rows(["long-word long-word a a a long-word long-word"])
    assert counts["top_2_gram_chars"] == 2 * len("long-word long-word")
    [counts] = rows(["a a b long-word long-word b a a b long-word long-word b"])
    assert counts["top_3_gram_chars"] == 2 * len("a a b")


def test_a_text_of_one_word_ten_thousand_times_counts_as_the_twin() -> None:
    docs = ["a " * 10_000, "a" * 10_000, "\n" * 10_000, "\na" * 10_000]
    assert rows(docs) == [kernel_twins.repetition_counts(doc) for doc in docs]
