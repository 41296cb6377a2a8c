"""Decontaminate: documents that share a run of 13 words with a benchmark item are dropped or marked.

    index     the benchmarks -> n-grams: uint64, sorted, each with the first item it stands in and the
              benchmarks that hold it                                     about 40 bytes an n-gram
    verdict   a part -> keep or `contaminated`, and why:

      verdict  benchmark        item  n_hits  matched
      1        gsm8k/test.jsonl   17      41  "how much does she make every day at the farmers market in"
      0        null             null       0  null

Words are cut as for MinHash: lower case, no punctuation, any white space. So reflowed, upper-cased and
re-punctuated copies are found; a paraphrase, a translation or an edit in every thirteenth word is not.
Items in which no string has 13 words are looked for whole if a string has at least `min_words` (8); shorter
ones are counted as `too_short` and never found: "What is 2 + 2?" stands on too many innocent pages.
In Chinese, Japanese or Thai a word is one character, and 13 of them say less than 13 words of English.

One shared run drops a document, however long: a book may quote what a benchmark quotes. `action: mark` only
records it.

Source: Brown et al. 2020 (GPT-3), appendix C, whose 13-grams these are; they cut 200 characters around a hit
and ignored n-grams of more than 10 documents, we judge whole documents and ignore none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from manifests.digest import digest_file
from pipelines.batch import TextView
from pipelines.decontaminate.benchmarks import SUFFIXES, Benchmark, read_benchmark
from pipelines.dedup.arrays import ArrayFile, read_arrays, write_arrays
from pipelines.dedup.members import account, write_verdict
from pipelines.dedup.texts import pieces, text_bytes
from pipelines.kernels.ngrams import Hits, find_ngrams, make_ngrams, make_table
from pipelines.stage import Gather, GatherTask, Phase

__all__ = ["Decontaminate", "benchmark_report", "build_index", "judge"]

I64s = npt.NDArray[np.int64]
U64s = npt.NDArray[np.uint64]


class Decontaminate(Gather):
    """Drops documents that share a run of words with an item of a benchmark."""

    name: ClassVar[str] = "decontaminate"
    version: ClassVar[int] = 1
    reasons: ClassVar[tuple[str, ...]] = ("contaminated",)

    against: tuple[str, ...] = Field(min_length=1)
    """Benchmark files, JSON Lines, plain or gzipped; relative to the recipe."""
    fields: tuple[str, ...] | None = None
    """Fields of an item that are text; without it every string in the item is."""
    ngram: int = Field(default=13, ge=1, le=255)
    """Words in a row that must be shared."""
    min_words: int = Field(default=8, ge=1)
    """An item in which no string has `ngram` words is looked for whole if a string has at least this many."""
    min_hits: int = Field(default=1, ge=1)
    """Places a document must share to be contaminated: 5 forgives a quotation of up to 16 words."""

    @field_validator("against")
    @classmethod
    def _is_json_lines(cls, against: tuple[str, ...]) -> tuple[str, ...]:
        for path in against:
            if not path.endswith(SUFFIXES):
                raise ValueError(
                    f"{path}: expected a name in {' or '.join(SUFFIXES)}; convert the file first"
                )
        if len(set(against)) < len(against):
            raise ValueError("a benchmark is named twice; its hits would be counted twice")
        return against

    @model_validator(mode="after")
    def _short_is_shorter(self) -> Decontaminate:
        if self.min_words > self.ngram:
            raise ValueError(f"min_words ({self.min_words}) is above ngram ({self.ngram}); give at most that")
        return self

    def side_inputs(self, folder: Path) -> dict[str, str]:
        """The digest of every benchmark file."""
        return {path: digest_file(folder / path) for path in self.against}

    def kernels(self) -> tuple[str, ...]:
        """Those that hash n-grams and look them up."""
        return ("ngrams.hash_ngrams", "ngrams.fill_table", "ngrams.find_in_documents")

    def phases(self) -> list[Phase]:
        """index, verdict."""
        return [
            Phase("index", "one", partial(build_index, stage=self)),
            Phase("verdict", "part", partial(judge, stage=self), keep=True),
        ]


def build_index(task: GatherTask, *, stage: Decontaminate) -> None:
    """Write the n-grams of all benchmarks; say of each how many items it has and how many are too short."""
    grams: list[U64s] = []
    benchmarks: list[I64s] = []
    items: list[I64s] = []
    widths: set[int] = set()
    told: list[dict[str, Any]] = []
    for number, path in enumerate(stage.against):
        benchmark = read_benchmark(task.folder / path, fields=stage.fields)
        gram, item, wide = _ngrams_of(benchmark, stage)
        grams.append(gram)
        items.append(item)
        benchmarks.append(np.full(len(gram), number, dtype=np.int64))
        widths |= wide
        told.append(_told(path, benchmark, n_ngrams=len(np.unique(gram)), n_found=len(np.unique(item))))
    arrays = _index_arrays(np.concatenate(grams), np.concatenate(benchmarks), np.concatenate(items))
    with task.output("ngrams", ".arrays") as file:
        write_arrays(file, {**arrays, "widths": np.array(sorted(widths), dtype=np.int64)})
    task.facts["benchmarks"] = told


def _told(path: str, benchmark: Benchmark, *, n_ngrams: int, n_found: int) -> dict[str, Any]:
    return {
        "benchmark": path,
        "digest": benchmark.digest,
        "items": benchmark.n_items,
        "ngrams": n_ngrams,
        "too_short": benchmark.n_items - n_found,
    }


def _ngrams_of(benchmark: Benchmark, stage: Decontaminate) -> tuple[U64s, I64s, set[int]]:
    """The n-grams of a benchmark, the item of each, and how many words they have."""
    text = _as_text(benchmark.texts)
    grams, ends, n_words = make_ngrams(text.data, text.offsets, n_gram=stage.ngram, min_words=stage.min_words)
    item = np.array(benchmark.items, dtype=np.int64)
    # A short string counts only in an item without a long one; "none of the answers above" is everywhere.
    is_long = n_words >= stage.ngram
    wanted = is_long | ~np.isin(item, item[is_long])
    taken = np.repeat(wanted, np.diff(ends))
    with_ngrams = wanted & (np.diff(ends) > 0)
    widths = set(np.minimum(n_words[with_ngrams], stage.ngram).tolist())
    return grams[taken], np.repeat(item, np.diff(ends))[taken], widths


def _as_text(texts: Sequence[str]) -> TextView:
    # JSON can spell half a surrogate pair, UTF-8 cannot; "?" is punctuation to us.
    raw = [text.encode("utf-8", "replace") for text in texts]
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in raw])]).astype(np.int64)
    return TextView(np.frombuffer(b"".join(raw) or b"\0", dtype=np.uint8), offsets)


def _index_arrays(grams: U64s, benchmarks: I64s, items: I64s) -> dict[str, npt.NDArray[Any]]:
    """The distinct n-grams, where each was seen first, and the distinct benchmarks of each.

    N-gram g stands in benchmarks `holders[holder_ends[g]:holder_ends[g + 1]]`.
    """
    order = np.lexsort((items, benchmarks, grams))
    grams, benchmarks, items = grams[order], benchmarks[order], items[order]
    is_new = np.concatenate([[True], grams[1:] != grams[:-1]])[: len(grams)]
    is_holder = is_new | np.concatenate([[True], benchmarks[1:] != benchmarks[:-1]])[: len(grams)]
    number = np.cumsum(is_new) - 1
    ends = np.concatenate([[0], np.cumsum(np.bincount(number[is_holder], minlength=int(is_new.sum())))])
    return {
        "grams": grams[is_new],
        "benchmark": benchmarks[is_new],
        "item": items[is_new],
        "holder_ends": ends.astype(np.int64),
        "holders": benchmarks[is_holder],
    }


def judge(task: GatherTask, *, stage: Decontaminate) -> None:
    """Write the verdicts of a part; say how often and in how many documents each benchmark was found."""
    index = read_arrays(task.inputs("index", "ngrams")[0])
    table = task.read_part(task.unit, ["text"])
    alive = task.alive(task.unit)
    hits, matched = _all_hits(table, index, alive)
    n_hits = np.bincount(hits.doc, minlength=len(alive)).astype(np.int64)
    verdicts = (n_hits >= stage.min_hits).astype(np.uint8)
    firsts = np.searchsorted(hits.doc, np.arange(len(alive)))
    evidence = _evidence(stage, index, hits.gram, firsts, n_hits)
    write_verdict(task, {"verdict": pa.array(verdicts), **evidence, "matched": matched})
    account(task, stage, verdicts, text_bytes(table))
    task.facts["benchmarks"] = _found(stage, index, hits, verdicts > 0)


def _all_hits(table: pa.Table, index: ArrayFile, alive: npt.NDArray[np.bool_]) -> tuple[Hits, pa.Array]:
    """The hits in documents that are alive (doc: row of the part), and the words of each one's first."""
    lookup = make_table(index["grams"])
    docs, grams, matched = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)], []
    for piece in pieces(table):
        hits = find_ngrams(*piece.text, index["widths"], lookup)
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
    stage: Decontaminate, index: ArrayFile, grams: I64s, firsts: I64s, n_hits: I64s
) -> dict[str, pa.Array]:
    """Benchmark and item of each document's first hit, null without one, and the number of hits."""
    clean = n_hits == 0
    first = grams[firsts[~clean]]
    benchmark, item = np.zeros(len(n_hits), dtype=np.int64), np.zeros(len(n_hits), dtype=np.int64)
    benchmark[~clean], item[~clean] = index["benchmark"][first], index["item"][first]
    names = pa.array(list(stage.against), pa.string()).take(pa.array(benchmark, mask=clean))
    return {"benchmark": names, "item": pa.array(item, mask=clean), "n_hits": pa.array(n_hits)}


