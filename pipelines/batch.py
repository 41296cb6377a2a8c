"""The datum that travels: a record batch of documents whose text stays in Arrow buffers.

    rows      pyarrow.RecordBatch, schema DOCUMENT (plus `payload` before extraction), about 32 MiB of text
    ordinals  int64[n_docs]  place of each record in its unit: what a heartbeat names, never stored
    verdicts  uint8[n_docs]  0, or the reader's reason k for a record that is no document
    values    {"<step>.<name>": array[n_docs]}  what earlier steps measured

    text()    -> TextView(data: uint8[n_bytes], offsets: int64[n_docs + 1]), no copy: what kernels take

Columns of DOCUMENT that no source fills are null. `text` is never null in a row that is a document.
Stages add document columns by name (`language`); everything else they measure goes to `values`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manifests.digest import doc_id
from pipelines import heartbeat

__all__ = [
    "BATCH_BYTES",
    "DOCUMENT",
    "ORIGIN",
    "PAYLOAD",
    "Batch",
    "BatchBuilder",
    "Record",
    "TextView",
    "Values",
    "text_view",
]

BATCH_BYTES = 32 << 20

ORIGIN = pa.list_(
    pa.struct(
        [
            pa.field("path", pa.string(), nullable=False),
            pa.field("offset", pa.int64(), nullable=False),
            pa.field("length", pa.int64(), nullable=False),
            pa.field("record_id", pa.string()),
        ]
    )
)

DOCUMENT = pa.schema(
    [
        pa.field("doc_id", pa.binary(16), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("ref", pa.string()),
        pa.field("url", pa.string()),
        pa.field("date", pa.string()),
        pa.field("title", pa.string()),
        pa.field("licence", pa.string()),
        pa.field("text", pa.large_string()),
        pa.field("origin", ORIGIN, nullable=False),
    ]
)

# What a crawl record carries until a Rewrite has turned it into text.
PAYLOAD = (pa.field("payload", pa.large_binary()), pa.field("content_type", pa.string()))

Values = Mapping[str, "npt.NDArray[Any] | pa.Array"]


class TextView(NamedTuple):
    """Texts as kernels take them: `data: uint8[n_bytes]` (UTF-8) and `offsets: int64[n_docs + 1]`."""

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]


def text_view(column: pa.Array) -> TextView:
    """The bytes and offsets of a large_string or large_binary array, without a copy.

    A null counts as empty. A sliced array is honoured: offsets are absolute into `data`.
    """
    _, offsets, data = column.buffers()
    view = np.frombuffer(offsets, dtype=np.int64)[column.offset : column.offset + len(column) + 1]
    raw = (
        np.frombuffer(data, dtype=np.uint8) if data is not None and data.size else np.zeros(0, dtype=np.uint8)
    )
    return TextView(raw, view)


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents on their way through the steps of one unit."""

    rows: pa.RecordBatch
    ordinals: npt.NDArray[np.int64]
    verdicts: npt.NDArray[np.uint8]
    values: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def text(self) -> TextView:
        """The texts for kernels."""
        return text_view(self.rows.column("text"))

    def column(self, name: str) -> pa.Array:
        """A document column by name.

        Raises: KeyError.
        """
        return self.rows.column(name)

    def doc_ids(self) -> npt.NDArray[np.uint8]:
        """The ids as uint8[n_docs, 16]."""
        column = self.rows.column("doc_id")
        raw = np.frombuffer(column.buffers()[1], dtype=np.uint8)
        return raw.reshape(-1, 16)[column.offset : column.offset + len(column)]

    def select(self, keep: npt.NDArray[np.bool_]) -> Batch:
        """The rows where `keep: bool[n_docs]` is true, with their values; itself when all are."""
        if keep.all():
            return self
        mask = pa.array(keep)
        values = {n: v.filter(mask) if isinstance(v, pa.Array) else v[keep] for n, v in self.values.items()}
        return Batch(self.rows.filter(mask), self.ordinals[keep], self.verdicts[keep], values)

    def with_column(self, column: pa.Field, array: pa.Array) -> Batch:
        """The batch with a document column set or added."""
        i = self.rows.schema.get_field_index(column.name)
        rows = self.rows.set_column(i, column, array) if i >= 0 else self.rows.append_column(column, array)
        return replace(self, rows=rows)

    def without(self, names: Sequence[str]) -> Batch:
        """The batch without some columns."""
        left = [n for n in self.rows.schema.names if n not in names]
        return replace(self, rows=self.rows.select(left))

    def with_values(self, step: str, values: Values) -> Batch:
        """The batch with a step's values added under `<step>.<name>`."""
        return replace(self, values={**self.values, **{f"{step}.{n}": v for n, v in values.items()}})


