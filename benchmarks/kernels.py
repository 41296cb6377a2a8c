"""MB/s of each kernel on one core, beside a peer doing the same work on a part of the text.

    python benchmarks/kernels.py                    20 MB of ../shared/data/gutenberg/en in pieces of 6,000 characters
    python benchmarks/kernels.py ../shared/data/gutenberg/zh      Chinese; any folder of .txt
    python benchmarks/kernels.py FOLDER --whole     whole files of another folder
    python benchmarks/kernels.py --compile          seconds to compile each rule's kernels, nothing cached

Rates of rules have their words in them, spaCy's and light ones too. Times are CPU seconds of this process, the best
of five after one call that compiles: of a shared machine the fastest run says most. `tags` is over pages of HTML, real
ones where ../shared/data has them. Without a folder the rates are kept in results, and a rule below LEAST fails it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import xxhash
from datasketch import MinHash
from datatrove.pipeline.filters import gopher_repetition_filter as datatrove
from support.machine import ROOT, describe, write_result
from support.pages import find_pages
from support.texts import default_folder, load_texts
from support.verdicts import batch_of

from pipelines.extract.page import scan_tags
from pipelines.filters.bad_words import C4BadWords
from pipelines.filters.c4 import C4Lines, C4Quality
from pipelines.filters.fineweb import FineWebQuality
from pipelines.filters.gopher import GopherQuality, GopherRepetition
from pipelines.filters.paragraphs import C4Paragraphs
from pipelines.filters.pii import Pii
from pipelines.kernels.c4 import c4_counts, line_spans
from pipelines.kernels.fineweb import fineweb_counts
from pipelines.kernels.gopher import quality_counts
from pipelines.kernels.gopher_spacy import light_quality_counts, spacy_quality_counts
from pipelines.kernels.minhash import shingle, sign, sketch
from pipelines.kernels.repetition import repetition_counts
from pipelines.kernels.word_spans import word_spans
from pipelines.kernels.words import count_words

MAX_BYTES = 20_000_000
PEER_BYTES = 1_000_000
LEAST = 100
NO_RULES = ("words", "spacy_words", "light_words", "shingle", "sign", "minhash", "tags")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", default=default_folder())
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    if args.compile:
        print_compile_seconds()
        return
    piece_chars = None if args.whole else 6000
    texts = load_texts(args.folder, max_bytes=MAX_BYTES, piece_chars=piece_chars)
    docs = [text.encode() for text in texts]
    data, offsets = arrays(docs)
    shingles = shingle(data, offsets)
    rates = {
        "words": rate(lambda: count_words(data, offsets), len(data)),
        "spacy_words": rate(lambda: word_spans(data, offsets, "spacy"), len(data)),
        "light_words": rate(lambda: word_spans(data, offsets, "light"), len(data)),
        "gopher_quality": rate(lambda: quality_counts(data, offsets), len(data)),
        "gopher_quality_spacy": rate(lambda: spacy_quality_counts(data, offsets), len(data)),
        "gopher_quality_light": rate(lambda: light_quality_counts(data, offsets), len(data)),
        "gopher_repetition": rate(lambda: repetition_counts(data, offsets), len(data)),
        "gopher_repetition_spacy": rate(lambda: repetition_counts(data, offsets, words="spacy"), len(data)),
        "gopher_repetition_light": rate(lambda: repetition_counts(data, offsets, words="light"), len(data)),
        "c4_lines": rate(lambda: line_spans(data, offsets), len(data)),
        "c4_lines_sentences": rate(lambda: line_spans(data, offsets, units="sentences"), len(data)),
        "c4_quality": rate(lambda: c4_counts(data, offsets), len(data)),
        "c4_quality_sentences": rate(lambda: c4_counts(data, offsets, units="sentences"), len(data)),
        "c4_quality_spacy": rate(lambda: c4_counts(data, offsets, words="spacy"), len(data)),
        "c4_quality_light": rate(lambda: c4_counts(data, offsets, words="light"), len(data)),
        "fineweb_quality": rate(lambda: fineweb_counts(data, offsets), len(data)),
        "fineweb_quality_spacy": rate(lambda: fineweb_counts(data, offsets, words="spacy"), len(data)),
        "fineweb_quality_light": rate(lambda: fineweb_counts(data, offsets, words="light"), len(data)),
        **other_rules(texts, len(data)),
        "shingle": rate(lambda: shingle(data, offsets), len(data)),
        "sign": rate(lambda: sign(shingles), len(data)),
        "minhash": rate(lambda: sketch(data, offsets), len(data)),
        "tags": tags_rate(),
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
    if args.folder == default_folder() and not args.whole:
        keep(rates, peers)


def keep(rates: Mapping[str, float], peers: Mapping[str, float]) -> None:
    """The result file. Exits where a rule is below LEAST."""
    rounded = [{name: round(rate, 2) for name, rate in some.items()} for some in (rates, peers)]
    versions = describe(("numba", "numpy", "datatrove", "datasketch"))
    write_result("kernels", {"machine": versions, "unit": "MB/s", "ours": rounded[0], "peers": rounded[1]})
    rules = {name: rate for name, rate in rounded[0].items() if name not in NO_RULES}
    if slow := {name: rate for name, rate in rules.items() if rate < LEAST}:
        raise SystemExit(f"bar missed: expected {LEAST} MB/s or more, got {slow}")


def other_rules(texts: Sequence[str], n_bytes: int) -> dict[str, float]:
    """Rules without a kernel of their own name: pages by paragraphs, 400 listed words, addresses of people."""
    batch = batch_of(texts)
    words = sorted({word for text in texts[:50] for word in text.lower().split() if word.isalpha()})
    with tempfile.TemporaryDirectory() as folder:
        # Made-up words, as rare as the listed ones should be: each a real one with its letters turned round.
        listed = [word[::-1] for word in words if len(word) > 3 and word[::-1] not in words]
        (Path(folder) / "words.txt").write_text("\n".join(listed[:400]), encoding="utf-8")
        bad_words = C4BadWords(file="words.txt", root=Path(folder))
        return {
            "c4_paragraphs": rate(lambda: C4Paragraphs().measure(batch), n_bytes),
            "c4_bad_words": rate(lambda: bad_words.measure(batch), n_bytes),
            "pii": rate(lambda: Pii().spans(batch), n_bytes),
        }


def tags_rate() -> float:
    """Over pages of HTML; the others' text has no tags."""
    _, pages = find_pages(ROOT.parent / "shared" / "data", most=1000)
    return rate(lambda: [scan_tags(page) for _, page in pages], sum(len(page) for _, page in pages))


