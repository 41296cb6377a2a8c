"""The files of a source: what `root`, `paths` and `take` in a recipe stand for on this machine.

    root: (none)    paths: ["crawl/**/*.warc.gz"]   ->  root crawl/,  a/1.warc.gz, a/2.warc.gz, ...
    root: books     paths: ["**/*.txt"]             ->  root books/,  en/1342.txt, ...
    root: /mnt/cc   paths: ["@warc.paths.gz"]       ->  root /mnt/cc, every line of the list

A file is known by its path below its root (POSIX, in code point order), which goes into every doc_id; the root
itself is this machine's business and is stored nowhere. Without `root`, a path's root is what stands before its
first wildcard, else its folder. Hidden files are passed over unless a pattern names them. Nothing is opened but
path lists; remote addresses are not read yet.
"""

from __future__ import annotations

import glob
import gzip
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from manifests.digest import hash64
from manifests.errors import RecipeError

__all__ = ["InputFile", "choose", "find_files", "repeated_files"]

_REMOTE = re.compile(r"[a-z][a-z0-9+.-]+://")
_WILDCARD = re.compile(r"[*?\[]")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of a source: `path` (POSIX) below `root`."""

    root: Path
    path: str

    @property
    def full(self) -> Path:
        """Where it is on this machine; never stored."""
        return self.root / self.path


def find_files(pattern: str, *, root: str | None, folder: Path) -> list[InputFile]:
    """Returns the files that one entry of `paths` names, in the order of their paths.

    folder: the recipe's, from which a relative `root`, a path list and, without `root`, patterns are taken.

    Raises: RecipeError if there is none, or one of a list is missing.
    """
    for address in (pattern.removeprefix("@"), root or ""):
        if _REMOTE.match(address):
            raise RecipeError(
                f"expected a local path, got {address}: remote paths are read by a later version"
            )
    base = folder / root if root is not None else None
    if pattern.startswith("@"):
        return _listed(folder / pattern[1:], base)
    return _matching(pattern, base if base is not None else None, folder)


def _matching(pattern: str, root: Path | None, folder: Path) -> list[InputFile]:
    literal = (root or folder) / pattern
    if literal.is_file():
        return [_below(root or literal.parent, literal)]
    fixed, wild = _cut_at_wildcard(pattern)
    base = root if root is not None else folder / fixed
    inside = pattern if root is not None else wild
    # glob and not Path.glob: its reading of ** and of links is the same in every Python we support.
    names = glob.glob(inside, root_dir=base, recursive=True) if inside else []
    files = [_below(base, base / name) for name in names if (base / name).is_file()]
    if not files:
        raise RecipeError(_nothing_found(pattern, base))
    return sorted(set(files), key=lambda file: file.path)


def _cut_at_wildcard(pattern: str) -> tuple[str, str]:
    """Returns the folders before the first wildcard, and the rest; the rest is empty if there is no wildcard."""
    parts = PurePosixPath(pattern).parts
    wild = next((i for i, part in enumerate(parts) if _WILDCARD.search(part)), len(parts))
    return str(PurePosixPath(*parts[:wild])), str(PurePosixPath(*parts[wild:])) if wild < len(parts) else ""


def _nothing_found(pattern: str, base: Path) -> str:
    if not _WILDCARD.search(pattern):
        return f'expected a file, found nothing at "{pattern}"'
    if not base.is_dir():
        return f'expected files like "{pattern}", but there is no folder {base}'
    return f'expected files like "{pattern}", found none below {base}'


def _below(root: Path, file: Path) -> InputFile:
    path = os.path.relpath(file, root)
    if path.startswith(".."):
        raise RecipeError(f"expected a path below root, got {file}; set root to a folder above it")
    return InputFile(root, PurePosixPath(path).as_posix())


def _listed(path: Path, root: Path | None) -> list[InputFile]:
    base = root if root is not None else path.parent
    files = []
    for line, entry in _entries(path):
        if root is None and Path(entry).is_absolute():
            raise RecipeError(
                f"{path}:{line}: expected a relative path, got {entry}; add  root: {Path(entry).parent}"
            )
        file = base / entry
        if not file.is_file():
            raise RecipeError(f"{path}:{line}: expected a file, found nothing at {file}")
        files.append(_below(base, file))
    if not files:
        raise RecipeError(f"{path}: expected a list of paths, got an empty file")
    return sorted(files, key=lambda file: file.path)


def _entries(path: Path) -> Iterator[tuple[int, str]]:
    """Yields (line number, path) of a plain or gzipped list, one path a line; blank lines and # are passed over."""
    for number, line in enumerate(_list_text(path).splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def _list_text(path: Path) -> str:
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data.startswith(_GZIP) else data
        return data.decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise RecipeError(
            f"{path}: expected a readable list of paths, plain or gzipped, got: {error}"
        ) from error


def choose(files: Sequence[InputFile], *, n_files: int, seed: int) -> list[InputFile]:
    """Returns `n_files` of `files`, chosen by hash of (seed, path), in the order of their paths.

    Raising `n_files` keeps those already chosen.
    """
    chosen = sorted(files, key=lambda file: (hash64("take", seed, file.path), file.path))[:n_files]
    return sorted(chosen, key=lambda file: file.path)


def repeated_files(files: Sequence[InputFile]) -> list[tuple[InputFile, InputFile]]:
    """Returns pairs that share a path below their roots, and would give their documents the same ids."""
    first: dict[str, InputFile] = {}
    return [(first[file.path], file) for file in files if first.setdefault(file.path, file) is not file]
