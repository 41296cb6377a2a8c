"""Whether a corpus is what its manifest says: every file, every account, nothing left over.

    files      what the manifest names is there with its size; --deep: its digest, and that it can be read
    receipts   each is canonical, carries its digest, and read = kept + dropped
    steps      each step's account is the sum of the receipts'; what one step kept the next one read
    store      no file that no manifest of the store names, outside runs/

One finding a line; none means sound. Price: a `stat` a file; --deep reads every byte two or three times (digest,
shard blocks, Parquet pages), from the page cache at 1 to 5 GB/s. It does not repeat any stage's work: that is
`quern build` in another folder and `quern diff`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpus_tools.audit import tallies_by_source
from corpus_tools.open import Corpus, open_corpus, read_rows
from corpus_tools.screen import size, table
from manifests.commit import FileRef
from manifests.corpus import CorpusManifest, Partition, ShardEntry, StepEntry
from manifests.digest import read_sealed
from manifests.errors import QuernError
from manifests.receipt import Receipt, Tally, read_pack
from manifests.shards import Shard

__all__ = ["Finding", "Verdict", "verify_corpus"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: which kind of file or account, where, and what."""

    kind: str
    where: str
    problem: str


@dataclass(frozen=True)
class Verdict:
    """The answer: files and bytes by role, what was checked, and every finding."""

    digest: str
    deep: bool
    roles: list[dict[str, Any]]
    n_receipts: int
    n_steps: int
    findings: list[Finding]

    def as_json(self) -> dict[str, Any]:
        """The verdict as JSON."""
        return {**asdict(self), "sound": not self.findings}

    def text(self) -> str:
        """The verdict as a table, the findings below it."""
        rows = [{**row, "bytes": size(row["bytes"])} for row in self.roles]
        counts = f"{self.n_receipts} receipts and {self.n_steps} step accounts"
        wrong = (
            table([asdict(f) for f in self.findings], title=f"\n{len(self.findings)} wrong:")
            if self.findings
            else ""
        )
        how = "every byte read" if self.deep else "sizes only; --deep reads every byte"
        state = "" if self.findings else f"\nSound: {counts} add up ({how}).\n"
        return table(rows, title=f"corpus {self.digest}") + wrong + state


def verify_corpus(folder: Path, *, deep: bool = False) -> Verdict:
    """What is wrong with the corpus of a folder.

    Raises: MissingFileError, FormatError, DigestError when the manifest itself cannot be read.
    """
    corpus = open_corpus(folder)
    findings = list(_files(corpus, deep=deep))
    receipts, broken = _receipts(corpus)
    findings += broken
    if not broken:
        findings += _accounts(corpus, receipts)
    findings += _strangers(corpus)
    return Verdict(
        digest=corpus.manifest.digest,
        deep=deep,
        roles=_roles(corpus, findings),
        n_receipts=len(receipts),
        n_steps=len(corpus.manifest.steps),
        findings=findings,
    )


def _roles(corpus: Corpus, findings: Iterable[Finding]) -> list[dict[str, Any]]:
    wrong = Counter(f.kind for f in findings)
    roles: dict[str, dict[str, Any]] = {}
    for role, ref in corpus.manifest.files():
        row = roles.setdefault(role, {"file": role, "files": 0, "bytes": 0, "wrong": wrong.pop(role, 0)})
        row["files"] += 1
        row["bytes"] += ref.size
    return [
        *roles.values(),
        *({"file": k, "files": 0, "bytes": 0, "wrong": n} for k, n in sorted(wrong.items())),
    ]


# --- files -----------------------------------------------------------------------------------------


def _files(corpus: Corpus, *, deep: bool) -> Iterator[Finding]:
    """Missing, cut or changed files; with `deep` also those whose content is not what its role asks."""
    for role, ref in corpus.manifest.files():
        broken = _finding(role, ref.path, partial(ref.check, corpus.root, deep=deep))
        yield from broken
        if deep and not broken and role in _READERS:
            yield from _finding(role, ref.path, partial(_READERS[role], corpus.root / ref.path))
    if deep:
        yield from _shards(corpus)
        yield from _parts(corpus)


