"""What a file is, by its first bytes; its name decides only between text and code.

    packed? ─unpack─> "WARC/1.0 ... WARC-Type: conversion"   wet        "PAR1"      parquet
                      "WARC/1.0 ..."                         warc       {"text": …  jsonl, its columns by name
    "*** START OF THE PROJECT GUTENBERG EBOOK" or any other text        gutenberg   *.py, *.rs, … code

Packed is what the reader unpacks: WARCs by gzip, Zstandard (which may begin with the dictionary of its frames) or LZ4,
JSON lines by gzip, bzip2, xz or Zstandard, others not. What is packed otherwise is left out, and said to be. So is what
is text and no document: JSON that is not in lines, and tables of values between commas or tabs.

Price: 256 KiB of a file and its dictionary, of rows as much as the first is long, up to 64 MiB, and of a folder a
walk over its names.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from manifests.errors import UsageError
from manifests.mistakes import did_you_mean
from manifests.nearby import did_you_mean_path

if TYPE_CHECKING:
    from pipelines.read.codecs import Codec

__all__ = ["Found", "sniff", "walk_files"]

HEAD_BYTES = 1 << 18
_MOST_ROW_BYTES = 64 << 20  # further than that the end of a first row is not looked for
_MOST_FRAMES = 256  # a file of empty frames and skippable ones would else be read to its end
_BOM = b"\xef\xbb\xbf"
_PACKED = {
    "gzip": re.compile(rb"\x1f\x8b"),
    "bzip2": re.compile(rb"BZh[1-9]1AY&SY"),
    "xz": re.compile(rb"\xfd7zXZ\x00"),
    "LZ4": re.compile(rb"\x04\x22\x4d\x18"),
    "Zstandard with a dictionary": re.compile(rb"\x5d\x2a\x4d\x18"),
    # Or one of the 16 kinds of skippable frames, which LZ4 may begin with too.
    "Zstandard": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
}
_OF_CRAWLS = ("gzip", "Zstandard", "Zstandard with a dictionary", "LZ4")
_UNPACKS = {"warc": _OF_CRAWLS, "wet": _OF_CRAWLS, "jsonl": ("gzip", "bzip2", "xz", "Zstandard")}
_PACKED_NAME = re.compile(r"\.(gz|bz2|xz|zst|lz4)$", re.IGNORECASE)
_WARC = re.compile(rb"WARC/[01]\.\d", re.IGNORECASE)
_CODE = re.compile(
    r"\.(c|cc|cpp|cs|css|go|h|hpp|hs|java|jl|js|jsx|kt|lua|m|php|pl|ps1|py|r|rb|rs|scala|sh|sql|swift|ts|tsx)$",
    re.IGNORECASE,
)
_ROWS_NAME = re.compile(r"\.(jsonl|ndjson)$", re.IGNORECASE)
_TABLE_NAME = re.compile(r"\.(csv|tsv)$", re.IGNORECASE)
_OPEN_OBJECT = re.compile(rb'\{[ \t\r\f\v]*\n\s*"(?:[^"\\\n]|\\.)*"\s*:')
_N_ROWS = 100  # so many lines are looked at behind a first one that is no row
_CONVERT = "convert to JSON Lines, one object a line"
_TEXT = ("text", "content", "body", "raw_content", "document", "article", "markdown", "code")
_OTHERS = {
    "id": ("id", "doc_id", "post_id", "_id", "uuid", "key"),
    "url": ("url", "link", "source_url"),
    "date": ("date", "created", "timestamp", "published"),
    "title": ("title", "name", "headline"),
    "licence": ("licence", "license"),
}
# Bytes of text that a byte of input gives, by reader: rough, for sizing a vocabulary and a model.
_YIELD = {"warc": 0.1, "wet": 0.9, "jsonl": 0.9, "parquet": 2.0, "gutenberg": 1.0, "code": 1.0}
_UNPACKED = 4.0


@dataclass(frozen=True, slots=True)
class Found:
    """A file: its reader (None for what none reads), its reader's parameters, bytes, rough bytes of text, why."""

    path: Path
    reader: str | None
    params: dict[str, Any]
    n_bytes: int
    text_bytes: int
    why: str


def walk_files(names: Iterable[str], recipes: Iterable[str] = ()) -> Iterator[Path]:
    """The files that names mean, folders walked, in order; hidden ones left out, pipes and dangling links not.

    recipes: what a name that is not there may have been meant for.

    Raises: UsageError for a name that is not there.
    """
    for name in names:
        path = Path(name)
        if path.is_dir():
            for folder, below, files in os.walk(path):
                below[:] = sorted(b for b in below if not b.startswith("."))
                yield from (Path(folder) / f for f in sorted(files) if not f.startswith("."))
        elif path.is_file():
            yield path
        else:
            near = did_you_mean(name, recipes) or did_you_mean_path(name, fits=Path.exists)
            raise UsageError(
                f"{name}: expected a shipped recipe's name or a file or folder, found nothing of that name"
                f"{near or '.'} Nothing was written. `quern init --list` shows the recipes."
            )


