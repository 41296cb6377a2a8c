"""How much of a text's words stands in a stretch of others, its window.

    bag      eiffel 9 | tower 7 | built 5 | was 1        distinct words, heaviest first, and their weights
    window   ... asked when the Eiffel Tower was made ...                  -> 17

Nearly every comparison ends after a few words, because what may be missing is spent: those are looked for one by one.
What `N_SCANNED` words do not settle goes on with a hash table of the window.

Price: a comparison of B words with a window of W is O(B + W); without the table it was O(B * W), and a document that
repeats a sentence of a passage of 16,000 words was judged at 0.7 MB/s instead of 14.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import inline

__all__ = ["near", "weigh"]

Offsets = npt.NDArray[np.int64]
U64s = npt.NDArray[np.uint64]

MAX_EXACT = 3
"""Words of a companion that must stand there as they are; of a longer one a share is asked."""

N_SCANNED = 48
"""Words of a text that are looked for one by one: nearly every comparison ends sooner than a table is filled."""

_ODD = np.uint64(0xD6E8FEB86659FD93)


@inline
def _stands_in(word: np.uint64, words: U64s, low: int, high: int) -> bool:
    n = 0
    for at in range(low, high):
        n += words[at] == word
    return n > 0


@inline
def _hold(words: U64s, low: int, high: int, table: U64s, stamps: Offsets) -> int:
    """Fill the table with `words[low:high]`; what was in it before has another stamp. The stamp of this filling."""
    mask, last = len(table) - 1, len(table)
    stamps[last] += 1
    stamp = stamps[last]
    for at in range(low, high):
        slot = np.int64(words[at] * _ODD >> np.uint64(32)) & mask
        while stamps[slot] == stamp and table[slot] != words[at]:
            slot = slot + 1 & mask
        table[slot], stamps[slot] = words[at], stamp
    return stamp  # type: ignore[no-any-return]


@inline
def _is_held(word: np.uint64, table: U64s, stamps: Offsets, stamp: int) -> bool:
    mask = len(table) - 1
    slot = np.int64(word * _ODD >> np.uint64(32)) & mask
    while stamps[slot] == stamp:
        if table[slot] == word:
            return True
        slot = slot + 1 & mask
    return False


@inline
def weigh(
    bag: U64s, weight: Offsets, first: int, last: int, spare: int, words: U64s, low: int, high: int,
    table: U64s, stamps: Offsets,
) -> int:  # fmt: skip
    """The weight of the bag's words in `words[low:high]`; -1 as soon as more than `spare` is missing."""
    found, middle = 0, min(first + N_SCANNED, last)
    for k in range(first, middle):
        if _stands_in(bag[k], words, low, high):
            found += weight[k]
        else:
            spare -= weight[k]
            if spare < 0:
                return -1
    if middle == last:
        return found
    stamp = _hold(words, low, high, table, stamps)
    for k in range(middle, last):
        if _is_held(bag[k], table, stamps, stamp):
            found += weight[k]
        else:
            spare -= weight[k]
            if spare < 0:
                return -1
    return found


@inline
def _run_in(seq: U64s, first: int, last: int, words: U64s, low: int, high: int) -> bool:
    n = last - first
    for at in range(low, high - n + 1):
        same = 0
        while same < n and words[at + same] == seq[first + same]:
            same += 1
        if same == n:
            return True
    return False


@inline
def near(
    c: int, seq_ends: Offsets, seq: U64s, bag_ends: Offsets, bag: U64s, weight: Offsets, total: Offsets,
    least: Offsets, words: U64s, front: int, inner: int, outer: int, back: int, table: U64s, stamps: Offsets,
) -> int:  # fmt: skip
    """The weight found of a companion in `words[front:inner]` or `words[outer:back]`, -1 where it stands in neither."""
    first, last = seq_ends[c], seq_ends[c + 1]
    if last - first <= MAX_EXACT:
        stands = _run_in(seq, first, last, words, front, inner) or _run_in(
            seq, first, last, words, outer, back
        )
        return total[c] if stands else -1
    begin, end, spare = bag_ends[c], bag_ends[c + 1], total[c] - least[c]
    before = weigh(bag, weight, begin, end, spare, words, front, inner, table, stamps)
    return max(before, weigh(bag, weight, begin, end, spare, words, outer, back, table, stamps))
