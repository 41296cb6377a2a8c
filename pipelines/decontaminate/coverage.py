"""What method `coverage` looks for in documents, and what it finds.

    item   question  "In what year was the Eiffel Tower built?"       a short one: found with an answer or choice near
           choices   "1889"  "1901"

    pairs  (question, "1889")  (question, "1901")

A **pair** is a text and its companion, or a text alone. Of an item are looked for

    a question, a passage or an answer of `alone_words` words     alone
    a shorter question of 5 words or more        with each answer and each choice, or alone where there are none
    of a question below 10 words                 each answer and choice of 5 words or more, with the question

where both together have `min_words` different words; an item of which nothing is left is too short to be judged. Equal
texts are one, and so are equal pairs, with all items that hold them. An answer of one letter or digit in an item with
choices ("A", "(3)") tells which of them is right, as a letter among longer choices does, and is near any question: it
is no companion, the choices are.

A **place** is a stretch of a document in which texts that were found overlap, by more than two words and an eighth: of
items that differ by a word both stand there, and it counts once.

Rarity: a word weighs log2(N / n), n of the N texts hold it (N at least 2^14, so that few texts do not make every word
common); in sixteenths and rounded, so sums are exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from string import ascii_lowercase, digits
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.batch import TextView
from pipelines.decontaminate.benchmarks import ANSWER, CHOICE, OTHER, PASSAGE, QUESTION, Benchmark
from pipelines.decontaminate.evidence import Judged
from pipelines.dedup.texts import Piece, pieces
from pipelines.kernels.coverage import Found, Index, TextWords, find_texts, make_runs, run_widths, word_hashes
from pipelines.kernels.ngrams import join_words, make_table
from pipelines.shares import least_counts

__all__ = ["PIECE_BYTES", "Limits", "Pairs", "as_text", "coverage_verdicts", "index_arrays"]

I64s = npt.NDArray[np.int64]
NOBODY = -1
_PAIR = "pair_"
MIN_FIRST = 5
"""Words of the shortest text that is looked for first."""
_MAX_SECOND = 10
"""Words of the longest question that is also looked for behind its answers: one change leaves it no run."""
PIECE_BYTES = 4 << 20
"""Text judged between two beats: a tenth of a second's work, or minutes where every page quotes a long passage."""
_FEW_TEXTS = 1 << 14
_SCALE = 16


class Limits(NamedTuple):
    """Words of the shortest pair and of the shortest text that counts alone; the share of a text's weight to find."""

    min_words: int
    alone_words: int
    share: float


class Pairs(NamedTuple):
    """Distinct pairs, by text, then companion (-1: none), and which items hold each.

    Pair p is held by `item[holder_ends[p]:holder_ends[p + 1]]` of `benchmark`.
    """

    text: I64s
    companion: I64s
    holder_ends: I64s
    benchmark: I64s
    item: I64s


class _Texts(NamedTuple):
    """Distinct texts: their words in order, and their distinct words, heaviest first."""

    seq_ends: I64s
    seq: npt.NDArray[np.uint64]
    bag_ends: I64s
    bag: npt.NDArray[np.uint64]
    weight: I64s
    total: I64s


class _Sizes(NamedTuple):
    """Different words of each text; the texts of one letter, and those of one letter or digit."""

    n_words: list[int]
    letters: set[int]
    labels: set[int]


def as_text(texts: Sequence[str]) -> TextView:
    """The texts as a kernel reads them; half a surrogate pair, which JSON can spell, as "?"."""
    raw = [text.encode("utf-8", "replace") for text in texts]
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in raw])]).astype(np.int64)
    return TextView(np.frombuffer(b"".join(raw) or b"\0", dtype=np.uint8), offsets)


