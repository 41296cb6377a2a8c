"""Exact: which of equal texts stays, and that nothing else decides it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.dedup import Exact
from tests.dedup.documents import as_docs, corpora, keepers
from tests.harness_gather import Corpus, check_account, kept_ids
from tests.oracles.gather_twins import exact_keepers


@pytest.mark.parametrize("by", ["text", "normalised"])
@given(sources=corpora, shuffle=st.integers(0, 9), buckets=st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_the_keeper_is_the_first_by_source_and_id_and_the_account_balances(
    tmp_path_factory, by, sources, shuffle, buckets
):
    corpus = Corpus(tmp_path_factory.mktemp("exact"), sources)
    result = corpus.run(Exact(by=by), shuffle=shuffle, axes={"match": buckets})
    assert keepers(corpus, result) == exact_keepers(as_docs(corpus), normalised=by == "normalised")
    check_account(corpus, result)


def test_a_copy_falls_as_an_exact_duplicate_and_says_of_what(tmp_path):
    corpus = Corpus(tmp_path, {"books": [["once upon a time"]], "web": [["new", "once upon a time"]]})
    result = corpus.run(Exact())
    assert result.verdicts() == [[0], [0, 1]]
    assert result.tally().dropped == {"exact": {"exact_duplicate": 1}}
    assert result.tally().dropped_bytes == {"exact": {"exact_duplicate": 16}}
    assert result.column("keeper") == [None, None, corpus.ids[0][0]]
    assert result.column("cluster_size") == [2, None, 2]


def test_the_order_of_sources_in_the_recipe_decides_before_the_id(tmp_path):
    texts = [f"text {i}" for i in range(20)]
    for first, second in (("a", "b"), ("b", "a")):
        result = Corpus(tmp_path / first, {first: [texts], second: [texts]}).run(Exact())
        assert result.verdicts() == [[0] * 20, [1] * 20]


def test_normalised_overlooks_case_space_and_punctuation_and_text_does_not(tmp_path):
    corpus = Corpus(tmp_path, {"web": [["Call me Ishmael.", "call  me\nISHMAEL"]]})
    assert sum(corpus.run(Exact()).column("verdict")) == 0
    assert sum(corpus.run(Exact(by="normalised")).column("verdict")) == 1


def test_the_bytes_depend_neither_on_the_order_of_units_nor_on_the_number_of_buckets(tmp_path):
    texts = [[f"text {(i * j) % 17}" for i in range(30)] for j in range(6)]
    corpus = Corpus(tmp_path, {"a": texts[:3], "b": texts[3:]})
    result = corpus.run(Exact())
    assert sum(result.column("verdict")) > 100
    wanted = result.digests()
    verdicts = [d for d in wanted if d[0] == "verdict"]
    for seed in range(3):
        assert corpus.run(Exact(), shuffle=seed).digests() == wanted
        result = corpus.run(Exact(), shuffle=seed, axes={"match": 7})
        assert [d for d in result.digests() if d[0] == "verdict"] == verdicts


def test_who_stays_does_not_depend_on_how_documents_are_dealt_over_parts(tmp_path):
    texts = [f"text{' ' * (1 + i // 11)}{i % 11}" for i in range(40)]  # each with an id of its own
    whole = Corpus(tmp_path / "whole", {"a": [texts]})
    dealt = Corpus(tmp_path / "dealt", {"a": [texts[27:], [], texts[:5], texts[5:27]]})
    kept = kept_ids(whole, whole.run(Exact(by="normalised")))
    assert len(kept) == 11
    assert kept == kept_ids(dealt, dealt.run(Exact(by="normalised")))


def test_a_document_dropped_before_frees_its_copy(tmp_path):
    corpus = Corpus(tmp_path, {"a": [["x", "y"]], "b": [["x", "x"]]})
    corpus.alive_rows[0] = np.array([False, True])
    result = corpus.run(Exact())
    assert sorted(result.verdicts()[1]) == [0, 1]
    check_account(corpus, result)


def test_marking_records_the_verdict_and_drops_nothing(tmp_path):
    corpus = Corpus(tmp_path, {"a": [["x", "x", "y"]]})
    result = corpus.run(Exact(action="mark"))
    assert sum(result.column("verdict")) == 1
    assert result.tally().marked == {"exact": {"exact_duplicate": 1}}
    check_account(corpus, result, marking=True)


@pytest.mark.parametrize("sources", [{}, {"a": []}, {"a": [[]]}, {"a": [[None, ""], []]}, {"a": [["one"]]}])
def test_corpora_with_next_to_nothing_in_them_work(tmp_path, sources):
    corpus = Corpus(tmp_path, sources)
    result = corpus.run(Exact())
    assert sum(result.column("verdict")) == 0
    check_account(corpus, result)


def test_the_facts_name_the_largest_clusters(tmp_path):
    corpus = Corpus(tmp_path, {"a": [["x", "x", "x", "y", "y", "z"]]})
    facts = corpus.run(Exact()).tasks["match"][0].facts
    assert (facts["n_clusters"], facts["n_members"]) == (2, 5)
    assert facts["largest"] == [[min(corpus.ids[0][:3]).hex(), 3], [min(corpus.ids[0][3:5]).hex(), 2]]
