"""What benchmarks count the truth with, and how they hold their figures to their bars."""

from __future__ import annotations

import importlib
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.support.alike import alike_pairs, jaccard, judge, shingle_sets, words_of
from benchmarks.support.lines import enforce, line, show, with_bars
from tests.kernels.texts import documents, texts
from tests.oracles.kernel_twins import shingle_words

FEW = st.lists(st.sampled_from("abcdefgh"), max_size=14).map(" ".join)


@given(texts)
def test_words_are_those_of_the_scheme_whoever_cuts_them(text):
    assert words_of(text) == shingle_words(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop, stop!", ["don", "t", "stop", "stop"]),
        ("ΟΔΟΣ İstanbul", ["οδοσ", "istanbul"]),
        ("a中文b ไท", ["a", "中", "文", "b", "ไ", "ท"]),
        ("one\x1ctwo\u2003three\x85four", ["one\x1ctwo", "three", "four"]),
        (" -- ", []),
    ],
)
def test_a_word_is_a_run_of_neither_space_nor_punctuation_or_one_character_of_a_script_without_spaces(
    text, words
):
    assert words_of(text) == words


@given(documents | st.lists(FEW, max_size=12), st.integers(1, 6))
def test_sets_have_in_common_what_sets_of_word_tuples_have(some, n_gram):
    sets, plain = shingle_sets(some, n_gram=n_gram), [grams(text, n_gram) for text in some]
    assert [len(numbers) for numbers in sets] == [len(tuples) for tuples in plain]
    for a, b in itertools.combinations(range(len(some)), 2):
        assert len(sets[a] & sets[b]) == len(plain[a] & plain[b])


def grams(text: str, n: int) -> set[tuple[str, ...]]:
    words = words_of(text)
    n = min(n, len(words))
    return {tuple(words[at : at + n]) for at in range(len(words) - n + 1)} if words else set()


@given(
    st.lists(st.frozensets(st.integers(0, 14), max_size=12), max_size=14),
    st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.75, 0.9, 1.0]),
)
def test_every_pair_that_is_alike_is_found_and_no_other(sets, min_jaccard):
    every = itertools.combinations(range(len(sets)), 2)
    alike = [(a, b) for a, b in every if jaccard(sets[a], sets[b]) >= min_jaccard]
    assert alike_pairs(sets, min_jaccard=min_jaccard) == alike


@pytest.mark.parametrize("n", [10, 20, 70, 100, 1000])
def test_a_pair_at_the_limit_is_found_at_any_size(n):
    smaller = frozenset(range(n * 7 // 10))
    assert alike_pairs([frozenset(range(n)), smaller], min_jaccard=0.7) == [(0, 1)]
    assert alike_pairs([frozenset(range(n)), smaller - {0}], min_jaccard=0.7) == []


def test_a_pair_is_resolved_if_not_both_stay_and_rightly_if_one_fell_for_a_keeper_it_is_like():
    # 0 and 1 are alike, 2 and 3 are, 4 and 5 are; nobody else.
    sets = [frozenset(range(at, at + 8)) for at in (0, 1, 100, 101, 200, 201)]
    pairs = alike_pairs(sets, min_jaccard=0.7)
    assert pairs == [(0, 1), (2, 3), (4, 5)]
    # 1 fell for 0, but 3 for 0 as well, which it has nothing in common with; 4 and 5 both stay.
    found = judge(sets, pairs, {1: 0, 3: 0}, min_jaccard=0.7)
    assert found == {"resolved": 2 / 3, "resolved_right": 1 / 3, "right": 1 / 2, "least": 0.0}


def some_lines():
    ratios = {"slow": 0.5, "big": 1.3, "free": 0.1, "fast": 5.0}
    return [line(name, ratio=ratio, ours=1, peer=2, unit="s") for name, ratio in ratios.items()]


def test_lines_with_bars_come_last_and_the_first_bar_s_at_the_end(capsys):
    show(with_bars(some_lines(), least={"fast": 5, "slow": 0.5}, most={"big": 1.3}))
    assert capsys.readouterr().out.splitlines() == [
        "name=free ratio=0.1 ours=1.0 peer=2.0 unit=s",
        "name=big ratio=1.3 ours=1.0 peer=2.0 unit=s bar_max=1.3",
        "name=slow ratio=0.5 ours=1.0 peer=2.0 unit=s bar_min=0.5",
        "name=fast ratio=5.0 ours=1.0 peer=2.0 unit=s bar_min=5",
    ]


def test_bars_that_are_reached_let_the_run_end_well():
    enforce(with_bars(some_lines(), least={"fast": 5, "slow": 0.5}, most={"big": 1.3}))


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [
        ({"slow": 0.51, "fast": 1}, {}, "slow has ratio 0.5, must have at least 0.51"),
        ({"fast": 1}, {"big": 1.2}, "big has ratio 1.3, may have at most 1.2"),
    ],
)
def test_a_bar_that_is_missed_fails_the_run_and_names_the_line(least, most, said):
    with pytest.raises(SystemExit) as stopped:
        enforce(with_bars(some_lines(), least=least, most=most))
    # A message makes the interpreter's status 1.
    assert stopped.value.code == f"bar missed: {said}"


@pytest.mark.parametrize("bars", [{"least": {"a": 1}}, {"most": {"a": 1}}])
def test_a_ratio_that_is_no_number_reaches_no_bar(bars):
    lines = with_bars([line("a", ratio=float("nan"), ours=0, peer=0, unit="s")], **bars)
    with pytest.raises(SystemExit):
        enforce(lines)


def test_a_bar_without_a_line_is_refused():
    with pytest.raises(ValueError, match="gone"):
        with_bars(some_lines(), least={"gone": 1})


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ([], True),
        (["--method", "coverage", "--items", "200"], True),
        (["--method", "ngram"], False),
        (["--items", "20"], False),
        (["--data", "elsewhere"], False),
    ],
)
def test_of_decontamination_only_what_the_bars_are_of_is_kept(monkeypatch, words, kept):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    benchmark = importlib.import_module("benchmarks.decontaminate")
    assert benchmark.is_kept(benchmark.settings(words)) == kept
