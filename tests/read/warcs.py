"""WARC files made in memory, for tests: records, the members they are packed in, rows of a reader."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.frame
import zstandard

from pipelines.stage import Read, SourceFile, Split

PAGE = b"<html><head><title>t</title></head><body><p>page %d</p></body></html>"


def record(
    kind: str, block: bytes, *, n: int = 0, length: int | str | None = None, eol: bytes = b"\r\n"
) -> bytes:
    """One WARC record; `length` overrides the true Content-Length."""
    declared = len(block) if length is None else length
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Target-URI: <http://example.org/{n}>",
        "WARC-Date: 2024-01-01T00:00:00Z",
        f"WARC-Record-ID: <urn:uuid:{n}>",
        f"Content-Length: {declared}",
    ]
    return eol.join([*(line.encode() for line in lines), b"", block]) + eol + eol


def http(body: bytes, *fields: str, status: str = "HTTP/1.1 200 OK", media: str = "text/html") -> bytes:
    """An HTTP response block."""
    head = "\r\n".join([status, f"Content-Type: {media}", *fields, "", ""])
    return head.encode() + body


def page(n: int, **options: Any) -> bytes:
    """A response record with a small page that differs with `n` in content and size."""
    return record(
        "response", http(PAGE % n + b"<!-- " + bytes(range(33, 90)) * (n % 5) + b"-->"), n=n, **options
    )


def members(records: list[bytes]) -> bytes:
    """One gzip member a record."""
    return b"".join(gzip.compress(r, mtime=0) for r in records)


def gzip_member(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def zstd_frame(data: bytes) -> bytes:
    """A frame with a checksum, as the command `zstd` writes."""
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def lz4_frame(data: bytes) -> bytes:
    """A frame with a checksum, as the command `lz4` writes."""
    return lz4.frame.compress(data, content_checksum=True)


PACKS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip_member, "zstd": zstd_frame, "lz4": lz4_frame}
UNPACKS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "lz4": lz4.frame.decompress,
}


def source(path: Path, data: bytes) -> SourceFile:
    """A file of a source, written."""
    path.write_bytes(data)
    return SourceFile("web", path.parent, path.name, len(data), "")


def rows(
    reader: Read, file: SourceFile, *, split_bytes: int | None = None, **options: Any
) -> list[dict[str, Any]]:
    """Every row of a file with its `reason` ("" for a document), read whole or in splits of `split_bytes`."""
    step = split_bytes or max(1, file.size)
    pieces = [Split(file, at, min(at + step, file.size)) for at in range(0, file.size, step)]
    found: list[dict[str, Any]] = []
    for split in pieces if split_bytes else reader.splits(file):
        for batch in reader.batches(split, **options):
            reasons = ["" if v == 0 else reader.reasons[v - 1] for v in batch.verdicts]
            found += [{**row, "reason": r} for row, r in zip(batch.rows.to_pylist(), reasons, strict=True)]
    return found
