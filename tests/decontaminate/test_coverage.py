"""Decontaminate by coverage: what is planted, edited too, is found, and what is only like it is not."""

import json
import math
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pydantic
import pytest

from pipelines.decontaminate import Decontaminate
from pipelines.decontaminate.selftest import KINDS, self_test
from pipelines.decontaminate.stage import judge_table, make_index
from tests.decontaminate.samples import DUCKS, report, write_items
from tests.harness_gather import Corpus, check_account
from tests.oracles.kernel_twins import shingle_words

TOWER = {"question": "In what year was the Eiffel Tower built?", "choices": ["1889", "1901"]}


def test_a_sentence_of_a_very_long_passage_may_stand_often_at_a_cost_that_is_not_quadratic(tmp_path):
    passage = [f"term{n}" for n in range(60_000)]
    write_items(tmp_path / "q.jsonl", [{"question": "Who did it?", "passage": " ".join(passage)}])
    stage = Decontaminate(against=["q.jsonl"])
    arrays, _ = make_index(stage, tmp_path)
    between = " ".join(f"z{n}" for n in range(7_600))
    page = f"{' '.join(passage[30_000:30_010])} {between} " * 40
    spent = []
    for text in ("a page that compiles", page):
        started = time.process_time()
        judged = judge_table(
            stage, arrays, pa.table({"text": pa.array([text], pa.large_string())}), np.ones(1, bool)
        )
        spent.append(time.process_time() - started)
    assert judged.verdicts.tolist() == [0]
    assert spent[1] < 3  # 0.2 s; each word looked for one by one takes 9


@pytest.mark.parametrize("method", ["coverage", "ngram"])
def test_a_part_is_judged_in_pieces_with_a_beat_before_each(tmp_path, method):
    write_items(tmp_path / "q.jsonl", [DUCKS])
    stage, beats = Decontaminate(against=["q.jsonl"], method=method), []
    arrays, _ = make_index(stage, tmp_path)
    texts = ["word " * 500_000, DUCKS, "word " * 500_000, f"word {DUCKS}"]
    table = pa.table({"text": pa.array(texts, pa.large_string())})
    judged = judge_table(stage, arrays, table, np.ones(4, bool), beat=beats.append)
    assert (judged.verdicts.tolist(), beats) == ([0, 1, 0, 1], [0, 2])


def verdicts(tmp_path, items, texts, **params):
    write_items(tmp_path / "q.jsonl", items)
    return Corpus(tmp_path, {"a": [texts]}).run(Decontaminate(against=["q.jsonl"], **params))


def test_an_edited_reflowed_shouted_question_is_found_and_half_of_it_is_not(tmp_path):
    edited = DUCKS.replace("ducks", "geese").replace("breakfast", "lunch")
    half = " ".join(DUCKS.split()[:12])
    texts = [DUCKS, edited, "\n".join(DUCKS.upper().split()), f"Before. {DUCKS}\nafter", half, "clean", None]
    result = verdicts(tmp_path, [DUCKS], texts)
    assert result.verdicts() == [[1, 1, 1, 1, 0, 0, 0]]
    assert result.column("score")[0] == 1000 > result.column("score")[1] >= 800


def test_a_copy_with_words_put_into_it_is_one_place(tmp_path):
    words = [f"term{n}" for n in range(30)]
    apart = " ".join([*words[:15], *(["between"] * 8), *words[15:]])
    result = verdicts(tmp_path, [" ".join(words)], [apart, f"{apart} {apart}"])
    assert result.column("n_hits") == [1, 2]


@pytest.mark.parametrize(
    "share", [2 / 3, 5 / 6, 0.7000000000000001, 0.30000000000000004, 1e-20, float(np.nextafter(1, 0))]
)
def test_a_share_of_many_digits_asks_for_what_it_says(tmp_path, share):
    words = [f"term{n}" for n in range(40)]
    n_shared = math.ceil(40 * Fraction(str(share)))
    texts = [" ".join([*words[:n], *(f"no{i}" for i in range(40 - n))]) for n in (40, n_shared, n_shared - 1)]
    result = verdicts(tmp_path, [" ".join(words)], [*texts, "no such thing"], min_share=share)
    # Below 10 words in a row nothing is compared, and all words weigh the same.
    assert result.verdicts() == [[1, int(n_shared >= 10), 0, 0]]


def test_a_reach_beyond_any_page_is_refused():
    with pytest.raises(pydantic.ValidationError, match="less than or equal to 10000"):
        Decontaminate(against=["q.jsonl"], near_words=2**63)


