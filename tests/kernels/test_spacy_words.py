"""spaCy's English words: against goldens, against the twin, and against spaCy where it is installed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels import spacy_data
from pipelines.kernels.word_spans import word_groups, word_spans
from tests.kernels.texts import as_arrays, synthetic_documents
from tests.kernels.texts import documents as any_documents
from tests.oracles import spacy_twin

many = settings(max_examples=200, deadline=None)
PEERS = Path(os.environ.get("QUERN_PEERS", ".venv-peers/bin/python"))

# Tokens as spaCy 3.8.18 gives them, a rule a line.
GOLDEN = {
    "The end. Mr. Smith, etc. (U.S.) D.C.": "The|end|.|Mr.|Smith|,|etc|.|(|U.S.|)|D.C.",
    "can't cannot dont its his Im hes. it’s": "ca|n't|can|not|do|nt|its|his|I|m|he|s.|it|’s",
    "dog's DOG'S “Hi,” ‘s ''x''": "dog|'s|DOG|'S|“|Hi|,|”|‘s|''|x|''",
    "well-known a--b a---b a----b 10-20 3-D x–y x——y": (
        "well|-|known|a|--|b|a|---|b|a----b|10|-|20|3|-|D|x|–|y|x|——|y"
    ),
    "end.Next end..Next a,b a,1 x/y x=1 1:a": "end|.|Next|end|..|Next|a|,|b|a,1|x|/|y|x=1|1|:|a",
    "5km 5km/h 5m² km 7% $5 US$5 5US$ 5+ +5 +x 20°C. 9°c.": (
        "5|km|5|km/h|5|m²|km|7|%|$|5|US$|5|5|US$|5|+|+5|+|x|20|°|C|.|9|°|c|."
    ),
    "10a.m. 1pm 13pm a. sq.-m. plan-b. A.": "10|a.m.|1|pm|13pm|a.|sq.-m|.|plan|-|b.|A.",
    ":) x:) (: :-/ >:( ¯\\(ツ)/¯ <space> ===": ":)|x|:)|(:|:-/|>:(|¯\\(ツ)/¯|<space>|=|=|=",
    "http://a.com/x,y www.a.com, a@b.org a.Com 8.8.8.8/a:b 10.0.0.1/a:b x://y": (
        "http://a.com/x,y|www.a.com|,|a@b.org|a.|Com|8.8.8.8/a:b|10.0.0.1|/|a|:|b|x://y"
    ),
    "... …… ………  so... so…… a…b ☃x x☃": "...|…|…|…|……|so|...|so|……|a|…|b|☃|x|x|☃",
    "café, naïve. Été\u00a0ab\u3000中文。 x\x1cy": "café|,|naïve|.|Été|ab|中文|。|x|y",
    "_em_ *b* #tag @me {x} \\n a|b &c": "_|em|_|*|b|*|#|tag|@me|{|x|}|\\n|a|b|&|c".replace("a|b", "a\x00b"),
}  # fmt: skip

_PIECES = st.sampled_from(
    ["the", "A", "b", "AB", "Word", "n't", "'", "''", "’s", "'S", "’", "“", '"', "(", ")", ":", ";", "-", "--", "—",
     "–", "~", ".", "..", "…", ",", "=", "/", "<", ">", "+", "*", "^", "@", "://", "http", "www.", "com", ".org",
     "1", "12", "0", "172.16", "8.8.8.8", ":80", "?q", "#x", "km", "m²", "%", "$", "US$", "€", "°", "C", "™", "_",
     "é", "É", "中", "。", "ا", "\u0301", "\u200b", "😀", "\\", "|", " ", " ", " ", "\n", "\u00a0", "\x1f", "Mr.",
     "a.m.", "e.g.", "can't", "its", "hes", "3", ":)", ":-(", "o.O", "and/or", "D", "P"]
)  # fmt: skip
_documents = st.lists(st.lists(_PIECES, max_size=30).map("".join), max_size=5) | any_documents


def words(docs: list[str]) -> list[list[str]]:
    data, offsets = as_arrays(docs)
    spans = word_spans(data, offsets, "spacy")
    found = [data[a:b].tobytes().decode() for a, b in zip(spans.starts, spans.ends, strict=True)]
    return [found[a:b] for a, b in zip(spans.offsets, spans.offsets[1:], strict=False)]


def golden_tokens(text: str) -> list[str]:
    return [token.replace("\x00", "|") for token in GOLDEN[text].split("|")]


@pytest.mark.parametrize("text", GOLDEN)
def test_words_equal_the_tokens_that_spacy_gave(text: str) -> None:
    assert words([text]) == [golden_tokens(text)]


@many
@given(_documents)
def test_words_equal_the_twins(docs: list[str]) -> None:
    assert words(docs) == [spacy_twin.words(doc) for doc in docs]


def test_words_of_long_texts_of_ten_scripts_equal_the_twins() -> None:
    docs = synthetic_documents(60, seed=5)
    assert words(docs) == [spacy_twin.words(doc) for doc in docs]


def test_every_special_case_alone_quoted_and_at_the_end_of_a_sentence_equals_the_twin() -> None:
    docs = [f'{text} "{text}" {text}. x{text} {text}, ({text})' for text in spacy_twin.RULES]
    assert len(docs) > 1300
    assert words(docs) == [spacy_twin.words(doc) for doc in docs]


def test_words_that_reach_the_end_of_the_buffer_or_of_a_document_are_cut_there() -> None:
    docs = ["abc", "defghijklmnop", "", "q", "x."]
    assert words(docs) == [["abc"], ["defghijklmnop"], [], ["q"], ["x."]]


def test_runs_at_every_place_of_a_window_of_64_bytes_and_longer_ones_equal_the_twins() -> None:
    runs = [
        "word",
        "End.",
        "it's",
        "3.5",
        "(x)",
        "10,",
        "US$5",
        "a\u00a0b",
        "w" * 62,
        "w" * 63,
        "w" * 64,
        "9" * 65,
        "-" * 70,
    ]
    docs = [
        "a" * n + " " + run + after for n in range(55, 67) for run in runs for after in ("", " ", ".", ") b")
    ]
    assert words(docs) == [spacy_twin.words(doc) for doc in docs]
    assert [words([doc])[0] for doc in docs[::7]] == [spacy_twin.words(doc) for doc in docs[::7]]


def test_digits_before_marks_units_and_special_cases_equal_the_twins() -> None:
    numbers = ["8", "8D", "5km", "7G", "1am", "10", "a9", "9a", "A9", "1990s", "0", "x2y3", "2T", "mp3"]
    docs = [f"{number}{mark}" for number in numbers for mark in ["", *".,;:!?)]}\"'#&*<>[_`{%$+-"]]
    assert words(docs) == [spacy_twin.words(doc) for doc in docs]


def test_a_slice_of_a_batch_has_the_words_of_its_documents_alone() -> None:
    data, offsets = as_arrays(["skip me.", "the end.", "", "it's"])
    spans = word_spans(data, offsets[1:], "spacy")
    found = [data[a:b].tobytes() for a, b in zip(spans.starts, spans.ends, strict=True)]
    assert (found, list(spans.offsets)) == ([b"the", b"end", b".", b"it", b"'s"], [0, 3, 3, 5])


def test_groups_hold_every_document_once_and_the_same_words() -> None:
    docs = ["one two. " * n for n in (1, 0, 18_000, 5, 3_700, 3_700, 2)]
    data, offsets = as_arrays(docs)
    groups = [
        (len(group) - 1, spans.starts.copy(), spans.ends.copy())
        for group, spans in word_groups(data, offsets, "spacy")
    ]
    whole = word_spans(data, offsets, "spacy")
    assert [n_docs for n_docs, _, _ in groups] == [2, 1, 2, 2]
    assert np.array_equal(np.concatenate([starts for _, starts, _ in groups]), whole.starts)
    assert np.array_equal(np.concatenate([ends for _, _, ends in groups]), whole.ends)
    assert list(word_groups(data, offsets[:1], "spacy")) == []


def test_a_long_run_of_marks_takes_linear_time() -> None:
    for run in (
        "=" * 200_000,
        "a@" * 100_000 + ".",
        "(" * 200_000,
        "a-" * 100_000,
        "." * 200_000,
        "x." * 100_000,
    ):
        assert "".join(words([run])[0]) == run


def spacy_tokens(docs: list[str]) -> list[list[str]]:
    script = (
        "import json, spacy, sys; t = spacy.blank('en').tokenizer\n"
        "json.dump([[w.text for w in t(d) if w.text.strip()] for d in json.load(sys.stdin)], sys.stdout)"
    )
    ran = subprocess.run(
        [PEERS, "-c", script], input=json.dumps(docs), capture_output=True, text=True, check=True
    )
    return json.loads(ran.stdout)


@pytest.mark.real
@pytest.mark.skipif(not PEERS.is_file(), reason="QUERN_PEERS names no Python that has spaCy")
def test_words_equal_spacys_on_hard_strings_and_on_books() -> None:
    if subprocess.run([PEERS, "-c", "import spacy"], capture_output=True, check=False).returncode:
        pytest.skip(f"{PEERS} has no spaCy")
    rng = np.random.default_rng(7)
    pieces = [*spacy_twin.RULES, *spacy_data.AFTER_DIGIT.split(), *".,-:/@'’1aZé中…" * 20]
    docs = ["".join(pieces[i] for i in rng.integers(0, len(pieces), 5)) for _ in range(4000)]
    books = Path("../shared/data/gutenberg/en")
    docs += [path.read_text("utf-8", "replace")[:200_000] for path in sorted(books.rglob("*.txt"))[:5]]
    different = [(a, b) for a, b in zip(words(docs), spacy_tokens(docs), strict=True) if a != b]
    assert different == []
