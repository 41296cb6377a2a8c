r"""How deep a parser would nest a page's elements at most, and what else makes it slow, without building a tree.

    b"<div><p>Tea<x a='>'></div><!-- <b> -->"     opened: div, p, x; `</div>` closes what it did not open last: of
                                                   the three only div is taken off, for p and x may stand elsewhere

Tags are read as the HTML standard's tokenizer reads them (quotes, comments, raw text), so that nothing in an attribute
closes an element. An end tag takes one level off where it closes the element opened last. Where it closes others
with it, they stay counted, for a parser may open formatting again; where something may keep it from closing anything
(a cell, an object, a form in a form), nothing below is taken off any more. What two readers could read in two ways
(raw text in a drawing, tags in a select) ends all trust: from there every `<` before a letter counts, to the end.

A formatting element that nothing closes is opened again in every block behind it, so 500 of them and 1,000 paragraphs
are half a million elements. How many at most is told as well: those that may be open, for each tag behind them.

Price: one pass, 1.1 to 1.4 GB/s: of 474 real pages of 117 kB on average 0.08 to 0.1 ms each, one with many short
tags 0.15 (`tags` of benchmarks/kernels.py). What it does not do: say how deep a page is, or how large its tree; where
an estimate is above a limit, a tree must tell, and places say how much of the page may be asked at once.

Source: HTML Living Standard, 13.2.5 (tokenization) and 13.2.6 (tree construction), https://html.spec.whatwg.org.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel, pointer
from pipelines.kernels.search import find

__all__ = ["SKIPPED", "name_table", "scan_markup"]

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

# What a name is; SKIPPED is the first of the bits that the caller gives a meaning.
VOID, REPEATS, SPECIAL, SCOPE, SURE, PART, RAW, FOREIGN = (1 << bit for bit in range(8))
KNOWN, PICKED, OPTION, TABLE, SELECT, FRAMESET, SCRIPT, FORM = (1 << bit for bit in range(8, 16))
CELL, ROW, ENTRY, FORMAT, LINK = (1 << bit for bit in range(16, 21))
SKIPPED = 1 << 21

_KINDS = {
    # No content, but in drawings.
    VOID: "br hr img input link meta source area col wbr embed base param track frame keygen bgsound basefont",
    # A second closes the first.
    REPEATS: "p li option dd dt td th tr",
    SPECIAL: "address applet article aside blockquote body button caption center colgroup dd details dir div dl dt "
    "fieldset figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 head header hgroup html iframe li listing "
    "main marquee menu nav noembed noframes noscript object ol p plaintext pre script search section select style "
    "summary table tbody td template textarea tfoot th thead title tr ul xmp dialog foreignobject desc mi mo mn ms "
    "mtext annotation-xml",
    # Their content's end tags close nothing outside.
    SCOPE: "applet caption html table td th marquee object template select mi mo mn ms mtext annotation-xml "
    "foreignobject desc title",
    # They open wherever they stand, and are closed by their end tag with whatever is open in them.
    SURE: "address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer header "
    "hgroup main menu nav ol pre listing section summary ul table",
    PART: "tbody thead tfoot tr td th caption colgroup",
    RAW: "script style textarea title xmp iframe noembed noframes",
    FOREIGN: "svg math",
    # They end a drawing.
    KNOWN: "b big code em i nobr ruby s small span strong strike sub sup tt u var font a",
    PICKED: "option optgroup select",
    OPTION: "option",
    TABLE: "table",
    SELECT: "select",
    FRAMESET: "frameset",
    SCRIPT: "script",
    FORM: "form",
    CELL: "td th",
    ROW: "tr",
    ENTRY: "dd dt",
    # Left open, they are opened again wherever text follows; of links only one.
    FORMAT: "b big code em font i s small strike strong tt u",
    LINK: "a nobr",
}

_N_SLOTS = 1024
_MAX_STACK = 1024
_FAR = 64


def _code_of(name: str) -> int:
    code = 0
    for byte in name.encode():
        code = (code * 1_000_003 + byte) & (1 << 64) - 1
    return code - (1 << 64) if code >> 63 else code


def name_table(skipped: tuple[str, ...]) -> Ints:
    """int64[2 * 1024]: pairs of a name's code and its kind, by the code's last bits or behind; `skipped` get bits."""
    kinds: dict[str, int] = {}
    for kind, names in _KINDS.items():
        for name in names.split():
            kinds[name] = kinds.get(name, 0) | kind
    for bit, name in enumerate(skipped):
        kinds[name] = kinds.get(name, 0) | SKIPPED << bit
    table = np.zeros(2 * _N_SLOTS, dtype=np.int64)
    for name, kind in kinds.items():
        slot = _code_of(name) & _N_SLOTS - 1
        while table[2 * slot + 1]:
            slot = (slot + 1) & _N_SLOTS - 1
        table[2 * slot : 2 * slot + 2] = _code_of(name), kind
    table.setflags(write=False)
    return table


@inline
def _kind_of(table: Ints, code: int) -> int:
    slot = code & _N_SLOTS - 1
    while table[2 * slot + 1] != 0:
        if table[2 * slot] == code:
            kind: int = table[2 * slot + 1]
            return kind
        slot = (slot + 1) & _N_SLOTS - 1
    return 0


@inline
def _is_space(byte: int) -> bool:
    return byte == 32 or byte == 10 or byte == 9 or byte == 13 or byte == 12


@inline
def _is_letter(data: Bytes, at: int, end: int) -> bool:
    return at < end and 97 <= data[at] | 32 <= 122


@inline
def _name(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """A name's code, regardless of case, and where it ends."""
    code = 0
    while at < end:
        byte = int(data[at])
        if byte == 62 or byte == 47 or _is_space(byte):
            break
        code = code * 1_000_003 + (byte | 32 if 65 <= byte <= 90 else byte)
        at += 1
    return code, at


