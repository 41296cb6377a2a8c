r"""fastText's supervised model over UTF-8 bytes: the best label of every text, and its score.

    "the tea\n" -> words "the", "tea", "</s>" -> rows: of a known word its own, and of every character n-gram that the
                   model kept -> their mean, float32[dim] -> a walk down the label tree -> label 7, 0.98

The rows of a word are summed first, then the words; fastText adds row after row. So scores are its own to about
1e-6, and labels are where no two are nearer than that. What makes it fast: the sum of a word of up to 16 bytes is
remembered, and most words of a text were met before; n-gram hashes are extended a character at a time and never stored;
a bit table of 250 kB says which have a row, and nothing branches on what it says; rows of a quantized model are
multiplied out once.

Price: 24 ns a character in texts of 4,000, 37 in sentences of 100; fastText takes 245 and 280. Not covered: word
n-grams and losses other than hierarchical softmax and softmax; such a model is left to the library.
Source: Joulin et al. 2016, https://arxiv.org/abs/1607.01759 and (pruned, quantized) https://arxiv.org/abs/1612.03651
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel, pointer
from pipelines.kernels.lanes import ALL, N_LANES, between, first_bit, n_bits_set, readable
from pipelines.kernels.wide import load64, store64

__all__ = ["Tables", "best_labels", "fnv1a", "hash_table", "label_tree"]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
U64s = npt.NDArray[np.uint64]
I32s = npt.NDArray[np.int32]
F32s = npt.NDArray[np.float32]

N_REMEMBERED = 1 << 13
N_FOUND = 1 << 8  # rows of a word's n-grams that are added at a time
_SEED = 2166136261
_PRIME = 16777619
_EOS = np.frombuffer(b"</s>", np.uint8)
_LABEL = np.frombuffer(b"__label__", np.uint8)
_F32S = "Array(float32, 2, 'C', readonly=True)"
_I32S = "Array(int32, 1, 'C', readonly=True)"
_U64S = "Array(uint64, 1, 'C', readonly=True)"


class Tables(NamedTuple):
    """A model as the kernel takes it.

    rows: float32[n_rows, dim], words first, then n-grams; words: the bytes of all known words, word i being
    words[ends[i]:ends[i + 1]], and slots: their hash table (`hash_table`); kept: a bit for every hash of an n-gram that
    has a row, and ranks: the row of the first bit of each uint64, so that rows stand in the order of the hashes;
    output: float32[n_labels, dim] (`n_labels - 1` used by a tree); left, right: int32[2 n_labels - 1], children in the
    label tree, empty for softmax.
    """

    rows: F32s
    words: Bytes
    ends: Offsets
    slots: I32s
    kept: U64s
    ranks: I32s
    output: F32s
    left: I32s
    right: I32s
    n_buckets: int
    min_n: int
    max_n: int


def fnv1a(word: bytes) -> int:
    """fastText's hash: FNV-1a, 32 bits, of bytes taken as signed.

    >>> fnv1a(b"de")
    1545391778
    """
    value = _SEED
    for byte in word:
        value = (value ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * _PRIME & 0xFFFFFFFF
    return value


def hash_table(words: list[bytes]) -> I32s:
    """Open addressing by `fnv1a`, a power of two at least twice the words: word numbers, -1 where empty."""
    n_slots = 1 << max(4, (2 * len(words)).bit_length())
    slots = [-1] * n_slots
    for number, at in enumerate((_hashes(words) & np.uint32(n_slots - 1)).tolist()):
        while slots[at] >= 0:
            at = (at + 1) & (n_slots - 1)
        slots[at] = number
    return np.array(slots, np.int32)


def _hashes(words: list[bytes]) -> npt.NDArray[np.uint32]:
    """`fnv1a` of each word: a byte of all of them at a time."""
    sizes = np.array([len(word) for word in words], np.int64)
    starts = np.cumsum(sizes) - sizes
    signed = np.frombuffer(b"".join(words), np.int8).astype(np.uint32)
    hashes = np.full(len(words), _SEED, np.uint32)
    for k in range(sizes.max(initial=0)):
        longer = np.flatnonzero(sizes > k)
        hashes[longer] = (hashes[longer] ^ signed[starts[longer] + k]) * np.uint32(_PRIME)
    return hashes


def label_tree(counts: list[int]) -> tuple[I32s, I32s]:
    """fastText's Huffman tree of labels by their counts, which descend: left and right children, -1 for a leaf."""
    n_labels = len(counts)
    count = np.full(2 * n_labels - 1, 10**15, np.int64)
    count[:n_labels] = counts
    children = np.full((2, 2 * n_labels - 1), -1, np.int32)
    leaf, node = n_labels - 1, n_labels
    for parent in range(n_labels, 2 * n_labels - 1):
        for side in (0, 1):
            if leaf >= 0 and count[leaf] < count[node]:
                children[side, parent], leaf = leaf, leaf - 1
            else:
                children[side, parent], node = node, node + 1
        count[parent] = count[children[:, parent]].sum()
    return children[0], children[1]


