"""Gutenberg books: the text without what stands around it."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest

from pipelines.read.gutenberg import Gutenberg, body_of
from pipelines.stage import SourceFile
from tests.read.warcs import rows, source

ROOT = Path(__file__).parents[2].parent / "shared" / "data" / "gutenberg"
BOOK = "CHAPTER I\n\nIt was a long night.\n" * 50
HEADER = (
    "The Project Gutenberg EBook of Long Nights, by A. Writer\n\nTitle: Long Nights\n  and Short Days\n\n"
    "Release Date: May, 1999 [EBook #1234]\n\nLanguage: English\n\nCharacter set encoding: {encoding}\n\n"
    "*** START OF THIS PROJECT GUTENBERG EBOOK LONG NIGHTS ***\n\n\nProduced by Somebody\n\n\n"
    "Transcriber's Note:\n\n    Spelling is kept.\n\n\n"
)
FOOTER = "\n\nEnd of the Project Gutenberg EBook of Long Nights\n\n*** END OF THIS PROJECT GUTENBERG EBOOK ***\n\nlaw"


def read(path: Path, data: bytes) -> dict:
    (row,) = rows(Gutenberg(), source(path, data))
    return row


def test_header_footer_and_notes_are_no_text_and_the_title_is_a_column(tmp_path: Path) -> None:
    text = HEADER.format(encoding="ASCII") + BOOK + FOOTER
    row = read(tmp_path / "a.txt", text.replace("\n", "\r\n").encode())
    assert row["text"] == BOOK
    assert (row["title"], row["ref"]) == ("Long Nights and Short Days", "1234")
    assert row["origin"][0]["length"] == len(text.replace("\n", "\r\n"))


def test_the_old_small_print_is_header_where_it_stands_before_the_text() -> None:
    small = "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*"
    old = f"Project Gutenberg's Etext of X\n\nlegal words\n\n{small}\n\n\n{BOOK}\nEnd of Project Gutenberg's X\n"
    assert body_of(old) == BOOK
    assert body_of(f"{HEADER}{BOOK}{FOOTER}\n{small}\n") == BOOK


@pytest.mark.parametrize(
    "footer",
    [
        "*** END OF THE PROJECT GUTENBERG EBOOK X ***",
        "***END OF THE PROJECT GUTENBERG EBOOK X***",
        "End of Project Gutenberg's X, by Y",
        "Ende dieses Projekt Gutenberg Etextes",
        "Fin de Project Gutenberg",
        "Einde van het Project Gutenberg",
        "Transcriber's Notes: two commas were added",
        "Au lecteur.\n\nCe livre électronique reproduit intégralement le texte",
    ],
)
def test_every_form_of_footer_ends_the_text(footer: str) -> None:
    assert body_of(f"{BOOK}\n\n{footer}\nrest\n") == BOOK


def test_a_file_without_marks_is_all_text() -> None:
    assert body_of(BOOK) == BOOK


def test_an_indented_title_after_the_credits_stays() -> None:
    assert body_of(f"Produced by A. B.\n\n          A LONG NIGHT\n\n{BOOK}").startswith(
        "          A LONG NIGHT"
    )


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        ("latin-1", "ISO-8859-1"),
        ("latin-1", "ISO Latin-1"),
        ("iso8859-4", "Latin-4"),
        ("utf-8", "ISO-8859-1"),
        ("utf-8-sig", "ASCII"),
        ("utf-16", "Unicode"),
        ("cp1252", "ASCII"),
        ("cp1252", "no such thing"),
    ],
)
def test_the_encoding_is_found(tmp_path: Path, encoding: str, declared: str) -> None:
    text = HEADER.format(encoding=declared) + "Größe äöü\n" + BOOK + FOOTER
    assert read(tmp_path / "a.txt", text.encode(encoding))["text"].startswith("Größe äöü\n")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no_body"),
        (HEADER.encode() + b"\n" + FOOTER.encode(), "no_body"),
        (b"PK\x03\x04\x00\x00", "damaged"),
        (b"x\x00y", "not_text"),
        (b"<!DOCTYPE html><p>", "no_body"),
        (b"<!DOCTYPE html>" + b"<div>" * 3000 + b"x", "too_deep"),
        (b"caf\xe9 \x81\x8d", "unknown_encoding"),
    ],
)
def test_a_file_that_is_no_book_has_a_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    row = read(tmp_path / "a.txt", data)
    assert (row["reason"], row["text"]) == (reason, None)


def test_a_file_above_the_limit_is_too_large(tmp_path: Path) -> None:
    (row,) = rows(Gutenberg(max_bytes=10), source(tmp_path / "a.txt", b"x" * 11))
    assert row["reason"] == "too_large"


PAGE = (
    "<!DOCTYPE html><html><head><title>The Project Gutenberg eBook of Long Nights, by A. Writer</title>"
    "<style>p {{color: red}}</style></head><body><pre>{header}</pre>\n<h1>LONG NIGHTS</h1>"
    "<p>It was <span class='pagenum'>[Pg 7]</span>a long&nbsp;night &mdash; and\ncold.</p><p>Größe.</p>"
    "<img alt='a drawing' src='x.png'><pre>{footer}</pre></body></html>"
)


def zipped(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


def test_an_html_edition_is_its_text_without_page_numbers_and_markup(tmp_path: Path) -> None:
    page = PAGE.format(header=HEADER.format(encoding="UTF-8"), footer=FOOTER)
    row = read(tmp_path / "a.htm", page.encode())
    assert row["text"] == "LONG NIGHTS\n\nIt was a long\u00a0night — and cold.\n\nGröße.\n"
    assert (row["title"], row["ref"]) == ("Long Nights and Short Days", "1234")
    bare = read(tmp_path / "44157-h.htm", PAGE.format(header="", footer="").encode())
    assert (bare["title"], bare["ref"]) == ("Long Nights", "44157")


def test_a_zip_is_the_book_in_it(tmp_path: Path) -> None:
    text = (HEADER.format(encoding="ASCII") + BOOK + FOOTER).encode()
    plain = read(tmp_path / "1234.txt", text)
    row = read(tmp_path / "1234.zip", zipped({"__MACOSX/._1234.txt": b"x", "1234.txt": text}))
    assert (row["text"], row["title"], row["ref"]) == (plain["text"], plain["title"], plain["ref"])
    assert row["reason"] == ""
    page = PAGE.format(header="", footer="").encode()
    parts = {"1-h/": b"", "1-h/images/a.png": b"\x89PNG", "1-h/toc.htm": b"<html>toc", "1-h/1-h.htm": page}
    row = read(tmp_path / "1-h.zip", zipped(parts))
    assert (row["text"].splitlines()[0], row["ref"]) == ("LONG NIGHTS", "1")


def test_every_book_in_a_zip_is_a_row_and_a_bad_one_costs_no_other(tmp_path: Path) -> None:
    data = zipped({"b.txt": b"two " * 99, "a.txt": b"one " * 99, "c.txt": b"xyz" * 99, "d.txt": b"x" * 5000})
    data = data.replace(
        b"c.txt", b"c\xfftxt", 1
    )  # the local header now names another file than the directory
    found = rows(Gutenberg(max_bytes=2000), source(tmp_path / "a.zip", data))
    assert [row["reason"] for row in found] == ["", "", "damaged", "too_large"]
    assert [row["text"][:3] for row in found[:2]] == ["one", "two"]
    assert len({row["doc_id"] for row in found}) == 4


def test_a_zip_without_a_book_is_one_row(tmp_path: Path) -> None:
    assert read(tmp_path / "a.zip", zipped({"1.mp3": b"ID3", "readme.pdf": b"%PDF"}))["reason"] == "no_book"


def test_a_skipped_book_keeps_its_place(tmp_path: Path) -> None:
    data = zipped({"a.txt": b"one " * 99, "b.txt": b"two " * 99})
    first, second = rows(Gutenberg(), source(tmp_path / "a.zip", data), skip=frozenset({0}))
    assert (first["text"], second["text"][:3]) == (None, "two")


EDGES = {
    "de/pg22367.txt": ("DIE VERWANDLUNG", "dehnte."),
    "es/pg2000.txt": ("El ingenioso hidalgo don Quijote de la Mancha", "Fin"),
    "fi/7000-8.txt": ("Kalevala", "kansassa kasuavassa."),
    "fi/kalev10.txt": ("Kalevala", "kansassa kasuavassa."),
    "fr/44157-h.htm": ("Au lecteur", "het lezen."),
    "nl/24675-8.txt": ("ELK DEEL IS AFZONDERLIJK VERKRIJGBAAR", "Rob's moeder."),
    "zh/23962-0.txt": ("第一回", "《西遊記》至此終。"),
}


@pytest.mark.real
@pytest.mark.skipif(not ROOT.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize("name", EDGES)
def test_books_of_every_language_begin_and_end_with_their_own_words(name: str) -> None:
    (row,) = rows(Gutenberg(), SourceFile("books", ROOT, name, (ROOT / name).stat().st_size, ""))
    begins, ends = EDGES[name]
    assert row["text"].strip().startswith(begins), row["text"][:200]
    assert row["text"].rstrip().endswith(ends), row["text"][-200:]
    assert row["ref"] == {"kalev10": "7000"}.get(Path(name).stem, re.search(r"\d+", name)[0])


@pytest.mark.real
@pytest.mark.skipif(not ROOT.is_dir(), reason="needs ../shared/data")
def test_real_books_begin_and_end_with_their_own_words() -> None:
    marks = re.compile(r"project gutenberg|\*\*\* ?(?:START|END) OF|small print|transcriber", re.IGNORECASE)
    files = sorted(p for p in ROOT.rglob("*.txt") if p.stat().st_size < 400_000 or "editions" in p.as_posix())
    marked = []
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        (row,) = rows(Gutenberg(), SourceFile("books", ROOT, name, path.stat().st_size, ""))
        assert row["reason"] == ""
        if marks.search(row["text"][:400]) or marks.search(row["text"][-200:]):
            marked.append(name)
    assert len(files) > 70
    # Multi-paragraph notes of a few transcribers are left; the list may only shrink.
    assert len(marked) <= 4, marked