def index_arrays(
    benchmarks: Sequence[Benchmark], limits: Limits
) -> tuple[dict[str, npt.NDArray[Any]], list[int], list[int]]:
    """The arrays of an `Index` and of `Pairs`; of each benchmark the items that are looked for, and their pairs."""
    words = word_hashes(*as_text([text for benchmark in benchmarks for text in benchmark.texts]))
    _, firsts, number = np.unique(words.prints, return_index=True, return_inverse=True)
    texts = _distinct_texts(words, firsts)
    sizes = _Sizes(np.diff(texts.bag_ends).tolist(), *_labels(words.prints[firsts]))
    pairs = _distinct_pairs(_all_pairs(benchmarks, number, sizes, limits))
    held = np.unique(np.stack([pairs.benchmark, pairs.item]), axis=1)
    n_items = np.bincount(held[0], minlength=len(benchmarks)).tolist()
    n_pairs = np.bincount(pairs.benchmark, minlength=len(benchmarks)).tolist()
    arrays = {**_index(texts, pairs, limits)._asdict(), **{_PAIR + k: v for k, v in pairs._asdict().items()}}
    return arrays, n_items, n_pairs


def coverage_verdicts(
    table: pa.Table,
    arrays: Any,
    alive: npt.NDArray[np.bool_],
    *,
    names: Sequence[str],
    reach: int,
    min_hits: int,
    beat: Callable[[int], None],
) -> Judged:
    """In which documents items stand at no fewer than `min_hits` places, and which; beats with a row as it goes on."""
    index = Index(*(arrays[name] for name in Index._fields))
    pairs = Pairs(*(arrays[_PAIR + name] for name in Pairs._fields))
    parts, matched = [Found(*(np.zeros(0, dtype=np.int64) for _ in Found._fields))], []
    for piece in pieces(table, max_bytes=PIECE_BYTES):
        beat(piece.start)
        found = _of_living(find_texts(*piece.text, index=index, reach=reach), alive[piece.start :])
        matched.append(_matched(piece, found))
        parts.append(found._replace(doc=found.doc + piece.start))
    found = Found(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    places = _places(found.doc, found, np.arange(len(found.doc)))
    n_hits = np.bincount(places, minlength=len(alive)).astype(np.int64)
    verdicts = (n_hits >= min_hits).astype(np.uint8)
    evidence = _evidence(found, pairs, names, n_hits)
    evidence["matched"] = pa.concat_arrays(matched) if matched else pa.array([], pa.large_string())
    return Judged(verdicts, evidence, _of_benchmarks(found, pairs, names, verdicts > 0))


def _of_living(found: Found, alive: npt.NDArray[np.bool_]) -> Found:
    living = alive[found.doc]
    return Found(*(column[living] for column in found))


def _best(found: Found) -> I64s:
    """The row of each document's best pair: the highest score, then the first place."""
    order = np.lexsort((found.pair, found.start, -found.score, found.doc))
    best: I64s = order[np.diff(found.doc[order], prepend=-1) != 0]
    return best


def _matched(piece: Piece, found: Found) -> pa.Array:
    """The words of each document where its best pair stands, null without one."""
    texts: list[str | None] = [None] * len(piece)
    data, offsets = piece.text
    for row in _best(found).tolist():
        doc = int(found.doc[row])
        words, _ = join_words(data, offsets[doc : doc + 2])
        chosen = bytes(words).split(b" ")[found.start[row] : found.end[row]]
        texts[doc] = b" ".join(chosen).decode("utf-8", "replace")
    return pa.array(texts, pa.large_string())


def _places(group: I64s, found: Found, rows: I64s) -> I64s:
    """The group of each place; row `rows[i]` of what was found belongs to `group[i]`.

    Where a text begins is known but for `slack` words, so copies that touch by fewer stand side by side.
    """
    order = np.lexsort((found.end[rows], found.start[rows], group))
    group, start, end = group[order], found.start[rows[order]], found.end[rows[order]]
    slack = 2 + (end - start) // 8
    # Groups are set apart on one line, so that one running maximum serves them all.
    base = group * (end.max(initial=0) + 1)
    reached = np.maximum.accumulate(base + end)
    is_new = np.ones(len(group), dtype=np.bool_)
    is_new[1:] = (base + start + slack)[1:] >= reached[:-1]
    places: I64s = group[is_new]
    return places


def _evidence(found: Found, pairs: Pairs, names: Sequence[str], n_hits: I64s) -> dict[str, pa.Array]:
    """Benchmark, item and score of each document's best pair, null without one, and the number of places."""
    clean, best = n_hits == 0, _best(found)
    at = pairs.holder_ends[found.pair[best]]
    columns = np.zeros((3, len(n_hits)), dtype=np.int64)
    columns[:, ~clean] = pairs.benchmark[at], pairs.item[at], found.score[best]
    benchmark, item, score = (pa.array(column, mask=clean) for column in columns)
    named = pa.array(names, pa.string()).take(benchmark)
    return {"benchmark": named, "item": item, "score": score, "n_hits": pa.array(n_hits)}


def _of_benchmarks(
    found: Found, pairs: Pairs, names: Sequence[str], is_contaminated: npt.NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """Of each benchmark: places where its pairs stand, documents that are contaminated and hold one, and the items."""
    starts = pairs.holder_ends[found.pair]
    n_holders = pairs.holder_ends[found.pair + 1] - starts
    at, row = _spread(starts, n_holders), np.repeat(np.arange(len(found.doc)), n_holders)
    holder, item, doc = pairs.benchmark[at], pairs.item[at], found.doc[row]
    both, group = np.unique(np.stack([holder, doc]), axis=1, return_inverse=True)
    hits = both[0][_places(group.reshape(-1), found, row)]
    docs = np.unique(np.stack([holder, doc])[:, is_contaminated[doc]], axis=1)[0]
    items = np.unique(np.stack([holder, item]), axis=1)
    return [
        {
            "benchmark": name,
            "documents": int((docs == of).sum()),
            "hits": int((hits == of).sum()),
            "items": items[1][items[0] == of].tolist(),
        }
        for of, name in enumerate(names)
    ]


def _spread(starts: I64s, counts: I64s) -> I64s:
    """The places [start, start + count) of each, one after another."""
    return np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())


def _ends(counts: I64s) -> I64s:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _distinct_texts(words: TextWords, firsts: I64s) -> _Texts:
    counts = words.ends[firsts + 1] - words.ends[firsts]
    seq = words.hashes[_spread(words.ends[firsts], counts)]
    owner = np.repeat(np.arange(len(firsts)), counts)
    order = np.lexsort((seq, owner))
    is_new = (np.diff(seq[order], prepend=~seq[order][:1]) != 0) | (np.diff(owner[order], prepend=-1) != 0)
    word, owner = seq[order][is_new], owner[order][is_new]
    _, kind, n_texts = np.unique(word, return_inverse=True, return_counts=True)
    weight = _rarity(n_texts, len(firsts))[kind]
    order = np.lexsort((word, -weight, owner))
    bag_ends = _ends(np.bincount(owner, minlength=len(firsts)))
    total = np.diff(np.concatenate([[0], np.cumsum(weight)])[bag_ends])
    return _Texts(_ends(counts), seq, bag_ends, word[order], weight[order], total)


def _rarity(n_texts: I64s, n_all: int) -> I64s:
    kinds, kind = np.unique(n_texts, return_inverse=True)
    most = max(n_all, _FEW_TEXTS)
    weights = [max(round(_SCALE * math.log2(most / n)), 1) for n in kinds.tolist()]
    return np.array(weights, dtype=np.int64)[kind]


def _labels(prints: npt.NDArray[np.uint64]) -> tuple[set[int], set[int]]:
    """Which texts are one letter, and which one letter or digit, whatever stands around it."""
    found = []
    for marks in (ascii_lowercase, ascii_lowercase + digits):
        known = word_hashes(*as_text([*marks])).prints
        found.append(set(np.flatnonzero(np.isin(prints, known)).tolist()))
    return found[0], found[1]


def _all_pairs(
    benchmarks: Sequence[Benchmark], number: I64s, sizes: _Sizes, limits: Limits
) -> Iterator[tuple[int, int, int, int]]:
    """(text, companion, benchmark, item) of every item."""
    at = 0
    for of, benchmark in enumerate(benchmarks):
        rows = zip(
            benchmark.items, benchmark.roles, number[at : at + len(benchmark.texts)].tolist(), strict=True
        )
        for item, group in groupby(rows, key=lambda row: row[0]):
            parts = [(role, text) for _, role, text in group]
            for text, companion in sorted(set(_item_pairs(parts, sizes, limits))):
                yield text, companion, of, item
        at += len(benchmark.texts)


def _item_pairs(parts: Sequence[tuple[int, int]], sizes: _Sizes, limits: Limits) -> Iterator[tuple[int, int]]:
    size, options = sizes.n_words, _options(parts, sizes)
    asked = {t for role, t in parts if role == QUESTION}
    passages = {t for role, t in parts if role == PASSAGE}
    answers = {t for role, t in parts if role == ANSWER}
    if not asked and not passages:
        asked = {t for role, t in parts if role == OTHER}
    yield from ((t, NOBODY) for t in passages | asked | answers if size[t] >= limits.alone_words)
    for t in asked:
        if size[t] >= limits.alone_words:
            continue
        both = {(t, option) for option in options or {NOBODY}} if size[t] >= MIN_FIRST else set()
        if size[t] < _MAX_SECOND:
            both |= {(option, t if size[t] else NOBODY) for option in options if size[option] >= MIN_FIRST}
        yield from (pair for pair in both if _size(pair, size) >= limits.min_words)


def _options(parts: Sequence[tuple[int, int]], sizes: _Sizes) -> set[int]:
    """The choices and answers of an item that may stand near its question."""
    choices = {t for role, t in parts if role == CHOICE and sizes.n_words[t]}
    answers = {t for role, t in parts if role == ANSWER and sizes.n_words[t]}
    return (choices - sizes.letters or choices) | (answers - sizes.labels if choices else answers)


def _size(pair: tuple[int, int], size: Sequence[int]) -> int:
    return size[pair[0]] + (size[pair[1]] if pair[1] != NOBODY else 0)


def _distinct_pairs(rows: Iterator[tuple[int, int, int, int]]) -> Pairs:
    text, companion, benchmark, item = np.array([*rows], dtype=np.int64).reshape(-1, 4).T
    order = np.lexsort((item, benchmark, companion, text))
    text, companion = text[order], companion[order]
    is_new = (np.diff(text, prepend=-1) != 0) | (np.diff(companion, prepend=-2) != 0)
    held = np.bincount(np.cumsum(is_new) - 1, minlength=int(is_new.sum()))
    return Pairs(text[is_new], companion[is_new], _ends(held), benchmark[order], item[order])


def _index(texts: _Texts, pairs: Pairs, limits: Limits) -> Index:
    first = np.unique(pairs.text)
    words = TextWords(texts.seq, texts.seq_ends, np.zeros(0, dtype=np.uint64))
    n_words = np.diff(texts.seq_ends)
    runs = make_runs(words, texts=first, widths=run_widths(n_words[first]))
    order = np.lexsort((runs.at, runs.text, runs.keys))
    keys, owner = runs.keys[order], runs.text[order]
    is_run = np.diff(keys, prepend=~keys[:1]) != 0
    is_post = is_run | (np.diff(owner, prepend=-1) != 0)
    n_posts = np.bincount(np.cumsum(is_run)[is_post] - 1, minlength=int(is_run.sum()))
    table = make_table(keys[is_run], runs.anchors[order][is_run])
    need = least_counts(texts.total, limits.share)
    least = -(-need * 3 // 4)
    return Index(
        *table,
        widths=np.unique(run_widths(n_words[first])),
        post_ends=_ends(n_posts),
        post_text=owner[is_post],
        post_at=runs.at[order][is_post],
        seq_ends=texts.seq_ends,
        seq=texts.seq,
        bag_ends=texts.bag_ends,
        bag=texts.bag,
        weight=texts.weight,
        total=texts.total,
        need=need,
        least=least,
        pair_ends=_ends(np.bincount(pairs.text, minlength=len(n_words))),
        companion=pairs.companion,
    )
