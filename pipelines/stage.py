"""The stage contract, whole.

A stage is a frozen pydantic model: its fields are its parameters, each with a docstring that becomes the help,
the JSON Schema and the receipt. Nothing else lives on the object; models and tables are named by digest in
the fields and loaded once per process by a cached function.

    Read      splits(file) -> list[Split];  batches(split) -> Iterator[Batch]     one split of a file -> batches
    Rewrite   rewrite(batch) -> (large_string[n_docs], uint8[n_docs], columns)    the whole text anew
    Edit      spans(batch) -> Spans                                               spans removed or replaced
    Rule      measure(batch) -> {name: array[n_docs]};  decide(values) -> uint8[n_docs]
    Gather    phases() -> list[Phase]                                             across tasks; ends in verdicts

A verdict is 0 to keep and k for `reasons[k - 1]`, so the account is a bincount of it. Measures are integers
(counts, bytes, hashes); only model scores are float32; `decide` forms ratios in float64 from them, so no answer
depends on the order of a sum. A bound is inclusive (`min_x`, `max_x`) or strict (`above_x`, `below_x`).

A stage never touches files, clocks or random state: the engine (`run.py`) reads, routes, counts and commits.
Before each record whose cost is not bounded a stage calls `heartbeat.at(ordinal)`, so that the watching
parent knows which record hangs or kills (`child.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from manifests.commit import FileRef
from manifests.digest import plain
from manifests.receipt import Tally
from pipelines.batch import Batch, Values
from pipelines.places import Root, full_path, place_of

__all__ = [
    "LARGEST",
    "Action",
    "Axis",
    "Edit",
    "Gather",
    "GatherTask",
    "Part",
    "Phase",
    "Phased",
    "Read",
    "Rewrite",
    "Rewritten",
    "Rule",
    "SourceFile",
    "Spans",
    "Split",
    "Stage",
    "Verdicts",
    "first_failing",
    "short_names",
]

Action = Literal["drop", "mark"]
Axis = Literal["one", "part"] | int | Callable[["GatherTask"], int]
Verdicts = npt.NDArray[np.uint8]
LARGEST = 10**18
"""The largest whole number that a parameter may be: kernels and files hold int64, and some take twice as much."""


class Stage(BaseModel):
    """What every kind declares. `version` is bumped whenever output may change for the same parameters.

    reads: columns and values it needs; writes: document columns and values it makes; reasons: of its verdicts;
    languages: for which its rules hold, `*` for all; libraries: distributions whose version is part of the key.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, populate_by_name=True
    )

    name: ClassVar[str]
    version: ClassVar[int]
    reads: ClassVar[tuple[str, ...]] = ("text",)
    writes: ClassVar[tuple[str, ...]] = ()
    reasons: ClassVar[tuple[str, ...]] = ()
    languages: ClassVar[tuple[str, ...]] = ("*",)
    libraries: ClassVar[tuple[str, ...]] = ()
    path_fields: ClassVar[tuple[str, ...]] = ()
    """Parameters that say where a side input lies: recorded by name, for the place is this machine's business."""
    folder_fields: ClassVar[tuple[str, ...]] = ()
    """Those of them that name folders; the others name files."""
    corpus_fields: ClassVar[tuple[str, ...]] = ()
    """Those of them that list finished corpora: `parents` of what is built, by the digests among `side_inputs`."""

    def params(self) -> dict[str, Any]:
        """The parameters as keys and manifests spell them: canonical, no floats, no places."""
        result = self.arguments()
        for name in self.path_fields:
            value = result[name]
            result[name] = (
                short_names(value) if isinstance(value, list) else value and short_names([value])[0]
            )
        return result

    def arguments(self) -> dict[str, Any]:
        """The parameters with which a worker makes this stage again, places included."""
        result: dict[str, Any] = plain(self.model_dump(mode="python", by_alias=True))
        return result

    def side_inputs(self, folder: Path) -> dict[str, str]:
        """Files this stage depends on beside its documents: name -> digest. Part of the key.

        folder: the recipe's, where relative paths start. Names are as the parameters spell them.
        """
        return {}

    def check(self, folder: Path) -> None:
        """Returns if its side inputs can be read; asked once, when the recipe in `folder` is. Raises: QuernError."""
        del folder

    def kernels(self) -> tuple[str, ...]:
        """Names of kernels it will call, compiled by the parent before workers start."""
        return ()

    def numbers(self) -> tuple[str, ...] | None:
        """What it gives of every document that is a number, columns it writes among it; None where nobody says."""
        return None


