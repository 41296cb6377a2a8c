"""What a corpus is made of, in tables: a sum over receipts and the manifest, with no document read.

    steps        the waterfall: documents and bytes read, kept and dropped by every step, in order
    reasons      every reason, with its share of what its step read
    sources      licence, files, documents, tokens        labels    languages and other labels
    partitions   tokens by source, split and column       values    quantiles of what was measured
    cuts         of every step that cuts lines: documents, lines and bytes
    clusters     of every step that looks for duplicates: how many, of how many documents, the largest
    domains      the heaviest hosts, before documents of different sources were compared

Quantiles come from histograms of four bins an octave: a figure is the lower edge of its bin, at most a fifth low.

Clusters and items side by side are asked for apart: they are read from verdicts and texts (`clusters.py`,
`contamination.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from corpus_tools.clusters import Cluster, OnRecord, clusters_on_record, largest_clusters, told_of_clusters
from corpus_tools.contamination import FoundItem, contaminated_items
from corpus_tools.open import Corpus, open_corpus
from corpus_tools.screen import size, table
from manifests.corpus import CorpusManifest, Partition, SourceEntry, StepEntry
from manifests.receipt import Receipt, Tally, bin_edges

__all__ = [
    "Examples",
    "audit_corpus",
    "audit_examples",
    "audit_text",
    "examples_as_json",
    "examples_text",
    "source_of",
    "tallies_by_source",
]

Examples = Mapping[str, Sequence[Cluster | OnRecord | FoundItem] | None]
"""`clusters` and `contaminated`, as far as they were asked for; None where the corpus has no step that looks.

`on_record`, where more clusters of a step were asked for than its receipts name.
"""

QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)
_BARS = " ▁▂▃▄▅▆▇█"
N_SHOWN = 20


def audit_corpus(folder: Path) -> dict[str, Any]:
    """Every table of the audit: {table: rows}.

    Raises: DamageError, AccountError.
    """
    corpus = open_corpus(folder)
    receipts = list(corpus.receipts())
    tallies = tallies_by_source(corpus.manifest, receipts)
    total = _total(corpus.manifest, receipts)
    return {
        "corpus": _head(corpus),
        "sources": [_source_row(corpus, s) for s in corpus.manifest.sources],
        "steps": _waterfall(corpus, tallies),
        "reasons": _reasons(corpus.manifest.steps),
        "labels": _labels(total),
        "partitions": [_partition_row(p) for p in corpus.manifest.partitions],
        "values": [_value_row(name, bins) for name, bins in sorted(total.histograms.items())],
        "domains": _domains(corpus, receipts),
        "cuts": _cuts(receipts),
        "clusters": [{"step": step, **told} for step, told in told_of_clusters(receipts).items()],
        "benchmarks": [b.model_dump() for b in corpus.manifest.benchmarks],
        "missing": corpus.manifest.missing,
    }


def _total(manifest: CorpusManifest, receipts: Iterable[Receipt]) -> Tally:
    # The sizes in a saved part are counted once, in the part that was made from it.
    saved = {part.key for part in manifest.parts if not part.final}
    total = Tally()
    for receipt in receipts:
        tally = Tally() + receipt.tally
        if receipt.key in saved:
            tally.histograms.pop("n_bytes", None)
        total.add(tally)
    return total


def _head(corpus: Corpus) -> dict[str, Any]:
    manifest = corpus.manifest
    return {
        "name": manifest.name,
        "digest": manifest.digest,
        "sample": manifest.sample,
        "documents": sum(p.n_docs for p in manifest.parts if p.final) - _gathered(corpus, None),
        "tokens": sum(p.n_tokens for p in manifest.partitions),
        "bytes_on_disk": sum(ref.size for _, ref in manifest.files()),
    }


def _gathered(corpus: Corpus, source: str | None) -> int:
    # Documents that gathers dropped from the parts of a source (None: of all).
    mine = {p.key for p in corpus.manifest.parts if source in (None, p.source)}
    return sum(v.n_dropped for v in corpus.manifest.verdicts if v.action == "drop" and v.part_key in mine)


def _source_row(corpus: Corpus, source: SourceEntry) -> dict[str, Any]:
    parts = [p for p in corpus.manifest.parts if p.source == source.name and p.final]
    read = [s.n_read for s in corpus.manifest.steps if s.source == source.name]
    return {
        "source": source.name,
        "licence": source.licence,
        "reader": source.reader,
        "files": source.n_files,
        "bytes": source.n_bytes,
        "records": read[0] if read else 0,
        "documents": sum(p.n_docs for p in parts) - _gathered(corpus, source.name),
        "tokens": sum(p.n_tokens for p in corpus.manifest.partitions if p.source == source.name),
    }


# --- steps -----------------------------------------------------------------------------------------


def tallies_by_source(manifest: CorpusManifest, receipts: Iterable[Receipt]) -> dict[str | None, Tally]:
    """The receipts' sum by source; None for steps over all sources."""
    names = [s.name for s in manifest.sources]
    found: dict[str | None, Tally] = {}
    for receipt in receipts:
        found.setdefault(source_of(receipt, names), Tally()).add(receipt.tally)
    return found


