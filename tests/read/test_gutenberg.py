"""Gutenberg books: the text without what stands around it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from pipelines.dedup.editions import edition_rank
from pipelines.read.bookfiles import is_html
from pipelines.read.booknames import book_number, header_number
from pipelines.read.gutenberg import Gutenberg, body_of, decode_book, title_of
from pipelines.read.http import parse_response
from pipelines.stage import SourceFile
from tests.read.books import BOOK, FOOTER, HEADER, PAGE, read
from tests.read.warcs import rows, source

ROOT = Path(__file__).parents[2].parent / "shared" / "data" / "gutenberg"


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
        (b"<!DOCTYPE html>" + b"<p>" * 500_001 + b"x", "page_too_large"),
        (b"<!DOCTYPE html>" + b"<option>x" * 10_001, "page_too_large"),
        (b"<!DOCTYPE html><p " + b" ".join(b"a%d=1" % n for n in range(10_001)) + b">x", "page_too_large"),
        (b"caf\xe9 \x81\x8d", "unknown_encoding"),
    ],
)
def test_a_file_that_is_no_book_has_a_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    row = read(tmp_path / "a.txt", data)
    assert (row["reason"], row["text"]) == (reason, None)


@pytest.mark.parametrize(
    "declared",
    ["rot13", "hex", "zip", "base64", "undefined", "idna", "punycode", "unicode_escape", "utf-7", "utf-16"],
)
def test_what_is_no_encoding_of_text_counts_as_undeclared(tmp_path: Path, declared: str) -> None:
    text = HEADER.format(encoding=declared) + "“Café”, he said – a \\nbook.\n" + BOOK + FOOTER
    assert read(tmp_path / "a.txt", text.encode("cp1252"))["text"].startswith(
        "“Café”, he said – a \\nbook.\n"
    )


@pytest.mark.parametrize("declared", ["ISO-8859-1", "Latin-1", "ASCII", "ISO-646-US (US-ASCII)"])
def test_latin_1_and_ascii_are_windows_1252(tmp_path: Path, declared: str) -> None:
    text = HEADER.format(encoding=declared) + "“Yes” — €5\n" + BOOK + FOOTER
    assert read(tmp_path / "a.txt", text.encode("cp1252"))["text"].startswith("“Yes” — €5\n")


def test_one_byte_that_the_declared_encoding_lacks_costs_that_byte(tmp_path: Path) -> None:
    head = HEADER.format(encoding="{}")
    data = head.format("ISO-8859-1").encode() + b"caf\xe9 \x81 \x93\n" + (BOOK + FOOTER).encode()
    assert read(tmp_path / "a.txt", data)["text"].startswith("café \ufffd “\n")
    data = head.format("Shift_JIS").encode() + "株式会社①㈱\n".encode("cp932") + b"\x81\n" + BOOK.encode()
    assert read(tmp_path / "b.txt", data)["text"].startswith("株式会社①㈱\n\ufffd\n")


START = "*** START OF THIS PROJECT GUTENBERG EBOOK X ***\n"


@pytest.mark.parametrize(
    "head",
    ["", START, f"{START}Produced by ", "Title: ", "[EBook #", "\n*END", "***", "Character set encoding:"],
)
@pytest.mark.parametrize("filler", [" ", "7", "*", ".", "\t", "[ ", "_ ", " \n", "\n***", "-" * 72 + " \n"])
def test_no_run_of_characters_takes_more_than_its_length(head: str, filler: str) -> None:
    text = f"{head}{filler * (100_000 // len(filler))}A TITLE\n\nText of it.\n"
    begun = time.process_time()
    assert body_of(text).endswith("Text of it.\n")
    title_of(text)
    decode_book(text.encode() + b"\xe9")
    is_html(text.encode())
    book_number(text)
    header_number(text.encode())
    edition_rank(text)
    parse_response(b"HTTP/1.1 200\n" + text.encode())
    assert time.process_time() - begun < 1


def test_white_space_before_a_credit_hides_it_from_nobody() -> None:
    assert body_of(f"{START}{' ' * 300}\n   [ *Produced by A. B.\n\n{BOOK}") == BOOK
    assert body_of(f"{START}{' ' * 300}A TITLE\n\n{BOOK}").startswith(" " * 300 + "A TITLE")


def test_a_file_above_the_limit_is_too_large(tmp_path: Path) -> None:
    (row,) = rows(Gutenberg(max_bytes=10), source(tmp_path / "a.txt", b"x" * 11))
    assert row["reason"] == "too_large"
    (row,) = rows(Gutenberg(max_page_bytes=10), source(tmp_path / "a.htm", b"<html>xxxxx"))
    assert row["reason"] == "page_too_large"


def test_an_html_edition_is_its_text_without_page_numbers_and_markup(tmp_path: Path) -> None:
    page = PAGE.format(header=HEADER.format(encoding="UTF-8"), footer=FOOTER)
    row = read(tmp_path / "a.htm", page.encode())
    assert row["text"] == "LONG NIGHTS\n\nIt was a long\u00a0night — and cold.\n\nGröße.\n"
    assert (row["title"], row["ref"]) == ("Long Nights and Short Days", "1234")
    bare = read(tmp_path / "44157-h.htm", PAGE.format(header="", footer="").encode())
    assert (bare["title"], bare["ref"]) == ("Long Nights", "44157")


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
