"""Batches: rows of the order, cut from the token streams, one batch ahead of the step that needs it.

    Order.rows(R(s), R(s + 1)) -> source, start of each row
    rank r takes rows r, r + W, ...   row = T + 1 tokens   inputs = row[:-1], targets = row[1:]

The batch of a step depends on the order and the step alone; ranks and micro-batches only divide it. A thread
copies the next batch while the model computes; the time a step still waited is measured.

Price: a copy of B (T + 1) tokens a step, 500 to 700 million tokens/s from page cache.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from manifests.order import Order

__all__ = ["Batch", "Batches", "Feed", "TokenSource", "rank_rows", "read_rows"]


class TokenSource(Protocol):
    """One source's tokens as one sequence; `manifests.shards.TokenStream` is one."""

    def read(self, start: int, n_tokens: int) -> npt.NDArray[Any]:
        """Tokens [start, start + n_tokens), uint16 or uint32."""
        ...


class Feed(NamedTuple):
    """What a run reads: the order, and the streams its sources stand for, in the order's numbering."""

    order: Order
    streams: Sequence[TokenSource]


class Batch(NamedTuple):
    """One rank's part of a step's batch: int64[rows, T] each, and the seconds the step waited for it."""

    inputs: Tensor
    targets: Tensor
    waited: float


def rank_rows(start: int, stop: int, *, rank: int, n_ranks: int) -> npt.NDArray[np.int64]:
    """The rows of [start, stop) that `rank` of `n_ranks` takes: every n-th, from its own number on.

    >>> rank_rows(8, 12, rank=1, n_ranks=2).tolist()
    [9, 11]
    """
    return np.arange(start + rank, stop, n_ranks, dtype=np.int64)


def read_rows(feed: Feed, index: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The tokens of the rows at `index`: int64[n, T + 1].

    Raises: DigestError when a shard's bytes changed.
    """
    rows = feed.order.rows_at(index)
    width = feed.order.seq_len + 1
    tokens = np.empty((len(index), width), dtype=np.int64)
    for i, (source, start) in enumerate(zip(rows.source.tolist(), rows.start.tolist(), strict=True)):
        tokens[i] = feed.streams[source].read(start, width)
    return tokens


class Batches:
    """The batches of one rank from row `row` on, `rows_per_step` rows each, each made one step ahead.

    with Batches(feed, row=0, rows_per_step=32, n_steps=500) as batches:
        inputs, targets, waited = batches.next()
    """

    def __init__(
        self, feed: Feed, *, row: int, rows_per_step: int, n_steps: int, rank: int = 0, n_ranks: int = 1
    ) -> None:
        self._feed, self._row, self._rows = feed, row, rows_per_step
        self._stop = row + rows_per_step * n_steps
        self._rank, self._n_ranks = rank, n_ranks
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._ahead: Future[npt.NDArray[np.int64]] | None = None

    def __enter__(self) -> Self:
        self._prefetch()
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def next(self) -> Batch:
        """The next step's batch.

        Raises: IndexError past the last step; DigestError when a shard's bytes changed.
        """
        if self._ahead is None:
            raise IndexError(f"no batch from row {self._stop} on")
        asked = time.perf_counter()
        tokens = torch.from_numpy(self._ahead.result())
        waited = time.perf_counter() - asked
        self._prefetch()
        return Batch(tokens[:, :-1], tokens[:, 1:], waited)

    def _prefetch(self) -> None:
        if self._row >= self._stop:
            self._ahead = None
            return
        index = rank_rows(self._row, self._row + self._rows, rank=self._rank, n_ranks=self._n_ranks)
        self._row += self._rows
        self._ahead = self._pool.submit(read_rows, self._feed, index)
