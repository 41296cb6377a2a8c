"""Whether a corpus's recipe could be built with other rules: what `quern plan` asks of steps, asked of a manifest.

    language: {keep: [en]}  gopher_quality            as it was built
    language: {keep: [fr]}  gopher_quality            refused: French reaches an English rule

A manifest holds every parameter, the recipe those that someone wrote. What holds for the defaults of a rule is asked
with only those that differ from them, and of a step that would be refused as it was built nothing is said.

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


def refuse_unbuildable(corpus: Corpus, changed: Mapping[str, Rule], overrides: Sequence[str]) -> None:
    """changed: the rules that are other, by `StepEntry.key`; overrides: what made them so.

    Raises: UsageError with what a plan would say of them.
    """
    known = {_place(mistake) for mistake in _mistakes(corpus, {})}
    if found := dict.fromkeys(m for m in _mistakes(corpus, changed) if _place(m) not in known):
        sets = " ".join(f"--set {override}" for override in overrides)
        raise UsageError(
            f"{sets}: expected parameters that a recipe may have, got some that `quern build` refuses:\n"
            + "\n".join(found)
            + "\nNothing was counted, for no build would decide so. Change the recipe as is said, and build it again."
        )


def _place(mistake: str) -> str:
    return mistake.partition(": ")[0]


def _mistakes(corpus: Corpus, changed: Mapping[str, Rule]) -> Iterator[str]:
    for source in corpus.manifest.sources:
        reader = reader_class(source.reader)() if source.reader in READERS else Read()
        yield from check_flow(reader, list(_steps(corpus.steps_of(source.name), changed)))


def _steps(entries: Sequence[StepEntry], changed: Mapping[str, Rule]) -> Iterator[Step]:
    for entry in entries:
        if entry.kind in ("rewrite", "edit", "rule") and tuple(entry.reasons) != Scored.reasons:
            if entry.stage not in STAGES:
                return
            stage = changed.get(entry.key) or recorded(stage_class(entry.stage), entry.params, entry.name)
            yield Step(entry.name, _as_written(stage), f"{entry.name} of {entry.source}")


def _as_written(stage: Stage) -> Stage:
    """The stage with no more parameters set than differ from their defaults."""
    return type(stage).model_validate(stage.model_dump(exclude_defaults=True, by_alias=True))
