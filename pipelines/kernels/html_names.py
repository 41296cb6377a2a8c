"""What HTML's names mean to the tokenizer in `html.py`: elements, words in attributes, characters by name.

    div -> BLOCK | CLOSES_P | STOPS     script -> RAW | UNSEEN     class="post-comments" -> COMMENT
    &eacute; -> U+00E9                  &copy (no semicolon)       -> U+00A9

Names are packed into 64 bits, six a character, so a look-up compares one integer; of more than ten characters
the last ten and four bits count. Character names are looked up by a 64-bit hash, under which all differ.

Price: 2 ms, once a process. What it does not hold: which elements may contain which; `html.py` says how few of
those rules it needs.

Source: WHATWG, HTML, 13.1.2 (void and raw text elements), 13.2.4.2 (special elements), 13.5 (named characters).
"""

from __future__ import annotations

from functools import cache
from html.entities import html5

import numpy as np
import numpy.typing as npt

__all__ = [
    "ARTICLE", "BLOCK", "BR", "CHARACTER_BITS", "CLOSES_P", "COMMENT", "HEADING", "LINK", "MARGIN", "META",
    "NAME_BITS", "PRE", "RAW", "STOPS", "TABLE_PART", "UNSEEN", "VOID", "WALL", "ElementTable", "element_id",
    "element_table", "entity_table", "pack",
]  # fmt: skip

# What an element is.
VOID = 1  # has no content and no end tag
BLOCK = 2  # ends the line of text before it and begins another
CLOSES_P = 4  # an open paragraph ends where it begins
STOPS = 8  # an open list item further out stays open when another begins inside this
WALL = 16  # end tags inside it close nothing outside it
TABLE_PART = 32  # but the tags of tables do
RAW = 64  # everything up to its end tag is one text
UNSEEN = 128  # a reader does not see its content
HEADING = 256
PRE = 512
LINK = 1024
BR = 2048

# What a word in class, id, role or itemprop hints at; kept few, for they are weak evidence.
COMMENT = 1
MARGIN = 2
META = 4
ARTICLE = 8

_ELEMENTS = {
    VOID: "area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr",
    BLOCK: "address article aside blockquote body caption center dd details dir div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li listing main menu nav ol p plaintext pre search "
    "section summary table tbody td tfoot th thead tr ul xmp br button select textarea iframe",
    CLOSES_P: "address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 header hgroup hr li listing main menu nav ol p plaintext pre search section "
    "summary table ul xmp",
    STOPS: "article aside blockquote body button center details dir dl fieldset figcaption figure footer form header "
    "html main menu nav object ol pre section summary table tbody td template tfoot th thead tr ul",
    WALL: "caption object table td template th",
    TABLE_PART: "caption table tbody td tfoot th thead tr",
    RAW: "iframe noembed noframes noscript plaintext script style textarea title xmp",
    UNSEEN: "annotation annotation-xml audio button canvas datalist dialog iframe noembed noframes noscript object "
    "script select style svg template textarea title video",
    HEADING: "h1 h2 h3 h4 h5 h6",
    PRE: "pre listing xmp plaintext",
    LINK: "a",
    BR: "br",
}
_INLINE = (
    "abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label map mark math meter nobr option "
    "optgroup output picture progress q rp rt ruby s samp slot small span strike strong sub sup time tt u var"
)
_WORDS = {
    COMMENT: "comment comments disqus reply replies respond discussion",
    MARGIN: "nav navigation navbar menu breadcrumb breadcrumbs sidebar footer related recommend recommended share "
    "sharing social newsletter subscribe signup cookie cookies consent popup modal promo advert sponsored banner "
    "contentinfo complementary pagination pager toolbar search trending popular",
    META: "byline author credit caption date tags meta",
    ARTICLE: "article content post entry story body main text",
}
# Slots of the tables of names and words, and of characters, as powers of two.
NAME_BITS, CHARACTER_BITS = 12, 13
_MIX = 0x9E3779B97F4A7C15


def pack(name: str) -> int:
    """A name's key: the last 64 bits of six a character; letters regardless of case."""
    key = 0
    for char in name.lower():
        key = key << 6 | (ord(char) - 96 if char.isalpha() else 38 if char == "-" else ord(char) - 20)
    return key & (1 << 64) - 1


def _slot(key: int, bits: int) -> int:
    return (key * _MIX & (1 << 64) - 1) >> 64 - bits


def _hash_table(values: dict[int, int], bits: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """keys and values, `[2**bits]` each, open addressing with steps of one; key 0 is an empty slot."""
    n_slots = 1 << bits
    keys, found = np.zeros(n_slots, np.uint64), np.zeros(n_slots, np.int64)
    for key, value in values.items():
        at = _slot(key, bits)
        while keys[at]:
            at = (at + 1) % n_slots
        keys[at], found[at] = key, value
    return keys, found


def _names() -> list[str]:
    named = {name for names in _ELEMENTS.values() for name in names.split()}
    return ["", *sorted(named | set(_INLINE.split()) | {"a"})]


def element_id(name: str) -> int:
    """The number of an element of HTML.

    Raises: ValueError for a name that HTML does not have.
    """
    return _names().index(name)


ElementTable = tuple[
    npt.NDArray[np.uint64],
    npt.NDArray[np.int64],
    npt.NDArray[np.int64],
    npt.NDArray[np.uint64],
    npt.NDArray[np.int64],
]


@cache
def element_table() -> ElementTable:
    """(keys, ids) of elements, what each id is (`int64[n_elements]`), (keys, hints) of words in attributes."""
    names = _names()
    kinds = [sum(bit for bit, names in _ELEMENTS.items() if name in names.split()) for name in names]
    words = {pack(word): bit for bit, text in _WORDS.items() for word in text.split()}
    ids = {pack(name): number for number, name in enumerate(names) if name}
    return (*_hash_table(ids, NAME_BITS), np.array(kinds, np.int64), *_hash_table(words, NAME_BITS))


def _entity_hash(name: str) -> int:
    value = 0
    for char in name:
        value = (value * 0x100000001B3 + ord(char)) & (1 << 64) - 1
    return value


@cache
def entity_table() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """(hashes, characters) of all named characters: the first code point, and the second, if any, times 2**32."""
    values = {
        _entity_hash(name): sum(ord(c) << 32 * i for i, c in enumerate(chars))
        for name, chars in html5.items()
    }
    return _hash_table(values, CHARACTER_BITS)
