"""Every real WARC, ARC and WET against warcio: the same records, the same bodies; nothing raises."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.read.warc import Warc
from pipelines.read.wet import Wet
from pipelines.stage import SourceFile
from tests.read.warcs import rows

archiveiterator = pytest.importorskip("warcio.archiveiterator")
pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2].parent / "shared" / "data" / "warc"
FILES = sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob("*/*")) if ROOT.is_dir() else []

# Not read (WACZ), or nothing to read (a list of paths).
OTHER_FORMATS = [p for p in FILES if p.endswith((".wacz", ".paths.gz"))]

# warcio does not read them, or fails in them: what our rows must be.
BEYOND_WARCIO = {
    # whole files gzipped as one member
    "cc-wet-fragments/corrupt_starts_with_conversion.wet.gz": {"": 5, "warcinfo": 1},
    "cc-wet-fragments/corrupt_warcconversion_1.wet.gz": {"": 5, "warcinfo": 1},
    "cc-wet-fragments/corrupt_warcinfo_1.wet.gz": {"": 5, "warcinfo": 1},
    "cc-wet-fragments/filter_test_1.wet.gz": {"": 25, "warcinfo": 1},
    "cc-wet-fragments/fragment1_incomplete_last.wet.gz": {"": 1, "warcinfo": 1, "bad_length": 1},
    "pywb/example-bad.warc.gz.bad": {"": 1, "warcinfo": 1, "request": 2, "revisit": 1, "http_status": 1},
    "warcio/example-bad.warc.gz.bad": {"": 1, "warcinfo": 1, "request": 2, "revisit": 1, "http_status": 1},
    "warcio/example-bad-non-chunked.warc.gz": {"": 1, "warcinfo": 2, "request": 2, "revisit": 1},
    # line ends rewritten, so every Content-Length is wrong
    "cc_net/sample.warc.txt": {"bad_length": 4},
    # records without Content-Length
    "jwat/invalid-warcfile-lonely-request-response-resource-conversion.warc": {"bad_header": 4},
    # a record followed by its own text again
    "warcio/example-wrong-chunks.warc.gz": {"": 1, "request": 1},
    # ARC: one member for all records, the lengths of pages wrong; line ends rewritten; a date that is "null"
    "aut/badexample.arc.gz": {"warcinfo": 1, "not_html": 2, "bad_length": 3},
    "warcio/example-space-in-url.arc": {"warcinfo": 1, "truncated": 1},
    "jwat/invalid-arcfile-record-then-garbage.arc": {"": 1, "truncated": 1},
    # LZ4
    "resiliparse/block-sized-records.warc.lz4": {"other_record": 3},
    "resiliparse/warcfile.warc.lz4": {"": 16, "warcinfo": 1, "request": 17, "metadata": 16},
}

# warcio returns as many records; these are the ones that must not be trusted.
FLAWED = {
    "jwat/test-arc-1.0-dashed-fields.arc": {"bad_length": 1},
    "jwat/test-arc-1.0-invalid-fields.arc": {"bad_header": 1, "bad_length": 1},
    "pywb/bad.arc": {"bad_header": 3},
    "warcio/bad.arc": {"bad_header": 3},
    "cc-wet-fragments/file_headers_only.wet.gz": {"bad_length": 1},
    "jwat/invalid-warcfile-fields-missing.warc": {"bad_header": 1},
    "jwat/invalid-warcfile-lonely-continuation.warc": {"bad_header": 1},
    "pywb/example.warc": {"bad_length": 1},
    "resiliparse/clipped.warc.gz": {"truncated": 1},
    "warcio/example-trunc.warc": {"bad_length": 1},
}

COMPARED = [p for p in FILES if p not in OTHER_FORMATS and p not in BEYOND_WARCIO]


def read(path: str) -> list[dict]:
    size = (ROOT / path).stat().st_size
    return rows(Wet() if ".wet" in path else Warc(), SourceFile("web", ROOT, path, size, ""))


def by_warcio(path: str) -> Iterator[tuple[str | None, bytes | None]]:
    """(record id, decoded body) of every record until warcio fails; None where it cannot decode."""
    with (ROOT / path).open("rb") as stream:
        try:
            for record in archiveiterator.ArchiveIterator(stream):
                record_id = record.rec_headers.get_header("WARC-Record-ID")
                try:
                    body = record.content_stream().read()
                except AttributeError:  # warcio 1.8 and Brotli 1.2
                    body = None
                yield record_id and record_id.strip(), body
        except (archiveiterator.ArchiveLoadFailed, AttributeError):
            return


def flaws(found: list[dict]) -> dict[str, int]:
    kinds = ("bad_length", "bad_header", "truncated", "damaged", "too_large")
    return dict(Counter(row["reason"] for row in found if row["reason"] in kinds))


@pytest.mark.parametrize("path", COMPARED)
def test_as_many_rows_as_warcio_iterates_records_and_the_same_pages(path: str) -> None:
    found = read(path)
    expected = list(by_warcio(path))
    assert len(found) == len(expected)
    assert flaws(found) == FLAWED.get(path, {})
    for row, (record_id, body) in zip(found, expected, strict=True):
        assert row["origin"][0]["record_id"] in (record_id, None)
        if body is not None and not row["reason"]:
            assert (row.get("payload") or row["text"].encode()) == body


@pytest.mark.parametrize("path", [p for p in BEYOND_WARCIO if p in FILES])
def test_what_warcio_fails_in_is_read_to_its_end(path: str) -> None:
    found = read(path)
    assert Counter(row["reason"] for row in found) == BEYOND_WARCIO[path]
    ids = {row["origin"][0]["record_id"] for row in found}
    assert {record_id for record_id, _ in by_warcio(path) if record_id} <= ids | {None}


@pytest.mark.parametrize("path", OTHER_FORMATS)
def test_a_format_not_read_is_one_row(path: str) -> None:
    assert [row["reason"] for row in read(path)] == ["unknown_format"]


@pytest.mark.parametrize("split_bytes", [1009, 20_011, 300_007])
def test_real_files_give_the_same_rows_however_they_are_split(split_bytes: int) -> None:
    for path in ("resiliparse/warcfile.warc.gz", "resiliparse/warcfile.warc", "pywb/iana.warc.gz"):
        file = SourceFile("web", ROOT, path, (ROOT / path).stat().st_size, "")
        whole = [row["doc_id"] for row in rows(Warc(), file)]
        assert [row["doc_id"] for row in rows(Warc(), file, split_bytes=split_bytes)] == whole


def test_plain_and_gzipped_arc_of_one_crawl_give_the_same_pages() -> None:
    name = "ukwa-suite/IAH-20080430204825-00000-blackbook-truncated.arc"
    plain, packed = ([row for row in read(path) if not row["reason"]] for path in (name, f"{name}.gz"))
    assert [row["payload"] for row in plain] == [row["payload"] for row in packed]
    assert [row["url"] for row in plain] == ["http://www.archive.org/", "http://www.archive.org/index.php"]
    data = (ROOT / f"{name}.gz").read_bytes()
    for row in packed:
        start, length = row["origin"][0]["offset"], row["origin"][0]["length"]
        assert row["payload"][:200] in gzip.decompress(data[start : start + length])


def test_plain_gzip_and_lz4_of_one_crawl_give_the_same_pages() -> None:
    pages = [
        [row["payload"] for row in read(f"resiliparse/warcfile.warc{end}") if not row["reason"]]
        for end in ("", ".gz", ".lz4")
    ]
    assert pages[0] == pages[1] == pages[2]
    assert len(pages[0]) == 16
