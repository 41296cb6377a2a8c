"""The books in one file of a mirror: a text, an HTML page, or a zip that holds one of them.

    1342-0.txt                                       one book
    1342-h.htm                                       one book
    1342-0.zip    1342-0.txt                         one book
    44157-h.zip   44157-h/44157-h.htm, images/...    one book: the page, or every page where none is `*-h.htm`
                  44157-h/toc.htm                    a row `not_the_book`, as each text or page that is passed over
    audio.zip     1.mp3, readme.pdf                  none: one row, `no_book`

Of a zip with texts and pages the texts are the books, unless the archive is named like a page (a readme lies beside
it) or the pages have ten times as many bytes. A zip's members are inflated in memory, one at a time, never to disk,
and none further than the directory says; so what the directory says is held against the limits before anything is
inflated. Members that lie over one another are refused: 71 kB of such a zip are 12 GB of books.

An HTML book is its whole text, headings and verse lines on lines of their own, without page numbers, styles,
alternative texts of pictures and the page's <title>. Price: 30 ms for a page of 220 kB.
"""

from __future__ import annotations

import os
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import BinaryIO, NamedTuple

from resiliparse.extract.html2text import extract_plain_text

from pipelines.extract.charset import decode_page
from pipelines.extract.page import page_title, scan_tags, tree_flaw
from pipelines.read.booknames import HEADER_SIZE, file_number, header_number
from pipelines.read.opening import open_input
from pipelines.stage import SourceFile

__all__ = ["BookFile", "Limits", "book_files", "html_book", "is_html"]

_HTML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|\?xml|!--)", re.IGNORECASE)
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ud800-\udfff]+")
_SKIPPED = ("title", ".pagenum", ".pageno", ".pagenumber", ".page", ".pb")
_MAX_DEPTH = 512
_LOCAL_HEADER = 30
_SMALL_ARCHIVE = 1 << 20
_PAGES_WIN = 10
# What mirrors use. The others zipfile inflates without bound.
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises for archives that are broken or encrypted.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError,
)  # fmt: skip


Members = list[zipfile.ZipInfo]


class Limits(NamedTuple):
    """Bytes of a book; inflated bytes of a zip's books; and these over their packed bytes, above the first MiB."""

    max_bytes: int
    max_archive_bytes: int | None = None
    max_ratio: int | None = None


class BookFile(NamedTuple):
    """A book's bytes, or the reason why there are none.

    member: tells it apart where the file holds several; name: its path inside the zip, alone or not.
    shares_number: its header's number is that of another book of the zip.
    """

    member: str
    data: bytes
    reason: str | None = None
    name: str = ""
    shares_number: bool = False


def book_files(file: SourceFile, limits: Limits) -> Iterator[BookFile]:
    """The books in a file, at least one row.

    Reasons: too_large, and of a zip damaged, no_book, not_the_book, unknown_packing, overlapping, archive_too_large
    and too_compressed.
    """
    with open_input(file) as stream:
        zipped = stream.read(4) == b"PK\x03\x04"
        n_bytes = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        if zipped:
            yield from _zipped(stream, PurePosixPath(file.path).name, limits)
        elif n_bytes > limits.max_bytes:
            yield BookFile("", b"", "too_large")
        else:
            yield BookFile("", stream.read())


def _zipped(stream: BinaryIO, name: str, limits: Limits) -> Iterator[BookFile]:
    try:
        archive = zipfile.ZipFile(stream)
    except _DAMAGE:
        yield BookFile("", b"", "damaged")
        return
    with archive:
        members, others = _books_of(name, archive.infolist())
        if not members:
            yield BookFile("", b"", "no_book")
        flaws = _flaws(archive.infolist(), members, limits)
        shared = _shared_numbers(archive, members, flaws)
        for member, label, flaw in zip(members, _told_apart(members), flaws, strict=True):
            data, reason = (b"", flaw) if flaw else _inflated(archive, member)
            yield BookFile(label, data, reason, member.filename, header_number(data) in shared)
        for member, label in zip(others, _numbered(others), strict=True):
            yield BookFile(label, b"", "not_the_book", member.filename)


def _books_of(archive: str, members: Members) -> tuple[Members, Members]:
    """(the members that are books, the other texts and pages), in the order of their names."""
    found: dict[str, list[zipfile.ZipInfo]] = {}
    for member in sorted(members, key=lambda m: m.filename):
        path = PurePosixPath(member.filename)
        if not member.is_dir() and not any(part.startswith((".", "__MACOSX")) for part in path.parts):
            found.setdefault(path.suffix.lower(), []).append(member)
    texts, pages = found.get(".txt", []), found.get(".htm", []) + found.get(".html", [])
    if texts and not _are_pages_the_book(archive, texts, pages):
        return texts, pages
    main = [page for page in pages if _is_main(page)]
    return main or pages, texts + [page for page in pages if main and not _is_main(page)]


def _is_main(page: zipfile.ZipInfo) -> bool:
    return PurePosixPath(page.filename).stem.endswith("-h")


