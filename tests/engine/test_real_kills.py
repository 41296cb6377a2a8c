"""Forty kills of a build of real books and crawl files, in every step: nothing lost, nothing done twice.

    a start     an empty folder, 1 to 4 builds killed there, and one that ends
    a kill      kill -9 of the whole process group, a random part of a phase's length after it has begun

Every kill is told as it falls, and all of them in a table, whether or not pytest captures what tests print.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from manifests.corpus import CorpusManifest
from manifests.receipt import read_pack
from tests.engine.small import ROOT, children_of, run_build, start_build, unnamed_files

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="real data is not here"),
]
N_STARTS, N_KILLS, SEED = 20, 40, 20261121
MAX_REDRAWN = 5
GROUP = 1 << 20
MIN_SECONDS = 8  # "about 20 s": a fast machine takes half of that, and a build of 2 s would show nothing
MAX_WORK = 0.95
STAGES = {
    "books": "read",
    "web.1": "read, extract, language",
    "web.2": "gopher_repetition, gopher_quality",
}
Events = list[dict[str, Any]]
Unit = tuple[str, str]

RECIPE = """\
name: part
sources:
  - name: books
    read: {{gutenberg: {{}}}}
    root: {data}/gutenberg
    paths: ["en*/**/*.txt"]
    licence: public-domain-us
  - name: web
    read: {{warc: {{}}}}
    root: {data}/warc
    paths: ["**/*.*"]
    steps: [extract, language: {{keep: [en]}}, save, gopher_repetition, gopher_quality]
steps: [exact, minhash, decontaminate: {{against: [{data}/benchmarks/gsm8k/test.jsonl]}}]
tokens: {{train: {{vocab_size: 8192, sample_bytes: 24M}}}}
"""


def write_recipe(folder: Path, data: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(data=data))
    return path


@dataclass(frozen=True)
class Took:
    """What a build took: seconds by the clock on the wall, and of processors, which a busy machine stretches less."""

    wall: float
    work: float

    def share(self, whole: Took) -> Took:
        """What part of a whole build's this is."""
        return Took(self.wall / whole.wall, self.work / whole.work)


def timed_build(recipe: Path, out: Path, workers: int) -> tuple[Events, Took]:
    wall, before = time.monotonic(), os.times()
    events = run_build(recipe, out, workers, group=GROUP)
    after = os.times()
    return events, Took(time.monotonic() - wall, sum(after[2:4]) - sum(before[2:4]))


@dataclass(frozen=True)
class Whole:
    """An uninterrupted build: its folder, what it took, the seconds of each phase, and its units."""

    out: Path
    took: Took
    lengths: dict[str, float]
    units: set[Unit]

    def place(self, step: str) -> int:
        """Where a step stands among the phases; a gather that is found finished, at its last."""
        return max(i for i, phase in enumerate(self.lengths) if step in (phase, phase.partition("/")[0]))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("kills"), DATA)


@pytest.fixture(scope="module")
def whole(recipe) -> dict[int, Whole]:
    """An uninterrupted build with 1, 2 and 3 workers, after one that has compiled what they need."""
    run_build(recipe, recipe.parent / "cold", group=GROUP)
    return {workers: build_whole(recipe, workers) for workers in (1, 2, 3)}


def build_whole(recipe: Path, workers: int) -> Whole:
    out = recipe.parent / str(workers)
    events, took = timed_build(recipe, out, workers)
    return Whole(out, took, phase_lengths(out), units_of(events))


def logged(out: Path, known: Sequence[Path] = ()) -> Events:
    """The whole lines of a store's newest log; none where it has none but those known."""
    logs = sorted(set((out / "runs").glob("build-*.jsonl")) - set(known))
    return [json.loads(line) for line in logs[-1].open() if line.endswith("}\n")] if logs else []


def phase_lengths(out: Path) -> dict[str, float]:
    """Seconds that each phase was at work, in the order of their beginnings, from the build's own log."""
    events = logged(out)
    lengths: Counter[str] = Counter()
    for n, (event, after) in enumerate(pairwise(events), 1):
        lengths[at_work(events[:n])] += after["time"] - event["time"]
    return {step: seconds for step, seconds in lengths.items() if step != "start"}


def units_of(events: Events) -> set[Unit]:
    return {(e["step"], e["unit"]) for e in events if e["kind"] == "unit_done"}


def units_left(events: Events) -> dict[str, int]:
    """Of each step announced, how many units are not done."""
    left = {}
    for event in events:
        if event["kind"] == "step":
            left[event["step"]] = event["n_units"] - event["n_done"]
        elif event["kind"] == "unit_done":
            left[event["step"]] -= 1
    return left


def at_work(events: Events) -> str:
    """The first step announced that is not done; between two steps the former, before all of them "start"."""
    left = units_left(events)
    return next((step for step, n in left.items() if n), next(reversed(left), "start"))


