"""Ranks: who am I, sum over all, wait for all. With one process everything here is free.

    torchrun starts W processes -> join() -> Team(rank, n_ranks) -> rank r takes rows r, r + W, ... of a batch

Gradients are averaged by DDP, once a step: all micro-batches but the last run under `no_sync`. The loss of a
step is a sum over the global batch divided by its tokens, so it means the same on any number of ranks.
Does not do: sharded parameters; a replica must fit a device.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["Team", "join"]


@dataclass(frozen=True, slots=True)
class Team:
    """The processes of one run as one of them sees them."""

    rank: int = 0
    n_ranks: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """True on the one rank that writes files and prints."""
        return self.rank == 0

    def add_up(self, values: Tensor) -> Tensor:
        """`values` summed over all ranks, in place."""
        if self.n_ranks > 1:
            dist.all_reduce(values)
        return values

    def wait(self) -> None:
        """Return when every rank is here."""
        if self.n_ranks > 1:
            dist.barrier()


@contextmanager
def join(device_type: str) -> Iterator[Team]:
    """The team torchrun's environment describes, left when the block ends; one process without torchrun."""
    n_ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if n_ranks == 1:
        yield Team()
        return
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if device_type == "cuda":
        torch.cuda.set_device(local_rank)
    dist.init_process_group("nccl" if device_type == "cuda" else "gloo")
    try:
        yield Team(dist.get_rank(), n_ranks, local_rank)
    finally:
        dist.destroy_process_group()
