"""MB/s from text to 112 MinHashes of word 5-grams: ours, datasketch 2's and rensa's, on the same 10 MB and one core.

    python benchmarks/minhash.py

Texts are 6,000 characters of books, in lower case, with every run of other characters than a-z and 0-9 made one
space: there our words are those of split(), and our signatures must equal datasketch's (scheme affine32, xxh32)
bit for bit, or nothing is timed. Peers pay for lower(), split() and join(), as their documentation does it. rensa, in
the peers' environment, has hashes of its own, so only its speed is compared.

Times are CPU seconds, medians of three after one call. `split` is lower(), split() and join() alone, timed in rensa's
process: what bounds any peer that leaves them to Python.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import xxhash
from datasketch import MinHash
from support.machine import describe, one_core, peers_python, run_side, write_result
from support.texts import default_folder, load_texts

from pipelines.kernels.minhash import shingle, sign

MAX_BYTES = 10_000_000
N_HASHES, N_GRAM, SEED = 112, 5, 1
PERMUTATIONS = MinHash(num_perm=N_HASHES, seed=SEED).permutations


def main() -> None:
    one_core()
    docs = [plain(text) for text in load_texts(default_folder(), max_bytes=MAX_BYTES, piece_chars=6000)]
    data, offsets = arrays(docs)
    check(ours(data, offsets), docs)
    n_mb = len(data) / 1e6
    rates = {
        "quern": rate(lambda: ours(data, offsets), n_mb),
        "quern_shingle": rate(lambda: shingle(data, offsets, n_gram=N_GRAM), n_mb),
        "datasketch": rate(lambda: [datasketchs(doc) for doc in docs], n_mb),
        **rensas(docs, n_mb),
    }
    lines = [figure(name, mb_s, rates["quern"]) for name, mb_s in rates.items()]
    machine = describe(("datasketch", "numba", "numpy", "xxhash"))
    settings = {"n_docs": len(docs), "n_hashes": N_HASHES, "n_gram": N_GRAM, "megabytes": n_mb, "seed": SEED}
    write_result("minhash", {"machine": machine, "settings": settings, "figures": lines})
    print(f"{len(docs)} texts, {n_mb:.1f} MB: signatures equal datasketch's; load {machine['load']}")
    for line in lines:
        print(" ".join(f"{key}={value}" for key, value in line.items()))


def plain(text: str) -> str:
    return re.sub("[^a-z0-9]+", " ", text.lower()).strip()


def arrays(docs: list[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    offsets = np.cumsum([0, *map(len, docs)], dtype=np.int64)
    return np.frombuffer("".join(docs).encode(), np.uint8), offsets


def ours(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.uint32]:
    return sign(shingle(data, offsets, n_gram=N_GRAM), n_permutations=N_HASHES, seed=SEED)


def joined(doc: str) -> list[str]:
    words = doc.lower().split()
    # As our kernels do: a text of fewer words has one shingle, of all of them.
    return [" ".join(words[at : at + N_GRAM]) for at in range(max(1, len(words) - N_GRAM + 1))]


def datasketchs(doc: str) -> npt.NDArray[np.uint64]:
    reference = MinHash(
        N_HASHES, hashfunc=xxhash.xxh32_intdigest, permutations=PERMUTATIONS, scheme="affine32"
    )
    reference.update_batch([text.encode() for text in joined(doc)])
    return reference.hashvalues


def check(signatures: npt.NDArray[np.uint32], docs: list[str]) -> None:
    """Exit unless every signature is datasketch's."""
    unlike = [i for i, doc in enumerate(docs) if doc and not np.array_equal(signatures[i], datasketchs(doc))]
    if unlike:
        raise SystemExit(
            f"no figures: {len(unlike)} of {len(docs)} signatures differ, the first at text {unlike[0]}"
        )


def rate(work: Callable[[], object], n_mb: float) -> float:
    work()
    times = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return n_mb / statistics.median(times)


def rensas(docs: list[str], n_mb: float) -> dict[str, float]:
    task = {"docs": docs, "n_hashes": N_HASHES, "n_gram": N_GRAM, "seed": SEED}
    with TemporaryDirectory() as folder:
        answer = run_side(peers_python(), "rensa_minhash.py", task, folder=Path(folder) / "rensa")
    return {name: n_mb / cpu for name, cpu in answer.items()}


def figure(name: str, mb_s: float, ours_mb_s: float) -> dict[str, object]:
    beside = {} if name.startswith("quern") else {"ratio": round(ours_mb_s / mb_s, 1)}
    return {"name": f"minhash_{name}", "mb_s": round(mb_s, 1), **beside}


if __name__ == "__main__":
    main()
