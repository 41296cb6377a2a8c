"""Where reading goes on behind damage: at each next member, for a bounded price, and no byte counted twice."""

from __future__ import annotations

import gzip
import random
import struct
import time
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipelines import heartbeat
from pipelines.read.codecs import GZIP, LZ4, Codec, zstd
from pipelines.read.forms import WARC
from pipelines.read.members import begins_record, find_sync, first_member, inflated
from pipelines.read.streams import Inflated, Stored
from pipelines.read.warc import Warc
from tests.read.warcs import PACKS, gzip_member, http, lz4_frame, page, record, rows, source, zstd_frame

N = 8
PAGES = [page(n) for n in range(N)]
CODECS: dict[str, Codec] = {"gzip": GZIP, "zstd": zstd(), "lz4": LZ4}

each_codec = pytest.mark.parametrize("codec", PACKS)


def flipped(data: bytes, at: int, bit: int = 3) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def ranges(found: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """(begin, end) of each row in the file."""
    origins = [row["origin"][0] for row in found]
    return [(origin["offset"], origin["offset"] + origin["length"]) for origin in origins]


def reasons(found: list[dict[str, Any]]) -> list[str]:
    return [row["reason"] for row in found]


def tile(found: list[dict[str, Any]], n_bytes: int) -> bool:
    """Whether the rows' ranges cover the file, each byte once, in order."""
    spans = ranges(found)
    return spans[0][0] == 0 and spans[-1][1] == n_bytes and all(a[1] == b[0] for a, b in pairwise(spans))


@each_codec
def test_neighbouring_damaged_members_are_a_row_each(tmp_path: Path, codec: str) -> None:
    packed = [PACKS[codec](one) for one in PAGES]
    for first in (0, 2, 4):
        hurt = [
            *packed[:first],
            *(flipped(one, 80) for one in packed[first : first + 4]),
            *packed[first + 4 :],
        ]
        found = rows(Warc(), source(tmp_path / "a", b"".join(hurt)))
        assert reasons(found) == ["damaged" if first <= n < first + 4 else "" for n in range(N)]
        assert [end - begin for begin, end in ranges(found)] == [len(one) for one in hurt]


@each_codec
@pytest.mark.parametrize("n_hurt", [1, 2, 3, 4])
def test_ranges_tile_the_file_whatever_bits_are_flipped(tmp_path: Path, codec: str, n_hurt: int) -> None:
    packed = [PACKS[codec](one) for one in PAGES]
    draw = random.Random(n_hurt)
    for _ in range(80):
        first = draw.randrange(N - n_hurt + 1)
        hurt = list(packed)
        for n in range(first, first + n_hurt):
            hurt[n] = flipped(hurt[n], draw.randrange(len(hurt[n])), draw.randrange(8))
        file = source(tmp_path / "a", b"".join(hurt))
        found = rows(Warc(), file)
        assert tile(found, file.size)
        sound = {row["url"] for row in found if not row["reason"]}
        assert {f"http://example.org/{n}" for n in range(N) if not first <= n < first + n_hurt} <= sound
        assert rows(Warc(), file, split_bytes=150) == found


@each_codec
@pytest.mark.parametrize("cut", [1, 40, 200, 250])
def test_the_range_of_what_is_cut_is_no_other_records(tmp_path: Path, codec: str, cut: int) -> None:
    file = source(tmp_path / "a", b"".join(PACKS[codec](one) for one in PAGES)[:-cut])
    found = rows(Warc(), file)
    assert reasons(found) == [*[""] * (N - 1), "truncated"]
    assert tile(found, file.size)


@each_codec
def test_an_empty_member_belongs_to_the_record_before_it(tmp_path: Path, codec: str) -> None:
    file = source(tmp_path / "a", PACKS[codec](b"").join(PACKS[codec](one) for one in PAGES))
    found = rows(Warc(), file)
    assert reasons(found) == [""] * N
    assert tile(found, file.size)


def test_a_frame_whose_first_block_is_lost_joins_the_damaged_one_before_it(tmp_path: Path) -> None:
    # It could as well go on with that one's record.
    frames = [zstd_frame(one) for one in PAGES]
    begin = zstandard.frame_header_size(frames[3]) + 3
    frames[2] = flipped(frames[2], 80)
    frames[3] = frames[3][:begin] + b"\xff" * 40 + frames[3][begin + 40 :]
    found = rows(Warc(), source(tmp_path / "a", b"".join(frames)))
    assert reasons(found) == ["", "", "damaged", *[""] * (N - 4)]
    assert ranges(found)[2] == (sum(map(len, frames[:2])), sum(map(len, frames[:4])))


def unchecked(codec: str, data: bytes) -> bytes:
    """A frame without a checksum, as many libraries write."""
    if codec == "zstd":
        return zstandard.ZstdCompressor(write_checksum=False, write_content_size=False).compress(data)
    return lz4.frame.compress(data, content_checksum=False)


def of_noise(n: int) -> bytes:
    """A page that no codec makes smaller, so that its frame is one block as it stands."""
    return record("response", http(random.Random(n).randbytes(3000)), n=n)


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
@pytest.mark.parametrize("split_bytes", [None, 3500])
def test_a_cut_frame_without_a_checksum_swallows_none_behind_it(
    tmp_path: Path, codec: str, split_bytes: int | None
) -> None:
    frames = [unchecked(codec, of_noise(n)) for n in range(N)]
    frames[2] = frames[2][:1000]
    file = source(tmp_path / "a", b"".join(frames))
    found = rows(Warc(), file, split_bytes=split_bytes or file.size)
    assert reasons(found) == ["", "", "damaged", *[""] * (N - 3)]
    assert [end - begin for begin, end in ranges(found)] == [len(frame) for frame in frames]


@pytest.mark.parametrize("n_more", [1, 4, 128, 3500])
def test_a_block_whose_size_grew_swallows_none_behind_it(tmp_path: Path, n_more: int) -> None:
    frames = [unchecked("zstd", of_noise(n)) for n in range(N)]
    # A magic of four bytes, a descriptor, a window; then the block's header, whose last 21 bits are its size.
    block = int.from_bytes(frames[2][6:9], "little") + (n_more << 3)
    frames[2] = frames[2][:6] + block.to_bytes(3, "little") + frames[2][9:]
    file = source(tmp_path / "a", b"".join(frames))
    found = rows(Warc(), file)
    assert reasons(found) == ["", "", "damaged", *[""] * (N - 3)]
    assert rows(Warc(), file, split_bytes=3500) == found


def test_a_member_proved_by_its_checksum_gives_up_nothing_within_it(tmp_path: Path) -> None:
    # Its page is a packed WARC, stored, and what stands behind it is no member.
    inner = record("response", http(gzip_member(PAGES[1])), n=7)
    parts = [
        gzip_member(PAGES[0]),
        gzip.compress(inner, compresslevel=0),
        b"\xff" * 40,
        gzip_member(PAGES[2]),
    ]
    found = rows(Warc(), source(tmp_path / "a", b"".join(parts)))
    assert reasons(found) == ["", "", "damaged", ""]
    assert [end - begin for begin, end in ranges(found)] == [len(part) for part in parts]


@pytest.mark.parametrize("flag", [0x20, 0x40, 0x80])
def test_a_gzip_header_with_a_reserved_flag_is_damaged(tmp_path: Path, flag: int) -> None:
    packed = [gzip_member(one) for one in PAGES]
    for n in (0, 3, N - 1):
        hurt = [*packed]
        hurt[n] = hurt[n][:3] + bytes([flag]) + hurt[n][4:]
        found = rows(Warc(), source(tmp_path / "a", b"".join(hurt)))
        assert reasons(found) == ["damaged" if i == n else "" for i in range(N)]


def with_header(flags: int, fields: bytes) -> bytes:
    plain = gzip_member(PAGES[1])
    return plain[:3] + bytes([flags]) + plain[4:10] + fields + plain[10:]


HEADERS = {
    "extra": with_header(4, b"\x03\x00xyz"),
    "extra_of_64_kib": with_header(4, b"\xff\xff" + b"x" * 65535),
    "name": with_header(8, b"a.html\0"),
    "comment_of_40_kb": with_header(16, b"c" * 40_000 + b"\0"),
    "checksum": with_header(2, struct.pack("<H", zlib.crc32(with_header(2, b"")[:10]) & 0xFFFF)),
    "all_but_checksum": with_header(28, b"\x02\x00xyname\0comment\0"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_member_is_found_behind_damage_whatever_its_header_holds(tmp_path: Path, name: str) -> None:
    data = gzip_member(PAGES[0]) + flipped(gzip_member(PAGES[2]), 80) + HEADERS[name] + gzip_member(PAGES[3])
    found = rows(Warc(), source(tmp_path / "a", data))
    assert reasons(found) == ["", "damaged", "", ""]
    assert tile(found, len(data))


def identities(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The url of each row, and its reason without what depends on the limit."""
    return [(row["url"], row["reason"].replace("too_large", "")) for row in found]


@pytest.mark.parametrize("max_bytes", [1, 200, 500, 1000, 32 << 20])
def test_a_wrong_length_above_the_limit_hides_no_record_of_its_member(tmp_path: Path, max_bytes: int) -> None:
    draw = random.Random(5)
    for _ in range(15):
        wrong = draw.sample(range(N - 1), draw.randrange(1, 4))
        hurt = [page(n, length=draw.randrange(700, 3000)) if n in wrong else PAGES[n] for n in range(N)]
        plain = rows(Warc(max_bytes=max_bytes), source(tmp_path / "plain", b"".join(hurt)))
        assert reasons(plain).count("bad_length") == len(wrong)
        assert {f"http://example.org/{n}" for n in range(N)} == {row["url"] for row in plain}
        for pack in PACKS.values():
            packed = rows(Warc(max_bytes=max_bytes), source(tmp_path / "packed", pack(b"".join(hurt))))
            assert identities(packed) == identities(plain)


def test_wrong_lengths_make_a_stream_be_inflated_a_bounded_number_of_times() -> None:
    n_begun = 0

    def pieces() -> Any:
        nonlocal n_begun
        n_begun += 1
        yield from PAGES
        yield "eof", 0

    stream = Inflated(pieces, 0, WARC)
    begins = [sum(map(len, PAGES[:n])) for n in range(N)]
    found = []
    for _ in range(40):
        stream.skip(begins[6])
        found.append(stream.find_record(begins[1] - 4))
    assert found == [begins[1]] * 16 + [begins[7]] * 24
    assert n_begun == 17


LZ4_HEADER = lz4.frame.compress(b"x", block_size=lz4.frame.BLOCKSIZE_MAX4MB, store_size=False)[:7]
# 86 bytes of a block that hold the head of a frame, whose first block ends where the next unit's size stands.
LZ4_GRID = struct.pack("<I", 86) + bytes(16) + LZ4_HEADER + struct.pack("<I", 59) + bytes(59)
DECOYS = {
    "comment_without_end": (gzip_member, b"\x1f\x8b\x08\x10"),
    "comment_without_end_far_apart": (gzip_member, b"\x1f\x8b\x08\x10" + b"\1" * 20),
    "comment_without_end_out_of_a_crowd": (gzip_member, b"\x1f\x8b\x08\x10" + b"\1" * 61),
    "no_field": (gzip_member, b"\x1f\x8b\x08\x00"),
    "line_ends_without_a_record": (gzip_member, gzip_member(b"\r\n" * 10_000)[:-8]),
    "broken_code_table": (gzip_member, b"\x1f\x8b\x08\x00" + bytes(6) + b"\x04\xc0\x81"),
    "block_of_4_mib": (lz4_frame, LZ4_HEADER + struct.pack("<I", 4 << 20)),
    "grid_of_blocks_that_hold_nothing": (lz4_frame, LZ4_GRID),
    "block_of_100_kib": (zstd_frame, zstd().magic + b"\x00\x58" + struct.pack("<I", 100 << 13 | 4)[:3]),
}


@pytest.mark.parametrize("kind", DECOYS)
def test_a_megabyte_of_what_only_looks_like_members_is_passed_in_a_moment(tmp_path: Path, kind: str) -> None:
    pack, decoy = DECOYS[kind]
    data = pack(PAGES[0]) + decoy * ((1 << 20) // len(decoy)) + b"\1" * (1 << 16) + pack(PAGES[1])
    begun = time.process_time()
    found = rows(Warc(), source(tmp_path / "a", data))
    # 0.2 to 0.5 s; opened one by one for all that they promise, the cheapest of them take a minute.
    assert time.process_time() - begun < 4
    assert reasons(found) == ["", "damaged", ""]
    assert tile(found, len(data))


@pytest.mark.parametrize("gap", [1 << 20, (1 << 20) - 2, 3 << 20])
def test_a_member_on_the_edge_of_what_is_read_at_once_is_found(tmp_path: Path, gap: int) -> None:
    for codec, pack in PACKS.items():
        (tmp_path / "a").write_bytes(b"\1" * gap + pack(PAGES[0]))
        with (tmp_path / "a").open("rb") as file:
            stored = Stored(file, WARC)
            assert find_sync(stored, CODECS[codec], 0, stored.size) == gap
            assert find_sync(stored, CODECS[codec], 0, gap + 1) == gap
            assert find_sync(stored, CODECS[codec], 0, gap) is None


def test_a_long_search_is_seen_as_work_on_the_same_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = memoryview(bytearray(heartbeat.SIZE))
    monkeypatch.setitem(heartbeat._state, "map", state)
    heartbeat.split(2)
    heartbeat.at(7)
    before = heartbeat.read(bytes(state))
    (tmp_path / "a").write_bytes(bytes(5 << 20))
    with (tmp_path / "a").open("rb") as file:
        find_sync(Stored(file, WARC), GZIP, 0, 5 << 20)
    n_beats, ordinal, split = heartbeat.read(bytes(state))
    assert n_beats - before[0] >= 5
    assert (ordinal, split) == (7, 2)


LEADING: dict[str, bytes] = {
    "zstd": zstd_frame(b""),
    "lz4": lz4_frame(b""),
    "skippable": b"\x50\x2a\x4d\x18" + bytes(4),
}


@pytest.mark.parametrize("kind", LEADING)
def test_a_crowd_of_empty_frames_is_seen_as_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    state = memoryview(bytearray(heartbeat.SIZE))
    monkeypatch.setitem(heartbeat._state, "map", state)
    monkeypatch.setitem(heartbeat._state, "beats", 0)
    codec, pack = ("lz4", lz4_frame) if kind == "lz4" else ("zstd", zstd_frame)
    (tmp_path / "a").write_bytes(LEADING[kind] * 1024 + pack(PAGES[0]))
    with (tmp_path / "a").open("rb") as file:
        stored = Stored(file, WARC)
        assert first_member(stored, CODECS[codec]) == 1024 * len(LEADING[kind])
    assert heartbeat.read(bytes(state))[0] >= 4


@each_codec
def test_a_crowd_of_empty_members_within_a_segment_is_seen_as_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    state = memoryview(bytearray(heartbeat.SIZE))
    monkeypatch.setitem(heartbeat._state, "map", state)
    monkeypatch.setitem(heartbeat._state, "beats", 0)
    (tmp_path / "a").write_bytes(PACKS[codec](PAGES[0]) + PACKS[codec](b"") * 1024)
    with (tmp_path / "a").open("rb") as file:
        assert list(inflated(Stored(file, WARC), CODECS[codec], 0))[-1] == ("eof", file.seek(0, 2))
    assert heartbeat.read(bytes(state))[0] >= 4


# --- first bytes --------------------------------------------------------------------------------------

TEXTS = st.one_of(
    st.binary(max_size=3000),
    st.lists(st.sampled_from([b"WARC/1.0\r\n", b"aaaaaaa", b"\r\n", b"http://a.org/"]), max_size=400).map(
        b"".join
    ),
)


@given(TEXTS, st.sampled_from([1, 16, 300, 16 << 10]), st.sampled_from([0, 1, 6, 9]))
def test_first_bytes_are_those_of_the_whole(data: bytes, n_bytes: int, level: int) -> None:
    packed = {
        GZIP: gzip.compress(data, level, mtime=0),
        LZ4: lz4.frame.compress(
            data, compression_level=level, block_linked=bool(level % 2), content_checksum=True
        ),
        CODECS["zstd"]: zstandard.ZstdCompressor(level=level, write_checksum=True).compress(data),
    }
    for codec, member in packed.items():
        assert codec.head(member + b"what follows", n_bytes)[:n_bytes] == data[:n_bytes]


def test_first_bytes_come_out_of_several_blocks(tmp_path: Path) -> None:
    data = b"".join(PAGES) * 9
    with lz4.frame.LZ4FrameCompressor(auto_flush=True) as pack:
        linked = (
            pack.begin()
            + b"".join(pack.compress(data[at : at + 50]) for at in range(0, 4000, 50))
            + pack.flush()
        )
    frame = zstandard.ZstdCompressor().compressobj()
    flushed = b"".join(frame.compress(data[at : at + 50]) + frame.flush(1) for at in range(0, 4000, 50))
    assert LZ4.head(linked, 3000) == data[:3000]
    assert CODECS["zstd"].head(flushed, 3000)[:3000] == data[:3000]


@pytest.mark.parametrize("n_empty", [0, 1, 16, 17, 10_000])
def test_first_bytes_stand_behind_few_blocks_that_hold_nothing(n_empty: int) -> None:
    text = b"WARC/1.0\r\n what follows"
    raw = 1 | len(text) << 3  # the last block, as it is
    frames = {
        LZ4: LZ4_HEADER + b"\1\0\0\0\0" * n_empty + struct.pack("<I", 1 << 31 | len(text)) + text + bytes(4),
        CODECS["zstd"]: zstd().magic + b"\x00\x58" + bytes(3) * n_empty + struct.pack("<I", raw)[:3] + text,
    }
    for codec, frame in frames.items():
        assert codec.head(frame, 10)[:10] == (text[:10] if n_empty <= 16 else b"")
    assert zstandard.ZstdDecompressor().decompressobj().decompress(frames[CODECS["zstd"]]) == text
    assert lz4.frame.decompress(frames[LZ4]) == text


@given(st.sampled_from(list(PACKS)), st.binary(max_size=60), st.integers(0, 40), st.integers(0, 60))
def test_broken_members_have_first_bytes_without_an_exception(
    codec: str, put: bytes, at: int, n_cut: int
) -> None:
    packed = PACKS[codec](PAGES[0])
    broken = packed[:at] + put + packed[at + n_cut :]
    assert len(CODECS[codec].head(broken, 16)) >= 0


@each_codec
def test_a_flipped_bit_behind_the_first_bytes_does_not_hide_a_member(tmp_path: Path, codec: str) -> None:
    packed = PACKS[codec](PAGES[0])
    (tmp_path / "a").write_bytes(flipped(packed, len(packed) - 3))
    with (tmp_path / "a").open("rb") as file:
        assert begins_record(Stored(file, WARC), CODECS[codec], 0)
