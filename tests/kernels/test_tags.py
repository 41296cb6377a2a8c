"""What a look at a page's tags tells, against its twin, and against the trees that resiliparse builds."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from pipelines.kernels.tags import SKIPPED, name_table, scan_markup
from tests.oracles.tag_twin import names, tags_of

LEFT_OUT = ("svg", "canvas", "dialog")
TABLE = name_table(LEFT_OUT)
NAMES = sorted(
    names(
        "div span p li ul a b font table tr td object button select option optgroup svg math foreignobject "
        "title x form h1 dd dt input script style textarea body frameset annotation-xml i canvas desc caption"
    )
)
_PIECES = st.one_of(
    st.sampled_from(NAMES).map("<{}>".format),
    st.sampled_from(NAMES).map("</{}>".format),
    st.sampled_from(NAMES).map("<{}".format),
    st.sampled_from(["<!--", "-->", "--!>", "<!-->", "<![CDATA[", "]]>", "</>", "</ x>", "<path/>", "<x a='", '"'  ]),
    st.sampled_from(["=", "/", ">", "a", "<P\0>", "<DIV\t>", "</div x>", "\x0c", "<a b=c/d=e>", "<!-", "<", "é"]),
)  # fmt: skip


def levels(page: str) -> int:
    """How deep a tree's nodes are nested."""
    node: Any = HTMLTree.parse(page).document
    depth = most = 0
    while node is not None:
        if (following := node.first_child) is not None:
            node, depth = following, depth + 1
            most = max(most, depth)
            continue
        while node is not None and (following := node.next) is None:
            node, depth = node.parent, depth - 1
        node = following
    return most


def look(page: str, most_opened: int = 1000, most_reopened: int = 1000) -> dict[str, Any]:
    places = np.zeros(64, np.int64)
    data = np.frombuffer(page.encode(), np.uint8)
    most, reopened, n_places, seen, n_options, n_squares = scan_markup(
        data, TABLE, most_opened, most_reopened, places
    )
    found = {name for bit, name in enumerate(LEFT_OUT) if seen & SKIPPED << bit}
    return {"most": most, "reopened": reopened, "places": places[:n_places].tolist(), "seen": found} | {
        "n_options": n_options, "n_squares": n_squares
    }  # fmt: skip


def n_elements(page: str) -> int:
    document = HTMLTree.parse(page).document
    return len(document.query_selector_all("*")) if document is not None else 0


@settings(deadline=None, max_examples=400)
@given(st.lists(_PIECES, max_size=50).map("".join))
def test_what_the_tags_tell_is_what_the_twin_tells(page: str) -> None:
    twin = tags_of(page.encode().decode("latin-1"), 6, 9)
    for name, value in look(page, 6, 9).items():
        assert value == (twin.seen & set(LEFT_OUT) if name == "seen" else getattr(twin, name))


@settings(deadline=None, max_examples=300)
@given(st.lists(_PIECES, max_size=3).map("".join), st.lists(_PIECES, max_size=9).map("".join))
def test_no_tree_is_deeper_than_the_estimate(head: str, unit: str) -> None:
    page = f"<body>{head}{unit * 30}x"
    assert levels(page) <= look(page)["most"]


FORMATTING = "<b a{n}>", "<i a{n}>", "<font a{n}>", "<a a{n}>", "<nobr a{n}>", "</b>", "</a>", "</font>", "x"
_FORMATTING = st.one_of(st.sampled_from(FORMATTING), _PIECES)


@settings(deadline=None, max_examples=300)
@given(st.lists(_FORMATTING, max_size=3).map("".join), st.lists(_FORMATTING, max_size=9).map("".join))
def test_no_tree_has_more_elements_than_tags_and_those_opened_again(head: str, unit: str) -> None:
    page = "<body>" + "".join((head if n < 30 else unit).format(n=n) for n in range(60)) + "x"
    # Of a tag a parser may make four elements: a table's three parts, or clones of what it closes amiss.
    assert n_elements(page) <= 4 * (page.count("<") + 2) + look(page)["reopened"]


