"""What the audit shows of clusters and benchmark items: the largest first, so many and no more, or that none looked."""

import json
import random

import pytest
from click.testing import CliRunner

from corpus_tools.cli import main
from corpus_tools.clusters import largest_clusters
from corpus_tools.contamination import contaminated_items
from pipelines.executor import build
from pipelines.plan import make_plan

RECIPE = """\
name: largest
sources:
  - name: pages
    read: {{jsonl: {{text: text, id: id}}}}
    paths: ["pages.jsonl"]
    steps: []
steps: {steps}
"""
EQUALS, NEARS, HOLDERS = [2, 5, 3], [2, 4, 3], [1, 4, 2]


def words(rng, n):
    return " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(n))


def store_of(folder, steps):
    """Clusters of equal and of nearly equal texts and items in texts, none of them in the order of its size."""
    rng = random.Random(3)
    questions = [words(rng, 20) for _ in HOLDERS]
    texts = [text for n in EQUALS for text in [words(rng, 60)] * n]
    texts += [f"{text} {words(rng, 1)}" for n in NEARS for text in [words(rng, 60)] * n]
    texts += [
        f"{words(rng, 60)} {question}"
        for question, n in zip(questions, HOLDERS, strict=True)
        for _ in range(n)
    ]
    rows = [json.dumps({"text": text, "id": str(n)}) for n, text in enumerate(texts)]
    (folder / "pages.jsonl").write_text("\n".join(rows) + "\n")
    items = [json.dumps({"question": question, "answer": "1854"}) for question in questions]
    (folder / "bench.jsonl").write_text("\n".join(items) + "\n")
    (folder / "recipe.yaml").write_text(RECIPE.format(steps=steps))
    build(make_plan(folder / "recipe.yaml", folder / "out"), workers=0)
    return folder / "out"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return store_of(
        tmp_path_factory.mktemp("largest"), "[exact, minhash, decontaminate: {against: [bench.jsonl]}]"
    )


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    return store_of(tmp_path_factory.mktemp("bare"), "[]")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """One in which steps looked and found nothing."""
    folder = tmp_path_factory.mktemp("sound")
    (folder / "other.jsonl").write_text(json.dumps({"question": words(random.Random(4), 20)}) + "\n")
    return store_of(folder, "[exact: {by: url}, decontaminate: {against: [other.jsonl]}]")


def asked(store, *options):
    return json.loads(CliRunner().invoke(main, ["audit", str(store), *options, "--json"]).output)


def page(store, *options):
    return CliRunner().invoke(main, ["audit", str(store), *options]).output


@pytest.mark.parametrize("at_most", [1, 2, 9])
def test_of_every_step_so_many_clusters_are_shown_the_largest_first(store, at_most):
    wanted = [("exact", n) for n in [5, 3, 2][:at_most]] + [("minhash", n) for n in [4, 3, 2][:at_most]]
    assert [(one.step, one.n_docs) for one in largest_clusters(store, at_most=at_most)] == wanted
    told = asked(store, "--clusters", str(at_most))
    assert [(one["step"], one["n_docs"]) for one in told["clusters"]] == wanted
    heads = [
        line.split()[:4]
        for line in page(store, "--clusters", str(at_most)).splitlines()
        if "one of them" in line
    ]
    assert [(step, int(n)) for step, _, n, _ in heads] == wanted


@pytest.mark.parametrize("at_most", [1, 2, 9])
def test_so_many_items_are_shown_those_in_most_documents_first(store, at_most):
    wanted = [(1, 4), (2, 2), (0, 1)][:at_most]
    assert [(one.item, one.n_docs) for one in contaminated_items(store, at_most=at_most)] == wanted
    told = asked(store, "--contaminated", str(at_most))
    assert [(one["item"], one["n_docs"]) for one in told["contaminated"]] == wanted
    lines = [line.split() for line in page(store, "--contaminated", str(at_most)).splitlines()]
    assert [(int(line[2][:-1]), int(line[3])) for line in lines if line[:1] == ["bench.jsonl"]] == wanted


def test_each_is_shown_as_many_as_were_asked_for_of_it(store):
    told = asked(store, "--clusters", "1", "--contaminated", "2")
    assert (len(told["clusters"]), len(told["contaminated"])) == (2, 2)


@pytest.mark.parametrize(
    ("option", "step"),
    [("--clusters", "no exact or minhash step"), ("--contaminated", "no decontaminate step")],
)
def test_where_no_step_looked_nothing_is_said_to_be_missing(bare, sound, option, step):
    name = option.removeprefix("--")
    assert page(bare, option, "3") == f"{name}: nothing was looked for, the corpus has {step}\n"
    assert asked(bare, option, "3") == {name: None}
    assert page(sound, option, "3") == f"{name}: nothing was found\n"
    assert asked(sound, option, "3") == {name: []}


@pytest.mark.parametrize(("at_most", "is_told"), [(20, False), (21, True), (25, True)])
def test_more_clusters_than_are_on_record_are_not_passed_over_in_silence(tmp_path, at_most, is_told):
    rng = random.Random(5)
    rows = [json.dumps({"text": text}) for text in [words(rng, 9) for _ in range(22)] * 2]
    (tmp_path / "pages.jsonl").write_text("\n".join(rows) + "\n")
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(steps="[exact]"))
    build(make_plan(tmp_path / "recipe.yaml", tmp_path / "out"), workers=0)
    told = asked(tmp_path / "out", "--clusters", str(at_most))
    assert len(told["clusters"]) == 20
    assert told.get("on_record") == (
        [{"step": "exact", "n_on_record": 20, "n_clusters": 22}] if is_told else None
    )
    text = page(tmp_path / "out", "--clusters", str(at_most))
    assert text.endswith("exact: the 20 largest of 22 clusters are on record\n") == is_told
