"""Decontaminate by coverage says of random and of edited copies what its twin says."""

from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.decontaminate import Decontaminate
from pipelines.decontaminate.benchmarks import read_benchmark
from tests.decontaminate.samples import report, write_items
from tests.harness_gather import Corpus, check_account
from tests.oracles.coverage_twin import count_places, find_pair, item_pairs, weights
from tests.oracles.kernel_twins import shingle_words

VOCABULARY = [
    "the", "cat", "sat", "on", "a", "mat", "while", "two", "dogs", "ran", "by", "and", "Nobody", "saw", "中", "ÉTÉ",
]  # fmt: skip
phrase = st.lists(st.sampled_from(VOCABULARY), max_size=18).map(" ".join)
item = st.fixed_dictionaries(
    {},
    optional={
        "question": phrase,
        "choices": st.lists(phrase, max_size=3),
        "answer": phrase,
        "passage": phrase,
    },
)


@st.composite
def item_and_pages(draw):
    """Benchmarks, and documents made of their pieces, with words changed."""
    benchmarks = draw(st.lists(st.lists(item, min_size=1, max_size=5), min_size=1, max_size=2))
    texts = [
        t for b in benchmarks for i in b for v in i.values() for t in (v if isinstance(v, list) else [v])
    ]
    piece = st.sampled_from([*texts, "some words between"])
    pages = draw(st.lists(st.lists(piece, max_size=5).map("\n".join) | phrase | st.none(), max_size=6))
    for at in draw(st.lists(st.integers(0, 40), max_size=6)):
        if pages and (words := (pages[at % len(pages)] or "").split()):
            words[at % len(words)] = draw(st.sampled_from(VOCABULARY))
            pages[at % len(pages)] = " ".join(words)
    return benchmarks, pages


def check_against_twin(folder, benchmarks, pages, *, share, reach, min_hits, alone):
    """Assert that a build says of pages what the twin says."""
    names = [f"b{n}.jsonl" for n in range(len(benchmarks))]
    for name, values in zip(names, benchmarks, strict=True):
        write_items(folder / name, [*values, {"question": "a string of text"}])
    stage = Decontaminate(
        against=names, min_share=share, near_words=reach, min_hits=min_hits, min_alone_words=alone
    )
    holders, texts, n_short = defaultdict(list), set(), []
    for b, name in enumerate(names):
        read, short = read_benchmark(folder / name), len(benchmarks[b]) + 1
        for number in range(len(benchmarks[b]) + 1):
            rows = zip(read.items, read.roles, read.texts, strict=True)
            parts = [(role, tuple(shingle_words(text))) for i, role, text in rows if i == number]
            texts |= {words for _, words in parts}
            pairs = item_pairs(parts, min_item=stage.min_item_words, min_alone=alone)
            short -= bool(pairs)
            for pair in pairs:
                holders[pair].append((b, number))
        n_short.append(short)
    weight, exact = weights(texts), Fraction(str(share))
    near = defaultdict(set)
    for text, companion in holders:
        near[text].add(companion)
    finds = []
    for page in pages:
        words = tuple(shingle_words(page or ""))
        finds.append(
            [
                (-score, start, end, pair)
                for pair in holders
                for start, end, score in find_pair(
                    words, pair, weight, share=exact, reach=reach, wanted_companions=near[pair[0]]
                )
            ]
        )
    corpus = Corpus(folder, {"web": [pages[:2], pages[2:]]})
    result = corpus.run(stage)
    n_hits = [count_places((start, end) for _, start, end, _ in found) for found in finds]
    assert result.column("n_hits") == n_hits
    assert result.column("verdict") == [int(n >= min_hits) for n in n_hits]
    shown = zip(*(result.column(c) for c in ("benchmark", "item", "score", "matched")), strict=True)
    for page, found, (name, number, score, matched) in zip(pages, finds, shown, strict=True):
        best = [f for f in found if f[:2] == min(g[:2] for g in found)]
        words = shingle_words(page or "")
        allowed = {
            (names[min(holders[pair])[0]], min(holders[pair])[1], -less, " ".join(words[start:end]))
            for less, start, end, pair in best
        }
        assert (name, number, score, matched) in (allowed or {(None, None, None, None)})
    told = report(result)
    for b, name in enumerate(names):
        mine = [[f for f in found if any(of == b for of, _ in holders[f[3]])] for found in finds]
        hit = {i for found in mine for f in found for of, i in holders[f[3]] if of == b}
        assert told[name]["too_short"] == n_short[b]
        assert told[name]["items_hit"] == len(hit)
        assert told[name]["hits"] == sum(count_places(f[1:3] for f in found) for found in mine)
        assert told[name]["documents"] == sum(
            bool(m) and n >= min_hits for m, n in zip(mine, n_hits, strict=True)
        )
    check_account(corpus, result)


