"""The files of a source: what `root`, `paths` and `take` in a recipe stand for on this machine.

    root: (none)    paths: ["crawl/**/*.warc.gz"]   ->  root crawl/,  a/1.warc.gz, a/2.warc.gz, ...
    root: books     paths: ["**/*.txt"]             ->  root books/,  en/1342.txt, ...
    root: /mnt/cc   paths: ["@warc.paths.gz"]       ->  root /mnt/cc, every line of the list
    root: (none)    paths: ["s3://bucket/2024/**/*.gz"]     ->  root s3://bucket/2024,  05/1.warc.gz, ...
    root: https://data.commoncrawl.org    paths: ["@warc.paths.gz"]       ->  that root, every line of the list
    paths: [{dataset: wiki, config: de, split: train}]  ->  root wiki/,  a Hugging Face folder (datasets.py)

A file is known by its path below its root (POSIX, in code point order), which goes into every doc_id; the root
itself is this machine's business and is stored nowhere. Without `root`, a path's root is what stands before its
first wildcard, else its folder. Hidden files are passed over unless a pattern names them. Nothing is opened but
path lists.

Addresses are those of web servers and of whatever fsspec reads. Wildcards need a store that lists; a web server
does not. That a remote file is there is asked where its size is (`filelist.py`), of many at once.
"""

from __future__ import annotations

import glob
import gzip
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from manifests.digest import hash64
from manifests.errors import InputError, RecipeError
from manifests.nearby import did_you_mean_path, found_at, names_in
from pipelines.datasets import dataset_files
from pipelines.places import Found, Root, check_address, full_path, is_remote, is_web, place_of, redacted

__all__ = ["InputFile", "choose", "find_dataset", "find_files", "readable_address", "repeated_files"]

_WILDCARD = re.compile(r"[*?\[]")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file of a source: `path` (POSIX) below `root`. found: what the store said of it when it was listed."""

    root: Root
    path: str
    found: Found | None = field(default=None, compare=False)

    @property
    def full(self) -> Path:
        """Where it is on this machine; never stored.

        Raises: UsageError for a remote file.
        """
        return full_path(self.root, self.path)

    @property
    def where(self) -> str:
        """Its path on this machine, or its address."""
        return place_of(self.root, self.path)


def find_files(pattern: str, *, root: str | None, folder: Path) -> list[InputFile]:
    """Returns the files that one entry of `paths` names, in the order of their paths.

    folder: the recipe's, from which a relative `root`, a path list and, without `root`, patterns are taken.

    Raises: RecipeError if there is none, or one of a list is missing on this machine.
    """
    base = None if root is None else _placed(root, folder)
    if pattern.startswith("@"):
        return _listed(_list(pattern[1:], folder), base)
    if is_remote(pattern) or isinstance(base, str):
        return _remote(pattern, base)
    return _matching(pattern, base, folder)


def _placed(text: str, folder: Path) -> Root:
    return readable_address(text) if is_remote(text) else folder / text


def readable_address(address: str) -> str:
    """The address, found to name a place and no secret, in a protocol that something reads; nothing is asked there.

    Raises: RecipeError.
    """
    check_address(address)
    if not is_web(address):
        from pipelines.remote.stores import check_protocol  # fsspec takes 0.4 s to import

        check_protocol(address)
    return address


def _list(text: str, folder: Path) -> Root:
    """The place of a path list.

    Raises: RecipeError if it should be on this machine and is not.
    """
    path = _placed(text, folder)
    if isinstance(path, Path) and not path.exists():
        near = did_you_mean_path(text, folder)
        raise RecipeError(f"{path}: expected a readable list of paths, plain or gzipped, found nothing{near}")
    return path


def find_dataset(
    name: str, *, config: str | None, split: str, root: str | None, folder: Path
) -> list[InputFile]:
    """Returns the files of a split of the dataset folder `name`, in the order of their paths; its root without `root`.

    Raises: RecipeError that lists the configurations or splits there are.
    """
    if is_remote(name) or is_remote(root or ""):
        raise RecipeError(
            f"expected a dataset's folder on this machine, got {redacted(root or name)}; download it, or name its "
            'files: "hf://datasets/ORG/NAME@REVISION/data/train-*.parquet"'
        )
    base = folder / root if root is not None else folder
    if not (base / name).is_dir():
        near = did_you_mean_path(name, base, fits=Path.is_dir)
        raise RecipeError(f'expected a dataset\'s folder, found none at "{name}"{near}')
    found = dataset_files(base / name, config=config, split=split)
    return [_below(base if root is not None else base / name, base / name / path) for path in found]


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
        raise RecipeError(_nothing_found(pattern, base, root or folder))
    return sorted(set(files), key=lambda file: file.path)


def _cut_at_wildcard(pattern: str) -> tuple[str, str]:
    """Returns the folders before the first wildcard, and the rest; the rest is empty if there is no wildcard."""
    parts = PurePosixPath(pattern).parts
    wild = next((i for i, part in enumerate(parts) if _WILDCARD.search(part)), len(parts))
    return str(PurePosixPath(*parts[:wild])), str(PurePosixPath(*parts[wild:])) if wild < len(parts) else ""


def _nothing_found(pattern: str, base: Path, folder: Path) -> str:
    """base: below which files were looked for; folder: from which the pattern is taken."""
    if not _WILDCARD.search(pattern):
        return f"expected a file, {found_at(pattern, folder)}{_instead(pattern, folder)}"
    near = did_you_mean_path(pattern, folder)
    if not base.is_dir():
        return f'expected files like "{pattern}", but there is no folder {base}{near}'
    return f'expected files like "{pattern}", found none below {base}{near}'


def _instead(path: str, folder: Path) -> str:
    """What to write in place of a path that is no file: of a folder, the pattern of what is in it."""
    if not path or not (folder / path).is_dir():
        return did_you_mean_path(path, folder)
    inside = [folder / path / name for name in names_in(folder / path) if not name.startswith(".")]
    wild = "*" if any(each.is_file() for each in inside) else "**/*"
    return f'; write "{path.rstrip("/")}/{wild}" for the files in it' if inside else ""


def _below(root: Path, file: Path) -> InputFile:
    path = os.path.relpath(file, root)
    if path.startswith(".."):
        raise RecipeError(f"expected a path below root, got {file}; set root to a folder above it")
    return InputFile(root, PurePosixPath(path).as_posix())


def _remote(pattern: str, root: Root | None) -> list[InputFile]:
    base, inside = _split_address(readable_address(_address(pattern, root)), root)
    if "*" not in inside and (is_web(base) or not _WILDCARD.search(inside)):
        return [InputFile(base, inside)]
    if is_web(base):
        raise RecipeError(
            f"expected an address without wildcards, got {place_of(base, inside)}: a web server lists nothing. Name "
            'every file, or a list of their paths ("@https://...")'
        )
    from pipelines.remote.stores import list_below

    try:
        files = [InputFile(base, path, found) for path, found in list_below(base, inside)]
    except InputError as error:
        raise RecipeError(str(error)) from None
    if not files:
        raise RecipeError(f'expected files like "{inside}", found none below {base}')
    return files


def _address(pattern: str, root: Root | None) -> str:
    """The address of a pattern or of a list's line, which must lie below the root."""
    if not is_remote(pattern):
        assert isinstance(root, str)
        if pattern.startswith("/"):
            raise RecipeError(f"expected a path below root, got {redacted(pattern)}; root is {root}")
        return place_of(root, pattern)
    check_address(pattern)  # before it is repeated
    if root is not None and not pattern.startswith(place_of(root, "")):
        raise RecipeError(f"expected a path below root, got {pattern}; root is {root}")
    return pattern


