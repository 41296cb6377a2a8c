"""Texts at the very edge of every limit and one count beyond it: kept and dropped here as datatrove's filters do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import (
    c4_filters,
    fineweb_quality_filter,
    gopher_quality_filter,
    gopher_repetition_filter,
)

from pipelines.filters.c4 import C4Lines, C4Quality
from pipelines.filters.fineweb import FINEWEB_LIMITS, FineWebQuality
from pipelines.filters.gopher import REPETITION_LIMITS, SPACY_QUALITY_LIMITS, GopherQuality, GopherRepetition
from pipelines.spans import apply_spans
from tests.filters.batches import batch_of, reasons_of
from tests.oracles import line_twins, spacy_twin

Edge = tuple[str, str, str]


def new_words() -> Iterator[str]:
    """Words of three letters, each another one, none of which spaCy knows."""
    return map("".join, product("bfgjkqvxz", repeat=3))


def sized(n_words: int, n_chars: int, words: Iterator[str]) -> list[str]:
    """New words with so many characters together."""
    sizes = [n_chars // n_words + (k < n_chars % n_words) for k in range(n_words)]
    return [(next(words) + "qvxz" * size)[:size] for size in sizes]


def padded(text: str, n_chars: int, joiner: str = " ") -> str:
    """The text with a last word that gives it so many characters."""
    return text + joiner + "k" * (n_chars - len(text) - len(joiner))


def lines_of(n: int, n_chars: int, mark: str = "") -> list[str]:
    """Lines of six words, of so many characters each."""
    words = new_words()
    return [" ".join(sized(6, n_chars - 5 - len(mark), words)) + mark for _ in range(n)]


def repeated_pieces(reason: str, joiner: str) -> Iterator[Edge]:
    some = lines_of(6, 40)
    yield reason, joiner.join([*some, *["x"] * 4]), joiner.join([*some[:5], *["x"] * 5])
    long = "q" * 200
    core = joiner.join([*"abcdefg", long, *"hij", long])
    chars = reason.removesuffix("s") + "_chars"
    yield chars, padded(core, 1000, joiner), padded(core, 999, joiner)


def frequent_n_grams() -> Iterator[Edge]:
    for n, n_chars in ((2, 10), (3, 9), (4, 8)):
        words = new_words()
        same = " ".join(sized(n, n_chars - n + 1, words))
        core = " ".join(f"{next(words)} {next(words)} {same} {next(words)}" for _ in range(4))
        yield f"frequent_{n}_gram", padded(core, 200), padded(core, 199)


def repeated_n_grams() -> Iterator[Edge]:
    for n in range(5, 11):
        words = new_words()
        run = sized(4 * n, 10 * (20 - n), words)
        runs = [" ".join(run[at : at + n]) for at in range(0, 4 * n, n)]
        core = " ".join(f"{next(words)} {piece}" for piece in (*runs, *reversed(runs)))
        yield f"repeated_{n}_grams", padded(core, 1000), padded(core, 999)


REPETITION = [
    ("empty", "x", ""),
    *repeated_pieces("duplicate_paragraphs", "\n\n"),
    *repeated_pieces("duplicate_lines", "\n"),
    *frequent_n_grams(),
    *repeated_n_grams(),
]

STOPS = "the and"
WORDS = list(new_words())[:90]
LINE = " ".join(WORDS[:6])
TEN = ["qvxzqvxzqv"] * 56 + ["q" * 17] * 2 + STOPS.split()
NUMBERS = " ".join(["777"] * 20)
QUALITY = [
    ("too_few_words", f"{STOPS} {' '.join(WORDS[:48])}", f"{STOPS} {' '.join(WORDS[:47])} . ! ?"),
    ("too_many_words", STOPS + " bfg" * 99_998, STOPS + " bfg" * 99_999),
    ("words_too_short", " ".join(WORDS) + " the and", " ".join(WORDS)[:-1] + " the and"),
    ("words_too_long", " ".join(TEN), "q" + " ".join(TEN)),
    ("too_many_hashes", " # ".join(WORDS[:10]) + f" {' '.join(WORDS[10:88])} # {STOPS}",
     " # ".join(WORDS[:11]) + f" {' '.join(WORDS[11:88])} # {STOPS}"),
    ("too_many_ellipses", " … ".join(WORDS[:10]) + f" {' '.join(WORDS[10:88])} … {STOPS}",
     " … ".join(WORDS[:11]) + f" {' '.join(WORDS[11:88])} … {STOPS}"),
    ("too_many_bullet_lines", "\n".join([f"- {LINE}"] * 9 + [STOPS]), "\n".join([f"- {LINE}"] * 19 + [STOPS])),
    ("too_many_ellipsis_lines", "\n".join([f"{LINE} {STOPS}…"] * 3 + [LINE] * 7),
     "\n".join([f"{LINE} {STOPS}…"] * 4 + [LINE] * 6)),
    ("too_few_alphabetic_words", f"{STOPS} {' '.join(WORDS[:78])} {NUMBERS}",
     f"{STOPS} {' '.join(WORDS[:78])} {NUMBERS} 777"),
    ("too_few_stop_words", " ".join([*WORDS, "the", "and"]), " ".join([*WORDS, "the", "And"])),
]  # fmt: skip

SHORT, LONG = lines_of(100, 30, "."), lines_of(100, 31, ".")
PLAIN, ENDED = lines_of(100, 40), lines_of(100, 40, ".")
# 93 words and seven full stops on 31 lines.
FEW = "\n".join(
    line + "." * (at < 7) for at, line in enumerate(" ".join(line.split()[:3]) for line in lines_of(31, 76))
)
FINEWEB = [
    ("too_few_lines", "\n" + LONG[0], "\n \u3000\n"),
    ("too_few_ended_lines", "\n".join([*PLAIN[12:], *ENDED[:12]]), "\n".join([*PLAIN[11:], *ENDED[:11]])),
    ("too_many_short_lines", "\n".join([*SHORT[:67], *LONG[67:]]), "\n".join([*SHORT[:68], *LONG[68:]])),
    ("repeated_line_chars", padded("\n".join([*ENDED[:98], ENDED[0]]), 4098, "\n") + ".",
     padded("\n".join([*ENDED[:98], ENDED[0]]), 4097, "\n") + "."),
    ("too_many_newlines", FEW, FEW + "\n"),
]  # fmt: skip


def reasons_there(rule: object, texts: list[str]) -> list[bool]:
    """Whether datatrove's filter keeps each text."""
    return [rule.filter(Document(text=text, id="0")) is True for text in texts]


