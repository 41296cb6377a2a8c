"""The files of a dataset folder, as the Hugging Face Hub lays them out: by its README, else by their names.

    README.md: configs: [{config_name: de, data_files: [{split: train, path: "de/*.parquet"}]}]     de, train: de/...
    data/train-00000-of-00010.parquet, data/test-00000-of-00001.parquet                             splits by name
    de/train/0000.parquet, fr/train/0000.parquet                                                    folders as configs

A split is what `data/NAME-00000-of-00010` says; else the word in the nearest of file and folders that is a split's
(train, training; validation, valid, dev, val; test, testing, eval, evaluation); else `train`. Data files are Parquet
and JSON Lines, packed or not; the hub's own JSON (dataset_infos.json, config.json, ...) is none. Nothing is opened
but the README; a script that loads a dataset is not run.

Source: https://huggingface.co/docs/hub/datasets-file-names-and-splits and datasets-manual-configuration.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from manifests.errors import RecipeError
from manifests.mistakes import did_you_mean
from manifests.yamlfile import YamlError, parse_yaml

__all__ = ["ALL", "dataset_files"]

ALL = "all"
_DATA = re.compile(r"\.(parquet|(?:jsonl|ndjson|json)(?:\.(?:gz|bz2|xz|zst))?)$", re.IGNORECASE)
# What the hub and its `datasets` write beside the data; a README that means one names it.
_BESIDE = frozenset(
    {
        "README.md",
        "LICENSE",
        "config.json",
        "dataset_dict.json",
        "dataset_info.json",
        "dataset_infos.json",
        "state.json",
    }
)
_SHARD = re.compile(r"(?:.*/)?data/([\w.]+)-[0-9]{5}-of-[0-9]{5}[^/]*")
_WORDS = {
    "train": "train|training",
    "validation": "validation|valid|dev|val",
    "test": "test|testing|eval|evaluation",
}
_SPLITS = {name: re.compile(rf"(?:^|[-._ 0-9])(?:{words})(?:[-._ 0-9]|$)") for name, words in _WORDS.items()}
_HEAD = re.compile(r"\A---\n(.*?\n)---\n", re.DOTALL)


def dataset_files(folder: Path, *, config: str | None, split: str) -> list[str]:
    """The files of one split (`all`: of every one) of one configuration, as sorted paths below `folder`.

    Raises: RecipeError that lists what there is instead.
    """
    written = _configs(folder)
    splits = _written_splits(folder, written, config) if written else _named_splits(folder, config)
    if split != ALL and split not in splits:
        known = ", ".join(sorted(splits)) or "none"
        raise RecipeError(
            f'expected a split of the dataset ({known}), got "{split}"{did_you_mean(split, splits)}'
        )
    found = sorted({path for name, paths in splits.items() if split in (ALL, name) for path in paths})
    formats = {"Parquet" if path.lower().endswith(".parquet") else "JSON Lines" for path in found}
    if len(formats) != 1:
        what = " and ".join(sorted(formats)) or "no data files"
        raise RecipeError(
            f"expected data files of one format, found {what}; name the files by patterns instead"
        )
    return found


def _configs(folder: Path) -> list[Mapping[str, Any]]:
    """The `configs` of the README's head; empty where it has none."""
    readme = folder / "README.md"
    head = _HEAD.match(_text(readme)) if readme.is_file() else None
    if head is None:
        return []
    try:
        value, _ = parse_yaml(head.group(1), file=str(readme))
    except YamlError as error:
        raise RecipeError(
            f"{error}. Which files are the dataset's is not known; name them by patterns"
        ) from error
    configs = value.get("configs") if isinstance(value, dict) else None
    known = [c for c in configs or [] if isinstance(c, dict)] if isinstance(configs, list) else []
    return [c for c in known if "data_files" in c or "data_dir" in c]


def _text(readme: Path) -> str:
    try:
        return readme.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{readme}: expected UTF-8, got {error}. Which files are the dataset's is not known; save it as UTF-8, or "
            "name them by patterns"
        ) from None


