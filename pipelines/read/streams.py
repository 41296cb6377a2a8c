"""Bytes of a file as WARC framing needs them: by position, forwards, in bounded memory.

    Stored    a file's own bytes                                      read(pos, n), find_record(pos)
    Inflated  the bytes of packed members from one sync point to the next, the same two calls and `marks`

    file      |member|member|member|garbage|member|
              sync    sync   (no)           sync        sync point: a member that inflates to the begin of a record
    Inflated  |------||-------------|       |------|

A member that does not begin a record (a record cut over several members, as bgzip does) belongs to the sync
point before it, so a segment can be read without knowing anything before it: that is what lets a file be
split anywhere. What a skippable frame of Zstandard or LZ4 holds is never looked at; it belongs to the record before
it. A piece of output is at most 33 MiB whatever a bomb claims. Price: 0.4 ms for a gzipped page of 130 kB, framing
included.

A member that begins with more than 16 KiB of line ends, or with more than its first 512 bytes hold, is no sync point
either, unless it is the first of its file: it is read with the one before it, and behind damage joins the damaged one.

False sync points are possible in one case: a packed WARC stored inside a record of a WARC that is packed in the same
way, and only where a split or a resynchronisation begins inside that very record, or damage stands behind it and it
has no checksum.

How members are packed is asked of a `Codec` (`codecs.py`), what begins a record of a `Form`: WARC's or ARC's
(`forms.py`).
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, Literal

from pipelines import heartbeat
from pipelines.read.codecs import SKIPPABLE, Codec
from pipelines.read.forms import Form

__all__ = [
    "Inflated",
    "Stored",
    "begins_behind_lead",
    "begins_record",
    "find_sync",
    "first_member",
    "inflated",
]

_BLOCK = 1 << 20
_FIRST = 512  # shows how nearly every gzip member begins
_LEAD = 16 << 10  # bytes of line ends that a sync point may begin with
_MAX_LEAD = 64 << 20  # the first of a file: each split asks again, and has as many bytes to read
_SHORTEST = 24  # no member with a record has fewer bytes
_CROWD, _MAX_CROWD = 256, 4
_MAX_RECALLS = 16
_MANY_MARKS = 4096
_BEAT = 256  # pieces, members or skippable frames: at most seconds, even of a bomb

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


def inflated(file: Stored, codec: Codec, start: int) -> Iterator[Piece]:
    """The members of a file from the sync point `start` to the next."""
    member = here = start
    n_pieces = 0
    while True:
        inflate = codec.new()
        if not codec.may_begin(file.read(here, 4)):
            yield _broken(file, codec, member, "damaged")
            return
        while not inflate.eof:
            n_pieces = _counted(n_pieces)
            piece = file.read(here, codec.n_input)
            try:
                out = inflate.decompress(piece)
            except codec.broken:
                yield _broken(file, codec, member, "damaged")
                return
            yield out
            if not piece:
                yield _broken(file, codec, member, "cut")
                return
            here += len(piece) - len(inflate.unused_data or b"")
        here = _past_skippable(file, codec, here)
        if end := _end_at(file, codec, here):
            yield _swallowed(file, codec, member, here) if end == "garbage" else (end, here)
            return
        yield here
        member = here


def _counted(n: int) -> int:
    """`n` and one more, told now and then as work that goes on: giving up the record would not shorten it."""
    if n % _BEAT == _BEAT - 1:
        heartbeat.beat()
    return n + 1


def _past_skippable(file: Stored, codec: Codec, here: int) -> int:
    """Where the skippable frames that stand at `here` end.

    It is `here` itself where they lead neither to a member nor to the end of the file: a broken length would hide all
    that it covers.
    """
    if not codec.skips or file.read(here, 4) not in SKIPPABLE:
        return here
    at, n_frames = here, 0
    while file.read(at, 4) in SKIPPABLE:
        n_frames = _counted(n_frames)
        at += 8 + int.from_bytes(file.read(at + 4, 4), "little")
    return at if at == file.size or file.read(at, len(codec.magic)) == codec.magic else here


def first_member(file: Stored, codec: Codec) -> int:
    """Where the first member stands that holds more than line ends: an empty one may lead, for skippable frames."""
    here, n_empty = _past_skippable(file, codec, 0), 0
    while file.read(here, len(codec.magic)) == codec.magic:
        n_empty = _counted(n_empty)
        inflate, head = codec.new(), file.read(here, _FIRST)
        try:
            is_empty = (
                codec.may_begin(head[:4]) and not inflate.decompress(head).strip(b"\r\n") and inflate.eof
            )
        except codec.broken:
            is_empty = False
        if not is_empty:
            break
        here = _past_skippable(file, codec, here + len(head) - len(inflate.unused_data or b""))
    return here


def _end_at(file: Stored, codec: Codec, here: int) -> End:
    """Why a segment ends between two members; "" where it goes on."""
    if here >= file.size:
        return "eof"
    if file.read(here, len(codec.magic)) != codec.magic:
        return "garbage"
    return "sync" if begins_record(file, codec, here) else ""


def _broken(file: Stored, codec: Codec, member: int, end: End) -> tuple[End, int]:
    # A flipped bit may make a member run on over its successors to the end of the file: if any follows
    # its beginning, it was not cut.
    following = find_sync(file, codec, member + 1, file.size)
    return (end, file.size) if following is None else ("damaged", following)


def _swallowed(file: Stored, codec: Codec, member: int, here: int) -> tuple[End, int]:
    # A frame that was cut, or whose block has a broken size, takes in the ones behind it, and without a checksum it
    # unpacks well. It ends where no member begins, and what begins within it is what it took.
    begin = file.read(member, 8)
    following = None if codec.is_checked(begin) else find_sync(file, codec, member + 1, here)
    return ("garbage", here) if following is None else ("damaged", following)


def begins_record(file: Stored, codec: Codec, pos: int) -> bool:
    """Whether a member that begins a record stands at `pos`, by its first bytes or, out of a crowd, by more.

    To open each of a million magics for 160 KiB would take hours. So one with two more in its first bytes is none, and
    one that many stand closely before is opened for its first bytes only (of a Zstandard page behind four empty frames
    they say nothing: behind damage it joins the damaged one). This is asked of the file alone and not of
    what was opened before, so that the answer is the same from wherever a search begins.

    A member whose first bytes cannot be unpacked begins no record, so it belongs to the one before it (`heads.py`).
    """
    form, before = file.form, min(pos, _CROWD)
    around = file.read(pos - before, before + _FIRST)
    if around.count(codec.magic, before, before + _SHORTEST) > 2:
        return False
    start = codec.head(around[before:], form.n_begin)
    if start[:1] in (b"\r", b"\n"):
        start = codec.head(around[before:], form.n_begin + _LEAD)
    if form.begins(start):
        return True
    if len(start) >= form.n_begin or around.count(codec.magic, 0, before) >= _MAX_CROWD:
        return False
    return form.begins(codec.head(file.read(pos, codec.n_head), form.n_begin + _LEAD))


def begins_behind_lead(file: Stored, codec: Codec, pos: int) -> bool:
    """Whether the member at `pos` begins a record behind line ends, up to 64 MiB, given up as they are passed."""
    inflate, here, n_passed, n_pieces, start = codec.new(), pos, 0, 0, b""
    while n_passed < _MAX_LEAD and len(start) < file.form.n_begin and not inflate.eof:
        n_pieces = _counted(n_pieces)
        piece = file.read(here, codec.n_input)
        try:
            out = inflate.decompress(piece)
        except codec.broken:
            break
        if not piece:
            break
        here += len(piece)
        n_passed += max(len(piece), len(out))
        start = (start + out).lstrip(b"\r\n")
    return file.form.begins(start)


def find_sync(file: Stored, codec: Codec, start: int, stop: int) -> int | None:
    """The first sync point in [start, stop). Price: 1 to 4 us a magic, and at most 4 of 256 bytes opened for more."""
    found = (pos for pos in file.find_all(codec.magic, start, stop) if begins_record(file, codec, pos))
    return next(found, None)
