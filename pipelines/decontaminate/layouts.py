"""Which field of which benchmark file is what, as a recipe says it and as it is recorded.

    layouts: {"mmlu*": mmlu, "*": {question: stem}}                             in a recipe
    layouts: [{files: "mmlu*", fields: mmlu}, {files: "*", fields: ...}]        there too, and in every record

The first pattern that fits a file decides. A mapping in JSON has no order, so what is recorded, digested and sent to
workers is the list. Patterns are compared with `short_names`, which the record holds; where a file lies on this
machine decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, field_validator

from pipelines.decontaminate.benchmarks import PRESETS, ROLES, Layout

__all__ = ["Fields", "FilesLayout", "Layouts", "as_list", "deciding", "make_layout", "unfitting"]

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


def unfitting(layouts: Sequence[FilesLayout], names: Sequence[str]) -> str | None:
    """The first pattern that fits no file at all: it would be thought to decide, and would not."""
    return next(
        (each.files for each in layouts if not any(fnmatchcase(name, each.files) for name in names)), None
    )
