"""Every page of the demo's crawl, in the order a crawler might meet them.

    docs.handbook.example/library/csv.html        a module's pydoc page
    docs.handbook.example/reference/lambda.html   a topic of the language reference, as `help("lambda")` shows it
    docs.handbook.example/print/csv.html          the same text for a printer          1 page in 6
    docs.handbook.example/library/csv.html?lang=en  the same page under another address  1 in 8
    mirror.handbook.example/library/csv.html      an older mirror: a few words differ  1 in 5
    docs.handbook.example/reference/all.html      the whole reference on one page: too long for any rule
    notes.example, best-links.example             other hosts, see junk.py

Which pages have copies follows from a hash of their names, so it is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pydoc_data.topics import topics

from corpus_tools.demo.junk import JUNK_NAMES, junk_pages
from corpus_tools.demo.render import as_blocks
from corpus_tools.demo.site import anchors, bare_page, handbook_page
from corpus_tools.demo.warcfile import Page
from manifests.digest import hash64

__all__ = ["crawl_pages", "topic_texts"]

_SITE = "https://docs.handbook.example"
_MIRROR = "https://mirror.handbook.example"
_N_RELATED = 8
_UNDERLINES = set("*=-~^#")


def topic_texts() -> dict[str, str]:
    """The language reference's topics that this Python ships, as plain text, by name."""
    return {name: topics[name] for name in sorted(topics)}


def crawl_pages(modules: Mapping[str, str]) -> list[Page]:
    """All pages, in an order that depends on their addresses alone; `modules` maps names to pydoc's HTML."""
    texts = {name: _topic_html(text) for name, text in topic_texts().items()}
    pages = [
        *_shelf("library", modules),
        *_shelf("reference", texts),
        _index("library", list(modules)),
        _index("reference", list(texts)),
        _whole("reference", [*texts.values(), *modules.values()]),
        *junk_pages(JUNK_NAMES),
    ]
    return sorted(pages, key=lambda page: hash64("crawl order", page.url))


def _shelf(shelf: str, bodies: Mapping[str, str]) -> Iterator[Page]:
    """Each body as a page of the handbook, with the copies that the web would have of it."""
    names = list(bodies)
    for ordinal, (name, body) in enumerate(bodies.items()):
        near = [names[(ordinal + i) % len(names)] for i in range(1, _N_RELATED + 1)]
        links = [(f"/{shelf}/{other}.html", other) for other in near]
        page = _html(f"{_SITE}/{shelf}/{name}.html", handbook_page(name, body, links))
        yield page
        yield from _copies(shelf, name, body, page, links)


def _copies(shelf: str, name: str, body: str, page: Page, links: Sequence[tuple[str, str]]) -> Iterator[Page]:
    if hash64("print", name) % 6 == 0:
        yield _html(f"{_SITE}/print/{shelf}/{name}.html", bare_page(name, body))
    if hash64("lang", name) % 8 == 0:
        yield Page(f"{page.url}?lang=en", page.body)
    if hash64("mirror", name) % 5 == 0:
        older = f"{body}\n<p>This copy of the page about {escape(name)} is kept by a mirror and may be out of date.</p>"
        yield _html(f"{_MIRROR}/{shelf}/{name}.html", handbook_page(name, older, links))


def _index(shelf: str, names: Sequence[str]) -> Page:
    body = f"<h1>All pages</h1><ul>{anchors([(f'{name}.html', name) for name in names])}</ul>"
    return _html(f"{_SITE}/{shelf}/index.html", handbook_page("Index", body, []))


def _whole(shelf: str, bodies: Sequence[str]) -> Page:
    """Pages one after the other, as `all on one page` has them, up to 2 MB: more than 100,000 words."""
    body = "\n<hr>\n".join(bodies)[:2_000_000]
    return _html(f"{_SITE}/{shelf}/all.html", handbook_page("Everything on one page", body, []))


def _html(url: str, text: str) -> Page:
    return Page(url, text.encode("utf-8", "replace"))


def _topic_html(text: str) -> str:
    """A topic's text as HTML: underlined lines are headings, what is indented is code."""
    blocks = text.strip().split("\n\n")
    return "\n".join(_topic_block(block) for block in blocks)


def _topic_block(block: str) -> str:
    lines = block.strip("\n").split("\n")
    if len(lines) == 2 and lines[1] and set(lines[1]) <= _UNDERLINES:
        return f"<h2>{escape(lines[0])}</h2>"
    if lines[0].startswith("* "):
        # A point of a list, with its continuation lines.
        return f"<ul><li>{escape(' '.join(block[2:].split()))}</li></ul>"
    return as_blocks(escape(block, quote=False))
