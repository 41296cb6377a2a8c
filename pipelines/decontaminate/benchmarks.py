"""The items of a benchmark file and the strings in them.

    {"question": "What is ...?", "choices": ["Paris is ...", "Rome is ..."], "answer": 0}      item 0
    {"question": "How many ...?", "choices": ["Four", "Five"], "answer": 1}                    item 1

    ->  texts   ["What is ...?", "Paris is ...", "Rome is ...", "How many ...?", "Four", "Five"]
        item    [0, 0, 0, 1, 1, 1]

An item is a line of a JSONL file, numbered from 0, blank lines included, so an editor finds it. Every string
in it is a text of its own, at whatever depth; names of fields are not. A question and its answer are not
joined, for the seam between them differs from one page to the next.

Price: a benchmark is read whole; the largest have tens of megabytes.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.digest import digest_bytes
from manifests.errors import MissingFileError, UsageError

__all__ = ["SUFFIXES", "Benchmark", "read_benchmark"]

SUFFIXES = (".jsonl", ".jsonl.gz")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The texts of a benchmark and the item each stands in; `n_items` lines that hold a value."""

    digest: str
    n_items: int
    items: list[int]
    texts: list[str]


def read_benchmark(path: Path, *, fields: Sequence[str] | None = None) -> Benchmark:
    """The strings of a benchmark's items, of the named fields where `fields` is given.

    Raises: MissingFileError; UsageError for lines that are not JSON, or where no item has text to look for.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{path}: expected a benchmark, found nothing. Documents could not be checked against it. "
            "Correct the path under `against`, or leave it out."
        ) from error
    items, texts, n_items = [], [], 0
    for number, value in _values(_plain_bytes(raw, path), path):
        n_items += 1
        found = list(_strings(_chosen(value, fields)))
        items += [number] * len(found)
        texts += found
    if not texts:
        raise _no_text(path, fields)
    return Benchmark(digest_bytes(raw), n_items, items, texts)


def _plain_bytes(raw: bytes, path: Path) -> bytes:
    if not path.name.endswith(".gz"):
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(
            f"{path}: expected gzip, found bytes that are not ({error}). Part of the benchmark would be left "
            "unchecked. Fetch it again."
        ) from error


def _values(data: bytes, path: Path) -> Iterator[tuple[int, Any]]:
    # Only "\n" ends a line: str.splitlines would cut at U+2028 inside a string.
    for number, line in enumerate(io.BytesIO(data)):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line.decode("utf-8-sig"))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            raise UsageError(
                f"{path}:{number + 1}: expected one JSON value on the line, found other text ({error}). "
                "The item would be left unchecked. A benchmark is JSON Lines: convert it, or correct the line."
            ) from error


def _chosen(value: Any, fields: Sequence[str] | None) -> Any:
    if fields is None:
        return value
    return [value[name] for name in fields if name in value] if isinstance(value, dict) else []


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _no_text(path: Path, fields: Sequence[str] | None) -> UsageError:
    wanted = "strings" if fields is None else f"strings in {', '.join(fields)}"
    return UsageError(
        f"{path}: expected items with {wanted}, found none. The corpus would be called checked against a "
        "benchmark of which nothing was looked for. Correct `fields`, or take the file out of `against`."
    )
