"""What method `ngram` looks for in documents, and what it finds: any run of 13 words, say, of an item.

Items in which no string has 13 words are looked for whole if a string has at least `min_words` (8); shorter ones are
too short to be judged: "What is 2 + 2?" stands on too many innocent pages.

Source: Brown et al. 2020 (GPT-3), appendix C, whose 13-grams these are; they cut 200 characters around a hit and
ignored n-grams of more than 10 documents, we judge whole documents and ignore none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.decontaminate.benchmarks import Benchmark
from pipelines.decontaminate.coverage import PIECE_BYTES, as_text
from pipelines.decontaminate.evidence import Judged
from pipelines.dedup.texts import pieces
from pipelines.kernels.ngrams import Hits, NgramTable, find_ngrams, make_ngrams, make_table

__all__ = ["ngram_index", "ngram_verdicts"]

I64s = npt.NDArray[np.int64]
U64s = npt.NDArray[np.uint64]


class _Wanted(NamedTuple):
    """The n-grams of a benchmark, the item and the anchor of each, and how many words they have."""

    grams: U64s
    anchors: U64s
    items: I64s
    widths: set[int]


def ngram_index(
    benchmarks: Sequence[Benchmark], *, n_gram: int, min_words: int
) -> tuple[dict[str, npt.NDArray[Any]], list[int], list[int]]:
    """The arrays of the index, and of each benchmark the items that are looked for and their n-grams."""
    wanted = [_wanted(benchmark, n_gram=n_gram, min_words=min_words) for benchmark in benchmarks]
    arrays = _index_arrays(wanted)
    n_items = [int(np.count_nonzero(np.diff(each.items, prepend=-1))) for each in wanted]
    return arrays, n_items, np.bincount(arrays["holders"], minlength=len(wanted)).tolist()


def _wanted(benchmark: Benchmark, *, n_gram: int, min_words: int) -> _Wanted:
    """What is looked for of a benchmark, in the order of its items."""
    made = make_ngrams(*as_text(benchmark.texts), n_gram=n_gram, min_words=min_words)
    item, counts = np.array(benchmark.items, dtype=np.int64), np.diff(made.ends)
    # A short string counts only in an item without a long one; "none of the answers above" is everywhere.
    is_long = made.n_words >= n_gram
    chosen = is_long | ~np.isin(item, item[is_long])
    taken = np.repeat(chosen, counts)
    widths = set(np.minimum(made.n_words[chosen & (counts > 0)], n_gram).tolist())
    return _Wanted(made.grams[taken], made.anchors[taken], np.repeat(item, counts)[taken], widths)


def _index_arrays(wanted: Sequence[_Wanted]) -> dict[str, npt.NDArray[Any]]:
    """A table of the distinct n-grams, where each was seen first, and the distinct benchmarks of each.

    N-gram g stands in benchmarks `holders[holder_ends[g]:holder_ends[g + 1]]`.
    """
    grams, anchors, items = (np.concatenate(columns) for columns in list(zip(*wanted, strict=True))[:3])
    benchmarks = np.repeat(np.arange(len(wanted)), [len(w.grams) for w in wanted])
    order = np.argsort(grams, kind="stable")  # keeps the order of benchmarks and items
    grams, benchmarks = grams[order], benchmarks[order]
    is_new = np.diff(grams, prepend=~grams[:1]) != 0
    is_holder = is_new | (np.diff(benchmarks, prepend=-1) != 0)
    held = np.bincount(np.cumsum(is_new)[is_holder] - 1, minlength=int(is_new.sum()))
    table = make_table(grams[is_new], anchors[order][is_new])
    return {
        **table._asdict(),
        "benchmark": benchmarks[is_new],
        "item": items[order][is_new],
        "holder_ends": np.concatenate([[0], np.cumsum(held)]).astype(np.int64),
        "holders": benchmarks[is_holder],
        "widths": np.array(sorted(set[int]().union(*(w.widths for w in wanted))), dtype=np.int64),
    }


def ngram_verdicts(
    table: pa.Table,
    index: Any,
    alive: npt.NDArray[np.bool_],
    *,
    names: Sequence[str],
    min_words: int,
    min_hits: int,
    beat: Callable[[int], None],
) -> Judged:
    """Which documents share at least `min_hits` runs, and with what; beats with a row as it goes on."""
    hits, matched = _all_hits(table, index, alive, min_words=min_words, beat=beat)
    n_hits = np.bincount(hits.doc, minlength=len(alive)).astype(np.int64)
    verdicts = (n_hits >= min_hits).astype(np.uint8)
    firsts = np.searchsorted(hits.doc, np.arange(len(alive)))
    evidence = _evidence(names, index, hits.gram, firsts, n_hits)
    return Judged(verdicts, {**evidence, "matched": matched}, _found(names, index, hits, verdicts > 0))


def _all_hits(
    table: pa.Table,
    index: Any,
    alive: npt.NDArray[np.bool_],
    *,
    min_words: int,
    beat: Callable[[int], None],
) -> tuple[Hits, pa.Array]:
    """The hits in documents that are alive (doc: row of the part), and the words of each one's first."""
    lookup = NgramTable(index["keys"], index["gram"], index["filter"])
    docs, grams, matched = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)], []
    for piece in pieces(table, max_bytes=PIECE_BYTES):
        beat(piece.start)
        hits = find_ngrams(*piece.text, table=lookup, widths=index["widths"], min_words=min_words)
        docs.append(hits.doc + piece.start)
        grams.append(hits.gram)
        matched.append(_string_column(hits, alive[piece.start : piece.start + len(piece)]))
    doc, gram = np.concatenate(docs), np.concatenate(grams)
    words = pa.concat_arrays(matched) if matched else pa.array([], pa.large_string())
    return Hits(doc[alive[doc]], gram[alive[doc]], np.zeros(0, np.uint8), np.zeros(1, np.int64)), words


