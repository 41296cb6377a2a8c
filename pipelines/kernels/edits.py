r"""Texts with spans of them taken out or replaced, and the words that went with them.

    "Menu\nThe story.[1]"    spans (0, 5, -1), (15, 18, -1)    ->    "The story.", 2 words removed ("Menu", "[1]")

Words are runs of what is not white space of ASCII, as `bytes.split` has them, counted in each span by itself.

Price: one copy of the text.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel, pointer
from pipelines.kernels.words import byte_at

__all__ = ["Edited", "cut_spans", "edited_texts"]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


class Edited(NamedTuple):
    """Text d is `data[offsets[d]:offsets[d + 1]]`; what was removed of each, int64[n_docs]."""

    data: Bytes
    offsets: Offsets
    removed_bytes: Offsets
    removed_words: Offsets


@inline
def _copy(source: Bytes, start: int, stop: int, out: Bytes, at: int) -> int:
    for k in range(stop - start):
        out[at + k] = source[start + k]
    return at + stop - start


@inline
def _n_words(data: Bytes, start: int, stop: int) -> int:
    n_words, between = 0, True
    for at in range(start, stop):
        byte = byte_at(data, at)
        is_space = byte == 32 or 9 <= byte <= 13
        n_words += between and not is_space
        between = is_space
    return n_words


@kernel(
    f"int64({BYTES}, {OFFSETS}, {OFFSETS}, {OFFSETS}, {OFFSETS}, {OFFSETS}, {BYTES}, {OFFSETS}, "
    "uint8[::1], int64[::1], int64[:, ::1])"
)
def cut_spans(
    data: Bytes, offsets: Offsets, row: Offsets, start: Offsets, end: Offsets, replacement: Offsets,
    pool: Bytes, pool_offsets: Offsets, out: Bytes, out_offsets: Offsets, removed: Offsets,
) -> int:  # fmt: skip
    """Writes the texts, where each ends, and `removed: int64[2, n_docs]`, bytes and words; returns the bytes written.

    row, start, end: as `stage.Spans`; replacement: which of `pool`'s pieces takes the place, -1 for none.
    """
    data, pool, out = pointer(data), pointer(pool), pointer(out)
    span: int = np.int64(0)  # type: ignore[assignment]
    length: int = np.int64(0)  # type: ignore[assignment]
    for doc in range(len(offsets) - 1):
        base = at = offsets[doc]
        while span < len(row) and row[span] == doc:
            first, last, new = base + start[span], base + end[span], replacement[span]
            length = _copy(data, at, first, out, length)
            if new >= 0:
                length = _copy(pool, pool_offsets[new], pool_offsets[new + 1], out, length)
            removed[0, doc] += last - first
            removed[1, doc] += _n_words(data, first, last)
            at = last
            span += 1
        length = _copy(data, at, offsets[doc + 1], out, length)
        out_offsets[doc + 1] = length
    return length


def edited_texts(
    data: Bytes, offsets: Offsets, row: Offsets, start: Offsets, end: Offsets, *,
    replacement: npt.NDArray[np.int32] | Offsets, replacements: tuple[bytes, ...],
) -> Edited:  # fmt: skip
    """The texts without the spans, or with `replacements[replacement[i]]` in place of span i where that is not -1."""
    lengths = np.array([*map(len, replacements), 0], np.int64)  # the last is that of -1
    n_bytes = int(offsets[-1] - offsets[0] - (end - start).sum() + lengths[replacement].sum())
    out, out_offsets = np.empty(n_bytes, np.uint8), np.zeros(len(offsets), np.int64)
    removed = np.zeros((2, len(offsets) - 1), np.int64)
    pool = np.frombuffer(b"".join(replacements), np.uint8)
    pool_offsets = np.concatenate([[0], np.cumsum(lengths)])
    row, start, end, new = (
        np.ascontiguousarray(column, np.int64) for column in (row, start, end, replacement)
    )
    cut_spans(data, offsets, row, start, end, new, pool, pool_offsets, out, out_offsets, removed)
    return Edited(out, out_offsets, *removed)