def short_names(paths: Sequence[str]) -> list[str]:
    """What a manifest calls files that may lie anywhere: a path inside the recipe's folder by itself, any other by
    the shortest ending that tells it apart.

    >>> short_names(["/data/gsm8k/test.jsonl", "../mmlu/test.jsonl", "bench/own.jsonl"])
    ['gsm8k/test.jsonl', 'mmlu/test.jsonl', 'bench/own.jsonl']
    """
    parts = [PurePosixPath(path).parts for path in paths]
    inside = [not path.startswith("/") and ".." not in p for path, p in zip(paths, parts, strict=True)]
    names = [str(PurePosixPath(*(p if stays else p[-1:]))) for p, stays in zip(parts, inside, strict=True)]
    for n in range(2, max(map(len, parts), default=0) + 1):
        names = [
            name if stays or names.count(name) == 1 else str(PurePosixPath(*p[-n:]))
            for p, stays, name in zip(parts, inside, names, strict=True)
        ]
    return names


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source: `path` below `root` (POSIX), size in bytes, xxh3-128 of its content.

    Of a remote file `digest` is the identity its store gives it, such as `etag:6f1e`.
    """

    source: str
    root: Root
    path: str
    size: int
    digest: str
    licence: str | None = None

    @property
    def is_remote(self) -> bool:
        """Whether it lies on a server or in a store."""
        return isinstance(self.root, str)

    @property
    def full(self) -> Path:
        """Where it is on this machine; never stored.

        Raises: UsageError for a remote file.
        """
        return full_path(self.root, self.path)

    @property
    def where(self) -> str:
        """Its path on this machine, or its address."""
        return place_of(self.root, self.path)


@dataclass(frozen=True, slots=True)
class Split:
    """A piece of a file: records that begin in bytes [start, end)."""

    file: SourceFile
    start: int
    end: int


class Read(Stage):
    """Turns a split of a file into batches. Every record is a row: one that is no document carries a verdict.

    `n_read` of a source is therefore the number of records in its files, and for well-formed WARC and WET equals
    what an independent reader counts. A damaged stretch is one row. A file of a format not read is one row.
    """

    default_steps: ClassVar[tuple[str, ...]] = ()
    group: ClassVar[Literal["files", "splits"]] = "files"

    def splits(self, file: SourceFile) -> list[Split]:
        """The pieces of a file, the same on every machine; the whole file unless the format can be split."""
        return [Split(file, 0, file.size)]

    def batches(self, split: Split, *, skip: frozenset[int] = frozenset()) -> Iterator[Batch]:
        """The records that begin in a split, in file order.

        skip: ordinals (counted from 0 within the split) of quarantined records: they keep their place as rows
        without text and are judged by the engine.
        """
        raise TypeError(f"{type(self).__name__} does not say how it reads")


class Rewritten(NamedTuple):
    """The new texts (null where there is none), a verdict for each, and other document columns: `title`."""

    text: pa.LargeStringArray
    verdicts: Verdicts
    columns: Mapping[str, pa.Array]


class Rewrite(Stage):
    """Makes the whole text anew, one row for one row: extraction, decoding, repair."""

    drops_columns: ClassVar[tuple[str, ...]] = ()

    def numbers(self) -> tuple[str, ...]:
        """No number: it gives texts alone."""
        return ()

    def rewrite(self, batch: Batch) -> Rewritten:
        """The new texts, verdicts, and whatever else it `writes`."""
        raise TypeError(f"{type(self).__name__} does not say how it rewrites")


@dataclass(frozen=True, slots=True)
class Spans:
    """Pieces of text to remove or replace: `row`, `start`, `end` (bytes in that row's text), sorted, disjoint.

    replacement: index into `replacements`, -1 to remove; reason: index into the stage's reasons.
    """

    row: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    replacement: npt.NDArray[np.int32]
    reason: npt.NDArray[np.uint8]
    replacements: Sequence[bytes] = ()


class Edit(Stage):
    """Removes or replaces spans; the engine applies them and counts bytes and words removed by reason."""

    route: tuple[str, ...] | None = Field(default=None, alias="for", min_length=1)
    """Languages it applies to; documents of others pass untouched. All if left out."""

    def kernels(self) -> tuple[str, ...]:
        """What cuts the spans; a stage adds its own."""
        return ("edits.cut_spans",)

    def numbers(self) -> tuple[str, ...]:
        """What `spans.apply_spans` counts."""
        return ("removed_bytes", "removed_words")

    def spans(self, batch: Batch) -> Spans:
        """The spans of every row."""
        raise TypeError(f"{type(self).__name__} does not say what it edits")


class Rule(Stage):
    """Measures every document, then decides; measuring and deciding are apart, so thresholds can be moved."""

    measuring: ClassVar[tuple[str, ...]] = ()
    """Parameters that change what is measured; every other one only decides, so `whatif` may move it."""
    labels: ClassVar[tuple[str, ...]] = ()
    """String columns it writes whose few different values receipts count, such as `language`."""

    action: Action = "drop"
    """`mark` records the verdict and drops nothing."""
    route: tuple[str, ...] | None = Field(default=None, alias="for", min_length=1)
    """Languages it applies to; documents of others pass untouched. All if left out."""

    def measure(self, batch: Batch) -> dict[str, npt.NDArray[Any] | pa.Array]:
        """One array[n_docs] per value; names in `writes` become document columns."""
        raise TypeError(f"{type(self).__name__} does not say what it measures")

    def decide(self, values: Values) -> Verdicts:
        """uint8[n_docs] from this step's own values (names without prefix) and those it `reads` (with)."""
        raise TypeError(f"{type(self).__name__} does not say how it decides")

    def limits(self) -> dict[str, tuple[str, str]]:
        """For `explain`: reason -> (the measured quantity as an expression over values, the limit as text)."""
        return {}


def first_failing(n_docs: int, failing: Sequence[npt.NDArray[np.bool_]]) -> Verdicts:
    """The verdict of each document: 1 + the index of the first test it fails, 0 for none.

    failing[i]: bool[n_docs], in the order of the stage's reasons.
    """
    verdicts = np.zeros(n_docs, dtype=np.uint8)
    for code in range(len(failing), 0, -1):
        verdicts[failing[code - 1]] = code
    return verdicts


@dataclass(frozen=True, slots=True)
class Part:
    """A committed part: documents of one unit that passed their source's steps, in reading order."""

    key: str
    source: str
    ref: FileRef
    n_docs: int
    n_bytes: int


class GatherTask(Protocol):
    """What the engine hands to a phase's `run`. Paths are full; everything named is verified by size."""

    parts: Sequence[Part]
    """All parts of the gather, in a fixed order (source in the recipe's order, unit)."""
    folder: Path
    """The recipe's folder: relative paths in parameters start here. Not part of any key."""
    step: str
    """The step's name in the recipe: what the tally counts under."""
    sides: Mapping[str, str]
    """Digests of the stage's side inputs as they are in the key: what a task reads must still have them."""
    n_units: int
    unit: int
    """This task's index on the phase's axis; for axis `part` also the index of its part."""
    tally: Tally
    facts: dict[str, Any]
    """Canonical JSON that later phases read by `facts_of`."""

    def read_part(self, index: int, columns: Sequence[str]) -> pa.Table:
        """Columns of a part, all rows, verified against the part's digest."""

    def alive(self, index: int) -> npt.NDArray[np.bool_]:
        """bool[n_docs]: rows of a part that no earlier dropping gather has dropped."""

    def inputs(self, phase: str, role: str) -> list[Path]:
        """Outputs of an earlier phase of this gather with that role, one per task, in unit order."""

    def facts_of(self, phase: str) -> list[dict[str, Any]]:
        """Facts of an earlier phase's tasks, in unit order."""

    def evidence(self, index: int, column: str) -> pa.Array | None:
        """A column some earlier dropping gather's verdicts carry (`cluster`, say); None where none does."""

    def output(self, role: str, suffix: str) -> Any:
        """A context manager yielding a binary file object; the file is committed when the block ends."""

    def output_path(self, role: str, suffix: str) -> tuple[Path, str]:
        """(store root, relative path) for a writer that commits by itself, such as `write_shard`."""

    def wrote(self, role: str, ref: FileRef) -> None:
        """Record a file committed at `output_path`."""

    def scratch(self) -> Path:
        """A private folder for spilling, removed when the task ends."""

    def beat(self, ordinal: int) -> None:
        """Say which record is being worked on."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of a gather: `run(task)` once per unit of its axis, after every task of earlier phases.

    axis: `part` (one task a part), `one`, a fixed number of buckets, or a function of the earlier phases' facts
    that gives the number. keep: outputs stay in the corpus; others are removed when the gather is done.
    A phase named `verdict` has axis `part` and writes, with role `verdict`, one Parquet row per row of its part:
    `verdict: uint8` (0 keep, k for reasons[k - 1]) and whatever evidence columns explain it; its tally reads the
    rows alive before it and drops by reason.
    """

    name: str
    axis: Axis
    run: Callable[[GatherTask], None]
    keep: bool = False


class Phased(Stage):
    """Runs in phases over all parts, with a barrier between two of them."""

    def phases(self) -> list[Phase]:
        """The phases, in order."""
        raise TypeError(f"{type(self).__name__} has no phases")


class Gather(Phased):
    """Regroups documents across tasks: deduplication, decontamination. Copies no text: its last phase is `verdict`."""

    action: Action = "drop"
    """`mark` records the verdict and drops nothing."""

    def limits(self) -> dict[str, tuple[str, str]]:
        """For `explain`: reason -> (a number among the verdicts' evidence, the limit within which a document stays)."""
        return {}
