"""Addresses a second through the URL rule and through datatrove's filter, both with its lists; and do they agree.

    python benchmarks/urls.py       15,000 addresses in ../shared/data, and 5,000 made of them that meet a list

The first are the targets of records and of links; the others put listed domains, addresses and words into those, in
places where they count and where they do not. Every verdict and reason must be datatrove's: no ratio is printed where
one is not. Ours is timed through the step's `measure` and `decide`, from Arrow columns, datatrove's through `filter`,
one document a call; loading the lists is apart. CPU seconds of this process on one core, medians of three.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import re
import statistics
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from support.machine import ROOT, describe, one_core, write_result

from pipelines.batch import Batch, BatchBuilder, Record
from pipelines.filters.lists import read_lines
from pipelines.filters.url import DATATROVE_REASONS, SHIPPED, Url, shipped_list
from pipelines.kernels.jit import compile_kernels

TARGET = re.compile(rb"WARC-Target-URI: *<?([^\s>]+)")
LINK = re.compile(rb'href="(https?://[^"\s<>]+)"')
MAX_BYTES = 50 << 20
N_MUTATED = 5000
SEED = 11


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    args = parser.parse_args()
    one_core()
    real = find_urls(args.data)
    urls = real + mutated(real)
    ours, our_rate, our_load = run_ours(urls)
    theirs, their_rate, their_load = run_datatrove(urls)
    differing = [(u, a, b) for u, a, b in zip(urls, ours, theirs, strict=True) if a != b]
    figures = {
        "n_urls": len(urls),
        "n_differing": len(differing),
        "reasons": dict(sorted(Counter(filter(None, theirs)).items())),
        "urls_s": round(our_rate),
        "peer_urls_s": round(their_rate),
        "load_s": round(our_load, 1),
        "peer_load_s": round(their_load, 1),
        **({} if differing else {"ratio": round(our_rate / their_rate, 1)}),
    }
    packages = ("datatrove", "tldextract", "pyahocorasick", "numba", "numpy", "pyarrow")
    write_result("urls", {"machine": describe(packages), "figures": figures, "seed": SEED})
    print(" ".join(f"{name}={value}" for name, value in figures.items()))
    for url, mine, peers in differing[:10]:
        print(f"differs: {url!r} ours {mine} datatrove {peers}")


def find_urls(data: Path) -> list[str]:
    """The targets and links in the files below `data`, each once, in order."""
    found: set[bytes] = set()
    files = [*(data / "warc").rglob("*.warc*"), *(data / "html").rglob("*.html")]
    for path in sorted(files):
        content = plain(path)
        found |= {*TARGET.findall(content), *LINK.findall(content)}
    return sorted({url.decode("utf-8", "replace") for url in found})


def plain(path: Path) -> bytes:
    """A file's first bytes, unpacked as far as it can be."""
    read = b""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while len(read) < MAX_BYTES and (piece := file.read(1 << 16)):
                read += piece
    except (OSError, EOFError, zlib.error):
        pass  # broken on purpose
    return read


def mutated(urls: Sequence[str]) -> list[str]:
    """Addresses that meet a list, or nearly."""
    rng = random.Random(SEED)
    lists = {name: read_lines([shipped_list(name)]) for name in SHIPPED}
    words = [lists[name] for name in ("banned_words", "soft_words", "soft_words", "banned_subwords")]
    found = []
    for _ in range(N_MUTATED):
        url, domain = rng.choice(urls), rng.choice(lists["domains"])
        some = [
            rng.choice([str, str, str.title])(rng.choice(rng.choice(words))) for _ in range(rng.randrange(4))
        ]
        found.append(rng.choice([
            f"http://{rng.choice(['', 'www.', 'a.b.'])}{rng.choice([domain, domain.upper()])}/a",
            f"{rng.choice(['', 'http://'])}{rng.choice(lists['urls'])}",
            "/".join([url, *some]),
            "-".join([url, *some]),
            "x".join([url, *some]),
        ]))  # fmt: skip
    return found


def batch_of(urls: Sequence[str]) -> Batch:
    builder = BatchBuilder("urls")
    batches = [
        b for i, url in enumerate(urls) for b in builder.add(Record("urls", i, i, 1, text="x", url=url))
    ]
    (batch,) = [*batches, *builder.flush()]
    return batch


def rate(work: Callable[[], object], n_urls: int) -> float:
    """Addresses a CPU second, the median of three."""
    times = []
    for _ in range(3):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return n_urls / statistics.median(times)


def run_ours(urls: Sequence[str]) -> tuple[list[str | None], float, float]:
    rule, batch = Url(), batch_of(urls)
    compile_kernels(rule.kernels())
    start = time.process_time()
    rule.measure(batch.select(np.arange(len(batch)) < 1))
    load = time.process_time() - start
    verdicts = rule.decide(rule.measure(batch))
    reasons = [rule.reasons[code - 1] if code else None for code in verdicts]
    return reasons, rate(lambda: rule.decide(rule.measure(batch)), len(urls)), load


def run_datatrove(urls: Sequence[str]) -> tuple[list[str | None], float, float]:
    with tempfile.TemporaryDirectory() as folder:
        # It unpacks its lists below the cache of huggingface_hub, which reads this when it is imported.
        os.environ["HF_ASSETS_CACHE"] = folder
        from datatrove.data import Document
        from datatrove.pipeline.filters.url_filter import URLFilter
        from tldextract import TLDExtract

        warnings.simplefilter("ignore", DeprecationWarning)
        peer = URLFilter()
        peer.tldextractor = TLDExtract(
            cache_dir=None, suffix_list_urls=()
        )  # else it fetches the list of the day
        documents = [Document(text="x", id=str(i), metadata={"url": url}) for i, url in enumerate(urls)]
        start = time.process_time()
        peer.filter(documents[0])
        load = time.process_time() - start
    verdicts = [peer.filter(document) for document in documents]
    reasons = [None if kept is True else DATATROVE_REASONS[kept[1]] for kept in verdicts]
    return reasons, rate(lambda: [peer.filter(document) for document in documents], len(urls)), load


if __name__ == "__main__":
    main()
