"""Lists that people keep for blocking addresses: names to look up by the million, words to look for by the hundred.

    # my own            a comment
    example.com         a name; white space around it does not count, blank lines do not either

    plain or gzipped files, or a member of a .tar.gz                      `ListFile(path, member)`

Names (domains, addresses) become a sorted array of 64-bit hashes, 8 bytes a name where a set of strings takes
110: the 4.6 million domains that datatrove ships are 37 MB instead of 500. A name that is on no list is taken for
one with a chance of 2.5 in 10^13; a build of a trillion addresses would lose a fraction of one.

Words are cut to ASCII letters and digits and put in lower case ("2 girls" is "2girls"), as datatrove does.

Price: 160 MB/s of lines the first time (0.8 s for datatrove's domains, most of it unpacking); then the hashes are
kept in a file beside the compiled kernels, which a process verifies and maps in 0.02 s.
"""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from manifests.commit import commit_bytes
from manifests.digest import digest_file, digest_value
from manifests.errors import RecipeError
from pipelines.batch import text_view
from pipelines.kernels.hashing import xxh64_spans
from pipelines.kernels.jit import cache_folder, source_digest
from pipelines.kernels.urls import hash_lines

__all__ = ["ListFile", "Names", "hash_names", "read_lines", "read_names", "read_words"]

_PIECE = 16 << 20
_DIGEST_BYTES = 16
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")
_DAMAGE = (OSError, EOFError, zlib.error, tarfile.TarError)


class ListFile(NamedTuple):
    """A list: a file, or the member of that name in a .tar.gz."""

    path: Path
    member: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """A set of names, known by their hashes: uint64[n_names], sorted, repeated where lists overlap."""

    hashes: npt.NDArray[np.uint64]

    def has(self, names: Sequence[str | None]) -> npt.NDArray[np.bool_]:
        """bool[len(names)]: which of them are in the set. Neither None nor the empty name is in any."""
        hashes = hash_names(names)
        if not len(self.hashes):
            return np.zeros(len(hashes), np.bool_)
        at = np.searchsorted(self.hashes, hashes)
        found = self.hashes[np.minimum(at, len(self.hashes) - 1)] == hashes
        return cast("npt.NDArray[np.bool_]", found & np.fromiter(map(bool, names), np.bool_, len(hashes)))


def hash_names(names: Sequence[str | None]) -> npt.NDArray[np.uint64]:
    """xxh64 of each name: uint64[len(names)]."""
    hashes: npt.NDArray[np.uint64] = xxh64_spans(*text_view(pa.array(names, pa.large_string())), np.uint64(0))
    return hashes


def read_names(lists: Iterable[ListFile]) -> Names:
    """The names on any of the lists; unpacked once, and kept beside the compiled kernels by the lists' digests.

    Raises: RecipeError for a list that cannot be read.
    """
    lists = list(lists)
    if not lists:
        return Names(np.zeros(0, np.uint64))
    name = digest_value(
        ["quern.names/1", source_digest("urls"), *([digest_file(one.path), one.member] for one in lists)]
    )
    path = f"lists/{name[:32]}.names"
    hashes = _kept(cache_folder() / path)
    if hashes is None:
        hashes = _hashes_of(lists)
        digest = xxhash.xxh3_128(hashes.data).digest()
        with suppress(OSError):  # a full disk costs the next process a second
            commit_bytes(cache_folder(), path, hashes.tobytes() + digest)
    return Names(hashes)


def _kept(path: Path) -> npt.NDArray[np.uint64] | None:
    """What `read_names` left at `path`, mapped into memory; None where that is not there or is damaged."""
    if not path.is_file() or path.stat().st_size % 8 or path.stat().st_size < _DIGEST_BYTES:
        return None
    data = np.memmap(path, np.uint8, "r")
    names, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:].tobytes()
    return names.view("<u8") if xxhash.xxh3_128(names.data).digest() == digest else None


def _hashes_of(lists: Sequence[ListFile]) -> npt.NDArray[np.uint64]:
    hashes = [hash_lines(np.frombuffer(piece, np.uint8)) for one in lists for piece in _pieces(one)]
    return np.sort(np.concatenate([*hashes, np.zeros(0, np.uint64)]))


def read_words(lists: Iterable[ListFile]) -> frozenset[str]:
    """The words on any of the lists.

    Raises: RecipeError for a list that cannot be read.
    """
    words = (_NOT_A_WORD.sub("", line.lower()) for line in read_lines(lists))
    return frozenset(word for word in words if word)


def read_lines(lists: Iterable[ListFile]) -> list[str]:
    """The lines of the lists in order, neither blank nor comments, ends trimmed.

    Raises: RecipeError for a list that cannot be read.
    """
    lines = (
        line.strip()
        for one in lists
        for piece in _pieces(one)
        for line in piece.decode("utf-8", "replace").split("\n")
    )
    return [line for line in lines if line and not line.startswith("#")]


def _pieces(one: ListFile) -> Iterator[bytes]:
    """The list in pieces of whole lines."""
    try:
        with _opened(one) as file:
            rest = b""
            while piece := file.read(_PIECE):
                whole, newline, rest = (rest + piece).rpartition(b"\n")
                yield whole + newline
            yield rest
    except _DAMAGE as error:
        raise RecipeError(
            f"{one.path}: expected a list, plain or gzipped, one name a line, got what cannot be read ({error}). "
            "What it lists would not be dropped. Fetch it again, or take it out of the recipe."
        ) from error


@contextmanager
def _opened(one: ListFile) -> Iterator[IO[bytes]]:
    if one.member:
        # Read as a stream: seeking back in gzip means unpacking from the start again.
        with tarfile.open(one.path, "r|gz") as archive:
            found = next((m for m in archive if m.name == one.member and m.isfile()), None)
            if found is None:
                raise tarfile.TarError(f"no file {one.member} in it")
            yield cast("IO[bytes]", archive.extractfile(found))
        return
    with one.path.open("rb") as file:
        if file.read(2) == b"\x1f\x8b":
            file.seek(0)
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=file))
        else:
            file.seek(0)
            yield file
