"""Files of named arrays: what one phase of a gather leaves for the next.

    quern.arrays 2\n                                                     magic
    {"about": ..., "arrays": [[name, dtype, shape]], "checks": [hex]}\n  canonical JSON
    16 hex digits\n                                                      xxh3-64 of the two lines above
    zeros up to a multiple of 64 bytes
    checks: uint64[n_blocks], zeros up to a multiple of 64               xxh3-64 of each block of 4096 bytes
    array, zeros up to a multiple of 64; array, ...                      little-endian, C order; a block begins each

Reading maps the file and verifies the blocks it touches, and no others: a phase that needs one band of a signature
file reads only those pages, and a flipped byte in them is an error. The checks are verified in the same way, against
those of the header. A file is written front to back, as a commit asks. No pickle, no compression: signatures are
random bits, and what is compressible is small.

    file["row"]             the whole array
    file.column("row")      a column: column[3:9], column[places], column[7], read when asked for

Price: 8 bytes for 4096; verifying runs at 2 to 3 GB/s, once a block while the file is open.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt
import xxhash

from manifests.digest import canonical
from manifests.errors import FormatError

__all__ = ["ArrayFile", "Column", "read_arrays", "write_arrays"]

_MAGIC = b"quern.arrays 2\n"
_ALIGN = 64
_BLOCK = 4096
_CHECKS = _BLOCK // 8  # of a block of checks
_DTYPES = ("<u4", "<u8", "<i4", "<i8", "|u1")

Array = npt.NDArray[Any]
I64s = npt.NDArray[np.int64]


class _Place(NamedTuple):
    """Where an array stands: its bytes begin at `at`, with block `block`, and end with their padding at `end`."""

    dtype: str
    shape: tuple[int, ...]
    at: int
    end: int
    block: int


@dataclass(slots=True)
class ArrayFile:
    """The arrays of a file by name, read-only; `about` is what its writer said of them."""

    path: Path
    about: Any
    _places: Mapping[str, _Place]
    _seals: Sequence[str]
    _checks_at: int
    _n_blocks: int
    _raw: Array | None = None
    _sound: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    _lots: set[int] = field(default_factory=set)

    def __getitem__(self, name: str) -> Array:
        """A whole array.

        Raises: FormatError where it is not what was written.
        """
        return self.column(name)[:]

    def column(self, name: str) -> Column:
        """An array of which only what is asked for is read and verified."""
        place = self._places[name]
        return Column(self, place, place.shape, place.at)

    def release(self) -> None:
        """Give back the mapping, until something is read again: pages of many files would add up."""
        self._raw = None

    def raw(self) -> Array:
        """The bytes of the file, mapped."""
        if self._raw is None:
            with self.path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._raw = np.frombuffer(mapped, dtype=np.uint8)
        return self._raw

    def verify(self, place: _Place, blocks: I64s) -> None:
        """Compare the blocks of an array, counted from its first, with their checks.

        Raises: FormatError for the first that differs.
        """
        if not len(self._sound):
            self._sound = np.zeros(self._n_blocks, dtype=np.bool_)
        blocks = blocks[~self._sound[blocks + place.block]]
        if not len(blocks):
            return
        numbers = np.unique(blocks) + place.block
        starts = ((numbers - place.block) * _BLOCK + place.at).tolist()
        raw, end = memoryview(self.raw()), place.end  # type: ignore[arg-type]
        digest = xxhash.xxh3_64_intdigest
        ours = zip(starts, numbers.tolist(), strict=True)
        found = [digest(raw[at : min(at + _BLOCK, end)], number) for at, number in ours]
        wrong = np.flatnonzero(np.array(found, dtype=np.uint64) != self._wanted(numbers))
        if len(wrong):
            at = starts[int(wrong[0])]
            raise _damaged(self.path, f"bytes {at} to {min(at + _BLOCK, end)} changed")
        self._sound[numbers] = True

    def _wanted(self, numbers: I64s) -> Array:
        """The checks of blocks, verified themselves."""
        data = self.raw()[self._checks_at : self._checks_at + _aligned(8 * self._n_blocks)]
        for lot in np.unique(numbers // _CHECKS).tolist():
            mine = data[lot * _BLOCK : (lot + 1) * _BLOCK]
            if lot not in self._lots and xxhash.xxh3_64_hexdigest(mine.tobytes(), lot) != self._seals[lot]:
                raise _damaged(self.path, f"changed checks of blocks from {lot * _CHECKS}")
            self._lots.add(lot)
        return data.view("<u8")[numbers]


@dataclass(frozen=True, slots=True)
class Column:
    """An array in a file, or one row of it; indexed by a number, a slice, or int64 places of its first axis."""

    file: ArrayFile
    place: _Place
    shape: tuple[int, ...]
    at: int

    def __len__(self) -> int:
        return self.shape[0]

    def row(self, number: int) -> Column:
        """One of the arrays that this one of two axes is made of."""
        assert len(self.shape) > 1
        assert 0 <= number < self.shape[0], number
        return Column(self.file, self.place, self.shape[1:], self.at + number * self._step)

    @overload
    def __getitem__(self, key: slice | I64s) -> Array: ...
    @overload
    def __getitem__(self, key: int) -> Any: ...
    def __getitem__(self, key: Any) -> Any:
        """What stands there.

        Raises: FormatError where it is not what was written; IndexError beyond the end.
        """
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            assert step == 1, key
            self._verify(start, max(start, stop))
        elif isinstance(key, np.ndarray):
            if len(key):
                self._verify_at(key)
        else:
            self._verify(key, key + 1)
        return self._view()[key]

    def spans(self, starts: I64s, sizes: I64s) -> list[Array]:
        """`column[start : start + size]` of each."""
        step = self._step
        first, last = starts * step, (starts + sizes) * step - 1
        self._verify_bytes(first[sizes > 0], last[sizes > 0])
        view = self._view()
        return [view[a : a + n] for a, n in zip(starts.tolist(), sizes.tolist(), strict=True)]

    @property
    def _step(self) -> int:
        return math.prod(self.shape[1:]) * int(self.place.dtype[2:])

    def _view(self) -> Array:
        n_bytes = self.shape[0] * self._step
        return self.file.raw()[self.at : self.at + n_bytes].view(self.place.dtype).reshape(self.shape)

    def _verify(self, start: int, stop: int) -> None:
        if start >= stop or not self._step:
            return
        inside = self.at - self.place.at
        low, high = (inside + start * self._step) // _BLOCK, (inside + stop * self._step - 1) // _BLOCK
        self.file.verify(self.place, np.arange(low, high + 1))

    def _verify_at(self, places: I64s) -> None:
        low, high = int(places.min()), int(places.max())
        if low < 0 or high >= len(self):
            raise IndexError(f"places {low} to {high} of an array of {len(self)}")
        if self._step:
            first = places.astype(np.int64) * self._step
            self._verify_bytes(first, first + (self._step - 1))

    def _verify_bytes(self, first: I64s, last: I64s) -> None:
        """Verify the blocks of bytes `first[i]` to `last[i]`, both counted from this column's first."""
        if not len(first):
            return
        inside = self.at - self.place.at
        low, high = (first + inside) // _BLOCK, (last + inside) // _BLOCK
        self.file.verify(self.place, low)
        for more in range(1, int((high - low).max()) + 1):
            self.file.verify(self.place, np.minimum(low + more, high))


