"""Names for bytes: canonical JSON, xxh3-128 digests, keys, and files that carry their own digest.

    value ──canonical()──> b'{"a":1,"b":"0.3"}' ──digest_bytes()──> "9f3c…" (32 hex digits)

    sealed file   {"a":1,"b":"0.3","digest":"9f3c…"}\\n
                   └──── digest of the rest ────┘

Canonical JSON has sorted keys, no white space, UTF-8 without escapes beyond JSON's own, and no floats: a
weight is an integer share, a threshold a decimal string. One value therefore has one spelling, so equal
digests mean equal values and a reader may refuse every other spelling.

xxh3-128 is not a cryptographic hash: it finds damage and names results; it does not stop a forger.
Price: about 10 GB/s for files in the page cache.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import xxhash

from manifests.errors import DigestError, FormatError, MissingFileError

__all__ = [
    "canonical",
    "digest_bytes",
    "digest_file",
    "digest_value",
    "doc_id",
    "hash64",
    "piece_id",
    "plain",
    "read_sealed",
    "seal",
    "unseal",
]

_CHUNK = 1 << 20


def digest_bytes(data: bytes) -> str:
    """The xxh3-128 of `data` as 32 hex digits.

    >>> digest_bytes(b"")
    '99aa06d3014798d86001c324468d497f'
    """
    return xxhash.xxh3_128_hexdigest(data)


def digest_file(path: Path) -> str:
    """The xxh3-128 of a file's bytes, read once in 1 MiB pieces.

    Raises: MissingFileError.
    """
    state = xxhash.xxh3_128()
    try:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                state.update(chunk)
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{path}: expected a file, found nothing. Build again to remake it."
        ) from error
    return state.hexdigest()


def plain(value: Any) -> Any:
    """`value` with what canonical JSON has no spelling for turned into strings.

    Floats become the shortest decimal string that reads back equal, fractions `p/q`, paths POSIX, tuples
    and sets lists (sets sorted).

    >>> plain({"min": 0.3, "names": ("a", "b")})
    {'min': '0.3', 'names': ['a', 'b']}
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(v) for v in value)
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Decimal | Fraction):
        return str(value)
    return value.as_posix() if isinstance(value, Path) else value


def _refuse_floats(value: Any, where: str) -> None:
    if value is None or isinstance(value, str | bool | int):
        return
    if isinstance(value, list):
        for i, item in enumerate(value):
            _refuse_floats(item, f"{where}[{i}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_floats(item, f"{where}.{key}")
    else:
        raise TypeError(f"{where or 'value'}: canonical JSON has no {type(value).__name__} ({value!r})")


def canonical(value: Any) -> bytes:
    """The one spelling of `value` as JSON.

    Raises: TypeError for floats and other types that have no single spelling (a bug of ours).

    >>> canonical({"b": [1, None], "a": "é"})
    b'{"a":"\\xc3\\xa9","b":[1,null]}'
    """
    _refuse_floats(value, "")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def digest_value(value: Any) -> str:
    """The digest of a value's canonical JSON: how every key of a step, a task or a manifest is made."""
    return digest_bytes(canonical(value))


def seal(value: Mapping[str, Any]) -> bytes:
    """The bytes of a sealed JSON file: the canonical object, ending with the digest of the rest."""
    if "digest" in value:
        raise TypeError("a sealed value gets its digest here; it cannot bring one")
    body = canonical(dict(value))
    comma = b"," if value else b""
    return body[:-1] + comma + b'"digest":"' + digest_bytes(body).encode() + b'"}\n'


def unseal(data: bytes, where: object) -> dict[str, Any]:
    """The value of sealed bytes, its `digest` included.

    Raises: FormatError when the bytes are not the canonical form; DigestError when the digest differs.
    """
    value = _parse(data, where)
    found = value.pop("digest")
    body = canonical(value)
    if found != (expected := digest_bytes(body)):
        raise DigestError.of(where, str(found), expected)
    if data != seal(value):
        raise FormatError(
            f"{where}: expected canonical JSON (sorted keys, no white space), found another spelling. Two "
            "spellings of one value would have two digests. Write it with Quern instead of by hand."
        )
    return {**value, "digest": found}


def _parse(data: bytes, where: object) -> dict[str, Any]:
    try:
        value = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise FormatError(
            f"{where}: expected sealed JSON, found other bytes ({error}). Restore or rebuild it."
        ) from error
    if not isinstance(value, dict) or not isinstance(value.get("digest"), str):
        raise FormatError(
            f"{where}: expected a JSON object that ends with its digest, found none. Restore or rebuild it."
        )
    try:
        _refuse_floats(value, "")
    except TypeError as error:
        raise FormatError(
            f"{where}: {error}. Quern writes none, so something else wrote this file."
        ) from error
    return value


def read_sealed(path: Path) -> dict[str, Any]:
    """The verified value of a sealed JSON file.

    Raises: MissingFileError, FormatError, DigestError.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{path}: expected a file, found nothing. Build again to remake it."
        ) from error
    return unseal(data, path)


def hash64(*parts: bytes | str | int) -> int:
    """A 64-bit number that depends on all parts and on nothing else: the source of every random choice.

    >>> hash64("seed", 1) == hash64("seed", 1) != hash64("seed", 2)
    True
    """
    return xxhash.xxh3_64_intdigest(_joined(parts))


def doc_id(source: str, path: str, locator: str | int) -> bytes:
    """The 16 bytes that name a document: source, path below the source's root, locator in the file.

    It does not change with the machine, the mount point or the number of workers. Each reader documents
    its locator: byte offset of the record (WARC, WET), row (JSONL, Parquet), empty (one document a file).
    """
    return xxhash.xxh3_128_digest(_joined((source, path, str(locator))))


def piece_id(parent: bytes, ordinal: int) -> bytes:
    """The id of the `ordinal`-th piece cut from document `parent`."""
    return xxhash.xxh3_128_digest(_joined((parent, ordinal)))


def _joined(parts: Iterable[bytes | str | int]) -> bytes:
    # Each part is preceded by its length, so ("ab", "c") and ("a", "bc") differ.
    raw = [p if isinstance(p, bytes) else str(p).encode("utf-8") for p in parts]
    return b"".join(len(r).to_bytes(8, "little") + r for r in raw)
