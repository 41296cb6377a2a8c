"""The peer's side of dedup_stages: datatrove's four stages on two workers, to Parquet."""

import json
import resource
import struct
import sys
import time
from collections import defaultdict
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup.minhash import (
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import ParquetWriter

# FineWeb hashes shingles with sha1; xxhash is datatrove's default, the faster one, and ours here.
CONFIG = MinhashConfig(num_buckets=14, hashes_per_bucket=8, n_grams=5)


def main(folder):
    task = json.loads((folder / "task.json").read_text())
    cpu, wall = cpu_seconds(), time.perf_counter()
    paths = {name: str(folder / name) for name in ("signatures", "buckets", "clusters", "kept")}
    files = sorted(Path(task["texts"]).glob("*.jsonl"))
    stages = [
        (len(files), [read(task), MinhashDedupSignature(paths["signatures"], config=CONFIG)]),
        (CONFIG.num_buckets, [MinhashDedupBuckets(paths["signatures"], paths["buckets"], config=CONFIG)]),
        (1, [MinhashDedupCluster(paths["buckets"], paths["clusters"], config=CONFIG, save_cluster_id=True)]),
        (len(files), [read(task), MinhashDedupFilter(paths["clusters"]), ParquetWriter(paths["kept"])]),
    ]
    for n, (n_tasks, steps) in enumerate(stages):
        workers = min(task["workers"], n_tasks)
        logs = str(folder / f"logs{n}")
        # Forked workers are this process's children, whose time it is told.
        LocalPipelineExecutor(
            steps, tasks=n_tasks, workers=workers, logging_dir=logs, start_method="fork"
        ).run()
    answer = {"cpu": cpu_seconds() - cpu, "wall": time.perf_counter() - wall}
    members, n_removed = read_clusters(folder / "clusters", files)
    n_docs = sum(len(path.read_bytes().splitlines()) for path in files)
    (folder / "answer.json").write_text(
        json.dumps({**answer, "n_kept": n_docs - n_removed, "clusters": members})
    )


def read(task):
    return JsonlReader(task["texts"], glob_pattern="*.jsonl")


def read_clusters(folder, files):
    """The sets of documents of which all but one go, by their numbers, and how many go."""
    members, n_removed = defaultdict(list), 0
    for n, path in enumerate(files):
        ids = [json.loads(line)["id"] for line in path.read_bytes().splitlines()]
        found = folder / f"{n:06d}.clusters"
        if found.exists():
            for doc, cluster in struct.iter_unpack("<II", found.read_bytes()):
                members[cluster].append(ids[doc])
        removed = folder / f"{n:06d}.remove"
        n_removed += removed.stat().st_size // 4 if removed.exists() else 0
    return list(members.values()), n_removed


def cpu_seconds():
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