def print_compile_seconds() -> None:
    """A fresh process and a fresh cache for each rule, less what a process that compiles nothing takes."""
    rules = [
        GopherQuality(),
        GopherRepetition(),
        C4Lines(),
        C4Quality(),
        FineWebQuality(),
        C4Paragraphs(),
        Pii(),
    ]
    for words in ("spacy", "light"):
        rules += [rule(words=words) for rule in (GopherQuality, GopherRepetition, C4Quality, FineWebQuality)]
    nothing = compile_seconds(())
    for rule in rules:
        words = f"_{rule.words}" if getattr(rule, "words", "spaces") != "spaces" else ""
        print(
            f"name={rule.name}{words} compile_s={compile_seconds(rule.kernels()) - nothing:.1f}", flush=True
        )


def compile_seconds(names: Sequence[str]) -> float:
    """Wall seconds of a process that compiles these kernels into an empty folder."""
    code = f"from pipelines.kernels.jit import compile_kernels; compile_kernels({list(names)})"
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, check=True)
        return time.perf_counter() - start


def arrays(docs: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.cumsum([0, *map(len, docs)], dtype=np.int64)
    return np.frombuffer(b"".join(docs), np.uint8), offsets


def rate(work: Callable[[], object], n_bytes: int) -> float:
    """MB/s, the best of five."""
    work()
    times = []
    for _ in range(5):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return n_bytes / 1e6 / min(times)


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
