"""Our side of dedup_stages: a build with two workers, then the documents kept as Parquet."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq

from corpus_tools.open import open_corpus
from pipelines.executor import build
from pipelines.plan import make_plan

RECIPE = """\
name: texts
sources:
  - name: texts
    read: {{jsonl: {{text: text, id: id}}}}
    paths: ["{texts}/*.jsonl"]
    licence: unknown
    steps: []
steps: [minhash: {{scheme: datatrove, bands: 14, rows: 8, verify: none}}]
"""


def main(folder: Path) -> None:
    cpu, wall = cpu_seconds(), time.perf_counter()
    task = json.loads((folder / "task.json").read_text())
    (folder / "recipe.yaml").write_text(RECIPE.format(texts=task["texts"]))
    plan = make_plan(folder / "recipe.yaml", folder / "out")
    build(plan, workers=task["workers"])
    kept = open_corpus(folder / "out").documents()
    pq.write_table(kept, folder / "kept.parquet", compression="zstd")
    answer = {"cpu": cpu_seconds() - cpu, "wall": time.perf_counter() - wall, "n_kept": len(kept)}
    (folder / "answer.json").write_text(json.dumps({**answer, "clusters": clusters(folder / "out")}))


def clusters(out: Path) -> list[list[str]]:
    """The sets of documents of which all but one go, by their numbers."""
    corpus, members = open_corpus(out), defaultdict(list)
    for part in corpus.manifest.parts:
        refs = pq.read_table(part.part.check(corpus.root), columns=["ref"])["ref"].to_pylist()
        for entry in corpus.verdicts_of(part):
            verdict = pq.read_table(entry.verdict.check(corpus.root), columns=["cluster"])
            for ref, cluster in zip(refs, verdict["cluster"].to_pylist(), strict=True):
                if cluster is not None:
                    members[cluster].append(ref)
    return list(members.values())


def cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
