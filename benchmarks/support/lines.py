"""A benchmark's figures, a line each beside its bar; a bar that is missed fails the run.

    name=minhash_rensa ratio=15.86 ours=265.0 peer=16.71 unit=MB/s bar_min=5

What is compared is the ratio as it is printed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["enforce", "line", "show", "with_bars"]

Line = dict[str, Any]


def line(name: str, *, ratio: float, ours: float, peer: float, unit: str) -> Line:
    """One figure, to four digits."""
    numbers = {
        key: float(f"{value:.4g}") for key, value in (("ratio", ratio), ("ours", ours), ("peer", peer))
    }
    return {"name": name, **numbers, "unit": unit}


def with_bars(
    lines: Sequence[Line],
    *,
    least: Mapping[str, float] | None = None,
    most: Mapping[str, float] | None = None,
) -> list[Line]:
    """The lines, those of a name in `least` or `most` with the bar, inclusive, that their ratio must keep.

    Lines with bars come last, the first bar's at the end.

    Raises: ValueError for a bar that has no line.
    """
    bars = {"bar_min": least or {}, "bar_max": most or {}}
    order = [name for some in bars.values() for name in some]
    if unknown := set(order) - {each["name"] for each in lines}:
        raise ValueError(
            f"expected a line for every bar, got none for {sorted(unknown)}; nothing would hold the benchmark to it"
        )
    barred = [
        {**each, **{key: some[each["name"]] for key, some in bars.items() if each["name"] in some}}
        for each in lines
    ]
    return sorted(
        barred, key=lambda each: -order.index(each["name"]) if each["name"] in order else -len(order)
    )


def show(lines: Sequence[Line]) -> None:
    """Print them."""
    for each in lines:
        print(" ".join(f"{key}={value}" for key, value in each.items()), flush=True)


def enforce(lines: Sequence[Line]) -> None:
    """Return only if every bar is reached.

    Raises: SystemExit, of status 1, that names each one that is not; also where a ratio is no number.
    """
    missed = []
    for each in lines:
        ratio = each["ratio"]
        if "bar_min" in each and not ratio >= each["bar_min"]:
            missed.append(f"{each['name']} has ratio {ratio}, must have at least {each['bar_min']}")
        if "bar_max" in each and not ratio <= each["bar_max"]:
            missed.append(f"{each['name']} has ratio {ratio}, may have at most {each['bar_max']}")
    if missed:
        raise SystemExit("bar missed: " + "; ".join(missed))
