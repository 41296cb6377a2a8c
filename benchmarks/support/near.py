"""Where a limit is crossed: of each draft the two neighbours between which our measure passes its limit.

draft.text(0) ... text(37) broken | text(38) ... not       bisection over the number of units, all drafts at once
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from support.edges import NEAR, Draft, Material, foreign
from support.verdicts import alone, batch_of, judge, measured, quantity, steps

LANGUAGE_LIMIT = 0.65
FOREIGN = ("de", "fr", "es", "it", "nl", "la", "pt", "sv", "pl", "ru")


@dataclass(frozen=True)
class EdgeTexts:
    """Texts for one reason; how many drafts crossed the limit, and the limit they are near."""

    reason: str
    texts: list[str]
    n_drafts: int
    near: str

    def describe(self) -> str:
        """One line about them."""
        return f"{self.reason} {len(self.texts)} texts of {self.n_drafts} drafts, {self.near}"


def edge_texts(name: str, reason: str, drafts: Sequence[Draft]) -> EdgeTexts:
    """Both neighbours of every draft, but for those further from the limit than 2%, or one."""
    step, limit = alone(name, reason)
    if limit is None:
        texts = [draft.text(n) for draft in drafts for n in (0, len(draft.units))]
        return EdgeTexts(reason, texts, len(drafts), "without and with")
    bound = float(getattr(step.rule, limit.field))

    def values(texts: Sequence[str]) -> npt.NDArray[np.float64]:
        return quantity(limit, measured(step, batch_of(texts))[1])

    def broken(texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        return values(texts) < bound if limit.is_minimum else values(texts) > bound

    texts = crossings(drafts, broken)
    most = NEAR * bound if limit.per else max(1.0, NEAR * bound)
    near = np.abs(values(texts) - bound) <= most if texts else []
    kept = [text for text, is_near in zip(texts, near, strict=True) if is_near]
    return EdgeTexts(reason, kept, len(drafts), f"within {most:.4g} of {bound:g}")


def crossings(drafts: Sequence[Draft], broken: Callable[[Sequence[str]], npt.NDArray[np.bool_]]) -> list[str]:
    """The texts on either side of the place where a draft passes the limit; none of drafts that never do."""
    first = broken([draft.text(0) for draft in drafts])
    last = broken([draft.text(len(draft.units)) for draft in drafts])
    crossing = [(d, bool(f)) for d, f, passes in zip(drafts, first, first != last, strict=True) if passes]
    if not crossing:
        return []
    low = [0] * len(crossing)
    high = [len(draft.units) for draft, _ in crossing]
    while max(h - at for at, h in zip(low, high, strict=True)) > 1:
        middle = [(at + h) // 2 for at, h in zip(low, high, strict=True)]
        states = broken([draft.text(m) for (draft, _), m in zip(crossing, middle, strict=True)])
        for k, state in enumerate(states):
            if state == crossing[k][1]:
                low[k] = middle[k]
            else:
                high[k] = middle[k]
    return [draft.text(n) for (draft, _), *both in zip(crossing, low, high, strict=True) for n in both]


def language_texts(data: Path, prose: Sequence[str], *, n_drafts: int) -> EdgeTexts:
    """Foreign sentences with so much English that its score is near FineWeb's 0.65."""
    rng = random.Random(5)
    step = steps()["language"]
    files = [data / "langid" / "lingua-sentences" / f"{name}.txt" for name in FOREIGN]
    drafts = []
    for k in range(n_drafts):
        sentences = rng.choice(files).read_text("utf-8").split("\n")[:200]
        drafts.append(foreign(sentences)(Material.of(prose, 90_000 + k)))
    texts = crossings(
        drafts, lambda some: np.array([reason is not None for reason in judge(step, batch_of(some))[1]])
    )
    values = measured(step, batch_of(texts))[1]
    scores = np.asarray(values["language_score"], np.float64)
    near = np.abs(scores - LANGUAGE_LIMIT) <= NEAR * LANGUAGE_LIMIT
    kept = [text for text, is_near in zip(texts, near, strict=True) if is_near]
    return EdgeTexts(
        "unsure_language", kept, n_drafts, f"score within {NEAR * LANGUAGE_LIMIT:.3f} of {LANGUAGE_LIMIT}"
    )