def source_of(receipt: Receipt, sources: Iterable[str]) -> str | None:
    """The source whose steps a receipt is of; None for a step over all sources."""
    for name in sources:
        if receipt.step == name or receipt.step.removeprefix(f"{name}.").isdecimal():
            return name
    return None


def _waterfall(corpus: Corpus, tallies: Mapping[str | None, Tally]) -> list[dict[str, Any]]:
    rows = []
    for step in corpus.manifest.steps:
        lost = sum(tallies.get(step.source, Tally()).dropped_bytes.get(step.name, {}).values())
        rows.append(
            {
                "source": step.source,
                "step": step.name,
                "read": step.n_read,
                "kept": step.n_kept,
                "dropped": step.n_read - step.n_kept,
                "kept_frac": step.n_kept / step.n_read if step.n_read else None,
                "bytes_dropped": lost,
                "marked": sum(step.marked.values()),
                "routed": step.routed,
            }
        )
    return rows


def _reasons(steps: Iterable[StepEntry]) -> list[dict[str, Any]]:
    rows = []
    for step in steps:
        for did, table_ in (("dropped", step.dropped), ("marked", step.marked)):
            for reason, n in sorted(table_.items(), key=lambda item: (-item[1], item[0])):
                share = n / step.n_read if step.n_read else None
                place = {"source": step.source, "step": step.name, "reason": reason}
                rows.append({**place, "documents": n, "frac": share, "was": did})
    return [row for row in rows if row["documents"]]


# --- what documents are ----------------------------------------------------------------------------


def _cuts(receipts: Iterable[Receipt]) -> list[dict[str, Any]]:
    """Documents that were kept and lost lines, and how many lines and bytes."""
    found: dict[str, Counter[str]] = {}
    for receipt in receipts:
        if "n_lines_cut" in receipt.facts:
            counts = found.setdefault(receipt.step.partition("/")[0], Counter())
            counts.update({name: receipt.facts[f"n_{name}_cut"] for name in ("docs", "lines", "bytes")})
    return [
        {"step": step, "documents": counts["docs"], "lines": counts["lines"], "bytes": counts["bytes"]}
        for step, counts in found.items()
    ]


def _labels(total: Tally) -> list[dict[str, Any]]:
    rows = []
    for column, counts in sorted(total.labels.items()):
        n = sum(counts.values())
        for label, k in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            rows.append({"column": column, "label": label, "documents": k, "frac": k / n})
    return rows


def _partition_row(partition: Partition) -> dict[str, Any]:
    return {
        "source": partition.source,
        "split": partition.split,
        "holdout": partition.holdout,
        "where": ", ".join(f"{k}={v}" for k, v in sorted(partition.columns.items())),
        "shards": len(partition.shards),
        "documents": partition.n_docs,
        "tokens": partition.n_tokens,
        "bytes": partition.n_bytes,
        "bytes_per_token": partition.n_bytes / partition.n_tokens if partition.n_tokens else None,
        "licences": partition.licences,
    }


def _value_row(name: str, bins: Mapping[int, int]) -> dict[str, Any]:
    edges = bin_edges()
    order = sorted(bins)
    reached = np.cumsum([bins[b] for b in order])
    places = {
        f"p{q * 100:g}": int(edges[order[int(np.searchsorted(reached, q * reached[-1]))]]) for q in QUANTILES
    }
    return {
        "value": name,
        "documents": int(reached[-1]),
        **places,
        "histogram": {int(edges[b]): bins[b] for b in order},
    }


def _domains(corpus: Corpus, receipts: Iterable[Receipt]) -> list[dict[str, Any]]:
    # Of final parts: what a `save` kept is counted again by the part made from it.
    final = {part.key for part in corpus.manifest.parts if part.final}
    counts: Counter[str] = Counter()
    for receipt in receipts:
        counts.update(receipt.tally.domains if receipt.key in final else {})
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"domain": name, "documents": n} for name, n in ordered]


