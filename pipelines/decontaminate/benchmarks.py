"""The items of a benchmark file and the strings in them.

    {"question": "What is ...?", "choices": ["Paris is ...", "Rome is ..."], "answer": 0}      item 0
    {"question": "How many ...?", "choices": ["Four", "Five"], "answer": 1}                    item 1

    ->  texts   ["What is ...?", "Paris is ...", "Rome is ...", "How many ...?", "Four", "Five"]
        items   [0, 0, 0, 1, 1, 1]
        roles   [QUESTION, CHOICE, CHOICE, QUESTION, CHOICE, CHOICE]

An item is a line of a JSONL file or a row of a CSV or Parquet file, numbered from 0; blank lines of JSONL count, so
an editor finds it. Every string in it is a text of its own, at whatever depth, bytes in UTF-8 and both halves of a
map's entries too; names of fields are not. A question and its answer are not joined, for the seam between them differs
from one page to the next.

What a string is, its role, follows from the field it stands in: as the recipe says, as one of `PRESETS` says, or by
its usual names. A preset says no more than which field is what; the file is the user's.

Price: a benchmark is read whole; the largest have tens of megabytes.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.digest import digest_bytes
from manifests.errors import MissingFileError, UsageError
from manifests.mistakes import did_you_mean

__all__ = [
    "ANSWER",
    "CHOICE",
    "OTHER",
    "PASSAGE",
    "PRESETS",
    "QUESTION",
    "ROLES",
    "SUFFIXES",
    "Benchmark",
    "Layout",
    "read_benchmark",
]

SUFFIXES = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet")
QUESTION, CHOICE, ANSWER, PASSAGE, OTHER = range(5)
ROLES = {"question": QUESTION, "choices": CHOICE, "answer": ANSWER, "passage": PASSAGE}
Layout = Mapping[str, Sequence[str]]
"""Role -> names of the fields that have it; a dot reaches into a field and into every item of a list in it
(`question.choices.text`)."""

_QA = {"question": ("question",), "answer": ("answer",)}
_MC = {"question": ("question",), "choices": ("choices",), "answer": ("answer",)}
_QUERY = {"question": ("query",), "choices": ("choices",)}
PRESETS: Mapping[str, Layout] = {
    "gsm8k": _QA,
    "mmlu": _MC,
    "humaneval": {"question": ("prompt",), "answer": ("canonical_solution",)},
    "mbpp": {"question": ("text", "prompt"), "answer": ("code",)},
    "truthfulqa": {"question": ("question", "Question"), "answer": ("answer", "Best Answer")},
    "boolq_passages": {"passage": ("passage",), "question": ("question",)},
    "lambada": {"question": ("context", "text"), "answer": ("continuation",)},
    "winograd": {"question": ("context_options",), "answer": ("continuation",)},
    "winogrande": {"question": ("context_options", "sentence"), "answer": ("continuation",)},
    "squad": {"question": ("question",), "answer": ("answers.text",), "passage": ("context",)},
    **dict.fromkeys(
        ("arc_easy", "arc_challenge", "bigbench", "boolq", "copa", "hellaswag", "piqa"),
        _QUERY,
    ),
}
_USUAL: Layout = {
    "question": (
        "question",
        "query",
        "prompt",
        "problem",
        "context_options",
        "ctx",
        "goal",
        "instruction",
        "text",
    ),
    "choices": ("choices", "options", "endings", "sol1", "sol2"),
    "answer": ("answer", "answers", "solution", "canonical_solution", "code", "continuation", "response"),
    "passage": ("passage", "article"),
}
_BY_NAME = {name: ROLES[role] for role, names in _USUAL.items() for name in names}


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The texts of a benchmark, the item and the role of each; `n_items` lines or rows that hold a value.

    Of a file that was read with a layout also the names in it that some row has, and all that rows have.
    """

    digest: str
    n_items: int
    items: list[int]
    texts: list[str]
    roles: list[int]
    reached: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()


def read_benchmark(path: Path, *, layout: Layout | None = None) -> Benchmark:
    """The strings of a benchmark's items: all of them, or those of the fields that `layout` names.

    Raises: MissingFileError; UsageError for lines that are not JSON, files that are not what their name says, bytes
    that are no text, or where no item has text to look for.
    """
    raw = _read(path)
    items, texts, roles, n_items = [], [], [], 0
    reached, fields = set[str](), set[str]()
    for number, value in _rows(raw, path):
        n_items += 1
        found = _found(value, layout, f"{path}, item {number}")
        items += [number] * len(found)
        roles += [role for role, _ in found]
        texts += [text for _, text in found]
        if layout is not None:
            reached.update(name for names in layout.values() for name in names if _is_said(value, name))
            fields.update(_paths(value))
    if not texts:
        raise _no_text(path, layout, fields)
    return Benchmark(digest_bytes(raw), n_items, items, texts, roles, frozenset(reached), frozenset(fields))


def _is_said(value: Any, name: str) -> bool:
    """Whether an item's field has text; one that is there and empty is not looked for."""
    return any(text.strip() for text in _strings(_reach(value, name)))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise MissingFileError(
            f"{path}: expected a benchmark, found nothing. Documents could not be checked against it. "
            "Correct the path under `against`, or leave it out."
        ) from error
    except OSError as error:
        raise UsageError(
            f"{path}: expected a benchmark, found what cannot be read as a file ({error.strerror}). Documents could "
            "not be checked against it. Correct the path under `against`, or leave it out."
        ) from error


