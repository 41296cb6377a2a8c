"""build(plan): runs what is not done yet, step after step, and writes the corpus manifest.

    segments whose input is files ─> segments that read a save ─> each gather's phases ─> tokens ─> manifest

Every arrow is a barrier; between two of them units are independent and are handed to a pool of watched children
(`pool.py`). The driver holds no state: killed at any moment and started again, it asks the store what is done. So
the same command goes on, and the manifest it writes is the one an uninterrupted run writes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manifests.commit import FileRef
from manifests.digest import digest_file, digest_value
from manifests.errors import TaskError, UsageError
from manifests.receipt import Receipt
from pipelines import store
from pipelines.finish import Finished, assemble
from pipelines.gather import PhaseTask, kept_phases, stays
from pipelines.kernels.jit import compile_kernels
from pipelines.places import spelt_root
from pipelines.plan import GatherPlan, Plan, SegmentPlan
from pipelines.pool import Event, Limits, Pool, Work, stopped
from pipelines.run import run_task
from pipelines.stage import Phase, Phased, Stage

__all__ = ["build", "default_workers"]

Listener = Callable[[Event], None]


def default_workers() -> int:
    """Workers by the cores this process may use and about 2 GB of memory each."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(cores, memory // (2 << 30)))


def build(
    plan: Plan,
    *,
    workers: int | None = None,
    memory_gb: float | None = None,
    keep: bool = False,
    limits: Limits | None = None,
    on_event: Listener | None = None,
) -> Path:
    """Run a plan to its end; returns the path of the corpus.json it wrote.

    workers: processes, 0 for this one (no watching: for tests and debuggers). keep: leave scratch of gathers.

    Raises: TaskError when units failed all their tries; Stopped after SIGINT or SIGTERM; UsageError while another
    build holds the store; DamageError for damaged inputs.
    """
    n_workers = default_workers() if workers is None else workers
    limits = limits or _limits(memory_gb, n_workers)
    with ExitStack() as stack:
        stack.enter_context(store.locked(plan.root))
        stop = stack.enter_context(_signals())
        driver = _Driver(plan, keep=keep, on_event=_logged(plan.root, on_event), stop=stop)
        driver.pool = stack.enter_context(
            Pool(n_workers, limits, driver.on_event, driver.save_quarantine, stop)
            if n_workers
            else _nothing()
        )
        return driver.run()


