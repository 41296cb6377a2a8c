"""C4's rules: texts and counts against the twins, every reason, every edge, and datatrove's texts and verdicts."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import c4_filters as datatrove
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.filters.c4 import C4Lines, C4Quality
from pipelines.kernels.c4 import LINE_REASONS, c4_counts
from pipelines.kernels.sentences import SENTENCE_END, text_classes
from pipelines.spans import apply_spans
from tests.filters.batches import batch_of, no_documents, reasons_of
from tests.kernels.texts import as_arrays, documents
from tests.oracles import line_twins

BOOKS = Path(__file__).parents[3] / "shared" / "data" / "gutenberg" / "en"
RULES = C4Lines().model_dump()

# What the rules look at: marks, citations, phrases, brackets, every line end, odd spaces.
_PIECES = st.sampled_from(
    ["a", "word", "Three words here.", "Is it?", "Well...", 'end!"', "'", "[1]", "[]", "[٣]", "[edit]",
     "[citation needed]", "[edit", "[[1]]", "[1", "lorem ipsum", "Lorem [2]Ipsum", "JavaScript", "java[1]script", "{",
     "Privacy Policy", "We use cookies", "uses cook", "terms of use", " ", "  ", " ", "\n", "\n", "\r\n", "\r", "\v",
     "\x1c", "\x1f", "\x85", "\u2028", "\u3000", "。", "é", "x" * 12, "$5", ".", "..", "?", "(no.)", "3.5"]
)  # fmt: skip
texts = st.lists(_PIECES, max_size=40).map("".join) | st.lists(_PIECES, max_size=40).map(" ".join)
line_rules = st.fixed_dictionaries(
    {"max_word_chars": st.sampled_from([None, 0, 5, 11, 1000]), "min_words": st.sampled_from([None, 0, 1, 2, 3])}
    | {name: st.booleans() for name, value in RULES.items() if isinstance(value, bool)}
)  # fmt: skip


def edited(step: C4Lines, docs: list[str]) -> list[str]:
    batch, verdicts = apply_spans("c4_lines", step, batch_of(docs))
    assert not verdicts.any()
    return batch.column("text").to_pylist()


@settings(max_examples=150, deadline=None)
@given(st.lists(texts, max_size=4) | documents, line_rules)
def test_the_text_left_equals_the_twins(docs: list[str], rules: dict) -> None:
    docs = ["x", *docs]
    assert edited(C4Lines(**rules), docs) == [line_twins.c4_text(doc, rules) for doc in docs]


@settings(max_examples=150, deadline=None)
@given(st.lists(texts, max_size=4), line_rules)
def test_spans_are_in_order_apart_and_inside_their_texts(docs: list[str], rules: dict) -> None:
    docs = ["x", *docs]
    spans = C4Lines(**rules).spans(batch_of(docs))
    places = list(zip(spans.row.tolist(), spans.start.tolist(), spans.end.tolist(), strict=True))
    assert all(0 <= start < end <= len(docs[row].encode()) for row, start, end in places)
    assert all(a[0] < b[0] or a[2] <= b[1] for a, b in pairwise(places))


LONG_WORDS = st.sampled_from([1, 2, 61, 62, 63, 64, 65, 127, 128, 129, 200]).map("w".__mul__)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(LONG_WORDS | st.sampled_from([" ", "\t ", "\n", "\r\n", "[1]", ".", "é", "\x1f"]), max_size=20)
)
def test_words_are_told_wherever_sixty_four_bytes_end(pieces: list[str]) -> None:
    doc = "".join(pieces)
    for longest in (1, 62, 63, 64, 65, 128, 200):
        given = {"max_word_chars": longest, "min_words": 2, "end_marks": False}
        rules = C4Lines(**given).model_dump()
        assert edited(C4Lines(**given), [doc]) == [line_twins.c4_text(doc, rules)]


@settings(max_examples=150, deadline=None)
@given(st.lists(texts, max_size=4))
def test_counts_equal_the_twins(docs: list[str]) -> None:
    counts = c4_counts(*as_arrays(docs))
    rows = [dict(zip(counts, map(int, row), strict=True)) for row in zip(*counts.values(), strict=True)]
    assert rows == [line_twins.c4_counts(doc) for doc in docs]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("One two three " + "x" * 1001 + ".", "word_too_long"),
        ("One two three " + "x" * 999 + ".", None),
        ("One two three", "no_end_mark"),
        ("One two three...", "no_end_mark"),
        ("One two three.[1] [2]", "no_end_mark"),
        ("One two.", "too_few_words"),
        ("One two three.", None),
        ("One two JAVASCRIPT.", "javascript"),
        ("Our Cookie Policy here.", "policy"),
        ("Our cookie policy { here.", None),
        ("Lorem ipsum javascript.", None),
        ("One two {javascript}", "no_end_mark"),
        ("One two {javascript}.", "javascript"),
    ],
)
def test_a_line_goes_for_its_reason(text: str, reason: str | None) -> None:
    found = [LINE_REASONS[code] for code in C4Lines().spans(batch_of([text])).reason]
    assert found == ([reason] if reason else [])


def test_lines_that_go_for_one_reason_share_a_span_and_are_counted_line_by_line() -> None:
    blank = "\n" * 1000 + "\r\n \n" * 100
    assert len(C4Lines().spans(batch_of([blank, blank])).row) == 2
    # A line end beyond ASCII is no white space to the count of words, so lines that it parts are two spans.
    text = "It is a line.\n" + blank + "menu here\nlog in\u2028log out\x0bhelp\x85\x1cend.\n\nIt is a line."
    gone = text.splitlines(keepends=True)[1:-1]
    batch, _ = apply_spans("c4_lines", C4Lines(), batch_of([text]))
    assert batch.column("text").to_pylist() == ["It is a line.\nIt is a line."]
    n_words = sum(len(line.encode().split()) for line in gone)
    assert batch.values["c4_lines.removed_words"].tolist() == [n_words]
    assert batch.values["c4_lines.removed_bytes"].tolist() == [sum(len(line.encode()) for line in gone)]


def test_removed_words_are_counted_and_what_joins_two_lines_is_a_newline() -> None:
    text = " \x0bFirst line here.[1]\vmenu\r\nSecond [edit] line here.  \r\n\r\n"
    batch, _ = apply_spans("c4_lines", C4Lines(), batch_of([text]))
    assert batch.column("text").to_pylist() == ["First line here.\nSecond  line here."]
    assert batch.values["c4_lines.removed_words"].tolist() == [3]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A b c. D. E? F! G.", None),
        ("A b c. D. E? F! 3.5", None),
        ("A b c. D. E? F g.", "too_few_sentences"),
        ("A.\nB.\nC.\n\nD.\nE.", None),
        ("A...\nB... C... D... E... F...", "too_few_sentences"),
        ("", "too_few_sentences"),
        ("A {\nlorem ipsum", "curly_bracket"),
        ("Lorem Ipsum {\nA", "lorem_ipsum"),
        ("a\nlorem ipsum\n{", "lorem_ipsum"),
    ],
)
def test_c4_quality_gives_the_reason(text: str, reason: str | None) -> None:
    assert reasons_of(C4Quality(), [text]) == [reason]


def test_rules_that_are_off_drop_nothing_and_have_no_limit() -> None:
    off = C4Quality(lorem_ipsum=False, curly_bracket=False, min_sentences=None)
    assert reasons_of(off, ["lorem ipsum {", ""]) == [None, None]
    assert not off.limits()
    assert reasons_of(C4Quality(lorem_ipsum=False), ["lorem ipsum\n{"]) == ["curly_bracket"]


@pytest.mark.parametrize("place", [0, 55, 57, 60, 61, 64, 120, 125])
def test_mentions_are_found_wherever_they_stand(place: int) -> None:
    before = "line\n" * (place // 5) + "x" * (place % 5)
    docs = [before + "Lorem IPSUM {", before + "m ipsum", before + "lorem ip", before + "{", before]
    assert [c4_counts(*as_arrays([doc])) for doc in docs] == [
        {name: [count] for name, count in line_twins.c4_counts(doc).items()} for doc in docs
    ]


def datatroves(text: str, **rules) -> tuple[str | None, str]:
    document = Document(text=text, id="0")
    found = datatrove.C4QualityFilter(**rules).filter(document)
    return (None if found is True else found[1]), document.text


def assert_same_as_datatrove(docs: list[str], monkeypatch: pytest.MonkeyPatch) -> set[str | None]:
    monkeypatch.setattr(datatrove, "split_into_sentences", lambda line, language: line_twins.sentences(line))
    reasons = set()
    for end_marks in (True, False):
        expected = [datatroves(doc, filter_no_terminal_punct=end_marks) for doc in docs]
        left = edited(C4Lines(end_marks=end_marks), docs)
        found = reasons_of(C4Quality(), left)
        assert found == [reason for reason, _ in expected]
        kept = [text for text, reason in zip(left, found, strict=True) if reason is None]
        assert kept == [text for reason, text in expected if reason is None]
        reasons |= set(found)
    return reasons


@settings(max_examples=150, deadline=None)
@given(st.lists(texts, min_size=1, max_size=4), st.integers(0, 8))
def test_verdicts_and_texts_are_datatroves_given_the_same_sentences(docs: list[str], n_good: int) -> None:
    good = "A good line to keep, with a mark.\n"
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert_same_as_datatrove([good * n_good + doc + "\n" + good for doc in docs], monkeypatch)


@pytest.mark.real
@pytest.mark.skipif(not BOOKS.exists(), reason="needs ../shared/data")
def test_verdicts_and_texts_are_datatroves_on_pieces_of_books(monkeypatch: pytest.MonkeyPatch) -> None:
    books = [path.read_text("utf-8", "replace") for path in sorted(BOOKS.rglob("*.txt"))[:12]]
    docs = [
        book[at : at + size] for book in books for at in range(0, 60_000, 10_000) for size in (300, 900, 3000)
    ]
    docs += [doc[:200] + insert + doc[200:] for doc in docs[::5] for insert in ("{", " Lorem ipsum ", "[1]")]
    reasons = assert_same_as_datatrove(docs, monkeypatch)
    assert reasons == {None, "lorem_ipsum", "curly_bracket", "too_few_sentences"}


@pytest.mark.parametrize(
    ("text", "n_sentences"),
    [
        ("Mr. X is here.", 1),
        ('Mr. X is here. "Yes." he said (no.) And', 4),
        ("end.Next", 2),
        ("What?! No", 2),
        ("a...b. c... d", 1),
        ("One. Two.\nThree", 3),
        ("The end.  ", 2),
        ("The end. ", 1),
        ("  ", 1),
        ("One.  . Two", 3),
        ("", 0),
    ],
)
def test_sentences_over_spacys_words_are_those_its_sentencizer_gives(text: str, n_sentences: int) -> None:
    assert list(c4_counts(*as_arrays(["Before. It", text]), words="spacy")["n_sentences"]) == [2, n_sentences]


def test_marks_that_end_a_sentence_are_the_sentencizers_number() -> None:
    marks = {chr(point) for point in range(0x110000) if text_classes()[point] & SENTENCE_END}
    assert len(marks) == 128
    assert set(".!?。！？।") < marks
    assert not set("…,;:\u061e\u17d6") & marks


def test_a_batch_of_no_documents_and_a_document_without_text_are_measured() -> None:
    for rule in (C4Quality(), C4Quality(words="spacy")):
        assert len(rule.decide(rule.measure(no_documents()))) == 0
        assert list(rule.measure(batch_of([None, "a."]))["n_sentences"]) == [0, 1]
    assert len(C4Lines().spans(no_documents()).row) == 0
