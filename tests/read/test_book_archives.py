"""Books in zips: which members are books, what they are called, and what a hostile zip costs."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from pipelines.read.gutenberg import Gutenberg
from pipelines.stage import SourceFile
from tests.read.books import BOOK, FOOTER, HEADER, PAGE, read, zipped
from tests.read.warcs import rows, source


def test_a_zip_is_the_book_in_it(tmp_path: Path) -> None:
    text = (HEADER.format(encoding="ASCII") + BOOK + FOOTER).encode()
    plain = read(tmp_path / "1234.txt", text)
    row = read(tmp_path / "1234.zip", zipped({"__MACOSX/._1234.txt": b"x", "1234.txt": text}))
    assert (row["text"], row["title"], row["ref"]) == (plain["text"], plain["title"], plain["ref"])
    assert row["reason"] == ""
    page = PAGE.format(header="", footer="").encode()
    parts = {"1-h/": b"", "1-h/images/a.png": b"\x89PNG", "1-h/toc.htm": b"<html>toc", "1-h/1-h.htm": page}
    row, toc = rows(Gutenberg(), source(tmp_path / "1-h.zip", zipped(parts)))
    assert (row["text"].splitlines()[0], row["ref"]) == ("LONG NIGHTS", "1")
    assert (toc["reason"], toc["origin"][0]["record_id"]) == ("not_the_book", "1-h/toc.htm")


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


def test_texts_and_pages_that_are_passed_over_are_rows(tmp_path: Path) -> None:
    page = b"<html><p>" + BOOK.encode()
    two = zipped({"chapter1-h.htm": page, "chapter2.htm": page, "a.png": b"\x89PNG"})
    assert read_all(tmp_path, "x.zip", two) == [(None, None, ""), ("chapter2.htm", None, "not_the_book")]
    large = zipped({"vol1.txt": b"v" * 100, "vol2.html": b"<html><p>" + b"x " * 5000, "vol3.txt": b"w" * 100})
    assert read_all(tmp_path, "y.zip", large) == [
        (None, None, ""),
        ("vol1.txt", None, "not_the_book"),
        ("vol3.txt", None, "not_the_book"),
    ]
    both = zipped({"1342-0.txt": BOOK.encode(), "1342-h/1342-h.htm": page})
    assert [row[2] for row in read_all(tmp_path, "1342-0.zip", both)] == ["", "not_the_book"]


def test_a_skipped_book_keeps_its_place(tmp_path: Path) -> None:
    data = zipped({"a.txt": b"one " * 99, "b.txt": b"two " * 99})
    first, second = rows(Gutenberg(), source(tmp_path / "a.zip", data), skip=frozenset({0}))
    assert (first["text"], second["text"][:3]) == (None, "two")


def of_number(number: int, words: str) -> bytes:
    return f"Release Date: May, 1999 [EBook #{number}]\n\n{words} {BOOK}".encode()


def read_all(
    root: Path, path: str, data: bytes, **params: int | None
) -> list[tuple[str | None, str | None, str]]:
    """(record_id, ref, reason) of every row of the file at `path`; ids differ, and reasons go with missing texts."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(data)
    found = rows(Gutenberg(**params), SourceFile("books", root, path, len(data), ""))
    assert len({row["doc_id"] for row in found}) == len(found)
    assert all((row["text"] is None) == bool(row["reason"]) for row in found)
    return [(row["origin"][0]["record_id"], row["ref"], row["reason"]) for row in found]


def test_pieces_of_a_book_have_no_number_of_their_own(tmp_path: Path) -> None:
    chapters = {f"44157-h/chap{n}.htm": f"<html><p>Chapter {n}. {BOOK}".encode() for n in (1, 2, 3)}
    for path in ("44157-h.zip", "4/4/1/5/44157/44157-h.zip", "cache/epub/44157/pg44157.epub"):
        assert [ref for _, ref, _ in read_all(tmp_path, path, zipped(chapters))] == [None] * 3
    for name in ("part{}.txt", "1500-{}.txt"):
        parts = {name.format(n): of_number(1500, f"Part {n}") for n in (1, 2)}
        assert [ref for _, ref, _ in read_all(tmp_path, "1500.zip", zipped(parts))] == [None] * 2


def test_books_in_one_zip_keep_numbers_that_are_theirs(tmp_path: Path) -> None:
    books = {
        "emma10.txt": of_number(158, "Emma"),
        "pandp12.txt": of_number(1342, "Pride"),
        "84/84.txt": b"Monster",
    }
    found = read_all(tmp_path, "all.zip", zipped(books))
    assert [(name, ref) for name, ref, _ in found] == [
        ("84/84.txt", "84"), ("emma10.txt", "158"), ("pandp12.txt", "1342"),
    ]  # fmt: skip
    editions = {"1342-0.txt": of_number(1342, "Pride"), "1342-8.txt": of_number(1342, "Pride,")}
    assert [ref for _, ref, _ in read_all(tmp_path, "any.zip", zipped(editions))] == ["1342", "1342"]


