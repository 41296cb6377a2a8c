"""What is refused before a run begins, and what is said then."""

import re
import shutil

import pytest
import torch
from toyrun import sentences, write_corpus, write_train

from manifests.errors import ConfigError, UsageError
from manifests.mix import MixManifest
from trainer.begin import begin_or_match
from trainer.config import load_placed
from trainer.run import open_run, resolve_mix, train


def begin(config, folder, *, parent="run", fork=None):
    """Make the run's folder, or that of a fork, without training in it."""
    made, positions = load_placed(config)
    mix = resolve_mix(made, folder, positions)
    begin_or_match(folder / parent, made, mix, positions=positions, fork=fork, say=lambda _: None)
    return open_run(folder / (fork or parent))


def refusal(config, folder):
    with pytest.raises(ConfigError) as caught:
        begin(config, folder)
    assert not (folder / "run").exists()
    return str(caught.value)


def test_another_configuration_is_told_at_the_line_that_says_so(trained):
    config = write_train(trained, batch=512)
    line = next(n for n, text in enumerate(config.read_text().splitlines(), 1) if "batch" in text)
    with pytest.raises(
        ConfigError, match=rf"{config.name}:{line}:\d+: expected the configuration that .*run began"
    ):
        begin(config, trained)


@pytest.fixture
def trained(toy, finished, tmp_path):
    """A folder with the corpus and a run of 24 steps of 256 tokens."""
    (tmp_path / "corpus").symlink_to(toy / "corpus")
    shutil.copytree(finished.path, tmp_path / "run")
    return tmp_path


@pytest.mark.parametrize(
    ("batch", "tokens", "n_steps", "n_tokens"),
    [
        (512, 256 * 24 + 512 * 3, 27, 256 * 24 + 512 * 3),
        (128, 256 * 24 + 128 * 5 + 9, 29, 256 * 24 + 128 * 5),
        (512, 60_000, 24 + 105, 256 * 24 + 512 * 105),
        (512, None, 24 + 105, 256 * 24 + 512 * 105),
    ],
)
def test_a_fork_of_another_batch_counts_the_tokens_of_its_parent_as_they_were(
    trained, batch, tokens, n_steps, n_tokens
):
    fork = begin(write_train(trained, batch=batch, tokens=tokens), trained, fork="other")
    assert (fork.n_steps, fork.tokens_at(24), fork.tokens_at(n_steps)) == (n_steps, 256 * 24, n_tokens)
    assert fork.rows_of_step(n_steps)[1] * 32 == n_tokens


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (256 * 24, "at least 6,656 for `tokens`, one step more than the 6,144 already trained, got 6,144"),
        (60_500, "at most 59,904 for `tokens`, got 60,500"),
    ],
)
def test_a_fork_of_another_batch_is_told_tokens_that_it_takes(trained, tokens, said):
    config = write_train(trained, batch=512, tokens=tokens)
    with pytest.raises(ConfigError, match=said) as caught:
        begin(config, trained, fork="other")
    pasted = re.search(r"Write `(tokens: \d+)`", str(caught.value))[1]
    config.write_text(re.sub(r"(?m)^tokens: .*$", pasted, config.read_text()))
    assert begin(config, trained, fork="other").n_steps > 24


@pytest.mark.parametrize("fork", [None, "other"])
@pytest.mark.parametrize("tokens", [10, 6150, 50_000, None])
def test_a_batch_without_a_step_is_told_all_that_must_be_changed(trained, tokens, fork):
    config = write_train(trained, batch=64_000, tokens=tokens)
    if fork is None:
        shutil.rmtree(trained / "run")
    with pytest.raises(ConfigError, match=r"at most [\d,]+ for `batch`") as caught:
        begin(config, trained, fork=fork)
    for pasted in re.findall(r"`((?:batch|tokens): \d+)`", str(caught.value)):
        key = pasted.partition(":")[0]
        config.write_text(re.sub(rf"(?m)^{key}: .*$", pasted, config.read_text()))
    assert begin(config, trained, fork=fork).n_steps == (25 if fork else 1)


def test_a_fork_of_another_batch_writes_the_tokens_it_was_trained_on(trained):
    config = write_train(
        trained, batch=512, tokens=256 * 24 + 512 * 2, evaluate={"every": 512, "tokens": 1024}
    )
    run = open_run(train(config, out=trained / "run", fork="other", say=lambda _: None))
    assert [line["tokens"] for line in run.metrics("step")] == [6656, 7168]
    assert [line["tokens"] for line in run.metrics("evaluate")] == [6656, 7168]
    assert (
        "26 of 26 steps of 512 tokens (the first 24 those of toy)" in (run.path / "report.html").read_text()
    )


