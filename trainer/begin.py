"""A run's folder, made once and held against what is asked ever after; and forks of it.

    no folder             -> config.json, mix.json, tokenizer.json, ...       checked before anything is written
    folder, same plan     -> nothing to do but note where the corpora lie today
    folder, another plan  -> refused, with every key that differs
    --fork NAME           -> a new folder beside it, with its newest checkpoint and its row of the order

A fork may change anything but the model's shape and the rows already trained: its mix must begin as the old
one did, and may append phases.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from manifests.digest import digest_file
from manifests.errors import ConfigError, UsageError
from manifests.mix import MixManifest
from manifests.mixfile import ResolvedMix
from manifests.order import Order
from manifests.yamlfile import Positions
from trainer.checkpoint import Checkpoint, save_checkpoint
from trainer.config import NAME, TrainConfig, differing_keys, refuse_difference
from trainer.machine import refuse_absent
from trainer.rundir import Origin, Run, begin_run, open_run, write_locations

__all__ = ["begin_or_match"]

Say = Callable[[str], None]


def begin_or_match(
    folder: Path,
    config: TrainConfig,
    mix: ResolvedMix,
    *,
    positions: Positions,
    fork: str | None,
    say: Say,
) -> None:
    """Make the run's folder; or, if it is there, hold it against what is asked.

    positions: where the keys of `config` stand, for what is refused.
    With `fork` the run is `folder`'s neighbour of that name, begun from `folder`'s newest checkpoint.

    Raises: ConfigError, UsageError before anything is written.
    """
    parent = None
    if fork is not None:
        _refuse_name(fork)
        parent, folder, config = folder, folder.with_name(fork), config.model_copy(update={"name": fork})
    if (folder / "config.json").exists():
        _refuse_another(folder, config, mix.manifest, positions)
        write_locations(folder, mix.locations)
    else:
        _begin(folder, config, mix, positions=positions, parent=parent, say=say)


def _refuse_name(fork: str) -> None:
    if not re.fullmatch(NAME, fork):
        raise UsageError(
            f'--fork: expected a name of letters, digits, ".", "_" and "-", got "{fork}". It becomes a folder beside '
            "the run's. Choose such a name."
        )


def _refuse_another(folder: Path, config: TrainConfig, mix: MixManifest, positions: Positions) -> None:
    run = open_run(folder)
    refuse_difference(config.as_json(), run.config, run=folder, positions=positions)
    if run.mix.digest != mix.digest:
        keys = differing_keys(mix.model_dump(mode="json"), run.mix.model_dump(mode="json"))
        raise ConfigError(
            f"{folder}: expected the mix this run began with ({run.mix.digest[:8]}), got another ({mix.digest[:8]}): "
            f"{', '.join(keys)}. The rows already trained would mean other text. Restore the mix, or go on under "
            "a name of its own with `--fork NAME`."
        )


def _begin(
    folder: Path,
    config: TrainConfig,
    mix: ResolvedMix,
    *,
    positions: Positions,
    parent: Path | None,
    say: Say,
) -> None:
    refuse_absent(config.machine, positions)
    manifest = mix.manifest
    rows = _rows_per_step(config, manifest, positions)
    origin, checkpoint = Origin(), None
    if parent is not None:
        origin, checkpoint = _origin_of_fork(parent, manifest)
    n_steps = _n_steps(config, manifest, positions, rows=rows, origin=origin)
    shape = config.model.shape(vocab=manifest.vocab_size, seq_len=manifest.seq_len)
    begin_run(
        folder,
        config=config.as_json(),
        mix=manifest,
        locations=mix.locations,
        shape=shape,
        n_steps=n_steps,
        rows_per_step=rows,
        origin=origin,
        prepare=None if checkpoint is None else partial(_copy_checkpoint, checkpoint),
    )
    say(
        f"{folder}: {n_steps - origin.step} steps of {rows * manifest.seq_len:,} tokens, {shape.n_params:,} parameters"
    )


def _rows_per_step(config: TrainConfig, mix: MixManifest, positions: Positions) -> int:
    rows, rest = divmod(config.batch, mix.seq_len)
    if rest or not rows:
        near = max(1, rows) * mix.seq_len
        raise ConfigError(
            f"{positions.where(('batch',))}: expected a multiple of the mix's seq_len {mix.seq_len} for `batch`, got "
            f"{config.batch}. A step is made of whole rows. Write `batch: {near}`."
        )
    return rows


def _n_steps(
    config: TrainConfig, mix: MixManifest, positions: Positions, *, rows: int, origin: Origin
) -> int:
    # `tokens` counts from the beginning of the run that a fork came from, whatever the batch was then.
    step_tokens, before = rows * mix.seq_len, origin.row * mix.seq_len
    n_most = (mix.n_rows - origin.row) // rows
    if n_most <= 0:
        raise ConfigError(_no_step_text(config, mix, positions, origin))
    n_asked = n_most if config.tokens is None else (config.tokens - before) // step_tokens
    if 0 < n_asked <= n_most:
        return origin.step + n_asked
    place, got = positions.where(("tokens",)), f"got {config.tokens:,}"
    if n_asked > n_most:
        most = before + n_most * step_tokens
        raise ConfigError(
            f"{place}: expected at most {most:,} for `tokens`, {got}. The mix ends after them, and the run would have "
            f"nothing to read. Write `tokens: {most}`, or give the mix another phase."
        )
    least = before + step_tokens
    trained = f"the {before:,} already trained" if before else "none"
    raise ConfigError(
        f"{place}: expected at least {least:,} for `tokens`, one step more than {trained}, {got}. The run would have "
        f"no step. Write `tokens: {least}`."
    )


def _no_step_text(config: TrainConfig, mix: MixManifest, positions: Positions, origin: Origin) -> str:
    """What is wrong where not one step of this batch is left in the mix."""
    before, most = origin.row * mix.seq_len, (mix.n_rows - origin.row) * mix.seq_len
    if most <= 0:
        return (
            f"{positions.where(('mix',))}: expected a mix that goes on after the {origin.row:,} rows already trained, "
            "got one that ends there. The run would have nothing to read. Append a phase to the mix."
        )
    batch = (
        most if config.tokens is None else min(most, (config.tokens - before) // mix.seq_len * mix.seq_len)
    )
    both = ""
    if batch <= 0:  # `tokens` asks for less than a row
        batch = mix.seq_len
        both = f" and `tokens: {before + batch}`"
    behind = " behind the rows already trained" if origin.row else ""
    return (
        f"{positions.where(('batch',))}: expected at most {most:,} for `batch`, what the mix holds{behind}, got "
        f"{config.batch:,}. The run would have no step. Write `batch: {batch}`{both}, or give the mix more tokens."
    )


def _origin_of_fork(parent: Path, mix: MixManifest) -> tuple[Origin, Checkpoint]:
    """Where a fork begins: at the newest checkpoint of `parent`, behind the rows it has used.

    Raises: UsageError when the new mix does not begin as the old one did.
    """
    run = open_run(parent)
    checkpoint = run.checkpoint()
    if _past(mix.order(), checkpoint.row) != _past(run.mix.order(), checkpoint.row):
        raise UsageError(
            f"{parent}: expected a mix that begins with the {checkpoint.row:,} rows already trained, got another. "
            "Text would be repeated or skipped unseen. Leave seed, seq_len, sources and past phases as they were, "
            "and append a phase."
        )
    digest = digest_file(checkpoint.folder / "checkpoint.json")
    return Origin(checkpoint.step, checkpoint.row, run.name, digest), checkpoint


def _past(order: Order, n_rows: int) -> tuple[Any, ...]:
    """What the first `n_rows` rows of an order depend on."""
    phases, left = [], n_rows
    for phase in order.phases:
        if left > 0:
            phases.append((min(left, phase.n_rows), phase.shares))
        left -= phase.n_rows
    return order.seed, order.seq_len, order.sources, tuple(phases)


def _copy_checkpoint(checkpoint: Checkpoint, run: Run) -> None:
    save_checkpoint(
        run.path,
        step=checkpoint.step,
        row=checkpoint.row,
        weights=checkpoint.weights(),
        state=checkpoint.state(),
        facts={**checkpoint.facts, "config": run.config_digest, "mix": run.mix.digest},
    )
