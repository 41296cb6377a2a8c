"""C4's rules by sentences: texts and counts against the twins and datatrove's `split_paragraph=False`, every joint."""

from __future__ import annotations

from pathlib import Path

import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import c4_filters as datatrove
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipelines.filters.c4 import C4Lines, C4Quality
from pipelines.kernels.c4 import LINE_REASONS, c4_counts
from pipelines.spans import apply_spans
from tests.filters.batches import batch_of, no_documents, reasons_of
from tests.kernels.texts import as_arrays
from tests.oracles import line_twins, spacy_twin

BOOKS = Path(__file__).parents[3] / "shared" / "data" / "gutenberg" / "en"
QUALITY = C4Quality(units="sentences", words="spacy")

# What sentences rest on beside the rules' own pieces: marks in a run, behind quotes, before white space of all kinds.
_PIECES = st.sampled_from(
    ["a", "word", "Three words here.", "Is it so?", "Well...", 'the end!"', '"Yes', "(no.)", "'", "end.Next", "vs.Next",
     "Mr.", "U.S.", "e.g.", "3.5", ".", "..", "?", "。", "It is.[1]", "[1]", "[٣]", "[edit]", "[citation needed]",
     "lorem ipsum", "JavaScript", "{", "privacy policy", " ", " ", " ", "  ", "\n", "\n", "\r\n", "\x1c", "\u2028",
     "\u3000", "é", "x" * 12, "-", "A good line to keep."]
)  # fmt: skip
texts = st.lists(_PIECES, max_size=30).map("".join) | st.lists(_PIECES, max_size=30).map(" ".join)
line_rules = st.fixed_dictionaries(
    {"max_word_chars": st.sampled_from([None, 11, 1000]), "min_words": st.sampled_from([None, 1, 3])}
    | {name: st.booleans() for name in ("end_marks", "javascript", "policy", "citations")}
)  # fmt: skip


def edited(docs: list[str], **rules) -> list[str]:
    batch, _ = apply_spans("c4_lines", C4Lines(units="sentences", **rules), batch_of(docs))
    return batch.column("text").to_pylist()


def datatroves(text: str, rules: dict, min_sentences: int) -> tuple[str | None, str]:
    most, least = rules["max_word_chars"], rules["min_words"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datatrove, "split_into_sentences", lambda text, language: spacy_twin.sentences(text))
        document = Document(text=text, id="0")
        found = datatrove.C4QualityFilter(
            split_paragraph=False,
            remove_citations=rules["citations"],
            filter_no_terminal_punct=rules["end_marks"],
            min_num_sentences=min_sentences,
            min_words_per_line=-1 if least is None else least,
            max_word_length=-1 if most is None else most,
            filter_javascript=rules["javascript"],
            filter_policy=rules["policy"],
        ).filter(document)
    return (None if found is True else found[1]), document.text


@settings(max_examples=250, deadline=None)
@given(st.lists(texts, min_size=1, max_size=4), line_rules)
def test_texts_are_datatroves_and_phrases_drop_the_same_documents(docs: list[str], rules: dict) -> None:
    theirs = [datatroves(doc, rules, -1) for doc in docs]
    left = edited(docs, **rules)
    ours = reasons_of(QUALITY.model_copy(update={"min_sentences": None}), left)
    assert [reason is None for reason in ours] == [reason is None for reason, _ in theirs]
    kept = [text for text, reason in zip(left, ours, strict=True) if reason is None]
    assert kept == [text for reason, text in theirs if reason is None]


@settings(max_examples=150, deadline=None)
@given(st.lists(texts, max_size=4))
def test_counts_by_sentences_equal_the_twins(docs: list[str]) -> None:
    counts = c4_counts(*as_arrays(docs), units="sentences", words="spacy")
    rows = [dict(zip(counts, map(int, row), strict=True)) for row in zip(*counts.values(), strict=True)]
    assert rows == [line_twins.c4_sentence_counts(doc) for doc in docs]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("It is one\nsentence here. So is this one.", "It is one\nsentence here. So is this one."),
        ("Menu\nIt is one here.\n\nNo mark at all", "Menu\nIt is one here."),
        ("One two three.Four five six.", "One two three. Four five six."),
        ("One two three.Four.", "One two three."),
        ("One two three.\n \n Two. \tFour five six! ", "One two three. Four five six!"),
        ("[1] One two three. A [edit] four five.", "One two three. A  four five."),
        (
            "One two three. [edit] Four five six.",
            "edit] Four five six.",
        ),  # "[" ends the first, without a mark
        ("It is so.[1] Then it is not.", "It is so. Then it is not."),
        ("It needs JavaScript here. It does not.", "It does not."),
        (" \n ", ""),
        ("", ""),
    ],
)
def test_sentences_stay_or_go_and_a_blank_joins_them(text: str, left: str) -> None:
    rules = C4Lines().model_dump()
    assert edited([text]) == [left]
    assert datatroves(text, rules, -1)[1] == left


