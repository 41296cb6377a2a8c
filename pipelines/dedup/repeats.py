"""Entries of many sorted files that share a key, found one range of keys at a time.

    file 0   key: uint64, sorted   3 7 7 9 | 12 40        bucket 0 of 2 | bucket 1 of 2
    file 1                         7 8     | 40 41        (ranges of equal width: hashes fill them evenly)

    repeated(...)  ->  (file, at) of 7, 7, 7 in bucket 0;  of 40, 40 in bucket 1

Documents have dense ordinals while a gather runs: `bases[part] + row`. They number documents and decide
nothing; who wins is decided by (priority of the source, doc_id).

Price: two passes over the entries of the bucket and 2 to 8 bytes of memory for each, none sorted but those that may be
repeated (`kernels/repeats.py`), at about 80 bytes each; the rest of the files is not touched.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.dedup.arrays import Column
from pipelines.kernels.repeats import mark_keys, pick_keys
from pipelines.stage import Part

__all__ = [
    "DOCS_PER_BUCKET",
    "KERNELS",
    "Repeats",
    "bases",
    "bucket_slice",
    "gather",
    "group_starts",
    "n_buckets",
    "priorities",
    "repeated",
    "span",
]

DOCS_PER_BUCKET = 1 << 23
SLOTS_PER_KEY = 16
KERNELS = ("repeats.mark_keys", "repeats.pick_keys")

U64s = npt.NDArray[np.uint64]
I64s = npt.NDArray[np.int64]
Values = Column | npt.NDArray[Any]
"""What is indexed by slices and places: in memory, or verified as it is read."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """Places of repeated keys: entry `at[i]` of file `file[i]`; sorted by file, then place."""

    file: I64s
    at: I64s


def n_buckets(n_docs: int) -> int:
    """How many ranges of keys keep a task's memory below about 500 MB: one up to 8 million documents."""
    return max(1, -(-n_docs // DOCS_PER_BUCKET))


def bases(parts: Sequence[Part]) -> I64s:
    """The ordinal of each part's first row, and the number of all rows at the end: int64[n_parts + 1]."""
    return np.concatenate([[0], np.cumsum([part.n_docs for part in parts], dtype=np.int64)]).astype(np.int64)


def priorities(parts: Sequence[Part]) -> I64s:
    """The rank of each part's source: int64[n_parts]. Sources rank as they come in the list of parts."""
    ranks: dict[str, int] = {}
    return np.array([ranks.setdefault(part.source, len(ranks)) for part in parts], dtype=np.int64)


def bucket_slice(keys: Values, bucket: int, of: int) -> slice:
    """Where the keys of `bucket` (of `of` ranges of equal width) stand in sorted `keys`."""
    start, stop = (_hash_place(keys, -((-b << 64) // of)) for b in (bucket, bucket + 1))
    return slice(start, stop)


def _hash_place(keys: Values, edge: int) -> int:
    """How many of the keys are below `edge`: hashes stand near where their size puts them, so few are read."""
    if edge >= 1 << 64:
        return len(keys)
    guess, near = len(keys) * edge >> 64, 4 * isqrt(len(keys)) + 8
    low, high = max(0, guess - near), min(len(keys), guess + near)
    some = keys[low:high]
    if (low == 0 or int(some[0]) < edge) and (high == len(keys) or int(some[-1]) >= edge):
        return low + int(np.searchsorted(some, np.uint64(edge)))
    return bisect_left(range(len(keys)), edge, key=lambda i: int(keys[i]))


def span(values: Values, low: int, high: int) -> slice:
    """Where the values with low <= value < high stand among sorted ones."""
    # As Python's numbers: an edge beyond 64 bits and a numpy integer would meet as floats.
    start, stop = (bisect_left(range(len(values)), e, key=lambda i: int(values[i])) for e in (low, high))
    return slice(start, stop)


def repeated(keys: Sequence[Values], slices: Sequence[slice]) -> Repeats:
    """The places whose key occurs at least twice in the slices of all files together."""
    picked, places = _candidates(keys, slices)
    together = np.concatenate([np.zeros(0, dtype=np.uint64), *picked])
    order = np.argsort(together, kind="stable")
    ordered = together[order]
    same = np.zeros(len(order) + 1, dtype=np.bool_)
    same[1:-1] = ordered[1:] == ordered[:-1]
    found = np.sort(order[same[1:] | same[:-1]])
    file = np.repeat(np.arange(len(places)), [len(p) for p in places])[found]
    return Repeats(file, np.concatenate([np.zeros(0, dtype=np.int64), *places])[found])


def _candidates(keys: Sequence[Values], slices: Sequence[slice]) -> tuple[list[U64s], list[I64s]]:
    """Of each file the keys that may be repeated, and their places: all that are, and few others."""
    some = [(k, s) for k, s in zip(keys, slices, strict=True) if s.stop > s.start]
    low = min((int(k[s.start]) for k, s in some), default=0)
    high = max((int(k[s.stop - 1]) for k, s in some), default=0)
    n_slots = SLOTS_PER_KEY * max(1, sum(s.stop - s.start for _, s in some))
    shift = max(0, (high - low).bit_length() - n_slots.bit_length())
    seen, twice = (np.zeros(((high - low) >> shift) // 8 + 1, dtype=np.uint8) for _ in range(2))
    for k, s in some:
        mark_keys(k[s], low, shift, seen, twice)
        _release(k)
    del seen
    picked, places = [], []
    for k, s in zip(keys, slices, strict=True):
        mine = k[s]
        places.append(pick_keys(mine, low, shift, twice))
        picked.append(mine[places[-1]])
        places[-1] += s.start
        del mine
        _release(k)
    return picked, places


def _release(values: Values) -> None:
    if isinstance(values, Column):
        values.file.release()


def gather(columns: Sequence[Values], repeats: Repeats) -> npt.NDArray[Any]:
    """The values of one array of every file at the places of `repeats`, in its order; `file` ascends."""
    cuts = np.searchsorted(repeats.file, np.arange(len(columns) + 1))
    taken = []
    for column, a, b in zip(columns, cuts[:-1], cuts[1:], strict=True):
        taken.append(column[repeats.at[a:b]])
        _release(column)
    return np.concatenate(taken) if taken else np.zeros(0, dtype=np.int64)


def group_starts(*keys: npt.NDArray[Any]) -> I64s:
    """Where runs of equal keys begin in sorted arrays, and their length at the end: int64[n_groups + 1]."""
    n = len(keys[0])
    change = np.zeros(n + 1, dtype=np.bool_)
    change[0] = change[n] = True
    for key in keys:
        change[1:n] |= key[1:] != key[:-1]
    return np.flatnonzero(change).astype(np.int64) if n else np.zeros(1, dtype=np.int64)
