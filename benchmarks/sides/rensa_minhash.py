"""rensa's side of minhash: signatures of the pairs, then CPU seconds for all texts, the median of three after one."""

import json
import statistics
import sys
import time
from pathlib import Path

from rensa import CMinHash, RMinHash


def main(folder):
    task = json.loads((folder / "task.json").read_text())
    n_hashes, seed = task["n_hashes"], task["seed"]
    signatures = {
        name: [sign(kind, doc, task) for doc in task["pairs"]]
        for name, kind in (("rensa_r", RMinHash), ("rensa_c", CMinHash))
    }
    ways = {
        "split": lambda: sum(len(joined(doc, task["n_gram"])) for doc in task["docs"]),
        "rensa_r": lambda: [sign(RMinHash, doc, task) for doc in task["docs"]],
        "rensa_c": lambda: [sign(CMinHash, doc, task) for doc in task["docs"]],
        "rensa_r_matrix": lambda: RMinHash.digest_matrix_from_token_sets(
            (joined(doc, task["n_gram"]) for doc in task["docs"]), n_hashes, seed
        ),
    }
    seconds = {name: median(way) for name, way in ways.items()}
    (folder / "answer.json").write_text(json.dumps({"signatures": signatures, "seconds": seconds}))


def median(work):
    times = []
    for _ in range(4):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times[1:])


def sign(kind, doc, task):
    reference = kind(num_perm=task["n_hashes"], seed=task["seed"])
    reference.update(joined(doc, task["n_gram"]))
    return reference.digest()


def joined(doc, n):
    words = doc.lower().split()
    return [" ".join(words[at : at + n]) for at in range(max(1, len(words) - n + 1))]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
