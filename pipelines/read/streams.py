"""Bytes of a file as WARC framing needs them: by position, forwards, in bounded memory.

    Stored    a file's own bytes                                      read(pos, n), find_record(pos)
    Inflated  the bytes of gzip members from one sync point to the next, the same two calls and `marks`;
              or those of a whole LZ4 or Zstandard file, which has no marks

    file      |member|member|member|garbage|member|
              sync    sync   (no)           sync        sync point: a member that inflates to the begin of a record
    Inflated  |------||-------------|       |------|

A member that does not begin a record (a record cut over several members, as bgzip does) belongs to the sync
point before it, so a segment can be read without knowing anything before it: that is what lets a file be
split anywhere. Inflating is ISA-L's, twice as fast as zlib's, 32 KiB of input at a time, so a piece of output
is at most 33 MiB whatever a bomb claims. Price: 0.4 ms for a page of 130 kB, framing included.

False sync points are possible in one case: a gzipped WARC stored inside a record of a gzipped WARC, and only
where a split or a resynchronisation begins inside that very record.

What begins a record is asked of a `Form`: WARC's or ARC's (`forms.py`).
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, BinaryIO, Literal

import pyarrow as pa
from isal import isal_zlib

from pipelines.read.forms import Form
from pipelines.read.packed import DAMAGE, open_packed

__all__ = ["LZ4", "MAGIC", "Inflated", "Stored", "begins_record", "find_sync", "inflated", "unpacked"]

MAGIC = b"\x1f\x8b\x08"
LZ4 = b"\x04\x22\x4d\x18"
_BLOCK = 1 << 20
_PIECE = 32 << 10
# Its stub calls the class an instance.
_BROKEN: type[Exception] = isal_zlib.error  # type: ignore[assignment]

End = Literal["", "eof", "sync", "garbage", "cut", "damaged"]
_EOF: End = "eof"
Piece = bytes | int | tuple[End, int]
"""What comes next of a stream: bytes, the file's position of a member that begins, or its end and where."""


class Stored:
    """A file's bytes by position, one 1 MiB block kept. The file stays the caller's to close."""

    end: End = "eof"

    def __init__(self, file: BinaryIO, form: Form) -> None:
        self.form = form
        self.size = file.seek(0, os.SEEK_END)
        self._pread = _positional(file)
        self._block = b""
        self._at = 0

    def read(self, pos: int, n: int) -> bytes:
        """The `n` bytes at `pos`, fewer at the end of the file."""
        start = pos - self._at
        if start < 0 or start + n > len(self._block):
            if n >= _BLOCK:
                return self._pread(n, pos)
            self._block, self._at, start = self._pread(_BLOCK, pos), pos, 0
        return self._block[start : start + n]

    def has(self, pos: int) -> bool:
        """Whether the bytes before `pos` are all there."""
        return pos <= self.size

    def find(self, pattern: bytes, start: int, stop: int) -> int:
        """The first position in [start, stop) where `pattern` begins, -1 if there is none."""
        while start < stop:
            block = self.read(start, _BLOCK)
            at = block.find(pattern)
            if at >= 0:
                return start + at if start + at < stop else -1
            start += max(1, len(block) - len(pattern) + 1) if len(block) == _BLOCK else _BLOCK
        return -1

    def find_record(self, pos: int) -> int | None:
        """Where the next record begins behind a line end at or after `pos`."""
        while pos < self.size:
            block = self.read(pos, _BLOCK)
            if found := self.form.following.search(block):
                return pos + found.end()
            pos += _BLOCK - self.form.n_begin
        return None

    def forget(self, pos: int) -> None:
        """Nothing is held back here."""

    def skip(self, pos: int) -> None:
        """Nothing to read before a position of a file."""


def _positional(file: BinaryIO) -> Callable[[int, int], bytes]:
    """read(n bytes, position): the system's own where the file has a descriptor, else a seek and a read."""
    try:
        return partial(os.pread, file.fileno())
    except OSError:
        return lambda n_bytes, pos: file.read(n_bytes) if file.seek(pos) == pos else b""


