"""What other thresholds would have kept: decided again from saved values, without touching text.

    --set gopher_quality.min_words=60
    each document, kept or dropped  ──values──> every rule decides anew ──> its first failing step, and why
    past the first gather           lower <= documents in the end <= upper

A rule's decision is a function of what it measured, so with every value saved (`quern build --measure-all`) this is
exactly what a rebuild would decide, up to the first gather. Past it no saved value says what a duplicate search
would find among other documents; it prints bounds:

    upper   what stays kept, and every document taken in, and every copy whose cluster loses a member
    lower   what stays kept, less one for each band (and for `exact`) of each document that comes to the search:
            there it may join a cluster to another, or take a place and lose it in the next gather

Only 0 and the documents that pass the rules bound it where `minhash` compares candidates again (`verify`), where
`exact_lines` cuts, where giants stay, and where a gather that replaces a document by another text (`editions`, `exact`
by address) has one after it: what the replaced one held there becomes free.

Parameters that change a text, or what is measured of it, are refused: only a rebuild knows. So are those with which
`plan` would refuse the recipe whatever else it says; where that hangs on whether a parameter equal to its default was
written, which no manifest tells, the answer comes with a warning.
Price: reads every part's values, not its text; 1 s a million documents and rule.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus_tools.bounds import Bounds
from corpus_tools.buildable import refuse_unbuildable
from corpus_tools.open import Corpus, damage_named, open_corpus, read_rows
from corpus_tools.screen import clean, table
from manifests.corpus import PartEntry, StepEntry
from manifests.errors import UsageError
from manifests.mistakes import did_you_mean
from manifests.yamlfile import Positions, apply_overrides, validate
from pipelines.registry import STAGES, Scored, stage_class
from pipelines.stage import Rule
from pipelines.steps import recorded

__all__ = ["WhatIf", "decide_again", "whatif", "whatif_text"]

Bools = npt.NDArray[np.bool_]
N_SHOWN = 10
KEPT = "kept"
_DOUBT = "a recipe that leaves out what equals a default is refused with this: "
# What has no bearing on a rule and would be dear to read.
_UNREAD = ("text", "origin", "title", "licence", "date", "source", "ref")


@dataclass(frozen=True)
class WhatIf:
    """Every document's fate as it was and as it would be, and what a rebuild would keep in the end.

    fates: a table `doc_id, url, was, would_be`, the last two `kept` or `step: reason`.
    lower, upper: bounds on the documents in the end; final: how many there are now.
    doubts: what `quern build` says of the change where the recipe leaves out what equals a default.
    """

    changes: list[dict[str, Any]]
    fates: pa.Table
    final: int
    lower: int
    upper: int
    gathers: list[str]
    doubts: list[str]

    @cached_property
    def flipped(self) -> pa.Table:
        """The documents whose fate is another: other reasons count as other fates."""
        return self.fates.filter(pc.not_equal(self.fates.column("was"), self.fates.column("would_be")))

    def counts(self) -> list[dict[str, Any]]:
        """Documents by fate, as it was and as it would be."""
        was, would = (_counted(self.fates.column(name)) for name in ("was", "would_be"))
        names = sorted({*was, *would}, key=lambda name: (name != KEPT, name))
        rows = [{"fate": n, "was": was.get(n, 0), "would_be": would.get(n, 0)} for n in names]
        return [{**row, "change": row["would_be"] - row["was"]} for row in rows]

    def as_json(self) -> dict[str, Any]:
        """The answer without the table of all documents."""
        return {
            "changes": self.changes,
            "fates": self.counts(),
            "flipped": len(self.flipped),
            "examples": _examples(self.flipped),
            "documents": {"now": self.final, "lower": self.lower, "upper": self.upper},
            "after": self.gathers,
            "doubts": self.doubts,
        }


def whatif(folder: Path, overrides: Sequence[str]) -> WhatIf:
    """What other parameters of rules, `STEP.key=value` each, would have kept.

    Raises: UsageError for a build without all values, an unknown step or key, a parameter that is not of a rule, or
    ones with which no recipe can be built.
    """
    corpus = open_corpus(folder)
    _refuse_unmeasured(corpus)
    changed, changes = _changed(corpus, overrides)
    doubts = refuse_unbuildable(corpus, changed, overrides)
    fates, bounds = [], Bounds(corpus)
    for part in (p for p in corpus.manifest.parts if p.final):
        documents = _documents(corpus, part)
        fate = decide_again(corpus.steps_of(part.source), changed, documents)
        fates.append(fate)
        bounds.add(part, kept=_kept(fate, "would_be")[: part.n_docs], n_added=_n_added(fate))
    final, lower, upper = bounds.found()
    gathers = [s.name for s in corpus.manifest.steps if s.kind == "gather" and s.action == "drop"]
    every = pa.concat_tables(fates) if fates else _no_fates()
    return WhatIf(changes, every, final, lower, upper, gathers, doubts)


def _refuse_unmeasured(corpus: Corpus) -> None:
    if not corpus.manifest.measure_all:
        raise UsageError(
            f"{corpus.path}: expected a corpus in which every document was measured by every step, got one in which "
            "a dropped document was not measured further. What other limits would keep of those nobody knows. "
            "`quern build RECIPE --measure-all --out DIR` measures all."
        )


# --- what is changed -------------------------------------------------------------------------------


def _changed(corpus: Corpus, overrides: Sequence[str]) -> tuple[dict[str, Rule], list[dict[str, Any]]]:
    """Returns the rules anew, by `StepEntry.key`, and what was changed of them."""
    if not overrides:
        raise UsageError("expected  --set STEP.key=value  at least once, got none; nothing would be other.")
    rules = {s.name: s for s in corpus.manifest.steps if s.kind == "rule"}
    for override in overrides:
        _refuse_step(override, corpus, rules)
    changed: dict[str, Rule] = {}
    changes = []
    for step in corpus.manifest.steps:
        mine = [o for o in overrides if o.partition(".")[0] == step.name]
        if mine:
            before = _rule(step)
            changed[step.key] = after = _overridden(step, before, mine)
            changes += list(_differences(step, before, after))
    return changed, changes


def _refuse_step(override: str, corpus: Corpus, rules: Mapping[str, StepEntry]) -> None:
    name, dot, key = override.partition("=")[0].partition(".")
    if name in rules and not (dot and key):
        raise UsageError(
            f"--set {override}: expected  STEP.key=value, got no key of {name}. Nothing would be other. Its limits are "
            "in the recipe;  quern whatif DIR --set STEP.key=value  moves one."
        )
    if name in rules:
        return
    kinds = {s.name: s.kind for s in corpus.manifest.steps}
    if name in kinds:
        raise UsageError(
            f"--set {override}: expected a rule ({', '.join(rules)}), got {name}, which changes texts or compares "
            f"documents. Only a build knows what it would do:  quern build RECIPE --set {shlex.quote(override)}"
        )
    raise UsageError(
        f'--set {override}: expected a rule ({", ".join(rules)}), got "{name}"{did_you_mean(name, rules) or "."} '
        f"Nothing would be other. `quern audit {shlex.quote(str(corpus.path))}` lists the steps."
    )


def _rule(step: StepEntry) -> Rule:
    if tuple(step.reasons) == Scored.reasons:  # a function of the user's own: its limits are the parameters
        return recorded(Scored, step.params, step.name)
    if step.stage not in STAGES:
        raise UsageError(
            f"{step.name}: expected a rule that comes with Quern, got {step.stage}. What it would decide is in its "
            "file; change it there and build again."
        )
    rule = stage_class(step.stage)
    if rule.version != step.version:
        raise UsageError(
            f"{step.name}: expected version {rule.version} of {step.stage}, found {step.version} in the corpus. What "
            "this version would decide of those values is not known; build again with it."
        )
    found = recorded(rule, step.params, step.name)
    assert isinstance(found, Rule)
    return found


def _overridden(step: StepEntry, before: Rule, overrides: Sequence[str]) -> Rule:
    given = before.model_dump(mode="json", by_alias=True)
    positions = Positions("--set")
    value = apply_overrides({step.name: given}, positions, overrides)
    after = validate(type(before), value[step.name], positions, base=(step.name,))
    for name in ("route", *before.measuring):
        if getattr(after, name) != getattr(before, name):
            raise UsageError(
                f"--set {step.name}.{_spelling(before, name)}: expected a parameter that only decides, got one that "
                "changes what is measured. Only a build knows:  quern build RECIPE --set "
                f"{shlex.quote(overrides[0])}"
            )
    return after


def _spelling(rule: Rule, name: str) -> str:
    """A parameter as a recipe spells it: `for`, which is no name in Python."""
    return type(rule).model_fields[name].alias or name


def _differences(step: StepEntry, before: Rule, after: Rule) -> Iterator[dict[str, Any]]:
    for name in type(before).model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            place = {"step": step.name, "source": step.source, "parameter": _spelling(before, name)}
            yield {**place, "was": old, "would_be": new}


# --- deciding again --------------------------------------------------------------------------------


def _documents(corpus: Corpus, part: PartEntry) -> pa.Table:
    """Returns the rows of a part, then the rows dropped before it, with every value."""
    files = [part.part, *([part.dropped] if part.dropped is not None else [])]
    tables = []
    for ref in files:
        path = ref.check(corpus.root)
        with damage_named(path):
            names = [name for name in pq.read_schema(path).names if name not in _UNREAD]
        tables.append(read_rows(path, names))
    return pa.concat_tables(tables, promote_options="default")


def decide_again(steps: Sequence[StepEntry], changed: Mapping[str, Rule], documents: pa.Table) -> pa.Table:
    """Returns `doc_id, url, was, would_be`, a row for each of `documents`, in their order.

    steps: those of the source, in order; changed: rules that are other, by key.
    """
    n_docs = len(documents)
    was = _fates(documents)
    in_steps = {s.name for s in steps if s.kind in ("rewrite", "edit", "rule")}
    outside = documents.column("dropped_step").to_pylist() if "dropped_step" in documents.column_names else []
    alive = np.array(
        [name is None or name in in_steps for name in outside] or [True] * n_docs, dtype=np.bool_
    )
    would = np.where(alive, KEPT, was)
    language = documents.column("language") if "language" in documents.column_names else None
    for step in (s for s in steps if s.name in in_steps):
        rule = changed.get(step.key)
        if (step.action if rule is None else rule.action) != "mark":
            verdicts = _verdicts(step, rule, documents, alive, language)
            for code in np.unique(verdicts[verdicts > 0]).tolist():
                would[verdicts == code] = f"{step.name}: {step.reasons[code - 1]}"
            alive &= verdicts == 0
        if f"{step.name}.language" in documents.column_names:
            language = documents.column(f"{step.name}.language")  # what routes after it go by
    names = {"doc_id": documents.column("doc_id"), "url": documents.column("url")}
    return pa.table({**names, "was": pa.array(was, pa.string()), "would_be": pa.array(would, pa.string())})


def _fates(documents: pa.Table) -> npt.NDArray[np.object_]:
    if "dropped_step" not in documents.column_names:
        return np.full(len(documents), KEPT, dtype=object)
    steps, reasons = (documents.column(f"dropped_{name}").to_pylist() for name in ("step", "reason"))
    fates = [KEPT if s is None else f"{s}: {r}" for s, r in zip(steps, reasons, strict=True)]
    return np.array(fates, dtype=object)


def _verdicts(
    step: StepEntry, rule: Rule | None, documents: pa.Table, alive: Bools, language: pa.ChunkedArray | None
) -> npt.NDArray[np.uint8]:
    """uint8[n_docs]: the step's verdict on every row alive, 0 on the others. language: as it was at the step."""
    verdicts = np.zeros(len(documents), dtype=np.uint8)
    if step.kind != "rule":
        found = documents.column(f"{step.name}.verdict").fill_null(0).to_numpy()
        verdicts[alive] = found[alive]
        return verdicts
    rule = rule or _rule(step)
    rows = alive if language is None or not rule.route else alive & _routed(language, rule.route)
    verdicts[rows] = rule.decide(_values(step, documents.filter(pa.array(rows))))
    return verdicts


