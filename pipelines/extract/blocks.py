"""The engine `quern`: a page's main text by two looks over its blocks, without a tree.

    UTF-8 -> split_blocks -> (text, blocks, elements) -> choose_blocks -> keep -> write_blocks -> UTF-8

Price: 0.3 ms for a page of 130 kB, most of it the tokenizer's. Elements nested however deep cost no more.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.article import choose_blocks, write_blocks
from pipelines.kernels.html import split_blocks
from pipelines.kernels.html_names import element_table, entity_table

__all__ = ["KERNELS", "article_text"]

KERNELS = ("html.split_blocks", "article.choose_blocks", "article.write_blocks")

Bytes = npt.NDArray[np.uint8]


def article_text(html: Bytes) -> tuple[bytes, int]:
    """(the main text of a page in UTF-8, in how many elements its deepest one lies).

    html: uint8[n_bytes], valid UTF-8.
    """
    tables = element_table()
    text, blocks, elements, depth = split_blocks(html, *tables, *entity_table())
    keep = choose_blocks(blocks, elements, tables[2])
    return write_blocks(text, blocks, elements, keep).tobytes(), depth