@pytest.mark.parametrize(
    ("mix", "said"),
    [
        (".", r"expected a corpus folder or manifest, found none"),
        ("", r"expected a mix\.yaml or a corpus folder for `mix`, got nothing"),
        ("run/mix.json", r"expected a mix\.yaml or a corpus folder for `mix`, got the mix of a run"),
        ("note.txt", r"got a file of another kind"),
        (
            "corpus@zz",
            r'expected the first digits of one manifest, got "zz" with which 0 begin\. There are: ',
        ),
        (
            "mx.yaml",
            r'expected a mix\.yaml or a corpus folder .*mx\.yaml; did you mean "mix\.yaml"\? The run',
        ),
        ("crpus", r'expected a mix\.yaml or a corpus folder .*crpus; did you mean "corpus"\? The run'),
        ("crpus@zz", r"expected a corpus folder or manifest, found none\.$"),
        ("nte.txt", r"expected a mix\.yaml or a corpus folder .*nte\.txt\. The run"),
    ],
)
def test_a_mix_that_is_none_is_told_at_its_line(trained, mix, said):
    (trained / "note.txt").write_text("hello")
    (trained / "mix.yaml").touch()
    with pytest.raises(ConfigError, match=rf"train\.yaml:\d+:6: .*{said}"):
        begin(write_train(trained, mix=mix), trained, parent="new")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        # The mix holds 60,000 tokens, 1,875 rows of 32.
        (
            {"batch": 64_000, "tokens": None},
            r"train\.yaml:1:8: expected at most 60,000 for `batch`, what the mix",
        ),
        (
            {"batch": 64_000, "tokens": 50_000},
            r"train\.yaml:1:8: expected at most 60,000 for `batch`, what the mix",
        ),
        ({"batch": 30_016}, r"train\.yaml:\d+:9: expected at least 30,016 for `tokens`, .*got 6,144"),
        (
            {"batch": 19_200, "tokens": 80_000},
            r"train\.yaml:\d+:9: expected at most 57,600 for `tokens`, got 80,000",
        ),
        (
            {"batch": 20_010},
            r"train\.yaml:1:8: expected a multiple of the mix's seq_len 32 for `batch`, got 20010",
        ),
    ],
)
def test_a_batch_or_tokens_that_the_mix_cannot_feed_say_where_and_what_can(toy, tmp_path, changes, said):
    (tmp_path / "corpus").symlink_to(toy / "corpus")
    config = write_train(tmp_path, **{"tokens": 6144, **changes})
    told = refusal(config, tmp_path)
    assert re.search(said, told)
    pasted = re.search(r"Write `(.*?)`", told)[1]
    if changes["batch"] == 20_010:
        config.write_text(config.read_text().replace("tokens: 6144", "tokens: 20480"))
    key = pasted.partition(":")[0]
    config.write_text(re.sub(rf"(?m)^{key}: .*$", pasted, config.read_text()))
    assert begin(config, tmp_path).n_steps in (1, 3)


ABSENT = "cuda" if not torch.cuda.is_available() else "mps"
ON_ABSENT = {"device": ABSENT, "workers": 1}


def test_a_device_that_is_not_here_is_told_at_its_line_before_the_run_s_folder_is_made(toy, tmp_path):
    (tmp_path / "corpus").symlink_to(toy / "corpus")
    path = write_train(tmp_path, machine=ON_ABSENT)
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "  device: " in text)
    said = rf'finds here \(.*cpu\) for `machine\.device`, got "{ABSENT}"\. .*Write `device: auto`'
    with pytest.raises(ConfigError, match=rf"train\.yaml:{line}:11: expected a device that .* {said}"):
        train(path, out=tmp_path / "run", say=lambda _: None)
    assert not (tmp_path / "run").exists()
    begin(write_train(tmp_path), tmp_path)
    with pytest.raises(
        ConfigError, match=rf"^--set machine\.device={ABSENT}: expected a device that .* {said}"
    ):
        train(path, out=tmp_path / "run", overrides=[f"machine.device={ABSENT}"], say=lambda _: None)
    assert not (tmp_path / "run/machine.json").exists()


def test_a_finished_run_needs_no_device(trained):
    heard: list[str] = []
    train(write_train(trained, machine=ON_ABSENT), out=trained / "run", say=heard.append)
    assert heard[-1].endswith("all 24 steps are done")


def test_a_number_type_that_the_gpu_does_not_take_is_told_at_its_line(toy, tmp_path, monkeypatch):
    (tmp_path / "corpus").symlink_to(toy / "corpus")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda: False)
    said = r"train\.yaml:\d+:10: expected a number type .* \(fp32\) for `machine\.dtype`, got \"bf16\""
    for device in ("auto", "cuda"):
        assert re.search(
            said, refusal(write_train(tmp_path, machine={"device": device, "dtype": "bf16"}), tmp_path)
        )
    assert begin(write_train(tmp_path, machine={"device": "cpu", "dtype": "bf16"}), tmp_path).n_steps == 24


def test_a_mix_that_is_not_there_is_told_at_its_line(tmp_path):
    for name in ("no.yaml", "corpora/no"):
        said = refusal(write_train(tmp_path, mix=name), tmp_path)
        assert re.match(
            rf".*train\.yaml:\d+:6: expected a mix\.yaml or a corpus folder .*at \S*{name}\. The", said
        )


def test_a_run_on_a_whole_corpus_says_which_sources_make_no_row(tmp_path):
    texts = {"birds": (sentences(1, 100), sentences(2, 3)), "few": (sentences(3, 1), sentences(4, 1))}
    write_corpus(tmp_path / "corpus", texts)
    heard: list[str] = []
    config = write_train(tmp_path, mix="corpus", seq_len=64, tokens=512)
    run = train(config, out=tmp_path / "run", say=heard.append)
    assert any("left out few: its" in line and "tokens make no row of 64" in line for line in heard)
    mix = MixManifest.read(run / "mix.json")
    assert [s.name for s in mix.sources] == ["birds"]
    assert [(a.verdict, a.source) for a in mix.allowed] == [("too_small", "few")]


@pytest.mark.parametrize("overrides", [[], ["tokens=60M"]])
def test_too_many_epochs_of_a_corpus_are_told_at_the_tokens_that_ask_for_them(toy, tmp_path, overrides):
    (tmp_path / "corpus").symlink_to(toy / "corpus")
    config = write_train(tmp_path, mix="corpus", seq_len=32, **({} if overrides else {"tokens": 60_000_000}))
    made, positions = load_placed(config, overrides)
    place = "--set tokens=60M" if overrides else r"\S+/train\.yaml:\d+:\d+"
    with pytest.raises(UsageError, match=rf"^{place}: expected at most 16 epochs of \w+, got"):
        resolve_mix(made, tmp_path, positions)
