"""What is refused before a run begins, and what is said then."""

from toyrun import sentences, write_corpus, write_train

from manifests.mix import MixManifest
from trainer.run import train


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
