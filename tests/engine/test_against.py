"""A crawl against finished corpora: what they hold falls, they stay as they are, and the keeper's corpus is named."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from corpus_tools.explain import explain
from corpus_tools.open import open_corpus
from corpus_tools.verify import verify_corpus
from manifests.errors import QuernError
from pipelines.executor import build
from pipelines.plan import make_plan

RECIPE = """\
name: {name}
sources:
  - name: {source}
    read: {{jsonl: {{text: text, id: id}}}}
    paths: ["{name}.jsonl"]
    licence: unknown
    steps: []
steps: [{steps}]
"""


def story(name, n_words=120, **changed):
    words = [f"{name}{n}" for n in range(n_words)]
    for at, word in changed.items():
        words[int(at[1:])] = word
    return " ".join(words)


def built(folder, name, texts, steps, *, source="web", workers=0):
    rows = [json.dumps({"text": text, "id": str(n)}) for n, text in enumerate(texts)]
    (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    recipe = folder / f"{name}.yaml"
    recipe.write_text(RECIPE.format(name=name, source=source, steps=steps))
    build(make_plan(recipe, folder / f"corpora/{name}"), workers=workers)
    return open_corpus(folder / f"corpora/{name}")


def snapshot(folder: Path):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


OLD = [story("a"), story("b"), "menu line\n" + story("c"), story("d"), story("d", w3="x")]
NEW = [story("a", w60="new"), story("e"), story("c"), story("e", w60="new"), story("b")]


@pytest.fixture
def old(tmp_path):
    return built(tmp_path, "old", [*OLD, "menu line\nmore"], "exact_lines: {keep: none}, minhash")


@pytest.mark.parametrize("verify", ["exact", "estimate", "none"])
@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_finished_corpus_holds_falls_and_nothing_in_it_changes(tmp_path, old, verify, workers):
    before = snapshot(tmp_path / "corpora/old")
    steps = f"minhash: {{against: [corpora/old], verify: {verify}}}"
    new = built(tmp_path, "new", NEW, steps, workers=workers)
    kept = set(new.documents().column("text").to_pylist())
    assert len(kept) == 1
    assert kept < {story("e"), story("e", w60="new")}
    assert snapshot(tmp_path / "corpora/old") == before
    assert new.manifest.parents == [old.manifest.digest]
    assert not verify_corpus(new.path, deep=True).findings
    [entry] = new.manifest.verdicts
    table = pq.read_table(new.root / entry.verdict.path)
    names = {name for name in table.column("keeper_in").to_pylist() if name}
    assert names == {f"old@{old.manifest.digest[:12]}"}
    old_ids = set(old.documents().column("doc_id").to_pylist())
    rows = zip(table.column("keeper").to_pylist(), table.column("keeper_in").to_pylist(), strict=True)
    assert all((keeper in old_ids) == (place is not None) for keeper, place in rows if keeper)


def test_what_a_finished_corpus_dropped_holds_nothing_back(tmp_path, old):
    gone = next(
        text
        for text in (story("d"), story("d", w3="x"))
        if text not in old.documents().column("text").to_pylist()
    )
    new = built(tmp_path, "new", [gone, story("f")], "minhash: {against: [corpora/old], min_jaccard: 0.99}")
    assert set(new.documents().column("text").to_pylist()) == {gone, story("f")}


def test_the_longest_of_the_new_stays_and_never_the_new_for_the_old(tmp_path, old):
    longer = story("a") + " and more words at its end"
    new = built(tmp_path, "new", [longer, story("g")], "minhash: {against: [corpora/old], keep: longest}")
    assert new.documents().column("text").to_pylist() == [story("g")]


def test_a_page_that_was_crawled_again_is_not_shown_beside_itself(tmp_path, old):
    again = built(tmp_path, "old2", OLD, "minhash: {against: [corpora/old]}")
    assert again.documents().num_rows <= 1
    for found in again.dropped(step="minhash").column("doc_id").to_pylist():
        step = explain(again.path, found.hex())[0].steps[-1]
        assert step.beside is None
        assert step.values["keeper_in"].startswith("old@")


def test_within_a_source_only_its_like_in_a_finished_corpus_counts(tmp_path, old):
    steps = "minhash: {against: [corpora/old], within: source}"
    other = built(tmp_path, "other", [story("a")], steps, source="books")
    same = built(tmp_path, "same", [story("a"), story("h")], steps, source="web")
    assert other.documents().num_rows == 1
    assert same.documents().column("text").to_pylist() == [story("h")]


def test_another_state_of_the_finished_corpus_is_another_key(tmp_path, old):
    steps = "minhash: {against: [corpora/old]}"
    first = built(tmp_path, "new", NEW, steps).manifest
    assert built(tmp_path, "new", NEW, steps).manifest.digest == first.digest
    built(tmp_path, "old", OLD[:1], "minhash")
    assert built(tmp_path, "new", NEW, steps).manifest.key != first.key


@pytest.mark.parametrize(
    ("against", "said"),
    [
        ("[corpora/old, corpora/old/corpus.json]", "expected every corpus once"),
        ("[corpora/none]", "corpora/none"),
        ("[new.jsonl]", "new.jsonl"),
    ],
)
def test_what_is_no_corpus_is_refused_before_any_work(tmp_path, old, against, said):
    with pytest.raises(QuernError, match=said):
        built(tmp_path, "new", NEW, f"minhash: {{against: {against}}}")
    assert not (tmp_path / "corpora/new/parts").exists()