def _finding(kind: str, where: str, check: Callable[[], object]) -> list[Finding]:
    try:
        check()
    except (QuernError, pa.ArrowException, OSError, ValueError) as error:
        return [Finding(kind, where, str(error))]
    return []


def _read_parquet(path: Path) -> None:
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        for batch in file.iter_batches():
            batch.validate(full=True)


_READERS: dict[str, Callable[[Path], object]] = {
    "files": read_sealed,
    "quarantine": read_sealed,
    "part": _read_parquet,
    "dropped": _read_parquet,
    "verdict": _read_parquet,
    "documents": _read_parquet,
}


def _shards(corpus: Corpus) -> Iterator[Finding]:
    for partition in corpus.manifest.partitions:
        for entry in partition.shards:
            yield from _finding("shard", entry.shard.path, partial(_check_shard, corpus, entry))
        yield from _partition(partition)


def _check_shard(corpus: Corpus, entry: ShardEntry) -> None:
    path = corpus.root / entry.shard.path
    with Shard.open(path, root=entry.root) as shard:
        shard.verify()
        h = shard.header
        for name in ("n_tokens", "n_docs", "n_bytes"):
            expected, found = getattr(entry, name), getattr(h, name)
            if found != expected:
                raise ValueError(
                    f"expected {name} {expected:,}, as in the manifest, found {found:,} in its header"
                )
        if corpus.manifest.tokenizer is not None and h.tokenizer != corpus.manifest.tokenizer.digest:
            raise ValueError(f"it was made with tokenizer {h.tokenizer}, the manifest names another")
        ends = shard.doc_ends().astype(np.int64)
    documents = read_rows(corpus.root / entry.documents.path, ["start", "end"])
    starts = np.concatenate([[0], ends[:-1]])[: len(ends)]
    for name, expected in (("start", starts), ("end", ends)):
        if not np.array_equal(documents.column(name).to_numpy().astype(np.int64), expected):
            raise ValueError(f"the documents table's column `{name}` differs from the shard's document ends")


def _partition(partition: Partition) -> Iterator[Finding]:
    for name in ("n_tokens", "n_docs", "n_bytes"):
        total = sum(getattr(s, name) for s in partition.shards)
        if total != getattr(partition, name):
            where = f"{partition.source}/{partition.split} {partition.columns or ''}".strip()
            yield Finding(
                "partition", where, f"{name} is {getattr(partition, name)}, its shards hold {total}"
            )


def _parts(corpus: Corpus) -> Iterator[Finding]:
    parts = {part.key: part for part in corpus.manifest.parts}
    for part in parts.values():
        yield from _rows("part", corpus, part.part, part.n_docs)
    for entry in corpus.manifest.verdicts:
        if entry.part_key in parts:
            yield from _rows("verdict", corpus, entry.verdict, parts[entry.part_key].n_docs)
        else:
            yield Finding("verdict", entry.verdict.path, f"its part {entry.part_key} is not in the manifest")


def _rows(kind: str, corpus: Corpus, ref: FileRef, expected: int) -> list[Finding]:
    path = corpus.root / ref.path
    if not path.is_file():
        return []
    try:
        found = pq.read_metadata(path).num_rows
    except (pa.ArrowException, OSError):
        return []  # its bytes are wrong, and that was said
    return [] if found == expected else [Finding(kind, ref.path, f"expected {expected} rows, found {found}")]


# --- accounts --------------------------------------------------------------------------------------


def _receipts(corpus: Corpus) -> tuple[list[Receipt], list[Finding]]:
    receipts: list[Receipt] = []
    findings: list[Finding] = []
    for ref in corpus.manifest.receipts:
        findings += _finding("receipts", ref.path, partial(_read_receipts, corpus.root / ref.path, receipts))
    return receipts, findings


def _read_receipts(path: Path, receipts: list[Receipt]) -> None:
    receipts.extend(read_pack(path))


