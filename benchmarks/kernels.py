"""MB/s of each kernel on one core, beside a peer doing the same work on a part of the text.

    python benchmarks/kernels.py                    20 MB of ../shared/data/gutenberg/en in pieces of 6,000 characters
    python benchmarks/kernels.py FOLDER --whole     whole files of another folder

Times are CPU seconds of this process, the median of three after one call that compiles.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import xxhash
from datasketch import MinHash
from datatrove.pipeline.filters import gopher_repetition_filter as datatrove
from support.texts import default_folder, load_texts

from pipelines.kernels.c4 import c4_counts, line_spans
from pipelines.kernels.fineweb import fineweb_counts
from pipelines.kernels.gopher import quality_counts
from pipelines.kernels.gopher_spacy import spacy_quality_counts
from pipelines.kernels.minhash import shingle, sign, sketch
from pipelines.kernels.repetition import repetition_counts
from pipelines.kernels.spacy_words import spacy_word_spans
from pipelines.kernels.words import count_words

MAX_BYTES = 20_000_000
PEER_BYTES = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=default_folder())
    parser.add_argument("--whole", action="store_true")
    args = parser.parse_args()
    piece_chars = None if args.whole else 6000
    texts = load_texts(args.folder, max_bytes=MAX_BYTES, piece_chars=piece_chars)
    docs = [text.encode() for text in texts]
    data, offsets = arrays(docs)
    shingles = shingle(data, offsets)
    rates = {
        "words": rate(lambda: count_words(data, offsets), len(data)),
        "spacy_words": rate(lambda: spacy_word_spans(data, offsets), len(data)),
        "gopher_quality": rate(lambda: quality_counts(data, offsets), len(data)),
        "gopher_quality_spacy": rate(lambda: spacy_quality_counts(data, offsets), len(data)),
        "gopher_repetition": rate(lambda: repetition_counts(data, offsets), len(data)),
        "gopher_repetition_spacy": rate(lambda: repetition_counts(data, offsets, words="spacy"), len(data)),
        "c4_lines": rate(lambda: line_spans(data, offsets), len(data)),
        "c4_quality": rate(lambda: c4_counts(data, offsets), len(data)),
        "c4_quality_spacy": rate(lambda: c4_counts(data, offsets, words="spacy"), len(data)),
        "fineweb_quality": rate(lambda: fineweb_counts(data, offsets), len(data)),
        "fineweb_quality_spacy": rate(lambda: fineweb_counts(data, offsets, words="spacy"), len(data)),
        "shingle": rate(lambda: shingle(data, offsets), len(data)),
        "sign": rate(lambda: sign(shingles), len(data)),
        "minhash": rate(lambda: sketch(data, offsets), len(data)),
    }
    few = docs[: max(1, int(np.searchsorted(offsets, PEER_BYTES)))]
    n_bytes = sum(map(len, few))
    peers = {
        "gopher_repetition": rate(lambda: [datatroves(doc.decode()) for doc in few], n_bytes),
        "minhash": rate(lambda: [datasketchs(doc.decode()) for doc in few], n_bytes),
    }
    for name, ours in rates.items():
        beside = f" peer_mb_s={peers[name]:.2f} ratio={ours / peers[name]:.1f}" if name in peers else ""
        print(f"name={name} mb_s={ours:.1f}{beside}")


def arrays(docs: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.cumsum([0, *map(len, docs)], dtype=np.int64)
    return np.frombuffer(b"".join(docs), np.uint8), offsets


def rate(work: Callable[[], object], n_bytes: int) -> float:
    """MB/s, the median of three."""
    work()
    times = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return n_bytes / 1e6 / statistics.median(times)


def datatroves(text: str) -> None:
    """datatrove's arithmetic for every repetition measure; its words come from spaCy, these from split()."""
    words = text.split()
    datatrove.find_duplicates(text.strip().split("\n\n"))
    datatrove.find_duplicates(text.split("\n"))
    for n in (2, 3, 4):
        datatrove.find_top_duplicate(datatrove.get_n_grams(words, n) or [""])
    for n in range(5, 11):
        datatrove.find_all_duplicate(words, n)


PERMUTATIONS = MinHash(num_perm=112, seed=1).permutations


def datasketchs(text: str) -> np.ndarray:
    """datasketch's signature of the 5-grams of split(), hashed by xxh32."""
    words = text.lower().split()
    reference = MinHash(112, hashfunc=xxhash.xxh32_intdigest, permutations=PERMUTATIONS, scheme="affine32")
    reference.update_batch(" ".join(words[at : at + 5]).encode() for at in range(len(words) - 4))
    return reference.hashvalues


if __name__ == "__main__":
    main()
