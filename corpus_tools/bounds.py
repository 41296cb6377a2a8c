"""How many documents a corpus would have past its first gather, were other ones to pass the rules before it.

    now 900, of which 40 would fall and 10 more would come   ->   between 860 - 10 and 860 + 10 and the freed

A document that comes may take the place of one that stays in each of the gathers' groups; one that falls frees those
that fell for it. Where a gather compares texts, cuts them, lets giants stay, or puts a document in the place of one
with another text before the next gather, only 0 and the documents that pass the rules are sure.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus_tools.open import Corpus, read_rows
from manifests.corpus import PartEntry

__all__ = ["Bounds"]

Bools = npt.NDArray[np.bool_]


class Bounds:
    """Bounds on the documents in the end, a part after the other."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        gathers = [s for s in corpus.manifest.steps if s.kind == "gather" and s.action == "drop"]
        self._ties = sum(int(s.params.get("bands", s.stage in ("exact", "editions"))) for s in gathers)
        clustering = [s for s in gathers if s.stage in ("editions", "exact", "minhash")]
        self._replaces = any(s.stage != "exact" or s.params.get("by") == "url" for s in clustering[:-1])
        # Where candidates are compared again, who is compared with whom depends on who else is there; and so does,
        # where lines are cut, what is left of a text, and, where giants stay, whether a cluster is one.
        self._compares = any(
            s.stage == "exact_lines"
            or s.params.get("verify", "none") != "none"
            or s.params.get("giant", "count") == "keep"
            for s in gathers
        )
        self.final = self._lost = self._added = self._passed = self._n_rows = 0
        self._freed: list[pa.Array] = []
        self._gone: list[pa.Array] = []

    def add(self, part: PartEntry, *, kept: Bools, n_added: int) -> None:
        """A part's documents: kept[n_docs] says which of its rows would still be kept."""
        final = self._corpus.kept(part)
        self.final += int(final.sum())
        self._lost += int((final & ~kept).sum())
        self._added += n_added
        self._passed += int(kept.sum()) + n_added
        self._n_rows += part.n_docs
        for entry in (v for v in self._corpus.verdicts_of(part) if v.action == "drop"):
            verdict = read_rows(entry.verdict.check(self._corpus.root))
            if "cluster" in verdict.column_names:
                clusters = verdict.column("cluster").cast(pa.binary())
                fell = np.asarray(verdict.column("verdict")) > 0
                self._freed.append(clusters.filter(pa.array(fell & kept)).combine_chunks())
                self._gone.append(clusters.filter(pa.array(~kept)).combine_chunks())

    def found(self) -> tuple[int, int, int]:
        """(documents now, lower bound, upper bound)."""
        if self._compares and (self._added or self._passed != self._n_rows):
            return self.final, 0, self._passed
        gone = pa.chunked_array(self._gone, pa.binary()).drop_null()
        freed = pa.chunked_array(self._freed, pa.binary())
        n_freed = int(pc.sum(pc.is_in(freed, value_set=gone.combine_chunks())).as_py() or 0)
        stays = self.final - self._lost
        if self._replaces and self._added + n_freed:
            return self.final, 0, self._passed
        return (
            self.final,
            max(0, stays - self._ties * (self._added + n_freed)),
            stays + self._added + n_freed,
        )
