"""The records of a WARC or ARC file, each once, whatever is broken: framing and resynchronisation.

    Raw(locator, offset, length, flaw, headers, body)

    |record|record|rec#rd|record|reco       # one bad byte: one row `damaged`, and reading goes on
                                            the last one: `truncated`

FastWARC's iterator ends at the first bad byte and swallows what a too large Content-Length covers, so
framing is our own for plain and gzipped files: a header block, its Content-Length, then a blank line,
`WARC/` or the end. A record that is followed by anything else declares a wrong length, and reading goes on
at the next `WARC/` behind a blank line or the next gzip member that inflates to `WARC/`. In ARC a record line
stands for the header block (`forms.py`); which of the two a file is, its first bytes say. LZ4 and Zstandard
files of WARC are iterated by FastWARC, of ARC unpacked and framed like one gzip member.

Locator: the byte offset of the record in the file as stored (of its gzip member). A record that does not
begin its gzip member is `<member offset>+<inflated offset in the member>`; so in a file gzipped as one
member only the first record has a plain offset, and such a file cannot be split: all of it is read by its
first split.

Splits: gzipped files are split at any byte; a split owns the sync points in it and reads on to the first
sync point at or after its end. Plain files are framed from their first byte by Content-Length (a seek a
record), so ownership is exact even where a record holds another WARC.

Price: zlib's; 1 read of a header (10 us) a record for the part of a plain file before a split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import BinaryIO, Literal

from fastwarc.warc import ArchiveIterator, WarcRecord

from pipelines.read.forms import FORMS, WARC, Form
from pipelines.read.opening import open_input
from pipelines.read.streams import LZ4, MAGIC, Inflated, Stored, begins_record, find_sync, inflated, unpacked
from pipelines.stage import SourceFile, Split

__all__ = ["FLAWS", "SPLIT_BYTES", "Raw", "raw_records", "record_splits"]

SPLIT_BYTES = 64 << 20
_MAX_HEADER = 64 << 10
# Names of remote files in one piece: packed ones cannot be split, and every split of a plain one would fetch all
# that stands before it.
_WHOLE = (".zst", ".zstd", ".lz4", ".warc", ".wet", ".arc")
_ZSTD = b"\x28\xb5\x2f\xfd"
_NONE: Mapping[str, str] = {}

FLAWS = ("too_large", "bad_length", "bad_header", "truncated", "damaged", "unknown_format", "empty_file")
"""What can be wrong with a stretch of a file, in the order of the readers' reasons.

too_large: more bytes than the limit; bad_length: Content-Length disagrees with what follows; bad_header: no
end of the header block or no usable Content-Length; truncated: the file ends in the record; damaged: bytes
that do not inflate, fail their checksum or are no record; unknown_format: nothing in the file is a
record.
"""

Kind = Literal["plain", "gzip", "fastwarc", "packed", "unknown"]


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

    n_blank: how many line ends stand before the record; old ARC files begin their gzip members with one.
    """

    start: int
    body: int
    stop: int
    after: int
    flaw: str | None
    headers: Mapping[str, str]
    n_blank: int = 0


def record_splits(file: SourceFile) -> list[Split]:
    """Pieces of 64 MiB of a plain or gzipped file; one piece for the others."""
    if file.size <= SPLIT_BYTES:
        return [Split(file, 0, file.size)]
    if file.is_remote:
        # By its name: a crawl has a hundred thousand files, and asking each for its head would take hours.
        whole = file.path.endswith(_WHOLE)
    else:
        with open_input(file) as stream:
            whole = _kind(stream, partial(open_input, file))[0] in ("fastwarc", "packed")
    step = file.size if whole else SPLIT_BYTES
    return [Split(file, at, min(at + step, file.size)) for at in range(0, file.size, step)]


def raw_records(split: Split, *, max_bytes: int) -> Iterator[Raw]:
    """The records that begin in a split, in file order; bodies of at most `max_bytes`.

    Raises: nothing for what the file holds; OSError when it cannot be read at all.
    """
    with open_input(split.file) as stream:
        kind, form = _kind(stream, partial(open_input, split.file))
        stored = Stored(stream, form)
        if kind == "plain":
            yield from _plain(stored, split, max_bytes)
        elif kind == "gzip":
            yield from _gzip(stored, split, max_bytes)
        elif split.start == 0 and kind == "fastwarc":
            stream.seek(0)
            yield from _by_fastwarc(stream, stored.size, max_bytes)
        elif split.start == 0 and kind == "packed":
            yield from _packed(split.file, form, max_bytes)
        elif split.start == 0:
            yield Raw(0, 0, stored.size, "unknown_format" if stored.size else "empty_file")


def _kind(stream: BinaryIO, opened: Callable[[], BinaryIO]) -> tuple[Kind, Form]:
    """How a file is packed and which records it holds, by its first bytes."""
    head = Stored(stream, WARC).read(0, max(form.n_begin for form in FORMS))
    if head.startswith((LZ4, _ZSTD)):
        form = _form_unpacked(opened)
        return ("fastwarc" if form is WARC else "packed"), form
    if head.startswith(b"PK\x03\x04") or not head:
        return "unknown", WARC
    for form in FORMS:
        if form.begins(head.lstrip(b"\r\n")):
            return "plain", form
        if head.startswith(MAGIC) and begins_record(Stored(stream, form), 0):
            return "gzip", form
    return _kind_of_damaged(stream, head)


