"""What the steps over all sources ask of the recipe around them: their place, their sources, a score, other corpora.

steps: [minhash: {keep: highest, score: gopher_qualty.n_words}]
        ^ refused: no step of any source has that name
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from manifests.corpus import find_manifest
from manifests.errors import RecipeError
from manifests.mistakes import did_you_mean, nearest
from manifests.yamlfile import REMEDY
from pipelines.batch import DOCUMENT
from pipelines.stage import Gather, Phased, Rule, Stage

if TYPE_CHECKING:
    from pipelines.recipe import Recipe, Source
    from pipelines.steps import Step

__all__ = ["is_of_store", "misplaced", "refuse_itself", "unknown_sources", "unmade_scores"]


def misplaced(of_sources: Sequence[Step], over_all: Sequence[Step]) -> list[str]:
    """Returns a mistake for every step that stands where steps of another kind run."""
    alone = [
        f"{step.where}: expected a step of one source, got {_as_written(step)}, which compares the documents of all of "
        "them; write it under the recipe's own `steps`"
        for step in of_sources
        if isinstance(step.stage, Phased)
    ]
    return alone + [
        f"{step.where}: expected a step over all sources (exact, minhash, decontaminate), got {_as_written(step)}, "
        "which runs on one; write it under that source's `steps`"
        for step in over_all
        if not isinstance(step.stage, Gather)
    ]


def unknown_sources(over_all: Sequence[Step], names: Sequence[str]) -> list[str]:
    """Returns a mistake for every name under a gather's `sources` that no source of the recipe has."""
    return [
        f"{step.where_of('sources', i)}: expected sources of this recipe ({', '.join(names)}) for "
        f'`{step.name}.sources`, got "{name}"{did_you_mean(name, names)}'
        for step in over_all
        for i, name in enumerate(getattr(step.stage, "sources", None) or ())
        if isinstance(step.stage, Gather) and name not in names
    ]


def unmade_scores(over_all: Sequence[Step], sources: Sequence[Source]) -> list[str]:
    """Returns a mistake for every `score` that no source has as a number, as far as stages say what theirs are."""
    made = _made(sources)
    told = [
        (step.where_of("score"), _unmade(f"{step.name}.score", str(getattr(step.stage, "score", None)), made))
        for step in over_all
        if getattr(step.stage, "keep", None) == "highest"
    ]
    return [f"{where}: {text}" for where, text in told if text]


class _Made(NamedTuple):
    """What documents have when all steps of their source have run.

    columns: that may hold numbers; others: that hold none; values: what each step measures, None where nobody says.
    """

    columns: set[str]
    others: set[str]
    values: dict[str, tuple[str, ...] | None]

    @property
    def measuring(self) -> list[str]:
        """The steps that measure something."""
        return [step for step, values in self.values.items() if values != ()]


def _made(sources: Sequence[Source]) -> _Made:
    columns = {name for source in sources if source.use for name in source.reader.writes}
    written = {*DOCUMENT.names}
    values: dict[str, tuple[str, ...] | None] = {}
    for name, stage in ((step.name, step.stage) for source in sources for step in source.steps if step.stage):
        numbers = _numbers(stage)
        texts = stage.labels if isinstance(stage, Rule) else ()
        columns |= {*stage.writes} & {*(stage.writes if numbers is None else numbers)} - {*texts}
        written |= {*stage.writes}
        before = values.get(name, ())
        both = None if numbers is None or before is None else (*before, *numbers)
        values[name] = both and tuple(value for value in dict.fromkeys(both) if value not in stage.writes)
    columns -= {*DOCUMENT.names}
    return _Made(columns, written - columns, values)


def _numbers(stage: Stage) -> tuple[str, ...] | None:
    """Returns what a stage says its numbers are; None where a class below the one that says so measures anew."""
    order = type(stage).__mro__
    saying = next(i for i, each in enumerate(order) if "numbers" in vars(each))
    return None if any("measure" in vars(each) for each in order[:saying]) else stage.numbers()


def _unmade(what: str, score: str, made: _Made) -> str | None:
    """Returns what is wrong with a score, None where nothing is; what: the parameter that names it."""
    head, dot, value = score.partition(".")
    values = made.values.get(head, ())
    if score in made.columns or (dot and (values is None or value in values)):
        return None
    if dot and values:
        known = ", ".join(values)
        near = did_you_mean(score, (f"{head}.{each}" for each in values))
        return f'expected a number that `{head}` measures for `{what}` ({known}), got "{score}"{near}'
    known = (
        ", ".join(sorted([*made.columns, *(f"{step}.VALUE" for step in made.measuring)])) or "there is none"
    )
    return (
        "expected a column of whole numbers or floats that a step or a reader of your own makes for "
        f'`{what}` ({known}), got "{score}"{_instead(score, made)}'
    )


def _instead(score: str, made: _Made) -> str:
    """Returns what a score is, where that is known, and what it may have been meant for."""
    if score in made.measuring:
        return f", a step; name a value of it, {score}.VALUE"
    kind = ", which holds no numbers" if score in made.others else ""
    values = {f"{step}.{value}": value for step, each in made.values.items() for value in each or ()}
    bare = next((f'; did you mean "{whole}"?' for whole, value in values.items() if value == score), "")
    near = did_you_mean(score, made.columns) or bare or did_you_mean(score, values)
    head = score.partition(".")[0]
    return kind + (near or did_you_mean(head, made.columns) or _value_of_near(head, made))


def _value_of_near(head: str, made: _Made) -> str:
    """Returns a value of the step whose name is nearest to `head`, for a step by itself is no score."""
    step = nearest(head, made.measuring)
    if step is None:
        return ""
    return f'; did you mean a value of "{step}", such as {step}.{(made.values[step] or ("VALUE",))[0]}?'


def refuse_itself(recipe: Recipe, out: Path) -> None:
    """Raises: RecipeError for a step that compares with the newest corpus of the store this build writes to."""
    newest = os.path.realpath(out / "corpus.json")
    mistakes = [
        f"{step.where_of(field)}: expected finished corpora for `{step.name}.{field}`, got {path}, the folder this "
        "build writes to: every document would meet itself there and fall. Leave it out, or name an earlier corpus of "
        f"that folder by its digest, {path.removesuffix('/corpus.json')}@DIGEST"
        for step in recipe.steps
        if step.stage
        for field in step.stage.corpus_fields
        for path in getattr(step.stage, field)
        if os.path.realpath(find_manifest(recipe.folder / path)) == newest
    ]
    if mistakes:
        raise RecipeError("\n".join([*mistakes, REMEDY]))


def is_of_store(corpus: Path, out: Path) -> bool:
    """Whether a corpus, named by its folder or manifest, is one of the store `out`: its newest, a former, a sample."""
    path, store = (Path(os.path.realpath(each)) for each in (corpus, out))
    folders = {store, store / "sample"}
    return path in folders if path.is_dir() else path.parent in folders | {f / "corpora" for f in folders}


def _as_written(step: Step) -> str:
    # Its name may have a number that nobody wrote.
    return step.use or (step.name if step.stage is None else step.stage.name)
