"""Texts with spans taken out: against slices of Python's bytes."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.errors import TaskError
from pipelines.batch import Batch
from pipelines.kernels.edits import edited_texts
from pipelines.spans import apply_spans
from pipelines.stage import Edit, Spans
from tests.filters.batches import batch_of
from tests.kernels.texts import as_arrays, documents

REPLACEMENTS = (b"\n", b"", "\u00ab\u2026\u00bb".encode())
Span = tuple[int, int, int]


@st.composite
def docs_and_spans(draw: st.DrawFn) -> tuple[list[bytes], list[list[Span]]]:
    docs = [doc.encode() for doc in draw(documents)]
    spans = []
    for doc in docs:
        places = sorted(draw(st.lists(st.integers(0, len(doc)), max_size=8)))
        pairs = [(a, b) for a, b in zip(places[::2], places[1::2], strict=False) if a < b]
        spans.append([(a, b, draw(st.integers(-1, 2))) for a, b in pairs])
    return docs, spans


def by_slices(doc: bytes, spans: list[Span]) -> tuple[bytes, int, int]:
    out, at = b"", 0
    for start, end, new in spans:
        out += doc[at:start] + (REPLACEMENTS[new] if new >= 0 else b"")
        at = end
    pieces = [doc[start:end] for start, end, _ in spans]
    return out + doc[at:], sum(map(len, pieces)), sum(len(piece.split()) for piece in pieces)


def edited(docs: list[bytes], spans: list[list[Span]], *, skipped: int) -> list[tuple[bytes, int, int]]:
    data, offsets = as_arrays([b"skip" * skipped, *docs])
    flat = [(row, *span) for row, of_row in enumerate(spans) for span in of_row]
    row, start, end, new = np.array(flat, np.int64).reshape(-1, 4).T
    found = edited_texts(data, offsets[1:], row, start, end, replacement=new, replacements=REPLACEMENTS)
    ends = zip(found.offsets, found.offsets[1:], strict=False)
    texts = [found.data[a:b].tobytes() for a, b in ends]
    return list(zip(texts, found.removed_bytes.tolist(), found.removed_words.tolist(), strict=True))


@settings(max_examples=200, deadline=None)
@given(docs_and_spans(), st.integers(0, 2))
def test_texts_and_what_was_removed_equal_those_of_slices(
    drawn: tuple[list[bytes], list[list[Span]]], skipped: int
) -> None:
    docs, spans = drawn
    assert edited(docs, spans, skipped=skipped) == [
        by_slices(*pair) for pair in zip(docs, spans, strict=True)
    ]


def test_words_of_two_spans_are_counted_apart_and_no_span_leaves_the_text() -> None:
    assert edited([b"ab cd", b"x"], [[(0, 1, -1), (1, 4, 0)], []], skipped=0) == [
        (b"\nd", 4, 3),
        (b"x", 0, 0),
    ]


class Cut(Edit):
    """An edit as a user might write one: whatever spans it is given."""

    name: ClassVar[str] = "cut"
    version: ClassVar[int] = 1
    reasons: ClassVar[tuple[str, ...]] = ("cut",)
    places: tuple[tuple[int, int, int], ...] = ()

    def spans(self, batch: Batch) -> Spans:
        table = np.array(self.places, np.int64).reshape(-1, 3)
        none = np.full(len(table), -1, np.int32)
        return Spans(table[:, 0], table[:, 1], table[:, 2], none, np.zeros(len(table), np.uint8))


@pytest.mark.parametrize(
    "places",
    [((0, 6, 11), (0, 0, 5)), ((1, 0, 1), (0, 0, 1)), ((0, 0, 5), (0, 4, 6)), ((0, 0, 12),), ((2, 0, 1),),
     ((0, -1, 2),), ((0, 3, 2),)],
)  # fmt: skip
def test_spans_out_of_order_or_out_of_their_text_are_refused_before_they_write(
    places: tuple[tuple[int, int, int], ...],
) -> None:
    batch = batch_of(["hello world", "bye bye now"])
    assert apply_spans("cut", Cut(places=((0, 0, 6), (1, 3, 7))), batch)[0].column("text").to_pylist() == [
        "world",
        "bye now",
    ]
    with pytest.raises(TaskError, match="cut: expected spans in the order of rows"):
        apply_spans("cut", Cut(places=places), batch)
