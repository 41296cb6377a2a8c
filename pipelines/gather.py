"""What a phase of a gather is handed: parts, verdicts so far, earlier outputs, a place to write.

    spec (JSON)   parts: [{key, source, ref, n_docs, n_bytes}]       in the recipe's order of sources
                  dead: per part, verdict files of earlier dropping gathers
                  outputs, facts: of this gather's earlier phases, in unit order

Every file is verified before it is handed over: parts and verdicts by digest, scratch by size. Outputs of a phase
that is kept go to a folder named by their role; all others to the gather's scratch.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manifests.commit import CommitFile, FileRef, commit_file
from manifests.receipt import Receipt, Tally
from pipelines import heartbeat
from pipelines.cuts import CUTS, without_cuts
from pipelines.parquet import read_table
from pipelines.stage import Part, Phase, Phased
from pipelines.store import new_spill, scratch_folder

__all__ = ["PhaseTask", "kept_phases", "stays"]

_FOLDERS = {"verdict": "verdicts", "tokenizer": "tokenizers", "shard": "shards", "documents": "shards"}


def stays(phase: Phase) -> bool:
    """Whether what a phase writes stays in the corpus; other outputs are removed when the gather is done."""
    return phase.keep or phase.name == "verdict"


def kept_phases(stage: Phased) -> list[str]:
    """Names of the phases whose outputs, and so receipts, stay."""
    return [phase.name for phase in stage.phases() if stays(phase)]


class PhaseTask:
    """The engine's GatherTask (see `stage.py` for what each member promises)."""

    def __init__(self, spec: dict[str, Any], index: int) -> None:
        self._spec = spec
        self._root = Path(spec["root"])
        self._key: str = spec["units"][index]["key"]
        self._outputs: dict[str, FileRef] = {}
        self._scratch: Path | None = None
        self.folder = Path(spec["folder"])
        self.step: str = spec["stage"]["step"]
        self.sides: Mapping[str, str] = spec["sides"]
        self.unit = index
        self.n_units = len(spec["units"])
        self.tally = Tally()
        self.facts: dict[str, Any] = {}
        self.parts: Sequence[Part] = [
            Part(p["key"], p["source"], FileRef.from_json(p["ref"]), p["n_docs"], p["n_bytes"])
            for p in spec["parts"]
        ]

    def __enter__(self) -> Self:
        heartbeat.split(self.unit)
        return self

    def __exit__(self, *_: object) -> None:
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def read_part(self, index: int, columns: Sequence[str]) -> pa.Table:
        """Columns of a part, all rows, verified against the part's digest; `text` as earlier gathers have cut it."""
        table = read_table(self._root, self.parts[index].ref, columns)
        if "text" not in table.column_names:
            return table
        refs = [FileRef.from_json(ref) for ref in self._spec["dead"][index]]
        text = without_cuts(table.column("text"), (read_table(self._root, ref, CUTS) for ref in refs))
        return table.set_column(table.column_names.index("text"), "text", text)

    def alive(self, index: int) -> npt.NDArray[np.bool_]:
        """bool[n_docs]: rows of a part that no earlier dropping gather has dropped."""
        alive = np.ones(self.parts[index].n_docs, dtype=np.bool_)
        for ref in self._spec["dead"][index]:
            table = read_table(self._root, FileRef.from_json(ref), ["verdict"])
            alive &= np.asarray(table.column("verdict")) == 0
        return alive

    def evidence(self, index: int, column: str) -> pa.Array | None:
        """A column some earlier dropping gather's verdicts carry for a part; the latest such gather's."""
        for ref in reversed(self._spec["dead"][index]):
            table = read_table(self._root, FileRef.from_json(ref), [column])
            if column in table.schema.names:
                return table.column(column).combine_chunks()
        return None

    def inputs(self, phase: str, role: str) -> list[Path]:
        """Outputs of an earlier phase with that role, one per task, in unit order."""
        return [
            FileRef.from_json(o[role]).check(self._root) for o in self._spec["outputs"][phase] if role in o
        ]

    def facts_of(self, phase: str) -> list[dict[str, Any]]:
        """Facts of an earlier phase's tasks, in unit order."""
        facts: list[dict[str, Any]] = self._spec["facts"][phase]
        return facts

    @contextmanager
    def output(self, role: str, suffix: str) -> Iterator[CommitFile]:
        """A binary file object; the file is committed when the block ends."""
        root, path = self.output_path(role, suffix)
        with commit_file(root, path) as commit:
            yield commit.file
        self.wrote(role, commit.ref)

    def output_path(self, role: str, suffix: str) -> tuple[Path, str]:
        """(store root, relative path) for a writer that commits by itself."""
        folder = (
            _FOLDERS.get(role, f"{role}s") if self._spec["keep"] else scratch_folder(self._spec["step_key"])
        )
        # Roles share a folder (a shard and its documents), so the name carries the suffix alone.
        name = self._key if self._spec["keep"] else f"{self._key}.{role}"
        return self._root, f"{folder}/{name}{suffix}"

    def wrote(self, role: str, ref: FileRef) -> None:
        """Record a file committed at `output_path`."""
        self._outputs[role] = ref

    def scratch(self) -> Path:
        """A private folder for spilling, removed when the task ends."""
        if self._scratch is None:
            self._scratch = new_spill(self._root)
        return self._scratch

    def beat(self, ordinal: int) -> None:
        """Say which record is being worked on."""
        heartbeat.at(ordinal)

    def receipt(self) -> Receipt:
        """The task's receipt, once its phase has run."""
        unit = self._spec["units"][self.unit]
        return Receipt(
            key=self._key,
            step=self._spec["name"],
            step_key=self._spec["step_key"],
            unit=unit["label"],
            ordinal=unit["ordinal"],
            tally=self.tally,
            outputs=self._outputs,
            facts={**self.facts, "given": self._spec["given"]},
        )