@given(
    made=item_and_pages(), share=st.sampled_from([0.5, 0.8, 1.0]), reach=st.sampled_from([0, 3, 50]),
    min_hits=st.integers(1, 2), alone=st.sampled_from([6, 13]),
)  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_verdicts_evidence_and_counts_are_those_of_sets_of_words(
    tmp_path_factory, made, share, reach, min_hits, alone
):
    folder = tmp_path_factory.mktemp("twin")
    check_against_twin(folder, *made, share=share, reach=reach, min_hits=min_hits, alone=alone)


def changed(words, rng):
    """A copy with some words changed, left out, added or moved."""
    words = list(words)
    for _ in range(rng.integers(0, 1 + len(words) // 4)):
        at = int(rng.integers(0, len(words)))
        words[at : at + 1] = [[f"new{at}"], [], [words[at], f"more{at}"], words[at : at + 1][::-1]][
            rng.integers(0, 4)
        ]
        words = words or ["none"]
    return words


@pytest.mark.parametrize("seed", range(4))
def test_copies_at_the_edge_of_being_found_are_judged_as_the_twin_judges(tmp_path, seed):
    rng = np.random.default_rng(seed)

    def some(low, high):
        return [f"w{n}" for n in (rng.zipf(1.3, int(rng.integers(low, high))) % 90).tolist()]

    made = [{"question": some(3, 24), "choices": [some(1, 12) for _ in range(2)]} for _ in range(14)]
    made += [{"question": some(20, 60), "answer": some(1, 30)} for _ in range(6)]
    items = [
        {k: " ".join(v) if k != "choices" else [" ".join(c) for c in v] for k, v in item.items()}
        for item in made
    ]
    pages = []
    for _ in range(150):
        item = made[rng.integers(0, len(made))]
        answer = item["choices"][rng.integers(0, 2)] if "choices" in item else item["answer"]
        parts = [changed(item["question"], rng), some(0, 2 * len(answer) + 8), changed(answer, rng)]
        parts = parts[:: int(rng.choice([1, 1, -1]))]
        pages.append(" ".join([*some(0, 9), *(word for part in parts for word in part), *some(0, 9)]))
        if rng.integers(0, 4) == 0:
            pages[-1] += " " + pages[rng.integers(0, len(pages))]
    check_against_twin(tmp_path, [items[:9], items[9:]], pages, share=0.8, reach=4, min_hits=1, alone=13)


def cut(words, rng):
    """A copy with a stretch of up to half of it left out or replaced."""
    n, at = int(rng.integers(0, len(words) // 2)), int(rng.integers(0, len(words)))
    return [*words[:at], *(f"new{i}" for i in range(n if rng.integers(0, 2) else 0)), *words[at + n :]]


@pytest.mark.parametrize("seed", range(3))
def test_long_texts_at_the_edge_of_being_found_are_judged_as_the_twin_judges(tmp_path, seed):
    rng = np.random.default_rng(seed)

    def some(low, high):
        return [f"w{n}" for n in rng.integers(0, 500, int(rng.integers(low, high))).tolist()]

    made = [{"passage": some(60, 400)} for _ in range(4)]
    made += [{"question": [f"q{k}w{n}" for n in range(8)], "answer": some(60, 200)} for k in range(4)]
    items = [{role: " ".join(words) for role, words in item.items()} for item in made]
    pages = []
    for _ in range(60):
        parts = [cut(words, rng) for words in made[rng.integers(0, len(made))].values()]
        parts = parts[:: int(rng.choice([1, -1]))]
        pages.append(" ".join([*some(0, 9), *(word for part in parts for word in part), *some(0, 9)]))
    check_against_twin(tmp_path, [items[:3], items[3:]], pages, share=0.8, reach=4, min_hits=1, alone=13)