def _found(value: Any, layout: Layout | None, where: str) -> list[tuple[int, str]]:
    try:
        return list(_usual(value) if layout is None else _laid_out(value, layout))
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{where}: expected text in UTF-8, found other bytes ({error}). They would be left unchecked. Name the "
            "fields that are text under `fields`, or convert the file."
        ) from error


def _rows(raw: bytes, path: Path) -> Iterator[tuple[int, Any]]:
    if path.name.endswith(".parquet"):
        return _parquet_rows(raw, path)
    data = _plain_bytes(raw, path)
    return _csv_rows(data, path) if path.name.endswith((".csv", ".csv.gz")) else _values(data, path)


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


def _parquet_rows(raw: bytes, path: Path) -> Iterator[tuple[int, Any]]:
    try:
        rows = pq.read_table(pa.BufferReader(raw)).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise UsageError(
            f"{path}: expected a Parquet file, found other bytes ({error}). The benchmark would be left "
            "unchecked. Fetch it again."
        ) from error
    yield from enumerate(rows)


def _csv_rows(data: bytes, path: Path) -> Iterator[tuple[int, Any]]:
    try:
        text = data.decode("utf-8-sig")
        with _long_fields(len(text) + 1):
            rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"{path}: expected CSV in UTF-8 with names in its first row, found other text ({error}). Items would be "
            "left unchecked. Convert the file, or correct it."
        ) from error
    names = rows[0] if rows else []
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise UsageError(
            f'{path}: expected different names in the first row, found "{twice[0]}" {names.count(twice[0])} times. '
            "Of fields with one name only one would be looked for. Rename the others."
        )
    for number, row in enumerate(rows[1:]):
        # Values beyond the last name and those of columns without one are looked for all the same.
        unnamed = [text for name, text in zip(names, row, strict=False) if not name]
        named = {name: text for name, text in zip(names, row, strict=False) if name}
        yield number, {**named, None: [*unnamed, *row[len(names) :]]}


@contextmanager
def _long_fields(n_chars: int) -> Iterator[None]:
    """Fields of CSV may have that many characters; the limit of 131,072 is the whole process's and is put back."""
    before = csv.field_size_limit(n_chars)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _values(data: bytes, path: Path) -> Iterator[tuple[int, Any]]:
    # Only "\n" ends a line: str.splitlines would cut at U+2028 inside a string.
    for number, line in enumerate(io.BytesIO(data)):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:  # a ValueError too is a number of thousands of digits
            raise UsageError(
                f"{path}:{number + 1}: expected one JSON value on the line, found other text ({error}). "
                "The item would be left unchecked. A benchmark is JSON Lines: convert it, or correct the line."
            ) from error


def _usual(value: Any) -> Iterator[tuple[int, str]]:
    """Every string, with the role that the name of its outermost field usually has."""
    if not isinstance(value, dict):
        yield from ((OTHER, text) for text in _strings(value))
        return
    for name, inner in value.items():
        role = _BY_NAME.get(name, OTHER) if isinstance(name, str) else OTHER
        yield from ((role, text) for text in _strings(inner))


def _laid_out(value: Any, layout: Layout) -> Iterator[tuple[int, str]]:
    for role, names in layout.items():
        for name in names:
            yield from ((ROLES[role], text) for text in _strings(_reach(value, name)))


def _reach(value: Any, name: str) -> list[Any]:
    """The values of the field of that name; where there is none, what its parts reach one after another."""
    if isinstance(value, list):
        return [found for inner in value for found in _reach(inner, name)]
    named = _as_dict(value)
    if name in named:
        return [named[name]]
    first, _, rest = name.partition(".")
    return _reach(named[first], rest) if rest and first in named else []


def _paths(value: Any, depth: int = 4) -> Iterator[str]:
    """The names by which `_reach` finds something, down to that depth."""
    if isinstance(value, list):
        for inner in value:
            yield from _paths(inner, depth)
        return
    for name, inner in _as_dict(value).items() if depth else ():
        if not isinstance(name, str):
            continue
        yield name
        yield from (f"{name}.{deeper}" for deeper in _paths(inner, depth - 1))


def _as_dict(value: Any) -> dict[Any, Any]:
    """A mapping, or an entry of one: maps of Parquet come as lists of pairs."""
    if isinstance(value, dict):
        return value
    return dict([value]) if isinstance(value, tuple) and isinstance(value[0], str) else {}


def _strings(value: Any) -> Iterator[str]:
    waiting = [value]  # no recursion: JSON may be nested deeper than Python's stack
    while waiting:
        value = waiting.pop()
        if isinstance(value, str | bytes):
            yield value if isinstance(value, str) else value.decode()
        elif isinstance(value, dict):
            waiting += reversed(value.values())
        elif isinstance(value, list | tuple):
            waiting += reversed(value)


def _no_text(path: Path, layout: Layout | None, fields: set[str]) -> UsageError:
    names = [name for some in (layout or {}).values() for name in some]
    wanted = f"strings in {', '.join(names)}" if names else "strings"
    near = (did_you_mean(names[0], fields - {*names}) if names else "") or "."
    return UsageError(
        f"{path}: expected items with {wanted}, found none{near} The corpus would be called checked against a "
        "benchmark of which nothing was looked for. Correct `fields`, or take the file out of `against`."
    )
