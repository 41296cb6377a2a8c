"""Exact duplicates: one document of every set with equal texts, or equal addresses, stays.

    sign     a part -> (xxh3-128 of the text, rank, doc_id, row) sorted by hash    48 bytes a document
    match    a range of hashes, all parts -> the members of clusters of two or more
    verdict  a part -> keep or `exact_duplicate`, with its cluster and its keeper

The keeper is the best as `keep` says (`ranks.py`), then the first by (place of its source in the recipe, doc_id), so it
is the same whatever order files were read in. A document without text (null, empty, or for `normalised` without words),
or by address without one, has no duplicates.

Addresses are equal that differ in the case of scheme and host, in http and https, in the port that goes without saying,
in an empty path, or behind "#".

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
from pydantic import model_validator

from pipelines.batch import TextView
from pipelines.dedup.arrays import read_arrays, write_arrays
from pipelines.dedup.members import (
    Members,
    cluster_facts,
    make_members,
    read_members,
    settle,
    tell_clusters,
    write_members,
)
from pipelines.dedup.ranks import Keep, check_score, rank_columns, ranks, require_score
from pipelines.dedup.repeats import (
    KERNELS,
    bases,
    bucket_slice,
    gather,
    group_starts,
    n_buckets,
    priorities,
    repeated,
)
from pipelines.dedup.texts import id_words, pieces, text_bytes
from pipelines.kernels.ngrams import join_words
from pipelines.stage import Gather, GatherTask, Phase

__all__ = ["Exact", "address_key", "hash_texts", "match", "sign", "verdict"]

U64s = npt.NDArray[np.uint64]


class Exact(Gather):
    """Drops documents whose text equals that of another."""

    name: ClassVar[str] = "exact"
    version: ClassVar[int] = 3
    reasons: ClassVar[tuple[str, ...]] = ("exact_duplicate",)
    libraries: ClassVar[tuple[str, ...]] = ("xxhash",)

    by: Literal["text", "normalised", "url"] = "text"
    """`text` compares bytes; `normalised` words in lower case, whatever space or punctuation is between; `url`
    addresses, not texts."""
    keep: Keep = "first"
    """Who stays: the first by (source's place in the recipe, doc_id), or before that the longest, the newest by `date`
    or the one with the highest `score`."""
    score: str | None = None
    """A column of numbers for `keep: highest`."""

    @model_validator(mode="after")
    def _score_has_a_use(self) -> Exact:
        check_score(self.keep, self.score)
        return self

    def kernels(self) -> tuple[str, ...]:
        """Those that find repeated hashes, and what cuts words."""
        return KERNELS if self.by != "normalised" else (*KERNELS, "ngrams.join_documents")

    def phases(self) -> list[Phase]:
        """sign, match, verdict."""
        return [
            Phase("sign", "part", partial(sign, stage=self)),
            Phase("match", _buckets, partial(match, stage=self)),
            Phase("verdict", "part", partial(verdict, stage=self), keep=True),
        ]


def _buckets(task: GatherTask) -> int:
    return n_buckets(sum(part.n_docs for part in task.parts))


def sign(task: GatherTask, *, stage: Exact) -> None:
    """Hash the texts of a part and write them sorted by hash, with the size of every text."""
    more = [*(["url"] if stage.by == "url" else []), *rank_columns(stage.keep, stage.score)]
    table = task.read_part(task.unit, ["doc_id", "text", *more])
    high, low, has_text = hash_texts(table, by=stage.by)
    rows = np.flatnonzero(task.alive(task.unit) & has_text)
    rows = rows[np.lexsort((low[rows], high[rows]))]
    id_high, id_low = id_words(table)
    arrays: dict[str, npt.NDArray[Any]] = {"high": high[rows], "low": low[rows]}
    arrays |= {
        "id_high": id_high[rows],
        "id_low": id_low[rows],
        "rank": ranks(table, stage.keep, stage.score)[rows],
    }
    with task.output("hashes", ".arrays") as file:
        write_arrays(file, {**arrays, "row": rows, "n_bytes": text_bytes(table)})
    task.facts.update(n_signed=len(rows), has_score=stage.score in table.column_names)


def hash_texts(table: pa.Table, *, by: str) -> tuple[U64s, U64s, npt.NDArray[np.bool_]]:
    """The hash of every text as two uint64[n_docs], and bool[n_docs]: is there anything to compare?"""
    if by == "url":
        return _hash_addresses(table)
    hashes, sizes = [np.zeros((0, 2), dtype=">u8")], [np.zeros(0, dtype=np.int64)]
    for piece in pieces(table):
        text = piece.text if by == "text" else TextView(*join_words(*piece.text))
        hashes.append(_hash_all(text))
        sizes.append(np.diff(text.offsets))
    words = np.concatenate(hashes).astype(np.uint64)
    return words[:, 0].copy(), words[:, 1].copy(), np.concatenate(sizes) > 0


def _hash_addresses(table: pa.Table) -> tuple[U64s, U64s, npt.NDArray[np.bool_]]:
    absent = [None] * table.num_rows
    addresses = table.column("url").to_pylist() if "url" in table.column_names else absent
    keys = [address_key(address or "") for address in addresses]
    digests = [xxhash.xxh3_128_digest(key) for key in keys]
    words = np.frombuffer(b"".join(digests), dtype=">u8").reshape(-1, 2).astype(np.uint64)
    has_address = np.array([bool(key) for key in keys], dtype=np.bool_)
    return words[:, 0].copy(), words[:, 1].copy(), has_address


def address_key(address: str) -> bytes:
    """What equal addresses have in common.

    >>> address_key("HTTPS://Example.org:443/a?b#c")
    b'//example.org/a?b'
    """
    address = address.strip().partition("#")[0]
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address.encode("utf-8", "replace")
    end = next((i for i, c in enumerate(rest) if c in "/?"), len(rest))
    host, path = rest[:end].lower(), rest[end:]
    kind = scheme.lower()
    host = host.removesuffix({"http": ":80", "https": ":443"}.get(kind, "\0"))
    kept = "" if kind in ("http", "https") else f"{kind}:"
    return f"{kept}//{host}{path if path[:1] == '/' else '/' + path}".encode("utf-8", "replace")


def _hash_all(text: TextView) -> npt.NDArray[Any]:
    # The C library hashes at 10 GB/s and more; a loop of ours would lose more than its calls cost.
    data, offsets = memoryview(text.data.data), text.offsets.tolist()
    digests = [xxhash.xxh3_128_digest(data[a:b]) for a, b in pairwise(offsets)]
    return np.frombuffer(b"".join(digests), dtype=">u8").reshape(-1, 2)


def match(task: GatherTask, *, stage: Exact) -> None:
    """Find equal hashes in one range of them, over all parts."""
    require_score(task, stage.keep, stage.score)
    files = [read_arrays(path) for path in task.inputs("sign", "hashes")]
    keys = [file.column("high") for file in files]
    found = repeated(keys, [bucket_slice(k, task.unit, task.n_units) for k in keys])
    high, low = gather(keys, found), gather([f.column("low") for f in files], found)
    ids = (
        gather([f.column("id_high") for f in files], found),
        gather([f.column("id_low") for f in files], found),
    )
    ordinals = bases(task.parts)[found.file] + gather([f.column("row") for f in files], found)
    order = gather([f.column("rank") for f in files], found), priorities(task.parts)[found.file]
    members = make_members(_numbered(high, low), ordinals, *ids, *order)
    members = _without_singles(members)
    with task.output("members", ".arrays") as file:
        write_members(file, members)
    task.facts.update(cluster_facts(members))


def _numbered(high: U64s, low: U64s) -> npt.NDArray[np.int64]:
    """The same number for the same 128 bits: int64[n]."""
    order = np.lexsort((low, high))
    sizes = np.diff(group_starts(high[order], low[order]))
    numbers = np.empty(len(high), dtype=np.int64)
    numbers[order] = np.repeat(np.arange(len(sizes)), sizes)
    return numbers


def _without_singles(members: Members) -> Members:
    # Hashes that agree in 64 bits of 128 were collected together and have parted since.
    many = members.size > 1
    return members.take(many)


def verdict(task: GatherTask, *, stage: Exact) -> None:
    """Write the verdicts of a part."""
    low, high = bases(task.parts)[task.unit : task.unit + 2].tolist()
    members = read_members(task.inputs("match", "members"), low, high)
    n_bytes = read_arrays(task.inputs("sign", "hashes")[task.unit])["n_bytes"]
    settle(task, stage, members, n_bytes)
    tell_clusters(task, "match")
