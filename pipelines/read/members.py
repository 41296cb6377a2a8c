"""The members of a packed file: where they begin, which of them begin a record, what they hold.

    file      |member|member|member|garbage|member|
              sync    sync   (no)           sync        sync point: a member that inflates to the begin of a record
    Inflated  |------||-------------|       |------|

A member that does not begin a record (a record cut over several members, as bgzip does) belongs to the sync
point before it, so a segment can be read without knowing anything before it: that is what lets a file be
split anywhere. What a skippable frame of Zstandard or LZ4 holds is never looked at; it belongs to the record before
it.

A member that begins with more than 16 KiB of line ends, or with more than its first 512 bytes hold, is no sync point
either, unless it is the first of its file: it is read with the one before it, and behind damage joins the damaged one.

False sync points are possible in one case: a packed WARC stored inside a record of a WARC that is packed in the same
way, and only where a split or a resynchronisation begins inside that very record, or damage stands behind it and it
has no checksum.

How members are packed is asked of a `Codec` (`codecs.py`). Price: the codec's; of a sync point 1 to 4 us a magic.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipelines import heartbeat
from pipelines.read.codecs import SKIPPABLE, Codec
from pipelines.read.streams import End, Piece, Stored

__all__ = ["begins_behind_lead", "begins_record", "find_sync", "first_member", "inflated"]

_FIRST = 512  # shows how nearly every gzip member begins
_LEAD = 16 << 10  # bytes of line ends that a sync point may begin with
_MAX_LEAD = 64 << 20  # the first of a file: each split asks again, and has as many bytes to read
_SHORTEST = 24  # no member with a record has fewer bytes
_CROWD, _MAX_CROWD = 256, 4
_BEAT = 256  # pieces, members or skippable frames: at most seconds, even of a bomb


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
