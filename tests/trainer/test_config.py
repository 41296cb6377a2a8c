import shutil
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from toyrun import write_train

from manifests.errors import ConfigError, MixError, UsageError
from manifests.yamlfile import YamlError
from trainer.config import differing_keys, load_train
from trainer.run import open_run, train

EXAMPLE = """
name: small-124m
mix: mix.yaml
model: {preset: llama-124m}
optim: {name: muon, lr: 0.02, weight_decay: 0.1, clip: 1.0}
schedule: {name: wsd, warmup: 2%, decay: 20%}
batch: 512Ki
tokens: 30B
seed: 1
evaluate: {every: 250M, tokens: 4M}
sample:
  every: 1B
  prompts: ["It is a truth universally acknowledged", "def main("]
save: {every: 500M, keep: 3}
log: [jsonl, tensorboard]
machine:
  device: auto
  dtype: auto
  compile: auto
  micro_batch: auto
"""


def quiet(_: str) -> None:
    return None


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "train.yaml"
    path.write_text(text)
    return path


def test_every_key_of_the_documented_example_is_read(tmp_path):
    config = load_train(written(tmp_path, EXAMPLE))
    assert config.batch == 524_288
    assert config.tokens == 30_000_000_000
    assert config.schedule.warmup == Fraction(1, 50)
    assert config.evaluate.every == 250_000_000
    assert config.save.keep == 3
    assert config.machine.micro_batch is None
    assert config.machine.compile == "auto"
    assert config.log == ("jsonl", "tensorboard")
    shape = config.model.shape(vocab=50_257, seq_len=1024)
    assert (shape.layers, shape.width, shape.tied) == (12, 768, True)


def test_the_shared_example_is_read():
    path = Path(__file__).parents[3] / "shared/examples/train.yaml"
    if not path.exists():
        pytest.skip("the shared examples are not here")
    assert load_train(path).name == "small-124m"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("lr: 0.02", "learning: 0.02", "learning"),
        ("preset: llama-124m", "preset: llama-125m", "llama-124m"),
        ("preset: llama-124m", "preset: llama-124m, depth: 12", "both"),
        ("preset: llama-124m", "layers: 3", "width"),
        ("preset: llama-124m", "layers: 3, width: 30, heads: 4", "heads"),
        ("preset: llama-124m", "layers: 3, width: 32, heads: 4, kv_heads: 3", "kv_heads"),
        ("name: muon", "name: sgd", "muon"),
        ("batch: 512Ki", "batch: many", "whole number"),
        ("batch: 512Ki", "batch: 0", "above 0"),
        ("warmup: 2%", "warmup: 200%", "share"),
        (
            "warmup: 2%, decay: 20%",
            "warmup: 90%, decay: 90%",
            "at most 1 together for `schedule`, got 0.9 and 0.9",
        ),
        ("name: small-124m", "name: ../up", "name"),
        ("seed: 1", "seed: -1", "seed"),
        ("dtype: auto", "dtype: fp8", "fp8"),
    ],
)
def test_a_wrong_key_or_value_is_refused_at_its_line(tmp_path, old, new, said):
    assert old in EXAMPLE
    with pytest.raises(YamlError) as refused:
        load_train(written(tmp_path, EXAMPLE.replace(old, new)))
    line = EXAMPLE[: EXAMPLE.index(old)].count("\n") + 1
    assert f"train.yaml:{line}:" in str(refused.value)
    assert said in str(refused.value)


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan"])
@pytest.mark.parametrize(
    "key",
    [
        "optim.lr",
        "optim.adam_lr",
        "optim.weight_decay",
        "optim.clip",
        "optim.betas.0",
        "optim.betas.1",
        "sample.temperature",
        "sample.top_p",
    ],
)
def test_a_number_that_is_none_is_refused_before_a_folder_is_made(tmp_path, key, value):
    optim, sample = "optim: {betas: [0.9, 0.95]}", "sample: {temperature: 1.0}"
    text = f"name: x\nmix: none.yaml\nmodel: {{preset: llama-1m}}\n{optim}\n{sample}\n"
    with pytest.raises(YamlError, match=f"--set {key}={value}: expected"):
        train(written(tmp_path, text), overrides=[f"{key}={value}"], out=tmp_path / "run", say=quiet)
    assert not (tmp_path / "run").exists()


def test_a_rate_without_end_is_refused_at_its_line(tmp_path):
    with pytest.raises(
        YamlError, match=r"train\.yaml:5:25: expected a finite number for `optim.lr`, got Infinity"
    ):
        load_train(written(tmp_path, EXAMPLE.replace("lr: 0.02", "lr: .inf")))


def test_the_decay_that_is_proposed_is_taken_and_cosine_has_none(tmp_path):
    crossed = EXAMPLE.replace("warmup: 2%, decay: 20%", "warmup: 90%, decay: 90%")
    with pytest.raises(YamlError, match=r"Write `decay: 0\.1`"):
        load_train(written(tmp_path, crossed))
    assert load_train(
        written(tmp_path, crossed.replace("decay: 90%", "decay: 0.1"))
    ).schedule.decay == Fraction(1, 10)
    assert load_train(written(tmp_path, crossed.replace("wsd", "cosine"))).schedule.warmup == Fraction(9, 10)


