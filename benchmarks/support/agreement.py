"""How far two sides agree: counts, by reason and by where a text is from, and the classes of differences.

n 5838   equal 5836   dropped by ours 1201, theirs 1202, either 1203, both 1200
reason                 ours    theirs   equal   at its edge: kept, dropped by it, for another reason, unequal
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

__all__ = ["Case", "faults", "figures", "show"]

MIN_EQUAL = 0.995
MIN_BOTH = 0.98
EXAMPLE_CHARS = 90


class Case(NamedTuple):
    """One text: where it is from, our reason and theirs, None to keep."""

    origin: str
    text: str
    ours: str | None
    theirs: str | None


def figures(cases: Sequence[Case]) -> dict[str, Any]:
    """The counts of one rule."""
    equal = sum(case.ours == case.theirs for case in cases)
    either = sum(case.ours is not None or case.theirs is not None for case in cases)
    both = sum(case.ours is not None and case.theirs is not None for case in cases)
    return {
        "n": len(cases),
        "equal": equal,
        "share": round(equal / max(1, len(cases)), 5),
        "dropped": {
            "ours": sum(case.ours is not None for case in cases),
            "theirs": sum(case.theirs is not None for case in cases),
            "either": either,
            "both": both,
            "share_both": round(both / max(1, either), 5),
        },
        "reasons": reasons(cases),
        "differences": differences(cases),
    }


def reasons(cases: Sequence[Case]) -> dict[str, dict[str, int]]:
    """For each reason its drops by either side and by both, and what became of the texts made for it."""
    ours, theirs = Counter(case.ours for case in cases), Counter(case.theirs for case in cases)
    both = Counter(case.ours for case in cases if case.ours == case.theirs)
    names = sorted({*filter(None, ours), *filter(None, theirs), *filter(None, map(_made_for, cases))})
    return {
        name: {"ours": ours[name], "theirs": theirs[name], "both": both[name], **_edge(name, cases)}
        for name in names
    }


def _made_for(case: Case) -> str:
    return case.origin.removeprefix("edge ") if case.origin.startswith("edge ") else ""


def _edge(name: str, cases: Sequence[Case]) -> dict[str, int]:
    edge = [case for case in cases if _made_for(case) == name]
    return {
        "edge": len(edge),
        "edge_kept": sum(case.theirs is None for case in edge),
        "edge_dropped": sum(case.theirs == name for case in edge),
        "edge_unequal": sum(case.ours != case.theirs for case in edge),
    }


def differences(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Each pair of reasons that is not one: how often, where, and the shortest text."""
    classes: dict[tuple[str | None, str | None], list[Case]] = {}
    for case in cases:
        if case.ours != case.theirs:
            classes.setdefault((case.ours, case.theirs), []).append(case)
    return [
        {
            "ours": ours,
            "theirs": theirs,
            "n": len(some),
            "origins": dict(Counter(case.origin for case in some)),
            "example": min((case.text for case in some), key=len)[:EXAMPLE_CHARS],
        }
        for (ours, theirs), some in sorted(classes.items(), key=lambda item: -len(item[1]))
    ]


def show(name: str, found: dict[str, Any]) -> None:
    """Prints one rule: the counts, a line for each reason, a line for each class of differences."""
    dropped = found["dropped"]
    print(
        f"\n{name}: equal {found['equal']} of {found['n']} ({found['share']:.3%}); dropped by either "
        f"{dropped['either']}, by both {dropped['both']} ({dropped['share_both']:.2%})"
    )
    print(
        f"    {'reason':<42}{'ours':>7}{'theirs':>8}{'both':>7}   at its edge: texts, kept, dropped for it, unequal"
    )
    for reason, count in found["reasons"].items():
        sides = f"{count['ours']:>7}{count['theirs']:>8}{count['both']:>7}   "
        edge = "".join(f"{count[key]:>7}" for key in ("edge", "edge_kept", "edge_dropped", "edge_unequal"))
        print(f"    {reason:<42}{sides}{edge if count['edge'] else ''}".rstrip())
    for one in found["differences"]:
        print(
            f"    ours {one['ours']}, theirs {one['theirs']}: {one['n']} {one['origins']} {one['example']!r}"
        )


def faults(name: str, found: dict[str, Any], *, possible: Sequence[str]) -> list[str]:
    """What is short of the bars: too few equal, too few drops in common, a reason that neither side ever gave."""
    wrong = []
    if found["share"] < MIN_EQUAL:
        wrong.append(f"{name}: equal {found['share']:.4f}, expected {MIN_EQUAL}")
    if found["dropped"]["either"] and found["dropped"]["share_both"] < MIN_BOTH:
        wrong.append(
            f"{name}: of drops by either {found['dropped']['share_both']:.4f} by both, expected {MIN_BOTH}"
        )
    silent = [reason for reason in possible if not found["reasons"].get(reason, {"theirs": 0})["theirs"]]
    return wrong + [f"{name}: {reason} never dropped a text" for reason in silent]