def test_a_short_question_needs_an_answer_near_it(tmp_path):
    asked, gap = TOWER["question"], " word" * 60
    texts = [asked, f"{asked} In 1889.", f"It was 1901. {asked}", f"{asked}{gap} 1889", f"{asked} 18 89"]
    assert verdicts(tmp_path, [TOWER], texts).verdicts() == [[0, 1, 1, 0, 0]]


@pytest.mark.parametrize("answer", ["A", "(b)", "2.", "C"])
def test_an_answer_that_is_a_label_is_no_companion(tmp_path, answer):
    asked, item = TOWER["question"], {**TOWER, "answer": answer}
    texts = [f"{asked} A question of 2 who B or C.", f"{asked} 1889", f"{asked} 1901."]
    assert verdicts(tmp_path, [item], texts).verdicts() == [[0, 1, 1]]


def test_a_choice_of_one_digit_is_a_companion_though_it_looks_like_a_label(tmp_path):
    item = {"question": "How many legs does a spider have?", "choices": ["6", "8"], "answer": "8"}
    texts = [f"{item['question']} {n}" for n in (6, 8, "a")]
    assert verdicts(tmp_path, [item], texts).verdicts() == [[1, 1, 0]]


def test_letters_beside_the_choices_are_labels_of_them(tmp_path):
    item = {"question": TOWER["question"], "choices": {"text": ["1889", "1901"], "label": ["A", "B"]}}
    texts = [f"{TOWER['question']} {n}" for n in ("1889", "a")]
    assert verdicts(tmp_path, [item], texts).verdicts() == [[1, 0]]


def test_two_items_that_differ_by_a_word_are_found_at_one_place(tmp_path):
    words = [f"term{n}" for n in range(20)]
    items = [" ".join(words), " ".join(words[1:])]
    texts = [items[0], f"{items[0]} and {items[1]}", f"{items[1]} {items[1]}"]
    result = verdicts(tmp_path, items, texts, min_hits=2)
    assert result.column("n_hits") == [1, 2, 2]
    assert result.verdicts() == [[0, 1, 1]]
    assert report(result)["q.jsonl"]["hits"] == 5


def test_a_question_below_five_words_is_found_through_its_answer(tmp_path):
    how = {
        "query": "Clean a mirror",
        "choices": ["Wipe it slowly with vinegar and old newspaper.", "Eat it."],
    }
    texts = [
        "Clean a mirror: wipe it slowly with vinegar and old newspaper",
        "wipe it slowly with vinegar and old newspaper",
    ]
    assert verdicts(tmp_path, [how], texts).verdicts() == [[1, 0]]


def test_items_too_short_to_be_judged_are_counted(tmp_path):
    result = verdicts(
        tmp_path, [{"question": "What is 2 + 2?", "answer": "4"}, TOWER, {"n": 3}], ["What is 2 + 2? 4"]
    )
    assert result.verdicts() == [[0]]
    assert (report(result)["q.jsonl"]["items"], report(result)["q.jsonl"]["too_short"]) == (3, 2)


def test_a_benchmark_of_short_items_alone_finds_nothing_and_says_so(tmp_path):
    result = verdicts(tmp_path, ["too short"], ["too short", "", None])
    assert result.verdicts() == [[0, 0, 0]]
    assert report(result)["q.jsonl"]["too_short"] == 1


def test_a_document_says_what_it_holds_and_a_report_which_items(tmp_path):
    result = verdicts(
        tmp_path, [{"q": "unrelated", "n": 3}, {"deep": [{"q": DUCKS}]}], ["clean", "Look: " + DUCKS]
    )
    assert result.tables()[0].to_pylist()[1] == {
        "verdict": 1, "benchmark": "q.jsonl", "item": 1, "score": 1000, "n_hits": 1,
        "matched": " ".join(shingle_words(DUCKS)), "item_text": DUCKS,
    }  # fmt: skip
    told = report(result)["q.jsonl"]
    assert {k: told[k] for k in ("documents", "hits", "items", "items_hit", "too_short")} == {
        "documents": 1, "hits": 1, "items": 2, "items_hit": 1, "too_short": 1,
    }  # fmt: skip


def test_marking_drops_nothing_and_dead_rows_are_not_judged(tmp_path):
    write_items(tmp_path / "q.jsonl", [DUCKS])
    corpus = Corpus(tmp_path, {"a": [[DUCKS, DUCKS, None]]})
    corpus.alive_rows[0] = np.array([True, False, True])
    result = corpus.run(Decontaminate(against=["q.jsonl"], action="mark"))
    assert result.verdicts() == [[1, 0, 0]]
    assert result.column("matched")[1] is None
    check_account(corpus, result, marking=True)


