"""The blocks of a well-formed page, by the standard library's parser and a list of characters.

Paragraphs must hold no blocks and links no links, for nothing here implies an end tag.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

BLOCKS = ("div", "section", "blockquote", "p", "h2", "hr", "iframe", "textarea")
UNSEEN = ("script", "style", "title", "svg", "iframe", "textarea")
VOID = ("br", "hr", "img")
SPACE = re.compile("[ \t\n\r\f\v\xa0\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
UNNEEDED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\ufeff]")
NEW_LINE = "\x00"

Block = tuple[str, bool]
"""The text, and whether some of it is in a link."""


class _Blocks(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.stack: list[tuple[str, bool]] = []
        self.pieces: list[str] = []
        self.linked = False
        self.found: list[Block] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in BLOCKS:
            self.end_block()
        if tag == "br":
            self.pieces.append(NEW_LINE)
        if tag not in VOID:
            said = dict(attrs)
            style = SPACE.sub("", (said.get("style") or "").lower())
            hides = "hidden" in said or "display:none" in style or said.get("aria-hidden") == "true"
            self.stack.append((tag, hides or tag in UNSEEN))

    def handle_endtag(self, tag: str) -> None:
        if tag in BLOCKS:
            self.end_block()
        if tag not in VOID:
            assert self.stack.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if any(hides for _, hides in self.stack):
            return
        clean = UNNEEDED.sub("", data)
        self.pieces.append(clean)
        self.linked |= bool(SPACE.sub("", clean)) and any(tag == "a" for tag, _ in self.stack)

    def end_block(self) -> None:
        for text in _cut("".join(self.pieces)):
            self.found.append((text, self.linked))
        self.pieces, self.linked = [], False


def _cut(text: str) -> list[str]:
    # One new line stays, two or more cut, those before the first text are nothing.
    lines = [SPACE.sub(" ", line).strip(" ") for line in text.split(NEW_LINE)]
    blocks: list[list[str]] = []
    follows = False
    for line in lines:
        if line and follows:
            blocks[-1].append(line)
        elif line:
            blocks.append([line])
        follows = bool(line)
    return ["\n".join(block) for block in blocks]


def blocks_of(html: str) -> list[Block]:
    """Every block of a page in its order. A block cut by two line breaks counts as linked in each part."""
    parser = _Blocks()
    parser.feed(html)
    parser.close()
    parser.end_block()
    return parser.found
