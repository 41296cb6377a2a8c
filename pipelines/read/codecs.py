"""How the members of a packed crawl file are told and unpacked: gzip, Zstandard and LZ4, each a value.

    gzip        |member|member|                      magic 1f 8b 08
    Zstandard   |skippable|frame|frame|skippable|    magic 28 b5 2f fd; a skippable frame says how long it is
    LZ4         |frame|frame|                        magic 04 22 4d 18; skippable frames as Zstandard's

A frame of Zstandard or LZ4 is a member here. The first skippable frame of a Zstandard WARC may hold the dictionary
that all frames were packed with, itself packed or not; another further on is not read. Members come in pieces: a piece
of `n_input` packed bytes gives at most 33 MiB (a Zstandard block of 4 bytes may hold 128 KiB and cannot be cut short),
whatever a bomb claims. A frame that asks for a window above 128 MiB counts as damaged, on every machine alike.

Price, framing included, of a record of 43 kB: gzip by ISA-L 140 us, Zstandard 210, LZ4 130. To see whether a member
begins a record, gzip and LZ4 are opened for their first 16 bytes; of Zstandard the first block is unpacked once more.

What a flipped bit does to a frame without a checksum, nobody can see (`zstd` writes one, many libraries do not): the
record is then read as the broken bytes say, unless the frame takes in others with it (`members.py`). LZ4's old frames
(magic 02 21 4c 18) are not read.

Source: RFC 1952; RFC 8878; https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md; IIPC, Use of Zstandard
compression for WARC files, https://iipc.github.io/warc-specifications/specifications/warc-zstd/.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import zstandard
from isal import isal_zlib
from lz4.frame import LZ4FrameDecompressor

from pipelines.read.heads import gzip_head, has_gzip_flags, lz4_head, zstd_head

__all__ = ["GZIP", "LZ4", "SKIPPABLE", "ZSTD_MAGIC", "Codec", "Member", "dictionary_in", "zstd"]

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPABLE = tuple(bytes([0x50 + n]) + b"\x2a\x4d\x18" for n in range(16))
"""What skippable frames of Zstandard and LZ4 begin with; four bytes of length follow."""
_DICTIONARY = SKIPPABLE[0xD]
_MAX_DICTIONARY = 32 << 20  # real ones have up to 1 MiB
# Bytes of memory that a frame may ask for: what `zstd` itself grants. A WARC is promised 8 MiB.
_MAX_WINDOW = 128 << 20


class Member(Protocol):
    """One member being unpacked. `unused_data`: what stood behind its end, nothing before `eof`."""

    @property
    def eof(self) -> bool:
        """Whether its end was reached, and its checksum, if it has one, is right."""

    @property
    def unused_data(self) -> bytes | None:
        """The bytes behind its end."""

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes:
        """What `data` holds, at least its first `max_length` bytes."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One way of packing members.

    magic: what each begins with; new: begins to unpack one, and what was unpacked before is given up; broken: what
    unpacking raises; head: the first n bytes of what a member holds, of its packed bytes, fewer where it is broken
    or none; n_head: within how many packed bytes they come out; n_input: how many packed bytes are handed over at a
    time; skips: whether skippable frames may stand between members; is_checked: whether a member that begins with these
    eight bytes ends with a checksum; may_begin: whether a member can begin with these four bytes, where unpacking takes
    what it should refuse.
    """

    magic: bytes
    new: Callable[[], Member]
    broken: type[Exception]
    head: Callable[[bytes, int], bytes]
    n_head: int
    n_input: int
    skips: bool
    is_checked: Callable[[bytes], bool]
    may_begin: Callable[[bytes], bool] = bool


def _gzip_member() -> Any:
    return isal_zlib.decompressobj(31)


# The stub of ISA-L's error calls the class an instance.
_ISAL_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]
GZIP = Codec(
    b"\x1f\x8b\x08",
    _gzip_member,
    _ISAL_ERROR,
    gzip_head,
    n_head=160 << 10,  # a header may carry 64 KiB of extra field, and a name and comment
    n_input=32 << 10,
    skips=False,
    is_checked=bool,
    may_begin=has_gzip_flags,
)


def _has_checksum(begin: bytes) -> bool:
    # Zstandard and LZ4 have the flag in the same place.
    return len(begin) > 4 and begin[4] & 4 != 0


# Blocks have up to 4 MiB and come out whole. What is packed holds 255 times its bytes at most.
LZ4 = Codec(
    b"\x04\x22\x4d\x18",
    LZ4FrameDecompressor,
    RuntimeError,
    lz4_head,
    n_head=32 << 10,
    n_input=32 << 10,
    skips=True,
    is_checked=_has_checksum,
)


def zstd(dictionary: bytes = b"", *, max_window: int = _MAX_WINDOW) -> Codec:
    """Zstandard with or without a dictionary, one member at a time: a context is dear, so all share one."""
    packed_with = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
    context = zstandard.ZstdDecompressor(dict_data=packed_with, max_window_size=max_window)
    return Codec(
        ZSTD_MAGIC,
        lambda: _ZstdMember(context),
        zstandard.ZstdError,
        partial(zstd_head, context),
        n_head=160 << 10,
        n_input=1 << 10,
        skips=True,
        is_checked=_has_checksum,
    )


class _ZstdMember:
    """A frame with the interface of the other members."""

    needs_input = True

    def __init__(self, context: zstandard.ZstdDecompressor) -> None:
        # By itself it would allot 128 KiB for each piece of output.
        self._frame = context.decompressobj(write_size=16 << 10)

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data

    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes:
        del max_length
        return self._frame.decompress(data)


def dictionary_in(read: Callable[[int, int], bytes]) -> bytes:
    """The dictionary in the first frame of a file, whose `n` bytes at `pos` are `read(pos, n)`; nothing where none is.

    One that is cut, broken or above 32 MiB counts as none: no frame that needs it can be read then.
    """
    if read(0, 4) != _DICTIONARY:
        return b""
    n_bytes = int.from_bytes(read(4, 4), "little")
    data = read(8, n_bytes) if n_bytes <= _MAX_DICTIONARY else b""
    try:
        data = _unpacked(data) if data.startswith(ZSTD_MAGIC) else data
        zstd(data).new()  # raises for one that is broken
    except zstandard.ZstdError:
        return b""
    return data


def _unpacked(data: bytes) -> bytes:
    codec, out = zstd(), bytearray()
    member = codec.new()
    for at in range(0, len(data), codec.n_input):
        out += member.decompress(data[at : at + codec.n_input])
        if member.eof and len(out) <= _MAX_DICTIONARY:
            return bytes(out)
        if len(out) > _MAX_DICTIONARY:
            break
    return b""
