"""The texts of a part, in pieces small enough for a kernel's buffers.

    part (Parquet) ──read_part──> table ──pieces──> TextView, TextView, ...   about 32 MiB of text each

Price: the part's text columns are in memory once, as they are for every stage; a piece is a view of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.batch import BATCH_BYTES, TextView, text_view

__all__ = ["Piece", "id_words", "pieces", "text_bytes"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows [start, start + len) of a part: their texts, and which of them are null."""

    start: int
    text: TextView

    def __len__(self) -> int:
        return len(self.text.offsets) - 1


def pieces(table: pa.Table, *, max_bytes: int = BATCH_BYTES) -> Iterator[Piece]:
    """The texts of `table`, in row order; a piece has at most `max_bytes` of text, or one row."""
    start = 0
    for chunk in table.column("text").chunks:
        data, offsets = text_view(chunk)
        first = 0
        while first < len(chunk):
            last = int(np.searchsorted(offsets, offsets[first] + max_bytes, side="right")) - 1
            last = min(max(last, first + 1), len(chunk))
            yield Piece(start + first, TextView(data, offsets[first : last + 1]))
            first = last
        start += len(chunk)


def text_bytes(table: pa.Table) -> npt.NDArray[np.int64]:
    """The size of every text: int64[n_docs], 0 for a null."""
    sizes = [np.diff(text_view(chunk).offsets) for chunk in table.column("text").chunks]
    return np.concatenate([np.zeros(0, dtype=np.int64), *sizes])


def id_words(table: pa.Table) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """The ids as two uint64[n_docs]: comparing (high, low) is comparing the 16 bytes."""
    parts = [np.zeros((0, 2), dtype=">u8")]
    for chunk in table.column("doc_id").chunks:
        raw = np.frombuffer(chunk.buffers()[1], dtype=np.uint8) if len(chunk) else np.zeros(0, dtype=np.uint8)
        mine = raw[16 * chunk.offset : 16 * (chunk.offset + len(chunk))]
        parts.append(mine.view(">u8").reshape(-1, 2))
    words = np.concatenate(parts).astype(np.uint64)
    return np.ascontiguousarray(words[:, 0]), np.ascontiguousarray(words[:, 1])
