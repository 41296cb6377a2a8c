"""The shipped recipes on real input: whatif says what a rebuild does; other languages are refused, then built."""

from __future__ import annotations

import gzip
import random
import shutil
from pathlib import Path

import pytest

import pipelines
from corpus_tools.open import Corpus, open_corpus
from corpus_tools.whatif import whatif
from manifests.errors import UsageError
from pipelines.executor import build
from pipelines.plan import make_plan
from tests.corpus_tools.test_tools_whatif import fates_of, n_documents, random_changes
from tests.read.warcs import http, members, record

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
CRAWLS = ("resiliparse/warcfile.warc.gz", "cmoncrawl/mini.warc.gz")
RECIPES = Path(pipelines.__file__).parent / "recipes"
BOOKS = ("de", "es", "fi", "fr", "nl", "zh", "en-editions-of-1342", "en-natural-duplicates")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="real data is not here"),
]
LIMITS = {
    "url.max_soft_words": [0, 5],
    "language.above_score": [0.3, 0.8, 0.9, 0.97],
    "gopher_repetition.max_top_2_gram_frac": ["null", 0.02, 0.03, 0.05, 0.1],
    "gopher_repetition.max_dup_line_frac": ["null", 0, 0.05, 0.1],
    "gopher_quality.min_words": ["null", 20, 80, 200, 400],
    "gopher_quality.min_alpha_word_frac": [0.6, 0.7, 0.75, 0.9],
    "gopher_quality.min_stop_words": ["null", 4, 6],
    "c4_quality.min_sentences": [1, 3, 10, 20, 40],
    "c4_quality.curly_bracket": ["false"],
    "fineweb_quality.min_ended_line_frac": ["null", 0.05, 0.3, 0.5],
    "fineweb_quality.max_short_line_frac": ["null", 0.3, 0.5, 0.9],
    "fineweb_quality.max_newlines_per_word": [0.02, 0.05],
}
OF_BOOKS = {
    "language.min_score": ["null", 0.2, 0.7, 0.9, 0.98],
    "language.keep": ["[en]", "[de, en, fr, zh]", "[en, fi]"],
    "gopher_quality.min_words": ["null", 20_000, 60_000, 120_000],
    "gopher_quality.max_words": [50_000, 110_000, 200_000],
    "gopher_quality.min_mean_word_chars": ["null", 4.2, 4.4, 4.6],
    "gopher_quality.max_mean_word_chars": ["null", 4.3, 4.5],
    "gopher_quality.min_alpha_word_frac": ["null", 0.9, 0.95, 0.98],
    "gopher_quality.max_ellipsis_line_frac": ["null", 0, 0.0001],
    "gopher_quality.action": ["mark"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shipped recipe, unchanged, and real pages as the crawl it reads: many German, a few Chinese."""
    folder = tmp_path_factory.mktemp("fineweb")
    pages = sorted(
        [*DATA.glob("html/trafilatura/pages/*.html"), *DATA.glob("html/article-extraction-benchmark/html/*")]
    )
    assert len(pages) > 200
    records = [record("response", http(_body(path)), n=n) for n, path in enumerate(pages)]
    (folder / "crawl").mkdir()
    (folder / "crawl" / "pages.warc.gz").write_bytes(members(records))
    for name in CRAWLS:
        shutil.copy(DATA / "warc" / name, folder / "crawl")
    (folder / "recipe.yaml").write_text((RECIPES / "fineweb.yaml").read_text().replace("32k", "1k"))
    return folder


def rebuilt(folder: Path, name: str, *overrides: str, measure_all: bool = False) -> Corpus:
    build(
        make_plan(folder / "recipe.yaml", folder / name, overrides=list(overrides), measure_all=measure_all),
        workers=0,
    )
    return open_corpus(folder / name)


def _body(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shipped recipe, but for its tokens, and real books in seven languages, copies among them."""
    shelf = tmp_path_factory.mktemp("gutenberg")
    for name in BOOKS:
        shutil.copytree(DATA / "gutenberg" / name, shelf / "books" / name)
    recipe = (RECIPES / "gutenberg.yaml").read_text()
    (shelf / "recipe.yaml").write_text(recipe[: recipe.index("tokens:")])
    return shelf


def test_fifty_random_changes_of_fineweb_decide_on_real_pages_what_a_rebuild_decides(folder: Path) -> None:
    check_fifty(folder, LIMITS)


def test_fifty_random_changes_of_the_books_recipe_decide_what_a_rebuild_decides(shelf: Path) -> None:
    check_fifty(shelf, OF_BOOKS)


def check_fifty(folder: Path, limits: dict[str, list[object]]) -> None:
    rebuilt(folder, "all", measure_all=True)
    rng = random.Random(7)
    n_flipped = []
    for _ in range(50):
        changes = random_changes(folder, rng, limits)
        answer = whatif(folder / "all", changes)
        ids, would = (answer.fates.column(name).to_pylist() for name in ("doc_id", "would_be"))
        again = rebuilt(folder, "again", *changes)
        assert dict(zip(ids, would, strict=True)) == fates_of(again), changes
        assert answer.lower <= n_documents(again) <= answer.upper, changes
        n_flipped.append(len(answer.flipped))
    assert sum(n > 0 for n in n_flipped) >= 30


STOP_WORDS = ", ".join("的年在月是和日了於為有被人中为他與後也而由")  # FineWeb-2's, without its "·"
OF_OTHERS = {
    "de": [("gopher_repetition: {words: spacy}", "gopher_repetition"),
           ("fineweb_quality: {words: spacy}", "fineweb_quality"),
           ("{words: spacy}     # GopherQ", "{stop_words: [der, die, und, in, den, von, das, mit]}  # GopherQ")],
    "zh": [("gopher_repetition: {words: spacy}", "gopher_repetition: {words: light}"),
           ("{words: spacy}     # GopherQ",
            f"{{words: light, stop_words: [{STOP_WORDS}], min_mean_word_chars: 1, max_mean_word_chars: 5}}  # GopherQ"),
           ("c4_quality: {words: spacy}", "c4_quality: {words: light}"),
           ("fineweb_quality: {words: spacy}", "fineweb_quality: {words: light, max_short_line_frac: null}")],
}  # fmt: skip
FOR_ENGLISH = {
    "de": [("- c4_lines: {end_marks: false}", "#"), ("- c4_quality: {words: spacy}", "#")],
    "zh": [("- c4_lines: {end_marks: false}", "#")],
}


def write_changed(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    """The recipe with pieces of it replaced, beside it."""
    text = (folder / "recipe.yaml").read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(("language", "least"), [("de", 60), ("zh", 1)])
def test_fineweb_for_another_language_is_refused_with_what_to_change_and_builds_then(
    folder: Path, language: str, least: int
) -> None:
    keep = ("keep: [en]", f"keep: [{language}]")
    with pytest.raises(UsageError) as refused:
        make_plan(write_changed(folder, f"{language}-refused", keep), folder / "refused")
    for step in ("gopher_quality", "c4_lines", "c4_quality"):
        assert f"or leave {step} out" in str(refused.value) or f"Leave {step} out" in str(refused.value)
    assert str(refused.value).count("words: light") == {"de": 1, "zh": 4}[language]

    recipe = write_changed(folder, language, keep, *OF_OTHERS[language], *FOR_ENGLISH[language])
    build(make_plan(recipe, folder / language), workers=0)
    corpus = open_corpus(folder / language)
    assert n_documents(corpus) >= least
    assert all(step.n_read == step.n_kept + sum(step.dropped.values()) for step in corpus.manifest.steps)
