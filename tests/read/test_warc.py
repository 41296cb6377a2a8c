"""WARC reading: every record a row, the right payload, whatever is broken."""

from __future__ import annotations

import gzip
import random
import time
import zlib
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.read.forms import parse_headers
from pipelines.read.warc import Warc
from pipelines.read.wet import Wet
from tests.read.warcs import PAGE, http, members, page, record, rows, source

N = 12


def reasons(found: list[dict]) -> list[str]:
    return [row["reason"] for row in found]


def urls(found: list[dict]) -> list[str]:
    return [row["url"] for row in found if not row["reason"]]


def test_every_record_is_a_row_and_only_pages_are_documents(tmp_path: Path) -> None:
    records = [
        record("warcinfo", b"software: x"),
        record("request", b"GET / HTTP/1.1\r\n\r\n"),
        page(1),
        record("metadata", b"a: b"),
        record("revisit", http(b"")),
        record("continuation", b"x"),
        record("response", b"1.2.3.4 dns"),
        record("response", http(b"<html>gone", status="HTTP/1.1 404 Not Found")),
        record("response", http(b"%PDF", media="application/pdf")),
        record("response", http(b" \n")),
        record("response", http(b"<html>x", "Content-Encoding: sdch")),
        record("resource", b"plain"),
    ]
    expected = "warcinfo request metadata revisit other_record not_http http_status not_html no_body"
    expected += " bad_encoding not_html"
    for data in (b"".join(records), members(records), gzip.compress(b"".join(records))):
        found = rows(Warc(), source(tmp_path / "a.warc", data))
        assert " ".join(filter(None, reasons(found))) == expected
        (document,) = (row for row in found if not row["reason"])
        assert document["url"] == "http://example.org/1"
        assert document["payload"].startswith(PAGE % 1)
        assert document["origin"][0]["record_id"] == "<urn:uuid:1>"
        assert len({row["doc_id"] for row in found}) == len(records)


def test_the_origin_is_the_range_of_the_file_that_holds_the_record(tmp_path: Path) -> None:
    pages = [page(n) for n in range(N)]
    file = source(tmp_path / "a.warc.gz", members(pages))
    data = file.full.read_bytes()
    at = 0
    for row, expected in zip(rows(Warc(), file), pages, strict=True):
        origin = row["origin"][0]
        assert origin["offset"] == at
        at += origin["length"]
        assert zlib.decompress(data[origin["offset"] : at], 31) == expected
    assert at == file.size


def test_records_of_one_gzip_member_have_no_range_and_distinct_ids(tmp_path: Path) -> None:
    file = source(tmp_path / "a.warc.gz", gzip.compress(b"".join(page(n) for n in range(N))))
    found = rows(Warc(), file)
    assert len(found) == len({row["doc_id"] for row in found}) == N
    assert found[5]["origin"][0]["offset"] == 0
    assert found[5]["origin"][0]["length"] == file.size


@pytest.mark.parametrize("split_bytes", [1, 7, 64, 300, 1000])
def test_rows_are_the_same_however_a_file_is_split(tmp_path: Path, split_bytes: int) -> None:
    pages = [page(n) for n in range(N)]
    broken = bytearray(members(pages))
    for at in (5, 900, 901, len(broken) - 3):
        broken[at] ^= 0x55
    stream = b"".join(pages)
    blocks = b"".join(gzip.compress(stream[at : at + 200], mtime=0) for at in range(0, len(stream), 200))
    garbage = members(pages[:3]) + b"garbage" * 9 + members(pages[3:])
    plain = b"".join([page(0), page(1, length=3), record("response", http(PAGE % 2 + page(9)), n=2), page(3)])
    for data in (members(pages), bytes(broken), blocks, garbage, plain, plain[:-30], gzip.compress(stream)):
        file = source(tmp_path / "a.warc", data)
        assert rows(Warc(), file, split_bytes=split_bytes) == rows(Warc(), file)


def test_a_record_cut_over_several_gzip_members_is_whole(tmp_path: Path) -> None:
    pages = [page(n) for n in range(N)]
    stream = b"".join(pages)
    blocks = b"".join(gzip.compress(stream[at : at + 100], mtime=0) for at in range(0, len(stream), 100))
    whole = rows(Warc(), source(tmp_path / "a.warc.gz", blocks))
    assert [r["payload"] for r in whole] == [
        r["payload"] for r in rows(Warc(), source(tmp_path / "b", stream))
    ]
    assert set(reasons(whole)) == {""}


def test_one_flipped_byte_costs_one_record_and_is_one_row(tmp_path: Path) -> None:
    pages = [page(n) for n in range(N)]
    clean = members(pages)
    expected = [f"http://example.org/{n}" for n in range(N)]
    draw = random.Random(1)
    for _ in range(150):
        broken = bytearray(clean)
        broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
        found = rows(Warc(), source(tmp_path / "a.warc.gz", bytes(broken)))
        lost = [u for u in expected if u not in urls(found)]
        assert len(lost) <= 1
        assert len(found) == N
        # Some header bits of gzip (time, system) carry nothing: then nothing is lost and nothing flagged.
        assert reasons(found).count("damaged") == len(lost)