@dataclass(frozen=True)
class Kill:
    """One kill: what the build had said by then, its seconds, and whether that was before its end."""

    events: Events
    seconds: float
    was_alive: bool

    def __str__(self) -> str:
        last = next((e["unit"] for e in reversed(self.events) if e["kind"] == "unit_done"), "none")
        n_done = len(units_of(self.events))
        return (
            f"{at_work(self.events):22} after {n_done:3} units and {self.seconds:5.1f} s, last unit: {last}"
        )


def kill_in(step: str, delay: float, process: subprocess.Popen[str], whole: Whole, out: Path) -> Kill:
    """kill -9 the whole group `delay` seconds into `step`, or at once where that is done already."""
    started, events = time.monotonic(), []
    while line := process.stdout.readline():
        events.append(json.loads(line))
        now = at_work(events)
        if now == step and units_left(events)[step]:
            time.sleep(delay)
            break
        if now != "start" and whole.place(now) > whole.place(step):
            break
    seconds = time.monotonic() - started
    os.killpg(process.pid, signal.SIGKILL)
    events += [json.loads(line) for line in process.stdout if line.endswith("}\n")]
    _, stderr = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), stderr
    was_alive = process.returncode == -signal.SIGKILL and not (out / "corpus.json").exists()
    return Kill(events, seconds, was_alive)


def sizes(rng: random.Random) -> list[int]:
    """How often each of 20 starts is killed: 1 to 4 times, 40 in all."""
    found = [1] * N_STARTS
    while sum(found) < N_KILLS:
        i = rng.randrange(N_STARTS)
        found[i] += found[i] < 4
    return found


def moments(whole: Whole, size: int, missed: Sequence[str], rng: random.Random) -> list[tuple[str, float]]:
    """`size` times (phase, seconds into it), of phases no kill has hit yet as long as there are any.

    Later ones come later: the build would be past the phase already.
    """
    steps = rng.sample(missed, min(size, len(missed)))
    steps += rng.choices(list(whole.lengths), k=size - len(steps))
    return [(step, rng.random() * whole.lengths[step]) for step in sorted(steps, key=whole.place)]


def strike(
    recipe: Path, out: Path, workers: int, whole: Whole, times: Sequence[tuple[str, float]]
) -> list[Kill]:
    """The kills of one start; where a build ended before its kill, that is the last, and what it made is checked."""
    kills = []
    for step, delay in times:
        kills.append(kill_in(step, delay, start_build(recipe, out, workers, group=GROUP), whole, out))
        if not kills[-1].was_alive:
            check_nothing_twice([kill.events for kill in kills], whole, workers)
            check_same(out, whole.out)
            break
    return kills


@pytest.fixture
def say(capsys) -> Callable[[str], None]:
    """Prints what is read by whoever runs the tests: past the capture, and where a worker of xdist has a voice."""

    def print_now(text: str) -> None:
        with capsys.disabled():
            print(text, file=sys.stderr, flush=True)

    return print_now


def test_forty_kills_in_every_step_end_in_the_same_manifest(recipe, whole, tmp_path, say):
    rng = random.Random(SEED)
    hits, took = Counter(), {workers: [] for workers in whole}
    for number, size in enumerate(sizes(rng)):
        workers, out = 1 + number % 3, tmp_path / str(number)
        plan, kills = whole[workers], []
        for _ in range(MAX_REDRAWN):  # a build that ended unkilled is checked, and drawn again
            shutil.rmtree(out, ignore_errors=True)
            missed = [step for step in plan.lengths if not hits[step]]
            kills = strike(recipe, out, workers, plan, moments(plan, size, missed, rng))
            if kills[-1].was_alive:
                break
        assert kills[-1].was_alive
        hits.update(at_work(kill.events) for kill in kills)
        for kill in kills:
            say(f"start {number:2}, {workers} workers: killed in {kill}")
        events, last = timed_build(recipe, out, workers)
        took[workers].append(last)
        say(f"start {number:2}: ended after {len(units_of(events))} units more and {last.wall:.1f} s")
        check_nothing_twice([*(kill.events for kill in kills), events], plan, workers)
        check_same(out, plan.out)
        shutil.rmtree(out)
    shares = shares_of(took, whole, recipe, tmp_path)
    tell(hits, shares, whole, say)
    assert sum(hits.values()) == N_KILLS
    assert {step.partition("/")[0] for step in hits} >= {step.partition("/")[0] for step in plan.lengths}
    assert [step for step in plan.lengths if not hits[step]] == []
    for found in shares.values():
        assert median(share.work for share in found) < MAX_WORK
    assert median(share.wall for found in shares.values() for share in found) < 1


def check_nothing_twice(builds: Sequence[Events], whole: Whole, workers: int) -> None:
    """What one build has reported done no later one does, and the last does all that it did not find done."""
    done: set[Unit] = set()
    for events in builds:
        assert units_of(events) & done == set()
        done |= units_of(events)
    assert set(units_left(builds[-1]).values()) == {0}
    assert done <= whole.units
    # Each worker may have ended a unit that the killed build had no time to report.
    assert len(whole.units - done) <= workers * (len(builds) - 1)


