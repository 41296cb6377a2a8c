"""`quern explain` and the opened corpus: one document's life, kept or dropped, and tables of many."""

import pyarrow as pa
import pytest
from fabricated import fabricate

from corpus_tools import open_corpus
from corpus_tools.explain import explain
from corpus_tools.expressions import evaluate
from manifests.errors import UsageError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return fabricate(tmp_path_factory.mktemp("explain") / "corpus")


def doc_with(store, fate):
    return next(d for d in store.docs if d.fate.startswith(fate))


def life_of(store, fate):
    (life,) = explain(store.root, doc_with(store, fate).id.hex())
    return life


def test_a_kept_document_shows_every_step_every_value_and_where_it_lies(store):
    life = life_of(store, "kept")
    assert life.outcome == "kept"
    assert [(s.step, s.outcome) for s in life.steps] == [
        ("read", "read"),
        ("language", "kept"),
        ("gopher_quality", "kept"),
        ("exact", "kept"),
    ]
    assert life.steps[1].values["language"] == "en"
    assert life.steps[2].values["n_words"] == 120
    (kept,) = [limit for limit in life.steps[2].limits if limit.reason == "too_few_words"]
    assert (kept.quantity, kept.value, kept.limit) == ("n_words", 120, ">= 50")
    (place,) = life.places
    assert (place.shard.startswith("shards/web-"), place.split) == (True, "train")
    assert life.origin[0]["path"] == doc_with(store, "kept").path


def test_a_document_dropped_by_a_rule_shows_the_limit_it_broke_and_no_step_after_it(store):
    life = life_of(store, "gopher_quality")
    last = life.steps[-1]
    assert (last.step, last.outcome, last.reason) == ("gopher_quality", "dropped", "too_few_words")
    (broken,) = [limit for limit in last.limits if limit.reason == "too_few_words"]
    assert (broken.quantity, broken.value, broken.limit) == ("n_words", 7, ">= 50")
    assert life.places == []
    assert "too_few_words  <--" in life.text()


def test_a_document_dropped_before_a_rule_was_reached_shows_no_values_of_that_rule(store):
    life = life_of(store, "language")
    assert [s.step for s in life.steps] == ["read", "language"]
    assert life.steps[-1].reason == "other_language"


def test_a_duplicate_shows_its_keeper(store):
    life = life_of(store, "exact")
    assert life.outcome == "dropped by exact: duplicate"
    keeper = life.steps[-1].values["keeper"]
    (kept,) = explain(store.root, keeper)
    assert kept.outcome == "kept"


def test_a_document_is_found_by_url_by_first_digits_and_by_the_beginning_of_its_path(store):
    doc = doc_with(store, "kept")
    assert [life.doc_id for life in explain(store.root, doc.url)] == [doc.id.hex()]
    assert [life.doc_id for life in explain(store.root, doc.id.hex()[:8].upper())] == [doc.id.hex()]
    assert len(explain(store.root, "crawl/0", at_most=100)) == 30
    assert len(explain(store.root, "crawl/0", at_most=3)) == 3


def test_a_document_that_is_not_there_is_refused(store):
    with pytest.raises(UsageError, match="quern audit"):
        explain(store.root, "https://example.org/none")
    with pytest.raises(UsageError, match=r"got nothing.*quern audit"):
        explain(store.root, "")


def test_documents_are_the_kept_ones_by_column_and_by_sample(store):
    corpus = open_corpus(store.root)
    kept = {d.id for d in store.docs if d.fate == "kept"}
    assert set(corpus.documents().column("doc_id").to_pylist()) == kept
    web = {d.id for d in store.kept("web")}
    assert set(corpus.documents(where={"source": "web"}).column("doc_id").to_pylist()) == web
    sample = corpus.documents(sample=7)
    assert sample.num_rows == 7
    assert set(sample.column("doc_id").to_pylist()) == set(sorted(kept)[:7])


def test_a_column_that_is_not_there_is_refused(store):
    with pytest.raises(UsageError, match="colour"):
        open_corpus(store.root).documents(where={"colour": "red"})


@pytest.mark.parametrize(
    ("reason", "n"), [("too_few_words", 20), ("duplicate", 5), ("other_language", 10), (None, 35)]
)
def test_dropped_documents_are_found_by_reason_whoever_dropped_them(store, reason, n):
    dropped = open_corpus(store.root).dropped(reason=reason)
    assert isinstance(dropped, pa.Table)
    assert dropped.num_rows == n


def test_the_account_is_the_manifests(store):
    account = open_corpus(store.root).account()
    assert [(row["name"], row["n_read"], row["n_kept"]) for row in account][1] == ("language", 90, 80)


def test_a_life_can_be_printed_from_a_notebook(store):
    doc = doc_with(store, "kept")
    assert str(open_corpus(store.root).explain(doc.url)).startswith(doc.id.hex())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("n_words", 12),
        ("n_hashes / n_words", 0.25),
        ("n_words / 0", 0.0),
        ("lines.n_removed + 1", 5),
        ("min(n_words, 3)", 3),
        ("language", "en"),
        ("absent", None),
        ("__import__('os')", None),
        ("(lambda: 1)()", None),
        ("n_words ** 9", None),
    ],
)
def test_an_expression_is_arithmetic_over_values_and_nothing_else(text, value):
    names = {"n_words": 12, "n_hashes": 3, "lines.n_removed": 4, "language": "en"}
    assert evaluate(text, names) == value
