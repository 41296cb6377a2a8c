"""A small, faithful engine for gathers: parts, phases, tasks and commits in a folder, one process.

    corpus = Corpus(tmp_path, {"web": [["a text", None], ["more"]], "books": [["a text"]]})
    result = corpus.run(Exact(), shuffle=3)       # tasks of each phase in an order drawn with seed 3
    result.verdicts()                             # [[0, 0], [0], [1]]

Every file appears through manifests.commit and is read back by its reference, checked with its digest.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from manifests.commit import FileRef, commit_file
from manifests.digest import canonical, doc_id
from manifests.receipt import Tally
from pipelines.batch import DOCUMENT
from pipelines.stage import Gather, Part, Phase


@dataclass
class Task:
    """One task as a phase sees it; a GatherTask."""

    parts: Sequence[Part]
    folder: Path
    n_units: int
    unit: int
    root: Path
    phase: str
    alive_rows: Sequence[npt.NDArray[np.bool_]]
    earlier: Mapping[str, list[Task]]
    tally: Tally = field(default_factory=Tally)
    facts: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, FileRef] = field(default_factory=dict)
    scratched: list[Path] = field(default_factory=list)
    step: str = "gather"
    sides: Mapping[str, str] = field(default_factory=dict)

    def read_part(self, index: int, columns: Sequence[str]) -> pa.Table:
        path = self.parts[index].ref.check(self.root, deep=True)
        names = set(pq.read_schema(path).names)
        return pq.read_table(path, columns=[name for name in columns if name in names])

    def alive(self, index: int) -> npt.NDArray[np.bool_]:
        return self.alive_rows[index].copy()

    def inputs(self, phase: str, role: str) -> list[Path]:
        return [task.outputs[role].check(self.root, deep=True) for task in self.earlier[phase]]

    def facts_of(self, phase: str) -> list[dict[str, Any]]:
        return [task.facts for task in self.earlier[phase]]

    def evidence(self, index: int, column: str) -> pa.Array | None:
        return None

    @contextmanager
    def output(self, role: str, suffix: str) -> Iterator[Any]:
        assert role not in self.outputs, f"{role} written twice"
        with commit_file(self.root, f"{self.phase}/{self.unit:05d}.{role}{suffix}") as commit:
            yield commit.file
        self.outputs[role] = commit.ref

    def output_path(self, role: str, suffix: str) -> tuple[Path, str]:
        return self.root, f"{self.phase}/{self.unit:05d}.{role}{suffix}"

    def wrote(self, role: str, ref: FileRef) -> None:
        self.outputs[role] = ref

    def scratch(self) -> Path:
        path = self.root / "scratch" / f"{self.phase}-{self.unit}"
        path.mkdir(parents=True, exist_ok=True)
        self.scratched.append(path)
        return path

    def beat(self, ordinal: int) -> None:
        assert ordinal >= 0


@dataclass
class Result:
    """What a gather left."""

    root: Path
    tasks: dict[str, list[Task]]

    def tables(self) -> list[pa.Table]:
        """The verdict table of every part."""
        refs = [task.outputs["verdict"] for task in self.tasks["verdict"]]
        return [pq.read_table(ref.check(self.root, deep=True)) for ref in refs]

    def verdicts(self) -> list[list[int]]:
        """The verdicts of every part."""
        return [table.column("verdict").to_pylist() for table in self.tables()]

    def column(self, name: str) -> list[Any]:
        """One column of all parts."""
        return [value for table in self.tables() for value in table.column(name).to_pylist()]

    def digests(self) -> list[tuple[str, int, str, str]]:
        """Every output and every fact, by phase and unit."""
        tasks = [task for phase in self.tasks.values() for task in phase]
        files = [(t.phase, t.unit, role, ref.digest) for t in tasks for role, ref in t.outputs.items()]
        return files + [(t.phase, t.unit, "facts", canonical(t.facts).decode()) for t in tasks]

    def tally(self) -> Tally:
        """The account of the verdict phase, which must balance in every task."""
        total = Tally()
        for task in self.tasks["verdict"]:
            task.tally.check(task.phase)
            total.add(task.tally)
        return total


@dataclass
class Corpus:
    """Sources as lists of parts, each a list of texts; `ids[part][row]` names a document."""

    root: Path
    sources: Mapping[str, Sequence[Sequence[str | None]]]
    alive_rows: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    ids: list[list[bytes]] = field(default_factory=list)
    row_group: int = 3
    more: Mapping[str, pa.Array] = field(default_factory=dict)
    """Further columns, of all parts together."""
    _seen: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for source, parts in self.sources.items():
            for texts in parts:
                self._add(source, texts)

    def _add(self, source: str, texts: Sequence[str | None]) -> None:
        number = len(self.parts)
        ids = [self._id(source, text or "") for text in texts]
        columns: dict[str, Any] = {name: [None] * len(texts) for name in DOCUMENT.names}
        columns.update(doc_id=ids, source=[source] * len(texts), text=list(texts), origin=[[]] * len(texts))
        table = pa.table(columns, schema=DOCUMENT)
        first = sum(part.n_docs for part in self.parts)
        for name, values in self.more.items():
            column = values.slice(first, len(texts))
            at = table.schema.get_field_index(name)
            table = table.append_column(name, column) if at < 0 else table.set_column(at, name, column)
        with commit_file(self.root, f"parts/{number:05d}.parquet") as commit:
            pq.write_table(table, commit.file, row_group_size=self.row_group, write_page_checksum=True)
        n_bytes = sum(len((t or "").encode()) for t in texts)
        self.parts.append(Part(f"{number:032x}", source, commit.ref, len(texts), n_bytes))
        self.alive_rows.append(np.ones(len(texts), dtype=np.bool_))
        self.ids.append(ids)

    def _id(self, source: str, text: str) -> bytes:
        # Named by its text and how often that came before: dealt over other parts, a source has the same ids.
        seen = self._seen[source, text] = self._seen.get((source, text), 0) + 1
        return doc_id(source, text, seen)

    def run(
        self, stage: Gather, *, shuffle: int | None = None, axes: Mapping[str, int] | None = None
    ) -> Result:
        """Run every phase; its units in an order drawn with seed `shuffle`, their number as `axes` says."""
        for phase in stage.phases():
            shutil.rmtree(self.root / phase.name, ignore_errors=True)
        done: dict[str, list[Task]] = {}
        for phase in stage.phases():
            units = list(range((axes or {}).get(phase.name) or self._n_units(phase, done)))
            tasks = [self._task(phase.name, unit, len(units), done) for unit in units]
            for task in tasks:
                task.step = stage.name
            if shuffle is not None:
                random.Random(shuffle).shuffle(units)
            for unit in units:
                phase.run(tasks[unit])
                for path in tasks[unit].scratched:
                    shutil.rmtree(path, ignore_errors=True)
            done[phase.name] = tasks
        assert list(done)[-1] == "verdict"
        return Result(self.root, done)

    def _task(self, phase: str, unit: int, n_units: int, done: Mapping[str, list[Task]]) -> Task:
        return Task(self.parts, self.root, n_units, unit, self.root, phase, self.alive_rows, dict(done))

    def _n_units(self, phase: Phase, done: Mapping[str, list[Task]]) -> int:
        axis: str | int | Callable[[Any], int] = phase.axis
        if axis == "part":
            return len(self.parts)
        if axis == "one":
            return 1
        return axis(self._task(phase.name, 0, 0, done)) if callable(axis) else int(axis)


def kept_ids(corpus: Corpus, result: Result) -> set[bytes]:
    """The ids of documents that stay."""
    rows = zip(corpus.ids, corpus.alive_rows, result.verdicts(), strict=True)
    parts = (zip(ids, alive.tolist(), verdicts, strict=True) for ids, alive, verdicts in rows)
    return {i for part in parts for i, a, v in part if a and not v}


def check_account(corpus: Corpus, result: Result, *, marking: bool = False) -> None:
    """Assert that every row alive is read, and kept or dropped by the verdict it was given."""
    tally = result.tally()
    alive = [row for rows in corpus.alive_rows for row in rows.tolist()]
    verdicts = [v for part in result.verdicts() for v in part]
    assert len(verdicts) == len(alive)
    assert tally.n_read == sum(alive)
    n_judged = sum(1 for v, a in zip(verdicts, alive, strict=True) if v and a)
    assert not any(v for v, a in zip(verdicts, alive, strict=True) if not a)
    assert tally.n_dropped == (0 if marking else n_judged)
    assert sum(sum(r.values()) for r in tally.marked.values()) == (n_judged if marking else 0)
    texts = [t for parts in corpus.sources.values() for part in parts for t in part]
    sizes = [len((t or "").encode()) for t in texts]
    assert tally.bytes_read == sum(s for s, a in zip(sizes, alive, strict=True) if a)
    kept = [a and (marking or not v) for v, a in zip(verdicts, alive, strict=True)]
    assert tally.bytes_kept == sum(s for s, k in zip(sizes, kept, strict=True) if k)
