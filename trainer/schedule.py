"""The learning rate as a fraction of its peak: a pure function of the step.

    wsd      /‾‾‾‾‾‾‾‾\\      warm up, stay, go down in a line        (Hu et al. 2024, MiniCPM)
    cosine   /‾-._            warm up, then half a cosine to a tenth    (Loshchilov and Hutter 2017)

Step 0 already learns (1/n_warmup of the peak) and the last step of wsd stands one part above zero, so no
step is wasted on a rate of nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["Schedule", "cosine", "schedule_of", "wsd"]

Schedule = Callable[[int], float]


def wsd(step: int, *, n_steps: int, n_warmup: int, n_decay: int) -> float:
    """Warm-up, stable, decay: in (0, 1] for 0 <= step < n_steps.

    >>> [wsd(s, n_steps=8, n_warmup=2, n_decay=4) for s in range(8)]
    [0.5, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    return min(_warmup(step, n_warmup), (n_steps - step) / max(n_decay, 1), 1.0)


def cosine(step: int, *, n_steps: int, n_warmup: int, floor: float = 0.1) -> float:
    """Warm-up, then half a cosine from 1 to `floor`: in (0, 1].

    >>> round(cosine(1, n_steps=3, n_warmup=1), 3), round(cosine(2, n_steps=3, n_warmup=1), 3)
    (1.0, 0.55)
    """
    if step < n_warmup:
        return _warmup(step, n_warmup)
    done = min(1.0, (step - n_warmup) / max(n_steps - n_warmup, 1))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))


def schedule_of(name: str, *, n_steps: int, warmup_frac: float, decay_frac: float) -> Schedule:
    """The schedule `name` over `n_steps`; fractions are of the whole run, rounded to whole steps."""
    n_warmup = round(warmup_frac * n_steps)
    if name == "cosine":
        return lambda step: cosine(step, n_steps=n_steps, n_warmup=n_warmup)
    n_decay = round(decay_frac * n_steps)
    return lambda step: wsd(step, n_steps=n_steps, n_warmup=n_warmup, n_decay=n_decay)


def _warmup(step: int, n_warmup: int) -> float:
    return (step + 1) / n_warmup if n_warmup else 1.0
