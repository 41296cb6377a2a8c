"""Scalars for TensorBoard, written without TensorBoard: its event files are framed protocol buffers.

    record   length uint64, masked crc32c of it, the event, masked crc32c of the event
    event    1: wall time (double)   2: step (varint)   3: file version (text)   5: summary {1: {1: tag, 2: float}}

Source: tensorflow/core/lib/io/record_writer.h and core/util/event.proto. Only `log: [tensorboard]` uses it.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["EventFile", "crc32c"]


class EventFile:
    """One event file of a run; each start of a run opens a new one, as TensorBoard expects."""

    def __init__(self, folder: Path, *, step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        self._file = (folder / f"events.out.tfevents.{int(now)}.quern.{step}").open("ab")
        self._record(_double(1, now) + _bytes(3, b"brain.Event:2"))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write one value for each tag at `step`."""
        summary = b"".join(_bytes(1, _bytes(1, tag.encode()) + _float(2, v)) for tag, v in values.items())
        self._record(_double(1, time.time()) + _varint(2 << 3) + _varint(step) + _bytes(5, summary))
        self._file.flush()

    def _record(self, event: bytes) -> None:
        length = struct.pack("<Q", len(event))
        self._file.write(length + _masked(length) + event + _masked(event))


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum (RFC 3720, appendix B.4).

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _entry(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value


_TABLE = [_entry(i) for i in range(256)]


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)