def shares_of(
    took: dict[int, list[Took]], whole: dict[int, Whole], recipe: Path, folder: Path
) -> dict[int, list[Took]]:
    """What the builds after kills took of a whole one: the mean of one before all kills and one after them."""
    shares = {}
    for workers, found in took.items():
        before, (_, after) = whole[workers].took, timed_build(recipe, folder / f"whole{workers}", workers)
        mean = Took((before.wall + after.wall) / 2, (before.work + after.work) / 2)
        shares[workers] = [last.share(mean) for last in found]
    return shares


def tell(hits: Counter[str], shares: dict[int, list[Took]], whole: dict[int, Whole], say) -> None:
    """Print the kills of each phase, and what the last builds took of a whole build's time and work."""
    say(f"{sum(hits.values())} kills")
    for step in dict.fromkeys([*whole[2].lengths, *hits]):
        seconds = f"{whole[2].lengths.get(step, 0):6.2f} s long with 2 workers"
        say(f"  {step:22} {hits[step]:2} kills   {seconds}   {STAGES.get(step, '')}".rstrip())
    for workers, found in shares.items():
        walls, works = sorted(share.wall for share in found), sorted(share.work for share in found)
        say(
            f"{workers} workers: {whole[workers].took.wall:.1f} s uninterrupted; {len(found)} builds after kills took "
            f"{median(walls):.2f} of its time ({walls[0]:.2f} to {walls[-1]:.2f}) and {median(works):.2f} of its work "
            f"({works[0]:.2f} to {works[-1]:.2f})"
        )


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
def test_any_number_of_workers_gives_the_same_corpus(whole, workers):
    assert whole[workers].took.wall > MIN_SECONDS
    check_same(whole[workers].out, whole[2].out)
    assert whole[workers].units == whole[2].units


def test_a_build_goes_on_when_one_worker_is_killed_in_every_step(recipe, whole, tmp_path, say):
    process = start_build(recipe, tmp_path / "out", 2, group=GROUP)
    killed, n_again = 0, 0
    for line in process.stdout:
        event = json.loads(line)
        n_again += event["kind"] == "retry"
        children = children_of(process.pid)
        if event["kind"] == "step" and children:
            os.kill(random.Random(killed).choice(children), signal.SIGKILL)
            killed += 1
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    say(f"{killed} workers killed, {n_again} of them at a unit")
    assert killed > len(whole[2].lengths) / 2
    assert n_again
    check_same(tmp_path / "out", whole[2].out)


def encoding_of(variables: dict[str, str]) -> str:
    """In what a Python with these variables opens text files by itself."""
    code = "import codecs, locale; print(codecs.lookup(locale.getpreferredencoding(False)).name)"
    env = {**os.environ, **variables}
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_killed_build_goes_on_from_another_place_with_another_hash_seed_and_locale(recipe, whole, tmp_path):
    out, step = tmp_path / "out", "minhash/sign"
    here = {"PYTHONHASHSEED": "7", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    process = start_build(recipe, out, 2, group=GROUP, **here)
    kill = kill_in(step, whole[2].lengths[step] / 2, process, whole[2], out)
    assert kill.was_alive
    assert at_work(kill.events).startswith("minhash/")
    moved = tmp_path / "elsewhere"
    for folder in ("gutenberg", "warc", "benchmarks/gsm8k"):
        shutil.copytree(DATA / folder, moved / folder)
    other = write_recipe(tmp_path / "recipe", moved)
    assert str(DATA) not in other.read_text()
    # In the C locale Python opens files as UTF-8 all the same, unless it is told not to.
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    there = {"PYTHONHASHSEED": "42", "TZ": "Asia/Tokyo", **ascii_only}
    assert encoding_of(ascii_only) == "ascii"
    events = run_build(other, out, 2, group=GROUP, **there)
    check_nothing_twice([kill.events, events], whole[2], 2)
    check_same(out, whole[2].out)


def start_command(recipe: Path, out: Path) -> subprocess.Popen[bytes]:
    """`quern build` as a user types it, in a process group of its own."""
    command = "import corpus_tools.cli as cli; cli.main()"
    return subprocess.Popen(
        [sys.executable, "-c", command, "build", str(recipe), "--out", str(out), "--workers", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        start_new_session=True,
    )


def test_the_command_itself_goes_on_after_three_kills(recipe, tmp_path, say):
    plain, out, rng = tmp_path / "plain", tmp_path / "out", random.Random(SEED)
    began = time.monotonic()
    assert start_command(recipe, plain).wait() == 0
    whole = Took(time.monotonic() - began, 0)
    builds: list[Events] = []
    for part in sorted(rng.uniform(0.1, 0.6) for _ in range(3)):
        known = sorted((out / "runs").glob("build-*.jsonl"))
        process = start_command(recipe, out)
        time.sleep(part * whole.wall)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        builds.append(logged(out, known))
        say(f"quern build killed after {part * whole.wall:.1f} s, in {at_work(builds[-1])}")
    known = sorted((out / "runs").glob("build-*.jsonl"))
    assert start_command(recipe, out).wait() == 0
    builds.append(logged(out, known))
    units = units_of(logged(plain))
    check_nothing_twice(builds, Whole(plain, whole, {}, units), 2)
    assert units_of(builds[-1]) < units
    check_same(out, plain)