@pytest.mark.parametrize(
    "block", ["<p>x</p>", "<p>x", "<li>x", "<hr>x", "<div>x</div>", "<table>x<col></table>"]
)
def test_formatting_that_nothing_closes_is_counted_in_each_block(block: str) -> None:
    page = "<div>" + "".join(f"<b a={n}>" for n in range(100)) + "</div>" + block * 50
    assert n_elements(page) - 100 <= look(page)["reopened"] + page.count("<")
    assert look(page)["reopened"] >= 50 * 100
    sound = "<div>" + "".join(f"<b a={n}>x</b>" for n in range(100)) + "</div>" + block * 50
    assert look(sound)["reopened"] == 100


def test_between_places_a_tree_grows_by_a_bounded_number_of_elements() -> None:
    page = "<div>" + "".join(f"<b a={n}>" for n in range(100)) + "</div>" + "<p>x</p>" * 90
    places = look(page)["places"]
    sizes = [n_elements(page[:place]) for place in (*places, len(page))]
    assert len(sizes) == 17
    assert all(b - a < 1200 for a, b in pairwise(sizes))


@pytest.mark.parametrize(
    "unit",
    ["<div></x>", "<DiV></X>", "<span></x>", "<div></>", "<div><!--</div>-->", "<div><img a='</div>'>",
     "<div><script></div></script>", "<div><title></div></title>", "<div><textarea></div></textarea>", "<imgx>",
     "<linear>", "<options>", "<div><object></div></object>", "<meter>", "<P\0>", "<p\x1e>", "<x/>", "<svg><input>",
     "<div><svg><![CDATA[></svg></div>]]>", "<div><script><!--<script></script></div>--></script>", "<div></div\0>",
     "<b><p></b><object>", "<table><td>"],
)  # fmt: skip
def test_what_closes_nothing_hides_no_depth(unit: str) -> None:
    page = unit * 200
    assert levels(page) > 200
    assert look(page)["most"] >= levels(page)


@pytest.mark.parametrize(
    "unit",
    ["<div><p>a<p>b<br></div>", "<ul><li>a<li>b</ul>", "<a href='x>y'>a</a>", "<table><tr><td>a</td></tr></table>",
     "<td>a<td>b", "<tr><td>a<td>b", "<dt>a<dd>b", "<option>a", "<svg><path d='M'/></svg>", "<!-- <div> -->",
     "<script>'<div>'</script>", "<DIV></div\t>", '<x a="<div>"></x>', "<img src=x/>", "<title><div></title>"],
)  # fmt: skip
def test_what_is_closed_as_pages_close_it_is_no_depth(unit: str) -> None:
    assert look(f"<table>{unit * 200}")["most"] < 300


@pytest.mark.parametrize(
    ("page", "n_attributes"),
    [
        ("<p>", 0),
        ("<p a b\tc\x0cd\ne\rf>", 6),
        ("<p a=\"\"b='>'c>", 3),
        ("<p a/b/c>", 3),
        ("<p a=b/c=d>", 1),
        ("<p a = b>", 1),
        ("<p a=>", 1),
        ("<p =a=b>", 1),
        ('<p a="<p b c d', 1),
        ("</p a b>", 2),
        ("<title>x</title a b>", 2),
    ],
)
def test_attributes_are_counted_as_a_browser_counts_them(page: str, n_attributes: int) -> None:
    assert look(page)["n_squares"] == n_attributes**2


def test_options_count_whatever_their_case() -> None:
    assert look("<Option><OPTION a><option/></option><options>")["n_options"] == 3


@given(st.binary(max_size=6))
def test_a_page_cut_in_a_tag_is_scanned_to_its_end_and_no_further(data: bytes) -> None:
    whole = np.frombuffer(data + b"<div><div>", np.uint8)
    alone = np.frombuffer(data, np.uint8)
    places = np.zeros(9, np.int64)
    assert scan_markup(whole[: len(data)], TABLE, 9, 9, places) == scan_markup(alone, TABLE, 9, 9, places)
