"""How much of a text stands in a document: found by a run of words, measured by the words around it.

    text       in what year was the eiffel tower built       8 words, runs of 4: in what year was | what year was the |
    document   ... asked in what year the Eiffel Tower, was built by ...
                   [      the text's length and a little      ]        window where a shared run says the text would be
    share      weights of the text's distinct words that stand in the window / weights of all of them

A run is what makes a comparison: it is as long as `run_widths` says, so that one changed word in a short text leaves
one. The words decide: a changed word costs its own weight and not that of every n-gram over it. Within the window their
order is free. A text may need a second one, its companion: looked for in the words before and behind it, a short one
as a run, a longer one by its share.

Weights are whole numbers and a text's heaviest words come first, so nearly every comparison ends after a few.

Price: words are hashed as in `sketches`; a run looked up costs 10 to 40 ns a word of document, a comparison no more
than the words of text and window together (`windows`).

Source: the two steps, rare n-grams and then a weighted share, are those of decon (allenai/decon, doc/simple.md); it
grows a cluster of 5-grams and weighs n-grams. Weighed so, one changed word in twelve costs up to five eighths of the
score.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.kernels.jit import BYTES, OFFSETS, inline, kernel, pointer
from pipelines.kernels.lanes import readable
from pipelines.kernels.ngrams import BASE, power_of
from pipelines.kernels.sketches import hash_words, most_words
from pipelines.kernels.unicode import character_classes, lower_deltas
from pipelines.kernels.windows import near, weigh

__all__ = [
    "Found",
    "Index",
    "Runs",
    "TextWords",
    "find_texts",
    "find_texts_in",
    "list_runs",
    "make_runs",
    "run_widths",
    "word_hashes",
    "words_of_texts",
]

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
U64s = npt.NDArray[np.uint64]
I32s = npt.NDArray[np.int32]

N_ANCHOR = 4
"""Words of the shortest run, with which every run begins."""

_K = np.uint64(0xD6E8FEB86659FD93)
_LOWER = "Array(int32, 1, 'C', readonly=True)"
_U64S = "Array(uint64, 1, 'C', readonly=True)"


class TextWords(NamedTuple):
    """The hashes of the words of texts: text t has `hashes[ends[t]:ends[t + 1]]`; `prints[t]` is of them all."""

    hashes: U64s
    ends: Offsets
    prints: U64s


class Runs(NamedTuple):
    """Runs of words to be looked for: the number of each and of its first words, its text, and its place there."""

    keys: U64s
    anchors: U64s
    text: Offsets
    at: Offsets


class Index(NamedTuple):
    """What is looked for.

    keys, gram, filter: the table of runs (`ngrams.make_table`); run g stands in texts
    `post_text[post_ends[g]:post_ends[g + 1]]` at words `post_at`. Text t has the words
    `seq[seq_ends[t]:seq_ends[t + 1]]` and the distinct words `bag[bag_ends[t]:...]` of `weight`, heaviest first, which
    sum to `total`. Found alone it needs `need` of them, with a companion `least`, and the companion its own `least`,
    and both together the sum of what they need alone. Its companions are `companion[pair_ends[t]:pair_ends[t + 1]]`; -1
    asks for none.
    """

    keys: U64s
    gram: Offsets
    filter: Bytes
    widths: Offsets
    post_ends: Offsets
    post_text: Offsets
    post_at: Offsets
    seq_ends: Offsets
    seq: U64s
    bag_ends: Offsets
    bag: U64s
    weight: Offsets
    total: Offsets
    need: Offsets
    least: Offsets
    pair_ends: Offsets
    companion: Offsets


class Found(NamedTuple):
    """Pairs that were found, by document, then place: int64[n_found] each.

    pair: index into `companion`; start, end: words of the document between which the text stands; score: the share of
    both, in thousandths.
    """

    doc: Offsets
    pair: Offsets
    start: Offsets
    end: Offsets
    score: Offsets


def run_widths(n_words: Offsets) -> Offsets:
    """How many words in a row a document must share with a text of `n_words` for the two to be compared.

    4 below 10 words, 5 up to 23, then a quarter, at most 10: what one edit leaves of the shorter, and three of the
    longer ones. 0 for fewer than 5 words, which are never looked for first.
    """
    wide = np.clip(n_words // 4, 5, 10)
    return np.where(n_words < 5, 0, np.where(n_words < 10, N_ANCHOR, wide)).astype(np.int64)


@inline
def _mix(value: np.uint64, width: int) -> np.uint64:
    value = (value ^ np.uint64(width)) * _K
    value = (value ^ value >> np.uint64(32)) * _K
    return value ^ value >> np.uint64(32)


@inline
def _sum_up(hashes: U64s, n_words: int, prefix: U64s) -> None:
    prefix[0] = np.uint64(0)
    for word in range(n_words):
        prefix[word + 1] = prefix[word] * BASE + hashes[word]


@kernel(f"Tuple((uint64[::1], int64[::1], uint64[::1]))({BYTES}, {OFFSETS}, {BYTES}, {_LOWER})")
def words_of_texts(data: Bytes, offsets: Offsets, classes: Bytes, lower: I32s) -> tuple[U64s, Offsets, U64s]:
    """The hash of every word, where each text's begin, and a number of each text. data: at least 64 bytes."""
    most = most_words(offsets)
    words, out = np.empty(most, np.uint64), np.empty(2 * most + 8, np.uint8)
    hashes = np.empty(offsets[-1] - offsets[0] + 1, np.uint64)
    ends, prints = np.zeros(len(offsets), np.int64), np.zeros(len(offsets) - 1, np.uint64)
    text, kinds, deltas = pointer(data), pointer(classes), pointer(lower)
    for doc in range(len(prints)):
        n = hash_words(
            text, offsets[doc], offsets[doc + 1], len(data), kinds, deltas, pointer(out), pointer(words)
        )
        value, at = np.uint64(0), ends[doc]
        for word in range(n):
            hashes[at + word] = words[word]
            value = value * BASE + words[word]
        ends[doc + 1], prints[doc] = at + n, _mix(value, n)
    return hashes, ends, prints


