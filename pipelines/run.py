"""run_task(spec, index) -> Receipt: one unit of work, from verified inputs to committed outputs and a receipt.

A step's specification is a JSON file the driver wrote (`plan.py`, `executor.py`); a task is that file and an
index. Whoever runs it (a watched child, a Slurm job, a test) needs nothing else, and what it writes is a function
of the specification alone.

    segment   splits of files, or a saved part ─> fused pass ─> parts/, dropped/
    phase     parts, verdicts, outputs of earlier phases ─> verdicts/, shards/, ... or scratch
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import lru_cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa

from manifests.commit import FileRef, commit_file
from manifests.errors import InputError
from manifests.receipt import Receipt
from pipelines import heartbeat
from pipelines.batch import BATCH_BYTES, DOCUMENT, Batch
from pipelines.fuse import Fuse, Step, empty_batch
from pipelines.gather import PhaseTask
from pipelines.parquet import open_part, writer
from pipelines.places import root_of
from pipelines.stage import Phased, Read, SourceFile, Split, Stage
from pipelines.steps import stage_of

__all__ = ["Quarantine", "Saved", "load_spec", "make_stage", "run_task"]

Quarantine = Mapping[tuple[int, int], str]
ROW_GROUP_BYTES = 16 << 20


class Saved(Read):
    """Reads a part that stands where the recipe says `save`: its rows are documents already."""

    name: ClassVar[str] = "save"
    version: ClassVar[int] = 1


def make_stage(spec: dict[str, Any], folder: Path) -> Stage:
    """The stage a specification names, made again from its parameters."""
    if spec["kind"] == "tokens":
        # Here, because tokenizers take 0.1 s to import and only this step has one.
        from pipelines.tokens import Tokens

        return Tokens(**spec["params"])
    return stage_of(spec, folder) or Saved()


@lru_cache(maxsize=4)
def load_spec(path: Path) -> dict[str, Any]:
    """A step's specification, parsed once per process."""
    spec: dict[str, Any] = json.loads(path.read_bytes())
    return spec


def run_task(spec_path: Path, index: int, quarantine: Quarantine | None = None) -> Receipt:
    """Run task `index` of a step and commit its outputs and receipt.

    Raises: InputError for an input that is not the planned one; DamageError for damaged ones; whatever a stage's bug
    raises, with the task added as a note.
    """
    spec = load_spec(spec_path)
    try:
        run = _run_segment if spec["kind"] == "segment" else _run_phase
        receipt = run(spec, index, quarantine or {})
    except Exception as error:
        error.add_note(f"in step {spec['name']}, unit {index} ({spec['units'][index]['label']})")
        raise
    receipt.write(Path(spec["root"]))
    return receipt


def _run_phase(spec: dict[str, Any], index: int, _: Quarantine) -> Receipt:
    task = PhaseTask(spec, index)
    stage = make_stage(spec["stage"], task.folder)
    assert isinstance(stage, Phased)
    phase = next(p for p in stage.phases() if p.name == spec["phase"])
    with task:
        phase.run(task)
    return task.receipt()


def _run_segment(spec: dict[str, Any], index: int, quarantine: Quarantine) -> Receipt:
    root, unit = Path(spec["root"]), spec["units"][index]
    steps = [Step(s["step"], make_stage(s, Path(spec["folder"]))) for s in spec["steps"]]
    fuse = Fuse(steps[0], steps[1:], _start(root, unit), measure_all=spec["measure_all"])
    n_rows = {"part": 0, "dropped": 0}
    with ExitStack() as stack:
        sinks = {
            role: stack.enter_context(_Sink(root, f"{folder}/{unit['key']}.parquet", schema))
            for (role, folder), schema in zip(
                (("part", "parts"), ("dropped", "dropped")), fuse.schemas(), strict=True
            )
        }
        for batch in _batches(spec, unit, fuse, quarantine):
            for role, rows in fuse.run(batch):
                sinks[role].write(rows)
                n_rows[role] += len(rows)
            del batch  # the reader may then use its memory again
            heartbeat.idle()
    outputs = {role: sink.ref for role, sink in sinks.items()}
    facts: dict[str, Any] = {"n_bytes": fuse.tally.bytes_kept, "n_docs": n_rows["part"]}
    if "part" in unit:
        facts["given"] = unit["part"]["digest"]
    if quarantine:
        facts["quarantined"] = [[*place, reason] for place, reason in sorted(quarantine.items())]
    return Receipt(
        key=unit["key"],
        step=spec["name"],
        step_key=spec["step_key"],
        unit=unit["label"],
        ordinal=unit["ordinal"],
        tally=fuse.tally,
        outputs=outputs,
        facts=facts,
    )