@pytest.mark.parametrize(
    ("path", "ref"),
    [
        ("1/3/4/1342/1342.txt", "1342"),
        ("1/1.txt", "1"),
        ("1342/1342-0.txt", "1342"),
        ("cache/epub/84/pg84.txt.utf8", "84"),
        ("pg84.txt", "84"),
        ("flat/1342-0.txt", "1342"),
        ("austen/1.txt", None),
        ("verne/1-8.txt", None),
        ("flat/1342.txt", None),
        ("1813/1342-notes.txt", None),
    ],
)
def test_a_number_in_a_name_is_the_books_where_the_name_is_a_mirrors(
    tmp_path: Path, path: str, ref: str | None
) -> None:
    assert read_all(tmp_path, path, BOOK.encode()) == [(None, ref, "")]
    packed = path.replace(".txt", ".zip").removesuffix(".utf8")
    assert read_all(tmp_path, packed, zipped({"book.txt": BOOK.encode()})) == [(None, ref, "")]
    assert read_all(tmp_path, f"flat/{path}", of_number(7, "One")) == [(None, "7", "")]


def test_members_of_one_name_are_two_documents(tmp_path: Path) -> None:
    data = zipped([("a.txt", b"one " * 99), ("b.txt", b"two " * 99), ("a.txt", b"three " * 99)])
    assert read_all(tmp_path, "dup.zip", data) == [
        ("a.txt", None, ""), ("a.txt#2", None, ""), ("b.txt", None, ""),
    ]  # fmt: skip


def test_pictures_beside_a_book_are_no_part_of_its_size(tmp_path: Path) -> None:
    parts = {"44157-h/44157-h.htm": b"<html><p>A book", "44157-h/images/a.jpg": bytes(5000)}
    data = zipped(parts, zipfile.ZIP_STORED)
    assert read_all(tmp_path, "44157-h.zip", data, max_bytes=1000) == [(None, "44157", "")]


def test_a_readme_beside_the_page_is_not_the_book(tmp_path: Path) -> None:
    page = PAGE.format(header="", footer="").encode()
    for archive, name in (("44157-h.zip", "44157-h/44157-h.htm"), ("alice.zip", "alice.html")):
        data = zipped({"readme.txt": b"See the page.", name: page})
        row, readme = rows(Gutenberg(), source(tmp_path / archive, data))
        assert row["text"].startswith("LONG NIGHTS")
        assert (readme["reason"], readme["text"]) == ("not_the_book", None)
    chapters = {"readme.txt": b"See the pages.", "a.htm": page, "b.htm": page}
    found = read_all(tmp_path, "x.zip", zipped(chapters))
    assert [(name, reason) for name, _, reason in found] == [
        ("a.htm", ""),
        ("b.htm", ""),
        ("readme.txt", "not_the_book"),
    ]
    both = {"1342.txt": b"The text.", "1342-h.htm": page * 20}
    row, _ = rows(Gutenberg(), source(tmp_path / "1342.zip", zipped(both)))
    assert row["text"] == "The text.\n"


def stacked(n: int) -> bytes:
    """A zip whose directory names one member `n` times."""
    data = zipped({"a.txt": bytes(2 << 20)})
    directory, end = data.rindex(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    entries = data[directory:end] * n
    return (
        data[:directory]
        + entries
        + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, n, n, len(entries), directory, 0)
    )


def test_members_that_lie_over_one_another_are_refused(tmp_path: Path) -> None:
    found = read_all(tmp_path, "bomb.zip", stacked(50), max_ratio=None)
    assert {reason for _, _, reason in found} == {"overlapping"}
    assert len(found) == 50


def test_books_that_inflate_too_far_are_refused_and_the_others_kept(tmp_path: Path) -> None:
    rng = random.Random(0)
    honest = "".join(rng.choices("abcdefgh ", k=50_000)).encode()
    data = zipped({"a.txt": honest, "b.txt": b"x" * (8 << 20), "c.txt": honest})
    reasons = [reason for _, _, reason in read_all(tmp_path, "a.zip", data)]
    assert reasons == ["", "too_compressed", ""]
    reasons = [reason for _, _, reason in read_all(tmp_path, "a.zip", data, max_ratio=None)]
    assert reasons == ["", "", ""]
    limits: dict[str, int | None] = {"max_ratio": None, "max_archive_bytes": 100_000}
    reasons = [reason for _, _, reason in read_all(tmp_path, "a.zip", data, **limits)]
    assert reasons == ["", "archive_too_large", ""]


def test_a_member_that_holds_more_than_the_directory_says_is_not_inflated_further(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.txt": bytes(64 << 20)}))
    directory = data.rindex(b"PK\x01\x02")
    struct.pack_into("<L", data, directory + 24, 100)
    tracemalloc.start()
    assert read_all(tmp_path, "lies.zip", bytes(data)) == [(None, None, "damaged")]
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_that_mirrors_do_not_use_are_named(tmp_path: Path, packing: int) -> None:
    found = read_all(tmp_path, "a.zip", zipped({"a.txt": b"one " * 99}, packing))
    assert found == [(None, None, "unknown_packing")]
