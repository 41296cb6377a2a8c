"""Files of named arrays: what one phase of a gather leaves for the next.

    quern.arrays 1\n                                    magic
    {"about": ..., "arrays": [[name, dtype, shape]]}\n  canonical JSON
    zeros up to a multiple of 64 bytes
    array, zeros up to a multiple of 64; array, ...     little-endian, C order

Reading maps the file and returns views, so a phase that needs one band of a signature file touches only
those pages. A file is written front to back, as a commit asks. No pickle, no compression: signatures are
random bits, and what is compressible is small.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from manifests.digest import canonical
from manifests.errors import FormatError

__all__ = ["ArrayFile", "read_arrays", "write_arrays"]

_MAGIC = b"quern.arrays 1\n"
_ALIGN = 64
_DTYPES = ("<u4", "<u8", "<i4", "<i8", "|u1")

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class ArrayFile:
    """The arrays of a file by name, mapped and read-only; `about` is what its writer said of them."""

    about: Any
    arrays: Mapping[str, Array]

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]


def write_arrays(file: Any, arrays: Mapping[str, Array], *, about: Any = None) -> None:
    """Write arrays to an open binary file, in the order given; `about` is any canonical JSON."""
    listed = [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]
    assert all(dtype in _DTYPES for _, dtype, _ in listed), listed
    header = _MAGIC + canonical({"about": about, "arrays": listed}) + b"\n"
    file.write(_padded(header))
    for array in arrays.values():
        file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
        file.write(bytes(-array.nbytes % _ALIGN))


def read_arrays(path: Path) -> ArrayFile:
    """The arrays of a file, mapped, not loaded.

    Raises: FormatError for another format, or for a size other than the header says.
    """
    with path.open("rb") as file:
        magic, header = file.readline(), file.readline()
        at = _aligned(file.tell())
    listed = _listed(magic, header, path)
    raw = np.memmap(path, dtype=np.uint8, mode="r")
    arrays: dict[str, Array] = {}
    for name, dtype, shape in listed:
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if at + n_bytes > len(raw):
            raise _damaged(path, f"{len(raw)} bytes, fewer than its header says")
        arrays[name] = np.asarray(raw[at : at + n_bytes]).view(dtype).reshape(shape)
        at = _aligned(at + n_bytes)
    return ArrayFile(json.loads(header)["about"], arrays)


def _aligned(at: int) -> int:
    return at + -at % _ALIGN


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGN)


def _listed(magic: bytes, header: bytes, path: Path) -> list[tuple[str, str, list[int]]]:
    if magic != _MAGIC:
        raise _damaged(path, f"the first line {magic[:40]!r}")
    try:
        arrays = json.loads(header)["arrays"]
        listed = [(str(name), str(dtype), [int(n) for n in shape]) for name, dtype, shape in arrays]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"an unreadable header ({error})") from error
    if any(dtype not in _DTYPES for _, dtype, _ in listed):
        raise _damaged(path, f"an unknown type among {listed}")
    return listed


def _damaged(path: Path, found: str) -> FormatError:
    return FormatError(
        f"{path}: expected a quern.arrays file of version 1, found {found}. Duplicates would be missed. "
        "Delete it and build again: the phase that wrote it is run anew."
    )
