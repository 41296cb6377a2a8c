r"""JSON Lines: one object a line, one line a row; plain, gzip, bzip2, xz or Zstandard.

    {"text": "Once.", "id": "a1"}\n        ->  text "Once.", ref "a1"
    {"text": 3}\n                          ->  a row with the reason not_a_string

Locator: the index of the line, blank lines not counted, for an offset inside compressed data addresses nothing.
Because counting lines needs all of the file before, a file is one split: make several files of a very large one.
A compressed stream that breaks costs what follows the break: one row, `damaged`, however it is packed
(`packed.py`). Price: 20 us a row and 10 ns a byte (3 kB a row: 88 MB/s).

NaN and infinity are read as numbers are; a key that occurs twice is refused (`duplicate_key`), for readers
disagree about which of the two counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any, ClassVar

from pipelines import heartbeat
from pipelines.batch import Batch, BatchBuilder, Record
from pipelines.read.columns import ROW_REASONS, MappedColumns, fill, new_record
from pipelines.read.opening import open_input
from pipelines.read.packed import DAMAGE, is_other_format, open_packed
from pipelines.stage import SourceFile, Split

__all__ = ["Jsonl", "read_lines"]


class _DuplicateKeyError(ValueError):
    pass


class Jsonl(MappedColumns):
    """Rows of JSON Lines files."""

    name: ClassVar[str] = "jsonl"
    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ("text", "ref", "url", "date", "title", "licence")
    reasons: ClassVar[tuple[str, ...]] = (
        *ROW_REASONS,
        "not_utf8",
        "bad_json",
        "not_an_object",
        "duplicate_key",
        "damaged",
        "empty_file",
        "unknown_format",
    )

    def batches(self, split: Split, *, skip: frozenset[int] = frozenset()) -> Iterator[Batch]:
        """The lines of the file."""
        builder = BatchBuilder(split.file.source)
        heartbeat.at(0)
        ordinal = 0
        for line in read_lines(split.file, max_bytes=2 * self.max_bytes + (1 << 20)):
            record = new_record(split.file, ordinal)
            reason = None if ordinal in skip else self._row(record, line)
            record.verdict = 1 + self.reasons.index(reason) if reason else 0
            yield from builder.add(record)
            ordinal += 1
            heartbeat.at(ordinal)
        if ordinal == 0:
            empty = new_record(split.file, 0)
            empty.verdict = 1 + self.reasons.index("empty_file")
            yield from builder.add(empty)
        heartbeat.idle()
        yield from builder.flush()

    def _row(self, record: Record, line: bytes | str) -> str | None:
        """Fill in a line; returns the reason why it is no document, or None. A str is a reason already."""
        if isinstance(line, str):
            return line
        try:
            row = json.loads(line.decode(), object_pairs_hook=_object)
        except UnicodeDecodeError:
            return "not_utf8"
        except _DuplicateKeyError:
            return "duplicate_key"
        except (ValueError, RecursionError):
            return "bad_json"
        return fill(record, row, self) if isinstance(row, dict) else "not_an_object"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _DuplicateKeyError
    return made


def read_lines(file: SourceFile, *, max_bytes: int) -> Iterator[bytes | str]:
    """The lines that are not blank; `too_large` for one above `max_bytes`, `damaged` where the stream breaks.

    A file packed in a way that is not read is one `unknown_format`.
    """
    with open_input(file) as stored:
        if is_other_format(stored):
            yield "unknown_format"
            return
        with open_packed(stored) as stream:
            try:
                yield from _lines(stream, max_bytes)
            except DAMAGE:
                yield "damaged"


def _lines(stream: IO[bytes], max_bytes: int) -> Iterator[bytes | str]:
    first = True
    while line := stream.readline(max_bytes):
        if len(line) == max_bytes and not line.endswith(b"\n"):
            while (rest := stream.readline(max_bytes)) and not rest.endswith(b"\n"):
                pass
            yield "too_large"
        elif content := (line.removeprefix(b"\xef\xbb\xbf") if first else line).strip():
            yield content
        first = False
