"""Which record this process is working on, in shared memory, for the parent that watches (`child.py`).

    bytes 0..7   int64  number of beats so far (a change means progress)
    bytes 8..15  int64  ordinal of the record being worked on, -1 between records
    bytes 16..23 int64  index of the split within the unit

A beat is three stores into a memory map: no system call, no clock. Outside a watched child it costs the same
and nobody reads it.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["SIZE", "at", "beat", "idle", "open_map", "read", "split", "waiting"]

SIZE = 24
_LAYOUT = struct.Struct("<qqq")
_state = {"map": memoryview(bytearray(SIZE)), "beats": 0, "split": 0}


def open_map(fd: int) -> None:
    """Beat into the open file `fd` (SIZE bytes, made by the parent) from now on."""
    _state["map"] = memoryview(mmap.mmap(fd, SIZE))


def split(index: int) -> None:
    """A unit's next split begins."""
    _state["split"] = index
    at(-1)


def at(ordinal: int) -> None:
    """Work on record `ordinal` of the current split begins."""
    _state["beats"] += 1  # type: ignore[operator]
    _LAYOUT.pack_into(_state["map"], 0, _state["beats"], ordinal, _state["split"])  # type: ignore[arg-type]


def idle() -> None:
    """Work on no particular record: between records, or in vectorised code."""
    at(-1)


def beat() -> None:
    """Work on the same record goes on."""
    _, ordinal, _ = read(bytes(_state["map"]))  # type: ignore[call-overload]
    at(ordinal)


@contextmanager
def waiting() -> Iterator[None]:
    """Waiting for something outside, a server: no record is at fault however long it takes."""
    _, ordinal, _ = read(bytes(_state["map"]))  # type: ignore[call-overload]
    idle()
    try:
        yield
    finally:
        at(ordinal)


def read(view: bytes) -> tuple[int, int, int]:
    """(beats, ordinal, split) of a child, from its map's bytes."""
    beats, ordinal, index = _LAYOUT.unpack_from(view)
    return beats, ordinal, index