def sniff(path: Path) -> Found:
    """What a file is; one that is no regular file is not opened, for a pipe would be waited on for ever."""
    if not path.is_file():
        why = "a link to nothing" if path.is_symlink() else "no regular file: a pipe, a socket or a device"
        return Found(path, None, {}, 0, 0, why)
    n_bytes = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        packing = next((name for name, magic in _PACKED.items() if magic.match(head)), "")
        start = _unpacked(file, head, packing)
    reader, params, why = _kind(path, start)
    if reader is not None and packing and packing not in _UNPACKS.get(reader, ()):
        why = f"{why}, but packed by {packing}, which the reader `{reader}` does not unpack: unpack it"
        reader, params = None, {}
    share = _YIELD.get(reader or "", 0.0) * (_UNPACKED if packing else 1.0)
    return Found(path, reader, params, n_bytes, int(n_bytes * share), why)


def _unpacked(file: BinaryIO, head: bytes, packing: str) -> bytes:
    """What the `head` of a file holds, unpacked."""
    if packing == "gzip":
        return _inflated(head)
    if packing in ("bzip2", "xz"):
        return _streamed(file)
    return _of_frames(partial(_read_at, file)) if packing else head


def _streamed(file: BinaryIO) -> bytes:
    from pipelines.read.packed import DAMAGE, open_packed

    data = b""
    with suppress(*DAMAGE), open_packed(file) as stream:
        while len(data) < HEAD_BYTES and (piece := stream.read(1 << 12)):
            data += piece
    return data


def _crawl(head: bytes) -> str:
    """Whether a crawl begins so: its format, `WARC` or `ARC`, nothing where none does."""
    from pipelines.read.forms import ARC

    start = head.lstrip(b"\r\n")
    # With the version: a list of paths may begin with a folder named warc.
    if _WARC.match(start):
        return "WARC"
    return "ARC" if ARC.begins(start) else ""


def _read_at(file: BinaryIO, pos: int, n_bytes: int) -> bytes:
    file.seek(pos)
    return file.read(n_bytes)


def _of_frames(read: Callable[[int, int], bytes]) -> bytes:
    """What the first frames hold, HEAD_BYTES or a little more; `read(pos, n)` gives bytes of the file."""
    from pipelines.read.codecs import LZ4, SKIPPABLE, ZSTD_MAGIC, dictionary_in, zstd

    codecs = {LZ4.magic: LZ4, ZSTD_MAGIC: zstd(dictionary_in(read))}
    data, here = b"", 0
    for _ in range(_MOST_FRAMES):
        magic = read(here, 4)
        if magic in SKIPPABLE:
            here += 8 + int.from_bytes(read(here + 4, 4), "little")
            continue
        if magic not in codecs or len(data) >= HEAD_BYTES:
            break
        found, n_packed = _of_frame(codecs[magic], read(here, HEAD_BYTES), HEAD_BYTES - len(data))
        data, here = data + found, here + n_packed
    return data


def _of_frame(codec: Codec, packed: bytes, n_wanted: int) -> tuple[bytes, int]:
    """What one frame holds, `n_wanted` bytes or a little more, and how many packed bytes gave it."""
    member, data, here = codec.new(), b"", 0
    while here < len(packed) and len(data) < n_wanted and not member.eof:
        piece = packed[here : here + codec.n_input]
        try:
            data += member.decompress(piece, n_wanted - len(data))
        except codec.broken:
            return data, len(packed)
        here += len(piece)
    return data, here - len(member.unused_data or b"")


def _inflated(head: bytes) -> bytes:
    # A crawl's gzip file has a member for every record: go on behind each, as far as the head goes.
    data = b""
    while _PACKED["gzip"].match(head) and len(data) < HEAD_BYTES:
        member = zlib.decompressobj(wbits=31)
        try:
            data += member.decompress(head, HEAD_BYTES - len(data))
        except zlib.error:
            break
        head = member.unused_data
    return data


