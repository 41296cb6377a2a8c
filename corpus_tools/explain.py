"""One document's life: where it came from, every step it met, every value beside its limit, where it lies now.

    DOC ──find──> a row of a part (kept, or dropped by a gather) or of the file of dropped ones beside it
        ──steps of its source, in the recipe's order──> outcome, values, limits; a gather's evidence
        ──documents tables──> shard and token range

The rule that decided is the rule that explains: the stage is built again from the manifest's parameters, its
`decide` is asked and its `limits` are shown. A user's own stage is code from elsewhere and is not run: its
values are shown without limits.

Price: ids, URLs, refs and paths of every part and dropped file are read once, then the rows found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus_tools.compare import Beside, side_by_side
from corpus_tools.contamination import item_beside
from corpus_tools.expressions import evaluate
from corpus_tools.lives import Life, Limit, Place, StepLife
from corpus_tools.open import Corpus, damage_named, open_corpus, read_rows
from corpus_tools.screen import tidy
from manifests.commit import FileRef
from manifests.corpus import PartEntry, StepEntry
from manifests.digest import canonical
from manifests.errors import UsageError
from pipelines.cuts import CUTS

__all__ = ["Found", "Life", "Limit", "Place", "StepLife", "described", "explain", "find"]

N_CUTS = 4
_KEYS = ("doc_id", "url", "ref", "origin")
_ABOUT = ("url", "ref", "title", "date", "licence")


def explain(folder: Path, document: str, *, at_most: int = 10) -> list[Life]:
    """The lives of the documents that `document` names: an id or 8 digits of it, a URL, a ref, a path's beginning.

    Raises: UsageError when none matches; DamageError.
    """
    corpus = open_corpus(folder)
    if not document:  # every path begins with it
        raise UsageError(
            "expected a document id, a URL, a ref or the beginning of a path, got nothing. Any document would be "
            f"explained. `quern audit {folder}` lists the corpus's sources and domains."
        )
    lives = [_life(corpus, found) for found in islice(find(corpus, document), at_most)]
    if not lives:
        raise UsageError(
            f"{document}: expected a document id, a URL, a ref or the beginning of a path, found none like it in "
            f"{folder}. Nothing can be explained. `quern audit {folder}` lists its sources and domains."
        )
    return lives


# --- finding ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """One document: its values, and the part and row it stands in; part None for one that no part holds."""

    row: pa.Table
    part: PartEntry | None
    index: int


def find(corpus: Corpus, query: str) -> Iterator[Found]:
    """The documents that an id or 8 digits of it, a URL, a ref or the beginning of a path names, kept ones first."""
    # Kept documents first: a crawl has a request and revisits under the same URL.
    for part in corpus.manifest.parts:
        if part.final:
            yield from _find_in(corpus, part.part, query, part)
    for part in corpus.manifest.parts:
        if part.dropped is not None:
            yield from _find_in(corpus, part.dropped, query, None)


def _find_in(corpus: Corpus, ref: FileRef, query: str, part: PartEntry | None) -> Iterator[Found]:
    path = ref.check(corpus.root)
    with damage_named(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        first = 0
        for group in range(file.num_row_groups):
            keys = file.read_row_group(group, columns=list(_KEYS)).combine_chunks()
            rows = np.flatnonzero(_matches(keys, query))
            whole = file.read_row_group(group) if len(rows) else None
            for row in rows.tolist():
                assert whole is not None
                yield Found(whole.slice(row, 1), part, first + row)
            first += len(keys)


def _matches(keys: pa.Table, query: str) -> Any:
    """bool[n_docs]: rows that `query` names."""
    found = np.zeros(len(keys), dtype=np.bool_)
    if re.fullmatch(r"[0-9a-fA-F]{8,32}", query):
        ids = keys.column("doc_id").cast(pa.binary())
        low, high = (pa.scalar(bytes.fromhex(query.ljust(32, c)), pa.binary()) for c in "0f")
        found |= _true(pc.and_(pc.greater_equal(ids, low), pc.less_equal(ids, high)))
    for name in ("url", "ref"):
        found |= _true(pc.equal(keys.column(name), query))
    for origins in keys.column("origin").chunks:
        starts = _true(pc.starts_with(origins.flatten().field("path"), pattern=query))
        found[pc.list_parent_indices(origins).to_numpy()[starts]] = True
    return found


def _true(mask: Any) -> Any:
    return np.asarray(pc.fill_null(mask, fill_value=False).to_numpy(zero_copy_only=False), dtype=np.bool_)


# --- one document ----------------------------------------------------------------------------------


def _life(corpus: Corpus, found: Found) -> Life:
    row = found.row.to_pylist()[0]
    doc_id, source = row["doc_id"], row["source"]
    steps = list(_steps(corpus, found, row))
    ends = [s for s in steps if s.outcome == "dropped"]
    return Life(
        doc_id=doc_id.hex(),
        source=source,
        about={name: row[name] for name in _ABOUT if row.get(name)},
        origin=row["origin"],
        outcome=f"dropped by {ends[0].step}: {ends[0].reason}" if ends else "kept",
        steps=steps,
        places=[] if ends else list(_places(corpus, source, doc_id)),
        opening=_text(corpus, found, ends[0].step if ends else None)[:300] or None,
    )


def _text(corpus: Corpus, found: Found, end: str | None) -> str:
    """The text as it stands in the corpus, or as the step `end` met it which dropped the document."""
    text = found.row.column("text")
    if found.part is None:
        return text[0].as_py() or ""
    return corpus.cut_text(text, found.part, found.index, before=end)


def _steps(corpus: Corpus, found: Found, row: dict[str, Any]) -> Iterator[StepLife]:
    gone = False
    for step in corpus.steps_of(row["source"]):
        passed_over = step.kind == "tokens" or (step.kind == "save" and row.get("dropped_step") != step.name)
        if passed_over:
            continue
        life = (
            _gathered(corpus, step, found) if step.kind == "gather" else _stepped(step, found, row, gone=gone)
        )
        if life is not None:
            yield life
            gone = gone or life.outcome == "dropped"


def _stepped(step: StepEntry, found: Found, row: dict[str, Any], *, gone: bool) -> StepLife | None:
    stage = _stage(step)
    values = _values(step, stage, row)
    outcome, reason = _outcome(step, row, gone=gone)
    measured = any(v is not None for v in values.values())
    route = getattr(stage, "route", None)
    if gone and not measured:
        return None
    if route and row.get("language") not in route and not gone:
        outcome = "passed by"
    elif step.kind == "rule" and stage is not None and measured and outcome != "dropped":
        reason = _decided(stage, step, found.row)
        outcome = outcome if reason is None or gone else "marked" if step.action == "mark" else outcome
    limits = _limits(stage, step, row) if measured else []
    return StepLife(step.name, step.stage, step.kind, outcome, reason, values, limits, _remark(step, stage))


def _outcome(step: StepEntry, row: dict[str, Any], *, gone: bool) -> tuple[str, str | None]:
    if row.get("dropped_step") == step.name:
        return "dropped", row["dropped_reason"]
    return "only measured" if gone else "read" if step.kind == "read" else "kept", None


def _values(step: StepEntry, stage: Any, row: dict[str, Any]) -> dict[str, Any]:
    prefix = f"{step.name}."
    written = [n for n in getattr(stage, "writes", ()) if n in row and n != "text" and n not in _ABOUT]
    own = {name.removeprefix(prefix): row[name] for name in row if name.startswith(prefix)}
    return {**{name: row[name] for name in written}, **own}


def _remark(step: StepEntry, stage: Any) -> str:
    if stage is None and step.kind == "rule":
        given = ", ".join(f"{name}: {value}" for name, value in step.params.items() if value is not None)
        return f"a stage of the user's own{' with ' + given if given else ''}: its limits are in its file"
    if stage is not None and stage.version != step.version:
        return f"decided by version {step.version}; this Quern has version {stage.version}, whose limits may differ"
    return ""


@cache
def _stage_of(stage: str, reasons: tuple[str, ...], params: str) -> Any:
    from pipelines.registry import STAGES, Scored, stage_class

    if reasons == Scored.reasons:  # a function of the user's own: its limits are the parameters
        return Scored.model_validate(json.loads(params))
    return stage_class(stage).model_validate(json.loads(params)) if stage in STAGES else None


def _stage(step: StepEntry) -> Any:
    return _stage_of(step.stage, tuple(step.reasons), canonical(step.params).decode())


def _decided(stage: Any, step: StepEntry, row: pa.Table) -> str | None:
    """The reason for which a rule would drop this row, from its saved values."""
    prefix = f"{step.name}."
    values = {name: _array(row, name) for name in row.column_names if "." in name or name in stage.writes}
    own = {name.removeprefix(prefix): array for name, array in values.items() if name.startswith(prefix)}
    verdict = int(stage.decide({**values, **own})[0])
    return stage.reasons[verdict - 1] if verdict else None


def _array(row: pa.Table, name: str) -> Any:
    array = row.column(name).combine_chunks()
    plain = (
        pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_boolean(array.type)
    )
    return array.to_numpy(zero_copy_only=False) if plain else array


def _limits(stage: Any, step: StepEntry, row: dict[str, Any]) -> list[Limit]:
    if stage is None or step.kind != "rule":
        return []
    prefix = f"{step.name}."
    names = {**row, **{name.removeprefix(prefix): v for name, v in row.items() if name.startswith(prefix)}}
    return [
        Limit(reason, text, evaluate(text, names), limit) for reason, (text, limit) in stage.limits().items()
    ]


def _gathered(corpus: Corpus, step: StepEntry, found: Found) -> StepLife | None:
    if found.part is None:
        return None
    entries = [v for v in corpus.verdicts_of(found.part) if v.step == step.name]
    if not entries or _dropped_before(corpus, step, found):
        return None
    path = entries[0].verdict.check(corpus.root)
    row = read_rows(path).slice(found.index, 1).to_pylist()[0]
    verdict = row.pop("verdict") or 0
    reason = step.reasons[verdict - 1] if verdict else None
    outcome = "kept" if not verdict else "marked" if entries[0].action == "mark" else "dropped"
    # One in a finished corpus may have the very id of this document.
    keeper = None if row.get("keeper_in") else row.get("keeper")
    beside = _beside(corpus, step, found, keeper) or item_beside(row)
    row.pop("item_text", None)
    if row.get(CUTS[0]):
        row["cut"] = _cut_text(corpus.text_of(found.part, found.index, before=step.name), *map(row.pop, CUTS))
    evidence = {name: _shown(value) for name, value in row.items() if value is not None}
    stage = _stage(step)
    limits = [
        Limit(reason, name, evidence[name], limit)
        for reason, (name, limit) in (stage.limits() if stage else {}).items()
        if name in evidence
    ]
    return StepLife(step.name, step.stage, step.kind, outcome, reason, evidence, limits, beside=beside)


def _cut_text(text: str, starts: list[int], ends: list[int]) -> str:
    """The first spans that were cut, and how many more there are."""
    raw = text.encode()
    spans = list(zip(starts, ends, strict=True))
    shown = [tidy(raw[a:b].decode("utf-8", "replace"), 50) for a, b in spans[:N_CUTS]]
    return " | ".join(shown) + (f" | and {len(spans) - N_CUTS} more" if len(spans) > N_CUTS else "")


def _beside(corpus: Corpus, step: StepEntry, found: Found, keeper: bytes | None) -> Beside | None:
    """The document's text and its keeper's, as the step met them."""
    other = next(find(corpus, keeper.hex()), None) if keeper else None
    if other is None or other.part is None or found.part is None:
        return None
    here, there = (corpus.text_of(f.part, f.index, before=step.name) for f in (found, other) if f.part)
    return side_by_side(here, there, other=f"keeper {described(other)}")


def described(found: Found) -> str:
    """A document in a few words: the beginning of its id, its source, and what it is called there."""
    about = found.row.select(["doc_id", "source", "ref", "url"]).to_pylist()[0]
    place = about["ref"] or about["url"] or ""
    return f"{about['doc_id'].hex()[:12]} of {about['source']}, {place}".rstrip(", ")


def _dropped_before(corpus: Corpus, step: StepEntry, found: Found) -> bool:
    assert found.part is not None
    for entry in corpus.verdicts_of(found.part):
        if entry.step == step.name:
            return False
        if entry.action == "drop" and entry.n_dropped:
            table = read_rows(entry.verdict.check(corpus.root), ["verdict"])
            if table.column("verdict")[found.index].as_py():
                return True
    return False


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return [_shown(v) for v in value]
    return value.hex() if isinstance(value, bytes) else value


def _places(corpus: Corpus, source: str, doc_id: bytes) -> Iterator[Place]:
    for partition in (p for p in corpus.manifest.partitions if p.source == source):
        for shard in partition.shards:
            path = shard.documents.check(corpus.root)
            found = read_rows(path, ["doc_id", "start", "end"], filters=[("doc_id", "=", doc_id)])
            for row in found.to_pylist():
                yield Place(shard.shard.path, partition.split, row["start"], row["end"])
