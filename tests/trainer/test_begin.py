"""What is refused before a run begins, and what is said then."""

import re

import pytest
from toyrun import sentences, write_corpus, write_train

from manifests.errors import ConfigError
from manifests.mix import MixManifest
from trainer.begin import begin_or_match
from trainer.config import load_placed
from trainer.run import open_run, resolve_mix, train


def begin(config, folder):
    """Make the run's folder, without training in it."""
    made, positions = load_placed(config)
    mix = resolve_mix(made, folder, positions)
    begin_or_match(folder / "run", made, mix, positions=positions, fork=None, say=lambda _: None)
    return open_run(folder / "run")


def refusal(config, folder):
    with pytest.raises(ConfigError) as caught:
        begin(config, folder)
    assert not (folder / "run").exists()
    return str(caught.value)


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
