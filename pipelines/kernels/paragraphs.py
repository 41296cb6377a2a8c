r"""How many paragraphs of a text are long: what mC4 keeps pages by.

    "A line of two hundred characters and more ...\nMenu\nAnother long one ...\n"     2 with at least 200

A paragraph is what stands between two "\n", at the text's ends too; its length is in code points, white space at
its ends included.

Price: one pass over the bytes.

Source: Xue et al. 2021, mT5, section 3.1, https://arxiv.org/abs/2010.11934; datatrove 0.10.1,
pipeline/filters/c4_filters.py, C4ParagraphFilter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import BYTES, OFFSETS, kernel

__all__ = ["count_long_paragraphs"]


@kernel(f"int64[::1]({BYTES}, {OFFSETS}, int64)")
def count_long_paragraphs(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], least_chars: int
) -> npt.NDArray[np.int64]:
    """Paragraphs of at least `least_chars` characters, `int64[n_docs]`."""
    counts = np.zeros(len(offsets) - 1, np.int64)
    for doc in range(len(counts)):
        n_chars = 0
        for at in range(offsets[doc], offsets[doc + 1]):
            if data[at] == 10:
                counts[doc] += n_chars >= least_chars
                n_chars = 0
            else:
                n_chars += data[at] & 0xC0 != 0x80
        counts[doc] += n_chars >= least_chars
    return counts
