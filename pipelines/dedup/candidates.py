"""Which documents of a band are compared: groups by key, the better first, and the pairs within them.

    group    documents with one key of the band, by rank      a b c d e
    equal    those that are one with a better one             (b, d), told once for all bands
    pairs    each with the better ones of the rest            (a, b) (a, c) (a, e) (b, c) (b, e) (c, e)

The best sixteen of a group lead. Only pairs whose signatures are near enough are told. A document is not done with the
first leader that it is like: who leads may itself fall for one of another band, and then what was like it must have met
others. It is done after four: a group of k has at most 16 k pairs, and one of pages from a template 4 k.

Equal is `whole`: of those compared by all shingles the text, of those compared by signatures the signature.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.dedup.compared import Compared
from pipelines.dedup.repeats import Repeats, gather, group_starts
from pipelines.dedup.signatures import count_equal

__all__ = ["MAX_LEADERS", "MAX_LIKE", "Group", "lead", "near", "ranked", "split_equal", "with_equals"]

I64s = npt.NDArray[np.int64]
U64s = npt.NDArray[np.uint64]
MAX_LEADERS = 16
MAX_LIKE = 4


class Group(NamedTuple):
    """Documents with a repeated key, by (key, rank): their keys, ordinals, and what is the same for equal ones."""

    key: U64s
    ordinal: I64s
    whole: U64s

    def take(self, rows: npt.NDArray[Any]) -> Group:
        """Those at `rows`, in this order."""
        return Group(self.key[rows], self.ordinal[rows], self.whole[rows])


def ranked(docs: Compared, found: Repeats, band: int, *, has_rank: bool, whole: bool) -> Group:
    """Documents with a repeated key, the better ones of a key first.

    whole: whether equal ones matter. Where they do not, neither does who leads, but that finished corpora do, so ids
    are not read.
    """
    files = docs.files
    key = gather([file.column("key").row(band) for file in files], found)
    mine = Repeats(
        found.file, gather([file.column("at").row(band) for file in files], found).astype(np.int64)
    )
    ordinal = docs.first[mine.file] + gather([file.column("row") for file in files], mine)
    if not whole:
        return Group(key, ordinal, key).take(np.lexsort((ordinal, ordinal < docs.n_own, key)))
    ids = [gather([file.column(name) for file in files], mine) for name in ("id_low", "id_high")]
    order = np.lexsort((*ids, *reversed(docs.order_at(mine, has_rank=has_rank)), key))
    return Group(key, ordinal, gather([file.column("whole") for file in files], mine)).take(order)


def lead(group: Group) -> tuple[I64s, I64s, npt.NDArray[np.bool_]]:
    """(leaders, members, is_member): the first of each key with every other one of it."""
    starts = group_starts(group.key)
    leaders = np.repeat(group.ordinal[starts[:-1]], np.diff(starts))
    is_member = np.ones(len(group.key), dtype=np.bool_)
    is_member[starts[:-1]] = False
    return leaders[is_member], group.ordinal[is_member], is_member


def split_equal(group: Group) -> tuple[tuple[I64s, I64s], Group]:
    """Those that are equal, each with the best of them; and the group without them."""
    # A stable sort keeps the order of ranks.
    order = np.argsort(group.whole, kind="stable")
    order = order[np.argsort(group.key[order], kind="stable")]
    starts = group_starts(group.key[order], group.whole[order])
    firsts = order[starts[:-1]]
    leaders = np.repeat(firsts, np.diff(starts))
    is_member = leaders != order
    same = group.ordinal[leaders[is_member]], group.ordinal[order[is_member]]
    return same, group.take(np.sort(firsts))


def with_equals(leaders: I64s, members: I64s, same: tuple[I64s, I64s]) -> tuple[I64s, I64s]:
    """The pairs, and each leader with those that equal the member."""
    order = np.argsort(same[0], kind="stable")
    firsts, others = same[0][order], same[1][order]
    starts = np.searchsorted(firsts, members)
    counts = np.searchsorted(firsts, members, side="right") - starts
    at = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    return np.concatenate([leaders, np.repeat(leaders, counts)]), np.concatenate([members, others[at]])


def near(docs: Compared, group: Group, *, maybe: int, surely: int) -> Iterator[tuple[I64s, I64s]]:
    """(leaders, members): pairs that agree in `maybe` hashes; those that do in `surely` are like.

    Documents of finished corpora lead and are no members. All leaders of a round are compared at once, for a call
    costs as much as a thousand pairs.
    """
    starts = group_starts(group.key)
    first = np.repeat(starts[:-1], np.diff(starts))
    place = np.arange(len(first)) - first
    n_like = np.zeros(len(first), dtype=np.int8)
    for low, high in pairwise((0, MAX_LIKE, MAX_LEADERS)):
        waits = (n_like < MAX_LIKE) & (group.ordinal < docs.n_own)
        rows = [np.flatnonzero(waits & (place > at)) for at in range(low, high)]
        leaders = [group.ordinal[first[row] + at] for row, at in zip(rows, range(low, high), strict=True)]
        members = [group.ordinal[row] for row in rows]
        n_equal = count_equal(docs.files, docs.first, np.concatenate(leaders), np.concatenate(members))
        counts = np.split(n_equal, np.cumsum([len(row) for row in rows])[:-1])
        for row, leader, member, n in zip(rows, leaders, members, counts, strict=True):
            told = (n >= maybe) & (n_like[row] < MAX_LIKE)
            yield leader[told], member[told]
            n_like[row] += n >= surely