# --- text ------------------------------------------------------------------------------------------


def audit_text(tables: Mapping[str, Any]) -> str:
    """The audit as a page of tables."""
    head = tables["corpus"]
    sample = f" (a sample: {head['sample']})" if head["sample"] else ""
    counts = (
        f"{head['documents']:,} documents, {head['tokens']:,} tokens, {size(head['bytes_on_disk'])} on disk"
    )
    pages = [f"corpus {head['name']} {head['digest']}{sample}: {counts}\n"]
    pages += [f"missing: {unit}\n" for unit in tables["missing"]]
    pages += [_page(title, rows) for title, rows in _pages(tables) if rows]
    return "\n".join(pages)


def _pages(tables: Mapping[str, Any]) -> Iterable[tuple[str, list[dict[str, Any]]]]:
    sized = [{**row, "bytes": size(row["bytes"])} for row in tables["sources"]]
    fall = [
        {**r, "kept_frac": _percent(r["kept_frac"]), "bytes_dropped": size(r["bytes_dropped"])}
        for r in tables["steps"]
    ]
    yield "sources", sized
    yield "steps: what was read, kept and dropped", fall
    yield "reasons", [{**row, "frac": _percent(row["frac"])} for row in tables["reasons"]]
    yield "labels", [{**row, "frac": _percent(row["frac"])} for row in tables["labels"]]
    yield (
        "tokens by partition",
        [
            {**p, "bytes": size(p["bytes"]), "licences": ", ".join(p["licences"])}
            for p in tables["partitions"]
        ],
    )
    yield (
        "values measured, by quantile (scores in thousandths)",
        [_with_bars(row) for row in tables["values"]],
    )
    yield "domains", tables["domains"]
    yield "cut out of documents that were kept", [{**r, "bytes": size(r["bytes"])} for r in tables["cuts"]]
    yield (
        "clusters (--clusters N shows the largest, side by side)",
        [_cluster_row(r) for r in tables["clusters"]],
    )
    yield "benchmarks", tables["benchmarks"]


def _cluster_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The largest as "name x documents", three of them."""
    largest = ", ".join(f"{name[:12]} x {n:,}" for name, n in row["largest"][:3])
    return {**row, "largest": largest}


def _page(title: str, rows: list[dict[str, Any]]) -> str:
    more = (
        f"... and {len(rows) - N_SHOWN} more (--json has all)\n"
        if len(rows) > N_SHOWN and title in _CUT
        else ""
    )
    shown = rows[:N_SHOWN] if title in _CUT else rows
    return table(shown, title=title) + more


_CUT = ("labels", "domains")


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.1%}"


def _with_bars(row: Mapping[str, Any]) -> dict[str, Any]:
    octaves: Counter[int] = Counter()
    for edge, n in row["histogram"].items():
        octaves[int(edge).bit_length()] += n
    first, last = min(octaves), max(octaves)
    most = max(octaves.values())
    bars = "".join(_BARS[-(-8 * octaves[o] // most)] for o in range(first, last + 1))
    return {**{k: v for k, v in row.items() if k != "histogram"}, "by_octave": bars}


# --- clusters and items, side by side --------------------------------------------------------------


def audit_examples(folder: Path, *, n_clusters: int | None, n_items: int | None) -> Examples:
    """So many clusters of a step and so many items of benchmarks; None leaves them out.

    Raises: DamageError, AccountError.
    """
    found: dict[str, Sequence[Cluster | OnRecord | FoundItem] | None] = {}
    if n_clusters is not None:
        found["clusters"] = largest_clusters(folder, at_most=n_clusters)
        on_record = clusters_on_record(folder, at_most=n_clusters)
        found |= {"on_record": on_record} if on_record else {}
    if n_items is not None:
        found["contaminated"] = contaminated_items(folder, at_most=n_items)
    return found


def examples_as_json(found: Examples) -> dict[str, Any]:
    """The examples as JSON; null where nothing was looked for."""
    return {name: None if ones is None else [asdict(one) for one in ones] for name, ones in found.items()}


def examples_text(found: Examples) -> str:
    """The examples as paragraphs; where there is none, whether anything was looked for."""
    return "".join(_examples_text(name, ones) for name, ones in found.items())


def _examples_text(name: str, ones: Sequence[Cluster | OnRecord | FoundItem] | None) -> str:
    if ones is None:
        looking = {"clusters": "exact or minhash", "contaminated": "decontaminate"}[name]
        return f"{name}: nothing was looked for, the corpus has no {looking} step\n"
    return "".join(one.text() for one in ones) or f"{name}: nothing was found\n"
