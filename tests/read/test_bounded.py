"""What a crawl file costs to read, whatever it holds: the memory of a piece, signs of work, one search a process."""

from __future__ import annotations

import gzip
import os
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest

from pipelines import heartbeat
from pipelines.read.codecs import GZIP, LZ4, zstd
from pipelines.read.forms import WARC
from pipelines.read.members import inflated
from pipelines.read.records import SPLIT_BYTES
from pipelines.read.streams import Inflated, Stored
from pipelines.read.warc import Warc
from pipelines.stage import SourceFile, Split
from tests.read.warcs import PACKS, gzip_member, http, lz4_frame, page, record, rows, source, zstd_frame

N = 4
PAGES = [page(n) for n in range(N)]

CODECS = {"gzip": GZIP, "zstd": zstd(), "lz4": LZ4}

each_codec = pytest.mark.parametrize("codec", PACKS)


def reasons(found: list[dict[str, Any]]) -> list[str]:
    return [row["reason"] for row in found]


def traced(file: SourceFile) -> tuple[list[str], int]:
    """The reasons of a file's rows and the most bytes that reading it held."""
    tracemalloc.start()
    found = reasons(rows(Warc(), file))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found, peak


@pytest.fixture
def n_beats(monkeypatch: pytest.MonkeyPatch) -> Any:
    state = memoryview(bytearray(heartbeat.SIZE))
    monkeypatch.setitem(heartbeat._state, "map", state)
    monkeypatch.setitem(heartbeat._state, "beats", 0)
    return lambda: heartbeat.read(bytes(state))[0]


