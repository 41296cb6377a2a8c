"""All documents that are compared: those of the parts, and behind them those of finished corpora, which never fall.

    ordinals     0 ............ n_own          those of the task's parts, by part and row
                 n_own ........ n_all          those of finished corpora

Who is better is decided by (finished before new, rank, place of the source in the recipe, doc_id), rank as `ranks.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.dedup.arrays import ArrayFile
from pipelines.dedup.repeats import Repeats, bases, gather, priorities
from pipelines.dedup.signatures import read_signatures
from pipelines.stage import GatherTask

__all__ = ["Compared", "compared", "first_ordinals"]

I64s = npt.NDArray[np.int64]
U64s = npt.NDArray[np.uint64]
FINISHED = -1


class Compared(NamedTuple):
    """Signature files, the ordinal of each one's first row with the number of all at the end, and its priority."""

    files: Sequence[ArrayFile]
    first: I64s
    priority: I64s
    n_own: int

    def ids_of(self, ordinals: I64s) -> tuple[U64s, U64s]:
        """The ids of signed documents, as two numbers each."""
        places = self._places(self._where(ordinals))
        high, low = (gather([f.column(name) for f in self.files], places) for name in ("id_high", "id_low"))
        return high, low

    def order_of(self, ordinals: I64s, *, has_rank: bool) -> list[I64s]:
        """What decides who is better before the doc_id does, the most important first; smaller is better."""
        where = self._where(ordinals)
        places = self._places(where) if has_rank else where
        return self.order_at(places, has_rank=has_rank)

    def order_at(self, places: Repeats, *, has_rank: bool) -> list[I64s]:
        """The same of documents by (file, place among the signed of it)."""
        priority = self.priority[places.file]
        order = [priority]
        if has_rank:
            order = [gather([f.column("rank") for f in self.files], places), priority]
        return [(priority > FINISHED).astype(np.int64), *order] if self.n_own < self.first[-1] else order

    def _where(self, ordinals: I64s) -> Repeats:
        owner = np.searchsorted(self.first, ordinals, side="right") - 1
        return Repeats(owner, ordinals - self.first[owner])

    def _places(self, rows: Repeats) -> Repeats:
        """Where documents named by (file, row) stand among those that are signed."""
        return Repeats(rows.file, gather([f.column("place") for f in self.files], rows).astype(np.int64))


def first_ordinals(task: GatherTask, n_finished: Sequence[int]) -> I64s:
    """The ordinal of each part's first row, finished ones behind, and the number of all: int64[n_parts + 1]."""
    own = bases(task.parts)
    return np.concatenate([own, own[-1] + np.cumsum(n_finished, dtype=np.int64)]).astype(np.int64)


def compared(task: GatherTask, *, finished: bool) -> Compared:
    """What phases behind `sign` compare; finished: whether there is a phase `sign_against`."""
    paths, n_finished = task.inputs("sign", "signatures"), list[int]()
    if finished:
        paths = [*paths, *task.inputs("sign_against", "signatures")]
        n_finished = [facts["n_docs"] for facts in task.facts_of("sign_against")]
    first = first_ordinals(task, n_finished)
    priority = np.concatenate([priorities(task.parts), np.full(len(n_finished), FINISHED)])
    return Compared(read_signatures(paths), first, priority, int(first[len(task.parts)]))
