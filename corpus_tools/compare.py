"""Two texts side by side: the words they share folded, those in which they differ in full.

    here                                             there
    It was the best … of foolishness (212 words)     =
    CHAPTER I.                                       Chapter the First

For a person who asks whether the two are one: a document and the one that stays for it, a passage and the item of a
benchmark that stands in it. Words are parted by white space and compared as they are.

Price: the first 2,000 words of either, at worst a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from corpus_tools.screen import clean, count

__all__ = ["Beside", "side_by_side"]

N_WORDS = 2000
N_ROWS = 16
N_SHOWN = 5
WIDTH = 52
SAME = "="


@dataclass(frozen=True, slots=True)
class Beside:
    """Two texts compared: what the other one is, how many words of each, and what follows what in both.

    rows: (here, there), `=` for words that are the same.
    """

    other: str
    n_here: int
    n_there: int
    n_same: int
    rows: list[tuple[str, str]]
    n_more: int

    def text(self) -> str:
        """Two columns."""
        counts = f"{count(self.n_same)} of {count(self.n_here)} words here and {count(self.n_there)} there are the same"
        lines = [f"{'this document':{WIDTH}}  {clean(self.other)}", *(_columns(*row) for row in self.rows)]
        more = [f"({count(self.n_more)} more differences)"] if self.n_more else []
        return "\n".join([*lines, *more, f"({counts})"]) + "\n"


def side_by_side(here: str, there: str, *, other: str) -> Beside:
    """Compares two texts; other: what the second is called.

    Of longer ones the first 2,000 words are compared.
    """
    mine, theirs = (text.split()[:N_WORDS] for text in (here, there))
    # Not autojunk: the commonest words of a long text would count as none.
    matcher = SequenceMatcher(None, mine, theirs, autojunk=False)
    rows = list(_rows(matcher.get_opcodes(), mine, theirs))
    n_same = sum(block.size for block in matcher.get_matching_blocks())
    n_more = sum(there != SAME for _, there in rows[N_ROWS:])
    return Beside(other, len(mine), len(theirs), n_same, rows[:N_ROWS], n_more)


def _rows(
    opcodes: Sequence[tuple[str, int, int, int, int]], here: Sequence[str], there: Sequence[str]
) -> Iterator[tuple[str, str]]:
    for kind, a, b, c, d in opcodes:
        if kind == "equal":
            yield _folded(here[a:b]), SAME
        else:
            yield _folded(here[a:b], n_shown=4 * N_SHOWN), _folded(there[c:d], n_shown=4 * N_SHOWN)


def _folded(words: Sequence[str], n_shown: int = N_SHOWN) -> str:
    """The words, or of many the first and the last."""
    if len(words) <= 2 * n_shown + 1:
        return " ".join(words)
    ends = " ".join(words[:n_shown]), " ".join(words[-n_shown:])
    return f"{ends[0]} … {ends[1]} ({count(len(words))} words)"


def _columns(here: str, there: str) -> str:
    """One row, both sides wrapped."""
    sides = [_wrapped(clean(side)) for side in (here, there)]
    n_lines = max(map(len, sides))
    padded = ([*side, *[""] * (n_lines - len(side))] for side in sides)
    return "\n".join(f"{left:{WIDTH}}  {right}".rstrip() for left, right in zip(*padded, strict=True))


def _wrapped(text: str) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        pieces = [word[at : at + WIDTH] for at in range(0, len(word), WIDTH)] or [""]
        for piece in pieces:
            joined = f"{lines[-1]} {piece}" if lines[-1] else piece
            if len(joined) <= WIDTH:
                lines[-1] = joined
            else:
                lines.append(piece)
    return lines