@inline
def _rest_of_tag(data: Bytes, at: int, end: int) -> tuple[int, int, bool]:
    """From a name's end on: where the tag ends, its attributes, and whether it ends with `/>`."""
    n = 0
    while at < end:
        byte = data[at]
        if byte == 62:
            return at + 1, n, data[at - 1] == 47
        at += 1
        if byte == 47 or _is_space(byte):
            continue
        n += 1
        while at < end and data[at] != 61 and data[at] != 62 and data[at] != 47 and not _is_space(data[at]):
            at += 1
        while at < end and _is_space(data[at]):
            at += 1
        if at >= end or data[at] != 61:
            continue
        at += 1
        while at < end and _is_space(data[at]):
            at += 1
        if at < end and (data[at] == 34 or data[at] == 39):
            at = find(data, at + 1, end, int(data[at])) + 1
            continue
        while at < end and data[at] != 62 and not _is_space(data[at]):
            at += 1
        if at < end and data[at] == 62:
            return at + 1, n, False
    return end, n, False


@inline
def _past_comment(data: Bytes, at: int, end: int) -> int:
    """Where `<!..`, `<?..` or `</ ..` ends."""
    close = find(data, at + 2, end, 62)
    if not (at + 3 < end and data[at + 1] == 33 and data[at + 2] == 45 and data[at + 3] == 45):
        return close + 1
    while close < end:
        if close >= at + 4 and data[close - 1] == 45 and data[close - 2] == 45:
            break
        if close >= at + 7 and data[close - 1] == 33 and data[close - 2] == 45 and data[close - 3] == 45:
            break
        close = find(data, close + 1, end, 62)
    return close + 1


@inline
def _past_raw(data: Bytes, at: int, end: int, code: int, is_script: bool) -> int:  # noqa: FBT001
    """Where the end tag of raw text begins; `end` if nowhere, -1 for a script that hides scripts in a comment."""
    in_comment = False
    at = find(data, at, end, 60)
    while at < end:
        if at + 1 < end and data[at + 1] == 47:
            found, after = _name(data, at + 2, end)
            if found == code and after < end:
                return at
            # A name may be long, and the next `<` in it.
        elif is_script and at + 3 < end and data[at + 1] == 33 and data[at + 2] == 45:
            in_comment = True
        elif (
            in_comment and _is_letter(data, at + 1, end) and _name(data, at + 1, min(end, at + 8))[0] == code
        ):
            return -1
        at = find(data, at + 1, end, 60)
    return end


@inline
def _place_below(codes: Ints, n: int, code: int) -> int:
    """Where an element of that name stands among the last opened; -1 if it does not."""
    for i in range(n - 1, max(-1, n - 1 - _FAR), -1):
        if codes[i] == code:
            return i
    return -1


@inline
def _crossed(kinds: Ints, at: int, n: int) -> int:
    """All bits of the elements above one; without a table's parts where that is a table."""
    kind = 0
    for i in range(at + 1, n):
        kind |= kinds[i] & ~(SPECIAL | SCOPE) if kinds[at] & TABLE and kinds[i] & PART else kinds[i]
    return kind