@kernel(
    f"Tuple((uint64[::1], uint64[::1], int64[::1], int64[::1]))({_U64S}, {OFFSETS}, {OFFSETS}, {OFFSETS})"
)
def list_runs(
    hashes: U64s, ends: Offsets, texts: Offsets, widths: Offsets
) -> tuple[U64s, U64s, Offsets, Offsets]:
    """The runs of the texts named, `widths[i]` words each in text `texts[i]`: number, anchor, text, place."""
    n_runs = longest = 0
    for i in range(len(texts)):
        n_words = ends[texts[i] + 1] - ends[texts[i]]
        n_runs += max(n_words - widths[i] + 1, 0)
        longest = max(longest, n_words)
    keys, anchors = np.empty(n_runs, np.uint64), np.empty(n_runs, np.uint64)
    owner, place = np.empty(n_runs, np.int64), np.empty(n_runs, np.int64)
    prefix, short = np.empty(longest + 1, np.uint64), power_of(N_ANCHOR)
    n = 0
    for i in range(len(texts)):
        start, width, power = ends[texts[i]], widths[i], power_of(widths[i])
        n_words = ends[texts[i] + 1] - start
        _sum_up(hashes[start:], n_words, prefix)
        for at in range(n_words - width + 1):
            keys[n] = _mix(prefix[at + width] - prefix[at] * power, width)
            anchors[n] = _mix(prefix[at + N_ANCHOR] - prefix[at] * short, N_ANCHOR)
            owner[n], place[n] = texts[i], at
            n += 1
    return keys, anchors, owner, place


@inline
def _look_up(key: np.uint64, keys: U64s, values: Offsets, mask: int) -> int:
    """The index of a run, -1 where it is not in the table."""
    slot = np.int64(key >> np.uint64(24)) & mask
    while values[slot] >= 0:
        if keys[slot] == key:
            return values[slot]  # type: ignore[no-any-return]
        slot = slot + 1 & mask
    return -1


@inline
def _grown(old: Offsets) -> Offsets:
    new = np.empty(2 * len(old), np.int64)
    for i in range(len(old)):
        new[i] = old[i]
    return new


_INDEX = ", ".join(
    [_U64S, OFFSETS, BYTES, OFFSETS, OFFSETS, OFFSETS, OFFSETS, OFFSETS, _U64S, OFFSETS, _U64S]
    + [OFFSETS] * 6
)


