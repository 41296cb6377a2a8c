r"""Texts cut into lines or paragraphs, each with two hashes of what it says.

    "Home\n  Menu \n\nA story.\nIts end."   lines       (0, 5) (5, 13) (14, 23) (23, 31)    hashed "Home", "Menu", ...
                                            paragraphs  (0, 14) (14, 31)                    hashed "Home\n  Menu", ...

A line ends after "\n", a paragraph before the first line that has a word after one that has none. A span reaches to the
start of the next, or to the end of a blank line behind a paragraph; what is hashed has no white space at its ends.
Lines of nothing but white space are no units.

Price: 500 MB/s, most of it the two xxh64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.kernels.hashing import xxh64
from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel, pointer
from pipelines.kernels.search import find
from pipelines.kernels.unicode import character_classes
from pipelines.kernels.words import byte_at, strip

__all__ = ["SEEDS", "Units", "cut_units", "split_units"]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
U64s = npt.NDArray[np.uint64]
SEEDS = np.uint64(0), np.uint64(0x9E3779B97F4A7C15)


class Units(NamedTuple):
    """Lines or paragraphs in the order of the texts: arrays of one length.

    row: int64, whose it is; start, end: int64, in bytes of that text; high, low: uint64, hashes; n_chars: int64.
    """

    row: Offsets
    start: Offsets
    end: Offsets
    n_chars: Offsets
    high: U64s
    low: U64s


@inline
def _n_chars(data: Bytes, start: int, stop: int) -> int:
    n = 0
    for at in range(start, stop):
        n += byte_at(data, at) & 0xC0 != 0x80
    return n


@kernel(f"int64({BYTES}, {OFFSETS}, {BYTES}, int64, int64[:, ::1], uint64[:, ::1])")
def cut_units(
    data: Bytes, offsets: Offsets, classes: Bytes, paragraphs: int, spans: Offsets, hashes: U64s
) -> int:
    """Writes `spans[:4, i]` (row, start, end, n_chars) and `hashes[:2, i]` of each unit; returns how many there are.

    paragraphs: 1 for paragraphs, 0 for lines.
    """
    n, data = 0, pointer(data)
    for doc in range(len(offsets) - 1):
        base, end = offsets[doc], offsets[doc + 1]
        at, first, last = base, base, base
        is_open = False
        while at < end:
            stop = find(data, at, end, 10)
            line_first, line_last = strip(data, at, stop, classes)
            after = min(stop + 1, end)
            is_blank = line_first == line_last
            if not is_blank:
                if not is_open:
                    spans[0, n], spans[1, n] = doc, at - base
                    first = line_first
                    is_open = True
                last = line_last
            if is_open and (not paragraphs or is_blank or after == end):
                spans[2, n] = after - base
                spans[3, n] = _n_chars(data, first, last)
                hashes[0, n] = xxh64(data, first, last, SEEDS[0])
                hashes[1, n] = xxh64(data, first, last, SEEDS[1])
                n += 1
                is_open = False
            at = after
    return n


def split_units(data: Bytes, offsets: Offsets, *, by_paragraph: bool) -> Units:
    """The units of texts `data[offsets[d]:offsets[d + 1]]`."""
    n_most = int(np.count_nonzero(data[offsets[0] : offsets[-1]] == 10)) + len(offsets) - 1
    spans, hashes = np.empty((4, n_most), np.int64), np.empty((2, n_most), np.uint64)
    n = cut_units(data, offsets, character_classes(), int(by_paragraph), spans, hashes)
    row, start, end, n_chars = spans[:, :n]
    return Units(row, start, end, n_chars, hashes[0, :n], hashes[1, :n])
