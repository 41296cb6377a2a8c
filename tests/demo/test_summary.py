"""What the demo says at its end, and when it says that something went wrong."""

import dataclasses
from xml.etree import ElementTree as ET

import pytest

from corpus_tools.demo.summary import Result, check_result, known_frac, show_result, words_of
from manifests.errors import QuernError

GOOD = Result(
    losses=tuple((step, 8 - step / 20) for step in range(1, 101)),
    bpb={
        "uniform": {"web": 3.2, "code": 3.4},
        "unigram": {"web": 2.6, "code": 2.8},
        "byte_bigram": {"web": 3.6, "code": 3.8},
        "bigram": {"web": 1.7, "code": 1.9},
        "model": {"web": 1.5, "code": 1.7},
    },
    samples=(("def ", "def wrap(text)", 0.9), ("This", "This module", 0.61)),
    n_text_bytes=7_000_000,
    n_sources=3,
)


def test_a_word_is_known_only_in_the_very_form_it_was_read():
    assert words_of("def _wrap2(x): # naïve, 70") == ["def", "_wrap2", "x", "naïve"]
    assert known_frac("wrap Wrap wrap unwrap", {"wrap"}) == 0.5
    assert known_frac("1 + 2", {"wrap"}) == 0.0


def test_a_model_that_beats_counting_and_writes_known_words_passes():
    check_result(GOOD)


@pytest.mark.parametrize("less", [{"n_text_bytes": 4_900_000}, {"n_sources": 2}])
def test_a_corpus_of_little_text_is_refused(less):
    with pytest.raises(QuernError, match=r"expected at least 5\.0 MB of text from 3 sources"):
        check_result(dataclasses.replace(GOOD, **less))


@pytest.mark.parametrize("line", ["unigram", "byte_bigram"])
def test_a_model_no_better_than_counting_is_refused_by_name(line):
    worse = dataclasses.replace(GOOD, bpb={**GOOD.bpb, line: GOOD.bpb["model"]})
    with pytest.raises(QuernError, match=line.replace("_", " ")):
        check_result(worse)


def test_a_sample_of_unknown_words_is_refused_by_its_prompt():
    worse = dataclasses.replace(GOOD, samples=(*GOOD.samples, ("import ", "import zzz", 0.59)))
    with pytest.raises(QuernError, match=r'sample "import ": expected at least 60%'):
        check_result(worse)


def test_the_end_shows_curve_bits_samples_and_what_to_do_next(tmp_path):
    text = show_result(GOOD, tmp_path, seconds=480)
    for shown in (
        "8.0 minutes",
        "token unigram",
        "byte bigram",
        "interpolated",
        "this model",
        "61%",
        "7.0 MB",
        "quern init",
    ):
        assert shown in text, shown
    assert text.count("*") > 20


def test_the_loss_curve_is_a_picture_that_stands_alone(tmp_path):
    show_result(GOOD, tmp_path, seconds=480)
    root = ET.parse(tmp_path / "loss.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.findall(".//{http://www.w3.org/2000/svg}path")
