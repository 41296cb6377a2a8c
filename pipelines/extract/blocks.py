"""The engine `quern`: a page's main text by two looks over its blocks, without a tree.

    page -> UTF-8 -> split_blocks -> (text, blocks, elements) -> choose_blocks -> keep -> write_blocks -> text

Price: 0.5 ms for a page of 130 kB, most of it the tokenizer's. Elements nested however deep cost no more.
"""

from __future__ import annotations

import numpy as np

from pipelines.kernels.article import choose_blocks, write_blocks
from pipelines.kernels.html import split_blocks
from pipelines.kernels.html_names import element_table, entity_table

__all__ = ["KERNELS", "article_text"]

KERNELS = ("html.split_blocks", "article.choose_blocks", "article.write_blocks")


def article_text(page: str) -> tuple[str, int]:
    """(the main text of a decoded page, in how many elements its deepest one lies)."""
    tables = element_table()
    html = np.frombuffer(page.encode("utf-8", "ignore"), np.uint8)
    text, blocks, elements, depth = split_blocks(html, *tables, *entity_table())
    keep = choose_blocks(blocks, elements, tables[2])
    return write_blocks(text, blocks, elements, keep).tobytes().decode(), depth
