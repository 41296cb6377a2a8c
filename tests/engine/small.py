"""A small corpus of WARC pages, a recipe for it, and a build of it as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from manifests.corpus import CorpusManifest
from tests.read.warcs import http, members, record

ROOT = Path(__file__).resolve().parents[2]
WORDS = ("the river of that town and have with stone be light to morning under garden " * 3).split()


def page_html(n: int) -> bytes:
    """A page of a few paragraphs of its own; every seventh repeats the one before, every eleventh is short."""
    rng = np.random.default_rng(n - 1 if n % 7 == 6 else n)
    size = 8 if n % 11 == 10 else 160
    words = [f"{WORDS[i]}{i % 3 or ''}" for i in rng.integers(0, len(WORDS), size)]
    names = [f"word{rng.integers(10_000)}" for _ in range(size // 4)]
    body = " ".join(words + names) + "."
    return f"<html><head><title>Page {n}</title></head><body><article><p>{body}</p></article></body></html>".encode()


def make_input(folder: Path, *, n_files: int = 6, n_pages: int = 12) -> Path:
    """WARC files `crawl/*.warc.gz` below `folder`; returns their folder."""
    crawl = folder / "crawl"
    crawl.mkdir(parents=True)
    for f in range(n_files):
        records = [record("warcinfo", b"software: test\r\n", n=10_000 + f)]
        for n in range(f * n_pages, (f + 1) * n_pages):
            records.append(record("request", b"GET / HTTP/1.1\r\n\r\n", n=n))
            records.append(record("response", http(page_html(n)), n=n))
        (crawl / f"{f}.warc.gz").write_bytes(members(records))
    return crawl


RECIPE = """\
name: small
sources:
  - name: web
    read: {{warc: {{}}}}
    paths: ["crawl/*.warc.gz"]
    steps: [extract, save, gopher_quality: {{min_words: {min_words}, min_stop_words: 0}}{extra}]
steps: [exact, minhash: {{bands: {bands}, rows: 4}}]
tokens: {{train: {{vocab_size: 300}}, holdout: 5%}}
"""


def write_recipe(folder: Path, *, min_words: int = 50, bands: int = 8, extra: str = "") -> Path:
    """The recipe beside the input."""
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(min_words=min_words, bands=bands, extra=extra))
    return path


SCRIPT = """
import json, sys
from pathlib import Path
import pipelines.plan
from manifests.errors import QuernError
from pipelines.executor import build
recipe, out, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
pipelines.plan.GROUP_BYTES = int(sys.argv[4])
def show(event):
    if event["kind"] in ("step", "unit_done", "retry", "quarantine"):
        told = ("kind", "step", "unit", "n_units", "n_done")
        print(json.dumps({k: event[k] for k in told if k in event}), flush=True)
try:
    plan = pipelines.plan.make_plan(recipe, out, allow_code=True)
    build(plan, workers=workers, on_event=show)
except QuernError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def start_build(
    recipe: Path, out: Path, workers: int = 2, *, group: int = 1, **env: str
) -> subprocess.Popen[str]:
    """A build in a process group of its own, units of `group` bytes; its stdout has a line an event."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(recipe), str(out), str(workers), str(group)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        start_new_session=True,
    )


def run_build(
    recipe: Path, out: Path, workers: int = 2, *, group: int = 1, **env: str
) -> list[dict[str, str]]:
    """A build to its end; returns its events."""
    process = start_build(recipe, out, workers, group=group, **env)
    stdout, stderr = process.communicate(timeout=600)
    assert process.returncode == 0, stderr
    return [json.loads(line) for line in stdout.splitlines()]


def kill_build(process: subprocess.Popen[str], after_units: int, delay: float) -> list[dict[str, str]]:
    """kill -9 the whole group `delay` seconds after its `after_units`-th event; returns the events seen."""
    assert process.stdout is not None
    events = []
    while sum(e["kind"] == "unit_done" for e in events) < after_units and (line := process.stdout.readline()):
        events.append(json.loads(line))
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGKILL)
    events += [json.loads(line) for line in process.stdout if line.endswith("}\n")]
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    return events


def children_of(pid: int) -> list[int]:
    """The processes a build has started."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def unnamed_files(out: Path) -> list[str]:
    """Files of a store that its newest manifest does not name, but for runs/ and the manifests themselves."""
    manifest = CorpusManifest.read(out)
    named = {ref.path for _, ref in manifest.files()} | {"corpus.json", f"corpora/{manifest.digest}.json"}
    found = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    return sorted(name for name in found - named if not name.startswith("runs/"))