def _limits(memory_gb: float | None, n_workers: int) -> Limits:
    if memory_gb is None:
        return Limits()
    if not 0 < memory_gb < float("inf"):
        raise UsageError(
            f"--memory: expected a number of GB above 0, got {memory_gb}. Nothing was built. Give what all workers "
            "together may use, or leave it out for 4 GiB each."
        )
    return Limits(memory_bytes=int(memory_gb * 1e9) // max(1, n_workers))


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


@contextmanager
def _signals() -> Iterator[Callable[[], int]]:
    """A function that says which signal asked to stop: its number, plus 1000 once repeated; 0 for none."""
    asked = [0]

    def note(number: int, _: object) -> None:
        asked[0] = number + 1000 if asked[0] else number

    try:
        before = {n: signal.signal(n, note) for n in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: a notebook or a server handles its own signals
        yield lambda: 0
        return
    try:
        yield lambda: asked[0]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _logged(root: Path, on_event: Listener | None) -> Listener:
    # Rates and retries go to runs/, which no digest covers; `plan --probe` reads them.
    path = root / "runs" / f"build-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}.jsonl"

    def listener(event: Event) -> None:
        with path.open("a") as log:
            log.write(json.dumps({"time": time.time(), **event}) + "\n")
        if on_event is not None:
            on_event(event)

    return listener


@dataclass
class _Driver:
    plan: Plan
    keep: bool
    on_event: Listener
    stop: Callable[[], int]
    pool: Pool | None = None
    done: Finished = field(default_factory=Finished)
    warmed: set[str] = field(default_factory=set)
    made: dict[str | None, str] = field(default_factory=dict)  # digests of parts by key

    def __post_init__(self) -> None:
        self.root = self.plan.root
        self.receipts = store.Receipts(self.root)
        self.quarantine = store.quarantined(self.root)

    def save_quarantine(self) -> None:
        """Write down a verdict by clock or crash, before anything else happens."""
        store.write_quarantine(self.root, self.quarantine)

    def run(self) -> Path:
        """Every step of the plan, then the manifest."""
        store.write_plan(self.root, key=self.plan.key, sample=self.plan.sample, steps=self.plan.describe())
        self.on_event({"kind": "plan", "step": "plan", "key": self.plan.key})
        self._segments()
        dead: list[list[dict[str, Any]]] = [[] for _ in self.plan.final_units]
        for gather in self.plan.gathers:
            self._gather(gather, dead)
            if gather.action == "drop":  # what only looks is in no later key, so nothing later may see it
                for i, receipt in enumerate(self.done.gathers[gather.step.name]["verdict"]):
                    dead[i].append(receipt.outputs["verdict"].as_json())
        if self.plan.tokens is not None:
            self._gather(self.plan.tokens, dead)
        manifest = assemble(self.plan, self.done, quarantine=self._quarantine_ref())
        path = manifest.write(self.root)
        if not self.keep:
            self._tidy()
        shutil.rmtree(self.root / "runs" / "specs", ignore_errors=True)
        self.on_event({"kind": "done", "step": "corpus", "digest": manifest.digest})
        return path

    def _tidy(self) -> None:
        tasks = [unit.key for segment in self.plan.segments for unit in segment.units]
        gathers = [*self.plan.gathers, *([self.plan.tokens] if self.plan.tokens else [])]
        self.receipts.tidy(tasks, [gather.step_key for gather in gathers])

    def _quarantine_ref(self) -> FileRef | None:
        # The verdicts its units ran with: what other recipes met in this store is none of its corpus.
        receipts = [r for found in self.done.segments.values() for r in found]
        records = {r.key: {(s, o): why for s, o, why in r.facts.get("quarantined", [])} for r in receipts}
        mine = {key: places for key, places in records.items() if places}
        return store.keep_quarantine(self.root, mine) if mine else None

    # --- segments ----------------------------------------------------------------------------------

    def _segments(self) -> None:
        for level in self.plan.levels:
            self._wave(level)

    def _wave(self, segments: Sequence[SegmentPlan]) -> None:
        works = []
        for segment in segments:
            found = [self.receipts.get(u.key, self.made.get(u.parent)) for u in segment.units]
            todo = [i for i, receipt in enumerate(found) if receipt is None]
            self._announce(segment.name, len(segment.units), [r for r in found if r is not None])
            if todo:
                self._warm(s.stage for s in segment.steps)
                works.append(self._work(segment.name, self._segment_spec(segment), todo, may_quarantine=True))
        self._run(works)
        for segment in segments:
            receipts = [self._finished(u.key, self.made.get(u.parent)) for u in segment.units]
            self.done.segments[segment.name] = receipts
            self.made |= {r.key: r.outputs["part"].digest for r in receipts}
            self.done.packs.append(self._pack(segment.step_key, receipts))

    def _segment_spec(self, segment: SegmentPlan) -> dict[str, Any]:
        parents = {r.key: r for r in self.done.segments[segment.parent]} if segment.parent else {}
        times = next(files.times for files in self.plan.file_lists if files.source == segment.source)
        units = []
        for unit in segment.units:
            entry: dict[str, Any] = {"key": unit.key, "label": unit.label, "ordinal": unit.ordinal}
            if unit.parent is not None:
                entry["part"] = parents[unit.parent].outputs["part"].as_json()
            else:
                entry["splits"] = [
                    {
                        "changed_ns": times.get(s.file.path),
                        "digest": s.file.digest,
                        "end": s.end,
                        "path": s.file.path,
                        "root": spelt_root(s.file.root),
                        "size": s.file.size,
                        "start": s.start,
                    }
                    for s in unit.splits
                ]
            units.append(entry)
        return {
            "folder": str(self.plan.recipe.folder.absolute()),
            "kind": "segment",
            "licence": segment.licence,
            "measure_all": self.plan.measure_all,
            "name": segment.name,
            "root": str(self.root.absolute()),
            "source": segment.source,
            "step_key": segment.step_key,
            "steps": [s.spec() for s in segment.steps],
            "units": units,
        }

    # --- gathers -----------------------------------------------------------------------------------

    def _gather(self, gather: GatherPlan, dead: list[list[dict[str, Any]]]) -> None:
        stage = gather.step.stage
        assert isinstance(stage, Phased)
        base = self._gather_spec(gather, dead)
        kept = kept_phases(stage)
        finished = self.receipts.finished_gather(gather.step_key, base["given"], kept)
        if finished is not None:
            receipts = [r for found in finished.values() for r in found]
            self._announce(gather.step.name, len(receipts), receipts)
        else:
            finished = self._phases(gather, stage, base, kept)
        self.done.gathers[gather.step.name] = finished
        self.done.packs.append(self._ref(f"receipts/{gather.step_key}.jsonl"))

    def _phases(
        self, gather: GatherPlan, stage: Phased, base: dict[str, Any], kept: Sequence[str]
    ) -> dict[str, list[Receipt]]:
        self._warm([stage])
        by_phase: dict[str, list[Receipt]] = {}
        for phase in stage.phases():
            by_phase[phase.name] = self._phase(gather, phase, base, by_phase)
        self.receipts.pack(gather.step_key, [r for name in kept for r in by_phase[name]])
        if not self.keep:
            self.receipts.forget(r.key for name in by_phase.keys() - kept for r in by_phase[name])
            store.remove_scratch(self.root, gather.step_key)
        return {name: by_phase[name] for name in kept}

    def _phase(
        self, gather: GatherPlan, phase: Phase, base: dict[str, Any], before: dict[str, list[Receipt]]
    ) -> list[Receipt]:
        spec = {
            **base,
            "facts": {name: [r.facts for r in receipts] for name, receipts in before.items()},
            "keep": stays(phase),
            "name": f"{gather.step.name}/{phase.name}",
            "outputs": {
                name: [{role: ref.as_json() for role, ref in r.outputs.items()} for r in receipts]
                for name, receipts in before.items()
            },
            "phase": phase.name,
        }
        n_units = self._n_units(phase, spec)
        spec["units"] = [
            {
                "key": store.phase_key(gather.step_key, phase.name, i, n_units),
                "label": f"{phase.name} {i + 1} of {n_units}",
                "ordinal": i,
            }
            for i in range(n_units)
        ]
        keys = [u["key"] for u in spec["units"]]
        found = [self.receipts.get(key, spec["given"]) for key in keys]
        self._announce(spec["name"], n_units, [r for r in found if r is not None])
        if todo := [i for i, receipt in enumerate(found) if receipt is None]:
            self._run([self._work(spec["name"], spec, todo)])
        return [self._finished(key, spec["given"]) for key in keys]

    def _n_units(self, phase: Phase, spec: dict[str, Any]) -> int:
        if phase.axis == "part":
            return len(self.plan.final_units)
        if callable(phase.axis):
            unit = {
                "key": digest_value(["axis", spec["step_key"], phase.name]),
                "label": "axis",
                "ordinal": 0,
            }
            with PhaseTask({**spec, "units": [unit]}, 0) as task:
                return phase.axis(task)
        return 1 if phase.axis == "one" else int(phase.axis)

    def _gather_spec(self, gather: GatherPlan, dead: list[list[dict[str, Any]]]) -> dict[str, Any]:
        receipts = {r.key: r for rs in self.done.segments.values() for r in rs}
        parts = [
            {
                "key": unit.key,
                "n_bytes": receipts[unit.key].tally.bytes_kept,
                "n_docs": receipts[unit.key].tally.n_kept,
                "ref": receipts[unit.key].outputs["part"].as_json(),
                "source": segment.source,
            }
            for segment, unit in self.plan.final_units
        ]
        return {
            "dead": dead,
            "folder": str(self.plan.recipe.folder.absolute()),
            "given": digest_value([self.made[unit.key] for _, unit in self.plan.final_units]),
            "kind": "phase",
            "parts": parts,
            "root": str(self.root.absolute()),
            "sides": gather.sides,
            "stage": gather.step.spec(),
            "step_key": gather.step_key,
        }

    # --- running -----------------------------------------------------------------------------------

    def _work(
        self, step: str, spec: dict[str, Any], todo: Sequence[int], *, may_quarantine: bool = False
    ) -> Work:
        path = store.write_spec(self.root, spec)
        units = spec["units"]
        keys, labels = [u["key"] for u in units], [u["label"] for u in units]
        return Work(step, path, todo, keys, labels, self.quarantine, may_quarantine)

    def _warm(self, stages: Iterable[Stage | None]) -> None:
        # Compiled once here, into the cache, and not in every worker at the same time.
        names = {name for stage in stages if stage is not None for name in stage.kernels()} - self.warmed
        if names:
            self.on_event({"kind": "warm", "step": "kernels", "n_units": len(names)})
            compile_kernels(sorted(names))
            self.warmed |= names

    def _run(self, works: Sequence[Work]) -> None:
        if self.pool is None:
            for work in works:
                for index in work.indices:
                    if number := self.stop():
                        raise stopped(number)
                    run_task(work.spec, index, self.quarantine.get(work.keys[index]))
            return
        if failed := self.pool.run(works):
            lines = "\n".join(f"  {label}: {error}" for label, error in sorted(failed.items()))
            raise TaskError(
                f"{len(failed)} units failed; the others are done and stand:\n{lines}\n"
                "Nothing after them was built. Mend the cause and run the same command: it goes on from here."
            )

    def _finished(self, key: str, given: str | None) -> Receipt:
        receipt = self.receipts.get(key, given)
        assert receipt is not None, f"task {key} ended without a receipt"
        return receipt

    def _pack(self, step_key: str, receipts: list[Receipt]) -> FileRef:
        # Written again even where it stands: a pack cut between two lines reads like a whole one.
        return self.receipts.pack(store.pack_key(step_key, [r.key for r in receipts]), receipts)

    def _ref(self, name: str) -> FileRef:
        path = self.root / name
        return FileRef(name, path.stat().st_size, digest_file(path))

    def _announce(self, step: str, n_units: int, done: Sequence[Receipt]) -> None:
        n_bytes = sum(r.tally.bytes_read for r in done)
        self.on_event(
            {"kind": "step", "step": step, "n_units": n_units, "n_done": len(done), "n_bytes": n_bytes}
        )
