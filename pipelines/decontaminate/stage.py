"""Decontaminate: documents in which a benchmark item stands are dropped or marked.

    index     the benchmarks -> the runs of words that point to an item, and the words of each item; mapped by every
              worker, read by none whole
    verdict   a part -> keep or `contaminated`, and why:

      verdict  benchmark          item  score  n_hits  matched
      1        gsm8k/test.jsonl   17    1000        1  "janet s ducks lay 16 eggs per day she eats three for breakfast"
      0        null               null  null        0  null

Two methods. `coverage` (`coverage.py`, `kernels/coverage.py`) asks for four fifths of an item's words, weighted by
rarity and standing together, and for the answer near a short question: an edited copy is found, and a sentence that a
book and a benchmark both quote is not yet an item. `ngram` (`runs.py`) asks for any run of 13 words, GPT-3's rule: one
shared run drops a document, however long.

Words are cut as for MinHash: lower case, no punctuation, any white space. So reflowed, upper-cased and re-punctuated
copies are found; a paraphrase or a translation is not. In Chinese, Japanese or Thai a word is one character. Items too
short to be judged are counted as `too_short` and never found. `selftest.py` measures, for the settings in use, how much
of what is planted is found. `action: mark` only records.

Price: by coverage 80 to 110 MB/s a core against 69,504 items of 21 files, whose index takes 4 s and 180 MB;
`benchmarks/decontaminate.py` measures it, and what is found.

Source: allenai/decon for coverage, Brown et al. 2020 (GPT-3), appendix C, for n-grams; the modules say how we differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, field_validator, model_validator

from manifests.digest import digest_file
from manifests.errors import RecipeError
from manifests.mistakes import did_you_mean
from pipelines.decontaminate.benchmarks import SUFFIXES, Benchmark, Layout, read_benchmark
from pipelines.decontaminate.coverage import Limits, coverage_verdicts, index_arrays
from pipelines.decontaminate.evidence import Judged
from pipelines.decontaminate.layouts import (
    Fields,
    FilesLayout,
    Layouts,
    as_list,
    check_reached,
    deciding,
    make_layout,
    unfitting,
)
from pipelines.decontaminate.runs import ngram_index, ngram_verdicts
from pipelines.decontaminate.said import item_texts, said_arrays
from pipelines.dedup.arrays import read_arrays, write_arrays
from pipelines.dedup.members import account, write_verdict
from pipelines.dedup.texts import text_bytes
from pipelines.stage import LARGEST, Gather, GatherTask, Phase, short_names

__all__ = [
    "Decontaminate",
    "benchmark_report",
    "build_index",
    "judge",
    "judge_table",
    "make_index",
    "read_benchmarks",
]


class Decontaminate(Gather):
    """Drops documents in which an item of a benchmark stands."""

    name: ClassVar[str] = "decontaminate"
    version: ClassVar[int] = 4
    reasons: ClassVar[tuple[str, ...]] = ("contaminated",)

    path_fields: ClassVar[tuple[str, ...]] = ("against",)

    against: tuple[str, ...] = Field(min_length=1)
    """Benchmark files: JSON Lines or CSV, plain or gzipped, or Parquet; relative to the recipe."""
    fields: Fields | None = None
    """Fields that are text: a list, `{question: ..., choices: ..., answer: ..., passage: ...}` or a preset's name."""
    layouts: Layouts = ()
    """For files whose name fits a pattern (`{"mmlu*": mmlu}`, or a list of `{files: "mmlu*", fields: mmlu}`), what
    `fields` says of the others; the first that fits decides. The name is the path from the recipe's folder, or of a
    file elsewhere its own, with as many folders as tell it apart."""
    method: Literal["coverage", "ngram"] = "coverage"
    """`coverage`: most of an item's words stand together; `ngram`: any run of `ngram` words is shared."""
    min_share: float = Field(default=0.8, gt=0, le=1)
    """coverage: share of an item's words, weighted by rarity, that must be found."""
    min_item_words: int = Field(default=6, ge=5, le=LARGEST)
    """coverage: different words in the shortest question and answer, together, that are looked for."""
    min_alone_words: int = Field(default=13, ge=5, le=LARGEST)
    """coverage: different words of a question that counts without its answer, or of an answer without its question."""
    near_words: int = Field(default=50, ge=0, le=10_000)
    """coverage: words before or behind a question in which its answer may begin; a long answer may lie further off."""
    ngram: int = Field(default=13, ge=1, le=255)
    """ngram: words in a row that must be shared."""
    min_words: int = Field(default=8, ge=1, le=LARGEST)
    """ngram: an item in which no string has `ngram` words is looked for whole if a string has at least this many."""
    min_hits: int = Field(default=1, ge=1, le=LARGEST)
    """Places a document must share to be contaminated; by n-grams 5 forgives a quotation of up to 16 words."""

    @field_validator("against")
    @classmethod
    def _is_of_a_format_read(cls, against: tuple[str, ...]) -> tuple[str, ...]:
        for path in against:
            if not path.endswith(SUFFIXES):
                raise ValueError(
                    f'expected names in {" or ".join(SUFFIXES)}, got "{path}"; convert the file first'
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
    def _are_in_order(cls, layouts: dict[str, Fields] | tuple[FilesLayout, ...]) -> tuple[FilesLayout, ...]:
        return as_list(layouts)

    def layout(self, name: str) -> Layout | None:
        """What the fields of a file of that short name are; None leaves it to their usual names."""
        fields = self.fields_of(deciding(as_list(self.layouts), name))
        return None if fields is None else make_layout(fields)

    def fields_of(self, at: int | None) -> Fields | None:
        """What the layout of that index says of fields; of none, what is said of all files."""
        return self.fields if at is None else as_list(self.layouts)[at].fields

    @model_validator(mode="after")
    def _short_is_shorter(self) -> Decontaminate:
        if self.method == "ngram" and self.min_words > self.ngram:
            raise ValueError(
                f"expected min_words of at most ngram, {self.ngram}, got {self.min_words}; write "
                f"min_words: {self.ngram} (or less), or ngram: {self.min_words} (or more)"
            )
        return self

    def check(self, folder: Path) -> None:
        """Every benchmark is read, 1.5 s for 69,504 items: one that cannot be would stop the build hours later."""
        read_benchmarks(self, folder)

    def side_inputs(self, folder: Path) -> dict[str, str]:
        """The digest of every benchmark file.

        Raises: RecipeError if two of `against` are one file (its hits would be counted twice), if one is a folder, or
        if a pattern of `layouts` fits none.
        """
        self._refuse_unfitting()
        files: dict[Path, str] = {}
        for path in self.against:
            file = (folder / path).resolve()
            if file in files:
                raise RecipeError(
                    f"against: expected every benchmark once, got {path}, the same file as {files[file]}; remove one"
                )
            if file.is_dir():
                raise RecipeError(
                    f"against: expected files, got the folder {path}; write {path}/* for those in it"
                )
            files[file] = path
        return {path: digest_file(folder / path) for path in self.against}

    def _refuse_unfitting(self) -> None:
        names = short_names(self.against)
        if (pattern := unfitting(as_list(self.layouts), names)) is not None:
            shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
            raise RecipeError(
                f'layouts: expected a pattern that fits one of {shown}, got "{pattern}", which fits none'
                f"{did_you_mean(pattern, names) or '.'} Fields would be taken for "
                "what they are not; correct it or remove it"
            )

    def kernels(self) -> tuple[str, ...]:
        """Those that hash n-grams and look them up."""
        if self.method == "ngram":
            return ("ngrams.hash_ngrams", "ngrams.fill_table", "ngrams.find_in_documents")
        own = ("words_of_texts", "list_runs", "find_texts_in")
        return (*(f"coverage.{name}" for name in own), "ngrams.fill_table", "ngrams.join_documents")

    def phases(self) -> list[Phase]:
        """index, verdict."""
        return [
            Phase("index", "one", partial(build_index, stage=self)),
            Phase("verdict", "part", partial(judge, stage=self), keep=True),
        ]


def build_index(task: GatherTask, *, stage: Decontaminate) -> None:
    """Write what is looked for of all benchmarks; say of each how many items it has and how many are too short."""
    arrays, told = make_index(stage, task.folder)
    with task.output("ngrams", ".arrays") as file:
        write_arrays(file, arrays)
    task.facts["benchmarks"] = told


def read_benchmarks(stage: Decontaminate, folder: Path) -> list[Benchmark]:
    """Every benchmark, in the order of `against`; paths start in `folder`.

    Raises: as `read_benchmark` and `check_reached`.
    """
    read, decided = [], dict[int | None, dict[str, Benchmark]]()
    for path, name in zip(stage.against, short_names(stage.against), strict=True):
        read.append(read_benchmark(folder / path, layout=stage.layout(name)))
        decided.setdefault(deciding(as_list(stage.layouts), name), {})[str(folder / path)] = read[-1]
    for at, files in decided.items():
        if (fields := stage.fields_of(at)) is not None:
            check_reached(fields, files)
    return read


def make_index(
    stage: Decontaminate, folder: Path
) -> tuple[dict[str, npt.NDArray[Any]], list[dict[str, Any]]]:
    """The arrays of the index, and what there is to say of each benchmark; paths start in `folder`."""
    benchmarks = read_benchmarks(stage, folder)
    if stage.method == "ngram":
        arrays, looked_for, sizes = ngram_index(benchmarks, n_gram=stage.ngram, min_words=stage.min_words)
    else:
        arrays, looked_for, sizes = index_arrays(benchmarks, _limits(stage))
    told = [
        {
            "benchmark": name,
            "digest": benchmark.digest,
            "items": benchmark.n_items,
            "ngrams": size,
            "too_short": benchmark.n_items - n_items,
        }
        for name, benchmark, n_items, size in zip(
            short_names(stage.against), benchmarks, looked_for, sizes, strict=True
        )
    ]
    return {**arrays, **said_arrays(benchmarks)}, told


def _limits(stage: Decontaminate) -> Limits:
    return Limits(stage.min_item_words, stage.min_alone_words, stage.min_share)


def judge(task: GatherTask, *, stage: Decontaminate) -> None:
    """Write the verdicts of a part; say how often and in how many documents each benchmark was found."""
    table = task.read_part(task.unit, ["text"])
    index, alive = read_arrays(task.inputs("index", "ngrams")[0]), task.alive(task.unit)
    judged = judge_table(stage, index, table, alive, beat=task.beat)
    said = item_texts(index, short_names(stage.against), judged.evidence)
    write_verdict(task, {"verdict": pa.array(judged.verdicts), **judged.evidence, "item_text": said})
    account(task, stage, judged.verdicts, text_bytes(table))
    task.facts["benchmarks"] = judged.found
    if task.unit == 0:
        # The index is removed with the gather; what it said of the benchmarks must outlive it.
        task.facts["index"] = task.facts_of("index")[0]["benchmarks"]


def judge_table(
    stage: Decontaminate,
    index: Any,
    table: pa.Table,
    alive: npt.NDArray[np.bool_],
    *,
    beat: Callable[[int], None] = lambda _row: None,
) -> Judged:
    """The verdict of every row of a table with a column `text`, and why; index: arrays by name.

    beat: called every few megabytes with the row that is next.
    """
    names = short_names(stage.against)
    if stage.method == "coverage":
        return coverage_verdicts(
            table, index, alive, names=names, reach=stage.near_words, min_hits=stage.min_hits, beat=beat
        )
    return ngram_verdicts(
        table, index, alive, names=names, min_words=stage.min_words, min_hits=stage.min_hits, beat=beat
    )


def benchmark_report(
    index: Mapping[str, Any], verdicts: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What the corpus manifest says of each benchmark: digest, items, ngrams, too_short, hits, documents.

    By coverage also `items_hit`, the different items that were found.

    index: the facts of phase `index`; verdicts: the facts of every task of phase `verdict`.
    """
    report = {told["benchmark"]: {**told, "documents": 0, "hits": 0} for told in index["benchmarks"]}
    hit: dict[str, set[int]] = {}
    for facts in verdicts:
        for found in facts["benchmarks"]:
            report[found["benchmark"]]["documents"] += found["documents"]
            report[found["benchmark"]]["hits"] += found["hits"]
            if "items" in found:
                hit.setdefault(found["benchmark"], set()).update(found["items"])
    for name, items in hit.items():
        report[name]["items_hit"] = len(items)
    return {path: {k: v for k, v in told.items() if k != "benchmark"} for path, told in report.items()}
