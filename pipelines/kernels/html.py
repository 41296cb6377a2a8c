r"""A page's bytes as blocks of text and the elements that hold them, in one pass and without a tree.

    <div class=post><h1>Tea</h1><p>Boil <a href=/w>water</a>.<br>Wait.</div>

      text      "Tea" "Boil water.\nWait."              one after the other, nothing between them
      blocks    (0, 3, ...)   (3, 21, ..., 11 in links)  what `BLOCK_COLUMNS` names, int32[n_blocks, 9]
      elements  html > body > div(ARTICLE) > h1, p       what `ELEMENT_COLUMNS` names, int32[n_elements, 5]

A block is text between two places where a browser begins a new line. White space is collapsed outside `<pre>`,
one `<br>` is a new line, two end the block. Entities are resolved; characters no text needs (controls, byte order
marks, soft hyphens) and whatever a reader does not see (scripts, styles, forms' controls, drawings, `hidden`,
`aria-hidden`, `display: none`) are left out. Elements are numbered as they begin, and one's blocks are a range.

Kept of HTML's parser: tokens, raw text, entities, and the implied ends of p, li, dt, dd, a, button, headings
and table parts, on a stack of at most MAX_DEPTH elements (deeper ones are counted, not kept). Left out: the adoption
agency (an inline element closed across blocks just ends), foster parenting, scripts in comments in scripts. So
no tag costs more than a walk down that stack, and the whole is linear in the bytes: 130 kB in 0.25 ms.

Source: WHATWG, HTML, 13.2, https://html.spec.whatwg.org/multipage/parsing.html
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.html_names import (
    BLOCK,
    BR,
    CLOSES_P,
    HEADING,
    LINK,
    NAME_BITS,
    PRE,
    RAW,
    STOPS,
    TABLE_PART,
    UNSEEN,
    VOID,
    WALL,
    element_id,
)  # fmt: skip
from pipelines.kernels.html_tags import (
    HIDDEN,
    HREF,
    is_letter,
    look_up,
    past_declaration,
    past_raw,
    read_attributes,
    read_name,
)  # fmt: skip
from pipelines.kernels.html_text import (
    BLOCK_COLUMNS,
    BLOCK_ROW,
    BULLET,
    DEEPEST,
    DEPTH,
    ELEMENT,
    LINES,
    LINK_IN,
    N_BLOCKS,
    N_ELEMENTS,
    OVER,
    PRE_IN,
    START,
    STATE_SIZE,
    UNSEEN_IN,
    W,
    end_block,
    write_text,
)  # fmt: skip
from pipelines.kernels.jit import BYTES, inline, kernel, pointer
from pipelines.kernels.search import count, find
from pipelines.kernels.words import byte_at

__all__ = ["BLOCK_COLUMNS", "ELEMENT_COLUMNS", "MAX_DEPTH", "split_blocks"]

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int32]

MAX_DEPTH = 1024

# parent: -1 of the first. blocks [first, last).
ELEMENT_COLUMNS = ("parent", "tag", "hints", "first", "last")

# Columns of the stack: an element's number, its row in `elements` (-1 for none), what it does to the text in it.
_TAG, _OWN, _EFFECT = 0, 1, 2
# Numbers a row of it, and of `elements`: helpers get pointers, for an array costs more to hand over than to read.
_FRAME, _ROW = 3, 5

_P, _LI, _DT, _DD, _A, _BUTTON = (element_id(name) for name in ("p", "li", "dt", "dd", "a", "button"))
_SVG, _MATH = (element_id(name) for name in ("svg", "math"))
_TD, _TH, _TR, _TABLE = (element_id(name) for name in ("td", "th", "tr", "table"))
_TBODY, _THEAD, _TFOOT = (element_id(name) for name in ("tbody", "thead", "tfoot"))
_BODY, _HTML = (element_id(name) for name in ("body", "html"))


@inline
def _leave(stack: Rows, depth: int, elements: Rows, s: Ints) -> None:
    """Takes back what the open element at `depth` does to the text in it."""
    effect = stack[_FRAME * depth + _EFFECT]
    s[UNSEEN_IN] -= effect & 1
    s[LINK_IN] -= effect >> 1 & 1
    s[PRE_IN] -= effect >> 2 & 1
    own = stack[_FRAME * depth + _OWN]
    if own >= 0:
        elements[_ROW * own + 4] = s[N_BLOCKS]
        s[ELEMENT] = elements[_ROW * own]
    stack[_FRAME * depth + _TAG], stack[_FRAME * depth + _OWN], stack[_FRAME * depth + _EFFECT] = 0, -1, 0


@inline
def _take_out(stack: Rows, depth: int, elements: Rows, s: Ints) -> None:
    """Ends the inline element at `depth` and leaves those inside it open."""
    _leave(stack, depth, elements, s)
    s[DEPTH] -= 1
    for i in range(_FRAME * depth, _FRAME * s[DEPTH]):
        stack[i] = stack[i + _FRAME]


@inline
def _pop_to(depth: int, stack: Rows, n_open: Ints, elements: Rows, s: Ints) -> None:
    """Ends all open elements from `depth` inwards."""
    while s[DEPTH] > depth:
        s[DEPTH] -= 1
        n_open[stack[_FRAME * s[DEPTH] + _TAG]] -= 1
        _leave(stack, s[DEPTH], elements, s)


@inline
def _enter(tag: int, hints: int, effect: int, stack: Rows, n_open: Ints, elements: Rows, s: Ints) -> None:
    """Opens an element; hints -1: one inside a line, which is not recorded."""
    depth = s[DEPTH]
    s[DEPTH] += 1
    s[DEEPEST] = max(s[DEEPEST], s[DEPTH])
    s[UNSEEN_IN] += effect & 1
    s[LINK_IN] += effect >> 1 & 1
    s[PRE_IN] += effect >> 2 & 1
    n_open[tag] += 1
    stack[_FRAME * depth + _TAG], stack[_FRAME * depth + _OWN], stack[_FRAME * depth + _EFFECT] = (
        tag,
        -1,
        effect,
    )
    if hints < 0 or s[UNSEEN_IN] > 0:
        return
    own = s[N_ELEMENTS]
    s[N_ELEMENTS] += 1
    elements[_ROW * own], elements[_ROW * own + 1], elements[_ROW * own + 2] = s[ELEMENT], tag, hints
    elements[_ROW * own + 3] = s[N_BLOCKS]
    stack[_FRAME * depth + _OWN] = own
    s[ELEMENT] = own
    if tag == _LI:
        s[BULLET] = 1


@inline
def _outer(  # noqa: C901 -- HTML's rules, one after the other
    tag: int, kind: int, stack: Rows, kinds: Ints, s: Ints
) -> int:
    """The depth of the open element that a start tag ends; -1 for none."""
    depth: int = s[DEPTH] - 1
    while depth >= 0:
        other = stack[_FRAME * depth + _TAG]
        what = kinds[other]
        if tag in (_LI, _DT, _DD):
            if (other == _LI) if tag == _LI else (other in (_DT, _DD)):
                return depth
            if what & STOPS:
                return -1
        elif tag == _BUTTON:
            if other == _BUTTON:
                return depth
            if what & WALL:
                return -1
        elif tag == _A:
            if other == _A:
                return depth
            if what & (WALL | BLOCK):
                return -1
        elif kind & TABLE_PART:
            if other == _TABLE:
                return -1
            if other == tag or ((other in (_TD, _TH)) and (tag in (_TD, _TH))):
                return depth
            if (other in (_TBODY, _THEAD, _TFOOT)) and (tag in (_TBODY, _THEAD, _TFOOT)):
                return depth
            if other == _TR and (tag in (_TD, _TH)):
                return -1
        elif kind & HEADING:
            return depth if what & HEADING else -1
        else:
            return -1
        depth -= 1
    return -1


@inline
def _open_p(stack: Rows, kinds: Ints, s: Ints) -> int:
    """The depth of the paragraph that a block would end; -1 for none."""
    depth: int = s[DEPTH] - 1
    while depth >= 0 and stack[_FRAME * depth + _TAG] != _P:
        if kinds[stack[_FRAME * depth + _TAG]] & WALL or stack[_FRAME * depth + _TAG] == _BUTTON:
            return -1
        depth -= 1
    return depth


@inline
def _closed_by(tag: int, kind: int, stack: Rows, kinds: Ints, s: Ints) -> tuple[int, bool]:
    """(depth of the open element that an end tag names, -1 for none; whether a block lies between)."""
    across = False
    depth: int = s[DEPTH] - 1
    while depth >= 0:
        other = stack[_FRAME * depth + _TAG]
        if other == tag:
            return depth, across
        # A button holds paragraphs in, and nothing else.
        if other == _TABLE if kind & TABLE_PART else kinds[other] & WALL or (tag == _P and other == _BUTTON):
            return -1, across
        across = across or kinds[other] & BLOCK != 0
        depth -= 1
    return -1, across


_TABLES = "Array(uint64, 1, 'C'), Array(int64, 1, 'C')"


@kernel(
    f"Tuple((uint8[::1], int32[:, ::1], int32[:, ::1], int64))"
    f"({BYTES}, {_TABLES}, Array(int64, 1, 'C'), {_TABLES}, {_TABLES})"
)
def split_blocks(  # noqa: C901 -- one flat pass over the tags
    html: Bytes,
    names: Keys,
    ids: Ints,
    kinds: Ints,
    words: Keys,
    hints: Ints,
    entities: Keys,
    characters: Ints,
) -> tuple[Bytes, Rows, Rows, int]:
    """(text, blocks, elements, how deep elements were nested). The other arguments are `html_names`'s tables."""
    size = len(html)
    n_tags = count(pointer(html), 0, size, 60)
    # &nLt; is six bytes of text; nothing else grows by more.
    written = np.empty(size * 5 // 4 + 16, np.uint8)
    all_blocks = np.empty((n_tags + 1, BLOCK_ROW), np.int32)
    all_elements = np.empty((n_tags + 1, _ROW), np.int32)
    # One array, so that what is pointed into below stays alive as long as its first numbers are asked for.
    state = np.zeros(STATE_SIZE + len(kinds) + _FRAME * MAX_DEPTH, np.int64)
    state[N_ELEMENTS] = 1
    all_elements[0] = 0
    all_elements[0, 0] = -1
    html, names, ids = pointer(html), pointer(names), pointer(ids)
    kinds, words, hints = pointer(kinds), pointer(words), pointer(hints)
    entities, characters = pointer(entities), pointer(characters)
    text, blocks, elements = pointer(written), pointer(all_blocks), pointer(all_elements)
    s, n_open, stack = pointer(state), pointer(state[STATE_SIZE:]), pointer(state[-_FRAME * MAX_DEPTH :])
    at: int = s[W]  # a literal 0 would compile every helper twice
    while at < size:
        tag_at = at
        # A `<` that begins no tag is text.
        while True:
            tag_at = find(html, tag_at, size, 60)
            if tag_at + 1 >= size:
                tag_at = size
                break
            byte = byte_at(html, tag_at + 1)
            if is_letter(byte) or byte == 33 or byte == 63 or byte == 47:
                break
            tag_at += 1
        if tag_at > at and s[UNSEEN_IN] == 0:
            write_text(html, at, tag_at, size, text, s, entities, characters)
        at = tag_at
        if at >= size:
            break
        if byte == 33 or byte == 63:
            at = past_declaration(html, at, size)
            continue
        ends = byte == 47
        if ends and (at + 2 >= size or not is_letter(byte_at(html, at + 2))):
            at = find(html, at, size, 62) + 1
            continue
        key, at = read_name(html, at + 1 + ends, size)
        at, said = read_attributes(html, at, size, words, hints)
        tag = max(0, look_up(names, ids, key, NAME_BITS))
        kind = kinds[tag]
        if tag in (_BODY, _HTML):
            if ends or n_open[tag]:
                continue
            said &= ~HIDDEN
        if kind & BR:
            if s[LINES] and s[W] > s[START]:
                end_block(text, blocks, s)
            s[LINES] = 1
            continue
        depth = -1
        across = False
        if ends:
            if n_open[tag]:
                depth, across = _closed_by(tag, kind, stack, kinds, s)
            elif kind & BLOCK:
                s[OVER] -= s[OVER] > 0
        elif kind & CLOSES_P and n_open[_P]:
            depth = _open_p(stack, kinds, s)
        if not ends and (kind & (TABLE_PART | HEADING) or tag in (_LI, _DT, _DD, _A, _BUTTON)):
            outer = _outer(tag, kind, stack, kinds, s)
            # Whichever lies further out takes the other with it.
            depth = outer if depth < 0 or 0 <= outer < depth else depth
        is_block = kind & BLOCK != 0
        if is_block:
            end_block(text, blocks, s)
        if depth >= 0:
            if not is_block and kind & UNSEEN == 0 and (across or depth < s[DEPTH] - 1):
                # An inline element closed across others: it just ends.
                n_open[tag] -= 1
                _take_out(stack, depth, elements, s)
            else:
                _pop_to(depth, stack, n_open, elements, s)
            if ends:
                s[BULLET] = 0
        if ends:
            continue
        if kind & RAW:
            at = past_raw(html, at, size, key)
            continue
        if kind & VOID or (byte_at(html, at - 2) == 47 and (tag in (0, _SVG, _MATH) or s[UNSEEN_IN] > 0)):
            continue
        effect = int(kind & UNSEEN != 0 or said & HIDDEN != 0)
        effect |= int(kind & LINK != 0 and said & HREF != 0) << 1
        effect |= int(kind & PRE != 0) << 2
        if not is_block and effect == 0 and n_open[tag] == 0:
            continue
        if s[DEPTH] == MAX_DEPTH:
            s[OVER] += 1
            s[DEEPEST] = max(s[DEEPEST], MAX_DEPTH + s[OVER])
            continue
        _enter(tag, said & 0xFFFF if is_block else -1, effect, stack, n_open, elements, s)
    end_block(text, blocks, s)
    _pop_to(0, stack, n_open, elements, s)
    elements[4] = s[N_BLOCKS]
    text = written[: state[W]].copy()
    return (
        text,
        all_blocks[: state[N_BLOCKS]].copy(),
        all_elements[: state[N_ELEMENTS]].copy(),
        state[DEEPEST],
    )
