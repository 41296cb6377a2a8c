r"""Spans that a gather cuts out of documents: how its verdicts carry them, and the text without them.

    verdict.parquet, a row per row of the part
      verdict  cut_start  cut_end       bytes of the text as that gather met it: after the cuts of those before it
      0        [0, 40]    [12, 66]      ascending, none in another
      0        null       null          nothing is cut

Parts stay as they are: whoever reads a text reads it through the cuts of the gathers that came before, in their order.

Price: one copy of a part's text for every gather that cuts in it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.batch import text_view
from pipelines.kernels.edits import edited_texts

__all__ = ["CUTS", "cut_columns", "merged", "without_cuts"]

I64s = npt.NDArray[np.int64]
CUTS = ("cut_start", "cut_end")


def cut_columns(n_docs: int, row: I64s, start: I64s, end: I64s) -> dict[str, pa.Array]:
    """The two columns. row: int64, ascending; start, end: int64, ascending within a row."""
    return {
        name: _lists(n_docs, row, pa.array(places)) for name, places in zip(CUTS, (start, end), strict=True)
    }


def _lists(n_docs: int, row: I64s, values: pa.Array) -> pa.Array:
    """A list for each row, null where it has none."""
    ends = np.searchsorted(row, np.arange(n_docs + 1))
    offsets = pa.array(ends.astype(np.int32), mask=np.append(np.diff(ends) == 0, False))
    return pa.ListArray.from_arrays(offsets, values)


def without_cuts(texts: pa.ChunkedArray, verdicts: Iterable[pa.Table]) -> pa.ChunkedArray:
    """The texts of a part without what each of its verdict tables cuts, in their order.

    texts: large_string[n_docs]; a null stays one. verdicts: tables of n_docs rows, with or without the two columns.
    """
    for table in verdicts:
        if CUTS[0] in table.column_names and table.column(CUTS[0]).null_count < table.num_rows:
            texts = pa.chunked_array([_cut(texts, *(table.column(name) for name in CUTS))])
    return texts


def _cut(texts: pa.ChunkedArray, starts: pa.ChunkedArray, ends: pa.ChunkedArray) -> pa.Array:
    column = _one(texts)
    start, end = _one(starts), _one(ends)
    row = np.asarray(start.value_parent_indices())
    data, offsets = text_view(column)
    places = (np.asarray(side.flatten(), dtype=np.int64) for side in (start, end))
    edited = edited_texts(
        data, offsets, row, *places, replacement=np.full(len(row), -1, dtype=np.int64), replacements=()
    )
    buffers = [pa.py_buffer(edited.offsets), pa.py_buffer(edited.data)]
    cut = pa.LargeStringArray.from_buffers(len(column), *buffers)
    return pc.if_else(column.is_valid(), cut, pa.scalar(None, pa.large_string()))


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def merged(row: I64s, start: I64s, end: I64s) -> tuple[I64s, I64s, I64s, I64s]:
    """(row, start, end, first): spans that touch made one, and which of those given each begins with."""
    begins = np.ones(len(row), dtype=np.bool_)
    begins[1:] = (row[1:] != row[:-1]) | (start[1:] != end[:-1])
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(row))[: len(first)] - 1
    return row[first], start[first], end[last], first
