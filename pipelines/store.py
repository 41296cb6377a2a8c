"""The folder a build writes to: its lock, its receipts, its unfinished work.

    receipts/<task key>.json      a finished task of an unfinished step
    receipts/<pack key>.jsonl     all receipts of a finished step, a line each; the single files are gone
    runs/scratch/<step key>/      what phases of a gather write for each other; removed with the gather
    runs/plan.json                what the newest build set out to do, for those who ask for the status
    runs/tmp/                     files being written; what no one writes any more is swept when a build begins
    runs/spill-*/                 what a gather's task spills for itself; swept likewise
    runs/lock                     held by the one build at work

A task is done if and only if its receipt is here, its outputs have the recorded sizes, and the parts it read are the
ones that stand. Only the builder, under the lock, lists these folders; readers open what a manifest names.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from manifests.commit import FileRef, commit_bytes, sweep
from manifests.corpus import CorpusManifest
from manifests.digest import digest_bytes, digest_value, read_sealed, seal
from manifests.errors import DamageError, UsageError
from manifests.receipt import Receipt, read_pack, receipt_path, write_pack

__all__ = [
    "PLAN",
    "Receipts",
    "keep_quarantine",
    "locked",
    "new_spill",
    "pack_key",
    "phase_key",
    "quarantined",
    "read_plan",
    "remove_scratch",
    "scratch_folder",
    "write_plan",
    "write_quarantine",
    "write_spec",
]

PLAN = "runs/plan.json"
QUARANTINE = "runs/quarantine.json"
_SPILL = "spill-"


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the store's lock; what killed builds left unfinished is swept first.

    Raises: UsageError while another build holds it.
    """
    (root / "runs").mkdir(parents=True, exist_ok=True)
    fd = os.open(root / "runs" / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise UsageError(
            f"{root}: another build is at work here. Two at once would remove each other's unfinished files. "
            "Wait for it (`quern status` shows it), or build into another folder with --out."
        ) from error
    try:
        sweep(root)
        for left in (root / "runs").glob(f"{_SPILL}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(fd)


class Receipts:
    """The receipts of a store, by task key; knows which tasks are done.

    Looking changes nothing, so whoever asks for the state of a store at work sees it as its builder does. A damaged
    receipt proves nothing: its task is done again, and its file is written anew.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        # Packs of a sample and of the whole hold the same tasks, made from parts that may differ.
        self._packed: dict[str, list[Receipt]] = {}
        for path in sorted((root / "receipts").glob("*.jsonl")):
            for receipt in _sound(path):
                self._packed.setdefault(receipt.key, []).append(receipt)

    def get(self, key: str, given: str | None = None) -> Receipt | None:
        """The receipt of a finished task whose outputs are all there, else None.

        given: digest of the parts it has to have read. Equal keys give equal parts, but for one that was lost and made
        again while a record crashed or hung: what read the old one is not done.
        """
        # A lost output made again may differ from what an old pack says: then the fresh single one holds.
        found: list[Receipt | None] = [*self._packed.get(key, []), self._single(key)]
        for receipt in found:
            if receipt is not None and receipt.verifies(self._root) and receipt.facts.get("given") == given:
                return receipt
        return None

    def _single(self, key: str) -> Receipt | None:
        try:
            return Receipt.read(self._root, key)
        except DamageError:
            return None

    def finished_gather(
        self, step_key: str, given: str, phases: Sequence[str]
    ) -> dict[str, list[Receipt]] | None:
        """Receipts by phase of a gather that has finished with the parts `given`, if all its outputs are there.

        phases: those whose outputs stay. A pack that was cut between two lines lacks a task of one of them; a phase
        without any (the shards of no documents) is believed where the newest corpus names the pack.
        """
        pack = f"receipts/{step_key}.jsonl"
        found: dict[str, list[Receipt]] = {name: [] for name in phases}
        for receipt in _sound(self._root / pack):
            if not receipt.verifies(self._root) or receipt.facts.get("given") != given:
                return None
            found.setdefault(receipt.step.rpartition("/")[2], []).append(receipt)
        for name, receipts in found.items():
            n_units = len(receipts)
            if [r.key for r in receipts] != [phase_key(step_key, name, i, n_units) for i in range(n_units)]:
                return None
        return found if all(found.values()) or self._names(pack) else None

    def _names(self, name: str) -> bool:
        """Whether the newest corpus or sample rests on the file `name` as it stands."""
        path = self._root / name
        for manifest in (self._root / "corpus.json", self._root / "sample" / "corpus.json"):
            if path.is_file() and manifest.is_file():
                with suppress(DamageError):
                    sizes = {ref.path: ref.size for ref in CorpusManifest.read(manifest).receipts}
                    if sizes.get(name) == path.stat().st_size:
                        return True
        return False

    def begun(self, step_key: str) -> bool:
        """Whether any task of a step has left a receipt."""
        packed = any(r.step_key == step_key for found in self._packed.values() for r in found)
        return packed or any(r.step_key == step_key for r in self._singles())

    def _singles(self) -> Iterator[Receipt]:
        for path in sorted((self._root / "receipts").glob("*.json")):
            if (receipt := self._single(path.stem)) is not None:
                yield receipt

    def pack(self, name: str, receipts: Sequence[Receipt]) -> FileRef:
        """Commit the receipts of a finished step as `receipts/<name>.jsonl` and drop the single ones.

        name: the step's key for a gather (its parts are in it), `pack_key` for the units of a segment.
        """
        ref = write_pack(self._root, name, receipts)
        for receipt in receipts:
            self._packed.setdefault(receipt.key, []).append(receipt)
        self.forget(r.key for r in receipts)
        return ref

    def forget(self, keys: Iterable[str]) -> None:
        """Remove single receipts of tasks."""
        for key in keys:
            (self._root / receipt_path(key)).unlink(missing_ok=True)

    def tidy(self, tasks: Iterable[str], steps: Iterable[str]) -> None:
        """Remove single receipts, and scratch, of finished steps: what a kill just after packing leaves behind.

        tasks: keys of the segments' units; steps: keys of the gathers, all of whose receipts are packed or spent.
        """
        self.forget(tasks)
        finished = set(steps)
        for path in sorted((self._root / "receipts").glob("*.json")):
            receipt = self._single(path.stem)
            if receipt is None or receipt.step_key in finished:
                path.unlink()
        for step_key in finished:
            remove_scratch(self._root, step_key)


def _sound(path: Path) -> list[Receipt]:
    """The receipts of a pack; none if it is not there or damaged."""
    try:
        return list(read_pack(path)) if path.exists() else []
    except DamageError:
        return []


def pack_key(step_key: str, task_keys: Sequence[str]) -> str:
    """The name of a finished step's pack: the step and exactly these tasks."""
    return digest_value(["pack", step_key, *task_keys])


def phase_key(step_key: str, phase: str, unit: int, n_units: int) -> str:
    """The key of one task of a gather's phase."""
    return digest_value(["phase", step_key, phase, unit, n_units])


def scratch_folder(step_key: str) -> str:
    """Where the phases of a gather write for each other, below the store."""
    return f"runs/scratch/{step_key}"


def new_spill(root: Path) -> Path:
    """A new folder for what one task of a gather spills; a killed task's is swept with the next build."""
    (root / "runs").mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=_SPILL, dir=root / "runs"))


