"""Pages of a crawl: WARC and ARC files, every record a row.

    response 200 text/html  ->  payload (the decoded body), content_type (its header), url, date
    anything else           ->  a row with a reason: request, metadata, not_html, truncated, ...

Locator: the byte offset of the record's member (of gzip, or a frame of Zstandard or LZ4), or of the record in a
plain file (see `records.py`). The origin's offset and length are the same range of the file as stored, so that one
record can be fetched again. ARC files (Common Crawl's until 2012, the Internet Archive's until 2009) are told by
their first bytes; their `filedesc:` is `warcinfo`, a DNS answer `not_html`. A WACZ is one row
`unknown_format`: unzip it, its `archive/` holds WARC files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from pipelines import heartbeat
from pipelines.batch import Batch, BatchBuilder, Record
from pipelines.read.http import decode_body, parse_response
from pipelines.read.records import FLAWS, Raw, raw_records, record_splits
from pipelines.stage import LARGEST, Read, SourceFile, Split

__all__ = ["Warc", "as_record", "is_html"]

_HTML = ("text/html", "application/xhtml+xml", "application/xhtml")
_PAGE_STATUS = frozenset({200, 201, 202, 203})


class Warc(Read):
    """HTML pages of WARC and ARC files, plain, gzipped, LZ4 or Zstandard."""

    name: ClassVar[str] = "warc"
    version: ClassVar[int] = 10
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ("payload", "content_type")
    libraries: ClassVar[tuple[str, ...]] = ("isal", "zstandard", "lz4")
    default_steps: ClassVar[tuple[str, ...]] = (
        "extract",
        "language: {keep: [en]}",
        "gopher_repetition",
        "gopher_quality",
    )
    reasons: ClassVar[tuple[str, ...]] = (
        "warcinfo",
        "request",
        "metadata",
        "revisit",
        "other_record",
        "not_http",
        "http_status",
        "not_html",
        "bad_encoding",
        "no_body",
        *FLAWS,
    )

    max_bytes: int = Field(default=32 << 20, ge=1, le=LARGEST)
    """Records and decoded bodies above this many bytes are dropped as `too_large`."""

    def splits(self, file: SourceFile) -> list[Split]:
        """Pieces of 64 MiB of the file as stored."""
        return record_splits(file)

    def batches(self, split: Split, *, skip: frozenset[int] = frozenset()) -> Iterator[Batch]:
        """The records that begin in the split; pages carry `payload` and `content_type`."""
        builder = BatchBuilder(split.file.source, with_payload=True)
        heartbeat.at(0)
        for ordinal, raw in enumerate(raw_records(split, max_bytes=self.max_bytes)):
            record = as_record(raw, split.file)
            if ordinal not in skip:
                self._page(raw, record)
            yield from builder.add(record)
            heartbeat.at(ordinal + 1)
        heartbeat.idle()
        yield from builder.flush()

    def _page(self, raw: Raw, record: Record) -> None:
        """Fill in the page, or the verdict that it is none."""
        page = self._payload(raw)
        if isinstance(page, str):
            record.verdict = 1 + self.reasons.index(page)
        else:
            record.payload, record.content_type = page

    def _payload(self, raw: Raw) -> tuple[bytes, str] | str:
        """The body and its content type, or the reason why there is none."""
        kind = raw.headers.get("warc-type", "").lower()
        if raw.flaw:
            return raw.flaw
        if kind == "resource":
            media = raw.headers.get("content-type", "")
            page: tuple[bytes, str] | str = (raw.body, media) if is_html(media, raw.body) else "not_html"
        elif kind == "response":
            page = self._response(raw.body)
        else:
            return kind if kind in ("warcinfo", "request", "metadata", "revisit") else "other_record"
        return "no_body" if not isinstance(page, str) and _is_blank(page[0]) else page

    def _response(self, block: bytes) -> tuple[bytes, str] | str:
        response = parse_response(block)
        if response is None:
            return "not_http"
        if response.status not in _PAGE_STATUS:
            return "http_status"
        if _is_blank(response.body):
            return "no_body"
        media = response.headers.get("content-type", "")
        if media and not is_html(media, b""):
            return "not_html"
        body = decode_body(response, max_bytes=self.max_bytes)
        if isinstance(body, str):
            return body
        return (body, media) if is_html(media, body) else "not_html"


def _is_blank(body: bytes) -> bool:
    # A stripped copy of every page would cost half as much as inflating it.
    return not body or body.isspace()


def is_html(media: str, body: bytes) -> bool:
    """Whether a content type names HTML, or, where none is given, whether the body begins like it."""
    if media.strip():
        return media.partition(";")[0].strip().lower() in _HTML
    head = body[:1024].lower()
    return b"<html" in head or b"<!doctype html" in head


def as_record(raw: Raw, file: SourceFile) -> Record:
    """The row of a record before anything is known of its content."""
    url = raw.headers.get("warc-target-uri", "").removeprefix("<").removesuffix(">")
    return Record(
        path=file.path,
        locator=raw.locator,
        offset=raw.offset,
        length=raw.length,
        url=url or None,
        date=raw.headers.get("warc-date") or None,
        licence=file.licence,
        record_id=raw.headers.get("warc-record-id") or None,
    )
