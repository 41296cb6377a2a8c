"""What the steps over all sources ask of the recipe around them: their place, their sources, a score, other corpora.

steps: [minhash: {keep: highest, score: gopher_qualty.n_words}]
        ^ refused: no step of any source has that name
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from manifests.corpus import find_manifest
from manifests.errors import RecipeError
from manifests.mistakes import did_you_mean
from manifests.yamlfile import REMEDY
from pipelines.batch import DOCUMENT
from pipelines.stage import Gather, Phased, Rule

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
        f"{step.where}: expected sources of this recipe ({', '.join(names)}) for `{step.name}.sources`, "
        f'got "{name}"{did_you_mean(name, names)}'
        for step in over_all
        for name in (getattr(step.stage, "sources", None) or ())
        if isinstance(step.stage, Gather) and name not in names
    ]


def unmade_scores(over_all: Sequence[Step], sources: Sequence[Source]) -> list[str]:
    """Returns a mistake for every `score` that no source has; of a value `step.name` only the step is checked."""
    columns = _columns_of_numbers(sources)
    steps = {step.name for source in sources for step in source.steps if step.stage}
    known = ", ".join(sorted([*columns, *(f"{step}.VALUE" for step in steps)])) or "there is none"
    return [
        f"{step.where}: expected a column of numbers that a step or a reader of your own makes for `{step.name}.score` "
        f'({known}), got "{score}"'
        + (did_you_mean(head, columns) or _of_step(score, steps) or did_you_mean(head, steps))
        for step in over_all
        if getattr(step.stage, "keep", None) == "highest"
        for score in [str(getattr(step.stage, "score", None))]
        for head, dot, _ in [score.partition(".")]
        if score not in columns and not (dot and head in steps)
    ]


def _of_step(score: str, steps: Collection[str]) -> str:
    return f", a step; name a value of it, {score}.VALUE" if score in steps else ""


def _columns_of_numbers(sources: Sequence[Source]) -> set[str]:
    """The columns that may hold numbers: those of the document are text, and so are labels."""
    stages = [step.stage for source in sources for step in source.steps if step.stage]
    made = {name for stage in stages for name in stage.writes}
    made.update(name for source in sources if source.use for name in source.reader.writes)
    labels = {name for stage in stages if isinstance(stage, Rule) for name in stage.labels}
    return made - {*DOCUMENT.names} - labels


def refuse_itself(recipe: Recipe, out: Path) -> None:
    """Raises: RecipeError for a step that compares with the newest corpus of the store this build writes to."""
    newest = os.path.realpath(out / "corpus.json")
    mistakes = [
        f"{step.where}: expected finished corpora for `{step.name}.{field}`, got {path}, the folder this build writes "
        "to: every document would meet itself there and fall. Leave it out, or name an earlier corpus of that folder "
        f"by its digest, {path.removesuffix('/corpus.json')}@DIGEST"
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
