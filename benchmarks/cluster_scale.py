"""What clustering costs at 1, 5 and 20 million documents: match, cluster and verdict of MinHash on planted signatures.

    python benchmarks/cluster_scale.py [--millions 1 5 20] [--estimate 1 5] [--folder /tmp]

    signatures   in the files that `sign` writes, PART_DOCS documents each; random numbers, but that CLUSTERED_FRAC of
                 the documents are in clusters of 2 to 10,000, whose sizes are drawn in proportion to 1 / size^2
    none         14 bands of 8, whoever shares a band is one cluster        at every size
    estimate     24 bands of 5, pairs compared by their signatures          at the sizes that --estimate names

Of a cluster every hash has a value of its own, and a member keeps each with a chance that makes two members agree in
.95, .9 or .8 of all hashes. A run counts only if no two clusters were joined, and if of the pairs (clusters of two) as
many were found as theory says, within four standard errors.

The phases are the product's own, run by its own task in WORKERS processes. Memory is sampled from
/proc/PID/smaps_rollup of all processes together, twenty times a second: `private` is what cannot be dropped, `mapped`
the pages of files that are mapped at that moment, which the kernel may drop and read again. Peak is of their sum.
Seconds are of the wall, from the first task handed out to the last one back, and of the workers' processors: where
others use the machine only the second tells what the work costs.

    growth, growth_cpu   seconds a million documents, of the wall and of processors, beside the smallest run's
                                                                                                at most 1.3 times
    peak                 GiB of all processes at once                                           at most 6

The last line is the growth by the wall of the largest run of `none`. The run fails where a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from support.lines import enforce, line, show, with_bars
from support.machine import describe, write_result

from manifests.commit import FileRef, commit_file
from pipelines.dedup import MinHash
from pipelines.dedup.arrays import write_arrays
from pipelines.dedup.signatures import band_keys, places_of, sorted_keys, whole_keys
from pipelines.gather import PhaseTask
from pipelines.kernels.jit import compile_kernels
from pipelines.stage import Phase

PART_DOCS, WORKERS = 250_000, 2
CLUSTERED_FRAC, LARGEST = 0.05, 10_000
AGREEMENT = (0.95, 0.9, 0.8)
STAGES = {
    "none": MinHash(bands=14, rows=8, verify="none"),
    "estimate": MinHash(bands=24, rows=5, verify="estimate"),
}
MAX_PEAK_GIB = 6.0
BARS = {"growth": 1.3, "growth_cpu": 1.3, "peak": 1.0}
"""The most that the ratio of any run may be."""

I64s = npt.NDArray[np.int64]
U32s = npt.NDArray[np.uint32]
U64s = npt.NDArray[np.uint64]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 5, 20])
    parser.add_argument("--estimate", type=float, nargs="*", default=[1, 5])
    parser.add_argument("--folder", type=Path, default=None)
    args = parser.parse_args()
    compile_kernels(sorted({name for stage in STAGES.values() for name in stage.kernels()}))
    runs = [measured(STAGES["none"], int(m * 1e6), args.folder) for m in args.millions]
    runs += [measured(STAGES["estimate"], int(m * 1e6), args.folder) for m in args.estimate]
    lines = figures(runs)
    machine = describe(("numba", "numpy", "pyarrow"))
    settings = {"clustered_frac": CLUSTERED_FRAC, "part_docs": PART_DOCS, "workers": WORKERS}
    write_result("cluster_scale", {"machine": machine, "settings": settings, "figures": lines, "runs": runs})
    print(f"load {machine['load']}")
    show(lines)
    enforce(lines)


def measured(stage: MinHash, n_docs: int, above: Path | None) -> dict[str, Any]:
    """One run: signatures planted, clustered in a fresh folder, and the clusters looked at."""
    folder = Path(tempfile.mkdtemp(prefix="cluster_scale-", dir=above))
    try:
        truth = plant(n_docs)
        with workers() as pool:
            engine = Engine(folder, stage, pool, n_docs)
            pool.starmap(write_part, [(engine.part_spec(i), n_docs) for i in range(engine.n_parts)])
            os.sync()
            phases = engine.run()
        found = judged(engine, truth, stage)
    finally:
        shutil.rmtree(folder)
    result = {"n_docs": n_docs, "verify": stage.verify, "phases": phases, **found}
    print(json.dumps(result), flush=True)
    return result


class Truth(NamedTuple):
    """owner: int32[n_docs], the cluster of each document, -1 for none; sizes: int64[n_clusters]."""

    owner: npt.NDArray[np.int32]
    sizes: I64s


@lru_cache(maxsize=1)
def plant(n_docs: int) -> Truth:
    """Who is in which cluster, a function of the number of documents alone."""
    rng = np.random.default_rng(n_docs)
    n_members = int(n_docs * CLUSTERED_FRAC)
    chances = 1.0 / np.arange(2, LARGEST + 1) ** 2
    drawn = rng.choice(np.arange(2, LARGEST + 1), n_members // 2, p=chances / chances.sum())
    sizes = np.concatenate([[LARGEST, 2], drawn]).astype(np.int64)
    sizes = sizes[np.cumsum(sizes) <= n_members]
    owner = np.full(n_docs, -1, dtype=np.int32)
    owner[rng.permutation(n_docs)[: sizes.sum()]] = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    return Truth(owner, sizes)


def signed(rng: np.random.Generator, owner: npt.NDArray[np.int32], n_hashes: int) -> U32s:
    """Signatures uint32[n, n_hashes]: random, but that members of a cluster keep most of its own hashes."""
    signatures = rng.integers(0, 1 << 32, (len(owner), n_hashes), dtype=np.uint32)
    members = np.flatnonzero(owner >= 0)
    cluster = owner[members].astype(np.uint64)
    own = cluster[:, None] * np.uint64(n_hashes) + np.arange(n_hashes, dtype=np.uint64)
    own = (own + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    own = ((own ^ (own >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)) >> np.uint64(32)
    kept = rng.random(own.shape) < np.sqrt(agreement(cluster))[:, None]
    signatures[members] = np.where(kept, own.astype(np.uint32), signatures[members])
    return signatures


def agreement(cluster: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.array(AGREEMENT)[cluster.astype(np.int64) % len(AGREEMENT)]


def write_part(spec: dict[str, Any], n_docs: int) -> None:
    """The signature file of a part, as `sign_part` writes it."""
    start, n = spec["start"], spec["n_docs"]
    rng = np.random.default_rng([n_docs, start])
    signatures = signed(rng, plant(n_docs).owner[start : start + n], spec["bands"] * spec["rows"])
    bands = band_keys(signatures.reshape(n, spec["bands"], spec["rows"]), within=None)
    keys, at = sorted_keys(bands)
    arrays: dict[str, npt.NDArray[Any]] = {"signature": signatures, "key": keys, "at": at}
    arrays["whole"] = whole_keys(bands)
    ids = rng.integers(0, 1 << 63, (2, n), dtype=np.uint64)
    arrays |= {"id_high": ids[0], "id_low": ids[1], "row": np.arange(n), "place": places_of(np.arange(n), n)}
    arrays["n_bytes"] = rng.integers(100, 10_000, n)
    with commit_file(Path(spec["root"]), spec["path"]) as commit:
        write_arrays(commit.file, arrays, about=spec["about"])


class Engine:
    """The barrier between phases, and their tasks dealt to workers: what the executor does, without a recipe."""

    def __init__(self, root: Path, stage: MinHash, pool: Any, n_docs: int) -> None:
        self.root, self.stage, self.pool, self.n_docs = root, stage, pool, n_docs
        self.n_parts = -(-n_docs // PART_DOCS)
        self.outputs: dict[str, list[dict[str, Any]]] = {}
        self.facts: dict[str, list[dict[str, Any]]] = {}

    def part_spec(self, part: int) -> dict[str, Any]:
        start = part * PART_DOCS
        return {
            "about": self.stage.signing.about(),
            "bands": self.stage.bands,
            "n_docs": min(PART_DOCS, self.n_docs - start),
            "path": f"sign/{part:05d}.arrays",
            "root": str(self.root),
            "rows": self.stage.rows,
            "start": start,
        }

    def run(self) -> dict[str, dict[str, float]]:
        """What each phase took: wall and CPU seconds, GiB of memory, bytes on disk, tasks."""
        parts = [self.part_spec(i) for i in range(self.n_parts)]
        refs = [FileRef(p["path"], (self.root / p["path"]).stat().st_size, "0" * 32) for p in parts]
        self.outputs["sign"] = [{"signatures": ref.as_json()} for ref in refs]
        self.facts["sign"] = [{} for _ in refs]
        self.parts = [
            {"key": f"{i:032x}", "source": "web", "n_docs": p["n_docs"], "n_bytes": 0, "ref": ref.as_json()}
            for i, (p, ref) in enumerate(zip(parts, refs, strict=True))
        ]
        sizes = {"sign": {"disk_bytes": sum(ref.size for ref in refs)}}
        return sizes | {phase.name: self._phase(phase) for phase in self.stage.phases()[1:]}

    def _phase(self, phase: Phase) -> dict[str, float]:
        spec = {
            "dead": [[] for _ in self.parts], "facts": self.facts, "folder": str(self.root), "given": "",
            "keep": False, "name": f"minhash/{phase.name}", "outputs": self.outputs, "parts": self.parts,
            "phase": phase.name, "root": str(self.root), "sides": {},
            "stage": {"step": "minhash"}, "step_key": "0" * 32,
        }  # fmt: skip
        n_units = self._n_units(phase, spec)
        spec["units"] = [{"key": f"{phase.name}-{i}", "label": str(i), "ordinal": i} for i in range(n_units)]
        path = self.root / f"{phase.name}.json"
        path.write_text(json.dumps(spec))
        start = time.perf_counter()
        with memory_of(os.getpid(), self.pool) as memory:
            done = self.pool.starmap(run_unit, [(self.stage, path, i) for i in range(n_units)], chunksize=1)
        wall = time.perf_counter() - start
        self.outputs[phase.name] = [outputs for outputs, *_ in done]
        self.facts[phase.name] = [facts for _, facts, _ in done]
        sizes = [ref["size"] for outputs, *_ in done for ref in outputs.values()]
        return {
            "cpu_s": round(sum(cpu for *_, cpu in done), 2), "disk_bytes": sum(sizes), "n_tasks": n_units,
            "wall_s": round(wall, 2), **memory,
        }  # fmt: skip

    def _n_units(self, phase: Phase, spec: dict[str, Any]) -> int:
        if callable(phase.axis):
            with PhaseTask({**spec, "units": [{"key": "axis"}]}, 0) as task:
                return phase.axis(task)
        return self.n_parts if phase.axis == "part" else 1


@lru_cache(maxsize=2)
def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_bytes())


def run_unit(stage: MinHash, spec: Path, unit: int) -> tuple[dict[str, Any], dict[str, Any], float]:
    """A task's outputs, facts and CPU seconds."""
    start = time.process_time()
    phase = next(p for p in stage.phases() if p.name == load(spec)["phase"])
    with PhaseTask(load(spec), unit) as task:
        phase.run(task)
    receipt = task.receipt()
    outputs = {role: ref.as_json() for role, ref in receipt.outputs.items()}
    return outputs, dict(receipt.facts), time.process_time() - start


