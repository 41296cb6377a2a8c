"""Pages made to break an extractor, small to write down and large to read; each with its media type."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

__all__ = ["HOSTILE", "hostile_pages"]

N = 100_000
PIECES = "<a <b> </ <!-- --> <p class=' \" > & &# &#x; &#99999999; <![CDATA[ ]]> <script </script <?x"
Page = tuple[bytes, str]


def _html(body: bytes | str, media: str = "text/html") -> Page:
    content = body.encode() if isinstance(body, str) else body
    return b"<html><head><title>x</title></head><body>" + content, media


def _nested(tag: str) -> Callable[[random.Random], Page]:
    return lambda rng: _html(f"<{tag}>" * (N + rng.randrange(99)) + "text in the depth")


def _noise(rng: random.Random) -> Page:
    return _html(rng.randbytes(200_000), "text/html; charset=utf-8")


def _soup(rng: random.Random) -> Page:
    return _html(" ".join(rng.choices(PIECES.split(), k=30_000)))


def _mixed(rng: random.Random) -> Page:
    tags = [
        "div",
        "a",
        "b",
        "table",
        "tr",
        "td",
        "p",
        "li",
        "ul",
        "font",
        "span",
        "i",
        "form",
        "h1",
        "select",
    ]
    return _html("".join(f"<{rng.choice(('', '/'))}{rng.choice(tags)}>w " for _ in range(60_000)))


HOSTILE: dict[str, Callable[[random.Random], Page]] = {
    "nested_div": _nested("div"),
    "nested_b": _nested("b"),
    "nested_table": _nested("table"),
    "nested_a": _nested("a href=x"),
    "nested_font": _nested("font color=red"),
    "nested_ul": _nested("ul><li"),
    "nested_span": _nested("span"),
    "nested_svg": _nested("svg"),
    "unclosed_everything": lambda _: _html("<p><b><i><table><tr><td><div><a>word " * 10_000),
    "empty_paragraphs": lambda _: _html("<p>" * 200_000),
    "closed_too_often": lambda _: _html("</div>" * N + "<div>" * N + "text"),
    "script": lambda rng: _html(
        "<script>" + "var a = '<p>x</p>';" * (150_000 + rng.randrange(9)) + "</script>end"
    ),
    "script_never_closed": lambda _: _html("<script>" + "a<b;" * 500_000),
    "comment_never_closed": lambda _: _html("<!--" + "- " * 500_000),
    "attribute_never_closed": lambda _: _html('<p title="' + "a=b " * 500_000),
    "many_attributes": lambda _: _html("<p " + " ".join(f"a{i}=b" for i in range(N)) + ">text"),
    "long_attribute": lambda _: _html("<p title='" + "x" * 3_000_000 + "'>text"),
    "entities": lambda _: _html("&amp;&lt;&#65;&nbsp;" * 200_000),
    "broken_entities": lambda _: _html("&#" * 400_000 + "&bogus" * 100_000),
    "entity_bomb": lambda _: (
        b"<!DOCTYPE html [" + b'<!ENTITY a "aaaaaaaaaa">' * 1000 + b"]>" + b"&a;" * N,
        "",
    ),
    "one_word": lambda _: _html("x" * 4_000_000),
    "one_line": lambda _: _html("word " * 800_000),
    "nul_bytes": lambda _: _html(b"text\x00" * 200_000),
    "noise": _noise,
    "soup": _soup,
    "mixed": _mixed,
    "utf16_without_mark": lambda _: (
        "<p>text</p>".encode("utf-16-le") * 50_000,
        "text/html; charset=utf-16le",
    ),
    "utf16_nested": lambda _: (b"\xff\xfe" + ("<div>" * N + "text").encode("utf-16-le"), "text/html"),
    "wrong_charset": lambda _: _html("щётка и ведро ".encode("cp1251") * 20_000, "text/html; charset=utf-8"),
    "unknown_charset": lambda _: _html("plain text " * 1000, "text/html; charset=no-such"),
    "cut_utf8": lambda _: _html(b"\xf0\x9f\x92" * N, "text/html; charset=utf-8"),
    "surrogates": lambda _: _html(b"\xed\xa0\x80text" * 50_000),
    "many_links": lambda _: _html("<a href='http://example.org/'>link</a> " * 60_000),
    "wide_table": lambda _: _html("<table><tr>" + "<td>1</td>" * N),
    "selects": lambda _: _html("<select>" + "<option>a" * N),
    "options_of_mixed_case": lambda _: _html("<select>" + "<Option>a" * N),
    "closes_nothing": lambda _: _html("<div></x>" * N),
    "closes_nothing_inline": lambda _: _html("<span></x>" * N),
    "closes_in_an_object": lambda _: _html("<div><object></div></object>" * 50_000),
    "closes_in_a_comment": lambda _: _html("<div><!--</div>-->" * N),
    "closes_in_an_attribute": lambda _: _html("<div><img a='</div>'>" * 60_000),
    "closes_in_raw_text": lambda _: _html("<div><textarea></div></textarea>" * 50_000),
    "formatting_opened_again": lambda _: _html(
        "<div>" + "".join(f"<b i={n}>" for n in range(480)) + "</div>" + "<p>x</p>" * 60_000
    ),
    "formatting_opened_again_by_lists": lambda _: _html(
        "<ul>" + "".join(f"<li><i i={n}>" for n in range(2000)) + "</ul>" + "<li>x" * 60_000
    ),
    "formatting_left_open_ever_deeper": lambda _: _html(
        "".join(f"<div><b i={n}></div>" for n in range(400)) + "x<caption>x" * 20_000
    ),
    "wide_in_the_depth": lambda _: _html("<div>" * 490 + "<i i=1><i i=2><caption>" + "x<caption><br>" * N),
    "void_by_three_letters": lambda _: _html("<imgx>" * N),
    "inputs_in_a_drawing": lambda _: _html("<svg>" + "<input>" * N),
    "attributes_behind_quotes": lambda _: _html("<p " + "".join(f'a{i}=""' for i in range(N)) + ">text"),
    "attributes_behind_slashes": lambda _: _html("<p " + "/".join(f"a{i}" for i in range(N)) + ">text"),
    "attributes_behind_a_quoted_end": lambda _: _html(
        "<p z='>' " + " ".join(f"a{i}" for i in range(N)) + ">text"
    ),
    "attributes_of_many_tags": lambda _: _html(
        ("<p " + " ".join(f"a{i}" for i in range(5000)) + ">text") * 100
    ),
    "attributes_without_end": lambda _: _html("<p " + " ".join(f"a{i}" for i in range(N))),
    "frames": lambda _: _html("<iframe srcdoc='<p>x'>" * 50_000),
    "right_to_left": lambda _: _html("\u202e\u2066\u202d" * N),
    "combining": lambda _: _html("e" + "\u0301" * 500_000),
}


def hostile_pages(n_pages: int, seed: int = 7) -> Iterator[tuple[str, bytes, str]]:
    """(kind, body, media type) of `n_pages` pages, every kind in turn."""
    rng = random.Random(seed)
    kinds = sorted(HOSTILE)
    for k in range(n_pages):
        kind = kinds[k % len(kinds)]
        yield (kind, *HOSTILE[kind](rng))
