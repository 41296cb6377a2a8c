"""What a damaged WARC costs: records read behind the damage, ours beside FastWARC's and warcio's.

    python benchmarks/warc_faults.py        21 pages, the one in the middle broken in two dozen ways; a minute

For each fault: records of 21 that are read sound (the pages are numbered, and each reader's are compared with what was
written), then what ours says of the rest, with the byte offset. A reader that raises has read what came before. Ours
must lose the broken record alone; where the whole file is one member or is no WARC, what can be lost is said.
Frames of Zstandard and LZ4 carry a checksum, as their commands write them; warcio reads neither. No speed is measured
here, so no line has a ratio.
"""

from __future__ import annotations

import gzip
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import lz4.frame
import zstandard
from fastwarc.warc import ArchiveIterator as FastWarc
from support.machine import describe, write_result
from warcio.archiveiterator import ArchiveIterator as Warcio
from warcio.exceptions import ArchiveLoadFailed

from pipelines.read.warc import Warc
from pipelines.stage import SourceFile, Split

N_PAGES, BROKEN = 21, 10
BODY = b"<html><body><p>page %d of the test, with some text in it</p></body></html>" + b"<!-- filler -->" * 60
PAGES = [BODY % n for n in range(N_PAGES)]


@dataclass(frozen=True)
class Fault:
    """A broken file: how it is made, and how many of its pages anybody could still read."""

    make: Callable[[], bytes]
    readable: int = N_PAGES - 1


def record(n: int, *, block: bytes | None = None, length: int | None = None, extra: bytes = b"") -> bytes:
    body = PAGES[n] if block is None else block
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
    declared = len(block) if length is None else length
    fields = [
        b"WARC/1.0",
        b"WARC-Type: response",
        b"WARC-Target-URI: http://example.org/%d" % n,
        b"WARC-Record-ID: <urn:uuid:%d>" % n,
        b"WARC-Date: 2024-01-01T00:00:00Z",
        b"Content-Type: application/http; msgtype=response",
        *([extra] if extra else []),
        b"Content-Length: %d" % declared,
    ]
    return b"\r\n".join([*fields, b"", block]) + b"\r\n\r\n"


Pack = Callable[[bytes], bytes]


