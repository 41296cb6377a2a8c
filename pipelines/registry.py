"""From the name in a recipe to the class behind it, imported only when a recipe names it.

    "minhash"               ->  pipelines.dedup.minhash:MinHash
    "./rules.py:TooMany"    ->  a class of the stage contract in the user's own file
    "./rules.py:score"      ->  a function text -> float, made a rule with `min` and `max`
    "./files.py:lines"      ->  under `read`: a function path -> rows, made a reader (`read/own.py`)

A user's file is code: it is run only where the caller allows it, and its digest goes into the step's key.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
import types
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from traceback import extract_tb
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from manifests.digest import digest_file
from manifests.errors import RecipeError
from manifests.mistakes import did_you_mean
from manifests.nearby import did_you_mean_path
from pipelines import heartbeat
from pipelines.batch import Batch, Values
from pipelines.filters.limits import refuse_crossed
from pipelines.read.own import calling, reader_of
from pipelines.stage import Read, Rewrite, Rule, Stage, Verdicts, first_failing

__all__ = [
    "READERS",
    "RULE_SETS",
    "SAVE",
    "STAGES",
    "Scored",
    "reader_class",
    "stage_class",
    "user_class",
    "user_file",
    "user_reader",
]

READERS = {
    "code": "pipelines.read.code:Code",
    "gutenberg": "pipelines.read.gutenberg:Gutenberg",
    "jsonl": "pipelines.read.jsonl:Jsonl",
    "parquet": "pipelines.read.parquet:Parquet",
    "warc": "pipelines.read.warc:Warc",
    "wet": "pipelines.read.wet:Wet",
}
STAGES = {
    "book_catalogue": "pipelines.filters.catalogue:BookCatalogue",
    "c4_bad_words": "pipelines.filters.bad_words:C4BadWords",
    "c4_lines": "pipelines.filters.c4:C4Lines",
    "c4_paragraphs": "pipelines.filters.paragraphs:C4Paragraphs",
    "c4_quality": "pipelines.filters.c4:C4Quality",
    "decontaminate": "pipelines.decontaminate:Decontaminate",
    "editions": "pipelines.dedup.editions:Editions",
    "exact": "pipelines.dedup.exact:Exact",
    "exact_lines": "pipelines.dedup.exact_lines:ExactLines",
    "extract": "pipelines.extract:Extract",
    "fineweb_quality": "pipelines.filters.fineweb:FineWebQuality",
    "gopher_quality": "pipelines.filters.gopher:GopherQuality",
    "gopher_repetition": "pipelines.filters.gopher:GopherRepetition",
    "language": "pipelines.filters.language:Language",
    "minhash": "pipelines.dedup.minhash:MinHash",
    "pii": "pipelines.filters.pii:Pii",
    "url": "pipelines.filters.url:Url",
}
RULE_SETS = {"c4": ("c4_lines", "c4_quality"), "fineweb": ("fineweb_quality",)}
"""What a recipe calls the rules of one paper -> the steps they are; each takes what of the parameters is its own."""
SAVE = "save"


def reader_class(name: str) -> type[Read]:
    """Returns the reader that a recipe calls `name`.

    Raises: RecipeError with the nearest spelling.
    """
    found = _named(name, READERS, "a reader")
    assert issubclass(found, Read)
    return found


def stage_class(name: str) -> type[Stage]:
    """Returns the stage that a recipe calls `name`.

    Raises: RecipeError with the nearest spelling.
    """
    return _named(name, STAGES, "a stage", (*RULE_SETS, SAVE))


def _named(name: str, table: dict[str, str], what: str, others: Sequence[str] = ()) -> type[Stage]:
    """others: names that stand for something else where a recipe has one of the table."""
    if name not in table:
        known = sorted([*table, *others])
        raise RecipeError(f'expected {what} ({", ".join(known)}), got "{name}"{did_you_mean(name, known)}')
    module, _, attribute = table[name].partition(":")
    found: type[Stage] = getattr(importlib.import_module(module), attribute)
    return found


# --- a user's own ----------------------------------------------------------------------------------


def user_file(use: str, folder: Path) -> Path:
    """Returns the file of `FILE.py:Name`, taken from the recipe's folder.

    Raises: RecipeError if `use` is not of that form or there is no such file.
    """
    file, colon, name = use.rpartition(":")
    if not colon or not file.endswith(".py") or not name.isidentifier():
        raise RecipeError(f'expected use: ./FILE.py:Name, got "{use}"')
    if not (folder / file).is_file():
        near = did_you_mean_path(file, folder, fits=lambda path: path.suffix == ".py" and path.is_file())
        raise RecipeError(f'expected a file, found nothing at "{file}"{near}')
    return folder / file


def user_class(use: str, folder: Path) -> type[Stage]:
    """Returns the stage behind `FILE.py:Name`. Runs the file: ask the user first.

    Raises: RecipeError if the file has no such class or function.
    """
    name, found = _of_users(use, folder, _is_step, "a stage class or a function text -> float")
    if _is_step(found) and issubclass(found, Rewrite) and found.rewrite is Rewrite.rewrite:
        raise RecipeError(f"expected a method `rewrite(batch) -> Rewritten` of {name}, found none")
    return _scored_class(found, name) if _is_function(found) else found


def user_reader(use: str, folder: Path) -> type[Read]:
    """Returns the reader behind `FILE.py:Name`. Runs the file: ask the user first.

    Raises: RecipeError if the file has no such class or function.
    """
    name, found = _of_users(use, folder, _is_reader, "a reader class or a function path -> rows")
    return reader_of(found, name) if _is_function(found) else found


def _of_users(use: str, folder: Path, fits: Callable[[Any], bool], what: str) -> tuple[str, Any]:
    """Returns the name that is meant in a user's file, and what bears it: a class that fits, or a function.

    Raises: RecipeError, which says `what` was expected, if the file has neither under this name.
    """
    module, name, file = _loaded(use, folder)
    found: Any = getattr(module, name, None)
    if fits(found) or _is_function(found):
        return name, found
    raise RecipeError(
        f"expected {what} named {name} in {file}, found none{did_you_mean(name, _names_of(module, fits))}"
    )


def _is_step(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, Stage) and not issubclass(found, Read)


def _is_reader(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, Read)


def _is_function(found: Any) -> bool:
    return callable(found) and not isinstance(found, type)


def _names_of(module: types.ModuleType, is_kind: Callable[[Any], bool]) -> list[str]:
    """Returns what can be used of a user's file: its own functions, and its own classes of a kind."""
    own = {
        name: one for name, one in vars(module).items() if getattr(one, "__module__", "") == module.__name__
    }
    return [name for name, one in own.items() if is_kind(one) or _is_function(one)]


