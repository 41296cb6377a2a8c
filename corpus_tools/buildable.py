"""Whether a corpus's recipe could be built with other rules: what `quern plan` asks of steps, asked of a manifest.

    language: {keep: [en]}  gopher_quality            as it was built
    language: {keep: [fr]}  gopher_quality            refused: French reaches an English rule

A manifest holds every parameter, the recipe those that someone wrote: one equal to its default may have been chosen or
not, and a plan takes more where it was. So it is asked twice. What would be refused if every parameter had been written
is refused, for no recipe can have it; what would be only if none equal to its default had been is a doubt, and no doubt
where the step as it was built would be one too. A parameter given by `--set` was chosen.

What it does not know: what a user's own stage makes of a text or its language, so nothing is said of the steps after
one. Price: nothing is read but the manifest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from corpus_tools.open import Corpus
from manifests.corpus import StepEntry
from manifests.errors import UsageError
from pipelines.flow import check_flow
from pipelines.registry import READERS, STAGES, Scored, reader_class, stage_class
from pipelines.stage import Read, Rule, Stage
from pipelines.steps import Step, recorded

__all__ = ["refuse_unbuildable"]


def refuse_unbuildable(corpus: Corpus, changed: Mapping[str, Rule], overrides: Sequence[str]) -> list[str]:
    """Returns what a plan may say of the rules as changed, which hangs on parameters that may have been chosen.

    changed: the rules that are other, by `StepEntry.key`; overrides: what made them so.

    Raises: UsageError with what a plan would say of them, whatever was chosen.
    """
    before, after = (list(_mistakes(corpus, rules, None)) for rules in ({}, changed))
    if found := [mistake for mistake in after if mistake not in before]:
        sets = " ".join(f"--set {override}" for override in overrides)
        raise UsageError(
            f"{sets}: expected parameters that a recipe may have, got some that `quern build` refuses:\n"
            + "\n".join(dict.fromkeys(found))
            + "\nNothing was counted, for no build would decide so. Change the recipe as is said, and build it again."
        )
    known = {_place(mistake) for mistake in _mistakes(corpus, {}, ())}
    doubts = _mistakes(corpus, changed, overrides)
    return list(dict.fromkeys(doubt for doubt in doubts if _place(doubt) not in known))


def _place(mistake: str) -> str:
    return mistake.partition(": ")[0]


def _mistakes(corpus: Corpus, changed: Mapping[str, Rule], overrides: Sequence[str] | None) -> Iterator[str]:
    """overrides: the parameters that count as chosen although they equal their defaults; None for all."""
    for source in corpus.manifest.sources:
        reader = reader_class(source.reader)() if source.reader in READERS else Read()
        yield from check_flow(reader, list(_steps(corpus.steps_of(source.name), changed, overrides)))


def _steps(
    entries: Sequence[StepEntry], changed: Mapping[str, Rule], overrides: Sequence[str] | None
) -> Iterator[Step]:
    for entry in entries:
        if entry.kind in ("rewrite", "edit", "rule") and tuple(entry.reasons) != Scored.reasons:
            if entry.stage not in STAGES:
                return
            stage = changed.get(entry.key) or recorded(stage_class(entry.stage), entry.params, entry.name)
            chosen = None if overrides is None else _chosen(entry.name, overrides)
            yield Step(entry.name, _as_written(stage, chosen), f"{entry.name} of {entry.source}")


def _chosen(step: str, overrides: Sequence[str]) -> set[str]:
    """The parameters of a step that are given, as a recipe spells them."""
    paths = (override.partition("=")[0].split(".") for override in overrides)
    return {path[1] for path in paths if path[0] == step and len(path) > 1}


def _as_written(stage: Stage, chosen: set[str] | None) -> Stage:
    """The stage with those parameters set that differ from their defaults or are `chosen`; None for all."""
    whole = stage.model_dump(by_alias=True)
    differing = stage.model_dump(exclude_defaults=True, by_alias=True)
    written = {name: whole[name] for name in whole if chosen is None or name in differing or name in chosen}
    return type(stage).model_validate(written)
