"""What the loop's hooks do: the diary, the terminal line, evaluation, samples, checkpoints, the report.

Nothing here touches the weights or the optimiser, so how often it runs cannot change a loss. All ranks share
an evaluation; the leading rank alone samples, writes and prints while the others wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from manifests.digest import hash64
from trainer.checkpoint import save_checkpoint
from trainer.config import TrainConfig
from trainer.distributed import Team
from trainer.evaluate import Windows, evaluate, macro_bpb
from trainer.guard import SpikeGuard
from trainer.loop import Hooks, Position, StepRecord
from trainer.machine import Machine
from trainer.metrics import Diary
from trainer.model import Model
from trainer.optim import Optimiser
from trainer.report import write_report
from trainer.rundir import Run
from trainer.sample import Picker, complete_ids
from trainer.tensorboard import EventFile

__all__ = ["Recorder", "is_due"]

LINE_SECONDS = 10.0
Say = Callable[[str], None]


def is_due(before: int, after: int, *, every: int) -> bool:
    """True where a step carries the run's tokens past a multiple of `every`: from `before` to `after`.

    >>> [s for s in range(1, 9) if is_due(10 * (s - 1), 10 * s, every=25)]
    [3, 5, 8]
    """
    return after // every != before // every


@dataclass(slots=True, kw_only=True)
class Recorder:
    """One run's hooks and the open files they write to."""

    run: Run
    config: TrainConfig
    model: Model
    optimiser: Optimiser
    guard: SpikeGuard
    machine: Machine
    team: Team
    windows: Mapping[str, Windows]
    n_bytes: npt.NDArray[np.int64]
    metrics: Diary
    samples: Diary
    events: EventFile | None
    say: Say
    _started: float = field(default_factory=time.perf_counter)
    _first_step: int | None = None
    _said: float = 0.0

    def hooks(self) -> Hooks:
        """The loop's hooks."""
        return Hooks(self.log, self.evaluate, self.sample, self.save, self.due)

    def due(self, kind: str, step: int) -> bool:
        """True where `evaluate`, `sample` or `save` is due after `step`; always after the last."""
        if step == self.run.n_steps:
            return True
        config, n_tokens = self.config, self.run.tokens_at(self.run.n_steps)
        asked = {"evaluate": config.evaluate.every, "sample": config.sample.every, "save": config.save.every}
        every = asked[kind] or n_tokens // {"evaluate": 10, "sample": 4, "save": 10}[kind] or 1
        return is_due(self.run.tokens_at(step - 1), self.run.tokens_at(step), every=every)

    def log(self, record: StepRecord) -> None:
        """Write a step's line, and print one every ten seconds."""
        if not self.team.leads:
            return
        n_tokens = self.run.tokens_per_step
        line: dict[str, Any] = {
            "kind": "step",
            "step": record.step,
            "row": record.row,
            "tokens": self.run.tokens_at(record.step),
            "loss": record.loss,
            "lr": record.lr,
            "grad_norm": record.grad_norm,
            "skipped": record.skipped,
            "tokens_per_s": round(n_tokens / record.seconds, 1),
            "waited_s": round(record.waited, 6),
        }
        self.metrics.write(line)
        if self.events:
            self.events.scalars(
                record.step, {k: float(line[k]) for k in ("loss", "lr", "grad_norm", "tokens_per_s")}
            )
        if record.skipped:
            self.say(f"step {record.step}: {record.skipped}, update left out (loss {record.loss:.3f})")
        self._progress(record)

    def _progress(self, record: StepRecord) -> None:
        now = time.perf_counter()
        if self._first_step is None:
            self._first_step, self._started = record.step, now
            self.say(f"step {record.step}/{self.run.n_steps}  loss {record.loss:.3f}")
        elif now - self._said > LINE_SECONDS or record.step == self.run.n_steps:
            rate = (record.step - self._first_step) / max(now - self._started, 1e-9)
            left = (self.run.n_steps - record.step) / max(rate, 1e-9)
            speed = rate * self.run.tokens_per_step
            self.say(
                f"step {record.step}/{self.run.n_steps}  loss {record.loss:.3f}  lr {record.lr:.2g}  "
                f"{speed:,.0f} tokens/s  {_clock(left)} left"
            )
        else:
            return
        self._said = now

    def evaluate(self, at: Position) -> None:
        """Score the held-out windows and write the line."""
        if not self.windows:
            return
        scores = evaluate(
            self.model, self.windows, n_bytes=self.n_bytes, machine=self.machine, team=self.team
        )
        if not self.team.leads:
            return
        bpb = {name: score.bpb for name, score in scores.items()}
        macro = macro_bpb(scores)
        tokens = self.run.tokens_at(at.step)
        self.metrics.write(
            {"kind": "evaluate", "step": at.step, "tokens": tokens, "macro": macro, "bpb": bpb}
        )
        if self.events:
            self.events.scalars(at.step, {"bpb/macro": macro} | {f"bpb/{k}": v for k, v in bpb.items()})
        listed = "  ".join(f"{name} {value:.3f}" for name, value in bpb.items())
        self.say(f"step {at.step}: bits per byte {macro:.3f} ({listed})")

    def sample(self, at: Position) -> None:
        """Let the model write, and keep what it wrote."""
        if self.team.leads:
            prompts = self.config.sample.prompts or ("",)
            for prompt, text in zip(prompts, self._texts(at.step, prompts), strict=True):
                self.samples.write({"step": at.step, "prompt": prompt, "text": text})
        self.team.wait()

    def _texts(self, step: int, prompts: Sequence[str]) -> list[str]:
        asked = self.config.sample
        tokenizer, eot = self.run.tokenizer(), self.run.mix.eot
        seed = hash64("quern.samples", self.config.seed, step)
        picker = Picker(temperature=asked.temperature, top_k=asked.top_k, top_p=asked.top_p, seed=seed)
        rows = [[eot, *tokenizer.encode(p).ids] for p in prompts]
        found = complete_ids(self.model, rows, n_tokens=asked.tokens, picker=picker, stop=eot)
        return [str(tokenizer.decode(ids)) for ids in found]

    def save(self, at: Position) -> None:
        """Make the diaries durable, write a checkpoint, then the report."""
        if self.team.leads:
            self.metrics.sync()
            self.samples.sync()
            save_checkpoint(
                self.run.path,
                step=at.step,
                row=at.row,
                weights=dict(self.model.named_parameters()),
                state=self.optimiser.tensors() | self.guard.tensors(),
                facts=self._facts(),
                keep=self.config.save.keep,
            )
            write_report(self.run)
        self.team.wait()

    def _facts(self) -> dict[str, Any]:
        return {
            "config": self.run.config_digest,
            "mix": self.run.mix.digest,
            "device": self.machine.device,
            "dtype": self.machine.dtype,
            "threads": self.machine.threads,
            "n_ranks": self.team.n_ranks,
            "torch": str(torch.__version__),
        }


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest:02d}s"
