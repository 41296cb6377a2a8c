"""The main text of one HTML page.

    <nav>..</nav><h1>Tea</h1><p>Boil &amp; wait.</p><svg>..</svg>  ->  "Boil & wait."

Three engines. `quern` is our own (`blocks.py`): F1 .966 on article-extraction-benchmark, and the fastest.
`trafilatura` (`third_party.py`), F1 .953 with FineWeb's settings, is fifty times slower. `resiliparse`, F1 .931,
parses (lexbor) and chooses the main content; comments, author lines, alternative texts, drawings and dialogs are left
out. With the first three, precision there falls from .887 to .841, with alternative texts alone to .853; recall is
.980 each time. List bullets stay where lists do: rules that count them should see them. Of quern and resiliparse
characters that no text needs are removed: NUL, the other controls but tab and newline, byte order marks and
surrogates.

Price: 0.4 ms for a page of 130 kB with quern, 2.7 ms with resiliparse. What that takes to choose the main content
grows with the square of how deep elements are nested (5,000 levels: 1.7 s), so a page is measured first (`too_deep`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from manifests.errors import UsageError
from pipelines.extract.blocks import article_text
from pipelines.extract.charset import decode_page
from pipelines.extract.third_party import require_trafilatura, trafilatura_text
from pipelines.kernels.pages import find_title
from pipelines.kernels.tags import SKIPPED, name_table, scan_markup

__all__ = [
    "ENGINES",
    "MAX_HEAD",
    "Tags",
    "extract_text",
    "is_crowded",
    "main_text",
    "page_title",
    "scan_tags",
    "title_of",
    "tree_flaw",
]

ENGINES = ("quern", "resiliparse", "trafilatura")

_SKIPPED = ("svg", "canvas", "noembed", "noframes", "dialog")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ud800-\udfff]+")
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,2000})</title", re.IGNORECASE)
_BODY = re.compile(r"<(?:body|svg)[\s>]", re.IGNORECASE)
MAX_HEAD = 1 << 16
_MAX_TITLE = 1 << 13
MAX_CROWD = 10_000


def extract_text(html: str | bytes, engine: str = "quern") -> str:
    """The main text of a page; "" where it has none. Bytes are decoded as `charset.py` says.

    Raises: UsageError for an engine that does not exist or is not installed.

    >>> extract_text("<nav><a href=/>Home</a></nav><p>Boil, then wait until it sings.")
    'Boil, then wait until it sings.'
    >>> extract_text("<p>Boil &amp; wait until the water sings.<script>alert(1)</script></p>", engine="resiliparse")
    'Boil & wait until the water sings.'
    """
    if engine not in ENGINES:
        raise UsageError(
            f"engine {engine!r}: expected one of {', '.join(ENGINES)}. Nothing could be extracted with it. "
            f"Write engine={ENGINES[0]!r} or leave it out."
        )
    text = (html if isinstance(html, str) else decode_page(html, None)) or ""
    if engine == "trafilatura":
        require_trafilatura()
        return trafilatura_text(text) or ""
    if engine == "resiliparse":
        return main_text(text)
    return article_text(np.frombuffer(text.encode("utf-8", "ignore"), np.uint8))[0].decode()


def main_text(page: str, tags: Tags | None = None) -> str:
    """The main text of a decoded page by resiliparse, controls removed, without white space around it.

    tags: of the page's UTF-8 bytes, where somebody has them.
    """
    # Every selector costs 4% of a page, so only those of elements that are there are asked for.
    skipped = (tags or scan_tags(page.encode("utf-8", "surrogatepass"))).skipped
    text = extract_plain_text(
        page,
        preserve_formatting=True,
        main_content=True,
        list_bullets=True,
        alt_texts=False,
        comments=False,
        post_meta=False,
        skip_elements=list(skipped),
    )
    return _CONTROLS.sub("", text).strip()


def page_title(page: str) -> str | None:
    """The page's <title> on one line; None where it has none before its body."""
    head = page[:MAX_HEAD]
    body = _BODY.search(head)
    found = _TITLE.search(head, 0, body.start() if body else len(head))
    return _on_one_line(found.group(1)) if found else None


def title_of(page: npt.NDArray[np.uint8]) -> str | None:
    """`page_title` of a page in UTF-8, uint8[n_bytes]: only what stands at its `<title` is decoded."""
    head = page[:MAX_HEAD]
    at = find_title(head)
    if at < 0:
        return None
    found = _TITLE.match(head[at : at + _MAX_TITLE].tobytes().decode("utf-8", "ignore"))
    if found is None:
        return page_title(head[at:].tobytes().decode("utf-8", "ignore"))
    return _on_one_line(found.group(1))


def _on_one_line(title: str) -> str | None:
    return " ".join(_CONTROLS.sub("", unescape(title)).split()) or None


