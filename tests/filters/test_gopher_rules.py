"""Gopher's rules: the reason on either side of every limit, and the same verdicts as datatrove's."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import gopher_quality_filter as datatrove_quality
from datatrove.pipeline.filters import gopher_repetition_filter as datatrove
from pydantic import ValidationError

from pipelines.filters.gopher import (
    QUALITY_LIMITS,
    REPETITION_LIMITS,
    SPACY_QUALITY_LIMITS,
    GopherQuality,
    GopherRepetition,
)
from pipelines.filters.labels import SPACED, UNSPACED
from pipelines.filters.limits import Limit
from pipelines.kernels.gopher import QUALITY_COUNTS
from pipelines.kernels.repetition import REPETITION_COUNTS
from pipelines.stage import Rule
from tests.filters.batches import batch_of, no_documents, reasons_of
from tests.kernels.texts import synthetic_documents
from tests.oracles import kernel_twins, spacy_twin

BOOKS = Path(__file__).parents[3] / "shared" / "data" / "gutenberg" / "en"
GOOD = {"n_words": 1000, "n_word_chars": 5000, "n_alpha_words": 1000, "n_stop_words": 8, "n_lines": 100}
QUALITY_GOOD = {name: GOOD.get(name, 0) for name in QUALITY_COUNTS}
REPETITION_GOOD = {
    **dict.fromkeys(REPETITION_COUNTS, 0),
    "n_chars": 10_000,
    "n_lines": 100,
    "n_paragraphs": 100,
}

SPACY = GopherQuality(words="spacy")
cases = [(GopherQuality(), limit, QUALITY_GOOD) for limit in QUALITY_LIMITS]
cases += [(SPACY, limit, {**QUALITY_GOOD, "n_tokens": 1200}) for limit in SPACY_QUALITY_LIMITS]
cases += [(GopherRepetition(), limit, REPETITION_GOOD) for limit in REPETITION_LIMITS]
each_limit = pytest.mark.parametrize(
    ("rule", "limit", "good"),
    cases,
    ids=[f"{rule.name}-{limit.reason}-{limit.per}" for rule, limit, _ in cases],
)


def verdict(rule: Rule, values: dict[str, int]) -> str | None:
    [code] = rule.decide({name: np.array([value]) for name, value in values.items()})
    return rule.reasons[code - 1] if code else None


def at_the_limit(rule: Rule, limit: Limit, good: dict[str, int]) -> int:
    per = good[limit.per] if limit.per else 1
    count = Fraction(str(getattr(rule, limit.field))) * per
    assert count.denominator == 1
    return int(count)


@each_limit
def test_a_limit_keeps_what_meets_it_and_drops_one_count_beyond(rule, limit, good) -> None:
    edge = at_the_limit(rule, limit, good)
    beyond = edge - 1 if limit.is_minimum else edge + 1
    # Other limits are off: a number of words is the denominator of many.
    alone = rule.model_copy(update={other.field: None for _, other, _ in cases if other.field != limit.field})
    assert verdict(alone, {**good, limit.of: edge}) is None
    assert verdict(alone, {**good, limit.of: beyond}) == limit.reason


@each_limit
def test_a_limit_of_none_is_off_and_a_limit_of_zero_is_not(rule, limit, good) -> None:
    broken = {**good, limit.of: -1 if limit.is_minimum else 10**9}
    off = rule.model_copy(update={limit.field: None})
    assert verdict(off, broken) != limit.reason
    assert limit.reason not in off.limits()
    zero = rule.model_copy(update={limit.field: 0})
    assert verdict(zero, broken) is not None
    assert limit.reason in zero.limits()


def test_the_first_limit_a_document_breaks_gives_the_reason() -> None:
    values = {**QUALITY_GOOD, "n_stop_words": 0, "n_hashes": 900}
    assert verdict(GopherQuality(), values) == "too_many_hashes"


PROSE = "It was the best of times, it was the worst of times, we have that to be with and of it. "
WORDS = " ".join(f"w{chr(97 + i % 26)}{chr(97 + i // 26)}x" for i in range(200))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PROSE * 10, None),
        (PROSE, "too_few_words"),
        ("", "too_few_words"),
        ("a " * 60, "words_too_short"),
        ("incomprehensibilities " * 60, "words_too_long"),
        (PROSE * 10 + "#" * 100, "too_many_hashes"),
        (PROSE * 10 + " there... " * 30, "too_many_ellipses"),
        ("\n".join(["- something the and of another listed thing"] * 20), "too_many_bullet_lines"),
        (
            "\n".join(["together with the remaining something and another matter of greater weight..."] * 20),
            "too_many_ellipsis_lines",
        ),
        (PROSE * 5 + " 12345 6789" * 30, "too_few_alphabetic_words"),
        ("lorem ipsum dolor sit amet " * 20, "too_few_stop_words"),
    ],
)
def test_gopher_quality_gives_the_reason(text: str, reason: str | None) -> None:
    assert reasons_of(GopherQuality(), [text]) == [reason]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (WORDS, None),
        ("", "empty"),
        ("same\n\n" * 5 + WORDS, "duplicate_paragraphs"),
        (f"{WORDS}\n\n{WORDS}\n\nand {WORDS}\n\nmore\n\nyet", "duplicate_paragraph_chars"),
        ("\n".join(["same"] * 5 + WORDS.split()[:6]), "duplicate_lines"),
        (f"{WORDS}\n{WORDS}\na\nb\nc", "duplicate_line_chars"),
        (WORDS + " to be" * 60, "frequent_2_gram"),
        (WORDS + " ".join(f"{i} aaaaaaa bbbbbbb ccccccc {i}" for i in range(12)), "frequent_3_gram"),
        (" ".join(WORDS.split()[:80]) + " " + " ".join(WORDS.split()[:40]), "repeated_5_grams"),
    ],
)
def test_gopher_repetition_gives_the_reason(text: str, reason: str | None) -> None:
    rule = GopherRepetition()
    if reason == "frequent_3_gram":
        rule = rule.model_copy(update={"max_top_2_gram_frac": None})
    assert reasons_of(rule, [text]) == [reason]


OURS_FOR_DATATROVES = {
    "empty": "empty",
    "dup_para_frac": "duplicate_paragraphs",
    "dup_para_char_frac": "duplicate_paragraph_chars",
    "dup_line_frac": "duplicate_lines",
    "dup_line_char_frac": "duplicate_line_chars",
    **{f"top_{n}_gram": f"frequent_{n}_gram" for n in (2, 3, 4)},
    **{f"duplicated_{n}_n_grams": f"repeated_{n}_grams" for n in range(5, 11)},
}


TWINS = {"spaces": kernel_twins.words, "spacy": spacy_twin.words}
both_words = pytest.mark.parametrize("words", TWINS)


def assert_same_reasons_as_datatrove(texts: list[str], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datatrove, "split_into_words", lambda text, language: TWINS[words](text))
    theirs = datatrove.GopherRepetitionFilter()
    expected = [theirs.filter(Document(text=text, id="0")) for text in texts]
    reasons = [None if found is True else OURS_FOR_DATATROVES[found[1]] for found in expected]
    assert reasons_of(GopherRepetition(words=words), texts) == reasons
    assert len(set(reasons)) > 2, "the texts should break several limits"


@both_words
def test_repetition_gives_datatroves_reasons(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = "\r" if words == "spaces" else "\0"  # where our newlines are not datatrove's
    texts = [text.replace(gone, "") or "x" for text in synthetic_documents(150, seed=9)]
    texts += [text[: len(text) // 5] * 2 + text for text in texts if len(text) > 200]
    texts += [(text[:40] + "\n") * 3 + text for text in texts[:50]]
    assert_same_reasons_as_datatrove(texts, words, monkeypatch)


def test_a_newline_of_windows_is_one_and_to_datatrove_a_line_of_its_own() -> None:
    text = "\r\n\r\n".join(WORDS.split()[:40])
    assert reasons_of(GopherRepetition(), [text]) == [None]
    assert reasons_of(GopherRepetition(words="spacy"), [text]) == ["duplicate_lines"]


@pytest.mark.real
@pytest.mark.skipif(not BOOKS.exists(), reason="needs ../shared/data")
@both_words
def test_repetition_gives_datatroves_reasons_on_pieces_of_books(words: str, monkeypatch) -> None:
    books = [path.read_text("utf-8", "replace") for path in sorted(BOOKS.rglob("*.txt"))[:12]]
    texts = [
        book[at : at + size] for book in books for at in range(0, 60_000, 10_000) for size in (80, 300, 3000)
    ]
    assert_same_reasons_as_datatrove([text for text in texts if text], words, monkeypatch)


OURS_FOR_DATATROVES_QUALITY = {
    "gopher_short_doc": "too_few_words",
    "gopher_long_doc": "too_many_words",
    "gopher_below_avg_threshold": "words_too_short",
    "gopher_above_avg_threshold": "words_too_long",
    "gopher_too_many_hashes": "too_many_hashes",
    "gopher_too_many_ellipsis": "too_many_ellipses",
    "gopher_too_many_bullets": "too_many_bullet_lines",
    "gopher_too_many_end_ellipsis": "too_many_ellipsis_lines",
    "gopher_below_alpha_threshold": "too_few_alphabetic_words",
    "gopher_enough_stop_words": "too_few_stop_words",
}


def assert_datatroves_quality(texts: list[str], monkeypatch: pytest.MonkeyPatch) -> set[str | None]:
    monkeypatch.setattr(datatrove_quality, "split_into_words", lambda text, language: spacy_twin.words(text))
    theirs = datatrove_quality.GopherQualityFilter()
    found = [theirs.filter(Document(text=text, id="0")) for text in texts]
    reasons = [None if kept is True else OURS_FOR_DATATROVES_QUALITY[kept[1]] for kept in found]
    assert reasons_of(SPACY, texts) == reasons
    return set(reasons)


def test_quality_over_spacys_words_gives_datatroves_reasons_beside_every_limit(monkeypatch) -> None:
    line = "something of the other\n"
    listed, trailed = "- " + line, "something of the other...\n"
    texts = [PROSE * 10 + "#" * n for n in range(20, 40)]
    texts += [PROSE * 10 + " ... " * n for n in range(20, 40)]
    texts += [listed * n + line * (100 - n) for n in range(85, 95)]
    texts += [trailed * n + line * (100 - n) for n in range(25, 35)]
    texts += ["of the best 12 " * 20 + "3 " * n for n in range(20)]
    texts += ["the of " * n + "a! " * 60 for n in range(40)] + ["the of x, " * n for n in range(10, 25)]
    texts += ["incomprehensibly " * n + "of the " * 9 for n in range(80)]
    texts += ["Of The lorem ipsum. " * 20, "Of the lorem ipsum, and " * 20, "the of " * 50_001]
    assert assert_datatroves_quality(texts, monkeypatch) == {None, *OURS_FOR_DATATROVES_QUALITY.values()}


@pytest.mark.real
@pytest.mark.skipif(not BOOKS.exists(), reason="needs ../shared/data")
def test_quality_over_spacys_words_gives_datatroves_reasons_on_pieces_of_books(monkeypatch) -> None:
    books = [path.read_text("utf-8", "replace") for path in sorted(BOOKS.rglob("*.txt"))[:12]]
    texts = [
        book[at : at + size] for book in books for at in range(0, 60_000, 10_000) for size in (300, 3000)
    ]
    assert assert_datatroves_quality([text for text in texts if text], monkeypatch) >= {None, "too_few_words"}


def test_a_batch_of_no_documents_and_a_document_without_text_are_measured() -> None:
    for words in ("spaces", "spacy", "light"):
        check = [GopherQuality(words=words), GopherRepetition(words=words)]
        assert all(len(rule.decide(rule.measure(no_documents()))) == 0 for rule in check)
    for rule in (GopherQuality(), SPACY, GopherRepetition(), GopherRepetition(words="light")):
        assert len(rule.decide(rule.measure(no_documents()))) == 0
        assert all(values.dtype == np.int64 for values in rule.measure(batch_of([None, "a"])).values())


def test_one_value_has_one_spelling_among_the_parameters() -> None:
    assert GopherQuality(min_mean_word_chars=3).params() == GopherQuality().params()


def test_more_stop_words_than_bits_are_refused() -> None:
    with pytest.raises(ValidationError):
        GopherQuality(stop_words=tuple(map(str, range(65))))


def test_repetition_is_for_languages_with_spaces() -> None:
    assert not {*SPACED} & {*UNSPACED}
    assert {"en", "de", "ko", "vi"} <= {*GopherRepetition.languages}
    chinese = "".join(map(chr, range(0x4E00, 0x4E64))) + "。\n" + "".join(map(chr, range(0x4F00, 0x4F64)))
    assert reasons_of(GopherRepetition(), [chinese]) == ["frequent_2_gram"], "why zh is not among them"


CHINESE = (
    "人們說那是最美好的時代，也是最糟糕的時代；那是智慧的年頭，也是愚昧的年頭；那是信仰的時期，也是懷疑的時期。"
    "我們在市場上看見許多人，有的在賣魚，有的在買米，孩子和狗在街上跑。老人坐在門前，不說話，只看著河水慢慢流走。"
    "到了晚上，燈一盞一盞亮起來，船也回到了岸邊，漁夫把網收好，慢慢走回家去吃飯。"
)
OF_CHINESE = {
    "words": "light",
    "stop_words": tuple("的年在月是和日了於為有被人中他與後也而由"),
    "min_mean_word_chars": 1,
    "max_mean_word_chars": 5,
}


def test_chinese_passes_by_light_words_with_limits_of_its_own_and_not_by_spaces() -> None:
    quality, repetition = GopherQuality(**OF_CHINESE), GopherRepetition(words="light")
    assert reasons_of(quality, [CHINESE, CHINESE[:40], "天地玄黃" * 30]) == [
        None,
        "too_few_words",
        "too_few_stop_words",
    ]
    assert reasons_of(GopherQuality(**{**OF_CHINESE, "words": "spaces"}), [CHINESE]) == ["too_few_words"]
    assert reasons_of(repetition, [CHINESE]) == [None]
    assert reasons_of(GopherQuality(words="light"), [PROSE * 10]) == [None], "and English with its own"


def test_a_phrase_repeated_inside_lines_without_spaces_is_found_wherever_it_stands() -> None:
    pieces = [CHINESE[at : at + 5 + at % 4].strip("，。；") for at in range(0, 120, 6)]
    text = "".join(piece + "專業代開各類發票" for piece in pieces)
    assert reasons_of(GopherRepetition(words="light"), [text]) != [None]
    assert reasons_of(GopherRepetition(words="light"), ["".join(pieces)]) == [None]


def test_the_limits_shown_are_the_quantities_tested() -> None:
    shown = GopherRepetition(max_dup_line_frac=None).limits()
    assert shown["frequent_2_gram"] == ("top_2_gram_chars / n_chars", "<= 0.2")
    assert "duplicate_lines" not in shown
    assert GopherQuality().limits()["too_few_words"] == ("n_words", ">= 50")
