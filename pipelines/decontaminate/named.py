"""Benchmarks by name: the files that a recipe's folder keeps of them.

    decontaminate: {against: [mmlu, gsm8k]}

    benchmarks/mmlu/dev.csv           both files, in order, for `mmlu`
    benchmarks/mmlu/test/law.csv
    benchmarks/gsm8k.jsonl.gz         for `gsm8k`
    benchmarks/mmlu/LICENSE           no benchmark's suffix: left out

No benchmark comes with Quern: what a name stands for is in the recipe's folder, its digest in the manifest.
"""

from __future__ import annotations

import re
from pathlib import Path

from manifests.mistakes import did_you_mean
from manifests.nearby import names_in
from pipelines.decontaminate.benchmarks import SUFFIXES

__all__ = ["HOME", "is_name", "named_files", "near_name"]

HOME = "benchmarks"
_NAME = re.compile(r"[\w-]+")


def is_name(text: str) -> bool:
    """Whether it is a bare name: no place, wildcard or suffix."""
    return _NAME.fullmatch(text) is not None


def named_files(folder: Path, name: str) -> list[str]:
    """The files of a benchmark, in order, from the recipe's folder on; [] where it keeps none."""
    home = folder / HOME
    found = [file for file in (home / name).rglob("*") if file.name.endswith(SUFFIXES) and file.is_file()]
    found += [file for suffix in SUFFIXES if (file := home / f"{name}{suffix}").is_file()]
    return sorted(file.relative_to(folder).as_posix() for file in found)


def near_name(folder: Path, name: str) -> str:
    """`; did you mean "gsm8k"?` with the benchmark of the nearest name that the recipe's folder keeps, or nothing."""
    names = {each.removesuffix(next(filter(each.endswith, SUFFIXES), "")) for each in names_in(folder / HOME)}
    near = [each for each in names if is_name(each) and did_you_mean(name, [each])]
    return did_you_mean(name, (each for each in near if named_files(folder, each)))
