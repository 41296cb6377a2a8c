"""The language rule: what it calls, where it looks, and what it does at its limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from manifests.errors import DigestError, MissingFileError
from pipelines.filters.labels import SPACED, UNSPACED
from pipelines.filters.language import LID_176_SHA256, Language, cut, load_model, shipped_model
from tests.filters.batches import batch_of, no_documents, reasons_of

SENTENCES = Path(__file__).parents[3] / "shared" / "data" / "langid" / "lingua-sentences"
ENGLISH = "It was the best of times, it was the worst of times, it was the age of wisdom. "
NOTHING = "1"  # no language: the model says "en" with a score of .12
GERMAN = "Es war die beste und die schlimmste aller Zeiten, ein Jahrhundert der Weisheit. "
TEXTS = {
    "en": ENGLISH,
    "de": GERMAN,
    "fr": "C'était le meilleur et le pire de tous les temps, le siècle de la folie et celui de la sagesse.",
    "ru": "Это было самое прекрасное время, это было самое злосчастное время, век мудрости, век безумия.",
    "zh": "那是最美好的时代，那是最糟糕的时代；那是智慧的年头，那是愚昧的年头。",
    "ja": "それはあらゆる時代の中で最良の時代であり、最悪の時代でもあった。",
    "ar": "كان أحسن الأزمان، وكان أسوأ الأزمان. كان عصر الحكمة، وكان عصر الحماقة.",
    "hi": "वह सबसे अच्छा समय था, वह सबसे बुरा समय था, वह बुद्धिमानी का युग था।",
    "th": "มันเป็นช่วงเวลาที่ดีที่สุด มันเป็นช่วงเวลาที่เลวร้ายที่สุด",
    "el": "Ήταν τα καλύτερα χρόνια, ήταν τα χειρότερα χρόνια, ήταν τα χρόνια της σοφίας.",
}


def values(*pairs: tuple[str | None, float]) -> dict[str, object]:
    labels, scores = zip(*pairs, strict=True)
    return {"language": pa.array(labels, pa.string()), "language_score": np.array(scores, np.float32)}


def verdicts(rule: Language, *pairs: tuple[str | None, float]) -> list[str | None]:
    return [rule.reasons[code - 1] if code else None for code in rule.decide(values(*pairs))]


def test_ten_languages_are_told_apart_by_their_labels() -> None:
    measured = Language().measure(batch_of(list(TEXTS.values())))
    assert measured["language"].to_pylist() == list(TEXTS)
    assert measured["language"].type == pa.string()
    assert measured["language_score"].dtype == np.float32
    assert (measured["language_score"] <= 1).all()


def test_other_languages_and_unsure_ones_are_dropped_with_their_reasons() -> None:
    rule = Language(keep=("en",))
    assert reasons_of(rule, [ENGLISH, GERMAN, NOTHING, "", None, " \n "]) == [
        None,
        "other_language",
        "unsure_language",
        "other_language",
        "other_language",
        "other_language",
    ]


def test_a_score_at_the_limit_is_kept_and_the_next_float32_below_is_not() -> None:
    edge = np.float32(0.65)
    below = np.nextafter(edge, np.float32(0), dtype=np.float32)
    assert verdicts(Language(keep=("en",)), ("en", edge), ("en", below), ("de", below)) == [
        None,
        "unsure_language",
        "other_language",
    ]


def test_some_languages_may_have_limits_of_their_own() -> None:
    rule = Language(min_scores={"de": 0.5, "fr": 0.9})
    given = (("de", 0.5), ("de", 0.49), ("fr", 0.89), ("en", 0.65), ("en", 0.64), (None, 0.0))
    unsure = "unsure_language"
    assert verdicts(rule, *given) == [None, unsure, unsure, None, unsure, unsure]
    assert rule.limits()["unsure_language"] == ("language_score", ">= 0.65, >= 0.5 for de, >= 0.9 for fr")
    with pytest.raises(ValidationError, match='got "eng"'):
        Language(min_scores={"eng": 0.5})


def test_a_strict_limit_drops_the_score_that_equals_it() -> None:
    edge = np.float32(0.65)
    above = np.nextafter(edge, np.float32(1), dtype=np.float32)
    rule = Language(min_score=None, above_score=0.65)
    assert verdicts(rule, ("en", edge), ("en", above)) == ["unsure_language", None]
    assert rule.limits() == {"unsure_language": ("language_score", "> 0.65")}


def test_a_limit_of_none_is_off() -> None:
    assert verdicts(Language(), ("de", 0.9), (None, 0.0)) == [None, "unsure_language"]
    assert verdicts(Language(min_score=None), ("de", 0.1), (None, 0.0)) == [None, None]
    assert Language(min_score=None).limits() == {}
    assert verdicts(Language(min_score=0.0), (None, 0.0)) == [None]
    assert Language(keep=("en", "de")).limits() == {
        "other_language": ("language", "in en, de"),
        "unsure_language": ("language_score", ">= 0.65"),
    }


def test_long_texts_are_read_in_eight_windows_in_the_middle_of_their_eighths() -> None:
    offsets = np.array([0, 8192, 8192 + 16_000, 8192 + 16_000 + 8193], np.int64)
    pieces = cut(offsets, whole_up_to=8192)
    assert pieces.first.tolist() == [0, 1, 9, 17]
    assert (pieces.starts[0], pieces.stops[0]) == (0, 8192)
    assert (pieces.starts[1:9] - 8192).tolist() == [1000 + 2000 * i - 512 for i in range(8)]
    assert (pieces.stops - pieces.starts)[1:].tolist() == [1024] * 16
    assert pieces.starts[9] >= offsets[2]
    assert pieces.stops[16] <= offsets[3]
    assert cut(offsets, whole_up_to=None).stops.tolist() == offsets[1:].tolist()


def test_a_page_that_opens_in_another_language_is_named_by_its_body() -> None:
    page = ENGLISH * 6 + GERMAN * 200
    assert reasons_of(Language(keep=("de",)), [page]) == [None]


def test_windows_that_leave_it_unsure_send_the_whole_text() -> None:
    # The windows meet what is no language; what is between them is German.
    gap = "1" * 1200
    text = (GERMAN * 3 + gap + " " + GERMAN * 3) * 8
    rule, never = Language(), Language(whole_below=None)
    pieces = cut(np.array([0, len(text)], np.int64), whole_up_to=8192)
    assert "Zeiten" not in "".join(text[i:j] for i, j in zip(pieces.starts, pieces.stops, strict=True))
    assert never.measure(batch_of([text]))["language_score"][0] < 0.65
    found = rule.measure(batch_of([ENGLISH, text, GERMAN]))
    alone = Language(whole_up_to=None).measure(batch_of([text]))
    assert found["language"].to_pylist() == ["en", "de", "de"]
    assert found["language_score"][1] == alone["language_score"][0]


def test_what_a_text_is_does_not_depend_on_the_texts_beside_it() -> None:
    texts = [*TEXTS.values(), GERMAN * 300, "", "x" * 50]
    together = Language().measure(batch_of(texts))
    for row, text in enumerate(texts):
        alone = Language().measure(batch_of([text]))
        assert alone["language"][0] == together["language"][row]
        assert alone["language_score"][0] == together["language_score"][row]


def test_the_models_labels_are_the_ones_a_recipe_may_name() -> None:
    names = load_model(None, LID_176_SHA256).names
    assert set(names.drop_null().to_pylist()) == {*SPACED, *UNSPACED}
    assert len(SPACED) + len(UNSPACED) == len(names) - 1 == 176


def test_a_language_the_model_cannot_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValidationError, match='got "eng"; did you mean "en"'):
        Language(keep=("eng",))


def test_a_damaged_model_and_a_missing_one_are_errors_before_they_are_loaded(tmp_path: Path) -> None:
    damaged = bytearray(shipped_model().read_bytes())
    damaged[100_000] ^= 1
    (tmp_path / "lid.ftz").write_bytes(damaged)
    with pytest.raises(DigestError, match=LID_176_SHA256):
        Language(model=Path("lid.ftz"), root=tmp_path).measure(batch_of(["a"]))
    with pytest.raises(MissingFileError, match="no-such"):
        load_model(tmp_path / "no-such.ftz", LID_176_SHA256)


def test_a_model_file_of_ones_own_is_taken_from_the_recipes_folder_and_named_in_the_key(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.ftz").write_bytes(shipped_model().read_bytes())
    rule = Language(model=Path("own.ftz"), root=tmp_path)
    assert rule.measure(batch_of([GERMAN]))["language"].to_pylist() == ["de"]
    assert rule.params()["model"] == "own.ftz"
    assert rule.params()["model_sha256"] == LID_176_SHA256
    assert str(tmp_path) not in str(rule.params())


def test_a_batch_of_no_documents_has_typed_columns() -> None:
    measured = Language().measure(no_documents())
    assert measured["language"].type == pa.string()
    assert len(Language(keep=("en",)).decide(measured)) == 0


@pytest.mark.real
@pytest.mark.skipif(not SENTENCES.exists(), reason="needs ../shared/data")
def test_real_sentences_are_named_as_well_as_the_model_was_measured_to() -> None:
    right = total = 0
    for path in sorted(SENTENCES.glob("*.txt")):
        if path.stem in {*SPACED, *UNSPACED}:
            labels = Language().measure(batch_of(path.read_text("utf-8").splitlines()[:50]))["language"]
            right += labels.to_pylist().count(path.stem)
            total += len(labels)
    assert total > 3000
    assert right / total > 0.87
