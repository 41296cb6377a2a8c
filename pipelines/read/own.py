r"""A user's own reader: a function that goes through one file, made a reader of the stage contract.

    def lines(path):                        read: {use: "./my_reader.py:lines"}
        for line in path.open():    ->      a row for each: text "Once.", ref "7"
            yield {"text": ..., "id": ...}

What it yields is a text, or a dict with the columns that JSON Lines rows have, under the same mapping
(`columns.py`); anything else is a row `not_a_row`. What it cannot read it should yield too, as `{"text": None}`:
a row `no_text`, and counted.

Locator: the index of what was yielded, so the function must yield the same in the same order each time. A file is
one split. A record that kills or hangs the function ends its file: a generator cannot be asked for what follows.

Price: slow, one call of Python a row: 20 us and 10 ns a byte, and the function's own time on top.
"""

from __future__ import annotations

import functools
import inspect
import traceback
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from manifests.errors import TaskError
from pipelines import heartbeat
from pipelines.batch import Batch, BatchBuilder, Record
from pipelines.read.columns import ROW_REASONS, MappedColumns, fill, new_record
from pipelines.stage import SourceFile, Split

__all__ = ["Yielded", "calling", "reader_of"]


class Yielded(MappedColumns):
    """Rows that a user's function yields for a file. Slow: one call a row."""

    name: ClassVar[str] = "yielded"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ("text", "ref", "url", "date", "title", "licence")
    reasons: ClassVar[tuple[str, ...]] = (*ROW_REASONS, "not_a_row", "empty_file")

    rows: ClassVar[Callable[[Path], Iterator[Any]]]

    def splits(self, file: SourceFile) -> list[Split]:
        """The whole file.

        Raises: UsageError for a remote one, when it is planned: the function is given a path.
        """
        return [Split(file, 0, file.full.stat().st_size)]

    def batches(self, split: Split, *, skip: frozenset[int] = frozenset()) -> Iterator[Batch]:
        """What the function yields for the file, up to the first quarantined record.

        Raises: TaskError, naming the file and line, where the function raises.
        """
        builder = BatchBuilder(split.file.source)
        for ordinal, (record, reason) in enumerate(self._records(split, skip)):
            record.verdict = 1 + self.reasons.index(reason) if reason else 0
            yield from builder.add(record)
            heartbeat.at(ordinal + 1)
        heartbeat.idle()
        yield from builder.flush()

    def _records(self, split: Split, skip: frozenset[int]) -> Iterator[tuple[Record, str | None]]:
        function, ordinal = type(self).rows, 0
        heartbeat.at(0)
        with calling(function, f"reading {split.file.path}"):
            rows = iter(function(split.file.full))
        while True:
            record = new_record(split.file, ordinal)
            if ordinal in skip:
                yield record, None
                return
            with calling(function, f"at row {ordinal} of {split.file.path}"):
                row = next(rows, _END)
            if row is _END:
                break
            yield record, self._fill(record, row)
            ordinal += 1
        if ordinal == 0:
            yield new_record(split.file, 0), "empty_file"

    def _fill(self, record: Record, row: Any) -> str | None:
        if isinstance(row, str):
            row = {self.text: row}
        return fill(record, row, self) if isinstance(row, dict) else "not_a_row"


_END = object()


def reader_of(function: Callable[[Path], Iterator[Any]], name: str) -> type[Yielded]:
    """A reader class that calls `function` for every file."""
    own = {"name": name, "rows": staticmethod(function), "__module__": __name__, "__qualname__": name}
    return types.new_class(name, (Yielded,), exec_body=lambda body: body.update(own))


@contextmanager
def calling(function: Callable[..., Any], what: str) -> Iterator[None]:
    """Turns what a user's function raises into an error that says where in their file, and on which input.

    Raises: TaskError.
    """
    try:
        yield
    except MemoryError:
        raise  # the pool's to judge
    except Exception as error:
        name, line = _place(function, error)
        raise TaskError(
            f"{name} raised {type(error).__name__}: {error} ({line}{what}). The unit was not built. Correct the "
            "function, or let it yield a row without text for what it cannot read."
        ) from error


def _place(function: Callable[..., Any], error: Exception) -> tuple[str, str]:
    """("own.py:lines", "line 3, "); ("len", "") for what is not written in Python."""
    code = _code(function)
    if code is None:
        return getattr(function, "__name__", type(function).__name__), ""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == code.co_filename]
    name = f"{Path(code.co_filename).name}:{code.co_name}"
    return name, f"line {lines[-1] if lines else code.co_firstlineno}, "


def _code(function: Callable[..., Any]) -> types.CodeType | None:
    """The code behind decorators, a partial or a callable object; None where it is not Python's."""
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = inspect.unwrap(function.func)
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    return code if isinstance(code, types.CodeType) else None
