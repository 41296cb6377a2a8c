"""Which field of which benchmark file is what, as a recipe says it and as it is recorded.

    layouts: {"mmlu*": mmlu, "*": {question: stem}}                             in a recipe
    layouts: [{files: "mmlu*", fields: mmlu}, {files: "*", fields: ...}]        there too, and in every record

The first pattern that fits a file decides. A mapping in JSON has no order, so what is recorded, digested and sent to
workers is the list. Patterns are compared with `short_names`, which the record holds; where a file lies on this
machine decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, field_validator

from manifests.errors import UsageError
from manifests.mistakes import did_you_mean
from pipelines.decontaminate.benchmarks import PRESETS, ROLES, Benchmark, Layout

__all__ = [
    "Fields",
    "FilesLayout",
    "Layouts",
    "as_list",
    "check_reached",
    "deciding",
    "make_layout",
    "unfitting",
]

Fields = str | tuple[str, ...] | dict[str, str | tuple[str, ...]]


def make_layout(fields: Fields) -> Layout:
    """The layout that a recipe writes as a preset's name, as a list of questions' fields, or as a mapping of roles.

    Raises: ValueError for a preset or a role that there is not, and where no field is named.
    """
    if isinstance(fields, str):
        if fields not in PRESETS:
            raise ValueError(
                f"expected a list, a mapping or one of {', '.join(sorted(PRESETS))}, got {fields!r}"
            )
        return PRESETS[fields]
    if isinstance(fields, tuple):
        return {"question": _named("a list", fields)}
    if not fields or not set(fields) <= set(ROLES):
        raise ValueError(f"expected keys among {', '.join(ROLES)}, got {', '.join(fields) or 'none'}")
    return {
        role: _named(f"`{role}`", (names,) if isinstance(names, str) else names)
        for role, names in fields.items()
    }


def _named(where: str, names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or "" in names:
        got = "an empty name" if names else "none"
        raise ValueError(f"expected {where} with the names of fields, got {got}; nothing would be looked for")
    return names


class FilesLayout(BaseModel):
    """What the fields are of the files whose name fits a pattern."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    files: str
    """A pattern: `*` stands for anything, slashes too."""
    fields: Fields
    """As `fields` of the step."""

    @field_validator("fields")
    @classmethod
    def _says_what_is_what(cls, fields: Fields) -> Fields:
        make_layout(fields)
        return fields


def _form(value: Any) -> str:
    return "mapping" if isinstance(value, dict) else "list"


Layouts = Annotated[
    Annotated[dict[str, Fields], Tag("mapping")] | Annotated[tuple[FilesLayout, ...], Tag("list")],
    Discriminator(_form),
]
"""Both forms a recipe may use; `as_list` makes the second one of the first."""


def as_list(layouts: dict[str, Fields] | tuple[FilesLayout, ...]) -> tuple[FilesLayout, ...]:
    """The layouts in their order.

    Raises: ValueError, as `make_layout`.
    """
    if isinstance(layouts, tuple):
        return layouts
    for fields in layouts.values():
        make_layout(fields)
    return tuple(FilesLayout(files=files, fields=fields) for files, fields in layouts.items())


def deciding(layouts: Sequence[FilesLayout], name: str) -> int | None:
    """The index of the first layout whose pattern fits; None where none does."""
    return next((i for i, each in enumerate(layouts) if fnmatchcase(name, each.files)), None)


def check_reached(fields: Fields, files: Mapping[str, Benchmark]) -> None:
    """Nothing that is named is left unchecked unsaid. files: those that `fields` decides for, by path.

    A name that the recipe writes must be that of a field in a row of one of the files at least: files of one pattern
    may differ. A preset knows several names for a role, of which one must be there. And every file must have a field
    for its questions or passages, where `fields` names one, for without them nothing of it is looked for.

    Raises: UsageError with the file, the name and the nearest one there is.
    """
    layout = make_layout(fields)
    of_preset = isinstance(fields, str)
    wanted = list(layout.values()) if of_preset else [(name,) for names in layout.values() for name in names]
    reached = frozenset[str]().union(*(benchmark.reached for benchmark in files.values()))
    instead = _there(layout, reached) if of_preset else None
    for names in wanted:
        if not reached.intersection(names):
            raise _unreached(names, files, instead)
    asked = (*layout.get("question", ()), *layout.get("passage", ()))
    for path, benchmark in files.items():
        if asked and not benchmark.reached.intersection(asked):
            raise _unreached(asked, {path: benchmark}, instead)


def _there(layout: Layout, reached: frozenset[str]) -> str:
    """The fields of a preset that a file has, as a recipe may name them."""
    named = {role: name for role, names in layout.items() for name in names if name in reached}
    return "fields: {" + ", ".join(f"{role}: {name}" for role, name in named.items()) + "}"


def _unreached(names: Sequence[str], files: Mapping[str, Benchmark], instead: str | None) -> UsageError:
    first, *others = files
    more = f" (and {len(others)} more)" if others else ""
    there = sorted(files[first].fields)
    shown = ", ".join(there[:12]) + (", ..." if len(there) > 12 else "")
    remedy = "Correct `fields` or `layouts`, or leave the name out."
    if instead is not None:
        remedy = f"Write what is there,  {instead}  (or a layout of this file), in place of the preset."
    return UsageError(
        f"{first}{more}: expected a field named {' or '.join(names)} in some row, found {shown or 'none'}"
        f"{did_you_mean(names[0], there) or '.'} Part of the benchmark would be left unchecked. {remedy}"
    )


def unfitting(layouts: Sequence[FilesLayout], names: Sequence[str]) -> str | None:
    """The first pattern that fits no file at all: it would be thought to decide, and would not."""
    return next(
        (each.files for each in layouts if not any(fnmatchcase(name, each.files) for name in names)), None
    )
