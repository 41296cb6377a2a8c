"""WARC files packed frame by frame with Zstandard and LZ4: what gzip has, and what only they have."""

from __future__ import annotations

import os
import random
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
import zstandard

from pipelines.read.codecs import LZ4, zstd
from pipelines.read.forms import WARC
from pipelines.read.members import begins_record
from pipelines.read.records import raw_records
from pipelines.read.streams import Stored
from pipelines.read.warc import Warc
from pipelines.stage import Split
from tests.read.warcs import PACKS, PAGE, UNPACKS, http, lz4_frame, page, record, rows, source, zstd_frame

N = 12
PAGES = [page(n) for n in range(N)]
URLS = [f"http://example.org/{n}" for n in range(N)]

each_codec = pytest.mark.parametrize("codec", ["zstd", "lz4"])


def packed(codec: str, records: list[bytes] = PAGES) -> list[bytes]:
    return [PACKS[codec](one) for one in records]


def skippable(data: bytes, *, kind: int = 0, n_bytes: int | None = None) -> bytes:
    """A frame that readers pass over; `n_bytes` overrides its true length."""
    return struct.pack("<II", 0x184D2A50 + kind, len(data) if n_bytes is None else n_bytes) + data


def large_pages(n_pages: int, n_bytes: int) -> list[bytes]:
    """Pages that hardly pack."""
    draw = random.Random(2)
    return [record("response", http(PAGE % n + draw.randbytes(n_bytes)), n=n) for n in range(n_pages)]


def reasons(found: list[dict[str, Any]]) -> list[str]:
    return [row["reason"] for row in found]


def urls(found: list[dict[str, Any]]) -> list[str]:
    return [row["url"] for row in found if not row["reason"]]