def remove_scratch(root: Path, step_key: str) -> None:
    """Remove a finished gather's scratch."""
    shutil.rmtree(root / scratch_folder(step_key), ignore_errors=True)


def quarantined(root: Path) -> dict[str, dict[tuple[int, int], str]]:
    """Records judged by clock or crash, once: {task key: {(split, ordinal): reason}}.

    Raises: DamageError.
    """
    path = root / QUARANTINE
    found: dict[str, dict[tuple[int, int], str]] = {}
    try:
        entries = read_sealed(path)["records"] if path.exists() else []
    except DamageError as error:
        raise type(error)(
            f"{error} Or remove it: finished units keep their verdicts, unfinished ones meet those records again."
        ) from error
    for entry in entries:
        found.setdefault(entry["task"], {})[entry["split"], entry["ordinal"]] = entry["reason"]
    return found


def write_quarantine(root: Path, records: dict[str, dict[tuple[int, int], str]]) -> FileRef:
    """Commit the store's quarantine; it grows, so no manifest names it."""
    return commit_bytes(root, QUARANTINE, _sealed_quarantine(records))


def keep_quarantine(root: Path, records: dict[str, dict[tuple[int, int], str]]) -> FileRef:
    """Commit the verdicts that one corpus rests on, for its manifest to name."""
    sealed = _sealed_quarantine(records)
    return commit_bytes(root, f"quarantine/{digest_bytes(sealed)}.json", sealed)


def _sealed_quarantine(records: dict[str, dict[tuple[int, int], str]]) -> bytes:
    entries = [
        {"ordinal": ordinal, "reason": reason, "split": split, "task": task}
        for task, places in sorted(records.items())
        for (split, ordinal), reason in sorted(places.items())
    ]
    return seal({"format": "quern.quarantine", "records": entries, "version": 1})


def write_plan(root: Path, *, key: str, sample: str | None, steps: Sequence[dict[str, Any]]) -> None:
    """Commit what a build sets out to do: the plan's key, its sample and its rows."""
    shown = {"format": "quern.plan", "key": key, "sample": sample, "steps": list(steps), "version": 1}
    commit_bytes(root, PLAN, seal(shown))


def read_plan(root: Path) -> dict[str, Any] | None:
    """What the newest build set out to do; None if none did here, or its file is damaged or of another version."""
    try:
        plan = read_sealed(root / PLAN)
    except DamageError:
        return None
    return plan if (plan.get("format"), plan.get("version")) == ("quern.plan", 1) else None


def write_spec(root: Path, spec: dict[str, Any]) -> Path:
    """Write a step's specification for the workers; the same step always has the same file."""
    name = f"runs/specs/{digest_value(spec)}.json"
    if not (root / name).exists():
        commit_bytes(root, name, json.dumps(spec, sort_keys=True).encode())
    return root / name