def _start(root: Path, unit: dict[str, Any]) -> Batch:
    if "part" not in unit:
        return empty_batch()
    with open_part(root, FileRef.from_json(unit["part"])) as file:
        return empty_batch(file.schema_arrow.remove_metadata())


def _batches(
    spec: dict[str, Any], unit: dict[str, Any], fuse: Fuse, quarantine: Quarantine
) -> Iterator[Batch]:
    if "part" in unit:
        heartbeat.split(0)
        fuse.quarantine = {ordinal: why for (_, ordinal), why in quarantine.items()}
        yield from _saved_batches(Path(spec["root"]), FileRef.from_json(unit["part"]))
        return
    reader = fuse.reader.stage
    assert isinstance(reader, Read)
    for number, split in enumerate(unit["splits"]):
        heartbeat.split(number)
        fuse.quarantine = {ordinal: why for (s, ordinal), why in quarantine.items() if s == number}
        file = SourceFile(
            source=spec["source"],
            root=root_of(split["root"]),
            path=split["path"],
            size=split["size"],
            digest=split["digest"],
            licence=spec["licence"],
        )
        _check_unchanged(file, split["changed_ns"])
        piece = Split(file, split["start"], split["end"])
        batches = reader.batches(piece, skip=frozenset(fuse.quarantine))
        # A loop's variable would hold on to each batch while the next one is read.
        yield from map(partial(_with_licence, licence=spec["licence"]), batches)
        _check_unchanged(file, split["changed_ns"])
    fuse.quarantine = {}


def _check_unchanged(file: SourceFile, changed_ns: int | None) -> None:
    # Asked before a split is read and after it: in between, its bytes were the ones of the digest in the unit's key.
    if changed_ns is None:
        return
    stat = file.full.stat()
    if (stat.st_size, stat.st_mtime_ns) != (file.size, changed_ns):
        raise InputError(
            f"{file.full}: changed while it was read: expected the {file.size} bytes that were digested, found "
            f"{stat.st_size} bytes written since. Its documents would stand under the digest of others, so none of "
            "the unit's was kept. Let its writer end and run the same command: it is digested anew."
        )


def _with_licence(batch: Batch, licence: str | None) -> Batch:
    column = batch.column("licence")
    filled = column.fill_null(licence or "unknown")
    return batch.with_column(DOCUMENT.field("licence"), filled)


def _saved_batches(root: Path, ref: FileRef) -> Iterator[Batch]:
    # Rows of a saved part; what earlier steps measured travels on as values.
    first = 0
    with open_part(root, ref) as file:
        for rows in file.iter_batches(batch_size=1 << 14, use_threads=False):
            for piece in _by_bytes(rows):
                values = {n: piece.column(n) for n in piece.schema.names if "." in n}
                columns = piece.select([n for n in piece.schema.names if "." not in n])
                n = len(piece)
                yield Batch(columns, np.arange(first, first + n), np.zeros(n, dtype=np.uint8), values)
                first += n


def _by_bytes(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    pieces = max(1, -(-rows.nbytes // BATCH_BYTES))
    size = max(1, -(-len(rows) // pieces))
    for start in range(0, len(rows), size):
        yield rows.slice(start, size)


class _Sink:
    """A Parquet file being committed, row group by row group."""

    def __init__(self, root: Path, path: str, schema: pa.Schema) -> None:
        self._commit = commit_file(root, path)
        self._schema = schema
        self._rows: list[pa.RecordBatch] = []
        self._n_bytes = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._committing = self._stack.enter_context(self._commit)
        self._writer = self._stack.enter_context(writer(self._committing.file, self._schema))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if kind is None:
            self._flush()
        return self._stack.__exit__(kind, error, trace)

    @property
    def ref(self) -> FileRef:
        return self._committing.ref

    def write(self, rows: pa.RecordBatch) -> None:
        self._rows.append(rows)
        self._n_bytes += rows.nbytes
        if self._n_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_batches(self._rows, self._schema))
        self._rows, self._n_bytes = [], 0
