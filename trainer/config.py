"""train.yaml as a frozen value: every key, its default, and the rule of what may change on resume.

    train.yaml --load_train--> TrainConfig      name, mix, model, optim, schedule, batch, tokens, seed,
                                                evaluate, sample, save, log, machine

What stands under `machine` says how, never what, and may differ each time a run goes on. Any other
difference from the run's own config.json is refused with the keys that differ; `--fork` makes a new run.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from manifests.digest import plain
from manifests.errors import ConfigError
from manifests.mix import MAX_SEQ_LEN, MIN_SEQ_LEN
from manifests.quantities import share_text
from manifests.yamlfile import Count, Positions, Share, apply_overrides, did_you_mean, load_yaml, validate
from trainer.shape import PRESETS, Dims, Shape, dims_of_depth

__all__ = [
    "NAME",
    "EvaluateConfig",
    "MachineConfig",
    "ModelConfig",
    "OptimConfig",
    "SampleConfig",
    "SaveConfig",
    "ScheduleConfig",
    "TrainConfig",
    "differing_keys",
    "load_placed",
    "load_train",
    "refuse_difference",
]

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
"""What a run may be called."""

Positive = Annotated[Count, Field(gt=0)]


class _Frozen(BaseModel):
    # A rate of .inf or .nan trains nothing, and would be sealed into a run's folder before anyone sees it.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelConfig(_Frozen):
    """A preset, or one dial, or the sizes themselves; any size given beside a preset replaces its own."""

    preset: str | None = None
    """llama-1m ... llama-8b."""
    depth: Annotated[Count, Field(gt=0, le=256)] | None = None
    """One dial: layers; width is 64 a layer."""
    layers: Positive | None = None
    width: Positive | None = None
    heads: Positive | None = None
    kv_heads: Positive | None = None
    """Fewer than heads: grouped-query attention."""
    head_dim: Positive | None = None
    """Width / heads if not given."""
    hidden: Positive | None = None
    """Of the MLP; 8/3 of the width, rounded up to 64, if not given."""
    tied: bool | None = None
    """One matrix for embedding and head."""
    qk_norm: bool = True
    """Norm queries and keys: exports as Qwen3; without it as Llama."""
    rope_theta: Positive = 10_000

    @field_validator("preset")
    @classmethod
    def _known(cls, preset: str | None) -> str | None:
        if preset is not None and preset not in PRESETS:
            hint = did_you_mean(preset, list(PRESETS))
            raise ValueError(f'expected a preset ({", ".join(PRESETS)}), got "{preset}"{hint}')
        return preset

    @model_validator(mode="after")
    def _one_way(self) -> ModelConfig:
        if self.preset is not None and self.depth is not None:
            raise ValueError("expected a preset or a depth, got both")
        if self.preset is None and self.depth is None and None in (self.layers, self.width, self.heads):
            raise ValueError("expected a preset, a depth, or all of layers, width and heads")
        dims = self._dims()
        if dims.heads % dims.kv_heads or (
            self._head_dim(dims) * dims.heads != dims.width and self.head_dim is None
        ):
            raise ValueError("expected heads that divide width, and kv_heads that divide heads")
        if self._head_dim(dims) % 2:
            raise ValueError("expected an even head_dim: rotary embedding turns channels in pairs")
        return self

    def shape(self, *, vocab: int, seq_len: int) -> Shape:
        """The model's whole structure for a tokenizer and a window."""
        dims = self._dims()
        return Shape(
            vocab=vocab,
            seq_len=seq_len,
            layers=dims.layers,
            width=dims.width,
            heads=dims.heads,
            kv_heads=dims.kv_heads,
            head_dim=self._head_dim(dims),
            hidden=dims.hidden,
            tied=dims.tied,
            qk_norm=self.qk_norm,
            rope_theta=self.rope_theta,
        )

    def _dims(self) -> Dims:
        base = PRESETS[self.preset] if self.preset else dims_of_depth(self.depth) if self.depth else None
        width = self.width or (base.width if base else 0)
        heads = self.heads or (base.heads if base else 0)
        return Dims(
            layers=self.layers or (base.layers if base else 0),
            width=width,
            heads=heads,
            kv_heads=self.kv_heads or (base.kv_heads if base and not self.heads else heads),
            hidden=self.hidden or (base.hidden if base and not self.width else -(-8 * width // 3 // 64) * 64),
            tied=self.tied if self.tied is not None else (base.tied if base else True),
        )

    def _head_dim(self, dims: Dims) -> int:
        return self.head_dim or dims.width // dims.heads


class OptimConfig(_Frozen):
    """The optimiser and its peak rates."""

    name: Literal["adamw", "muon"] = "muon"
    lr: Annotated[float, Field(gt=0)] | None = None
    """Peak rate; 0.02 for muon (AdamW's parts take fractions of it), 0.0006 for adamw."""
    adam_lr: Annotated[float, Field(gt=0)] | None = None
    """With muon: one rate for embedding, head and norms instead of the fractions."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    """Decoupled; matrices only, never norms (with muon: the hidden matrices)."""
    clip: Annotated[float, Field(gt=0)] | None = 1.0
    """Largest norm of the gradient; null turns clipping off."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.95)
    """AdamW's."""

    @property
    def peak_lr(self) -> float:
        """The rate in force."""
        return self.lr if self.lr is not None else {"muon": 0.02, "adamw": 6e-4}[self.name]


class ScheduleConfig(_Frozen):
    """How the rate moves over the run."""

    name: Literal["wsd", "cosine"] = "wsd"
    warmup: Share = Fraction(2, 100)
    """Share of all steps."""
    decay: Share = Fraction(20, 100)
    """wsd: share of all steps that go down to zero; with `warmup` at most all of them."""

    @model_validator(mode="after")
    def _not_crossed(self) -> ScheduleConfig:
        both = self.warmup + self.decay
        if self.name == "wsd" and both > 1:
            shares = f"{share_text(self.warmup)} and {share_text(self.decay)}"
            raise ValueError(
                f"expected warmup and decay that are at most 1 together for `schedule`, got {shares}. The rate would "
                f"go down before it is up. Write `decay: {share_text(1 - self.warmup)}`, or less of either"
            )
        return self


class EvaluateConfig(_Frozen):
    """Bits per byte of the held-out split, source by source."""

    every: Positive | None = None
    """In trained tokens; a tenth of the run if not given. The end is always evaluated."""
    tokens: Positive = 262_144
    """Held-out tokens read at each evaluation, shared equally by the sources."""


class SampleConfig(_Frozen):
    """Texts the model writes while it trains."""

    every: Positive | None = None
    """In trained tokens; a quarter of the run if not given. The end is always sampled."""
    prompts: tuple[str, ...] = ()
    tokens: Positive = 64
    temperature: Annotated[float, Field(ge=0)] = 0.8
    top_k: Positive | None = 50
    top_p: Annotated[float, Field(gt=0, le=1)] | None = 0.95


class SaveConfig(_Frozen):
    """Checkpoints."""

    every: Positive | None = None
    """In trained tokens; a tenth of the run if not given. The end, and a stop, are always saved."""
    keep: Positive = 3
    """How many newest checkpoints stay."""


def _auto_or_int(value: Any) -> Any:
    return None if value == "auto" else value


class MachineConfig(_Frozen):
    """How, never what: may differ each time the run goes on."""

    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    dtype: Literal["auto", "fp32", "bf16"] = "auto"
    """bf16 where a timing says it pays."""
    compile: Annotated[bool | Literal["auto"], Field()] = "auto"
    micro_batch: Annotated[Positive | None, BeforeValidator(_auto_or_int)] = None
    """Rows in one pass on one device; auto: what fits."""
    workers: Annotated[Positive | None, BeforeValidator(_auto_or_int)] = None
    """Threads of the CPU; auto: OMP_NUM_THREADS, else what the affinity mask allows."""


class TrainConfig(_Frozen):
    """One training run, whole."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    mix: str
    """A mix.yaml or the folder of a corpus, relative to this file."""
    model: ModelConfig
    optim: OptimConfig = OptimConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    seq_len: Annotated[Count, Field(ge=MIN_SEQ_LEN, le=MAX_SEQ_LEN)] | None = None
    """Tokens of a row, only where `mix:` names a corpus (256 if not given); a mix.yaml has its own."""
    batch: Positive = 8192
    """Tokens in one step, whatever the machine; a multiple of the mix's seq_len."""
    tokens: Positive | None = None
    """Of the whole run, rounded down to steps; all the mix's phases if not given."""
    seed: Annotated[int, Field(ge=0)] = 1
    evaluate: EvaluateConfig = EvaluateConfig()
    sample: SampleConfig = SampleConfig()
    save: SaveConfig = SaveConfig()
    log: tuple[Literal["jsonl", "tensorboard"], ...] = ("jsonl",)
    machine: MachineConfig = MachineConfig()

    def as_json(self) -> dict[str, Any]:
        """What config.json holds: canonical, `machine` and `log` left out, floats as decimal strings."""
        value = self.model_dump(mode="json", exclude={"machine", "log"})
        return dict(plain(value))


def load_train(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """The configuration a train.yaml holds, after `--set` overrides (`optim.lr=0.01`).

    Raises: YamlError with one line for every mistake.
    """
    return load_placed(path, overrides)[0]


def load_placed(path: Path, overrides: Sequence[str] = ()) -> tuple[TrainConfig, Positions]:
    """The configuration, as `load_train`, and where each of its keys stands."""
    value, positions = load_yaml(path)
    return validate(TrainConfig, apply_overrides(value, positions, overrides), positions), positions


def differing_keys(ours: Any, theirs: Any, prefix: str = "") -> list[str]:
    """The dotted keys at which two plain values differ, sorted.

    >>> differing_keys({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 3}})
    ['b.c']
    """
    if not (isinstance(ours, dict) and isinstance(theirs, dict)):
        return [] if ours == theirs else [prefix]
    found: list[str] = []
    for key in sorted(ours.keys() | theirs.keys()):
        name = f"{prefix}.{key}" if prefix else key
        found += differing_keys(ours.get(key), theirs.get(key), name)
    return found


def refuse_difference(
    asked: dict[str, Any], recorded: dict[str, Any], *, run: Path, positions: Positions
) -> None:
    """Returns if a run begun with `recorded` may go on with `asked`; positions: where the keys of `asked` stand.

    Raises: ConfigError naming each key with both values, at the first one's place.
    """
    keys = differing_keys(asked, recorded)
    if keys:
        listed = "; ".join(f"{key}: {_at(recorded, key)!r} then, {_at(asked, key)!r} now" for key in keys)
        place = positions.where(tuple(keys[0].split(".")))
        raise ConfigError(
            f"{place}: expected the configuration that {run} began with, got a difference in {listed}. Going on would "
            "train one model by two plans. Restore the old values, or start a run of its own from the newest "
            "checkpoint with `--fork NAME`; only what stands under `machine:` and `log:` may change."
        )


def _at(value: Any, key: str) -> Any:
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
