"""Which tokens row i of a run is made of: a pure function of (sources, phases, seed, i).

    row i ──phase, period table──> source k, its j-th row ──divmod──> epoch e, place p in the epoch
                                                          ──Feistel(seed, name, e)──> window w
                                                          ──offset(seed, name, e)──> tokens [o + wT, o + wT + T]

A phase has integer shares per source; their sum is its period P. Inside a period rows are dealt by earliest
deadline: after any number of rows every source is less than one row from its exact share, and at the end of
each period exactly on it. One table of P entries, made once, gives O(1) access to any row; a source's own
cursor goes on from phase to phase, so changed weights repeat and skip nothing.

An epoch of a source of N tokens has W = N // T - 1 windows of T tokens (each row reads one more, its last
target), begins at an offset below T that is new each epoch, and leaves out fewer than 2T tokens at its ends.
Rows are the whole state: a run resumes from one integer on any number of ranks.

Price: 0.1 us a row in batches; a table of 65,536 entries takes 0.1 s to make. The inverse (which rows read a
token) costs the same. Nothing here touches a file.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from manifests.digest import hash64

__all__ = ["MAX_PERIOD", "Order", "OrderPhase", "OrderSource", "Rows", "deal", "permute", "unpermute"]

MAX_PERIOD = 1 << 24
_ROUNDS = 4
Ints = npt.NDArray[np.int64]


class OrderSource(NamedTuple):
    """A source as the order sees it: its name keys its shuffle, `n_tokens` its windows."""

    name: str
    n_tokens: int


class OrderPhase(NamedTuple):
    """`n_rows` rows dealt by `shares`, one integer per source; zero leaves a source out."""

    n_rows: int
    shares: tuple[int, ...]


class Rows(NamedTuple):
    """Where rows come from, each int64[n_rows]: source, epoch, window, and the first token of the window."""

    source: Ints
    epoch: Ints
    window: Ints
    start: Ints


def deal(shares: Sequence[int]) -> npt.NDArray[np.int32]:
    """The source of each row of one period: int32[sum(shares)], by earliest deadline.

    The j-th row (from 0) of a source with share s may not come before row floor(j * P / s), nor after row
    ceil((j + 1) * P / s) - 1; a schedule that keeps every such window exists, and the earliest-deadline rule
    finds it, so no prefix is off by a whole row. Ties go to the lower index.
    Source: R. Tijdeman, The chairman assignment problem, 1980; G. Steiner and S. Yeomans, 1993.

    >>> deal([7, 3]).tolist()
    [0, 0, 1, 0, 0, 1, 0, 0, 0, 1]
    """
    period = sum(shares)
    table = np.empty(period, dtype=np.int32)
    waiting = [(0, k, 0) for k, s in enumerate(shares) if s]
    heapq.heapify(waiting)
    ready: list[tuple[int, int, int]] = []
    for i in range(period):
        while waiting and waiting[0][0] <= i:
            _, k, j = heapq.heappop(waiting)
            heapq.heappush(ready, (-(-(j + 1) * period // shares[k]), k, j))
        _, k, j = heapq.heappop(ready)
        table[i] = k
        if j + 1 < shares[k]:
            heapq.heappush(waiting, ((j + 1) * period // shares[k], k, j + 1))
    return table


class _Table(NamedTuple):
    """One period: the source of each row, that source's rows before it, and each source's places."""

    source: npt.NDArray[np.int32]
    before: npt.NDArray[np.int32]
    places: tuple[npt.NDArray[np.int32], ...]


@lru_cache(maxsize=32)
def _table(shares: tuple[int, ...]) -> _Table:
    source = deal(shares)
    before = np.empty(len(source), dtype=np.int32)
    places = tuple(np.flatnonzero(source == k).astype(np.int32) for k in range(len(shares)))
    for where in places:
        before[where] = np.arange(len(where), dtype=np.int32)
    return _Table(source, before, places)


def _mix64(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    # The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every bit of x reaches every bit of the result.
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _feistel(x: npt.NDArray[np.uint64], half: int, keys: Sequence[int]) -> npt.NDArray[np.uint64]:
    shift, mask = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = x >> shift, x & mask
    for key in keys:
        left, right = right, left ^ (_mix64(right ^ np.uint64(key)) & mask)
    # Swapped halves make the inverse the same walk with the keys reversed.
    return (right << shift) | left


def _walk(x: Ints, n: int, keys: Sequence[int]) -> Ints:
    half = max(1, (max(n - 1, 1).bit_length() + 1) // 2)
    y = _feistel(x.astype(np.uint64), half, keys)
    while (outside := y >= np.uint64(n)).any():
        y[outside] = _feistel(y[outside], half, keys)
    return y.astype(np.int64)


def _keys(seed: int, name: str, epoch: int) -> list[int]:
    return [hash64("quern.order", seed, name, epoch, r) for r in range(_ROUNDS)]


def permute(places: Ints, n: int, seed: int, name: str, epoch: int) -> Ints:
    """Windows at `places` of an epoch: a bijection of [0, n) keyed by (seed, name, epoch).

    A four-round Feistel network over the smallest even number of bits that holds n, walked until it lands
    inside (fewer than four steps on average). O(1) memory.

    >>> sorted(permute(np.arange(5), 5, 1, "web", 0).tolist())
    [0, 1, 2, 3, 4]
    """
    return _walk(places, n, _keys(seed, name, epoch))


def unpermute(windows: Ints, n: int, seed: int, name: str, epoch: int) -> Ints:
    """The inverse of `permute`: at which places of the epoch these windows come."""
    return _walk(windows, n, _keys(seed, name, epoch)[::-1])


@dataclass(frozen=True)
class Order:
    """The order of a whole run.

    order = Order(seed=1, seq_len=256, sources=(OrderSource("web", 10**6),), phases=(OrderPhase(4000, (1,)),))
    order.rows(0, 32).start          # first tokens of the first 32 rows
    """

    seed: int
    seq_len: int
    sources: tuple[OrderSource, ...]
    phases: tuple[OrderPhase, ...]

    @property
    def n_rows(self) -> int:
        """Rows of all phases."""
        return sum(p.n_rows for p in self.phases)

    def n_windows(self, source: int) -> int:
        """Windows in each epoch of a source; 0 where it holds fewer than 2 seq_len tokens."""
        return max(0, self.sources[source].n_tokens // self.seq_len - 1)

    def offset(self, source: int, epoch: int) -> int:
        """The token at which a source's epoch begins, below seq_len."""
        return hash64("quern.offset", self.seed, self.sources[source].name, epoch) % self.seq_len

    def rows_per_source(self, n_rows: int | None = None) -> list[int]:
        """Rows each source gives among the first `n_rows` (default: all)."""
        n_rows = self.n_rows if n_rows is None else n_rows
        counts = [0] * len(self.sources)
        for phase in self.phases:
            n = min(n_rows, phase.n_rows)
            for k, c in enumerate(_rows_in(phase, n)):
                counts[k] += c
            n_rows -= n
        return counts

    def rows(self, start: int, stop: int) -> Rows:
        """Where rows [start, stop) come from.

        Raises: IndexError outside [0, n_rows].
        """
        if not 0 <= start <= stop <= self.n_rows:
            raise IndexError(f"rows {start}:{stop} of an order of {self.n_rows}")
        return self.rows_at(np.arange(start, stop, dtype=np.int64))

    def rows_at(self, index: Ints) -> Rows:
        """Where the rows at `index: int64[n]` come from, in that order."""
        source, turn = self._turns(index)
        epoch, window, start = (np.zeros_like(index) for _ in range(3))
        for k in np.unique(source).tolist():
            mine = source == k
            epoch[mine], window[mine], start[mine] = self._windows(k, turn[mine])
        return Rows(source, epoch, window, start)

    def _turns(self, index: Ints) -> tuple[Ints, Ints]:
        # (source, which row of that source since the run began) of each row.
        source, turn = np.zeros_like(index), np.zeros_like(index)
        first, counts = 0, np.zeros(len(self.sources), dtype=np.int64)
        for phase in self.phases:
            mine = (index >= first) & (index < first + phase.n_rows)
            if mine.any():
                table, shares = _table(phase.shares), np.array(phase.shares, dtype=np.int64)
                period, place = np.divmod(index[mine] - first, sum(phase.shares))
                source[mine] = table.source[place]
                turn[mine] = counts[source[mine]] + period * shares[source[mine]] + table.before[place]
            first += phase.n_rows
            counts += np.array(_rows_in(phase, phase.n_rows), dtype=np.int64)
        return source, turn

    def _windows(self, source: int, turn: Ints) -> tuple[Ints, Ints, Ints]:
        n, name = self.n_windows(source), self.sources[source].name
        epoch, place = np.divmod(turn, n)
        window, start = np.zeros_like(turn), np.zeros_like(turn)
        for e in np.unique(epoch).tolist():
            mine = epoch == e
            window[mine] = permute(place[mine], n, self.seed, name, e)
            start[mine] = self.offset(source, e) + window[mine] * self.seq_len
        return epoch, window, start

    def rows_reading(self, source: int, start: int, stop: int) -> Ints:
        """The rows, ascending, that read any of a source's tokens [start, stop): the inverse of `rows`."""
        n, turns = self.n_windows(source), self.rows_per_source()[source]
        found = []
        for epoch in range(-(-turns // n) if n else 0):
            first = self.offset(source, epoch)
            # Window w reads the T + 1 tokens [first + wT, first + wT + T].
            low = max(0, -(-(start - first - self.seq_len) // self.seq_len))
            high = min(n, -(-(stop - first) // self.seq_len))
            if low < high:
                windows = np.arange(low, high, dtype=np.int64)
                found.append(epoch * n + unpermute(windows, n, self.seed, self.sources[source].name, epoch))
        turn = np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
        return np.sort(self._rows_of_turns(source, turn[turn < turns]))

    def _rows_of_turns(self, source: int, turn: Ints) -> Ints:
        rows = np.zeros_like(turn)
        first = seen = 0
        for phase in self.phases:
            n = _rows_in(phase, phase.n_rows)[source]
            mine = (turn >= seen) & (turn < seen + n)
            if mine.any():
                period, place = np.divmod(turn[mine] - seen, phase.shares[source])
                rows[mine] = first + period * sum(phase.shares) + _table(phase.shares).places[source][place]
            first, seen = first + phase.n_rows, seen + n
        return rows


def _rows_in(phase: OrderPhase, n_rows: int) -> list[int]:
    # Rows of each source among the first n_rows of a phase.
    periods, rest = divmod(n_rows, sum(phase.shares))
    head = np.bincount(_table(phase.shares).source[:rest], minlength=len(phase.shares))
    return [periods * s + int(h) for s, h in zip(phase.shares, head, strict=True)]
