"""What a person wrote wrong, in words: pydantic's errors turned into one line a mistake.

    recipe.yaml:3:9: expected a whole number for `take.seed`, got "one"
    recipe.yaml:7:22: expected a known key in `language` (keep, min_score), got "keeep"; did you mean "keep"?

A line says where, what was expected, what stood there, and the nearest right spelling where one is near.
"""

from __future__ import annotations

import difflib
import json
import re
import types
import typing
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

if TYPE_CHECKING:
    from manifests.yamlfile import Loc, Positions

__all__ = ["describe_mistakes", "did_you_mean", "shown"]


def describe_mistakes(
    model: type[BaseModel], error: ValidationError, positions: Positions, base: Loc
) -> list[str]:
    """Returns one line a place, in the order of the file; the branches of a union share a line."""
    at_place: dict[tuple[Loc, str], list[str]] = {}
    for item in error.errors(include_url=False):
        loc = (*base, *item["loc"])
        unknown = item["type"] == "extra_forbidden"
        place = positions.where_key(loc) if unknown else positions.where(loc)
        expected = _expected(model, item, _names_of(loc))
        at_place.setdefault((positions.known(loc), place), []).append(expected)
    ordered = sorted(at_place.items(), key=lambda entry: positions.at(entry[0][0]))
    return [f"{place}: {' or '.join(dict.fromkeys(what))}" for (_, place), what in ordered]


_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "none_required": "nothing",
    "path_type": "a path",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of {ge} or more",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of {le} or less",
    "too_short": "a list of {min_length} or more",
    "too_long": "a list of {max_length} or fewer",
    "string_too_short": "text of {min_length} or more characters",
    "string_pattern_mismatch": "text of the form {pattern}",
    "literal_error": "{expected}",
    "enum": "{expected}",
}


def _expected(model: type[BaseModel], item: Any, path: str) -> str:
    kind, context, got = item["type"], item.get("ctx", {}), item["input"]
    if kind == "extra_forbidden":
        return _unknown_key(str(item["loc"][-1]), _field_names(model, item["loc"][:-1]), path)
    if kind == "missing":
        return f"expected the key `{path}`, got nothing"
    if kind == "value_error":
        return f"{context['error']}, got {shown(got)} for `{path}`"
    text = _EXPECTED[kind].format(**context) if kind in _EXPECTED else item["msg"]
    choices = re.findall(r"'([^']*)'", text) if kind in ("literal_error", "enum") else []
    return f"expected {text} for `{path}`, got {shown(got)}{did_you_mean(got, choices)}"


def _unknown_key(key: str, names: Sequence[str], path: str) -> str:
    around = path.rpartition(".")[0]
    inside = f" in `{around}`" if around else ""
    known = ", ".join(names[:16]) + (", ..." if len(names) > 16 else "")
    return f'expected a known key{inside} ({known or "none"}), got "{key}"{did_you_mean(key, names)}'


def did_you_mean(got: object, choices: Iterable[str]) -> str:
    """Returns `; did you mean "x"?` with the choice spelt nearest to `got`, or nothing if none is near."""
    folded = {choice.lower(): choice for choice in sorted(choices, reverse=True)}
    near = difflib.get_close_matches(str(got).lower(), folded, n=1, cutoff=0.6)
    return f'; did you mean "{folded[near[0]]}"?' if near else ""


def shown(value: object) -> str:
    """Returns a short form of a value for an error: the value itself, or the size of what holds many."""
    if isinstance(value, dict):
        return (
            f"a mapping with {len(value)} keys"
            if len(value) != 1
            else f"the mapping {{{next(iter(value))}: ...}}"
        )
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _names_of(loc: Loc) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.removeprefix(".")


def _field_names(model: type[BaseModel], loc: Loc) -> list[str]:
    """Returns the keys that `model` allows at `loc`."""
    annotation: Any = model
    for part in loc:
        annotation = _inner(annotation, part)
    return [name for found in _models(annotation) for name in _keys(found)]


def _keys(model: type[BaseModel]) -> dict[str, Any]:
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}


def _inner(annotation: Any, part: str | int) -> Any:
    """Returns the type behind one key or index; a part that names a branch of a union changes nothing."""
    for model in _models(annotation):
        if part in _keys(model):
            return _keys(model)[str(part)]
    for choice in _branches(annotation):
        if typing.get_origin(choice) in (list, tuple, dict):
            return next(inner for inner in reversed(typing.get_args(choice)) if inner is not Ellipsis)
    return annotation


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [one for one in _branches(annotation) if isinstance(one, type) and issubclass(one, BaseModel)]


def _branches(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) is typing.Annotated:
        return _branches(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [branch for choice in typing.get_args(annotation) for branch in _branches(choice)]
    return [annotation]
