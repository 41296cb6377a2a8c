"""What a build will cost, reckoned from a small one: two samples through the whole path.

    1st sample   a few units of each source, chosen by hash      seconds and bytes written, unit by unit
    2nd sample   more of them (the first ones are reused)        the same
    forecast     a step's units    seconds = cold * (first of its worker) + rate * bytes, by least squares
                 one unit alone    a power of the bytes, at most 1: words repeat in a larger corpus
                 other phases      a + b * bytes

The samples are real builds into the same store, so the full build reads none of their files again. What a worker's
first unit of a step takes longer (modules, kernels, a model) is paid once a worker, however many units there are.
Time is what the units of a step take, over the workers that can share them, and the time in which no unit ran;
stretches of sources that are equally deep share them, as in a build, and take as long as their longest unit. The
disk's peak is everything that stays plus the largest scratch of a gather that stands at one time.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.executor import build, default_workers
from pipelines.gather import stays
from pipelines.plan import GatherPlan, Plan, SegmentPlan, sampled
from pipelines.pool import Event
from pipelines.stage import Phased

__all__ = ["Forecast", "StepCost", "forecast", "probe"]

FIRST_SHARE = Fraction(1, 50)
MAX_SHARE = Fraction(1, 3)
LOAD_SECONDS = 0.2
"""What a kernel takes to load at most; one that takes longer was compiled."""


@dataclass(slots=True)
class _Measured:
    """What the units of one plan cost, by step: (first of its worker, bytes of input, seconds) of each, bytes
    written, bytes kept; and the seconds in which none ran, as the newest log with any has it.
    """

    units: dict[str, list[tuple[bool, int, float]]] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    idle: float | None = None

    def note(self, step: str, event: Event, n_bytes: int) -> None:
        self.units.setdefault(step, []).append((event.get("first", False), n_bytes, event["seconds"]))
        self.written[step] = self.written.get(step, 0) + event["written"]
        self.kept[step] = self.kept.get(step, 0) + event["bytes_kept"]

    def seconds(self, step: str) -> float:
        return sum(seconds for _, _, seconds in self.units.get(step, []))

    def n_bytes(self, step: str) -> int:
        return sum(n for _, n, _ in self.units.get(step, []))


@dataclass(frozen=True, slots=True)
class StepCost:
    """Forecast of one step: seconds of one core, bytes it writes, whether they stay, workers its own units can use."""

    step: str
    core_seconds: float
    n_bytes: int
    stays: bool
    parallel: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecast of a build from nothing. seconds: wall clock with `workers`; peak_bytes: of the store."""

    seconds: float
    peak_bytes: int
    final_bytes: int
    workers: int
    share: str
    steps: list[StepCost]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "final_bytes": self.final_bytes,
            "peak_bytes": self.peak_bytes,
            "seconds": round(self.seconds, 1),
            "share": self.share,
            "steps": [{n: getattr(s, n) for n in StepCost.__slots__} for s in self.steps],
            "workers": self.workers,
        }


def probe(
    plan: Plan,
    seconds: float,
    *,
    workers: int | None = None,
    before: float = 0.0,
    on_event: Callable[[Event], None] | None = None,
) -> Forecast:
    """Build samples of a plan for about `seconds` and forecast the whole.

    before: seconds that a command takes until it builds; they are added.

    Raises: what `build` raises.
    """
    n_workers = workers or default_workers()
    started = time.monotonic()
    first = sampled(plan, FIRST_SHARE)
    build(first, workers=n_workers, on_event=on_event)
    spent = time.monotonic() - started
    # What is left of the time goes to a larger sample: three times as much at least, or no line goes through both.
    growth = Fraction(max(3.0, min(12.0, (seconds - spent) / max(spent, 0.1)))).limit_denominator(10)
    second = sampled(plan, min(MAX_SHARE, max(FIRST_SHARE, _taken(plan, first)) * growth))
    build(second, workers=n_workers, on_event=on_event)
    return forecast(plan, [first, second], n_workers, before=before)


def _taken(plan: Plan, sample: Plan) -> Fraction:
    """The share of the input's bytes that a sample really took: units are whole, so often more than asked."""
    whole, part = (
        sum(u.n_bytes for s in p.segments if s.parent is None for u in s.units) for p in (plan, sample)
    )
    return Fraction(part, whole) if whole else Fraction(1)