def write_arrays(file: Any, arrays: Mapping[str, Array], *, about: Any = None) -> None:
    """Write arrays to an open binary file, in the order given; `about` is any canonical JSON."""
    listed = [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]
    assert all(dtype in _DTYPES for _, dtype, _ in listed), listed
    found: list[int] = []
    for array in arrays.values():
        found += [xxhash.xxh3_64_intdigest(b, len(found) + i) for i, b in enumerate(_blocks(array))]
    checks = _padded(np.array(found, dtype="<u8").tobytes())
    seals = [
        xxhash.xxh3_64_hexdigest(checks[at : at + _BLOCK], at // _BLOCK)
        for at in range(0, len(checks), _BLOCK)
    ]
    header = _MAGIC + canonical({"about": about, "arrays": listed, "checks": seals}) + b"\n"
    file.write(_padded(header + xxhash.xxh3_64_hexdigest(header).encode() + b"\n"))
    file.write(checks)
    for array in arrays.values():
        file.write(_bytes_of(array))
        file.write(bytes(-array.nbytes % _ALIGN))


def _bytes_of(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _blocks(array: Array) -> Iterator[Any]:
    """The bytes of an array and its padding, in blocks."""
    data = memoryview(_bytes_of(array))  # type: ignore[arg-type]
    whole = len(data) - len(data) % _BLOCK
    yield from (data[at : at + _BLOCK] for at in range(0, whole, _BLOCK))
    if whole < len(data):
        yield _padded(bytes(data[whole:]))


def read_arrays(path: Path) -> ArrayFile:
    """The arrays of a file, of which nothing but the header is read yet.

    Raises: FormatError for another format, a changed header, or a size other than it says.
    """
    with path.open("rb") as file:
        magic, header, seal = file.readline(), file.readline(), file.readline(32)
        at = file.tell()
        padding = file.read(_aligned(at) - at)
    if magic != _MAGIC:
        raise _damaged(path, f"the first line {magic[:40]!r}")
    if seal != xxhash.xxh3_64_hexdigest(magic + header).encode() + b"\n" or any(padding):
        raise _damaged(path, "a changed header")
    said = json.loads(header)
    sizes = [
        int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize for _, dtype, shape in said["arrays"]
    ]
    n_blocks = sum(-(-n_bytes // _BLOCK) for n_bytes in sizes)
    checks_at = _aligned(at)
    at, block, places = checks_at + _aligned(8 * n_blocks), 0, {}
    for (name, dtype, shape), n_bytes in zip(said["arrays"], sizes, strict=True):
        places[name] = _Place(dtype, tuple(shape), at, _aligned(at + n_bytes), block)
        at, block = _aligned(at + n_bytes), block + -(-n_bytes // _BLOCK)
    if path.stat().st_size != at:
        raise _damaged(path, f"{path.stat().st_size} bytes where its header says {at}")
    return ArrayFile(path, said["about"], places, said["checks"], checks_at, n_blocks)


def _aligned(at: int) -> int:
    return at + -at % _ALIGN


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGN)


def _damaged(path: Path, found: str) -> FormatError:
    return FormatError(
        f"{path}: expected a quern.arrays file of version 2 as it was written, found {found}. Duplicates would be "
        "missed. Delete it and build again: the phase that wrote it is run anew."
    )
