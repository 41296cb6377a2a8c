"""Bytes of a page to blocks: against the standard library's parser, and where that knows nothing, by example."""

from __future__ import annotations

import re
import time
from html import escape, unescape
from html.entities import html5

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.kernels.html import MAX_DEPTH, split_blocks
from pipelines.kernels.html_names import element_id, element_table, entity_table
from tests.oracles.html_twin import blocks_of


def split(html: str | bytes) -> tuple[list[str], np.ndarray, np.ndarray, int]:
    data = html if isinstance(html, bytes) else html.encode("utf-8", "ignore")
    text, blocks, elements, depth = split_blocks(
        np.frombuffer(data, np.uint8), *element_table(), *entity_table()
    )
    return [text[row[0] : row[1]].tobytes().decode() for row in blocks], blocks, elements, depth


def texts(html: str) -> list[str]:
    return split(html)[0]


words = st.text(st.sampled_from(list("ab é日。,<>&;\"'=/\t\n\xa0\u3000\ufeff\x07🙂")), max_size=12)
visible = st.one_of(
    words.map(lambda text: escape(text, quote=False)),
    st.sampled_from(
        ["&eacute;", "&#233;", "&#x1F642;", "&amp;lt;", "a < b", "&copy", "&#150;", "&nosuch;", "3<4"]
    ),
)
unseen = st.one_of(
    words.filter(lambda text: not re.search("-|<!|>", text)).map(lambda text: f"<!-- {text} -->"),
    st.sampled_from(["<script>if (a<b) '<p>x'</script>", "<style>p>a{}</style>", "<title>x</title>", "<br>"]),
    st.sampled_from(
        ["<iframe>x</iframe>", "<textarea>x</textarea>", "<svg><g/>x</svg>", "<img alt='a > b'>"]
    ),
)
ATTRIBUTES = ["", " class=a", " title='a > b'", ' id="x" ', " data-hidden=1"]
HIDING = [" hidden", " style='color:red; Display : none'", " aria-hidden=true"]
said = st.sampled_from(ATTRIBUTES * 2 + HIDING)


def wrapped(tags: list[str], inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda tag, says, text: f"<{tag}{says}>{text}</{tag.upper()}>", st.sampled_from(tags), said, inside
    )


def joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(parts, max_size=4).map("".join)


line = st.recursive(
    visible | unseen, lambda inside: wrapped(["b", "span", "custom-tag", "i"], joined(inside)), max_leaves=5
)
link = st.builds(lambda text: f"<a href=/x>{text}</a>", joined(line))
paragraph = wrapped(["p", "h2"], joined(line | link))
pages = st.recursive(
    paragraph | line | st.just("<hr/>"),
    lambda inside: wrapped(["div", "section", "blockquote"], joined(inside)),
    max_leaves=10,
)


@settings(deadline=None)  # the first call compiles
@given(joined(pages))
def test_blocks_of_a_well_formed_page_are_those_of_the_standard_librarys_parser(page: str) -> None:
    found, blocks, _, _ = split(page)
    expected = blocks_of(page)
    assert found == [text for text, _ in expected]
    if "<br>" not in page:
        assert [bool(row[3]) for row in blocks] == [linked for _, linked in expected]


TAGS = [
    *(b"<", b"</", b"<!--", b"-->", b"<p", b">", b"<script>", b"</script", b"<td>", b"</table>", b"<li>", b"&#"),
    *(b"&amp", b"'", b'"', b"=", b"<a href", b"</a>", b"<b hidden>", b"</b>", b"<pre>", b"<br>", b"<svg/>"),
]  # fmt: skip


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.binary(max_size=8) | st.sampled_from(TAGS), max_size=40))
def test_any_bytes_end_in_blocks_that_lie_in_the_text_and_elements_that_nest(pieces: list[bytes]) -> None:
    page = b"".join(pieces).decode("utf-8", "ignore").encode()
    found, blocks, elements, _ = split(page)
    for text, row in zip(found, blocks, strict=True):
        assert text.rstrip(" \t\n") == text != ""
        assert row[8] or text.lstrip(" \t\n") == text
    assert all(blocks[1:, 0] >= blocks[:-1, 1])
    for row, (parent, _tag, _hints, first, last) in enumerate(elements.tolist()):
        assert 0 <= first <= last <= len(blocks)
        if row:
            assert parent < row
            assert elements[parent, 3] <= first
            assert last <= elements[parent, 4]
    for i, element in enumerate(blocks[:, 6]):
        assert elements[element, 3] <= i < elements[element, 4]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>a<p>b<div>c</div>", ["p a", "p b", "div c"]),
        ("<ul><li>a<li>b<ul><li>c</ul><li>d</ul>", ["li a", "li b", "li c", "li d"]),
        ("<dl><dt>a<dd>b<dt>c</dl>", ["dt a", "dd b", "dt c"]),
        ("<table><tr><td>a<td>b<tr><th>c</table>d", ["td a", "td b", "th c", " d"]),
        ("<table><tr><td>a<table><tr><td>b</table>c</table>d", ["td a", "td b", "td c", " d"]),
        ("<div>a<table><tr><td>b</div>c</table>d</div>e", ["div a", "td b", "td c", "div d", " e"]),
        ("<h1>a<h2>b</h2>c", ["h1 a", "h2 b", " c"]),
        ("<p>a</b>b</p>", ["p ab"]),
        ("<p>a<b>b<p>c</b>d", ["p ab", "p cd"]),
        ("<body>a</body></html>b<p>c", ["body ab", "p c"]),
        ("<p>a<svg><path/><g>x</g></svg>b", ["p ab"]),
        ("<p>a</>b</ >c<!x>d<?e?>f<![CDATA[g]]>h<!-->i<!--->j<!-- --!>k", ["p abcdfhijk"]),
        ("<DIV Class=x>a<//div>b", ["div ab"]),
        ("<div title=a>b>c</div>", ["div b>c"]),
        ("a<br>b<br> <br>c", [" a\nb", " c"]),
    ],
)  # fmt: skip
def test_tags_that_are_left_out_are_implied(html: str, expected: list[str]) -> None:
    found, blocks, elements, _ = split(html)
    names = {
        element_id(name): name for name in ("p", "li", "dt", "dd", "td", "th", "div", "h1", "h2", "body")
    }
    tags = [names.get(elements[row[6], 1], "") for row in blocks]
    assert [f"{tag} {text}" for tag, text in zip(tags, found, strict=True)] == expected


