"""What tests of decontamination share: benchmark files, an item, and what a build says of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.decontaminate import benchmark_report
from tests.harness_gather import Result

DUCKS = (
    "Janet's ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins for her "
    "friends every day with four."
)


def write_items(path: Path, values: Sequence[Any]) -> None:
    """A JSONL file with a line a value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(value) + "\n" for value in values))


def report(result: Result) -> dict[str, dict[str, Any]]:
    """What the corpus manifest says of each benchmark."""
    return benchmark_report(result.tasks["index"][0].facts, [t.facts for t in result.tasks["verdict"]])
