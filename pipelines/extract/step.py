"""The step `extract`: payloads of crawl records become text and a title.

    payload, content_type  ->  title, text        or a reason: too_large, undecodable, not_html, too_deep, no_text,
    extractor_failed

What decides is a function of the page alone: bytes, tags and depth, never a clock. Price: 0.5 ms a page of 130 kB
with the engine quern, 3 ms with resiliparse, 40 ms with trafilatura.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from pipelines import heartbeat
from pipelines.batch import Batch, text_view
from pipelines.extract import third_party
from pipelines.extract.blocks import KERNELS, article_text
from pipelines.extract.charset import as_it_is, utf8_page
from pipelines.extract.page import MAX_HEAD, Tags, main_text, scan_tags, title_of, tree_flaw
from pipelines.kernels.jit import compile_kernels
from pipelines.kernels.pages import scan_page
from pipelines.stage import LARGEST, Rewrite, Rewritten

__all__ = ["Extract"]

Bytes = npt.NDArray[np.uint8]
Page = tuple[bytes, None] | tuple[None, str]
"""The text in UTF-8, or why there is none."""


@dataclass(frozen=True, slots=True)
class _Markup:
    """A page in UTF-8, and what a look at its tags tells."""

    page: Bytes
    tags: Tags


Look = Bytes | _Markup | str
"""A page as its engine takes it, or why there is no text in it."""
_TAG = re.compile(rb"<[!/a-zA-Z][^<>]{0,2000}>")


class Extract(Rewrite):
    """Text of HTML pages: main content only, entities resolved, controls removed."""

    name: ClassVar[str] = "extract"
    version: ClassVar[int] = 8
    reads: ClassVar[tuple[str, ...]] = ("payload", "content_type")
    writes: ClassVar[tuple[str, ...]] = ("text", "title")
    reasons: ClassVar[tuple[str, ...]] = (
        "too_large", "undecodable", "not_html", "too_deep", "no_text", "extractor_failed",
    )  # fmt: skip
    drops_columns: ClassVar[tuple[str, ...]] = ("payload", "content_type")

    engine: Literal["quern", "resiliparse", "trafilatura"] = "quern"
    """What chooses the main content: our own, the fastest; resiliparse, which leaves more of what is not the article;
    or trafilatura 2.x, FineWeb's, an extra (`quern[trafilatura]`)."""
    max_bytes: int = Field(default=8 << 20, ge=1, le=LARGEST)
    """Pages above this many bytes are dropped as `too_large`."""
    max_tags: int = Field(default=250_000, ge=1, le=LARGEST)
    """Pages with more `<` than this are dropped as `too_large`: a million empty paragraphs take 6 s. But with
    quern so are those with 10,000 `<option`, or as many attributes in one tag, of which parsers take the square, and
    those whose tree would have 500,000 elements: a parser opens formatting that nothing closes again in every block;
    and those of which to tell how deep they are takes 60 million steps, elements times the levels asked for."""
    favour: third_party.Favour = "precision"
    """Of trafilatura: less text, but right; its default, `balanced`; or more text (`recall`)."""
    deduplicate: bool = True
    """Of trafilatura: the fourth copy of a paragraph in a page, and later ones, are left out."""
    max_depth: int = Field(default=512, ge=1, le=LARGEST)
    """Pages nested deeper than this are dropped as `too_deep`; browsers stop at 512 as well."""

    @property
    def libraries(self) -> tuple[str, ...]:  # type: ignore[override]
        """Resiliparse, which detects encodings for every engine; trafilatura and what it rests on only where chosen."""
        return ("resiliparse", *(third_party.LIBRARIES if self.engine == "trafilatura" else ()))

    @model_validator(mode="after")
    def _settings_have_their_engine(self) -> Extract:
        if self.engine != "trafilatura" and (self.favour != "precision" or not self.deduplicate):
            raise ValueError(
                f"expected `favour` and `deduplicate` beside engine: trafilatura, got engine: {self.engine}, "
                "which knows neither; leave them out"
            )
        return self

    def side_inputs(self, folder: Path) -> dict[str, str]:
        """None.

        Raises: UsageError where trafilatura is chosen and not installed: now rather than in every worker.
        """
        if self.engine == "trafilatura":
            third_party.require_trafilatura()
        return {}

    def kernels(self) -> tuple[str, ...]:
        """Those that look at every page, and those of the engine."""
        of_engine = KERNELS if self.engine == "quern" else ("tags.scan_markup",)
        return ("pages.scan_page", "pages.find_title", *of_engine)

    def rewrite(self, batch: Batch) -> Rewritten:
        """The main text of every page, null for rows without payload, which keep verdict 0; titles of all pages."""
        verdicts = np.zeros(len(batch), dtype=np.uint8)
        texts: list[bytes | None] = [None] * len(batch)
        titles: list[str | None] = [None] * len(batch)
        # The first batch loads kernels, 0.3 s or, on a busy machine, 2: no record must seem to hang for it.
        heartbeat.idle()
        compile_kernels(self.kernels())
        pages = self._looked_at(batch)
        # A tree takes the cache, and behind it a look at the next page costs twice as much: so that all come first.
        for i, title, page in pages if self.engine == "quern" else list(pages):
            heartbeat.at(int(batch.ordinals[i]))
            titles[i] = title
            texts[i], reason = self._text_of(page)
            verdicts[i] = 1 + self.reasons.index(reason) if reason else 0
        heartbeat.idle()
        text = pa.array(texts, pa.large_binary()).cast(pa.large_string())
        return Rewritten(text, verdicts, {"title": pa.array(titles, pa.string())})

    def extract(self, data: Bytes, media: str | None) -> Page:
        """The text of one page, uint8[n_bytes], or the reason for there being none; media: its Content-Type."""
        _, page = self._look(data, media)
        return self._text_of(page)

    def _looked_at(self, batch: Batch) -> Iterator[tuple[int, str | None, Look]]:
        media = batch.column("content_type").to_pylist()
        for i, data in _payloads(batch):
            heartbeat.at(int(batch.ordinals[i]))
            yield i, *self._look(data, media[i])

    def _look(self, data: Bytes, media: str | None) -> tuple[str | None, Look]:
        """The title, from the first 64 KiB; the page as its engine takes it, or why there is no text in it."""
        n_tags, n_valid = scan_page(data)
        page = as_it_is(data, media, n_valid)
        head = page if page is not None else utf8_page(data[:MAX_HEAD], media)
        title = title_of(head) if head is not None else None
        if len(data) > self.max_bytes or n_tags > self.max_tags:
            return title, "too_large"
        if page is None:
            page = head if len(data) <= MAX_HEAD else utf8_page(data, media, n_valid)
        if page is None:
            return title, "undecodable"
        if not _has_tag(page):
            return title, "not_html"
        return title, page if self.engine == "quern" else _Markup(page, scan_tags(page))

    def _text_of(self, page: Look) -> Page:
        if isinstance(page, str):
            return None, page
        found = self._by_tree(page) if isinstance(page, _Markup) else self._by_blocks(page)
        return found if found[0] != b"" else (None, "no_text")

    def _by_blocks(self, page: Bytes) -> Page:
        text, depth = article_text(page)
        return (None, "too_deep") if depth > self.max_depth else (text, None)

    def _by_tree(self, markup: _Markup) -> Page:
        page, tags = str(markup.page.data, "utf-8"), markup.tags
        if flaw := tree_flaw(page, tags, max_depth=self.max_depth):
            return None, flaw
        if self.engine == "resiliparse":
            return main_text(page, tags).encode(), None
        text = third_party.trafilatura_text(page, favour=self.favour, deduplicate=self.deduplicate)
        return (None, "extractor_failed") if text is None else (text.encode("utf-8", "ignore"), None)


def _payloads(batch: Batch) -> Iterator[tuple[int, Bytes]]:
    """The rows that have a payload, and its bytes, which are not copied."""
    column = batch.column("payload")
    data, offsets = text_view(column)
    for i in np.flatnonzero(np.asarray(pc.is_valid(column))).tolist():
        yield i, data[offsets[i] : offsets[i + 1]]


def _has_tag(page: Bytes) -> bool:
    # A PDF or a picture sent as HTML has runs of NULs, or no tag at all.
    head = page[:4096].tobytes().decode("utf-8", "ignore")[:1024]
    return "\x00\x00" not in head and _TAG.search(page.data) is not None