def _written_splits(
    folder: Path, configs: list[Mapping[str, Any]], config: str | None
) -> dict[str, list[str]]:
    chosen = _chosen(configs, config)
    if "data_files" not in chosen:
        return _splits_by_name(_data_below(folder, _inside(str(chosen["data_dir"]))))
    base = folder / _inside(str(chosen.get("data_dir", "")))
    splits: dict[str, list[str]] = {}
    for name, pattern in _patterns(chosen["data_files"]):
        splits.setdefault(name, []).extend(_matching(folder, base, pattern))
    return splits


def _chosen(configs: list[Mapping[str, Any]], config: str | None) -> Mapping[str, Any]:
    names = {str(c.get("config_name", "default")): c for c in configs}
    marked = [name for name, c in names.items() if c.get("default") is True or name == "default"]
    wanted = config or (marked or list(names))[0]
    if wanted not in names or (config is None and not marked and len(names) > 1):
        got = f'"{config}"{did_you_mean(config, names)}' if config else "none: add  config: NAME"
        raise RecipeError(f"expected a configuration of the dataset ({', '.join(sorted(names))}), got {got}")
    return names[wanted]


def _patterns(data_files: Any) -> Iterator[tuple[str, str]]:
    """(split, pattern) of every form `data_files` may have."""
    if isinstance(data_files, dict):
        data_files = [{"split": name, "path": path} for name, path in data_files.items()]
    for entry in data_files if isinstance(data_files, list) else [data_files]:
        split, paths = (entry.get("split"), entry.get("path")) if isinstance(entry, dict) else (None, entry)
        for path in paths if isinstance(paths, list) else [paths]:
            yield str(split or "train"), str(path)


def _inside(path: str) -> str:
    """A path or pattern of the README, found to stay in the dataset's folder."""
    if "://" in path or ".." in PurePosixPath(path).parts or path.startswith("/"):
        raise RecipeError(f'expected data files inside the dataset\'s folder, got "{path}" in its README')
    return path


def _matching(folder: Path, base: Path, pattern: str) -> list[str]:
    if (base / _inside(pattern)).is_dir():
        pattern = glob.escape(pattern.rstrip("/")) + "/**/*"
    names = glob.glob(pattern, root_dir=base, recursive=True)
    files = [(base / name).relative_to(folder).as_posix() for name in names if (base / name).is_file()]
    if not files:
        raise RecipeError(f'expected data files like "{pattern}", as the dataset\'s README says, found none')
    beside = _BESIDE - {PurePosixPath(pattern).name}
    wanted = [file for file in files if PurePosixPath(file).name not in beside]
    for file in wanted:
        if not _DATA.search(file):
            raise RecipeError(
                f'expected Parquet or JSON Lines, got "{file}", which the dataset\'s README names as data. It would be '
                "missing without a word; name the files you want by patterns"
            )
    return wanted


def _named_splits(folder: Path, config: str | None) -> dict[str, list[str]]:
    if config in (None, "default"):
        return _splits_by_name(_data_below(folder, ""))
    folders = sorted(
        path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    if config not in folders:
        known = ", ".join(folders) or "none"
        raise RecipeError(
            f'expected a configuration, which is a folder of the dataset ({known}), got "{config}"'
            f"{did_you_mean(config, folders)}"
        )
    return _splits_by_name(_data_below(folder, str(config)))


def _data_below(folder: Path, inside: str) -> list[str]:
    names = glob.glob("**/*", root_dir=folder / inside, recursive=True)
    found = (PurePosixPath(inside, name) for name in names if _DATA.search(name))
    return [path.as_posix() for path in found if path.name not in _BESIDE and (folder / path).is_file()]


def _splits_by_name(paths: list[str]) -> dict[str, list[str]]:
    splits: dict[str, list[str]] = {}
    for path in paths:
        splits.setdefault(_split_of(path), []).append(path)
    return splits


def _split_of(path: str) -> str:
    """The split that a path names.

    >>> [_split_of(p) for p in ("data/aux-00000-of-00002.parquet", "de/dev.jsonl", "test/part1.json", "all.jsonl")]
    ['aux', 'validation', 'test', 'train']
    """
    if shard := _SHARD.fullmatch(path):
        return shard.group(1)
    for part in reversed(PurePosixPath(path).parts):
        for name, word in _SPLITS.items():
            if word.search(part.lower()):
                return name
    return "train"
