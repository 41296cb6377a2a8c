"""The lines a trained model must beat, counted on the training split and scored on the same held-out windows.

    uniform         every token equally likely
    unigram         tokens by their frequency
    byte_bigram     each byte given the byte before it
    bigram          each token given the token before it, interpolated with the unigram

Token pairs are counted once, by sorting; the byte pairs follow from them exactly: the pairs inside a token
count as often as the token, the pair across a boundary as often as the token pair. Both bigrams are smoothed
by Witten and Bell's rule: p(b|a) = (n(ab) + t(a) p(b)) / (n(a) + t(a)), t(a) the number of kinds seen after a.
There is nothing to fit. Source: Witten and Bell 1991, method C.

Price: 0.3 s a million tokens. Past MAX_TOKENS evenly spaced pieces are counted, and `counted_frac` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trainer.evaluate import HeldOut, Score, Windows

__all__ = ["Counts", "References", "count_tokens", "reference_scores"]

MAX_TOKENS = 100_000_000
_PIECE = 4_000_000
_START = 256  # the byte context of a document's first byte
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[Any]


class Counts(NamedTuple):
    """unigram: int64[vocab]; pairs: sorted int64 keys a * vocab + b; n_pairs: int64, how often each."""

    unigram: Ints
    pairs: Ints
    n_pairs: Ints
    counted_frac: float


Line = Callable[[Ints, Ints], Floats]
"""-ln p of the targets given the contexts, both int64[n, T]."""

References = dict[str, dict[str, Score]]
"""Line -> source -> score."""


def count_tokens(streams: Sequence[HeldOut], vocab: int, *, max_tokens: int = MAX_TOKENS) -> Counts:
    """Tokens and pairs of neighbours in all `streams` together."""
    total = sum(s.n_tokens for s in streams)
    share = min(1.0, max_tokens / max(total, 1))
    unigram = np.zeros(vocab, dtype=np.int64)
    keys, counts, n_counted = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), 0
    for stream in streams:
        for start in range(0, stream.n_tokens, _PIECE):
            # A piece reads one token of the next, so that no pair is lost between them.
            stop = start + max(1, int(min(_PIECE, stream.n_tokens - start) * share))
            tokens = stream.read(start, min(stop + 1, stream.n_tokens) - start).astype(np.int64)
            unigram += np.bincount(tokens[: stop - start], minlength=vocab)
            n_counted += stop - start
            more, n_more = np.unique(tokens[:-1] * vocab + tokens[1:], return_counts=True)
            keys, counts = _merged(keys, counts, more, n_more)
    return Counts(unigram, keys, counts, n_counted / max(total, 1))


def _merged(keys: Ints, counts: Ints, more: Ints, n_more: Ints) -> tuple[Ints, Ints]:
    if not len(keys):
        return more, n_more
    merged, place = np.unique(np.concatenate([keys, more]), return_inverse=True)
    return merged, np.bincount(place, weights=np.concatenate([counts, n_more])).astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Text:
    """The tokens' bytes as arrays: first and last byte (last of an empty token: _START), and inner pairs."""

    n_bytes: Ints
    first: Ints
    last: Ints
    inner_token: Ints
    inner_pair: Ints


def _text_of(table: Sequence[bytes]) -> _Text:
    pairs = [(t, a * 256 + b) for t, s in enumerate(table) for a, b in pairwise(s)]
    inner = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return _Text(
        n_bytes=np.array([len(s) for s in table], dtype=np.int64),
        first=np.array([s[0] if s else 0 for s in table], dtype=np.int64),
        last=np.array([s[-1] if s else _START for s in table], dtype=np.int64),
        inner_token=inner[:, 0],
        inner_pair=inner[:, 1],
    )


