"""The slow, obvious twin of coverage: tuples of words, sets and dictionaries."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from string import ascii_lowercase, digits

from pipelines.decontaminate.benchmarks import ANSWER, CHOICE, OTHER, PASSAGE, QUESTION

Words = tuple[str, ...]
Pair = tuple[Words, Words | None]


def item_pairs(parts: Sequence[tuple[int, Words]], *, min_item: int, min_alone: int) -> set[Pair]:
    """What is looked for of an item, given as (role, words)."""
    of = {role: {w for r, w in parts if r == role} for role in (QUESTION, CHOICE, ANSWER, PASSAGE, OTHER)}
    asked = of[QUESTION] if of[QUESTION] or of[PASSAGE] else of[OTHER]
    choices = {w for w in of[CHOICE] if w}
    letters = {w for w in choices if len(w) == 1 and w[0] in ascii_lowercase}
    labels = {w for w in of[ANSWER] if len(w) == 1 and w[0] in ascii_lowercase + digits}
    options = choices - letters or choices
    options |= {w for w in (of[ANSWER] - labels if choices else of[ANSWER]) if w}
    pairs: set[Pair] = {(w, None) for w in asked | of[PASSAGE] | of[ANSWER] if len(set(w)) >= min_alone}
    for question in asked:
        size = len(set(question))
        some: set[Pair] = set()
        if 5 <= size < min_alone:
            some |= {(question, option) for option in options} or {(question, None)}
        if size < min(10, min_alone):
            some |= {(option, question or None) for option in options if len(set(option)) >= 5}
        pairs |= {(a, b) for a, b in some if len(set(a)) + len(set(b or ())) >= min_item}
    return pairs


def count_places(spans: Iterable[tuple[int, int]]) -> int:
    """How many stretches of words spans leave when those that overlap by more than two words and an eighth are one."""
    n_places = reached = 0
    for start, end in sorted(spans):
        n_places += start + 2 + (end - start) // 8 >= reached
        reached = max(reached, end)
    return n_places


def weights(texts: set[Words]) -> dict[str, int]:
    """The rarity of every word, in sixteenths."""
    words = {word for text in texts for word in text}
    held = {word: sum(word in text for text in texts) for word in words}
    return {w: max(round(16 * math.log2(max(len(texts), 1 << 14) / n)), 1) for w, n in held.items()}


def run_width(n_words: int) -> int:
    """Words in a row that make a comparison."""
    return 4 if n_words < 10 else min(max(n_words // 4, 5), 10)


def find_pair(
    doc: Words,
    pair: Pair,
    weight: dict[str, int],
    *,
    share: Fraction,
    reach: int,
    wanted_companions: set[Words | None],
) -> list[tuple[int, int, int]]:
    """(start, end, score) of every place where a pair stands.

    wanted_companions: of all pairs with the same text; a place where any of them stands is not looked at twice.
    """
    text, companion = pair
    runs: dict[Words, int] = {}
    width, n = run_width(len(text)), len(text)
    for at in range(n - width + 1):
        runs.setdefault(text[at : at + width], at)
    slack, last, until, found = 2 + n // 8, None, 0, []
    for word in range(len(doc) - width + 1):
        run = doc[word : word + width]
        if run not in runs:
            continue
        at = word - runs[run]
        if last is not None and (abs(at - last) <= slack or word < until):
            continue
        last = at
        scores = {
            other: _score(doc, text, other, at, slack, weight, share, reach) for other in wanted_companions
        }
        if any(score is not None for score in scores.values()):
            until = at + n + slack
        if (score := scores[companion]) is not None:
            found.append((max(at, 0), min(at + n, len(doc)), score))
    return found


def _score(
    doc: Words, text: Words, companion: Words | None, at: int, slack: int, weight: dict[str, int], share: Fraction,
    reach: int,
) -> int | None:  # fmt: skip
    n = len(text)
    held = _held(text, doc[max(at - slack, 0) : max(at + n + slack, 0)], weight)
    need, total = _need(text, weight, share), _total(text, weight)
    if companion is None:
        return 1000 * held // total if held >= need else None
    far = reach + 2 * len(companion)
    sides = doc[max(at - far, 0) : max(at + slack, 0)], doc[max(at + n - slack, 0) : at + n + far]
    all_of = _total(companion, weight)
    if len(companion) <= 3:
        stands = any(companion == side[i : i + len(companion)] for side in sides for i in range(len(side)))
        more = all_of if stands else -1
    else:
        more = max(_held(companion, side, weight) for side in sides)
        more = more if more >= _least(companion, weight, share) else -1
    if held < _least(text, weight, share) or more < 0:
        return None
    if held + more < need + _need(companion, weight, share):
        return None
    return 1000 * (held + more) // (total + all_of)


def _held(text: Words, window: Words, weight: dict[str, int]) -> int:
    return sum(weight[word] for word in set(text) & set(window))


def _total(text: Words, weight: dict[str, int]) -> int:
    return _held(text, text, weight)


def _need(text: Words, weight: dict[str, int], share: Fraction) -> int:
    return math.ceil(_total(text, weight) * share)


def _least(text: Words, weight: dict[str, int], share: Fraction) -> int:
    return math.ceil(Fraction(3 * _need(text, weight, share), 4))
