"""The run's diary: one JSON line a step, evaluation and sample, with no step missing and none twice.

    metrics.jsonl   {"kind":"step","step":12,"row":384,"tokens":98304,"loss":5.01,...}
                    {"kind":"evaluate","step":12,"bpb":{"books":2.31},"macro":2.31,...}
    samples.jsonl   {"step":12,"prompt":"It is","text":" a truth"}

A line is written whole by one call as the step ends. Before a checkpoint the files are made durable, and when
a run goes on from step s all lines past s are cut off, a torn last one with them: so after any kill the lines
are those of one uninterrupted run. Loss is written with every digit that a float has.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, Self

from manifests.errors import FormatError

__all__ = ["Diary", "read_lines", "rewind"]


class Diary:
    """An append-only file of JSON lines.

    with Diary(run / "metrics.jsonl") as diary:
        diary.write({"kind": "step", "step": 1, "loss": 9.7})
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def write(self, line: dict[str, Any]) -> None:
        """Append one line; numbers that are not finite become null, which JSON can hold."""
        os.write(self._fd, json.dumps(_finite(line), ensure_ascii=False).encode() + b"\n")

    def sync(self) -> None:
        """Make all lines durable."""
        os.fsync(self._fd)


def rewind(path: Path, step: int) -> None:
    """Cut off the lines past `step` and a torn last line; a missing file stays missing."""
    if not path.exists():
        return
    kept = 0
    with path.open("rb") as file:
        for line in file:
            value = _parsed(line)
            if value is None or value["step"] > step:
                break
            kept += len(line)
    os.truncate(path, kept)


def read_lines(path: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The lines of a diary, of one `kind` if named; a torn last line is left out.

    Raises: FormatError for a damaged line before the last.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    values = [_parsed(line) for line in lines]
    if None in values[:-1]:
        raise FormatError(
            f"{path}:{values.index(None) + 1}: expected a JSON line, found other bytes. Plots would miss steps. "
            "Cut the file before that line; the run writes the rest again from its newest checkpoint."
        )
    return [v for v in values if v is not None and (kind is None or v.get("kind") == kind)]


def _parsed(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("step"), int) else None


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
