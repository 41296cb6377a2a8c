"""The training loop, whole: order -> batch -> accumulate -> clip -> step -> log -> evaluate -> save.

A step is a function of the weights, the optimiser's state and the step's number: the batch comes from the
order, the rate from the schedule, and no random number is drawn. What evaluates or samples changes nothing.
So a run killed anywhere and resumed from a checkpoint gives the same losses, float for float, on the same
device with the same threads.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from manifests.errors import Stopped
from trainer.data import Batch, Batches, Feed
from trainer.distributed import Team
from trainer.guard import SpikeGuard
from trainer.machine import Machine
from trainer.model import Model
from trainer.optim import Optimiser
from trainer.schedule import Schedule
from trainer.signals import StopFlag

__all__ = ["Hooks", "Job", "Position", "StepRecord", "train_steps"]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a run stands: `step` steps done, `row` the next row of the order."""

    step: int
    row: int


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one step did. loss: nats a token over the global batch, before the update; skipped: why, or None."""

    step: int
    row: int
    loss: float
    grad_norm: float
    lr: float
    skipped: str | None
    seconds: float
    waited: float


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the loop calls: `log` after every step, the others when due; `save` also at the end and at a stop."""

    log: Callable[[StepRecord], None]
    evaluate: Callable[[Position], None]
    sample: Callable[[Position], None]
    save: Callable[[Position], None]
    due: Callable[[str, int], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything a training loop needs; nothing in it is read from a file."""

    model: Model
    optimiser: Optimiser
    schedule: Schedule
    feed: Feed
    machine: Machine
    rows_per_step: int
    n_steps: int
    peak_lr: float
    clip: float | None
    hooks: Hooks
    team: Team = field(default_factory=Team)
    guard: SpikeGuard = field(default_factory=SpikeGuard)


def train_steps(job: Job, at: Position) -> Position:
    """Train from `at` to the last step; returns where it ended.

    Raises: Stopped after a signal, with a checkpoint written; QuernError when the loss stays broken.
    """
    module = _wrapped(job)
    n_left = job.n_steps - at.step
    batches = Batches(
        job.feed,
        row=at.row,
        rows_per_step=job.rows_per_step,
        n_steps=n_left,
        rank=job.team.rank,
        n_ranks=job.team.n_ranks,
    )
    with batches, StopFlag() as stop:
        for step in range(at.step, job.n_steps):
            started = time.perf_counter()
            batch = batches.next()
            loss, stop_number = _accumulate(job, module, batch, stop)
            grad_norm = _clipped_norm(job)
            skipped = job.guard.judge(loss, grad_norm)
            factor = job.schedule(step)
            if skipped is None:
                job.optimiser.step(factor)
            job.optimiser.zero_grad()

            at = Position(step + 1, at.row + job.rows_per_step)
            seconds = time.perf_counter() - started
            lr = job.peak_lr * factor
            job.hooks.log(StepRecord(at.step, at.row, loss, grad_norm, lr, skipped, seconds, batch.waited))
            if job.hooks.due("evaluate", at.step):
                job.hooks.evaluate(at)
            if job.hooks.due("sample", at.step):
                job.hooks.sample(at)
            if job.hooks.due("save", at.step) or stop_number:
                job.hooks.save(at)
            if stop_number and at.step < job.n_steps:
                raise Stopped(
                    f"stopped after step {at.step}, saved. The same command goes on from here.", stop_number
                )
    return at


def _wrapped(job: Job) -> nn.Module:
    if job.team.n_ranks == 1:
        return job.model
    devices = [job.team.local_rank] if job.machine.device == "cuda" else None
    # Rotary tables are the same everywhere: broadcasting them each step would be for nothing.
    return DistributedDataParallel(job.model, device_ids=devices, broadcast_buffers=False)


def _accumulate(job: Job, module: nn.Module, batch: Batch, stop: StopFlag) -> tuple[float, int]:
    """Gradients of the global batch's mean loss; returns that loss, and the signal any rank was sent (or 0)."""
    n_tokens = job.rows_per_step * job.feed.order.seq_len
    size, device = job.machine.micro_batch, job.machine.device
    total = torch.zeros((), dtype=torch.float32, device=device)
    for start in range(0, len(batch.inputs), size):
        part = slice(start, start + size)
        inputs, targets = batch.inputs[part].to(device), batch.targets[part].to(device)
        with _sync_at_the_end(module, is_last=start + size >= len(batch.inputs)):
            with job.machine.autocast():
                nats: Tensor = module(inputs, targets)
            # DDP divides by the ranks what it adds up; the loss is a mean over all ranks' tokens.
            (nats * (job.team.n_ranks / n_tokens)).backward()  # type: ignore[no-untyped-call]
        total += nats.detach()
    # One reduction carries the loss and how many ranks were sent each signal: all must stop at the same step.
    asked = torch.tensor([float(stop.number == 2), float(stop.number == 15)], device=device)
    loss, n_int, n_term = job.team.add_up(torch.cat([total[None], asked])).tolist()
    return loss / n_tokens, 15 if n_term else 2 if n_int else 0


def _sync_at_the_end(module: nn.Module, *, is_last: bool) -> AbstractContextManager[Any]:
    if isinstance(module, DistributedDataParallel) and not is_last:
        return module.no_sync()
    return contextlib.nullcontext()


def _clipped_norm(job: Job) -> float:
    limit = job.clip if job.clip is not None else float("inf")
    parameters = [p for p in job.model.parameters() if p.grad is not None]
    return float(torch.nn.utils.clip_grad_norm_(parameters, limit))
