"""Files of web servers, by HTTP: one answer read forwards as long as reading goes forwards.

    GET, Range: bytes=0-0       ->  206, Content-Range: bytes 0-0/1234, ETag      look_up: size 1234, etag:...
    GET, Range: bytes=4096-     ->  206, then read on: 4096.., 8192.., ...        fetch, fetch, ...
    GET, Range: bytes=4096-     ->  200, the whole file                           a server without ranges: the
                                                                                  first 4096 bytes are passed over

An answer of another size or identity than the planned one is an error: the file has changed. Price: one request
for every jump, not for every block; from a server without ranges every jump backwards reads the file from its
start. What came before a connection dropped is kept, so a link is read through however often it drops. What a
server packs on the way (Content-Encoding) is asked not to be and never unpacked.

Of the standard library alone, so that a crawl can be read from its web server without a further package.
Source: RFC 9110, sections 8.8 (validators) and 14 (ranges).
"""

from __future__ import annotations

import io
import re
import socket
import ssl
from contextlib import suppress
from email.message import Message
from http.client import HTTPException, HTTPResponse
from typing import cast
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from manifests.errors import InputError
from pipelines.places import Found
from pipelines.remote.retry import BusyError

__all__ = ["WebFile", "changed", "look_up"]

_SECONDS = 60.0
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_TOTAL = re.compile(r"bytes\s+(?:(\d+)-\d+|\*)/(\d+)")
_PIECE = 1 << 20
_NEAR = 1 << 20  # reading over this many bytes costs less than asking again


def look_up(address: str) -> Found:
    """Size and identity of a file, for one request; OSError and HTTPException may pass.

    Raises: InputError.
    """
    with _ask(address, "bytes=0-0") as answer:
        return _found(address, answer.status, answer.headers)


class WebFile:
    """A file's bytes by range, if it is still the one that was `expected`."""

    def __init__(self, address: str, expected: Found) -> None:
        self._address = address
        self._expected = expected
        self._answer: HTTPResponse | None = None
        self._at = 0
        self._near: float = _NEAR

    def fetch(self, start: int, end: int) -> bytes:
        """The bytes [start, end), or those of them that came before the connection dropped, at least one.

        OSError and HTTPException, raised where none came, may pass.

        Raises: InputError if it is not there, not readable or another file by now.
        """
        try:
            if self._answer is None or not 0 <= start - self._at <= self._near:
                self._open(start)
            self._skip(start - self._at)
        except (OSError, HTTPException):
            self.close()
            raise
        return self._read(end - start)

    def close(self) -> None:
        """Give up the connection; `fetch` makes another."""
        if self._answer is not None:
            self._answer.close()
        self._answer = None

    def _open(self, start: int) -> None:
        self.close()
        answer = _ask(self._address, f"bytes={start}-")
        self._answer = answer
        found = _found(self._address, answer.status, answer.headers)
        if found != self._expected:
            raise changed(self._address, self._expected, found)
        whole = answer.status != 206
        self._at = 0 if whole else _first(self._address, answer.headers, start)
        self._near = float("inf") if whole else _NEAR

    def _skip(self, n_bytes: int) -> None:
        while n_bytes > 0:
            n_bytes -= len(self._piece(n_bytes))

    def _read(self, n_bytes: int) -> bytes:
        came = io.BytesIO()  # whose bytes are handed on, not copied
        try:
            while came.tell() < n_bytes:
                came.write(self._piece(n_bytes - came.tell()))
        except (OSError, HTTPException):
            self.close()
            if not came.tell():
                raise
        return came.getvalue()

    def _piece(self, n_bytes: int) -> bytes:
        # read1, for read loses what it had when the connection is reset.
        assert self._answer is not None
        data = self._answer.read1(min(n_bytes, _PIECE))
        if not data:
            raise ConnectionError(f"the connection ended at byte {self._at}")
        self._at += len(data)
        return data


def changed(address: str, expected: Found, found: Found) -> InputError:
    """The error for a file that is no longer the planned one."""
    return InputError(
        f"{address}: expected {expected.identity} of {expected.size} bytes, as planned, found {found.identity} of "
        f"{found.size} bytes. The file changed since the build was planned, so its documents would belong to no "
        "plan. Run the same command again: what was made of the other files stands."
    )


def _ask(address: str, wanted: str) -> HTTPResponse:
    headers = {"Range": wanted, "Accept-Encoding": "identity", "User-Agent": "quern"}
    request = Request(quote(address, safe="%/:@!$&'()*+,;=~-._[]"), headers=headers)  # noqa: S310 - of http and https only
    try:
        return cast("HTTPResponse", urlopen(request, timeout=_SECONDS))  # noqa: S310
    except HTTPError as error:
        return _refused(address, error)
    except URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError) or _is_unknown(error.reason):
            raise InputError(f"{address}: expected a server, got {error.reason}") from None
        raise ConnectionError(f"no connection: {error.reason}") from None


def _is_unknown(reason: object) -> bool:
    return isinstance(reason, socket.gaierror) and reason.errno == socket.EAI_NONAME


def _refused(address: str, error: HTTPError) -> HTTPResponse:
    """The answer to a range that begins behind the end of an empty file.

    Raises: BusyError for what may pass, InputError for what will not.
    """
    if error.code == 416 and error.headers.get("Content-Range", "").strip() == "bytes */0":
        return cast("HTTPResponse", error)
    error.close()
    if error.code in _BUSY:
        raise BusyError(f"the server answered {error.code} {error.reason}", _seconds(error.headers))
    raise InputError(f"{address}: expected a file, the server answered {error.code} {error.reason}")


def _seconds(headers: Message) -> float:
    with suppress(ValueError):  # it may also be a date, which is not worth the trouble
        return float(headers.get("Retry-After", ""))
    return 0.0


def _found(address: str, status: int, headers: Message) -> Found:
    total = _TOTAL.fullmatch(headers.get("Content-Range", "").strip())
    size = total.group(2) if total else headers.get("Content-Length", "") if status == 200 else ""
    if not size.isdecimal():
        raise InputError(
            f"{address}: expected a file, the server does not say how large it is (it may make the page anew each "
            "time). Download it, and name the copy in `paths`"
        )
    if etag := headers.get("ETag"):
        return Found(int(size), "etag:" + etag.replace('"', ""))
    modified = headers.get("Last-Modified")
    return Found(int(size), f"modified:{modified}" if modified else f"size:{size}")


def _first(address: str, headers: Message, start: int) -> int:
    part = _TOTAL.fullmatch(headers.get("Content-Range", "").strip())
    if part is None or part.group(1) != str(start):
        raise InputError(f"{address}: asked for bytes from {start} on, the server sent others")
    return start
