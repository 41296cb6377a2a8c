"""Slow, obvious twins of the gathers: dictionaries, sets and datasketch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xxhash
from datasketch import MinHash

from tests.oracles.kernel_twins import shingle_words, shingles


@dataclass(frozen=True)
class Doc:
    """A document as the twins see it; `rank` is its source's place in the recipe."""

    rank: int
    id: bytes
    text: str | None


def exact_keepers(docs: Sequence[Doc], *, normalised: bool) -> dict[bytes, bytes]:
    """The keeper of every document that has a duplicate."""
    groups: dict[str, list[Doc]] = defaultdict(list)
    for doc in docs:
        key = " ".join(shingle_words(doc.text or "")) if normalised else doc.text
        if key:
            groups[key].append(doc)
    return {
        doc.id: min(group, key=lambda d: (d.rank, d.id)).id
        for group in groups.values()
        for doc in group
        if len(group) > 1
    }


def signature(text: str, *, ngram: int, n_hashes: int, seed: int = 1) -> np.ndarray:
    """datasketch's signature of the text's shingles."""
    sketch = MinHash(num_perm=n_hashes, seed=seed, scheme="affine32", hashfunc=xxhash.xxh32_intdigest)
    sketch.update_batch(shingles(text, ngram))
    return sketch.hashvalues.astype(np.uint32)


def near_keepers(
    docs: Sequence[Doc], *, ngram: int, bands: int, rows: int, longest: bool
) -> dict[bytes, bytes]:
    """The keeper of every document of a cluster: bands in a dictionary, components by flooding."""
    signed = {
        d.id: signature(d.text, ngram=ngram, n_hashes=bands * rows)
        for d in docs
        if shingle_words(d.text or "")
    }
    groups: dict[tuple[int, bytes], list[bytes]] = defaultdict(list)
    for name, hashes in signed.items():
        for band in range(bands):
            groups[band, hashes[band * rows : (band + 1) * rows].tobytes()].append(name)
    neighbours: dict[bytes, set[bytes]] = defaultdict(set)
    for group in groups.values():
        for name in group:
            neighbours[name] |= set(group)
    by_id = {doc.id: doc for doc in docs}
    keepers: dict[bytes, bytes] = {}
    for name in signed:
        cluster = _flood(name, neighbours)
        if len(cluster) > 1:
            keepers[name] = min(cluster, key=lambda i: _rank(by_id[i], longest=longest))
    return keepers


def _rank(doc: Doc, *, longest: bool) -> tuple[int, int, bytes]:
    return (-len(doc.text.encode()) if longest else 0, doc.rank, doc.id)


def _flood(start: bytes, neighbours: dict[bytes, set[bytes]]) -> set[bytes]:
    found, todo = {start}, [start]
    while todo:
        new = neighbours[todo.pop()] - found
        found |= new
        todo += new
    return found


def item_ngrams(strings: Sequence[str], *, ngram: int, min_words: int) -> set[tuple[str, ...]]:
    """What is looked for of one benchmark item; empty if it is too short."""
    split = [shingle_words(text) for text in strings]
    long = [words for words in split if len(words) >= ngram]
    if not long:
        return {tuple(words) for words in split if len(words) >= min_words}
    return {tuple(words[i : i + ngram]) for words in long for i in range(len(words) - ngram + 1)}


def hits(text: str, wanted: set[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Runs of the text's words that are wanted, by place, the shorter first."""
    words, widths = shingle_words(text), sorted({len(gram) for gram in wanted})
    runs = (tuple(words[i : i + w]) for i in range(len(words)) for w in widths if i + w <= len(words))
    return [run for run in runs if run in wanted]
