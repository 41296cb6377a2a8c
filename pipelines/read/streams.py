"""Bytes of a file as WARC framing needs them: by position, forwards, in bounded memory.

    Stored    a file's own bytes                                      read(pos, n), find_record(pos)
    Inflated  the bytes of packed members from one sync point to the next, the same two calls and `marks`

Which members those are, and what a sync point is, stands in `members.py`; what begins a record is asked of a `Form`:
WARC's or ARC's (`forms.py`). A piece of output is at most 33 MiB whatever a bomb claims. Price: 0.4 ms for a gzipped
page of 130 kB, framing included.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, Literal

from pipelines import heartbeat
from pipelines.read.forms import Form

__all__ = ["End", "Inflated", "Piece", "Stored"]

_BLOCK = 1 << 20
_MAX_RECALLS = 16
_MANY_MARKS = 4096

End = Literal["", "eof", "sync", "garbage", "cut", "damaged"]
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

    def find_all(self, pattern: bytes, start: int, stop: int) -> Iterator[int]:
        """The positions in [start, stop) where `pattern` begins, which overlaps no other of its kind.

        A search of many blocks is told as work that goes on: giving up the record would not shorten it.
        """
        while start < stop:
            heartbeat.beat()
            block = self.read(start, min(_BLOCK, stop - start + len(pattern) - 1))
            at = block.find(pattern)
            while at >= 0:
                yield start + at
                at = block.find(pattern, at + len(pattern))
            if len(block) < len(pattern):
                return
            start += len(block) - len(pattern) + 1

    def find_record(self, pos: int, stop: int | None = None) -> int | None:
        """Where the next record begins behind a line end at or after `pos`, and before `stop`."""
        stop = self.size if stop is None else stop
        while pos < stop:
            heartbeat.beat()
            if found := self.form.following.search(self.read(pos, _BLOCK)):
                return pos + found.end() if pos + found.end() < stop else None
            pos += _BLOCK - self.form.n_begin
        return None

    def forget(self, pos: int) -> None:
        """Nothing is held back here."""

    def drop(self, pos: int) -> None:
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
    the file ends in a member, `damaged` a member does not inflate, its checksum differs or it took in others; "" while
    unknown.
    stop: the position in the file where it ended (for `damaged`, the next sync point).
    """

    def __init__(self, pieces: Callable[[], Iterator[Piece]], start: int, form: Form) -> None:
        self.form = form
        self._begin = pieces
        self._start = start
        self._total: int | None = None
        self._n_recalls = 0
        self._wanted = 0
        self._rewind()

    def _rewind(self) -> None:
        self._pieces = self._begin()
        self._buffer = bytearray()
        self._base = 0
        self._marks, self._members = array("q", [0]), array("q", [self._start])
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
        """Where the next record begins behind a line end at or after `pos`, skipped bytes included."""
        self._recall(pos)
        while True:
            if found := self.form.following.search(self._buffer, max(0, pos - self._base)):
                return self._base + found.end()
            if self.end:
                return None
            pos = max(pos, self.limit - self.form.n_begin)
            self.drop(pos)
            self._grow()

    def forget(self, pos: int) -> None:
        """Give up the bytes before `pos`, and which members they stood in."""
        self._wanted = pos
        self.drop(pos)

    def drop(self, pos: int) -> None:
        """Give up the bytes before `pos`, of a record whose member will still be asked for."""
        pos = min(pos, self.limit)
        if pos > self._base:
            del self._buffer[: pos - self._base]
            self._base = pos
        if len(self._marks) > _MANY_MARKS:
            self._drop_marks()

    def _drop_marks(self) -> None:
        # Asked for are the member of what is wanted and those at what stands in memory.
        first, last = (bisect_right(self._marks, pos) - 1 for pos in (self._wanted, self._base))
        for kept in (self._marks, self._members):
            del kept[first + 1 : last]
            del kept[: min(first, last)]

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

    def _recall(self, pos: int) -> None:
        """Have the bytes from `pos` on again where they were given up: all is inflated again up to them.

        At most 16 times, so that a stream of nothing but wrong lengths costs 18 times a sound one (once more where
        `skip` met its end) and not the square of its length. From then on, what was skipped for a length that proves
        wrong is lost with its record: the next one is looked for behind it.
        """
        if pos >= self._base or self._n_recalls == _MAX_RECALLS:
            return
        self._n_recalls += 1
        self._rewind()
        self._pass(pos)

    def _pass(self, pos: int) -> None:
        while not self.end and self.limit < pos:
            self._grow()
            self.drop(pos)
        self.drop(pos)

    def mark(self, pos: int) -> int | None:
        """The file's position of the last member that begins at `pos`; None where none begins there."""
        if self.end and pos >= self.limit and self.end not in ("damaged", "cut"):
            return self.stop
        i = bisect_right(self._marks, pos) - 1
        return self._members[i] if self._marks[i] == pos else None

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
        elif isinstance(piece, int) and self._marks[-1] == self.limit:
            self._members[-1] = piece  # the one before it holds nothing
        elif isinstance(piece, int):
            self._marks.append(self.limit)
            self._members.append(piece)
        else:
            self.end, self.stop = piece
