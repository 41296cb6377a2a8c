"""Which items of which benchmarks stand in documents, item by item, the passage beside the item.

    verdicts of decontaminate ──> (benchmark, item) ──> documents, the best score, one passage and what the item says

Price: the verdict files of the step; one row an item is held.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus_tools.compare import Beside, side_by_side
from corpus_tools.open import Corpus, open_corpus, read_rows
from corpus_tools.screen import clean, count

__all__ = ["FoundItem", "contaminated_items", "item_beside"]

_LOOKING = "decontaminate"
_COLUMNS = ("verdict", "benchmark", "item", "score", "matched", "item_text")


@dataclass(frozen=True, slots=True)
class FoundItem:
    """An item of a benchmark that is the best find in documents: how many, and the passage of one of them.

    score: in per mille, None where runs of words decide; document: the id of the one that is shown.
    """

    step: str
    benchmark: str
    item: int
    n_docs: int
    score: int | None
    document: str
    beside: Beside | None

    def text(self) -> str:
        """The item as a paragraph."""
        score = "" if self.score is None else f", score {self.score}"
        found = f"{count(self.n_docs)} documents{score}, one is {self.document}"
        head = f"{clean(self.benchmark)} item {self.item}: {found}\n"
        return head + (indent(self.beside.text(), "    ") if self.beside else "") + "\n"


def item_beside(row: Mapping[str, Any]) -> Beside | None:
    """The words of a document in which an item was found, and the item's, from a row of verdicts; None without."""
    said, matched = row.get("item_text"), row.get("matched")
    if said is None or matched is None:
        return None
    # What was matched are words in lower case, so the item is told so too.
    words = " ".join(re.findall(r"\w+", said.lower()))
    return side_by_side(matched, words, other=f"item {row['item']} of {row['benchmark']}")


def contaminated_items(folder: Path, *, at_most: int) -> list[FoundItem] | None:
    """The items that stand in most documents, dropped or marked, of every decontaminating step; None without one.

    Raises: DamageError.
    """
    corpus = open_corpus(folder)
    if not any(step.stage == _LOOKING for step in corpus.manifest.steps):
        return None
    counts = Counter[tuple[str, str, int]]()
    best: dict[tuple[str, str, int], dict[str, Any]] = {}
    for step, row in _rows(corpus):
        named = step, row["benchmark"], row["item"]
        counts[named] += 1
        best[named] = min(
            best.get(named, row), row, key=lambda row: (-(row.get("score") or 0), row["doc_id"])
        )
    largest = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:at_most]
    return [_found(*named, n_docs, best[named]) for named, n_docs in largest]


def _found(step: str, benchmark: str, item: int, n_docs: int, best: dict[str, Any]) -> FoundItem:
    return FoundItem(
        step, benchmark, item, n_docs, best.get("score"), best["doc_id"].hex(), item_beside(best)
    )


def _rows(corpus: Corpus) -> Iterator[tuple[str, dict[str, Any]]]:
    """(step, row) of every contaminated document, with its `doc_id`."""
    kinds = {step.name: step.stage for step in corpus.manifest.steps}
    for part in (part for part in corpus.manifest.parts if part.final):
        for entry in corpus.verdicts_of(part):
            if kinds.get(entry.step) != _LOOKING:
                continue
            path = entry.verdict.check(corpus.root)
            names = set(pq.read_schema(path).names)
            table = read_rows(path, [name for name in _COLUMNS if name in names])
            ids = read_rows(part.part.check(corpus.root), ["doc_id"]).column("doc_id")
            chosen = pc.greater(table.column("verdict"), 0)
            for row in table.append_column("doc_id", ids).filter(chosen).to_pylist():
                yield entry.step, row
