"""What is held out: decided from sizes and hashes alone, before anything is trained or encoded.

    measure (a part)   alive document -> cluster: uint64, size: bytes, order: uint64
    split (once)       source -> cluster | span | none

    cluster   whole duplicate clusters, in the order of hash(seed, cluster id), until their text reaches the share
    span      the end of every document: a source of few clusters (a shelf of books) has none to spare

          0 ────────── train ──────────┤ gap ├─ held out ─ n_bytes      both cuts at a paragraph where there is one

A coin for each document would hold out none of 116 books in 31 of 100 seeds; going in the order of a hash
always reaches the share. At least 64 KiB of text are held out, since bits per byte of less are noise, but
never more than a third of the source for that reason alone. A cluster of more than a third of its source is
never held out. A cluster held out in one source is held out in every source cut by cluster, and one that a
source cut by span has too is held out nowhere; so no held-out cluster has a copy in the training text.

A figure measured on a span is one on the same documents that were trained on, and is labelled so.

Price: 24 bytes a document between phases; the split reads them in a few sequential passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.stage import GatherTask
from pipelines.tokens.rows import doc_ids, documents, hashes, open_rows, texts_of, uint64, write_rows

__all__ = ["MIN_CUT_BYTES", "Holdout", "cut", "measure", "read_holdout", "split"]

MIN_CLUSTERS = 20
MIN_HELDOUT_BYTES = 64 << 10
# Below this a document cannot give a train part, a gap and a held-out part that are all text.
MIN_CUT_BYTES = 64
_MIN_TAIL_BYTES = 16
_MAX = (1 << 64) - 1
# The first window of hashes the split looks at: most sources find their share in it.
_FIRST = 1 << 56

Uint64s = npt.NDArray[np.uint64]
Sizes = npt.NDArray[np.int64]

MEASURED = pa.schema([("cluster", pa.uint64()), ("order", pa.uint64()), ("size", pa.int64())])
_CLUSTERS = pa.schema([("cluster", pa.uint64())])


def measure(task: GatherTask, *, seed: int) -> None:
    """Write (cluster, order, size) of every alive document of a part, in row order."""
    table = documents(task, ["doc_id", "text"])
    ids = doc_ids(table)
    sizes = np.diff(texts_of(table).offsets)
    keys = (hashes("holdout", seed, _cluster_ids(task, ids)), hashes("tokenizer", seed, ids))
    rows = pa.record_batch([*map(pa.array, keys), pa.array(sizes)], schema=MEASURED)
    with task.output("measured", ".arrow") as file:
        write_rows(file, MEASURED, [rows])
    largest = int(sizes.max()) if len(sizes) else 0
    source = task.parts[task.unit].source
    task.facts.update(source=source, n_docs=len(ids), n_bytes=int(sizes.sum()), largest=largest)


def _cluster_ids(task: GatherTask, ids: Sequence[bytes]) -> list[bytes]:
    """The cluster of every alive document: an id of bytes; one that no gather put into a cluster is its own."""
    column = task.evidence(task.unit, "cluster")
    if column is None:
        return list(ids)
    alive = column.filter(pa.array(task.alive(task.unit))).to_pylist()
    return [own if given is None else given for own, given in zip(ids, alive, strict=True)]


class Source(NamedTuple):
    """One source's documents as the split sees them."""

    name: str
    n_bytes: int
    n_docs: int
    largest: int
    rows: list[pa.Table]


