"""What `against` stands for: a glob or a benchmark's name is replaced by the files and corpora that it finds.

    minhash: {against: ["corpora/2026-*"]}              ->  corpora/2026-09, corpora/2026-10
    decontaminate: {against: [mmlu, "bench/*.jsonl"]}   ->  benchmarks/mmlu/test.jsonl, bench/one.jsonl, bench/two.jsonl

A key holds what was found, so the same glob is another step where it finds another file.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manifests.corpus import did_you_mean_corpus
from manifests.nearby import did_you_mean_path
from manifests.yamlfile import Loc, YamlError
from pipelines.decontaminate.benchmarks import SUFFIXES
from pipelines.decontaminate.named import HOME, is_name, named_files, near_name
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
            said = _corpus_text if of_corpora else _benchmark_text if of_name else _file_text
            mistakes.append(f"{place}: {said(reading, pattern)}")
        found += names
    if mistakes:
        raise YamlError(*mistakes)
    return found


def _corpus_text(reading: Reading, pattern: str) -> str:
    """What is expected of a pattern that finds no corpus; of DIR@digest the folder is what is not there."""

    def is_another(path: Path) -> bool:
        return _is_corpus(path, pattern) and not _is_built(reading, path)

    near = did_you_mean_corpus(pattern, reading.folder, fits=is_another)
    return f'expected a folder with a corpus.json to compare with, found nothing at "{pattern}"{near}'


def _benchmark_text(reading: Reading, name: str) -> str:
    instead = near_name(reading.folder, name) or "; put the benchmark there, none comes with Quern"
    return f'expected a file to compare with, found nothing at "{HOME}/{name}"{instead}'


def _file_text(reading: Reading, pattern: str) -> str:
    def is_benchmark(path: Path) -> bool:
        return path.name.endswith(SUFFIXES) and path.is_file()

    near = did_you_mean_path(pattern, reading.folder, fits=is_benchmark)
    return f'expected a file to compare with, found nothing at "{pattern}"{near}'


def _corpora(reading: Reading, pattern: str, names: Sequence[str]) -> list[str]:
    """Returns those of the names a glob found that are finished corpora, but for those of the store that is built.

    They are folders with a corpus.json, and files where the glob ends in .json and so means manifests.
    """
    paths = {name: reading.folder / name for name in names}
    return [name for name, path in paths.items() if _is_corpus(path, pattern) if not _is_built(reading, path)]


def _is_corpus(path: Path, pattern: str) -> bool:
    return (path / "corpus.json").is_file() or (pattern.endswith(".json") and path.is_file())


def _is_built(reading: Reading, path: Path) -> bool:
    return reading.out is not None and is_of_store(path, reading.out)
