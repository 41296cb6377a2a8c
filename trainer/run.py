"""Begin a run, or go on with it: the one entry that the command line, torchrun and notebooks share.

    train.yaml -> mix, shape, steps -> runs/<name>/ (made, or held against what is asked) -> newest checkpoint
               -> model, optimiser, batches -> the loop -> checkpoints, metrics, samples, report

The first call begins, later calls go on, and a call on a finished run returns at once. All ranks read and
compute; the leading rank alone writes.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from manifests.commit import sweep
from manifests.corpus import CorpusManifest, find_manifest, is_corpus
from manifests.digest import hash64
from manifests.errors import ConfigError, MissingFileError, QuernError, UsageError
from manifests.mixfile import ResolvedMix, load_mix, mix_of_corpus
from manifests.nearby import did_you_mean_path
from manifests.yamlfile import Positions
from trainer.begin import begin_or_match
from trainer.bytes_of_tokens import byte_lengths, token_bytes
from trainer.config import TrainConfig, load_placed
from trainer.data import Feed
from trainer.distributed import Team, join
from trainer.evaluate import Windows, held_out_windows
from trainer.guard import SpikeGuard
from trainer.loop import Job, Position, train_steps
from trainer.machine import Machine, keep_freed_memory, refuse_absent, resolve
from trainer.metrics import Diary, rewind
from trainer.model import Model
from trainer.optim import new_optimiser
from trainer.recorder import Recorder
from trainer.references import count_tokens, reference_scores
from trainer.report import write_report
from trainer.rundir import (
    Run,
    load_weights,
    open_run,
    read_json,
    write_json,
)
from trainer.schedule import schedule_of
from trainer.tensorboard import EventFile

__all__ = ["open_run", "resolve_mix", "train"]

MIX_FILES = (".yaml", ".yml")
Say = Callable[[str], None]
Overrides = Mapping[str, Any] | Sequence[str]


def train(
    config_path: Path | str,
    *,
    overrides: Overrides = (),
    out: Path | None = None,
    fork: str | None = None,
    say: Say | None = None,
) -> Path:
    """Train what a train.yaml asks for, from wherever its run stands; returns the run's folder.

    overrides: `{"optim.lr": 0.01}` or `["optim.lr=0.01"]`; out: the run's folder (default `runs/<name>`, with a
    fork beside the run it comes from); fork: the name of a new run that starts from this one's newest checkpoint.

    Raises: UsageError before anything is written; Stopped after a signal, with a checkpoint saved; DamageError.
    """
    path = Path(config_path)
    config, positions = load_placed(path, _as_set(overrides))
    folder = out or Path("runs") / config.name
    device = resolve_device(config)
    if _wants_ranks(device):
        _launch_ranks(path, overrides=_as_set(overrides), folder=folder, fork=fork)
        return folder.with_name(fork) if fork else folder
    if "WORLD_SIZE" in os.environ:  # to join a team takes the device already
        refuse_absent(config.machine, positions)
    with join(device) as team:
        speak = (say or _to_stderr) if team.leads else _to_nobody
        mix = resolve_mix(config, path.parent, positions)
        for remark in mix.remarks:
            speak(remark)
        if team.leads:
            begin_or_match(folder, config, mix, positions=positions, fork=fork, say=speak)
        team.wait()
        if fork is not None:
            folder, config = folder.with_name(fork), config.model_copy(update={"name": fork})
        with _locked(folder, team):
            _go_on(open_run(folder), config, positions=positions, team=team, say=speak)
            if team.leads:
                sweep(folder)
    return folder


def resolve_device(config: TrainConfig) -> str:
    """The kind of device a run will use."""
    asked = config.machine.device
    if asked != "auto":
        return asked
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def resolve_mix(config: TrainConfig, folder: Path, positions: Positions) -> ResolvedMix:
    """The mix that `mix:` names: a mix.yaml, or a corpus with all its sources by their tokens.

    positions: where the keys of `config` stand, for what is refused.

    Raises: MixError, ConfigError, DamageError.
    """
    path = folder / config.mix
    _refuse_other(folder, config.mix, positions)
    if path.suffix in MIX_FILES:
        if config.seq_len is not None:
            raise ConfigError(
                f"{positions.where(('seq_len',))}: expected seq_len in the mix alone ({path}), got it in the training "
                "file too. Two windows cannot both hold. Remove it from the training file."
            )
        return load_mix(path)
    tokens = config.tokens
    if tokens is None:
        corpus = CorpusManifest.read(path)
        tokens = sum(corpus.n_tokens(source.name) for source in corpus.sources)
    place = positions.where(("mix",) if config.tokens is None else ("tokens",))
    return mix_of_corpus(path, seq_len=config.seq_len or 256, seed=config.seed, tokens=tokens, place=place)


def _is_mix(path: Path) -> bool:
    return is_corpus(path) or (path.suffix in MIX_FILES and path.is_file())


def _refuse_other(folder: Path, written: str, positions: Positions) -> None:
    """Returns if what is `written`, taken from `folder`, is a mix.yaml, or names a corpus that is there.

    Raises: ConfigError with the place of `mix`.
    """
    path, place, found, near = folder / written, positions.where(("mix",)), "", ""
    if not written:
        found = "got nothing"
    elif path.name == "mix.json":
        found = f"got the mix of a run, {path}"
    elif not path.exists() and "@" not in path.name:  # DIR@digest names a corpus too
        found = f"found nothing at {path}"
        near = did_you_mean_path(written, folder, fits=_is_mix)
    if found:
        raise ConfigError(
            f"{place}: expected a mix.yaml or a corpus folder for `mix`, {found}{near or '.'} The run "
            "would have nothing to read. Correct the path, which begins at the training file's folder; `quern init` "
            "writes a mix.yaml and `quern build` makes a corpus."
        )
    if path.suffix not in MIX_FILES:
        try:
            find_manifest(Path(written), folder)
        except (MissingFileError, UsageError) as error:
            raise ConfigError(f"{place}: {error}") from error


# --- going on -------------------------------------------------------------------------------------------


def _go_on(run: Run, config: TrainConfig, *, positions: Positions, team: Team, say: Say) -> None:
    """Train what is left of the run; the newest sound checkpoint decides from where."""
    checkpoint = run.newest(say=say)
    at = (
        Position(checkpoint.step, checkpoint.row) if checkpoint else Position(run.origin.step, run.origin.row)
    )
    if at.step >= run.n_steps:
        say(f"{run.path}: all {run.n_steps} steps are done")
        if team.leads and not (run.path / "report.html").exists():
            write_report(run)
        return
    refuse_absent(config.machine, positions)
    machine = _machine(run, config, team)
    table = token_bytes(run.path / "tokenizer.json", vocab=run.shape.vocab)
    windows = _held_out(run, config)
    if team.leads:
        _tidy(run, at)
        _count_references(run, table, windows, say)
    team.wait()
    if checkpoint:
        say(f"{run.path}: goes on after step {at.step} of {run.n_steps}")
    with ExitStack() as stack:
        recorder = _recorder(
            run, config, machine, team=team, windows=windows, table=table, say=say, stack=stack, at=at
        )
        job = _job(run, config, recorder)
        if checkpoint:
            state = checkpoint.state()
            load_weights(job.model, checkpoint.weights())
            job.optimiser.load({k: v for k, v in state.items() if not k.startswith("guard.")})
            job.guard.load(state)
        train_steps(job, at)


def _machine(run: Run, config: TrainConfig, team: Team) -> Machine:
    keep_freed_memory()
    rows = -(-run.rows_per_step // team.n_ranks)
    if run.rows_per_step < team.n_ranks:
        raise ConfigError(
            f"batch: expected at least one row of {run.mix.seq_len} tokens for each of {team.n_ranks} ranks, got "
            f"{run.rows_per_step} rows. Some ranks would have nothing to do. Start fewer ranks."
        )
    before = read_json(run.path / "machine.json")
    n_tokens = run.tokens_at(run.n_steps) - run.tokens_at(run.origin.step)
    machine = resolve(config.machine, run.shape, rows=rows, n_tokens=n_tokens, before=before)
    torch.set_num_threads(machine.threads)
    torch.set_flush_denormal(True)
    team.wait()  # all have read the old choices before the new ones appear
    if team.leads:
        write_json(run.path, "machine.json", machine.as_json())
    return machine


def _held_out(run: Run, config: TrainConfig) -> dict[str, Windows]:
    streams = run.heldout()
    share = config.evaluate.tokens // max(1, len(streams))
    return {
        name: held_out_windows(stream, seq_len=run.mix.seq_len, max_tokens=share)
        for name, stream in streams.items()
        if stream.n_tokens > 1
    }


def _tidy(run: Run, at: Position) -> None:
    # What a killed process left: unfinished files, and lines past the checkpoint.
    sweep(run.path)
    for name in ("metrics.jsonl", "samples.jsonl"):
        rewind(run.path / name, at.step)


def _count_references(run: Run, table: list[bytes], windows: Mapping[str, Windows], say: Say) -> None:
    if (run.path / "references.json").exists() or not windows:
        return
    counts = count_tokens(run.streams(), run.shape.vocab)
    scores = reference_scores(counts, table[: run.shape.vocab], windows)
    lines = {line: {name: score.bpb for name, score in by_name.items()} for line, by_name in scores.items()}
    write_json(run.path, "references.json", {"counted_frac": counts.counted_frac, "bpb": lines})
    for line, values in lines.items():
        listed = "  ".join(f"{name} {value:.3f}" for name, value in values.items())
        say(f"to beat: {line} {sum(values.values()) / len(values):.3f} bits per byte ({listed})")


def _recorder(
    run: Run,
    config: TrainConfig,
    machine: Machine,
    *,
    team: Team,
    windows: Mapping[str, Windows],
    table: list[bytes],
    say: Say,
    stack: ExitStack,
    at: Position,
) -> Recorder:
    model = Model(run.shape, seed=hash64("quern.init", config.seed) >> 1).to(machine.device)
    if machine.compile:
        model.compile_layers()
    optim = config.optim
    optimiser = new_optimiser(
        model,
        name=optim.name,
        lr=optim.peak_lr,
        weight_decay=optim.weight_decay,
        betas=optim.betas,
        adam_lr=optim.adam_lr,
    )
    wants_events = team.leads and "tensorboard" in config.log
    events = EventFile(run.path / "tensorboard", step=at.step) if wants_events else None
    if events:
        stack.callback(events.close)
    return Recorder(
        run=run,
        config=config,
        model=model,
        optimiser=optimiser,
        guard=SpikeGuard(),
        machine=machine,
        team=team,
        windows=windows,
        n_bytes=byte_lengths(table),
        metrics=stack.enter_context(Diary(run.path / "metrics.jsonl")),
        samples=stack.enter_context(Diary(run.path / "samples.jsonl")),
        events=events,
        say=say,
    )


def _job(run: Run, config: TrainConfig, recorder: Recorder) -> Job:
    schedule = schedule_of(
        config.schedule.name,
        n_steps=run.n_steps,
        warmup_frac=float(config.schedule.warmup),
        decay_frac=float(config.schedule.decay),
    )
    return Job(
        model=recorder.model,
        optimiser=recorder.optimiser,
        schedule=schedule,
        feed=Feed(run.mix.order(), run.streams()),
        machine=recorder.machine,
        rows_per_step=run.rows_per_step,
        n_steps=run.n_steps,
        peak_lr=config.optim.peak_lr,
        clip=config.optim.clip,
        hooks=recorder.hooks(),
        team=recorder.team,
        guard=recorder.guard,
    )


# --- processes ------------------------------------------------------------------------------------------


@contextmanager
def _locked(folder: Path, team: Team) -> Iterator[None]:
    """Hold the run's lock while the block runs: two processes writing one run would spoil it."""
    if not team.leads:
        yield
        return
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"{folder}: expected a run nobody is training, got one that is being trained. Two processes would "
                "write over each other. Wait for the other to end, or stop it."
            ) from error
        yield


def _wants_ranks(device: str) -> bool:
    return device == "cuda" and "WORLD_SIZE" not in os.environ and torch.cuda.device_count() > 1


def _launch_ranks(path: Path, *, overrides: Sequence[str], folder: Path, fork: str | None) -> None:
    # One process for each local GPU, through torchrun's own module; its exit code is ours.
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [
        f"--nproc-per-node={torch.cuda.device_count()}",
        "-m",
        "trainer",
        str(path),
        "--out",
        str(folder),
    ]
    command += [word for text in overrides for word in ("--set", text)] + (["--fork", fork] if fork else [])
    code = subprocess.run(command, check=False).returncode
    if code:
        raise QuernError(
            f"{path}: training on all local GPUs ended with exit code {code}. See the lines above."
        )


def _as_set(overrides: Overrides) -> list[str]:
    if isinstance(overrides, Mapping):
        return [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
    return list(overrides)


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _to_nobody(_: str) -> None:
    return None
