"""The rules of one paper, which a recipe may name at once: the steps that they are.

    c4: {for: [en], min_sentences: 2}  ->  c4_lines: {for: [en]}, c4_quality: {for: [en], min_sentences: 2}

What is wrong is told where it stands, in the parameters of the set, for nobody wrote those of its steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from manifests.mistakes import did_you_mean, shown
from manifests.yamlfile import Loc
from pipelines.registry import RULE_SETS, stage_class

if TYPE_CHECKING:
    from pipelines.steps import Reading

__all__ = ["rule_set", "steps_of_set"]


def rule_set(item: Any) -> str | None:
    """Returns the name of the set of rules that an item of a recipe's steps names, None of any other item."""
    name = next(iter(item)) if isinstance(item, dict) and len(item) == 1 else item
    return name if isinstance(name, str) and name in RULE_SETS else None


def steps_of_set(reading: Reading, item: Any, loc: Loc) -> list[Any]:
    """Returns the steps that a set of rules stands for, each with those of the parameters that are its own.

    What is wrong with them is left with `reading`: a parameter that no step has, and `action: mark` where one cuts the
    text.
    """
    name, params = (item, {}) if isinstance(item, str) else next(iter(item.items()))
    params = {} if params is None else params
    if not isinstance(params, dict):
        text = f"expected parameters of `{name}` as key: value, got {shown(params)}"
        reading.mistakes.append(f"{reading.positions.where((*loc, name))}: {text}")
        return []
    keys = {
        step: [f.alias or key for key, f in stage_class(step).model_fields.items()]
        for step in RULE_SETS[name]
    }
    known = list(dict.fromkeys(key for own in keys.values() for key in own))
    for key in (key for key in params if key not in known):
        text = f'expected a known key in `{name}` ({", ".join(known)}), got "{key}"{did_you_mean(str(key), known)}'
        reading.mistakes.append(f"{reading.positions.where_key((*loc, name, key))}: {text}")
    if half := _half_marked(name, params, [step for step, own in keys.items() if "action" not in own]):
        reading.mistakes.append(f"{reading.positions.where((*loc, name, 'action'))}: {half}")
    return [{step: {key: value for key, value in params.items() if key in own}} for step, own in keys.items()]


def _half_marked(name: str, params: Mapping[str, Any], cutting: Sequence[str]) -> str | None:
    """cutting: the set's steps that have no `action`, for they do not judge documents but cut their texts."""
    if params.get("action") != "mark" or not cutting:
        return None
    judging = ", ".join(f"{step}: {{action: mark}}" for step in RULE_SETS[name] if step not in cutting)
    return (
        f"expected `{name}` without action: mark, got it: {', '.join(cutting)}, which is part of it, would cut the "
        f"texts all the same. Write  {judging}  to mark documents by their texts as they are, or "
        f"{', '.join(cutting)} before it to mark them by what would be left"
    )