def _are_pages_the_book(
    archive: str, texts: Sequence[zipfile.ZipInfo], pages: Sequence[zipfile.ZipInfo]
) -> bool:
    if any(_is_namesake(archive, text) for text in texts):
        return False
    n_bytes = sum(text.file_size for text in texts)
    larger = sum(page.file_size for page in pages) > _PAGES_WIN * n_bytes
    return larger or any(_is_namesake(archive, page) for page in pages)


def _is_namesake(archive: str, member: zipfile.ZipInfo) -> bool:
    path, packed = PurePosixPath(member.filename), PurePosixPath(archive)
    number = file_number(archive)
    return path.stem == packed.stem or (number is not None and file_number(path.name) == number)


def _flaws(
    everything: Sequence[zipfile.ZipInfo], members: Sequence[zipfile.ZipInfo], limits: Limits
) -> list[str | None]:
    """Why each of the books must not be inflated, by what the directory says; None where it may."""
    overlapping = _overlapping(everything)
    flaws: list[str | None] = []
    inflated = packed = 0
    for member in members:
        sizes = (inflated + member.file_size, packed + member.compress_size)
        if member.compress_type not in _PACKINGS:
            flaws.append("unknown_packing")
        elif member.header_offset in overlapping:
            flaws.append("overlapping")
        elif member.file_size > limits.max_bytes:
            flaws.append("too_large")
        else:
            flaws.append(_too_far(*sizes, limits))
            # What is refused costs the books beside it nothing.
            inflated, packed = (inflated, packed) if flaws[-1] else sizes
    return flaws


def _too_far(inflated: int, packed: int, limits: Limits) -> str | None:
    if limits.max_archive_bytes is not None and inflated > limits.max_archive_bytes:
        return "archive_too_large"
    if limits.max_ratio is not None and inflated > _SMALL_ARCHIVE + limits.max_ratio * packed:
        return "too_compressed"
    return None


def _overlapping(members: Sequence[zipfile.ZipInfo]) -> set[int]:
    """Where the members begin that lie over another one."""
    found: set[int] = set()
    last, end = 0, 0
    for start, stop in sorted(
        (m.header_offset, m.header_offset + _LOCAL_HEADER + m.compress_size) for m in members
    ):
        if start < end:
            found |= {start, last}
        if stop > end:
            last, end = start, stop
    return found


def _shared_numbers(
    archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], flaws: Sequence[str | None]
) -> set[str | None]:
    """The numbers that the headers of several books name: pieces of one book, or editions of it."""
    if len(members) == 1:
        return set()
    sound = [member for member, flaw in zip(members, flaws, strict=True) if flaw is None]
    heads = (_inflated(archive, member, HEADER_SIZE)[0] for member in sound)
    counts = Counter(filter(None, map(header_number, heads)))
    return {number for number, count in counts.items() if count > 1}


def _told_apart(members: Sequence[zipfile.ZipInfo]) -> list[str]:
    """A name for each book, "" for one alone."""
    return [""] if len(members) == 1 else _numbered(members)


def _numbered(members: Sequence[zipfile.ZipInfo]) -> list[str]:
    """A name for each member: of those of one name the second is `name#2`, the third `name#3`."""
    seen: Counter[str] = Counter()
    names = []
    for member in members:
        seen[member.filename] += 1
        count = seen[member.filename]
        names.append(member.filename if count == 1 else f"{member.filename}#{count}")
    return names


def _inflated(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, n_bytes: int | None = None
) -> tuple[bytes, str | None]:
    """(its bytes, or the first `n_bytes` of them, None), or (b"", "damaged")."""
    # Asked for all, zipfile would inflate 2 GiB before it cuts off what the directory does not say. What says less
    # than it holds fails its checksum.
    n_bytes = member.file_size if n_bytes is None else n_bytes
    try:
        with archive.open(member) as file:
            return file.read(n_bytes), None
    except _DAMAGE:
        return b"", "damaged"


def is_html(data: bytes) -> bool:
    """Whether a book's bytes are an HTML page."""
    return _HTML.match(data[:4096]) is not None


def html_book(data: bytes, *, max_bytes: int, max_tags: int) -> tuple[str, str | None, str | None]:
    """(text, title of the page, None), or ("", None, reason): page_too_large, unknown_encoding, too_deep."""
    if len(data) > max_bytes or data.count(b"<") > max_tags:
        return "", None, "page_too_large"
    page = decode_page(data, None)
    if page is None:
        return "", None, "unknown_encoding"
    flaw = tree_flaw(page, scan_tags(page.encode("utf-8", "surrogatepass")), max_depth=_MAX_DEPTH)
    if flaw is not None:
        return "", None, "page_too_large" if flaw == "too_large" else flaw
    text = extract_plain_text(
        page,
        preserve_formatting=True,
        main_content=False,
        list_bullets=False,
        alt_texts=False,
        skip_elements=list(_SKIPPED),
    )
    return _CONTROLS.sub("", text).strip() + "\n", page_title(page), None
