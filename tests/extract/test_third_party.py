"""The engine `trafilatura`: the library's own text, whatever pages came before; an error at the plan without it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import trafilatura
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree, html

from manifests.errors import QuernError
from pipelines.extract import Extract
from pipelines.extract.third_party import _TEST, _where_present, require_trafilatura, trafilatura_text
from pipelines.plan import make_plan
from tests.extract.test_extract import HTML, PROSE, batch, reasons

LINES = [f"Paragraph {n} of the page says what the others do not. {PROSE[:200]}" for n in range(6)]
PAGES = [
    f"<html><body><nav><a href=/>Home</a></nav><article><h1>Tea</h1><p>{LINES[0]}<p>{LINES[1]}</article>",
    f"<table><tr><td>{LINES[2]}<td>{LINES[3]}</table><div class=comments><p>{LINES[4]}</div>",
    "<html><body><article>"
    + "".join(f"<p>{line} {n}</p><p>{LINES[5]}</p>" for n, line in enumerate(LINES[:5] * 2))
    + "</article>",
    "<ul>" + "".join(f"<li>{line}" for line in LINES) + "</ul>",
    "<p>日本語の文章をここに書きます。" * 40,
    "<p>short",
    "",
]
RECIPE = """\
name: web
sources:
  - name: web
    read: warc
    paths: ["crawl/*.warc.gz"]
    licence: unknown
    steps: [extract: {engine: %s}]
"""


# `Trafilatura(favour_precision=True)` of datatrove, in a process of its own: ours sets trafilatura to be faster.
AS_DATATROVE_CALLS_IT = """\
import json, sys, trafilatura
for page in json.load(sys.stdin):
    trafilatura.deduplication.LRU_TEST.clear()
    text = trafilatura.extract(page, favor_precision=True, include_comments=False, deduplicate=True)
    print(json.dumps(text or ""))