def _kind(path: Path, head: bytes) -> tuple[str | None, dict[str, Any], str]:
    if ".paths" in path.name:
        return None, {}, f'a list of paths: name it in a recipe as "@{path.name}"'
    crawl = _crawl(head)
    if crawl and ".wat" in path.name:
        return None, {}, "a WAT file: metadata without text"
    if crawl == "WARC" and b"WARC-Type: conversion" in head:
        return "wet", {}, "WARC of extracted text"
    if crawl:
        return "warc", {}, f"{crawl} of pages"
    if head.startswith(b"PAR1"):
        return "parquet", _parquet_columns(path), "Parquet"
    line, is_long = _first_line(path, head)
    if (row := _json_row(line)) is not None:
        return "jsonl", _columns_of(row), "JSON lines"
    name = _PACKED_NAME.sub("", path.name)
    if _CODE.search(name):
        return "code", {}, "source code by its name"
    if is_long:
        return "jsonl", {}, "JSON lines by their first byte: its first row is broken or above 64 MiB"
    return _structured(name, head) or _text(head)


def _text(head: bytes) -> tuple[str | None, dict[str, Any], str]:
    if b"PROJECT GUTENBERG EBOOK" in head.upper():
        return "gutenberg", {}, "Project Gutenberg's header"
    if head and _is_text(head):
        return "gutenberg", {}, "plain text, one document a file"
    return None, {}, "neither WARC, JSON lines, Parquet nor text"


def _structured(name: str, head: bytes) -> tuple[str | None, dict[str, Any], str] | None:
    """What text is whose first line is no row of JSON, by what follows and by its name; None for what may be a book."""
    head = head.removeprefix(_BOM)
    start = head.lstrip()
    lines = [line for line in start.split(b"\n")[: _N_ROWS + 1] if line.strip()]
    rows = [row for line in lines if (row := _json_row(line.strip()))]
    is_named = _ROWS_NAME.search(name) is not None
    if rows and (is_named or (start.startswith(b"{") and 2 * len(rows) >= len(lines))):
        return "jsonl", _columns_of(rows[0]), "JSON lines, the first of which is no row"
    if _is_json(start):
        return None, {}, f"JSON that is not in lines: {_CONVERT}"
    if is_named and head:
        return None, {}, f"JSON lines by its name, but none of its first lines is a row: {_CONVERT}"
    if _TABLE_NAME.search(name) and _is_text(head):
        return None, {}, f"a table, not a text: {_CONVERT}"
    return None


def _is_json(head: bytes) -> bool:
    """Whether text that begins so is an array or an object over several lines, as far as it goes.

    A book may begin with `[Illustration]` or `[1] A note`, so an array that goes on must hold objects or arrays.
    """
    if _OPEN_OBJECT.match(head):
        return True
    if not head.startswith((b"[", b"{")):
        return False
    text = head.decode("utf-8", "replace")
    with suppress(ValueError, RecursionError):
        json.loads(text)
        return True
    inside = text[1:].lstrip()
    if not (text.startswith("[") and inside.startswith(("{", "["))):
        return False
    with suppress(ValueError, RecursionError):
        _, end = json.JSONDecoder().raw_decode(inside)
        return inside[end:].lstrip().startswith(",")
    return inside.startswith('{"') or _OPEN_OBJECT.match(inside.encode()) is not None


def _first_line(path: Path, head: bytes) -> tuple[bytes, bool]:
    """(the first line of a file that is not blank, whether it begins as a row of JSON does and leaves the head).

    Such a line is read to its end, or to 64 MiB, and not where the file is damaged.
    """
    start = head.removeprefix(_BOM).lstrip()
    line, line_end, _ = start.partition(b"\n")
    if line_end or not line.startswith(b"{"):
        return line, False
    from pipelines.read.packed import DAMAGE, open_packed

    with path.open("rb") as file, suppress(*DAMAGE), open_packed(file) as stream:
        stream.read(len(head) - len(start))
        whole = stream.readline(_MOST_ROW_BYTES)
        return whole, len(whole) > len(line)
    return line, True


def _json_row(line: bytes) -> dict[str, Any] | None:
    if not line.startswith(b"{"):
        return None
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _columns_of(row: dict[str, Any]) -> dict[str, Any]:
    return _columns({k for k, v in row.items() if isinstance(v, str | int)})


def _parquet_columns(path: Path) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return _columns(set(pq.read_schema(path).names))
    except (pa.ArrowException, OSError):
        return {}


def _columns(names: set[str]) -> dict[str, Any]:
    """The reader's column map: columns that are there under other names than the reader's own."""
    spellings = {"text": _TEXT, **_OTHERS}
    found = {column: next((s for s in known if s in names), column) for column, known in spellings.items()}
    return {column: name for column, name in found.items() if name != column}


def _is_text(head: bytes) -> bool:
    if b"\x00" in head:
        return False
    # The head may end inside a character.
    odd = sum(c < 9 or 13 < c < 32 for c in head)
    return odd * 100 < len(head)