@pytest.mark.parametrize(
    ("overrides", "place"),
    [
        (["model.preset=llama-1mm"], "--set model.preset=llama-1mm: expected a preset"),
        (["model.kv_heads=5"], r"train\.yaml:4:8 with --set model\.kv_heads=5: expected heads"),
        (
            ["schedule={warmup: 0.9, decay: 0.9}"],
            r"--set schedule=\{warmup: 0\.9, decay: 0\.9\}: expected warmup",
        ),
    ],
)
def test_what_was_set_wrong_is_told_at_its_set(tmp_path, overrides, place):
    with pytest.raises(YamlError, match=f"^(.*/)?{place}"):
        load_train(written(tmp_path, EXAMPLE), overrides)


def test_a_row_has_a_longest_length(tmp_path):
    with pytest.raises(
        YamlError, match=r"--set seq_len=2Mi: expected a number of 1048576 or less for `seq_len`"
    ):
        load_train(written(tmp_path, EXAMPLE), ["seq_len=2Mi"])


def test_sizes_may_be_given_one_by_one_by_one_dial_or_on_top_of_a_preset(tmp_path):
    def shape(model: str):
        text = EXAMPLE.replace("{preset: llama-124m}", model)
        return load_train(written(tmp_path, text)).model.shape(vocab=100, seq_len=64)

    assert shape("{layers: 2, width: 64, heads: 4}").hidden == 192
    assert shape("{depth: 12}").width == 768
    assert shape("{preset: llama-124m, layers: 6}").layers == 6
    assert shape("{preset: llama-124m, kv_heads: 4}").kv_heads == 4
    assert shape("{preset: llama-124m, tied: false}").tied is False
    assert shape("{layers: 2, width: 64, heads: 4, head_dim: 32}").head_dim == 32


def test_any_key_can_be_set_from_the_command_line_and_is_recorded(toy, tmp_path):
    (tmp_path / "corpus").symlink_to(toy / "corpus")
    config = write_train(tmp_path)
    run = open_run(train(config, overrides={"tokens": 512, "optim.lr": 0.01}, out=tmp_path / "r", say=quiet))
    assert run.config["tokens"] == 512
    assert run.config["optim"]["lr"] == "0.01"
    assert run.n_steps == 2


def test_differences_are_named_by_their_dotted_keys():
    assert differing_keys({"a": {"b": 1, "c": [1]}, "d": 0}, {"a": {"b": 2, "c": [1]}}) == ["a.b", "d"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"batch": 250}, "batch: 224"),
        ({"tokens": 10**9}, "The mix ends after them"),
        ({"tokens": 100}, "tokens"),
        ({"seq_len": 64}, "mix alone"),
    ],
)
def test_a_plan_the_mix_cannot_feed_is_refused_before_anything_is_written(toy, tmp_path, changes, said):
    (tmp_path / "corpus").symlink_to(toy / "corpus")
    with pytest.raises(ConfigError, match=said):
        train(write_train(tmp_path, **changes), out=tmp_path / "run", say=quiet)
    assert not (tmp_path / "run").exists()


def test_a_mix_may_be_a_corpus_with_all_its_sources_by_their_tokens(toy, tmp_path):
    (tmp_path / "corpus").symlink_to(toy / "corpus")
    config = write_train(tmp_path, mix="corpus", seq_len=16, tokens=512)
    run = open_run(train(config, out=tmp_path / "run", say=quiet))
    assert run.mix.seq_len == 16
    assert [s.name for s in run.mix.sources] == ["birds", "stones"]


def test_a_run_whose_mix_was_edited_is_refused_and_says_what_differs(toy, tmp_path):
    (tmp_path / "corpus").symlink_to(toy / "corpus")
    config = write_train(tmp_path, tokens=512)
    train(config, out=tmp_path / "run", say=quiet)
    value = yaml.safe_load((tmp_path / "mix.yaml").read_text())
    value["phases"][0]["weights"] = {"birds": 0.5, "stones": 0.5}
    (tmp_path / "mix.yaml").write_text(yaml.safe_dump(value))
    with pytest.raises(ConfigError, match="phases"):
        train(config, out=tmp_path / "run", say=quiet)


def test_a_missing_file_or_mix_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="readable"):
        train(tmp_path / "none.yaml")
    with pytest.raises(UsageError):
        train(write_train(tmp_path, mix="none.yaml"), out=tmp_path / "run")


def test_forty_epochs_are_refused_before_any_work(toy, tmp_path):
    shutil.copytree(toy / "corpus", tmp_path / "corpus")
    config = write_train(tmp_path, tokens=256)
    text = (tmp_path / "mix.yaml").read_text()
    (tmp_path / "mix.yaml").write_text(text.replace("60000", "4000000"))
    with pytest.raises(MixError):
        train(config, out=tmp_path / "run", say=quiet)
