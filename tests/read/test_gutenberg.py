"""Gutenberg books: the text without what stands around it."""

from __future__ import annotations

import re
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
        (b"PK\x03\x04\x00\x00", "not_text"),
        (b"<!DOCTYPE html><p>x", "not_text"),
        (b"caf\xe9 \x81\x8d", "unknown_encoding"),
    ],
)
def test_a_file_that_is_no_book_has_a_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    row = read(tmp_path / "a.txt", data)
    assert (row["reason"], row["text"]) == (reason, None)


def test_a_file_above_the_limit_is_too_large(tmp_path: Path) -> None:
    (row,) = rows(Gutenberg(max_bytes=10), source(tmp_path / "a.txt", b"x" * 11))
    assert row["reason"] == "too_large"


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
