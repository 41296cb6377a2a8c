"""Token shards: a header, tokens, document ends, and a digest of every 64 KiB, in one file.

    0            128                 tokens end, padded to 8
    ┌────────────┬───────────────────┬──────────────────┬─────────────────────────┬──────┐
    │ header 128 │ tokens u16 or u32 │ ends u64[n_docs] │ block digests 16 B each │ root │
    └────────────┴───────────────────┴──────────────────┴─────────────────────────┴──────┘
                 └─ blocks of 64 KiB, each with an xxh3-128 ─┘  root = xxh3-128(header + block digests)

Every document ends with the end-of-text token, which is counted; `ends[d]` is one past it. All integers are
little-endian. The root covers every byte of the file, so a manifest that names it pins the shard, and a reader
that has checked header and root may check each block when it first touches it: nobody reads a terabyte to
start, and damage is found before the batch that would hold it is served.

Price: a first touch of a block costs its hash (10 GB/s); later touches one look-up. Formats byte by byte:
docs/formats.md.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import xxhash

from manifests.commit import FileRef, commit_file
from manifests.errors import DigestError, FormatError, MissingFileError

__all__ = ["BLOCK", "HEADER", "Shard", "ShardHeader", "TokenStream", "Tokens", "token_dtype", "write_shard"]

MAGIC = b"QUERNTOK"
VERSION = 1
HEADER = 128
BLOCK = 1 << 16
_DIGEST = 16
_FIELDS = struct.Struct("<8sIIQQQQQ16sQ32s16s")
Tokens = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]


def token_dtype(vocab_size: int) -> np.dtype[np.uint16] | np.dtype[np.uint32]:
    """uint16 for vocabularies of at most 65,536 tokens, uint32 above."""
    return np.dtype("<u2") if vocab_size <= 1 << 16 else np.dtype("<u4")


@dataclass(frozen=True, slots=True)
class ShardHeader:
    """What a shard says of itself.

    n_tokens: with end-of-text tokens; n_bytes: UTF-8 bytes of the documents' text;
    tokenizer: 32 hex digits, the tokenizer's digest; eot: id of the end-of-text token.
    """

    n_tokens: int
    n_docs: int
    n_bytes: int
    vocab_size: int
    eot: int
    tokenizer: str

    @property
    def dtype(self) -> np.dtype[np.uint16] | np.dtype[np.uint32]:
        """The tokens' type."""
        return token_dtype(self.vocab_size)

    @property
    def ends_at(self) -> int:
        """Byte offset of the document ends."""
        return HEADER + -(-self.n_tokens * self.dtype.itemsize // 8) * 8

    @property
    def digests_at(self) -> int:
        """Byte offset of the block digests."""
        return self.ends_at + 8 * self.n_docs

    @property
    def n_blocks(self) -> int:
        """Blocks of tokens and document ends."""
        return -(-(self.digests_at - HEADER) // BLOCK)

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.digests_at + _DIGEST * (self.n_blocks + 1)

    def pack(self) -> bytes:
        """The header's 128 bytes; the last 16 are the digest of the others."""
        width = self.dtype.itemsize
        fields = (self.n_tokens, self.n_docs, self.n_bytes, self.vocab_size, self.eot)
        body = _FIELDS.pack(MAGIC, VERSION, width, *fields, bytes.fromhex(self.tokenizer), BLOCK, b"", b"")
        return body[:112] + xxhash.xxh3_128_digest(body[:112])

    @classmethod
    def unpack(cls, data: bytes, where: object) -> ShardHeader:
        """The header of a shard's first 128 bytes.

        Raises: FormatError, DigestError.
        """
        if len(data) < HEADER or data[:8] != MAGIC:
            raise FormatError(
                f"{where}: expected a token shard ({MAGIC!r}), found {data[:8]!r}. Name a .tok file."
            )
        if (found := xxhash.xxh3_128_digest(data[:112])) != data[112:HEADER]:
            raise DigestError.of(f"{where} header", data[112:HEADER].hex(), found.hex())
        _, version, width, n_tokens, n_docs, n_bytes, vocab_size, eot, tokenizer, block, _, _ = (
            _FIELDS.unpack(data[:HEADER])
        )
        header = cls(n_tokens, n_docs, n_bytes, vocab_size, eot, tokenizer.hex())
        if (version, width, block) != (VERSION, header.dtype.itemsize, BLOCK):
            raise FormatError(
                f"{where}: expected version {VERSION}, {header.dtype.itemsize}-byte tokens and blocks of {BLOCK}; "
                f"found {version}, {width} and {block}. A newer Quern may have written it: upgrade, or convert it."
            )
        return header


class _Blocks:
    """Cuts the bytes that pass into blocks and keeps the digest of each."""

    def __init__(self) -> None:
        self.digests = bytearray()
        self._state = xxhash.xxh3_128()
        self._n = 0

    def update(self, data: memoryview) -> None:
        while len(data):
            piece = data[: BLOCK - self._n]
            self._state.update(piece)
            self._n += len(piece)
            data = data[len(piece) :]
            if self._n == BLOCK:
                self.close()

    def close(self) -> None:
        if self._n:
            self.digests += self._state.digest()
            self._state, self._n = xxhash.xxh3_128(), 0


def write_shard(
    root: Path, path: str, header: ShardHeader, *, tokens: Iterable[Tokens], ends: npt.NDArray[np.uint64]
) -> tuple[FileRef, str]:
    """Commit a shard; returns its file reference and its root digest (32 hex digits).

    tokens: arrays that follow each other, header.n_tokens in all; ends: uint64[header.n_docs].

    Raises: ValueError when counts disagree with the header or a token is outside the vocabulary (our bugs).
    """
    blocks = _Blocks()
    packed = header.pack()
    with commit_file(root, path) as commit:
        commit.file.write(packed)
        for piece in _body(header, tokens, ends):
            blocks.update(piece)
            commit.file.write(piece)
        blocks.close()
        tail = bytes(blocks.digests)
        root_digest = xxhash.xxh3_128_digest(packed + tail)
        commit.file.write(tail + root_digest)
    return commit.ref, root_digest.hex()


def _body(
    header: ShardHeader, tokens: Iterable[Tokens], ends: npt.NDArray[np.uint64]
) -> Iterator[memoryview]:
    n = 0
    for piece in tokens:
        if len(piece) and int(piece.max()) >= header.vocab_size:
            raise ValueError(f"token {int(piece.max())} outside a vocabulary of {header.vocab_size}")
        n += len(piece)
        if len(piece):
            yield np.ascontiguousarray(piece, dtype=header.dtype).data.cast("B")
    if n != header.n_tokens or len(ends) != header.n_docs or (n and int(ends[-1]) != n):
        raise ValueError(
            f"{n} tokens in {len(ends)} documents; the header says {header.n_tokens} in {header.n_docs}"
        )
    if pad := header.ends_at - HEADER - n * header.dtype.itemsize:
        yield memoryview(bytes(pad))
    if len(ends):
        yield np.ascontiguousarray(ends, dtype="<u8").data.cast("B")


class Shard:
    """A shard opened for reading: memory-mapped, each block checked when first touched.

    with Shard.open(path, root=ref_root) as shard:
        shard.read(0, 256)            # the first 256 tokens
    """

    def __init__(self, path: Path, header: ShardHeader, data: mmap.mmap) -> None:
        self.path = path
        self.header = header
        self._data = data
        whole = np.frombuffer(data, dtype=np.uint8)
        self._tokens = whole[HEADER : HEADER + header.n_tokens * header.dtype.itemsize].view(header.dtype)
        self._ends = whole[header.ends_at : header.digests_at].view("<u8")
        self._checked = np.zeros(header.n_blocks, dtype=np.bool_)

    @classmethod
    def open(cls, path: Path, *, root: str | None = None) -> Shard:
        """Map a shard after checking its size, header and root digest (against `root`, where given).

        Raises: MissingFileError, FormatError, DigestError.
        """
        try:
            with path.open("rb") as file:
                header = ShardHeader.unpack(file.read(HEADER), path)
                if (size := path.stat().st_size) != header.size:
                    raise FormatError(
                        f"{path}: expected {header.size} bytes, found {size}. It was cut: restore or rebuild it."
                    )
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError as error:
            raise MissingFileError(
                f"{path}: expected a shard, found nothing. Build again to remake it."
            ) from error
        found = xxhash.xxh3_128_hexdigest(data[:HEADER] + data[header.digests_at : -_DIGEST])
        for expected in (data[-_DIGEST:].hex(), root):
            if expected is not None and expected != found:
                raise DigestError.of(f"{path} block digests", expected, found)
        return cls(path, header, data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the map; arrays handed out before must not be used."""
        self._tokens, self._ends = self._tokens[:0].copy(), self._ends[:0].copy()

    @property
    def n_tokens(self) -> int:
        """Tokens, end-of-text tokens included."""
        return self.header.n_tokens

    def read(self, start: int, n_tokens: int) -> Tokens:
        """Tokens [start, start + n_tokens), a view of the map, checked before it is returned.

        Raises: DigestError naming the block whose bytes changed.
        """
        width = self.header.dtype.itemsize
        self._touch(start * width, (start + n_tokens) * width)
        return self._tokens[start : start + n_tokens]

    def doc_ends(self) -> npt.NDArray[np.uint64]:
        """uint64[n_docs]: one past each document's end-of-text token.

        Raises: DigestError.
        """
        self._touch(self.header.ends_at - HEADER, self.header.digests_at - HEADER)
        return self._ends

    def _touch(self, start: int, stop: int) -> None:
        first, last = start // BLOCK, -(-stop // BLOCK)
        if not self._checked[first:last].all():
            for block in (np.flatnonzero(~self._checked[first:last]) + first).tolist():
                self._check(block)

    def _check(self, block: int) -> None:
        at = HEADER + block * BLOCK
        found = xxhash.xxh3_128_digest(self._data[at : min(at + BLOCK, self.header.digests_at)])
        where = self.header.digests_at + block * _DIGEST
        expected = self._data[where : where + _DIGEST]
        if found != expected:
            raise DigestError.of(f"{self.path} bytes {at} to {at + BLOCK}", expected.hex(), found.hex())
        self._checked[block] = True

    def verify(self) -> None:
        """Check every block and every rule of the format.

        Raises: DigestError, FormatError.
        """
        self._touch(0, self.header.digests_at - HEADER)
        ends = self._ends.astype(np.int64)
        starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
        rules = {
            "document ends rise": bool((ends > starts).all()),
            "the last document ends with the tokens": (int(ends[-1]) if len(ends) else 0) == self.n_tokens,
            "every document ends with end-of-text": bool((self._tokens[ends - 1] == self.header.eot).all()),
            "tokens are in the vocabulary": not self.n_tokens
            or int(self._tokens.max()) < self.header.vocab_size,
        }
        if broken := [rule for rule, holds in rules.items() if not holds]:
            raise FormatError(
                f"{self.path}: expected that {'; '.join(broken)}. Whatever wrote it has a bug: build it again."
            )


class TokenStream:
    """Shards one after another, read as one sequence of tokens: what a source of a mix is."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = list(shards)
        self._starts = np.cumsum([0, *(s.n_tokens for s in self.shards)])

    @property
    def n_tokens(self) -> int:
        """Tokens of all shards."""
        return int(self._starts[-1])

    def read(self, start: int, n_tokens: int) -> Tokens:
        """Tokens [start, start + n_tokens): a view inside one shard, a copy across two.

        Raises: IndexError past the end; DigestError.
        """
        if not 0 <= start <= start + n_tokens <= self.n_tokens:
            raise IndexError(f"tokens {start}:{start + n_tokens} of a stream of {self.n_tokens}")
        pieces = [self.shards[k].read(a, b - a) for k, a, b in self.locate(start, start + n_tokens)]
        if len(pieces) == 1:
            return pieces[0]
        whole = np.empty(n_tokens, dtype=self.shards[0].header.dtype if self.shards else np.uint16)
        return np.concatenate(pieces, out=whole) if pieces else whole

    def locate(self, start: int, stop: int) -> list[tuple[int, int, int]]:
        """Which shards hold tokens [start, stop): (shard, first token in it, one past the last)."""
        found = []
        k = int(np.searchsorted(self._starts, start, side="right")) - 1
        while start < stop and k < len(self.shards):
            end = min(stop, int(self._starts[k + 1]))
            if start < end:
                found.append((k, start - int(self._starts[k]), end - int(self._starts[k])))
            start, k = end, k + 1
        return found

    def start_of(self, shard: int) -> int:
        """The stream's position of a shard's first token."""
        return int(self._starts[shard])