@contextmanager
def workers() -> Iterator[Any]:
    kernels = sorted({name for stage in STAGES.values() for name in stage.kernels()})
    with multiprocessing.get_context("spawn").Pool(WORKERS, compile_kernels, (kernels,)) as pool:
        yield pool


@contextmanager
def memory_of(parent: int, pool: Any) -> Iterator[dict[str, float]]:
    """Peaks of this process and its workers together in GiB, filled in when the block ends."""
    pids = [parent, *(process.pid for process in pool._pool)]  # noqa: SLF001
    found, over = {"peak_gib": 0.0, "private_gib": 0.0, "mapped_gib": 0.0}, threading.Event()

    def sample() -> None:
        while not over.wait(0.05):
            private, mapped = np.sum([resident(pid) for pid in pids], axis=0)
            for name, now in (("peak", private + mapped), ("private", private), ("mapped", mapped)):
                found[f"{name}_gib"] = max(found[f"{name}_gib"], round(float(now) / (1 << 30), 3))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def resident(pid: int) -> tuple[int, int]:
    """Bytes of a process's memory, and of its share of mapped files."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: int(rest.split()[0]) << 10 for name, _, rest in (line.partition(":") for line in lines)}
    return sizes["Pss"] - sizes["Pss_File"], sizes["Pss_File"]


def judged(engine: Engine, truth: Truth, stage: MinHash) -> dict[str, Any]:
    """How many of the planted were found.

    Raises: SystemExit where two clusters were joined, or pairs were missed that theory finds.
    """
    refs = [FileRef.from_json(outputs["verdict"]) for outputs in engine.outputs["verdict"]]
    names = np.concatenate([cluster_names(ref.check(engine.root)) for ref in refs])
    named = np.flatnonzero(names)
    owner = truth.owner[named]
    pairs = np.unique(np.stack([names[named], owner.astype(np.uint64)]), axis=1)
    if (owner < 0).any() or len(np.unique(pairs[0])) != pairs.shape[1]:
        raise SystemExit("no figures: documents of two clusters, or of none, were joined")
    n_found = np.bincount(owner, minlength=len(truth.sizes))
    of_two = truth.sizes == 2
    recall = {}
    for k, jaccard in enumerate(AGREEMENT):
        mine = of_two & (np.arange(len(truth.sizes)) % len(AGREEMENT) == k)
        rate, wanted = float((n_found[mine] == 2).mean()), theory(jaccard, stage)
        error = max(np.sqrt(wanted * (1 - wanted) / mine.sum()), 1 / mine.sum())
        # Theory is drawn too, from a million pairs.
        if abs(rate - wanted) > 4 * (error + 0.0005):
            raise SystemExit(f"no figures: {rate} of the pairs of {jaccard} found, expected {wanted}")
        recall[f"pairs_{jaccard}"] = [round(rate, 5), round(wanted, 5)]
    facts = engine.facts["cluster"][0]
    return {
        "members_found_frac": round(float(n_found.sum() / truth.sizes.sum()), 5),
        "n_clusters": facts["n_clusters"], "n_members": facts["n_members"], "recall": recall,
        "n_planted": [len(truth.sizes), int(truth.sizes.sum())],
        "n_edges": sum(f["n_edges"] for f in engine.facts["match"]),
    }  # fmt: skip


def cluster_names(path: Path) -> U64s:
    """The first half of the name of each row's cluster, 0 where it has none."""
    column = pq.read_table(path, columns=["cluster"]).column("cluster").combine_chunks()
    raw = np.frombuffer(column.buffers()[1], dtype="<u8").reshape(-1, 2)[: len(column), 0]
    return np.where(np.asarray(column.is_valid()), raw, 0)


