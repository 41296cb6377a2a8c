"""A corpus or a run opened for questions, from a notebook or from the other tools.

    corpus = open_corpus("corpora/web")
    part  -> rows kept   where every dropping gather's verdict is 0
          -> dropped     rows its steps dropped (a file beside it) and rows a gather dropped

Everything is read through the manifest, a part at a time and only the columns asked for; no folder is listed.
Price: `documents(sample=...)` reads ids and the columns of `where` of every part, then text for the sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus_tools.screen import clean
from manifests.corpus import CorpusManifest, PartEntry, StepEntry, VerdictEntry
from manifests.errors import DamageError, UsageError
from manifests.mix import MixManifest
from manifests.receipt import Receipt, Tally, read_pack
from pipelines.cuts import CUTS, without_cuts

if TYPE_CHECKING:
    from corpus_tools.explain import Life

__all__ = ["Corpus", "Run", "damage_named", "open_corpus", "open_run", "read_rows"]


def open_corpus(path: str | Path) -> Corpus:
    """The corpus of a folder, a corpus.json or `DIR@digest`, its manifest verified.

    Raises: MissingFileError, FormatError, DigestError, UsageError.
    """
    manifest = CorpusManifest.read(Path(path))
    return Corpus(path=Path(path), root=manifest.root(Path(path)), manifest=manifest)


def open_run(path: str | Path) -> Run:
    """The run in a folder that `quern train` made.

    Raises: MissingFileError, FormatError, DigestError.
    """
    return Run(Path(path), MixManifest.read(Path(path) / "mix.json"))


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Raises DamageError naming `path` where what is done with it finds it damaged, for Arrow names no file."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DamageError(
            f"{path}: expected a Parquet file as it was written, found it damaged ({clean(str(error))[:200]}). Nothing "
            "was read from it. Delete it and build again: the same command makes it anew."
        ) from error


def read_rows(path: Path, columns: Sequence[str] | None = None, *, filters: Any = None) -> pa.Table:
    """A Parquet file's rows, the checksum of every page verified.

    Raises: DamageError.
    """
    with damage_named(path):
        given = None if columns is None else list(columns)
        return pq.read_table(path, columns=given, filters=filters, page_checksum_verification=True)


@dataclass(frozen=True)
class Corpus:
    """A corpus and where it stands: `path` as it was named, `root` the store's folder."""

    path: Path
    root: Path
    manifest: CorpusManifest

    def receipts(self) -> Iterator[Receipt]:
        """The receipts of every step, each verified, read = kept + dropped checked.

        Raises: DigestError, FormatError, AccountError.
        """
        for ref in self.manifest.receipts:
            yield from read_pack(ref.check(self.root))

    @cached_property
    def tally(self) -> Tally:
        """All receipts added up."""
        total = Tally()
        for receipt in self.receipts():
            total.add(receipt.tally)
        return total

    def account(self) -> list[dict[str, Any]]:
        """Every step in order: what it read, kept, dropped by reason; one row a step."""
        return [_account_row(step) for step in self.manifest.steps]

    def steps_of(self, source: str) -> list[StepEntry]:
        """The steps documents of a source go through, in the recipe's order."""
        return [s for s in self.manifest.steps if s.source in (source, None)]

    def verdicts_of(self, part: PartEntry) -> list[VerdictEntry]:
        """The gathers' verdicts on one part, in the order of the steps."""
        place = {step.name: i for i, step in enumerate(self.manifest.steps)}
        mine = [v for v in self.manifest.verdicts if v.part_key == part.key]
        return sorted(mine, key=lambda v: place.get(v.step, len(place)))

    def kept(self, part: PartEntry) -> npt.NDArray[np.bool_]:
        """bool[n_docs]: rows of a part that no gather dropped."""
        alive = np.ones(part.n_docs, dtype=np.bool_)
        for entry in self.verdicts_of(part):
            if entry.action == "drop" and entry.n_dropped:
                alive &= self._verdict(entry) == 0
        return alive

    def _verdict(self, entry: VerdictEntry) -> npt.NDArray[np.uint8]:
        path = entry.verdict.check(self.root)
        column = read_rows(path, ["verdict"]).column("verdict")
        return np.asarray(pc.fill_null(column, 0).to_numpy(), dtype=np.uint8)

    def documents(self, where: Mapping[str, Any] | None = None, *, sample: int | None = None) -> pa.Table:
        """Kept documents whose columns equal `where`; with `sample` that many, chosen by id, always the same.

        Raises: UsageError for a column that is not there.
        """
        chosen: list[pa.Table] = []
        self._refuse_unknown(where or {})
        for number, part in enumerate(self.manifest.parts):
            if not part.final:
                continue
            chosen.append(self._candidates(number, part, where or {}))
            if sample is not None:
                chosen = [pa.concat_tables(chosen).sort_by("doc_id").slice(0, sample)]
        if not chosen:
            return pa.table({})
        return self._fetch(pa.concat_tables(chosen))

    def _refuse_unknown(self, where: Mapping[str, Any]) -> None:
        paths = [part.part.check(self.root) for part in self.manifest.parts if part.final]
        names = dict.fromkeys(name for path in paths for name in pq.read_schema(path).names)
        if missing := [name for name in where if name not in names]:
            raise UsageError(f"expected one of the columns {', '.join(names)}, got {missing[0]!r}.")

    def _candidates(self, number: int, part: PartEntry, where: Mapping[str, Any]) -> pa.Table:
        # Ids, part numbers and rows of the kept documents that match; ids are hashes, so the least are a sample.
        path = part.part.check(self.root)
        names = set(pq.read_schema(path).names)
        table = read_rows(path, ["doc_id", *(name for name in where if name in names)])
        mask = pa.array(self.kept(part))
        for name, value in where.items():
            # A source whose steps never made the column has no document that matches.
            equal = (
                pc.equal(table.column(name), pa.scalar(value)) if name in names else pa.scalar(value=False)
            )
            mask = pc.and_kleene(mask, equal)
        rows = np.flatnonzero(pc.fill_null(mask, fill_value=False).to_numpy(zero_copy_only=False))
        ids = table.column("doc_id").take(pa.array(rows)).cast(pa.binary())
        return pa.table({"doc_id": ids, "part": np.full(len(rows), number), "row": rows})

    def _fetch(self, chosen: pa.Table) -> pa.Table:
        found = []
        for number in sorted(set(chosen.column("part").to_pylist())):
            rows = chosen.filter(pc.equal(chosen.column("part"), number)).column("row")
            found.append(self._read(self.manifest.parts[number]).take(rows))
        return pa.concat_tables(found, promote_options="default") if found else pa.table({})

    def text_of(self, part: PartEntry, row: int, *, before: str) -> str:
        """The text of one row of a part as the gather `before` met it."""
        texts = read_rows(part.part.check(self.root), ["text"]).column("text")
        return self.cut_text(texts.slice(row, 1), part, row, before=before)

    def cut_text(self, text: pa.ChunkedArray, part: PartEntry, row: int, *, before: str | None) -> str:
        """A row's text, which the part holds uncut, as the gather `before` met it, or as all of them left it."""
        cuts = (table.slice(row, 1) for table in self._cuts(part, before))
        return without_cuts(text, cuts)[0].as_py() or ""

    def _read(self, part: PartEntry, before: str | None = None) -> pa.Table:
        """All rows of a part, their texts as gathers have cut them, only those before one step where it is named."""
        table = read_rows(part.part.check(self.root))
        texts = without_cuts(table.column("text"), self._cuts(part, before))
        return table.set_column(table.column_names.index("text"), "text", texts)

    def _cuts(self, part: PartEntry, before: str | None) -> Iterator[pa.Table]:
        """The verdicts of dropping gathers that cut, in order."""
        for entry in self.verdicts_of(part):
            if entry.step == before:
                break
            if entry.action == "drop":
                path = entry.verdict.check(self.root)
                if CUTS[0] in pq.read_schema(path).names:
                    yield read_rows(path, CUTS)

    def dropped(self, reason: str | None = None, *, step: str | None = None) -> pa.Table:
        """Dropped documents with their step, reason and measured values; text where a sample of it was kept."""
        found = [t for part in self.manifest.parts for t in self._dropped(part, reason, step)]
        return pa.concat_tables(found, promote_options="default") if found else pa.table({})

    def _dropped(self, part: PartEntry, reason: str | None, step: str | None) -> Iterator[pa.Table]:
        if part.dropped is not None:
            yield _matching(read_rows(part.dropped.check(self.root)), reason, step)
        for entry in self.verdicts_of(part):
            if entry.action == "drop" and entry.n_dropped and step in (None, entry.step):
                yield _matching(self._dropped_by(part, entry), reason, step)

    def _dropped_by(self, part: PartEntry, entry: VerdictEntry) -> pa.Table:
        verdict = self._verdict(entry)
        rows = np.flatnonzero(verdict)
        table = self._read(part, entry.step).take(pa.array(rows))
        reasons = self.step(entry.step).reasons
        table = table.append_column("dropped_step", pa.array([entry.step] * len(rows), pa.string()))
        names = [reasons[code - 1] for code in verdict[rows].tolist()]
        return table.append_column("dropped_reason", pa.array(names, pa.string()))

    def step(self, name: str) -> StepEntry:
        """A step by its name in the recipe."""
        return next(step for step in self.manifest.steps if step.name == name)

    def explain(self, document: str) -> Life:
        """One document's life: an id, a URL, a ref or the start of a path.

        Raises: UsageError when no document or more than one matches.
        """
        from corpus_tools.explain import explain

        lives = explain(self.path, document, at_most=2)
        if len(lives) != 1:
            raise UsageError(f"{document}: more than one document matches. Name one by its id.")
        return lives[0]


def _account_row(step: StepEntry) -> dict[str, Any]:
    names = ("name", "stage", "kind", "source", "action", "n_read", "n_kept", "dropped", "marked", "routed")
    return {name: getattr(step, name) for name in names}


def _matching(table: pa.Table, reason: str | None, step: str | None) -> pa.Table:
    for column, value in (("dropped_reason", reason), ("dropped_step", step)):
        if value is not None:
            table = table.filter(pc.equal(table.column(column), value))
    return table


@dataclass(frozen=True)
class Run:
    """A run's folder and the mix it reads."""

    path: Path
    mix: MixManifest

    def documents_of(self, step: int) -> list[dict[str, Any]]:
        """The documents one step read, with where they came from."""
        from corpus_tools.trace import trace_steps

        return trace_steps(self.path, str(step))

    def steps_of(self, document: str) -> list[dict[str, Any]]:
        """The steps that read a document."""
        from corpus_tools.trace import trace_document

        return trace_document(self.path, document)

    def metrics(self, names: Sequence[str] = ()) -> pa.Table:
        """What the run logged, a row a record; `names` chooses columns."""
        import pyarrow.json

        table = pyarrow.json.read_json(self.path / "metrics.jsonl")
        return table.select(list(names)) if names else table
