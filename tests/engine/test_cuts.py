"""What a gather cuts is gone for every step after it, and for whoever opens the corpus; parts stay as they were."""

import json

import pyarrow.parquet as pq
import pytest

from corpus_tools.open import open_corpus
from corpus_tools.verify import verify_corpus
from pipelines.executor import build
from pipelines.plan import make_plan

RECIPE = """\
name: cut
sources:
  - name: pages
    read: {jsonl: {text: text, id: id}}
    paths: ["pages.jsonl"]
    licence: unknown
    steps: []
steps: [{exact_lines: {keep: none}}, exact]
tokens: {train: {vocab_size: 300}}
"""


def write_input(folder):
    """Pages of which every one has a line of its own between two that all have; two differ in a shared line only."""
    pages = [f"home\nPage {n} tells of {n} things\nimprint" for n in range(8)]
    pages += [
        "menu\nThe same story",
        "The same story twice told\nmenu",
        "home",
        "imprint\nThe same story twice told",
    ]
    rows = [json.dumps({"text": text, "id": str(n)}) for n, text in enumerate(pages)]
    (folder / "pages.jsonl").write_text("\n".join(rows) + "\n")
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE)
    return recipe


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cuts")
    build(make_plan(write_input(folder), folder / "out"), workers=0)
    return open_corpus(folder / "out")


def test_later_gathers_and_readers_meet_the_text_that_is_left(corpus):
    texts = corpus.documents().column("text").to_pylist()
    assert sorted(texts) == sorted([f"Page {n} tells of {n} things" for n in range(8)] + ["The same story"])


def test_parts_keep_what_was_cut(corpus):
    [part] = [p for p in corpus.manifest.parts if p.final]
    texts = pq.read_table(corpus.root / part.part.path).column("text").to_pylist()
    assert texts[0] == "home\nPage 0 tells of 0 things\nimprint"


def test_shards_hold_as_many_bytes_as_are_left(corpus):
    n_bytes = sum(shard.n_bytes for p in corpus.manifest.partitions for shard in p.shards)
    assert n_bytes == sum(len(text) for text in corpus.documents().column("text").to_pylist())


def test_accounts_add_up(corpus):
    assert not verify_corpus(corpus.path, deep=True).findings
    lines = next(step for step in corpus.manifest.steps if step.name == "exact_lines")
    assert (lines.n_read, lines.n_kept) == (12, 9)
