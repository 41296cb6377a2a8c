"""Limits of memory, share and time, and what the system refuses: told in words, and no record is lost to them."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from corpus_tools.cli import main
from manifests.errors import TaskError, UsageError
from pipelines.executor import build
from pipelines.plan import make_plan
from pipelines.pool import Limits
from pipelines.store import quarantined
from tests.engine.small import ROOT

RECIPE = """\
name: limits
sources:
  - {name: web, read: jsonl, paths: ["a.jsonl"], steps: [{use: "./rules.py:score", min: 0.5}]}
"""
GROWING = """
import time
held = []
def score(text):
    held.append(bytearray(b"x") * ((450 if text == "greedy" else 60) << 20))
    time.sleep(0.15)
    return 1.0
"""


def recipe_in(folder, texts, rules="def score(text):\n    return 1.0\n"):
    (folder / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (folder / "rules.py").write_text(rules)
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder / "recipe.yaml"


def quern(*args):
    return CliRunner().invoke(main, [str(arg) for arg in args])


def told(result):
    """What a command wrote to stderr, lines joined."""
    return " ".join(result.stderr.split())


def test_a_unit_short_of_memory_as_a_whole_fails_and_blames_no_record(tmp_path):
    # "greedy" takes most of the limit by itself and is set aside; the others fill it together, without it too.
    recipe = recipe_in(
        tmp_path, [*(f"text {n}" for n in range(3)), "greedy", *(f"more {n}" for n in range(20))], GROWING
    )
    plan, events = make_plan(recipe, tmp_path / "out", allow_code=True), []
    with pytest.raises(TaskError, match="failed 3 times: out of memory; give more with --memory"):
        build(plan, workers=1, limits=Limits(memory_bytes=500 << 20), on_event=events.append)
    assert [e["record"] for e in events if e["kind"] == "quarantine"] == [3]
    assert not any(quarantined(tmp_path / "out").values())


def test_less_memory_than_an_idle_worker_takes_is_refused(tmp_path):
    plan = make_plan(recipe_in(tmp_path, ["text"]), tmp_path / "out", allow_code=True)
    with pytest.raises(
        UsageError, match=r"expected more than 0\.\d\d GB for each of 2 workers, .* got 0\.01 GB"
    ):
        build(plan, workers=2, memory_gb=0.02)
    assert not list((tmp_path / "out").glob("parts/*"))
    build(plan, workers=1, memory_gb=2)


@pytest.mark.parametrize("value", ["-1", "0", "nan", "inf"])
def test_no_memory_is_refused(tmp_path, value):
    recipe = recipe_in(tmp_path, ["text"])
    result = quern("build", recipe, "--out", tmp_path / "out", "--allow-code", "--memory", value)
    assert (result.exit_code, "--memory" in told(result)) == (2, True)
    assert not (tmp_path / "out" / "corpus.json").exists()


@pytest.mark.parametrize(
    "args", [("build", "--sample", "0%"), ("plan", "--probe", "-5"), ("plan", "--probe", "0s")]
)
def test_a_share_or_a_time_of_nothing_is_refused(tmp_path, args):
    verb, option, value = args
    recipe = recipe_in(tmp_path, ["text"])
    result = quern(verb, recipe, "--out", tmp_path / "out", "--allow-code", option, value)
    assert (result.exit_code, option in told(result)) == (2, True)


def test_a_build_that_found_most_done_says_that_nothing_was_read_again(tmp_path):
    recipe, out = recipe_in(tmp_path, ["text"]), tmp_path / "out"
    first = quern("build", recipe, "--out", out, "--allow-code", "--workers", "1")
    assert (first.exit_code, "--deep" in first.stdout) == (0, False)
    (part,) = (out / "parts").iterdir()
    part.write_bytes(bytes(part.stat().st_size))
    again = quern("build", recipe, "--out", out, "--allow-code", "--workers", "1")
    assert (again.exit_code, f"`quern verify --deep {out}` reads them" in again.stdout) == (0, True)


@pytest.mark.parametrize("out", ["a.jsonl/sub", "/proc/quern"])
def test_a_folder_that_cannot_be_written_is_told_without_a_traceback(tmp_path, out):
    recipe = recipe_in(tmp_path, ["text"])
    result = quern("build", recipe, "--out", tmp_path / out, "--allow-code")
    assert result.exit_code == 1
    assert "so `quern build` could not go on. What was finished before stands." in told(result)
    assert str(tmp_path / out) in result.stderr.replace("\n", "")
    assert "Traceback" not in result.stderr


def test_a_full_disk_is_told_with_the_file_and_the_unit_and_the_same_command_goes_on(tmp_path):
    recipe = recipe_in(tmp_path, [f"{n * 7919 % 1000003:x}" * 9 for n in range(20_000)])
    args = ["build", str(recipe), "--out", str(tmp_path / "out"), "--allow-code", "--workers", "1"]
    script = (
        "import resource, sys\nresource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "from corpus_tools.cli import main\nmain(sys.argv[1:])\n"
    )
    full = subprocess.run(
        [sys.executable, "-c", script, *args], capture_output=True, text=True, check=False, cwd=ROOT
    )
    words = " ".join(full.stderr.split())
    assert (full.returncode, "Traceback" in words) == (1, False)
    assert ".parquet: File too large (in step web, unit 0 (a.jsonl))" in words
    assert "it goes on from here" in words
    assert quern(*args).exit_code == 0
