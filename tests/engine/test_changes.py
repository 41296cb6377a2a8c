"""Input that is written to while it is planned or read is refused, and never stands under another file's digest."""

import json

import pytest

import pipelines.filelist
from corpus_tools import open_corpus
from manifests.digest import digest_file
from manifests.errors import InputError, QuernError
from pipelines.executor import build
from pipelines.plan import make_plan

OLD = '{"text": "of the old text"}\n' * 3
NEW = '{"text": "of another text"}\n' * 5
RECIPE = """\
name: changing
sources:
  - {name: web, read: jsonl, paths: ["a.jsonl"], steps: [{use: "./rules.py:score", min: 0.5}]}
"""


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "a.jsonl").write_text(OLD)
    (tmp_path / "rules.py").write_text("def score(text):\n    return 1.0\n")
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def planned(recipe):
    return make_plan(recipe, recipe.parent / "out", allow_code=True)


def texts_of_the_digested_file(recipe):
    """The texts of the newest corpus, after its one file was found to have the digest it names."""
    corpus = open_corpus(recipe.parent / "out")
    (entry,) = json.loads((recipe.parent / "out" / corpus.manifest.sources[0].files.path).read_bytes())[
        "files"
    ]
    assert entry["digest"] == digest_file(recipe.parent / "a.jsonl")
    return set(corpus.documents().column("text").to_pylist())


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_changed_between_plan_and_read_fails_its_unit_until_it_is_digested_anew(recipe, workers):
    plan, data = planned(recipe), recipe.parent / "a.jsonl"
    data.write_text(NEW)
    with pytest.raises(QuernError, match=r"a\.jsonl: changed while it was read"):
        build(plan, workers=workers)
    assert not list((recipe.parent / "out").glob("parts/*"))
    for text in (NEW, OLD):
        data.write_text(text)
        build(planned(recipe), workers=workers)
        assert texts_of_the_digested_file(recipe) == {json.loads(text.splitlines()[0])["text"]}


def test_a_file_that_grows_while_it_is_read_fails_its_unit(recipe):
    data = recipe.parent / "a.jsonl"
    (recipe.parent / "rules.py").write_text(
        f"def score(text):\n    with open({str(data)!r}, 'a') as file:\n        file.write('x')\n    return 1.0\n"
    )
    with pytest.raises(InputError, match=r"a\.jsonl: changed while it was read"):
        build(planned(recipe), workers=0)


def test_a_digest_of_a_file_that_changed_meanwhile_is_not_remembered(recipe, monkeypatch):
    data = recipe.parent / "a.jsonl"

    def digested_late(path):
        data.write_text(NEW)
        return digest_file(path)

    with monkeypatch.context() as patch:
        patch.setattr(pipelines.filelist, "digest_file", digested_late)
        plan = planned(recipe)
    assert not (recipe.parent / "out" / "runs" / "inputs.json").exists()
    with pytest.raises(InputError, match="changed while it was read"):
        build(plan, workers=0)
    build(planned(recipe), workers=0)
    assert texts_of_the_digested_file(recipe) == {"of another text"}
