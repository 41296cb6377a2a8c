"""Gopher's counts over spaCy's words against the arithmetic of datatrove's filter, spelled out."""

from __future__ import annotations

import numpy as np
from datatrove.utils.text import PUNCTUATION_SET
from hypothesis import given, settings

from pipelines.kernels.gopher_spacy import SPACY_QUALITY_COUNTS, spacy_quality_counts
from tests.kernels.texts import as_arrays, documents, synthetic_documents
from tests.oracles import spacy_twin
from tests.oracles.kernel_twins import STOP_WORDS


def datatroves_counts(text: str) -> dict[str, int]:
    tokens, lines = spacy_twin.words(text), text.splitlines()
    words = [token for token in tokens if not set(token) <= PUNCTUATION_SET]
    return {
        "n_tokens": len(tokens),
        "n_words": len(words),
        "n_word_chars": sum(map(len, words)),
        "n_alpha_words": sum(any(char.isalpha() for char in token) for token in tokens),
        "n_stop_words": len(STOP_WORDS & set(tokens)),
        "n_hashes": text.count("#"),
        "n_ellipses": text.count("...") + text.count("…"),
        "n_lines": len(lines),
        "n_bullet_lines": sum(line.lstrip().startswith(("•", "-")) for line in lines),
        "n_ellipsis_lines": sum(line.rstrip().endswith(("...", "…")) for line in lines),
    }


def counts_of(docs: list[str]) -> list[dict[str, int]]:
    counts = spacy_quality_counts(*as_arrays(docs))
    return [
        dict(zip(SPACY_QUALITY_COUNTS, map(int, row), strict=True))
        for row in zip(*counts.values(), strict=True)
    ]


@settings(max_examples=200, deadline=None)
@given(documents)
def test_counts_over_spacys_words_equal_datatroves(docs: list[str]) -> None:
    assert counts_of(docs) == [datatroves_counts(doc) for doc in docs]


def test_counts_of_long_texts_of_ten_scripts_equal_datatroves() -> None:
    docs = synthetic_documents(60, seed=4)
    assert counts_of(docs) == [datatroves_counts(doc) for doc in docs]


def test_every_line_end_and_every_symbol_of_datatrove_is_known() -> None:
    ends = [
        "\n",
        "\r",
        "\r\n",
        "\v",
        "\f",
        "\x1c",
        "\x1d",
        "\x1e",
        "\x85",
        "\u2028",
        "\u2029",
        "\x1f",
        "\u3000",
    ]
    docs = [f"- a...{end}{end}• b….{end}. .." for end in ends]
    docs += [f"{symbol * 3} x" for symbol in sorted(PUNCTUATION_SET)]
    assert counts_of(docs) == [datatroves_counts(doc) for doc in docs]


def test_a_stop_word_in_another_case_is_none() -> None:
    counts = spacy_quality_counts(*as_arrays(["The of OF", "the of."]), stop_words=("the", "of"))
    assert np.array_equal(counts["n_stop_words"], [1, 2])
