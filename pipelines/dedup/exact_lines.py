"""Lines or paragraphs that stand in other documents too, or twice in one: cut out, wherever they stand or but once.

    sign     a part -> two hashes of each line, sorted, and whose it is                   24 bytes a line
    match    a range of hashes, all parts -> the lines that go, and in which document the one is that stays
    verdict  a part -> what is cut of each document; `repeated_lines` for one of which nothing is left

    keep: first    one of the equal lines stays: the first by (place of the source in the recipe, doc_id, place in the
                   text), whatever order files were read in. cc_net's rule, which takes what it meets first
    keep: none     a line that stands twice goes everywhere, for boilerplate belongs to no document

White space at the ends of a line does not count, nor do lines of nothing else. `normalised` compares words in lower
case. Lines of fewer than `min_chars` characters are left: "}" and "Yes." are repeated and no duplicates.

Two lines with the same 128 bits count as equal, as in `exact`. Memory of match: 150 bytes for each repeated line of its
range, all of them if it is one line. Price: 200 MB/s a core for signing, reading included;
verdict reads the parts that lose something once more.

Source: Wenzek et al. 2020 (CCNet), section 3.1, https://arxiv.org/abs/1911.00359: SHA-1, first 64 bits, of normalised
paragraphs within shards.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from pipelines.batch import TextView
from pipelines.cuts import cut_columns, merged
from pipelines.dedup.arrays import read_arrays, write_arrays
from pipelines.dedup.members import account, ids_column, write_verdict
from pipelines.dedup.repeats import (
    KERNELS,
    Repeats,
    bucket_slice,
    gather,
    group_starts,
    n_buckets,
    priorities,
    repeated,
    span,
)
from pipelines.dedup.texts import id_words, pieces, text_bytes
from pipelines.kernels.hashing import xxh64_spans
from pipelines.kernels.lines import SEEDS, Units, split_units
from pipelines.kernels.ngrams import join_words
from pipelines.shares import most_counts
from pipelines.stage import LARGEST, Gather, GatherTask, Phase

__all__ = ["ExactLines", "judge", "match", "sign"]

I64s = npt.NDArray[np.int64]
U64s = npt.NDArray[np.uint64]
N_LARGEST = 20
_NEWLINE, _RETURN = 10, 13


class ExactLines(Gather):
    """Cuts lines or paragraphs that stand elsewhere too."""

    name: ClassVar[str] = "exact_lines"
    version: ClassVar[int] = 2
    reasons: ClassVar[tuple[str, ...]] = ("repeated_lines",)

    unit: Literal["line", "paragraph"] = "line"
    """What is compared; a paragraph ends before a line without words."""
    by: Literal["text", "normalised"] = "text"
    """`text` compares bytes between white space at the ends; `normalised` words in lower case."""
    keep: Literal["first", "none"] = "first"
    """Whether one of the equal ones stays: the first by (source's place in the recipe, doc_id, place in the text)."""
    min_chars: int = Field(default=0, ge=0, le=LARGEST)
    """Characters of the shortest line that is compared; shorter ones stay."""
    max_cut_frac: float = Field(default=1.0, ge=0, le=1)
    """Largest share of a text's bytes that is cut; one of which more would go falls whole. Only with `keep: none`: what
    falls whole would take along the one of its lines that stays for all others."""

    @model_validator(mode="after")
    def _keepers_do_not_fall(self) -> ExactLines:
        if self.max_cut_frac < 1 and self.keep == "first":
            raise ValueError(
                f"expected keep: none beside max_cut_frac: {self.max_cut_frac:g}, got keep: first: a document that "
                "falls whole would take along lines that stay for others; write keep: none, or leave max_cut_frac out"
            )
        return self

    def kernels(self) -> tuple[str, ...]:
        """Those that split, hash and cut."""
        own = ("lines.cut_units", "edits.cut_spans", *KERNELS)
        return own if self.by == "text" else (*own, "ngrams.join_documents", "hashing.xxh64_spans")

    def phases(self) -> list[Phase]:
        """sign, match, verdict."""
        return [
            Phase("sign", "part", partial(sign, stage=self)),
            Phase("match", _n_ranges, partial(match, keep=self.keep)),
            Phase("verdict", "part", partial(judge, stage=self), keep=True),
        ]


def _n_ranges(task: GatherTask) -> int:
    # Most lines of a crawl are repeated, and one that is takes four times the memory of one that is not.
    return n_buckets(4 * sum(facts["n_units"] for facts in task.facts_of("sign")))


class _Lines(NamedTuple):
    """The lines of a part's documents, dead ones' too; of each document its size and whether it ends within a line."""

    units: Units
    is_compared: npt.NDArray[np.bool_]
    n_bytes: I64s
    is_open: npt.NDArray[np.bool_]


def _lines_of(table: pa.Table, stage: ExactLines) -> _Lines:
    found, is_open = [_no_units()], [np.zeros(0, dtype=np.bool_)]
    is_compared = [np.zeros(0, dtype=np.bool_)]
    for piece in pieces(table):
        data, offsets = piece.text
        units = split_units(data, offsets, by_paragraph=stage.unit == "paragraph")
        compared = units.n_chars >= stage.min_chars
        if stage.by == "normalised":
            units, has_words = _normalised(piece.text, units)
            compared &= has_words
        found.append(units._replace(row=units.row + piece.start))
        is_compared.append(compared)
        some = np.diff(offsets) > 0
        some[some] = data[offsets[1:][some] - 1] != _NEWLINE
        is_open.append(some)
    units = Units(*map(np.concatenate, zip(*found, strict=True)))
    return _Lines(units, np.concatenate(is_compared), text_bytes(table), np.concatenate(is_open))


def _no_units() -> Units:
    numbers, hashes = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
    return Units(numbers, numbers, numbers, numbers, hashes, hashes)


def _normalised(text: TextView, units: Units) -> tuple[Units, npt.NDArray[np.bool_]]:
    """The units with hashes of their words in lower case, and which of them have any."""
    # What lies between two units is white space, so one unit may as well reach to the next.
    bounds = np.append(text.offsets[units.row] + units.start, text.offsets[-1])
    words, offsets = join_words(text.data, bounds)
    high, low = (xxh64_spans(words, offsets, seed) for seed in SEEDS)
    return units._replace(high=high, low=low), np.diff(offsets) > 0


def sign(task: GatherTask, *, stage: ExactLines) -> None:
    """Write the hashes of the lines of a part, sorted, with each one's number and row."""
    table = task.read_part(task.unit, ["doc_id", "text"])
    units, is_compared, *_ = _lines_of(table, stage)
    at = np.flatnonzero(is_compared & task.alive(task.unit)[units.row])
    at = at[np.lexsort((units.low[at], units.high[at]))]
    id_high, id_low = id_words(table)
    arrays: dict[str, npt.NDArray[Any]] = {"high": units.high[at], "low": units.low[at]}
    arrays |= {"row": units.row[at].astype(np.uint32), "at": at.astype(np.uint32)}
    with task.output("hashes", ".arrays") as file:
        write_arrays(file, {**arrays, "id_high": id_high, "id_low": id_low})
    task.facts.update(n_units=len(units.row), n_signed=len(at))


def match(task: GatherTask, *, keep: str) -> None:
    """Write the lines that go of one range of hashes: their numbers, and the document of one that stays or is first."""
    files = [read_arrays(path) for path in task.inputs("sign", "hashes")]
    keys = [file.column("high") for file in files]
    found = repeated(keys, [bucket_slice(key, task.unit, task.n_units) for key in keys])
    high, low, row, at = (gather([f.column(n) for f in files], found) for n in ("high", "low", "row", "at"))
    where = Repeats(found.file, row.astype(np.int64))
    id_high, id_low = (gather([f.column(n) for f in files], where) for n in ("id_high", "id_low"))
    order = np.lexsort((at, id_low, id_high, priorities(task.parts)[found.file], low, high))
    starts = group_starts(high[order], low[order])
    sizes = np.diff(starts)
    place = np.arange(len(order)) - np.repeat(starts[:-1], sizes)
    goes = np.repeat(sizes > 1, sizes) & ((place > 0) | (keep == "none"))
    # The document of the first of them; for the first itself, where it goes too, that of the second.
    other = order[np.repeat(starts[:-1], sizes)[goes] + (place[goes] == 0)]
    ordinal = (_unit_bases(task)[found.file] + at.astype(np.int64))[order[goes]]
    back = np.argsort(ordinal, kind="stable")
    arrays = {"ordinal": ordinal[back], "high": id_high[other][back], "low": id_low[other][back]}
    with task.output("lines", ".arrays") as file:
        write_arrays(file, arrays)
    largest = np.argsort(-sizes, kind="stable")[:N_LARGEST]
    firsts = order[starts[:-1][largest]]
    task.facts.update(n_repeated=int((sizes > 1).sum()), n_lines=len(ordinal))
    task.facts["largest"] = [
        [f"{id_high[i]:016x}{id_low[i]:016x}", int(at[i]), int(n)]
        for i, n in zip(firsts.tolist(), sizes[largest].tolist(), strict=True)
        if n > 1
    ]


def _unit_bases(task: GatherTask) -> I64s:
    """The number of each part's first line among all: int64[n_parts + 1]."""
    counts = [facts["n_units"] for facts in task.facts_of("sign")]
    return np.cumsum([0, *counts], dtype=np.int64)


def judge(task: GatherTask, *, stage: ExactLines) -> None:
    """Write what is cut of each document of a part, and in which other its first cut line stands."""
    table = task.read_part(task.unit, ["text"])
    units, _, n_bytes, is_open = _lines_of(table, stage)
    number, high, low = _gone(task)
    row, start, end, first = merged(units.row[number], units.start[number], units.end[number])
    # A last line goes with the end of the one before: the text ends as it did.
    is_last = (end == n_bytes[row]) & is_open[row] & (start > 0)
    start = start - is_last * _line_end(table, row, start)
    n_docs = len(n_bytes)
    n_cut = np.zeros(n_docs, dtype=np.int64)
    np.add.at(n_cut, row, end - start)
    n_lines, n_gone = (np.bincount(rows, minlength=n_docs) for rows in (units.row, units.row[number]))
    falls = (n_gone > 0) & ((n_gone == n_lines) | (n_cut > most_counts(n_bytes, stage.max_cut_frac)))
    also = np.zeros((2, n_docs), dtype=np.uint64)
    firsts = first[np.searchsorted(row, np.flatnonzero(n_gone))]
    also[:, n_gone > 0] = high[firsts], low[firsts]
    columns = {
        "verdict": pa.array(falls.astype(np.uint8)),
        **cut_columns(n_docs, row, start, end),
        "cut_lines": pa.array(n_gone.astype(np.int32), mask=n_gone == 0),
        "also_in": ids_column(also[0], also[1], n_gone > 0),
    }
    write_verdict(task, columns)
    account(task, stage, falls.astype(np.uint8), n_bytes, n_cut=n_cut)
    stays = (n_gone > 0) & ~falls & (stage.action == "drop")
    task.facts.update(
        n_docs_cut=int(stays.sum()), n_lines_cut=int(n_gone[stays].sum()), n_bytes_cut=int(n_cut[stays].sum())
    )


def _line_end(table: pa.Table, row: I64s, start: I64s) -> I64s:
    """How many bytes end the line before each of those that begin at `start`: "\\n" or "\\r\\n". row: ascending."""
    size = np.ones(len(row), dtype=np.int64)
    for piece in pieces(table):
        mine = span(row, piece.start, piece.start + len(piece))
        data, offsets = piece.text
        begins = offsets[row[mine] - piece.start]
        size[mine] += (start[mine] > 1) & (data[begins + np.maximum(start[mine] - 2, 0)] == _RETURN)
    return size


def _gone(task: GatherTask) -> tuple[I64s, U64s, U64s]:
    """The lines of the task's part that go, by number, and the id of a document that each stands in too."""
    low, high = _unit_bases(task)[task.unit : task.unit + 2].tolist()
    columns: dict[str, list[Any]] = {"ordinal": [], "high": [], "low": []}
    for file in map(read_arrays, task.inputs("match", "lines")):
        mine = span(file.column("ordinal"), low, high)
        for name, found in columns.items():
            found.append(file.column(name)[mine])
    number, *also = map(np.concatenate, columns.values())
    order = np.argsort(number, kind="stable")
    return number[order] - low, also[0][order], also[1][order]
