"""Who falls for whom: components of edges, or stars around those that stay.

    verify: none              components   whoever is connected falls for the best of all
    verify: exact, estimate   stars        a document falls only for one that stays and is itself like it

    members file, as `members.py`, and `similarity`, in per mille, -1 for a keeper: of all shingles after `exact`, else
    of hashes

Price: one task for all. `verify: none` takes a byte a document and 380 for each that has a duplicate; stars 130 more
for each pair of alike ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.dedup.arrays import ArrayFile, read_arrays
from pipelines.dedup.compared import Compared, compared
from pipelines.dedup.evidence import make_stars, n_verifications, per_mille, unique_lots
from pipelines.dedup.members import Members, cluster_facts, make_members, write_members
from pipelines.dedup.signatures import count_equal
from pipelines.kernels.clusters import flatten_parents, union_edges
from pipelines.stage import GatherTask

__all__ = ["cluster_documents", "join_clusters"]

I64s = npt.NDArray[np.int64]


def join_clusters(paths: Sequence[Path], n_docs: int) -> tuple[I64s, I64s]:
    """The ordinals that any edge names, ascending, and for each a number equal within its component."""
    nodes = _named(n_docs, (read_arrays(path)["named"] for path in paths))
    parent = np.arange(len(nodes))
    for path in paths:
        edges = read_arrays(path)
        union_edges(parent, np.searchsorted(nodes, edges["a"]), np.searchsorted(nodes, edges["b"]))
    flatten_parents(parent)
    return nodes, parent


def _named(n_docs: int, ordinals: Iterable[I64s]) -> I64s:
    """All that are named, ascending, each once."""
    is_named = np.zeros(n_docs, dtype=np.bool_)
    for some in ordinals:
        is_named[some] = True
    return np.flatnonzero(is_named)


def cluster_documents(
    task: GatherTask,
    *,
    verify: str,
    has_rank: bool,
    max_cluster: int | None,
    keeps_giants: bool,
    finished: bool,
) -> None:
    """Write the members of all clusters, and how alike each one that falls is to its keeper."""
    docs = compared(task, finished=finished)
    if verify == "none":
        nodes, roots = join_clusters(task.inputs("match", "edges"), int(docs.first[-1]))
        order = docs.order_of(nodes, has_rank=has_rank)
        members = make_members(roots, nodes, *docs.ids_of(nodes), *order)
        similarity = _estimates(docs, members)
    else:
        members, similarity = _stars(task, docs, verify=verify, has_rank=has_rank)
    task.facts.update(cluster_facts(members, above=max_cluster))
    if keeps_giants:
        # Its documents stay, and stay one cluster: what is held out takes all of it or nothing.
        is_giant = members.size > (max_cluster or 0)
        members = replace(members, keeper=np.where(is_giant, members.ordinal, members.keeper))
        similarity = np.where(is_giant, -1, similarity)
    with task.output("members", ".arrays") as file:
        write_members(file, members, similarity=similarity)
    for name in ("n_pairs", "n_alike") if verify == "exact" else ():
        task.facts[name] = sum(facts[name] for facts in task.facts_of("verify"))


def _stars(task: GatherTask, docs: Compared, *, verify: str, has_rank: bool) -> tuple[Members, I64s]:
    """The members, and of each in per mille how alike it is to its keeper, -1 for a keeper."""
    found = [read_arrays(p) for p in task.inputs("verify", "alike")] if verify == "exact" else []
    a, b = _joined(found) if verify == "exact" else _all_pairs(task)
    nodes = _named(int(docs.first[-1]), [a, b])
    high, low = docs.ids_of(nodes)
    order = np.lexsort((low, high, *reversed(docs.order_of(nodes, has_rank=has_rank))))
    rank = np.empty(len(nodes), dtype=np.int64)
    rank[order] = np.arange(len(nodes))
    stars = make_stars(nodes, rank, a, b)
    keeper = np.searchsorted(nodes, stars.keeper)
    sizes = np.bincount(keeper, minlength=len(nodes))
    members = Members(stars.ordinal, stars.keeper, high[keeper], low[keeper], sizes[keeper].astype(np.int64))
    if verify != "exact":
        return members, _estimates(docs, members)
    similarity = np.concatenate([np.zeros(0, dtype=np.int64), *(file["similarity"] for file in found)])
    return members, per_mille(similarity, stars.edge)


def _estimates(docs: Compared, members: Members) -> I64s:
    """In per mille how many hashes each member has in common with its keeper, -1 for a keeper."""
    falls = np.flatnonzero(members.keeper != members.ordinal)
    estimates = np.full(len(members.ordinal), -1, dtype=np.int64)
    if len(falls):
        n_hashes = docs.files[0].column("signature").shape[1]
        n_equal = count_equal(docs.files, docs.first, members.ordinal[falls], members.keeper[falls])
        estimates[falls] = n_equal * 1000 // n_hashes
    return estimates


def _joined(files: Sequence[ArrayFile]) -> tuple[I64s, I64s]:
    a, b = (np.concatenate([np.zeros(0, dtype=np.int64), *(file[side] for file in files)]) for side in "ab")
    return a, b


def _all_pairs(task: GatherTask) -> tuple[I64s, I64s]:
    """The pairs of all bands, each once. A lot at a time: most pairs are in many bands."""
    found = unique_lots(task.inputs("match", "edges"), n_verifications(task))
    a, b = (np.concatenate(side) for side in zip(*found, strict=True))
    return a, b
