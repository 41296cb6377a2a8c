"""The engine `quern`: which blocks of a page are its article, and how they are written."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.extract import extract_text

TEXT = "The kettle stood on the stove, and nobody spoke until the water sang. " * 3
MORE = "Then she poured it slowly, as her aunt had taught her, over the leaves. " * 3


def article(html: str) -> str:
    return extract_text(html, engine="quern")


def paragraphs(html: str) -> list[str]:
    return article(html).split("\n\n")


def test_the_article_is_what_is_left_of_a_page_with_everything_around_it() -> None:
    page = f"""<body class="single has-sidebar"><header><a href=/>Daily Tea</a><ul><li><a href=/a>News</a></ul></header>
      <div class=wrap><h1>On tea</h1><p class=byline>By A. Writer, today</p>
      <div class=post><p>{TEXT}</p><figure><img><figcaption>A cup, by B. Photo, of the agency.</figcaption></figure>
      <h2>Pouring</h2><p>{MORE}</p><p>{TEXT}</p><h2>Share this</h2></div>
      <div class="related-posts"><h3>Also</h3><p>{MORE[:100]}</p></div>
      <ol class=comments><li><p>{MORE[:150]}</p><li><p>{MORE[:150]}</p></ol></div>
      <aside><p>{MORE}</p></aside><footer><p>{MORE[:150]}</p></footer>"""
    assert paragraphs(page) == [TEXT.strip(), "Pouring", MORE.strip(), TEXT.strip()]


def test_names_do_not_hide_most_of_a_page() -> None:
    assert article(f"<div class='comment menu footer'><p>{TEXT}</p><p>{MORE}</p></div>").count("kettle") == 3


def test_a_list_of_teasers_longer_than_the_article_is_not_the_article() -> None:
    teasers = "".join(f"<li><h3>Story {i}</h3><p>{MORE}</p>" for i in range(9))
    assert paragraphs(f"<div><div><p>{TEXT}<p>{TEXT}</div><ul>{teasers}</ul></div>") == [TEXT.strip()] * 2


def test_an_article_made_of_list_items_is_one() -> None:
    items = "".join(f"<li>{MORE}" for _ in range(3))
    assert article(f"<nav><a href=/>Home</a></nav><div><ol>{items}</ol></div>") == "\n".join(
        [f"- {MORE.strip()}"] * 3
    )


def test_the_lead_between_the_title_and_the_article_is_kept() -> None:
    body = f"<div><p>{TEXT}<p>{TEXT}<p>{TEXT}</div>"
    page = f"<main><header><h1>Tea</h1><p>{MORE}</p></header><div><img></div>{body}</main>"
    assert paragraphs(page) == [MORE.strip(), *[TEXT.strip()] * 3]


def test_an_article_in_two_containers_is_kept_whole() -> None:
    page = f"<div><div><p>{TEXT}<p>{TEXT}</div><div><a href=/>Ad</a></div><div><p>{MORE}<p>{MORE}</div></div>"
    assert paragraphs(page) == [TEXT.strip()] * 2 + [MORE.strip()] * 2


def test_short_lines_stay_between_text_and_go_around_it() -> None:
    page = f"<div><p>Monday<p>{TEXT}<p>* * *<p><a href=/>Read on</a><p>{MORE}<p>Filed here</div>"
    assert paragraphs(page) == [TEXT.strip(), "* * *", MORE.strip()]


def test_headings_stay_only_before_text_that_stays() -> None:
    page = f"<div><h1>One</h1><p>{TEXT}<h2>Two</h2><h3>Deeper</h3><p>{MORE}<h2>Links</h2><p><a href=/>Home</a></div>"
    assert paragraphs(page) == [TEXT.strip(), "Two", "Deeper", MORE.strip()]


def test_a_heading_before_the_first_text_stays_if_its_rank_comes_again() -> None:
    page = f"<div><h1>Tea</h1><h2>Boiling</h2><p>{TEXT}<h2>Pouring</h2><p>{MORE}</div>"
    assert paragraphs(page) == ["Boiling", TEXT.strip(), "Pouring", MORE.strip()]


def test_lists_tables_and_code_are_readable() -> None:
    page = f"""<div><p>{TEXT}<ul><li>green<li>black<ul><li>smoked</ul></ul>
      <table><tr><th>Tea<th>Minutes<tr><td>green<td>3</table><p>{MORE}
      <pre>\nfor cup in cups:\n    fill(cup)\n</pre><p>{TEXT}</div>"""
    assert paragraphs(page)[1:-1] == [
        "- green\n- black\n  - smoked",
        "Tea\tMinutes\ngreen\t3",
        MORE.strip(),
        "for cup in cups:\n    fill(cup)",
    ]


def test_links_in_a_table_made_for_layout_go() -> None:
    table = f"<table><tr><td><p>{MORE}<td><a href=/>Home</a><tr><td><p>{MORE}</table>"
    assert paragraphs(f"<div><p>{TEXT}<p>{TEXT}{table}</div>") == [TEXT.strip()] * 2 + [MORE.strip()] * 2


def test_a_list_of_links_between_text_goes() -> None:
    links = "<ul>" + "<li><a href=/>Another story here</a>" * 4 + "</ul>"
    assert paragraphs(f"<div><p>{TEXT}{links}<p>{MORE}</div>") == [TEXT.strip(), MORE.strip()]


@pytest.mark.parametrize(
    "text",
    [
        "水が歌い出すまで、誰も話さなかった。やかんは火の上にあった。" * 3,
        "水开之前，没有人说话。水壶放在炉子上，她慢慢地倒水。" * 3,
        "ไม่มีใครพูดจนกว่าน้ำจะเดือด กาน้ำวางอยู่บนเตา เธอค่อยๆ รินน้ำลงบนใบชา " * 6,
        "وقف الإبريق على الموقد، ولم يتكلم أحد حتى غنى الماء، ثم صبته ببطء. " * 3,
        "केतली चूल्हे पर रखी थी। जब तक पानी नहीं गाया तब तक कोई नहीं बोला। " * 3,
        "Чайник стоял на плите, и никто не говорил, пока вода не запела. " * 3,
    ],
)
def test_no_language_is_needed_to_find_an_article(text: str) -> None:
    page = (
        f"<div><ul><li><a href=/>{text[:8]}</a></ul></div><div><p>{text}<p>{text}</div><div>{text[:9]}</div>"
    )
    assert paragraphs(page) == [" ".join(text.split())] * 2


def test_a_page_without_sentences_gives_all_but_links_and_margins() -> None:
    page = "<nav>menu</nav><div>abc</div><p>def<p><a href=/>link</a>"
    assert paragraphs(page) == ["abc", "def"]


def test_a_page_of_links_has_no_text() -> None:
    assert article("<ul>" + "<li><a href=/>A story, told at length, about tea</a>" * 30 + "</ul>") == ""


PIECES = [
    *("<p>", "<ul>", "<li>", "</ul>", "<td>", "<tr>", "<table>", "</table>", "<h2>", "<nav>", "</nav>"),
    *("<div>", "<div class=comment>", "</div>", "<br>", "<a href=>", "</a>", "<pre>x\n</pre>", TEXT, MORE, "日本語。"),
]  # fmt: skip


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_every_line_of_the_article_is_a_line_of_the_page(pieces: list[str]) -> None:
    page = "".join(pieces)
    shown = re.sub(r"\s", "", re.sub("<[^>]*>", "", page))
    text = article(page)
    for line in re.split("[\n\t]", text):
        assert re.sub(r"\s", "", re.sub("^ *- ", "", line)) in shown
    assert text == text.strip("\n")
    assert "\n\n\n" not in text
