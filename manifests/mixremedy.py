"""What to write in place of a mix that cannot be fed: each proposal is tried before it is made.

    empty       a source has no token at all     ->  the other weights of its phases
    too small   no row can be made of a source   ->  the other weights of its phases; shorter rows
    too hungry  a source above its max_epochs    ->  one weight less; fewer tokens in the same proportions
    both        fewer tokens, once the small ones are out

A proposal that is printed is fed when it is pasted. Where none can be found none is printed.
Price: some 20 passes over the phases' tables, below a second.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from manifests.mix import MIN_SEQ_LEN, MixManifest, MixPhase
from manifests.mixcheck import CheckRow, check, shares_of, weights_text

__all__ = [
    "REMEDY",
    "Wanted",
    "empty_text",
    "epochs_text",
    "fed_text",
    "is_fed",
    "shorter_rows",
    "small_text",
    "with_phases",
]


REMEDY = "see with `quern audit` which step dropped them, and build again"


class Wanted(NamedTuple):
    """A phase as it was written: its tokens and weights."""

    tokens: int
    weights: Mapping[str, Fraction]


def with_phases(
    mix: MixManifest, phases: Sequence[Wanted], *, without: Collection[str] = (), seq_len: int | None = None
) -> MixManifest:
    """The mix of these phases without some sources, or with rows of another length; emptied phases are out."""
    seq_len = seq_len or mix.seq_len
    made = []
    for phase in phases:
        left = [Fraction(0 if s.name in without else phase.weights.get(s.name, 0)) for s in mix.sources]
        if any(left):
            made.append(MixPhase(n_rows=phase.tokens // seq_len, shares=shares_of(left)))
    return mix.model_copy(update={"seq_len": seq_len, "phases": made})


def is_fed(mix: MixManifest) -> bool:
    """Whether every phase has a row and no source is asked for more than its max_epochs."""
    return bool(mix.phases) and all(phase.n_rows for phase in mix.phases) and _fits(mix)


def _fits(mix: MixManifest) -> bool:
    order = mix.order()
    wanted = order.rows_per_source()
    return all(
        n_rows <= order.n_windows(k) * source.max_epochs
        for k, (source, n_rows) in enumerate(zip(mix.sources, wanted, strict=True))
    )


def shorter_rows(seq_len: int, *, at_most: int) -> list[int]:
    """Lengths below `seq_len` that divide it, so that a batch of whole rows stays one; the longest first.

    >>> shorter_rows(96, at_most=40)
    [32, 24, 16, 12, 8]

    Cost: O(sqrt(seq_len)).
    """
    halves = [n for n in range(1, math.isqrt(seq_len) + 1) if seq_len % n == 0]
    divisors = sorted({*halves, *(seq_len // n for n in halves)}, reverse=True)
    return [n for n in divisors if MIN_SEQ_LEN <= n <= min(at_most, seq_len - 1)]


def empty_text(
    row: CheckRow, mix: MixManifest, phases: Sequence[Wanted], at: int, small: Collection[str], whole: str
) -> str:
    """What is wrong with a source of phase `at` without tokens, and what can be written instead.

    small: all sources that make no row; whole: what can be written where no other is left.
    """
    remedy = _without_small(mix, phases, at, small) or whole
    remedy = f"{remedy}{'  or ' if remedy.endswith('}') else ', or ' if remedy else ''}{REMEDY}"
    return (
        f'expected tokens to train on in "{row.source}", found none: no document was kept, or all are held out. '
        f"{remedy[0].upper()}{remedy[1:]}"
    )


def small_text(
    row: CheckRow, mix: MixManifest, phases: Sequence[Wanted], at: int, small: Collection[str], whole: str
) -> str:
    """What is wrong with a source of phase `at` that holds no row, and what can be written instead.

    small, whole: as for `empty_text`.
    """
    proposals = [_without_small(mix, phases, at, small) or whole]
    lengths = shorter_rows(mix.seq_len, at_most=min(row.available // 2, *(p.tokens for p in phases)))
    if not all(source.n_tokens for source in mix.sources):
        lengths = []  # no row is so short that a source without tokens makes one
    if length := next((n for n in lengths if is_fed(with_phases(mix, phases, seq_len=n))), None):
        proposals.append(f"write  seq_len: {length}")
    remedy = "  or ".join(filter(None, proposals)) or "build a corpus with more of it"
    return (
        f"expected at least {2 * mix.seq_len:,} tokens in {row.source} for rows of {mix.seq_len}, got "
        f"{row.available:,}. No row could be made of it. {remedy[0].upper()}{remedy[1:]}"
    )


def _without_small(mix: MixManifest, phases: Sequence[Wanted], at: int, small: Collection[str]) -> str:
    rest = with_phases(mix, phases, without=small)
    left = {name: weight for name, weight in phases[at].weights.items() if name not in small}
    what = f"write  weights: {weights_text(left)}" if any(left.values()) else "take the phase out"
    return fed_text(what, rest)


def fed_text(what: str, mix: MixManifest) -> str:
    """What to do, and the tokens with which the mix it makes is fed, if these are others; "" where none are."""
    longest = _longest(mix)
    if longest is None:
        return ""
    return what if is_fed(mix) else f"{what}, with {_tokens_text(longest)}"


def epochs_text(row: CheckRow, rest: MixManifest, *, is_written: bool) -> str:
    """What is wrong with a source of too many epochs, and what can be fed.

    rest: the mix without the sources that hold no row; is_written: whether somebody wrote the weights, in a mix.yaml,
    and may write others.
    """
    longest = _longest(rest)
    lighter = _lighter(row.source, rest) if is_written else ""
    proposals = [f"weights: {lighter}"] if lighter else []
    proposals += [_tokens_text(longest)] if longest is not None else []
    nearest = f". Nearest that can be fed: {', or '.join(proposals)}" if proposals else ""
    return (
        f"expected at most {row.max_epochs} epochs of {row.source}, got {row.epochs:.1f} "
        f"({row.wanted:,} tokens wanted, {row.available:,} there){nearest}"
    )


def _longest(mix: MixManifest) -> MixManifest | None:
    """The mix with its phases shortened alike until it is fed; None where a phase is left without a row."""
    low, high = 0, mix.n_rows
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _fits(_shortened(mix, middle)) else (low, middle - 1)
    found = _shortened(mix, low)
    return found if is_fed(found) else None


def _shortened(mix: MixManifest, n_rows: int) -> MixManifest:
    total = max(1, mix.n_rows)
    phases = [p.model_copy(update={"n_rows": p.n_rows * n_rows // total}) for p in mix.phases]
    return mix.model_copy(update={"phases": phases})


def _tokens_text(mix: MixManifest) -> str:
    each = [f"{phase.n_rows * mix.seq_len:,}" for phase in mix.phases]
    parts = f" ({', '.join(each[:-1])} and {each[-1]} in its phases)" if len(each) > 1 else ""
    return f"{mix.n_rows * mix.seq_len:,} tokens in all{parts}"


def _lighter(name: str, mix: MixManifest) -> str:
    """The weights of a mix of one phase with this source at its cap; "" where no such mix can be fed."""
    [row] = [row for row in check(mix) if row.source == name]
    n_rows = row.max_epochs * max(0, row.available // mix.seq_len - 1) - 1
    share = Fraction(n_rows, mix.n_rows)
    shares = dict(zip((source.name for source in mix.sources), mix.phases[0].shares, strict=True))
    shares = {each: n for each, n in shares.items() if n}
    if len(mix.phases) > 1 or len(shares) < 2 or share <= 0 or name not in shares:
        return ""
    total = sum(shares.values())
    weight = share / (1 - share) * (total - shares[name]) / total
    digit = Fraction(10) ** (math.floor(math.log10(weight)) - 2) if weight else Fraction(1)
    weights = {each: Fraction(n, total) for each, n in shares.items()} | {name: weight // digit * digit}
    if not any(weights.values()):
        return ""
    phase = Wanted(mix.n_rows * mix.seq_len, weights)
    return weights_text(weights) if is_fed(with_phases(mix, [phase])) else ""