@kernel(
    f"Tuple((int64[::1], int64[::1], int64[::1], int64[::1], int64[::1]))"
    f"({BYTES}, {OFFSETS}, {BYTES}, {_LOWER}, int64, {_INDEX})"
)
def find_texts_in(  # noqa: C901 - one pass, flat, as kernels are
    data: Bytes, offsets: Offsets, classes: Bytes, lower: I32s, reach: int,
    keys: U64s, gram: Offsets, bits: Bytes, widths: Offsets,
    post_ends: Offsets, post_text: Offsets, post_at: Offsets, seq_ends: Offsets, seq: U64s,
    bag_ends: Offsets, bag: U64s, weight: Offsets, total: Offsets, need: Offsets, least: Offsets,
    pair_ends: Offsets, companion: Offsets,
) -> tuple[Offsets, Offsets, Offsets, Offsets, Offsets]:  # fmt: skip
    """The columns of `Found`. data: at least 64 bytes."""
    most, mask, n_texts = most_words(offsets), len(keys) - 1, len(total)
    words, out, prefix = (
        np.empty(most, np.uint64), np.empty(2 * most + 8, np.uint8), np.empty(most + 1, np.uint64)
    )  # fmt: skip
    powers, short = np.empty(len(widths), np.uint64), power_of(N_ANCHOR)
    for i in range(len(widths)):
        powers[i] = power_of(widths[i])
    # Of each text: the last document in which it was compared, where it would have begun, and where it ended if found.
    last_doc, last_at = np.full(n_texts, -1, np.int64), np.empty(n_texts, np.int64)
    until = np.empty(n_texts, np.int64)
    docs, pairs, scores = np.empty(64, np.int64), np.empty(64, np.int64), np.empty(64, np.int64)
    starts, stops = np.empty(64, np.int64), np.empty(64, np.int64)
    # No window is longer than the longest text and its companion reach.
    n_found = longest = 0
    for i in range(n_texts):
        longest = max(longest, seq_ends[i + 1] - seq_ends[i])
    size = 64
    while size < 2 * min(reach + 4 * longest + 64, most):
        size *= 2
    held, stamps = np.empty(size, np.uint64), np.zeros(size + 1, np.int64)
    text, kinds, deltas = pointer(data), pointer(classes), pointer(lower)
    t_keys, t_gram, t_bits = pointer(keys), pointer(gram), pointer(bits)
    t_bag, t_weight, t_seq = pointer(bag), pointer(weight), pointer(seq)
    for doc in range(len(offsets) - 1):
        w, p = pointer(words), pointer(prefix)  # taken here: an array that is not named again is freed
        n_words = hash_words(text, offsets[doc], offsets[doc + 1], len(data), kinds, deltas, pointer(out), w)
        _sum_up(w, n_words, p)
        for word in range(n_words - N_ANCHOR + 1):
            anchor = _mix(p[word + N_ANCHOR] - p[word] * short, N_ANCHOR)
            byte = t_bits[np.int64(anchor >> np.uint64(3)) & mask]
            if not byte >> np.uint8(anchor & np.uint64(7)) & 1:
                continue
            for i in range(len(widths)):
                stop = word + widths[i]
                if stop > n_words:
                    break
                found = _look_up(_mix(p[stop] - p[word] * powers[i], widths[i]), t_keys, t_gram, mask)
                if found < 0:
                    continue
                for post in range(post_ends[found], post_ends[found + 1]):
                    t, at = post_text[post], word - post_at[post]
                    length = seq_ends[t + 1] - seq_ends[t]
                    slack = 2 + length // 8
                    if last_doc[t] == doc and (abs(at - last_at[t]) <= slack or word < until[t]):
                        continue
                    if last_doc[t] != doc:
                        until[t] = 0
                    last_doc[t], last_at[t] = doc, at
                    low, high = max(at - slack, 0), min(at + length + slack, n_words)
                    weighed = weigh(
                        t_bag, t_weight, bag_ends[t], bag_ends[t + 1], total[t] - least[t], w, low, high,
                        held, stamps,
                    )  # fmt: skip
                    if weighed < 0:
                        continue
                    inner, outer = min(max(at + slack, 0), n_words), max(at + length - slack, 0)
                    for pair in range(pair_ends[t], pair_ends[t + 1]):
                        c, more, all_of = companion[pair], 0, total[t]
                        if c >= 0:
                            far = reach + 2 * (seq_ends[c + 1] - seq_ends[c])
                            front, back = max(at - far, 0), min(at + length + far, n_words)
                            more = near(
                                c, seq_ends, t_seq, bag_ends, t_bag, t_weight, total, least, w,
                                front, inner, outer, back, held, stamps,
                            )  # fmt: skip
                            if more < 0 or weighed + more < need[t] + need[c]:
                                continue
                            all_of += total[c]
                        elif weighed < need[t]:
                            continue
                        if n_found == len(docs):
                            docs, pairs, scores = _grown(docs), _grown(pairs), _grown(scores)
                            starts, stops = _grown(starts), _grown(stops)
                        docs[n_found], pairs[n_found] = doc, pair
                        starts[n_found], stops[n_found] = max(at, 0), min(at + length, n_words)
                        scores[n_found] = 1000 * (weighed + more) // all_of
                        n_found += 1
                        until[t] = at + length + slack
    return docs[:n_found], pairs[:n_found], starts[:n_found], stops[:n_found], scores[:n_found]


def word_hashes(data: Bytes, offsets: Offsets) -> TextWords:
    """The hashes of the words of each text."""
    hashes, ends, prints = words_of_texts(readable(data), offsets, character_classes(), lower_deltas())
    return TextWords(hashes[: ends[-1]], ends, prints)


def make_runs(words: TextWords, *, texts: Offsets, widths: Offsets) -> Runs:
    """The runs of the texts named, `widths[i]` words each in text `texts[i]`, which has that many."""
    assert len(widths) == 0 or widths.min() >= N_ANCHOR, "every run begins with its anchor"
    return Runs(*list_runs(words.hashes, words.ends, texts, widths))


def find_texts(data: Bytes, offsets: Offsets, *, index: Index, reach: int) -> Found:
    """Where the texts of an index stand in documents; `reach`: words before and behind in which a companion may be."""
    return Found(*find_texts_in(readable(data), offsets, character_classes(), lower_deltas(), reach, *index))
