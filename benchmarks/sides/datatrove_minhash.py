"""datatrove's side of minhash: its signature step on each text; FineWeb's setting but for the faster hash, xxhash."""

import json
import sys
import time
from pathlib import Path

from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature


def main(folder):
    task = json.loads((folder / "task.json").read_text())
    config = MinhashConfig(
        num_buckets=14, hashes_per_bucket=task["n_hashes"] // 14, n_grams=task["n_gram"], seed=task["seed"]
    )
    signer = MinhashDedupSignature("unused", config=config)

    def sign(text):
        shingles = signer.get_shingles(text)
        # As the step does: what has fewer words than a shingle is not signed.
        return [int(n) for band in signer.get_signature(shingles) for n in band] if shingles.size else []

    pairs = [sign(text) for text in task["pairs"]]
    width = max(map(len, pairs))
    signatures = [signed or [0] * width for signed in pairs]
    start = time.process_time()
    for text in task["docs"]:
        sign(text)
    seconds = time.process_time() - start
    (folder / "answer.json").write_text(json.dumps({"signatures": signatures, "seconds": seconds}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
