"""Who is better: by length, date or score, whatever is missing coming last."""

import time
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from manifests.errors import TaskError
from pipelines.dedup import Exact, MinHash
from pipelines.dedup.exact import address_key
from pipelines.dedup.ranks import ranks
from tests.harness_gather import Corpus

WORST = np.iinfo(np.int64).max


@given(st.lists(st.none() | st.floats(allow_subnormal=False), max_size=12))
def test_scores_rank_as_python_sorts_them(scores):
    found = ranks(pa.table({"text": [""] * len(scores), "s": pa.array(scores, pa.float64())}), "highest", "s")
    for i, a in enumerate(scores):
        for j, b in enumerate(scores):
            first, second = (-np.inf if s is None or s != s else s for s in (a, b))
            if first > second:
                assert found[i] < found[j]
            elif None not in (a, b) and a == b:
                assert found[i] == found[j]


def test_dates_rank_newest_first_and_what_is_no_date_last():
    dates = [
        "2021-05-05T10:00:00Z",
        "2020-01-01",
        None,
        "2021-05-05T09:00:00",
        "yesterday",
        "2021-05-05T12:30:00+02:00",
    ]
    found = ranks(pa.table({"text": [""] * 6, "date": dates}), "newest", None)
    assert np.argsort(found, kind="stable").tolist() == [5, 0, 3, 1, 2, 4]


def test_dates_beyond_the_years_that_python_has_do_not_stop_the_rest():
    dates = [
        "0001-01-01T00:00:00+02:00",
        "2020-01-01",
        "9999-12-31T23:59:59-02:00",
        "2021-05-05T10:00:00Z",
        "0000-01-01",
    ]
    found = ranks(pa.table({"text": [""] * 5, "date": dates}), "newest", None)
    assert np.argsort(found, kind="stable").tolist()[:3] == [2, 3, 1]


def rank_alone(date):
    """The rank of one date, from as many casts as it takes: what ranks of many must equal."""
    for kind in (pa.timestamp("us", "UTC"), pa.timestamp("us")):
        try:
            moment = pc.cast(pa.scalar(date, pa.string()), kind, safe=False).cast(pa.int64()).as_py()
        except pa.ArrowInvalid:
            continue
        return WORST if moment is None else -max(moment, -WORST)
    return WORST


YEARS = st.sampled_from([0, 1, 1582, 1969, 1970, 2000, 2024, 9999]) | st.integers(0, 9999)
DAYS = st.builds("{:04d}-{:02d}-{:02d}".format, YEARS, st.integers(0, 13), st.integers(0, 32))
CLOCKS = st.sampled_from(
    [
        "",
        "T10",
        " 10:11",
        "T10:11:12",
        "T23:59:59.999999",
        "T10:11:12.123456789",
        "T24:00",
        "T",
        " 1:2",
        "T10:61",
    ]
)
ZONES = st.sampled_from(
    ["", "Z", "z", " Z", "+02", "+0200", "+02:00", "-23:59", "+24:00", "+2", " UTC", "\n"]
)
DATES = st.builds("{}{}{}".format, DAYS, CLOCKS, ZONES)


@given(
    st.lists(st.none() | DAYS | DATES | st.text("0123456789-:+TZ ."), max_size=40),
    st.sampled_from([pa.string(), pa.large_string()]),
)
def test_dates_of_all_forms_rank_together_as_each_alone(dates, kind):
    table = pa.table({"text": [""] * len(dates), "date": pa.array(dates, kind)})
    assert ranks(table, "newest", None).tolist() == [rank_alone(date) for date in dates]


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_moments_that_microseconds_cannot_hold_rank_last_and_stop_no_other(seconds):
    def alone(second):
        holds = second is not None and -(2**63) <= second * 10**6 < 2**63
        return -max(second * 10**6, -WORST) if holds else WORST

    table = pa.table({"text": [""] * len(seconds), "date": pa.array(seconds, pa.timestamp("s"))})
    assert ranks(table, "newest", None).tolist() == [alone(second) for second in seconds]


@pytest.mark.parametrize(
    "form", ["2026-03-{:02d}", "2026-03-{:02d}T10:11:12", "2026-03-{:02d}T10:11:12Z", "mixed"]
)
def test_a_hundred_thousand_dates_of_any_form_take_less_than_a_second(form):
    forms = ["2026-03-{:02d}", "2026-03-{:02d}T10:11:12Z", "March {:02d}"] if form == "mixed" else [form]
    dates = [forms[i % len(forms)].format(1 + i % 31) for i in range(100_000)]
    table = pa.table({"text": [""] * len(dates), "date": dates})
    before = time.process_time()
    ranks(table, "newest", None)
    assert time.process_time() - before < 1


def test_whole_numbers_of_any_size_are_scores():
    scores = pa.array([2**53 + 1, 2**53, None, -(2**62), 2**62])
    found = ranks(pa.table({"text": [""] * 5, "s": scores}), "highest", "s")
    assert np.argsort(found, kind="stable").tolist() == [4, 0, 1, 3, 2]


def test_numbers_that_a_float_takes_for_equal_are_apart_whatever_their_type():
    scores = pa.array([2**53 + 1, 2**53 + 2, None, 2**53, 2**63 - 1], pa.uint64())
    found = ranks(pa.table({"text": [""] * 5, "s": scores}), "highest", "s")
    assert np.argsort(found, kind="stable").tolist() == [4, 1, 0, 3, 2]
    signed = ranks(pa.table({"text": [""] * 5, "s": scores.cast(pa.int64())}), "highest", "s")
    assert found.tolist() == signed.tolist()


