"""What is held out: never nothing, never too much, whole clusters, and no text that is trained on."""

import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.tokens import Tokens
from pipelines.tokens.holdout import MIN_CUT_BYTES, MIN_HELDOUT_BYTES, cut
from tests.tokens.harness_tokens import make, read_shards, run

TOKENS = {"train": {"vocab_size": 400, "sample_bytes": 20_000}}


def words(seed: int, n_words: int, *, per_line: int = 9) -> str:
    rng = random.Random(seed)
    drawn = [f"{rng.randrange(16**7):07x}" for _ in range(n_words)]
    lines = [" ".join(drawn[i : i + per_line]) for i in range(0, n_words, per_line)]
    return "\n".join(line + ("\n" if rng.random() < 0.2 else "") for line in lines)


def built(root, sources, *, clusters=None, **params):
    corpus = make(root, sources, clusters=clusters)
    result = run(corpus, Tokens(**{**TOKENS, **params}))
    return read_shards(corpus, result), result


def bytes_of(documents) -> int:
    return sum(d["n_bytes"] for d in documents)


@settings(max_examples=200, deadline=None)
@given(
    st.text(st.sampled_from("ab \n中😀é"), min_size=0, max_size=400),
    st.fractions(Fraction(1, 1000), Fraction(1, 2)),
    st.integers(0, 200),
)
def test_a_cut_leaves_text_on_both_sides_and_a_gap_between(text, tail, gap):
    data = text.encode()
    at = cut(data, tail, gap_bytes=gap)
    if len(data) < MIN_CUT_BYTES:
        assert at is None
        return
    end, start = at
    assert end > 0
    assert start - end >= min(gap, len(data) // 8)
    assert len(data) - start >= max(tail * len(data), 16)
    # At most twice what was asked, and three bytes for a character that is not torn.
    assert len(data) - start <= 2 * max(tail * len(data) + 1, 16) + 3
    assert data[:end].decode() + data[end:start].decode() + data[start:].decode() == text


def test_a_cut_is_at_a_paragraph_else_a_line_else_a_word():
    tail, before = Fraction(1, 10), "x" * 900
    for mark in ("\n\n", "\n", " "):
        text = (before + mark + "y y\ny" * 0 + "y" * 120).encode()
        assert text[cut(text, tail, gap_bytes=10)[1] :] == b"y" * 120
    both = (before[:850] + "\n\n" + "y" * 30 + "\nz" + "z" * 140).encode()
    assert both[cut(both, tail, gap_bytes=10)[1] :].startswith(b"y")


def test_whole_clusters_are_held_out_until_the_share_is_reached(tmp_path):
    texts = [words(i, 400) for i in range(300)]
    clusters = {t: bytes([i // 3]) for i, t in enumerate(texts[:240])}
    found, result = built(tmp_path, {"web": [texts[:100], texts[100:]]}, clusters=clusters, holdout="10%")
    held, train = found["web", "heldout"], found["web", "train"]
    assert {t.facts["holdout"] for t in result.tasks["shards"]} == {"cluster"}
    total = bytes_of(held) + bytes_of(train)
    assert total == sum(len(t.encode()) for t in texts)
    assert total // 10 <= bytes_of(held) < total // 10 + 3 * max(map(len, texts))
    keys = [{clusters.get(d["text"], d["doc_id"]) for d in part} for part in (held, train)]
    assert not keys[0] & keys[1]
    assert len(keys[0]) < len(held)  # some cluster of several documents was held out, so the test can fail


def test_at_least_64_kib_are_held_out_or_a_third_of_a_small_source(tmp_path):
    found, _ = built(
        tmp_path, {"big": [[words(i, 200) for i in range(400)]], "small": [[words(i, 9) for i in range(30)]]}
    )
    assert bytes_of(found["big", "heldout"]) >= MIN_HELDOUT_BYTES > bytes_of(found["big", "heldout"]) - 2000
    small = [bytes_of(found["small", s]) for s in ("heldout", "train")]
    assert sum(small) // 3 <= small[0] <= sum(small) // 3 + 100


@pytest.mark.parametrize("seed", range(5))
def test_some_of_every_source_is_held_out_whatever_the_seed(tmp_path, seed):
    sources = {
        "one": [[words(1, 300)]],
        "nineteen": [[words(i, 30) for i in range(19)]],
        "twenty": [[words(i, 30) for i in range(20)]],
        "line": [["y" * 70]],
        "specks": [["z", "x", "w"] * 10],
    }
    found, result = built(tmp_path, sources, seed=seed)
    how = {t.facts["source"]: t.facts["holdout"] for t in result.tasks["shards"]}
    assert how == {
        "one": "span",
        "nineteen": "span",
        "twenty": "cluster",
        "line": "span",
        "specks": "cluster",
    }
    assert (
        {s for s, split in found if split == "heldout"}
        == {s for s, split in found if split == "train"}
        == set(sources)
    )


def test_a_source_too_small_to_split_is_trained_on_whole_and_says_so(tmp_path):
    found, result = built(tmp_path, {"tiny": [["0123456789"]]})
    assert [d["text"] for d in found["tiny", "train"]] == ["0123456789"]
    assert ("tiny", "heldout") not in found
    assert result.tasks["split"][0].facts["sources"]["tiny"]["why"] == "too little text"
    assert result.tasks["shards"][0].facts["holdout"] == "none"


def test_a_share_of_zero_holds_out_nothing(tmp_path):
    found, _ = built(tmp_path, {"web": [[words(i, 30) for i in range(40)]]}, holdout=0)
    assert set(found) == {("web", "train")}


def test_held_out_text_of_books_shares_no_span_with_training_text(tmp_path):
    books = [words(i, 10_000) for i in range(3)]
    found, result = built(tmp_path, {"books": [books[:1], books[1:]]}, holdout_gap_bytes=2000)
    held, train = found["books", "heldout"], found["books", "train"]
    assert {t.facts["holdout"] for t in result.tasks["shards"]} == {"span"}
    # Every word is seven random digits: two in a row occur once in all books.
    pairs = [
        {tuple(w) for d in part for w in zip(d["text"].split(), d["text"].split()[1:], strict=False)}
        for part in (held, train)
    ]
    assert pairs[0]
    assert not pairs[0] & pairs[1]
    assert MIN_HELDOUT_BYTES <= bytes_of(held) <= 2 * MIN_HELDOUT_BYTES
    by_id = {d["doc_id"]: d["text"] for d in train}
    for piece in held:
        book = next(b for b in books if b.endswith(piece["text"]))
        assert book.startswith(by_id[piece["parent"]])
        assert len(book) - len(piece["text"]) - len(by_id[piece["parent"]]) >= 2000
        assert (piece["piece"], piece["doc_id"] == piece["parent"]) == (1, False)
    gaps = sum(t.facts["gap_bytes"] for t in result.tasks["encode"])
    assert bytes_of(held) + bytes_of(train) + gaps == sum(len(b) for b in books)


def test_a_cluster_of_more_than_a_third_of_its_source_is_not_held_out(tmp_path):
    giant, rest = [words(i, 2000) for i in range(10)], [words(100 + i, 200) for i in range(40)]
    for seed in range(4):
        found, _ = built(
            tmp_path / str(seed), {"web": [giant, rest]}, clusters=dict.fromkeys(giant, b"giant"), seed=seed
        )
        assert found["web", "heldout"]
        assert not {d["text"] for d in found["web", "heldout"]} & set(giant)


def test_a_cluster_held_out_in_one_source_is_trained_on_in_none(tmp_path):
    shared = [words(i, 100) for i in range(60)]
    clusters = {t: t[:7].encode() for t in shared}
    copies = {t + " copy": clusters[t] for t in shared}
    filler = [words(1000 + i, 2000) for i in range(30)]
    sources = {"a": [shared], "b": [[*copies, *filler]], "book": [list(copies)[:5]]}
    found, _ = built(tmp_path, sources, clusters={**clusters, **copies}, holdout="10%")
    both = {**clusters, **copies}
    held, train = (
        {both[d["text"]] for s in ("a", "b") for d in found[s, split] if d["text"] in both}
        for split in ("heldout", "train")
    )
    assert held
    assert not held & train
    assert not held & {both[t] for t in sources["book"][0]}


def test_the_split_does_not_depend_on_the_parts_documents_came_in(tmp_path):
    texts = [words(i, 60) for i in range(90)]
    dealt = {"one": [texts], "many": [texts[60:], texts[:10], [], texts[10:60]]}
    held = [built(tmp_path / name, {"web": parts})[0]["web", "heldout"] for name, parts in dealt.items()]
    assert [d["doc_id"] for d in held[0]] == [d["doc_id"] for d in held[1]]


def test_another_seed_holds_out_other_documents(tmp_path):
    texts = [words(i, 60) for i in range(90)]
    held = [built(tmp_path / str(seed), {"web": [texts]}, seed=seed)[0]["web", "heldout"] for seed in (0, 1)]
    assert {d["doc_id"] for d in held[0]} != {d["doc_id"] for d in held[1]}