def _loaded(use: str, folder: Path) -> tuple[types.ModuleType, str, str]:
    """Returns a user's file as a module, the name that is meant in it, and the file's.

    Raises: RecipeError for a file that fails when it is run, whatever it raises or if it wants to exit.
    """
    path = user_file(use, folder)
    digest = digest_file(path)
    try:
        module = _module(path, digest)
    except MemoryError:
        raise
    except (Exception, SystemExit) as error:
        lines = [
            each.lineno for each in extract_tb(error.__traceback__) if Path(each.filename) == path.absolute()
        ]
        line = f" (line {lines[-1]})" if lines else ""
        raise RecipeError(
            f"expected a file that can be imported, got {type(error).__name__} from {path.name}: {error}{line}"
        ) from error
    return module, use.rpartition(":")[2], path.name


@cache
def _module(path: Path, digest: str) -> types.ModuleType:
    """Runs a user's file, once for each content, under a name that shadows nothing."""
    name = f"quern_user_{path.stem}_{digest[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks annotations up there
    spec.loader.exec_module(module)
    return module


class Scored(Rule):
    """A user's function of one text, made a rule: the score must lie in [min, max]. Slow: one call a document."""

    name: ClassVar[str] = "scored"
    version: ClassVar[int] = 1
    reasons: ClassVar[tuple[str, ...]] = ("no_score", "score_too_low", "score_too_high")

    score: ClassVar[Callable[[str], float]]

    min: float | None = None
    """Documents with a lower score are dropped."""
    max: float | None = None
    """Documents with a higher score are dropped."""

    @model_validator(mode="after")
    def _limits_can_be_met(self) -> Scored:
        refuse_crossed(self, "min", "max")
        return self

    def numbers(self) -> tuple[str, ...]:
        """The score."""
        return ("score",)

    def measure(self, batch: Batch) -> dict[str, npt.NDArray[Any]]:
        """score: float64[n_docs]; not a number where the function gives none."""
        function, scores = type(self).score, np.full(len(batch), math.nan)
        for row, text in enumerate(batch.column("text")):
            heartbeat.at(int(batch.ordinals[row]))
            with calling(function, f"on document {row} of its batch"):
                scores[row] = function(text.as_py())
        return {"score": scores}

    def decide(self, values: Values) -> Verdicts:
        """Drops by the limits that are set."""
        scores = np.asarray(values["score"], dtype=np.float64)
        low = scores < self.min if self.min is not None else np.zeros(len(scores), dtype=bool)
        high = scores > self.max if self.max is not None else np.zeros(len(scores), dtype=bool)
        return first_failing(len(scores), [np.isnan(scores), low, high])

    def limits(self) -> dict[str, tuple[str, str]]:
        """The score beside the bounds that are set."""
        low = {} if self.min is None else {"score_too_low": ("score", f">= {self.min}")}
        return low if self.max is None else {**low, "score_too_high": ("score", f"<= {self.max}")}


def _scored_class(function: Callable[[str], float], name: str) -> type[Scored]:
    own = {"name": name, "score": staticmethod(function), "__module__": __name__, "__qualname__": name}
    return types.new_class(name, (Scored,), exec_body=lambda body: body.update(own))