def _measured(plan: Plan) -> _Measured:
    """What the store's logs remember of a plan's units, whichever build ran them."""
    # A unit is known by its key: other recipes in this store may have sources and files of the same names. Their step
    # may have another name, as the first stretch of a source has once a `save` follows it.
    units = {u.key: (s.name, u.n_bytes) for s in plan.segments for u in s.units}
    measured = _Measured()
    seen: set[str] = set()
    kept: dict[str, int] = {}
    phases: list[Event] = []
    for events in _logs(plan.root):
        ours = events[0].get("key") == plan.key
        done = [e for e in events if e["kind"] == "unit_done"]
        for event in done:
            key = event.get("key")  # none in logs of older builds, which are not used
            if key is None or key in seen or not (key in units or (ours and "/" in event["step"])):
                continue
            seen.add(key)
            if key in units:
                kept[key] = event["bytes_kept"]
                step, n_bytes = units[key]
                measured.note(step, event, n_bytes)
            else:
                phases.append(event)
        if ours and done and measured.idle is None:
            measured.idle = _idle(events, done)
    # A phase's units are its parts' in their order, where it has one for each; their bytes are what was kept there.
    parts = [kept.get(u.key, 0) for _, u in plan.final_units]
    for event in phases:
        index = event.get("index", 0)
        measured.note(event["step"], event, parts[index] if index < len(parts) else 0)
    return measured


def _idle(events: list[Event], done: list[Event]) -> float:
    # Between the log's ends, what no unit covers: processes start, the driver writes, kernels are loaded. That they
    # had to be compiled first is of this machine's first build.
    covered, until = 0.0, -math.inf
    for event, following in pairwise(events):
        if event["kind"] == "warm":
            covered += max(0.0, following["time"] - event["time"] - LOAD_SECONDS * event["n_units"])
    for start, end in sorted((e["time"] - e["seconds"], e["time"]) for e in done):
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return max(0.0, float(events[-1]["time"] - events[0]["time"]) - covered)


def _logs(root: Path) -> list[list[Event]]:
    # Newest first: a later measurement is the better one.
    paths = sorted((root / "runs").glob("build-*.jsonl"), reverse=True)
    logs = [[e for line in path.read_bytes().splitlines() if (e := _event(line))] for path in paths]
    return [events for events in logs if events]


def _event(line: bytes) -> Event | None:
    # The last line of a build that was killed, or whose disk was full, may be cut.
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "kind" in event else None


def forecast(plan: Plan, built: Sequence[Plan], workers: int, *, before: float = 0.0) -> Forecast:
    """What the whole plan will cost, by the logs of samples of it that were built, the smallest first.

    before: seconds to add, of what a command does until it builds.
    """
    samples = [(part, _measured(part)) for part in built]
    costs = [_segment_cost(s, [m for _, m in samples], workers) for s in plan.segments]
    xs = [_kept_bytes(part, samples) for part, _ in samples]
    whole = _kept_bytes(plan, samples)
    gathers = [*plan.gathers, *([plan.tokens] if plan.tokens else [])]
    groups = [_gather_costs(g, samples, xs, whole, workers, len(plan.final_units)) for g in gathers]
    every = [*costs, *(cost for group in groups for cost in group)]
    peak, final = _disk(costs, groups)
    idle = samples[-1][1].idle or 0.0
    return Forecast(
        seconds=before
        + idle
        + _of_levels(plan, costs, workers)
        + sum(c.core_seconds / c.parallel for group in groups for c in group),
        peak_bytes=peak,
        final_bytes=final,
        workers=workers,
        share=str(samples[-1][0].sample),
        steps=every,
    )


def _segment_cost(segment: SegmentPlan, samples: list[_Measured], workers: int) -> StepCost:
    # The larger sample holds the smaller one's units, so its rate is over all that were measured.
    measured = samples[-1]
    total = sum(u.n_bytes for u in segment.units)
    seen = measured.n_bytes(segment.name)
    parallel = min(workers, max(1, len(segment.units)))
    return StepCost(
        step=segment.name,
        core_seconds=_of_units(measured.units.get(segment.name, []), total, parallel),
        n_bytes=int(measured.written.get(segment.name, 0) * (total / seen if seen else 0.0)),
        stays=True,
        parallel=parallel,
    )


