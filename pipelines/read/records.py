"""The records of a WARC or ARC file, each once, whatever is broken: framing and resynchronisation.

    Raw(locator, offset, length, flaw, headers, body)

    |record|record|rec#rd|record|reco       # one bad byte: one row `damaged`, and reading goes on
                                            the last one: `truncated`

FastWARC's iterator ends at the first bad byte and swallows what a too large Content-Length covers, so
framing is our own: a header block, its Content-Length, then a blank line, `WARC/` or the end. A record that is
followed by anything else declares a wrong length, and reading goes on at the next `WARC/` behind a blank line or
the next member (of gzip, or a frame of Zstandard or LZ4) that unpacks to `WARC/`. Line ends before a record are
passed, however many; only with more than 64 MiB of them is the first member of a file `damaged`. In ARC a record line
stands for the header block (`forms.py`); which of the two a file is, and how it is packed, its first bytes say.

Locator: the byte offset of the record in the file as stored (of its member). A record that does not begin its
member is `<member offset>+<unpacked offset in the member>`; so in a file packed as one member only the first record
has a plain offset, and such a file cannot be split: all of it is read by its first split.

Splits: packed files are split at any byte; a split owns the sync points in it and reads on to the first sync point
at or after its end. Plain files are framed from their first byte by Content-Length (a seek a record), so ownership
is exact even where a record holds another WARC.

Price: the codec's; 1 read of a header (10 us) a record for the part of a plain file before a split. Every split but
the first of a file packed as one member looks through its own bytes for a member and finds none: such a file is read
(and a remote one fetched) twice in all, however many splits it has, but unpacked once. Where the first bytes of a file
say nothing of it, each process looks through it once for a record. A record above the limit is
not held back; where its length proves wrong, the segment is inflated again, at most 16 times (`streams.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import count, product
from typing import BinaryIO

from pipelines import heartbeat
from pipelines.read.codecs import GZIP, LZ4, Codec, dictionary_in, zstd
from pipelines.read.forms import FORMS, WARC, Form
from pipelines.read.members import begins_behind_lead, begins_record, find_sync, first_member, inflated
from pipelines.read.opening import open_input
from pipelines.read.streams import Inflated, Stored
from pipelines.stage import SourceFile, Split

__all__ = ["FLAWS", "SPLIT_BYTES", "Raw", "raw_records", "record_splits"]

SPLIT_BYTES = 64 << 20
_MAX_HEADER = 64 << 10
_BLANK = 64 << 10
_BEAT = 256  # records
# Names of remote files in one piece: every split of a plain one would fetch all that stands before it.
_WHOLE = (".warc", ".wet", ".arc")
_NONE: Mapping[str, str] = {}

FLAWS = ("too_large", "bad_length", "bad_header", "truncated", "damaged", "unknown_format", "empty_file")
"""What can be wrong with a stretch of a file, in the order of the readers' reasons.

too_large: more bytes than the limit; bad_length: Content-Length disagrees with what follows; bad_header: no
end of the header block or no usable Content-Length; truncated: the file ends in the record; damaged: bytes
that do not inflate, fail their checksum or are no record; unknown_format: nothing in the file is a
record.
"""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a file holds, and how it is packed: None where it is not."""

    form: Form
    codec: Codec | None = None


@dataclass(frozen=True, slots=True)
class Raw:
    """One record, or one stretch of a file that is none (`flaw`). Header names are in lower case."""

    locator: int | str
    offset: int
    length: int
    flaw: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class _Frame:
    """Positions in a stream: record, body [body, stop), and `after`, where the next record begins.

    n_blank: how many line ends stand before the record; old ARC files begin their gzip members with one. data: the
    body, where it was given up for the many line ends behind it.
    """

    start: int
    body: int
    stop: int
    after: int
    flaw: str | None
    headers: Mapping[str, str]
    n_blank: int = 0
    data: bytes | None = None


def record_splits(file: SourceFile) -> list[Split]:
    """Pieces of 64 MiB; a remote file that is plain by its name is one."""
    if file.size <= SPLIT_BYTES:
        return [Split(file, 0, file.size)]
    # By its name: a crawl has a hundred thousand files, and asking each for its head would take hours.
    step = file.size if file.is_remote and file.path.endswith(_WHOLE) else SPLIT_BYTES
    return [Split(file, at, min(at + step, file.size)) for at in range(0, file.size, step)]


def raw_records(split: Split, *, max_bytes: int) -> Iterator[Raw]:
    """The records that begin in a split, in file order; bodies of at most `max_bytes`.

    Raises: nothing for what the file holds; OSError when it cannot be read at all.
    """
    with open_input(split.file) as stream:
        kind = _kind(stream, split.file)
        stored = Stored(stream, kind.form if kind else WARC)
        if kind and kind.codec:
            yield from _packed(stored, kind.codec, split, max_bytes)
        elif kind:
            yield from _plain(stored, split, max_bytes)
        elif split.start == 0:
            yield Raw(0, 0, stored.size, "unknown_format" if stored.size else "empty_file")


