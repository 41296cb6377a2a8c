"""Which documents a step of a run read, and which steps read a document: two directions of one function.

    step s ──> rows [R(s), R(s + 1)) ──Order.rows──> source, window of T + 1 tokens ──> shard, token range
           ──documents table──> document, its origin (path, offset, length), which of its tokens
    document ──documents tables──> tokens of a source ──Order.rows_reading──> rows ──> steps

Steps count from 1, as metrics.jsonl counts them: step 1 is the first. A row reads one token more than it
learns to continue, its last target, and that token's document counts as read.

Price: the documents tables of the shards met; no token is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus_tools.open import read_rows
from corpus_tools.screen import table
from manifests.commit import FileRef
from manifests.digest import read_sealed
from manifests.errors import DigestError, MissingFileError, UsageError
from manifests.mix import MixManifest, MixShard, MixSource, require_run
from manifests.order import Order

__all__ = ["Trace", "open_trace", "trace_document", "trace_steps", "trace_text"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Trace:
    """A run's order and where its documents tables stand.

    folders: corpus digest -> store folder; rows_per_step: rows of every step; n_steps: the last step;
    first_step, first_row: steps done and rows used before this run began (a fork's; else 0).
    """

    mix: MixManifest
    folders: Mapping[str, Path]
    rows_per_step: int
    n_steps: int
    first_step: int = 0
    first_row: int = 0

    @cached_property
    def order(self) -> Order:
        """The order of the mix."""
        return self.mix.order()

    def read(self, first: int, last: int) -> Iterator[dict[str, Any]]:
        """What steps `first` to `last` (both read) were made of, a dict for every document in every row."""
        start, stop = self._row(first), self._row(last + 1)
        rows = self.order.rows(start, stop)
        columns = (rows.source.tolist(), rows.epoch.tolist(), rows.start.tolist())
        for row, (k, epoch, at) in enumerate(zip(*columns, strict=True), start):
            place = {"step": self._step(row), "row": row, "source": self.mix.sources[k].name, "epoch": epoch}
            for found in self._documents(k, at, at + self.mix.seq_len + 1):
                yield {**place, **found}

    def _row(self, step: int) -> int:
        return self.first_row + (step - 1 - self.first_step) * self.rows_per_step

    def _step(self, row: int) -> int:
        return self.first_step + 1 + (row - self.first_row) // self.rows_per_step

    def _documents(self, source: int, start: int, stop: int) -> Iterator[dict[str, Any]]:
        shards = self.mix.sources[source].train
        bounds = _bounds(self.mix.sources[source])
        for k in range(int(np.searchsorted(bounds, start, side="right")) - 1, len(shards)):
            low, high = (
                max(start, int(bounds[k])) - int(bounds[k]),
                min(stop, int(bounds[k + 1])) - int(bounds[k]),
            )
            if low >= high:
                return
            yield from _overlaps(self.documents(shards[k]), low, high, shards[k].shard.path)

    def documents(self, shard: MixShard) -> pa.Table:
        """A shard's documents table.

        Raises: MissingFileError, DigestError.
        """
        if shard.corpus not in self.folders:
            raise MissingFileError(
                f"corpus {shard.corpus}: the run read it and does not know where it is now, so its documents cannot be "
                "named. `quern train` notes the folders of the mix file's corpora in the run's locations.json."
            )
        return _documents_table(self.folders[shard.corpus], shard.documents)

    def steps_reading(self, document: str) -> Iterator[dict[str, Any]]:
        """The rows of this run that read a document: an id, 8 digits of it, or a URL."""
        for k, first, doc in self.places(document):
            for row in self.order.rows_reading(k, first + doc["start"], first + doc["end"]).tolist():
                if self.first_step < (step := self._step(row)) <= self.n_steps:
                    name = self.mix.sources[k].name
                    yield {"step": step, "row": row, "source": name, "doc_id": doc["doc_id"].hex()}

    def places(self, document: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
        """Where a document lies: (source, the source's token at which its shard begins, its row of the table)."""
        for k, source in enumerate(self.mix.sources):
            for shard, first in zip(source.train, _bounds(source)[:-1].tolist(), strict=True):
                for row in _named(self.documents(shard), document):
                    yield k, first, row


def _bounds(source: MixSource) -> Ints:
    # The source's position of each shard's first token, and one past the last.
    return np.cumsum([0, *(s.n_tokens for s in source.train)], dtype=np.int64)


@lru_cache(maxsize=256)
def _documents_table(root: Path, ref: FileRef) -> pa.Table:
    path = ref.check(root)
    return read_rows(path).combine_chunks()


def _overlaps(documents: pa.Table, low: int, high: int, shard: str) -> Iterator[dict[str, Any]]:
    """The documents that hold tokens [low, high) of a shard; `start` and `end` count inside the document."""
    starts, ends = (documents.column(n).to_numpy().astype(np.int64) for n in ("start", "end"))
    first = int(np.searchsorted(ends, low, side="right"))
    last = int(np.searchsorted(starts, high, side="left"))
    for row in documents.slice(first, last - first).to_pylist():
        begin = row["start"]
        yield {
            "doc_id": row["doc_id"].hex(),
            "start": max(low, begin) - begin,
            "end": min(high, row["end"]) - begin,
            "shard": shard,
            "shard_start": max(low, begin),
            "origin": row.get("origin"),
        }


def _named(documents: pa.Table, document: str) -> list[dict[str, Any]]:
    if not re.fullmatch(r"[0-9a-fA-F]{8,32}", document):
        named: list[dict[str, Any]] = documents.filter(
            pc.equal(documents.column("url"), document)
        ).to_pylist()
        return named
    ids = documents.column("doc_id").cast(pa.binary())
    low, high = (pa.scalar(bytes.fromhex(document.ljust(32, c)), pa.binary()) for c in "0f")
    mask = pc.and_(pc.greater_equal(ids, low), pc.less_equal(ids, high))
    found: list[dict[str, Any]] = documents.filter(mask).to_pylist()
    return found


# --- runs ------------------------------------------------------------------------------------------


def open_trace(run: Path) -> Trace:
    """The trace of a run's folder.

    Raises: MissingFileError, FormatError, DigestError.
    """
    require_run(run)
    mix = MixManifest.read(run / "mix.json")
    config = read_sealed(run / "config.json")
    if mix.digest != config["mix"]:
        raise DigestError.of(run / "mix.json", config["mix"], mix.digest)
    return Trace(
        mix=mix,
        folders=_folders(run),
        rows_per_step=config["rows_per_step"],
        n_steps=config["n_steps"],
        first_step=config["origin"]["step"],
        first_row=config["origin"]["row"],
    )


def _folders(run: Path) -> dict[str, Path]:
    found = json.loads((run / "locations.json").read_text(encoding="utf-8"))
    return {digest: (run / folder).resolve() for digest, folder in found.items()}


def trace_steps(run: Path, steps: str) -> list[dict[str, Any]]:
    """What steps `N` or `N:M` (M not read) were made of.

    Raises: UsageError for steps the run does not have.
    """
    trace = open_trace(run)
    first, last = _parse_steps(steps, trace)
    return list(trace.read(first, last))


def _parse_steps(text: str, trace: Trace) -> tuple[int, int]:
    head, colon, tail = text.partition(":")
    if not head.isdecimal() or (colon and not tail.isdecimal()):
        raise UsageError(
            f"--step {text}: expected a step or a range such as 200 or 200:210. Steps count from 1."
        )
    first, last = int(head), int(tail) - 1 if colon else int(head)
    if colon and first > last:
        raise UsageError(
            f"--step {text}: expected a range that begins before its end, such as {first}:{first + 10}. Its end is the "
            "first step that is not shown."
        )
    if not trace.first_step < first <= last <= trace.n_steps:
        known = f"{trace.first_step + 1} to {trace.n_steps}"
        raise UsageError(f"--step {text}: expected steps from {known}, the run has no others.")
    return first, last


def trace_document(run: Path, document: str) -> list[dict[str, Any]]:
    """The rows of a run that read a document, in their order.

    Raises: UsageError when no shard of the mix holds it.
    """
    trace = open_trace(run)
    found = sorted(trace.steps_reading(document), key=lambda r: (r["row"], r["doc_id"]))
    if not found and not any(True for _ in trace.places(document)):
        raise UsageError(
            f"{document}: expected the id or URL of a document of this run's training split, found no such. "
            "`quern explain DIR DOC` finds ids by URL, ref or path, and says whether a document was kept."
        )
    return found


def trace_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table, the first origin of each document beside it."""
    if not rows:
        return "No step has read it.\n"
    return table([_flat(row) for row in rows])


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in row.items() if name not in ("origin", "shard", "shard_start")}
    for origin in (row.get("origin") or [])[:1]:
        flat |= {"path": origin["path"], "offset": origin["offset"], "length": origin["length"]}
    return flat
