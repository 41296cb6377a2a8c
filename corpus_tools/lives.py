"""What is told of a document's life, as data and as a page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from textwrap import indent
from typing import Any

from corpus_tools.compare import Beside
from corpus_tools.screen import clean, table, tidy

__all__ = ["Life", "Limit", "Place", "StepLife"]


@dataclass(frozen=True, slots=True)
class Limit:
    """One thing a rule asks: the quantity as it is reckoned, its value here, the limit, the reason if it fails."""

    reason: str
    quantity: str
    value: float | str | None
    limit: str


@dataclass(frozen=True, slots=True)
class StepLife:
    """What one step made of a document.

    outcome: `read`, `kept`, `dropped`, `marked`, `passed by` (a route for other languages) or `only measured`
    (the document was dropped before; one in 100 is measured to the end). beside: its text and that of the document
    that stays for it.
    """

    step: str
    stage: str
    kind: str
    outcome: str
    reason: str | None
    values: dict[str, Any]
    limits: list[Limit]
    remark: str = ""
    beside: Beside | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a kept document's tokens lie: tokens [start, end) of a shard."""

    shard: str
    split: str
    start: int
    end: int


@dataclass(frozen=True)
class Life:
    """All that is known of one document.

    opening: how its text begins, as it stands in the corpus or as the step met it that dropped the document.
    """

    doc_id: str
    source: str
    about: dict[str, str]
    origin: list[dict[str, Any]]
    outcome: str
    steps: list[StepLife]
    places: list[Place]
    opening: str | None

    def as_json(self) -> dict[str, Any]:
        """The life as JSON."""
        return asdict(self)

    def text(self) -> str:
        """The life as a page."""
        about = "".join(f"  {name:8} {tidy(value, 100)}\n" for name, value in self.about.items())
        came = "".join(f"  from     {_origin_text(o)}\n" for o in self.origin)
        lies = "".join(
            f"  lies in  {p.shard} tokens {p.start:,} to {p.end:,} ({p.split})\n" for p in self.places
        )
        opening = f"  begins   {tidy(self.opening, 100)}\n" if self.opening else ""
        head = f"{self.doc_id}  {clean(self.source)}  {self.outcome}\n"
        return head + about + came + lies + opening + "\n" + "".join(_step_text(s) for s in self.steps)

    __str__ = text


def _origin_text(origin: dict[str, Any]) -> str:
    record = f" record {origin['record_id']}" if origin.get("record_id") else ""
    return clean(f"{origin['path']} offset {origin['offset']:,} length {origin['length']:,}{record}")


def _step_text(step: StepLife) -> str:
    outcome = step.outcome.upper() if step.outcome in ("dropped", "marked") else step.outcome
    why = f": {step.reason}" if step.reason else ""
    rows = [_limit_row(step, limit) for limit in step.limits]
    shown = {lim.quantity for lim in step.limits}
    rows += [
        {"value": n, "is": tidy(v) if isinstance(v, str) else v, "limit": "", "else": ""}
        for n, v in step.values.items()
        if n not in shown
    ]
    lines = table(rows).replace("\n", "\n      ").rstrip() if rows else ""
    remark = f"      ({step.remark})\n" if step.remark else ""
    beside = "\n" + indent(step.beside.text(), " " * 6) if step.beside else ""
    return (
        f"  {step.step:22} {outcome}{clean(why)}\n" + remark + (f"      {lines}\n" if lines else "") + beside
    )


def _limit_row(step: StepLife, limit: Limit) -> dict[str, Any]:
    here = "  <--" if limit.reason == step.reason else ""
    return {"value": limit.quantity, "is": limit.value, "limit": limit.limit, "else": limit.reason + here}