def _accounts(corpus: Corpus, receipts: list[Receipt]) -> Iterator[Finding]:
    tallies = tallies_by_source(corpus.manifest, receipts)
    for step in corpus.manifest.steps:
        yield from _balance(step)
        yield from _against(step, tallies.get(step.source, Tally()))
    yield from _part_receipts(corpus.manifest, {r.key: r for r in receipts})
    yield from _chain(corpus.manifest)
    yield from _kept(corpus.manifest)


def _part_receipts(manifest: CorpusManifest, receipts: dict[str, Receipt]) -> Iterator[Finding]:
    """Where a part is not what its receipt says was written, or a source did not read what its receipts read."""
    n_read: Counter[str] = Counter()
    for part in manifest.parts:
        receipt = receipts.get(part.key)
        if receipt is None or (receipt.outputs.get("part"), receipt.tally.n_kept) != (part.part, part.n_docs):
            yield Finding(
                "account", part.part.path, "no receipt of the manifest says that this part was written so"
            )
            continue
        # What a `save` kept is read again by the part made from it.
        n_read[part.source] += receipt.tally.n_read - (0 if part.final else receipt.tally.n_kept)
    for step in (s for s in manifest.steps if s.kind == "read" and s.n_read != n_read[str(s.source)]):
        problem = f"read {step.n_read} records, its receipts {n_read[str(step.source)]}"
        yield Finding("account", f"{step.source} {step.name}", problem)


def _against(step: StepEntry, tally: Tally) -> Iterator[Finding]:
    """Where a step's account is not the receipts' sum."""
    sums = {
        "dropped": tally.dropped.get(step.name, {}),
        "marked": tally.marked.get(step.name, {}),
        "routed": tally.routed.get(step.name, 0),
    }
    for what, found in sums.items():
        if (expected := getattr(step, what)) != found:
            yield Finding("account", step.name, f"{what}: the manifest says {expected}, the receipts {found}")


def _balance(step: StepEntry) -> Iterator[Finding]:
    n_dropped = sum(step.dropped.values())
    if step.n_read != step.n_kept + n_dropped:
        yield Finding("account", step.name, f"read {step.n_read}, kept {step.n_kept}, dropped {n_dropped}")


def _chain(manifest: CorpusManifest) -> Iterator[Finding]:
    """Steps of a source pass on what they kept; the first step over all sources reads what all of them kept."""
    last: dict[str | None, StepEntry] = {}
    for step in manifest.steps:
        if step.source is None and None not in last:
            expected = sum(s.n_kept for s in last.values())
        else:
            expected = last[step.source].n_kept if step.source in last else step.n_read
        if step.n_read != expected and step.kind != "tokens":
            yield Finding("account", step.name, f"read {step.n_read}, but the step before it kept {expected}")
        last[step.source] = step


def _kept(manifest: CorpusManifest) -> Iterator[Finding]:
    """What the last dropping step kept is what the parts hold less what gathers dropped of them."""
    alive = sum(p.n_docs for p in manifest.parts if p.final)
    alive -= sum(v.n_dropped for v in manifest.verdicts if v.action == "drop")
    for step in [s for s in manifest.steps if s.kind == "gather"][-1:]:
        if step.n_kept != alive:
            yield Finding(
                "account", step.name, f"kept {step.n_kept}, but {alive} documents of the parts are left"
            )


# --- the store -------------------------------------------------------------------------------------


def _strangers(corpus: Corpus) -> list[Finding]:
    """Files of the store that none of its manifests names, outside runs/."""
    named = set(_named(corpus.root))
    found = [path for path in _walk(corpus.root) if path not in named]
    return [Finding("unnamed", path, "no manifest of this store names it") for path in found]


def _named(root: Path) -> Iterator[str]:
    for folder in ("", "sample/"):
        yield f"{folder}corpus.json"
        for path in sorted((root / folder / "corpora").glob("*.json")):
            yield path.relative_to(root).as_posix()
            yield from (ref.path for _, ref in CorpusManifest.read(path).files())


def _walk(root: Path) -> Iterator[str]:
    for folder, below, files in os.walk(root):
        if Path(folder) == root and "runs" in below:
            below.remove("runs")
        below.sort()
        yield from ((Path(folder) / name).relative_to(root).as_posix() for name in sorted(files))
