"""The spike guard: a step whose loss or gradient is out of all measure changes nothing, and is recorded.

    losses, norms of the last 128 steps ──mean, deviation──> 6 deviations above the mean: skip the update

A loss or norm that is not finite is always skipped; after 16 such steps in a row the run stops, because the
weights can no longer be helped. Every figure seen enters the window, so a level that stays is accepted
after a while. The window is part of a checkpoint: a resumed run decides as an uninterrupted one.
Source: OLMo-core's SkipStep optimiser (128 steps, 64 at least, 6 deviations).
"""

from __future__ import annotations

import math
import statistics
from collections import deque

import torch
from torch import Tensor

from manifests.errors import QuernError

__all__ = ["SpikeGuard"]

WINDOW, ENOUGH, DEVIATIONS, MAX_BROKEN = 128, 64, 6.0, 16


class SpikeGuard:
    """Judges each step by the steps before it."""

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=WINDOW)
        self._norms: deque[float] = deque(maxlen=WINDOW)
        self._n_broken = 0

    def judge(self, loss: float, grad_norm: float) -> str | None:
        """Why this step must not change the weights (`not_finite`, `loss_spike`, `grad_spike`), or None.

        Raises: QuernError after 16 steps in a row that were not finite.
        """
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            return self._broken(loss, grad_norm)
        self._n_broken = 0
        verdict = "loss_spike" if _above(self._losses, loss) else None
        verdict = verdict or ("grad_spike" if _above(self._norms, grad_norm) else None)
        self._losses.append(loss)
        self._norms.append(grad_norm)
        return verdict

    def _broken(self, loss: float, grad_norm: float) -> str:
        self._n_broken += 1
        if self._n_broken >= MAX_BROKEN:
            raise QuernError(
                f"training: expected finite numbers, got loss {loss} and gradient norm {grad_norm} for "
                f"{MAX_BROKEN} steps. The weights are past help. Go on from an older checkpoint with "
                "`--fork` and a lower `optim.lr`."
            )
        return "not_finite"

    def tensors(self) -> dict[str, Tensor]:
        """The window as float64 tensors, for a checkpoint."""
        return {
            "guard.losses": torch.tensor(list(self._losses), dtype=torch.float64),
            "guard.norms": torch.tensor(list(self._norms), dtype=torch.float64),
            "guard.n_broken": torch.tensor([self._n_broken], dtype=torch.int64),
        }

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over a window that `tensors()` gave."""
        self._losses = deque(tensors["guard.losses"].tolist(), maxlen=WINDOW)
        self._norms = deque(tensors["guard.norms"].tolist(), maxlen=WINDOW)
        self._n_broken = int(tensors["guard.n_broken"].item())


def _above(window: deque[float], value: float) -> bool:
    if len(window) < ENOUGH:
        return False
    return value - statistics.fmean(window) > DEVIATIONS * statistics.pstdev(window)
