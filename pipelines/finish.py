"""Receipts of a finished plan -> the corpus manifest: a pure function, so a resumed build writes the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from manifests.commit import FileRef, commit_bytes
from manifests.corpus import (
    Benchmark,
    CorpusManifest,
    PartEntry,
    Partition,
    ShardEntry,
    SourceEntry,
    StepEntry,
    TokenizerEntry,
    VerdictEntry,
)
from manifests.digest import digest_value, seal
from manifests.receipt import Receipt, Tally
from pipelines.decontaminate import benchmark_report
from pipelines.filelist import FileList
from pipelines.fuse import QUARANTINE_REASONS
from pipelines.plan import GatherPlan, Plan, SegmentPlan, StepPlan
from pipelines.recipe import resolved
from pipelines.run import Saved
from pipelines.stage import short_names

__all__ = ["Finished", "assemble"]


@dataclass(slots=True)
class Finished:
    """What steps of a plan left behind: receipts in unit order, and the packs that hold them."""

    segments: dict[str, list[Receipt]] = field(default_factory=dict)
    gathers: dict[str, dict[str, list[Receipt]]] = field(default_factory=dict)
    packs: list[FileRef] = field(default_factory=list)


def assemble(plan: Plan, done: Finished, *, quarantine: FileRef | None) -> CorpusManifest:
    """The manifest of a finished build; commits the file lists it names."""
    tokens = done.gathers.get(plan.tokens.step.name, {}) if plan.tokens else {}
    return CorpusManifest(
        name=plan.recipe.name,
        key=plan.key,
        store=".." if plan.sample else ".",
        sample=plan.sample,
        measure_all=plan.measure_all,
        recipe=resolved(plan.recipe),
        sources=[_source(plan, files) for files in plan.file_lists],
        steps=[*_segment_steps(plan, done), *_gather_steps(plan, done)],
        parts=[_part(s, r) for s in plan.segments for r in done.segments[s.name]],
        verdicts=[v for g in plan.gathers for v in _verdicts(plan, g, done.gathers[g.step.name]["verdict"])],
        tokenizer=_tokenizer(tokens.get("tokenizer", [])),
        partitions=_partitions(tokens.get("shards", [])),
        benchmarks=[b for g in plan.gathers for b in _benchmarks(g, done.gathers[g.step.name])],
        receipts=sorted({ref.path: ref for ref in done.packs}.values(), key=lambda ref: ref.path),
        quarantine=quarantine,
        parents=sorted({digest for gather in plan.gathers for digest in _parents(gather)}),
        missing=[],
        libraries=dict(sorted(plan.libraries.items())),
    )


def _parents(gather: GatherPlan) -> list[str]:
    # As they were planned: one that was built anew since is not the one that documents were compared with.
    stage = gather.step.stage
    assert stage is not None
    return [gather.sides[path] for field in stage.corpus_fields for path in getattr(stage, field)]


def _source(plan: Plan, files: FileList) -> SourceEntry:
    source = next(s for s in plan.recipe.sources if s.name == files.source)
    value = files.as_json()
    ref = commit_bytes(plan.root, f"files/{digest_value(value)}.json", seal(value))
    return SourceEntry(
        name=source.name,
        licence=source.licence or "unknown",
        reader=source.kind,
        n_files=len(files.files),
        n_bytes=sum(f.size for f in files.files),
        files=ref,
    )


def _part(segment: SegmentPlan, receipt: Receipt) -> PartEntry:
    return PartEntry(
        key=receipt.key,
        source=segment.source,
        step=segment.name,
        unit=receipt.unit,
        final=segment.final,
        part=receipt.outputs["part"],
        dropped=receipt.outputs["dropped"],
        n_docs=receipt.tally.n_kept,
        n_bytes=receipt.tally.bytes_kept,
    )


def _sum(receipts: Sequence[Receipt]) -> Tally:
    total = Tally()
    for receipt in receipts:
        total.add(receipt.tally)
    return total


def _segment_steps(plan: Plan, done: Finished) -> Iterator[StepEntry]:
    for segment in plan.segments:
        tally = _sum(done.segments[segment.name])
        n_read = tally.n_read
        for step in segment.steps:
            if step.stage is None and step.name not in tally.dropped:
                continue  # a save reads what the segment before it kept; only a quarantine drops there
            entry = _entry(step, tally, n_read=n_read, source=segment.source)
            n_read = entry.n_kept
            yield entry


def _gather_steps(plan: Plan, done: Finished) -> Iterator[StepEntry]:
    for gather in plan.gathers:
        tally = _sum(done.gathers[gather.step.name]["verdict"])
        yield _entry(gather.step, tally, n_read=tally.n_read, source=None, action=gather.action)
    if plan.tokens is not None:
        tally = _sum(done.gathers[plan.tokens.step.name]["shards"])
        yield _entry(plan.tokens.step, tally, n_read=tally.n_read, source=None)


def _entry(
    step: StepPlan, tally: Tally, *, n_read: int, source: str | None, action: str | None = None
) -> StepEntry:
    stage = step.stage or Saved()
    dropped = tally.dropped.get(step.name, {})
    extra = QUARANTINE_REASONS if step.kind == "read" else ()
    return StepEntry(
        name=step.name,
        stage=short_names([step.step.use])[0] if step.step.use else type(stage).name,
        kind="save" if step.stage is None else step.kind,
        version=type(stage).version,
        key=step.key,
        source=source,
        action=action or getattr(stage, "action", "drop"),
        params=stage.params(),
        reasons=[*stage.reasons, *extra],
        n_read=n_read,
        n_kept=n_read - sum(dropped.values()),
        dropped=dropped,
        marked=tally.marked.get(step.name, {}),
        routed=tally.routed.get(step.name, 0),
    )


def _verdicts(plan: Plan, gather: GatherPlan, receipts: Sequence[Receipt]) -> Iterator[VerdictEntry]:
    for (_, unit), receipt in zip(plan.final_units, receipts, strict=True):
        yield VerdictEntry(
            step=gather.step.name,
            action=gather.action,
            part_key=unit.key,
            verdict=receipt.outputs["verdict"],
            n_dropped=receipt.tally.n_dropped,
        )


def _benchmarks(gather: GatherPlan, phases: dict[str, list[Receipt]]) -> Iterator[Benchmark]:
    # A decontaminating gather tells of its index in the first verdict task, of its findings in every one.
    verdicts = phases["verdict"]
    if not verdicts or "index" not in verdicts[0].facts:
        return
    report = benchmark_report({"benchmarks": verdicts[0].facts["index"]}, [r.facts for r in verdicts])
    for name, told in sorted(report.items()):
        yield Benchmark(
            name=name,
            digest=told["digest"],
            step=gather.step.name,
            action=gather.action,
            n_items=told["items"],
            n_too_short=told["too_short"],
            n_hits=told["hits"],
            n_documents=told["documents"],
        )


def _tokenizer(receipts: Sequence[Receipt]) -> TokenizerEntry | None:
    if not receipts:
        return None
    facts, ref = receipts[0].facts, receipts[0].outputs["tokenizer"]
    return TokenizerEntry(
        file=ref,
        digest=ref.digest,
        vocab_size=facts["vocab_size"],
        eot=facts["eot"],
        eot_token=facts["eot_token"],
        trained=facts["trained"],
    )


def _partitions(receipts: Sequence[Receipt]) -> list[Partition]:
    groups: dict[str, list[Receipt]] = {}
    for receipt in receipts:
        facts = receipt.facts
        groups.setdefault(digest_value([facts["source"], facts["split"], facts["columns"]]), []).append(
            receipt
        )
    return [_partition(group) for group in groups.values()]


def _partition(receipts: Sequence[Receipt]) -> Partition:
    first = receipts[0].facts
    licences: dict[str, int] = {}
    for receipt in receipts:
        for licence, n in receipt.facts["licences"].items():
            licences[licence] = licences.get(licence, 0) + n
    shards = [
        ShardEntry(
            shard=r.outputs["shard"],
            root=r.facts["root"],
            documents=r.outputs["documents"],
            n_tokens=r.facts["n_tokens"],
            n_docs=r.facts["n_docs"],
            n_bytes=r.facts["n_bytes"],
        )
        for r in receipts
    ]
    return Partition(
        source=first["source"],
        split=first["split"],
        holdout=first["holdout"],
        columns=first["columns"],
        licences=licences,
        shards=shards,
        n_tokens=sum(s.n_tokens for s in shards),
        n_docs=sum(s.n_docs for s in shards),
        n_bytes=sum(s.n_bytes for s in shards),
    )
