"""Text that a crawl has extracted already: the conversion records of WET files.

    conversion, UTF-8  ->  text as it is, url, date
    anything else      ->  a row with a reason

Locator and origin are those of `warc.py`. WARC files have no text: read them with `warc`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from pipelines import heartbeat
from pipelines.batch import Batch, BatchBuilder
from pipelines.read.records import FLAWS, Raw, raw_records, record_splits
from pipelines.read.warc import as_record
from pipelines.stage import LARGEST, Read, SourceFile, Split

__all__ = ["Wet"]


class Wet(Read):
    """Plain text of WET files, plain or compressed."""

    name: ClassVar[str] = "wet"
    version: ClassVar[int] = 9
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ("text",)
    libraries: ClassVar[tuple[str, ...]] = ("isal", "zstandard", "lz4")
    default_steps: ClassVar[tuple[str, ...]] = (
        "language: {keep: [en]}",
        "gopher_repetition",
        "gopher_quality",
    )
    reasons: ClassVar[tuple[str, ...]] = ("warcinfo", "other_record", "not_utf8", "no_body", *FLAWS)

    max_bytes: int = Field(default=32 << 20, ge=1, le=LARGEST)
    """Records above this many bytes are dropped as `too_large`."""

    def splits(self, file: SourceFile) -> list[Split]:
        """Pieces of 64 MiB of the file as stored."""
        return record_splits(file)

    def batches(self, split: Split, *, skip: frozenset[int] = frozenset()) -> Iterator[Batch]:
        """The records that begin in the split."""
        builder = BatchBuilder(split.file.source)
        heartbeat.at(0)
        for ordinal, raw in enumerate(raw_records(split, max_bytes=self.max_bytes)):
            record = as_record(raw, split.file)
            if ordinal not in skip and (reason := _reason(raw)):
                record.verdict = 1 + self.reasons.index(reason)
            elif ordinal not in skip:
                record.text = raw.body
            yield from builder.add(record)
            heartbeat.at(ordinal + 1)
        heartbeat.idle()
        yield from builder.flush()


def _reason(raw: Raw) -> str | None:
    kind = raw.headers.get("warc-type", "").lower()
    if raw.flaw:
        return raw.flaw
    if kind != "conversion":
        return "warcinfo" if kind == "warcinfo" else "other_record"
    if not raw.body.strip():
        return "no_body"
    return None if _is_utf8(raw.body) else "not_utf8"


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