def reference_scores(counts: Counts, table: Sequence[bytes], windows: Mapping[str, Windows]) -> References:
    """The score of every line on every source's windows.

    table: the bytes of each token, as long as the counts' vocabulary.
    """
    text = _text_of(table)
    lines = {
        "uniform": _uniform(counts),
        "unigram": _unigram(counts),
        "byte_bigram": _byte_bigram(counts, text),
        "bigram": _bigram(counts),
    }
    return {
        line: {
            name: _score(nats(rows[:, :-1], rows[:, 1:]), rows[:, 1:], text) for name, rows in windows.items()
        }
        for line, nats in lines.items()
    }


def _score(nats: Floats, targets: Ints, text: _Text) -> Score:
    scored = text.n_bytes[targets] > 0
    return Score(float(nats[scored].sum()), int(text.n_bytes[targets].sum()), int(scored.sum()))


def _uniform(counts: Counts) -> Line:
    nats = float(np.log(len(counts.unigram)))
    return lambda _, targets: np.full(targets.shape, nats)


def _smoothed_unigram(counts: Counts) -> Floats:
    # One is added to every token, so that a token not seen in training has a price.
    return np.asarray((counts.unigram + 1) / (counts.unigram.sum() + len(counts.unigram)), dtype=np.float64)


def _unigram(counts: Counts) -> Line:
    nats = -np.log(_smoothed_unigram(counts))
    return lambda _, targets: np.asarray(nats[targets])


def _bigram(counts: Counts) -> Line:
    vocab, base = len(counts.unigram), _smoothed_unigram(counts)
    context = counts.pairs // vocab
    n_after = np.bincount(context, weights=counts.n_pairs, minlength=vocab)
    n_kinds = np.bincount(context, minlength=vocab).astype(np.float64)

    def nats(contexts: Ints, targets: Ints) -> Floats:
        n_pair = _looked_up(counts, contexts * vocab + targets)
        p = _witten_bell(n_pair, n_after[contexts], n_kinds[contexts], base[targets])
        return np.asarray(-np.log(p))

    return nats


def _witten_bell(n_pair: Numbers, n_after: Numbers, n_kinds: Numbers, base: Floats) -> Floats:
    # A context never seen leaves the base alone.
    whole = n_after + n_kinds
    return np.where(whole > 0, (n_pair + n_kinds * base) / np.maximum(whole, 1), base)


def _looked_up(counts: Counts, keys: Ints) -> Floats:
    if not len(counts.pairs):
        return np.zeros(keys.shape)
    place = np.minimum(np.searchsorted(counts.pairs, keys), len(counts.pairs) - 1)
    return np.where(counts.pairs[place] == keys, counts.n_pairs[place], 0).astype(np.float64)


def _byte_bigram(counts: Counts, text: _Text) -> Line:
    table = -np.log(_byte_model(counts, text))  # [257 contexts, 256 bytes]
    inner = np.bincount(text.inner_token, weights=table.ravel()[text.inner_pair], minlength=len(text.n_bytes))

    def nats(contexts: Ints, targets: Ints) -> Floats:
        across = table[text.last[contexts], text.first[targets]]
        return np.asarray(inner[targets] + across, dtype=np.float64)

    return nats


def _byte_model(counts: Counts, text: _Text) -> Floats:
    """p(byte | byte before): float64[257, 256], rows sum to one."""
    vocab = len(counts.unigram)
    before, after = counts.pairs // vocab, counts.pairs % vocab
    has_bytes = text.n_bytes[after] > 0
    across = (text.last[before] * 256 + text.first[after])[has_bytes]
    n = np.bincount(across, weights=counts.n_pairs[has_bytes], minlength=257 * 256)
    n += np.bincount(text.inner_pair, weights=counts.unigram[text.inner_token], minlength=257 * 256)
    n = n.reshape(257, 256)
    base = (n.sum(0) + 1) / (n.sum() + 256)
    return _witten_bell(n, n.sum(1)[:, None], (n > 0).sum(1)[:, None].astype(np.float64), base[None])