@pytest.mark.parametrize(("reason", "at", "beyond"), REPETITION, ids=[edge[0] for edge in REPETITION])
def test_repetition_at_its_edge_is_kept_and_beyond_it_dropped_on_both_sides(
    reason: str, at: str, beyond: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gopher_repetition_filter, "split_into_words", lambda text, _: spacy_twin.words(text))
    there = gopher_repetition_filter.GopherRepetitionFilter()
    assert reasons_of(GopherRepetition(words="spacy"), [at, beyond]) == [None, reason]
    assert reasons_there(there, [at, beyond]) == [True, False]


@pytest.mark.parametrize(("reason", "at", "beyond"), QUALITY, ids=[edge[0] for edge in QUALITY])
def test_quality_at_its_edge_is_kept_and_beyond_it_dropped_on_both_sides(
    reason: str, at: str, beyond: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gopher_quality_filter, "split_into_words", lambda text, _: spacy_twin.words(text))
    there = gopher_quality_filter.GopherQualityFilter()
    assert reasons_of(GopherQuality(words="spacy"), [at, beyond]) == [None, reason]
    assert reasons_there(there, [at, beyond]) == [True, False]


@pytest.mark.parametrize(("reason", "at", "beyond"), FINEWEB, ids=[edge[0] for edge in FINEWEB])
def test_finewebs_rules_at_their_edge_keep_and_beyond_it_drop_on_both_sides(
    reason: str, at: str, beyond: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fineweb_quality_filter, "split_into_words", lambda text, _: spacy_twin.words(text))
    there = fineweb_quality_filter.FineWebQualityFilter()
    assert reasons_of(FineWebQuality(words="spacy"), [at, beyond]) == [None, reason]
    assert reasons_there(there, [at, beyond]) == [True, False]


FOUR = "One two three. One two three. One two three. One two three.\n"
C4 = [
    ("word_too_long", FOUR + "One two " + "x" * 999 + ".", FOUR + "One two " + "x" * 1000 + "."),
    ("too_few_words", FOUR + "One two three.", FOUR + "One two."),
    ("no_end_mark", FOUR + "One two three..", FOUR + "One two three..."),
    ("too_few_sentences", FOUR + "One two three.", FOUR),
]


@pytest.mark.parametrize(("what", "at", "beyond"), C4, ids=[edge[0] for edge in C4])
def test_c4_at_its_edge_keeps_and_beyond_it_drops_on_both_sides(
    what: str, at: str, beyond: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(c4_filters, "split_into_sentences", lambda line, _: line_twins.sentences(line))
    assert reasons_there(c4_filters.C4QualityFilter(), [at, beyond]) == [True, False]
    batch, _ = apply_spans("c4_lines", C4Lines(), batch_of([at, beyond]))
    left = batch.column("text").to_pylist()
    assert reasons_of(C4Quality(), left) == [None, "too_few_sentences"]


def test_every_limit_has_its_edge() -> None:
    for edges, limits in (
        (REPETITION, REPETITION_LIMITS),
        (QUALITY, SPACY_QUALITY_LIMITS),
        (FINEWEB, FINEWEB_LIMITS),
    ):
        assert {edge[0] for edge in edges} == {limit.reason for limit in limits}
