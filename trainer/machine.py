"""How this machine runs the model: device, number type, compilation, threads, rows in a pass.

    machine: auto --resolve--> Machine(device="cpu", dtype="fp32", compile=False, micro_batch=16, threads=2)

A choice made by a timing could fall differently tomorrow, so a run writes down what was chosen and goes on
with it while the device is the same. Nothing here changes which batches are trained, only their floats.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch

from manifests.errors import ConfigError
from manifests.yamlfile import Positions
from trainer.config import MachineConfig
from trainer.shape import Shape

__all__ = ["Machine", "keep_freed_memory", "refuse_absent", "resolve", "usable_threads"]

LONG_RUN_FLOPS = 1e16
"""From here on (a day of a small CPU) the half minute that compiling takes is paid back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The choices in force. micro_batch: rows in one pass on one device."""

    device: str
    dtype: str
    compile: bool
    micro_batch: int
    threads: int

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of a forward pass."""
        if self.dtype == "bf16":
            return torch.autocast(self.device, dtype=torch.bfloat16)
        return nullcontext()

    def as_json(self) -> dict[str, Any]:
        """For machine.json."""
        return asdict(self)


def resolve(
    asked: MachineConfig, shape: Shape, *, rows: int, n_tokens: int, before: dict[str, Any] | None = None
) -> Machine:
    """The choices for `shape`, where `asked` leaves them open; `before` is what the run chose last time.

    rows: of one step on one rank; n_tokens: that this run trains on, without those before a fork.
    """
    device = asked.device if asked.device != "auto" else _devices_here()[0]
    known = before if before and before.get("device") == device else {}
    dtype = known.get("dtype") or _best_dtype(device, shape) if asked.dtype == "auto" else asked.dtype
    flops = float(shape.flops_per_token) * n_tokens
    compiled = (
        known.get("compile", _compile_pays(device, flops)) if asked.compile == "auto" else asked.compile
    )
    fits = known.get("micro_batch") or _rows_that_fit(device, shape)
    return Machine(
        device=device,
        dtype=str(dtype),
        compile=bool(compiled),
        micro_batch=min(asked.micro_batch or fits, rows),
        threads=asked.workers or usable_threads(),
    )


def refuse_absent(asked: MachineConfig, positions: Positions) -> None:
    """Returns if the device that is asked for is here, and takes the number type.

    positions: where the keys of the training file stand.

    Raises: ConfigError with the place of `machine.device` or `machine.dtype`.
    """
    here = _devices_here()
    device = here[0] if asked.device == "auto" else asked.device
    if device not in here:
        raise ConfigError(
            f"{positions.where(('machine', 'device'))}: expected a device that PyTorch {torch.__version__} finds here "
            f'({", ".join(here)}) for `machine.device`, got "{device}". The run could not take a step. Write `device: '
            "auto`, or install the PyTorch of that device."
        )
    if asked.dtype == "bf16" and device == "cuda" and not torch.cuda.is_bf16_supported():
        raise ConfigError(
            f"{positions.where(('machine', 'dtype'))}: expected a number type that this device takes (fp32) for "
            '`machine.dtype`, got "bf16". The run could not take a step. Write `dtype: auto`.'
        )


def usable_threads() -> int:
    """OMP_NUM_THREADS, else the processors this process may use; never all the machine's.

    Measured: a step with one thread more than free cores runs eight times slower.
    """
    named = os.environ.get("OMP_NUM_THREADS", "")
    if named.isdecimal() and int(named) > 0:
        return int(named)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return max(1, torch.get_num_threads())


def keep_freed_memory() -> bool:
    """Have glibc keep freed blocks instead of giving them back; True where it did.

    Every tensor above 128 KiB is otherwise mapped anew and faulted in page by page: on a CPU half of a small
    model's step. Price: the process keeps its peak.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return False
    trim_threshold, mmap_threshold = -1, -3  # malloc.h
    return bool(libc.mallopt(mmap_threshold, 1 << 30)) and bool(libc.mallopt(trim_threshold, (1 << 31) - 1))


def _devices_here() -> list[str]:
    """The kinds of device that can be used, the best first."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [device for device, is_there in there.items() if is_there]


def _best_dtype(device: str, shape: Shape) -> str:
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    if device == "mps":
        return "fp32"
    in_bf16, in_fp32 = _product_times(shape, (torch.bfloat16, torch.float32))
    return "bf16" if in_bf16 * 1.3 < in_fp32 else "fp32"


def _product_times(shape: Shape, dtypes: Sequence[torch.dtype]) -> list[float]:
    """Seconds of a product of one MLP matrix in each: bf16 wins on a CPU only with matrix units (AMX, SVE).

    The best of 12, in turns: of 3 in a row, a neighbour on the machine made bf16 win once in ten times.
    """
    x = torch.zeros(1024, shape.width)
    w = torch.zeros(shape.width, shape.hidden)
    pairs = [(x.to(dtype), w.to(dtype)) for dtype in dtypes]
    turns = [[_seconds_of(*pair) for pair in pairs] for _ in range(12)]
    return [min(times) for times in zip(*turns, strict=True)]


def _seconds_of(x: torch.Tensor, w: torch.Tensor) -> float:
    start = time.perf_counter()
    x @ w
    return time.perf_counter() - start


def _compile_pays(device: str, flops: float) -> bool:
    if device == "cuda":
        return True
    return device == "cpu" and flops > LONG_RUN_FLOPS and shutil.which("g++") is not None


def _rows_that_fit(device: str, shape: Shape) -> int:
    """A power of two of rows: 8,192 tokens on a CPU; on a GPU what 60% of its free memory holds.

    Activations of a layer: about 18 D + 4 F + 4 K C numbers a token, kept in two to four bytes.
    Source: Korthikanti et al. 2022, with flash attention and SwiGLU.
    """
    if device != "cuda":
        return max(1, 8192 // shape.seq_len)
    total = torch.cuda.get_device_properties(0).total_memory
    a_token = shape.layers * 3 * (18 * shape.width + 4 * shape.hidden) + 16 * shape.width
    room = 0.6 * total - 18 * shape.n_params - 3e9
    rows = int(room // (a_token * shape.seq_len))
    return 1 << max(0, rows.bit_length() - 1) if rows > 0 else 1