@pytest.mark.parametrize(
    ("text", "ours", "theirs"),
    [
        ("So it is.[1] Then it is not.", 2, 1),
        ("a. a. :).\n! ?. :).", 1, 2),
        ("It is so.\nThen it is not.", 2, 2),
    ],
)
def test_sentences_are_counted_once_joined_and_by_datatrove_before(text: str, ours: int, theirs: int) -> None:
    left = edited([text])
    for least in (1, 2, 3):
        quality = QUALITY.model_copy(update={"min_sentences": least})
        assert reasons_of(quality, left) == ["too_few_sentences" if ours < least else None]
        assert (datatroves(text, C4Lines().model_dump(), least)[0] is None) == (theirs >= least)


def test_a_sentence_goes_for_its_reason_and_white_space_for_none_of_the_rules() -> None:
    text = "One two three. Two. Use javascript here. Our cookie policy here. \n\n"
    spans = C4Lines(units="sentences").spans(batch_of(["x.", text]))
    reasons = [LINE_REASONS[code] for row, code in zip(spans.row, spans.reason, strict=True) if row == 1]
    assert reasons == ["too_few_words", "javascript", "policy", "white_space"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("An ant. An eel. An ox. An owl. An elk.", None),
        ("An ant. An eel. An ox.\nAn owl\nAn elk.", "too_few_sentences"),
        ("An ant.\n\nAn eel. {\nLorem ipsum.", "curly_bracket"),
        ("An ant. Lorem ipsum. An eel {", "lorem_ipsum"),
        ("An ant {. A lorem ipsum.", "curly_bracket"),
        ("An ant { lorem ipsum. An eel.", "lorem_ipsum"),
    ],
)
def test_the_first_sentence_that_is_wrong_gives_the_reason(text: str, reason: str | None) -> None:
    assert reasons_of(QUALITY, [text]) == [reason]


def test_documents_of_several_groups_of_words_keep_their_places() -> None:
    docs = ["One two three. No mark here\n" * n for n in (1, 4000, 2, 4000, 3)]
    assert edited(docs, end_marks=False) == [" ".join(spacy_twin.sentences(doc)) for doc in docs]
    assert list(QUALITY.measure(batch_of(docs))["n_sentences"]) == [
        len(spacy_twin.sentences(doc)) for doc in docs
    ]


def test_sentences_by_white_space_are_refused_beside_those_of_the_edit() -> None:
    with pytest.raises(
        ValidationError, match="expected words: spacy beside units: sentences, got words: spaces"
    ):
        C4Quality(units="sentences")


def test_no_documents_and_one_without_text_have_no_sentence() -> None:
    assert len(C4Lines(units="sentences").spans(no_documents()).row) == 0
    assert len(QUALITY.decide(QUALITY.measure(no_documents()))) == 0
    assert list(QUALITY.measure(batch_of([None, "a."]))["n_sentences"]) == [0, 1]


@pytest.mark.real
@pytest.mark.skipif(not BOOKS.exists(), reason="needs ../shared/data")
def test_verdicts_and_texts_by_sentences_are_datatroves_on_pieces_of_books() -> None:
    books = [path.read_text("utf-8", "replace") for path in sorted(BOOKS.rglob("*.txt"))[:8]]
    docs = [book[at : at + size] for book in books for at in (0, 30_000, 60_000) for size in (100, 300, 3000)]
    docs += [
        doc[:200] + insert + doc[200:] for doc in docs[::4] for insert in ("{", " Lorem ipsum ", " [1] ")
    ]
    for end_marks in (True, False):
        rules = {**C4Lines().model_dump(), "end_marks": end_marks}
        theirs = [datatroves(doc, rules, 5) for doc in docs]
        left = edited(docs, end_marks=end_marks)
        ours = reasons_of(QUALITY, left)
        assert ours == [reason for reason, _ in theirs]
        assert {None, "lorem_ipsum", "curly_bracket", "too_few_sentences"} == set(ours)
        assert [text for text, reason in zip(left, ours, strict=True) if reason is None] == [
            text for reason, text in theirs if reason is None
        ]