@pytest.mark.parametrize("length", ["1000000000", "900", "3", "-5", "abc", ""])
@pytest.mark.parametrize("form", ["plain", "gzip", "one_member"])
def test_a_wrong_content_length_costs_its_record_and_swallows_none(
    tmp_path: Path, length: str, form: str
) -> None:
    records = [page(n, length=length) if n == 4 else page(n) for n in range(N)]
    packs = {"gzip": members, "one_member": lambda all_: gzip.compress(b"".join(all_)), "plain": b"".join}
    data = packs[form](records)
    found = rows(Warc(), source(tmp_path / "a.warc", data))
    assert urls(found) == [f"http://example.org/{n}" for n in range(N) if n != 4]
    assert len(found) == N
    assert found[4]["reason"] in ("bad_length", "bad_header")


@pytest.mark.parametrize("cut", [1, 5, 40, 120])
def test_the_record_in_which_a_file_ends_is_truncated(tmp_path: Path, cut: int) -> None:
    pages = [page(n) for n in range(3)]
    for data in (members(pages)[:-cut], gzip.compress(b"".join(pages))[:-cut]):
        assert reasons(rows(Warc(), source(tmp_path / "a.warc.gz", data)))[-1] == "truncated"
    plain = b"".join(pages)[: -cut - 4]
    assert reasons(rows(Warc(), source(tmp_path / "a.warc", plain))) == ["", "", "truncated"]


@pytest.mark.parametrize("form", ["plain", "gzip", "one_member"])
def test_a_too_large_record_costs_only_itself(tmp_path: Path, form: str) -> None:
    records = [page(0), record("response", http(b"<html>" + bytes(3 << 20))), page(2)]
    joined = b"".join(records)
    data = {"plain": joined, "gzip": members(records), "one_member": gzip.compress(joined)}[form]
    found = rows(Warc(max_bytes=1 << 20), source(tmp_path / "a.warc", data))
    assert reasons(found) == ["", "too_large", ""]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty_file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "unknown_format"),
        (b"filedesc://x.arc 0.0.0.0 20080430204825 text/plain 73\n1 0 x\n", "truncated"),
        (gzip.compress(b"filedesc://x.arc"), "unknown_format"),
        (b"PK\x03\x04" + members([page(1)]), "unknown_format"),
        (b"just text\n\n", "unknown_format"),
        (b"\x1f\x8b", "unknown_format"),
    ],
)
def test_a_file_of_another_format_is_one_row(tmp_path: Path, data: bytes, reason: str) -> None:
    assert reasons(rows(Warc(), source(tmp_path / "a", data))) == [reason]


def test_a_file_whose_first_byte_is_damaged_is_still_read(tmp_path: Path) -> None:
    pages = [page(n) for n in range(3)]
    for data in (members(pages), b"".join(pages)):
        found = rows(Warc(), source(tmp_path / "a", b"\xff" + data[1:]))
        assert reasons(found) == ["damaged", "", ""]


def test_old_versions_bare_line_feeds_and_lower_case_are_read(tmp_path: Path) -> None:
    records = [
        page(0, eol=b"\n"),
        page(1).replace(b"WARC/1.0", b"WARC/0.18"),
        page(2).replace(b"WARC/1.0", b"warc/1.0"),
    ]
    for data in (b"".join(records), members(records)):
        assert reasons(rows(Warc(), source(tmp_path / "a", data))) == [""] * 3


def compressed(name: str, data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, name) as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def chunked(data: bytes) -> bytes:
    return b"5\r\n" + data[:5] + b"\r\n%x;note=1\r\n" % (len(data) - 5) + data[5:] + b"\r\n0\r\n\r\n"


RAW_DEFLATE = zlib.compressobj(wbits=-15)
BODY = PAGE % 7
ENCODED = {
    "Content-Encoding: gzip": gzip.compress(BODY),
    "content-encoding: gzip": gzip.compress(BODY[:9])
    + gzip.compress(b"")
    + gzip.compress(BODY[9:])
    + b"\0" * 9,
    "Content-Encoding: deflate": zlib.compress(BODY),
    "Content-Encoding: Deflate": RAW_DEFLATE.compress(BODY) + RAW_DEFLATE.flush(),
    "Content-Encoding: br": compressed("brotli", BODY),
    "Content-Encoding: zstd": compressed("zstd", BODY),
    "Content-Encoding: gzip, br": compressed("brotli", gzip.compress(BODY)),
    "Transfer-Encoding: chunked": chunked(BODY),
    "Transfer-Encoding: gzip, chunked": chunked(gzip.compress(BODY)),
    "Transfer-Encoding: Chunked": BODY,
    "Content-Encoding: x-gzip": BODY,
    "Content-Encoding: identity": BODY,
}


