"""Forty kills of a build of real books and crawl files, in every step: nothing lost, nothing done twice.

pytest -m slow tests/engine/test_real_kills.py -s      prints every kill: step, units done, seconds
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from manifests.corpus import CorpusManifest
from manifests.receipt import read_pack
from tests.engine.small import children_of, run_build, start_build, unnamed_files

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="real data is not here"),
]
N_STARTS, N_KILLS, SEED = 20, 40, 20261121

RECIPE = """\
name: part
sources:
  - name: books
    read: {{gutenberg: {{}}}}
    root: {data}/gutenberg/en
    paths: ["*/*.txt"]
    licence: public-domain-us
  - name: web
    read: {{warc: {{}}}}
    root: {data}/warc
    paths: ["**/*.*"]
    steps: [extract, language: {{keep: [en]}}, save, gopher_repetition, gopher_quality]
steps: [exact, minhash, decontaminate: {{against: [{data}/benchmarks/gsm8k/test.jsonl]}}]
tokens: {{train: {{vocab_size: 8192}}}}
"""


def write_recipe(folder: Path, data: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(data=data))
    return path


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The recipe, an uninterrupted build of it, its seconds and its steps with their lengths."""
    folder = tmp_path_factory.mktemp("kills")
    recipe = write_recipe(folder, DATA)
    run_build(recipe, folder / "cold", group=1 << 20)
    started = time.monotonic()
    events = run_build(recipe, folder / "out", group=1 << 20)
    seconds = time.monotonic() - started
    return recipe, folder / "out", seconds, step_lengths(folder / "out"), n_done(events)


def step_lengths(out: Path) -> dict[str, float]:
    """Seconds from the start of each step to the next one's, from the build's own log."""
    log = max((out / "runs").glob("build-*.jsonl"))
    events = [json.loads(line) for line in log.read_text().splitlines()]
    starts = [(e["step"], e["time"]) for e in events if e["kind"] == "step"] + [("", events[-1]["time"])]
    return {step: after - at for (step, at), (_, after) in pairwise(starts)}


def n_done(events) -> int:
    return sum(e["kind"] == "unit_done" for e in events)


def kill_in(step: str, delay: float, process) -> list[dict[str, str]]:
    """kill -9 the whole group `delay` seconds into `step`; returns the events seen."""
    events = []
    while line := process.stdout.readline():
        events.append(json.loads(line))
        if (events[-1]["kind"], events[-1]["step"]) == ("step", step):
            break
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGKILL)
    events += [json.loads(line) for line in process.stdout if line.endswith("}\n")]
    process.communicate()
    return events


def kills(steps: dict[str, float], rng: random.Random) -> list[list[tuple[str, float]]]:
    """For each of 20 starts, 1 to 4 kills (step, seconds into it), 40 in all, every step at least once."""
    names = sorted(steps)
    chosen = names + rng.choices(names, k=N_KILLS - len(names))
    rng.shuffle(chosen)
    sizes = [1] * N_STARTS
    while sum(sizes) < N_KILLS:
        i = rng.randrange(N_STARTS)
        sizes[i] += sizes[i] < 4
    moments = iter([(step, rng.random() * steps[step]) for step in chosen])
    # Within a start later kills must come later, or the build would be past the step already.
    order = list(steps)
    return [sorted((next(moments) for _ in range(size)), key=lambda m: order.index(m[0])) for size in sizes]


def test_forty_kills_in_every_step_end_in_the_same_manifest(reference, tmp_path):
    recipe, out, seconds, steps, n_units = reference
    rng = random.Random(SEED)
    hit, last_runs = Counter(), []
    for number, moments in enumerate(kills(steps, rng)):
        again = tmp_path / str(number)
        for step, delay in moments:
            events = kill_in(step, delay, start_build(recipe, again, 1 + number % 3, group=1 << 20))
            at = next((e["step"] for e in reversed(events) if e["kind"] == "step"), "start")
            unit = next((e["unit"] for e in reversed(events) if e["kind"] == "unit_done"), "none")
            hit[at] += 1
            print(f"start {number}: killed in {at} after {n_done(events)} units, last {unit}")
        started = time.monotonic()
        ran = n_done(run_build(recipe, again, 1 + number % 3, group=1 << 20))
        last_runs.append((time.monotonic() - started, ran))
        print(f"start {number}: ended in {last_runs[-1][0]:.1f} s, {ran} of {n_units} units left")
        check_same(again, out)
        shutil.rmtree(again)
    print(f"{sum(hit.values())} kills in {dict(hit)}; uninterrupted {seconds:.1f} s")
    assert sum(hit.values()) == N_KILLS
    assert {step.partition("/")[0] for step in hit} >= {step.partition("/")[0] for step in steps}
    assert median(ran for _, ran in last_runs) < n_units
    assert median(s for s, _ in last_runs) < seconds


def check_same(out: Path, expected: Path) -> None:
    assert (out / "corpus.json").read_bytes() == (expected / "corpus.json").read_bytes()
    manifest = CorpusManifest.read(out)
    for role, ref in manifest.files():
        ref.check(out, deep=True)
        if role == "receipts":
            for receipt in read_pack(out / ref.path):
                receipt.tally.check(ref.path)
    assert unnamed_files(out) == []


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_any_number_of_workers_gives_the_same_corpus(reference, tmp_path, workers):
    recipe, out, *_ = reference
    run_build(recipe, tmp_path / "out", workers, group=1 << 20)
    check_same(tmp_path / "out", out)


def test_a_build_goes_on_when_one_worker_is_killed_in_every_step(reference, tmp_path):
    recipe, out, _, steps, _ = reference
    process = start_build(recipe, tmp_path / "out", 2, group=1 << 20)
    killed = 0
    for line in process.stdout:
        event = json.loads(line)
        children = children_of(process.pid)
        if event["kind"] == "step" and children:
            os.kill(random.Random(killed).choice(children), signal.SIGKILL)
            killed += 1
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert killed > len(steps) / 2
    check_same(tmp_path / "out", out)


def test_another_place_hash_seed_and_locale_give_the_same_corpus(reference, tmp_path):
    _, out, *_ = reference
    moved = tmp_path / "elsewhere"
    for folder in ("gutenberg/en", "warc", "benchmarks/gsm8k"):
        shutil.copytree(DATA / folder, moved / folder)
    recipe = write_recipe(tmp_path / "recipe", moved)
    recipe.write_text(recipe.read_text().replace(f"{moved}/benchmarks", f"{DATA}/benchmarks"))
    run_build(recipe, tmp_path / "out", 2, group=1 << 20, PYTHONHASHSEED="42", LC_ALL="C", TZ="Asia/Tokyo")
    check_same(tmp_path / "out", out)