@inline
def _extend(value: np.uint32, byte: np.uint8) -> np.uint32:
    return np.uint32((value ^ np.uint32(np.int8(byte))) * np.uint32(_PRIME))


@inline
def _is_space(byte: int) -> bool:
    return byte == 32 or 9 <= byte <= 13 or byte == 0


@inline
def _word_end(data: Bytes, at: int, end: int, n_readable: int) -> int:
    """Where the word that begins at `at` ends: at the next space, or at `end`."""
    while at < end:
        place = min(at, n_readable - N_LANES)
        spaces = between(data, place, 32, 32) | between(data, place, 9, 13) | between(data, place, 0, 0)
        spaces >>= np.uint64(at - place)
        if spaces:
            return min(at + first_bit(spaces), end)
        at = place + N_LANES
    return end


@inline
def _as_numbers(data: Bytes, start: int, size: int, n_readable: int) -> tuple[np.uint64, np.uint64]:
    """A word of up to 16 bytes as two numbers, its first byte lowest; no word has a byte 0, so they tell it whole."""
    if start + 16 <= n_readable:
        low, high = load64(data, start), load64(data, start + 8)
        low &= ALL >> np.uint64(8 * max(0, 8 - size))
        return low, high & ALL >> np.uint64(8 * (16 - size)) if size > 8 else np.uint64(0)
    low = high = np.uint64(0)
    for k in range(size - 1, -1, -1):
        high = high << np.uint64(8) | low >> np.uint64(56)
        low = low << np.uint64(8) | np.uint64(data[start + k])
    return low, high


@inline
def _same(a: Bytes, start: int, stop: int, b: Bytes, first: int, last: int) -> bool:
    if stop - start != last - first:
        return False
    for k in range(stop - start):
        if a[start + k] != b[first + k]:
            return False
    return True


@inline
def _find(word: Bytes, start: int, stop: int, words: Bytes, ends: Offsets, slots: I32s, mask: int) -> int:
    """The number of a word, -1 for an unknown one; `mask` is one less than there are slots."""
    value = np.uint32(_SEED)
    for k in range(start, stop):
        value = _extend(value, word[k])
    at = np.int64(value) & mask
    while slots[at] >= 0:
        number = slots[at]
        if _same(word, start, stop, words, ends[number], ends[number + 1]):
            return int(number)
        at = (at + 1) & mask
    return -1


@inline
def _add(total: F32s, rows: F32s, row: int, dim: int) -> None:
    """Adds a row to `total`; both are pointers."""
    for d in range(dim):
        total[d] += rows[row * dim + d]


@inline
def _add_found(total: F32s, rows: F32s, found: I32s, n_found: int, dim: int) -> int:
    """Adds the rows that were found to `total`, in their order; returns how many there were."""
    for k in range(n_found):
        _add(total, rows, found[k], dim)
    return n_found


