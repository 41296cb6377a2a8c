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
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Tag, ValidationError

from manifests.errors import MixError
from manifests.quantities import share_text

if TYPE_CHECKING:
    from manifests.yamlfile import Loc, Positions

__all__ = ["Mistakes", "describe_mistakes", "did_you_mean", "nearest", "shown"]


class Mistakes:
    """Collects every mistake of a mix file, each with its place, so that they are told at once."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._found: list[str] = []
        self._advice: list[str] = []

    def add(self, loc: Sequence[str | int], text: str) -> None:
        """Adds what is wrong at a place of the file."""
        self._found.append(f"{self._positions.where(tuple(loc))}: {text}")

    def advise(self, text: str) -> None:
        """Adds a way out of several mistakes, told behind them."""
        self._advice.append(text)

    def stop(self) -> None:
        """Goes on where nothing was wrong.

        Raises: MixError with every mistake so far, and the ways out.
        """
        if self._found:
            remedy = "Nothing was read or trained. Correct the mix and run the same command again."
            raise MixError("\n".join([*self._found, *self._advice, remedy]))


def describe_mistakes(
    model: type[BaseModel],
    error: ValidationError,
    positions: Positions,
    base: Loc,
    beside: Sequence[str] = (),
) -> list[str]:
    """Returns one line a place, in the order of the file; the branches of a union share a line.

    beside: keys that may stand beside the model's own, read elsewhere.
    """
    at_place: dict[tuple[Loc, str], list[tuple[str, str]]] = {}
    for item in _telling(error, lambda loc: positions.known((*base, *loc))):
        loc = (*base, *item["loc"])
        is_key = item["type"] in ("extra_forbidden", "missing")
        place = positions.where_key(loc) if item["type"] == "extra_forbidden" else positions.where(loc)
        if item["type"] == "value_error":
            place += "".join(text for text in _set_within(positions, loc) if not text.endswith(place))
        path = (*positions.known(loc[:-1]), loc[-1]) if is_key else positions.known(loc)
        at_place.setdefault((path, place), []).append(_expected(model, item, _names_of(path), beside))
    ordered = sorted(at_place.items(), key=lambda entry: positions.at(entry[0][0]))
    return [f"{place}: expected {_joined(what)}" for (_, place), what in ordered]


def _set_within(positions: Positions, loc: Loc) -> list[str]:
    """Returns each ` with --set a.b=c` where keys that do not fit each other came from the command line."""
    found = [
        text for at, text in positions.overridden.items() if at[: len(loc)] == loc and len(at) > len(loc)
    ]
    return [f" with --set {text}" for text in dict.fromkeys(found)]


def _telling(error: ValidationError, known: Callable[[Loc], Loc]) -> list[Any]:
    """Returns the errors that tell something: a list with a wrong item is also said to be too short.

    A value of which one branch of a union says what is wrong inside is, by the others, no such value at all.
    """
    found = error.errors(include_url=False)
    above = {item["loc"][:length] for item in found for length in range(len(item["loc"]))}
    places = [(item["loc"], known(item["loc"])) for item in found]

    def is_other_branch(loc: Loc) -> bool:
        *field, branch = loc
        return known(loc) == known(tuple(field)) and any(
            other[: len(field)] == tuple(field)
            and other[len(field)] != branch
            and len(place) > len(known(loc))
            for other, place in places
            if len(other) > len(loc)
        )

    return [
        item
        for item in found
        if not (item["type"] == "too_short" and item["loc"] in above)
        and not (item["type"].endswith("_type") and item["loc"] and is_other_branch(item["loc"]))
    ]


def _joined(mistakes: Sequence[tuple[str, str]]) -> str:
    """Returns `text or a list for x, got 7` for what the branches of a union expected of one value."""
    by_rest: dict[str, list[str]] = {}
    for what, rest in dict.fromkeys(mistakes):
        by_rest.setdefault(rest, []).append(what)
    return ", or ".join(" or ".join(what) + rest for rest, what in by_rest.items())


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


_FRACTION = re.compile(r"Fraction\(([0-9]+), ([0-9]+)\)")


def _expected(model: type[BaseModel], item: Any, path: str, beside: Sequence[str]) -> tuple[str, str]:
    """Returns what was expected, and the rest of the sentence: for which key, what stood there instead."""
    kind, context, got = item["type"], item.get("ctx", {}), item["input"]
    subject = f" for `{path}`" if path else ""
    if got is None and not path:
        return "a mapping (key: value)", ", got an empty file"
    if kind == "extra_forbidden":
        *around, key = item["loc"]
        return _unknown_key(
            str(key), [*_field_names(model, tuple(around)), *(() if around else beside)], path
        )
    if kind == "missing":
        return f"the key `{path}`", ", got nothing"
    if kind == "value_error":
        text = str(context["error"]).removeprefix("expected ")
        return text, "" if ", got " in text else f", got {shown(got)}{subject}"
    bounds = {key: _bound_text(bound) for key, bound in context.items()}
    text = _EXPECTED[kind].format(**bounds) if kind in _EXPECTED else item["msg"]
    choices = re.findall(r"'([^']*)'", text) if kind in ("literal_error", "enum") else []
    return text, f"{subject}, got {shown(got)}{did_you_mean(got, choices)}{_of_a_hundred(kind, context, got)}"


def _bound_text(bound: object) -> str:
    return f"{bound:g}" if isinstance(bound, float) else _FRACTION.sub(_as_share, str(bound))


def _of_a_hundred(kind: str, context: dict[str, Any], got: object) -> str:
    """Returns `; 80% is 0.8` for a percentage where a part of one was expected, else nothing."""
    is_part = kind == "less_than_equal" and isinstance(context["le"], float) and context["le"] == 1
    return f"; {got:g}% is {got / 100:g}" if is_part and isinstance(got, int | float) and got <= 100 else ""


def _as_share(match: re.Match[str]) -> str:
    return share_text(Fraction(int(match[1]), int(match[2])))


def _unknown_key(key: str, names: Sequence[str], path: str) -> tuple[str, str]:
    around = path.rpartition(".")[0]
    inside = f" in `{around}`" if around else ""
    known = ", ".join(names[:16]) + (", ..." if len(names) > 16 else "")
    return f"a known key{inside} ({known or 'none'})", f', got "{key}"{did_you_mean(key, names)}'


def did_you_mean(got: object, choices: Iterable[str]) -> str:
    """Returns `; did you mean "x"?` with the choice spelt nearest to `got`, or nothing if none is near."""
    near = nearest(got, choices)
    return "" if near is None else f'; did you mean "{near}"?'


def nearest(got: object, choices: Iterable[str]) -> str | None:
    """Returns the choice spelt nearest to `got`, None if none is near."""
    folded = {choice.lower(): choice for choice in sorted(choices, reverse=True)}
    near = difflib.get_close_matches(str(got).lower(), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None


def shown(value: object) -> str:
    """Returns a short form of a value for an error: the value itself, or the size of what holds many."""
    if isinstance(value, dict):
        return (
            f"a mapping with {len(value)} keys"
            if len(value) != 1
            else f"the mapping {{{next(iter(value)) or json.dumps('')}: ...}}"
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
    # What is excluded is not the user's to set: the engine fills it in.
    return {
        info.alias or name: info.annotation for name, info in model.model_fields.items() if not info.exclude
    }


def _inner(annotation: Any, part: str | int) -> Any:
    """Returns the type behind one key or index; a part that names a branch of a union changes nothing or chooses it."""
    for choice in typing.get_args(annotation):
        if any(isinstance(mark, Tag) and mark.tag == part for mark in getattr(choice, "__metadata__", ())):
            return choice
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
