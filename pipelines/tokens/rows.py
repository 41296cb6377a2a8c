"""Documents of a part as a phase sees them, and the files that phases leave for each other.

    part ──documents──> alive rows, one chunk a column ──write_rows──> Arrow file ──open_rows──> table, mapped

The files between phases are uncompressed Arrow, because they are mapped and read in pieces: a shard takes a
run of rows from every part and touches only those pages. They are removed when the corpus is done.

Price: the part's named columns are in memory once, twice where some of its documents were dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from pipelines.batch import ORIGIN, TextView, text_view
from pipelines.stage import GatherTask

__all__ = [
    "HELDOUT",
    "TRAIN",
    "doc_ids",
    "documents",
    "hashes",
    "id_words",
    "open_rows",
    "texts_of",
    "uint64",
    "write_rows",
]

TRAIN, HELDOUT = "train", "heldout"
_TYPES = {"doc_id": pa.binary(16), "text": pa.large_string(), "origin": ORIGIN}


def documents(task: GatherTask, columns: Sequence[str]) -> pa.Table:
    """The alive rows of the task's part; a column that the part lacks is there and null."""
    table = task.read_part(task.unit, columns)
    alive = task.alive(task.unit)
    kept = table if alive.all() else table.filter(pa.array(alive))
    arrays = [_column(kept, name) for name in columns]
    return pa.table(dict(zip(columns, arrays, strict=True)))


def _column(table: pa.Table, name: str) -> pa.Array:
    wanted = _TYPES.get(name, pa.string())
    if name not in table.column_names:
        return pa.nulls(table.num_rows, wanted)
    column = table.column(name)
    column = column if column.type == wanted else column.cast(wanted)
    # One chunk: rows are addressed by their number from here on.
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def texts_of(table: pa.Table) -> TextView:
    """The texts of `documents`, without a copy."""
    return text_view(_only_chunk(table.column("text")))


def doc_ids(table: pa.Table) -> list[bytes]:
    """The ids, in row order."""
    ids: list[bytes] = table.column("doc_id").to_pylist()
    return ids


def id_words(ids: Sequence[bytes]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """The ids as two uint64[n]: comparing (high, low) is comparing the 16 bytes."""
    words = np.frombuffer(b"".join(ids), dtype=">u8").reshape(-1, 2).astype(np.uint64)
    return words[:, 0], words[:, 1]


def hashes(purpose: str, seed: int, ids: Sequence[bytes]) -> npt.NDArray[np.uint64]:
    """`hash64(purpose, seed, id)` of every id: uint64[n], at a tenth of the price."""
    head = b"".join(len(p).to_bytes(8, "little") + p for p in (purpose.encode(), str(seed).encode()))
    found = (xxhash.xxh3_64_intdigest(head + len(i).to_bytes(8, "little") + i) for i in ids)
    return np.fromiter(found, dtype=np.uint64, count=len(ids))


def uint64(table: pa.Table, name: str) -> npt.NDArray[np.uint64]:
    """A column of numbers without nulls, as one array."""
    chunks = [np.asarray(chunk).astype(np.uint64, copy=False) for chunk in table.column(name).chunks]
    return chunks[0] if len(chunks) == 1 else np.concatenate([np.zeros(0, dtype=np.uint64), *chunks])


def _only_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def write_rows(file: Any, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write record batches to an open file, one after another."""
    with pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def open_rows(path: Path) -> pa.Table:
    """The rows of a file, mapped: nothing is read before it is touched."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()
