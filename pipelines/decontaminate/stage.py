"""Decontaminate: documents that share a run of 13 words with a benchmark item are dropped or marked.

    index     the benchmarks -> a table of n-grams, each with the first item it stands in and the benchmarks
              that hold it; mapped by every worker, read by none whole           60 to 100 bytes an n-gram
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

Price: 42 MB/s a core against 1.6 million n-grams (20 benchmarks), which take 2 s to index once.

Source: Brown et al. 2020 (GPT-3), appendix C, whose 13-grams these are; they cut 200 characters around a hit
and ignored n-grams of more than 10 documents, we judge whole documents and ignore none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from manifests.digest import digest_file
from manifests.errors import RecipeError
from pipelines.batch import TextView
from pipelines.decontaminate.benchmarks import PRESETS, ROLES, SUFFIXES, Benchmark, Layout, read_benchmark
from pipelines.dedup.arrays import ArrayFile, read_arrays, write_arrays
from pipelines.dedup.members import account, write_verdict
from pipelines.dedup.texts import pieces, text_bytes
from pipelines.kernels.ngrams import Hits, NgramTable, find_ngrams, make_ngrams, make_table
from pipelines.stage import Gather, GatherTask, Phase, short_names

__all__ = ["Decontaminate", "benchmark_report", "build_index", "judge"]

I64s = npt.NDArray[np.int64]
U64s = npt.NDArray[np.uint64]


Fields = str | tuple[str, ...] | dict[str, str | tuple[str, ...]]


def make_layout(fields: Fields) -> Layout:
    """The layout that a recipe writes as a preset's name, as a list of questions' fields, or as a mapping of roles.

    Raises: ValueError for a preset or a role that there is not.
    """
    if isinstance(fields, str):
        if fields not in PRESETS:
            raise ValueError(
                f"expected a list, a mapping or one of {', '.join(sorted(PRESETS))}, got {fields!r}"
            )
        return PRESETS[fields]
    if isinstance(fields, tuple):
        return {"question": fields}
    if not fields or not set(fields) <= set(ROLES):
        raise ValueError(f"expected keys among {', '.join(ROLES)}, got {', '.join(fields) or 'none'}")
    return {role: (names,) if isinstance(names, str) else names for role, names in fields.items()}


class Decontaminate(Gather):
    """Drops documents that share a run of words with an item of a benchmark."""

    name: ClassVar[str] = "decontaminate"
    version: ClassVar[int] = 1
    reasons: ClassVar[tuple[str, ...]] = ("contaminated",)

    path_fields: ClassVar[tuple[str, ...]] = ("against",)

    against: tuple[str, ...] = Field(min_length=1)
    """Benchmark files: JSON Lines or CSV, plain or gzipped, or Parquet; relative to the recipe."""
    fields: Fields | None = None
    """Fields that are text: a list, `{question: ..., choices: ..., answer: ..., passage: ...}` or a preset's name."""
    layouts: dict[str, Fields] = Field(default_factory=dict)
    """For files whose path fits a pattern (`"*/mmlu/*"`), what `fields` says of the others; the first that fits."""
    ngram: int = Field(default=13, ge=1, le=255)
    """Words in a row that must be shared."""
    min_words: int = Field(default=8, ge=1)
    """An item in which no string has `ngram` words is looked for whole if a string has at least this many."""
    min_hits: int = Field(default=1, ge=1)
    """Places a document must share to be contaminated: 5 forgives a quotation of up to 16 words."""

    @field_validator("against")
    @classmethod
    def _is_of_a_format_read(cls, against: tuple[str, ...]) -> tuple[str, ...]:
        for path in against:
            if not path.endswith(SUFFIXES):
                raise ValueError(
                    f"{path}: expected a name in {' or '.join(SUFFIXES)}; convert the file first"
                )
        return against

    @field_validator("fields")
    @classmethod
    def _says_what_is_what(cls, fields: Fields | None) -> Fields | None:
        if fields is not None:
            make_layout(fields)
        return fields

    @field_validator("layouts")
    @classmethod
    def _say_what_is_what(cls, layouts: dict[str, Fields]) -> dict[str, Fields]:
        for fields in layouts.values():
            make_layout(fields)
        return layouts

    def layout(self, path: str) -> Layout | None:
        """What the fields of a file of `against` are; None leaves it to their usual names."""
        fits = (fields for pattern, fields in self.layouts.items() if fnmatch(path, pattern))
        fields = next(fits, self.fields)
        return None if fields is None else make_layout(fields)

    @model_validator(mode="after")
    def _short_is_shorter(self) -> Decontaminate:
        if self.min_words > self.ngram:
            raise ValueError(f"expected min_words of at most ngram, {self.ngram}, got {self.min_words}")
        return self

    def side_inputs(self, folder: Path) -> dict[str, str]:
        """The digest of every benchmark file.

        Raises: RecipeError if two of `against` are one file; its hits would be counted twice.
        """
        files: dict[Path, str] = {}
        for path in self.against:
            file = (folder / path).resolve()
            if file in files:
                raise RecipeError(
                    f"against: expected every benchmark once, got {path}, the same file as {files[file]}; remove one"
                )
            files[file] = path
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
    benchmarks = [read_benchmark(task.folder / path, layout=stage.layout(path)) for path in stage.against]
    wanted = [_wanted(benchmark, stage) for benchmark in benchmarks]
    arrays = _index_arrays(wanted)
    n_ngrams = np.bincount(arrays["holders"], minlength=len(wanted)).tolist()
    with task.output("ngrams", ".arrays") as file:
        write_arrays(file, arrays)
    told = zip(short_names(stage.against), benchmarks, wanted, n_ngrams, strict=True)
    task.facts["benchmarks"] = [_told(*each) for each in told]


