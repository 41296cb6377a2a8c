"""What one task read, kept, dropped and why, and wrote.

    Tally     counts that add up over tasks: documents and bytes read, kept and dropped by step and reason,
              values by fixed-bin histogram, the heaviest domains
    Receipt   one task: its key, its step and unit, its tally, its outputs with size and digest

The law of the account is n_read == n_kept + sum(dropped): it is checked when a receipt is made, when it is
read, and by `quern verify`. Nothing here depends on the machine or the clock: those go to `runs/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from manifests.commit import FileRef, commit_bytes
from manifests.digest import read_sealed, seal, unseal
from manifests.errors import AccountError, FormatError

__all__ = ["N_BINS", "Receipt", "Tally", "bin_edges", "bin_of", "read_pack", "receipt_path", "write_pack"]

VERSION = 1
N_BINS = 4 * 62
MAX_DOMAINS = 200


def bin_of(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The histogram bin of each value >= 0: four bins to the octave, exact in integers.

    Bins 0..3 hold 0..3 themselves; above, a bin is the leading bit and the two bits behind it.

    >>> bin_of(np.array([0, 3, 4, 5, 8, 1024])).tolist()
    [0, 3, 4, 5, 8, 36]
    """
    v = np.asarray(values, dtype=np.int64)
    # frexp is exact below 2**53; larger counts do not occur in documents.
    exponent = np.frexp(np.maximum(v, 1).astype(np.float64))[1].astype(np.int64) - 1
    shift = np.maximum(exponent - 2, 0)
    return np.where(v < 4, np.maximum(v, 0), 4 * (exponent - 1) + ((v >> shift) & 3))