def test_neither_the_order_of_units_nor_how_texts_are_dealt_changes_a_byte(tmp_path):
    write_items(tmp_path / "q.jsonl", [DUCKS, TOWER])
    texts = ["x", DUCKS, None, "y " + DUCKS, TOWER["question"] + " 1889", DUCKS.replace("per", "a")]
    stage = Decontaminate(against=["q.jsonl"])
    corpus = Corpus(tmp_path, {"a": [texts[:2], [], texts[2:]]})
    wanted = corpus.run(stage)
    assert corpus.run(stage, shuffle=1).digests() == wanted.digests()
    alone = Corpus(tmp_path / "one", {"a": [[t] for t in texts]})
    write_items(tmp_path / "one/q.jsonl", [DUCKS, TOWER])
    for column in ("verdict", "item", "score", "n_hits", "matched"):
        assert alone.run(stage).column(column) == wanted.column(column)


@pytest.mark.parametrize("method", ["coverage", "ngram"])
def test_a_self_test_finds_what_it_plants_and_counts_what_is_too_short(tmp_path, method):
    rng = np.random.default_rng(5)
    items = [
        {
            "question": " ".join(f"term{n}" for n in rng.integers(0, 3000, 30)),
            "choices": ["red one", "blue one"],
        }
        for _ in range(20)
    ]
    write_items(tmp_path / "q.jsonl", [*items, {"question": "Why?"}])
    stage = Decontaminate(against=["q.jsonl"], method=method)
    result = self_test(stage, tmp_path)
    kinds = result.counts["q.jsonl"]
    assert result.too_short == {"q.jsonl": (21, 1)}
    assert {kinds[k] for k in ("verbatim", "reflowed", "upper", "inside", "question_only")} == {(21, 20)}
    assert kinds["reordered"] == (20, 20)
    assert kinds["edited_1"][1] == 20
    assert (kinds["edited_3"][1] == 20) == (method == "coverage")
    assert (result.n_clean, result.flagged) == (100, ())
    assert self_test(stage, tmp_path) == result
    assert self_test(stage, tmp_path, clean=["a b c", items[3]["question"]]).flagged == (1,)


DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FIXTURES = DATA / "peers/decon/tests/fixtures"
NOT_COPIES = {("contaminated_mixed.jsonl", 1), ("contaminated_mixed.jsonl", 2)}
"""A paraphrase, and a text about astrophysics: neither shares a clause with an item, and decon finds neither."""


@pytest.mark.real
def test_the_fixtures_of_decon_are_found_and_the_clean_ones_are_not(tmp_path):
    if not FIXTURES.exists():
        pytest.skip("no ../shared/data")
    (tmp_path / "reference").symlink_to(FIXTURES / "reference")
    against = [f"reference/{p.name}" for p in sorted((FIXTURES / "reference").glob("*.jsonl"))]
    contaminated = sorted(p.name for p in (FIXTURES / "training").glob("contaminated*.jsonl"))
    names = [*contaminated, "clean.jsonl"]
    parts = [
        [json.loads(line)["text"] for line in (FIXTURES / "training" / name).open() if line.strip()]
        for name in names
    ]
    result = Corpus(tmp_path, {"t": parts}).run(Decontaminate(against=against))
    found = {
        (name, row) for name, v in zip(names, result.verdicts(), strict=True) for row, x in enumerate(v) if x
    }
    every = {(name, row) for name, part in zip(names, parts, strict=True) for row in range(len(part))}
    assert found == {(n, row) for n, row in every if n != "clean.jsonl"} - NOT_COPIES


@pytest.mark.real
def test_the_self_test_meets_its_bars_on_every_benchmark_at_once():
    if not DATA.exists():
        pytest.skip("no ../shared/data")
    folder = DATA / "benchmarks"
    files = [p for p in folder.rglob("*") if p.name.endswith((".jsonl", ".jsonl.gz", ".csv"))]
    against = sorted(p.relative_to(folder).as_posix() for p in files)
    result = self_test(Decontaminate(against=against), folder, n_items=50)
    assert set(KINDS) == set(next(iter(result.counts.values())))
    assert min(result.recall("verbatim"), result.recall("reflowed"), result.recall("inside")) >= 0.98
    assert result.recall("edited_1") >= 0.90
    assert max(short / n for n, short in result.too_short.values()) <= 0.05
