"""How much known contamination the settings in use find.

    self_test(Decontaminate(against=["gsm8k/test.jsonl"]), folder)

    benchmark          kind       planted  found
    gsm8k/test.jsonl   verbatim       200    200
    gsm8k/test.jsonl   edited_1       200    200        a word of the question changed
    ...

Of each benchmark some items are drawn, written as a page would show them (passage, question, choices, answer, each on
a line), and judged in every kind of copy. An item too short to be judged is planted like any other, and missed. Clean
pages are the caller's, or made of all the benchmarks' own words in random order: every word is known, and hardly a run
of them. Pages of books and of the web say more.

Price: an item is judged ten times; all of 20 benchmarks at 200 items in half a minute.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.decontaminate.benchmarks import (
    ANSWER,
    CHOICE,
    OTHER,
    PASSAGE,
    QUESTION,
    Benchmark,
)
from pipelines.decontaminate.stage import Decontaminate, judge_table, make_index, read_benchmarks
from pipelines.stage import short_names

__all__ = ["KINDS", "SelfTest", "self_test"]

PAGE_WORDS = 1500
N_CLEAN = 100


@dataclass(frozen=True, slots=True)
class Planted:
    """The texts of an item by role, as they are planted."""

    question: str
    before: tuple[str, ...]
    choices: tuple[str, ...]
    after: tuple[str, ...]

    def page(self, *, question: str | None = None, choices: Sequence[str] | None = None) -> str:
        """Passage, question, choices, answer, each on a line."""
        asked = self.question if question is None else question
        return "\n".join([*self.before, asked, *(self.choices if choices is None else choices), *self.after])


@dataclass(frozen=True, slots=True)
class SelfTest:
    """counts: benchmark -> kind -> (planted, found); flagged: which of the `n_clean` clean texts were judged wrongly.

    too_short: benchmark -> (items, those too short to be judged).
    """

    counts: Mapping[str, Mapping[str, tuple[int, int]]]
    too_short: Mapping[str, tuple[int, int]]
    n_clean: int
    flagged: tuple[int, ...]

    def recall(self, kind: str) -> float:
        """The share found of all that was planted of a kind; 1 where nothing was."""
        n_planted = sum(kinds[kind][0] for kinds in self.counts.values())
        n_found = sum(kinds[kind][1] for kinds in self.counts.values())
        return n_found / n_planted if n_planted else 1.0


def _reflowed(item: Planted, rng: random.Random, _page: str) -> str:
    return "".join(word + rng.choice([" ", " ", "\n", "\n\n", "\t", "  "]) for word in item.page().split())


def _reordered(item: Planted, _rng: random.Random, _page: str) -> str | None:
    return item.page(choices=item.choices[::-1]) if len(item.choices) > 1 else None


def _inside(item: Planted, _rng: random.Random, page: str) -> str:
    half = page.find(" ", len(page) // 2)
    return f"{page[:half]}\n\n{item.page()}\n\n{page[half:]}"


def _edited(n_words: int) -> Callable[[Planted, random.Random, str], str]:
    def edited(item: Planted, rng: random.Random, page: str) -> str:
        words, others = item.question.split(), page.split()
        for at in rng.sample(range(len(words)), min(n_words, len(words))):
            words[at] = rng.choice(others)
        return item.page(question=" ".join(words))

    return edited


KINDS: Mapping[str, Callable[[Planted, random.Random, str], str | None]] = {
    "verbatim": lambda item, _rng, _page: item.page(),
    "reflowed": _reflowed,
    "upper": lambda item, _rng, _page: item.page().upper(),
    "inside": _inside,
    "reordered": _reordered,
    "question_only": lambda item, _rng, _page: item.question,
    "edited_1": _edited(1),
    "edited_2": _edited(2),
    "edited_3": _edited(3),
}
"""`reordered` plants items of two choices or more; words are changed in the question."""


def self_test(
    stage: Decontaminate,
    folder: Path,
    *,
    n_items: int = 200,
    seed: int = 1,
    clean: Sequence[str] | None = None,
) -> SelfTest:
    """Plants up to `n_items` items of each benchmark in every kind of copy, and judges them and clean texts.

    folder: where the paths of `against` start. Deterministic for a seed.
    """
    rng = random.Random(seed)
    arrays, told = make_index(stage, folder)
    read = [_items(benchmark) for benchmark in read_benchmarks(stage, folder)]
    made, counts = _clean_pages(read, rng), {}
    for items, name in zip(read, short_names(stage.against), strict=True):
        chosen = rng.sample(items, min(n_items, len(items)))
        counts[name] = {kind: _plant(stage, arrays, kind, chosen, made, rng) for kind in KINDS}
    pages = made if clean is None else clean
    flagged = _judged(stage, arrays, pages)
    too_short = {each["benchmark"]: (each["items"], each["too_short"]) for each in told}
    return SelfTest(counts, too_short, len(pages), tuple(np.flatnonzero(flagged).tolist()))


def _plant(
    stage: Decontaminate,
    arrays: Mapping[str, object],
    kind: str,
    items: Sequence[Planted],
    pages: Sequence[str],
    rng: random.Random,
) -> tuple[int, int]:
    texts = [KINDS[kind](item, rng, pages[n % len(pages)]) for n, item in enumerate(items)]
    planted = [text for text in texts if text is not None]
    return len(planted), sum(_judged(stage, arrays, planted))


def _judged(stage: Decontaminate, arrays: Mapping[str, object], texts: Sequence[str]) -> list[bool]:
    raw = [text.encode("utf-8", "replace").decode() for text in texts]
    table = pa.table({"text": pa.array(raw, pa.large_string())})
    verdicts = judge_table(stage, arrays, table, np.ones(len(raw), dtype=np.bool_)).verdicts
    return [bool(verdict) for verdict in verdicts]


def _items(benchmark: Benchmark) -> list[Planted]:
    """The items that have a question or a passage; an item of neither is a question of all its strings."""
    parts: dict[int, list[tuple[int, str]]] = {}
    for item, role, text in zip(benchmark.items, benchmark.roles, benchmark.texts, strict=True):
        parts.setdefault(item, []).append((role, text))
    return [_planted(each) for each in parts.values()]


def _planted(parts: Sequence[tuple[int, str]]) -> Planted:
    of = {
        role: [text for r, text in parts if r == role] for role in (QUESTION, PASSAGE, CHOICE, ANSWER, OTHER)
    }
    if not of[QUESTION] and not of[PASSAGE]:
        of[QUESTION] = ["\n".join(of[OTHER])]
    asked = of[QUESTION][0] if of[QUESTION] else ""  # of several wordings a page has one
    return Planted(asked, tuple(of[PASSAGE]), tuple(of[CHOICE]), tuple(of[ANSWER]))


def _clean_pages(benchmarks: Sequence[Sequence[Planted]], rng: random.Random) -> list[str]:
    words = [word for items in benchmarks for item in items for word in item.page().split()] or ["word"]
    return [" ".join(rng.choices(words, k=PAGE_WORDS)) for _ in range(N_CLEAN)]
