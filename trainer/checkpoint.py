"""Checkpoints: safetensors beside a sealed JSON that names their digests. No pickle.

    checkpoints/00000120/weights.safetensors     the model's parameters by name
                         state.safetensors       the optimiser's and the spike guard's tensors by name
                         checkpoint.json         step, row, config, mix, size and digest of the two files

The folder is a checkpoint from the moment checkpoint.json is there, and that file is written last and
removed first, so a process killed at any time leaves whole checkpoints and nothing that looks like one. On
loading every byte is checked against its digest before a tensor is made of it (safetensors itself checks
none). Tensors are named by parameter: nothing here knows how many ranks trained.

Price: one pass over the bytes to write, one to verify (10 GB/s), one to load; no copy of the model is made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from manifests.commit import FileRef, commit_bytes, commit_file
from manifests.digest import read_sealed, seal
from manifests.errors import DamageError, FormatError

__all__ = [
    "Checkpoint",
    "load_newest",
    "open_checkpoint",
    "save_checkpoint",
    "saved_steps",
    "write_safetensors",
]

FORMAT = "quern.checkpoint/1"
_FILES = ("state", "weights")
_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified checkpoint on disk: `step` steps done, `row` rows of the order used.

    facts: what else the sealed file says (config and mix digests, versions).
    """

    folder: Path
    step: int
    row: int
    facts: dict[str, Any]

    def weights(self) -> dict[str, Tensor]:
        """The model's parameters by name, on the CPU."""
        return load_file(self.folder / "weights.safetensors")

    def state(self) -> dict[str, Tensor]:
        """The optimiser's and the guard's tensors by name, on the CPU."""
        return load_file(self.folder / "state.safetensors")


def save_checkpoint(
    run: Path,
    *,
    step: int,
    row: int,
    weights: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    keep: int | None = None,
) -> Path:
    """Write the checkpoint of `step`, then remove all but the `keep` newest; returns its folder.

    facts are canonical JSON values (no floats).
    """
    name = _folder_name(step)
    _unmake(run / "checkpoints" / name)
    files = {
        "state": write_safetensors(run, f"checkpoints/{name}/state.safetensors", state),
        "weights": write_safetensors(run, f"checkpoints/{name}/weights.safetensors", weights),
    }
    record = {"format": FORMAT, "step": step, "row": row, "facts": dict(facts)}
    refs = {key: {"digest": ref.digest, "size": ref.size} for key, ref in files.items()}
    commit_bytes(run, f"checkpoints/{name}/checkpoint.json", seal({**record, "files": refs}))
    _prune(run, keep)
    return run / "checkpoints" / name


def open_checkpoint(run: Path, step: int) -> Checkpoint:
    """The checkpoint of `step`, after every byte of it was verified.

    Raises: MissingFileError, FormatError, DigestError.
    """
    folder = run / "checkpoints" / _folder_name(step)
    record = read_sealed(folder / "checkpoint.json")
    if record.get("format") != FORMAT or record.get("step") != step:
        raise FormatError(
            f"{folder}/checkpoint.json: expected {FORMAT} of step {step}, found {record.get('format')} of step "
            f"{record.get('step')}. Loading it would mix two states. Remove the folder to go on from an older one."
        )
    for key in _FILES:
        ref = record["files"][key]
        FileRef(f"{key}.safetensors", ref["size"], ref["digest"]).check(folder, deep=True)
    return Checkpoint(folder, step, record["row"], record["facts"])


def load_newest(run: Path, *, say: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that verifies, or None if the run has none; `say` hears of each damaged one.

    Raises: DamageError when there are checkpoints and all of them are damaged.
    """
    steps = saved_steps(run)
    for step in reversed(steps):
        try:
            return open_checkpoint(run, step)
        except DamageError as error:
            say(f"checkpoint of step {step} is damaged and left out: {error}")
    if steps:
        raise DamageError(
            f"{run}/checkpoints: expected a sound checkpoint among steps {steps}, found none. Starting over in "
            f"silence would lose the run. Restore one from a copy, or remove {run} to begin it anew."
        )
    return None


def saved_steps(run: Path) -> list[int]:
    """The steps whose checkpoint.json is there, ascending; none of them verified yet."""
    return sorted(int(f.name) for f in _folders(run) if (f / "checkpoint.json").is_file())


def write_safetensors(
    root: Path, path: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> FileRef:
    """Commit `tensors` as a safetensors file, one at a time, in the order of their names.

    Source: the format's specification, https://github.com/huggingface/safetensors#format.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, tensor in sorted(tensors.items()):
        start, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with commit_file(root, path) as commit:
        commit.file.write(len(text).to_bytes(8, "little") + text)
        for _, tensor in sorted(tensors.items()):
            if tensor.numel():
                commit.file.write(_bytes_of(tensor))
    return commit.ref


def _bytes_of(tensor: Tensor) -> memoryview:
    flat = tensor.detach().to("cpu").contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def _folder_name(step: int) -> str:
    return f"{step:08d}"


def _folders(run: Path) -> Iterator[Path]:
    root = run / "checkpoints"
    return (f for f in sorted(root.iterdir()) if f.name.isdecimal()) if root.is_dir() else iter(())


def _prune(run: Path, keep: int | None) -> None:
    # Left-overs of a killed save carry no checkpoint.json and go too.
    kept = set(saved_steps(run)[-keep:] if keep else saved_steps(run))
    for folder in _folders(run):
        if int(folder.name) not in kept:
            _unmake(folder)


def _unmake(folder: Path) -> None:
    for name in ("checkpoint.json", "state.safetensors", "weights.safetensors"):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
