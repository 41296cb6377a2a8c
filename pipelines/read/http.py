"""A WARC block as an HTTP response: status, fields and the body as the browser would see it.

    b"HTTP/1.1 200 OK\\r\\nContent-Encoding: br\\r\\n\\r\\n..."  ->  Response(200, {...}, b"..." decoded)

Crawlers disagree about what they store: some decode the body and leave the header, some cut it off. So
chunked framing that does not begin like one is taken as already decoded, an encoding whose stream does not
begin is taken as already decoded, and of a stream that breaks later the part before is kept. A body in several gzip
members is all of them. At most two
encodings are undone, and no more than `max_bytes` are ever made: a bomb costs its limit. Fields are read of the first
256 KiB of a head: Chrome takes no longer one. Price: one pass, zlib's or Brotli's.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from pipelines.read.forms import parse_headers

__all__ = ["MAX_ENCODINGS", "Response", "decode_body", "parse_response"]

MAX_ENCODINGS = 2
_MAX_HEAD = 256 << 10
_STATUS = re.compile(rb"HTTP/\d(?:\.\d+)?[ \t]+(\d{3})(?!\d)")
_BLANK = re.compile(rb"\n\r*\n")
_CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_STREAMS = {"br": "brotli", "zstd": "zstd"}
_GZIP = b"\x1f\x8b\x08"
# A body of empty members makes nothing, so no limit on what is made would end it.
_MAX_MEMBERS = 4096
_PIECE = 16 << 10


@dataclass(frozen=True, slots=True)
class Response:
    """Status, fields by lower-case name, and the body as stored."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def parse_response(block: bytes) -> Response | None:
    """The response in a block; None where the block is no HTTP response."""
    status = _STATUS.match(block)
    if status is None:
        return None
    blank = _BLANK.search(block)
    head, body = (block[: blank.end()], block[blank.end() :]) if blank else (block, b"")
    return Response(int(status.group(1)), parse_headers(head[:_MAX_HEAD]), body)


def decode_body(response: Response, *, max_bytes: int) -> bytes | str:
    """The body without transfer and content encodings, or why there is none.

    The reason is `bad_encoding` (unknown, or more than two) or `too_large`.
    """
    body = response.body
    transfer = _names(response.headers.get("transfer-encoding", ""))
    if "chunked" in transfer:
        body = _dechunk(body)
    encodings = [n for n in transfer if n != "chunked"]
    encodings = [*_names(response.headers.get("content-encoding", "")), *encodings]
    if len(encodings) > MAX_ENCODINGS or any(n not in ("gzip", "deflate", *_STREAMS) for n in encodings):
        return "bad_encoding"
    for name in reversed(encodings):
        body = _inflate(body, name, max_bytes)
    return body if len(body) <= max_bytes else "too_large"


def _names(value: str) -> list[str]:
    names = [n.strip().lower().removeprefix("x-") for n in value.split(",")]
    return [n for n in names if n and n not in ("identity", "none", "utf-8")]


def _dechunk(body: bytes) -> bytes:
    """The chunks joined; what does not begin with a chunk stays as it is, first or later."""
    parts: list[bytes] = []
    pos = 0
    while size := _CHUNK.match(body, pos):
        n_bytes = int(size.group(1), 16)
        if n_bytes == 0:
            return b"".join(parts)
        parts.append(body[size.end() : size.end() + n_bytes])
        pos = size.end() + n_bytes
        pos += 2 if body[pos : pos + 2] == b"\r\n" else 1 if body[pos : pos + 1] == b"\n" else 0
    return b"".join([*parts, body[pos:]])


def _inflate(body: bytes, name: str, max_bytes: int) -> bytes:
    """At most `max_bytes + 1` decoded bytes; the body itself where nothing decodes."""
    decoded = _stream(body, _STREAMS[name], max_bytes) if name in _STREAMS else _zlib(body, name, max_bytes)
    return decoded or body


def _zlib(body: bytes, name: str, max_bytes: int) -> bytes:
    # 47 takes a gzip or a zlib header; some servers send raw deflate under that name.
    for window in (47, -15) if name == "deflate" else (47,):
        decoded = bytearray()
        pos = 0
        for _ in range(_MAX_MEMBERS):
            end = _inflate_member(body, pos, window, decoded, max_bytes)
            if end is None or body[end : end + 3] != _GZIP:
                break
            pos = end
        if decoded:
            return bytes(decoded[: max_bytes + 1])
    return b""


def _inflate_member(body: bytes, pos: int, window: int, decoded: bytearray, max_bytes: int) -> int | None:
    """Adds what one stream holds to `decoded`; returns where it ended, None where it broke, was cut or went too far."""
    inflate = zlib.decompressobj(window)
    try:
        while pos < len(body) and len(decoded) <= max_bytes:
            piece = body[pos : pos + _PIECE]
            decoded += inflate.decompress(piece)
            pos += len(piece) - len(inflate.unused_data)
            if inflate.eof:
                return pos
    except zlib.error:
        pass
    return None


def _stream(body: bytes, codec: str, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    try:
        stream = pa.CompressedInputStream(pa.BufferReader(body), codec)
        while sum(map(len, parts)) <= max_bytes and (part := stream.read(1 << 18)):
            parts.append(part)
    except (OSError, pa.ArrowInvalid):
        pass
    return b"".join(parts)[: max_bytes + 1]
