"""Many bytes at a time: 64 compared at once, 8 read or written as one number, and the bits of what comes out.

    bytes      t h e _ c a t _ ...          64 of them, wherever they begin
    in_range   0 0 0 1 0 0 0 1              a bit a byte, the first byte lowest: uint64
    lowest_bit 3                            so the next word ends at byte 3

numba has none of these: each is the LLVM instruction of its name, which becomes whatever the machine has for it
(two AVX2 compares for 64 bytes). They take pointers (`jit.pointer`), check no bounds and count bytes from the
lowest, as little-endian machines store them; numba supports no others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

__all__ = ["bit_count", "in_range", "load64", "lowest_bit", "store64"]

Bytes = npt.NDArray[np.uint8]

_U8, _U64, _BLOCK = ir.IntType(8), ir.IntType(64), ir.VectorType(ir.IntType(8), 64)
_LANES = ir.Constant(ir.VectorType(ir.IntType(32), 64), None)  # lane 0 for every lane


def _place(builder: Any, data: Any, at: Any, kind: Any) -> Any:
    return builder.bitcast(builder.gep(data, [at]), kind.as_pointer())


def _all(builder: Any, byte: Any) -> Any:
    first = builder.insert_element(ir.Constant(_BLOCK, ir.Undefined), byte, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, ir.Constant(_BLOCK, ir.Undefined), _LANES)


def _in_range(_context: Any, data: Any, _index: Any, _first: Any, _count: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        data, at, first, count = arguments
        block = builder.load(_place(builder, data, at, _BLOCK), align=1)
        above = builder.sub(block, _all(builder, first))
        return builder.bitcast(builder.icmp_unsigned("<", above, _all(builder, count)), _U64)

    return types.uint64(data, types.int64, types.uint8, types.uint8), build


def _load64(_context: Any, data: Any, _index: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        data, at = arguments
        return builder.load(_place(builder, data, at, _U64), align=1)

    return types.uint64(data, types.int64), build


def _store64(_context: Any, data: Any, _index: Any, _value: Any) -> Any:
    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        data, at, value = arguments
        builder.store(value, _place(builder, data, at, _U64), align=1)
        return context.get_dummy_value()

    return types.void(data, types.int64, types.uint64), build


def _lowest_bit(_context: Any, _bits: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), build


def _bit_count(_context: Any, _bits: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), build


in_range: Callable[[Bytes, int, int, int], np.uint64] = intrinsic(_in_range)  # type: ignore[assignment]
"""Which of the 64 bytes from `at` are one of the `count` byte values from `first`."""

load64: Callable[[Bytes, int], np.uint64] = intrinsic(_load64)  # type: ignore[assignment]
"""The eight bytes from `at` as one number."""

store64: Callable[[Bytes, int, np.uint64], None] = intrinsic(_store64)  # type: ignore[assignment]
"""Writes a number as the eight bytes from `at`."""

lowest_bit: Callable[[np.uint64], int] = intrinsic(_lowest_bit)  # type: ignore[assignment]
"""The place of the lowest bit that is set, from 0; 64 where none is."""

bit_count: Callable[[np.uint64], int] = intrinsic(_bit_count)  # type: ignore[assignment]
"""How many bits are set."""
