"""The main text of one HTML page.

    <nav>..</nav><h1>Tea</h1><p>Boil &amp; wait.</p><svg>..</svg>  ->  "Tea\n\nBoil & wait."

resiliparse parses (lexbor) and chooses the main content; comments, author lines, alternative texts, drawings
and dialogs are left out (with them precision falls from .887 to .841 on article-extraction-benchmark; recall
is .980 either way). List bullets stay where lists do: rules that count them should see them. Characters that
no text needs are removed: NUL, the other controls but tab and newline, byte order marks and surrogates.

Price: 1.6 ms for a news page of 100 kB. The cost of choosing the main content grows with the square of how
deep elements are nested (5,000 levels: 1.7 s), so a page is measured first (`too_deep`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import unescape
from typing import Any

import numpy as np
import numpy.typing as npt
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from manifests.errors import UsageError
from pipelines.extract.charset import decode_page

__all__ = ["ENGINES", "extract_text", "is_deeper_than", "main_text", "page_title"]

ENGINES = ("resiliparse",)

_SKIPPED = ("svg", "canvas", "noembed", "noframes", "dialog")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ud800-\udfff]+")
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{0,2000})</title", re.IGNORECASE)
_BODY = re.compile(r"<(?:body|svg)[\s>]", re.IGNORECASE)
_MAX_HEAD = 1 << 16


def extract_text(html: str | bytes, engine: str = "resiliparse") -> str:
    """The main text of a page; "" where it has none. Bytes are decoded as `charset.py` says.

    Raises: UsageError for an engine that does not exist.

    >>> extract_text("<p>Boil &amp; wait until the water sings.<script>alert(1)</script></p>")
    'Boil & wait until the water sings.'
    """
    if engine not in ENGINES:
        raise UsageError(
            f"engine {engine!r}: expected one of {', '.join(ENGINES)}. Nothing could be extracted with it. "
            f"Write engine={ENGINES[0]!r} or leave it out."
        )
    text = html if isinstance(html, str) else decode_page(html, None)
    return main_text(text or "")


def main_text(page: str) -> str:
    """The main text of a decoded page, controls removed, without white space around it."""
    # Every selector costs 4% of a page, so only those of elements that are there are asked for.
    skipped = [name for name in _SKIPPED if f"<{name}" in page or f"<{name.upper()}" in page]
    text = extract_plain_text(
        page,
        preserve_formatting=True,
        main_content=True,
        list_bullets=True,
        alt_texts=False,
        comments=False,
        post_meta=False,
        skip_elements=skipped,
    )
    return _CONTROLS.sub("", text).strip()


def page_title(page: str) -> str | None:
    """The page's <title> on one line; None where it has none before its body."""
    head = page[:_MAX_HEAD]
    body = _BODY.search(head)
    found = _TITLE.search(head, 0, body.start() if body else len(head))
    if found is None:
        return None
    return " ".join(_CONTROLS.sub("", unescape(found.group(1))).split()) or None


def is_deeper_than(page: str, data: bytes, *, max_depth: int) -> bool:
    """Whether elements are nested in more than `max_depth` others.

    data: the page's bytes. The tree is built only where the tags in them suggest so much.
    """
    return _open_tags(data) > max_depth and _tree_deeper_than(page, max_depth)


def _codes(names: Iterable[bytes]) -> npt.NDArray[np.int32]:
    return np.array([(n[0] & 0x7F) << 14 | (n[1] & 0x7F) << 7 | (n[2] & 0x7F) for n in names], dtype=np.int32)


# Elements without content, and those that close their like: left open, they make no depth.
_FLAT = np.zeros(1 << 21, dtype=np.bool_)
_FLAT[_codes(b"br> br/ hr> hr/ img inp lin met sou are col wbr emb bas par li> opt".split())] = True
_FLAT[_codes([b"br ", b"hr ", b"li ", b"p  "])] = True
_FLAT[(ord("p") << 14) + (ord(">") << 7) + np.arange(128)] = True


def _open_tags(data: bytes) -> int:
    """An upper estimate of the depth: the most tags open at once, 0.1 ms for a page of 100 kB."""
    text = np.frombuffer(data + b"<    ", dtype=np.uint8)
    at = np.flatnonzero(text == ord("<"))[:-1]
    closes = text[at + 1] == ord("/")
    first = at + 1 + closes
    letters = [(text[first + i] & 0x7F | 0x20).astype(np.int32) for i in range(3)]
    is_tag = (letters[0] >= ord("a")) & (letters[0] <= ord("z"))
    is_tag &= ~_FLAT[letters[0] << 14 | letters[1] << 7 | letters[2]]
    depth = np.cumsum(np.where(closes, -1, 1) * is_tag)
    # From the lowest point before it, not from zero: tags closed too often must not hide what opens later.
    return int((depth - np.minimum.accumulate(np.minimum(depth, 0))).max(initial=0))


def _tree_deeper_than(page: str, max_depth: int) -> bool:
    node: Any = HTMLTree.parse(page).document
    depth = 0
    while node is not None and depth <= max_depth:
        if node.first_child is not None:
            node, depth = node.first_child, depth + 1
            continue
        while node is not None and node.next is None:
            node, depth = node.parent, depth - 1
        node = node.next if node is not None else None
    return depth > max_depth
