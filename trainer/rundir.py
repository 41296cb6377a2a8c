"""A run on disk, opened for reading: what resume, sampling, export, reports and traces start from.

runs/<name>/  config.json       sealed: what is trained, how long, from where; never how (`machine:`)
              mix.json          sealed: the mix;   locations.json  where its corpora lie, relative to here
              tokenizer.json    a copy, so that a run can be moved and still read and write text
              machine.json      what `auto` chose;  references.json  lines to beat, counted once
              metrics.jsonl  samples.jsonl  checkpoints/  report.html
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from manifests.commit import FileRef, commit_bytes
from manifests.digest import digest_value, plain, read_sealed, seal
from manifests.errors import DigestError, FormatError, MissingFileError, UsageError
from manifests.mix import MixManifest, open_stream, require_run
from manifests.shards import TokenStream
from trainer.checkpoint import Checkpoint, load_newest, open_checkpoint
from trainer.metrics import read_lines
from trainer.model import Model
from trainer.shape import Shape

__all__ = [
    "Origin",
    "Run",
    "begin_run",
    "load_weights",
    "open_run",
    "read_json",
    "write_json",
    "write_locations",
]

FORMAT = "quern.run/1"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a run began: step 0, row 0 of its order, or a checkpoint of the run it was forked from."""

    step: int = 0
    row: int = 0
    run: str | None = None
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """An opened run. config: the sealed file's `config`, as TrainConfig.as_json spells it."""

    path: Path
    config: dict[str, Any]
    mix: MixManifest
    shape: Shape
    origin: Origin
    n_steps: int
    rows_per_step: int

    @property
    def name(self) -> str:
        """The run's name."""
        return str(self.config["name"])

    @property
    def config_digest(self) -> str:
        """What a checkpoint of this run must name."""
        return digest_value(self.config)

    @property
    def tokens_per_step(self) -> int:
        """Tokens trained on in one step."""
        return self.rows_per_step * self.mix.seq_len

    def tokens_at(self, step: int) -> int:
        """Tokens trained on by the end of step `step`, those of the run it was forked from among them."""
        return (self.origin.row + (step - self.origin.step) * self.rows_per_step) * self.mix.seq_len

    def rows_of_step(self, step: int) -> tuple[int, int]:
        """The rows [start, stop) of the order that step `step` (the first is `origin.step` + 1) trained on.

        Raises: UsageError outside the run.
        """
        if not self.origin.step < step <= self.n_steps:
            raise UsageError(
                f"{self.path}: expected a step from {self.origin.step + 1} to {self.n_steps}, got {step}. "
                "No rows belong to it. Name a step of this run."
            )
        start = self.origin.row + (step - 1 - self.origin.step) * self.rows_per_step
        return start, start + self.rows_per_step

    def metrics(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl: of `step`, of `evaluate`, or all."""
        return read_lines(self.path / "metrics.jsonl", kind)

    def samples(self) -> list[dict[str, Any]]:
        """The lines of samples.jsonl."""
        return read_lines(self.path / "samples.jsonl")

    def tokenizer(self) -> Tokenizer:
        """The tokenizer, its bytes verified.

        Raises: MissingFileError, DigestError.
        """
        ref = self.mix.tokenizer_file
        FileRef("tokenizer.json", ref.size, ref.digest).check(self.path, deep=True)
        return Tokenizer.from_file(str(self.path / "tokenizer.json"))

    def checkpoint(self, step: int | None = None) -> Checkpoint:
        """The verified checkpoint of `step`, or the newest sound one.

        Raises: DamageError; MissingFileError when there is none yet.
        """
        found = self._own(open_checkpoint(self.path, step)) if step is not None else self.newest(say=_silent)
        if found is None:
            raise MissingFileError(
                f"{self.path}: expected a checkpoint, found none yet. `quern train` writes the first; wait for it."
            )
        return found

    def newest(self, *, say: Callable[[str], None]) -> Checkpoint | None:
        """The newest sound checkpoint, where the run goes on; None for one that has yet to write its first.

        Raises: DamageError where all are damaged, or where a fork has lost the one it began from.
        """
        found = load_newest(self.path, say=say)
        if found is None and self.origin.checkpoint is not None:
            raise MissingFileError(
                f"{self.path}/checkpoints: expected the checkpoint of step {self.origin.step} it was forked with, "
                f"found none. Without the weights of {self.origin.run} it would begin from noise. Remove the folder "
                "and fork again."
            )
        return found and self._own(found)

    def _own(self, found: Checkpoint) -> Checkpoint:
        theirs = found.facts.get("config")
        if theirs != self.config_digest:
            raise DigestError.of(f"{found.folder}: the config of its run", self.config_digest, str(theirs))
        return found

    def model(self, step: int | None = None, *, device: str = "cpu") -> Model:
        """The model with the weights of a checkpoint, ready to read and write."""
        model = Model(self.shape)
        load_weights(model, self.checkpoint(step).weights())
        return model.to(device).eval()

    def locations(self) -> dict[str, Path]:
        """Where the mix's corpora lie: corpus digest -> folder."""
        table = read_json(self.path / "locations.json")
        return {digest: Path(os.path.normpath(self.path / place)) for digest, place in table.items()}

    def streams(self) -> list[TokenStream]:
        """The training stream of each source, in the mix's order."""
        return [open_stream(s.train, self.locations()) for s in self.mix.sources]

    def heldout(self) -> dict[str, TokenStream]:
        """The held-out stream of each source that has one."""
        return {s.name: open_stream(s.heldout, self.locations()) for s in self.mix.sources if s.heldout}


def _silent(_: str) -> None:
    return None


@torch.no_grad()
def load_weights(model: Model, tensors: Mapping[str, torch.Tensor]) -> None:
    """Copy tensors into the parameters of the same names; both must have exactly the same names."""
    parameters = dict(model.named_parameters())
    if parameters.keys() != tensors.keys():
        differing = sorted(parameters.keys() ^ tensors.keys())
        raise FormatError(
            f"weights: expected the parameters of this model, found others ({', '.join(differing[:4])}). They are "
            "another shape's. Open the run that wrote them."
        )
    for name, parameter in parameters.items():
        parameter.copy_(tensors[name])


def begin_run(
    path: Path,
    *,
    config: dict[str, Any],
    mix: MixManifest,
    locations: Mapping[str, Path],
    shape: Shape,
    n_steps: int,
    rows_per_step: int,
    origin: Origin,
    prepare: Callable[[Run], None] | None = None,
) -> None:
    """Write a new run's folder; config.json comes last and makes it one.

    prepare: writes what the run must have before it is one.
    """
    path.mkdir(parents=True, exist_ok=True)
    mix.write(path)
    write_locations(path, locations)
    commit_bytes(path, "tokenizer.json", mix.tokenizer_path(locations).read_bytes())
    if prepare is not None:
        prepare(Run(path, config, mix, shape, origin, n_steps, rows_per_step))
    value = {
        "format": FORMAT,
        "config": config,
        "mix": mix.digest,
        "shape": plain(asdict(shape)),
        "origin": asdict(origin),
        "n_steps": n_steps,
        "rows_per_step": rows_per_step,
    }
    commit_bytes(path, "config.json", seal(value))


def write_locations(path: Path, locations: Mapping[str, Path]) -> None:
    """Note where the corpora lie today, relative to the run's folder."""
    write_json(path, "locations.json", {d: os.path.relpath(place, path) for d, place in locations.items()})


def open_run(path: Path | str) -> Run:
    """The run in folder `path`.

    Raises: MissingFileError, FormatError, DigestError.
    """
    path = Path(path)
    require_run(path)
    value = read_sealed(path / "config.json")
    if value.get("format") != FORMAT:
        raise FormatError(
            f"{path}/config.json: expected {FORMAT}, found {value.get('format')}. It cannot be read as a run. "
            "Name a folder that `quern train` wrote, or upgrade Quern."
        )
    mix = MixManifest.read(path / "mix.json")
    if mix.digest != value["mix"]:
        raise DigestError.of(path / "mix.json", value["mix"], mix.digest)
    shape = Shape(**{**value["shape"], "norm_eps": float(value["shape"]["norm_eps"])})
    origin = Origin(**value["origin"])
    return Run(path, value["config"], mix, shape, origin, value["n_steps"], value["rows_per_step"])


def write_json(path: Path, name: str, value: Any) -> None:
    """Commit a plain JSON file of the run: notes that no digest covers."""
    commit_bytes(path, name, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n")


def read_json(path: Path) -> dict[str, Any]:
    """The object of a plain JSON file, empty where there is none."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