@inline
def _add_ngrams(
    total: F32s,
    rows: F32s,
    dim: int,
    word: Bytes,
    stop: int,
    kept: U64s,
    ranks: I32s,
    n_buckets: int,
    min_n: int,
    max_n: int,
    found: I32s,
) -> int:
    """Adds the rows of every kept n-gram of `word[:stop]`, which carries its `<` and `>`; how many there were.

    All arrays are pointers; `found` has room for N_FOUND rows. Whether an n-gram was kept nobody can guess, so nothing
    branches on it: its row is written in any case, and the next one over it.
    """
    share, n_added, n_found = 1.0 / max(1, n_buckets), 0, 0
    for start in range(stop if n_buckets else 0):  # none of a model of whole words
        if word[start] & 0xC0 == 0x80:
            continue
        value, at = np.uint32(_SEED), start
        for n in range(1, max_n + 1):
            if at == stop:
                break
            value = _extend(value, word[at])
            at += 1
            while at < stop and word[at] & 0xC0 == 0x80:
                value = _extend(value, word[at])
                at += 1
            if n < min_n or (n == 1 and (start == 0 or at == stop)):
                continue
            if n_found == N_FOUND:
                n_added, n_found = n_added + _add_found(total, rows, found, n_found, dim), 0
            # value % n_buckets without a division: half of one is further from a whole number than what rounds.
            bucket = np.int64(value) - np.int64((np.float64(value) + 0.5) * share) * n_buckets
            bits, at_bit = kept[bucket >> 6], np.uint64(bucket & 63)
            found[n_found] = ranks[bucket >> 6] + n_bits_set(bits & ((np.uint64(1) << at_bit) - np.uint64(1)))
            n_found += int(bits >> at_bit & np.uint64(1))
    return n_added + _add_found(total, rows, found, n_found, dim)


@inline
def _by_tree(
    hidden: F32s, output: F32s, left: I32s, right: I32s, nodes: I32s, scores: F32s
) -> tuple[int, float]:
    """The likeliest leaf and its log probability, by a walk that leaves out branches already worse."""
    n_labels = (len(left) + 1) // 2
    best, best_score = -1, np.float32(-1e30)
    depth = 0
    nodes[0], scores[0] = len(left) - 1, np.float32(0)
    while depth >= 0:
        node, score = nodes[depth], scores[depth]
        depth -= 1
        if best >= 0 and score < best_score:
            continue
        if left[node] < 0:
            if best < 0 or score > best_score:
                best, best_score = node, score
            continue
        dot = np.float32(0)
        for d in range(len(hidden)):
            dot += output[node - n_labels, d] * hidden[d]
        share = np.float32(1.0 / (1.0 + np.exp(np.float64(-dot))))
        # The left child is looked at first, so it goes on top.
        depth += 1
        nodes[depth], scores[depth] = (
            right[node],
            np.float32(score + np.float32(np.log(np.float64(share) + 1e-5))),
        )
        depth += 1
        rest = np.float64(np.float32(1.0 - np.float64(share)))
        nodes[depth], scores[depth] = left[node], np.float32(score + np.float32(np.log(rest + 1e-5)))
    return best, np.float64(best_score)


@inline
def _by_softmax(hidden: F32s, output: F32s) -> tuple[int, float]:
    """The likeliest label and its log probability."""
    best, top, total = -1, np.float32(-1e30), 0.0
    for label in range(len(output)):
        dot = np.float32(0)
        for d in range(len(hidden)):
            dot += output[label, d] * hidden[d]
        if dot > top:
            total = total * np.exp(np.float64(top - dot)) + 1.0
            best, top = label, dot
        else:
            total += np.exp(np.float64(dot - top))
    return best, np.log(1.0 / total + 1e-5)


