"""Parquet: one row a document; row groups are the splits.

    text | id | url    with the mapping of `columns.py`    ->  text, ref, url

Locator: the index of the row in the file, which a split reckons from the row groups before it. A split owns the
row groups whose first byte lies in it. A row group that cannot be read is one row, `damaged`, with its first
row's index. Times are kept to the microsecond. Price: 17 us a row and 4 ns a byte of text (2 kB a row: 100 MB/s):
every row passes through Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import heartbeat
from pipelines.batch import Batch, BatchBuilder, Record
from pipelines.read.columns import ROW_REASONS, MappedColumns, fill, new_record
from pipelines.read.opening import open_input
from pipelines.stage import SourceFile, Split

__all__ = ["Parquet"]

_ROWS = 4096


class Parquet(MappedColumns):
    """Rows of Parquet files."""

    name: ClassVar[str] = "parquet"
    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ("text", "ref", "url", "date", "title", "licence")
    reasons: ClassVar[tuple[str, ...]] = (*ROW_REASONS, "no_text_column", "damaged", "unknown_format")

    def splits(self, file: SourceFile) -> list[Split]:
        """One split a row group: from its first byte to the next one's; the whole file where it has none."""
        try:
            starts = _group_starts(pq.ParquetFile(_opened(file)))
        except (pa.ArrowException, OSError):
            starts = []
        bounds = [0, *starts[1:], file.size]
        return [Split(file, start, end) for start, end in pairwise(bounds)]

    def batches(self, split: Split, *, skip: frozenset[int] = frozenset()) -> Iterator[Batch]:
        """The rows of the split's row groups."""
        builder = BatchBuilder(split.file.source)
        heartbeat.at(0)
        for ordinal, record in enumerate(self._records(split, skip)):
            yield from builder.add(record)
            heartbeat.at(ordinal + 1)
        heartbeat.idle()
        yield from builder.flush()

    def _records(self, split: Split, skip: frozenset[int]) -> Iterator[Record]:
        try:
            file = pq.ParquetFile(_opened(split.file), page_checksum_verification=True)
        except (pa.ArrowException, OSError):
            yield self._flawed(split.file, 0, "unknown_format")
            return
        if not _has(file.schema_arrow, self.text):
            if split.start == 0:
                yield self._flawed(split.file, 0, "no_text_column")
            return
        starts = [0, *_group_starts(file)[1:]]
        for group in range(file.num_row_groups):
            if split.start <= starts[group] < split.end:
                yield from self._group(file, split.file, group, skip)

    def _group(
        self, file: pq.ParquetFile, source: SourceFile, group: int, skip: frozenset[int]
    ) -> Iterator[Record]:
        first = sum(file.metadata.row_group(i).num_rows for i in range(group))
        columns = [name for name in self.mapping().values() if _has(file.schema_arrow, name)]
        n_read = 0
        try:
            for rows in file.iter_batches(_ROWS, row_groups=[group], columns=columns):
                rows.validate(full=True)
                for row in _in_python(rows):
                    record = new_record(source, first + n_read)
                    reason = None if n_read in skip else fill(record, row, self)
                    record.verdict = 1 + self.reasons.index(reason) if reason else 0
                    yield record
                    n_read += 1
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            yield self._flawed(source, first + n_read, "damaged")

    def _flawed(self, source: SourceFile, index: int, reason: str) -> Record:
        record = new_record(source, index)
        record.verdict = 1 + self.reasons.index(reason)
        return record


# What Arrow's times and Python's do not share: years outside 1 to 9999, zones that nobody knows, nanoseconds in lists.
_NO_TIME = (ValueError, OverflowError, LookupError)


def _in_python(rows: pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows as Python's values; None for a value that Python has no time for."""
    try:
        values: list[dict[str, Any]] = _in_microseconds(rows).to_pylist()
    except UnicodeDecodeError:
        raise
    except _NO_TIME:
        names = rows.schema.names
        values = [
            {name: _value(rows.select([name]).slice(row, 1)) for name in names} for row in range(len(rows))
        ]
    return values


def _value(one: pa.RecordBatch) -> Any:
    """The value of a row of one column, or None."""
    try:
        (value,) = _in_microseconds(one).column(0).to_pylist()
    except UnicodeDecodeError:
        raise
    except _NO_TIME:
        return None
    return value


def _in_microseconds(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows with nothing finer than a microsecond, which is all that Python's own times hold."""
    schema = pa.schema([field.with_type(_coarser(field.type)) for field in rows.schema])
    return rows if schema.equals(rows.schema) else rows.cast(schema, safe=False)


def _coarser(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_coarser(field.type)) for field in kind])
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    return pa.time64("us") if kind == pa.time64("ns") else kind


def _opened(file: SourceFile) -> Path | BinaryIO:
    # Arrow reads a path by itself, without Python in between.
    return open_input(file) if file.is_remote else file.full


def _has(schema: pa.Schema, column: str) -> bool:
    """Whether there is a column of that name, or nested ones along that path."""
    if column in schema.names:
        return True
    fields: pa.Schema | pa.StructType = schema
    for name in column.split("."):
        if not isinstance(fields, pa.Schema | pa.StructType) or name not in fields.names:
            return False
        fields = fields.field(name).type
    return True


def _group_starts(file: pq.ParquetFile) -> list[int]:
    """The first byte of every row group."""
    columns = (file.metadata.row_group(i).column(0) for i in range(file.num_row_groups))
    return [c.dictionary_page_offset or c.data_page_offset for c in columns]
