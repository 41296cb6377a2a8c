"""A part's documents as tokens, in the order its shards will want them.

    alive rows ──cut──> pieces ──encode──> tokens + end-of-text ──sort──> one Arrow file

    a row of the file   doc_id, parent, piece, n_bytes, url, licence, origin, columns..., place, tokens
    sorted by           (split, columns, place, doc_id);  place = hash(seed, doc_id)

A piece is a whole document, or one of the two a document gives that is held out by span: the train part keeps
the document's id, the held-out part has an id of its own and names its parent. The text between them is in
neither and is counted (`gap_bytes`).

Price: the part's text and its tokens are in memory (two bytes a token, about four bytes of English text).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manifests.digest import digest_file, piece_id
from manifests.receipt import Tally
from manifests.shards import Tokens, token_dtype
from pipelines.batch import ORIGIN, TextView
from pipelines.stage import GatherTask
from pipelines.tokens.encoder import (
    Encoder,
    Ids,
    count_differing,
    encode_fast,
    encode_reference,
    load_encoder,
)
from pipelines.tokens.holdout import Holdout, cut, read_holdout
from pipelines.tokens.rows import HELDOUT, TRAIN, doc_ids, documents, hashes, id_words, texts_of, write_rows

__all__ = ["UNKNOWN", "Encoded", "Pieces", "cut_pieces", "encode", "encode_pieces"]

UNKNOWN = "unknown"
# Text handed to an engine at once, and tokens written at once.
_BATCH_BYTES = 8 << 20
_MIN_COMPARED = 8
_ONE_IN = 256

Int64s = npt.NDArray[np.int64]


class Pieces(NamedTuple):
    """What is encoded: bytes [start, end) of the texts, as piece `ordinal` of document `row`."""

    ids: list[bytes]
    row: Int64s
    ordinal: Int64s
    start: Int64s
    end: Int64s
    heldout: npt.NDArray[np.bool_]


class Encoded(NamedTuple):
    """Tokens of all pieces, each with its end-of-text: piece i has `tokens[offsets[i]:offsets[i + 1]]`."""

    tokens: Tokens
    offsets: Int64s


def encode(task: GatherTask, *, columns: Sequence[str], seed: int, gap_bytes: int) -> None:
    """Encode the alive documents of a part; facts: source, holdout, groups in file order, engine."""
    table = documents(task, [*dict.fromkeys(["doc_id", "text", "url", "licence", "origin", *columns])])
    holdout, view = read_holdout(task), texts_of(table)
    pieces = cut_pieces(doc_ids(table), view, holdout, gap_bytes=gap_bytes)
    path, tokenizer = task.inputs("tokenizer", "tokenizer")[0], task.facts_of("tokenizer")[0]
    encoder, dtype = load_encoder(path, digest_file(path)), token_dtype(tokenizer["vocab_size"])
    encoded = encode_pieces(task, encoder, view, pieces=pieces, eot=tokenizer["eot"], dtype=dtype, seed=seed)
    _count(task, pieces, view, holdout)
    _write(task, table.drop_columns(["text"]), pieces, encoded, columns=columns, seed=seed)


def cut_pieces(ids: Sequence[bytes], view: TextView, holdout: Holdout, *, gap_bytes: int) -> Pieces:
    """The pieces of documents: one each, or two where the source is held out by span."""
    found = []
    for row, doc in enumerate(ids):
        first, last = int(view.offsets[row]), int(view.offsets[row + 1])
        at = None
        if holdout.tail is not None:
            at = cut(view.data[first:last].tobytes(), holdout.tail, gap_bytes=gap_bytes)
        if at is None:
            found.append((doc, row, 0, first, last, bool(holdout.held[row])))
        else:
            found.append((doc, row, 0, first, first + at[0], False))
            found.append((piece_id(doc, 1), row, 1, first + at[1], last, True))
    numbers: Int64s = np.array([f[1:5] for f in found], dtype=np.int64).reshape(-1, 4)
    held = np.array([f[5] for f in found], dtype=np.bool_)
    row_of, ordinal, start, end = (np.ascontiguousarray(numbers[:, i]) for i in range(4))
    return Pieces([f[0] for f in found], row_of, ordinal, start, end, held)


def encode_pieces(
    task: GatherTask, encoder: Encoder, view: TextView, *, pieces: Pieces, eot: int, dtype: Any, seed: int
) -> Encoded:
    """The tokens of all pieces: gigatoken's where the reference agrees on a sample of them, else the reference's."""

    def run(engine: Callable[[Encoder, Sequence[bytes]], Ids]) -> Encoded:
        batches = _batches(task, view, pieces)
        return _joined([with_end_of_text(engine(encoder, b), eot=eot, dtype=dtype) for b in batches], dtype)

    if encoder.fast is None:
        task.facts.update(engine="tokenizers", n_compared=0, n_differing=0)
        return run(encode_reference)
    encoded = run(encode_fast)
    n_compared, n_differing = _compared(encoder, encoded, view, pieces=pieces, seed=seed)
    engine = "tokenizers" if n_differing else "gigatoken"
    task.facts.update(engine=engine, n_compared=n_compared, n_differing=n_differing)
    return run(encode_reference) if n_differing else encoded


def _batches(task: GatherTask, view: TextView, pieces: Pieces) -> Iterator[list[bytes]]:
    texts, n_bytes = [], 0
    for row, start, end in zip(pieces.row.tolist(), pieces.start.tolist(), pieces.end.tolist(), strict=True):
        texts.append(view.data[start:end].tobytes())
        n_bytes += end - start
        if n_bytes >= _BATCH_BYTES:
            task.beat(row)
            yield texts
            texts, n_bytes = [], 0
    if texts:
        yield texts


def with_end_of_text(found: Ids, *, eot: int, dtype: np.dtype[Any]) -> Encoded:
    """The tokens with `eot` behind every text's."""
    n_texts = len(found.offsets) - 1
    tokens = np.insert(found.ids.astype(dtype), found.offsets[1:], eot)
    return Encoded(tokens, found.offsets + np.arange(n_texts + 1))


