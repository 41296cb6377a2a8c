"""The peer's side of build_web: FineWeb's steps as a datatrove pipeline, in its environment.

As in datatrove's examples/fineweb.py, of which it leaves out every exclusion writer (ours does write what it drops).
The documents kept are written and signed in one pipeline, where FineWeb reads them a second time.
A page has `seconds` for its extraction: FineWeb's one, or so many that no clock decides what is kept.
"""

import json
import multiprocessing
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
    URLFilter,
)
from datatrove.pipeline.readers import JsonlReader, WarcReader
from datatrove.pipeline.readers.warc import process_record
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.lid import FT176LID
from timed_extract import seconds_inside, time_extract
from tldextract import TLDExtract
from warcio.archiveiterator import ArchiveIterator

# FineWeb hashes shingles with sha1; xxhash is datatrove's default, the faster one, and ours.
CONFIG = MinhashConfig(num_buckets=14, hashes_per_bucket=8, n_grams=5)


def main(folder):
    start = cpu_seconds()
    task = json.loads((folder / "task.json").read_text())
    # lid.176.ftz, the model ours uses; the original .bin is 126 MB, no faster, and would have to be downloaded.
    FT176LID.MODEL_URL = task["model"]
    warm_up, warc = Path(task["warm_up"]), Path(task["warc"])
    time_extract(folder / "inside")
    run(warm_up, folder / "warm-up", task["seconds"])
    inside = seconds_inside(folder / "inside")
    out = folder / "out"
    cpu, wall = seconds(lambda: run(warc, out, task["seconds"]))
    inside = seconds_inside(folder / "inside") - inside
    answer = {"start": start, "cpu": cpu, "wall": wall, "inside": inside, **account(out)}
    if task["parts"]:
        answer["parts"] = parts(warc, json.loads(Path(task["texts"]).read_text()))
    (folder / "answer.json").write_text(json.dumps(answer))


def run(warc, out, page_seconds):
    addresses = URLFilter()
    # Its snapshot of the suffixes, as ours; by default it tries the network first.
    addresses.tldextractor = TLDExtract(cache_dir=None, suffix_list_urls=())
    steps = [
        WarcReader(str(warc.parent), glob_pattern=warc.name, default_metadata={"dump": "bench"}),
        addresses,
        Trafilatura(favour_precision=True, timeout=page_seconds),
        LanguageFilter(languages=["en"], language_threshold=0.65),
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(),
        JsonlWriter(str(out / "kept")),
        MinhashDedupSignature(str(out / "signatures"), config=CONFIG),
    ]
    LocalPipelineExecutor(steps, tasks=1, workers=1, logging_dir=str(out / "logs")).run()
    # What is left of the extractor's process is waited for, or its time would be lost.
    multiprocessing.active_children()


def account(out):
    """Documents read and kept (their addresses), how many each step left, and what it dropped."""
    steps = json.loads((out / "logs" / "stats.json").read_text())
    kept = [doc.metadata["url"] for doc in JsonlReader(str(out / "kept"))()]
    return {
        "read": total(steps[0]["stats"]["documents"]),
        "kept": sorted(kept),
        "left": {short(step["name"]): total(step["stats"].get("forwarded", 0)) for step in steps[1:-2]},
        "dropped": {short(step["name"]): dropped(step["stats"]) for step in steps[1:-2]},
        "versions": {
            name: version(name)
            for name in ("datatrove", "trafilatura", "lxml", "jusText", "spacy", "fasttext-numpy2-wheel")
        },
    }


def short(name):
    """`Trafilatura` of a step's name, which has pictures in it."""
    return name.rpartition(":")[2].encode("ascii", "ignore").decode().strip()


def dropped(stats):
    """Documents by reason; a step without reasons has `dropped`."""
    passed = ("total", "forwarded", "doc_len", "doc_len_tokens", "extracted")
    # Of lines, not of documents.
    named = {k: v for k, v in stats.items() if k not in passed and not k.startswith("line-")}
    counts = {k.removeprefix("dropped_"): total(v) for k, v in named.items()}
    n_named = sum(n for reason, n in counts.items() if reason not in ("dropped", "timeout"))
    unnamed = counts.pop("dropped", 0) - n_named
    return {**counts, "dropped": unnamed} if unnamed else counts


def total(stat):
    return stat["total"] if isinstance(stat, dict) else stat


def parts(warc, texts):
    """Two stages alone, called directly: no pipe to a second process. CPU seconds each, a page no more than 1 s."""
    with warc.open("rb") as file:
        pages = [page["text"] for record in ArchiveIterator(file) if (page := process_record(record))]
    extractor = Trafilatura(favour_precision=True, timeout=1.0)
    signer = MinhashDedupSignature("unused", config=CONFIG)
    sign = lambda text: signer.get_signature(signer.get_shingles(text))  # noqa: E731
    extract = sum(min(1.0, seconds(lambda page=page: extractor.extract(page))[0]) for page in pages)
    signatures = sum(seconds(lambda text=text: sign(text))[0] for text in texts)
    return {"extract": {"cpu": extract}, "signatures": {"cpu": signatures}}


def seconds(work):
    """CPU seconds of this process and the children it has waited for, and wall seconds."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    work()
    return cpu_seconds() - cpu, time.perf_counter() - wall


def cpu_seconds():
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