def split(task: GatherTask, *, share: Fraction, sample_bytes: int | None) -> None:
    """Decide every source's split and how much of it the tokenizer sees.

    Writes the held-out clusters, ascending; facts: sources: {name: holdout, tail, sample, ...}.
    """
    sources = sources_of(task)
    clusters, how = hold_out(sources, share)
    with task.output("clusters", ".arrow") as file:
        write_rows(file, _CLUSTERS, [pa.record_batch([pa.array(clusters, pa.uint64())], schema=_CLUSTERS)])
    total = max(sum(s.n_bytes for s in sources), 1)
    for source in sources:
        facts = how[source.name]
        if sample_bytes is not None:
            quota = min(-(-sample_bytes * source.n_bytes // total), source.n_bytes)
            facts |= {"sample_bytes": quota, "sample_below": f"{_sample_below(source, clusters, quota):016x}"}
    task.facts["sources"] = how


def sources_of(task: GatherTask) -> list[Source]:
    """What `measure` found, by source, in order of name."""
    facts = task.facts_of("measure")
    paths = task.inputs("measure", "measured")
    found = []
    for name in sorted({str(f["source"]) for f in facts}):
        mine = [i for i, f in enumerate(facts) if f["source"] == name]
        n_bytes, n_docs = (sum(facts[i][k] for i in mine) for k in ("n_bytes", "n_docs"))
        largest = max(facts[i]["largest"] for i in mine)
        found.append(Source(name, n_bytes, n_docs, largest, [open_rows(paths[i]) for i in mine]))
    return found


def hold_out(sources: Sequence[Source], share: Fraction) -> tuple[Uint64s, dict[str, dict[str, Any]]]:
    """The hashes of held-out clusters, ascending, and by source how it is split."""
    by_span = {s.name for s in sources if share and _n_clusters(s) < MIN_CLUSTERS}
    while True:
        banned = _union([_all_clusters(s) for s in sources if s.name in by_span])
        chosen = {s.name: _choose(s, share, banned) for s in sources if share and s.name not in by_span}
        failed = {name for name, clusters in chosen.items() if clusters is None}
        if not failed:
            held = _union([c for c in chosen.values() if c is not None])
            return held, {s.name: _describe(s, share, by_cluster=s.name in chosen) for s in sources}
        by_span |= failed


def target_bytes(n_bytes: int, share: Fraction) -> int:
    """How much text to hold out of `n_bytes`."""
    return max(-(-n_bytes * share.numerator // share.denominator), min(MIN_HELDOUT_BYTES, n_bytes // 3), 1)


def _describe(source: Source, share: Fraction, *, by_cluster: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {"n_bytes": source.n_bytes, "n_docs": source.n_docs, "share": str(share)}
    if not share or (not by_cluster and source.largest < MIN_CUT_BYTES):
        return {**facts, "holdout": "none", "why": "off" if not share else "too little text"}
    target = target_bytes(source.n_bytes, share)
    facts |= {"target_bytes": target, "short": target < MIN_HELDOUT_BYTES}
    if by_cluster:
        return {**facts, "holdout": "cluster"}
    return {**facts, "holdout": "span", "tail": str(Fraction(target, source.n_bytes))}


def _windows(rows: Sequence[pa.Table], column: str) -> Iterator[tuple[Uint64s, Sizes, bool]]:
    """Keys from 0 up to a growing limit, ascending, with the bytes of each; the last has all of them."""
    limit = _FIRST
    while True:
        parts = [_below(table, column, limit) for table in rows]
        keys = np.concatenate([np.zeros(0, dtype=np.uint64), *(k for k, _ in parts)])
        sizes = np.concatenate([np.zeros(0, dtype=np.int64), *(s for _, s in parts)])
        found, at = np.unique(keys, return_inverse=True)
        sums = np.zeros(len(found), dtype=np.int64)
        np.add.at(sums, at, sizes)
        yield found, sums, limit == _MAX
        if limit == _MAX:
            return
        limit = min(limit << 2, _MAX)


def _below(table: pa.Table, column: str, limit: int) -> tuple[Uint64s, Sizes]:
    keys = uint64(table, column)
    chosen = keys <= np.uint64(limit)
    return keys[chosen], uint64(table, "size")[chosen].astype(np.int64)


def _n_clusters(source: Source) -> int:
    """The number of clusters, or any number of at least `MIN_CLUSTERS`."""
    n = 0
    for keys, _, _ in _windows(source.rows, "cluster"):
        if (n := len(keys)) >= MIN_CLUSTERS:
            return n
    return n


def _all_clusters(source: Source) -> Uint64s:
    return _union([uint64(table, "cluster") for table in source.rows])


def _union(arrays: Sequence[Uint64s]) -> Uint64s:
    return np.unique(np.concatenate([np.zeros(0, dtype=np.uint64), *arrays]))


def _choose(source: Source, share: Fraction, banned: Uint64s) -> Uint64s | None:
    """Clusters in the order of their hash until their text reaches the target; None where it never does."""
    target = target_bytes(source.n_bytes, share)
    for keys, sizes, _ in _windows(source.rows, "cluster"):
        fits = (3 * sizes <= source.n_bytes) & ~is_in(keys, banned)
        reached = np.cumsum(np.where(fits, sizes, 0))
        n = int(np.searchsorted(reached, target)) + 1
        if n <= len(keys):
            return keys[:n][fits[:n]]
    return None


def _sample_below(source: Source, held: Uint64s, quota: int) -> int:
    """The largest order of the documents that together hold `quota` bytes and are not held out."""
    train = [_train_rows(table, held) for table in source.rows]
    for keys, sizes, _ in _windows(train, "order"):
        n = int(np.searchsorted(np.cumsum(sizes), quota)) + 1
        if n <= len(keys):
            return int(keys[n - 1])
    return _MAX


def _train_rows(table: pa.Table, held: Uint64s) -> pa.Table:
    return table.filter(pa.array(~is_in(uint64(table, "cluster"), held)))


def is_in(keys: Uint64s, ascending: Uint64s) -> npt.NDArray[np.bool_]:
    """bool[n]: which keys are among the ascending ones."""
    if not len(ascending):
        return np.zeros(len(keys), dtype=np.bool_)
    at = np.minimum(np.searchsorted(ascending, keys), len(ascending) - 1)
    found: npt.NDArray[np.bool_] = ascending[at] == keys
    return found


class Holdout(NamedTuple):
    """How the documents of one part are split.

    held: bool[n_docs], documents held out whole; tail: the share that the end of each document gives, if any.
    """

    kind: str
    held: npt.NDArray[np.bool_]
    tail: Fraction | None


def read_holdout(task: GatherTask) -> Holdout:
    """The decision for the alive documents of the task's part."""
    facts = task.facts_of("split")[0]["sources"][task.parts[task.unit].source]
    clusters = uint64(open_rows(task.inputs("measure", "measured")[task.unit]), "cluster")
    held = np.zeros(len(clusters), dtype=np.bool_)
    if facts["holdout"] == "cluster":
        held = is_in(clusters, uint64(open_rows(task.inputs("split", "clusters")[0]), "cluster"))
    tail = Fraction(facts["tail"]) if facts["holdout"] == "span" else None
    return Holdout(facts["holdout"], held, tail)


def cut(text: bytes, tail: Fraction, *, gap_bytes: int) -> tuple[int, int] | None:
    """Where the train part of a document ends and its held-out part begins; None for one too short to cut.

    The held-out part has at least the share `tail` of the bytes (at least 16) and at most twice that; between
    the two lie at least `gap_bytes`, or an eighth of the document where that is less.
    """
    n_bytes = len(text)
    if n_bytes < MIN_CUT_BYTES:
        return None
    wanted = max(-(-n_bytes * tail.numerator // tail.denominator), _MIN_TAIL_BYTES)
    last = n_bytes - wanted
    start = _boundary(text, max(n_bytes - 2 * wanted, n_bytes // 3), last)
    last = start - min(gap_bytes, n_bytes // 8)
    return _boundary(text, max(last - 1024, last // 2), last), start


def _boundary(text: bytes, first: int, last: int) -> int:
    """The last paragraph's start in [first, last], else the last line's, else word's, else character's."""
    for mark in (b"\n\n", b"\n", b" "):
        at = text.rfind(mark, first, last)
        if at >= 0:
            return at + len(mark)
    while text[last] & 0xC0 == 0x80:
        last -= 1
    return last