def bin_edges() -> npt.NDArray[np.int64]:
    """The smallest value of every bin: int64[N_BINS]."""
    return np.array([b if b < 4 else (4 + b % 4) << (b // 4 - 1) for b in range(N_BINS)], dtype=np.int64)


@dataclass(slots=True)
class Tally:
    """Counts of one task or of many: `a + b` adds them; the order of addition does not matter.

    dropped: {step: {reason: n_docs}}; marked: the same for steps that only look;
    histograms: {value: {bin: n_docs}}; routed: {step: n_docs a `for:` route let pass untouched}.
    """

    n_read: int = 0
    n_kept: int = 0
    bytes_read: int = 0
    bytes_kept: int = 0
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)
    dropped_bytes: dict[str, dict[str, int]] = field(default_factory=dict)
    marked: dict[str, dict[str, int]] = field(default_factory=dict)
    routed: dict[str, int] = field(default_factory=dict)
    histograms: dict[str, dict[int, int]] = field(default_factory=dict)
    labels: dict[str, dict[str, int]] = field(default_factory=dict)
    domains: dict[str, int] = field(default_factory=dict)

    def drop(self, step: str, reason: str, n_docs: int = 1, *, n_bytes: int = 0) -> None:
        """Count `n_docs` documents dropped by `step` for `reason`."""
        if n_docs:
            _add(self.dropped.setdefault(step, {}), reason, n_docs)
            _add(self.dropped_bytes.setdefault(step, {}), reason, n_bytes)

    def mark(self, step: str, reason: str, n_docs: int = 1) -> None:
        """Count documents a marking step would have dropped."""
        if n_docs:
            _add(self.marked.setdefault(step, {}), reason, n_docs)

    def observe(self, value: str, numbers: npt.NDArray[np.int64]) -> None:
        """Add one value of many documents to its histogram."""
        bins = self.histograms.setdefault(value, {})
        counts = np.bincount(bin_of(numbers), minlength=1)
        for b in np.flatnonzero(counts).tolist():
            bins[b] = bins.get(b, 0) + int(counts[b])

    def label(self, column: str, names: Iterable[str], counts: Iterable[int]) -> None:
        """Add counts of a column of labels, such as languages."""
        table = self.labels.setdefault(column, {})
        for name, n in zip(names, counts, strict=True):
            _add(table, name, n)

    @property
    def n_dropped(self) -> int:
        """Documents dropped, over all steps and reasons."""
        return sum(sum(reasons.values()) for reasons in self.dropped.values())

    def check(self, where: object) -> None:
        """Raises: AccountError unless every document read is kept or dropped with a reason."""
        if self.n_read != self.n_kept + self.n_dropped:
            raise AccountError(
                f"{where}: read {self.n_read}, kept {self.n_kept}, dropped {self.n_dropped}: documents were lost or "
                "counted twice. This is a bug in a stage; its output must not be used. Please report it."
            )

    def __add__(self, other: Tally) -> Tally:
        """The sum; the operands stay as they are."""
        total = Tally()
        total.add(self)
        total.add(other)
        return total

    def add(self, other: Tally) -> None:
        """Add another tally to this one, in place."""
        for name in ("n_read", "n_kept", "bytes_read", "bytes_kept"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("dropped", "dropped_bytes", "marked", "histograms", "labels"):
            mine = getattr(self, name)
            for key, table in getattr(other, name).items():
                for item, n in table.items():
                    _add(mine.setdefault(key, {}), item, n)
        for name in ("routed", "domains"):
            for key, n in getattr(other, name).items():
                _add(getattr(self, name), key, n)

    def as_json(self) -> dict[str, Any]:
        """The tally as receipts spell it; only the heaviest domains are kept, ties by name."""
        heaviest = sorted(self.domains.items(), key=lambda item: (-item[1], item[0]))[:MAX_DOMAINS]
        return {
            "bytes_kept": self.bytes_kept,
            "bytes_read": self.bytes_read,
            "domains": dict(heaviest),
            "dropped": {s: dict(r) for s, r in self.dropped.items()},
            "dropped_bytes": {s: dict(r) for s, r in self.dropped_bytes.items()},
            "histograms": {v: {str(b): n for b, n in bins.items()} for v, bins in self.histograms.items()},
            "labels": {c: dict(t) for c, t in self.labels.items()},
            "marked": {s: dict(r) for s, r in self.marked.items()},
            "n_kept": self.n_kept,
            "n_read": self.n_read,
            "routed": dict(self.routed),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Tally:
        """The tally a receipt spells."""

        def copied(name: str) -> dict[str, dict[str, int]]:
            return {key: dict(table) for key, table in value[name].items()}

        return cls(
            n_read=value["n_read"],
            n_kept=value["n_kept"],
            bytes_read=value["bytes_read"],
            bytes_kept=value["bytes_kept"],
            dropped=copied("dropped"),
            dropped_bytes=copied("dropped_bytes"),
            marked=copied("marked"),
            routed=dict(value["routed"]),
            histograms={v: {int(b): n for b, n in table.items()} for v, table in value["histograms"].items()},
            labels=copied("labels"),
            domains=dict(value["domains"]),
        )


def _add(table: dict[Any, int], key: Any, n: int) -> None:
    table[key] = table.get(key, 0) + n


@dataclass(frozen=True, slots=True)
class Receipt:
    """One finished task.

    key: the task's key; step: the step's name; step_key: its key; unit: what the task was given (a label);
    ordinal: the task's place in its step's axis; outputs: role -> file (`part`, `dropped`, `verdict`, ...);
    facts: what later tasks and manifests need to know (counts by partition, say), canonical JSON.
    """

    key: str
    step: str
    step_key: str
    unit: str
    ordinal: int
    tally: Tally
    outputs: dict[str, FileRef]
    facts: dict[str, Any] = field(default_factory=dict)

    def sealed(self) -> bytes:
        """The receipt's bytes.

        Raises: AccountError when the account does not balance.
        """
        self.tally.check(f"{self.step} {self.unit}")
        return seal(
            {
                "facts": self.facts,
                "format": "quern.receipt",
                "key": self.key,
                "ordinal": self.ordinal,
                "outputs": {role: ref.as_json() for role, ref in self.outputs.items()},
                "step": self.step,
                "step_key": self.step_key,
                "tally": self.tally.as_json(),
                "unit": self.unit,
                "version": VERSION,
            }
        )

    @classmethod
    def from_json(cls, value: dict[str, Any], where: object) -> Receipt:
        """A receipt from its verified value.

        Raises: FormatError for another format or version; AccountError when the account does not balance.
        """
        if (value.get("format"), value.get("version")) != ("quern.receipt", VERSION):
            raise FormatError(
                f"{where}: expected quern.receipt version {VERSION}, found {value.get('format')!r}."
            )
        tally = Tally.from_json(value["tally"])
        tally.check(where)
        outputs = {role: FileRef.from_json(ref) for role, ref in value["outputs"].items()}
        names = ("key", "step", "step_key", "unit", "ordinal", "facts")
        return cls(tally=tally, outputs=outputs, **{n: value[n] for n in names})

    def write(self, root: Path) -> FileRef:
        """Commit the receipt; from now on the task is done."""
        return commit_bytes(root, receipt_path(self.key), self.sealed())

    @classmethod
    def read(cls, root: Path, key: str) -> Receipt | None:
        """The receipt of task `key`, or None where the task is not done.

        Raises: FormatError, DigestError when it is damaged.
        """
        path = root / receipt_path(key)
        return cls.from_json(read_sealed(path), path) if path.exists() else None

    def verifies(self, root: Path, *, deep: bool = False) -> bool:
        """Whether every output is there with its size (and with `deep` its digest)."""
        for ref in self.outputs.values():
            path = root / ref.path
            if not path.exists() or path.stat().st_size != ref.size:
                return False
            if deep:
                ref.check(root, deep=True)
        return True


def receipt_path(key: str) -> str:
    """Where the receipt of task `key` stands until its step is complete."""
    return f"receipts/{key}.json"


def write_pack(root: Path, step_key: str, receipts: Iterable[Receipt]) -> FileRef:
    """Commit all receipts of a complete step as one file, a sealed line each, in the order of their units."""
    lines = b"".join(r.sealed() for r in sorted(receipts, key=lambda r: (r.ordinal, r.key)))
    return commit_bytes(root, f"receipts/{step_key}.jsonl", lines)


def read_pack(path: Path) -> Iterator[Receipt]:
    """The receipts of a packed step, each verified.

    Raises: FormatError, DigestError, AccountError.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            where = f"{path}:{number}"
            yield Receipt.from_json(unseal(line, where), where)