def member(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


def lz4_(data: bytes) -> bytes:
    return lz4.frame.compress(data, content_checksum=True)


def file_with(broken: bytes | None, *, cut: int | None = None, pack: Pack = member) -> bytes:
    """A packed file, one member a record, the middle one given."""
    members = [pack(record(n)) for n in range(N_PAGES)]
    if broken is not None:
        members[BROKEN] = broken
    data = b"".join(members)
    return data if cut is None else data[:-cut]


def flipped(at: float, pack: Pack = member) -> bytes:
    data = bytearray(pack(record(BROKEN)))
    data[int(at * len(data))] ^= 0x10
    return bytes(data)


def bad_crc() -> bytes:
    data = member(record(BROKEN))
    return data[:-8] + struct.pack("<I", 0xDEADBEEF) + data[-4:]


def bad_checksum(pack: Pack) -> bytes:
    return pack(record(BROKEN))[:-4] + struct.pack("<I", 0xDEADBEEF)


def plain(broken: bytes) -> bytes:
    records = [record(n) for n in range(N_PAGES)]
    records[BROKEN] = broken
    return b"".join(records)


def length_off_by(n_bytes: int) -> bytes:
    true = len(record(BROKEN).partition(b"\r\n\r\n")[2]) - 4
    return record(BROKEN, length=true + n_bytes)


def one_member_flipped(pack: Pack = member) -> bytes:
    data = bytearray(pack(b"".join(record(n) for n in range(N_PAGES))))
    data[len(data) // 2] ^= 0x10
    return bytes(data)


def faults_of_frames(name: str, pack: Pack) -> dict[str, Fault]:
    """What befalls a file of Zstandard or LZ4 frames."""
    zeros = bytes(len(pack(record(BROKEN))))
    faults = {
        "none": Fault(lambda: file_with(None, pack=pack), N_PAGES),
        "bit_flip": Fault(lambda: file_with(flipped(0.5, pack), pack=pack)),
        "bit_flip_in_magic": Fault(lambda: file_with(flipped(0.0, pack), pack=pack)),
        "bad_checksum": Fault(lambda: file_with(bad_checksum(pack), pack=pack)),
        "zeroed_frame": Fault(lambda: file_with(zeros, pack=pack)),
        "length_too_large": Fault(lambda: file_with(pack(length_off_by(300)), pack=pack)),
        "truncated_last_frame": Fault(lambda: file_with(None, cut=60, pack=pack)),
        "body_of_200_MB_of_zeros": Fault(
            lambda: file_with(pack(record(BROKEN, block=bytes(200_000_000))), pack=pack)
        ),
        "one_frame_for_all": Fault(lambda: pack(b"".join(record(n) for n in range(N_PAGES))), N_PAGES),
        "one_frame_bit_flip": Fault(lambda: one_member_flipped(pack), 0),
    }
    return {f"{name}_{fault}": made for fault, made in faults.items()}


FAULTS = {
    "none": Fault(lambda: file_with(None), N_PAGES),
    "bit_flip": Fault(lambda: file_with(flipped(0.5))),
    "bit_flip_in_gzip_header": Fault(lambda: file_with(flipped(0.0))),
    "bad_crc": Fault(lambda: file_with(bad_crc())),
    "zeroed_member": Fault(lambda: file_with(bytes(len(member(record(BROKEN)))))),
    "length_too_small": Fault(lambda: plain(length_off_by(-100))),
    "length_too_large": Fault(lambda: plain(length_off_by(300))),
    "length_too_small_gzip": Fault(lambda: file_with(member(length_off_by(-100)))),
    "length_too_large_gzip": Fault(lambda: file_with(member(length_off_by(300)))),
    "truncated_last_member": Fault(lambda: file_with(None, cut=60)),
    "header_of_20_MB": Fault(
        lambda: file_with(member(record(BROKEN, extra=b"X-Filler: " + b"x" * 20_000_000)))
    ),
    "body_of_200_MB_of_zeros": Fault(lambda: file_with(member(record(BROKEN, block=bytes(200_000_000))))),
    "one_member_for_all": Fault(lambda: member(b"".join(record(n) for n in range(N_PAGES))), N_PAGES),
    "one_member_bit_flip": Fault(one_member_flipped, 0),
    **faults_of_frames("zstd", zstd),
    **faults_of_frames("lz4", lz4_),
    "empty": Fault(lambda: b"", 0),
    "not_a_warc": Fault(lambda: b"%PDF-1.7\n" + bytes(range(256)) * 400, 0),
}


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, fault in FAULTS.items():
            path = Path(folder) / f"{name}.warc"
            path.write_bytes(fault.make())
            rows.append({"fault": name, "readable": fault.readable, **counts(path)})
            print_row(rows[-1])
    write_result(
        "warc_faults",
        {"faults": rows, "machine": describe(("fastwarc", "warcio", "isal", "zstandard", "lz4"))},
    )
    lost = [row["fault"] for row in rows if row["ours"] < row["readable"]]
    if lost:
        sys.exit(f"more than the broken record was lost: {', '.join(lost)}")


def print_row(row: dict[str, object]) -> None:
    print(
        f"{row['fault']:<28} readable {row['readable']:>2}  ours {row['ours']:>2}  fastwarc {row['fastwarc']:>2}  "
        f"warcio {row['warcio']:>2}   {row['reasons']}"
    )


def counts(path: Path) -> dict[str, object]:
    """Sound pages that each reader gives, and the reasons of ours."""
    file = SourceFile("web", path.parent, path.name, path.stat().st_size, "")
    reader = Warc()
    sound, reasons = 0, []
    for batch in reader.batches(Split(file, 0, file.size)):
        for row, verdict in zip(batch.rows.to_pylist(), batch.verdicts.tolist(), strict=True):
            if verdict:
                reasons.append(f"{reader.reasons[verdict - 1]} at {row['origin'][0]['offset']}")
            sound += not verdict and row["payload"] in PAGES
    peers = {name: sum(body in PAGES for body in read(path)) for name, read in PEERS.items()}
    return {"ours": sound, **peers, "reasons": ", ".join(reasons)}


def fastwarc_bodies(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        try:
            for each in FastWarc(stream):
                yield each.reader.read()
        except OSError:
            return


def warcio_bodies(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        try:
            for each in Warcio(stream):
                yield each.content_stream().read()
        except (ArchiveLoadFailed, OSError, EOFError, ValueError):
            return


PEERS: dict[str, Callable[[Path], Iterator[bytes]]] = {"fastwarc": fastwarc_bodies, "warcio": warcio_bodies}


if __name__ == "__main__":
    main()