@lru_cache
def theory(jaccard: float, stage: MinHash, n: int = 1_000_000) -> float:
    """The chance that a pair is found, from signatures that agree in each place with that chance."""
    rng, found = np.random.default_rng(3), 0
    least = (
        0 if stage.verify == "none" else -(-int(stage.min_jaccard * 1000) * stage.bands * stage.rows // 1000)
    )
    for _ in range(20):
        agree = rng.random((n // 20, stage.bands, stage.rows), dtype=np.float32) < jaccard
        found += int((agree.all(axis=2).any(axis=1) & (agree.sum(axis=(1, 2)) >= least)).sum())
    return found / n


def figures(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each run costs a million documents beside the smallest one of its kind, and its peak, with their bars."""
    found = {}
    # Lines with bars are printed from the last to the first.
    for verify in STAGES:
        mine = sorted((run for run in runs if run["verify"] == verify), key=lambda run: -run["n_docs"])
        for run in mine:
            name = f"cluster_{verify}_{run['n_docs'] / 1e6:g}m"
            found |= {f"{name}_{kind}": (kind, each) for kind, each in of_run(name, run, mine[-1]).items()}
    return with_bars(
        [each for _, each in found.values()], most={name: BARS[kind] for name, (kind, _) in found.items()}
    )


def of_run(name: str, run: dict[str, Any], first: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The lines of a run by what has a bar of its own."""
    wall, cpu = ((per_million(run, kind), per_million(first, kind)) for kind in ("wall_s", "cpu_s"))
    peak = max(phase.get("peak_gib", 0.0) for phase in run["phases"].values())
    return {
        "growth": line(
            f"{name}_growth", ratio=wall[0] / wall[1], ours=wall[0], peer=wall[1], unit="s/million"
        ),
        "growth_cpu": line(
            f"{name}_growth_cpu", ratio=cpu[0] / cpu[1], ours=cpu[0], peer=cpu[1], unit="CPU s/million"
        ),
        "peak": line(f"{name}_peak", ratio=peak / MAX_PEAK_GIB, ours=peak, peer=MAX_PEAK_GIB, unit="GiB"),
    }


def per_million(run: dict[str, Any], seconds: str) -> float:
    return sum(phase.get(seconds, 0.0) for phase in run["phases"].values()) / run["n_docs"] * 1e6


if __name__ == "__main__":
    main()