def _kind(stream: BinaryIO, named: SourceFile) -> _Kind | None:
    """How a file is packed and which records it holds, by its first bytes; None where no record is found."""
    file = Stored(stream, WARC)
    head = file.read(0, max(form.n_begin for form in FORMS))
    if head.startswith(b"PK\x03\x04") or not head:
        return None
    codecs = _codecs(file)
    starts = {codec: first_member(file, codec) for codec in codecs}
    standing = [codec for codec, at in starts.items() if file.read(at, len(codec.magic)) == codec.magic]
    for form in FORMS:
        if form.begins(head):
            return _Kind(form)
        for codec in standing:
            if begins_record(Stored(stream, form), codec, starts[codec]):
                return _Kind(form, codec)
    for form, codec in product(FORMS, standing):
        if begins_behind_lead(Stored(stream, form), codec, starts[codec]):
            return _Kind(form, codec)
    if file.size <= SPLIT_BYTES:
        return _kind_of_damaged(stream, standing or [*codecs, None])
    # Every split asks.
    return _kind_searched(named, tuple(codec.magic for codec in standing))


def _codecs(file: Stored) -> tuple[Codec, ...]:
    return GZIP, LZ4, zstd(dictionary_in(file.read))


@lru_cache(maxsize=4)
def _kind_searched(named: SourceFile, standing: Sequence[bytes]) -> _Kind | None:
    with open_input(named) as stream:
        codecs = _codecs(Stored(stream, WARC))
        return _kind_of_damaged(stream, [c for c in codecs if c.magic in standing] or [*codecs, None])


def _kind_of_damaged(stream: BinaryIO, codecs: Sequence[Codec | None]) -> _Kind | None:
    """The same where the first bytes say nothing: by the first record that is found, packed in one of these or not."""
    kind, first = None, Stored(stream, WARC).size
    for form in FORMS:
        stored = Stored(stream, form)
        for codec in codecs:
            found = find_sync(stored, codec, 0, first) if codec else stored.find_record(0, first)
            if found is not None:
                kind, first = _Kind(form, codec), found
    return kind


def _plain(stored: Stored, split: Split, max_bytes: int) -> Iterator[Raw]:
    for n, frame in enumerate(_frames(stored, max_bytes)):
        if frame.start >= split.end:
            return
        if frame.start < split.start and n % _BEAT == 0:
            heartbeat.beat()
        if frame.start >= split.start:
            body = b"" if frame.flaw else stored.read(frame.body, frame.stop - frame.body)
            length = frame.after - frame.start
            yield Raw(frame.start, frame.start, length, frame.flaw, frame.headers, body)


def _packed(stored: Stored, codec: Codec, split: Split, max_bytes: int) -> Iterator[Raw]:
    # Not within a frame that is passed over: it may hold a dictionary.
    first = first_member(stored, codec)
    pos = _first_sync(stored, codec, first, split)
    if pos is None and split.start == 0:
        yield Raw(0, 0, stored.size, "damaged")  # what told the kind stands where nothing is looked for
    elif pos is not None and split.start == 0 and pos > first:
        yield Raw(first, first, pos - first, "damaged")
    while pos is not None and pos < split.end:
        segment = Inflated(partial(inflated, stored, codec, pos), pos, stored.form)
        for frame in _frames(segment, max_bytes):
            yield _stored_record(segment, frame, stored.size)
        pos = segment.stop
        if segment.end == "garbage":
            # What is no sync point belongs to the split before it, so this row is made even behind its end.
            following = find_sync(stored, codec, pos, stored.size)
            yield Raw(pos, pos, (stored.size if following is None else following) - pos, "damaged")
            pos = following
        elif pos >= stored.size:
            return


def _first_sync(stored: Stored, codec: Codec, first: int, split: Split) -> int | None:
    """Where the records that begin in a split do so; `first` is the file's first member."""
    start, stop = max(split.start, first), split.end if split.start else stored.size
    # Nothing stands before it that could read it, so it is one behind any line ends.
    is_first = start == first < stop and not begins_record(stored, codec, first)
    return (
        first
        if is_first and begins_behind_lead(stored, codec, first)
        else find_sync(stored, codec, start, stop)
    )


def _stored_record(segment: Inflated, frame: _Frame, size: int) -> Raw:
    body = b"" if frame.flaw else frame.data or segment.read(frame.body, frame.stop - frame.body)
    member, begins = segment.member(frame.start)
    is_first = frame.start - frame.n_blank <= begins
    locator = member if is_first else f"{member}+{frame.start - begins}"
    after = segment.mark(frame.after)
    if segment.end in ("damaged", "cut") and frame.after >= segment.limit:
        # What is lost belongs to the record in the broken member, and to none that stands whole before it.
        after = segment.stop if segment.in_last_member(max(frame.start, frame.after - 1)) else after
    if after is None or not is_first:
        # It shares its member with other records: no range of the file holds it alone.
        return Raw(locator, 0, size, frame.flaw, frame.headers, body)
    return Raw(locator, member, after - member, frame.flaw, frame.headers, body)


