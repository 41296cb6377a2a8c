"""A user's own reader and rule by file: the page about them built as it stands, leave, digests, and what they raise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from manifests.corpus import CorpusManifest
from manifests.errors import RecipeError, TaskError
from pipelines.executor import build
from pipelines.plan import make_plan
from pipelines.read.own import reader_of
from pipelines.recipe import load_recipe, resolved
from pipelines.registry import user_reader
from pipelines.steps import stage_of
from tests.read.warcs import rows, source

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
MBOX = """\
From a@example.org Thu Jan  1 00:00:00 2024
Message-ID: <1@example.org>
Subject: Ships

The fleet sailed at dawn.

From b@example.org Thu Jan  1 00:00:00 2024
Message-ID: <2@example.org>
Subject: Re: Ships

> The fleet sailed at dawn.
> The fleet sailed at dawn.
So it did.

From c@example.org Thu Jan  1 00:00:00 2024
Message-ID: <3@example.org>
Subject: empty

"""


def page_files(folder: Path) -> Path:
    """The blocks of the page as the files they name; returns the recipe."""
    blocks = re.findall(
        r"^```\w+\n# (\S+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert [name for name, _ in blocks] == ["recipe.yaml", "mail.py", "rules.py"]
    for name, text in blocks:
        assert len(text.splitlines()) <= 10
        (folder / name).write_text(text)
    (folder / "archive").mkdir()
    (folder / "archive" / "1.mbox").write_text(MBOX)
    return folder / "recipe.yaml"


def recipe_with(folder: Path, reader: str, read: str = '{use: "./own.py:lines"}') -> Path:
    (folder / "own.py").write_text(reader)
    (folder / "a.txt").write_text("one\ntwo\n")
    path = folder / "recipe.yaml"
    path.write_text(f"name: own\nsources:\n  - {{name: a, read: {read}, paths: [a.txt], steps: []}}\n")
    return path


LINES = "def lines(path):\n    yield from path.read_text().splitlines()\n"


def test_the_page_about_own_code_builds_as_it_stands(tmp_path: Path) -> None:
    build(make_plan(page_files(tmp_path), tmp_path / "out", allow_code=True), workers=1)
    steps = {step.name: step for step in CorpusManifest.read(tmp_path / "out").steps}
    assert (steps["read"].n_read, steps["read"].dropped) == (3, {"no_text": 1})
    assert (steps["quoted_frac"].n_kept, steps["quoted_frac"].dropped) == (1, {"score_too_high": 1})


def test_a_reader_of_the_user_s_own_is_not_run_without_leave(tmp_path: Path) -> None:
    recipe = recipe_with(tmp_path, "raise SystemExit('this ran')\n")
    with pytest.raises(RecipeError, match="add  --allow-code"):
        load_recipe(recipe)


def test_its_rows_are_the_texts_or_dicts_it_yields(tmp_path: Path) -> None:
    def own(path: Path):
        yield "plain"
        yield {"text": "with more", "id": 7, "url": "u", "title": "T", "unknown": []}
        yield {"text": ""}
        yield 3
        yield {"text": b"bytes"}

    found = rows(reader_of(own, "own")(), source(tmp_path / "a", b"x"))
    assert [row["reason"] for row in found] == ["", "", "no_text", "not_a_row", "not_a_string"]
    assert [row["text"] for row in found[:2]] == ["plain", "with more"]
    assert (found[1]["ref"], found[1]["url"], found[1]["title"]) == ("7", "u", "T")
    assert len({row["doc_id"] for row in found}) == 5


def test_its_columns_are_mapped_and_a_wrong_parameter_is_refused(tmp_path: Path) -> None:
    own = "def lines(path):\n    yield {'body': 'Once.'}\n"
    recipe = load_recipe(recipe_with(tmp_path, own, '{use: "./own.py:lines", text: body}'), allow_code=True)
    file = recipe.sources[0].files[0]
    assert rows(recipe.sources[0].reader, source(file.full, b"x"))[0]["text"] == "Once."
    with pytest.raises(RecipeError, match='did you mean "text"'):
        load_recipe(recipe_with(tmp_path, own, '{use: "./own.py:lines", txt: body}'), allow_code=True)


def test_a_file_that_yields_nothing_is_one_row(tmp_path: Path) -> None:
    found = rows(reader_of(lambda path: iter(()), "none")(), source(tmp_path / "a", b"x"))
    assert [row["reason"] for row in found] == ["empty_file"]


def test_behind_a_quarantined_row_its_file_is_given_up(tmp_path: Path) -> None:
    def own(path: Path):
        yield "one"
        raise AssertionError("the quarantined row was asked for")

    found = rows(reader_of(own, "own")(), source(tmp_path / "a", b"x"), skip=frozenset({1}))
    assert [row["text"] for row in found] == ["one", None]


def test_a_raised_error_names_the_file_the_line_and_the_row(tmp_path: Path) -> None:
    recipe = recipe_with(tmp_path, "def lines(path):\n    yield 'one'\n    raise ValueError('boom')\n")
    with pytest.raises(
        TaskError, match=r"own\.py:lines raised ValueError: boom \(line 3, at row 1 of a\.txt\)"
    ):
        build(make_plan(recipe, tmp_path / "out", allow_code=True), workers=1)


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("lines = functools.partial(rows, 1)", r"own\.py:rows raised ValueError: boom \(line 4, at row 0"),
        (
            "class Rows:\n    def __call__(self, path):\n        raise ValueError('boom')\nlines = Rows()",
            r"own\.py:__call__ raised ValueError: boom \(line 7, reading",
        ),
        (
            "lines = functools.cache(lambda path: rows(1, path))",
            r"raised ValueError: boom \(line 4, at row 0",
        ),
        (
            "lines = operator.attrgetter('nothing')",
            r"attrgetter raised AttributeError: .*nothing.* \(reading",
        ),
    ],
)
def test_what_is_called_like_a_function_has_its_own_error_told(tmp_path: Path, made: str, named: str) -> None:
    own = f"import functools\nimport operator\ndef rows(n, path):\n    raise ValueError('boom')\n    yield\n{made}\n"
    if "class" in made:
        own = f"import functools\n\n\n\n{made}\n"
    found = user_reader("own.py:lines", recipe_with(tmp_path, own).parent)()
    with pytest.raises(TaskError, match=named):
        rows(found, source(tmp_path / "b.txt", b"x"))


def test_an_edited_reader_is_run_again_and_an_equal_one_is_not(tmp_path: Path) -> None:
    def keys(reader: str) -> list[str]:
        plan = make_plan(recipe_with(tmp_path, reader), tmp_path / "out", allow_code=True)
        return [unit.key for unit in plan.segments[0].units]

    assert keys(LINES) == keys(LINES)
    assert keys(LINES) != keys(LINES + "# edited\n")


def test_a_manifest_names_the_reader_s_file_and_a_worker_makes_it_again_unless_it_was_edited(
    tmp_path: Path,
) -> None:
    recipe = load_recipe(recipe_with(tmp_path, LINES), allow_code=True)
    spec = resolved(recipe)["sources"][0]["read"]
    assert (spec["stage"], spec["use"], spec["digest"]) == ("lines", "own.py:lines", recipe.sources[0].digest)
    assert stage_of(spec, tmp_path).params() == recipe.sources[0].reader.params()
    recipe_with(tmp_path, LINES + "# edited\n")
    with pytest.raises(RecipeError, match="it was edited meanwhile"):
        stage_of(spec, tmp_path)


def test_a_class_of_the_contract_is_a_reader_and_a_rule_is_none(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from pipelines.read.jsonl import Jsonl\nfrom pipelines.stage import Rule\n"
        "class Rows(Jsonl):\n    name = 'rows'\n\nclass Other(Rule):\n    name = 'other'\n    version = 1\n"
    )
    assert user_reader("own.py:Rows", tmp_path).name == "rows"
    for name in ("Other", "Missing"):
        with pytest.raises(
            RecipeError, match=f"expected a reader class or a function path -> rows named {name}"
        ):
            user_reader(f"own.py:{name}", tmp_path)