def _joined(batches: Sequence[Encoded], dtype: np.dtype[Any]) -> Encoded:
    tokens = np.concatenate([np.zeros(0, dtype=dtype), *(b.tokens for b in batches)])
    sizes = np.concatenate([np.zeros(1, dtype=np.int64), *(np.diff(b.offsets) for b in batches)])
    return Encoded(tokens, np.cumsum(sizes))


def _compared(
    encoder: Encoder, encoded: Encoded, view: TextView, *, pieces: Pieces, seed: int
) -> tuple[int, int]:
    """How many pieces both engines encoded (those with the lowest hash), and how many they encoded differently."""
    n_compared = max(_MIN_COMPARED, len(pieces.ids) // _ONE_IN)
    chosen = np.argsort(hashes("compare", seed, pieces.ids), kind="stable")[:n_compared].tolist()
    texts = [view.data[pieces.start[i] : pieces.end[i]].tobytes() for i in chosen]
    found = [encoded.tokens[encoded.offsets[i] : encoded.offsets[i + 1] - 1] for i in chosen]
    return len(chosen), count_differing(encoder, texts, found)


def _count(task: GatherTask, pieces: Pieces, view: TextView, holdout: Holdout) -> None:
    n_docs = len(view.offsets) - 1
    n_bytes = int(view.offsets[-1] - view.offsets[0])
    kept = int((pieces.end - pieces.start).sum())
    task.tally.add(Tally(n_docs, n_docs, n_bytes, kept))
    source = task.parts[task.unit].source
    task.facts.update(source=source, holdout=holdout.kind, gap_bytes=n_bytes - kept)


def _write(
    task: GatherTask, table: pa.Table, pieces: Pieces, encoded: Encoded, *, columns: Sequence[str], seed: int
) -> None:
    """Write the rows group by group and describe the groups in the facts."""
    values = [table.column(c).take(pa.array(pieces.row)).to_pylist() for c in columns]
    keys = [
        (HELDOUT if held else TRAIN, *(UNKNOWN if v is None else v for v in row))
        for held, *row in zip(pieces.heldout.tolist(), *values, strict=True)
    ]
    groups = sorted(set(keys))
    number = {key: i for i, key in enumerate(groups)}
    group: Int64s = np.array([number[k] for k in keys], dtype=np.int64)
    place = hashes("place", seed, pieces.ids)
    high, low = id_words(pieces.ids)
    order = np.lexsort((low, high, place, group))
    rows = _rows(table, pieces, place=place, columns=columns).take(pa.array(order))
    task.facts["groups"] = _described(
        groups,
        np.bincount(group[order].astype(np.int64), minlength=len(groups)),
        rows=rows,
        n_tokens=np.diff(encoded.offsets)[order],
        columns=columns,
    )
    schema = rows.schema.append(pa.field("tokens", pa.large_binary()))
    with task.output("tokens", ".arrow") as file:
        write_rows(file, schema, _with_tokens(rows, encoded, order, schema=schema))


def _rows(
    table: pa.Table, pieces: Pieces, *, place: npt.NDArray[np.uint64], columns: Sequence[str]
) -> pa.Table:
    at = pa.array(pieces.row)
    parents = table.column("doc_id").take(at).to_pylist()
    own = {
        "doc_id": pa.array(pieces.ids, pa.binary(16)),
        "parent": pa.array(
            [None if p == i else p for p, i in zip(parents, pieces.ids, strict=True)], pa.binary(16)
        ),
        "piece": pa.array(pieces.ordinal, pa.int32()),
        "n_bytes": pa.array(pieces.end - pieces.start, pa.int64()),
        "place": pa.array(place, pa.uint64()),
    }
    named = dict.fromkeys(["url", "licence", *columns])
    kept = {c: table.column(c).take(at).combine_chunks() for c in named}
    origin = table.column("origin").take(at).combine_chunks().cast(ORIGIN)
    return pa.table({**own, **kept, "origin": origin})


def _described(
    groups: Sequence[tuple[str, ...]],
    n_docs: Int64s,
    *,
    rows: pa.Table,
    n_tokens: Int64s,
    columns: Sequence[str],
) -> list[dict[str, Any]]:
    """Each group's columns, counts and licences; its rows follow those of the groups before it."""
    found, start = [], 0
    for (split, *values), n in zip(groups, n_docs.tolist(), strict=True):
        licences = Counter(v or UNKNOWN for v in rows.column("licence").slice(start, n).to_pylist())
        found.append(
            {
                "split": split,
                "columns": dict(zip(columns, values, strict=True)),
                "n_docs": n,
                "n_tokens": int(n_tokens[start : start + n].sum()),
                "licences": dict(sorted(licences.items())),
            }
        )
        start += n
    return found


def _with_tokens(
    rows: pa.Table, encoded: Encoded, order: Int64s, *, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """The rows with their tokens, in batches of a bounded number of tokens."""
    width = encoded.tokens.dtype.itemsize
    sizes = np.diff(encoded.offsets)[order] * width
    first = 0
    while first < len(order):
        total = np.cumsum(sizes[first : first + 65_536])
        last = first + max(int(np.searchsorted(total, _BATCH_BYTES, side="right")), 1)
        tokens = [encoded.tokens[encoded.offsets[i] : encoded.offsets[i + 1]] for i in order[first:last]]
        column = _binary(np.concatenate(tokens), sizes[first:last])
        batch = rows.slice(first, last - first).combine_chunks().to_batches()[0]
        yield pa.record_batch([*batch.columns, column], schema=schema)
        first = last


def _binary(tokens: npt.NDArray[Any], sizes: Int64s) -> pa.Array:
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(tokens))]
    return pa.Array.from_buffers(pa.large_binary(), len(sizes), buffers)