def _frames(source: Stored | Inflated, max_bytes: int) -> Iterator[_Frame]:
    """Every record of a stream from its start, and every stretch of it that is none."""
    pos = 0
    while True:
        before, pos = pos, _past_blank(source, pos)
        source.forget(pos)
        if not source.has(pos + 1):
            break
        frame = _frame_at(source, pos, max_bytes)
        yield replace(frame, n_blank=pos - before) if pos > before else frame
        pos = frame.after
    if isinstance(source, Inflated) and source.end in ("damaged", "cut") and source.member(pos)[1] == pos:
        yield _Frame(pos, pos, pos, pos, "damaged" if source.end == "damaged" else "truncated", _NONE)


def _frame_at(source: Stored | Inflated, pos: int, max_bytes: int) -> _Frame:
    first = source.read(pos, source.form.n_begin)
    if source.form.follows(first):
        return _frame(source, pos, max_bytes)
    if source.form.cut.fullmatch(first):
        return _Frame(pos, pos, pos, pos + len(first), "truncated", _NONE)
    return _garbage(source, pos, pos, "damaged")


def _frame(source: Stored | Inflated, pos: int, max_bytes: int) -> _Frame:
    head = _head(source, pos)
    if head is None:
        return _garbage(source, pos, pos + 5, "bad_header")
    headers = source.form.headers(head)
    declared = headers.get("content-length", "").strip()
    body = pos + len(head)
    if not (declared.isascii() and declared.isdigit() and len(declared) < 19):
        return _garbage(source, pos, body - 4, "bad_header")
    stop = body + int(declared)
    if stop - body > max_bytes:
        source.skip(stop)
    if not source.has(stop):
        flaw = "bad_length" if isinstance(source, Inflated) else "truncated"
        return _garbage(source, pos, body - 4, flaw, headers)
    too_large = "too_large" if stop - body > max_bytes else None
    after, data = _skip_blank(source, stop), None
    if after - stop >= _BLANK:
        data = b"" if too_large else source.read(body, stop - body)
        after = _past_blank(source, after)
    if doubt := _unsound(source, stop, after):
        return _garbage(source, pos, body - 4, doubt, headers)
    return _Frame(pos, body, stop, after, too_large, headers, data=data)


def _unsound(source: Stored | Inflated, stop: int, after: int) -> str | None:
    """Why a record whose bytes are all there must not be trusted; None when it may."""
    if isinstance(source, Inflated):
        if source.end in ("damaged", "cut") and source.in_last_member(stop - 1):
            return "damaged" if source.end == "damaged" else "truncated"
        if source.mark(after) is not None:
            return None
    following = source.read(after, source.form.n_begin)
    sound = (
        not following.strip(b"\r\n") or source.form.follows(following) or source.form.cut.fullmatch(following)
    )
    return None if sound else "bad_length"


def _garbage(
    source: Stored | Inflated, pos: int, search: int, flaw: str, headers: Mapping[str, str] = _NONE
) -> _Frame:
    """The stretch from `pos` to the next record, looked for from `search`."""
    following = source.find_record(search)
    if following is not None:
        # What another record follows was not cut off: its length is wrong.
        return _Frame(pos, pos, pos, following, "bad_length" if flaw == "truncated" else flaw, headers)
    end = source.size if isinstance(source, Stored) else source.limit
    flaw = {"cut": "truncated", "damaged": "damaged"}.get(source.end, flaw)
    return _Frame(pos, pos, pos, end, flaw, headers)


def _skip_blank(source: Stored | Inflated, pos: int) -> int:
    """Where the line ends at `pos` end, or are 64 KiB and more."""
    n_bytes, most = 16, pos + _BLANK
    while pos < most and (run := source.read(pos, n_bytes)):
        left = run.lstrip(b"\r\n")
        pos += len(run) - len(left)
        if left:
            break
        n_bytes = _BLANK
    return pos


def _past_blank(source: Stored | Inflated, pos: int) -> int:
    """Where the line ends at `pos` end, however many: they are given up as they are passed."""
    for n in count(1):
        after = _skip_blank(source, pos)
        if after - pos < _BLANK:
            break
        pos = after
        source.drop(pos)
        if n % _BEAT == 0:
            heartbeat.beat()
    return after


def _head(source: Stored | Inflated, pos: int) -> bytes | None:
    """The header block with the line end that ends it; None when there is none within 64 KiB."""
    n_bytes = 4096
    while True:
        block = source.read(pos, n_bytes)
        if found := source.form.head_end.search(block):
            return block[: found.end()]
        if len(block) < n_bytes or n_bytes >= _MAX_HEADER:
            return None
        n_bytes *= 4
