"""MB/s from text to 112 MinHashes of word 5-grams: ours, rensa's, datasketch's and datatrove's, one core, one run.

    python benchmarks/minhash.py        8 minutes

    all the text of ../shared/data      books in pieces of 6,000 characters, pages through our extractor, web text
    normalisation and splitting         on both sides: ours finds its words in UTF-8; rensa and datasketch get
                                        lower(), split() and join(), as their documentation does it; datatrove has
                                        spaCy's words and its own simplification

    minhash_datatrove   its signature step, on every 20th text, ours on the same ones                       bar 100
    minhash_datasketch  ours of scheme `datasketch`, whose signatures must be datasketch's bit for bit
    minhash_rensa       its fastest class                                                                    bar 5

Before anything is timed each side signs 400 pairs of texts with 2 to 30% of the words of one replaced; where the
estimates of one are further than MAX_ERROR from the true similarity on average, there is no ratio. Times are CPU
seconds, medians of three after one call. `split` is lower(), split() and join() alone, timed in rensa's process: what
bounds any peer that leaves them to Python. Each bar is the least ratio; the run fails where one is missed.
"""

from __future__ import annotations

import random
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash
from datasketch import MinHash
from support.lines import enforce, line, show, with_bars
from support.machine import ROOT, describe, one_core, peers_python, run_side, write_result
from support.pool import page_texts, web_texts
from support.texts import default_folder, load_texts

from pipelines.kernels.minhash import shingle, sign
from pipelines.kernels.sketches import sketch_texts

DATA = ROOT.parent / "shared" / "data"
N_HASHES, N_GRAM, SEED = 112, 5, 1
PIECE_CHARS, MAX_CHARS, EVERY = 6000, 1 << 30, 20
EDITS, N_PAIRS, MAX_ERROR = (0.02, 0.05, 0.1, 0.2, 0.3), 80, 0.05
PERMUTATIONS = MinHash(num_perm=N_HASHES, seed=SEED).permutations
BARS = {"minhash_rensa": 5, "minhash_datatrove": 100}


def main() -> None:
    one_core()
    docs = all_texts()
    pairs, truth = planted(docs)
    few = docs[::EVERY]
    errors, peers = run_peers(docs, few, pairs, truth)
    plain_docs = [plain(doc) for doc in docs[::EVERY]]
    check_datasketch(plain_docs)
    n_bytes = sum(len(doc.encode()) for doc in docs)
    rates = our_rates(docs, few, plain_docs)
    lines = with_bars(figures(rates, peers), least=BARS)
    settings = {
        "n_docs": len(docs),
        "n_hashes": N_HASHES,
        "n_gram": N_GRAM,
        "megabytes": n_bytes / 1e6,
        "seed": SEED,
    }
    machine = describe(("datasketch", "numba", "numpy", "xxhash"))
    write_result("minhash", {"machine": machine, "settings": settings, "errors": errors, "figures": lines})
    print(
        f"{len(docs)} texts, {n_bytes / 1e6:.1f} MB; mean error of estimates {errors}; load {machine['load']}"
    )
    show(lines)
    enforce(lines)


def all_texts() -> list[str]:
    """Every text there is, none empty; long ones in pieces."""
    folder = DATA / "gutenberg" if (DATA / "gutenberg").is_dir() else default_folder()
    texts = load_texts(folder, max_bytes=MAX_CHARS, piece_chars=PIECE_CHARS)
    if folder != default_folder():
        found = [*page_texts(DATA), *web_texts(DATA)]
        texts += [text for kind, text, _ in found if kind != "pages_resiliparse"]
    return [text for text in texts if text.strip()]


def planted(docs: Sequence[str]) -> tuple[list[str], list[float]]:
    """Texts in plain words, each followed by itself with some words replaced; and how similar the two are."""
    rng = random.Random(7)
    texts, truth = [], []
    for frac in EDITS:
        for doc in rng.sample(docs, N_PAIRS):
            words = plain(doc).split() or ["empty"]
            other = list(words)
            for at in rng.sample(range(len(words)), round(frac * len(words))):
                other[at] = f"new{rng.randrange(10**9)}"
            texts += [" ".join(words), " ".join(other)]
            a, b = (set(joined(text)) for text in texts[-2:])
            truth.append(len(a & b) / len(a | b))
    return texts, truth


def plain(text: str) -> str:
    return re.sub("[^a-z0-9]+", " ", text.lower()).strip()


def joined(doc: str) -> list[str]:
    words = doc.split()
    # As our kernels do: a text of fewer words has one shingle, of all of them.
    return [" ".join(words[at : at + N_GRAM]) for at in range(max(1, len(words) - N_GRAM + 1))]


