"""Our verdicts for parity: FineWeb's steps as the shipped recipe has them, on a list of texts.

"gopher_quality"   -> GopherQuality(words="spacy")                         a reason, or None to keep, for each text
"c4_fineweb"       -> C4Lines(end_marks=False) then C4Quality(...)          and the text that is left
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash
import yaml
from support.machine import ROOT

from pipelines.batch import Batch, BatchBuilder, Record
from pipelines.filters.c4 import C4Lines, C4Quality
from pipelines.filters.fineweb import FINEWEB_LIMITS
from pipelines.filters.gopher import REPETITION_LIMITS, SPACY_QUALITY_LIMITS
from pipelines.filters.limits import Limit
from pipelines.registry import stage_class
from pipelines.spans import apply_spans
from pipelines.stage import Edit, Rule, Stage

RECIPE = ROOT / "pipelines" / "recipes" / "fineweb.yaml"
C4_LIMITS = (Limit("too_few_sentences", "min_sentences", "n_sentences"),)
LIMITS: dict[str, tuple[Limit, ...]] = {
    "gopher_repetition": REPETITION_LIMITS,
    "gopher_quality": SPACY_QUALITY_LIMITS,
    "fineweb_quality": FINEWEB_LIMITS,
    "c4": C4_LIMITS,
    "c4_sentences": C4_LIMITS,
}


class Step(NamedTuple):
    """A rule, and the edit before it, if there is one."""

    edit: Edit | None
    rule: Rule


@cache
def steps() -> dict[str, Step]:
    """Each rule of FineWeb's recipe by name; `c4` is C4's own, with end marks, `c4_sentences` the same by sentences."""
    written = yaml.safe_load(RECIPE.read_text())["sources"][0]["steps"]
    stages: dict[str, Any] = dict(_stage(step) for step in written if step not in ("save", "extract"))
    quality = stages["c4_quality"]
    rules = ("url", "language", "gopher_repetition", "gopher_quality", "fineweb_quality")
    return {
        **{name: Step(None, stages[name]) for name in rules},
        "c4_fineweb": Step(stages["c4_lines"], quality),
        "c4": Step(C4Lines(), quality),
        "c4_sentences": Step(C4Lines(units="sentences"), C4Quality(units="sentences", words="spacy")),
    }


def _stage(step: str | dict[str, Any]) -> tuple[str, Stage]:
    [(name, params)] = [(step, {})] if isinstance(step, str) else step.items()
    return name, stage_class(name)(**params)


def batch_of(texts: Sequence[str], urls: Sequence[str] | None = None) -> Batch:
    """One batch of the texts."""
    builder = BatchBuilder("parity", max_bytes=1 << 40)
    found: list[Batch] = []
    for at, text in enumerate(texts):
        found += builder.add(Record("texts", at, at, 1, text=text, url=urls[at] if urls else None))
    [batch] = [*found, *builder.flush()]
    return batch


def measured(step: Step, batch: Batch) -> tuple[Batch, dict[str, Any]]:
    """The batch with its texts edited, and what the rule measures of them."""
    if step.edit is not None:
        batch, _ = apply_spans("edit", step.edit, batch)
    return batch, dict(step.rule.measure(batch))


def judge(step: Step, batch: Batch) -> tuple[Batch, list[str | None]]:
    """The batch with its texts edited, and a reason for each, None to keep."""
    batch, values = measured(step, batch)
    verdicts = step.rule.decide(values)
    return batch, [step.rule.reasons[code - 1] if code else None for code in verdicts]


def digests(batch: Batch) -> list[str]:
    """A hash of each text."""
    return [xxhash.xxh64_hexdigest((text or "").encode()) for text in batch.column("text").to_pylist()]


def alone(name: str, reason: str) -> tuple[Step, Limit | None]:
    """The step with that limit and no other, and the limit; none where the reason is of another sort."""
    step = steps()[name]
    limit = next((one for one in LIMITS.get(name, ()) if one.reason == reason), None)
    off = {one.field: None for one in LIMITS.get(name, ()) if one != limit}
    return Step(step.edit, step.rule.model_copy(update=off)), limit


def quantity(limit: Limit, values: dict[str, Any]) -> npt.NDArray[np.float64]:
    """What the limit bounds, for each text."""
    of = np.asarray(values[limit.of], np.float64)
    return of / np.maximum(1, values[limit.per]) if limit.per else of
