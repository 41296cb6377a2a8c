"""Light words against their twin over all of Unicode, at the edges of windows, and the counts that read them."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.kernels import unicode_data
from pipelines.kernels.c4 import c4_counts
from pipelines.kernels.fineweb import fineweb_counts
from pipelines.kernels.gopher_spacy import light_quality_counts
from pipelines.kernels.light_words import CHAINED_BLOCKS, PAIRED_BLOCKS
from pipelines.kernels.repetition import repetition_counts
from pipelines.kernels.sentences import SENTENCE_END, text_classes
from pipelines.kernels.unicode import UNSPACED_BLOCKS
from pipelines.kernels.word_spans import word_groups, word_spans
from tests.kernels.texts import as_arrays, documents, repetitive_texts, synthetic_documents
from tests.oracles import kernel_twins, light_twin, line_twins

same_version = pytest.mark.skipif(
    unicodedata.unidata_version != unicode_data.UNICODE_VERSION, reason="another Unicode version"
)
# Letters, marks, digits and joins of every kind the cutter knows, and what is none of them.
_KINDS = st.sampled_from(
    ["a", "Z", "7", "0", "'", "’", ".", "·", "_", ",", "-", " ", "\n", "é", "e\u0301", "ß", "٣", "中", "文", "々", "〇",
     "は", "ー", "ゝ", "カ", "ﾞ", "ก", "เ", "ี", "่", "๓", "ၐ", "ក", "្", "ា", "\u1039", "\u200d", "\u00ad", "\ufe0f",
     "😀", "한", "।", "न", "ि", "½", "Ⅷ", "\u200b", "\0", "。", "？"]
)  # fmt: skip
made = st.lists(_KINDS, max_size=150).map("".join)
docs_of_all = documents | st.lists(made, max_size=4)


def cut(docs: list[str]) -> list[list[str]]:
    data, offsets = as_arrays(docs)
    spans, raw = word_spans(data, offsets, "light"), data.tobytes()
    found = [raw[start:end].decode() for start, end in zip(spans.starts, spans.ends, strict=True)]
    return [found[first:last] for first, last in zip(spans.offsets[:-1], spans.offsets[1:], strict=True)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't pay 1,000 for well-known U.S. wine.", ["Don't", "pay", "1,000", "for", "well", "known", "U.S", "wine"]),
        ("l’été, col·legi; rock 'n' roll''s", ["l’été", "col·legi", "rock", "n", "roll", "s"]),
        ("3.5 a,b 1,a 1,,2 x..y __init__ a_b", ["3.5", "a", "b", "1", "a", "1", "2", "x", "y", "init", "a_b"]),
        ("# -- ... | $ € → ★ 😀 \u0301 _ ' •", []),
        ("नमस्ते दुनिया। Ⅷ ½ ٣٫٥", ["नमस्ते", "दुनिया", "Ⅷ", "½", "٣", "٥"]),
        ("コンピューター Tシャツ ﾊﾞｽ", ["コンピューター", "Tシャツ", "ﾊﾞｽ"]),
        ("한국어는 띄어 쓴다.", ["한국어는", "띄어", "쓴다"]),
        ("中1998年", ["中", "1998", "年"]),
        ("中，文", ["中", "文"]),
        ("", []),
    ],
)  # fmt: skip
def test_words_are_runs_of_letters_and_numbers_with_light_joins(text: str, words: list[str]) -> None:
    assert cut([text]) == [words]
    assert light_twin.words(text) == words


@same_version
@settings(max_examples=400, deadline=None)
@given(docs_of_all)
@example(["a" * 62 + "'b", "a" * 63 + ".b", "a" * 64 + "_b", "1" * 63 + ",2", "x " * 31 + "y'é", "中" * 30])
def test_words_of_any_text_are_the_twins(docs: list[str]) -> None:
    assert cut(docs) == [light_twin.words(doc) for doc in docs]


@same_version
def test_every_character_alone_between_letters_and_between_digits_is_cut_as_the_twin_cuts_it() -> None:
    chars = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    chars = [char for char in chars if unicodedata.category(char) not in ("Cn", "Co")]
    text = " ".join(f"{char} a{char}b 1{char}2 中{char}文" for char in chars)
    assert cut([text]) == [light_twin.words(text)]


@same_version
def test_a_join_at_any_place_beside_the_end_of_a_window_is_seen() -> None:
    for join in "'’.,-":
        docs = ["x" * n + join + after for n in range(55, 70) for after in ("y", "9", "中", "é", "", " y")]
        docs += ["7" * n + join + "9" for n in range(55, 70)] + [" " * n + f"a{join}b" for n in range(55, 70)]
        assert cut(docs) == [light_twin.words(doc) for doc in docs]


def test_words_in_groups_are_those_of_the_whole_batch() -> None:
    docs = [*synthetic_documents(80, seed=3), "", "中文" * 20_000, "a"]
    data, offsets = as_arrays(docs)
    raw, found = data.tobytes(), []
    for _, spans in word_groups(data, offsets, "light"):
        found += [raw[start:end].decode() for start, end in zip(spans.starts, spans.ends, strict=True)]
    assert found == [word for words in cut(docs) for word in words]


def test_a_gram_never_parts_a_letter_from_its_marks_and_has_the_length_of_a_word() -> None:
    thai = "ภาษาไทยเป็นภาษาที่มีวรรณยุกต์และไม่มีช่องว่างระหว่างคำที่เขียนติดกันไป" * 3
    [grams] = cut([thai])
    assert "".join(grams) == thai
    assert not any(unicodedata.category(gram[0]) == "Mn" for gram in grams)
    assert 3 < len(thai) / len(grams) < 5
    han = "".join(map(chr, np.random.default_rng(1).integers(0x4E00, 0x9000, 20_000)))
    assert 1.55 < len(han) / len(cut([han])[0]) < 1.7
    assert cut(["ខ្មែរ"])[0][0].startswith("ខ្មែ"), "a letter below another is not parted from it"


@pytest.mark.parametrize("n_before", range(4))
def test_a_phrase_is_cut_alike_at_odd_and_even_places(n_before: int) -> None:
    phrase = "天地玄黃宇宙洪荒日月盈昃辰宿列張寒來暑往秋收冬藏閏餘成歲律呂調陽"
    [alone], [behind] = cut([phrase]), cut(["雲騰致雨"[:n_before] + phrase])
    assert set(alone[3:]) <= set(behind)


def test_scripts_without_spaces_are_those_of_shingles_and_more_but_katakana() -> None:
    def points(blocks: str) -> set[int]:
        return {
            point
            for item in blocks.split()
            for point in range(*(int(end, 16) + k for k, end in enumerate(item.split("-"))))
        }

    ours = points(PAIRED_BLOCKS) | points(CHAINED_BLOCKS)
    only_shingles = points(UNSPACED_BLOCKS) - ours
    assert only_shingles <= {0x3040} | {*range(0x30A0, 0x3100)} | {*range(0x31F0, 0x3200)}
    assert points("E00-EFF 1000-109F 1780-17FF 4E00-9FFF") <= ours


STOPS = kernel_twins.STOP_WORDS | {"中", "々", "は", "ก", "é", "中文"}


def light_quality(text: str) -> dict[str, int]:
    words, lines = light_twin.words(text), text.splitlines()
    found = {kernel_twins.ascii_lower(word) for word in words}
    found |= {char for word in words if light_twin.kind(word[0]) == "h" for char in word}
    return {
        "n_words": len(words),
        "n_word_chars": sum(map(len, words)),
        "n_alpha_words": sum(any(kernel_twins.is_alphabetic(char) for char in word) for word in words),
        "n_stop_words": len(STOPS & found),
        "n_hashes": text.count("#"),
        "n_ellipses": text.count("...") + text.count("…"),
        "n_lines": len(lines),
        "n_bullet_lines": sum(line.lstrip().startswith(("•", "-")) for line in lines),
        "n_ellipsis_lines": sum(line.rstrip().endswith(("...", "…")) for line in lines),
    }


def rows(counts: dict) -> list[dict[str, int]]:
    return [dict(zip(counts, map(int, row), strict=True)) for row in zip(*counts.values(), strict=True)]


@same_version
@settings(max_examples=150, deadline=None)
@given(docs_of_all)
@example(["The BE to, Of; haVe 'with'", "１ ２ the"])
def test_quality_counts_over_light_words_are_the_twins(docs: list[str]) -> None:
    counts = light_quality_counts(*as_arrays(docs), stop_words=tuple(sorted(STOPS)))
    assert rows(counts) == [light_quality(doc) for doc in docs]


@same_version
@settings(max_examples=150, deadline=None)
@given(st.lists(repetitive_texts | made.map(lambda text: text * 3), max_size=4))
def test_repetition_counts_over_light_words_are_the_twins(docs: list[str]) -> None:
    expected = [
        kernel_twins.counts_over(
            light_twin.words(doc), doc, newline=r"(?:\r?\n)", stripped=doc.strip(kernel_twins.WHITE_SPACE)
        )
        for doc in docs
    ]
    assert rows(repetition_counts(*as_arrays(docs), words="light")) == expected


@same_version
@settings(max_examples=150, deadline=None)
@given(docs_of_all)
def test_fineweb_counts_over_light_words_differ_in_the_words_alone(docs: list[str]) -> None:
    expected = [
        line_twins.fineweb_counts(doc, short_line_chars=30) | {"n_words": len(light_twin.words(doc))} for doc in docs
    ]  # fmt: skip
    assert rows(fineweb_counts(*as_arrays(docs), words="light")) == expected


ENDS = {chr(point) for point in range(0x110000) if text_classes()[point] & SENTENCE_END}
ENDS |= set("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")


def light_sentences(text: str) -> int:
    """Words that are the first of their sentence: a mark or line end stands between them and the one before."""
    n_sentences, at, ended = 0, 0, True
    for word in light_twin.words(text):
        start = text.index(word, at)
        n_sentences += ended or bool(ENDS & {*text[at:start]})
        at, ended = start + len(word), False
    return n_sentences


@same_version
@settings(max_examples=150, deadline=None)
@given(docs_of_all)
@example(["3.5 m.去吗?好", "", "...", "Mr. X\nY！", "a.b a. b"])
def test_sentences_over_light_words_are_the_twins(docs: list[str]) -> None:
    counts = c4_counts(*as_arrays(docs), words="light")["n_sentences"]
    assert counts.tolist() == [light_sentences(doc) for doc in docs]


@pytest.mark.parametrize(
    ("text", "n_sentences"),
    [("是吗?好。走！", 3), ("Version 3.5 of U.S. law. Next", 3), ("One\nTwo\n\n", 2), ("?!", 0)],
)
def test_a_mark_of_any_script_ends_a_sentence_unless_it_stands_in_a_word(text: str, n_sentences: int) -> None:
    assert c4_counts(*as_arrays([text]), words="light")["n_sentences"].tolist() == [n_sentences]