@dataclass(frozen=True, slots=True)
class Tags:
    """What a look at a page's tags alone tells.

    n_open: how deep elements are nested at most, by an estimate that is too high where end tags are amiss;
    n_reopened: elements that a parser opens again, at most, by such an estimate; skipped: elements left out of the text
    that are there; n_options: `<option`s, whatever their case; n_attributes: as many in one tag as would take a parser
    as long as those of all tags; places: bytes between which a tree grows little, None where they are too many.
    """

    n_open: int
    n_reopened: int
    skipped: tuple[str, ...]
    n_options: int
    n_attributes: int
    places: tuple[int, ...] | None


def is_crowded(tags: Tags) -> bool:
    """Whether a page has more than MAX_CROWD options, or tags as slow as one with more than MAX_CROWD attributes."""
    return tags.n_options > MAX_CROWD or tags.n_attributes > MAX_CROWD


def tree_flaw(page: str, tags: Tags, *, max_depth: int) -> str | None:
    """Why a parser would take too long over a page: too_large (crowded, or a large tree) or too_deep; else None.

    too_deep: elements stand more than `max_depth` deep (html is 1). A tree is built only where `tags` suggest a deep or
    a large one, and of ever longer heads of the page: a deep one takes a parser the square, a large one the memory.
    """
    if is_crowded(tags):
        return "too_large"
    if tags.n_open <= max_depth and tags.n_reopened <= _MAX_REOPENED:
        return None
    if tags.places is None:
        return "too_large"
    markup, n_asked, n_steps = page.encode("utf-8", "surrogatepass"), 0, 0
    max_levels = max_depth if tags.n_open > max_depth else None
    for place in (*tags.places, len(markup)):
        head = markup[:place].decode("utf-8", "ignore")
        flaw, n_elements, n_taken = _flaw_of_tree(head, max_levels, n_allowed=_MAX_STEPS - n_steps)
        n_asked, n_steps = n_asked + n_elements, n_steps + n_taken
        if flaw or n_asked > _MAX_ASKED:
            return flaw or "too_large"
    return None


_NAMES = name_table(_SKIPPED)
# 60,000 levels can take a parser 10 s, and it takes the square. An element takes some 350 bytes and, to extract, 3 us;
# of 363 real pages none has 20,000 tags, and none opens 100,000 elements again.
_MAX_OPENED = 1024
_MAX_REOPENED = 250_000
_MAX_ELEMENTS = 500_000
_MAX_PLACES = 64
# In all trees of a page: to build one takes up to 0.6 us an element.
_MAX_ASKED = 3_000_000
# To ask for the depth of one takes some 10 ns for every level of every element, as far down as it is asked for.
_MAX_STEPS = 60_000_000
_FIRST_LEVELS = 16


def scan_tags(markup: bytes | npt.NDArray[np.uint8]) -> Tags:
    """The tags of a page's bytes, in 0.1 ms for a page of 100 kB."""
    places = np.empty(_MAX_PLACES, np.int64)
    n_open, n_reopened, n_places, seen, n_options, n_squares = scan_markup(
        np.frombuffer(markup, np.uint8), _NAMES, _MAX_OPENED, _MAX_REOPENED, places
    )
    skipped = tuple(name for bit, name in enumerate(_SKIPPED) if seen & SKIPPED << bit)
    heads = tuple(places[:n_places].tolist()) if n_places <= _MAX_PLACES else None
    return Tags(n_open, n_reopened, skipped, n_options, isqrt(n_squares), heads)


def _flaw_of_tree(page: str, max_depth: int | None, *, n_allowed: int) -> tuple[str | None, int, int]:
    """What is wrong with the tree of a page, its depth aside where that has no limit; its elements; steps taken."""
    document = HTMLTree.parse(page).document
    if document is None:
        return None, 0, 0
    n_elements = len(document.query_selector_all("*"))
    if n_elements > _MAX_ELEMENTS or max_depth is None:
        return "too_large" if n_elements > _MAX_ELEMENTS else None, n_elements, 0
    flaw, n_steps = _flaw_of_depth(document, n_elements, max_depth, n_allowed=n_allowed)
    return flaw, n_elements, n_steps


def _flaw_of_depth(
    document: Any, n_elements: int, max_depth: int, *, n_allowed: int
) -> tuple[str | None, int]:
    """Whether a tree is too deep, or too_large to tell in `n_allowed` steps; and how many steps it took at most.

    A walk takes Python 6 us a node; the parser's own search for elements within so many takes 10 ns a level. It is
    asked for twice as many each time, so that a wide tree that is not deep takes few steps, and none is counted low.
    """
    n_deep, levels, n_searched, n_steps = n_elements, 0, 0, 0
    while n_deep:
        if levels > max_depth:
            return "too_deep", n_steps
        further = min(max_depth + 1, 2 * levels or _FIRST_LEVELS)
        n_searched += n_deep * (further - levels)
        n_steps += n_searched
        if n_steps > n_allowed:
            return "too_large", n_steps
        levels = further
        n_deep = len(document.query_selector_all(" > ".join("*" * levels)))
    return None, n_steps