def seen(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What a reader says of a file, its positions apart."""
    return [(row["reason"], row["url"], row["payload"]) for row in found]


@each_codec
def test_the_origin_is_the_frame_that_holds_the_record(tmp_path: Path, codec: str) -> None:
    data = b"".join(packed(codec))
    at = 0
    for row, expected in zip(rows(Warc(), source(tmp_path / "a", data)), PAGES, strict=True):
        origin = row["origin"][0]
        assert origin["offset"] == at
        at += origin["length"]
        assert UNPACKS[codec](data[origin["offset"] : at]) == expected
    assert at == len(data)


@each_codec
def test_records_of_one_frame_have_no_range_and_distinct_ids(tmp_path: Path, codec: str) -> None:
    file = source(tmp_path / "a", PACKS[codec](b"".join(PAGES)))
    found = rows(Warc(), file)
    assert urls(found) == URLS
    assert len({row["doc_id"] for row in found}) == N
    assert [(row["origin"][0]["offset"], row["origin"][0]["length"]) for row in found][1:] == [
        (0, file.size)
    ] * (N - 1)


@each_codec
@pytest.mark.parametrize("split_bytes", [7, 300, 1000])
def test_rows_are_the_same_however_a_file_of_frames_is_split(
    tmp_path: Path, codec: str, split_bytes: int
) -> None:
    pack, frames, stream = PACKS[codec], packed(codec), b"".join(PAGES)
    broken = bytearray(b"".join(frames))
    for at in (5, 900, 901, len(broken) - 3):
        broken[at] ^= 0x55
    files = [
        b"".join(frames),
        bytes(broken),
        b"".join(pack(stream[at : at + 200]) for at in range(0, len(stream), 200)),
        b"".join(frames[:3]) + b"garbage" * 9 + b"".join(frames[3:]),
        skippable(b"x" * 99) + skippable(b"y" * 700).join(frames) + skippable(b"z" * 99),
        pack(stream),
        pack(stream)[:-40],
    ]
    for data in files:
        file = source(tmp_path / "a", data)
        assert rows(Warc(), file, split_bytes=split_bytes) == rows(Warc(), file)


@each_codec
def test_a_record_cut_over_several_frames_is_whole(tmp_path: Path, codec: str) -> None:
    stream = b"".join(PAGES)
    frames = b"".join(PACKS[codec](stream[at : at + 100]) for at in range(0, len(stream), 100))
    found = rows(Warc(), source(tmp_path / "a", frames))
    assert seen(found) == seen(rows(Warc(), source(tmp_path / "b", stream)))
    assert urls(found) == URLS


@each_codec
def test_records_of_several_blocks_are_read_and_found_again(tmp_path: Path, codec: str) -> None:
    large = large_pages(3, 5 << 20)
    four = lz4.frame.BLOCKSIZE_MAX4MB
    pack = PACKS["zstd"] if codec == "zstd" else lambda data: lz4.frame.compress(data, block_size=four)
    data = b"".join(map(pack, large))
    file = source(tmp_path / "a", data)
    found = rows(Warc(), file)
    assert urls(found) == URLS[:3]
    assert rows(Warc(), file, split_bytes=3_000_017) == found


@each_codec
def test_one_flipped_byte_costs_one_record_of_a_file_of_frames(tmp_path: Path, codec: str) -> None:
    clean = b"".join(packed(codec))
    payloads = {row["url"]: row["payload"] for row in rows(Warc(), source(tmp_path / "a", clean))}
    draw = random.Random(1)
    for _ in range(200):
        broken = bytearray(clean)
        broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
        found = rows(Warc(), source(tmp_path / "a", bytes(broken)))
        lost = [url for url in URLS if url not in urls(found)]
        assert len(lost) <= 1
        assert all(row["payload"] == payloads[row["url"]] for row in found if not row["reason"])
        flawed = [reason for reason in reasons(found) if reason]
        # Some bits carry nothing; and the length of the last block may then reach beyond the end.
        assert flawed in ([["damaged"], ["truncated"]] if lost else [[]])
        assert flawed != ["truncated"] or lost == [URLS[-1]]


@each_codec
def test_a_flipped_byte_costs_no_other_record_where_frames_have_no_checksum(
    tmp_path: Path, codec: str
) -> None:
    pack = zstandard.ZstdCompressor(write_checksum=False).compress if codec == "zstd" else lz4.frame.compress
    clean = b"".join(map(pack, PAGES))
    payloads = {row["url"]: row["payload"] for row in rows(Warc(), source(tmp_path / "a", clean))}
    draw = random.Random(3)
    for _ in range(200):
        broken = bytearray(clean)
        broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
        found = rows(Warc(), source(tmp_path / "a", bytes(broken)))
        sound = [
            row["url"] for row in found if payloads.get(row["url"]) == row["payload"] and not row["reason"]
        ]
        assert len(sound) >= N - 1


@each_codec
def test_a_zeroed_frame_costs_its_record_and_says_where(tmp_path: Path, codec: str) -> None:
    frames = packed(codec)
    frames[4] = bytes(len(frames[4]))
    found = rows(Warc(), source(tmp_path / "a", b"".join(frames)))
    assert urls(found) == [url for url in URLS if url != URLS[4]]
    (row,) = (row for row in found if row["reason"])
    assert row["reason"] == "damaged"
    assert row["origin"][0]["offset"] == sum(map(len, frames[:4]))
    assert row["origin"][0]["length"] == len(frames[4])


@each_codec
@pytest.mark.parametrize("cut", [1, 5, 40, 120])
def test_the_record_in_which_a_file_of_frames_ends_is_truncated(tmp_path: Path, codec: str, cut: int) -> None:
    found = rows(Warc(), source(tmp_path / "a", b"".join(packed(codec))[:-cut]))
    assert reasons(found) == [*[""] * (N - 1), "truncated"]


@each_codec
@pytest.mark.parametrize("cut", [1, 5, 40, 40_000])
def test_the_record_in_which_a_file_in_one_frame_ends_is_truncated(
    tmp_path: Path, codec: str, cut: int
) -> None:
    data = PACKS[codec](b"".join(large_pages(N, 40_000)))[:-cut]
    found = rows(Warc(), source(tmp_path / "a", data))
    assert urls(found) == URLS[: len(found) - 1]
    assert reasons(found)[-1] == "truncated"
    assert N - 3 <= len(found) <= N  # a block of 128 KiB comes out whole or not at all


@each_codec
@pytest.mark.parametrize("length", ["1000000000", "900", "3", "-5", "abc", ""])
def test_a_wrong_content_length_costs_its_record_in_frames(tmp_path: Path, codec: str, length: str) -> None:
    records = [page(n, length=length) if n == 4 else page(n) for n in range(N)]
    for data in (b"".join(packed(codec, records)), PACKS[codec](b"".join(records))):
        found = rows(Warc(), source(tmp_path / "a", data))
        assert urls(found) == [url for url in URLS if url != URLS[4]]
        assert found[4]["reason"] in ("bad_length", "bad_header")


@each_codec
def test_a_bomb_costs_its_record_and_the_memory_of_a_piece(tmp_path: Path, codec: str) -> None:
    records = [page(0), record("response", http(b"<html>" + bytes(200 << 20))), page(2)]
    file = source(tmp_path / "a", b"".join(packed(codec, records)))
    del records
    tracemalloc.start()
    found = rows(Warc(max_bytes=1 << 20), file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reasons(found) == ["", "too_large", ""]
    assert peak < 120 << 20


@each_codec
def test_a_file_whose_first_frame_is_damaged_is_still_read(tmp_path: Path, codec: str) -> None:
    clean = b"".join(packed(codec))
    for lead in (b"", skippable(b"x" * 50)):
        for at in (0, 40):
            broken = bytearray(lead + clean)
            broken[len(lead) + at] ^= 0xFF
            found = rows(Warc(), source(tmp_path / "a", bytes(broken)))
            assert reasons(found) == ["damaged", *[""] * (N - 1)]


@each_codec
def test_skippable_frames_are_passed_over_wherever_they_stand(tmp_path: Path, codec: str) -> None:
    frames = packed(codec)
    whole = rows(Warc(), source(tmp_path / "a", b"".join(frames)))
    # What they hold is none of the file's records.
    inside = skippable(page(99) + frames[0], kind=3)
    for data in (
        inside + b"".join(frames),
        b"".join(frames) + inside,
        inside.join(frames),
        (inside + skippable(b"") * 3).join(frames),
        PACKS[codec](b"") + inside + PACKS[codec](b"") * 2 + b"".join(frames),
    ):
        assert seen(rows(Warc(), source(tmp_path / "b", data))) == seen(whole)


@pytest.mark.parametrize(("log", "reason"), [(27, ""), (28, "damaged")])
def test_a_frame_that_asks_for_much_memory_costs_its_record(tmp_path: Path, log: int, reason: str) -> None:
    # Magic, no fields, a window of 2 to the power of `log` bytes, and the page as the last block, as it is.
    head = zstd().magic + bytes([0, (log - 10) << 3]) + struct.pack("<I", len(PAGES[1]) << 3 | 1)[:3]
    data = zstd_frame(PAGES[0]) + head + PAGES[1] + zstd_frame(PAGES[2])
    assert reasons(rows(Warc(), source(tmp_path / "a", data))) == ["", reason, ""]


@each_codec
@pytest.mark.parametrize("n_bytes", [0, 3, 200, 1 << 30])
def test_a_skippable_frame_of_a_wrong_length_hides_no_record(
    tmp_path: Path, codec: str, n_bytes: int
) -> None:
    frames = packed(codec)
    data = b"".join(frames[:5]) + skippable(b"x" * 50, n_bytes=n_bytes) + b"".join(frames[5:])
    found = rows(Warc(), source(tmp_path / "a", data))
    assert urls(found) == URLS
    assert [r for r in reasons(found) if r] == ["damaged"]


# --- one frame for a whole file ----------------------------------------------------------------------


@each_codec
def test_a_file_in_one_frame_is_read_by_its_first_split_and_twice_in_all(tmp_path: Path, codec: str) -> None:
    file = source(tmp_path / "a", PACKS[codec](b"".join(large_pages(99, 200_000))))
    step = file.size // 5 + 1
    splits = [Split(file, at, min(at + step, file.size)) for at in range(0, file.size, step)]
    before = _bytes_read()
    found = [len(list(raw_records(split, max_bytes=1 << 20))) for split in splits]
    assert found == [99, 0, 0, 0, 0]
    # Once to unpack it, once to look for another frame, and for each split what says how the file is packed.
    assert _bytes_read() - before < 2.1 * file.size + 5 * (4 << 20)


def _bytes_read() -> int:
    """Bytes that this process has read so far."""
    io = Path("/proc/self/io")
    if not io.exists():
        pytest.skip("the system does not count what a process reads")
    return int(io.read_text().split("rchar: ")[1].split()[0])


# --- dictionaries ------------------------------------------------------------------------------------

DICTIONARY = zstandard.train_dictionary(8 << 10, [page(n) for n in range(400)])


def with_dictionary(records: list[bytes]) -> list[bytes]:
    pack = zstandard.ZstdCompressor(dict_data=DICTIONARY, write_checksum=True)
    return [pack.compress(one) for one in records]


LEADS: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "packed": zstd_frame}


@pytest.mark.parametrize("lead", LEADS)
def test_a_dictionary_in_the_first_frame_is_used_for_every_split(tmp_path: Path, lead: str) -> None:
    frames = with_dictionary(PAGES)
    head = skippable(LEADS[lead](DICTIONARY.as_bytes()), kind=0xD)
    file = source(tmp_path / "a.warc.zst", head + b"".join(frames))
    found = rows(Warc(), file)
    assert seen(found) == seen(rows(Warc(), source(tmp_path / "b", b"".join(PAGES))))
    assert found[0]["origin"][0]["offset"] == len(head)
    assert rows(Warc(), file, split_bytes=500) == found


def test_a_flipped_byte_behind_a_dictionary_costs_one_record(tmp_path: Path) -> None:
    head, frames = skippable(DICTIONARY.as_bytes(), kind=0xD), with_dictionary(PAGES)
    broken = bytearray(head + b"".join(frames))
    broken[len(head) + len(frames[0]) + len(frames[1]) // 2] ^= 0x10
    found = rows(Warc(), source(tmp_path / "a.warc.zst", bytes(broken)))
    assert reasons(found) == ["", "damaged", *[""] * (N - 2)]


@pytest.mark.parametrize(
    "dictionary",
    [
        DICTIONARY.as_bytes()[:1000],
        zstd_frame(DICTIONARY.as_bytes())[:-50],
        zstandard.compress(bytes(1 << 30)),
        b"",
    ],
    ids=["cut", "packed_and_cut", "bomb", "none"],
)
def test_a_file_whose_dictionary_is_lost_has_no_record_and_costs_little(
    tmp_path: Path, dictionary: bytes
) -> None:
    data = skippable(dictionary, kind=0xD) + b"".join(with_dictionary(PAGES))
    file = source(tmp_path / "a.warc.zst", data)
    tracemalloc.start()
    assert reasons(rows(Warc(), file)) == ["unknown_format"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150 << 20


# --- members -----------------------------------------------------------------------------------------


def test_files_read_side_by_side_do_not_share_a_decompressor(tmp_path: Path) -> None:
    records = large_pages(18, 40_000)
    readers = []
    for name, half in (("a", records[::2]), ("b", records[1::2])):
        file = source(tmp_path / name, zstd_frame(b"".join(half)))
        readers.append(raw_records(Split(file, 0, file.size), max_bytes=1 << 20))
    pairs = zip(*readers, strict=True)
    bodies = [raw.body for pair in pairs for raw in pair]
    assert [one.endswith(body + b"\r\n\r\n") for one, body in zip(records, bodies, strict=True)] == [
        True
    ] * 18


@pytest.mark.parametrize("codec", [zstd(), LZ4], ids=["zstd", "lz4"])
def test_bytes_that_only_look_like_a_frame_begin_no_record(tmp_path: Path, codec: Any) -> None:
    frame = {LZ4.magic: lz4_frame}.get(codec.magic, zstd_frame)
    for data in (
        codec.magic,
        codec.magic + os.urandom(40),
        frame(b"no record"),
        frame(b""),
        frame(b"WARC/")[:-9],
    ):
        (tmp_path / "a").write_bytes(data)
        with (tmp_path / "a").open("rb") as file:
            assert not begins_record(Stored(file, WARC), codec, 0)
