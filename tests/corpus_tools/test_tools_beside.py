"""Texts side by side: a duplicate and its keeper, a passage and the item it holds, the largest clusters of a corpus."""

import json

import pytest
from click.testing import CliRunner

from corpus_tools.cli import main
from corpus_tools.clusters import largest_clusters
from corpus_tools.contamination import contaminated_items
from corpus_tools.explain import explain
from corpus_tools.open import open_corpus
from pipelines.executor import build
from pipelines.plan import make_plan

STORY = " ".join(f"word{n}" for n in range(200))
QUESTION = (
    "In what year did the engineer whose tower stands in Paris first draw a bridge of iron for the railway?"
)
RECIPE = """\
name: beside
sources:
  - name: pages
    read: {jsonl: {text: text, id: id}}
    paths: ["pages.jsonl"]
    licence: unknown
    steps: []
steps: [exact_lines: {min_chars: 16, keep: none}, exact, minhash, decontaminate: {against: [bench.jsonl]}]
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beside")
    texts = [
        f"imprint and terms\n{STORY}",
        f"imprint and terms\n{STORY} more",
        f"{STORY} most",
        f"It was asked: {QUESTION.upper()} Nobody knew.",
        "Something else.",
        "Something else.",
    ]
    rows = [json.dumps({"text": text, "id": str(n)}) for n, text in enumerate(texts)]
    (folder / "pages.jsonl").write_text("\n".join(rows) + "\n")
    (folder / "bench.jsonl").write_text(json.dumps({"question": QUESTION, "answer": "1854"}) + "\n")
    (folder / "recipe.yaml").write_text(RECIPE)
    build(make_plan(folder / "recipe.yaml", folder / "out"), workers=0)
    return folder / "out"


def dropped_by(store, step):
    ids = open_corpus(store).dropped(step=step).column("doc_id").to_pylist()
    return [explain(store, found.hex())[0] for found in ids]


def test_a_duplicate_stands_beside_its_keeper_as_the_step_met_both(store):
    lives = dropped_by(store, "minhash")
    assert len(lives) == 2
    for life in lives:
        beside = life.steps[-1].beside
        assert beside.n_same == 200
        assert beside.rows[0] == (
            "word0 word1 word2 word3 word4 … word195 word196 word197 word198 word199 (200 words)",
            "=",
        )
        assert beside.other.startswith("keeper ")
        [limit] = life.steps[-1].limits
        assert (limit.quantity, limit.limit) == ("similarity", "< 700 per mille")
        assert "imprint" not in life.steps[-1].beside.text()


def test_a_passage_stands_beside_the_item_it_holds(store):
    [life] = dropped_by(store, "decontaminate")
    beside = life.steps[-1].beside
    assert beside.other == "item 0 of bench.jsonl"
    assert beside.n_same == len(QUESTION.split())
    assert "engineer" in life.text()
    assert "item_text" not in life.steps[-1].values


def test_the_audit_shows_every_item_found_beside_its_passage(store):
    [item] = contaminated_items(store, at_most=5)
    assert (item.benchmark, item.item, item.n_docs) == ("bench.jsonl", 0, 1)
    told = json.loads(CliRunner().invoke(main, ["audit", str(store), "--contaminated", "3", "--json"]).output)
    assert told["contaminated"][0]["beside"]["n_same"] == len(QUESTION.split())
    page = CliRunner().invoke(main, ["audit", str(store), "--contaminated", "3"]).output
    assert page.startswith("bench.jsonl item 0: 1 documents")


def test_the_cut_lines_of_a_document_are_told(store):
    for n in range(2):
        assert explain(store, str(n))[0].steps[1].values["cut"] == "imprint and terms"


@pytest.mark.parametrize("document", ["0", "1"])
def test_a_document_begins_as_its_text_stands_in_the_corpus_without_what_was_cut(store, document):
    [life] = explain(store, document)
    assert life.opening == STORY[:300]
    assert "  begins   word0 word1" in life.text()


def test_a_document_that_a_cutting_step_drops_begins_as_that_step_met_it(tmp_path):
    texts = [f"imprint and terms\n{text}" for text in ("first", "second")]
    (tmp_path / "pages.jsonl").write_text(
        "".join(json.dumps({"text": t, "id": t[-5:]}) + "\n" for t in texts)
    )
    steps = "steps: [exact_lines: {min_chars: 9, keep: none, max_cut_frac: 0.5}]"
    (tmp_path / "recipe.yaml").write_text(RECIPE.partition("steps: [exact_lines")[0] + steps)
    build(make_plan(tmp_path / "recipe.yaml", tmp_path / "out"), workers=0)
    [life] = explain(tmp_path / "out", "first")
    assert life.outcome.startswith("dropped by exact_lines")
    assert life.opening == texts[0]


def test_the_audit_counts_clusters_and_shows_the_largest_side_by_side(store):
    found = {cluster.step: cluster for cluster in largest_clusters(store, at_most=1)}
    assert {step: cluster.n_docs for step, cluster in found.items()} == {"exact": 2, "minhash": 3}
    assert found["minhash"].beside.n_same == 200
    page = CliRunner().invoke(main, ["audit", str(store), "--clusters", "1"]).output
    assert "word195 word196" in page
    told = json.loads(CliRunner().invoke(main, ["audit", str(store), "--json"]).output)
    n_bytes = len("imprint and terms\n")
    assert told["cuts"] == [{"step": "exact_lines", "documents": 2, "lines": 2, "bytes": 2 * n_bytes}]
    assert {row["step"]: (row["n_clusters"], row["n_members"]) for row in told["clusters"]} == {
        "exact": (1, 2),
        "minhash": (1, 3),
    }
