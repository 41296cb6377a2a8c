"""Shards: every partition's tokens, shuffled, in files of about equal size.

    partition   source, split, columns            all groups of that name in the encoded parts
    n           ceil(tokens of the partition / shard_tokens), at most its documents
    shard i     pieces whose place is in [i, i + 1) * 2^64 / n, ordered by (place, doc_id)

Which shard a document is in, and where, follows from its id, the seed and the number of shards alone: not from
the part it came in, nor from who encoded it. Places are spread evenly, so shards differ by a few documents; a
partition of few, long documents may have an empty one.

Each .tok file has a Parquet table beside it with a row a document: doc_id, parent, piece, start and end (tokens
in this shard), n_bytes, source, url, licence, columns, origin.

Price: a shard's tokens are gathered from all parts through maps and written once; memory holds its rows
without tokens. A partition of P parts and S shards opens P * S files, which is what bounds it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manifests.digest import digest_file
from manifests.receipt import Tally
from manifests.shards import ShardHeader, Tokens, token_dtype, write_shard
from pipelines.batch import TextView, text_view
from pipelines.parquet import write_table
from pipelines.stage import GatherTask
from pipelines.tokens.encode import UNKNOWN
from pipelines.tokens.rows import doc_ids, id_words, open_rows, uint64

__all__ = ["Place", "n_shards", "places", "shard"]

_AT_ONCE = 256


class Place(NamedTuple):
    """One shard to write: the `i`-th of `n` of a partition."""

    source: str
    split: str
    columns: tuple[str, ...]
    i: int
    n: int


def places(facts: Sequence[dict[str, Any]], *, columns: Sequence[str], shard_tokens: int) -> list[Place]:
    """Every shard of a corpus, from the facts of its encoded parts: partitions sorted, shards in order."""
    n_tokens: Counter[tuple[str, str, tuple[str, ...]]] = Counter()
    n_docs: Counter[tuple[str, str, tuple[str, ...]]] = Counter()
    for part in facts:
        for group in part["groups"]:
            key = (part["source"], group["split"], _values(group, columns))
            n_tokens[key] += group["n_tokens"]
            n_docs[key] += group["n_docs"]
    counted = [(key, min(-(-n_tokens[key] // shard_tokens), n_docs[key])) for key in sorted(n_tokens)]
    return [Place(*key, i, n) for key, n in counted for i in range(n)]


def _values(group: dict[str, Any], columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(group["columns"][c] for c in columns)


def n_shards(task: GatherTask, *, columns: Sequence[str], shard_tokens: int) -> int:
    """How many shards the corpus has: the axis of the last phase."""
    return len(places(task.facts_of("encode"), columns=columns, shard_tokens=shard_tokens))


def shard(task: GatherTask, *, columns: Sequence[str], shard_tokens: int) -> None:
    """Write one shard and its documents; facts: source, split, holdout, columns, licences, counts, root."""
    place = places(task.facts_of("encode"), columns=columns, shard_tokens=shard_tokens)[task.unit]
    holdout, found = _found(task, place, columns)
    rows = pa.concat_tables([t.drop_columns(["tokens"]) for t in found]).combine_chunks()
    high, low = id_words(doc_ids(rows))
    order = np.lexsort((low, high, uint64(rows, "place")))
    rows = rows.take(pa.array(order))
    views = [text_view(chunk) for t in found for chunk in t.column("tokens").chunks]
    root = _write(task, rows, views, order=order, source=place.source)
    licences = Counter(v or UNKNOWN for v in rows.column("licence").to_pylist())
    named = dict(zip(columns, place.columns, strict=True))
    task.facts.update(
        source=place.source,
        split=place.split,
        holdout=holdout,
        columns=named,
        licences=dict(sorted(licences.items())),
        root=root,
    )


def _found(task: GatherTask, place: Place, columns: Sequence[str]) -> tuple[str, list[pa.Table]]:
    """How the source is held out, and the shard's rows in every part, each a view of a mapped file."""
    found, holdout = [], "none"
    for part, path in zip(task.facts_of("encode"), task.inputs("encode", "tokens"), strict=True):
        start = 0
        for group in part["groups"]:
            if (part["source"], group["split"], _values(group, columns)) == place[:3]:
                holdout = part["holdout"]
                found.append(_between(open_rows(path).slice(start, group["n_docs"]), place))
            start += group["n_docs"]
    return holdout, found