def _string_column(hits: Hits, alive: npt.NDArray[np.bool_]) -> pa.Array:
    valid = (np.diff(hits.word_ends) > 0) & alive
    bits = pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())
    buffers = [bits, pa.py_buffer(hits.word_ends), pa.py_buffer(hits.words)]
    return pa.LargeStringArray.from_buffers(len(valid), buffers[1], buffers[2], bits)


def _evidence(
    names: Sequence[str], index: Any, grams: I64s, firsts: I64s, n_hits: I64s
) -> dict[str, pa.Array]:
    """Benchmark and item of each document's first hit, null without one, and the number of hits."""
    clean = n_hits == 0
    first = grams[firsts[~clean]]
    benchmark, item = np.zeros(len(n_hits), dtype=np.int64), np.zeros(len(n_hits), dtype=np.int64)
    benchmark[~clean], item[~clean] = index["benchmark"][first], index["item"][first]
    named = pa.array(names, pa.string()).take(pa.array(benchmark, mask=clean))
    return {"benchmark": named, "item": pa.array(item, mask=clean), "n_hits": pa.array(n_hits)}


def _found(
    names: Sequence[str], index: Any, hits: Hits, is_contaminated: npt.NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """Of each benchmark: places that hold one of its n-grams, and contaminated documents that do."""
    starts, ends = index["holder_ends"][hits.gram], index["holder_ends"][hits.gram + 1]
    n_holders = ends - starts
    at = np.repeat(starts - (np.cumsum(n_holders) - n_holders), n_holders) + np.arange(n_holders.sum())
    holder, doc = index["holders"][at], np.repeat(hits.doc, n_holders)
    n_hits = np.bincount(holder, minlength=len(names))
    judged = is_contaminated[doc]
    pairs = np.unique(np.stack([holder[judged], doc[judged]]), axis=1)
    n_docs = np.bincount(pairs[0], minlength=len(names))
    counts = zip(names, n_docs.tolist(), n_hits.tolist(), strict=True)
    return [{"benchmark": path, "documents": docs, "hits": hits} for path, docs, hits in counts]
