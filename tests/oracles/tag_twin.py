"""What tags tell, by regular expressions and a list of names.

Quotes, comments and raw text are read as the HTML standard reads them; elements are names in a list.
"""

from __future__ import annotations

import re


def names(text: str) -> set[str]:
    return set(text.split())


VOID = names(
    "br hr img input link meta source area col wbr embed base param track frame keygen bgsound basefont"
)
BLOCKS = names(
    "address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer "
    "header hgroup main menu nav ol pre listing section summary ul table"
)
WALLS = names(
    "applet caption html table td th marquee object template select mi mo mn ms mtext annotation-xml "
    "foreignobject desc title"
)
PARTS = names("tbody thead tfoot tr td th caption colgroup")
SPECIAL = (
    BLOCKS | WALLS | PARTS | names(
    "body button dd dt form frameset h1 h2 h3 h4 h5 h6 head iframe li noembed noframes noscript p "
    "plaintext script search style textarea xmp"
)
)  # fmt: skip
RAW = names("script style textarea title xmp iframe noembed noframes")
DRAWINGS = {"svg", "math"}
FORMATS = names("b big code em font i s small strike strong tt u")
LINKS = {"a", "nobr"}
LEAVING = names(
    "b big code em i nobr ruby s small span strong strike sub sup tt u var font a option optgroup"
)
KNOWN = VOID | SPECIAL | LEAVING | DRAWINGS
CLOSING = {"p": {"p"}, "li": {"li"}, "option": {"option"}, "tr": {"tr"}}
CLOSING |= {name: {"dd", "dt"} for name in ("dd", "dt")} | {name: {"td", "th"} for name in ("td", "th")}

NAME = re.compile(r"</?([^ \t\n\f\r/>]*)", re.DOTALL)
SPACE = "[ \t\n\f\r]*"
ATTRIBUTE = re.compile(
    rf"""[ \t\n\f\r/]*(?:>|([^ \t\n\f\r/>][^ \t\n\f\r/>=]*)
    (?:{SPACE}={SPACE}(?:"[^"]*(?:"|\Z)|'[^']*(?:'|\Z)|[^ \t\n\f\r>"'][^ \t\n\f\r>]*|(?=>)
    |\Z))?)""".replace("\n    ", ""),
    re.DOTALL,
)  # fmt: skip
COMMENT = re.compile(r"<!--(?:-?>|.*?--!?>|.*)|<[^>]*>?", re.DOTALL)


class Tag:
    """One tag: its name, whether it closes, where it ends, how many attributes it has, whether by `/>`."""

    def __init__(self, page: str, at: int, end: int) -> None:
        found = NAME.match(page, at, end)
        assert found
        self.closes = page[at + 1] == "/"
        self.name = "".join(c.lower() if c.isascii() else c for c in found[1])
        self.after_name = at = found.end()
        self.n_attributes, self.ends_itself = 0, False
        while part := ATTRIBUTE.match(page, at):
            at = part.end()
            if part[1] is None:
                self.ends_itself = part[0].endswith("/>")
                break
            self.n_attributes += 1
        self.end = at if part else len(page)


def raw_end(page: str, tag: Tag) -> int | None:
    """Where the end tag of raw text begins, or the page ends; None for a script in a script's comment."""
    close = re.compile(f"</{tag.name}(?=[ \t\n\f\r/>])", re.IGNORECASE | re.ASCII).search(page, tag.end)
    end = close.start() if close else len(page)
    hides = re.compile(r"<!-.*?<script(?![^ \t\n\f\r/>])", re.IGNORECASE | re.DOTALL | re.ASCII)
    return None if tag.name == "script" and hides.search(page, tag.end, end) else end


