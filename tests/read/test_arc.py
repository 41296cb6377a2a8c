"""ARC files: the pages they hold, in whatever they are packed, and what a broken byte costs."""

from __future__ import annotations

import gzip
import io
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from warcio.archiveiterator import ArchiveIterator

from pipelines.read.warc import Warc
from pipelines.read.wet import Wet
from tests.read.warcs import PAGE, http, members, rows, source

ADDRESS, DATE = "192.0.2.7", "20080430204826"
FILLER = "<!--" + "".join(f"{i * 7919 % 10_007:05d} " for i in range(400)) + "-->"


def line(url: str, media: str, n_bytes: int | str, *, second: bool = False) -> bytes:
    """A record line of the first or second version."""
    more = " 200 0123456789abcdef - 1234 crawl.arc" if second else ""
    return f"{url} {ADDRESS} {DATE} {media}{more} {n_bytes}\n".encode()


def arc(
    kind: str, block: bytes, *, n: int = 0, length: int | str | None = None, second: bool = False
) -> bytes:
    """One record; `length` overrides the true one."""
    url = {"page": f"http://example.org/{n}", "dns": "dns:example.org"}.get(kind, "filedesc://crawl.arc")
    media = {"page": "text/html", "dns": "text/dns"}.get(kind, "text/plain")
    return line(url, media, len(block) if length is None else length, second=second) + block + b"\n"


def head() -> bytes:
    """The record that opens a file."""
    return arc("filedesc", b"1 1 InternetArchive\nURL IP-address Archive-date Content-type Archive-length\n")


def page(n: int, **options: object) -> bytes:
    return arc("page", http(PAGE % n + FILLER.encode()), n=n, **options)  # type: ignore[arg-type]


def crawl(n_pages: int) -> list[bytes]:
    return [
        head(),
        arc("dns", b"20080430204825\nexample.org.\t3600\tIN\tA\t192.0.2.7\n"),
        *map(page, range(n_pages)),
    ]


def single(records: list[bytes]) -> bytes:
    return gzip.compress(b"".join(records))


def lz4(records: list[bytes]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "lz4") as stream:
        stream.write(b"".join(records))
    return bytes(sink.getvalue())


def zstd_frames(records: list[bytes]) -> bytes:
    return b"".join(zstandard.ZstdCompressor().compress(one) for one in records)


FORMS: dict[str, Callable[[list[bytes]], bytes]] = {
    "plain": b"".join,
    "gzip": members,
    "single_gzip": single,
    "zstd": zstd_frames,
    "lz4": lz4,
}


def urls(found: list[dict]) -> list[str]:
    return [row["url"] for row in found if not row["reason"]]


def numbered(*numbers: int) -> list[str]:
    return [f"http://example.org/{n}" for n in numbers]


@pytest.mark.parametrize("form", FORMS)
def test_an_arc_is_told_by_its_first_bytes_and_its_pages_are_read_however_it_is_packed(
    tmp_path: Path, form: str
) -> None:
    found = rows(Warc(), source(tmp_path / f"crawl.arc.{form}", FORMS[form](crawl(5))))
    assert [row["reason"] for row in found] == ["warcinfo", "not_html", *[""] * 5]
    assert urls(found) == numbered(0, 1, 2, 3, 4)
    assert found[2]["payload"] == PAGE % 0 + FILLER.encode()
    assert found[2]["content_type"] == "text/html"
    assert found[2]["date"] == "2008-04-30T20:48:26Z"
    assert len({row["doc_id"] for row in found}) == 7


@pytest.mark.parametrize("form", ["plain", "gzip"])
def test_as_many_rows_as_warcio_counts(tmp_path: Path, form: str) -> None:
    data = FORMS[form](crawl(6))
    found = rows(Warc(), source(tmp_path / "crawl.arc", data))
    counted = [(r.rec_headers.get_header("uri"), r.rec_type) for r in ArchiveIterator(io.BytesIO(data))]
    assert [row["url"] for row in found] == [uri for uri, _ in counted]


def test_the_origin_of_an_arc_record_is_the_range_that_holds_it(tmp_path: Path) -> None:
    records = crawl(3)
    for name, data in (("a.arc", b"".join(records)), ("a.arc.gz", members(records))):
        found = rows(Warc(), source(tmp_path / name, data))
        for row, record in zip(found, records, strict=True):
            start, length = row["origin"][0]["offset"], row["origin"][0]["length"]
            piece = data[start : start + length]
            assert (gzip.decompress(piece) if name.endswith(".gz") else piece) == record


