"""A remote file as a seekable binary file: windows of it in memory, the next one fetched while this one is read.

    |64 K|128 K|256 K| ... |8 M      |8 M      |8 M      |        windows grow while reading goes forwards,
                                      kept      kept  <- ahead    start small again after a jump

So a look at a file's head or footer costs 64 KiB, and reading it through one round trip for 8 MiB, hidden behind
the work on the 8 MiB before. Memory: three windows, 24 MiB, and one ahead. Nothing is written to disk.

While a window is waited for, the heartbeat stands between records: a slow server is no document's fault.
"""

from __future__ import annotations

import io
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, BinaryIO, Protocol, cast

from manifests.errors import InputError
from pipelines import heartbeat
from pipelines.places import Found, check_address, is_web
from pipelines.remote.retry import tried

__all__ = ["LARGEST", "SMALLEST", "look_up", "open_remote"]

SMALLEST = 64 << 10
"""Bytes of the first window after a jump."""
LARGEST = 8 << 20
"""Bytes of the windows of a file that is read through."""
_N_KEPT = 3


class _File(Protocol):
    def fetch(self, start: int, end: int) -> bytes:
        """The bytes [start, end); fewer, and at least one, where no more came."""
        ...

    def close(self) -> None: ...


def look_up(address: str) -> Found:
    """Size and identity of a file, asked anew.

    Raises: InputError where it cannot be had; RecipeError where nothing can read such addresses.
    """
    check_address(address)
    if is_web(address):
        from pipelines.remote import web

        return tried(address, partial(web.look_up, address))
    from pipelines.remote import stores

    return tried(address, partial(stores.look_up, address))


def open_remote(address: str, expected: Found) -> BinaryIO:
    """The file at an address, which must still be the one expected; seekable, closed by the caller.

    Reading raises InputError where the file has changed, is gone, or does not come.
    """
    return cast("BinaryIO", io.BufferedReader(_Windows(address, expected), SMALLEST))


def _file(address: str, expected: Found) -> _File:
    if is_web(address):
        from pipelines.remote.web import WebFile

        return WebFile(address, expected)
    # fsspec takes 0.4 s to import.
    from pipelines.remote.stores import StoredFile

    return StoredFile(address, expected)


class _Windows(io.RawIOBase):
    """What `io.BufferedReader` reads from. One thread fetches, so a connection is never used by two."""

    def __init__(self, address: str, expected: Found) -> None:
        self._address = address
        self._file = _file(address, expected)
        self._size = expected.size
        self._at = 0
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=_N_KEPT)
        self._thread = ThreadPoolExecutor(1, "remote")
        self._ahead: tuple[int, Future[bytes]] | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"expected a position in a file, got {base + offset}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self._size or not len(buffer):
            return 0
        start, data = self._window()
        piece = memoryview(data)[self._at - start :][: len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._file.close()

    def _window(self) -> tuple[int, bytes]:
        """The window that holds the position, fetched where it is not kept."""
        for start, data in self._kept:
            if start <= self._at < start + len(data):
                return start, data
        last, data = self._kept[-1] if self._kept else (0, b"")
        goes_on = bool(data) and self._at == last + len(data)
        n_bytes = min(LARGEST, max(SMALLEST, 2 * len(data))) if goes_on else SMALLEST
        window = self._at, self._wait(self._asked(self._at, n_bytes))
        self._kept.append(window)
        if goes_on and n_bytes == LARGEST:
            self._look_ahead(self._at + len(window[1]))
        return window

    def _asked(self, start: int, n_bytes: int) -> Future[bytes]:
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == start:
            return ahead[1]
        fetch = partial(self._fetch, start, min(self._size, start + n_bytes))
        return self._thread.submit(tried, self._address, fetch)

    def _fetch(self, start: int, end: int) -> bytes:
        if self.closed:  # while a window ahead was fetched or waited to be tried again
            raise InputError(f"{self._address}: closed")
        return self._file.fetch(start, end)

    def _look_ahead(self, start: int) -> None:
        if start < self._size:
            self._ahead = start, self._asked(start, LARGEST)

    def _wait(self, fetched: Future[bytes]) -> bytes:
        with heartbeat.waiting():
            return fetched.result()
