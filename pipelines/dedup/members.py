"""Who belongs to which cluster, and the verdicts that follow.

    members file   ordinal: int64, ascending   4   7   9        documents of clusters of two or more
                   keeper: int64               4   4   4        the ordinal of the one that stays
                   keeper_high, keeper_low     its doc_id
                   size: int64                 3   3   3        documents in the cluster

    verdict.parquet, a row per row of the part
      verdict  cluster           keeper            cluster_size
      0        id of document 4  null              3             the keeper
      1        id of document 4  id of document 4  3             dropped
      0        null              null              null          no duplicate, no text, or dropped before

A cluster is named by the doc_id of its keeper, so a name survives other machines, parts and worker counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.dedup.arrays import read_arrays, write_arrays
from pipelines.dedup.repeats import bases, group_starts, span
from pipelines.parquet import write_table
from pipelines.stage import Gather, GatherTask

__all__ = [
    "Members",
    "account",
    "cluster_facts",
    "ids_column",
    "make_members",
    "read_members",
    "settle",
    "tell_clusters",
    "write_members",
    "write_verdict",
]

I64s = npt.NDArray[np.int64]
U64s = npt.NDArray[np.uint64]
N_LARGEST = 20


@dataclass(frozen=True, slots=True)
class Members:
    """Documents of clusters, by ordinal; all arrays have one entry a document."""

    ordinal: I64s
    keeper: I64s
    keeper_high: U64s
    keeper_low: U64s
    size: I64s

    def take(self, rows: npt.NDArray[Any]) -> Members:
        """Those at `rows`."""
        return Members(**{name: getattr(self, name)[rows] for name in Members.__slots__})


def make_members(cluster: npt.NDArray[Any], ordinal: I64s, high: U64s, low: U64s, *ranks: I64s) -> Members:
    """The members of clusters, sorted by ordinal.

    cluster: equal for documents of one cluster; ranks: what decides the keeper before the doc_id does, the
    most important first, smaller is better.
    """
    order = np.lexsort((low, high, *reversed(ranks), cluster))
    starts = group_starts(cluster[order])
    sizes = np.diff(starts)
    keepers = np.repeat(order[starts[:-1]], sizes) if len(order) else order
    back = np.argsort(ordinal[order], kind="stable")
    keepers, size = keepers[back], np.repeat(sizes, sizes)[back]
    return Members(ordinal[order][back], ordinal[keepers], high[keepers], low[keepers], size)


def write_members(file: Any, members: Members, **more: I64s) -> None:
    """Write members to an open binary file; more: further arrays with one entry a member."""
    write_arrays(file, {**{name: getattr(members, name) for name in Members.__slots__}, **more})


def read_members(paths: Sequence[Path], low: int, high: int) -> Members:
    """The members with low <= ordinal < high of several files, by ordinal."""
    found: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in Members.__slots__}
    for arrays in map(read_arrays, paths):
        mine = span(arrays.column("ordinal"), low, high)
        for name, columns in found.items():
            columns.append(arrays.column(name)[mine])
    empty = {name: np.zeros(0, dtype=np.uint64 if "_" in name else np.int64) for name in found}
    joined = {name: np.concatenate([empty[name], *columns]) for name, columns in found.items()}
    order = np.argsort(joined["ordinal"], kind="stable")
    return Members(**{name: column[order] for name, column in joined.items()})


def cluster_facts(members: Members, *, above: int | None = None) -> dict[str, Any]:
    """What a manifest says of clusters: how many, of how many documents, the largest ones by keeper.

    above: sizes above it are counted as `n_above_max`, and nothing else happens to them.
    """
    kept = members.keeper == members.ordinal
    sizes, high, low = members.size[kept], members.keeper_high[kept], members.keeper_low[kept]
    top = np.lexsort((low, high, -sizes))[:N_LARGEST].tolist()
    facts: dict[str, Any] = {
        "n_clusters": int(kept.sum()),
        "n_members": len(members.ordinal),
        "largest": [[f"{high[i]:016x}{low[i]:016x}", int(sizes[i])] for i in top],
    }
    return facts if above is None else {**facts, "n_above_max": int((sizes > above).sum())}


def tell_clusters(task: GatherTask, phase: str) -> None:
    """Repeat what a phase found of clusters in the first verdict's receipt: those of earlier phases do not stay."""
    if task.unit:
        return
    found = task.facts_of(phase)
    told: dict[str, Any] = {
        name: sum(facts[name] for facts in found if name in facts)
        for name in ("n_clusters", "n_members", "n_above_max")
        if any(name in facts for facts in found)
    }
    largest = sorted((one for facts in found for one in facts["largest"]), key=lambda one: (-one[1], one[0]))
    task.facts["clusters"] = {**told, "largest": largest[:N_LARGEST]}