def _routed(language: pa.ChunkedArray, route: Sequence[str]) -> Bools:
    wanted = pc.is_in(language, value_set=pa.array(route, pa.string()))
    return np.asarray(wanted, dtype=np.bool_)


def _values(step: StepEntry, rows: pa.Table) -> dict[str, Any]:
    prefix = f"{step.name}."
    every = {n: _array(rows.column(n)) for n in rows.column_names if "." in n}
    return {**every, **{n.removeprefix(prefix): a for n, a in every.items() if n.startswith(prefix)}}


def _array(column: pa.ChunkedArray) -> Any:
    array = column.combine_chunks()
    kind = array.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return array.to_numpy(zero_copy_only=False)
    return array


def _kept(fates: pa.Table, column: str) -> Bools:
    return np.asarray(pc.equal(fates.column(column), KEPT), dtype=np.bool_)


def _n_added(fates: pa.Table) -> int:
    return int((_kept(fates, "would_be") & ~_kept(fates, "was")).sum())


# --- told ------------------------------------------------------------------------------------------


def _no_fates() -> pa.Table:
    return pa.table({name: pa.array([], pa.string()) for name in ("doc_id", "url", "was", "would_be")})


def _counted(column: pa.ChunkedArray) -> dict[str, int]:
    counts = pc.value_counts(column.combine_chunks())
    return dict(zip(counts.field(0).to_pylist(), counts.field(1).to_pylist(), strict=True))


