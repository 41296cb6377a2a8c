"""Editions: which file of a book stays, through a whole build."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest

import pipelines.plan
from corpus_tools.explain import explain
from manifests.corpus import CorpusManifest
from pipelines.executor import build
from pipelines.plan import make_plan

RECIPE = """\
name: books
sources:
  - {{name: books, read: gutenberg, root: in, paths: ["**/*"], steps: []}}
  - {{name: mirror, read: gutenberg, root: other, paths: ["**/*"], steps: []}}
steps: [{steps}]
tokens: {{train: {{vocab_size: 300}}, holdout: 10%}}
"""


def book(number: int | None, seed: int) -> str:
    head = f"Title: T\n\nRelease Date: May, 1999 [EBook #{number}]\n\n" if number else ""
    return f"{head}*** START OF THE PROJECT GUTENBERG EBOOK T ***\n\n{text_of(seed)}\n"


def text_of(seed: int) -> str:
    rng = random.Random(seed)
    return " ".join(f"word{rng.randrange(500)}" for _ in range(300))


def zipped(members: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return packed.getvalue()


FILES = {
    "1/1342/1342-0.txt": book(1342, 1),
    "1/1342/1342.txt": book(1342, 2),
    "1/1342/1342-8.zip": zipped({"1342-8.txt": book(1342, 3)}),
    "1/1342/1342-h.htm": f"<!DOCTYPE html><pre>{book(1342, 4)}</pre>",
    "old/pandp12.txt": book(1342, 5),
    "8/84/84.txt": book(84, 6),
    "8/84/84-8.txt": book(84, 7),
    "7/7000-h.zip": zipped({"7000-h.htm": f"<!DOCTYPE html><pre>{book(None, 8)}</pre>"}),
    "7/kalev10.txt": book(7000, 9),
    "alone.txt": book(None, 10),
    "other.txt": book(None, 11),
    "austen/1.txt": text_of(13),
    "verne/1.txt": text_of(14),
    "44157-h.zip": zipped({f"44157-h/chap{n}.htm": f"<html><p>{text_of(14 + n)}" for n in (1, 2, 3)}),
    "1500.zip": zipped({f"part{n}.txt": book(1500, 18 + n) for n in (1, 2)}),
    "99.zip": zipped({"99-8.txt": book(99, 21), "99-0.txt": book(99, 22)}),
}
N_DOCS = len(FILES) + 2 + 1 + 1


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setattr(pipelines.plan, "GROUP_BYTES", 1)  # every file a unit and a part of its own
    for name, content in [
        *((f"in/{name}", content) for name, content in FILES.items()),
        ("other/84.txt", book(84, 12)),
    ]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path


def dropped(folder: Path, steps: str) -> tuple[dict[str, int], set[str]]:
    """What the step dropped by reason, and the paths of those documents."""
    (folder / "recipe.yaml").write_text(RECIPE.format(steps=steps))
    build(make_plan(folder / "recipe.yaml", folder / "out"), workers=0)
    step = next(s for s in CorpusManifest.read(folder / "out").steps if s.name == "editions")
    assert step.n_read == 1 + N_DOCS
    lives = [life for name in [*FILES, "84.txt"] for life in explain(folder / "out", name)]
    return step.dropped, {
        life.origin[0]["record_id"] or life.origin[0]["path"]
        for life in lives
        if life.outcome == "dropped by editions: other_edition"
    }


def test_the_best_edition_of_each_book_stays_within_its_source(folder: Path) -> None:
    counts, paths = dropped(folder, "editions")
    assert counts == {"other_edition": 7}
    assert paths == {
        "1/1342/1342.txt",
        "1/1342/1342-8.zip",
        "1/1342/1342-h.htm",
        "old/pandp12.txt",
        "8/84/84-8.txt",
        "7/kalev10.txt",
        "99-8.txt",
    }


def test_sources_that_are_not_named_are_left_alone(folder: Path) -> None:
    assert dropped(folder, "editions: {sources: [mirror]}") == ({}, set())
