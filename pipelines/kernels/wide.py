"""Eight bytes read or written as one number, at any place: one instruction each.

    load64(data, 3)             b"the cat sat"  ->  " cat sat" as a number, the first byte lowest
    store64(data, 3, number)    and back

Of eight single bytes put together LLVM makes the same load, mostly; it does not make a store of eight. `data` is a
pointer (`jit.pointer`), no bounds are checked, and the order is that of little-endian machines; numba supports no
others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import types
from numba.extending import intrinsic

__all__ = ["load64", "store64"]

Bytes = npt.NDArray[np.uint8]

_U64 = ir.IntType(64)


def _place(builder: Any, data: Any, at: Any) -> Any:
    return builder.bitcast(builder.gep(data, [at]), _U64.as_pointer())


def _load64(_context: Any, data: Any, _index: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        data, at = arguments
        return builder.load(_place(builder, data, at), align=1)

    return types.uint64(data, types.int64), build


def _store64(_context: Any, data: Any, _index: Any, _value: Any) -> Any:
    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        data, at, value = arguments
        builder.store(value, _place(builder, data, at), align=1)
        return context.get_dummy_value()

    return types.void(data, types.int64, types.uint64), build


load64: Callable[[Bytes, int], np.uint64] = intrinsic(_load64)  # type: ignore[assignment]
"""The eight bytes from `at` as one number."""

store64: Callable[[Bytes, int, np.uint64], None] = intrinsic(_store64)  # type: ignore[assignment]
"""Writes a number as the eight bytes from `at`."""