def settle(task: GatherTask, stage: Gather, members: Members, n_bytes: I64s, **evidence: pa.Array) -> None:
    """Write the verdicts of this task's part and its account: a member that is not its keeper falls.

    n_bytes: size of every text of the part, for the account; evidence: further columns, one row a document.
    """
    alive = task.alive(task.unit)
    rows = members.ordinal - bases(task.parts)[task.unit]
    verdicts = np.zeros(len(alive), dtype=np.uint8)
    verdicts[rows] = members.keeper != members.ordinal
    in_cluster = np.zeros(len(alive), dtype=np.bool_)
    in_cluster[rows] = True
    high, low = (_spread(column, rows, len(alive)) for column in (members.keeper_high, members.keeper_low))
    table = {
        "verdict": pa.array(verdicts),
        "cluster": ids_column(high, low, in_cluster),
        "keeper": ids_column(high, low, verdicts > 0),
        "cluster_size": pa.array(_spread(members.size, rows, len(alive)), mask=~in_cluster),
        **evidence,
    }
    write_verdict(task, table)
    account(task, stage, verdicts, n_bytes)


def write_verdict(task: GatherTask, columns: Mapping[str, Any]) -> None:
    """Write the verdict file of this task's part."""
    with task.output("verdict", ".parquet") as file:
        write_table(file, pa.table(dict(columns)))


def account(
    task: GatherTask,
    stage: Gather,
    verdicts: npt.NDArray[np.uint8],
    n_bytes: I64s,
    *,
    n_cut: I64s | None = None,
) -> None:
    """Count the rows alive before this gather: read, and dropped or marked by reason.

    n_bytes: size of every text; n_cut: how much of it is cut where it is kept.
    """
    alive = task.alive(task.unit)
    task.tally.n_read += int(alive.sum())
    task.tally.bytes_read += int(n_bytes[alive].sum())
    dropped = alive & (verdicts > 0) if stage.action == "drop" else np.zeros_like(alive)
    for code, reason in enumerate(stage.reasons, 1):
        mine = alive & (verdicts == code)
        if stage.action == "drop":
            task.tally.drop(task.step, reason, int(mine.sum()), n_bytes=int(n_bytes[mine].sum()))
        else:
            task.tally.mark(task.step, reason, int(mine.sum()))
    task.tally.n_kept += int((alive & ~dropped).sum())
    left = n_bytes if n_cut is None or stage.action == "mark" else n_bytes - n_cut
    task.tally.bytes_kept += int(left[alive & ~dropped].sum())


def ids_column(high: U64s, low: U64s, valid: npt.NDArray[np.bool_]) -> pa.Array:
    """Ids as binary(16), null where `valid` is false."""
    raw = np.stack([high, low], axis=1).astype(">u8")
    raw[~valid] = 0
    bits = np.packbits(valid, bitorder="little").tobytes()
    buffers = [pa.py_buffer(bits), pa.py_buffer(raw.tobytes())]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(valid), buffers)


def _spread(values: npt.NDArray[Any], rows: I64s, n_docs: int) -> npt.NDArray[Any]:
    column = np.zeros(n_docs, dtype=values.dtype)
    column[rows] = values
    return column
