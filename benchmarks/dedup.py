"""Near-duplicates from parts to verdicts: what the default finds and costs beside 14 bands of 8 without verification.

    python benchmarks/dedup.py        all the text of ../shared/data and planted copies; 2 minutes

Both build the same documents in one store, whose parts are there before the clock starts: sign, match, verify, cluster
and verdict, in this process, on one core. Both are built once more before that, so that every kernel is compiled.
Planted are copies of 2,000 texts with 1 to 12% of their words replaced.

The peer is no other project's program: it is `minhash: {bands: 14, rows: 8, verify: none}`, FineWeb's bands run by our
own kernels, which tells what verification and twenty bands of five find and cost.

Who is like whom is counted by `support/alike.py`, which cuts words and compares sets of word 5-grams in Python and
shares no code with what is measured. A pair is alike if its Jaccard similarity is MIN_JACCARD or more; all pairs of all
documents are counted.

    dedup_resolved         of the pairs that are alike, the share of which not both stay, whoever the fallen end fell
                           for                                                              ratio, bar: at least 1
    dedup_planted          the same of the pairs (a text, its planted copy) alone
    dedup_resolved_right   of the pairs that are alike, the share with an end that fell for a keeper it is itself alike
    dedup_right            of the documents that fall, the share alike the keeper named in their verdict; `least` is the
                           smallest similarity of a document and its keeper                 ratio, bar: at least 1
    dedup_time             CPU seconds, 14 bands of 8 unverified by the default             bar: at least 0.5,
                           that is, at most twice the time

The run fails where a bar is missed.
"""

from __future__ import annotations

import json
import os
import random
import resource
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from minhash import all_texts
from support.alike import Shingles, alike_pairs, judge, shingle_sets
from support.lines import enforce, line, show, with_bars
from support.machine import describe, one_core, write_result

from manifests.corpus import CorpusManifest
from pipelines.executor import build
from pipelines.plan import make_plan
from pipelines.pool import worker_environment

FRACS, N_PLANTED, N_RUNS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.12), 250, 5
MIN_JACCARD = 0.7
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "own_14x8_unverified": {"bands": 14, "rows": 8, "verify": "none"},
}
BARS = {"dedup_time": 0.5, "dedup_resolved": 1, "dedup_right": 1}
RECIPE = """\
name: {name}
sources:
  - name: texts
    read: {{jsonl: {{text: text, id: id}}}}
    paths: ["texts.jsonl"]
    licence: unknown
    steps: []
steps: [minhash: {step}]
"""


def main() -> None:
    if os.environ.get("ARROW_DEFAULT_MEMORY_POOL") != "system":
        # As a worker of a build starts: one thread, the system's allocator.
        os.execve(sys.executable, [sys.executable, *sys.argv], worker_environment())
    one_core()
    texts = all_texts()
    planted = plant(texts)
    with tempfile.TemporaryDirectory() as folder:
        rows = [json.dumps({"text": text, "id": str(n)}) for n, text in enumerate(texts)]
        (Path(folder) / "texts.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
        runs = timed(Path(folder))
        fallen = {name: keepers(Path(folder), f"{name}-{N_RUNS}") for name in SETTINGS}
    sets = shingle_sets(texts)
    alike = alike_pairs(sets, min_jaccard=MIN_JACCARD)
    about = {
        "megabytes": round(sum(len(text.encode()) for text in texts) / 1e6, 1),
        "n_docs": len(texts),
        "n_planted": len(planted),
        "n_alike": len(alike),
        "n_planted_alike": len({*planted} & {*alike}),
        **{f"n_fallen_{name}": len(of) for name, of in fallen.items()},
    }
    lines = with_bars([*found(sets, alike, planted, fallen), time_line(runs)], least=BARS)
    machine = describe(("numba", "numpy", "pyarrow"))
    write_result("dedup", {"machine": machine, "settings": about, "figures": lines, "runs": runs})
    print(about, f"load {machine['load']}; peer: our own kernels with 14 bands of 8, unverified")
    show(lines)
    enforce(lines)


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


def timed(folder: Path) -> dict[str, list[float]]:
    """CPU seconds of N_RUNS builds of each setting, in turn, after one of each that writes the parts and compiles."""
    runs: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for run in range(N_RUNS + 1):
        for name, some in runs.items():
            some.append(seconds_of(folder, name, run))
    return {name: some[1:] for name, some in runs.items()}


def seconds_of(folder: Path, setting: str, run: int) -> float:
    """CPU seconds of a build. Its manifest stays in a file named by the setting and the run."""
    name = f"{setting}-{run}"
    recipe = folder / f"{name}.yaml"
    # The name is in no key; the same step would be found done, so that each run has a limit of its own.
    step = json.dumps({**SETTINGS[setting], "max_cluster": 1_000_000 + run})
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
        table = pq.read_table(part.part.check(corpus.root), columns=["doc_id", "ref"])
        ids = table["doc_id"].to_pylist()
        number.update(zip(ids, map(int, table["ref"].to_pylist()), strict=True))
        for entry in corpus.verdicts_of(part):
            verdict = pq.read_table(entry.verdict.check(corpus.root), columns=["keeper"])
            pairs += [
                (of, keeper) for of, keeper in zip(ids, verdict["keeper"].to_pylist(), strict=True) if keeper
            ]
    assert isinstance(corpus.manifest, CorpusManifest)
    return {number[of]: number[keeper] for of, keeper in pairs}


def found(
    sets: Sequence[Shingles],
    alike: Sequence[tuple[int, int]],
    planted: Sequence[tuple[int, int]],
    fallen: Mapping[str, Mapping[int, int]],
) -> list[dict[str, Any]]:
    """The lines of what is found, and of whether it is right."""
    copies = sorted({*planted} & {*alike})
    ours, peer = (
        {
            **judge(sets, alike, of, min_jaccard=MIN_JACCARD),
            "planted": judge(sets, copies, of, min_jaccard=MIN_JACCARD)["resolved"],
        }
        for of in fallen.values()
    )
    lines = [
        line(f"dedup_{what}", ratio=ours[what] / peer[what], ours=ours[what], peer=peer[what], unit="share")
        for what in ("planted", "resolved", "resolved_right", "right")
    ]
    lines[-1] |= {"least": round(ours["least"], 4), "least_peer": round(peer["least"], 4)}
    return lines


def time_line(runs: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    ours, peer = (statistics.median(some) for some in runs.values())
    figure = line("dedup_time", ratio=peer / ours, ours=ours, peer=peer, unit="CPU s")
    return {**figure, "peer_is": list(runs)[1]}


if __name__ == "__main__":
    main()
