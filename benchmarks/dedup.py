"""Near-duplicates from parts to verdicts: what the default finds and costs beside 14 bands of 8 without verification.

    python benchmarks/dedup.py        all the text of ../shared/data and planted copies; 3 minutes

Both build the same documents in one store, whose parts are there before the clock starts: sign, match, verify, cluster
and verdict, in this process, on one core. Planted are copies of 2,000 texts with 1 to 12% of their words replaced.

    dedup_recall     of pairs (a text, its copy) with a true Jaccard of word 5-grams of .7 or more, the share of which
                     one is dropped, ours and FineWeb's setting's
    dedup_right      of the documents that fall, the share whose own Jaccard with the one that stays is .6 or more
    dedup_time       CPU seconds, FineWeb's setting's by ours                                               bar 0.5
"""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from minhash import all_texts
from support.machine import describe, one_core, write_result

from manifests.corpus import CorpusManifest
from pipelines.executor import build
from pipelines.kernels.sets import count_common
from pipelines.kernels.sketches import shingle_sets
from pipelines.plan import make_plan
from pipelines.pool import worker_environment

FRACS, N_PLANTED, N_RUNS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.12), 250, 5
SETTINGS = {"default": "minhash", "fineweb": "minhash: {bands: 14, rows: 8, verify: none}"}
RECIPE = """\
name: {name}
sources:
  - name: texts
    read: {{jsonl: {{text: text, id: id}}}}
    paths: ["texts.jsonl"]
    licence: unknown
    steps: []
steps: [{step}]
"""


def main() -> None:
    if os.environ.get("ARROW_DEFAULT_MEMORY_POOL") != "system":
        # As a worker of a build starts: one thread, the system's allocator.
        os.execve(sys.executable, [sys.executable, *sys.argv], worker_environment())
    one_core()
    texts = all_texts()
    pairs = plant(texts)
    with tempfile.TemporaryDirectory() as folder:
        runs = {name: [] for name in SETTINGS}
        rows = [json.dumps({"text": text, "id": str(n)}) for n, text in enumerate(texts)]
        (Path(folder) / "texts.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
        seconds_of(Path(folder), "warm_up", "exact")
        for run in range(N_RUNS):
            for name, step in SETTINGS.items():
                runs[name].append(seconds_of(Path(folder), f"{name}{run}", step))
        fallen = {name: keepers(Path(folder), f"{name}{N_RUNS - 1}") for name in SETTINGS}
    report(texts, pairs, runs, fallen)


def plant(texts: list[str]) -> list[tuple[int, int]]:
    """Appends edited copies; returns (text, its copy) as numbers."""
    rng, pairs, n_texts = random.Random(11), [], len(texts)
    for frac in FRACS:
        for of in rng.sample(range(n_texts), N_PLANTED):
            words = texts[of].split(" ")
            for at in rng.sample(range(len(words)), round(frac * len(words))):
                words[at] = f"new{rng.randrange(10**9)}"
            pairs.append((of, len(texts)))
            texts.append(" ".join(words))
    return pairs


def seconds_of(folder: Path, name: str, step: str) -> float:
    """CPU seconds of a build whose parts are in the store already. Its manifest stays in a folder of its own name."""
    recipe = folder / f"{name}.yaml"
    # The name is in no key; the same step would be found done, so that each run has a limit of its own.
    if "minhash" in step:
        n = 1_000_000 + int(name[-1])
        step = step[:-1] + f", max_cluster: {n}}}" if step.endswith("}") else f"{step}: {{max_cluster: {n}}}"
    recipe.write_text(RECIPE.format(name=name, step=step))
    plan = make_plan(recipe, folder / "out")
    start = cpu_seconds()
    build(plan, workers=0)
    seconds = cpu_seconds() - start
    (folder / f"{name}.json").write_bytes((folder / "out" / "corpus.json").read_bytes())
    return seconds


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def keepers(folder: Path, name: str) -> dict[int, int]:
    """Of each text that fell the one that stays for it, as numbers."""
    from corpus_tools.open import open_corpus

    digest = json.loads((folder / f"{name}.json").read_bytes())["digest"]
    corpus = open_corpus(f"{folder / 'out'}@{digest[:12]}")
    number, pairs = {}, []
    for part in corpus.manifest.parts:
        table = pa.parquet.read_table(part.part.check(corpus.root), columns=["doc_id", "ref"])
        ids = table["doc_id"].to_pylist()
        number.update(zip(ids, map(int, table["ref"].to_pylist()), strict=True))
        for entry in corpus.verdicts_of(part):
            verdict = pa.parquet.read_table(entry.verdict.check(corpus.root), columns=["keeper"])
            pairs += [
                (of, keeper) for of, keeper in zip(ids, verdict["keeper"].to_pylist(), strict=True) if keeper
            ]
    assert isinstance(corpus.manifest, CorpusManifest)
    return {number[of]: number[keeper] for of, keeper in pairs}


def jaccards(texts: Sequence[str], pairs: Sequence[tuple[int, int]]) -> np.ndarray:
    """Of each pair the share of distinct word 5-grams they have in common."""
    docs = [text.encode() for text in texts]
    offsets = np.cumsum([0, *map(len, docs)], dtype=np.int64)
    sets, ends = shingle_sets(np.frombuffer(b"".join(docs), np.uint8), offsets)
    a, b = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
    common, sizes = count_common(sets, ends, a, b), np.diff(ends)
    return common / np.maximum(1, sizes[a] + sizes[b] - common)


def report(
    texts: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    runs: dict[str, list[float]],
    fallen: dict[str, Any],
) -> None:
    truth = jaccards(texts, pairs)
    alike = [pair for pair, share in zip(pairs, truth, strict=True) if share >= 0.7]
    recall = {name: np.mean([bool({*pair} & of.keys()) for pair in alike]) for name, of in fallen.items()}
    right = {name: np.mean(jaccards(texts, list(of.items())) >= 0.6) for name, of in fallen.items()}
    seconds = {name: statistics.median(some) for name, some in runs.items()}
    lines = [
        line("dedup_recall", recall["default"], recall["fineweb"], "share"),
        line("dedup_right", right["default"], right["fineweb"], "share"),
        {
            **line("dedup_time", seconds["default"], seconds["fineweb"], "s"),
            "ratio": round(seconds["fineweb"] / seconds["default"], 2),
        },
    ]
    n_mb = sum(len(text.encode()) for text in texts) / 1e6
    about = {
        "n_docs": len(texts),
        "megabytes": round(n_mb, 1),
        "n_alike": len(alike),
        "n_planted": len(pairs),
    }
    about |= {f"n_fallen_{name}": len(of) for name, of in fallen.items()}
    machine = describe(("numba", "numpy", "pyarrow"))
    write_result("dedup", {"machine": machine, "settings": about, "figures": lines, "runs": runs})
    print(about, f"load {machine['load']}")
    for one in lines:
        print(" ".join(f"{key}={value}" for key, value in one.items()))


def line(name: str, ours: float, peer: float, unit: str) -> dict[str, Any]:
    ratio = round(float(ours / peer), 3)
    return {
        "name": name,
        "ratio": ratio,
        "ours": round(float(ours), 4),
        "peer": round(float(peer), 4),
        "unit": unit,
    }


if __name__ == "__main__":
    main()
