"""Real texts of many kinds, each with an address, on which rules of two projects are compared.

    books     pieces of 6,000 characters of Gutenberg's English books, evenly over all of them
    pages     every page below html/ and every response below warc/, by each engine that is asked for
    web       texts that others took from a crawl: C4, WET, RedPajama, Dolma, DCLM
    langid    sentences in 75 languages, 20 joined
    made      random pieces of what the rules look at: marks, citations, brackets, odd spaces, line ends

Texts without an address of their own get one found in the data, in turn. Broken files give what our reader saves of
them. All is the same at every run.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from support.texts import load_texts

from pipelines.batch import Batch, BatchBuilder, Record
from pipelines.extract.step import Extract
from pipelines.read.warc import Warc
from pipelines.read.wet import Wet
from pipelines.stage import Read, SourceFile

ENGINES = ("resiliparse", "quern")
SENTENCES_PER_TEXT = 20
TEXTS_PER_LANGUAGE = 10
N_MADE = 1500
# No pages: the answer of a test set, and a piece of an index.
NO_PAGES = ("expected.html",)
WARCS = (".warc", ".warc.gz", ".warc.lz4", ".warc.gz.bad")
WETS = (".wet", ".wet.gz")

PIECES = (
    "a", "I", "the", "The", "be", "word", "words", "Three words here.", "Is it?", "Well...", "end!", '"', "'", "n't",
    "can't", "U.S.", "Mr.", "e.g.", "3.5", "$5", "10km", "10:30", "a/b", "x=y", "http://example.org/a?b=c", "@name",
    "#tag", "#", "…", "...", "..", ".", "?!", "•", "-", "--", "—", "[1]", "[]", "[٣]", "[edit]", "[citation needed]",
    "[edit", "lorem ipsum", "Lorem  Ipsum", "JavaScript", "java[1]script", "{", "}", "Privacy Policy", "uses cookies",
    "terms of use", "same line of words", "é", "e\u0301", "ß", "中文", "一行。", "ไทย", "한국어", "हिन्दी।", "قال", "😀",
    "\ufffd", "\u200b", "x" * 31,
)  # fmt: skip
SPACES = (
    " ", " ", " ", " ", " ", "", "  ", "\n", "\n", "\n\n", ".\n", ". ", "\r\n", "\t", "\v", "\x1c", "\x85", "\u3000",
    "\u2028", "\u00a0",
)  # fmt: skip


class Pooled(NamedTuple):
    """A text, what kind it is of, and its address."""

    kind: str
    text: str
    url: str


def pool(data: Path, *, n_texts: int, urls: Sequence[str]) -> list[Pooled]:
    """At least `n_texts` texts, books filling up what the others leave; none empty."""
    others = [*page_texts(data), *web_texts(data), *foreign_texts(data), *made_texts()]
    pieces = load_texts(data / "gutenberg" / "en", max_bytes=1 << 30, piece_chars=6000)
    n_books = min(len(pieces), max(0, n_texts - len(others)))
    chosen = [pieces[k * len(pieces) // n_books] for k in range(n_books)]
    found = [*others, *(("books", text, "") for text in chosen)]
    return [
        Pooled(kind, text, url or urls[at * 7919 % len(urls)])
        for at, (kind, text, url) in enumerate(found)
        if text.strip()
    ]


def page_texts(data: Path) -> Iterator[tuple[str, str, str]]:
    """The text of every page with another body, by each engine."""
    seen: dict[bytes, str] = {}
    for url, body in [*_crawled(data / "warc"), *_saved(data / "html")]:
        seen.setdefault(body, url)
    builder = BatchBuilder("pages", with_payload=True)
    batches: list[Batch] = []
    for at, (body, url) in enumerate(seen.items()):
        batches += builder.add(Record("pages", at, at, 1, payload=body, content_type="text/html", url=url))
    batches += builder.flush()
    for engine in ENGINES:
        for batch in batches:
            texts = Extract(engine=engine).rewrite(batch).text
            for text, url in zip(texts.to_pylist(), batch.column("url").to_pylist(), strict=True):
                yield f"pages_{engine}", text or "", url


def _crawled(folder: Path) -> Iterator[tuple[str, bytes]]:
    for batch in _read(Warc(), folder, WARCS):
        urls, bodies = batch.column("url").to_pylist(), batch.column("payload").to_pylist()
        for url, body in zip(urls, bodies, strict=True):
            if url and body:
                yield url, body


def _saved(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*.htm*")):
        if path.is_file() and path.name not in NO_PAGES and path.name.endswith((".html", ".htm", ".html.gz")):
            body = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            yield f"http://pages.example/{path.relative_to(folder)}", body


def _read(reader: Read, folder: Path, endings: tuple[str, ...]) -> Iterator[Batch]:
    for path in sorted(p for p in folder.rglob("*") if p.name.endswith(endings)):
        file = SourceFile("pool", folder, str(path.relative_to(folder)), path.stat().st_size, "")
        for split in reader.splits(file):
            yield from reader.batches(split)


def web_texts(data: Path) -> Iterator[tuple[str, str, str]]:
    """Texts that others have extracted."""
    for batch in _read(Wet(), data / "warc", WETS):
        texts, urls = batch.column("text").to_pylist(), batch.column("url").to_pylist()
        yield from (("web", text or "", url or "") for text, url in zip(texts, urls, strict=True))
    files = [*sorted((data / "webtext").rglob("*.json*")), data / "quality" / "dclm" / "agreement_data.jsonl"]
    for path in files:
        lines = (
            gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        ).splitlines()
        yield from (("web", json.loads(line)["text"], "") for line in lines if line.strip())
    for path in sorted((data / "html" / "cs336").rglob("*.txt")):
        yield "web", path.read_text("utf-8", "replace"), ""


def foreign_texts(data: Path) -> Iterator[tuple[str, str, str]]:
    """Sentences of one language, joined."""
    for path in sorted((data / "langid" / "lingua-sentences").glob("*.txt")):
        lines = path.read_text("utf-8").split("\n")
        for at in range(0, SENTENCES_PER_TEXT * TEXTS_PER_LANGUAGE, SENTENCES_PER_TEXT):
            yield "langid", "\n".join(lines[at : at + SENTENCES_PER_TEXT]), ""


def made_texts() -> Iterator[tuple[str, str, str]]:
    """Pieces in random order, from few that repeat to many; some behind good sentences, so that C4 keeps them."""
    rng = random.Random(3)
    for _ in range(N_MADE):
        some = rng.sample(PIECES, rng.randint(3, len(PIECES)))
        gaps = rng.sample(SPACES, rng.randint(1, 6))
        good = "Here is a sentence to keep. " * rng.choice((0, 0, 1, 3, 4, 5))
        parts = (rng.choice(some) + rng.choice(gaps) for _ in range(rng.choice((3, 9, 25, 60, 150, 400))))
        yield "made", good + "".join(parts), ""