@pytest.mark.parametrize("field", ENCODED)
def test_transfer_and_content_encodings_are_undone(tmp_path: Path, field: str) -> None:
    file = source(tmp_path / "a.warc", record("response", http(ENCODED[field], field)))
    assert rows(Warc(), file)[0]["payload"] == BODY


def test_a_field_folded_over_many_lines_costs_one_pass_of_what_a_browser_would_read(tmp_path: Path) -> None:
    lines = b"X: y\r\n" + b" z\n" * 300_000
    late = b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Type: text/plain\r\n\r\n" + BODY
    early = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + lines + b"\r\n" + BODY
    begun = time.process_time()
    found = rows(Warc(), source(tmp_path / "a.warc", record("response", late) + record("response", early)))
    assert time.process_time() - begun < 2
    # The body is found behind the whole head; fields are read of its first 256 KiB.
    assert reasons(found) == ["", "not_html"]
    assert found[0]["payload"] == BODY


def test_folded_lines_are_joined_without_those_that_hold_nothing() -> None:
    head = b"HTTP/1.1 200\r\nA:\r\n \r\n  1 \r\n\t\r\n 2\r\nB: 3\r\na: 4\r\n 5\r\n\r\n"
    assert parse_headers(head) == {"a": "1 2", "b": "3"}


def test_a_body_cut_in_its_encoding_keeps_what_came_before(tmp_path: Path) -> None:
    body = b"<html>" + random.Random(1).randbytes(50_000)
    block = http(gzip.compress(body)[:-20_000], "Content-Encoding: gzip")
    payload = rows(Warc(), source(tmp_path / "a.warc", record("response", block)))[0]["payload"]
    assert body.startswith(payload)
    assert len(payload) > 20_000


def test_members_of_a_gzip_body_share_one_limit_and_end(tmp_path: Path) -> None:
    halves = gzip.compress(bytes(700 << 10)) * 2
    empty = gzip.compress(BODY) + gzip.compress(b"", mtime=0) * 200_000 + gzip.compress(BODY)
    records = [record("response", http(data, "Content-Encoding: gzip")) for data in (halves, empty)]
    found = rows(Warc(max_bytes=1 << 20), source(tmp_path / "a.warc", b"".join(records)))
    assert reasons(found)[0] == "too_large"
    begun = time.process_time()
    (row,) = rows(Warc(), source(tmp_path / "b.warc", records[1]))
    assert row["payload"] == BODY
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("codec", ["gzip", "br", "gzip, gzip"])
def test_a_decompression_bomb_costs_its_limit(tmp_path: Path, codec: str) -> None:
    bomb = bytes(100 << 20)
    data = compressed("brotli", bomb) if codec == "br" else gzip.compress(bomb)
    data = gzip.compress(data) if codec == "gzip, gzip" else data
    file = source(tmp_path / "a.warc", record("response", http(data, f"Content-Encoding: {codec}")) + page(1))
    assert reasons(rows(Warc(max_bytes=1 << 20), file)) == ["too_large", ""]


def test_html_is_told_by_its_header_or_where_there_is_none_by_its_beginning(tmp_path: Path) -> None:
    bare = b"HTTP/1.1 200\r\n\r\n"
    records = [
        record("response", bare + b"<!DOCTYPE html><p>x"),
        record("response", bare + b"{}"),
        record("response", http(b"<p>x", media="application/xhtml+xml; charset=utf-8")),
    ]
    assert reasons(rows(Warc(), source(tmp_path / "a", b"".join(records)))) == ["", "not_html", ""]


def test_a_skipped_ordinal_keeps_its_place_without_payload(tmp_path: Path) -> None:
    file = source(tmp_path / "a.warc.gz", members([page(n) for n in range(4)]))
    found = rows(Warc(), file, skip=frozenset({2}))
    assert [row["payload"] is None for row in found] == [False, False, True, False]
    assert [row["doc_id"] for row in found] == [row["doc_id"] for row in rows(Warc(), file)]


def test_conversion_records_are_the_documents_of_wet(tmp_path: Path) -> None:
    records = [
        record("warcinfo", b"x"),
        record("conversion", "grüße\n".encode(), n=1),
        record("conversion", b"\xff\xfe\xff", n=2),
        record("conversion", b" ", n=3),
        record("response", http(b"<html>")),
    ]
    found = rows(Wet(), source(tmp_path / "a.wet.gz", members(records)))
    assert reasons(found) == ["warcinfo", "", "not_utf8", "no_body", "other_record"]
    assert found[1]["text"] == "grüße\n"


def test_a_large_file_is_split_every_64_mib(tmp_path: Path) -> None:
    file = source(tmp_path / "a.warc", page(0))
    with file.full.open("r+b") as out:
        out.truncate(200 << 20)
    large = type(file)(file.source, file.root, file.path, 200 << 20, "")
    spans = [(s.start >> 20, s.end >> 20) for s in Warc().splits(large)]
    assert spans == [(0, 64), (64, 128), (128, 192), (192, 200)]
