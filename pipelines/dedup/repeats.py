"""Entries of many sorted files that share a key, found one range of keys at a time.

    file 0   key: uint64, sorted   3 7 7 9 | 12 40        bucket 0 of 2 | bucket 1 of 2
    file 1                         7 8     | 40 41        (ranges of equal width: hashes fill them evenly)

    repeated(...)  ->  (file, at) of 7, 7, 7 in bucket 0;  of 40, 40 in bucket 1

Documents have dense ordinals while a gather runs: `bases[part] + row`. They number documents and decide
nothing; who wins is decided by (priority of the source, doc_id).

Price: 8 bytes of memory for each entry of the bucket and about 60 for each entry that is repeated; the rest
of the files is not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.stage import Part

__all__ = [
    "DOCS_PER_BUCKET",
    "Repeats",
    "bases",
    "bucket_slice",
    "gather",
    "group_starts",
    "n_buckets",
    "priorities",
    "repeated",
]

DOCS_PER_BUCKET = 1 << 23

U64s = npt.NDArray[np.uint64]
I64s = npt.NDArray[np.int64]


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


def bucket_slice(keys: U64s, bucket: int, of: int) -> slice:
    """Where the keys of `bucket` (of `of` ranges of equal width) stand in sorted `keys`."""
    edges = [-((-b << 64) // of) for b in (bucket, bucket + 1)]
    low, high = (len(keys) if e >= 1 << 64 else int(np.searchsorted(keys, np.uint64(e))) for e in edges)
    return slice(low, high)


def repeated(keys: Sequence[U64s], slices: Sequence[slice]) -> Repeats:
    """The places whose key occurs at least twice in the slices of all files together."""
    mine = [k[s] for k, s in zip(keys, slices, strict=True)]
    together = np.concatenate([np.zeros(0, dtype=np.uint64), *mine])
    order = np.argsort(together, kind="stable")
    ordered = together[order]
    same = np.zeros(len(order) + 1, dtype=np.bool_)
    same[1:-1] = ordered[1:] == ordered[:-1]
    found = np.sort(order[same[1:] | same[:-1]])
    firsts = np.concatenate([[0], np.cumsum([len(m) for m in mine])])
    file = np.searchsorted(firsts, found, side="right") - 1
    starts = np.array([s.start for s in slices], dtype=np.int64)
    return Repeats(file.astype(np.int64), found - firsts[file] + starts[file] if len(found) else found)


def gather(columns: Sequence[npt.NDArray[Any]], repeats: Repeats) -> npt.NDArray[Any]:
    """The values of one array of every file at the places of `repeats`, in its order."""
    cuts = np.searchsorted(repeats.file, np.arange(len(columns) + 1))
    taken = [c[repeats.at[a:b]] for c, a, b in zip(columns, cuts[:-1], cuts[1:], strict=True)]
    return np.concatenate(taken) if taken else np.zeros(0, dtype=np.int64)


def group_starts(*keys: npt.NDArray[Any]) -> I64s:
    """Where runs of equal keys begin in sorted arrays, and their length at the end: int64[n_groups + 1]."""
    n = len(keys[0])
    change = np.zeros(n + 1, dtype=np.bool_)
    change[0] = change[n] = True
    for key in keys:
        change[1:n] |= key[1:] != key[:-1]
    return np.flatnonzero(change).astype(np.int64) if n else np.zeros(1, dtype=np.int64)
