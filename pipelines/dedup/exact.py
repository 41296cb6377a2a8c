"""Exact duplicates: one document of every set with equal texts stays.

    sign     a part -> (xxh3-128 of the text, doc_id, row) sorted by hash          40 bytes a document
    match    a range of hashes, all parts -> the members of clusters of two or more
    verdict  a part -> keep or `exact_duplicate`, with its cluster and its keeper

The keeper is the first by (place of its source in the recipe, doc_id), so it is the same whatever order files
were read in. A document without text (null, empty, or for `normalised` without words) has no duplicates.

Two texts with the same 128-bit hash count as equal: among a trillion documents one such pair that differs
has a chance of about 10^-15, unless somebody builds collisions on purpose (xxh3 does not resist that).
Price: 240 MB/s a core by `text`, most of it reading Parquet; 110 `normalised`, which cuts words.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from pipelines.batch import TextView
from pipelines.dedup.arrays import read_arrays, write_arrays
from pipelines.dedup.members import Members, cluster_facts, make_members, read_members, settle, write_members
from pipelines.dedup.repeats import KERNELS, bases, bucket_slice, gather, n_buckets, priorities, repeated
from pipelines.dedup.texts import id_words, pieces, text_bytes
from pipelines.kernels.ngrams import join_words
from pipelines.stage import Gather, GatherTask, Phase

__all__ = ["Exact", "hash_texts", "match", "sign", "verdict"]

U64s = npt.NDArray[np.uint64]


class Exact(Gather):
    """Drops documents whose text equals that of another."""

    name: ClassVar[str] = "exact"
    version: ClassVar[int] = 1
    reasons: ClassVar[tuple[str, ...]] = ("exact_duplicate",)
    libraries: ClassVar[tuple[str, ...]] = ("xxhash",)

    by: Literal["text", "normalised"] = "text"
    """`text` compares bytes; `normalised` words in lower case, whatever space or punctuation is between."""

    def kernels(self) -> tuple[str, ...]:
        """Those that find repeated hashes, and what cuts words."""
        return KERNELS if self.by == "text" else (*KERNELS, "ngrams.join_documents")

    def phases(self) -> list[Phase]:
        """sign, match, verdict."""
        return [
            Phase("sign", "part", partial(sign, by=self.by)),
            Phase("match", _buckets, match),
            Phase("verdict", "part", partial(verdict, stage=self), keep=True),
        ]


def _buckets(task: GatherTask) -> int:
    return n_buckets(sum(part.n_docs for part in task.parts))


def sign(task: GatherTask, *, by: str) -> None:
    """Hash the texts of a part and write them sorted by hash, with the size of every text."""
    table = task.read_part(task.unit, ["doc_id", "text"])
    high, low, has_text = hash_texts(table, by=by)
    rows = np.flatnonzero(task.alive(task.unit) & has_text)
    rows = rows[np.lexsort((low[rows], high[rows]))]
    id_high, id_low = id_words(table)
    arrays = {"high": high[rows], "low": low[rows], "id_high": id_high[rows], "id_low": id_low[rows]}
    with task.output("hashes", ".arrays") as file:
        write_arrays(file, {**arrays, "row": rows, "n_bytes": text_bytes(table)})
    task.facts["n_signed"] = len(rows)


def hash_texts(table: pa.Table, *, by: str) -> tuple[U64s, U64s, npt.NDArray[np.bool_]]:
    """The hash of every text as two uint64[n_docs], and bool[n_docs]: is there anything to compare?"""
    hashes, sizes = [np.zeros((0, 2), dtype=">u8")], [np.zeros(0, dtype=np.int64)]
    for piece in pieces(table):
        text = piece.text if by == "text" else TextView(*join_words(*piece.text))
        hashes.append(_hash_all(text))
        sizes.append(np.diff(text.offsets))
    words = np.concatenate(hashes).astype(np.uint64)
    return words[:, 0].copy(), words[:, 1].copy(), np.concatenate(sizes) > 0


def _hash_all(text: TextView) -> npt.NDArray[Any]:
    # The C library hashes at 10 GB/s and more; a loop of ours would lose more than its calls cost.
    data, offsets = memoryview(text.data.data), text.offsets.tolist()
    digests = [xxhash.xxh3_128_digest(data[a:b]) for a, b in pairwise(offsets)]
    return np.frombuffer(b"".join(digests), dtype=">u8").reshape(-1, 2)


def match(task: GatherTask) -> None:
    """Find equal hashes in one range of them, over all parts."""
    files = [read_arrays(path) for path in task.inputs("sign", "hashes")]
    keys = [file.column("high") for file in files]
    found = repeated(keys, [bucket_slice(k, task.unit, task.n_units) for k in keys])
    high, low = gather(keys, found), gather([f.column("low") for f in files], found)
    ids = (
        gather([f.column("id_high") for f in files], found),
        gather([f.column("id_low") for f in files], found),
    )
    ordinals = bases(task.parts)[found.file] + gather([f.column("row") for f in files], found)
    members = make_members(_numbered(high, low), ordinals, *ids, priorities(task.parts)[found.file])
    members = _without_singles(members)
    with task.output("members", ".arrays") as file:
        write_members(file, members)
    task.facts.update(cluster_facts(members))


def _numbered(high: U64s, low: U64s) -> npt.NDArray[np.int64]:
    """The same number for the same 128 bits: int64[n]."""
    order = np.lexsort((low, high))
    change = (high[order][1:] != high[order][:-1]) | (low[order][1:] != low[order][:-1])
    numbers = np.zeros(len(high), dtype=np.int64)
    numbers[order[1:]] = np.cumsum(change)
    return numbers


def _without_singles(members: Members) -> Members:
    # Hashes that agree in 64 bits of 128 were collected together and have parted since.
    many = members.size > 1
    return Members(**{name: getattr(members, name)[many] for name in Members.__slots__})


def verdict(task: GatherTask, *, stage: Exact) -> None:
    """Write the verdicts of a part."""
    low, high = bases(task.parts)[task.unit : task.unit + 2].tolist()
    members = read_members(task.inputs("match", "members"), low, high)
    n_bytes = read_arrays(task.inputs("sign", "hashes")[task.unit])["n_bytes"]
    settle(task, stage, members, n_bytes)
