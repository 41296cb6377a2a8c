"""Compressed streams: whole ones in every form, and what each kind of break costs."""

from __future__ import annotations

import bz2
import functools
import gzip
import lzma
import random
import tracemalloc
from pathlib import Path

import pytest
import zstandard

from pipelines.read.jsonl import Jsonl
from pipelines.read.packed import DAMAGE, open_packed
from tests.read.warcs import rows, source

_RNG = random.Random(5)
LINES = b"".join(b'{"text": "%x"}\n' % _RNG.getrandbits(400) for _ in range(4_000))
PACKERS = {
    "gz": gzip.compress,
    "bz2": functools.partial(bz2.compress, compresslevel=1),  # blocks of 100 kB
    "xz": functools.partial(lzma.compress, preset=0),
    "zst": zstandard.ZstdCompressor().compress,
}
each_format = pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)


def read_until_break(path: Path, data: bytes) -> tuple[bytes, bool]:
    """What could be read, and whether the stream broke."""
    path.write_bytes(data)
    read = b""
    with path.open("rb") as file, open_packed(file) as stream:
        try:
            while piece := stream.read1(10_000):
                read += piece
        except DAMAGE:
            return read, True
    return read, False


def long_window(data: bytes) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=30, enable_ldm=True)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()  # the size stays unknown
    return packer.compress(data) + packer.flush()


def skippable(data: bytes) -> bytes:
    return b"\x53\x2a\x4d\x18\x04\x00\x00\x00abcd" + zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize("pack", [*PACKERS.values(), bytes, long_window, skippable])
def test_a_whole_stream_is_its_bytes(tmp_path: Path, pack) -> None:
    assert read_until_break(tmp_path / "a", pack(LINES)) == (LINES, False)


@each_format
def test_members_and_padding_are_one_stream(tmp_path: Path, pack) -> None:
    data = pack(LINES) + pack(b"") + pack(LINES[:99]) + bytes(1024)
    assert read_until_break(tmp_path / "a", data) == (LINES + LINES[:99], False)


@each_format
def test_a_cut_costs_what_follows_it(tmp_path: Path, pack) -> None:
    whole = pack(LINES)
    read, broke = read_until_break(tmp_path / "a", whole[: len(whole) // 2])
    assert broke
    assert LINES.startswith(read)
    assert len(read) > 0.25 * len(LINES)


@each_format
def test_bytes_that_are_no_member_cost_no_byte_before_them(tmp_path: Path, pack) -> None:
    assert read_until_break(tmp_path / "a", pack(LINES) + b"garbage" * 9) == (LINES, True)
    second = bytearray(pack(LINES))
    second[1] ^= 0xFF
    assert read_until_break(tmp_path / "a", pack(LINES) + bytes(second)) == (LINES, True)


@pytest.mark.parametrize("name", ["gz", "bz2", "xz"])
def test_a_flipped_bit_is_found_by_the_checksum(tmp_path: Path, name: str) -> None:
    data = bytearray(PACKERS[name](LINES))
    data[-len(data) // 4] ^= 0x10
    _, broke = read_until_break(tmp_path / "a", bytes(data))
    assert broke


@each_format
def test_a_broken_file_keeps_its_rows_and_says_where_it_ends(tmp_path: Path, pack) -> None:
    whole = pack(LINES)
    found = rows(Jsonl(), source(tmp_path / "a", whole[: 3 * len(whole) // 4]))
    assert found[-1]["reason"] == "damaged"
    assert {row["reason"] for row in found[:-1]} == {""}
    assert len(found) > 2_000


@pytest.mark.parametrize("data", [lzma.compress(LINES, format=lzma.FORMAT_ALONE), b"PK\x03\x04" + LINES])
def test_a_format_that_is_not_read_is_one_row(tmp_path: Path, data: bytes) -> None:
    assert [row["reason"] for row in rows(Jsonl(), source(tmp_path / "a", data))] == ["unknown_format"]


def test_a_bomb_is_unpacked_in_the_memory_of_a_few_blocks(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(zstandard.ZstdCompressor().compress(bytes(256 << 20)))
    tracemalloc.start()
    with (tmp_path / "a").open("rb") as file, open_packed(file) as stream:
        n_bytes = sum(len(piece) for piece in iter(lambda: stream.read1(1 << 20), b""))
        peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (n_bytes, peak < 80 << 20) == (256 << 20, True)
