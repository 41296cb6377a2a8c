"""MinHash signatures of parts, as files, and what is compared in them.

    signature: uint32[n, bands * rows]    of scheme "datatrove" uint64
    key: uint64[bands, n]                 a hash of each document's band, sorted
    at: uint32[bands, n]                  whose it is: an index into the arrays below
    whole: uint64[n]                      a hash of the signature, or of the text where shingles decide
    id_high, id_low: uint64[n]; row: int64[n], ascending
    place: uint32[n_docs]                 where each row of the part stands in the arrays above, if it is signed
    n_bytes: int64[n_docs]                of every row of the part, signed or not
    rank: int64[n]                        smaller is better (`ranks.py`); not there where the first stays

`about` names the scheme; files of two schemes are not compared. A document without words is not signed.

    scheme "quern"        `kernels/sketches.py`, the fastest
    scheme "datasketch"   datasketch 2's "affine32" over our shingles, bit for bit (`kernels/minhash.py`)
    scheme "datatrove"    datatrove's over its simplified text and spaCy's words (`kernels/simplify.py`); 64 bits, so
                          `signature` is uint64; a text of fewer words than a shingle is not signed, as there

Price: 556 bytes a document at 16 bands of 5; they go when the gather is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manifests.digest import hash64
from manifests.errors import FormatError
from pipelines.batch import TextView
from pipelines.dedup.arrays import ArrayFile, read_arrays
from pipelines.dedup.texts import pieces
from pipelines.kernels.hashing import xxh64_spans
from pipelines.kernels.minhash import shingle, sign
from pipelines.kernels.sets import distinct_in
from pipelines.kernels.simplify import sign_wide, wide_shingles
from pipelines.kernels.sketches import shingle_sets, sketch_texts

__all__ = [
    "Hash",
    "Scheme",
    "SchemeName",
    "band_keys",
    "count_equal",
    "places_of",
    "read_signatures",
    "shingles_of",
    "sign_texts",
    "sorted_keys",
    "text_keys",
    "whole_keys",
]

U32s = npt.NDArray[np.uint32]
U64s = npt.NDArray[np.uint64]
I64s = npt.NDArray[np.int64]
Signatures = npt.NDArray[np.unsignedinteger[Any]]
SchemeName = Literal["quern", "datasketch", "datatrove"]
Hash = Literal["xxhash", "sha1"]

_MIX = np.uint64(0x9E3779B97F4A7C15)
_HASHES_AT_ONCE = 1 << 22
_NARROW: dict[str, Literal["xxh32", "sha1"]] = {"xxhash": "xxh32", "sha1": "sha1"}
_WIDE: dict[str, Literal["xxh64", "sha1"]] = {"xxhash": "xxh64", "sha1": "sha1"}


class Scheme(NamedTuple):
    """What makes two signatures comparable."""

    ngram: int
    bands: int
    rows: int
    seed: int
    hash_name: Hash = "xxhash"
    name: SchemeName = "datasketch"

    def about(self) -> dict[str, Any]:
        """The scheme as a file's header spells it."""
        return {"version": 2, **self._asdict()}


def sign_texts(table: pa.Table, scheme: Scheme) -> tuple[Signatures, I64s]:
    """Signatures [n_docs, bands * rows], uint32 or of datatrove uint64, and int64[n_docs] shingles: 0 for none."""
    none = np.zeros((0, scheme.bands * scheme.rows), dtype="u8" if scheme.name == "datatrove" else "u4")
    signatures: list[Signatures] = [none]
    n_shingles = [np.zeros(0, dtype=np.int64)]
    for piece in pieces(table):
        signed, counts = _sign(piece.text, scheme)
        signatures.append(signed)
        n_shingles.append(counts)
    return np.concatenate(signatures), np.concatenate(n_shingles)


def _sign(text: TextView, scheme: Scheme) -> tuple[Signatures, I64s]:
    numbers: _Permutations = {"n_permutations": scheme.bands * scheme.rows, "seed": scheme.seed}
    if scheme.name == "quern":
        return sketch_texts(*text, n_gram=scheme.ngram, **numbers)
    if scheme.name == "datatrove":
        hashes = wide_shingles(*text, n_gram=scheme.ngram, hash_name=_WIDE[scheme.hash_name])
        return sign_wide(hashes, **numbers), np.diff(hashes.offsets)
    shingles = shingle(*text, n_gram=scheme.ngram, hash_name=_NARROW[scheme.hash_name])
    return sign(shingles, **numbers), np.diff(shingles.offsets)


class _Permutations(TypedDict):
    n_permutations: int
    seed: int