def test_a_link_left_open_ends_where_its_paragraph_or_the_next_link_does() -> None:
    _, blocks, _, _ = split("<p>one <a href=/>two<p>three<p><a href=/>four <a name=x>five")
    assert blocks[:, 3].tolist() == [4, 0, 4]  # a blank before a link is the link's


def test_links_across_blocks_count_in_each() -> None:
    _, blocks, _, _ = split("<a href=/><h2>one</h2><p>two</p></a><p>three")
    assert blocks[:, 3].tolist() == [3, 3, 0]


def test_every_named_character_is_resolved_as_the_standard_library_does() -> None:
    names = [
        name for name in html5 if not unescape(f"&{name}").isspace() and unescape(f"&{name}") != "\u00ad"
    ]
    page = "".join(f"<p>.&{name}</p>" for name in names)
    expected = [
        re.sub("[\u2028\u2029\xa0\u2000-\u200a\u205f ]+", "", unescape(f".&{name}")) for name in names
    ]
    assert [re.sub(" ", "", text) for text in texts(page)] == expected


@pytest.mark.parametrize(
    ("entity", "expected"),
    [
        ("&#65", "A"),
        ("&#x41;", "A"),
        ("&#x80;", "€"),
        ("&#xD800;", "\ufffd"),
        ("&#99999999999;", "\ufffd"),
        ("&#0;", "\ufffd"),
        ("&#7;", ""),
        ("&notit;", "¬it;"),
        ("&amplify", "&lify"),
        ("&;", "&;"),
        ("&#;", "&#;"),
        ("&#xg", "&#xg"),
    ],
)
def test_numeric_and_cut_entities_are_those_of_browsers(entity: str, expected: str) -> None:
    assert texts(f"<p>.{entity}") == [f".{expected}"]


def test_preformatted_text_keeps_its_lines_and_blanks() -> None:
    found, blocks, _, _ = split("<p>a\n b</p><pre>\n  if x:\r\n\treturn   1\n\n</pre>")
    assert found == ["a b", "  if x:\n\treturn   1"]
    assert blocks[:, 8].tolist() == [0, 1]


def test_characters_words_and_marks_are_counted_an_ideograph_twice() -> None:
    _, blocks, _, _ = split("<p>One, two: 3.5 <a href=/>four</a>.<p>日本、語。<p>۱، ۲؟")
    assert blocks[:, 2:6].tolist() == [[19, 5, 4, 3], [10, 0, 1, 2], [5, 0, 2, 2]]


def test_names_of_classes_hint_but_sentences_do_not() -> None:
    _, _, elements, _ = split(
        "<div class='wrap postComments'></div><div id=how-to-share-a-page></div><nav role=navigation>"
    )
    assert elements[1:, 2].tolist() == [1 | 8, 0, 2]


def test_elements_deeper_than_the_stack_are_counted_and_their_text_stays() -> None:
    found, _, _, depth = split("<div>" * 5000 + "x" + "</div>" * 5000 + "<p>y")
    assert found == ["x", "y"]
    assert depth == 5000
    assert MAX_DEPTH < 5000


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 100_000 + "x",
        "<b>" * 100_000 + "x",
        "<p>x" * 250_000,
        "<table><tr><td>" * 80_000,
        "<script>" + "a<b;" * 12_500_000,
        "<!--" * 1_000_000,
        "<p " + "a='b' " * 1_000_000,
        "<p>" + "&amp" * 2_000_000,
        "<p>&#x" + "9" * 10_000_000,
        "<" * 8_000_000,
        "<a href='" * 900_000,
        "<p><table><td>" + "<div>" * 500 + "</p></a>" * 120_000,
        "<span hidden>" * 100_000 + "</span>" * 100_000,
        "<p class='" + "a-" * 4_000_000,
    ],
    ids=lambda page: page[:12],
)  # fmt: skip
def test_hostile_pages_end_within_two_seconds(page: str) -> None:
    data = page.encode()
    split(b"")
    start = time.process_time()
    split_blocks(np.frombuffer(data, np.uint8), *element_table(), *entity_table())
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>one</p><svg class=icon viewBox='0 0 1 1'/><p>two</p>", ["one", "two"]),
        ("<p>one <math/> two</p>", ["one two"]),
        ("<div><button>Share</div><p>two</p>", ["two"]),
        ("<p>one</p><button>A<button>B</button><p>two</p>", ["one", "two"]),
        ("<p>one<button><p>in</button>two", ["one", "two"]),
    ],
)
def test_what_is_not_seen_ends_where_a_browser_ends_it(html: str, expected: list[str]) -> None:
    assert texts(html) == expected


def test_inline_elements_closed_across_headings_make_no_page_deeper() -> None:
    found, _, _, depth = split(
        "<div>" + "".join(f"<a href=x><h3>t{i}</a></h3>" for i in range(600)) + "</div>"
    )
    assert len(found) == 600
    assert depth < 5


def test_soft_hyphens_are_left_out() -> None:
    assert texts("<p>Donau\xaddampf&shy;schiff") == ["Donaudampfschiff"]
