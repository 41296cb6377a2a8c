"""Kernels: numba functions that compile the first time they are called, never on import.

    @inline                                 a helper, compiled into the kernels that call it
    @kernel(f"int64[::1]({BYTES}, {OFFSETS})")
    def count_something(data, offsets): ...

    compile_kernels(["gopher.count_quality"])    a parent warms the cache before workers start

Every kernel takes the text of a batch as two arrays and no Python object:

    data: uint8[n_bytes]           UTF-8, document after document
    offsets: int64[n_docs + 1]     document d is data[offsets[d]:offsets[d + 1]]

Compiled code is kept in a folder of our own, named by the versions of this package and of numba and by
the CPU. numba stamps a cached kernel with its own source file only, so a helper changed in another file
would leave stale code behind; each module therefore has a folder of its own in it, named by a digest of
the module and of all kernel modules it imports. What they do not read is not compiled anew.

    ~/.cache/quern/quern-0.1-numba-0.66-x86_64-znver4/words-5f0c.../

Price: a cold start compiles (0.1 to 1 s a kernel), a warm one loads (about 30 ms a kernel, 0.3 s once).
numba stores its cache with pickle, so the folder must belong to the user; where the user has no
writable cache, a private temporary one serves this process and its children.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import os
import platform
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

import llvmlite.binding  # type: ignore[import-untyped]
import numpy.typing as npt

_IMPORT = re.compile(rb"^from pipelines\.kernels(?:\.(\w+) import|  *import ([\w, ]+)$)", re.MULTILINE)

P = ParamSpec("P")
R = TypeVar("R")

__all__ = [
    "BYTES",
    "OFFSETS",
    "Kernel",
    "cache_folder",
    "compile_kernels",
    "inline",
    "kernel",
    "pointer",
    "source_digest",
]

# numba's names of the two arguments every kernel has; Arrow's buffers cannot be written to.
BYTES = "Array(uint8, 1, 'C', readonly=True)"
OFFSETS = "Array(int64, 1, 'C', readonly=True)"


def _package_version() -> str:
    try:
        return importlib.metadata.version("quern")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout that nobody installed
        return "checkout"


def _folder_name() -> str:
    cpu = f"{platform.machine()}-{llvmlite.binding.get_host_cpu_name()}"
    return f"quern-{_package_version()}-numba-{importlib.metadata.version('numba')}-{cpu}"


def _source(module: str) -> bytes:
    return (Path(__file__).parent / f"{module}.py").read_bytes()


# As they are imported: a checkout may change below a process that runs for hours.
_SOURCES = {path.stem: path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))}


@cache
def imported_kernels(module: str) -> frozenset[str]:
    """The kernel modules that one imports itself, this one too; by its text, for no import is hidden in a function."""
    lines = _IMPORT.findall(_SOURCES[module])
    names = (name for one, several in lines for name in ([one] if one else several.split(b",")))
    return frozenset(name.strip().decode() for name in names)


@cache
def _reached(module: str) -> tuple[str, ...]:
    """A kernel module and all that it imports, and they import."""
    reached: set[str] = set()
    todo = {module}
    while todo:
        reached |= todo
        todo = {name for found in todo for name in imported_kernels(found)} - reached
    return tuple(sorted(reached))


@cache
def source_digest(module: str) -> str:
    """Of the source of a kernel module and of all that it reaches."""
    digest = hashlib.sha256()
    for name in _reached(module):
        digest.update(name.encode() + b"\0" + _SOURCES[name] + b"\0")
    return digest.hexdigest()[:16]


def _is_as_imported(module: str) -> bool:
    """Whether what a module reaches is on disk what this process began with."""
    return all(_source(name) == _SOURCES[name] for name in _reached(module))


def _is_ours_to_write(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder.stat().st_uid == os.getuid()
    except OSError:
        return False


def cache_folder() -> Path:
    """The folder for compiled kernels, which exists and can be written.

    Under `NUMBA_CACHE_DIR` where that is set, else under `XDG_CACHE_HOME` or `~/.cache`, else a
    private temporary folder, which children inherit through `NUMBA_CACHE_DIR`.
    """
    name = _folder_name()
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given and Path(given).name == name:
        return Path(given)
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    for base in ([Path(given)] if given else []) + [user_cache / "quern"]:
        if _is_ours_to_write(base / name):
            return base / name
    folder = Path(tempfile.mkdtemp(prefix="quern-kernels-")) / name
    folder.mkdir()
    return folder


# numba reads this when it is imported and, with nowhere to write, raises while it decorates.
os.environ["NUMBA_CACHE_DIR"] = str(cache_folder())

import numba  # noqa: E402
from numba.core import entrypoints, types  # noqa: E402
from numba.extending import intrinsic  # noqa: E402
from numba.np.arrayobj import make_array  # noqa: E402

numba.config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]  # type: ignore[attr-defined]  # for a process that imported numba before us


@contextmanager
def _without_extensions() -> Iterator[None]:
    """Keeps numba from importing what other packages registered with it: awkward alone takes 0.3 s a worker.

    Kernels use no such extension. A user's own numba code still gets them, for the flag is put back.
    """
    before = entrypoints._already_initialized  # noqa: SLF001 - numba has no setting for it
    entrypoints._already_initialized = True  # noqa: SLF001
    try:
        yield
    finally:
        entrypoints._already_initialized = before  # noqa: SLF001


@contextmanager
def _cache_of(module: str) -> Iterator[None]:
    """Has numba keep a module's kernels in a folder of their own."""
    before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    numba.config.CACHE_DIR = str(Path(before) / f"{module}-{source_digest(module)}")  # type: ignore[attr-defined]
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before  # type: ignore[attr-defined]


