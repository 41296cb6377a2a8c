r"""Sixty-four bytes at a time: where bytes of a kind stand, as the bits of one word.

    data[at:at + 64]             T h e   e n d . \n ...
    between(data, at, 97, 122)   0 1 1 0 1 1 1 0 0  ...     bit k is byte k's

A kernel that asks each byte what it is pays a load and often a branch that is guessed wrong; this is four vector
instructions a range, 15 GB/s for three ranges, and the words between blanks are then found in a register.

Price: 64 bytes must be readable. At the end of a buffer a kernel looks from further in front and shifts the bits
(`place = min(at, n_bytes - 64)`, then `>> at - place`). To branch instead to a padded copy was tried: LLVM then carries
64 single bits from either way to where they meet, and everything is twenty times slower.

Source: Langdale and Lemire 2019, Parsing Gigabytes of JSON per Second, section 3, https://arxiv.org/abs/1902.08318
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

__all__ = ["ALL", "N_LANES", "between", "first_bit", "n_bits_set", "n_leading", "readable"]

Bytes = npt.NDArray[np.uint8]

N_LANES = 64
ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


def _between(_context: Any, data: Any, _at: Any, _low: Any, _high: Any) -> Any:
    lanes = ir.VectorType(ir.IntType(8), N_LANES)

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        pointer, place, *bounds = arguments
        where = builder.bitcast(builder.gep(pointer, [place]), lanes.as_pointer())
        loaded = builder.load(where, align=1)
        bottom, top = (_splat(builder, builder.trunc(bound, ir.IntType(8)), lanes) for bound in bounds)
        inside = builder.icmp_unsigned("<=", builder.sub(loaded, bottom), builder.sub(top, bottom))
        return builder.bitcast(inside, ir.IntType(64))

    return types.uint64(data, types.int64, types.int64, types.int64), build


def _splat(builder: Any, value: Any, lanes: Any) -> Any:
    one = builder.insert_element(ir.Constant(lanes, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), N_LANES), [0] * N_LANES)
    return builder.shuffle_vector(one, ir.Constant(lanes, ir.Undefined), zeros)


def _first_bit(_context: Any, _bits: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), build


def _n_leading(_context: Any, _bits: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), build


def _n_bits_set(_context: Any, _bits: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), build


between: Callable[[Bytes, int, int, int], np.uint64] = intrinsic(_between)  # type: ignore[assignment]
"""Which of the 64 bytes from `at` on are `low` to `high`, both included. `data` is a `jit.pointer`."""

first_bit: Callable[[np.uint64], int] = intrinsic(_first_bit)  # type: ignore[assignment]
"""The number of the lowest bit that is set; 64 for none."""

n_leading: Callable[[np.uint64], int] = intrinsic(_n_leading)  # type: ignore[assignment]
"""How many bits above the highest one that is set are not; 64 for none."""

n_bits_set: Callable[[np.uint64], int] = intrinsic(_n_bits_set)  # type: ignore[assignment]
"""How many bits are set."""


def readable(data: Bytes) -> Bytes:
    """The bytes, or a longer copy where they are fewer than 64."""
    return data if len(data) >= N_LANES else np.concatenate([data, np.zeros(N_LANES, np.uint8)])
