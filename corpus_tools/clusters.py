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

from corpus_tools.compare import Beside, side_by_side
from corpus_tools.explain import described, find
from corpus_tools.open import Corpus, open_corpus, read_rows
from corpus_tools.screen import clean, count
from manifests.corpus import PartEntry
from manifests.receipt import Receipt

__all__ = ["Cluster", "largest_clusters", "told_of_clusters"]

_LOOKING = ("exact", "minhash")


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster: the step that found it, its name (the id of the one that stays), its size, and two of it."""

    step: str
    cluster: str
    n_docs: int
    member: str | None
    beside: Beside | None

    def text(self) -> str:
        """The cluster as a paragraph."""
        head = (
            f"{clean(self.step)}  {self.cluster}  {count(self.n_docs)} documents, one of them {self.member}\n"
        )
        return head + (indent(self.beside.text(), "    ") if self.beside else "") + "\n"


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


def _cluster(corpus: Corpus, step: str, name: str, n_docs: int) -> Cluster:
    keeper = next(find(corpus, name), None)
    place = next(_members(corpus, step, bytes.fromhex(name)), None)
    if keeper is None or keeper.part is None or place is None:
        return Cluster(step, name, n_docs, None, None)
    part, row = place
    member = read_rows(part.part.check(corpus.root), ["doc_id"]).column("doc_id")[row].as_py().hex()
    here = corpus.text_of(part, row, before=step)
    there = corpus.text_of(keeper.part, keeper.index, before=step)
    return Cluster(step, name, n_docs, member, side_by_side(here, there, other=f"keeper {described(keeper)}"))


def _members(corpus: Corpus, step: str, name: bytes) -> Iterator[tuple[PartEntry, int]]:
    """Where documents of a cluster stand, but for the one that names it."""
    for part in corpus.manifest.parts:
        for entry in corpus.verdicts_of(part) if part.final else ():
            if entry.step != step:
                continue
            table = read_rows(entry.verdict.check(corpus.root), ["cluster"])
            mine = pc.equal(table.column("cluster"), pa.scalar(name, pa.binary(16)))
            rows = np.flatnonzero(np.asarray(pc.fill_null(mine, fill_value=False)))
            if len(rows):
                ids = read_rows(part.part.check(corpus.root), ["doc_id"]).column("doc_id")
                yield from ((part, row) for row in rows.tolist() if ids[row].as_py() != name)
