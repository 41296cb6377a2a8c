"""Our side of build_web: a recipe through make_plan and build, in this process and again in a watched child."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from timed_extract import seconds_inside, time_extract

from manifests.corpus import CorpusManifest
from pipelines.dedup.signatures import Scheme, sign_texts
from pipelines.executor import build
from pipelines.extract.step import Extract
from pipelines.filters.language import load_model
from pipelines.filters.suffixes import suffix_rules
from pipelines.filters.url import load_lists
from pipelines.plan import Plan, make_plan
from pipelines.read.warc import Warc

RECIPE = """
name: bench
sources:
  - name: web
    read: {{warc: {{}}}}
    paths: ["{name}"]
    licence: unknown
    steps:
      - url
      - extract: {{engine: {engine}}}
      - language: {{keep: [en], min_score: null, above_score: 0.65}}
      - gopher_repetition: {{words: spacy}}
      - gopher_quality: {{words: spacy}}
      - c4_lines: {{end_marks: false}}
      - c4_quality: {{words: spacy}}
      - fineweb_quality: {{words: spacy}}
steps: [minhash: {{bands: 14, rows: 8, verify: none}}]
"""


def main(folder: Path) -> None:
    start = cpu_seconds()
    task = json.loads((folder / "task.json").read_text())
    warc, engine, log = Path(task["warc"]), task["engine"], folder / "inside"
    if engine == "trafilatura":
        time_extract(log)
    build(plan_of(Path(task["warm_up"]), folder / "warm-up", engine), workers=0)
    plan = plan_of(warc, folder / "here", engine)
    for load in (
        load_model,
        load_lists,
        suffix_rules,
    ):  # or what each process loads would stand before the clock
        load.cache_clear()
    inside = seconds_inside(log) if log.exists() else 0.0
    cpu, wall = seconds(lambda: build(plan, workers=0))
    inside = seconds_inside(log) - inside if log.exists() else 0.0
    answer = {"start": start, "cpu": cpu, "wall": wall, "inside": inside, **account(plan)}
    if task["watched"]:
        answer["watched"] = watched(warc, folder / "watched", engine)
    if task["parts"]:
        answer["parts"] = parts(plan, Path(task["texts"]))
    (folder / "answer.json").write_text(json.dumps(answer))


def watched(warc: Path, out: Path, engine: str) -> dict[str, object]:
    """The same build in a watched child: its seconds, what it kept, the most memory that it held.

    peak: at most that; a child begins as its parent's image, and the kernel remembers the larger of the two.
    """
    plan = plan_of(warc, out, engine)
    cpu, wall = seconds(lambda: build(plan, workers=1))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return {"cpu": cpu, "wall": wall, "kept": account(plan)["kept"], "peak": peak}


def plan_of(warc: Path, out: Path, engine: str) -> Plan:
    recipe = warc.with_suffix(".yaml")
    recipe.write_text(RECIPE.format(name=warc.name, engine=engine))
    return make_plan(recipe, out)


def account(plan: Plan) -> dict[str, object]:
    """Documents read and kept (their addresses), how many each step left, and what it dropped.

    `read` leaves the reader's drops out.
    """
    manifest = CorpusManifest.read(plan.root / "corpus.json")
    steps = {step.name: step for step in manifest.steps}
    reader = next(step for step in manifest.steps if step.kind == "read")
    kept = [url for part in finals(plan) for url in pq.read_table(part, columns=["url"])["url"].to_pylist()]
    return {
        "read": reader.n_read - sum(reader.dropped.values()),
        "kept": sorted(kept),
        "left": {name: step.n_read - sum(step.dropped.values()) for name, step in steps.items()},
        "versions": {name: version(name) for name in ("trafilatura", "lxml", "jusText")},
        "dropped": {name: step.dropped for name, step in steps.items() if step.action == "drop"},
    }


def finals(plan: Plan) -> list[Path]:
    manifest = CorpusManifest.read(plan.root / "corpus.json")
    return [plan.root / part.part.path for part in manifest.parts if part.final]


def parts(plan: Plan, texts: Path) -> dict[str, dict[str, float]]:
    """Two stages alone: extraction of the pages as read, signatures of the texts kept. CPU seconds each."""
    segment = plan.segments[0]
    pages = [b for unit in segment.units for split in unit.splits for b in Warc().batches(split)]
    stage = Extract(engine="quern")
    extract, _ = seconds(lambda: [stage.rewrite(batch) for batch in pages])
    kept = pa.concat_tables([pq.read_table(part, columns=["text"]) for part in finals(plan)])
    texts.write_text(json.dumps(kept["text"].to_pylist()))
    scheme = Scheme(5, 14, 8, 1, name="quern")
    sign_texts(kept, scheme)
    signatures, _ = seconds(lambda: sign_texts(kept, scheme))
    return {"extract": {"cpu": extract}, "signatures": {"cpu": signatures}}


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """CPU seconds of this process and the children it has waited for, and wall seconds."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    work()
    return cpu_seconds() - cpu, time.perf_counter() - wall


def cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
