"""Where a byte stands next, and how often: 32 bytes looked at together.

    find(data, 0, 11, 60)          b"some text<p>"      ->  9; 11, the end, if there is none
    find_high(data, 0, 6)          b"caf\\xc3\\xa9s"      ->  3, the first byte that is not ASCII
    count(data, 0, 11, 101)                             ->  2

A loop that stops where it finds something is not vectorized by LLVM, so the comparison is written as vectors.
`data` is a pointer (`jit.pointer`), `end` is where its bytes end. Price: 2 ns, and 0.05 ns a byte. What it does not
do: look for more than one byte at a time, or backwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

from pipelines.kernels.jit import inline

__all__ = ["count", "find", "find_high"]

Bytes = npt.NDArray[np.uint8]

WIDTH = 32
_VECTOR = ir.VectorType(ir.IntType(8), WIDTH)


def _load(builder: Any, pointer: Any, at: Any) -> Any:
    """The WIDTH bytes at a place."""
    loaded = builder.load(builder.bitcast(builder.gep(pointer, [at]), _VECTOR.as_pointer()))
    loaded.align = 1
    return loaded


def _n_before(builder: Any, bits: Any) -> Any:
    """How many of WIDTH truths come before the first that holds."""
    number = builder.bitcast(bits, ir.IntType(WIDTH))
    return builder.zext(builder.cttz(number, ir.IntType(1)(0)), ir.IntType(64))


def _are_equal(builder: Any, pointer: Any, at: Any, byte: Any) -> Any:
    """Which of the WIDTH bytes at a place equal one."""
    anything = ir.Constant(_VECTOR, ir.Undefined)
    one = builder.insert_element(anything, builder.trunc(byte, ir.IntType(8)), ir.IntType(32)(0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    wanted = builder.shuffle_vector(one, anything, lanes)
    return builder.icmp_unsigned("==", _load(builder, pointer, at), wanted)


def _equal(_context: Any, data: Any, _at: Any, _byte: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _n_before(builder, _are_equal(builder, *arguments))

    return types.int64(data, types.int64, types.int64), build


def _total(_context: Any, data: Any, _at: Any, _byte: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        number = builder.bitcast(_are_equal(builder, *arguments), ir.IntType(WIDTH))
        return builder.zext(builder.ctpop(number), ir.IntType(64))

    return types.int64(data, types.int64, types.int64), build


def _high(_context: Any, data: Any, _at: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        zeros = ir.Constant(_VECTOR, [0] * WIDTH)
        return _n_before(builder, builder.icmp_signed("<", _load(builder, *arguments), zeros))

    return types.int64(data, types.int64), build


# How many of the WIDTH bytes at a place, all of which must be there, come before one that is wanted; are one.
_n_equal: Callable[[Bytes, int, int], int] = intrinsic(_total)  # type: ignore[assignment]
_n_unequal: Callable[[Bytes, int, int], int] = intrinsic(_equal)  # type: ignore[assignment]
_n_ascii: Callable[[Bytes, int], int] = intrinsic(_high)  # type: ignore[assignment]


@inline
def find(data: Bytes, at: int, end: int, byte: int) -> int:
    """Where a byte stands next before `end`; `end` if nowhere."""
    while at + WIDTH <= end:
        before = _n_unequal(data, at, byte)
        if before < WIDTH:
            return at + before
        at += WIDTH  # and not `before`, which would have the next load wait for this one
    while at < end and data[at] != byte:
        at += 1
    return at


@inline
def find_high(data: Bytes, at: int, end: int) -> int:
    """Where a byte above 127 stands next before `end`; `end` if nowhere."""
    while at + WIDTH <= end:
        before = _n_ascii(data, at)
        if before < WIDTH:
            return at + before
        at += WIDTH  # and not `before`, which would have the next load wait for this one
    while at < end and data[at] < 128:
        at += 1
    return at


@inline
def count(data: Bytes, at: int, end: int, byte: int) -> int:
    """How often a byte stands before `end`."""
    total = 0
    while at + WIDTH <= end:
        total += _n_equal(data, at, byte)
        at += WIDTH
    while at < end:
        total += data[at] == byte
        at += 1
    return total