def test_the_second_version_has_four_words_more_and_addresses_may_hold_spaces(tmp_path: Path) -> None:
    block = http(PAGE % 1)
    spaced = line("http://example.org/a b 1 c.html", "text/html", len(block)) + block + b"\n"
    ftp = line("ftp://example.org/x.html", "text/html", 13, second=True) + b"<html>x</html"
    data = head() + page(0, second=True) + spaced + ftp
    found = rows(Warc(), source(tmp_path / "a.arc", data))
    assert urls(found) == [
        "http://example.org/0",
        "http://example.org/a b 1 c.html",
        "ftp://example.org/x.html",
    ]
    assert found[1]["content_type"] == found[3]["content_type"] == "text/html"


def test_old_files_whose_members_begin_with_a_line_end_keep_their_ranges(tmp_path: Path) -> None:
    records = [head(), *(b"\n" + page(n)[:-1] for n in range(3))]
    data = members(records)
    found = rows(Warc(), source(tmp_path / "a.arc.gz", data))
    assert urls(found) == numbered(0, 1, 2)
    ranges = [(row["origin"][0]["offset"], row["origin"][0]["length"]) for row in found]
    assert [gzip.decompress(data[start : start + length]) for start, length in ranges] == records


@pytest.mark.parametrize("split_bytes", [97, 300, 1000])
@pytest.mark.parametrize("form", ["plain", "gzip"])
def test_rows_of_an_arc_are_the_same_however_it_is_split(tmp_path: Path, form: str, split_bytes: int) -> None:
    file = source(tmp_path / "a.arc", FORMS[form](crawl(4)))
    assert rows(Warc(), file, split_bytes=split_bytes) == rows(Warc(), file)


