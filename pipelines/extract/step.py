"""The step `extract`: payloads of crawl records become text and a title.

    payload, content_type  ->  title, text        or a reason: too_large, undecodable, not_html, too_deep,
    no_text

What decides is a function of the page alone: bytes, tags and depth, never a clock. Price: 3 ms a page of 130 kB,
2.7 of them resiliparse's; 0.8 ms with the engine quern.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import heartbeat
from pipelines.batch import Batch
from pipelines.extract.blocks import KERNELS, article_text
from pipelines.extract.charset import decode_page
from pipelines.extract.page import is_crowded, is_deeper_than, main_text, page_title, scan_tags
from pipelines.stage import Rewrite, Verdicts

__all__ = ["Extract"]

_HEAD_BYTES = 1 << 16
_TAG = re.compile(r"<[!/a-zA-Z][^<>]{0,2000}>")


class Extract(Rewrite):
    """Text of HTML pages: main content only, entities resolved, controls removed."""

    name: ClassVar[str] = "extract"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("payload", "content_type")
    writes: ClassVar[tuple[str, ...]] = ("text", "title")
    libraries: ClassVar[tuple[str, ...]] = ("resiliparse",)
    reasons: ClassVar[tuple[str, ...]] = ("too_large", "undecodable", "not_html", "too_deep", "no_text")
    drops_columns: ClassVar[tuple[str, ...]] = ("payload", "content_type")

    engine: Literal["resiliparse", "quern"] = "resiliparse"
    """What chooses the main content; `quern` is faster and leaves out more of what is not the article."""
    max_bytes: int = 8 << 20
    """Pages above this many bytes are dropped as `too_large`."""
    max_tags: int = 250_000
    """Pages with more `<` than this are dropped as `too_large`: a million empty paragraphs take 6 s. With resiliparse
    so are those with 10,000 `<option`, or as many attributes in one tag: it takes the square of those."""
    max_depth: int = 512
    """Pages nested deeper than this are dropped as `too_deep`; browsers stop at 512 as well."""

    def kernels(self) -> tuple[str, ...]:
        """Those of the engine `quern`."""
        return KERNELS if self.engine == "quern" else ()

    def columns(self, batch: Batch) -> dict[str, pa.Array]:
        """The titles, from the first 64 KiB of each page."""
        heads = pc.binary_slice(batch.column("payload"), 0, _HEAD_BYTES).to_pylist()
        titles = [
            page_title(decode_page(head, media) or "") if head else None
            for head, media in zip(heads, batch.column("content_type").to_pylist(), strict=True)
        ]
        return {"title": pa.array(titles, pa.string())}

    def text(self, batch: Batch) -> tuple[pa.LargeStringArray, Verdicts]:
        """The main text of every page; null for rows without payload, which keep verdict 0."""
        verdicts = np.zeros(len(batch), dtype=np.uint8)
        texts: list[str | None] = [None] * len(batch)
        media = batch.column("content_type").to_pylist()
        for i, data in enumerate(_payloads(batch)):
            if data is None:
                continue
            heartbeat.at(int(batch.ordinals[i]))
            texts[i], reason = self._page(data, media[i])
            verdicts[i] = 1 + self.reasons.index(reason) if reason else 0
        heartbeat.idle()
        return pa.array(texts, pa.large_string()), verdicts

    def _page(self, data: bytes, media: str | None) -> tuple[str | None, str | None]:
        """(text, None) or (None, why there is none)."""
        if len(data) > self.max_bytes or data.count(b"<") > self.max_tags:
            return None, "too_large"
        page = decode_page(data, media)
        if page is None:
            return None, "undecodable"
        if not _has_tag(page):
            return None, "not_html"
        if self.engine == "resiliparse" and is_crowded(page):
            return None, "too_large"
        text = self._text_by_blocks(page) if self.engine == "quern" else self._text_by_tree(page)
        if text is None:
            return None, "too_deep"
        return (text, None) if text else (None, "no_text")

    def _text_by_blocks(self, page: str) -> str | None:
        """The text; None where the page is nested too deep."""
        text, depth = article_text(page)
        return None if depth > self.max_depth else text

    def _text_by_tree(self, page: str) -> str | None:
        """The text; None where the page is nested too deep for the tree."""
        tags = scan_tags(page.encode("utf-8", "surrogatepass"))
        return None if is_deeper_than(page, tags, max_depth=self.max_depth) else main_text(page, tags)


def _payloads(batch: Batch) -> Iterator[bytes | None]:
    # One at a time: a batch of payloads as Python objects would be held twice.
    column = batch.column("payload")
    return (value.as_py() for value in column)


def _has_tag(page: str) -> bool:
    # A PDF or a picture sent as HTML has runs of NULs, or no tag at all.
    return "\x00\x00" not in page[:1024] and _TAG.search(page) is not None
