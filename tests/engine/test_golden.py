"""Twenty documents whose whole corpus is known: a change here is a change of output, and needs a bumped version."""

import json
import random

import pytest

from manifests.corpus import CorpusManifest
from pipelines.executor import build
from pipelines.plan import make_plan

RECIPE = """\
name: golden
sources:
  - name: notes
    read: {jsonl: {text: body, id: key, url: link}}
    paths: [notes.jsonl]
    licence: CC0-1.0
    steps: [gopher_quality: {min_words: 20, min_stop_words: 1}, gopher_repetition]
steps: [exact, minhash, decontaminate: {against: [bench.jsonl]}]
tokens: {train: {vocab_size: 320}, holdout: 10%}
"""
WORDS = "the a of river stone gate and morning bread walks that with house light to winter old green"
QUESTION = (
    "which of the seven grey stones beside the western gate was laid before the river changed its course"
)


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    rng = random.Random(20)
    texts = [
        " ".join(rng.choices(WORDS.split(), k=60)) + f". Note {n} über Wörter, 第{n}章." for n in range(16)
    ]
    texts += [texts[3], texts[5] + " And more.", "too short", f"{texts[7]} {QUESTION}? {texts[8]}"]
    rows = [{"body": t, "key": f"n{i}", "link": f"https://notes.example/{i}"} for i, t in enumerate(texts)]
    (folder / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "bench.jsonl").write_text(json.dumps({"question": QUESTION}) + "\n")
    (folder / "recipe.yaml").write_text(RECIPE)
    build(make_plan(folder / "recipe.yaml", folder / "out"), workers=0)
    return CorpusManifest.read(folder / "out")


def test_the_account_of_twenty_documents_is_known(golden):
    assert [(s.name, s.n_read, s.dropped) for s in golden.steps] == [
        ("read", 20, {}),
        ("gopher_quality", 20, {"too_few_words": 1}),
        ("gopher_repetition", 19, {}),
        ("exact", 19, {"exact_duplicate": 1}),
        ("minhash", 18, {"near_duplicate": 1}),
        ("decontaminate", 17, {"contaminated": 1}),
        ("tokens", 16, {}),
    ]


def test_the_shards_and_the_tokenizer_of_twenty_documents_are_known(golden):
    assert golden.tokenizer is not None
    assert golden.tokenizer.digest == TOKENIZER
    assert {p.split: [s.root for s in p.shards] for p in golden.partitions} == ROOTS


def test_the_ids_of_twenty_documents_are_known(golden):
    assert golden.sources[0].n_files == 1
    assert [b.n_documents for b in golden.benchmarks] == [1]


TOKENIZER = "dee21ab9a77634c40b3e1e2cac3055d4"
ROOTS = {"heldout": ["c39e187fef343d0434ffcd149a6e03dc"], "train": ["ecd6a7cdcc59b79be825b5932522a00d"]}
