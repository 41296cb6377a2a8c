"""JSON Lines, Parquet and code files: every row accounted for, in order, under its own name."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipelines.read.code import Code
from pipelines.read.jsonl import Jsonl
from pipelines.read.parquet import Parquet
from tests.read.warcs import rows, source

GOOD = [
    {"text": f"text {n}", "id": n, "url": f"http://x/{n}", "date": "2024", "title": "T", "licence": "MIT"}
    for n in range(5)
]
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in GOOD)


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress]
)
def test_every_compression_of_json_lines_gives_the_same_rows(tmp_path: Path, pack) -> None:
    found = rows(Jsonl(), source(tmp_path / "a.jsonl", pack(LINES)))
    assert [row["text"] for row in found] == [row["text"] for row in GOOD]
    assert [(r["ref"], r["url"], r["date"], r["title"], r["licence"]) for r in found] == [
        (str(n), f"http://x/{n}", "2024", "T", "MIT") for n in range(5)
    ]
    plain = rows(Jsonl(), source(tmp_path / "a.jsonl", LINES))
    assert [row["doc_id"] for row in found] == [row["doc_id"] for row in plain]


def test_columns_are_mapped_by_name(tmp_path: Path) -> None:
    line = json.dumps({"body": "Once.", "post": {"deep": 1}, "n": 7, "link": "u"}).encode()
    (row,) = rows(Jsonl(text="body", id="n", url="link", title="post"), source(tmp_path / "a", line))
    assert (row["text"], row["ref"], row["url"], row["title"]) == ("Once.", "7", "u", None)


NESTED = {"doc": {"text": "Once.", "meta": {"id": 7, "tags": ["a"]}}, "a.b": "dotted"}
PATHS = {
    "text": "doc.text",
    "id": "doc.meta.id",
    "url": "doc.meta.tags",
    "date": "doc.text.deeper",
    "title": "a.b",
}


def test_a_name_with_dots_is_a_column_or_a_path_into_nested_ones(tmp_path: Path) -> None:
    lines = source(tmp_path / "a", json.dumps(NESTED).encode())
    table = source(tmp_path / "b", parquet(tmp_path / "x", pa.Table.from_pylist([NESTED]), 1))
    for reader, file in ((Jsonl(**PATHS), lines), (Parquet(**PATHS), table)):
        (row,) = rows(reader, file)
        assert (row["text"], row["ref"], row["url"], row["date"]) == ("Once.", "7", None, None)
        assert row["title"] == "dotted"
    assert rows(Parquet(text="doc.body"), table)[0]["reason"] == "no_text_column"
    assert rows(Jsonl(text="doc.body"), lines)[0]["reason"] == "no_text"


BAD = {
    b'{"text": null}': "no_text",
    b'{"id": 1}': "no_text",
    b'{"text": ""}': "no_text",
    b'{"text": 3}': "not_a_string",
    b'{"text": ["a"]}': "not_a_string",
    b'{"text": "\\ud800"}': "lone_surrogate",
    b'{"text": "\xff"}': "not_utf8",
    b'{"text": "a"': "bad_json",
    b"[" * 100_000: "bad_json",
    b'{"n": ' + b"9" * 5000 + b', "text": "a"}': "bad_json",
    b"[1]": "not_an_object",
    b"null": "not_an_object",
    b'{"text": "a", "text": "b"}': "duplicate_key",
    b'{"text": "' + b"x" * 2000 + b'"}': "too_large",
}


def test_every_bad_line_is_a_row_with_its_reason_and_costs_no_other(tmp_path: Path) -> None:
    data = b"".join(b'{"text": "good"}\n' + bad + b"\n\n" for bad in BAD)
    found = rows(Jsonl(max_bytes=1000), source(tmp_path / "a", data))
    assert [row["reason"] for row in found[1::2]] == list(BAD.values())
    assert {row["text"] for row in found[0::2]} == {"good"}


def test_a_line_longer_than_any_row_is_too_large_and_skipped_whole(tmp_path: Path) -> None:
    data = b'{"text": "' + b"x" * (5 << 20) + b'"}\n' + LINES
    found = rows(Jsonl(max_bytes=1000), source(tmp_path / "a", data))
    assert [row["reason"] for row in found] == ["too_large", *[""] * 5]


def test_a_stream_that_breaks_costs_what_follows_the_break(tmp_path: Path) -> None:
    whole = gzip.compress(LINES * 2000)
    found = rows(Jsonl(), source(tmp_path / "a.gz", whole[: len(whole) // 2]))
    assert found[-1]["reason"] == "damaged"
    assert {row["reason"] for row in found[:-1]} == {""}


def test_an_empty_file_is_one_row_and_a_byte_order_mark_is_no_json(tmp_path: Path) -> None:
    assert [row["reason"] for row in rows(Jsonl(), source(tmp_path / "a", b""))] == ["empty_file"]
    assert rows(Jsonl(), source(tmp_path / "b", b"\xef\xbb\xbf" + LINES))[0]["text"] == "text 0"


def test_a_skipped_line_keeps_its_place(tmp_path: Path) -> None:
    found = rows(Jsonl(), source(tmp_path / "a", LINES), skip=frozenset({1}))
    assert [row["text"] for row in found] == ["text 0", None, "text 2", "text 3", "text 4"]


def parquet(path: Path, table: pa.Table, group: int) -> bytes:
    pq.write_table(table, path, row_group_size=group, write_page_checksum=True)
    return path.read_bytes()


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (pa.timestamp("ns"), "2020-09-13 12:26:40.000001"),
        (pa.timestamp("ns", "UTC"), "2020-09-13 12:26:40.000001+00:00"),
        (pa.timestamp("us"), "2020-09-13 12:26:40.000001"),
    ],
)
def test_a_moment_of_nanoseconds_is_kept_to_the_microsecond(tmp_path: Path, kind, shown, nested) -> None:
    whole = 1_600_000_000_000_001
    moments = pa.array([whole * 1000 + 234, None] if kind.unit == "ns" else [whole, None], kind)
    dates = pa.StructArray.from_arrays([moments], ["of"]) if nested else moments
    table = pa.table({"text": ["Once.", "Twice."], "date": dates})
    file = source(tmp_path / "a", parquet(tmp_path / "x", table, 9))
    found = rows(Parquet(date="date.of" if nested else "date"), file)
    assert [row["date"] for row in found] == [shown, None]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (pa.timestamp("us"), 0, 568_971_820_800_000_000),
        (pa.date32(), 0, 6_585_325),
        (pa.list_(pa.timestamp("ns")), [1000], [1]),
        (pa.duration("ns"), 1000, 1),
        (pa.timestamp("us", "Nowhere/Here"), None, 0),
    ],
    ids=str,
)
def test_a_moment_that_python_cannot_tell_costs_itself_alone(tmp_path: Path, kind, good, bad) -> None:
    table = pa.table({"text": ["Once.", "Twice.", "Thrice."], "date": pa.array([good, bad, good], kind)})
    file = source(tmp_path / "a", parquet(tmp_path / "x", table, 9))
    found = rows(Parquet(), file)
    assert [row["text"] for row in found] == ["Once.", "Twice.", "Thrice."]
    is_kept = good is not None and not pa.types.is_list(kind)
    assert [row["date"] is not None for row in found] == [is_kept, False, is_kept]


def test_parquet_rows_keep_their_index_over_row_groups(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([{"text": f"text {n}", "id": n} for n in range(10)])
    one = source(tmp_path / "a", parquet(tmp_path / "x", table, 100))
    many = source(tmp_path / "a", parquet(tmp_path / "x", table, 3))
    assert len(Parquet().splits(many)) == 4
    found = rows(Parquet(), many)
    assert [row["text"] for row in found] == [f"text {n}" for n in range(10)]
    ids = [row["doc_id"] for row in found]
    assert ids == [row["doc_id"] for row in rows(Parquet(), source(tmp_path / "a", one.full.read_bytes()))]
    assert len(set(ids)) == 10


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
def test_every_codec_and_kind_of_string_of_parquet_is_read(tmp_path: Path, codec: str) -> None:
    texts = pa.array(["Once.", "Twice."])
    for column in (
        texts,
        texts.cast(pa.large_string()),
        texts.dictionary_encode(),
        texts.cast(pa.string_view()),
    ):
        pq.write_table(pa.table({"text": column}), tmp_path / "x", compression=codec)
        found = rows(Parquet(), source(tmp_path / "a", (tmp_path / "x").read_bytes()))
        assert [row["text"] for row in found] == ["Once.", "Twice."]


@pytest.mark.parametrize("column", [[1, 2], [["a"], ["b"]], [b"a", b"b"], [{"text": "a"}, None]])
def test_a_text_column_of_another_type_drops_its_rows_with_a_reason(tmp_path: Path, column: list) -> None:
    data = parquet(tmp_path / "x", pa.table({"text": column}), 9)
    found = rows(Parquet(), source(tmp_path / "a", data))
    assert [row["reason"] for row in found] == [
        "not_a_string",
        "no_text" if column[1] is None else "not_a_string",
    ]


def test_other_columns_are_kept_as_words_whatever_their_type(tmp_path: Path) -> None:
    row = {
        "text": "Once.",
        "id": b"a1",
        "date": date(2024, 1, 2),
        "title": 1.5,
        "url": [1],
        "licence": b"\xff",
    }
    data = parquet(tmp_path / "x", pa.Table.from_pylist([row]), 1)
    (found,) = rows(Parquet(), source(tmp_path / "a", data))
    assert (found["ref"], found["date"], found["title"]) == ("a1", "2024-01-02", "1.5")
    assert (found["url"], found["licence"]) == (None, None)


def test_bad_parquet_is_a_row_with_its_reason(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([{"text": f"text {n}" * 50, "id": n} for n in range(9)])
    data = bytearray(parquet(tmp_path / "x", table, 3))
    column = pq.ParquetFile(tmp_path / "x").metadata.row_group(0).column(0)
    data[column.data_page_offset - 1] ^= 0xFF
    assert [r["reason"] for r in rows(Parquet(), source(tmp_path / "a", bytes(data)))] == [
        "damaged",
        *[""] * 6,
    ]
    assert [r["reason"] for r in rows(Parquet(), source(tmp_path / "b", b"no parquet"))] == ["unknown_format"]
    other = rows(Parquet(text="body"), source(tmp_path / "c", parquet(tmp_path / "x", table, 9)))
    assert [r["reason"] for r in other] == ["no_text_column"]
    mixed = pa.Table.from_pylist([{"text": None}, {"text": "a"}, {"text": ""}])
    found = rows(Parquet(), source(tmp_path / "d", parquet(tmp_path / "x", mixed, 9)))
    assert [r["reason"] for r in found] == ["no_text", "", "no_text"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"def f():\r\n    return 1\r\n", ""),
        (b"\x7fELF\x00", "binary"),
        ("größe = 1\n".encode("latin-1"), "not_utf8"),
        (b" \n", "empty_file"),
        (b"# Generated by the protocol buffer compiler.  DO NOT EDIT!\nx = 1\n", "generated"),
        (b"// Code generated by tool. DO NOT EDIT.\n", "generated"),
        (b"import re\n\n\ndef generated(x):\n    return x\n", ""),
        (b"x" * 400, "minified"),
        (b"x\n" * (1 << 20), "too_large"),
    ],
)
def test_a_code_file_is_its_text_or_a_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    (row,) = rows(Code(licence="PSF-2.0"), source(tmp_path / "m.py", data))
    assert row["reason"] == reason
    assert (row["ref"], row["licence"]) == ("m.py", "PSF-2.0")
    assert row["text"] == (None if reason else data.decode().replace("\r\n", "\n"))
