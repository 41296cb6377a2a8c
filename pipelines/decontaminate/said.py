"""What the items of benchmarks say, kept in the index, so that a verdict can show the item beside the passage.

    said        uint8       the texts of every item, a line each, one item after another
    said_ends   int64[n + 1]
    said_item   int64[n]    the item's number, ascending within a benchmark
    said_first  int64[n_benchmarks + 1]   where each benchmark's items begin

Price: the benchmarks' text once more, mapped; of a document that is clean nothing is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.decontaminate.benchmarks import Benchmark

__all__ = ["item_texts", "said_arrays"]

MAX_BYTES = 4000


def said_arrays(benchmarks: Sequence[Benchmark]) -> dict[str, npt.NDArray[Any]]:
    """The four arrays; of an item longer than 4,000 bytes the beginning."""
    said, numbers, first = list[bytes](), list[int](), [0]
    for benchmark in benchmarks:
        rows = zip(benchmark.items, benchmark.texts, strict=True)
        for item, group in groupby(rows, key=lambda row: row[0]):
            text = "\n".join(text for _, text in group).encode("utf-8", "replace")[:MAX_BYTES]
            said.append(text.decode("utf-8", "ignore").encode())
            numbers.append(item)
        first.append(len(numbers))
    return {
        "said": np.frombuffer(b"".join(said), dtype=np.uint8),
        "said_ends": np.cumsum([0, *map(len, said)], dtype=np.int64),
        "said_item": np.array(numbers, dtype=np.int64),
        "said_first": np.array(first, dtype=np.int64),
    }


def item_texts(index: Any, names: Sequence[str], evidence: dict[str, pa.Array]) -> pa.Array:
    """What the item says that each row of the evidence names, null where it names none."""
    number = {name: at for at, name in enumerate(names)}
    found = zip(evidence["benchmark"].to_pylist(), evidence["item"].to_pylist(), strict=True)
    texts = [None if name is None else _text(index, number[name], item) for name, item in found]
    return pa.array(texts, pa.large_string())


def _text(index: Any, benchmark: int, item: int) -> str:
    low, high = index["said_first"][benchmark : benchmark + 2].tolist()
    at = low + int(np.searchsorted(index["said_item"][low:high], item))
    start, end = index["said_ends"][at : at + 2].tolist()
    return bytes(index["said"][start:end]).decode()