def _found(
    stage: Decontaminate, index: ArrayFile, hits: Hits, is_contaminated: npt.NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """Of each benchmark: places that hold one of its n-grams, and contaminated documents that do."""
    starts, ends = index["holder_ends"][hits.gram], index["holder_ends"][hits.gram + 1]
    n_holders = ends - starts
    at = np.repeat(starts - (np.cumsum(n_holders) - n_holders), n_holders) + np.arange(n_holders.sum())
    holder, doc = index["holders"][at], np.repeat(hits.doc, n_holders)
    n_hits = np.bincount(holder, minlength=len(stage.against))
    judged = is_contaminated[doc]
    pairs = np.unique(np.stack([holder[judged], doc[judged]]), axis=1)
    n_docs = np.bincount(pairs[0], minlength=len(stage.against))
    counts = zip(stage.against, n_docs.tolist(), n_hits.tolist(), strict=True)
    return [{"benchmark": path, "documents": docs, "hits": hits} for path, docs, hits in counts]


def benchmark_report(
    index: Mapping[str, Any], verdicts: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What the corpus manifest says of each benchmark: digest, items, ngrams, too_short, hits, documents.

    index: the facts of phase `index`; verdicts: the facts of every task of phase `verdict`.
    """
    report = {told["benchmark"]: {**told, "documents": 0, "hits": 0} for told in index["benchmarks"]}
    for facts in verdicts:
        for found in facts["benchmarks"]:
            report[found["benchmark"]]["documents"] += found["documents"]
            report[found["benchmark"]]["hits"] += found["hits"]
    return {path: {k: v for k, v in told.items() if k != "benchmark"} for path, told in report.items()}