def test_one_flipped_byte_in_a_member_costs_one_page(tmp_path: Path) -> None:
    records = members(crawl(5)), members(crawl(2)), members(crawl(3))
    data = bytearray(records[0])
    data[(len(records[1]) + len(records[2])) // 2] ^= 0x55  # in the middle of page 2
    found = rows(Warc(), source(tmp_path / "a.arc.gz", bytes(data)))
    assert urls(found) == numbered(0, 1, 3, 4)
    assert Counter(row["reason"] for row in found)["damaged"] == 1


def test_a_zeroed_member_costs_its_record(tmp_path: Path) -> None:
    parts = [gzip.compress(r) for r in crawl(5)]
    parts[4] = bytes(len(parts[4]))
    found = rows(Warc(), source(tmp_path / "a.arc.gz", b"".join(parts)))
    assert urls(found) == numbered(0, 1, 3, 4)
    flawed = [row for row in found if row["reason"] == "damaged"]
    assert [row["origin"][0]["offset"] for row in flawed] == [sum(map(len, parts[:4]))]


@pytest.mark.parametrize("length", ["1000000000", "900", "3", "-5", "abc"])
@pytest.mark.parametrize("form", ["plain", "gzip", "single_gzip", "zstd"])
def test_a_wrong_length_costs_its_record_and_swallows_none(tmp_path: Path, form: str, length: str) -> None:
    records = crawl(5)
    records[4] = page(2, length=length)
    found = rows(Warc(), source(tmp_path / "a.arc", FORMS[form](records)))
    assert urls(found) == numbered(0, 1, 3, 4)
    assert [row["reason"] for row in found][4] in ("bad_length", "bad_header", "too_large")


@pytest.mark.parametrize("form", ["plain", "gzip", "single_gzip", "zstd"])
@pytest.mark.parametrize("cut", [9, 60, 700, 2500])
def test_the_record_in_which_an_arc_ends_is_truncated_and_no_other_is_lost(
    tmp_path: Path, form: str, cut: int
) -> None:
    records = crawl(4)
    if form in ("plain", "single_gzip"):
        data = b"".join(records)[:-cut] if form == "plain" else gzip.compress(b"".join(records)[:-cut])
    else:
        data = FORMS[form](records)[: -min(cut, 900)]
    found = rows(Warc(), source(tmp_path / "a.arc", data))
    assert urls(found) == numbered(0, 1, 2)
    assert [row["reason"] for row in found][5:] in (["truncated"], ["bad_length"])


def test_a_record_line_cut_at_the_end_costs_no_page(tmp_path: Path) -> None:
    data = b"".join(crawl(3)) + line("http://example.org/3", "text/html", 10)[:40]
    found = rows(Warc(), source(tmp_path / "a.arc", data))
    assert urls(found) == numbered(0, 1, 2)
    assert found[-1]["reason"] == "truncated"


def test_an_arc_whose_first_member_is_damaged_is_still_read(tmp_path: Path) -> None:
    data = bytearray(members(crawl(3)))
    data[0] = 0
    found = rows(Warc(), source(tmp_path / "a.arc.gz", bytes(data)))
    assert urls(found) == numbered(0, 1, 2)
    assert found[0]["reason"] == "damaged"


def test_a_too_large_record_of_an_arc_costs_only_itself(tmp_path: Path) -> None:
    records = crawl(3)
    records[3] = arc("page", http(b"<html>" + bytes(50_000)), n=1)
    for form, pack in FORMS.items():
        found = rows(Warc(max_bytes=20_000), source(tmp_path / form, pack(records)))
        assert urls(found) == numbered(0, 2)
        assert found[3]["reason"] == "too_large"


LONG = "http://example.org/" + "x" * 9000


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("odd", "url", "date"),
    [
        ("http://example.org/1 192.0.2.7 20080430204826 text/html;\tcharset=a %d\n", None, DATE),
        ("http://example.org/1 192.0.2.7 20080430204826 text/html;\x0bcharset=a %d\n", None, DATE),
        (LONG + " 192.0.2.7 20080430204826 text/html %d\n", LONG, DATE),
        ("http://example.org/1 192.0.2.7 2008 text/html %d\n", None, ""),
        ("http://example.org/1 unknown 20080430204826 text/html %d\n", None, DATE),
        ("http://example.org/1 unknown yesterday_noon text/html %d\n", None, ""),
    ],
)
def test_an_unusual_record_line_is_read_and_costs_no_record(
    tmp_path: Path, form: str, odd: str, url: str | None, date: str
) -> None:
    block = http(PAGE % 1)
    records = [*crawl(1), (odd % len(block)).encode() + block + b"\n", page(2)]
    found = rows(Warc(), source(tmp_path / "a.arc", FORMS[form](records)))
    wanted = numbered(0, 1, 2)
    assert urls(found) == [wanted[0], url or wanted[1], wanted[2]]
    assert (found[3]["payload"], found[3]["date"]) == (PAGE % 1, "2008-04-30T20:48:26Z" if date else None)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "odd", ["http://example.org/1 20080430204826 %d\n", "http://example.org/1 a b" + " c" * 40 + " %d\n"]
)
def test_a_record_line_that_says_too_little_is_a_row_of_its_own(tmp_path: Path, form: str, odd: str) -> None:
    block = http(PAGE % 1)
    records = [*crawl(1), (odd % len(block)).encode() + block + b"\n", page(2)]
    found = rows(Warc(), source(tmp_path / "a.arc", FORMS[form](records)))
    assert [row["reason"] for row in found] == ["warcinfo", "not_html", "", "bad_header", ""]
    assert urls(found) == numbered(0, 2)


def test_what_only_resembles_a_record_line_is_none_in_bytes_that_are_passed_over(tmp_path: Path) -> None:
    style = http(b"<style>p {\nmargin: 0 0 0 5\n}</style>")
    data = b"".join([head(), arc("page", style, n=1, length=3), page(2)])
    found = rows(Warc(), source(tmp_path / "a.arc", data))
    assert [row["reason"] for row in found] == ["warcinfo", "bad_length", ""]


def test_an_arc_has_no_extracted_text(tmp_path: Path) -> None:
    found = rows(Wet(), source(tmp_path / "a.arc", b"".join(crawl(2))))
    assert [row["reason"] for row in found] == ["warcinfo", *["other_record"] * 3]


@pytest.mark.parametrize(
    "text", [b"see http://example.org/ for more\n" * 20, b"http://a b c\n", b"key: 1.2.3.4\n"]
)
def test_a_text_with_addresses_is_no_arc(tmp_path: Path, text: bytes) -> None:
    assert [row["reason"] for row in rows(Warc(), source(tmp_path / "a", text))] == ["unknown_format"]