class Inflated:
    """The bytes of a packed file from `start` on, kept from where `forget` was last called.

    pieces: gives the stream from its beginning, each time it is called.

    end: why the segment ended: `sync` the next one begins, `eof`, `garbage` what follows is no member, `cut`
    the file ends in a member, `damaged` a member does not inflate or its checksum differs; "" while unknown.
    stop: the position in the file where it ended (for `damaged`, the next sync point).
    """

    def __init__(self, pieces: Callable[[], Iterator[Piece]], start: int, form: Form) -> None:
        self.form = form
        self._begin = pieces
        self._start = start
        self._total: int | None = None
        self._rewind()

    def _rewind(self) -> None:
        self._pieces = self._begin()
        self._buffer = bytearray()
        self._base = 0
        self._marks = [0]
        self._members = [self._start]
        self.end: End = ""
        self.stop = self._start

    @property
    def limit(self) -> int:
        """How many bytes are inflated so far: all of them once `end` is known."""
        return self._base + len(self._buffer)

    def read(self, pos: int, n: int) -> bytes:
        """The `n` inflated bytes at `pos`, fewer at the end of the segment."""
        # The same as `_fill`, which is not called for what is there: a record is read in a dozen pieces.
        if not self.end and self._base + len(self._buffer) < pos + n:
            self._fill(pos + n)
        start = max(0, pos - self._base)
        with memoryview(self._buffer) as view:
            return view[start : start + n].tobytes()

    def has(self, pos: int) -> bool:
        """Whether the bytes before `pos` are all there."""
        if self._total is not None and pos > self._total:
            return False
        self._fill(pos)
        return self.limit >= pos

    def find_record(self, pos: int) -> int | None:
        """Where the next record begins behind a line end at or after `pos`."""
        while True:
            if found := self.form.following.search(self._buffer, max(0, pos - self._base)):
                return self._base + found.end()
            if self.end:
                return None
            pos = max(pos, self.limit - self.form.n_begin)
            self.forget(pos)
            self._grow()

    def forget(self, pos: int) -> None:
        """Give up the bytes before `pos`."""
        pos = min(pos, self.limit)
        if pos > self._base:
            del self._buffer[: pos - self._base]
            self._base = pos

    def skip(self, pos: int) -> None:
        """Inflate up to `pos` and give up what stands before it, in the memory of one piece.

        Where the stream ends before `pos`, nothing is given up: it is inflated again, once, for its length is
        known from then on.
        """
        here = self._base
        if self._total is not None and pos > self._total:
            return
        self._pass(pos)
        if self.limit < pos:
            self._total = self.limit
            self._rewind()
            self._pass(here)

    def _pass(self, pos: int) -> None:
        while not self.end and self.limit < pos:
            self._grow()
            self.forget(pos)
        self.forget(pos)

    def mark(self, pos: int) -> int | None:
        """The file's position of the member that begins at `pos`; None where none begins there."""
        if self.end and pos >= self.limit and self.end != "damaged":
            return self.stop
        i = bisect_left(self._marks, pos)
        return self._members[i] if i < len(self._marks) and self._marks[i] == pos else None

    def member(self, pos: int) -> tuple[int, int]:
        """(file's position, inflated position) of the member that holds `pos`."""
        i = bisect_right(self._marks, pos) - 1
        return self._members[i], self._marks[i]

    def in_last_member(self, pos: int) -> bool:
        """Whether `pos` lies in the member being inflated, or in the last one."""
        return pos >= self._marks[-1]

    def _fill(self, pos: int) -> None:
        while not self.end and self._base + len(self._buffer) < pos:
            self._grow()

    def _grow(self) -> None:
        piece = next(self._pieces)
        if isinstance(piece, bytes):
            self._buffer += piece
        elif isinstance(piece, int):
            self._marks.append(self.limit)
            self._members.append(piece)
        else:
            self.end, self.stop = piece


def inflated(file: Stored, start: int) -> Iterator[Piece]:
    """The gzip members of a file from the sync point `start` to the next."""
    member = here = start
    while True:
        inflate = isal_zlib.decompressobj(31)
        while not inflate.eof:
            piece = file.read(here, _PIECE)
            try:
                out = inflate.decompress(piece)
            except _BROKEN:
                yield _broken(file, member, "damaged")
                return
            yield out
            if not piece:
                yield _broken(file, member, "cut")
                return
            here += len(piece) - len(inflate.unused_data)
        if end := _end_at(file, here):
            yield end, here
            return
        yield here
        member = here


def _end_at(file: Stored, here: int) -> End:
    """Why a segment ends between two members; "" where it goes on."""
    if here >= file.size:
        return "eof"
    if file.read(here, 3) != MAGIC:
        return "garbage"
    return "sync" if begins_record(file, here) else ""


def _broken(file: Stored, member: int, end: End) -> tuple[End, int]:
    # A flipped bit may make a member run on over its successors to the end of the file: if any follows
    # its beginning, it was not cut.
    following = find_sync(file, member + 1, file.size)
    return (end, file.size) if following is None else ("damaged", following)


def unpacked(opened: Callable[[], BinaryIO]) -> Iterator[Piece]:
    """The bytes of an LZ4 or Zstandard file, which can only be read from its start: it is opened for each reading."""
    file = opened()
    size, end = file.seek(0, os.SEEK_END), _EOF
    try:
        with file, _open_whole(file) as stream:
            # Not `read`, which gives up what it has where the next piece breaks.
            while piece := stream.read1(_PIECE):  # type: ignore[attr-defined]
                yield piece
    except EOFError:
        end = "cut"
    except DAMAGE:
        end = "damaged"
    if end != _EOF:
        yield size  # as behind a sound member: what was unpacked before the break is not in doubt
    yield end, size


def _open_whole(file: BinaryIO) -> IO[bytes]:
    file.seek(0)
    is_lz4 = file.read(4) == LZ4
    file.seek(0)
    return pa.input_stream(file, compression="lz4") if is_lz4 else open_packed(file)


def begins_record(file: Stored, pos: int) -> bool:
    """Whether a gzip member that begins a record stands at `pos`."""
    # A gzip header may carry 64 KiB of extra field: look further only when the first KiB gave nothing.
    for n_bytes in (1 << 10, 160 << 10):
        inflate = isal_zlib.decompressobj(31)
        try:
            start = inflate.decompress(file.read(pos, n_bytes), file.form.n_begin)
        except _BROKEN:
            return False
        if file.form.begins(start):
            return True
        if len(start) == file.form.n_begin or inflate.eof:
            return False
    return False


def find_sync(file: Stored, start: int, stop: int) -> int | None:
    """The first sync point in [start, stop)."""
    while (start := file.find(MAGIC, start, stop)) >= 0:
        if begins_record(file, start):
            return start
        start += 1
    return None
