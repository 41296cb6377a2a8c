"""Applying the spans an Edit names: the one place where text is cut, and what was cut is counted.

    text   "Sign in  The story. Read more..."     spans (0, 8, remove), (20, 32, remove)
    out    " The story. "                         values: removed_bytes, removed_words

Values describe the text as it entered the step, so a later rule can bound what was removed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.batch import DOCUMENT, Batch
from pipelines.kernels.edits import edited_texts
from pipelines.stage import Edit

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
