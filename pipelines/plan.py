"""A recipe -> everything that will run, each step and task with its key, before anything runs.

    source web    [files] ── read, extract, language ──save── gopher ──> parts      segments: fused, one task a unit
    source books  [files] ── read ─────────────────────────────────────> parts
                                   all parts ── exact ── minhash ── decontaminate    gathers: phases over all parts
                                   all parts ── tokens ──> shards

    key(step) = digest(step before it, its name, stage, version, parameters, library versions)
    key(task) = digest(key of its segment's last step, its files' paths, sizes, digests and byte ranges)
    key(gather) = digest(stage as above, side inputs, keys of all parts' tasks, of dropping gathers before it)

A file added is a new task and leaves the others as they are. A unit is a split of a large file, or small files in
list order until they reach GROUP_BYTES: fixed by the recipe and its files, never by the number of workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from manifests.digest import digest_value, hash64
from pipelines.filelist import FileList, list_files
from pipelines.gather import kept_phases
from pipelines.over_all import refuse_itself
from pipelines.recipe import Recipe, Source, load_recipe, resolved
from pipelines.stage import Phased, Read, Split, Stage, short_names
from pipelines.steps import Step, step_spec

__all__ = [
    "GROUP_BYTES",
    "GatherPlan",
    "Plan",
    "SegmentPlan",
    "StepPlan",
    "Unit",
    "make_plan",
    "sampled",
]

GROUP_BYTES = 4 << 20
FORMAT = 1


@dataclass(frozen=True, slots=True)
class StepPlan:
    """A step of the recipe with its kind and key."""

    step: Step
    kind: str
    key: str

    @property
    def name(self) -> str:
        """Its name in the recipe."""
        return self.step.name

    @property
    def stage(self) -> Stage | None:
        """Its stage; None for a save."""
        return self.step.stage

    def spec(self) -> dict[str, Any]:
        """What a worker needs to make the stage again."""
        params = {} if self.stage is None else self.stage.arguments()
        use = {} if self.step.use is None else {"use": self.step.use}
        return {**step_spec(self.step), "kind": self.kind, "params": params, **use}


@dataclass(frozen=True, slots=True)
class Unit:
    """One task of a segment. splits: pieces of files; parent: key of the saved part it reads instead."""

    key: str
    label: str
    ordinal: int
    n_bytes: int
    splits: tuple[Split, ...] = ()
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """Steps of one source that run fused, from files or a saved part to a part."""

    name: str
    source: str
    licence: str | None
    steps: tuple[StepPlan, ...]
    step_key: str
    units: tuple[Unit, ...]
    parent: str | None
    final: bool


@dataclass(frozen=True, slots=True)
class GatherPlan:
    """A gather (or the tokens step, which is built like one) over all final parts. sides: `side_inputs`."""

    step: StepPlan
    action: str
    step_key: str
    after: tuple[str, ...]
    sides: dict[str, str]


@dataclass(frozen=True)
class Plan:
    """Everything a build does. `root`: the store; `key`: equal keys are equal corpora."""

    recipe: Recipe
    root: Path
    file_lists: tuple[FileList, ...]
    segments: tuple[SegmentPlan, ...]
    gathers: tuple[GatherPlan, ...]
    tokens: GatherPlan | None
    sample: str | None
    measure_all: bool
    libraries: dict[str, str] = field(default_factory=dict)

    @cached_property
    def final_units(self) -> list[tuple[SegmentPlan, Unit]]:
        """All units whose parts the gathers read, in the recipe's order of sources."""
        return [(s, u) for s in self.segments if s.final for u in s.units]

    @cached_property
    def levels(self) -> list[list[SegmentPlan]]:
        """The segments that run together: a segment that reads a save waits for all that are less deep."""
        depth: dict[str | None, int] = {None: -1}
        for segment in self.segments:
            depth[segment.name] = depth[segment.parent] + 1
        n_levels = max(depth.values()) + 1
        return [[s for s in self.segments if depth[s.name] == level] for level in range(n_levels)]

    @cached_property
    def key(self) -> str:
        """The key of the whole corpus."""
        tasks = [u.key for s in self.segments for u in s.units]
        last = [g.step_key for g in self.gathers] + ([self.tokens.step_key] if self.tokens else [])
        return digest_value(["corpus", FORMAT, self.recipe.name, resolved(self.recipe), tasks, last])

    def describe(self) -> list[dict[str, Any]]:
        """One row a step: for `quern plan`, and for `quern status` in runs/plan.json."""
        rows = [_segment_row(s) for s in self.segments]
        for gather in (*self.gathers, *([self.tokens] if self.tokens else [])):
            stage = gather.step.stage
            assert isinstance(stage, Phased)
            step = {
                "step": gather.step.name,
                "source": None,
                "kind": gather.step.kind,
                "key": gather.step_key,
                "phases": kept_phases(stage),
            }
            rows.append({**step, "units": None, "bytes": None, "keys": [], "parents": [], "final": False})
        return rows


