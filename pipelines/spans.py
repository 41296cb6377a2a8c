"""Applying the spans an Edit names: the one place where text is cut, and what was cut is counted.

    text   "Sign in  The story. Read more..."     spans (0, 8, remove), (20, 32, remove)
    out    " The story. "                         values: removed_bytes, removed_words

Values describe the text as it entered the step, so a later rule can bound what was removed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.batch import DOCUMENT, Batch
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
    data, offsets = batch.text()
    n = len(batch)
    removed_bytes, removed_words = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    pieces: list[bytes] = []
    ends = np.zeros(n + 1, dtype=np.int64)
    first = np.searchsorted(np.flatnonzero(routed)[spans.row], np.arange(n + 1))
    for row in range(n):
        text = data[offsets[row] : offsets[row + 1]].tobytes()
        edited, cut = _edit(text, spans, range(first[row], first[row + 1]))
        pieces.append(edited)
        ends[row + 1] = ends[row] + len(edited)
        removed_bytes[row] = sum(map(len, cut))
        removed_words[row] = sum(len(piece.split()) for piece in cut)
    texts = pa.LargeStringArray.from_buffers(n, pa.py_buffer(ends), pa.py_buffer(b"".join(pieces)))
    edited_batch = replace(batch.with_column(DOCUMENT.field("text"), texts))
    values = {"removed_bytes": removed_bytes, "removed_words": removed_words}
    return edited_batch.with_values(name, values), np.zeros(n, dtype=np.uint8)


def _edit(text: bytes, spans: Spans, indices: range) -> tuple[bytes, list[bytes]]:
    out, cut, at = [], [], 0
    for i in indices:
        start, end, new = int(spans.start[i]), int(spans.end[i]), int(spans.replacement[i])
        out += [text[at:start], spans.replacements[new] if new >= 0 else b""]
        cut.append(text[start:end])
        at = end
    return b"".join([*out, text[at:]]), cut
