"""Applying the spans an Edit names: the one place where text is cut, and what was cut is counted.

    text   "Sign in  The story. Read more..."     spans (0, 8, remove), (20, 32, remove)
    out    " The story. "                         values: removed_bytes, removed_words

Values describe the text as it entered the step, so a later rule can bound what was removed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manifests.errors import TaskError
from pipelines.batch import DOCUMENT, Batch
from pipelines.kernels.edits import edited_texts
from pipelines.stage import Edit, Spans

__all__ = ["apply_spans"]


def apply_spans(
    name: str, edit: Edit, batch: Batch, routed: npt.NDArray[np.bool_] | None = None
) -> tuple[Batch, npt.NDArray[np.uint8]]:
    """The batch with its texts edited and `<name>.removed_bytes`, `.removed_words` added; no verdicts.

    routed: bool[n_docs], the documents that are edited; None for all.
    Cost: one copy of the text; words are counted in removed spans only.
    """
    if routed is None:
        routed = np.ones(len(batch), dtype=np.bool_)
    spans = edit.spans(batch.select(routed))
    _refuse_disorder(name, spans, np.diff(batch.text()[1])[routed])
    edited = edited_texts(
        *batch.text(),
        np.flatnonzero(routed)[spans.row],
        spans.start,
        spans.end,
        replacement=spans.replacement,
        replacements=tuple(spans.replacements),
    )
    n = len(batch)
    texts = pa.LargeStringArray.from_buffers(n, pa.py_buffer(edited.offsets), pa.py_buffer(edited.data))
    edited_batch = batch.with_column(DOCUMENT.field("text"), texts)
    values = {"removed_bytes": edited.removed_bytes, "removed_words": edited.removed_words}
    return edited_batch.with_values(name, values), np.zeros(n, dtype=np.uint8)


def _refuse_disorder(name: str, spans: Spans, lengths: npt.NDArray[np.int64]) -> None:
    """The kernel writes where spans say and trusts them; an edit may be a user's own. lengths: int64[n_routed]."""
    row, start, end = (np.asarray(column) for column in (spans.row, spans.start, spans.end))
    known = (row >= 0) & (row < len(lengths))
    inside = (
        known & (start >= 0) & (start <= end) & (end <= lengths[np.where(known, row, 0)])
        if len(row)
        else known
    )
    follows = np.ones(len(row), dtype=np.bool_)
    follows[1:] = (row[1:] > row[:-1]) | ((row[1:] == row[:-1]) & (start[1:] >= end[:-1]))
    wrong = np.flatnonzero(~(inside & follows))
    if len(wrong):
        i = wrong[0]
        raise TaskError(
            f"{name}: expected spans in the order of rows, inside their texts and apart, got ({start[i]}, {end[i]}) of "
            f"row {row[i]}. Text would be lost. Sort them by row and start, and merge those that overlap."
        )
