"""The files a person writes: YAML read safely, validated, every mistake reported with its place.

    recipe.yaml --load_yaml--> plain values + Positions --validate--> a frozen pydantic model
                                    ^ --set a.b=c                or one YamlError:
    recipe.yaml:7:22: expected a key of `language` (keep, min_score), got "keeep"; did you mean "keep"?

YAML here is the small, predictable part of it: mappings, lists and scalars as YAML 1.2's core schema
reads them (`no`, `on` and `2026-11-20` are text, `3e-4` is a number). Keys are always text, as written.
Anchors, aliases, tags, duplicate keys and second documents are refused: each of them makes a file
mean something other than what it shows. This is the only module that imports PyYAML, and it uses only
PyYAML's event parser, so that no global table of resolvers decides what a word means.

Price: about 1 s a MiB of file, and nothing larger than that is read. It keeps no comments.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from manifests.errors import UsageError
from manifests.mistakes import describe_mistakes, did_you_mean, shown
from manifests.nearby import did_you_mean_path
from manifests.quantities import Count, Percent, Share, parse_count, parse_share

__all__ = [
    "REMEDY",
    "Count",
    "Loc",
    "OnePlace",
    "Percent",
    "Positions",
    "Share",
    "YamlError",
    "apply_overrides",
    "did_you_mean",
    "load_yaml",
    "parse_count",
    "parse_share",
    "parse_yaml",
    "validate",
]

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
REMEDY = "Nothing was read or written. Correct the file and run the same command again."

Loc = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)


class YamlError(UsageError):
    """A file a person wrote is wrong; the text lists every mistake as file:line:column, one a line."""

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join([*mistakes, REMEDY]))
        self.mistakes = mistakes


@dataclass(frozen=True)
class Positions:
    """Where every value and every key of one YAML file stands; lines and columns count from 1.

    `overridden` grows when `apply_overrides` sets a value: from then on that value's place is the
    command line.
    """

    file: str
    values: dict[Loc, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Loc, tuple[int, int]] = field(default_factory=dict)
    overridden: dict[Loc, str] = field(default_factory=dict)

    def at(self, loc: Sequence[str | int]) -> tuple[int, int]:
        """Returns (line, column) of the value at `loc`, or of the nearest value around it."""
        return self.values.get(self.known(loc), (1, 1))

    def known(self, loc: Sequence[str | int]) -> Loc:
        """Returns `loc` without what names nothing in the file, as pydantic names the branches of a union."""
        found: Loc = ()
        for part in loc:
            if (*found, part) in self.values or (*found, part) in self.overridden:
                found = (*found, part)
        return found

    def where(self, loc: Sequence[str | int]) -> str:
        """Returns `file:line:column` of the value at `loc`, or the `--set` that put it there."""
        return self._place(self.known(loc), self.at(loc))

    def where_key(self, loc: Sequence[str | int]) -> str:
        """Returns `file:line:column` of the key at `loc`, or of its value if it has no key."""
        found = self.known(loc)
        return self._place(found, self.keys.get(found, self.at(loc)))

    def _place(self, found: Loc, spot: tuple[int, int]) -> str:
        for length in range(len(found), 0, -1):
            if found[:length] in self.overridden:
                return f"--set {self.overridden[found[:length]]}"
        return f"{self.file}:{spot[0]}:{spot[1]}"


class OnePlace(Positions):
    """All places are one, which is told as it is: of what stands in no YAML file, or behind one key of it."""

    def _place(self, found: Loc, spot: tuple[int, int]) -> str:
        del found, spot
        return self.file


# --- reading ---------------------------------------------------------------------------------------


def load_yaml(path: Path) -> tuple[Any, Positions]:
    """Returns the plain value of a YAML file (dict, list, str, int, float, bool, None) and its positions.

    Raises: YamlError if the file is missing, above 1 MiB, not UTF-8, not YAML, or uses what is refused; or if it is
    one that Quern itself wrote.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        near = did_you_mean_path(str(path))
        raise YamlError(f"{path}: expected a readable file, found nothing{near}") from error
    except OSError as error:
        raise YamlError(f"{path}: expected a readable file, got: {error.strerror}") from error
    _refuse_sealed(data, path)
    if len(data) > MAX_BYTES:
        raise YamlError(f"{path}: expected at most 1 MiB, got more; long lists go into an @list file")
    return parse_yaml(_decoded(data, path), file=str(path))


