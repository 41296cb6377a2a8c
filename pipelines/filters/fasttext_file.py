"""A fastText model file, .bin or .ftz, as arrays.

    magic, version | arguments | words and labels with counts | rows that were kept | input matrix | output matrix

Little-endian, as fastText writes it on every machine in use. A quantized matrix holds a byte for every two
dimensions, an index into 256 centroids, and a byte for each row's length; it is multiplied out here, as fastText does
each time it reads a row. Price: 15 ms for lid.176.ftz.

Source: fastText 0.9.2, src/{args,dictionary,matrix,quantmatrix,productquantizer}.cc
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from manifests.errors import FormatError
from pipelines.kernels.fasttext import Tables, hash_table, label_tree

__all__ = ["Model", "read_model", "refuse_other"]

F32s = npt.NDArray[np.float32]

_HEAD = struct.Struct("<ii")
_MAGIC, _VERSION = 793712314, 12
_N_ARGS = 12
_HIERARCHICAL, _SOFTMAX = 1, 3
_N_CENTROIDS = 256
_COUNT = struct.Struct("<qb")  # of an entry of the dictionary, and its kind


@dataclass(frozen=True, slots=True)
class Model:
    """A model that kernels can run: its tables and the names of its labels, without `__label__`."""

    tables: Tables
    labels: tuple[str, ...]


@dataclass(slots=True)
class _Cursor:
    data: memoryview
    at: int = 0

    def read(self, form: str) -> tuple[Any, ...]:
        """The next values, little-endian."""
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def array(self, dtype: str, n: int) -> npt.NDArray[Any]:
        """The next `n` numbers."""
        found = np.frombuffer(self.data, dtype, n, self.at)
        self.at += found.nbytes
        return found


def read_model(path: Path) -> Model | None:
    """The model of a file; None for a kind that the kernel does not run (word n-grams, other losses).

    Raises: FormatError for a file that is no fastText model of version 12.
    """
    cursor = _Cursor(memoryview(path.read_bytes()))
    try:
        return _model(cursor, path)
    except (struct.error, ValueError) as error:
        raise FormatError(
            f"{path}: expected a fastText model, found one cut short or garbled. Fetch it again."
        ) from error


def refuse_other(data: bytes, path: Path) -> None:
    """Raises: FormatError for bytes that do not begin like a fastText model of version 12."""
    if data[: _HEAD.size] != _HEAD.pack(_MAGIC, _VERSION):
        raise FormatError(f"{path}: expected a fastText model of version {_VERSION}, found another file.")


def _model(cursor: _Cursor, path: Path) -> Model | None:
    refuse_other(cursor.data[: _HEAD.size].tobytes(), path)
    cursor.at = _HEAD.size
    dim, _, _, _, _, word_ngrams, loss, _, bucket, min_n, max_n, _ = cursor.read(f"{_N_ARGS}i")
    cursor.read("d")
    if word_ngrams > 1 or loss not in (_HIERARCHICAL, _SOFTMAX):
        return None
    words, labels, counts, n_pruned = _dictionary(cursor)
    pairs = cursor.array("<i4", 2 * max(0, n_pruned)).reshape(-1, 2)
    (quantized,) = cursor.read("?")
    rows = _quantized(cursor) if quantized else _dense(cursor)
    (quantized_output,) = cursor.read("?")
    output = _quantized(cursor) if quantized and quantized_output else _dense(cursor)
    none = np.zeros(0, np.int32)
    left, right = label_tree(counts) if loss == _HIERARCHICAL else (none, none)
    ends = np.cumsum([0, *map(len, words)], dtype=np.int64)
    joined = np.frombuffer(b"".join(words), np.uint8)
    rows, kept, ranks = _ranked(rows, pairs, n_words=len(words), n_buckets=bucket, pruned=n_pruned >= 0)
    sizes = (bucket, min_n, max_n)
    tables = Tables(rows, joined, ends, hash_table(words), kept, ranks, output, left, right, *sizes)
    return Model(tables, tuple(label.decode().removeprefix("__label__") for label in labels)) if dim else None


def _dictionary(cursor: _Cursor) -> tuple[list[bytes], list[bytes], list[int], int]:
    n_entries, n_words, _ = cursor.read("3i")
    _, n_pruned = cursor.read("qq")
    names, counts = [], []
    raw, at = cursor.data.tobytes(), cursor.at
    for _ in range(n_entries):
        stop = raw.index(b"\0", at)
        names.append(raw[at:stop])
        counts.append(_COUNT.unpack_from(raw, stop + 1)[0])
        at = stop + 1 + _COUNT.size
    cursor.at = at
    return names[:n_words], names[n_words:], counts[n_words:], n_pruned


def _ranked(
    rows: F32s, pairs: npt.NDArray[np.int32], *, n_words: int, n_buckets: int, pruned: bool
) -> tuple[F32s, npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    """The rows with those of n-grams in the order of their hashes, a bit for each hash, and ranks (see `Tables`).

    pairs: int32[n_kept, 2], hash and row of the n-grams that a pruned model kept.
    """
    has = np.zeros(-(-max(1, n_buckets) // 64) * 64, np.bool_)
    if pruned:
        pairs = pairs[np.argsort(pairs[:, 0])]
        has[pairs[:, 0]] = True
        rows = rows.take(np.concatenate([np.arange(n_words), n_words + pairs[:, 1]]), axis=0)
    else:
        has[:n_buckets] = True
    kept = np.packbits(has, bitorder="little").view("<u8")
    counts = np.bitwise_count(kept).astype(np.int64)
    ranks = n_words + np.concatenate([[0], np.cumsum(counts)[:-1]])
    return rows, kept, ranks.astype(np.int32)


def _dense(cursor: _Cursor) -> npt.NDArray[np.float32]:
    n_rows, n_columns = cursor.read("qq")
    return cursor.array("<f4", n_rows * n_columns).reshape(n_rows, n_columns)


def _quantized(cursor: _Cursor) -> npt.NDArray[np.float32]:
    has_norms, n_rows, n_columns, n_codes = cursor.read("?qqi")
    codes = cursor.array("u1", n_codes).reshape(n_rows, -1)
    rows = _centroids(cursor)(codes)[:, :n_columns]
    if has_norms:
        norm_codes = cursor.array("u1", n_rows).reshape(n_rows, 1)
        rows = _centroids(cursor)(norm_codes) * rows
    return np.ascontiguousarray(rows, np.float32)


def _centroids(cursor: _Cursor) -> Any:
    """A function from codes uint8[n_rows, n_parts] to rows float32[n_rows, dim], zeros behind them."""
    dim, n_parts, width, last_width = cursor.read("4i")
    flat = cursor.array("<f4", dim * _N_CENTROIDS)
    n_even = (n_parts - 1) * _N_CENTROIDS * width
    even = flat[:n_even].reshape(n_parts - 1, _N_CENTROIDS, width)
    tables = np.zeros((n_parts, _N_CENTROIDS, width), np.float32)
    tables[:-1] = even
    tables[-1, :, :last_width] = flat[n_even:].reshape(_N_CENTROIDS, last_width)
    firsts = np.arange(n_parts) * _N_CENTROIDS
    return lambda codes: tables.reshape(-1, width).take(codes + firsts, axis=0).reshape(len(codes), -1)
