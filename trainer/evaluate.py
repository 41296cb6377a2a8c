"""Bits per byte of the held-out text, source by source.

    held-out stream --windows spread evenly over it--> [n, T + 1] tokens --model--> nats of each target
    bpb = sum of nats / (ln 2 x bytes of the predicted tokens)

Special tokens stand for no bytes and are left out of both sums. Bits per byte do not depend on the tokenizer,
so two runs with different vocabularies may be compared. The windows are the same at every evaluation; ranks
share them and add up.

Price: a forward pass over the tokens asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from trainer.distributed import Team
from trainer.machine import Machine
from trainer.model import Model, token_nats

__all__ = ["HeldOut", "Score", "Windows", "bits_per_byte", "evaluate", "held_out_windows", "macro_bpb"]

Windows = npt.NDArray[np.int64]


class HeldOut(Protocol):
    """A held-out stream; `manifests.shards.TokenStream` is one."""

    @property
    def n_tokens(self) -> int:
        """Tokens of the stream."""
        ...

    def read(self, start: int, n_tokens: int) -> npt.NDArray[Any]:
        """Tokens [start, start + n_tokens)."""
        ...


@dataclass(frozen=True, slots=True)
class Score:
    """The code length of some text: `nats` for `n_bytes` in `n_tokens` scored tokens."""

    nats: float
    n_bytes: int
    n_tokens: int

    @property
    def bpb(self) -> float:
        """Bits per byte; NaN where nothing was scored."""
        return bits_per_byte(self.nats, self.n_bytes)


def bits_per_byte(nats: float, n_bytes: int) -> float:
    """nats / (ln 2 n_bytes).

    >>> bits_per_byte(math.log(2) * 12, 4)
    3.0
    """
    return nats / (math.log(2) * n_bytes) if n_bytes else math.nan


def macro_bpb(scores: Mapping[str, Score]) -> float:
    """The mean of the sources' bits per byte, each source counting the same."""
    values = [s.bpb for s in scores.values() if s.n_bytes]
    return sum(values) / len(values) if values else math.nan


def held_out_windows(stream: HeldOut, *, seq_len: int, max_tokens: int) -> Windows:
    """Up to max_tokens / T windows of T + 1 tokens, spread evenly: int64[n, T + 1], each target once at most.

    A stream shorter than one window gives one shorter window.
    """
    available = (stream.n_tokens - 1) // seq_len
    if available < 1:
        return np.asarray(stream.read(0, stream.n_tokens), dtype=np.int64)[None]
    n = max(1, min(available, max_tokens // seq_len))
    places = np.arange(n, dtype=np.int64) * available // n
    return np.stack([stream.read(int(p) * seq_len, seq_len + 1).astype(np.int64) for p in places])


@torch.no_grad()
def evaluate(
    model: Model,
    windows: Mapping[str, Windows],
    *,
    n_bytes: npt.NDArray[np.int64],
    machine: Machine,
    team: Team | None = None,
) -> dict[str, Score]:
    """The model's score of each source's windows.

    n_bytes: int64[vocab], bytes of each token, 0 for those not scored.
    """
    team = team or Team()
    lengths = torch.from_numpy(n_bytes).to(machine.device)
    names = sorted(windows)
    sums = torch.zeros(len(names), 3, dtype=torch.float64)
    for i, name in enumerate(names):
        mine = windows[name][team.rank :: team.n_ranks]
        for start in range(0, len(mine), machine.micro_batch):
            sums[i] += _sums(model, mine[start : start + machine.micro_batch], lengths, machine)
    total = team.add_up(sums.to(machine.device if machine.device != "mps" else "cpu")).tolist()
    return {name: Score(t[0], int(t[1]), int(t[2])) for name, t in zip(names, total, strict=True)}


def _sums(model: Model, rows: Windows, lengths: torch.Tensor, machine: Machine) -> torch.Tensor:
    tokens = torch.from_numpy(rows).to(machine.device)
    with machine.autocast():
        nats = token_nats(model.run_hidden(tokens[:, :-1]), model.head.weight, tokens[:, 1:])
    n_bytes = lengths[tokens[:, 1:]]
    scored = n_bytes > 0
    total = torch.where(scored, nats, 0.0).cpu().double().sum()
    return torch.stack([total, n_bytes.sum().cpu().double(), scored.sum().cpu().double()])
