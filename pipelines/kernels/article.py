r"""Which blocks of a page are its article, and the article's text; blocks and elements are `html.split_blocks`'s.

    nav   "Home" "About"        links                       out
    h1    "Tea"                 before the first text       out: titles have a column of their own
    p     "Boil the water ..."  worth its length         }  root: the container of most worth
    h2    "Cups"                kept text before, behind }
    ul    "- green" "- black"   between text, few links  }
    div   "Share" "3 comments"  short, after the last text  out

1. A block is worth its characters if it is long, reads like sentences and is no link; short ones half of that.
2. Margins (nav, aside, footer, captions; names that hint at comments, menus, bylines) lose theirs, unless most of
   the page's worth lies in them: names are weak evidence.
3. The root is the element with most worth in it, its children and, by half, its grandchildren; then each ancestor
   that adds half as much again. List items count little: comments and teasers are lists.
4. In the root worth stays, and with it what lies between (short lines, lists and tables with few links), headings
   before kept text (before the first only of a rank that comes again: titles do not), and the lead between the
   page's h1 and the root.
5. A page without any worth keeps all that is neither margin nor link.

All in integers, linear in blocks and elements: 20 us a page. No language's words are looked at; what a sentence is,
its marks say. What it does not do: tell the article from another as long, or a caption without `figcaption`.

Source: ideas of Readability.js (scores of containers), boilerpipe (Kohlschuetter et al. 2010: length and link
density of neighbouring blocks); thresholds from 92 pages of article-extraction-benchmark, F1 flat around each.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.html_names import ARTICLE, COMMENT, HEADING, MARGIN, META, element_id
from pipelines.kernels.jit import inline, kernel

__all__ = ["choose_blocks", "write_blocks"]

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]

LONG, FAIR = 80, 25  # characters
LONG_WITHOUT_MARKS = 240
LONG_HEADING = 120  # a first paragraph set as a heading
LEAD = 80
MAX_LEAD_BLOCKS = 60
MAX_GAP = 8  # lines, lists and tables between two texts

_START, _END, _CHARS, _LINKED, _MARKS, _ELEMENT, _BULLET, _PRE = 0, 1, 2, 3, 5, 6, 7, 8
_PARENT, _TAG, _HINTS, _FIRST, _LAST = range(5)
_H1, _LI, _TD, _TH, _TR = (element_id(name) for name in ("h1", "li", "td", "th", "tr"))
_UL, _OL, _DL, _TABLE = (element_id(name) for name in ("ul", "ol", "dl", "table"))
_NAV, _ASIDE, _FOOTER, _CAPTION = (element_id(name) for name in ("nav", "aside", "footer", "figcaption"))
_QUOTE, _BODY = (element_id(name) for name in ("blockquote", "body"))
_ROWS = "Array(int32, 2, 'C')"
_INTS = "Array(int64, 1, 'C')"


@inline
def _is_linked(blocks: Rows, i: int) -> bool:
    return bool(2 * blocks[i, _LINKED] > blocks[i, _CHARS])


@inline
def _worth(blocks: Rows, elements: Rows, kinds: Ints) -> Ints:
    """What each block says for its being part of an article, in quarters of a character; 0 for nothing."""
    worth = np.zeros(len(blocks), np.int64)
    for i in range(len(blocks)):
        n_chars = blocks[i, _CHARS] - blocks[i, _LINKED]
        marked = blocks[i, _MARKS] > 0
        if _is_linked(blocks, i):
            continue
        if kinds[elements[blocks[i, _ELEMENT], _TAG]] & HEADING:
            worth[i] = 4 * n_chars if marked and n_chars >= LONG_HEADING else 0
        elif n_chars >= LONG and (marked or blocks[i, _PRE] or n_chars >= LONG_WITHOUT_MARKS):
            worth[i] = 4 * n_chars
        elif n_chars >= FAIR and marked:
            worth[i] = 2 * n_chars
    return worth


@inline
def _totals(worth: Ints, blocks: Rows, elements: Rows) -> Ints:
    """The worth within each element, at any depth."""
    totals = np.zeros(len(elements), np.int64)
    for i in range(len(blocks)):
        totals[blocks[i, _ELEMENT]] += worth[i]
    for x in range(len(elements) - 1, 0, -1):
        totals[elements[x, _PARENT]] += totals[x]
    return totals


@inline
def _margins(totals: Ints, elements: Rows, kinds: Ints) -> Bytes:
    """For each element 0, or why it is left out, its ancestors' reasons included: MARGIN, COMMENT, META."""
    margins = np.zeros(len(elements), np.uint8)
    for x in range(1, len(elements)):
        tag, hints = elements[x, _TAG], elements[x, _HINTS]
        why = margins[elements[x, _PARENT]]
        if tag == _QUOTE:
            why &= ~np.uint8(MARGIN)  # quoted posts stand in boxes named after their networks
        if tag != _BODY and 5 * totals[x] <= 3 * totals[0]:
            why |= np.uint8(hints & COMMENT)
            if hints & MARGIN and not hints & ARTICLE:
                why |= np.uint8(MARGIN)
            if tag in (_NAV, _ASIDE, _FOOTER, _CAPTION):
                why |= np.uint8(MARGIN)
        if hints & META and not kinds[tag] & HEADING and 10 * totals[x] <= totals[0]:
            why |= np.uint8(META)
        margins[x] = why
    return margins


