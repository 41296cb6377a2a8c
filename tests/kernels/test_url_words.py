"""Words of addresses and hashes of lines, against their plain twins."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.hashing import xxh64_spans
from pipelines.kernels.urls import BANNED, SOFT, count_url_words, hash_lines, make_automaton
from tests.kernels.texts import as_arrays, documents
from tests.oracles import url_twins

WORDS = ["a", "ab", "aba", "b", "ba", "bab", "abab", "x1", "1", "porn"]
some_words = st.sets(st.sampled_from(WORDS))
addresses = st.lists(
    st.lists(st.sampled_from([*WORDS, "A", "B", "Ab", "-", "/", ".", "é", "K", "z"])).map("".join), max_size=5
)


def counts(docs: list[str], banned: set[str], soft: set[str], subwords: set[str]) -> list[list[int]]:
    words = sorted(banned | soft)
    hashes = xxh64_spans(*as_arrays(words), np.uint64(0))
    kinds = np.array([BANNED * (w in banned) + SOFT * (w in soft) for w in words], np.uint8)
    order = np.argsort(hashes)
    return count_url_words(*as_arrays(docs), hashes[order], kinds[order], *make_automaton(subwords)).tolist()


@settings(max_examples=300, deadline=None)
@given(addresses | documents, some_words, some_words, some_words)
def test_counts_of_words_equal_the_twin(docs, banned, soft, subwords) -> None:
    assert counts(docs, banned, soft, subwords) == [
        url_twins.url_words(doc, banned=banned, soft=soft, subwords=subwords) for doc in docs
    ]


def test_a_word_inside_another_counts_as_a_subword_only() -> None:
    docs = ["http://essex.uk/ab", "ab ab.AB", "http://s-e.x/"]
    assert counts(docs, {"sex", "ab"}, {"ab"}, {"sex"}) == [[1, 1, 1], [1, 1, 0], [0, 0, 1]]


lines = st.lists(st.sampled_from([b"a.com", b"# b.com", b" c.com\t", b"", b"\r", b"  ", b"d#e", b"\xff"]))


@settings(max_examples=200, deadline=None)
@given(lines.map(b"\n".join) | st.binary(max_size=60))
def test_hashes_of_lines_equal_the_twin(data: bytes) -> None:
    assert hash_lines(np.frombuffer(data, np.uint8)).tolist() == url_twins.line_hashes(data)
