"""What `against` stands for: a glob or a benchmark's name is replaced by the files and corpora that it finds.

    minhash: {against: ["corpora/2026-*"]}              ->  corpora/2026-09, corpora/2026-10
    decontaminate: {against: [mmlu, "bench/*.jsonl"]}   ->  benchmarks/mmlu/test.jsonl, bench/one.jsonl, bench/two.jsonl

A key holds what was found, so the same glob is another step where it finds another file.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from manifests.yamlfile import Loc, YamlError
from pipelines.decontaminate.named import HOME, is_name, named_files
from pipelines.over_all import is_of_store

if TYPE_CHECKING:
    from pipelines.steps import Reading

__all__ = ["expanded"]


def expanded(reading: Reading, patterns: Sequence[Any], loc: Loc, *, of_corpora: bool) -> list[Any]:
    """Returns the files and folders that `against` names, globs and names replaced by what they stand for, in order.

    of_corpora: whether a glob stands for finished corpora alone, and no name for benchmarks.
    """
    found: list[Any] = []
    mistakes = []
    for i, pattern in enumerate(patterns):
        # A corpus may be named by its digest too: DIR@a1b2c3.
        exists = isinstance(pattern, str) and any(
            (reading.folder / path).exists() for path in {pattern, pattern.rpartition("@")[0] or pattern}
        )
        matches = isinstance(pattern, str) and not exists
        names = sorted(glob.glob(pattern, root_dir=reading.folder, recursive=True)) if matches else [pattern]
        of_name = isinstance(pattern, str) and not of_corpora and is_name(pattern)
        if of_name and not (reading.folder / pattern).is_file():
            names = named_files(reading.folder, pattern)
        if matches and of_corpora:
            names = _corpora(reading, pattern, names)
        if not names:
            place = reading.positions.where((*loc, i))
            what = "a folder with a corpus.json" if of_corpora else "a file"
            there = (
                f'"{HOME}/{pattern}"; put the benchmark there, none comes with Quern'
                if of_name
                else f'"{pattern}"'
            )
            mistakes.append(f"{place}: expected {what} to compare with, found nothing at {there}")
        found += names
    if mistakes:
        raise YamlError(*mistakes)
    return found


def _corpora(reading: Reading, pattern: str, names: Sequence[str]) -> list[str]:
    """Returns those of the names a glob found that are finished corpora, but for those of the store that is built.

    They are folders with a corpus.json, and files where the glob ends in .json and so means manifests.
    """
    paths = {name: reading.folder / name for name in names}
    return [
        name
        for name, path in paths.items()
        if (path / "corpus.json").is_file() or (pattern.endswith(".json") and path.is_file())
        if reading.out is None or not is_of_store(path, reading.out)
    ]
