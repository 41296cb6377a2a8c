"""The one way a file appears: whole, named, durable, and with its digest known.

    runs/tmp/<random>  ──write, hash──> flush ──> fsync(file) ──> rename ──> parts/<key>.parquet ──> fsync(folder)

A reader sees the old state or the new one and never a part of a file: a process killed at any moment leaves
at most a file below `runs/tmp`, which the next sweep of that store removes, and the folder with it if nothing
is being written there. Committing onto an existing name replaces it in one step. A file being written is locked
(flock) by its writer, and the system ends the lock of a dead one: so what is left behind is told from what is
being written, whatever process or machine asks.

Price: the hash is free beside the disk; the two fsyncs cost 1 to 10 ms on an SSD, so small files are packed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import xxhash

from manifests.digest import digest_file
from manifests.errors import DigestError, FormatError, MissingFileError

__all__ = ["CommitFile", "FileRef", "commit_bytes", "commit_file", "safe_relative", "sweep", "temp_dir"]

_N_RANDOM = 12  # bytes in the name of an unfinished file
_TEMP = re.compile(rf"[0-9a-f]{{{2 * _N_RANDOM}}}")


@dataclass(frozen=True, slots=True)
class FileRef:
    """A committed file: POSIX path below the store's root, size in bytes, xxh3-128 of its bytes."""

    path: str
    size: int
    digest: str

    def as_json(self) -> dict[str, Any]:
        """The reference as manifests spell it."""
        return {"digest": self.digest, "path": self.path, "size": self.size}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> FileRef:
        """The reference a manifest spells; refuses a path that leaves its folder."""
        return cls(path=safe_relative(value["path"]), size=value["size"], digest=value["digest"])

    def check(self, root: Path, *, deep: bool = False) -> Path:
        """The file's full path, after its size (and with `deep` its digest) was found right.

        Raises: MissingFileError, DigestError.
        """
        path = root / self.path
        try:
            size = path.stat().st_size
        except FileNotFoundError as error:
            raise MissingFileError(
                f"{path}: named by a manifest, not there. Build again to remake it."
            ) from error
        if size != self.size:
            raise DigestError(
                f"{path}: expected {self.size} bytes, found {size}. It was cut or replaced after it was written. "
                "Restore it, or delete it and build again."
            )
        if deep and (found := digest_file(path)) != self.digest:
            raise DigestError.of(path, self.digest, found)
        return path


def safe_relative(path: str) -> str:
    """`path` itself, if it is a relative POSIX path that stays below its root.

    Raises: FormatError for absolute paths, `..`, back-slashes, NUL and empty names.
    """
    parts = PurePosixPath(path).parts
    bad = not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path
    if bad or path != "/".join(parts):
        raise FormatError(
            f"{path!r}: a manifest names files by plain relative paths; this one could leave its folder."
        )
    return path


class CommitFile:
    """A file being written: a binary file object that hashes what passes, with no way to seek.

    pyarrow and numpy write to it as to any file object.
    """

    def __init__(self, fd: int, target: Path) -> None:
        self._fd = fd
        self._target = target
        self._state = xxhash.xxh3_128()
        self._pending = bytearray()
        self._written = 0
        self.closed = False

    def write(self, data: Any) -> int:
        """Append bytes (or any C-contiguous buffer); returns their number."""
        view = memoryview(data).cast("B")
        self._state.update(view)
        self._written += len(view)
        if len(view) < 1 << 16:
            self._pending += view
            if len(self._pending) >= 1 << 20:
                self._drain()
        else:
            self._drain()
            self._put(view)
        return len(view)

    def tell(self) -> int:
        """Bytes written so far."""
        return self._written

    def writable(self) -> bool:
        """True: pyarrow asks."""
        return True

    def readable(self) -> bool:
        """False: pyarrow asks."""
        return False

    def seekable(self) -> bool:
        """False: what was written stands."""
        return False

    def flush(self) -> None:
        """Hand pending bytes to the system."""
        self._drain()

    def close(self) -> None:
        """Nothing: the commit closes it."""

    def _drain(self) -> None:
        if self._pending:
            self._put(memoryview(self._pending))
            self._pending = bytearray()

    def _put(self, view: memoryview) -> None:
        with _named(self._target):
            while len(view):
                view = view[os.write(self._fd, view) :]

    def finish(self, path: str) -> FileRef:
        """Make the bytes durable and return their reference under `path`."""
        self._drain()
        with _named(self._target):
            os.fsync(self._fd)
        return FileRef(path=path, size=self._written, digest=self._state.hexdigest())


@contextmanager
def _named(target: Path) -> Iterator[None]:
    """Adds the file's name to an error of the system: a full disk names none."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error


def temp_dir(root: Path) -> Path:
    """Where unfinished files of the store `root` live."""
    return root / "runs" / "tmp"


def sweep(root: Path) -> int:
    """Remove what killed processes left unfinished; returns the number of files. What is being written stays.

    The folders of unfinished files go too, where that leaves nothing in them.
    """
    folder = temp_dir(root)
    try:
        left = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):  # or gone just now: another sweep's doing
        return 0
    # A folder of that name may be another's, such as a run that is called `tmp`.
    n_removed = sum(_removed(path) for path in left if _TEMP.fullmatch(path.name))
    with suppress(OSError):  # not there, or not empty
        folder.rmdir()
        folder.parent.rmdir()
    return n_removed


def _removed(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDWR)
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        return False  # just committed, another person's, or nothing of ours
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False  # being written: by a `plan` beside this build, say
    finally:
        os.close(fd)
    return True


def _open_temp(root: Path) -> tuple[int, Path]:
    swept: OSError = FileNotFoundError(errno.ENOENT, "swept as often as it was made", str(temp_dir(root)))
    for _ in range(100):
        temp = temp_dir(root) / secrets.token_hex(_N_RANDOM)
        try:
            temp.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except (FileNotFoundError, FileExistsError) as error:
            swept = error  # the folder was empty, and a sweep removed it in between
            continue
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return fd, temp
        os.close(fd)  # swept between its making and its locking
    raise swept


@contextmanager
def commit_file(root: Path, path: str) -> Iterator[_Commit]:
    """Write the file `root/path`; it appears when the block ends without an error, else not at all.

    with commit_file(store, "parts/9f3c.parquet") as commit:
        commit.file.write(b"...")
    commit.ref                       # FileRef: size and digest
    """
    target = root / safe_relative(path)
    _make_folder(target.parent)
    fd, temp = _open_temp(root)
    commit = _Commit(CommitFile(fd, target))
    try:
        yield commit
        commit.ref = commit.file.finish(path)
        temp.replace(target)
        _fsync_folder(target.parent)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    finally:
        commit.file.closed = True
        os.close(fd)


class _Commit:
    """What `commit_file` yields: `file` to write to, and `ref` once the block has ended."""

    def __init__(self, file: CommitFile) -> None:
        self.file = file
        self._ref: FileRef | None = None

    @property
    def ref(self) -> FileRef:
        assert self._ref is not None, "the commit has not ended"
        return self._ref

    @ref.setter
    def ref(self, value: FileRef) -> None:
        self._ref = value


def commit_bytes(root: Path, path: str, data: bytes) -> FileRef:
    """Write `data` as the file `root/path` in one commit."""
    with commit_file(root, path) as commit:
        commit.file.write(data)
    return commit.ref


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        _fsync_folder(folder.parent)


def _fsync_folder(folder: Path) -> None:
    # Without it a crash of the machine may forget the rename although the file's bytes are safe.
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