def test_the_least_whole_number_is_no_better_than_others():
    found = ranks(pa.table({"text": [""] * 2, "s": pa.array([-(2**63), 0])}), "highest", "s")
    assert np.argsort(found).tolist() == [1, 0]


def test_a_number_too_large_to_be_told_from_others_is_refused():
    table = pa.table({"text": [""], "s": pa.array([2**63], pa.uint64())})
    with pytest.raises(TaskError, match="expected numbers up to 9223372036854775807 in `s`"):
        ranks(table, "highest", "s")


def test_the_earliest_moment_is_no_newer_than_others():
    found = ranks(
        pa.table({"text": [""] * 2, "date": pa.array([-(2**63), 0], pa.timestamp("us"))}), "newest", None
    )
    assert np.argsort(found).tolist() == [1, 0]


@pytest.mark.parametrize("scores", [["2", "10"], [True, False], [b"1", b"2"], [Decimal("2.5"), Decimal(1)]])
def test_what_only_looks_like_numbers_is_no_score(scores):
    with pytest.raises(TaskError, match="expected whole numbers or floats in `s`"):
        ranks(pa.table({"text": [""] * 2, "s": scores}), "highest", "s")


@pytest.mark.parametrize(
    "kind",
    [
        pa.date32(),
        pa.date64(),
        pa.timestamp("s"),
        pa.timestamp("us", "UTC"),
        pa.timestamp("ns", "Asia/Tokyo"),
        pa.large_string(),
    ],
)
def test_dates_rank_whatever_type_they_have(kind):
    days = pa.array(["2020-01-01", None, "2024-02-29", "2021-05-05"])
    days = days.cast(kind) if kind == pa.large_string() else days.cast(pa.date32()).cast(kind)
    texts = pa.table({"text": [""] * 4, "date": days})
    assert np.argsort(ranks(texts, "newest", None), kind="stable").tolist() == [2, 3, 0, 1]


def test_moments_finer_or_further_than_microseconds_rank_as_well():
    fine = pa.array([1_500, None, 2_700], pa.timestamp("ns"))
    far = pa.array([2**62, 0, None], pa.timestamp("s"))
    assert np.argsort(ranks(pa.table({"text": [""] * 3, "date": fine}), "newest", None)).tolist() == [2, 0, 1]
    assert np.argmin(ranks(pa.table({"text": [""] * 3, "date": far}), "newest", None)) == 1


@pytest.mark.parametrize("dates", [[1.5], [20240101], [True]])
def test_a_date_that_is_neither_text_nor_a_moment_is_refused(dates):
    with pytest.raises(TaskError, match="expected text, dates or times in `date`"):
        ranks(pa.table({"text": [""], "date": dates}), "newest", None)


def test_a_part_without_the_column_ranks_last_and_text_is_no_score():
    table = pa.table({"text": ["a", "b"], "title": ["x", "y"]})
    assert len({*ranks(table, "highest", "quality").tolist()}) == 1
    with pytest.raises(TaskError, match="expected whole numbers or floats in `title`"):
        ranks(table, "highest", "title")


@pytest.mark.parametrize(
    "params", [{"keep": "highest"}, {"score": "language_score"}, {"keep": "newest", "score": "x"}]
)
def test_a_score_and_its_use_go_together(params):
    with pytest.raises(ValidationError, match="expected `score: COLUMN` beside keep: highest"):
        Exact(**params)


@pytest.mark.parametrize(
    ("one", "two", "equal"),
    [
        ("http://example.org", "https://EXAMPLE.org:443/#top", True),
        ("http://example.org/a?b=1", "https://example.org/a?b=1#c", True),
        ("http://example.org:8080/", "http://example.org/", False),
        ("http://example.org/A", "http://example.org/a", False),
        ("https://example.org:80/", "https://example.org/", False),
        ("ftp://example.org/", "http://example.org/", False),
        ("http://example.org/a/", "http://example.org/a", False),
        ("http://example.org?x", "http://example.org/?x", True),
        ("http://[::1]:80/", "http://[::1]/", True),
    ],
)
def test_addresses_are_equal_where_they_lead_to_one_page(one, two, equal):
    assert (address_key(one) == address_key(two)) == equal


@pytest.mark.parametrize("stage", [Exact, MinHash])
@pytest.mark.parametrize(
    ("params", "stays"), [({"keep": "newest"}, 2), ({"keep": "highest", "score": "language_score"}, 1)]
)
def test_the_newest_or_the_best_of_equal_documents_stays(tmp_path, stage, params, stays):
    text = " ".join(f"w{n}" for n in range(100))
    dates = pa.array(["2020-01-01", None, "2024-01-01", "2023-01-01"])
    scores = pa.array([0.5, 0.9, 0.7, None])
    corpus = Corpus(
        tmp_path, {"a": [[text, text]], "b": [[text], [text]]}, more={"date": dates, "language_score": scores}
    )
    result = corpus.run(stage(**params))
    assert result.column("verdict") == [int(n != stays) for n in range(4)]


def test_of_equal_addresses_the_longest_text_stays(tmp_path):
    urls = pa.array(["http://a.org/x", "https://A.org/x#top", "#1", "#2"])
    corpus = Corpus(
        tmp_path, {"a": [["short", "a longer text"]], "b": [["short"], ["other"]]}, more={"url": urls}
    )
    assert corpus.run(Exact(by="url", keep="longest")).column("verdict") == [1, 0, 0, 0]


def test_a_score_that_no_document_has_is_refused(tmp_path):
    corpus = Corpus(tmp_path, {"a": [["one", "one"]]})
    with pytest.raises(TaskError, match="expected a column `qualty` in documents"):
        corpus.run(Exact(keep="highest", score="qualty"))
