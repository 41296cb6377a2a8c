"""`quern train` and `quern sample`: what the trainer is asked, and how its answers are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from corpus_tools.screen import clean

__all__ = ["sample_text", "sampled", "train_text", "trained"]


def trained(config: Path, out: Path | None, *, fork: str | None, overrides: Sequence[str]) -> dict[str, Any]:
    """Train, or go on; returns the run's folder and its last evaluation.

    Raises: UsageError before anything is written; Stopped after a signal; DamageError.
    """
    from trainer.run import train
    from trainer.rundir import open_run

    folder = train(config, overrides=overrides, out=out, fork=fork)
    evaluations = open_run(folder).metrics("evaluate")
    return {"run": str(folder), "evaluation": evaluations[-1] if evaluations else None}


def train_text(answer: Mapping[str, Any]) -> str:
    """The run and its bits per byte."""
    last = answer["evaluation"] or {}
    scores = "  ".join(
        f"{source} {bpb:.3f}" for source, bpb in (last.get("bpb") or {}).items() if bpb is not None
    )
    return f"{answer['run']}" + (f"  step {last['step']}  bits per byte: {clean(scores)}" if scores else "")


def sampled(
    run: Path, prompts: Sequence[str], *, n_tokens: int, temperature: float, top_k: int | None, seed: int
) -> list[dict[str, str]]:
    """What the newest checkpoint writes on from each prompt; one text from nothing without prompts.

    Raises: DamageError, MissingFileError where the run has no checkpoint.
    """
    from trainer.rundir import open_run
    from trainer.sample import Picker, complete

    starts = list(prompts) or [""]
    picker = Picker(temperature=temperature, top_k=top_k, seed=seed)
    texts = complete(open_run(run), starts, n_tokens=n_tokens, picker=picker)
    return [{"prompt": prompt, "text": text} for prompt, text in zip(starts, texts, strict=True)]


def sample_text(rows: Sequence[Mapping[str, str]]) -> str:
    """Each prompt and what follows it, cleaned."""
    return "\n\n".join(clean(row["prompt"] + row["text"]) for row in rows)
