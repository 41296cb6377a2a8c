"""The path a person meant: the nearest that is there to one that is not.

    boks.jsonl        books.jsonl       each part of a path is held against the names in its folder
    crwl/*.warc.gz    crawl/*.warc.gz   what stands before a wildcard as well
    crawl/*.warc      crawl/*.warc.gz   and what stands around one, if a file is found so
    crwl/**/*.gz      crawl/**/*.gz     of a tree, which is never walked, the rest as it is written

An ending makes no name near: without it, `mix.json` and `tok.json` have nothing in common.

Price: for each part that is not there, one list of at most 4,096 names. Addresses are never asked for.
"""

from __future__ import annotations

import fnmatch
import itertools
import os
import re
from collections.abc import Callable, Iterable
from difflib import SequenceMatcher
from pathlib import Path

__all__ = ["did_you_mean_path", "found_at", "names_in"]

Fits = Callable[[Path], bool]

_MOST_NAMES = 4096
_MOST_TRIED = 16
_NEAR = 0.6
_WILDCARD = re.compile(r"[*?\[]")
_AROUND_WILDCARDS = re.compile(r"([^*?\[]*)(.*[*?\]])(.*)")
_ENDING = re.compile(r"(?<=.)(\.[a-z][a-z0-9]*)+$")


def did_you_mean_path(written: str, folder: Path = Path(), *, fits: Fits = Path.is_file) -> str:
    """Returns `; did you mean "x"?` with the path nearest to `written`, spelt like it, or nothing if none is near.

    folder: from which it is taken; fits: whether a path that is there could be meant.
    """
    parts = written.rstrip("/").split("/")
    try:
        found = "" if "://" in written else _nearest(parts, folder, fits)
    except OSError:  # a name too long, or a folder that may not be entered
        found = ""
    return f'; did you mean "{found}"?' if found not in ("", "/".join(parts)) else ""


def found_at(written: str, folder: Path = Path()) -> str:
    """Returns `found a folder at "x"`, or what else is there where something else was expected."""
    path = folder / written
    kinds = (
        (Path.is_dir, "a folder"),
        (Path.is_file, "a file"),
        (Path.exists, "neither a file nor a folder"),
    )
    found = next((kind for is_it, kind in kinds if written and is_it(path)), "nothing")
    return f'found {found} at "{written}"'


def names_in(folder: Path) -> list[str]:
    """Returns the names in a folder, sorted: 4,096 at most, none of a folder that cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in itertools.islice(entries, _MOST_NAMES)]
    except OSError:
        return []
    return sorted(name for name in names if name.isprintable())


def _nearest(parts: list[str], folder: Path, fits: Fits) -> str:
    wild = next((i for i, part in enumerate(parts) if _WILDCARD.search(part)), None)
    spelt = ""
    for part in parts[:-1] if wild is None else parts[:wild]:
        near = _near_name(part, folder / spelt, Path.is_dir)
        if near is None:
            return ""
        spelt += f"{near}/"
    if wild is None:
        last = _near_name(parts[-1], folder / spelt, fits)
        return f"{spelt}{last}" if last else ""
    is_other = spelt != "".join(f"{part}/" for part in parts[:wild])
    pattern = _near_pattern(parts[wild:], folder / spelt, fits, was_looked_for=not is_other)
    is_tree = len(parts) - wild > 1
    if pattern is None and is_other and is_tree:
        return spelt + "/".join(parts[wild:])
    return f"{spelt}{pattern}" if pattern else ""


def _near_name(name: str, folder: Path, fits: Fits) -> str | None:
    """Returns the name itself where it fits, else the nearest one beside it that does."""
    if name in ("", ".", "..") or fits(folder / name):
        return name
    nearness = {each: _nearness(name, each) for each in _visible(folder, name) if each != name}
    ranked = sorted((each for each in nearness if nearness[each]), key=lambda each: -nearness[each])
    return next((each for each in ranked[:_MOST_TRIED] if fits(folder / each)), None)


def _visible(folder: Path, beside: str) -> Iterable[str]:
    """Returns the names in a folder without hidden ones, unless that is what is looked for."""
    return (name for name in names_in(folder) if beside.startswith(".") or not name.startswith("."))


def _nearness(name: str, other: str) -> float:
    """Returns how near two names are, 0 for far-off ones: the first part of each decides, then the whole.

    >>> [round(_nearness("tok.json", other), 1) for other in ("tokenizer.json", "toc.json", "mix.json")]
    [1.2, 1.5, 0.0]
    """
    name, other = name.lower(), other.lower()
    stem, its = (_ENDING.sub("", each) for each in (name, other))
    if not its.startswith(stem) and _is_far(stem, its):  # most names of a large folder
        return 0.0
    whole, begun = _ratio(name, other), _ratio(stem, its)
    is_begun = len(stem) >= 3 and its.startswith(stem) and whole >= _NEAR
    is_near = min(len(stem), len(its)) >= 2 and begun >= _NEAR
    return whole + begun if is_near or is_begun or stem == its else 0.0


def _near_pattern(parts: list[str], folder: Path, fits: Fits, *, was_looked_for: bool) -> str | None:
    """Returns the pattern where it finds something, else the nearest that does; None where a tree hides that.

    was_looked_for: whether it is known to find nothing, however deep.
    """
    *above, last = parts
    if above not in ([], ["**"]):
        return None
    names = [*_visible(folder, last)]
    patterns = _patterns(last, names) if was_looked_for or not above else [last]

    def finds(pattern: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) and fits(folder / name) for name in names)

    found = next((pattern for pattern in patterns if finds(pattern)), None)
    return None if found is None else "/".join([*above, found])


def _patterns(pattern: str, names: list[str]) -> list[str]:
    """Returns a pattern and those near it that are made with the beginnings and endings of names, nearest first."""
    around = _AROUND_WILDCARDS.fullmatch(pattern)
    if around is None:  # an opening bracket alone
        return [pattern]
    head, wild, tail = around.groups()
    near = {
        f"{beginning}{wild}{ending}": min(by_head, by_tail)
        for beginning, by_head in _near_to(head, _beginnings(names, len(head)))
        for ending, by_tail in _near_to(tail, _endings(names))
    }
    return sorted(near, key=lambda each: -near[each])


def _near_to(piece: str, others: Iterable[str]) -> list[tuple[str, float]]:
    """Returns a piece of a pattern and what is near it, each with how near; there is none near nothing."""
    nearness = {each: _ratio(piece, each) for each in sorted({*others})} if piece else {}
    ranked = sorted(nearness, key=lambda each: -nearness[each])[:_MOST_TRIED]
    return [(piece, 1.0), *((each, nearness[each]) for each in ranked if nearness[each] >= _NEAR)]


def _beginnings(names: Iterable[str], n_chars: int) -> Iterable[str]:
    return (name[:n] for name in names for n in (n_chars - 1, n_chars, n_chars + 1) if n > 0)


def _endings(names: Iterable[str]) -> Iterable[str]:
    parts = (name.split(".")[1:] for name in names)
    return ("".join(f".{each}" for each in part[-n:]) for part in parts for n in (1, 2))


def _is_far(one: str, other: str) -> bool:
    """Returns whether two names share too few characters to be near, in whatever order those stand."""
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.real_quick_ratio() < _NEAR or matcher.quick_ratio() < _NEAR


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one.lower(), other.lower(), autojunk=False).ratio()
