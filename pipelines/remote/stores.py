"""Files of object stores and other file systems, through fsspec: s3, gs, abfs, hf, sftp, memory, ...

    s3://bucket/crawl + 2024/**/*.gz   ->  [("2024/01/a.gz", Found(1234, "etag:...")), ...]
    s3://bucket/crawl/a.gz             ->  Found, then bytes by range

Wildcards mean what they mean for local files (`*` within a name, `**` any folders, hidden names only where they are
named), whatever a store's own would. Credentials and endpoints are fsspec's and its clients' own business: their
environment variables, and the files in ~/.config/fsspec.

Identity: the strongest of what a store says, a digest of the content before an ETag before the time of change. It
is compared when a file is opened; a file that changes while it is read is not noticed by every store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, TypeVar

import fsspec
from fsspec.registry import known_implementations

from manifests.errors import InputError, RecipeError
from manifests.mistakes import did_you_mean
from pipelines.places import Found, redacted
from pipelines.remote.retry import may_pass, said, tried
from pipelines.remote.web import changed

__all__ = ["StoredFile", "check_protocol", "list_below", "look_up", "matches"]

# What stores call a digest of the content, an ETag, a time of change; the strongest first.
_IDENTITIES = (
    ("sha256", ("sha256",)),
    ("md5", ("md5Hash", "md5", "content_md5")),
    ("crc32c", ("crc32c",)),
    ("etag", ("ETag", "etag")),
    ("blob", ("blob_id", "sha")),
    ("modified", ("LastModified", "last_modified", "updated", "mtime", "modified", "created")),
)
T = TypeVar("T")


def look_up(address: str) -> Found:
    """Size and identity of a file; OSError and what else `may_pass` names may pass.

    Raises: FileNotFoundError, InputError, RecipeError where nothing can read such addresses.
    """
    return _asked(address, *_files_of(address))


def _asked(address: str, files: Any, path: str) -> Found:
    files.invalidate_cache()
    info = _of_client(address, partial(files.info, path))
    if info.get("type") == "directory":
        raise IsADirectoryError(f"{path} is a folder")
    return _found(info)


def list_below(address: str, pattern: str) -> list[tuple[str, Found]]:
    """(path below the address, what the store says) of every file the pattern names.

    Raises: InputError, RecipeError where nothing can read such addresses.
    """
    files, path = tried(address, partial(_files_of, address))
    files.invalidate_cache()
    wanted = pattern.split("/")
    depth = None if "**" in wanted else len(wanted)
    find = partial(_find, files, path, depth)
    found = tried(address, partial(_of_client, address, find))
    prefix = path.rstrip("/") + "/" if path.strip("/") else path
    below = {name.removeprefix(prefix).lstrip("/"): info for name, info in found.items()}
    return [(name, _found(info)) for name, info in sorted(below.items()) if matches(name.split("/"), wanted)]


def _find(files: Any, path: str, depth: int | None) -> Mapping[str, Mapping[str, Any]]:
    try:
        found: Mapping[str, Mapping[str, Any]] = files.find(path, maxdepth=depth, detail=True)
    except FileNotFoundError:
        return {}
    return found


def matches(parts: list[str], pattern: list[str]) -> bool:
    """Whether a path is one of those a pattern names, both in parts, as `glob` reads them.

    >>> [matches(path.split("/"), ["**", "*.gz"]) for path in ("a.gz", "a/b/c.gz", "a/.b/c.gz", "a/c.txt")]
    [True, True, False, False]
    """
    if not pattern:
        return not parts
    if pattern[0] != "**":
        return bool(parts) and _is_named(parts[0], pattern[0]) and matches(parts[1:], pattern[1:])
    deeper = bool(parts) and not parts[0].startswith(".") and matches(parts[1:], pattern)
    return deeper or matches(parts, pattern[1:])


def _is_named(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) and (pattern.startswith(".") or not name.startswith("."))


class StoredFile:
    """A file's bytes by range, if it is still the one that was `expected`."""

    def __init__(self, address: str, expected: Found) -> None:
        self._address = address
        self._expected = expected
        self._seen = False
        # Here, and not where the bytes are fetched: fsspec makes a client for every thread that asks for one.
        self._files, self._path = tried(address, partial(_files_of, address))

    def fetch(self, start: int, end: int) -> bytes:
        """The bytes [start, end); OSError and what else `may_pass` names may pass.

        Raises: InputError if it is another file by now, or the client cannot read it.
        """
        if not self._seen and (found := _asked(self._address, self._files, self._path)) != self._expected:
            raise changed(self._address, self._expected, found)
        self._seen = True
        read = partial(self._files.cat_file, self._path, start=start, end=end)
        data: bytes = _of_client(self._address, read)
        if len(data) != end - start:
            raise ConnectionError(f"asked for {end - start} bytes from {start} on, got {len(data)}")
        return data

    def close(self) -> None:
        """Connections are the client's."""


