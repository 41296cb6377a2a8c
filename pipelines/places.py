"""Where input files lie: below a folder of this machine, or below an address of a server or a store.

    crawl/a.warc.gz                        Path("crawl")              a.warc.gz
    https://host/crawl/a.warc.gz           "https://host/crawl"       a.warc.gz
    s3://bucket/crawl/**/*.warc.gz         "s3://bucket/crawl"        2024/a.warc.gz, ...

A root is a `Path` or, where it is remote, a string. Nothing is opened here, and nothing heavy imported: what
reads remote files (`pipelines.remote`) is loaded only where a recipe names one.

An address carries no secret: it stands in messages and in the specifications of a build's tasks. One with a
password or a query (the signature of a presigned link) is refused and not repeated. Stores get their credentials
from the environment and the configuration files of their own clients.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from manifests.errors import RecipeError, UsageError

__all__ = [
    "Found",
    "Root",
    "check_address",
    "escaped",
    "full_path",
    "is_remote",
    "is_utf8",
    "is_web",
    "place_of",
    "redacted",
    "root_of",
    "spelt_root",
]

Root = Path | str

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(::[A-Za-z0-9+.-]+)*://")
_USER = re.compile(r"(?<=://)[^/\s@]*@")
_QUERY = re.compile(r"\?[^\s'\"<>)]+")


@dataclass(frozen=True, slots=True)
class Found:
    """What a server says of a file: size in bytes, and what tells this content from another (`etag:6f1e`)."""

    size: int
    identity: str


def is_remote(text: str) -> bool:
    """Whether a path is an address.

    >>> [is_remote(text) for text in ("s3://bucket/a.gz", "https://host/a", "crawl/a.gz", "/mnt/a:b")]
    [True, True, False, False]
    """
    return _REMOTE.match(text) is not None


def is_web(address: str) -> bool:
    """Whether an address is of a web server, which lists nothing and takes `?` for a query."""
    return address.partition("://")[0].lower() in ("http", "https")


def is_utf8(name: str) -> bool:
    r"""Whether a name is Unicode: of another's bytes Python makes lone surrogates, which no file of ours can hold.

    >>> is_utf8("b\u00ff.txt"), is_utf8("b\udcff.txt")
    (True, False)
    """
    return not any("\ud800" <= char <= "\udfff" for char in name)


def escaped(name: str) -> str:
    r"""A name with what is no Unicode in it written as escapes.

    >>> escaped("b\udcff.txt")
    'b\\udcff.txt'
    """
    return name.encode("utf-8", "backslashreplace").decode()


def root_of(text: str) -> Root:
    """The root that a task's specification spells as text."""
    return text if is_remote(text) else Path(text)


def spelt_root(root: Root) -> str:
    """A root as a task's specification spells it: absolute."""
    return root if isinstance(root, str) else str(root.absolute())


def full_path(root: Root, path: str) -> Path:
    """The place of `path` below a root of this machine.

    Raises: UsageError for a remote root.
    """
    if isinstance(root, str):
        raise UsageError(
            f"{place_of(root, path)}: expected a file of this machine, for what reads it needs a path. Download it, "
            "and name the copy in `paths`"
        )
    return root / path


def place_of(root: Root, path: str) -> str:
    """The full path of `path` below a root, or its address."""
    return f"{root.rstrip('/')}/{path}" if isinstance(root, str) else str(root / path)


def redacted(text: str) -> str:
    """A message without what may be secret in the addresses it repeats.

    >>> redacted("no answer from https://me:pass@host/a?Signature=abc in 3 s")
    'no answer from https://host/a?... in 3 s'
    """
    return _QUERY.sub("?...", _USER.sub("", text))


def check_address(address: str) -> str:
    """The address, found to name a place and no secret.

    Raises: RecipeError.
    """
    protocol, _, rest = address.partition("://")
    user, at, _ = rest.partition("/")[0].rpartition("@")
    if "::" in protocol:
        raise RecipeError(
            f"expected one protocol, got {protocol}://: remote files are streamed, never stored or unpacked first"
        )
    if at and (is_web(address) or ":" in user):
        raise RecipeError(_secret(address, "a user or password"))
    if (is_web(address) and ("?" in rest or "#" in rest)) or re.search(r"\?[^/]*=", rest):
        raise RecipeError(_secret(address, "a query"))
    if {".", ".."} & set(PurePosixPath(rest).parts) or "/./" in rest:
        raise RecipeError(f"expected an address without . and .., got {redacted(address)}")
    return address


def _secret(address: str, what: str) -> str:
    return (
        f"expected an address without {what}, got {redacted(address)}: it would be written into the build's folder. "
        "Give the plain address; credentials are taken from the environment or the store's own configuration"
    )