@dataclass(slots=True)
class Record:
    """One record as a reader sees it; `verdict` 0 for a document, else the reader's reason.

    locator makes the doc_id (each reader documents its own); offset and length address the record's bytes
    in the file as stored (0 and the file's size where a format has no such address).
    """

    path: str
    locator: str | int
    offset: int
    length: int
    verdict: int = 0
    text: str | bytes | None = None
    payload: bytes | None = None
    content_type: str | None = None
    ref: str | None = None
    url: str | None = None
    date: str | None = None
    title: str | None = None
    licence: str | None = None
    record_id: str | None = None


class BatchBuilder:
    """Collects records and cuts them into batches of at most `BATCH_BYTES` of text and payload.

    Every reader yields through it, so doc_id, origin and ordinals are made in one place:

        builder = BatchBuilder(source="web", with_payload=True)
        for record in records:
            yield from builder.add(record)
        yield from builder.flush()
    """

    def __init__(self, source: str, *, with_payload: bool = False, max_bytes: int = BATCH_BYTES) -> None:
        self._source = source
        self._with_payload = with_payload
        self._max_bytes = max_bytes
        self._records: list[Record] = []
        self._n_bytes = 0
        self._next = 0
        self._room = _Room(2 * max_bytes)

    def add(self, record: Record) -> Iterator[Batch]:
        """Take a record; yields a batch when one is full."""
        self._records.append(record)
        self._n_bytes += len(record.text or b"") + len(record.payload or b"")
        if self._n_bytes >= self._max_bytes or len(self._records) >= 65_536:
            yield from self.flush()

    def flush(self) -> Iterator[Batch]:
        """Yield what is left. What happens to the batch is not the doing of its last record."""
        if self._records:
            heartbeat.idle()
            batch = self._batch()
            # Before it is handed on: the steps to come need the room that the records' own copies take.
            self._records, self._n_bytes = [], 0
            yield batch

    def _batch(self) -> Batch:
        records = self._records
        start, self._next = self._next, self._next + len(records)
        columns = _columns(self._source, records)
        schema = DOCUMENT
        if self._with_payload:
            schema = pa.schema([*DOCUMENT, *PAYLOAD])
            columns += [
                _binary([r.payload for r in records], self._room),
                pa.array([r.content_type for r in records], pa.string()),
            ]
        verdicts = np.array([r.verdict for r in records], dtype=np.uint8)
        return Batch(pa.record_batch(columns, schema=schema), np.arange(start, self._next), verdicts)


class _Room:
    """Memory that one batch after another has its payloads in, once nothing refers to those of the one before.

    A batch's worth of new memory costs the system 15 ms: a fault for every 4 KiB. One of more than `max_bytes` has its
    own, for no record should leave its size behind.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._memory = np.empty(0, np.uint8)
        self._lent: Callable[[], object] = lambda: None

    def take(self, n_bytes: int) -> npt.NDArray[np.uint8]:
        """uint8[n_bytes] to be written and handed to Arrow, and to be sliced by nobody: a slice would not count."""
        if not 0 < n_bytes <= self._max_bytes:
            return _new_memory(n_bytes)
        if self._lent() is not None or n_bytes > len(self._memory):
            self._memory = _new_memory(n_bytes + n_bytes // 8)
        lent = self._memory[:n_bytes]
        self._lent = weakref.ref(lent)
        return lent


def _new_memory(n_bytes: int) -> npt.NDArray[np.uint8]:
    # Not numpy's: it asks for huge pages, and where memory is in pieces the system moves pages about to make them.
    if not n_bytes:
        return np.empty(0, np.uint8)
    try:
        return np.frombuffer(mmap(-1, n_bytes, flags=MAP_PRIVATE | MAP_ANONYMOUS), np.uint8)
    except OSError as error:  # as every other allocation that fails: the pool's to judge
        raise MemoryError(f"no memory for {n_bytes} bytes of payloads") from error


def _binary(values: list[bytes | None], room: _Room) -> pa.LargeBinaryArray:
    offsets = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum([len(v or b"") for v in values], out=offsets[1:])
    is_valid = pa.array([v is not None for v in values], pa.bool_()).buffers()[1]
    data = room.take(int(offsets[-1]))
    with data.data as view:
        for value, start, stop in zip(values, offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            view[start:stop] = value or b""
    buffers = [is_valid, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(values), buffers)


def _columns(source: str, records: list[Record]) -> list[pa.Array]:
    ids = [doc_id(source, r.path, r.locator) for r in records]
    origins = [
        [{"path": r.path, "offset": r.offset, "length": r.length, "record_id": r.record_id}] for r in records
    ]
    texts = [r.text.decode() if isinstance(r.text, bytes) else r.text for r in records]
    names = ("ref", "url", "date", "title", "licence")
    return [
        pa.array(ids, pa.binary(16)),
        pa.array([source] * len(records), pa.string()),
        *(pa.array([getattr(r, n) for r in records], pa.string()) for n in names),
        pa.array(texts, pa.large_string()),
        pa.array(origins, ORIGIN),
    ]
