"""Asking again: what may pass (a dropped connection, a busy server) is tried six times, what will not is not.

    call ── transient error ── 0.2 s ── call ── ... 1, 3, 10, 30 s ── call ── InputError with the address

A server that says how long to wait (Retry-After) is heard, up to a minute. Nothing here decides what a corpus
holds: a file is read whole or the unit fails.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from manifests.errors import InputError
from pipelines.places import redacted

__all__ = ["WAITS", "BusyError", "may_pass", "said", "tried"]

WAITS = [0.2, 1.0, 3.0, 10.0, 30.0]
"""Seconds between two tries."""
_LONGEST = 60.0
# Clients of stores have errors that are no OSError; those of clients that are not loaded cannot occur.
_FINAL = (
    ("builtins", "FileNotFoundError"),
    ("builtins", "PermissionError"),
    ("builtins", "IsADirectoryError"),
    ("builtins", "NotADirectoryError"),
    ("botocore.exceptions", "NoCredentialsError"),
    ("google.auth.exceptions", "DefaultCredentialsError"),
)
_PASSING = (
    ("builtins", "OSError"),
    ("http.client", "HTTPException"),
    ("aiohttp", "ClientError"),
    ("botocore.exceptions", "BotoCoreError"),
    ("azure.core.exceptions", "AzureError"),
    ("gcsfs.retry", "HttpError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("httpx", "TransportError"),
    ("httpx2", "TransportError"),
)
T = TypeVar("T")


class BusyError(OSError):
    """The server asks to come back, in `seconds` where it says so."""

    def __init__(self, message: str, seconds: float = 0.0) -> None:
        super().__init__(message)
        self.seconds = seconds


def tried(address: str, call: Callable[[], T]) -> T:
    """What `call` returns, tried again while its errors may pass.

    Raises: InputError, with the address, once they do not.
    """
    for wait in WAITS:
        try:
            return _once(address, call)
        except may_pass() as error:
            time.sleep(min(_LONGEST, max(wait, getattr(error, "seconds", 0.0))))
    try:
        return _once(address, call)
    except may_pass() as error:
        raise InputError(
            f"{address}: could not be read, tried {len(WAITS) + 1} times: {said(error)}. "
            "Nothing was made of it. Run the same command once the server answers: it goes on from here."
        ) from None


def _once(address: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except _loaded(_FINAL) as error:
        # The cause is not chained: what clients raise may repeat a signed address.
        raise InputError(f"{address}: expected a file that can be read, got {said(error)}") from None


def may_pass() -> tuple[type[BaseException], ...]:
    """The errors worth another try, those of clients that are not loaded left out."""
    return _loaded(_PASSING)


def said(error: BaseException) -> str:
    """An error as a message repeats it: its kind and text, without what may be secret."""
    return redacted(f"{type(error).__name__}: {error}")


def _loaded(names: Sequence[tuple[str, str]]) -> tuple[type[BaseException], ...]:
    found = ((sys.modules.get(module), name) for module, name in names)
    return tuple(getattr(module, name) for module, name in found if hasattr(module, name))