def _segment_row(segment: SegmentPlan) -> dict[str, Any]:
    return {
        "step": segment.name,
        "source": segment.source,
        "kind": "segment",
        "steps": [s.name for s in segment.steps],
        "key": segment.step_key,
        "units": len(segment.units),
        "bytes": sum(u.n_bytes for u in segment.units),
        "keys": [u.key for u in segment.units],
        "parents": [u.parent for u in segment.units],
        "final": segment.final,
    }


def make_plan(
    recipe_path: Path,
    out: Path,
    *,
    overrides: Sequence[str] = (),
    sample: Fraction | None = None,
    measure_all: bool = False,
    allow_code: bool = False,
) -> Plan:
    """The plan of a recipe into the store `out`. Reads the input once to digest it; digests are remembered.

    sample: the share of each source's bytes to take, by hash of the units, at least one unit a source.

    Raises: RecipeError.
    """
    recipe = load_recipe(recipe_path, overrides, allow_code=allow_code, out=out)
    refuse_itself(recipe, out)
    libraries: dict[str, str] = {}
    file_lists = tuple(list_files(source, out) for source in recipe.sources)
    segments = tuple(
        segment
        for source, files in zip(recipe.sources, file_lists, strict=True)
        for segment in _segments(
            source, files, folder=recipe.folder, measure_all=measure_all, libraries=libraries
        )
    )
    gathers, tokens = _regroup(recipe, segments, libraries)
    plan = Plan(recipe, out, file_lists, segments, gathers, tokens, None, measure_all, libraries)
    return plan if sample is None else sampled(plan, sample)


def sampled(plan: Plan, share: Fraction) -> Plan:
    """The plan cut down to a share of each source's bytes, at least one unit; a larger share holds a smaller one.

    Its parts are the whole plan's own, so what a sample built the whole need not build again; gathers see other
    documents and have other keys.
    """
    chosen: set[str] = set()
    segments = []
    for segment in plan.segments:
        units = (
            [u for u in segment.units if u.parent in chosen]
            if segment.parent
            else _chosen(segment.units, share)
        )
        chosen |= {u.key for u in units}
        segments.append(replace(segment, units=tuple(units)))
    gathers, tokens = _regroup(plan.recipe, segments, plan.libraries)
    return replace(plan, segments=tuple(segments), gathers=gathers, tokens=tokens, sample=str(share))


def _chosen(units: Sequence[Unit], share: Fraction) -> list[Unit]:
    wanted, n_bytes = sum(u.n_bytes for u in units) * share, 0
    chosen: list[Unit] = []
    for unit in sorted(units, key=lambda u: (hash64("sample", u.key), u.ordinal)):
        if chosen and n_bytes >= wanted:
            break
        chosen.append(unit)
        n_bytes += unit.n_bytes
    return sorted(chosen, key=lambda u: u.ordinal)


def _regroup(
    recipe: Recipe, segments: Sequence[SegmentPlan], libraries: dict[str, str]
) -> tuple[tuple[GatherPlan, ...], GatherPlan | None]:
    parts = [u.key for s in segments if s.final for u in s.units]
    gathers, dropping = _gathers(recipe, parts, libraries)
    if recipe.tokens is None:
        return tuple(gathers), None
    step = Step("tokens", recipe.tokens, "tokens")
    return tuple(gathers), _gather(
        step, recipe.folder, parts, after=dropping, libraries=libraries, kind="tokens"
    )


def _gathers(
    recipe: Recipe, parts: list[str], libraries: dict[str, str]
) -> tuple[list[GatherPlan], tuple[str, ...]]:
    gathers: list[GatherPlan] = []
    dropping: tuple[str, ...] = ()
    for step in recipe.steps:
        gather = _gather(step, recipe.folder, parts, after=dropping, libraries=libraries, kind="gather")
        gathers.append(gather)
        if gather.action == "drop":
            dropping = (*dropping, gather.step_key)
    return gathers, dropping


