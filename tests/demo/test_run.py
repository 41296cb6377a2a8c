"""The demo's files are files a user could have written, and its commands are the user's."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from corpus_tools.demo.budget import LEAST, MOST, SECONDS, budget, with_budget
from corpus_tools.demo.crawl import crawl
from corpus_tools.demo.junk import JUNK_NAMES
from corpus_tools.demo.run import _budget_is_open, _quern, _write_files, run_demo
from manifests.corpus import CorpusManifest
from manifests.errors import QuernError
from manifests.mixfile import MixFile
from manifests.yamlfile import load_yaml, validate
from pipelines.recipe import load_recipe
from trainer.config import load_train

ROOT = Path(__file__).resolve().parents[2]


def test_the_recipe_finds_every_file_of_the_crawl(tmp_path):
    made = crawl(tmp_path, modules=["heapq"])
    _write_files(tmp_path)
    recipe = load_recipe(tmp_path / "recipe.yaml")
    assert [source.name for source in recipe.sources] == ["web", "code", "docs"]
    read = {str(file.full) for source in recipe.sources for file in source.files}
    inputs = {str(tmp_path / file.path) for file in made.files if "/bench/" not in file.path}
    assert read == inputs


def test_the_training_file_is_valid_and_trains_what_the_mix_names(tmp_path):
    _write_files(tmp_path)
    config = load_train(tmp_path / "train.yaml")
    mix, _ = load_yaml(tmp_path / "mix.yaml")
    recipe, _ = load_yaml(tmp_path / "recipe.yaml")
    assert config.mix == "mix.yaml"
    assert config.batch % mix["seq_len"] == 0
    assert set(mix["phases"][0]["weights"]) == {source["name"] for source in recipe["sources"]}


def test_a_file_that_the_user_changed_stays(tmp_path):
    (tmp_path / "mix.yaml").write_text("name: mine\n")
    _write_files(tmp_path)
    assert (tmp_path / "mix.yaml").read_text() == "name: mine\n"


@pytest.mark.parametrize(("speed", "n_tokens"), [(300, LEAST), (12_000, 2_000_000), (90_000, MOST)])
def test_training_takes_three_minutes_unless_the_machine_is_very_slow_or_fast(speed, n_tokens):
    cold = [speed / 9] * 10
    assert budget([*cold, *[speed] * 10]) == n_tokens
    assert n_tokens in {LEAST, MOST} or 120 < n_tokens / speed < 240
    assert LEAST / SECONDS < 12_000 < MOST / SECONDS


@pytest.mark.parametrize("n_tokens", [LEAST, 2_300_000, MOST])
def test_the_mix_asks_for_the_tokens_that_the_machine_can_read(tmp_path, n_tokens):
    _write_files(tmp_path)
    mix = tmp_path / "mix.yaml"
    mix.write_text(with_budget(mix.read_text(), n_tokens))
    value, positions = load_yaml(mix)
    assert validate(MixFile, value, positions).phases[0].tokens == n_tokens


def test_the_machine_is_timed_until_somebody_has_said_how_much_the_model_reads(tmp_path):
    _write_files(tmp_path)
    assert _budget_is_open(tmp_path)
    for name, before, after in (("mix.yaml", "1.2M", "1.3M"), ("train.yaml", "batch: 4Ki", "batch: 64Ki")):
        shipped = (tmp_path / name).read_text()
        (tmp_path / name).write_text(shipped.replace(before, after))
        assert not _budget_is_open(tmp_path)
        (tmp_path / name).write_text(shipped)
    (tmp_path / "runs/demo").mkdir(parents=True)
    assert not _budget_is_open(tmp_path)


def test_a_command_is_printed_before_it_runs_and_its_failure_ends_the_demo(tmp_path, capfd):
    with pytest.raises(QuernError, match="quern verify") as caught:
        _quern(tmp_path, "verify", "no such corpus")
    assert caught.value.exit_code in {1, 2}
    assert capfd.readouterr().out == "\n$ quern verify 'no such corpus'\n"


def test_the_junk_pages_name_modules_that_every_python_has():
    assert set(JUNK_NAMES) <= set(sys.stdlib_module_names)


@pytest.mark.slow
def test_the_whole_demo_ends_well_and_goes_on_from_what_is_finished(tmp_path):
    command = [sys.executable, "-m", "corpus_tools.cli", "demo", "--out", str(tmp_path / "out")]
    first = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=720, check=False)
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    for shown in ("$ quern build recipe.yaml", "$ quern train train.yaml", "byte bigram", "What to do next"):
        assert shown in first.stdout, shown
    assert (tmp_path / "out/loss.svg").stat().st_size > 1000
    corpus = (tmp_path / "out/corpora/demo/corpus.json").read_bytes()
    made = CorpusManifest.read(tmp_path / "out/corpora/demo")
    assert sum(partition.n_bytes for partition in made.partitions) >= 5_000_000
    assert {partition.source for partition in made.partitions} == {"web", "code", "docs"}
    reasons = {reason for step in made.steps for reason in step.dropped}
    assert len(reasons) >= 5
    assert [r for r in reasons if not re.search(rf"\b{r}\b +[0-9]", first.stdout)] == []
    (millions,) = re.findall("tokens: ([0-9.]+)M", (tmp_path / "out/mix.yaml").read_text())
    (seconds,) = re.findall(
        r"^\$ quern train train.yaml\n(?s:.*?)^--- ([0-9]+) s$", first.stdout, re.MULTILINE
    )
    # 2 to 4 minutes; half a minute either way where what else this machine does begins or ends meanwhile.
    assert float(millions) in {LEAST / 1e6, MOST / 1e6} or 90 <= int(seconds) <= 270
    assert len(re.findall("^[0-9]+% of the words after", first.stdout, re.MULTILINE)) == 3
    shutil.rmtree(tmp_path / "out/crawl")
    run_demo(tmp_path / "out")
    assert (tmp_path / "out/corpora/demo/corpus.json").read_bytes() == corpus