class Look:
    """What is open while the tags of a page are read one after the other."""

    def __init__(self, page: str, most_opened: int, most_reopened: int) -> None:
        self.page, self.steps = page, (most_opened, most_reopened)
        self.limits = self.steps
        self.formats = self.links = self.reopened = 0
        self.places: list[int] = []
        self.open: list[str] = []
        self.floor = self.drawings = self.selects = self.read = 0
        self.depth = self.most = 4
        self.seen: set[str] = set()
        self.n_options = self.n_squares = 0
        self.lost = self.pure = False

    def run(self) -> Look:
        at = self.page.find("<")
        while at >= 0:
            is_tag = re.match("</?[a-zA-Z]", self.page[at : at + 3])
            after = self.tag(at) if is_tag else self.other(at)
            self.most = max(self.most, self.depth)
            if self.depth > self.limits[0] or self.reopened > self.limits[1]:
                self.places.append(at)
                rise = max(self.steps[0], self.depth // 8)
                self.limits = self.depth + rise, self.reopened + self.steps[1]
            at = self.page.find("<", after)
        return self

    def other(self, at: int) -> int:
        if self.page[at + 1 : at + 2] not in ("/", "!", "?") or self.lost:
            return at + 1
        if self.drawings and self.page[at + 2 : at + 3] == "[":
            self.lost = True
            return at + 1
        found = COMMENT.match(self.page, at)
        assert found
        return found.end()

    def tag(self, at: int) -> int:
        following = self.page.find("<", at + 1)
        tag = Tag(self.page, at, following if self.lost and following >= 0 else len(self.page))
        self.count(tag)
        if tag.name == "frameset" or (self.selects and tag.name not in ("option", "optgroup", "select")):
            self.lost = True
        weight = 3 if tag.name == "table" else 1
        if self.lost:
            self.depth += 0 if tag.closes else weight
            return tag.after_name
        if tag.closes:
            self.end(tag.name, weight)
            return tag.end
        if tag.name in RAW and not self.drawings:
            end = raw_end(self.page, tag)
            if end is not None:
                return self.past_raw(end)
            self.lost = True
        elif tag.name in RAW:
            beyond = self.page.find("<", tag.end)
            self.lost = (
                beyond < 0
                or Tag(self.page, beyond, len(self.page)).name != tag.name
                or self.page[beyond + 1] != "/"
            )
        self.start(tag, weight)
        return tag.after_name if self.lost else tag.end

    def count(self, tag: Tag) -> None:
        if tag.after_name >= self.read:
            self.read = tag.end
            self.n_squares += tag.n_attributes**2
        self.seen.add(tag.name)
        self.n_options += tag.name == "option" and not tag.closes
        if tag.closes or tag.name not in FORMATS:
            self.reopened += self.formats + min(self.links, 2)
        if not tag.closes:
            self.formats += tag.name in FORMATS
            self.links += tag.name in LINKS

    def past_raw(self, end: int) -> int:
        if end == len(self.page):
            return end
        tag = Tag(self.page, end, len(self.page))
        self.read = tag.end
        self.n_squares += tag.n_attributes**2
        return tag.end

    def start(self, tag: Tag, weight: int) -> None:
        name, is_known = tag.name, tag.name in KNOWN
        opens = not (name in VOID and not self.drawings)
        opens &= not (self.pure and tag.ends_itself and not is_known)
        if name in CLOSING and not self.drawings and len(self.open) > self.floor:
            if name == "tr" and self.open[-1] in ("td", "th") and len(self.open) - 1 > self.floor:
                self.open.pop()
                self.depth -= 1
            opens &= self.open[-1] not in CLOSING[name]
        self.pure = name in DRAWINGS or (self.pure and not is_known)
        if not opens:
            return
        self.depth += weight
        self.drawings += name in DRAWINGS
        self.selects += name == "select"
        self.open.append(name)

    def end(self, name: str, weight: int) -> None:
        if name in KNOWN or name not in self.open[-64:]:
            self.pure = False
        if name not in self.open[-64:]:
            return
        i = len(self.open) - 1 - self.open[::-1].index(name)
        within = set(self.open[i + 1 :]) - (PARTS if name == "table" else set())
        is_free = not within and i == len(self.open) - 1
        is_free |= (
            not within & SPECIAL and name != "form" and not (self.drawings and name in SPECIAL)
        ) or not self.open[i + 1 :]
        is_free |= name in BLOCKS and not within & (WALLS | DRAWINGS) and not self.drawings
        if is_free and i >= self.floor:
            self.depth -= weight
            self.drawings -= name in DRAWINGS
            self.selects -= name == "select"
            self.formats -= name in FORMATS
            self.links -= name in LINKS
        self.open = self.open[:i]
        self.floor = min(self.floor, i) if is_free else i


def tags_of(page: str, most_opened: int, most_reopened: int) -> Look:
    """What `scan_markup` says of a page, by the attributes `most`, `reopened`, `places`, `seen` and so on."""
    return Look(page, most_opened, most_reopened).run()
