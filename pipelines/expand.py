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
from manifests.nearby import did_you_mean_path, found_at, names_in
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

    Raises: YamlError with every entry that stands for nothing, or for what is no benchmark's file, at its place.
    """
    found: list[Any] = []
    mistakes = []
    for i, pattern in enumerate(patterns):
        names, mistake = _meant(reading, pattern, of_corpora=of_corpora)
        found += names
        if mistake:
            mistakes.append(f"{reading.positions.where((*loc, i))}: {mistake}")
    if mistakes:
        raise YamlError(*mistakes)
    return found


def _meant(reading: Reading, pattern: Any, *, of_corpora: bool) -> tuple[list[Any], str]:
    """Returns what an entry stands for, and what is wrong with it."""
    if not isinstance(pattern, str):  # which its type will refuse
        return [pattern], ""
    of_name = not of_corpora and is_name(pattern) and not (reading.folder / pattern).is_file()
    names = named_files(reading.folder, pattern) if of_name else _matching(reading, pattern)
    if of_corpora and names != [pattern]:
        names = _corpora(reading, pattern, names)
    if not names:
        said = _corpus_text if of_corpora else _benchmark_text if of_name else _file_text
        return [], said(reading, pattern)
    return names, "" if of_corpora else _unread_text(reading, names)


def _matching(reading: Reading, pattern: str) -> list[str]:
    # A corpus may be named by its digest too: DIR@a1b2c3.
    paths = {pattern, pattern.rpartition("@")[0] or pattern}
    if any((reading.folder / path).exists() for path in paths):
        return [pattern]
    return sorted(glob.glob(pattern, root_dir=reading.folder, recursive=True))


def _unread_text(reading: Reading, names: Sequence[str]) -> str:
    """What is expected in place of the first name that is no benchmark's file; nothing where all are."""
    for name in names:
        if name and (reading.folder / name).is_dir():
            return _folder_text(reading, name)
        if not name.endswith(SUFFIXES):
            kinds = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
            return f'expected a file to compare with, in {kinds}, got "{name}"; convert it first, or leave it out'
    return ""


def _folder_text(reading: Reading, name: str) -> str:
    inside = names_in(reading.folder / name)
    found = [suffix for suffix in SUFFIXES if any(each.endswith(suffix) for each in inside)]
    patterns = " and ".join(f'"{name.rstrip("/")}/*{suffix}"' for suffix in found)
    instead = f"; write {patterns} for the files in it" if found else ""
    return f"expected a file to compare with, {found_at(name, reading.folder)}{instead}"


def _corpus_text(reading: Reading, pattern: str) -> str:
    """What is expected of a pattern that finds no corpus; of DIR@digest the folder is what is not there."""

    def is_another(path: Path) -> bool:
        return _is_corpus(path, pattern) and not _is_built(reading, path)

    near = did_you_mean_corpus(pattern, reading.folder, fits=is_another)
    return f'expected a folder with a corpus.json to compare with, found nothing at "{pattern}"{near}'


def _benchmark_text(reading: Reading, name: str) -> str:
    if (reading.folder / name).is_dir():
        return _folder_text(reading, name)
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
