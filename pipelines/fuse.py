"""The fused pass: batches of one unit through a source's steps, into a part, a file of dropped ones, a tally.

    reader ─> batch ─> step 1 ─> step 2 ─> ... ─> part       kept rows, their columns and every value measured
                         └── drop ──┴─────────> dropped      id, url, origin, step, reason, values, sampled text

Rules run in the recipe's order and stop at a document's first failing rule, except for one document in 100,
chosen by a hash of its id, which goes through every step so that any build can answer "what if" with an
estimate. `measure_all` takes all of them, and keeps what a step that rewrites text decided as `<step>.verdict`.
Nothing here knows which rules there are.

Price: what the steps cost, plus one copy of the rows that survive a step that dropped some.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from manifests.digest import hash64
from manifests.receipt import Tally
from pipelines import heartbeat
from pipelines.batch import DOCUMENT, PAYLOAD, Batch, text_view
from pipelines.spans import apply_spans
from pipelines.stage import Edit, Rewrite, Rule, Stage

__all__ = ["DROPPED_TEXT", "QUARANTINE_REASONS", "Fuse", "Step", "empty_batch", "is_probe"]

# Texts kept of dropped documents: so many per step, reason and unit, each cut here.
DROPPED_TEXT = 1000
DROPPED_TEXT_CHARS = 1 << 16
PROBE_ONE_IN = 100
_DROPPED_COLUMNS = ("doc_id", "source", "ref", "url", "date", "title", "licence", "origin")


@dataclass(frozen=True, slots=True)
class Step:
    """A stage under its name in the recipe."""

    name: str
    stage: Stage


@dataclass(slots=True)
class _Fate:
    """What was decided of each row still travelling: -1 alive, else the step that dropped it, and why."""

    step: npt.NDArray[np.int16]
    reason: npt.NDArray[np.uint8]
    probe: npt.NDArray[np.bool_]

    def select(self, keep: npt.NDArray[np.bool_]) -> _Fate:
        return _Fate(self.step[keep], self.reason[keep], self.probe[keep])


@dataclass(slots=True)
class Fuse:
    """One unit's pass. Feed it batches; it yields rows to write and keeps the tally.

    start: a batch of no documents with the columns that will come (`empty_batch`).
    """

    reader: Step
    steps: Sequence[Step]
    start: Batch
    measure_all: bool = False
    quarantine: Mapping[int, str] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    _texts_kept: dict[tuple[str, str], int] = field(default_factory=dict)
    _schema: tuple[pa.Schema, pa.Schema] | None = None

    def schemas(self) -> tuple[pa.Schema, pa.Schema]:
        """The columns of a part and of the dropped file: found by sending no documents through every step."""
        if self._schema is None:
            probe = Fuse(self.reader, self.steps, self.start, self.measure_all)
            batch = self.start
            for index, step in enumerate(self.steps):
                batch = probe._apply(index, step, batch, _alive(batch))
            part = _with_values(batch).schema
            values = [part.field(n) for n in part.names if "." in n]
            dropped = [DOCUMENT.field(n) for n in _DROPPED_COLUMNS]
            marks = [pa.field("dropped_step", pa.string()), pa.field("dropped_reason", pa.string())]
            written = [f for f in part if f.name not in DOCUMENT.names and "." not in f.name]
            text = pa.field("text", pa.large_string())
            self._schema = (part, pa.schema([*dropped, *marks, *written, *values, text]))
        return self._schema

    def run(self, batch: Batch) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Send a batch through; yields ("dropped", rows) and at the end ("part", rows)."""
        self.tally.n_read += len(batch)
        self.tally.bytes_read += _n_bytes(batch)
        batch, fate, gone = self._judge_read(batch)
        yield from self._dropped(*gone)
        for index, step in enumerate(self.steps):
            if not len(batch):
                return
            batch = self._apply(index, step, batch, fate)
            stays = self._stays(batch, fate)
            if not stays.all():
                yield from self._dropped(batch.select(~stays), fate.select(~stays))
                batch, fate = batch.select(stays), fate.select(stays)
        alive = fate.step < 0
        yield from self._dropped(batch.select(~alive), fate.select(~alive))
        kept = batch.select(alive)
        if len(kept):
            self._keep(kept)
            yield "part", _conform(_with_values(kept), self.schemas()[0])

    def _judge_read(self, batch: Batch) -> tuple[Batch, _Fate, tuple[Batch, _Fate]]:
        verdicts = batch.verdicts.copy()
        for ordinal, reason in self.quarantine.items():
            verdicts[batch.ordinals == ordinal] = 1 + self._reader_reasons.index(reason)
        fate = _alive(batch)
        fate.step[verdicts > 0], fate.reason[:] = READ, verdicts
        self._count(self.reader.name, self._reader_reasons, batch, verdicts)
        read = verdicts == 0
        fate.probe &= read
        return batch.select(read), fate.select(read), (batch.select(~read), fate.select(~read))

    @property
    def _reader_reasons(self) -> tuple[str, ...]:
        return (*self.reader.stage.reasons, *QUARANTINE_REASONS)

    def _stays(self, batch: Batch, fate: _Fate) -> npt.NDArray[np.bool_]:
        # A dropped document goes on only to be measured, and only while it has text or may still get one.
        probe = np.ones(len(batch), dtype=np.bool_) if self.measure_all else fate.probe
        gets_text = "payload" in batch.rows.schema.names
        has_text = gets_text | np.asarray(pc.is_valid(batch.column("text")))
        stays: npt.NDArray[np.bool_] = (fate.step < 0) | (probe & has_text)
        return stays

    def _apply(self, index: int, step: Step, batch: Batch, fate: _Fate) -> Batch:
        if isinstance(step.stage, Rewrite):
            text, verdicts, columns = step.stage.rewrite(batch)
            for column, array in (*columns.items(), ("text", text)):
                batch = batch.with_column(DOCUMENT.field(column), array)
            batch = batch.without(step.stage.drops_columns)
        elif isinstance(step.stage, Edit):
            batch, verdicts = apply_spans(step.name, step.stage, batch, self._routed(step, batch, fate))
        else:
            batch, verdicts = self._rule(step, batch, fate)
        if self.measure_all and not isinstance(step.stage, Rule):
            batch = batch.with_values(step.name, {"verdict": verdicts})
        heartbeat.idle()  # the next step is not the doing of this one's last record
        self._decide(index, step, batch, verdicts, fate)
        return batch

    def _rule(self, step: Step, batch: Batch, fate: _Fate) -> tuple[Batch, npt.NDArray[np.uint8]]:
        rule = step.stage
        assert isinstance(rule, Rule), f"{step.name} is no stage of a source"
        routed = self._routed(step, batch, fate)
        inner = batch.select(routed)
        measured = rule.measure(inner)
        seen = {**inner.values, **measured}
        verdicts = np.zeros(len(batch), dtype=np.uint8)
        verdicts[routed] = rule.decide(seen)
        self._observe(step, measured, fate.step[routed] < 0)
        spread = {name: _spread(array, routed) for name, array in measured.items()}
        for name in rule.writes:
            column = spread.pop(name)
            if name in batch.rows.schema.names:  # what a route let pass keeps what it had
                column = pc.if_else(pa.array(routed), column, batch.column(name))
            if (
                self.measure_all
            ):  # a later rule may write it too, and this one decides by what it wrote itself
                spread[name] = column
            batch = batch.with_column(pa.field(name, column.type), column)
        return batch.with_values(step.name, spread), verdicts

    def _routed(self, step: Step, batch: Batch, fate: _Fate) -> npt.NDArray[np.bool_]:
        """bool[n_docs]: what a rule or an edit applies to; the others that are alive are counted."""
        assert isinstance(step.stage, Rule | Edit)
        if not step.stage.route:
            return np.ones(len(batch), dtype=np.bool_)
        wanted = np.asarray(pc.is_in(batch.column("language"), value_set=pa.array(step.stage.route)))
        alive_outside = int((~wanted & (fate.step < 0)).sum())
        if alive_outside:
            self.tally.routed[step.name] = self.tally.routed.get(step.name, 0) + alive_outside
        return wanted

    def _observe(self, step: Step, measured: Mapping[str, Any], alive: npt.NDArray[np.bool_]) -> None:
        for name, array in measured.items():
            if isinstance(array, pa.Array) and pa.types.is_string(array.type):
                if name not in getattr(step.stage, "labels", ()):
                    continue  # names and titles are as many as there are documents
                counts = pc.value_counts(array.filter(pa.array(alive)))
                names = [str(v) for v in counts.field(0).to_pylist()]
                self.tally.label(name, names, counts.field(1).to_pylist())
                continue
            numbers = np.asarray(array)[alive]
            if numbers.dtype.kind == "f":
                # Scores are histogrammed per mille: receipts hold integers.
                numbers = np.rint(np.clip(np.nan_to_num(numbers), 0, None) * 1000).astype(np.int64)
            self.tally.observe(f"{step.name}.{name}", numbers)

    def _decide(
        self, index: int, step: Step, batch: Batch, verdicts: npt.NDArray[np.uint8], fate: _Fate
    ) -> None:
        alive = fate.step < 0
        if getattr(step.stage, "action", "drop") == "mark":
            counts = np.bincount(verdicts[alive], minlength=1 + len(step.stage.reasons))
            for reason, n in zip(step.stage.reasons, counts[1:].tolist(), strict=True):
                self.tally.mark(step.name, reason, n)
            return
        now = alive & (verdicts > 0)
        self._count(step.name, step.stage.reasons, batch, np.where(now, verdicts, 0))
        fate.step[now], fate.reason[now] = index, verdicts[now]

    def _count(
        self, step: str, reasons: Sequence[str], batch: Batch, verdicts: npt.NDArray[np.integer[Any]]
    ) -> None:
        sizes = _sizes(batch)
        counts = np.bincount(verdicts, minlength=1 + len(reasons))
        n_bytes = np.bincount(verdicts, weights=sizes, minlength=1 + len(reasons))
        for k, reason in enumerate(reasons, 1):
            self.tally.drop(step, reason, int(counts[k]), n_bytes=int(n_bytes[k]))

    def _keep(self, batch: Batch) -> None:
        self.tally.n_kept += len(batch)
        sizes = _sizes(batch)
        self.tally.bytes_kept += int(sizes.sum())
        self.tally.observe("n_bytes", sizes)
        hosts = pc.extract_regex(
            batch.column("url").drop_null(), r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@]*@)?(?P<h>[^/:?#]+)"
        )
        if len(hosts):
            counts = pc.value_counts(pc.utf8_lower(hosts.drop_null().field("h")))
            for host, n in zip(counts.field(0).to_pylist(), counts.field(1).to_pylist(), strict=True):
                self.tally.domains[host] = self.tally.domains.get(host, 0) + n

    def _dropped(self, batch: Batch, fate: _Fate) -> Iterator[tuple[str, pa.RecordBatch]]:
        if not len(batch):
            return
        steps, reasons = self._names(fate)
        rows = _with_values(batch)
        text = self._sampled_text(batch, steps, reasons)
        for name, array in (("dropped_step", steps), ("dropped_reason", reasons)):
            rows = rows.append_column(name, pa.array(array, pa.string()))
        rows = rows.set_column(rows.schema.get_field_index("text"), "text", text)
        yield "dropped", _conform(rows, self.schemas()[1])

    def _names(self, fate: _Fate) -> tuple[list[str], list[str]]:
        steps, reasons = [], []
        for index, code in zip(fate.step.tolist(), fate.reason.tolist(), strict=True):
            step = self.reader if index == READ else self.steps[index]
            steps.append(step.name)
            reasons.append((self._reader_reasons if index == READ else step.stage.reasons)[code - 1])
        return steps, reasons

    def _sampled_text(self, batch: Batch, steps: list[str], reasons: list[str]) -> pa.Array:
        keep = np.zeros(len(batch), dtype=np.bool_)
        for i, pair in enumerate(zip(steps, reasons, strict=True)):
            seen = self._texts_kept.get(pair, 0)
            self._texts_kept[pair] = seen + 1
            keep[i] = seen < DROPPED_TEXT
        short = pc.utf8_slice_codeunits(batch.column("text"), 0, DROPPED_TEXT_CHARS)
        return pc.if_else(pa.array(keep), short, pa.scalar(None, pa.large_string()))


READ = -2
QUARANTINE_REASONS = ("quarantined_hang", "quarantined_crash", "quarantined_memory")


def _alive(batch: Batch) -> _Fate:
    n = len(batch)
    return _Fate(np.full(n, -1, dtype=np.int16), np.zeros(n, dtype=np.uint8), is_probe(batch.doc_ids()))


def is_probe(doc_ids: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """bool[n_docs]: the one document in 100 that goes through every step. doc_ids: uint8[n_docs, 16]."""
    if not len(doc_ids):
        return np.zeros(0, dtype=np.bool_)
    # An id is a hash already; keyed mixing keeps the choice apart from every other use of it.
    salt = np.uint64(hash64("quern.probe"))
    low = np.ascontiguousarray(doc_ids[:, :8]).view("<u8").ravel()
    mixed = (low ^ salt) * np.uint64(0x9E3779B97F4A7C15)
    return np.asarray((mixed >> np.uint64(32)) % np.uint64(PROBE_ONE_IN) == 0)


def empty_batch(columns: pa.Schema | None = None) -> Batch:
    """A batch of no documents: what schemas are found with.

    columns: of a saved part, where the pass begins with one; else what a reader gives.
    """
    schema = columns if columns is not None else pa.schema([*DOCUMENT, *PAYLOAD])
    fields = [f for f in schema if "." not in f.name]
    rows = pa.RecordBatch.from_arrays([pa.array([], f.type) for f in fields], schema=pa.schema(fields))
    values = {f.name: pa.array([], f.type) for f in schema if "." in f.name}
    return Batch(rows, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint8), values)


def _spread(array: Any, routed: npt.NDArray[np.bool_]) -> pa.Array:
    # The values of routed rows back in their places; null where a route let a document pass.
    values = array if isinstance(array, pa.Array) else pa.array(array)
    if routed.all():
        return values
    places = np.where(routed, np.cumsum(routed) - 1, 0)
    return values.take(pa.array(places, mask=~routed))


def _with_values(batch: Batch) -> pa.RecordBatch:
    rows = batch.without(("payload", "content_type")).rows
    for name in sorted(batch.values):
        value = batch.values[name]
        rows = rows.append_column(name, value if isinstance(value, pa.Array) else pa.array(value))
    return rows


def _conform(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    names = set(rows.schema.names)
    columns = [
        _as_type(rows.column(f.name), f.type) if f.name in names else pa.nulls(len(rows), f.type)
        for f in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _as_type(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    # A cast that changes nothing still costs 10 us, and a batch has hundreds.
    return column if column.type == wanted else column.cast(wanted)


def _sizes(batch: Batch) -> npt.NDArray[np.int64]:
    # Bytes of each document's text, or of its payload before there is text.
    sizes = np.diff(text_view(batch.column("text")).offsets)
    if "payload" in batch.rows.schema.names:
        sizes = sizes + np.diff(text_view(batch.column("payload")).offsets)
    return np.asarray(sizes, dtype=np.int64)


def _n_bytes(batch: Batch) -> int:
    return int(_sizes(batch).sum())