def shingles_of(table: pa.Table, scheme: Scheme) -> tuple[U32s, I64s]:
    """The distinct shingles of every text, uint32, and where each text's end: int64[n_docs + 1].

    Of datatrove's 64 bits the lower half: enough to tell what two texts have in common.
    """
    hashes, sizes = [np.zeros(0, dtype=np.uint32)], [np.zeros(1, dtype=np.int64)]
    for piece in pieces(table):
        found, ends = _distinct(piece.text, scheme)
        hashes.append(found)
        sizes.append(np.diff(ends))
    return np.concatenate(hashes), np.cumsum(np.concatenate(sizes))


def _distinct(text: TextView, scheme: Scheme) -> tuple[U32s, I64s]:
    if scheme.name == "quern":
        return shingle_sets(*text, n_gram=scheme.ngram)
    if scheme.name == "datatrove":
        hashes, ends = wide_shingles(*text, n_gram=scheme.ngram, hash_name=_WIDE[scheme.hash_name])
        return distinct_in(hashes.astype(np.uint32), ends)
    return shingle(*text, n_gram=scheme.ngram, hash_name=_NARROW[scheme.hash_name])


def band_keys(signature: Signatures, *, within: str | None) -> U64s:
    """A hash of each document's band: uint64[bands, n] from [n, bands, rows].

    within: documents with different values get different keys. Two bands of a hundred million documents that
    differ get one key with a chance near 3 in 10,000; then at most a pair is compared too many.
    """
    start = np.uint64(0 if within is None else hash64("source", within))
    keys = np.full(signature.shape[:2], start, dtype=np.uint64)
    for row in range(signature.shape[2]):
        keys = (keys ^ signature[:, :, row]) * _MIX
        keys ^= keys >> np.uint64(32)
    return np.ascontiguousarray((keys * _MIX).T)


def whole_keys(keys: U64s) -> U64s:
    """A hash of each document's keys, uint64[n] from uint64[bands, n]: equal where signatures are."""
    whole = np.zeros(keys.shape[1], dtype=np.uint64)
    for band in keys:
        whole = (whole ^ band) * _MIX
        whole ^= whole >> np.uint64(32)
    return whole


def text_keys(table: pa.Table) -> U64s:
    """A hash of each text's bytes, uint64[n_docs]."""
    keys = [xxh64_spans(*piece.text, np.uint64(0)) for piece in pieces(table)]
    return np.concatenate([np.zeros(0, dtype=np.uint64), *keys])


def sorted_keys(keys: U64s) -> tuple[U64s, U32s]:
    """The keys of each band in ascending order, and whose each is."""
    order = np.argsort(keys, axis=1, kind="stable")
    return np.take_along_axis(keys, order, axis=1), order.astype(np.uint32)


def places_of(rows: I64s, n_docs: int) -> U32s:
    """The index of each row in `rows`; beyond all of them where it is not there."""
    places = np.full(n_docs, np.iinfo(np.uint32).max, dtype=np.uint32)
    places[rows] = np.arange(len(rows), dtype=np.uint32)
    return places


def read_signatures(paths: Sequence[Path]) -> list[ArrayFile]:
    """Signature files, mapped.

    Raises: FormatError where two were made by different schemes.
    """
    files = [read_arrays(path) for path in paths]
    for path, file in zip(paths, files, strict=True):
        if file.about != files[0].about:
            raise FormatError(
                f"{path}: expected signatures made by {files[0].about}, found {file.about}. Equal texts "
                "would look different. Delete the file and build again."
            )
    return files


def count_equal(files: Sequence[ArrayFile], first: I64s, a: I64s, b: I64s) -> I64s:
    """In how many places the signatures of documents `a[i]` and `b[i]` agree: int64[n].

    a, b: ordinals; first: the ordinal of each file's first row. Divided by bands * rows this estimates the
    Jaccard similarity of their shingles, with a standard error of at most 0.05 at 112 places.
    """
    counts = [np.zeros(0, dtype=np.int64)]
    n_pairs = max(1, _HASHES_AT_ONCE // files[0].column("signature").shape[1]) if files else 1
    for at in range(0, len(a), n_pairs):
        span = slice(at, at + n_pairs)
        docs, place = np.unique(np.concatenate([a[span], b[span]]), return_inverse=True)
        taken = _take(files, first, docs)
        mine, theirs = np.split(place.reshape(-1), 2)
        counts.append(np.count_nonzero(taken[mine] == taken[theirs], axis=1).astype(np.int64))
    return np.concatenate(counts)


def _take(files: Sequence[ArrayFile], first: I64s, ordinals: I64s) -> Signatures:
    """The signatures of documents, whose ordinals ascend: [n, bands * rows]."""
    taken = [
        np.zeros((0, files[0].column("signature").shape[1]), dtype=files[0].column("signature").place.dtype)
    ]
    owners = np.unique(np.searchsorted(first, ordinals, side="right") - 1)
    for number in owners.tolist():
        file = files[number]
        mine = ordinals[slice(*np.searchsorted(ordinals, first[number : number + 2]))] - first[number]
        taken.append(file.column("signature")[file.column("place")[mine].astype(np.int64)])
        file.release()
    return np.concatenate(taken)