@inline
def _items(elements: Rows) -> Bytes:
    """bool[n_elements]: whether an element is a list item or in one."""
    items = np.zeros(len(elements), np.uint8)
    for x in range(1, len(elements)):
        items[x] = items[elements[x, _PARENT]] or elements[x, _TAG] == _LI
    return items


@inline
def _root(worth: Ints, items: Bytes, blocks: Rows, elements: Rows) -> int:
    """The element that holds the article."""
    weighed = worth.copy()
    near = np.zeros(len(elements), np.int64)
    for i in range(len(blocks)):
        x = blocks[i, _ELEMENT]
        if items[x]:
            weighed[i] = weighed[i] // 4 if elements[x, _TAG] == _LI else 0
        near[x] += weighed[i]
        parent = elements[x, _PARENT]
        if parent >= 0:
            near[parent] += weighed[i]
            if elements[parent, _PARENT] >= 0:
                near[elements[parent, _PARENT]] += weighed[i] // 2
    totals = _totals(weighed, blocks, elements)
    root = x = int(np.argmax(near))
    while x > 0:
        x = elements[x, _PARENT]
        if 2 * totals[x] > 3 * totals[root]:
            root = x
    return root


@inline
def _groups(root: int, elements: Rows) -> Ints:
    """The outermost list or table in the root that each element is in; -1 for none."""
    groups = np.full(len(elements), -1, np.int64)
    for x in range(root + 1, len(elements)):
        if elements[x, _FIRST] >= elements[root, _LAST]:
            break
        tag = elements[x, _TAG]
        groups[x] = groups[elements[x, _PARENT]]
        if groups[x] < 0 and (tag in (_UL, _OL, _DL, _TABLE)):
            groups[x] = x
    return groups


@inline
def _may_stay(root: int, worth: Ints, groups: Ints, margins: Bytes, blocks: Rows, elements: Rows) -> Bytes:
    """For each block of the root 1 if it stays between text, 2 if after it too (lists and tables, few links).

    A list or table stays or goes as one; not a table that is sentences for the most part, for it is lay-out.
    """
    first, last = elements[root, _FIRST], elements[root, _LAST]
    n_chars = np.zeros(len(elements), np.int64)
    n_linked = np.zeros(len(elements), np.int64)
    text = np.zeros(len(elements), np.int64)
    for i in range(first, last):
        group = groups[blocks[i, _ELEMENT]]
        if group >= 0 and not margins[blocks[i, _ELEMENT]]:
            n_chars[group] += blocks[i, _CHARS]
            n_linked[group] += blocks[i, _LINKED]
            text[group] += worth[i] // 4
    stay = np.zeros(last - first, np.uint8)
    for i in range(first, last):
        x = blocks[i, _ELEMENT]
        group = groups[x]
        if margins[x]:
            continue
        if group < 0 or (elements[group, _TAG] == _TABLE and 2 * text[group] > n_chars[group]):
            stay[i - first] = not _is_linked(blocks, i)
        elif 2 * n_linked[group] <= n_chars[group]:
            stay[i - first] = 2 if 4 * n_linked[group] <= n_chars[group] else 1
    return stay


@inline
def _keep_text(
    keep: Bytes, root: int, worth: Ints, groups: Ints, margins: Bytes, blocks: Rows, elements: Rows
) -> None:
    """Keeps what has worth in the root, what lies between, and a list or table right behind the last of it."""
    first, last = elements[root, _FIRST], elements[root, _LAST]
    stay = _may_stay(root, worth, groups, margins, blocks, elements)
    before, gap, group_before = -1, 0, -1
    for i in range(first, last):
        group = groups[blocks[i, _ELEMENT]]
        gap += group < 0 or group != group_before
        group_before = group
        if worth[i] <= 0:
            continue
        keep[i] = 1
        if before >= 0 and gap <= MAX_GAP:
            for j in range(before + 1, i):
                keep[j] = stay[j - first] > 0
        before, gap = i, 0
    if before < 0 or before + 1 >= last:
        return
    group = groups[blocks[before + 1, _ELEMENT]]
    i = before + 1
    while group >= 0 and i < last and groups[blocks[i, _ELEMENT]] == group:
        keep[i] = stay[i - first] == 2
        i += 1


