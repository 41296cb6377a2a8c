"""mC4's paragraphs and C4's bad words: edges, reasons, and datatrove's own verdicts."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datatrove.data import Document
from datatrove.pipeline.filters.c4_filters import C4BadWordsFilter, C4ParagraphFilter
from hypothesis import given, settings
from hypothesis import strategies as st

from manifests.corpus import CorpusManifest
from manifests.errors import DigestError, RecipeError
from pipelines.batch import Batch
from pipelines.executor import build
from pipelines.filters.bad_words import C4BadWords
from pipelines.filters.paragraphs import C4Paragraphs
from pipelines.kernels.bad_words import listed_words, make_automaton, word_characters
from pipelines.plan import make_plan
from tests.filters.batches import batch_of, no_documents, reasons_of
from tests.kernels.texts import as_arrays, documents
from tests.oracles import line_twins

WORDS = ("dick", "dickens", "a s s", "ass", "ss", "härte", "女", "女の子", "f@ck", "x-", "_y", "ж")
pieces = st.sampled_from(
    [*WORDS, "Dick", "DICKENS", "ASS", "HÄRTE", "Ж", " ", " ", "\n", ".", "_", "1", "²", "Ⅷ", "é", "\u0301", "女性",
     "x", "Ⱥ", "😀", "-", "s"]
)  # fmt: skip
texts = st.lists(pieces, max_size=14).map("".join)


@pytest.fixture
def word_list(tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("\n".join(WORDS) + "\n\n", encoding="utf-8")
    return path


@settings(max_examples=200, deadline=None)
@given(docs=st.lists(texts, min_size=1, max_size=4) | documents, alone=st.booleans())
def test_texts_with_a_listed_word_are_those_datatroves_expression_finds(
    *, docs: list[str], alone: bool
) -> None:
    # Their longer lower cases apart: "İ" and the "Σ" at a word's end.
    docs = [re.sub("[İΣ]", "", doc) for doc in docs]
    found = listed_words(*as_arrays(docs), make_automaton(WORDS), alone=alone)
    assert [n > 0 for n in found] == [line_twins.has_listed_word(doc, WORDS, alone=alone) for doc in docs]


def test_word_characters_are_those_of_pythons_expressions_up_to_newer_unicode() -> None:
    told = re.compile(r"\w")
    points = [
        point for point in range(0x3000) if (told.match(chr(point)) is not None) != word_characters()[point]
    ]
    # A later Unicode may know more of them; none of ours is unknown to it.
    assert not [point for point in points if word_characters()[point]]
    assert len(points) < 40


def test_each_place_with_a_listed_word_counts_once_and_the_limit_is_inclusive(word_list: Path) -> None:
    rule = C4BadWords(file=word_list.name, root=word_list.parent, max_bad_words=2)
    three, two = "dick Dick, dickens dicks", "dick Dick, Dicks"
    assert list(rule.measure(batch_of([three, two]))["n_bad_words"]) == [3, 2]
    assert reasons_of(rule, [three, two]) == ["bad_words", None]
    off = rule.model_copy(update={"max_bad_words": None})
    assert reasons_of(off, [three]) == [None]
    assert not off.limits()
    allowed = rule.model_copy(update={"allowed": ("dick",)})
    assert list(allowed.measure(batch_of([three]))["n_bad_words"]) == [1]


def test_verdicts_on_bad_words_are_datatroves(word_list: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "datatrove.pipeline.filters.c4_filters.cached_asset_path_or_download", lambda *a, **k: str(word_list)
    )
    # Without the blank line, of which it makes a word of no characters, and the word it allows.
    word_list.write_text("\n".join(word for word in WORDS if word != "女の子"), encoding="utf-8")
    docs = [
        "You DICK!",
        "Mr. Dickson",
        "an asset",
        "a S s",
        "女性",
        "(女)",
        "Härte",
        "härter",
        "_y",
        "x_y",
        "fine",
    ]
    for language, alone in (("en", True), ("zh", False)):
        there = C4BadWordsFilter(default_language=language)
        kept = [there.filter(Document(text=doc, id="0")) is True for doc in docs]
        rule = C4BadWords(file=str(word_list), by_themselves=alone)
        assert [reason is None for reason in reasons_of(rule, docs)] == kept
        assert 0 < sum(kept) < len(docs)


def kept_of(rule: C4BadWords, batch: Batch) -> set[bytes]:
    """The ids of the documents that stay."""
    verdicts = rule.decide(rule.measure(batch))
    return {bytes(row) for row, code in zip(batch.doc_ids(), verdicts, strict=True) if not code}


def test_the_share_of_pages_with_bad_words_that_stays_is_the_one_asked_for(word_list: Path) -> None:
    bad, n = batch_of(["dick"] * 20_000), 20_000
    rule = C4BadWords(file=str(word_list))
    kept = {}
    for frac in (0.0, 0.001, 0.1, 0.5, 1.0):
        kept[frac] = kept_of(rule.model_copy(update={"keep_frac": frac}), bad)
        assert abs(len(kept[frac]) - frac * n) <= 4 * (frac * (1 - frac) * n) ** 0.5
    assert kept[0.0] < kept[0.001] < kept[0.1] < kept[0.5] < kept[1.0]
    other = kept_of(rule.model_copy(update={"keep_frac": 0.5, "seed": 1}), bad)
    # Another seed draws anew: half of those that stay are the same, not all and not none.
    assert abs(len(other & kept[0.5]) - n / 4) <= 4 * (3 / 16 * n) ** 0.5


def test_pages_without_bad_words_stay_whatever_their_lot_and_one_over_the_limit_by_its_lot_alone(
    word_list: Path,
) -> None:
    rule = C4BadWords(file=str(word_list), keep_frac=0.25)
    lot = 1 << 30  # the first that is not low
    counts, lots = [0, 1, 1, 9], [lot, lot - 1, lot, lot - 1]
    assert list(rule.decide({"n_bad_words": counts, "lot": lots})) == [0, 0, 1, 0]
    assert rule.limits() == {"bad_words": ("n_bad_words", "<= 0, or lot < 1073741824")}
    assert C4BadWords(file="words.txt").limits() == {"bad_words": ("n_bad_words", "<= 0")}


def test_who_stays_depends_on_no_other_document(word_list: Path) -> None:
    rule = C4BadWords(file=str(word_list), keep_frac=0.5)
    whole = batch_of(["dick"] * 300)
    expected = kept_of(rule, whole)
    few = np.arange(300) % 7 == 3
    cut = replace(whole, rows=whole.rows.slice(100, 50))  # a view into the ids of all
    turned = replace(whole, rows=whole.rows.take(list(range(299, -1, -1))))
    assert 0 < len(expected) < 300
    assert kept_of(rule, turned) == expected
    for part in (whole.select(few), cut):
        ids = {bytes(row) for row in part.doc_ids()}
        assert kept_of(rule, part) == expected & ids


def test_any_number_of_workers_keeps_the_same_share_of_pages(
    word_list: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.plan.GROUP_BYTES", 1)  # a file a unit
    for name in "abcd":
        lines = [json.dumps({"text": "fine" if k % 2 else "dick"}) for k in range(50)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    (tmp_path / "recipe.yaml").write_text(
        "name: lots\nsources:\n  - {name: web, read: jsonl, paths: ['*.jsonl'],"
        f" steps: [c4_bad_words: {{file: {word_list.name}, keep_frac: 0.5}}]}}\n"
    )
    corpora = []
    for workers in (1, 3):
        out = tmp_path / f"out{workers}"
        build(make_plan(tmp_path / "recipe.yaml", out), workers=workers)
        corpora.append((out / "corpus.json").read_bytes())
    steps = {step.name: step for step in CorpusManifest.read(tmp_path / "out3").steps}
    assert corpora[0] == corpora[1]
    assert steps["c4_bad_words"].n_read == 200
    assert 30 <= steps["c4_bad_words"].dropped["bad_words"] <= 70


def test_a_list_is_in_the_key_and_refused_if_it_is_missing_or_another(word_list: Path) -> None:
    rule = C4BadWords(file=word_list.name)
    before = rule.side_inputs(word_list.parent)
    digest = hashlib.sha256(word_list.read_bytes()).hexdigest()
    assert C4BadWords(file=word_list.name, sha256=digest).side_inputs(word_list.parent) == before
    word_list.write_text("other\n")
    assert rule.side_inputs(word_list.parent) != before
    with pytest.raises(DigestError):
        C4BadWords(file=word_list.name, sha256=digest).side_inputs(word_list.parent)
    with pytest.raises(RecipeError, match="found nothing"):
        C4BadWords(file="gone.txt").side_inputs(word_list.parent)


def test_a_byte_order_mark_is_in_no_word(word_list: Path) -> None:
    word_list.write_text("dick\nass\n", encoding="utf-8-sig")
    rule = C4BadWords(file=word_list.name, root=word_list.parent)
    assert reasons_of(rule, ["dick", "ass"]) == ["bad_words", "bad_words"]


def test_a_list_whose_words_could_never_be_found_is_refused_when_it_is_planned(word_list: Path) -> None:
    word_list.write_text("dick\nBDSM\nHÄRTE\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r'2 with upper case \("BDSM", "HÄRTE"\)'):
        C4BadWords(file=word_list.name).side_inputs(word_list.parent)
    assert C4BadWords(file=word_list.name, allowed=("BDSM", "HÄRTE")).side_inputs(word_list.parent)
    word_list.write_text("härte\n", encoding="latin-1")
    with pytest.raises(RecipeError, match=r"expected UTF-8 .* at byte 1"):
        C4BadWords(file=word_list.name).side_inputs(word_list.parent)


def test_three_paragraphs_of_two_hundred_characters_are_enough_and_one_character_less_is_not() -> None:
    long, short = "é" * 200, "é" * 199
    docs = [
        "\n".join([long] * 3),
        f"{long}\n{long}\n{short}",
        f"{long}\n\n{long}\nMenu\n{long}\r\n",
        long,
        "",
    ]
    reasons = reasons_of(C4Paragraphs(), docs)
    assert reasons == [None, "too_few_long_paragraphs", None, *["too_few_long_paragraphs"] * 2]
    there = [C4ParagraphFilter().filter(Document(text=doc, id="0")) is True for doc in docs]
    assert there == [reason is None for reason in reasons]
    assert reasons_of(C4Paragraphs(min_paragraph_chars=199), docs)[1] is None
    assert reasons_of(C4Paragraphs(min_paragraphs=None), docs) == [None] * 5


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(190, 210).map("ü".__mul__) | st.sampled_from(["", "\r", "x"]), max_size=6).map(
        "\n".join
    )
)
def test_verdicts_on_paragraphs_are_datatroves(doc: str) -> None:
    there = C4ParagraphFilter().filter(Document(text=doc, id="0")) is True
    assert (reasons_of(C4Paragraphs(), [doc]) == [None]) == there
    assert list(C4Paragraphs().measure(batch_of([doc]))["n_long_paragraphs"]) == [
        line_twins.long_paragraphs(doc, 200)
    ]


def test_no_documents_and_one_without_text_are_measured(word_list: Path) -> None:
    for rule in (C4Paragraphs(), C4BadWords(file=str(word_list))):
        assert len(rule.decide(rule.measure(no_documents()))) == 0
        values = rule.measure(batch_of([None]))
        assert list(values[next(iter(values))]) == [0]