@kernel(
    f"Tuple((int32[::1], float32[::1]))({BYTES}, {OFFSETS}, {OFFSETS}, {OFFSETS}, "
    f"{_F32S}, {BYTES}, {OFFSETS}, {_I32S}, {_U64S}, {_I32S}, "
    f"{_F32S}, {_I32S}, {_I32S}, int64, int64, int64, {BYTES}, {BYTES})"
)
def _best_labels(  # noqa: C901 -- one pass over the bytes, a model's tables by name
    data: Bytes, first: Offsets, starts: Offsets, stops: Offsets,
    rows: F32s, words: Bytes, ends: Offsets, slots: I32s, kept: U64s, ranks: I32s,
    output: F32s, left: I32s, right: I32s, n_buckets: int, min_n: int, max_n: int, eos: Bytes, label_mark: Bytes,
) -> tuple[I32s, F32s]:  # fmt: skip
    n_docs = len(first) - 1
    labels = np.full(n_docs, -1, np.int32)
    scores = np.zeros(n_docs, np.float32)
    dim = rows.shape[1]
    hidden, part = np.zeros(dim, np.float32), np.zeros(dim, np.float32)
    nodes, path = np.zeros(len(left) + 2, np.int32), np.zeros(len(left) + 2, np.float32)
    word, found = np.zeros(64, np.uint8), np.zeros(N_FOUND, np.int32)
    sums, n_sums = np.zeros((N_REMEMBERED, dim), np.float32), np.zeros(N_REMEMBERED, np.int64)
    lows, highs = np.zeros(N_REMEMBERED, np.uint64), np.zeros(N_REMEMBERED, np.uint64)
    for doc in range(n_docs):
        hidden[:] = 0
        n_rows, n_words = 0, 0
        piece, at, end = first[doc] - 1, 0, 0
        ended = False
        while not ended:
            if at >= end:
                piece += 1
                if piece >= first[doc + 1]:
                    break
                at, end = starts[piece], stops[piece]
            while at < end and _is_space(data[at]):
                at += 1
            start, at = at, _word_end(pointer(data), at, end, len(data))
            if at == start:
                continue
            n_words += 1
            size, slot = at - start, 0
            low = high = np.uint64(0)
            if size <= 16:
                low, high = _as_numbers(pointer(data), start, size, len(data))
                mixed = (low ^ high * np.uint64(0xC2B2AE3D27D4EB4F)) * np.uint64(0x9E3779B97F4A7C15)
                slot = np.int64(mixed >> np.uint64(64 - 13))  # type: ignore[assignment]
                if lows[slot] == low and highs[slot] == high:
                    _add(pointer(hidden), pointer(sums), slot, dim)
                    n_rows += n_sums[slot]
                    continue
                store64(pointer(word), 1, low)
                store64(pointer(word), 9, high)
            else:
                if size + 2 > len(word):
                    word = np.zeros(2 * size + 2, np.uint8)
                for k in range(size):
                    word[1 + k] = data[start + k]
            word[0], word[size + 1] = 60, 62
            ended = _same(pointer(word), 1, size + 1, pointer(eos), 0, len(eos))
            number = _find(
                pointer(word), 1, size + 1, pointer(words), pointer(ends), pointer(slots), len(slots) - 1
            )
            is_label = size >= len(label_mark) and _same(
                pointer(word), 1, 1 + len(label_mark), pointer(label_mark), 0, len(label_mark)
            )
            n_part = 0
            part[:] = 0
            if number >= 0:
                _add(pointer(part), pointer(rows), number, dim)
                n_part = 1
            if not ended and (number >= 0 or not is_label):
                n_part += _add_ngrams(
                    pointer(part), pointer(rows), dim, pointer(word), size + 2,
                    pointer(kept), pointer(ranks), n_buckets, min_n, max_n, pointer(found),
                )  # fmt: skip
            for d in range(dim):
                hidden[d] += part[d]
            n_rows += n_part
            if size <= 16 and not ended:
                lows[slot], highs[slot], n_sums[slot] = low, high, n_part
                for d in range(dim):
                    sums[slot, d] = part[d]
        if n_words and not ended:
            number = _find(
                pointer(eos), 0, len(eos), pointer(words), pointer(ends), pointer(slots), len(slots) - 1
            )
            if number >= 0:
                _add(pointer(hidden), pointer(rows), number, dim)
                n_rows += 1
        if not n_words or not n_rows:
            continue
        mean = np.float32(1.0 / n_rows)
        for d in range(len(hidden)):
            hidden[d] *= mean
        if len(left):
            best, score = _by_tree(hidden, output, left, right, nodes, path)
        else:
            best, score = _by_softmax(hidden, output)
        labels[doc], scores[doc] = best, np.exp(score)
    return labels, scores


def best_labels(
    data: Bytes, first: Offsets, starts: Offsets, stops: Offsets, tables: Tables
) -> tuple[I32s, F32s]:
    """The best label's number (int32[n_docs], -1 for a text without words) and its probability (float32[n_docs]).

    Text d is the pieces data[starts[i]:stops[i]] for i in first[d]..first[d + 1], read with a space between two of
    them. A newline reads as a space; a text ends with the model's end-of-sentence token.
    """
    return _best_labels(readable(data), first, starts, stops, *tables, _EOS, _LABEL)
