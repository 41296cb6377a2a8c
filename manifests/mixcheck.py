"""The arithmetic of a mix, from its manifest alone: tokens there, tokens wanted, epochs, what repeats are worth.

    source   available   wanted    epochs   effective   verdict
    web        108,796   329,984     3.05     315,868   fine
    books       20,000   121,344     6.07     108,311   repeats, unchecked

Of how often it is read: `too_many_epochs`, above its `max_epochs`, is refused by `mixfile`; `repeats`, above 4 epochs,
warns that a repeated token is worth noticeably less; `no_rows` warns that a source has a weight and is never read.
Of benchmark text in it: `contaminated`, some was found and kept, is refused; `unchecked` warns. The mix may allow both.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from manifests.mix import MixManifest, MixSource
from manifests.quantities import share_text

__all__ = [
    "CONTAMINATED",
    "CheckRow",
    "Shared",
    "check",
    "check_shared",
    "effective_tokens",
    "key_text",
    "shares_of",
    "weights_text",
]

CONTAMINATED = "contaminated"
WARN_EPOCHS = 4
# A period's table takes 1 us an entry to make; up to here (six decimals) weights are kept exactly.
EXACT_PERIOD = 1 << 20
# Longer ones (shares by token counts) are rounded to 65,536 rows, an error below 1e-5.
ROUND_PERIOD = 1 << 16
# Muennighoff et al. 2023 (arXiv 2305.16264), fitted decay of repeated data.
R_STAR = 15.387756


@dataclass(frozen=True)
class CheckRow:
    """One source in `quern mix check`. effective: what the wanted tokens are worth after repetition.

    verdict: `fine`, or what is to be said of its epochs, then of benchmark text.
    """

    source: str
    available: int
    wanted: int
    epochs: float
    effective: int
    max_epochs: int
    holdout: str
    heldout: int
    contamination: str
    licences: dict[str, int]
    verdict: str

    @property
    def has_too_many_epochs(self) -> bool:
        """Whether it would be read more often than its `max_epochs` allows."""
        return self.epochs > self.max_epochs

    @property
    def is_contaminated(self) -> bool:
        """Whether benchmark text was kept in it, and nobody allowed that."""
        return CONTAMINATED in self.verdict.split(", ")


def effective_tokens(n_unique: int, n_wanted: int) -> int:
    """What `n_wanted` tokens drawn from `n_unique` are worth in fresh ones.

    D' = U + U R* (1 - exp(-R / R*)), R = epochs - 1. Source: Muennighoff et al. 2023, section 5.

    >>> effective_tokens(100, 50), effective_tokens(1000, 4000)
    (50, 3725)
    """
    if n_wanted <= n_unique or not n_unique:
        return n_wanted
    repeats = n_wanted / n_unique - 1
    return int(n_unique + n_unique * R_STAR * (1 - math.exp(-repeats / R_STAR)))


def check(mix: MixManifest) -> list[CheckRow]:
    """Each source of a mix: tokens there, tokens wanted, epochs, what they are worth, and the verdict."""
    order = mix.order()
    rows = []
    for k, (source, n_rows) in enumerate(zip(mix.sources, order.rows_per_source(), strict=True)):
        windows = order.n_windows(k)
        epochs = n_rows / windows if windows else math.inf if n_rows else 0.0
        rows.append(
            CheckRow(
                source=source.name,
                available=source.n_tokens,
                wanted=n_rows * mix.seq_len,
                epochs=epochs,
                effective=effective_tokens(windows * mix.seq_len, n_rows * mix.seq_len),
                max_epochs=source.max_epochs,
                holdout=source.holdout,
                heldout=sum(s.n_tokens for s in source.heldout),
                contamination=source.contamination,
                licences=source.licences,
                verdict=", ".join(filter(None, _verdicts(mix, k, epochs))) or "fine",
            )
        )
    return rows


@dataclass(frozen=True)
class Shared:
    """Shards that several sources draw: of which corpus source, by whom how often, and how often they may be read."""

    epochs: dict[str, float]
    max_epochs: int

    @property
    def has_too_many_epochs(self) -> bool:
        """Whether they would be read more often, by all together, than one of the sources allows."""
        return sum(self.epochs.values()) > self.max_epochs


def check_shared(mix: MixManifest) -> list[Shared]:
    """The shards that several sources of a mix draw: each source counts its own epochs, these are read by all.

    Sources of one corpus that happen to hold the same text in files of their own are their own affair.
    """
    epochs = {row.source: row.epochs for row in check(mix) if row.epochs}
    holders: dict[str, list[tuple[str, str, str]]] = {}
    found: dict[tuple[str, ...], Shared] = {}
    for source in (source for source in mix.sources if source.name in epochs):
        for shard in (shard for shard in source.train if shard.n_tokens):
            known = holders.setdefault(shard.root, [])
            known.append((source.name, shard.corpus, shard.shard.path))
            names = tuple(
                dict.fromkeys(
                    name for name, *place in known if _is_one(place, (shard.corpus, shard.shard.path))
                )
            )
            if len(names) > 1:
                most = min(each.max_epochs for each in mix.sources if each.name in names)
                found[names] = Shared({name: epochs[name] for name in names}, most)
    return list(found.values())


def _is_one(place: Sequence[str], other: tuple[str, str]) -> bool:
    """Whether shards of one root, named by corpus and path, are one file or of two corpora."""
    return place[0] != other[0] or place[1] == other[1]


def _verdicts(mix: MixManifest, k: int, epochs: float) -> tuple[str, str]:
    source = mix.sources[k]
    has_weight = any(phase.shares[k] for phase in mix.phases)
    return _of_epochs(source, epochs, has_weight=has_weight), _of_contamination(mix, source)


def _of_epochs(source: MixSource, epochs: float, *, has_weight: bool) -> str:
    if epochs > source.max_epochs:
        return "too_many_epochs"
    if epochs > WARN_EPOCHS:
        return "repeats"
    return "no_rows" if has_weight and not epochs else ""


def _of_contamination(mix: MixManifest, source: MixSource) -> str:
    if source.contamination in {"clean", *(a.verdict for a in mix.allowed if a.source in (source.name, "*"))}:
        return ""
    return CONTAMINATED if source.contamination == "marked" else "unchecked"


def shares_of(weights: Sequence[Fraction]) -> list[int]:
    """Integer shares that stand in the weights' proportions: exactly, where a period of 2^20 rows can hold them.

    Other weights are rounded to a period of 65,536 by largest remainder; a weight above 0 keeps at least 1.

    >>> shares_of([Fraction("0.7"), Fraction("0.3")])
    [7, 3]
    """
    total = sum(weights)
    exact = [w / total for w in weights]
    period = math.lcm(*(w.denominator for w in exact))
    if period <= EXACT_PERIOD:
        return [int(w * period) for w in exact]
    shares = [max(int(w * ROUND_PERIOD), 1 if w else 0) for w in exact]
    by_remainder = sorted(range(len(exact)), key=lambda k: (-(exact[k] * ROUND_PERIOD % 1), k))
    for k in by_remainder[: max(0, ROUND_PERIOD - sum(shares))]:
        shares[k] += 1
    divisor = math.gcd(*shares)
    return [s // divisor for s in shares]


def weights_text(weights: Mapping[str, Fraction]) -> str:
    """Weights as a mix says them.

    >>> weights_text({"web": Fraction(1, 2), "my: books": Fraction(1, 3)})
    '{web: 0.5, "my: books": 1/3}'
    """
    return "{" + ", ".join(f"{key_text(name)}: {share_text(each)}" for name, each in weights.items()) + "}"


def key_text(name: str) -> str:
    """A name as YAML takes it for a key in braces."""
    return name if re.fullmatch(r"[A-Za-z0-9_][\w.-]*", name) else json.dumps(name, ensure_ascii=False)
