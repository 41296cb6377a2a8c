"""FineWeb's own rules: counts against the twin, every limit at its edge, and the verdicts of datatrove."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import fineweb_quality_filter as datatrove
from datatrove.utils.text import TERMINAL_PUNCTUATION
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.filters.fineweb import FINEWEB_LIMITS, FineWebQuality
from pipelines.filters.labels import UNSPACED
from pipelines.kernels.fineweb import FINEWEB_COUNTS, fineweb_counts
from pipelines.kernels.sentences import TERMINAL, text_classes
from tests.filters.batches import batch_of, no_documents, reasons_of
from tests.kernels.texts import as_arrays, documents, synthetic_documents
from tests.oracles import line_twins

BOOKS = Path(__file__).parents[3] / "shared" / "data" / "gutenberg" / "en"
GOOD = {
    **dict.fromkeys(FINEWEB_COUNTS, 0),
    "n_lines": 100,
    "n_ended_lines": 100,
    "n_chars": 10_000,
    "n_words": 2_000,
}
OURS_FOR_DATATROVES = {
    "empty": "too_few_lines",
    "line_punct_ratio": "too_few_ended_lines",
    "short_line_ratio": "too_many_short_lines",
    "char_dup_ratio": "repeated_line_chars",
    "list_ratio": "too_many_newlines",
}

each_limit = pytest.mark.parametrize("limit", FINEWEB_LIMITS, ids=[limit.reason for limit in FINEWEB_LIMITS])
# Lines as the rule meets them: short and long, ended or not, repeated, blank, with odd spaces.
lines = st.sampled_from(
    ["", " ", "\x1c", "The end.", "He said so.”", "Why? ", "menu", "menu", "一行。", "x" * 30, "é" * 31, "a b c d e f",
     "\r", "the longest line of all, which ends without a mark", "and a long one that ends as it should, with one."]
)  # fmt: skip
texts = st.lists(lines, max_size=30).map("\n".join)


def verdict(rule: FineWebQuality, values: dict[str, int]) -> str | None:
    [code] = rule.decide({name: np.array([value]) for name, value in values.items()})
    return rule.reasons[code - 1] if code else None


def only(limit, **params) -> FineWebQuality:
    return FineWebQuality(**{other.field: None for other in FINEWEB_LIMITS if other != limit} | params)


def test_the_marks_that_end_a_line_are_datatroves() -> None:
    ours = {chr(point) for point in range(0x110000) if text_classes()[point] & TERMINAL}
    assert ours == TERMINAL_PUNCTUATION


@settings(max_examples=200, deadline=None)
@given(documents | st.lists(texts, max_size=4), st.sampled_from([0, 3, 30]))
def test_counts_equal_the_twins(docs: list[str], short: int) -> None:
    counts = fineweb_counts(*as_arrays(docs), short_line_chars=short)
    rows = [dict(zip(counts, map(int, row), strict=True)) for row in zip(*counts.values(), strict=True)]
    assert rows == [line_twins.fineweb_counts(doc, short_line_chars=short) for doc in docs]


@each_limit
def test_a_limit_keeps_what_meets_it_and_drops_one_count_beyond(limit) -> None:
    rule = only(limit)
    edge = Fraction(str(getattr(rule, limit.field))) * (GOOD[limit.per] if limit.per else 1)
    assert edge.denominator == 1
    beyond = edge - 1 if limit.is_minimum else edge + 1
    assert verdict(rule, {**GOOD, limit.of: int(edge)}) is None
    assert verdict(rule, {**GOOD, limit.of: int(beyond)}) == limit.reason


@each_limit
def test_a_limit_of_none_is_off(limit) -> None:
    broken = {**GOOD, limit.of: -1 if limit.is_minimum else 10**9}
    assert verdict(only(limit), broken) == limit.reason
    assert verdict(only(limit, **{limit.field: None}), broken) is None
    assert limit.reason not in FineWebQuality(**{limit.field: None}).limits()


def test_a_document_without_any_ended_line_passes_where_that_is_asked_for() -> None:
    none, few = {**GOOD, "n_ended_lines": 0}, {**GOOD, "n_ended_lines": 1}
    assert verdict(FineWebQuality(), none) == "too_few_ended_lines"
    assert verdict(FineWebQuality(pass_if_none_ended=True), none) is None
    assert verdict(FineWebQuality(pass_if_none_ended=True), few) == "too_few_ended_lines"


LONG = "A line long enough to be no short one, with a mark at its end."


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LONG, None),
        ("", "too_few_lines"),
        (" \n\x1c\n\u3000", "too_few_lines"),
        ("\n".join([LONG[:-1]] * 22 + [LONG] * 3), "repeated_line_chars"),
        ("\n".join([f"{i} {LONG[:-1]}" for i in range(22)] + [LONG] * 3), "repeated_line_chars"),
        ("\n".join([f"{i} {LONG[:-1]}" for i in range(22)] + [LONG] * 2), "too_few_ended_lines"),
        ("\n".join([f"{i} {LONG} " for i in range(9)]), "too_few_ended_lines"),
        ("\n".join(["x" * 29 + "."] * 2 + [LONG]), "repeated_line_chars"),
        ("\n".join(["x" * 29 + ".", "y" * 29 + ".", "z.", LONG]), "too_many_short_lines"),
        ("\n".join(["x" * 30 + ".", "y" * 30 + ".", "z.", LONG]), None),
        ("\n".join([f"{'x' * 40}{i}." for i in range(9)]), "too_many_newlines"),
    ],
)
def test_fineweb_quality_gives_the_reason(text: str, reason: str | None) -> None:
    assert reasons_of(FineWebQuality(), [text]) == [reason]


def test_a_carriage_return_before_a_newline_is_part_of_it() -> None:
    assert reasons_of(FineWebQuality(), [f"1 {LONG}\r\n2 {LONG}\r\n"]) == [None]


def datatroves(text: str, **params) -> str | None:
    found = datatrove.FineWebQualityFilter(**params).filter(Document(text=text, id="0"))
    return None if found is True else OURS_FOR_DATATROVES[found[1]]


def assert_same_reasons_as_datatrove(docs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datatrove, "split_into_words", lambda text, language: text.split())
    reasons = [datatroves(doc) for doc in docs]
    assert reasons_of(FineWebQuality(), docs) == reasons
    assert len(set(reasons)) == len(OURS_FOR_DATATROVES) + 1, "every limit should decide"


def test_reasons_are_datatroves_given_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    docs = [doc.replace("\r", "") for doc in ["", *synthetic_documents(100, seed=4)]]
    docs += [
        "\n".join([*(f"{i} {LONG}" for i in range(n_ended)), *(f"{i} {LONG[:-1]}" for i in range(25 - n_ended)), tail])
        for n_ended in (0, 2, 3, 4)
        for tail in ("", "1 short\n2 short", f"1 {LONG}", "\n" * 200)
    ]  # fmt: skip
    docs += ["\n".join([LONG, *(f"short {i}." for i in range(n))]) for n in range(5)]
    assert_same_reasons_as_datatrove(docs, monkeypatch)


@pytest.mark.real
@pytest.mark.skipif(not BOOKS.exists(), reason="needs ../shared/data")
def test_reasons_are_datatroves_on_pieces_of_books(monkeypatch: pytest.MonkeyPatch) -> None:
    books = [path.read_text("utf-8", "replace") for path in sorted(BOOKS.rglob("*.txt"))[:12]]
    docs = [
        book[at : at + size] for book in books for at in range(0, 60_000, 10_000) for size in (80, 300, 3000)
    ]
    assert_same_reasons_as_datatrove([*docs, "", "\n".join([LONG] * 3)], monkeypatch)


def test_a_batch_of_no_documents_and_a_document_without_text_are_measured() -> None:
    rule = FineWebQuality()
    assert len(rule.decide(rule.measure(no_documents()))) == 0
    assert list(rule.measure(batch_of([None, "a."]))["n_lines"]) == [0, 1]


def test_the_rule_is_for_languages_with_spaces() -> None:
    assert not {*FineWebQuality.languages} & {*UNSPACED}
