"""The tools over a corpus that the pipelines built: two sources, a save, rules, a gather, shards."""

import json

import pytest
from click.testing import CliRunner

from corpus_tools import open_corpus
from corpus_tools.audit import audit_corpus
from corpus_tools.building import planned
from corpus_tools.cli import main
from corpus_tools.explain import explain
from corpus_tools.status import look
from corpus_tools.verify import verify_corpus
from pipelines.executor import build

RECIPE = """\
name: small
sources:
  - name: posts
    read: {jsonl: {id: post}}
    paths: ["posts.jsonl"]
    steps:
      - gopher_quality: {min_words: 8, min_stop_words: 1}
      - save
      - gopher_quality: {min_words: 12, min_stop_words: 1}
  - name: notes
    read: jsonl
    paths: ["notes.jsonl"]
    steps: [gopher_quality: {action: mark, min_words: 12}]
steps: [exact]
tokens: {train: {vocab_size: 300}}
"""


def sentence(i, n_words):
    return " ".join(
        f"{w}{i}" if k % 3 else "the" for k, w in enumerate(["river", "stone", "cloud"] * n_words)
    )[: 6 * n_words]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("build")
    posts = [
        {"post": str(i), "text": sentence(i, 4 + i % 16), "url": f"https://example.org/{i}"}
        for i in range(60)
    ]
    posts += [posts[47] | {"post": "copy", "url": "https://example.org/copy"}]
    notes = [{"text": sentence(1000 + i, 30 if i % 3 else 5)} for i in range(30)]
    for name, rows in (("posts", posts), ("notes", notes)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "recipe.yaml").write_text(RECIPE)
    build(planned(folder / "recipe.yaml", folder / "corpus"), workers=0)
    return folder


def test_a_built_corpus_is_sound_and_finished(folder):
    assert verify_corpus(folder / "corpus", deep=True).findings == []
    state = look(folder / "corpus")
    assert {row["state"] for row in state["steps"]} == {"done"}


def test_every_document_read_has_a_life_that_ends_as_the_account_says(folder):
    corpus = open_corpus(folder / "corpus")
    lives = [
        *explain(folder / "corpus", "posts", at_most=999),
        *explain(folder / "corpus", "notes", at_most=999),
    ]
    assert len({life.doc_id for life in lives}) == len(lives) == 91
    for step in corpus.manifest.steps:
        ends = [life for life in lives if life.outcome.startswith(f"dropped by {step.name}:")]
        mine = [life for life in ends if step.source in (life.source, None)]
        assert len(mine) == sum(step.dropped.values())
    kept = [life for life in lives if life.outcome == "kept"]
    assert len(kept) == corpus.documents().num_rows == audit_corpus(folder / "corpus")["corpus"]["documents"]
    assert all(life.places for life in kept)


def test_a_step_used_twice_shows_each_uses_own_limit(folder):
    (life,) = explain(folder / "corpus", "https://example.org/6")
    first, second = [s for s in life.steps if s.stage == "gopher_quality"]
    assert [first.outcome, second.outcome] == ["kept", "dropped"]
    assert [s.limits[0].limit for s in (first, second)] == [">= 8", ">= 12"]
    assert second.step == "gopher_quality_2"


def test_a_marking_step_shows_what_it_would_have_dropped(folder):
    lives = explain(folder / "corpus", "notes", at_most=99)
    marked = [life for life in lives if any(s.outcome == "marked" for s in life.steps)]
    steps = [s for s in open_corpus(folder / "corpus").manifest.steps if s.action == "mark"]
    assert len(marked) == sum(steps[0].marked.values()) > 0
    assert {life.outcome for life in marked} == {"kept"}


def test_a_copy_is_found_by_its_own_id_and_names_its_keeper(folder):
    lives = explain(folder / "corpus", "copy") + explain(folder / "corpus", "47")
    (gone,) = [life for life in lives if life.outcome != "kept"]
    (kept,) = [life for life in lives if life.outcome == "kept"]
    assert gone.steps[-1].values["keeper"] == kept.doc_id


def test_plan_says_what_is_done_and_what_a_changed_threshold_makes_new(folder):
    args = ["plan", str(folder / "recipe.yaml"), "--out", str(folder / "corpus"), "--json"]
    same = json.loads(CliRunner().invoke(main, args).stdout)
    assert {row["state"] for row in same["steps"]} == {"done"}
    moved = json.loads(CliRunner().invoke(main, [*args, "--set", "gopher_quality_2.min_words=13"]).stdout)
    states = {row["step"]: row["state"] for row in moved["steps"]}
    assert states == {"posts.1": "done", "posts.2": "new", "notes": "done", "exact": "new", "tokens": "new"}