def _gather(
    step: Step,
    folder: Path,
    parts: list[str],
    *,
    after: tuple[str, ...],
    libraries: dict[str, str],
    kind: str,
) -> GatherPlan:
    assert step.stage is not None
    own = _stage_value(step, libraries)
    sides = step.stage.side_inputs(folder)
    key = digest_value(["gather", FORMAT, own, _by_short_name(sides), parts, list(after)])
    action = getattr(step.stage, "action", "drop")
    return GatherPlan(StepPlan(step, kind, key), action, key, after, sides)


def _by_short_name(inputs: dict[str, str]) -> dict[str, str]:
    # Beside the parameters, which name such files but do not say what is in them.
    return dict(zip(short_names(list(inputs)), inputs.values(), strict=True))


def _stage_value(step: Step, libraries: dict[str, str]) -> list[Any]:
    # What of a stage its output depends on, beside its input.
    stage = step.stage
    assert stage is not None
    versions = {name: metadata.version(name) for name in stage.libraries}
    libraries.update(versions)
    return [step.name, type(stage).name, type(stage).version, stage.params(), versions, step.digest]


def _segments(
    source: Source, files: FileList, *, folder: Path, measure_all: bool, libraries: dict[str, str]
) -> Iterator[SegmentPlan]:
    read = source.read()
    first = _stage_value(read, libraries)
    # Parquet's bytes are pyarrow's: with its version in the first key, equal keys are equal bytes.
    libraries["pyarrow"] = metadata.version("pyarrow")
    key = digest_value(
        ["read", FORMAT, source.name, source.licence, measure_all, libraries["pyarrow"], first]
    )
    units = _file_units(source.reader, files, key)
    run = [StepPlan(read, "read", key)]
    number, parent = 1, None
    for i, step in enumerate(source.steps):
        if step.stage is None and measure_all:
            continue  # a dropped document is measured by every step, so there is nothing to come back to
        if step.stage is None:
            segment = _segment(source, number, run, units, parent, final=i + 1 == len(source.steps))
            yield segment
            if segment.final:
                return
            run = [StepPlan(step, "read", segment.step_key)]
            units, parent, number = list(segment.units), segment.name, number + 1
            key = segment.step_key
            continue
        sides = _by_short_name(step.stage.side_inputs(folder))
        key = digest_value(["step", key, _stage_value(step, libraries), *([sides] if sides else [])])
        run.append(StepPlan(step, _kind(step.stage), key))
    yield _segment(source, number, run, units, parent, final=True)


def _kind(stage: Stage) -> str:
    return next(
        k.__name__.lower() for k in type(stage).__mro__ if k.__name__ in ("Rewrite", "Edit", "Rule", "Gather")
    )


def _segment(
    source: Source,
    number: int,
    run: Sequence[StepPlan],
    units: Sequence[Unit],
    parent: str | None,
    *,
    final: bool,
) -> SegmentPlan:
    step_key = run[-1].key
    keyed = []
    for unit in units:
        given = unit.key if parent else _unit_value(unit)
        key = digest_value(["task", FORMAT, step_key, given])
        keyed.append(
            Unit(
                key,
                unit.label,
                unit.ordinal,
                unit.n_bytes,
                () if parent else unit.splits,
                unit.key if parent else None,
            )
        )
    name = source.name if number == 1 and final else f"{source.name}.{number}"
    return SegmentPlan(name, source.name, source.licence, tuple(run), step_key, tuple(keyed), parent, final)


def _unit_value(unit: Unit) -> list[Any]:
    return [[s.file.path, s.file.size, s.file.digest, s.start, s.end] for s in unit.splits]


def _file_units(reader: Read, files: FileList, key: str) -> list[Unit]:
    units: list[Unit] = []
    waiting: list[Split] = []
    for split in (s for f in files.files for s in reader.splits(f)):
        waiting.append(split)
        if sum(s.end - s.start for s in waiting) >= GROUP_BYTES:
            units.append(_unit(waiting, len(units), key))
            waiting = []
    if waiting:
        units.append(_unit(waiting, len(units), key))
    return units


def _unit(splits: Sequence[Split], ordinal: int, key: str) -> Unit:
    first = splits[0]
    label = first.file.path + (f"@{first.start}" if first.start else "")
    label += f" and {len(splits) - 1} more" if len(splits) > 1 else ""
    return Unit(key, label, ordinal, sum(s.end - s.start for s in splits), tuple(splits))
