"""How much the demo's model reads: what this machine trains on in `SECONDS`, so that the wait is alike on all.

    quern train train.yaml, N_STEPS steps -> tokens a second -> 1M to 4.5M tokens -> mix.yaml

At least 1M, after which the model is better than counting, however slow the machine; at most 4.5M, in which the web
pages come four times, for more of the same text teaches little.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

__all__ = ["LEAST", "MOST", "N_STEPS", "SECONDS", "budget", "pace", "with_budget"]

SECONDS = 165
N_STEPS = 20
LEAST, MOST = 1_000_000, 4_500_000
_SHIPPED = "- {tokens: 1.2M, weights: {web: 0.3, code: 0.5, docs: 0.2}}"


def pace(speeds: Sequence[float]) -> float:
    """Tokens a second, from those of each timed step; the first half, in which the machine warms up, counts not."""
    return median(speeds[len(speeds) // 2 :])


def budget(speeds: Sequence[float]) -> int:
    """The tokens to train on, in hundred thousands."""
    return min(max(round(pace(speeds) * SECONDS / 100_000) * 100_000, LEAST), MOST)


def with_budget(mix: str, n_tokens: int) -> str:
    """The shipped mix.yaml with that many tokens."""
    assert _SHIPPED in mix
    return mix.replace(_SHIPPED, _SHIPPED.replace("1.2M", f"{n_tokens / 1e6:g}M"))
