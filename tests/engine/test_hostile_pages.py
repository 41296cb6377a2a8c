"""Pages made to break an extractor: each ends soon and small, as text or as a drop, and harms no page beside it."""

import random
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from manifests.corpus import CorpusManifest
from pipelines.executor import build
from pipelines.extract import Extract
from pipelines.plan import make_plan
from pipelines.pool import Limits
from tests.engine.hostile import HOSTILE, hostile_pages
from tests.engine.small import page_html
from tests.read.warcs import http, members, record

# trafilatura is another's: what it takes for a page is bounded by the watching parent alone.
ENGINES = ("quern", "resiliparse")
MAX_SECONDS, MAX_BYTES = 2.0, 1 << 30
# A worker holds a batch of pages beside the one at hand.
MAX_WORKER_BYTES = 3 << 29
# Backstops of a build that decide nothing if no page takes as long or as much; by the clock, on a busy machine.
LIMITS = Limits(record_seconds=5 * MAX_SECONDS, memory_bytes=MAX_BYTES)
RECIPE = """\
name: hostile
sources:
  - name: web
    read: warc
    paths: ["crawl/*.warc.gz"]
    steps: [extract, gopher_repetition, gopher_quality: {min_stop_words: 0}]
"""


def extract_alone(engine: str, kind: str) -> tuple[float, int]:
    """Seconds of one page in a process of its own that has extracted another before, and the process's peak bytes."""
    script = (
        f"step = Extract(engine={engine!r})\n"
        "step.extract(np.frombuffer(page_html(1), np.uint8), 'text/html')\n"
        f"data, media = HOSTILE[{kind!r}](random.Random(1))\n"
        "start = time.process_time()\n"
        "step.extract(np.frombuffer(data, np.uint8), media)\n"
        "print(time.process_time() - start, peak_bytes())\n"
    )
    seconds, peak = run_script(script).split()
    return float(seconds), int(peak)


def run_script(script: str) -> str:
    """What a script prints that has all names of this file, in a process of its own."""
    source = f"import resource\nfrom tests.engine.test_hostile_pages import *\n{script}"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=False, cwd=root
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def peak_bytes() -> int:
    """The most that this process has held; `ru_maxrss` begins with what the process held that started it."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def write_crawl(folder: Path, *, n_hostile: int, n_good: int) -> set[str]:
    """A WARC of hostile and good pages by turns; returns the good ones' addresses."""
    # Neither short nor the copy of another, as page_html says.
    numbers = [n for n in range(2 * n_good) if n % 7 != 6 and n % 11 != 10][:n_good]
    good = [("good", page_html(n), "text/html; charset=utf-8") for n in numbers]
    pages = [*hostile_pages(n_hostile), *good]
    random.Random(3).shuffle(pages)
    (folder / "crawl").mkdir(parents=True)
    with (folder / "crawl" / "a.warc.gz").open("wb") as file:
        for n, (kind, body, media) in enumerate(pages):
            block = http(body, f"X-Kind: {kind}", media=media)
            file.write(members([record("response", block, n=n)]))
    (folder / "recipe.yaml").write_text(RECIPE)
    return {f"http://example.org/{n}" for n, (kind, _, _) in enumerate(pages) if kind == "good"}


def built(folder: Path, out: str) -> tuple[CorpusManifest, list[dict]]:
    events: list[dict] = []
    build(make_plan(folder / "recipe.yaml", folder / out), workers=1, limits=LIMITS, on_event=events.append)
    return CorpusManifest.read(folder / out), events


def check_build(folder: Path, good: set[str]) -> None:
    from corpus_tools.open import open_corpus

    first, events = built(folder, "first")
    assert [e for e in events if e["kind"] in ("retry", "quarantine", "failed")] == []
    kept = set(open_corpus(folder / "first").documents().column("url").to_pylist())
    assert good <= kept
    read = next(step for step in first.steps if step.kind == "read")
    assert read.n_read == read.n_kept
    busy = subprocess.Popen([sys.executable, "-c", "while True: sum(range(10_000))"])
    try:
        again, _ = built(folder, "again")
    finally:
        busy.kill()
        busy.wait()
    assert again.digest == first.digest


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_a_hostile_page_is_text_or_a_reason(kind, engine):
    step = Extract(engine=engine)
    # Kernels that no process of this machine has compiled yet would be within the clock.
    step.extract(np.frombuffer(page_html(1), np.uint8), "text/html")
    data, media = HOSTILE[kind](random.Random(1))
    start = time.process_time()
    text, reason = step.extract(np.frombuffer(data, np.uint8), media)
    assert (text is None) != (reason is None)
    assert reason is None or reason in Extract.reasons
    assert time.process_time() - start < 2 * MAX_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_a_hostile_page_takes_two_seconds_and_a_gibibyte_at_most(kind, engine):
    seconds, peak = extract_alone(engine, kind)
    assert seconds < MAX_SECONDS
    assert peak < MAX_BYTES


def test_good_pages_survive_hostile_ones_in_their_file(tmp_path):
    good = write_crawl(tmp_path, n_hostile=len(HOSTILE), n_good=20)
    check_build(tmp_path, good)


@pytest.mark.slow
def test_a_thousand_good_pages_survive_a_thousand_hostile_ones(tmp_path):
    # In a small process, for a worker's figure begins with what the process held that started it.
    script = (
        f"folder = Path({str(tmp_path)!r})\n"
        "check_build(folder, write_crawl(folder, n_hostile=1000, n_good=1000))\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)\n"
    )
    assert int(run_script(script)) < MAX_WORKER_BYTES