def blank_run(n_mib: int) -> bytes:
    """A gzip member of one page, `n_mib` MiB of line ends and another page."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    stream = [PAGES[0], *[b"\r\n" * (1 << 19)] * n_mib, PAGES[1]]
    return b"".join(deflate.compress(piece) for piece in stream) + deflate.flush()


def test_line_ends_between_records_take_the_memory_of_a_piece(tmp_path: Path) -> None:
    found, peak = traced(source(tmp_path / "a.warc.gz", blank_run(300)))
    assert found == ["", ""]
    assert peak < 160 << 20


@pytest.mark.parametrize("n_blank", [65_531, 65_536, *range(65_558, 65_566), 131_072, 300_000])
def test_a_record_behind_many_line_ends_is_whole_packed_or_not(tmp_path: Path, n_blank: int) -> None:
    data = PAGES[0] + b"\n" * n_blank + PAGES[1] + b"\n" * n_blank
    plain = rows(Warc(), source(tmp_path / "plain", data))
    assert [(row["reason"], row["url"]) for row in plain] == [("", f"http://example.org/{n}") for n in (0, 1)]
    assert plain[1]["origin"][0]["offset"] == len(PAGES[0]) + n_blank
    for pack in PACKS.values():
        packed = rows(Warc(), source(tmp_path / "packed", pack(data)))
        assert [row["payload"] for row in packed] == [row["payload"] for row in plain]


@pytest.mark.parametrize("n_blank", [60_000, 70_000, 700_000])
def test_what_stands_behind_many_line_ends_is_told_as_behind_few(tmp_path: Path, n_blank: int) -> None:
    one = gzip_member(PAGES[0] + b"\n" * n_blank)
    other = gzip_member(PAGES[1])
    (alone, _) = rows(Warc(), source(tmp_path / "sound", one + other))
    assert (alone["reason"], alone["origin"][0]["length"]) == ("", len(one))
    assert reasons(rows(Warc(), source(tmp_path / "cut", one[:-9]))) == ["truncated"]
    broken = one[:-6] + bytes([one[-6] ^ 1]) + one[-5:]
    assert reasons(rows(Warc(), source(tmp_path / "broken", broken + other))) == ["damaged", ""]
    junk = gzip_member(PAGES[0] + b"\n" * n_blank + b"junk " * 20 + b"\r\n\r\n" + PAGES[1])
    assert reasons(rows(Warc(), source(tmp_path / "junk", junk))) == ["bad_length", ""]


def test_many_line_ends_are_seen_as_work(tmp_path: Path, n_beats: Any) -> None:
    file = source(tmp_path / "a", PAGES[0] + b"\n" * (40 << 20) + PAGES[1])
    assert reasons(rows(Warc(), file)) == ["", ""]
    assert n_beats() >= 5, "two for the rows and one at least for each 16 MiB"


@each_codec
def test_members_that_hold_nothing_leave_no_mark(tmp_path: Path, codec: str) -> None:
    pack = PACKS[codec]
    first, second = pack(PAGES[0]), pack(PAGES[1])
    file = source(tmp_path / "a", first + pack(b"") * 3000 + second)
    with file.full.open("rb") as stream:
        stored = Stored(stream, WARC)
        segment = Inflated(lambda: inflated(stored, CODECS[codec], 0), 0, WARC)
        assert not segment.has(len(PAGES[0]) + 1)
        assert len(segment._marks) <= 2
    found = rows(Warc(), file)
    assert [row["origin"][0]["offset"] for row in found] == [0, file.size - len(second)]


def test_members_of_a_byte_take_less_memory_than_the_file(tmp_path: Path) -> None:
    body = bytes(60_000)
    data = b"".join(gzip_member(bytes([one])) for one in record("response", http(b"<html>" + body), n=0))
    (tmp_path / "a").write_bytes(gzip_member(PAGES[0]) + data)
    with (tmp_path / "a").open("rb") as file:
        stored = Stored(file, WARC)
        segment = Inflated(lambda: inflated(stored, GZIP, 0), 0, WARC)
        segment.skip(end := len(PAGES[0]) + 50_000)
        # The member of what is wanted is known still, what stands between is not.
        assert segment.member(0) == (0, 0)
        assert segment.has(end + 1)
        assert segment.member(end)[1] == end
        assert len(segment._marks) < 10_000


@each_codec
@pytest.mark.parametrize("blank", [b"\n", b"\r\n\r\n", b"\r\n" * 25, b"\r\n" * 5120])
def test_a_member_may_begin_with_line_ends(tmp_path: Path, codec: str, blank: bytes) -> None:
    pack = PACKS[codec]
    members = [pack(blank + one) for one in PAGES]
    file = source(tmp_path / "a", b"".join(members))
    found = rows(Warc(), file)
    assert reasons(found) == [""] * N
    assert [row["origin"][0]["length"] for row in found] == [len(one) for one in members]
    assert rows(Warc(), file, split_bytes=50) == found
    whole = rows(Warc(), source(tmp_path / "b", pack(blank + b"".join(PAGES))))
    assert [row["payload"] for row in whole] == [row["payload"] for row in found]


@each_codec
@pytest.mark.parametrize("n_blank", [20_000, 300_000, 3 << 20])
@pytest.mark.parametrize("which", [range(N), range(1), range(1, 2)])
def test_a_record_behind_any_line_ends_of_its_member_is_read(
    tmp_path: Path, codec: str, n_blank: int, which: range
) -> None:
    members = [PACKS[codec](b"\r\n" * (n_blank // 2 * (n in which)) + one) for n, one in enumerate(PAGES)]
    file = source(tmp_path / "a", b"".join(members))
    found = rows(Warc(), file)
    assert [(row["reason"], row["url"]) for row in found] == [
        ("", f"http://example.org/{n}") for n in range(N)
    ]
    assert rows(Warc(), file, split_bytes=400) == found


def test_line_ends_that_are_not_packed_small_may_lead(tmp_path: Path) -> None:
    members = [gzip.compress(b"\r\n" * 50_000 + one, compresslevel=0) for one in PAGES]
    assert reasons(rows(Warc(), source(tmp_path / "a", b"".join(members)))) == [""] * N


def test_line_ends_before_the_first_record_take_the_memory_of_a_piece(tmp_path: Path) -> None:
    for n_mib, reason in ((60, ""), (70, "damaged")):
        deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
        stream = [*[b"\r\n" * (1 << 19)] * n_mib, PAGES[0]]
        first = b"".join(deflate.compress(piece) for piece in stream) + deflate.flush()
        file = source(tmp_path / "a", first + gzip_member(PAGES[1]))
        found, peak = traced(file)
        assert found == [reason, ""]
        assert peak < 160 << 20
        (origin,) = rows(Warc(), file)[0]["origin"]
        assert (origin["offset"], origin["length"]) == (0, len(first))


@each_codec
@pytest.mark.parametrize("lead", [b"", b"\r\n", b"\n" * 100])
def test_members_that_hold_nothing_may_lead(tmp_path: Path, codec: str, lead: bytes) -> None:
    pack = PACKS[codec]
    members = [pack(one) for one in PAGES]
    for n_lead in (1, 3):
        file = source(tmp_path / "a", pack(lead) * n_lead + b"".join(members))
        found = rows(Warc(), file)
        assert reasons(found) == [""] * N
        assert [row["origin"][0]["length"] for row in found] == [len(one) for one in members]
        assert rows(Warc(), file, split_bytes=50) == found


@pytest.mark.parametrize("pack", [zstd_frame, lz4_frame])
def test_a_file_whose_only_record_stands_in_a_frame_that_is_passed_over_is_a_row(
    tmp_path: Path, pack: Any
) -> None:
    hidden = pack(PAGES[0])
    lead = b"\x50\x2a\x4d\x18" + len(hidden).to_bytes(4, "little") + hidden
    file = source(tmp_path / "a", lead + pack(b"x" * 100))
    for split_bytes in (None, 64):
        (row,) = rows(Warc(), file, split_bytes=split_bytes)
        assert row["reason"] == "damaged"
        assert row["origin"][0]["length"] == file.size


def test_a_plain_file_with_its_first_byte_broken_is_not_the_gzip_in_one_of_its_records(
    tmp_path: Path,
) -> None:
    inside = record("resource", gzip.compress(page(9)), n=9)
    data = b"".join(PAGES[:2]) + inside + b"".join(PAGES[2:])
    found = rows(Warc(), source(tmp_path / "a", b"\xff" + data[1:]))
    assert reasons(found) == ["damaged", "", "not_html", "", ""]
    assert [row["url"] for row in found[1:]] == [f"http://example.org/{n}" for n in (1, 9, 2, 3)]


def test_what_stands_before_a_split_of_a_plain_file_is_seen_as_work(tmp_path: Path, n_beats: Any) -> None:
    small = record("metadata", b"")
    file = source(tmp_path / "a", small * 3000 + PAGES[0])
    split = Split(file, len(small) * 3000, file.size)
    assert [len(batch.verdicts) for batch in Warc().batches(split)] == [1]
    assert n_beats() > 3000 // 256


def test_a_large_file_without_a_record_is_searched_once_by_all_its_splits(
    tmp_path: Path, n_beats: Any
) -> None:
    with (tmp_path / "a").open("wb") as out:
        out.write(b"\1")
        os.truncate(out.fileno(), 2 * SPLIT_BYTES + 1)
    file = SourceFile("web", tmp_path, "a", 2 * SPLIT_BYTES + 1, "")
    first, *others = Warc().splits(file)
    assert [batch.verdicts.tolist() for batch in Warc().batches(first)] == [
        [1 + Warc.reasons.index("unknown_format")]
    ]
    before = n_beats()
    assert before > 2 * (SPLIT_BYTES >> 20)
    assert len(others) == 2
    assert [list(Warc().batches(split)) for split in others] == [[], []]
    assert n_beats() - before < 10