class _Wanted(NamedTuple):
    """The n-grams of a benchmark, the item and the anchor of each, and how many words they have."""

    grams: U64s
    anchors: U64s
    items: I64s
    widths: set[int]


def _told(path: str, benchmark: Benchmark, wanted: _Wanted, n_ngrams: int) -> dict[str, Any]:
    n_found = int(np.count_nonzero(np.diff(wanted.items, prepend=-1)))
    return {
        "benchmark": path,
        "digest": benchmark.digest,
        "items": benchmark.n_items,
        "ngrams": n_ngrams,
        "too_short": benchmark.n_items - n_found,
    }


def _wanted(benchmark: Benchmark, stage: Decontaminate) -> _Wanted:
    """What is looked for of a benchmark, in the order of its items."""
    made = make_ngrams(*_as_text(benchmark.texts), n_gram=stage.ngram, min_words=stage.min_words)
    item, counts = np.array(benchmark.items, dtype=np.int64), np.diff(made.ends)
    # A short string counts only in an item without a long one; "none of the answers above" is everywhere.
    is_long = made.n_words >= stage.ngram
    chosen = is_long | ~np.isin(item, item[is_long])
    taken = np.repeat(chosen, counts)
    widths = set(np.minimum(made.n_words[chosen & (counts > 0)], stage.ngram).tolist())
    return _Wanted(made.grams[taken], made.anchors[taken], np.repeat(item, counts)[taken], widths)


def _as_text(texts: Sequence[str]) -> TextView:
    # JSON can spell half a surrogate pair, UTF-8 cannot; "?" is punctuation to us.
    raw = [text.encode("utf-8", "replace") for text in texts]
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in raw])]).astype(np.int64)
    return TextView(np.frombuffer(b"".join(raw) or b"\0", dtype=np.uint8), offsets)


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


def judge(task: GatherTask, *, stage: Decontaminate) -> None:
    """Write the verdicts of a part; say how often and in how many documents each benchmark was found."""
    index = read_arrays(task.inputs("index", "ngrams")[0])
    table = task.read_part(task.unit, ["text"])
    alive = task.alive(task.unit)
    hits, matched = _all_hits(table, index, alive, min_words=stage.min_words)
    n_hits = np.bincount(hits.doc, minlength=len(alive)).astype(np.int64)
    verdicts = (n_hits >= stage.min_hits).astype(np.uint8)
    firsts = np.searchsorted(hits.doc, np.arange(len(alive)))
    evidence = _evidence(stage, index, hits.gram, firsts, n_hits)
    write_verdict(task, {"verdict": pa.array(verdicts), **evidence, "matched": matched})
    account(task, stage, verdicts, text_bytes(table))
    task.facts["benchmarks"] = _found(stage, index, hits, verdicts > 0)
    if task.unit == 0:
        # The index is removed with the gather; what it said of the benchmarks must outlive it.
        task.facts["index"] = task.facts_of("index")[0]["benchmarks"]


def _all_hits(
    table: pa.Table, index: ArrayFile, alive: npt.NDArray[np.bool_], *, min_words: int
) -> tuple[Hits, pa.Array]:
    """The hits in documents that are alive (doc: row of the part), and the words of each one's first."""
    lookup = NgramTable(index["keys"], index["gram"], index["filter"])
    docs, grams, matched = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)], []
    for piece in pieces(table):
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
    stage: Decontaminate, index: ArrayFile, grams: I64s, firsts: I64s, n_hits: I64s
) -> dict[str, pa.Array]:
    """Benchmark and item of each document's first hit, null without one, and the number of hits."""
    clean = n_hits == 0
    first = grams[firsts[~clean]]
    benchmark, item = np.zeros(len(n_hits), dtype=np.int64), np.zeros(len(n_hits), dtype=np.int64)
    benchmark[~clean], item[~clean] = index["benchmark"][first], index["item"][first]
    names = pa.array(short_names(stage.against), pa.string()).take(pa.array(benchmark, mask=clean))
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
    counts = zip(short_names(stage.against), n_docs.tolist(), n_hits.tolist(), strict=True)
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
