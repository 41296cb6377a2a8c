"""The largest clusters that gathers found, two documents of each side by side.

    receipts of verdicts ──facts──> the largest of every step ──> the one that stays, and the first that fell for it

Price: a column of every verdict file until a member is found, and the parts that hold the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus_tools.compare import Beside, side_by_side
from corpus_tools.explain import described, find
from corpus_tools.open import Corpus, damage_named, open_corpus, read_rows
from corpus_tools.screen import clean, count
from manifests.corpus import PartEntry
from manifests.receipt import Receipt

__all__ = ["Cluster", "OnRecord", "clusters_on_record", "largest_clusters", "told_of_clusters"]

_LOOKING = ("exact", "minhash")


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster: the step that found it, its name (the id of the one that stays), its size, and two of it.

    keeper_in: the finished corpus that holds the one that stays, None for this one; its text is not at hand here.
    """

    step: str
    cluster: str
    n_docs: int
    member: str | None
    beside: Beside | None
    keeper_in: str | None = None

    def text(self) -> str:
        """The cluster as a paragraph."""
        one = f", one of them {self.member}" if self.member else ""
        stays = f"; {self.cluster} stays, in the finished corpus {self.keeper_in}" if self.keeper_in else ""
        head = f"{self.step}  {self.cluster}  {count(self.n_docs)} documents{one}{stays}"
        return clean(head) + "\n" + (indent(self.beside.text(), "    ") if self.beside else "") + "\n"


def told_of_clusters(receipts: Iterable[Receipt]) -> dict[str, dict[str, Any]]:
    """What each step found of clusters: n_clusters, n_members, the largest as [id, documents]."""
    facts = ((receipt.step.partition("/")[0], receipt.facts.get("clusters")) for receipt in receipts)
    return {step: told for step, told in facts if told}


def largest_clusters(folder: Path, *, at_most: int) -> list[Cluster] | None:
    """The largest clusters of every step; None where the corpus has no step that looks for any.

    Raises: DamageError, AccountError.
    """
    corpus = open_corpus(folder)
    if not any(step.stage in _LOOKING for step in corpus.manifest.steps):
        return None
    return [
        _cluster(corpus, step, name, n_docs)
        for step, told in told_of_clusters(corpus.receipts()).items()
        for name, n_docs in told["largest"][:at_most]
    ]


@dataclass(frozen=True, slots=True)
class OnRecord:
    """How many of a step's clusters its receipts name, the largest ones."""

    step: str
    n_on_record: int
    n_clusters: int

    def text(self) -> str:
        """A line."""
        of_all = f"the {count(self.n_on_record)} largest of {count(self.n_clusters)}"
        return f"{clean(self.step)}: {of_all} clusters are on record\n"


def clusters_on_record(folder: Path, *, at_most: int) -> list[OnRecord]:
    """Of every step that has fewer clusters on record than it found and than are asked for, how many.

    Raises: DamageError, AccountError.
    """
    corpus = open_corpus(folder)
    looking = [step.name for step in corpus.manifest.steps if step.stage in _LOOKING]
    told = {step: each for step, each in told_of_clusters(corpus.receipts()).items() if step in looking}
    counts = [OnRecord(step, len(each["largest"]), each["n_clusters"]) for step, each in told.items()]
    return [one for one in counts if one.n_on_record < min(at_most, one.n_clusters)]


def _cluster(corpus: Corpus, step: str, name: str, n_docs: int) -> Cluster:
    member = next(_members(corpus, step, bytes.fromhex(name)), None)
    if member is None:
        return Cluster(step, name, n_docs, None, None)
    part, row, keeper_in = member
    found = read_rows(part.part.check(corpus.root), ["doc_id"]).column("doc_id")[row].as_py().hex()
    # A document of this corpus may have the very id of one in a finished corpus.
    keeper = None if keeper_in else next(find(corpus, name), None)
    if keeper is None or keeper.part is None:
        return Cluster(step, name, n_docs, found, None, keeper_in)
    here = corpus.text_of(part, row, before=step)
    there = corpus.text_of(keeper.part, keeper.index, before=step)
    return Cluster(step, name, n_docs, found, side_by_side(here, there, other=f"keeper {described(keeper)}"))


def _members(corpus: Corpus, step: str, name: bytes) -> Iterator[tuple[PartEntry, int, str | None]]:
    """Where documents of a cluster stand, but for the one that names it; and the finished corpus that holds that."""
    for part in corpus.manifest.parts:
        for entry in corpus.verdicts_of(part) if part.final else ():
            if entry.step != step:
                continue
            path = entry.verdict.check(corpus.root)
            with damage_named(path):
                names = {"cluster", "keeper_in"}.intersection(pq.read_schema(path).names)
            table = read_rows(path, sorted(names))
            mine = pc.equal(table.column("cluster"), pa.scalar(name, pa.binary(16)))
            rows = np.flatnonzero(np.asarray(pc.fill_null(mine, fill_value=False)))
            if not len(rows):
                continue
            ids = read_rows(part.part.check(corpus.root), ["doc_id"]).column("doc_id")
            held = table.column("keeper_in").to_pylist() if "keeper_in" in names else [None] * len(ids)
            yield from (
                (part, row, held[row]) for row in rows.tolist() if held[row] or ids[row].as_py() != name
            )