def _examples(flipped: pa.Table) -> list[dict[str, Any]]:
    # Ids are hashes, so the least of them are a sample.
    rows = flipped.sort_by("doc_id").slice(0, N_SHOWN).to_pylist()
    return [{**row, "doc_id": row["doc_id"].hex()} for row in rows]


def _spelled(change: Mapping[str, Any]) -> str:
    value = json.dumps(change["would_be"], ensure_ascii=False)
    return "--set " + shlex.quote(f"{change['step']}.{change['parameter']}={value}")


def whatif_text(answer: Mapping[str, Any], recipe: str = "RECIPE") -> str:
    """The answer as tables, and the command that makes it so."""
    sets = [_spelled(change) for change in answer["changes"]]
    documents = answer["documents"]
    after = f"after {', '.join(answer['after'])}" if answer["after"] else "in the end"
    exact = documents["lower"] == documents["upper"]
    counts = f"{documents['lower']:,}" if exact else f"{documents['lower']:,} to {documents['upper']:,}"
    text = table(answer["changes"]) + "\n" + table(answer["fates"], title="before the first gather, exactly:")
    if answer["examples"]:
        text += "\n" + table(
            answer["examples"], title=f"{answer['flipped']:,} documents fare otherwise, such as:"
        )
    text += f"\n{after}: {documents['now']:,} documents now, then {counts}\n"
    text += clean("".join(f"warning: {_DOUBT}{doubt}\n" for doubt in answer["doubts"]))
    if not sets:
        return text + "Every value given is the one it was built with: nothing would be other.\n"
    return text + clean(f"To make it so:  quern build {recipe} {' '.join(dict.fromkeys(sets))}\n")