def _between(rows: pa.Table, place: Place) -> pa.Table:
    keys = uint64(rows, "place")
    # In integers of Python: the end of the last shard, 2^64, is no uint64.
    bounds = [-(-(i << 64) // place.n) for i in (place.i, place.i + 1)]
    first, last = (len(keys) if b >> 64 else int(np.searchsorted(keys, np.uint64(b))) for b in bounds)
    return rows.slice(first, last - first)


def _write(
    task: GatherTask, rows: pa.Table, views: Sequence[TextView], *, order: npt.NDArray[np.int64], source: str
) -> str:
    """Commit the shard and its table, count them; returns the shard's root digest."""
    tokenizer = task.facts_of("tokenizer")[0]
    digest = digest_file(task.inputs("tokenizer", "tokenizer")[0])
    dtype = token_dtype(tokenizer["vocab_size"])
    sizes = np.concatenate([np.zeros(0, dtype=np.int64), *(np.diff(v.offsets) for v in views)])[order]
    ends = np.cumsum(sizes // dtype.itemsize)
    n_bytes = sum(rows.column("n_bytes").to_pylist())
    counts = {"n_tokens": int(ends[-1]) if len(ends) else 0, "n_docs": len(rows), "n_bytes": n_bytes}
    header = ShardHeader(**counts, vocab_size=tokenizer["vocab_size"], eot=tokenizer["eot"], tokenizer=digest)
    store, path = task.output_path("shard", ".tok")
    tokens = _tokens(views, order, dtype=dtype)
    ref, root = write_shard(store, path, header, tokens=tokens, ends=ends.astype(np.uint64))
    task.wrote("shard", ref)
    with task.output("documents", ".parquet") as file:
        write_table(file, _documents(rows, source, starts=ends - sizes // dtype.itemsize, ends=ends))
    task.facts.update(counts)
    # A held-out piece is not a document of its own: its parent is counted where its training part lies.
    n_docs = rows.column("parent").null_count
    task.tally.add(Tally(n_docs, n_docs, n_bytes, n_bytes))
    return root


def _tokens(
    views: Sequence[TextView], order: npt.NDArray[np.int64], *, dtype: np.dtype[Any]
) -> Iterator[Tokens]:
    """The tokens of rows in `order`, some hundred documents at a time."""
    firsts = np.cumsum([0, *(len(v.offsets) - 1 for v in views)])
    chunk = np.searchsorted(firsts, order, side="right") - 1
    for at in range(0, len(order), _AT_ONCE):
        here = zip(chunk[at : at + _AT_ONCE].tolist(), order[at : at + _AT_ONCE].tolist(), strict=True)
        yield np.concatenate([_of(views[c], row - int(firsts[c])) for c, row in here]).view(dtype)


def _of(view: TextView, row: int) -> npt.NDArray[np.uint8]:
    return view.data[view.offsets[row] : view.offsets[row + 1]]


def _documents(
    rows: pa.Table, source: str, *, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> pa.Table:
    """The table of a shard's documents, in their order."""
    own = {name: rows.column(name) for name in ("doc_id", "parent", "piece")}
    span = {"start": pa.array(starts, pa.int64()), "end": pa.array(ends, pa.int64())}
    rest = {name: rows.column(name) for name in rows.column_names if name not in (*own, "place")}
    return pa.table({**own, **span, "source": pa.array([source] * len(rows), pa.string()), **rest})