def arrays(docs: Sequence[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    encoded = [doc.encode() for doc in docs]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), offsets


def run_peers(
    docs: Sequence[str], few: Sequence[str], pairs: Sequence[str], truth: Sequence[float]
) -> tuple[dict[str, float], dict[str, float]]:
    """The mean error of each side's estimates, and each peer's MB/s. Exits where one is too large."""
    task = {"n_hashes": N_HASHES, "n_gram": N_GRAM, "seed": SEED, "pairs": list(pairs)}
    with TemporaryDirectory() as folder:
        rensa = run_side(
            peers_python(), "rensa_minhash.py", {**task, "docs": list(docs)}, folder=Path(folder) / "rensa"
        )
        datatrove = run_side(
            peers_python(),
            "datatrove_minhash.py",
            {**task, "docs": list(few)},
            folder=Path(folder) / "datatrove",
        )
    signed = {**rensa["signatures"], "datatrove": datatrove["signatures"]}
    signed["quern"] = sketch_texts(*arrays(pairs), n_gram=N_GRAM, n_permutations=N_HASHES, seed=SEED)[0]
    errors = {name: mean_error(np.asarray(found), truth) for name, found in signed.items()}
    if max(errors.values()) > MAX_ERROR:
        raise SystemExit(f"no figures: expected estimates within {MAX_ERROR} of the truth, got {errors}")
    all_mb, few_mb = (sum(len(doc.encode()) for doc in some) / 1e6 for some in (docs, few))
    rates = {name: all_mb / seconds for name, seconds in rensa["seconds"].items()}
    return errors, {**rates, "datatrove": few_mb / datatrove["seconds"]}


def mean_error(signatures: npt.NDArray[Any], truth: Sequence[float]) -> float:
    estimates = (signatures[::2] == signatures[1::2]).mean(axis=1)
    return round(float(np.abs(estimates - np.array(truth)).mean()), 4)


def check_datasketch(docs: Sequence[str]) -> None:
    """Exit unless every signature of the scheme `datasketch` is datasketch's."""
    signatures = sign(shingle(*arrays(docs), n_gram=N_GRAM), n_permutations=N_HASHES, seed=SEED)
    unlike = [i for i, doc in enumerate(docs) if doc and not np.array_equal(signatures[i], datasketchs(doc))]
    if unlike:
        raise SystemExit(
            f"no figures: {len(unlike)} of {len(docs)} signatures differ, the first at text {unlike[0]}"
        )


def datasketchs(doc: str) -> npt.NDArray[np.uint64]:
    reference = MinHash(
        N_HASHES, hashfunc=xxhash.xxh32_intdigest, permutations=PERMUTATIONS, scheme="affine32"
    )
    reference.update_batch([text.encode() for text in joined(doc.lower())])
    return reference.hashvalues


def our_rates(docs: Sequence[str], few: Sequence[str], plain_docs: Sequence[str]) -> dict[str, float]:
    """MB/s of our schemes, and datasketch's, which runs in this environment."""
    wholes, fews, plains = arrays(docs), arrays(few), arrays(plain_docs)
    settings = {"n_gram": N_GRAM, "n_permutations": N_HASHES, "seed": SEED}
    datasketch = lambda: sign(shingle(*plains, n_gram=N_GRAM), n_permutations=N_HASHES, seed=SEED)  # noqa: E731
    return {
        "quern": rate(lambda: sketch_texts(*wholes, **settings), wholes),
        "quern_few": rate(lambda: sketch_texts(*fews, **settings), fews),
        "quern_datasketch": rate(datasketch, plains),
        "datasketch": rate(lambda: [datasketchs(doc) for doc in plain_docs], plains),
    }


def rate(work: Callable[[], object], texts: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]) -> float:
    work()
    times = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return len(texts[0]) / 1e6 / statistics.median(times)


def figures(ours: dict[str, float], peers: dict[str, float]) -> list[dict[str, Any]]:
    """A line for each peer; datatrove's and datasketch's beside ours on the same texts."""
    rensas = {name: rate for name, rate in peers.items() if name.startswith("rensa")}
    return [
        speed("split", ours["quern"], peers["split"]),
        *(speed(f"minhash_{name}", ours["quern"], rate) for name, rate in rensas.items()),
        speed("minhash_datasketch", ours["quern_datasketch"], ours["datasketch"]),
        speed("minhash_datatrove", ours["quern_few"], peers["datatrove"]),
        speed("minhash_rensa", ours["quern"], max(rensas.values())),
    ]


def speed(name: str, ours: float, peer: float) -> dict[str, Any]:
    return line(name, ratio=ours / peer, ours=ours, peer=peer, unit="MB/s")


if __name__ == "__main__":
    main()
