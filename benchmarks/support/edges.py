"""Texts that one limit decides: real text, edited until a limit is broken, then diluted until it is not.

    core   "every fifth #word of a real text has a #hash"           n_hashes / n_tokens 0.16 > 0.1
    units  more of that text, a word (a line) at a time              0.16 ... 0.1002 | 0.0998 ... 0.06
                                                                     bisection finds where the limit is crossed
    pair   core + units[:d] and core + units[:d + 1]                 one dropped, one kept, by our measure

Only our measure and the one limit are asked, so a text may be dropped for something else, and whether the other
project measures alike is what the benchmark finds out. Pairs more than 2% (of a count: 1) from the limit are left
out. Small counts, phrases and brackets have no 2%: there the pair is the text with one and the text without.

`Material` gives running words, lines and sentences of real English prose from a place drawn by its seed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

NEAR = 0.02
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")


class Draft(NamedTuple):
    """A text in the making: `core` and some of `units`, joined."""

    core: str
    units: list[str]
    joiner: str = " "

    def text(self, n: int) -> str:
        """The core and the first n units."""
        return self.joiner.join([self.core, *self.units[:n]] if self.core else self.units[:n])


@dataclass
class Material:
    """Running text from one place of real prose."""

    running: Iterator[str]
    rng: random.Random

    @classmethod
    def of(cls, prose: Sequence[str], seed: int) -> Material:
        """What stands at a place that the seed draws, and from there on, text after text."""
        rng = random.Random(seed)
        at = rng.randrange(len(prose))
        turned = (prose[(at + k) % len(prose)] for k in range(len(prose)))
        return cls((word for text in turned for word in text.split()), rng)

    def words(self, n: int) -> list[str]:
        """The next n words, marks and all."""
        return list(islice(self.running, n))

    def plain(self, n: int, *, least: int = 1) -> list[str]:
        """The next n words of letters alone, of at least so many characters."""
        found: list[str] = []
        while len(found) < n:
            found += [
                w for w in (re.sub("[^A-Za-z]+", "", word) for word in self.words(50)) if len(w) >= least
            ]
        return found[:n]

    def lines(self, n: int, *, chars: int, end: str = "") -> list[str]:
        """The next words in n lines of at least so many characters, without marks at their ends but `end`."""
        lines = []
        for _ in range(n):
            line = ""
            while len(line) < chars:
                line = f"{line} {self.words(1)[0]}".strip()
            lines.append(line.rstrip(".,;:!?\"'”’)_-—") + end)
        return lines


def nothing(m: Material) -> Draft:
    """No character, then one."""
    return Draft("", [m.rng.choice("aZé中!\n\u200b")], "")


def paragraph_share(m: Material) -> Draft:
    """One short paragraph again and again, then paragraphs that do not repeat."""
    lines = m.lines(230, chars=30)
    again = " ".join(m.plain(2))
    return Draft(_shuffled(m, lines[:90], [again] * 55, "\n\n"), lines[90:], "\n\n")


def line_share(m: Material) -> Draft:
    """The same with lines."""
    draft = paragraph_share(m)
    return Draft(draft.core.replace("\n\n", "\n"), draft.units, "\n")


def paragraph_chars(m: Material) -> Draft:
    """Paragraphs of few words, each twice, apart; as many characters as a third of the text."""
    lines = m.lines(100, chars=26)
    twice = [" ".join(m.plain(3, least=6)) for _ in range(48)]
    return Draft(_apart(m, lines, twice, "\n\n"), m.words(600))


def line_chars(m: Material) -> Draft:
    """The same with lines."""
    draft = paragraph_chars(m)
    return Draft(draft.core.replace("\n\n", "\n"), draft.units)


def _apart(m: Material, lines: Sequence[str], twice: Sequence[str], joiner: str) -> str:
    first = [x for pair in zip(lines[: len(twice)], twice, strict=True) for x in pair]
    again = m.rng.sample(list(twice), len(twice))
    second = [x for pair in zip(lines[len(twice) :], again, strict=False) for x in pair]
    return joiner.join([*first, *second])


def _shuffled(m: Material, some: Sequence[str], others: Sequence[str], joiner: str) -> str:
    both = [*some, *others]
    m.rng.shuffle(both)
    return joiner.join(both)


def frequent(n: int) -> Callable[[Material], Draft]:
    """The same n words after every few others."""

    def draft(m: Material) -> Draft:
        same = " ".join(m.plain(n, least=4))
        words = m.words(320)
        every = 2 * n + 1
        core = " ".join(w if i % every else f"{same} {w}" for i, w in enumerate(words))
        return Draft(core, m.words(900))

    return draft


def repeated(n: int) -> Callable[[Material], Draft]:
    """Runs of n words that stood before, put between other words."""

    def draft(m: Material) -> Draft:
        # Of letters alone: a mark is a word of its own, and the run one longer.
        words = m.plain(400)
        runs = [words[at : at + n] for at in range(0, 400 - n, n)]
        m.rng.shuffle(runs)
        rest = m.plain(220)
        n_runs = 170 // n
        gap = len(rest) // n_runs
        tail = [w for k in range(n_runs) for w in (*rest[k * gap : (k + 1) * gap], *runs[k])]
        return Draft(" ".join([*words, *tail]), m.words(900))

    return draft


def few_words(m: Material) -> Draft:
    """The first words of a text."""
    return Draft("", m.words(90))


def many_words(m: Material) -> Draft:
    """A hundred thousand words, short of a few."""
    return Draft(
        " ".join(m.words(m.rng.randint(80_000, 82_000))), [" ".join(m.words(40)) for _ in range(900)]
    )


def short_words(m: Material) -> Draft:
    """Words cut to two letters, stop words among them."""
    core = " ".join(word[:2] for word in m.plain(300))
    return Draft(f"{core} of to the and", m.words(600))


def long_words(m: Material) -> Draft:
    """Words run together by twos and threes."""
    words = m.plain(500, least=4)
    core = " ".join("".join(words[at : at + 3]) for at in range(0, 500, 3))
    return Draft(f"{core} and of the", m.words(400))


def hashes(m: Material) -> Draft:
    """A hash before some words."""
    return Draft(_every(m, 250, lambda w: f"#{w}", 5), m.plain(500))


def ellipses(m: Material) -> Draft:
    """An ellipsis behind some words, of one character or of three."""
    return Draft(_every(m, 250, lambda w: w + m.rng.choice(["...", "…"]), 5), m.plain(500))


def no_letters(m: Material) -> Draft:
    """Numbers between the words."""
    return Draft(_every(m, 300, lambda w: f"{w} {m.rng.randrange(10**5)}", 2), m.plain(700))


def _every(m: Material, n: int, change: Callable[[str], str], step: int) -> str:
    return " ".join(change(w) if i % step == 0 else w for i, w in enumerate(m.plain(n)))


def bullets(m: Material) -> Draft:
    """Lines with a bullet, then some without."""
    lines = [m.rng.choice(["- ", "• ", "  -", "•"]) + line for line in m.lines(120, chars=55)]
    return Draft("\n".join(lines), m.lines(30, chars=55), "\n")


def trailing_off(m: Material) -> Draft:
    """Lines that end with an ellipsis, then some that do not."""
    lines = [line + m.rng.choice(["...", "…", "... "]) for line in m.lines(60, chars=60)]
    return Draft(_shuffled(m, lines, m.lines(60, chars=60), "\n"), m.lines(130, chars=60), "\n")


def stop_words(m: Material) -> Draft:
    """Text without any stop word, then one of them after another."""
    words = [word for word in m.plain(250) if word.lower() not in STOP_WORDS]
    return Draft(" ".join(words), m.rng.sample(STOP_WORDS, 4))


def blank(m: Material) -> Draft:
    """White space, then a line."""
    space = "".join(m.rng.choices(" \n\t\r\u3000\x1c\u00a0", k=m.rng.randint(1, 12)))
    return Draft(space, m.lines(1, chars=300, end="."), "\n")


def ended_lines(m: Material) -> Draft:
    """Lines without a mark at their ends, then some with one."""
    core = "\n".join(m.lines(m.rng.randint(230, 330), chars=45))
    return Draft(core, [line + m.rng.choice(".?!") for line in m.lines(60, chars=45)], "\n")


def short_lines(m: Material) -> Draft:
    """Lines of up to 30 characters, then longer ones."""
    short = [line[:30] for line in m.lines(100, chars=24, end=".")]
    return Draft("\n".join(short), m.lines(80, chars=33, end="."), "\n")


def repeated_lines(m: Material) -> Draft:
    """A line that comes twice in a text of sixty, which grows."""
    lines = m.lines(50, chars=60, end=".")
    return Draft("\n".join([*lines[:40], lines[3], *lines[40:]]), m.words(600))


def newlines(m: Material) -> Draft:
    """Lines of few words with blank ones between them, then more words."""
    return Draft("\n\n\n".join(m.lines(50, chars=33, end=".")), m.words(500))


def few_sentences(m: Material) -> Draft:
    """No sentence that counts, then sentences, each on its own line or all on one."""
    noise = [
        "Menu",
        "Log in",
        "You need JavaScript for this.",
        "We use cookies here.",
        "Read our privacy policy first.",
    ]
    core = "\n".join(m.rng.choices(noise, k=m.rng.randint(0, 6)))
    units = [line + m.rng.choice(".?!") for line in m.lines(9, chars=30)]
    return Draft(core + "\n", units, m.rng.choice(["\n", "\n", " "]))


def phrase(bad: Sequence[str], near: Sequence[str]) -> Callable[[Material], Draft]:
    """A text with what looks like the phrase, then the phrase."""

    def draft(m: Material) -> Draft:
        lines = m.lines(12, chars=60, end=".")
        place = m.rng.randrange(12)
        lines[place] = lines[place].replace(" ", f" {m.rng.choice(near)} ", 1)
        return Draft("\n".join(lines), [f"Here it says {m.rng.choice(bad)} at last."], "\n")

    return draft


def line_rule(bad: Sequence[str], near: Sequence[str]) -> Callable[[Material], Draft]:
    """Four sentences and a fifth that a line rule takes out, then one that looks like it and stays."""

    def draft(m: Material) -> Draft:
        lines = [" ".join(m.plain(8)) + "." for _ in range(4)]
        lines.insert(m.rng.randrange(5), m.rng.choice(bad))
        return Draft("\n".join(lines), [m.rng.choice(near)], "\n")

    return draft


def foreign(sentences: Sequence[str]) -> Callable[[Material], Draft]:
    """Sentences of other languages, then more and more English words."""

    def draft(m: Material) -> Draft:
        core = " ".join(m.rng.choices(sentences, k=m.rng.randint(1, 5)))
        return Draft(core, m.words(400))

    return draft


_LOREM = phrase(
    [
        "lorem ipsum",
        "Lorem Ipsum",
        "LOREM IPSUM",
        "(lorem ipsum)",
        "lorem ipsums",
        "lorem[1] ipsum",
        "xlorem ipsumx",
    ],
    ["lorem  ipsum", "loremipsum", "lorem ipsu m", "ipsum lorem", "lorem\u00a0ipsum", "lorem", "l0rem ipsum"],
)
_CURLY = phrase(["{", "a{b}", "{{x}}", "function() {", "[1]{"], ["}", "(", "[", "｛", "\\", "|"])
_LINES = line_rule(
    [
        "This line needs JavaScript to be shown.", "Please turn on javascript for it.", "Read our Terms of Use here.",
        "It has a Privacy Policy of its own.", "This site uses cookies for all of it.", "We use cookies for this.",
        "The use of cookies is our own business.", "A cookie policy is here to be read.", "Two words.",
        "One word here " + "x" * 1001 + ".", "Short.[1]", "Too short[1][2].", "[edit] [edit] it.",
    ],
    [
        "This line needs Java script to be shown.", "Please turn on javascrip t for it.", "Read our terms-of-use here.",
        "It has a privacy  policy of its own.", "This site used cookies for all of it.", "We use a cookie for this.",
        "The use of a cookie is our own business.", "A cooky policy is here to be read.", "Just three words.",
        "One word here " + "x" * 1000 + ".", "Two words [1].", "It is short[1][2].", "[edit] [edit] it is.",
    ],
)  # fmt: skip

_C4: dict[str, Callable[[Material], Draft]] = {
    "lorem_ipsum": _LOREM,
    "curly_bracket": _CURLY,
    "too_few_sentences": few_sentences,
    "lines": _LINES,
}
DRAFTS: dict[str, dict[str, Callable[[Material], Draft]]] = {
    "gopher_repetition": {
        "empty": nothing,
        "duplicate_paragraphs": paragraph_share,
        "duplicate_paragraph_chars": paragraph_chars,
        "duplicate_lines": line_share,
        "duplicate_line_chars": line_chars,
        **{f"frequent_{n}_gram": frequent(n) for n in (2, 3, 4)},
        **{f"repeated_{n}_grams": repeated(n) for n in range(5, 11)},
    },
    "gopher_quality": {
        "too_few_words": few_words,
        "too_many_words": many_words,
        "words_too_short": short_words,
        "words_too_long": long_words,
        "too_many_hashes": hashes,
        "too_many_ellipses": ellipses,
        "too_many_bullet_lines": bullets,
        "too_many_ellipsis_lines": trailing_off,
        "too_few_alphabetic_words": no_letters,
        "too_few_stop_words": stop_words,
    },
    "fineweb_quality": {
        "too_few_lines": blank,
        "too_few_ended_lines": ended_lines,
        "too_many_short_lines": short_lines,
        "repeated_line_chars": repeated_lines,
        "too_many_newlines": newlines,
    },
    "c4": _C4,
    "c4_sentences": _C4,
}
