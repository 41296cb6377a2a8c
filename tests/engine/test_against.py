"""A crawl against finished corpora: what they hold falls, they stay as they are, and the keeper's corpus is named."""

import json
from fractions import Fraction
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from corpus_tools.clusters import largest_clusters
from corpus_tools.explain import explain
from corpus_tools.open import open_corpus
from corpus_tools.verify import verify_corpus
from manifests.errors import QuernError, RecipeError, TaskError
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


def planned(folder, name, texts, steps, *, source="web", **options):
    rows = [json.dumps({"text": text, "id": str(n)}) for n, text in enumerate(texts)]
    (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    recipe = folder / f"{name}.yaml"
    recipe.write_text(RECIPE.format(name=name, source=source, steps=steps))
    return make_plan(recipe, folder / f"corpora/{name}", **options)


def built(folder, name, texts, steps, *, source="web", workers=0):
    build(planned(folder, name, texts, steps, source=source), workers=workers)
    return open_corpus(folder / f"corpora/{name}")


def rebuild(folder, step, event):
    if (event["kind"], event["step"]) == ("step", step):
        built(folder, "old", [*OLD, story("z")], "minhash")


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


@pytest.mark.parametrize("verify", ["exact", "estimate", "none"])
def test_the_longest_of_the_new_stays_and_never_the_new_for_the_old(tmp_path, old, verify):
    longer, longest = (" and more words" * n for n in (1, 2))
    new = [story("a") + longer, story("g"), story("g") + longest, story("g") + longer, story("b") + longest]
    steps = f"minhash: {{against: [corpora/old], keep: longest, verify: {verify}}}"
    kept = built(tmp_path, "new", new, steps).documents().column("text").to_pylist()
    assert kept == [story("g") + longest]


def test_a_document_is_compared_with_what_the_finished_corpus_left_of_it(tmp_path):
    menu = story("menu", 200)
    built(tmp_path, "old", [f"{menu}\n{story(n, 40)}" for n in "ab"], "exact_lines: {keep: none}")
    new = built(tmp_path, "new", [story("a", 40), story("c", 40), menu], "minhash: {against: [corpora/old]}")
    assert new.documents().column("text").to_pylist() == [story("c", 40), menu]


def test_a_page_that_was_crawled_again_is_not_shown_beside_itself(tmp_path, old):
    again = built(tmp_path, "old2", OLD, "minhash: {against: [corpora/old]}")
    assert again.documents().num_rows <= 1
    for found in again.dropped(step="minhash").column("doc_id").to_pylist():
        step = explain(again.path, found.hex())[0].steps[-1]
        assert step.beside is None
        assert step.values["keeper_in"].startswith("old@")


@pytest.mark.parametrize("text", [story("a", w60="new"), story("a")])
def test_a_cluster_whose_keeper_is_in_a_finished_corpus_names_both(tmp_path, old, text):
    new = built(tmp_path, "new", [text], "minhash: {against: [corpora/old]}")
    [cluster] = largest_clusters(new.path, at_most=5)
    [fallen] = new.dropped(step="minhash").column("doc_id").to_pylist()
    place = f"old@{old.manifest.digest[:12]}"
    assert (cluster.member, cluster.keeper_in, cluster.beside) == (fallen.hex(), place, None)
    assert (
        f"one of them {fallen.hex()}; {cluster.cluster} stays, in the finished corpus {place}"
        in cluster.text()
    )


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


@pytest.mark.parametrize("path", ["corpora/new", "corpora/../corpora/new/corpus.json", "link"])
def test_the_folder_that_is_built_is_no_corpus_to_compare_with(tmp_path, old, path):
    built(tmp_path, "new", NEW, "minhash: {against: [corpora/old]}")
    (tmp_path / "link").symlink_to(tmp_path / "corpora/new")
    with pytest.raises(RecipeError) as refused:
        built(tmp_path, "new", NEW, f'minhash: {{against: [corpora/old, "{path}"]}}')
    assert str(refused.value).startswith(
        f"{tmp_path}/new.yaml:8:28: expected finished corpora for `minhash.against`"
    )


def test_an_earlier_corpus_of_the_folder_may_be_named_by_its_digest(tmp_path):
    first = built(tmp_path, "new", [story("a")], "minhash").manifest
    steps = f'minhash: {{against: ["corpora/new@{first.digest[:12]}"]}}'
    for _ in range(2):
        again = built(tmp_path, "new", [story("a"), story("b")], steps)
        assert again.documents().column("text").to_pylist() == [story("b")]


@pytest.mark.parametrize(
    ("verify", "phase"),
    [("estimate", "sign"), ("estimate", "sign_against"), ("exact", "sets"), ("exact", "sets_against")],
)
def test_a_corpus_that_is_built_anew_meanwhile_is_refused_wherever_it_is_read(tmp_path, old, verify, phase):
    plan = planned(tmp_path, "new", NEW, f"minhash: {{against: [corpora/old], verify: {verify}}}")
    with pytest.raises(TaskError, match=r"corpora/old: expected the corpus .* it was built anew meanwhile"):
        build(plan, workers=0, on_event=partial(rebuild, tmp_path, f"minhash/{phase}"))


def test_a_corpus_that_is_built_anew_when_it_was_read_is_named_as_it_was(tmp_path, old):
    plan = planned(tmp_path, "new", NEW, "minhash: {against: [corpora/old]}")
    build(plan, workers=0, on_event=partial(rebuild, tmp_path, "minhash/verdict"))
    assert open_corpus(tmp_path / "corpora/old").manifest.digest != old.manifest.digest
    assert open_corpus(tmp_path / "corpora/new").manifest.parents == [old.manifest.digest]


def test_a_wildcard_stands_for_the_folders_that_hold_a_corpus(tmp_path, old):
    (tmp_path / "corpora/old.yaml").write_text("name: old\n")
    (tmp_path / "corpora/old-notes").mkdir()
    new = built(tmp_path, "new", NEW, 'minhash: {against: ["corpora/old*"]}')
    assert new.manifest.parents == [old.manifest.digest]
    with pytest.raises(
        RecipeError, match=r'8:29: expected a folder with a corpus.json .* nothing at "old\*"'
    ):
        built(tmp_path, "new", NEW, 'minhash: {against: ["old*"]}')


@pytest.mark.parametrize("path", ["corpora/*", "corpora/*/corpus.json", "corpora/**", "corpora/*/sample/.."])
def test_a_wildcard_finds_the_same_corpora_before_and_after_a_build(tmp_path, old, path):
    (tmp_path / "corpora/old/sample").mkdir()
    steps = f'minhash: {{against: ["{path}"]}}'
    first = built(tmp_path, "new", NEW, steps)
    build(planned(tmp_path, "new", NEW, steps, sample=Fraction(1, 2)), workers=0)
    again = built(tmp_path, "new", NEW, steps)
    assert again.manifest.parents == [old.manifest.digest]
    assert again.manifest.digest == first.manifest.digest


@pytest.mark.parametrize(
    "path", ["corpora/n*", "corpora/n*/corpus.json", "corpora/new/corpora/*.json", "li*"]
)
def test_a_wildcard_never_finds_what_is_built(tmp_path, old, path):
    built(tmp_path, "new", NEW, "minhash: {against: [corpora/old]}")
    (tmp_path / "link").symlink_to(tmp_path / "corpora/new")
    with pytest.raises(RecipeError, match=r"expected a folder with a corpus.json .* found nothing at "):
        built(tmp_path, "new", NEW, f'minhash: {{against: ["{path}"]}}')


def test_a_wildcard_may_stand_for_manifests(tmp_path, old):
    for path in ("corpora/old*/corpus.json", "corpora/old/corpora/*.json"):
        new = built(tmp_path, "new", NEW, f'minhash: {{against: ["{path}"]}}')
        assert new.manifest.parents == [old.manifest.digest]


def test_a_corpus_below_the_store_that_is_built_is_not_of_it(tmp_path, old):
    planned(tmp_path, "new", NEW, 'minhash: {against: ["corpora/o*"]}')
    [step] = make_plan(tmp_path / "new.yaml", tmp_path).recipe.steps
    assert step.stage.against == ("corpora/old",)


def test_a_sample_is_no_corpus_to_compare_with(tmp_path):
    build(planned(tmp_path, "part", OLD, "minhash", sample=Fraction(1, 2)), workers=0)
    with pytest.raises(RecipeError, match="expected whole corpora, got corpora/part/sample, a sample of 1/2"):
        built(tmp_path, "new", NEW, "minhash: {against: [corpora/part/sample]}")
    assert not (tmp_path / "corpora/new/parts").exists()
