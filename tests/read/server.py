"""A web server of this machine for tests: files in memory, and the troubles servers have, in order."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Server:
    """files: path -> content; troubles: of the coming requests, in order: (status, 503), or (cut, after n bytes)."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    etag: str | None = '"one"'
    modified: str | None = None
    sized: bool = True
    troubles: list[tuple[str, int]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(**options: Any) -> Iterator[Server]:
    """A server on a free port of the loopback device, until the block ends."""
    server = Server(**options)
    handler = type("Handler", (_Handler,), {"about": server})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        server.url = f"http://127.0.0.1:{listening.server_address[1]}"
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    about: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.about.asked.append((self.path, wanted))
        kind, number = self.about.troubles.pop(0) if self.about.troubles else ("", 0)
        data = self.about.files.get(self.path)
        if kind == "status" or data is None:
            return self._head(number or 404, {"Content-Length": "0", "Retry-After": "0"})
        first, last = self._range(wanted, len(data))
        ranged = self.about.ranges and bool(wanted)
        if ranged and first >= len(data):
            return self._head(416, {"Content-Range": f"bytes */{len(data)}", "Content-Length": "0"})
        body = data[first : last + 1] if ranged else data
        fields = {"ETag": self.about.etag, "Last-Modified": self.about.modified}
        fields["Content-Length"] = str(len(body)) if self.about.sized else None
        fields["Content-Range"] = f"bytes {first}-{last}/{len(data)}" if ranged else None
        self._head(206 if ranged else 200, fields)
        try:
            self.wfile.write(body[:number] if kind == "cut" else body)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return None

    def _head(self, status: int, fields: dict[str, str | None]) -> None:
        self.send_response(status)
        for name, value in fields.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()

    @staticmethod
    def _range(wanted: str, size: int) -> tuple[int, int]:
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        first, last = (int(found[1]), int(found[2] or size)) if found else (0, size)
        return first, min(last, size - 1)
