"""Pages with a known article, and how well a text agrees with it.

    load_articles(data) -> [Article(name, html, gold)]        92 news pages, gold by hand
    load_readable(data) -> [Article(name, html, gold)]        61 pages, gold what Readability.js kept

    load_pieces(data) -> [Pieces(name, html, must, must_not)] 135 pages of many languages

    score(golds, texts) -> Score(f1, precision, recall)
    score_pieces(pieces, texts) -> Score, by pieces of text that are there

The measure is article-extraction-benchmark's: every text becomes the multiset of its runs of four words; of a
page, the runs found, missed and made up are counted; precision and recall are means over pages, F1 is of the
means. Words are runs of letters and digits, so punctuation and lay-out do not count; case does.

Source: Scrapinghub, article-extraction-benchmark, https://github.com/scrapinghub/article-extraction-benchmark
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from statistics import mean

__all__ = [
    "Article", "Pieces", "Score", "load_articles", "load_pieces", "load_readable", "score", "score_pieces",
]  # fmt: skip

_WORD = re.compile(r"\w+")
_INLINE = re.compile("a|abbr|b|big|cite|code|em|font|i|mark|q|s|small|span|strong|sub|sup|time|u")


@dataclass(frozen=True, slots=True)
class Article:
    """A page and what should come out of it; html: bytes as crawled."""

    name: str
    html: bytes
    gold: str


@dataclass(frozen=True, slots=True)
class Pieces:
    """A page and pieces of text: those of its article, and those beside it."""

    name: str
    html: bytes
    must: tuple[str, ...]
    must_not: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """Means over pages, each in [0, 1]."""

    f1: float
    precision: float
    recall: float


def load_articles(data: Path) -> list[Article]:
    """The pages of article-extraction-benchmark below `data`, in the order of their names."""
    folder = data / "html" / "article-extraction-benchmark"
    gold = json.loads((folder / "ground-truth.json").read_text(encoding="utf-8"))
    files = sorted((folder / "html").glob("*.html.gz"))
    pages = [(path.name.removesuffix(".html.gz"), gzip.decompress(path.read_bytes())) for path in files]
    return [Article(name, html, gold[name]["articleBody"]) for name, html in pages if name in gold]


def load_readable(data: Path) -> list[Article]:
    """The pages of Readability.js's tests below `data`, in the order of their names."""
    folders = sorted(path.parent for path in (data / "html" / "readability").glob("*/expected.html"))
    return [
        Article(f.name, (f / "source.html").read_bytes(), text_of((f / "expected.html").read_text("utf-8")))
        for f in folders
    ]


def load_pieces(data: Path) -> list[Pieces]:
    """The pages of trafilatura's evaluation below `data`, in the order of their files."""
    folder = data / "html" / "trafilatura"
    entries = json.loads((folder / "evaldata.json").read_text(encoding="utf-8")).values()
    return [
        Pieces(e["file"], (folder / "pages" / e["file"]).read_bytes(), tuple(e["with"]), tuple(e["without"]))
        for e in sorted(entries, key=lambda entry: str(entry["file"]))
        if (folder / "pages" / e["file"]).exists()
    ]


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.pieces.append("" if _INLINE.fullmatch(tag) else "\n")

    def handle_endtag(self, tag: str) -> None:
        self.pieces.append("" if _INLINE.fullmatch(tag) else "\n")

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)


def text_of(html: str) -> str:
    """All text of clean HTML, block after block."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    return "".join(parser.pieces)


def score(golds: Sequence[str], texts: Sequence[str]) -> Score:
    """How well texts agree with their golds, page by page."""
    counts = [agreement(gold, text) for gold, text in zip(golds, texts, strict=True)]
    precision = mean(_share(found, made_up, missed) for found, made_up, missed in counts if found + made_up)
    recall = mean(_share(found, missed, made_up) for found, made_up, missed in counts if found + missed)
    return Score(2 * precision * recall / (precision + recall), precision, recall)


def score_pieces(pages: Sequence[Pieces], texts: Sequence[str]) -> Score:
    """Of all pieces of all pages: which share of those found belongs to an article, and how many of those are found."""
    flat = [" ".join(text.split()) for text in texts]
    right = sum(
        " ".join(p.split()) in text for page, text in zip(pages, flat, strict=True) for p in page.must
    )
    wrong = sum(
        " ".join(p.split()) in text for page, text in zip(pages, flat, strict=True) for p in page.must_not
    )
    precision, recall = right / (right + wrong), right / sum(len(page.must) for page in pages)
    return Score(2 * precision * recall / (precision + recall), precision, recall)


def agreement(gold: str, text: str) -> tuple[int, int, int]:
    """How many runs of four words were found, made up and missed."""
    expected, got = _runs(gold), _runs(text)
    return (expected & got).total(), (got - expected).total(), (expected - got).total()


def _runs(text: str) -> Counter[tuple[str, ...]]:
    words = _WORD.findall(text)
    runs = (tuple(words[at : at + 4]) for at in range(max(1, len(words) - 3)))
    return Counter(run for run in runs if run)


def _share(right: int, wrong: int, other_wrong: int) -> float:
    if wrong == other_wrong == 0:
        return 1.0
    return right / (right + wrong) if right + wrong else 0.0