# A sealed file is JSON, and so YAML: without this each of its keys would be told as an unknown one.
_SEALED = re.compile(rb'\{[^\n]*?"format":"(quern\.[a-z]+)')


def _refuse_sealed(data: bytes, path: Path) -> None:
    found = _SEALED.match(data)
    if found is None:
        return
    kind = found[1].decode()
    what, advice = f"a file that Quern wrote ({kind})", "name the file it was made from"
    if kind == "quern.corpus":
        what, advice = (
            "a corpus's manifest",
            f"it was built from a recipe, and a mix names it, as in  corpora: [{path}]",
        )
    raise YamlError(f"{path}:1:1: expected a file that a person wrote, got {what}; {advice}")


def _decoded(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise YamlError(
            f"{path}:{line}:{column}: expected UTF-8, got byte 0x{data[error.start]:02x}"
        ) from error


def parse_yaml(text: str, *, file: str) -> tuple[Any, Positions]:
    """Returns the value of YAML `text` and its positions; `file` is the name that errors show.

    Raises: YamlError, as `load_yaml`.
    """
    reader = _Reader(Positions(file), yaml.parse(text, Loader=yaml.SafeLoader))
    try:
        return _document(reader), reader.positions
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        spot = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise YamlError(f"{file}{spot}: expected YAML, got: {error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        raise YamlError(
            f"{file}:{line}:{column}: expected text, got control character {error.character:#04x}"
        ) from error


@dataclass(frozen=True)
class _Reader:
    positions: Positions
    events: Iterator[Any]

    def refuse(self, event: Any, what: str) -> YamlError:
        spot = event.start_mark
        return YamlError(f"{self.positions.file}:{spot.line + 1}:{spot.column + 1}: {what}")


def _document(reader: _Reader) -> Any:
    next(reader.events)  # the stream's start
    if isinstance(next(reader.events), yaml.StreamEndEvent):
        return None
    value = _value(reader, next(reader.events), ())
    next(reader.events)  # the document's end
    extra = next(reader.events)
    if not isinstance(extra, yaml.StreamEndEvent):
        raise reader.refuse(extra, "expected one document, got a second one")
    return value


def _value(reader: _Reader, event: Any, loc: Loc) -> Any:
    _refuse_extras(reader, event, loc)
    reader.positions.values[loc] = _spot(event)
    if isinstance(event, yaml.SequenceStartEvent):
        return _sequence(reader, loc)
    if isinstance(event, yaml.MappingStartEvent):
        return _mapping(reader, loc)
    return event.value if event.style else _plain_scalar(reader, event)


def _sequence(reader: _Reader, loc: Loc) -> list[Any]:
    items: list[Any] = []
    while not isinstance(event := next(reader.events), yaml.SequenceEndEvent):
        items.append(_value(reader, event, (*loc, len(items))))
    return items


def _mapping(reader: _Reader, loc: Loc) -> dict[str, Any]:
    items: dict[str, Any] = {}
    while not isinstance(event := next(reader.events), yaml.MappingEndEvent):
        _refuse_extras(reader, event, loc)
        if not isinstance(event, yaml.ScalarEvent):
            raise reader.refuse(event, "expected a word as key, got a list or mapping")
        if event.value in items:
            line = reader.positions.keys[(*loc, event.value)][0]
            raise reader.refuse(
                event, f'expected each key once, got "{event.value}" again (first on line {line})'
            )
        reader.positions.keys[(*loc, event.value)] = _spot(event)
        items[event.value] = _value(reader, next(reader.events), (*loc, event.value))
    return items


def _refuse_extras(reader: _Reader, event: Any, loc: Loc) -> None:
    if isinstance(event, yaml.AliasEvent):
        raise reader.refuse(event, f"expected a value, got the alias *{event.anchor}; write the value out")
    if event.anchor is not None:
        raise reader.refuse(event, f"expected a value, got the anchor &{event.anchor}; write the value out")
    if event.tag is not None:
        raise reader.refuse(event, f"expected a value, got the tag {event.tag}; write the plain value")
    if len(loc) > MAX_DEPTH:
        raise reader.refuse(event, f"expected at most {MAX_DEPTH} levels, got more")


def _spot(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


# YAML 1.2.2, section 10.3.2, the core schema. https://yaml.org/spec/1.2.2/#1032-tag-resolution
_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INT = re.compile(r"[-+]?[0-9]{1,400}", re.ASCII)
_OCTAL = re.compile(r"0o[0-7]{1,400}", re.ASCII)
_HEX = re.compile(r"0x[0-9a-fA-F]{1,400}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)


def _plain_scalar(reader: _Reader, event: Any) -> str | int | float | bool | None:
    text: str = event.value
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text) or _HEX.fullmatch(text):
        return int(text, 0)
    if not _FLOAT.fullmatch(text):
        return text
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise reader.refuse(event, f"expected a number that fits 64 bits, got {text[:20]}")
    return number


# --- validating ------------------------------------------------------------------------------------


def validate(
    model: type[M], value: Any, positions: Positions, *, base: Loc = (), beside: Sequence[str] = ()
) -> M:
    """Returns `value`, which stands at `base` in the file, as a `model`; strictly, so "60" is not 60.

    Lists become tuples and words become paths or enums where the model says so; nothing else is converted.
    beside: keys that the caller takes out of `value`, named among the known ones.

    Raises: YamlError with one line for every mistake.
    """
    try:
        return model.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        lines = describe_mistakes(model, error, positions, base, beside)
        raise YamlError(*lines) from error


# --- --set -----------------------------------------------------------------------------------------


def apply_overrides(value: Any, positions: Positions, overrides: Sequence[str]) -> Any:
    """Returns a copy of `value` in which every `a.b=c` is set; c is YAML, and missing mappings are made.

    A list is entered by index, by an item's `name`, or by a step: `steps.language.keep=[en]` finds
    `language` and `language: {...}` alike, and `steps.newlines_2.max=3` the second `newlines`.

    Raises: YamlError if an override is not of that form, or enters what is not there.
    """
    result = copy.deepcopy(value)
    for text in overrides:
        path, equals, written = text.partition("=")
        if not equals or not all(path.split(".")):
            raise YamlError(f"--set {text}: expected a.b=value, got no such form")
        new, _ = parse_yaml(written, file=f"--set {path}")
        _record(positions, _assign(result, path.split("."), new, text), text)
    return result


def _record(positions: Positions, loc: Loc, text: str) -> None:
    for length in range(1, len(loc)):
        if loc[:length] not in positions.values:
            positions.overridden.setdefault(loc[:length], text)
    positions.overridden[loc] = text


def _assign(node: Any, parts: Sequence[str], new: Any, text: str) -> Loc:
    loc: Loc = ()
    for part in parts[:-1]:
        entered = _enter(node, part, text)
        for key in entered:
            node = _child(node, key)
        loc = (*loc, *entered)
    last = _enter(node, parts[-1], text)
    for key in last[:-1]:
        node = _child(node, key)
    node[last[-1]] = new
    return (*loc, *last)


def _child(node: Any, key: str | int) -> Any:
    """Returns what stands under `key`, making it a mapping if it is nothing yet or a bare step."""
    if isinstance(node, dict) and node.get(key) is None:
        node[key] = {}
    elif isinstance(node, list) and isinstance(node[int(key)], str):
        node[int(key)] = {node[int(key)]: {}}
    return node[key]


def _enter(node: Any, part: str, text: str) -> Loc:
    """Returns the keys that lead from `node` to what `part` names: one, or an index and a step's name."""
    if isinstance(node, dict):
        return (part,)
    if not isinstance(node, list):
        raise YamlError(f'--set {text}: expected a mapping or list to hold "{part}", got {shown(node)}')
    if part.isdecimal() and int(part) < len(node):
        return (int(part),)
    labels = _labels(node)
    if part not in labels:
        known = ", ".join(labels)
        raise YamlError(f'--set {text}: expected one of {known}, got "{part}"{did_you_mean(part, labels)}')
    return labels[part]


def _labels(items: Sequence[Any]) -> dict[str, Loc]:
    """Returns the name of every item of a list and the keys that lead into it."""
    labels: dict[str, Loc] = {}
    for index, item in enumerate(items):
        label, loc = _label(index, item)
        n_same = sum(known == label or known.startswith(f"{label}_") for known in labels)
        labels[f"{label}_{n_same + 1}" if label in labels else label] = loc
    return labels


def _label(index: int, item: Any) -> tuple[str, Loc]:
    if isinstance(item, dict) and len(item) == 1 and "name" not in item:
        key = next(iter(item))
        return key, (index, key)
    if isinstance(item, dict):
        return str(item.get("name", item.get("use", index))), (index,)
    return str(item), (index, str(item))
