"""Source code: one file, one document, its path kept as `ref`.

    src/app/main.py  ->  text as it is (line ends made \\n), ref "src/app/main.py"

Locator: empty, for the path itself names the document. What is no code a person wrote is a row with a reason:
`binary` (a NUL), `not_utf8`, `generated` (a mark in the first lines), `minified` (lines of 300 characters on
average). Price: the file's size; nothing is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from pipelines import heartbeat
from pipelines.batch import Batch, BatchBuilder, Record
from pipelines.read.opening import open_input
from pipelines.stage import LARGEST, Read, Split

__all__ = ["Code"]

_GENERATED = re.compile(
    r"do not (?:edit|modify)\b[^\n]{0,80}$|\b(?:auto-?|automatically |machine[- ])generated\b"
    r"|\bgenerated (?:by|from|automatically)\b|@generated\b",
    re.IGNORECASE | re.MULTILINE,
)
_HEAD_LINES = 12


class Code(Read):
    """Files of source-code folders."""

    name: ClassVar[str] = "code"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ("text", "ref", "licence")
    reasons: ClassVar[tuple[str, ...]] = (
        "too_large",
        "binary",
        "not_utf8",
        "empty_file",
        "generated",
        "minified",
    )

    licence: str | None = None
    """Licence of these files, where the source names none."""
    max_bytes: int = Field(default=1 << 20, ge=1, le=LARGEST)
    """Files above this many bytes are dropped as `too_large`."""
    max_line_chars: int | None = Field(default=300, ge=1, le=LARGEST)
    """Files with longer lines on average are dropped as `minified`."""
    drop_generated: bool = True
    """Whether files that say in their first lines that a program wrote them are dropped."""

    def batches(self, split: Split, *, skip: frozenset[int] = frozenset()) -> Iterator[Batch]:
        """One row: the file."""
        heartbeat.at(0)
        file = split.file
        licence = file.licence or self.licence
        record = Record(
            path=file.path, locator="", offset=0, length=file.size, ref=file.path, licence=licence
        )
        if 0 not in skip:
            reason = self._text(split, record)
            record.verdict = 1 + self.reasons.index(reason) if reason else 0
        heartbeat.idle()
        builder = BatchBuilder(file.source)
        yield from builder.add(record)
        yield from builder.flush()

    def _text(self, split: Split, record: Record) -> str | None:
        """Fill in the text; returns the reason why it is no document, or None."""
        if split.file.size > self.max_bytes:
            return "too_large"
        with open_input(split.file) as stream:
            data = stream.read()
        if b"\x00" in data:
            return "binary"
        try:
            text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError:
            return "not_utf8"
        record.text = text if (reason := self._refusal(text)) is None else None
        return reason

    def _refusal(self, text: str) -> str | None:
        if not text.strip():
            return "empty_file"
        head = "\n".join(text.split("\n", _HEAD_LINES)[:_HEAD_LINES])
        if self.drop_generated and _GENERATED.search(head):
            return "generated"
        n_lines = text.count("\n") + (not text.endswith("\n"))
        if self.max_line_chars is not None and len(text) > self.max_line_chars * n_lines:
            return "minified"
        return None
