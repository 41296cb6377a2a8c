"""Decontaminate by n-grams, what is planted is found however it is set and nothing else; and what both methods do."""

import gzip
import json
from pathlib import Path

import numpy as np
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.digest import digest_file
from manifests.errors import MissingFileError, UsageError
from pipelines.decontaminate import Decontaminate, benchmark_report
from tests.harness_gather import Corpus, check_account
from tests.oracles.gather_twins import hits, item_ngrams
from tests.oracles.kernel_twins import shingle_words

DUCKS = (
    "Janet's ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins for her "
    "friends every day with four."
)
WORDS = ["the", "cat", "sat", "on", "a", "mat", "中", "Dog", "RAN"]
few = st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join)
items = st.recursive(
    few, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=2), x, max_size=3)
)


def write_items(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(json.dumps(value) + "\n" for value in values).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def strings(value):
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value
    return [s for v in inner for s in strings(v)]


def report(result):
    return benchmark_report(result.tasks["index"][0].facts, [t.facts for t in result.tasks["verdict"]])


def filler(rng, n_words):
    return " ".join(f"word{n}" for n in rng.integers(0, 3000, n_words))


@given(
    benchmarks=st.lists(st.lists(items, min_size=1, max_size=5), min_size=1, max_size=2),
    documents=st.lists(st.lists(few | st.none(), max_size=5), min_size=1, max_size=3),
    min_hits=st.integers(1, 3),
)
@settings(max_examples=25, deadline=None)
def test_verdicts_evidence_and_counts_are_those_of_sets_of_tuples(
    tmp_path_factory, benchmarks, documents, min_hits
):
    folder = tmp_path_factory.mktemp("twin")
    names = [f"b{i}.jsonl" for i in range(len(benchmarks))]
    for name, values in zip(names, benchmarks, strict=True):
        write_items(folder / name, [*values, "a string of text"])
    wanted = [
        [item_ngrams(strings(v), ngram=6, min_words=3) for v in [*b, "a string of text"]] for b in benchmarks
    ]
    corpus = Corpus(folder, {"web": documents})
    stage = Decontaminate(method="ngram", against=names, ngram=6, min_words=3, min_hits=min_hits)
    result = corpus.run(stage)
    every = set().union(*(grams for b in wanted for grams in b))
    docs = [text or "" for part in documents for text in part]
    found = [hits(text, every) for text in docs]
    assert result.column("n_hits") == [len(h) for h in found]
    assert result.column("verdict") == [int(len(h) >= min_hits) for h in found]
    for h, name, item, matched in zip(
        found, result.column("benchmark"), result.column("item"), result.column("matched"), strict=True
    ):
        places = [(b, i) for b, grams in enumerate(wanted) for i, g in enumerate(grams) if h and h[0] in g]
        assert (name, item) == ((names[places[0][0]], places[0][1]) if h else (None, None))
        assert matched == (" ".join(h[0]) if h else None)
    told = report(result)
    for name, grams in zip(names, wanted, strict=True):
        own = set().union(*grams)
        mine = [[run for run in h if run in own] for h in found]
        assert told[name]["ngrams"] == len(own)
        assert told[name]["too_short"] == sum(not g for g in grams)
        assert told[name]["hits"] == sum(map(len, mine))
        judged = zip(mine, found, strict=True)
        assert told[name]["documents"] == sum(bool(m) and len(h) >= min_hits for m, h in judged)
    check_account(corpus, result)


def planted_forms(item):
    """Ways a benchmark item comes into a page without a word changed."""
    return {
        "verbatim": item,
        "reflowed": "\n".join(item.split()),
        "spread": "\t \u3000".join(item.split()),
        "upper": item.upper(),
        "punctuation": item.replace(".", " --").replace(" ", ", "),
        "quoted": f"“{item}”",
    }


def test_every_planted_form_is_found_and_no_clean_page_is(tmp_path):
    rng = np.random.default_rng(3)
    questions = [" ".join(f"term{n}" for n in rng.integers(0, 3000, 30)) + "." for _ in range(30)]
    write_items(tmp_path / "q.jsonl", [{"question": q, "answer": "no"} for q in questions])
    forms = [form for q in questions for form in planted_forms(q).values()]
    dirty = [f"{filler(rng, 200)}. {form} {filler(rng, 3000)}" for form in forms]
    clean = [filler(rng, 1000) for _ in range(200)]
    result = Corpus(tmp_path, {"dirty": [dirty], "clean": [clean]}).run(
        Decontaminate(method="ngram", against=["q.jsonl"])
    )
    assert result.verdicts() == [[1] * len(dirty), [0] * 200]
    assert result.tables()[0].column("item").to_pylist() == [i for i in range(30) for _ in range(6)]
    assert report(result)["q.jsonl"]["documents"] == len(dirty)


@pytest.mark.parametrize(("n_shared", "verdict"), [(12, 0), (13, 1)])
def test_thirteen_shared_words_are_the_limit(tmp_path, n_shared, verdict):
    write_items(tmp_path / "q.jsonl", [DUCKS])
    text = "before " + " ".join(shingle_words(DUCKS)[3 : 3 + n_shared]) + " after"
    result = Corpus(tmp_path, {"a": [[text]]}).run(Decontaminate(method="ngram", against=["q.jsonl"]))
    assert result.verdicts() == [[verdict]]


def test_a_contaminated_document_falls_with_its_reason_and_says_why(tmp_path):
    write_items(tmp_path / "bench/q.jsonl", [{"q": "unrelated", "n": 3}, {"deep": [{"q": DUCKS}]}])
    corpus = Corpus(tmp_path, {"a": [["clean", "Look: " + DUCKS]]})
    result = corpus.run(Decontaminate(method="ngram", against=["bench/q.jsonl"]))
    assert result.tally().dropped == {"decontaminate": {"contaminated": 1}}
    assert result.tables()[0].to_pylist()[1] == {
        "verdict": 1,
        "benchmark": "bench/q.jsonl",
        "item": 1,
        "n_hits": len(shingle_words(DUCKS)) - 12,
        "matched": "janet s ducks lay 16 eggs per day she eats three for breakfast",
        "item_text": DUCKS,
    }
    digest = digest_file(tmp_path / "bench/q.jsonl")
    assert report(result) == {
        "bench/q.jsonl": {
            "digest": digest, "documents": 1, "hits": 13, "items": 2, "ngrams": 13, "too_short": 1,
        }
    }  # fmt: skip
    check_account(corpus, result)


def test_a_short_item_is_looked_for_whole_and_a_shorter_one_is_counted(tmp_path):
    nine = "one two three four five six seven eight nine"
    write_items(tmp_path / "q.jsonl", [{"q": nine}, {"q": "What is 2 + 2?"}, {"n": 4}])
    texts = [
        "so One, two three four five six seven eight nine!",
        "one two three four five six seven eight",
        "2 + 2",
    ]
    result = Corpus(tmp_path, {"a": [texts]}).run(Decontaminate(method="ngram", against=["q.jsonl"]))
    assert result.verdicts() == [[1, 0, 0]]
    assert report(result)["q.jsonl"]["too_short"] == 2


def test_short_strings_beside_a_long_one_are_not_looked_for(tmp_path):
    choice = "none of the three answers given above is right"
    write_items(tmp_path / "q.jsonl", [{"q": DUCKS, "choices": [choice]}])
    result = Corpus(tmp_path, {"a": [[choice, DUCKS]]}).run(
        Decontaminate(method="ngram", against=["q.jsonl"])
    )
    assert result.verdicts() == [[0, 1]]


def test_only_the_named_fields_are_looked_for(tmp_path):
    write_items(
        tmp_path / "q.jsonl.gz", [{"question": DUCKS, "source": filler(np.random.default_rng(0), 40)}]
    )
    page = filler(np.random.default_rng(0), 40)
    corpus = Corpus(tmp_path, {"a": [[page, DUCKS]]})
    assert corpus.run(Decontaminate(method="ngram", against=["q.jsonl.gz"])).verdicts() == [[1, 1]]
    assert corpus.run(
        Decontaminate(method="ngram", against=["q.jsonl.gz"], fields=["question"])
    ).verdicts() == [[0, 1]]


def test_min_hits_forgives_a_short_quotation(tmp_path):
    write_items(tmp_path / "q.jsonl", [DUCKS])
    words = shingle_words(DUCKS)
    corpus = Corpus(tmp_path, {"a": [[" ".join(words[:16]), " ".join(words[:17])]]})
    result = corpus.run(Decontaminate(method="ngram", against=["q.jsonl"], min_hits=5))
    assert result.verdicts() == [[0, 1]]
    assert result.column("n_hits") == [4, 5]


def test_marking_drops_nothing_and_dead_rows_are_not_judged(tmp_path):
    write_items(tmp_path / "q.jsonl", [DUCKS])
    corpus = Corpus(tmp_path, {"a": [[DUCKS, DUCKS, None]]})
    corpus.alive_rows[0] = np.array([True, False, True])
    result = corpus.run(Decontaminate(method="ngram", against=["q.jsonl"], action="mark"))
    assert result.verdicts() == [[1, 0, 0]]
    assert result.column("matched")[1] is None
    assert result.tally().marked == {"decontaminate": {"contaminated": 1}}
    check_account(corpus, result, marking=True)


def test_the_bytes_do_not_depend_on_the_order_of_units(tmp_path):
    write_items(tmp_path / "q.jsonl", [DUCKS])
    corpus = Corpus(tmp_path, {"a": [["x"], [DUCKS], [], [None]], "b": [["y " + DUCKS]]})
    stage = Decontaminate(method="ngram", against=["q.jsonl"])
    wanted = corpus.run(stage).digests()
    assert corpus.run(stage, shuffle=1).digests() == wanted == corpus.run(stage, shuffle=2).digests()


@pytest.mark.parametrize("sources", [{}, {"a": []}, {"a": [[]]}, {"a": [[None, ""], []]}])
def test_corpora_with_next_to_nothing_in_them_work(tmp_path, sources):
    write_items(tmp_path / "q.jsonl", [DUCKS])
    corpus = Corpus(tmp_path, sources)
    result = corpus.run(Decontaminate(method="ngram", against=["q.jsonl"]))
    check_account(corpus, result)
    assert report(result)["q.jsonl"]["documents"] == 0


def test_a_benchmark_of_short_items_alone_finds_nothing_and_says_so(tmp_path):
    write_items(tmp_path / "q.jsonl", ["too short", "too"])
    result = Corpus(tmp_path, {"a": [["too short"]]}).run(Decontaminate(method="ngram", against=["q.jsonl"]))
    assert result.verdicts() == [[0]]
    assert (report(result)["q.jsonl"]["items"], report(result)["q.jsonl"]["too_short"]) == (2, 2)


def test_lines_are_cut_at_newlines_alone_and_blank_ones_keep_their_number(tmp_path):
    write_items(tmp_path / "q.jsonl", [])
    value = json.dumps(["\u2028", DUCKS], ensure_ascii=False)
    (tmp_path / "q.jsonl").write_bytes(b'\xef\xbb\xbf"a"\r\n\n' + value.encode())
    result = Corpus(tmp_path, {"a": [[DUCKS]]}).run(Decontaminate(method="ngram", against=["q.jsonl"]))
    assert result.column("item") == [2]
    assert report(result)["q.jsonl"]["items"] == 2


def test_the_digest_of_every_benchmark_is_part_of_the_key(tmp_path):
    write_items(tmp_path / "q.jsonl", [DUCKS])
    stage = Decontaminate(method="ngram", against=["q.jsonl"])
    before = stage.side_inputs(tmp_path)
    write_items(tmp_path / "q.jsonl", [DUCKS + "!"])
    assert list(before) == ["q.jsonl"]
    assert stage.side_inputs(tmp_path) != before


@pytest.mark.parametrize(
    ("data", "says"),
    [(b'{"q": "x"}\nnot json\n', r"q\.jsonl:2: expected one JSON value"), (b"\xff\n", r"q\.jsonl:1:"),
     (b'{"n": 1}\n', "expected items with strings, found none"), (b"", "found none")],
)  # fmt: skip
def test_a_benchmark_that_cannot_be_read_stops_the_build(tmp_path, data, says):
    (tmp_path / "q.jsonl").write_bytes(data)
    with pytest.raises(UsageError, match=says):
        Corpus(tmp_path, {"a": [["x"]]}).run(Decontaminate(method="ngram", against=["q.jsonl"]))


def test_fields_that_no_item_has_stop_the_build(tmp_path):
    write_items(tmp_path / "q.jsonl", [{"question": DUCKS}])
    with pytest.raises(UsageError, match="strings in prompt, found none"):
        Corpus(tmp_path, {"a": [["x"]]}).run(
            Decontaminate(method="ngram", against=["q.jsonl"], fields=["prompt"])
        )


def test_a_cut_or_missing_file_stops_the_build(tmp_path):
    write_items(tmp_path / "q.jsonl.gz", [DUCKS])
    (tmp_path / "q.jsonl.gz").write_bytes((tmp_path / "q.jsonl.gz").read_bytes()[:-12])
    corpus = Corpus(tmp_path, {"a": [["x"]]})
    with pytest.raises(UsageError, match="expected gzip"):
        corpus.run(Decontaminate(method="ngram", against=["q.jsonl.gz"]))
    with pytest.raises(MissingFileError, match=r"none\.jsonl"):
        corpus.run(Decontaminate(method="ngram", against=["none.jsonl"]))


@pytest.mark.parametrize(
    ("params", "says"),
    [({"against": []}, "at least 1"), ({"against": ["q.xml"]}, "convert"),
     ({"against": ["q.jsonl"], "method": "ngram", "ngram": 5}, r"write min_words: 5 \(or less\), or ngram: 8")],
)  # fmt: skip
def test_parameters_that_would_check_less_than_they_seem_to_are_refused(params, says):
    with pytest.raises(pydantic.ValidationError, match=says):
        Decontaminate(**params)


def test_parameters_of_the_other_method_are_not_compared():
    assert Decontaminate(against=["q.jsonl"], ngram=5).ngram == 5


DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.real
def test_questions_planted_in_books_are_found_and_the_books_alone_are_not(tmp_path):
    if not DATA.exists():
        pytest.skip("no ../shared/data")
    against = ["gsm8k/test.jsonl", "mmlu/mmlu_test-1.jsonl.gz"]
    books = sorted((DATA / "gutenberg/en").rglob("*.txt"))[:12]
    pages = [p.read_bytes().decode("utf-8", "replace")[50_000:62_000] for p in books]
    questions = [json.loads(line)["question"] for line in (DATA / "benchmarks/gsm8k/test.jsonl").open()][::10]
    dirty = [
        pages[i % len(pages)] + list(planted_forms(q).values())[i % 6] + pages[(i + 1) % len(pages)]
        for i, q in enumerate(questions)
    ]
    corpus = Corpus(tmp_path, {"clean": [pages], "dirty": [dirty]})
    (tmp_path / "gsm8k").symlink_to(DATA / "benchmarks/gsm8k")
    (tmp_path / "mmlu").symlink_to(DATA / "benchmarks/mmlu")
    result = corpus.run(Decontaminate(method="ngram", against=against))
    assert result.verdicts()[0] == [0] * len(pages)
    missed = [q for q, v in zip(questions, result.verdicts()[1], strict=True) if not v]
    assert missed == [q for q in questions if len(shingle_words(q)) < 13]
    assert report(result)["gsm8k/test.jsonl"]["documents"] == len(questions) - len(missed)
