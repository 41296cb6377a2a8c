"""Near-duplicates from JSON Lines to filtered Parquet, ours in datatrove's scheme and datatrove's four stages.

    python benchmarks/dedup_stages.py        all the text of ../shared/data and planted copies, two workers; 5 minutes

    ours        read, sign, match, cluster, verdict (`minhash: {scheme: datatrove, bands: 14, rows: 8, verify: none}`),
                then the documents kept are written as Parquet, in one process
    datatrove   MinhashDedupSignature, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter to a ParquetWriter

Which document of a cluster stays is a rule here, the first by id; there it follows from the order of unions, so what is
compared are the clusters: every set of documents of which all but one go. AGREE of all documents must be in the same
set on both sides, or there is no ratio. Words are spaCy's there, ours here; tests/kernels/test_simplify.py holds the
signatures of equal words to be equal bit for bit.

The ratio is of CPU seconds of all processes, wall seconds are printed beside it. The driving process
of each has its imports before the clock, workers start within it. Bar 20: below it the run fails.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dedup import plant
from minhash import all_texts
from support.lines import enforce, line, show, with_bars
from support.machine import describe, peers_python, run_side, write_result

AGREE = 0.999
N_FILES = 2
BARS = {"dedup_stages": 20}


def main() -> None:
    texts = all_texts()
    plant(texts)
    with tempfile.TemporaryDirectory() as folder:
        task = write_texts(Path(folder), texts)
        ours = run_side(sys.executable, "quern_dedup.py", task, folder=Path(folder) / "ours")
        print(brief("ours", ours), flush=True)
        peer = run_side(peers_python(), "datatrove_dedup.py", task, folder=Path(folder) / "datatrove")
        print(brief("datatrove", peer), flush=True)
    report(len(texts), sum(len(text.encode()) for text in texts), ours, peer)


def write_texts(folder: Path, texts: Sequence[str]) -> dict[str, Any]:
    """The task of both sides: the documents dealt to files by halves."""
    (folder / "texts").mkdir()
    size = -(-len(texts) // N_FILES)
    for n in range(N_FILES):
        rows = [
            json.dumps({"text": texts[i], "id": str(i)}) for i in range(len(texts))[n * size : (n + 1) * size]
        ]
        (folder / "texts" / f"{n}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return {"texts": str(folder / "texts"), "workers": 2}


def brief(name: str, answer: dict[str, Any]) -> str:
    return f"{name}: {answer['cpu']:.1f} s CPU, {answer['wall']:.1f} s wall, kept {answer['n_kept']}"


def report(n_docs: int, n_bytes: int, ours: dict[str, Any], peer: dict[str, Any]) -> None:
    """Exits where the clusters differ."""
    mine, theirs = (neighbours(answer["clusters"]) for answer in (ours, peer))
    same = sum(mine.get(str(n)) == theirs.get(str(n)) for n in range(n_docs)) / n_docs
    print(f"{n_docs} documents, {n_bytes / 1e6:.1f} MB; {same:.4%} of them in the same cluster on both sides")
    if same < AGREE:
        raise SystemExit(
            f"no ratio: expected {AGREE:.1%} of the documents in the same cluster, got {same:.3%}"
        )
    wall = round(peer["wall"] / ours["wall"], 1)
    rates = {name: n_bytes / 1e6 / answer["cpu"] for name, answer in (("ours", ours), ("peer", peer))}
    figure = line("dedup_stages", ratio=peer["cpu"] / ours["cpu"], **rates, unit="MB/s")
    lines = with_bars([{**figure, "wall_ratio": wall}], least=BARS)
    machine = describe(("numba", "numpy", "pyarrow"))
    sides = {
        name: {key: answer[key] for key in ("cpu", "wall", "n_kept")}
        for name, answer in (("ours", ours), ("peer", peer))
    }
    about = {"n_docs": n_docs, "megabytes": round(n_bytes / 1e6, 1), "same": round(same, 6), **sides}
    write_result("dedup_stages", {"machine": machine, "settings": about, "figures": lines})
    show(lines)
    enforce(lines)


def neighbours(clusters: Sequence[Sequence[str]]) -> dict[str, frozenset[str]]:
    """Of each document in a cluster, the cluster."""
    return {of: frozenset(cluster) for cluster in clusters for of in cluster}


if __name__ == "__main__":
    main()