"""


def as_datatrove_calls_it(pages: list[str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", AS_DATATROVE_CALLS_IT],
        input=json.dumps(pages),
        text=True,
        check=True,
        capture_output=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_text_is_what_datatroves_step_gives() -> None:
    expected = as_datatrove_calls_it(PAGES)
    assert [trafilatura_text(page) for page in PAGES] == expected
    texts = Extract(engine="trafilatura").rewrite(batch(*[page.encode() for page in PAGES])).text
    assert texts.to_pylist() == [text or None for text in expected]


@pytest.mark.real
@pytest.mark.skipif(not HTML.is_dir(), reason="needs ../shared/data")
def test_the_text_of_real_pages_is_what_datatroves_step_gives() -> None:
    files = sorted(HTML.rglob("*.html"))[::25]
    pages = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    assert [trafilatura_text(page) for page in pages] == as_datatrove_calls_it(pages)


def test_a_text_does_not_depend_on_the_pages_before_it() -> None:
    texts = Extract(engine="trafilatura").rewrite(batch(*[PAGES[0].encode()] * 6)).text
    assert set(texts.to_pylist()) == {trafilatura_text(PAGES[0])}
    assert LINES[1] in texts.to_pylist()[5]


def xpaths_as_shipped() -> dict[str, list[etree.XPath]]:
    spec = importlib.util.spec_from_file_location("xpaths_as_shipped", trafilatura.xpaths.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: each for name, each in vars(module).items() if isinstance(each, list)}


def test_a_pattern_that_matches_the_empty_string_is_still_asked_of_absent_attributes() -> None:
    for pattern, rewritten in (("x|", False), ("^x?$", False), ("x", True), ("(^| )x", True)):
        path = f".//*[re:test(@id|@class, '{pattern}', 'i')]"
        found = _TEST.sub(_where_present, path)
        assert found == (f".//*[((@id|@class) and {path[5:-1]})]" if rewritten else path)


ELEMENTS = ["div", "section", "p", "span", "ul", "li", "article", "main", "aside", "a", "h1"]
VALUES = (
    "",
    " ",
    "cookie",
    "comment-list",
    "post-body",
    "main",
    "x hidden",
    "Author",
    "bottom",
    "link",
    "nav-a",
    "ad-",
)
attributes = st.dictionaries(
    st.sampled_from(["id", "class", "style", "role", "itemprop"]), st.sampled_from(VALUES), max_size=3
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(ELEMENTS), attributes, st.booleans()), min_size=1, max_size=12))
def test_its_xpaths_find_what_they_found_as_shipped(elements: list[tuple[str, dict[str, str], bool]]) -> None:
    trafilatura_text("<p>sets them")
    tree = at = html.Element("body")
    for tag, given_, inside in elements:
        made = etree.SubElement(at, tag, given_)
        at = made if inside else at
    n_asking_less = 0
    for name, shipped in xpaths_as_shipped().items():
        for one, other in zip(shipped, getattr(trafilatura.xpaths, name), strict=True):
            assert one(tree) == other(tree), one.path
            n_asking_less += one.path != other.path
    assert n_asking_less > 10, "and most of those with regular expressions are others"


def test_the_fourth_copy_of_a_paragraph_goes_unless_copies_may_stay() -> None:
    (once,) = Extract(engine="trafilatura").rewrite(batch(PAGES[2].encode())).text
    (all_of_it,) = Extract(engine="trafilatura", deduplicate=False).rewrite(batch(PAGES[2].encode())).text
    assert (once.as_py().count(LINES[5]), all_of_it.as_py().count(LINES[5])) == (3, 10)


def test_what_is_favoured_reaches_trafilatura() -> None:
    page = f"<main><p>{LINES[0]}</p></main><div class=footer><p>{LINES[1]}</p></div>" * 2
    found = {favour: trafilatura_text(page, favour=favour) for favour in ("precision", "balanced", "recall")}
    assert found["recall"] == (trafilatura.extract(page, favor_recall=True, include_comments=False) or "")
    assert found["balanced"] == (trafilatura.extract(page, include_comments=False) or "")
    assert len(set(found.values())) > 1


def test_pages_are_bounded_before_trafilatura_sees_them() -> None:
    step = Extract(engine="trafilatura", max_bytes=1 << 20, max_tags=1000)
    crowded = b"<p " + b"a=b " * 10_001 + b">" + PAGES[0].encode()
    pages = (
        b"<p>" + b"x" * (1 << 20),
        b"<b>" * 1001,
        crowded,
        b"<div>" * 600 + b"x",
        b"none",
        PAGES[0].encode(),
    )
    assert reasons(step, *pages) == ["too_large", "too_large", "too_large", "too_deep", "not_html", ""]


TAGS = [
    "<p>",
    "</p>",
    "<div>",
    "</div>",
    "<table>",
    "<td>",
    "<li>",
    "<a href=x>",
    "</a>",
    "<!--",
    "<b",
    "&#0;",
    "&#xD800;",
]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=20) | st.sampled_from(TAGS), max_size=30).map("".join))
def test_any_page_gives_text_that_can_be_stored_or_a_reason(page: str) -> None:
    text = trafilatura_text(page)
    assert text is None or text.encode("utf-8", "ignore").decode() == text


def plan_of(folder: Path, engine: str) -> object:
    (folder / "crawl").mkdir(exist_ok=True)
    (folder / "crawl" / "a.warc.gz").write_bytes(b"")
    (folder / "recipe.yaml").write_text(RECIPE % engine)
    return make_plan(folder / "recipe.yaml", folder / "out")


def test_its_version_is_in_the_key_of_the_step_only_where_it_is_chosen(tmp_path: Path) -> None:
    chosen, other = plan_of(tmp_path, "trafilatura"), plan_of(tmp_path, "quern")
    assert chosen.libraries["trafilatura"] == metadata.version("trafilatura")
    assert {"lxml", "jusText"} <= set(chosen.libraries)
    assert not {"trafilatura", "lxml", "jusText"} & set(other.libraries)


@pytest.mark.parametrize(
    ("missing", "said"), [("trafilatura", "no trafilatura"), ("lxml_html_clean", "no lxml_html_clean")]
)
def test_without_the_extra_the_plan_says_which_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, said: str
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else real(name))
    with pytest.raises(QuernError, match=rf"recipe.yaml:7:.*{said}.*quern\[trafilatura\]"):
        plan_of(tmp_path, "trafilatura")
    plan_of(tmp_path, "quern")


def test_another_major_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "1.12.2")
    with pytest.raises(QuernError, match=r"expected trafilatura 2\.x, found 1\.12\.2"):
        require_trafilatura()


def test_settings_of_trafilatura_without_it_are_refused() -> None:
    for settings_of_it in ({"favour": "recall"}, {"deduplicate": False}):
        with pytest.raises(ValueError, match="engine: quern, which knows neither"):
            Extract(**settings_of_it)