def _kind_of_damaged(stream: BinaryIO, head: bytes) -> tuple[Kind, Form]:
    """The same where the first bytes say nothing: by any record that is found."""
    for form in FORMS:
        stored = Stored(stream, form)
        if find_sync(stored, 0, stored.size) is not None:
            return "gzip", form
        if not head.startswith(MAGIC) and stored.find_record(0) is not None:
            return "plain", form
    return "unknown", WARC


def _form_unpacked(opened: Callable[[], BinaryIO]) -> Form:
    head = b""
    for piece in unpacked(opened):
        if not isinstance(piece, bytes) or len(head) >= max(form.n_begin for form in FORMS):
            break
        head += piece
    return next((form for form in FORMS if form.begins(head.lstrip(b"\r\n"))), WARC)


def _plain(stored: Stored, split: Split, max_bytes: int) -> Iterator[Raw]:
    for frame in _frames(stored, max_bytes):
        if frame.start >= split.end:
            return
        if frame.start >= split.start:
            body = b"" if frame.flaw else stored.read(frame.body, frame.stop - frame.body)
            length = frame.after - frame.start
            yield Raw(frame.start, frame.start, length, frame.flaw, frame.headers, body)


def _gzip(stored: Stored, split: Split, max_bytes: int) -> Iterator[Raw]:
    pos = find_sync(stored, split.start, split.end if split.start else stored.size)
    if pos is not None and split.start == 0 and pos > 0:
        yield Raw(0, 0, pos, "damaged")
    while pos is not None and pos < split.end:
        segment = Inflated(partial(inflated, stored, pos), pos, stored.form)
        for frame in _frames(segment, max_bytes):
            yield _stored_record(segment, frame, stored.size)
        pos = segment.stop
        if segment.end == "garbage":
            # What is no sync point belongs to the split before it, so this row is made even behind its end.
            following = find_sync(stored, pos, stored.size)
            yield Raw(pos, pos, (stored.size if following is None else following) - pos, "damaged")
            pos = following
        elif pos >= stored.size:
            return


def _packed(file: SourceFile, form: Form, max_bytes: int) -> Iterator[Raw]:
    segment = Inflated(partial(unpacked, partial(open_input, file)), 0, form)
    for frame in _frames(segment, max_bytes):
        yield _stored_record(segment, frame, file.size)


def _stored_record(segment: Inflated, frame: _Frame, size: int) -> Raw:
    body = b"" if frame.flaw else segment.read(frame.body, frame.stop - frame.body)
    member, begins = segment.member(frame.start)
    is_first = frame.start - frame.n_blank <= begins
    locator = member if is_first else f"{member}+{frame.start - begins}"
    after = segment.mark(frame.after)
    if segment.end == "damaged" and frame.after >= segment.limit:
        after = segment.stop
    if after is None or not is_first:
        # It shares its member with other records: no range of the file holds it alone.
        return Raw(locator, 0, size, frame.flaw, frame.headers, body)
    return Raw(locator, member, after - member, frame.flaw, frame.headers, body)


def _frames(source: Stored | Inflated, max_bytes: int) -> Iterator[_Frame]:
    """Every record of a stream from its start, and every stretch of it that is none."""
    pos = 0
    while True:
        before, pos = pos, _skip_blank(source, pos)
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
    after = _skip_blank(source, stop)
    if doubt := _unsound(source, stop, after):
        return _garbage(source, pos, body - 4, doubt, headers)
    return _Frame(pos, body, stop, after, "too_large" if stop - body > max_bytes else None, headers)


def _unsound(source: Stored | Inflated, stop: int, after: int) -> str | None:
    """Why a record whose bytes are all there must not be trusted; None when it may."""
    if isinstance(source, Inflated):
        if source.end in ("damaged", "cut") and source.in_last_member(stop - 1):
            return "damaged" if source.end == "damaged" else "truncated"
        if source.mark(after) is not None:
            return None
    following = source.read(after, source.form.n_begin)
    sound = not following or source.form.follows(following) or source.form.cut.fullmatch(following)
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
    while run := source.read(pos, 16):
        left = run.lstrip(b"\r\n")
        pos += len(run) - len(left)
        if left:
            break
    return pos


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


def _by_fastwarc(stream: BinaryIO, size: int, max_bytes: int) -> Iterator[Raw]:
    """The records of an LZ4 or Zstandard file; what follows a damaged byte is one row."""
    pending: Raw | None = None
    iterator = iter(ArchiveIterator(stream, parse_http=False, max_header_len=_MAX_HEADER))
    while True:
        try:
            record = next(iterator, None)
            raw = None if record is None else _from_fastwarc(record, max_bytes)
        except OSError:
            at = pending.offset if pending else 0
            raw, record = Raw(f"{at}+rest", at, size - at, "damaged"), None
        if pending:
            end = raw.offset if raw and raw.offset > pending.offset else size
            yield replace(pending, length=end - pending.offset)
        if record is None:
            yield from [raw] if raw else []
            return
        pending = raw


def _from_fastwarc(record: WarcRecord, max_bytes: int) -> Raw:
    headers = {name.lower(): value for name, value in reversed(list(record.headers.items()))}
    at, declared = record.stream_pos, record.content_length
    if declared > max_bytes:
        return Raw(at, at, 0, "too_large", headers)
    body = record.reader.read(max_bytes)
    return Raw(at, at, 0, None if len(body) == declared else "truncated", headers, body)