class Kernel(Generic[P, R]):
    """A function that numba compiles, or loads from its cache, when it is first called."""

    def __init__(self, function: Callable[P, R], signature: str) -> None:
        self.function = function
        self.signature = signature
        self._compiled: Callable[..., Any] | None = None

    def compile(self) -> Callable[..., Any]:
        """The compiled function; compiles or loads it if this process has not yet."""
        if self._compiled is None:
            module = self.function.__module__.rpartition(".")[2]
            with _without_extensions(), _cache_of(module):
                keeps = _is_as_imported(module)
                self._compiled = numba.njit(self.signature, nogil=True, cache=keeps)(self.function)
        return self._compiled

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """What the compiled function returns."""
        compiled = self._compiled or self.compile()
        result: R = compiled(*args, **kwargs)
        return result


def kernel(signature: str) -> Callable[[Callable[P, R]], Kernel[P, R]]:
    """A decorator that makes a `Kernel` of a function, for one numba signature."""
    return lambda function: Kernel(function, signature)


def inline(function: Callable[P, R]) -> Callable[P, R]:
    """The function as a helper of kernels; it compiles with the kernel that calls it."""
    helper: Callable[P, R] = numba.njit(nogil=True)(function)
    return helper


def _pointer(_context: Any, array: Any) -> Any:
    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return make_array(array)(context, builder, value=arguments[0]).data  # type: ignore[no-untyped-call]

    return types.CPointer(array.dtype)(array), build  # type: ignore[no-untyped-call]


pointer: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] = intrinsic(_pointer)  # type: ignore[assignment]
"""Where an array's items lie, to be indexed by helpers in its place; the kernel's caller keeps the array alive.

A helper that LLVM does not inline takes an array as seven arguments, and counts a reference to it in and
out: kernels of many helpers spent four fifths of their time on that.
"""


def compile_kernels(names: Iterable[str]) -> None:
    """Compiles kernels named `module.function` (`"gopher.count_quality"`) into the cache.

    A parent calls this before it starts workers, so that each of them loads and none compiles.

    Raises: ModuleNotFoundError or AttributeError for a name that no module here defines.
    """
    for name in sorted(set(names)):
        module, function = name.split(".")
        getattr(importlib.import_module(f"pipelines.kernels.{module}"), function).compile()
