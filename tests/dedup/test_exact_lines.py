"""ExactLines: which of equal lines goes, by dictionaries; whatever reads a text afterwards reads it without them."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipelines.cuts import CUTS, without_cuts
from pipelines.dedup import ExactLines
from tests.dedup.documents import as_docs
from tests.harness_gather import Corpus
from tests.oracles.kernel_twins import shingle_words

LINES = [
    "",
    " ",
    "home",
    " home\t",
    "Home",
    "menu",
    "menu\r",
    "中文",
    "a longer line",
    "...",
    "\u00a0",
    "\u2003x",
]
texts = st.none() | st.lists(st.sampled_from(LINES), max_size=6).map("\n".join)
parts = st.lists(st.lists(texts, max_size=6), max_size=3)
corpora = st.fixed_dictionaries({"web": parts, "books": parts})


def cut_texts(corpus, result):
    """The texts as whoever comes later reads them."""
    given = [text for parts in corpus.sources.values() for part in parts for text in part]
    column = pa.chunked_array([pa.array(given, pa.large_string())])
    return without_cuts(column, [pa.concat_tables(result.tables())] if given else []).to_pylist()


def expected(corpus, *, normalised, keep, min_chars):
    """Of each document its text without the lines that go, None where none is left; and the lines, for the count."""
    places = defaultdict(list)
    docs = as_docs(corpus)
    for number, doc in enumerate(docs):
        for at, line in enumerate((doc.text or "").split("\n")):
            key = " ".join(shingle_words(line)) if normalised else line.strip()
            if key and len(line.strip()) >= min_chars:
                places[key].append((doc.rank, doc.id, at, number))
    goes = defaultdict(set)
    for found in places.values():
        for _, _, at, number in sorted(found)[1 if keep == "first" else 0 :]:
            if len(found) > 1:
                goes[number].add(at)
    left = []
    for number, doc in enumerate(docs):
        lines = (doc.text or "").split("\n")
        kept = [line for at, line in enumerate(lines) if at not in goes[number]]
        if kept and len(lines) - 1 in goes[number]:
            kept[-1] = kept[-1].removesuffix("\r")  # what ended the line before goes with a last one
        falls = goes[number] and not any(line.strip() for line in kept)
        left.append(None if falls or doc.text is None else "\n".join(kept))
    return left


@pytest.mark.parametrize("by", ["text", "normalised"])
@pytest.mark.parametrize("keep", ["first", "none"])
@given(
    sources=corpora, shuffle=st.integers(0, 9), buckets=st.integers(1, 4), min_chars=st.sampled_from([0, 5])
)
@settings(max_examples=40, deadline=None)
def test_the_lines_that_go_are_those_of_dictionaries(
    tmp_path_factory, by, keep, sources, shuffle, buckets, min_chars
):
    corpus = Corpus(tmp_path_factory.mktemp("lines"), sources)
    stage = ExactLines(by=by, keep=keep, min_chars=min_chars)
    result = corpus.run(stage, shuffle=shuffle, axes={"match": buckets})
    wanted = expected(corpus, normalised=by == "normalised", keep=keep, min_chars=min_chars)
    found = cut_texts(corpus, result)
    fallen = result.column("verdict")
    assert [None if v else t for v, t in zip(fallen, found, strict=True)] == wanted
    tally = result.tally()
    assert (tally.n_read, tally.n_dropped) == (len(wanted), sum(fallen))
    assert tally.bytes_kept == sum(len((text or "").encode()) for text in wanted)


def test_paragraphs_are_compared_whole_and_go_with_the_blank_line_behind(tmp_path):
    one = "first line\nsecond line"
    corpus = Corpus(
        tmp_path, {"a": [[f"{one}\n\nstory\n"]], "b": [[f"head\n\n{one}\n \n\nend", "second line"]]}
    )
    result = corpus.run(ExactLines(unit="paragraph"))
    assert cut_texts(corpus, result)[1:] == ["head\n\n\nend", "second line"]
    assert result.column("cut_lines") == [None, 1, None]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_last_line_goes_with_what_ended_the_line_before(tmp_path, end):
    texts = [f"story{end}menu", f"menu{end}tale", f"{end}x{end}menu{end}menu", f"lines{end}menu{end}"]
    corpus = Corpus(tmp_path, {"a": [texts]})
    result = corpus.run(ExactLines(keep="none"))
    assert cut_texts(corpus, result) == ["story", "tale", f"{end}x", f"lines{end}"]


def test_evidence_names_the_lines_and_a_document_that_has_them_too(tmp_path):
    corpus = Corpus(tmp_path, {"a": [["home\nA story."]], "b": [["home\nmenu\nNews.", "menu\nMore."]]})
    result = corpus.run(ExactLines(keep="none"))
    assert [result.column(name) for name in CUTS] == [
        [[0], [0], [0]],
        [[5], [10], [5]],
    ]
    [[a], [b, _]] = corpus.ids
    assert result.column("also_in") == [b, a, b]
    assert result.column("cut_lines") == [1, 2, 1]
    facts = result.tasks["match"][0].facts
    assert (facts["n_repeated"], facts["n_lines"]) == (2, 4)


def test_a_text_of_which_too_much_goes_falls_whole(tmp_path):
    corpus = Corpus(tmp_path, {"a": [["home page\nx", "home page\n" + "y" * 100]]})
    result = corpus.run(ExactLines(keep="none", max_cut_frac=0.5))
    assert result.verdicts() == [[1, 0]]
    assert result.tally().dropped == {"exact_lines": {"repeated_lines": 1}}


def test_a_document_that_may_fall_whole_keeps_no_line_for_others():
    with pytest.raises(
        ValidationError, match=r"expected keep: none beside max_cut_frac: 0\.5, got keep: first"
    ):
        ExactLines(max_cut_frac=0.5)


def test_marking_cuts_nothing_and_counts_no_cut(tmp_path):
    corpus = Corpus(tmp_path, {"a": [["home\nA story.", "home\nB"]]})
    result = corpus.run(ExactLines(keep="none", action="mark"))
    assert result.tasks["verdict"][0].facts["n_lines_cut"] == 0
    assert result.tally().bytes_kept == len("home\nA story.home\nB")


def test_the_bytes_depend_neither_on_the_order_of_units_nor_on_the_number_of_ranges(tmp_path):
    rng = np.random.default_rng(3)
    pages = [["\n".join(f"line {n}" for n in rng.integers(0, 300, 9)) for _ in range(20)] for _ in range(4)]
    corpus = Corpus(tmp_path, {"a": pages[:2], "b": pages[2:]})
    wanted = corpus.run(ExactLines()).digests()
    assert corpus.run(ExactLines(), shuffle=4).digests() == wanted
    verdicts = [d for d in wanted if d[0] == "verdict"]
    again = corpus.run(ExactLines(), shuffle=1, axes={"match": 5}).digests()
    assert [d for d in again if d[0] == "verdict"] == verdicts


@pytest.mark.real
def test_lines_of_pages_that_stand_twice_go_as_labelled(tmp_path):
    folder = Path(__file__).resolve().parents[3] / "shared/data/dedup/cs336"
    if not folder.exists():
        pytest.skip("no ../shared/data")
    before, after = (
        [path.read_text() for path in sorted((folder / name).glob("*.txt"))]
        for name in ("documents_with_line_duplicates", "documents_line_deduplicated")
    )
    corpus = Corpus(tmp_path, {"a": [before]})
    result = corpus.run(ExactLines(keep="none"))
    found = [
        "" if fallen else text
        for fallen, text in zip(result.column("verdict"), cut_texts(corpus, result), strict=True)
    ]
    assert len(found) == 5
    assert [text.strip() for text in found] == [text.strip() for text in after]