def _split_address(address: str, root: Root | None) -> tuple[str, str]:
    """(root, path below it): without a declared root, the folders before the first wildcard, else the folder."""
    if isinstance(root, str):
        root = root.rstrip("/")
        return root, address.removeprefix(root).lstrip("/")
    protocol, _, rest = address.partition("://")
    authority, *parts = rest.split("/")
    wild = next((i for i, part in enumerate(parts) if _WILDCARD.search(part)), len(parts) - 1)
    if _WILDCARD.search(authority) or not parts or not parts[-1]:
        raise RecipeError(f"expected the address of a file or of files in a folder, got {address}")
    return f"{protocol}://" + "/".join([authority, *parts[:wild]]), "/".join(parts[wild:])


def _listed(path: Root, root: Root | None) -> list[InputFile]:
    base = root if root is not None else _parent(path)
    files = [_entry(f"{path}:{line}", entry, base, given=root is not None) for line, entry in _entries(path)]
    if not files:
        raise RecipeError(f"{path}: expected a list of paths, got an empty file")
    return sorted(files, key=lambda file: file.path)


def _parent(path: Root) -> Root:
    return path.rpartition("/")[0] if isinstance(path, str) else path.parent


def _entry(line: str, entry: str, base: Root, *, given: bool) -> InputFile:
    """The file that a line of a list names."""
    absolute = is_remote(entry) or Path(entry).is_absolute()
    if absolute and not given:
        raise RecipeError(
            f"{line}: expected a relative path, got {redacted(entry)}; add  root: {redacted(entry).rpartition('/')[0]}"
        )
    if isinstance(base, str):
        try:
            return InputFile(*_split_address(check_address(_address(entry, base)), base))
        except RecipeError as error:
            raise RecipeError(f"{line}: {error}") from None
    if is_remote(entry):
        raise RecipeError(f"{line}: expected a path below {base}, got {redacted(entry)}")
    if not (base / entry).is_file():
        near = did_you_mean_path(entry, base)
        raise RecipeError(f"{line}: expected a file, found nothing at {base / entry}{near}")
    return _below(base, base / entry)


def _entries(path: Root) -> Iterator[tuple[int, str]]:
    """Yields (line number, path) of a plain or gzipped list, one path a line; blank lines and # are passed over."""
    for number, line in enumerate(_list_text(path).splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def _list_text(path: Root) -> str:
    try:
        data = _list_bytes(path)
        data = gzip.decompress(data) if data.startswith(_GZIP) else data
        return data.decode("utf-8")
    except (InputError, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise RecipeError(
            f"{path}: expected a readable list of paths, plain or gzipped, got: {error}"
        ) from error


def _list_bytes(path: Root) -> bytes:
    if isinstance(path, Path):
        return path.read_bytes()
    from pipelines.remote.stream import look_up, open_remote

    with open_remote(path, look_up(path)) as stream:
        return stream.read()


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