@kernel(f"Tuple((int64, int64, int64, int64, int64, int64))({BYTES}, {OFFSETS}, int64, int64, int64[::1])")
def scan_markup(  # noqa: C901
    page: Bytes, table: Ints, most_opened: int, most_reopened: int, places: Ints
) -> tuple[int, int, int, int, int, int]:
    """(elements open at once, at most; elements opened again, at most; places; kinds seen; `<option`s; squares of
    tags' attributes, summed).

    table: of `name_table`. places: filled, as far as there is room, with where tags begin between which a tree's depth
    grows by no more than `most_opened`, or an eighth, and its elements by no more than tags and `most_reopened`.
    """
    data, names, end = pointer(page), pointer(table), len(page)
    codes, kinds = np.empty(_MAX_STACK, np.int64), np.empty(_MAX_STACK, np.int64)
    # The document's html and body, and a title with its text.
    depth = most = 4
    n = floor = seen = n_options = n_squares = n_foreign = n_selects = read = 0
    n_formats = n_links = reopened = n_places = 0
    next_depth, next_reopened = most_opened, most_reopened
    lost = pure = False
    at = find(data, 0, end, 60)
    while at < end:
        closes = at + 1 < end and data[at + 1] == 47
        if not _is_letter(data, at + 1 + closes, end):
            after = at + 1
            is_comment = closes or (at + 1 < end and (data[at + 1] == 33 or data[at + 1] == 63))
            if is_comment and n_foreign and at + 2 < end and data[at + 2] == 91:
                lost = True
            elif is_comment and not lost:
                after = _past_comment(data, at, end)
            at = find(data, after, end, 60)
            continue
        # Of distrusted markup every `<` is looked at, and names must not be read over and over.
        stop = find(data, at + 1, end, 60) if lost else end
        code, after = _name(data, at + 1 + closes, stop)
        kind = _kind_of(names, code)
        ends_itself = False
        if after >= read:
            read, n_attributes, ends_itself = _rest_of_tag(data, after, end)
            n_squares += n_attributes * n_attributes
        seen |= kind
        if not closes and kind & OPTION:
            n_options += 1
        if closes or not kind & FORMAT:
            # Whatever it closes with it is opened again behind it.
            reopened += n_formats + min(n_links, 2)
        if not closes:
            n_formats += kind & FORMAT != 0
            n_links += kind & LINK != 0
        if kind & FRAMESET or (n_selects and not kind & PICKED):
            lost = True
        if lost:
            depth += 0 if closes else 1 + 2 * (kind & TABLE != 0)
        elif closes:
            i = _place_below(codes, n, code)
            if kind or i < 0:
                pure = False
            if i >= 0:
                crossed = _crossed(kinds, i, n) if i < n - 1 else 0
                is_free = i == n - 1 or (
                    crossed & SPECIAL == 0 and not kind & (FORM | SPECIAL * (n_foreign > 0))
                )
                is_free = is_free or (
                    kind & SURE != 0 and crossed & (SCOPE | FOREIGN) == 0 and n_foreign == 0
                )
                if is_free and i >= floor:
                    depth -= 1 + 2 * (kind & TABLE != 0)
                    n_foreign -= kind & FOREIGN != 0
                    n_selects -= kind & SELECT != 0
                    n_formats -= kind & FORMAT != 0
                    n_links -= kind & LINK != 0
                n = i
                floor = min(floor, n) if is_free else n
        else:
            if kind & RAW:
                if n_foreign:
                    beyond = find(data, read, end, 60)
                    agrees = beyond + 1 < end and data[beyond + 1] == 47
                    agrees = agrees and _name(data, beyond + 2, end)[0] == code
                    lost = not agrees
                else:
                    beyond = _past_raw(data, read, end, code, kind & SCRIPT != 0)
                    lost = beyond < 0
                    if not lost:
                        at = beyond
                        if at < end:
                            _, after = _name(data, at + 2, end)
                            read, n_attributes, _ = _rest_of_tag(data, after, end)
                            n_squares += n_attributes * n_attributes
                            at = find(data, read, end, 60)
                        continue
            opens = not (kind & VOID and n_foreign == 0) and not (pure and ends_itself and kind == 0)
            if kind & REPEATS and n_foreign == 0 and n > floor:
                if kind & ROW and kinds[n - 1] & CELL and n - 1 > floor:
                    n -= 1
                    depth -= 1
                is_pair = kind & (CELL | ENTRY) & kinds[n - 1] != 0
                opens = opens and codes[n - 1] != code and not is_pair
            pure = kind & FOREIGN != 0 or (pure and kind == 0)
            if opens:
                depth += 1 + 2 * (kind & TABLE != 0)
                n_foreign += kind & FOREIGN != 0
                n_selects += kind & SELECT != 0
                if n == _MAX_STACK:
                    lost = True
                else:
                    codes[n], kinds[n] = code, kind
                    n += 1
        most = max(most, depth)
        if depth > next_depth or reopened > next_reopened:
            if n_places < len(places):
                places[n_places] = at
            n_places += 1
            next_depth, next_reopened = depth + max(most_opened, depth >> 3), reopened + most_reopened
        at = find(data, after if lost else read, end, 60)
    return most, reopened, n_places, seen, n_options, n_squares
