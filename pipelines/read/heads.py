"""The first bytes of what a packed member holds, whatever is broken behind them: gzip, Zstandard and LZ4.

    |head|block|block|checksum|      only as much is unpacked as the first bytes need, so that a flipped bit further
     ^^^^^^^^^^                      on does not hide where a member begins

gzip by zlib, which unpacks no further than it is asked to: ISA-L runs ahead and fails at a bit that stands behind.
LZ4 by a few lines here: its library gives a block whole or not at all. Of Zstandard the first block alone is handed
over; its checksum is not looked at.

Price of one that is none: 1 us, 4 where zlib has to say so. A block of Zstandard (128 KiB) takes 30 us and more. Of
the blocks of a frame at most 16 may hold nothing: a frame that begins with more counts as none.

Cannot be told: a gzip member or a Zstandard frame whose first bytes are behind a broken code table or in a block that
does not unpack. Its header may be sound, but a frame that begins a record cannot then be told from one that goes on
with a record.

Source: RFC 1951, 1952, 8878; https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md and lz4_Frame_format.md.
"""

from __future__ import annotations

import zlib

import xxhash
import zstandard

__all__ = ["gzip_head", "has_gzip_flags", "lz4_head", "zstd_head"]

_PIECE = 512  # what a broken bit may hide before it, or half of all
_RESERVED, _HEADER_CRC, _EXTRA, _STRINGS = 0xE0, 2, 4, (8, 16)
_MAX_ZSTD_BLOCK = 128 << 10
_MAX_EMPTY = 16  # else every head in a chain of such blocks is opened for all that follow it
_RAW, _COMPRESSED = 0, 2


def gzip_head(data: bytes, n_bytes: int) -> bytes:
    """The first `n_bytes` of the member that `data` begins with, fewer where it is broken, cut or none."""
    begin = _gzip_header(data)
    if begin is None or not _may_deflate(data[begin : begin + 5]):
        return b""
    inflate, out, rest = zlib.decompressobj(-15), b"", data[begin : begin + _PIECE + 2 * n_bytes]
    try:
        while rest and len(out) < n_bytes and not inflate.eof:
            out += inflate.decompress(rest, min(max(_PIECE, len(out)), n_bytes - len(out)))
            rest = inflate.unconsumed_tail
    except zlib.error:
        pass  # what came out before holds
    return out


def has_gzip_flags(data: bytes) -> bool:
    """Whether the header has only flags that are in use: ISA-L takes any, zlib refuses the others."""
    return data[3:4] < b"\x20"


def _gzip_header(data: bytes) -> int | None:
    """How long the header is; None where it is none or does not end in `data`."""
    if len(data) < 12 or data[3] & _RESERVED:
        return None
    flags, end = data[3], 10
    if flags & _EXTRA:
        end += 2 + int.from_bytes(data[10:12], "little")
    for string in _STRINGS:
        if flags & string:
            end = data.find(b"\0", end) + 1
            if not end:
                return None
    return end + 2 if flags & _HEADER_CRC else end


def _may_deflate(block: bytes) -> bool:
    """Whether a block can begin so: nearly all that only looks like a member is told here, without zlib."""
    if len(block) < 5:
        return False
    kind = block[0] >> 1 & 3
    if kind == 0:
        return block[1] ^ block[3] == block[2] ^ block[4] == 0xFF
    return kind == 1 or (kind == 2 and block[0] >> 3 < 30 and block[1] & 31 < 30)


def zstd_head(context: zstandard.ZstdDecompressor, data: bytes, n_bytes: int) -> bytes:
    """The first bytes, at least `n_bytes`, of the frame that `data` begins with, fewer as above."""
    frame, out = context.decompressobj(write_size=16 << 10), b""
    try:
        begin, at, n_blocks = 0, zstandard.frame_header_size(data), 0
        while len(out) < n_bytes and at + 3 <= len(data) and n_blocks <= len(out) + _MAX_EMPTY:
            header = int.from_bytes(data[at : at + 3], "little")
            kind, end = header >> 1 & 3, at + 3 + (header >> 3)
            # One byte many times begins no record.
            if kind not in (_RAW, _COMPRESSED) or header >> 3 > _MAX_ZSTD_BLOCK:
                break
            if kind == _COMPRESSED and end > len(data):
                break
            out += frame.decompress(data[begin:end])
            if header & 1:
                break
            begin = at = end
            n_blocks += 1
    except zstandard.ZstdError:
        pass
    return out


def lz4_head(data: bytes, n_bytes: int) -> bytes:
    """The first `n_bytes` of the frame that `data` begins with, fewer as above."""
    out = bytearray()
    at, n_blocks = _lz4_header(data), 0
    while at and len(out) < n_bytes and at + 4 <= len(data) and n_blocks <= len(out) + _MAX_EMPTY:
        size = int.from_bytes(data[at : at + 4], "little")
        block = data[at + 4 : at + 4 + (size & 0x7FFFFFFF)]
        if size >> 31:
            out += block
        else:
            _lz4_block(block, out, n_bytes)
        # An empty block is the end, and one that is cut, or broken before its end, the last that says anything.
        if not size or len(block) < size & 0x7FFFFFFF:
            break
        at += 4 + len(block) + (4 if data[4] & 0x10 else 0)
        n_blocks += 1
    return bytes(out[:n_bytes])


def _lz4_header(data: bytes) -> int:
    """How long the header is; 0 where it is none."""
    if len(data) < 7:
        return 0
    flags, sizes = data[4], data[5]
    end = 6 + (8 if flags & 8 else 0) + (4 if flags & 1 else 0)
    is_known = flags >> 6 == 1 and not flags & 2 and not sizes & 0x8F and sizes >> 4 >= 4
    if not is_known or end >= len(data):
        return 0
    return end + 1 if xxhash.xxh32_intdigest(data[4:end]) >> 8 & 0xFF == data[end] else 0


def _lz4_block(block: bytes, out: bytearray, n_bytes: int) -> None:
    """Add to `out` what a block holds, until it has `n_bytes` or the block ends or is broken."""
    at = 0
    while at < len(block) and len(out) < n_bytes:
        token = block[at]
        n_literals, at = _lz4_length(block, at + 1, token >> 4)
        out += block[at : at + min(n_literals, n_bytes)]
        at += n_literals
        back = int.from_bytes(block[at : at + 2], "little")
        n_copied, at = _lz4_length(block, at + 2, token & 15)
        if not 0 < back <= len(out) or at > len(block):
            return  # the last literals, or broken
        n_copied = min(n_copied + 4, n_bytes)
        out += (bytes(out[-back:]) * (n_copied // back + 1))[:n_copied]


def _lz4_length(block: bytes, at: int, length: int) -> tuple[int, int]:
    """(a length, where what follows it stands): 15 goes on in bytes, up to the first below 255."""
    if length == 15:
        while at < len(block):
            length += block[at]
            at += 1
            if block[at - 1] < 255:
                break
    return length, at
