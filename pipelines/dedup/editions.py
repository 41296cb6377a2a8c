"""Editions: of the files of a source that hold one book, the best one stays.

    1342-0.txt      ref 1342   rank 0   UTF-8                        stays
    1342.txt        ref 1342   rank 1   plain, once ASCII            other_edition
    1342-8.txt      ref 1342   rank 2   an 8-bit code                other_edition
    1342-h.zip      ref 1342   rank 3   HTML                         other_edition
    pandp12.txt     ref 1342   rank 4   any other name               other_edition

    sign     a part -> (xxh3-128 of source and ref, rank, doc_id, row) sorted by hash
    match    a range of hashes, all parts -> the members of clusters of two or more
    verdict  a part -> keep or `other_edition`, with its cluster and its keeper

`ref` is the book's number, which the Gutenberg reader takes from the header or the file's name; a document without
one, such as a chapter, is no edition of anything. A book that is one of several in a zip is ranked by its own name
there. Among equals the first by doc_id stays, so a book that is there plain and zipped
stays once. Texts are not compared: revised ones differ, and two books with nearly equal texts are for `minhash`.

Name `sources` where another source keeps in `ref` what is no number of a book.

Price: one pass over the parts' `ref`; 50 bytes a document.

Source: file names and codes as Project Gutenberg's "File formats" explains them, https://www.gutenberg.org/help/file_formats.html.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import PurePosixPath
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from pydantic import Field

from pipelines.dedup.arrays import read_arrays, write_arrays
from pipelines.dedup.members import (
    cluster_facts,
    make_members,
    read_members,
    settle,
    tell_clusters,
    write_members,
)
from pipelines.dedup.repeats import KERNELS, bases, bucket_slice, gather, n_buckets, repeated
from pipelines.dedup.texts import id_words, text_bytes
from pipelines.stage import Gather, GatherTask, Phase

__all__ = ["Editions", "edition_rank", "match", "sign", "verdict"]

U64s = npt.NDArray[np.uint64]
I64s = npt.NDArray[np.int64]

_NAME = re.compile(r"(?:pg)?\d+(-[0-9a-z]+)?(?:\.(?:txt|utf8|zip|gz|html?))+", re.IGNORECASE)
_RANKS = {"-0": 0, "": 1, "-8": 2, "-h": 3}
_OTHER = 4
_BOOKS = (".txt", ".htm", ".html")


class Editions(Gather):
    """Drops all files of a book but one."""

    name: ClassVar[str] = "editions"
    version: ClassVar[int] = 3
    reads: ClassVar[tuple[str, ...]] = ("ref",)
    reasons: ClassVar[tuple[str, ...]] = ("other_edition",)
    libraries: ClassVar[tuple[str, ...]] = ("xxhash",)

    sources: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Sources whose documents are compared, each with those of its own source; all if left out."""

    def kernels(self) -> tuple[str, ...]:
        """Those that find repeated hashes."""
        return KERNELS

    def phases(self) -> list[Phase]:
        """sign, match, verdict."""
        return [
            Phase("sign", "part", partial(sign, sources=self.sources)),
            Phase("match", _buckets, match),
            Phase("verdict", "part", partial(verdict, stage=self), keep=True),
        ]


def edition_rank(path: str) -> int:
    """How good an edition is by the name of its file, 0 for the best.

    >>> [edition_rank(name) for name in ("1/1342-0.txt", "pg1342.txt", "1342-8.zip", "1342-h.htm", "pandp12.txt")]
    [0, 1, 2, 3, 4]
    """
    found = _NAME.fullmatch(path.rpartition("/")[2])
    if found is None:
        return _OTHER
    html = path.lower().endswith((".htm", ".html"))
    return _RANKS["-h"] if html else _RANKS.get((found.group(1) or "").lower(), _OTHER)


def _buckets(task: GatherTask) -> int:
    return n_buckets(sum(part.n_docs for part in task.parts))


def sign(task: GatherTask, *, sources: tuple[str, ...] | None) -> None:
    """Hash the book's number of every document and rank its edition; write them sorted by hash."""
    source = task.parts[task.unit].source
    table = task.read_part(task.unit, ["doc_id", "ref", "origin", "text"])
    n_bytes = text_bytes(table)
    numbered = np.asarray(table.column("ref").is_valid()) & (sources is None or source in sources)
    rows = np.flatnonzero(task.alive(task.unit) & numbered & (n_bytes > 0))
    high, low = _hashes(source, table.column("ref"), rows)
    ranks = np.array([_rank(table.column("origin")[row]) for row in rows.tolist()], dtype=np.int64)
    order = np.lexsort((low, high))
    rows = rows[order]
    id_high, id_low = id_words(table)
    arrays = {"high": high[order], "low": low[order], "id_high": id_high[rows], "id_low": id_low[rows]}
    with task.output("refs", ".arrays") as file:
        write_arrays(file, {**arrays, "rank": ranks[order], "row": rows, "n_bytes": n_bytes})
    task.facts["n_signed"] = len(rows)


def _hashes(source: str, refs: pa.ChunkedArray, rows: I64s) -> tuple[U64s, U64s]:
    keys = [f"{source}\0{ref}".encode() for ref in refs.take(pa.array(rows)).to_pylist()]
    digests = b"".join(map(xxhash.xxh3_128_digest, keys))
    words = np.frombuffer(digests, dtype=">u8").reshape(-1, 2).astype(np.uint64)
    return words[:, 0].copy(), words[:, 1].copy()


def _rank(origin: Any) -> int:
    records = origin.as_py()
    return edition_rank(_own_name(records[0])) if records else _OTHER


def _own_name(record: dict[str, Any]) -> str:
    """The member's name where a zip holds several books, else the file's."""
    member = (record["record_id"] or "").partition("#")[0]
    return member if PurePosixPath(member).suffix.lower() in _BOOKS else record["path"]


def match(task: GatherTask) -> None:
    """Find equal hashes in one range of them, over all parts."""
    files = [read_arrays(path) for path in task.inputs("sign", "refs")]
    keys = [file.column("high") for file in files]
    found = repeated(keys, [bucket_slice(k, task.unit, task.n_units) for k in keys])
    column = {
        name: gather([f.column(name) for f in files], found)
        for name in ("low", "id_high", "id_low", "rank", "row")
    }
    both = np.stack([gather(keys, found), column["low"].astype(np.uint64)], axis=1)
    cluster = np.unique(both, axis=0, return_inverse=True)[1].reshape(-1)
    ordinals = bases(task.parts)[found.file] + column["row"]
    members = make_members(cluster, ordinals, column["id_high"], column["id_low"], column["rank"])
    many = members.size > 1
    members = members.take(many)
    with task.output("members", ".arrays") as file:
        write_members(file, members)
    task.facts.update(cluster_facts(members))


def verdict(task: GatherTask, *, stage: Editions) -> None:
    """Write the verdicts of a part."""
    low, high = bases(task.parts)[task.unit : task.unit + 2].tolist()
    members = read_members(task.inputs("match", "members"), low, high)
    n_bytes = read_arrays(task.inputs("sign", "refs")[task.unit])["n_bytes"]
    settle(task, stage, members, n_bytes)
    tell_clusters(task, "match")