def _files_of(address: str) -> tuple[Any, str]:
    """(file system, path in it); fsspec keeps one file system for equal addresses. Some connect here already."""
    return _of_client(address, partial(_made, address))


def _made(address: str) -> tuple[Any, str]:
    with _of_known_protocol(address):
        files, path = fsspec.core.url_to_fs(address)
    return files, path


def check_protocol(address: str) -> None:
    """Asks for the client of an address, which connects to nothing.

    Raises: RecipeError where nothing can read such addresses.
    """
    with _of_known_protocol(address):
        fsspec.get_filesystem_class(address.partition("://")[0])


@contextmanager
def _of_known_protocol(address: str) -> Iterator[None]:
    protocol = address.partition("://")[0]
    try:
        yield
    except ImportError as error:
        raise RecipeError(_missing(protocol, error)) from None
    except ValueError as error:
        near = "" if protocol in known_implementations else did_you_mean(protocol, known_implementations)
        raise RecipeError(
            f"expected an address of a known protocol, got {address}: {redacted(str(error))}{near}"
        ) from None


def _of_client(address: str, call: Callable[[], T]) -> T:
    """What `call` into a store's client returns; its errors that may pass go on as they are.

    Raises: InputError for every other one, as the errors of clients have no common class.
    """
    try:
        return call()
    except may_pass():
        raise
    except (RecipeError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - clients are anybody's packages
        # The cause is not chained: what clients raise may repeat a signed address.
        raise InputError(f"{address}: expected a file its client can read, got {said(error)}") from None


def _missing(protocol: str, error: ImportError) -> str:
    known = known_implementations.get(protocol, {})
    package = known.get("class", "").partition(".")[0]
    if package in (
        "",
        "fsspec",
    ):  # a client inside fsspec that needs a package of another name: it says which
        return f"expected a client for {protocol}://, found none: {known.get('err', error)}"
    return f"expected a client for {protocol}://, found none; run  pip install {package}"


def _found(info: Mapping[str, Any]) -> Found:
    size = info.get("size")
    if size is None:
        raise RecipeError(f"{info.get('name')}: expected a file, the store does not say how large it is")
    return Found(int(size), _identity({**info, "sha256": _lfs_digest(info)}, int(size)))


def _lfs_digest(info: Mapping[str, Any]) -> Any:
    # The hub's digest of a large file; a plain mapping or an object with the same field.
    large = info.get("lfs")
    return large.get("sha256") if isinstance(large, Mapping) else getattr(large, "sha256", None)


def _identity(info: Mapping[str, Any], size: int) -> str:
    for kind, names in _IDENTITIES:
        for value in (info.get(name) for name in names):
            if value is not None and value != "":
                return f"{kind}:{_spelt(value)}"
    return f"size:{size}"


def _spelt(value: Any) -> str:
    # A listing and a look-up may give one moment as a number and as a date.
    if isinstance(value, datetime):
        value = value.timestamp()
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    return str(round(value * 1e6)) if isinstance(value, int | float) else str(value).replace('"', "")
