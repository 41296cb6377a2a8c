"""Project Gutenberg's catalogue: number -> author, title, languages, subjects, rights.

    pg_catalog.csv (or .csv.gz)    Text#,Type,Issued,Title,Language,Authors,Subjects,...       no rights
    rdf-files.tar.zip (.bz2, .gz)  a tar of cache/epub/1342/pg1342.rdf, one a book             all of it

    1342  ->  Entry("Austen, Jane, 1775-1817", "Pride and Prejudice", ("en",),
                    "Courtship -- Fiction; ...", "Public domain in the USA.")

Both are read as streams, the zipped tar without unpacking it. Several authors or subjects are joined by "; ", as
the CSV has them; an author carries the years of birth and death where they are known. The CSV also names
translators and editors, in brackets; from RDF only creators are taken. A broken record is passed over.

Price: 1 s for the CSV's 75,000 books; 30 s for the RDF's, most of it XML, so give the CSV unless rights matter.

Source: https://www.gutenberg.org/ebooks/offline_catalogs.html
"""

from __future__ import annotations

import csv
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple
from xml.etree import ElementTree as ET

from manifests.errors import RecipeError

__all__ = ["Entry", "check_catalogue", "read_catalogue"]

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_TERMS = "{http://purl.org/dc/terms/}"
_PG = "{http://www.gutenberg.org/2009/pgterms/}"
_MEMBER_OF = "{http://purl.org/dc/dcam/}memberOf"
_MAX_RECORD = 8 << 20
_DAMAGE = (
    OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, csv.Error, UnicodeDecodeError,
)  # fmt: skip


class Entry(NamedTuple):
    """What the catalogue says of a book; None where it says nothing."""

    author: str | None
    title: str | None
    languages: tuple[str, ...]
    subjects: str | None
    rights: str | None


@cache
def read_catalogue(path: Path, changed_ns: int) -> dict[str, Entry]:
    """The entries by the book's number, once for each time the file was changed.

    Raises: RecipeError for a file that cannot be read, or has no entry.
    """
    del changed_ns  # names the version of the file for the cache
    return dict(_entries(path))


def check_catalogue(path: Path) -> None:
    """Reads a catalogue up to its first entry.

    Raises: RecipeError as `read_catalogue`.
    """
    with closing(_entries(path)) as entries:
        next(entries)


def _entries(path: Path) -> Generator[tuple[str, Entry], None, None]:
    n_entries = 0
    try:
        for entry in _csv(path) if ".csv" in path.suffixes else _rdf(path):
            n_entries += 1
            yield entry
    except _DAMAGE as error:
        raise _unreadable(path, str(error)) from error
    if not n_entries:
        raise _unreadable(path, "no entry in it")


def _unreadable(path: Path, found: str) -> RecipeError:
    return RecipeError(
        f"{path}: expected Project Gutenberg's catalogue, pg_catalog.csv or rdf-files.tar.zip, got what cannot be "
        f"read ({found}). Books would have no author and no language. Fetch it again."
    )


def _csv(path: Path) -> Iterator[tuple[str, Entry]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            if number := (row.get("Text#") or "").strip():
                title, author, subjects = (_line(row.get(name)) for name in ("Title", "Authors", "Subjects"))
                yield number, Entry(author, title, _codes(row.get("Language")), subjects, None)


def _line(text: str | None) -> str | None:
    return " ".join((text or "").split()) or None


def _codes(text: str | None) -> tuple[str, ...]:
    return tuple((text or "").replace(",", ";").replace(" ", "").strip(";").split(";")) if text else ()


def _rdf(path: Path) -> Iterator[tuple[str, Entry]]:
    with _tar(path) as stream, tarfile.open(fileobj=stream, mode="r|*") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".rdf") else None
            if file is not None and member.size <= _MAX_RECORD:
                yield from _record(file.read())


@contextmanager
def _tar(path: Path) -> Iterator[IO[bytes]]:
    """The tar as a stream, out of the zip where it is in one."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".tar")]
        if not names:
            raise zipfile.BadZipFile("no .tar in it")
        with archive.open(names[0]) as member:
            yield member


def _record(data: bytes) -> Iterator[tuple[str, Entry]]:
    try:
        # Expat bounds what entities may grow to since 2.4.1, and refers to nothing outside.
        book = ET.fromstring(data).find(f"{_PG}ebook")  # noqa: S314
    except ET.ParseError:
        return
    number = "" if book is None else book.get(f"{_RDF}about", "").rpartition("/")[2]
    if book is None or not number:
        return
    title, rights = (_line(book.findtext(f"{_TERMS}{name}")) for name in ("title", "rights"))
    authors = [_agent(agent) for agent in book.iterfind(f"{_TERMS}creator/{_PG}agent")]
    subjects = [value for node in book.iterfind(f"{_TERMS}subject") if (value := _heading(node))]
    languages = tuple(_value(node) for node in book.iterfind(f"{_TERMS}language"))
    yield number, Entry(_joined(authors), title, tuple(filter(None, languages)), _joined(subjects), rights)


def _joined(texts: list[str]) -> str | None:
    return "; ".join(filter(None, texts)) or None


def _value(node: ET.Element) -> str:
    return (node.findtext(f"{_RDF}Description/{_RDF}value") or node.text or "").strip()


def _heading(node: ET.Element) -> str:
    """A subject that is words; one of the Library of Congress's classes ("PR") is none."""
    scheme = node.find(f"{_RDF}Description/{_MEMBER_OF}")
    classes = scheme is not None and scheme.get(f"{_RDF}resource", "").endswith("/LCC")
    return "" if classes else _value(node)


def _agent(agent: ET.Element) -> str:
    name, born, died = (_line(agent.findtext(f"{_PG}{tag}")) for tag in ("name", "birthdate", "deathdate"))
    years = f"{born or ''}-{died or ''}"
    return ", ".join(filter(None, [name, years if name and years != "-" else None]))