def _of_levels(plan: Plan, costs: Sequence[StepCost], workers: int) -> float:
    """Seconds of wall clock for all segments: those of a level share the workers, and its longest unit ends it."""
    by_name = {cost.step: cost.core_seconds for cost in costs}
    seconds = 0.0
    for level in plan.levels:
        n_units = sum(len(segment.units) for segment in level)
        shared = sum(by_name[segment.name] for segment in level) / min(workers, max(1, n_units))
        seconds += max(shared, *(by_name[segment.name] * _largest_share(segment) for segment in level))
    return seconds


def _largest_share(segment: SegmentPlan) -> float:
    # A unit takes time by its bytes, those of units that have none alike.
    sizes = [u.n_bytes for u in segment.units]
    return max(sizes) / sum(sizes) if any(sizes) else 1 / max(1, len(sizes))


def _of_units(units: list[tuple[bool, int, float]], total: float, workers: int) -> float:
    """Seconds of one core for `total` bytes, from measured units: a rate, and what a worker's first one adds."""
    n_bytes, seconds = sum(n for _, n, _ in units), sum(s for _, _, s in units)
    if not n_bytes:
        return seconds
    if any(first for first, _, _ in units) and not all(first for first, _, _ in units):
        known = np.array([(first, n) for first, n, _ in units], np.float64)
        cold, rate = np.linalg.lstsq(known, np.array([s for _, _, s in units]), rcond=None)[0]
        if cold >= 0 and rate >= 0:
            return float(cold * workers + rate * total)
    return seconds * total / n_bytes


def _kept_bytes(plan: Plan, samples: list[tuple[Plan, _Measured]]) -> float:
    # Bytes of text a plan's gathers read, from what each source's final segment kept of its input.
    largest, total = samples[-1][1], 0.0
    for segment in (s for s in plan.segments if s.final):
        seen = largest.n_bytes(segment.name)
        kept = largest.kept.get(segment.name, 0)
        total += sum(u.n_bytes for u in segment.units) * (kept / seen if seen else 0.0)
    return total


def _gather_costs(
    gather: GatherPlan,
    samples: list[tuple[Plan, _Measured]],
    xs: list[float],
    whole: float,
    workers: int,
    n_parts: int,
) -> list[StepCost]:
    stage = gather.step.stage
    assert isinstance(stage, Phased)
    costs = []
    for phase in stage.phases():
        name = f"{gather.step.name}/{phase.name}"
        written = _line(xs, [float(m.written.get(name, 0)) for _, m in samples], whole)
        n_units = n_parts if phase.axis == "part" else len(samples[-1][1].units.get(name, [0]))
        parallel = min(workers, max(1, n_units))
        if phase.axis == "part":
            # Both samples ran their own units of a phase, so all of them say something about it.
            seconds = _of_units([u for _, m in samples for u in m.units.get(name, [])], whole, parallel)
        else:
            of = _power if phase.axis == "one" else _line
            seconds = of(xs, [m.seconds(name) for _, m in samples], whole)
        costs.append(StepCost(name, seconds, int(written), stays(phase), parallel))
    return costs


def _line(xs: list[float], ys: list[float], x: float) -> float:
    """The value at x of the line through the first and last point; never falling, never below 0 at 0."""
    if xs[-1] <= xs[0]:
        return ys[-1] * x / xs[-1] if xs[-1] else ys[-1]
    slope = max(0.0, (ys[-1] - ys[0]) / (xs[-1] - xs[0]))
    start = ys[-1] - slope * xs[-1]
    return start + slope * x if start >= 0 else ys[-1] * x / xs[-1]


def _power(xs: list[float], ys: list[float], x: float) -> float:
    """The value at x of the power of x through the first and last point, its exponent between 0 and 1."""
    if xs[-1] <= xs[0] or min(xs[0], ys[0], ys[-1]) <= 0:
        return _line(xs, ys, x)
    exponent = math.log(ys[-1] / ys[0]) / math.log(xs[-1] / xs[0])
    return ys[-1] * math.pow(x / xs[-1], min(1.0, max(0.0, exponent)))


def _disk(segments: list[StepCost], groups: list[list[StepCost]]) -> tuple[int, int]:
    stands = sum(c.n_bytes for c in segments)
    peak = stands
    for group in groups:
        stands += sum(c.n_bytes for c in group if c.stays)
        peak = max(peak, stands + sum(c.n_bytes for c in group if not c.stays))
    return peak, stands
