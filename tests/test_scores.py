"""A score is a number that some step makes: every stage says which numbers those are, and a recipe is held to it."""

from pathlib import Path

import pyarrow as pa
import pytest

from manifests.errors import RecipeError
from pipelines.batch import Batch
from pipelines.filters.catalogue import BookCatalogue
from pipelines.fuse import Fuse, Step, empty_batch
from pipelines.recipe import load_recipe
from pipelines.registry import STAGES, stage_class, user_class
from pipelines.spans import apply_spans
from pipelines.stage import Edit, Phased, Rewrite
from tests.filters.batches import batch_of

CATALOGUE = (
    "Text#,Type,Issued,Title,Language,Authors,Subjects,LoCC,Bookshelves\n1,Text,1971-12-01,Emma,en,Jane,,,\n"
)
OF_DOCUMENTS = [name for name in STAGES if not issubclass(stage_class(name), Phased)]
PARAMS = {"book_catalogue": {"file": "pg_catalog.csv"}, "c4_bad_words": {"file": "words.txt"}}
VARIANTS = [
    *((name, {}) for name in OF_DOCUMENTS),
    *(
        (name, {"words": words})
        for name in OF_DOCUMENTS
        if "words" in stage_class(name).model_fields
        for words in ("spacy", "light")
        if name != "c4_lines"
    ),
    ("c4_quality", {"units": "lines"}),
    ("c4_lines", {"units": "sentences"}),
    ("language", {"keep": ("en",)}),
    ("url", {"shipped": ()}),
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl" / "1.wet.gz").touch()
    (tmp_path / "pg_catalog.csv").write_text(CATALOGUE)
    (tmp_path / "words.txt").write_text("damn\n")
    (tmp_path / "rules.py").write_text(
        "import pipelines.stage\nfrom pipelines.filters.gopher import GopherQuality\n\n\n"
        "def long(text):\n    return len(text)\n\n\n"
        "class Own(pipelines.stage.Rule):\n    name = 'own'\n    version = 1\n    writes = ('grade', 'kind')\n"
        "    labels = ('kind',)\n"
        "\n\nclass Mine(GopherQuality):\n    name = 'mine'\n\n    def measure(self, batch):\n"
        "        return {**super().measure(batch), 'n_more': batch.ordinals}\n"
        "\n\nclass Same(GopherQuality):\n    name = 'same'\n"
    )
    return tmp_path


def is_number(array) -> bool:
    return is_numeric(pa.array(array).type)


def is_numeric(kind) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def numbers_given(stage, batch: Batch) -> set[str]:
    """The numbers among what a stage really gives of a batch."""
    if isinstance(stage, Rewrite):
        return {name for name, array in stage.rewrite(batch).columns.items() if is_number(array)}
    if isinstance(stage, Edit):
        made, _ = apply_spans("step", stage, batch)
        return {name.removeprefix("step.") for name, array in made.values.items() if is_number(array)}
    return {name for name, array in stage.measure(batch).items() if is_number(array)}


@pytest.mark.parametrize(("name", "params"), VARIANTS, ids=str)
def test_a_stage_gives_the_numbers_that_it_says_it_gives(folder, name, params):
    stage = stage_class(name)(**PARAMS.get(name, {}), **params)
    if "root" in type(stage).model_fields:
        stage = stage.model_copy(update={"root": folder})
    batch = batch_of(["The damn book. It was long, and it was read.\n\nThe end of it.", "", "one"])
    if isinstance(stage, Rewrite):
        batch = batch.with_column(
            pa.field("payload", pa.large_binary()), pa.array([b"<p>a"] * 3, pa.large_binary())
        )
        batch = batch.with_column(pa.field("content_type", pa.string()), pa.array(["text/html"] * 3))
    said = stage.numbers()
    assert said is not None
    assert len(set(said)) == len(said)
    assert numbers_given(stage, batch) == {*said}
    assert not {*said} & {*getattr(stage, "labels", ())}


def test_a_function_of_the_user_s_gives_its_score_and_of_a_class_nobody_says(folder):
    scored = user_class("rules.py:long", folder)()
    assert numbers_given(scored, batch_of(["a"])) == {*scored.numbers()}
    assert user_class("rules.py:Own", folder)().numbers() is None


def test_a_rewrite_of_the_user_s_that_does_not_say_how_is_refused_before_any_work(folder):
    (folder / "own.py").write_text(
        "from pipelines.stage import Rewrite\n\n\nclass Own(Rewrite):\n    name = 'own'\n    version = 1\n"
    )
    with pytest.raises(
        RecipeError, match=r"expected a method `rewrite\(batch\) -> Rewritten` of Own, found none"
    ):
        user_class("own.py:Own", folder)


def test_every_written_column_that_is_no_number_is_text():
    given = BookCatalogue(file="x").numbers()
    assert {*BookCatalogue.writes} - {*given} == {"author", "language", "subjects", "rights", "title"}


def load(folder: Path, score: str, steps: str):
    (folder / "r.yaml").write_text(
        f"name: a\nsources:\n  - {{name: web, read: wet, paths: ['crawl/*'], steps: [{steps}]}}\n"
        f"steps:\n  - minhash: {{keep: highest, score: {score}}}\n"
    )
    return load_recipe(folder / "r.yaml", allow_code=True)


OURS = (
    "language: {keep: [en]}, gopher_quality, gopher_repetition: {words: spacy}, c4_lines, pii, "
    "book_catalogue: {file: pg_catalog.csv}"
)
OWN = "{use: './rules.py:long'}, {use: './rules.py:Own'}"
BELOW = "{use: './rules.py:Mine'}, {use: './rules.py:Same'}"


@pytest.mark.parametrize(
    ("steps", "score"),
    [
        (OURS, "language_score"),
        (OURS, "gopher_quality.n_words"),
        (OURS, "gopher_repetition.n_dup_lines"),
        (OURS, "c4_lines.removed_words"),
        (OURS, "book_catalogue.in_catalogue"),
        ("gopher_quality: {words: spacy}", "gopher_quality.n_tokens"),
        ("gopher_quality, gopher_quality: {words: spacy}", "gopher_quality_2.n_tokens"),
        (OWN, "long.score"),
        (OWN, "own.whatever"),
        (OWN, "grade"),
        (BELOW, "mine.n_more"),
        (BELOW, "mine.n_words"),
        (BELOW, "same.n_words"),
    ],
)
def test_a_number_that_a_step_gives_is_a_score(folder, steps, score):
    assert load(folder, score, steps).sources


def test_of_all_columns_of_a_part_those_of_numbers_are_scores_and_no_others(folder):
    source = load(folder, "language_score", OURS).sources[0]
    steps = [Step(step.name, step.stage) for step in source.steps]
    part, _ = Fuse(Step("read", source.reader), steps, empty_batch()).schemas()
    taken = {field.name for field in part if is_taken(folder, field.name)}
    assert taken == {field.name for field in part if is_numeric(field.type)}
    assert len(taken) > 30


def is_taken(folder: Path, score: str) -> bool:
    try:
        return bool(load(folder, score, OURS))
    except RecipeError:
        return False


@pytest.mark.parametrize(
    ("steps", "score", "said"),
    [
        (
            OURS,
            "gopher_quality.n_wrds",
            'a number that `gopher_quality` measures .*; did you mean "gopher_quality.n_words"',
        ),
        (OURS, "gopher_quality.n_tokens", r"measures for `minhash.score` \(n_words, n_.*\), got "),
        (OURS, "gopher_qality.n_wrds", 'got "gopher_qality.n_wrds"; did you mean "gopher_quality.n_words"'),
        (OURS, "n_hashes", 'got "n_hashes"; did you mean "gopher_quality.n_hashes"'),
        (
            OURS,
            "pii.removed_wods",
            r"\(removed_bytes, removed_words\), .*; did you mean \"pii.removed_words\"",
        ),
        (
            OURS,
            "author",
            'column of whole numbers or floats .*, got "author", which holds no numbers$',
        ),
        (OURS, "rights", ', got "rights", which holds no numbers$'),
        (OURS, "title", ', got "title", which holds no numbers$'),
        (OURS, "language", ', got "language", which holds no numbers; did you mean "language_score"'),
        (OURS, "language.language_score", 'got "language.language_score"; did you mean "language_score"'),
        (OURS, "langage_score", 'got "langage_score"; did you mean "language_score"'),
        (OWN, "kind", ', got "kind", which holds no numbers$'),
        (OWN, "long.scor", r'`long` measures for `minhash.score` \(score\), .*; did you mean "long.score"'),
        (BELOW, "same.n_more", r"a number that `same` measures .*, got "),
        (OURS, "quality", r'; did you mean a value of "gopher_quality", such as gopher_quality.n_words\?$'),
        (OWN, "owns", r'; did you mean a value of "own", such as own.VALUE\?$'),
        (OWN, "zebra", r'\(grade, long.VALUE, own.VALUE\), got "zebra"$'),
    ],
)
def test_what_no_step_gives_as_a_number_is_refused_where_it_is_named(folder, steps, score, said):
    with pytest.raises(RecipeError, match=rf"(?m)r\.yaml:5:37: expected .*{said}") as caught:
        load(folder, score, steps)
    assert len(str(caught.value).splitlines()) == 2


def test_numbers_of_steps_that_share_a_name_are_taken_together(folder):
    (folder / "r.yaml").write_text(
        "name: a\nsources:\n"
        "  - {name: web, read: wet, paths: ['crawl/*'], steps: [gopher_quality: {words: spacy}]}\n"
        "  - {name: more, read: wet, paths: ['crawl/*'], root: ., steps: [gopher_quality]}\n"
        "steps: [exact: {keep: highest, score: gopher_quality.n_tokens}]\n"
    )
    assert len(load_recipe(folder / "r.yaml").sources) == 2