@inline
def _keep_headings(
    keep: Bytes, root: int, worth: Ints, margins: Bytes, blocks: Rows, elements: Rows, kinds: Ints
) -> None:
    """Keeps headings before kept text and no others; before the first text those of a rank that comes again."""
    first, last = elements[root, _FIRST], elements[root, _LAST]
    follows = np.uint8(0)
    n_kept = np.zeros(len(kinds), np.int64)
    for i in range(last - 1, first - 1, -1):
        x = blocks[i, _ELEMENT]
        if kinds[elements[x, _TAG]] & HEADING and worth[i] <= 0:
            keep[i] = follows if not margins[x] else 0
            n_kept[elements[x, _TAG]] += keep[i]
        follows = keep[i]
    for i in range(first, last):
        tag = elements[blocks[i, _ELEMENT], _TAG]
        if keep[i] and (worth[i] > 0 or not kinds[tag] & HEADING):
            break
        if n_kept[tag] < 2:
            keep[i] = 0


@inline
def _keep_lead(keep: Bytes, first: int, worth: Ints, items: Bytes, blocks: Rows, elements: Rows) -> None:
    """Keeps text between the nearest h1 and the root."""
    at = first - 1
    while at >= max(0, first - MAX_LEAD_BLOCKS) and elements[blocks[at, _ELEMENT], _TAG] != _H1:
        at -= 1
    if at < max(0, first - MAX_LEAD_BLOCKS):
        return
    for i in range(at + 1, first):
        if worth[i] >= 4 * LEAD and not items[blocks[i, _ELEMENT]]:
            keep[i] = 1


@kernel(f"uint8[::1]({_ROWS}, {_ROWS}, {_INTS})")
def choose_blocks(blocks: Rows, elements: Rows, kinds: Ints) -> Bytes:
    """uint8[n_blocks]: 1 for blocks of the article. kinds: what the elements' tags are, `html_names`'s."""
    keep = np.zeros(len(blocks), np.uint8)
    worth = _worth(blocks, elements, kinds)
    margins = _margins(_totals(worth, blocks, elements), elements, kinds)
    for i in range(len(blocks)):
        if margins[blocks[i, _ELEMENT]]:
            worth[i] = 0
    items = _items(elements)
    root = _root(worth, items, blocks, elements)
    _keep_text(keep, root, worth, _groups(root, elements), margins, blocks, elements)
    _keep_headings(keep, root, worth, margins, blocks, elements, kinds)
    _keep_lead(keep, elements[root, _FIRST], worth, items, blocks, elements)
    if not keep.any():
        for i in range(len(blocks)):
            keep[i] = not margins[blocks[i, _ELEMENT]] and not _is_linked(blocks, i)
    return keep


@inline
def _nearest(tag: int, elements: Rows) -> Ints:
    """The nearest element of a kind that each element is in or is; -1 for none."""
    nearest = np.full(len(elements), -1, np.int64)
    for x in range(1, len(elements)):
        nearest[x] = x if elements[x, _TAG] == tag else nearest[elements[x, _PARENT]]
    return nearest


@inline
def _is_cell(tag: int) -> bool:
    return tag in (_TD, _TH)


@kernel(f"uint8[::1](Array(uint8, 1, 'C'), {_ROWS}, {_ROWS}, Array(uint8, 1, 'C'))")
def write_blocks(text: Bytes, blocks: Rows, elements: Rows, keep: Bytes) -> Bytes:
    """The text of kept blocks.

    A blank line between two; a new line between items of a list and rows of a table; a tab between cells. Items
    begin with "- ", indented by two blanks for each list around theirs, eight lists at most.
    """
    rows, tables, items = _nearest(_TR, elements), _nearest(_TABLE, elements), _nearest(_LI, elements)
    depth = np.zeros(len(elements), np.int64)
    for x in range(1, len(elements)):
        depth[x] = min(8, depth[elements[x, _PARENT]] + (elements[x, _TAG] == _LI))
    n_bytes = 0
    for i in range(len(blocks)):
        n_bytes += keep[i] * (blocks[i, _END] - blocks[i, _START] + 20)
    out = np.empty(n_bytes, np.uint8)
    w = 0
    before = -1
    for i in range(len(blocks)):
        if not keep[i]:
            continue
        x = blocks[i, _ELEMENT]
        if before >= 0:
            y = blocks[before, _ELEMENT]
            in_table = _is_cell(elements[x, _TAG]) and _is_cell(elements[y, _TAG]) and tables[x] == tables[y]
            if in_table and rows[x] == rows[y]:
                out[w] = 9
                w += 1
            else:
                out[w] = 10
                w += 1
                if not in_table and not (items[x] >= 0 and items[y] >= 0):
                    out[w] = 10
                    w += 1
        if blocks[i, _BULLET]:
            for _ in range(depth[x] - 1):
                out[w] = out[w + 1] = 32
                w += 2
            out[w], out[w + 1] = 45, 32
            w += 2
        for at in range(blocks[i, _START], blocks[i, _END]):
            out[w] = text[at]
            w += 1
        before = i
    return out[:w].copy()
