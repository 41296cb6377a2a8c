"""The slow, obvious twin of `kernels/spacy_words.py`: spaCy's tokenizer with regular expressions, a run at a time.

It shares the generated tables with the kernel and no code; spaCy itself is the judge of both where it is
installed (`test_spacy_words.py`).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import pairwise

from pipelines.kernels import spacy_data
from pipelines.kernels.sentences import SENTENCE_END, text_classes


def charset(*names: str) -> str:
    ranges = [item.split("-") for name in names for item in getattr(spacy_data, name).split()]
    return "".join(f"\\U{int(first, 16):08x}-\\U{int(last, 16):08x}" for first, last in ranges)


def both_apostrophes(table: str) -> dict[str, tuple[str, ...]]:
    items = [tuple(item.split("¦")) for item in (table + table.replace("'", "’")).split()]
    return {"".join(tokens): tokens for tokens in items}


RULES = both_apostrophes(spacy_data.SPECIALS)
PATTERNS = both_apostrophes(spacy_data.PATTERNS)
AFTER_DIGIT = "|".join(map(re.escape, spacy_data.AFTER_DIGIT.split()))
A, LOWER, UPPER, QUOTE = charset("ALPHA"), charset("LOWER"), charset("UPPER"), charset("QUOTE")
SPACES = re.compile(f"[{charset('SPACE')}]+")
PREFIX = re.compile(rf"[{charset('PREFIX')}]|\+(?![0-9])|\.\.+|US\$|C\$|A\$")
SUFFIX = re.compile(
    rf"(?:……|[{charset('SUFFIX')}]|\.\.+|['’][sS]|(?<=[0-9])(?:{AFTER_DIGIT})|(?<=°[FfCcKk])\."
    rf"|(?<=[{charset('DOT_BEFORE')}])\.|(?<=[{UPPER}][{UPPER}])\.)\Z"
)
INFIX = re.compile(
    rf"\.\.+|…|[{charset('ICON')}]|(?<=[0-9])[+\-*^](?=[0-9-])|(?<=[{LOWER}{QUOTE}])\.(?=[{UPPER}{QUOTE}])"
    rf"|(?<=[{A}]),(?=[{A}])|(?<=[{A}0-9])(?:-|–|—|--|---|——|~)(?=[{A}])|(?<=[{A}0-9])[:<>=/](?=[{A}])"
)
HOST = r"[A-Za-z0-9\u00a1-\uffff]"
URL = re.compile(
    r"(?:[\w+\-.]{2,}://)?(?:\S+(?::\S*)?@)?(?:"
    r"(?!(?:10|127)(?:\.\d{1,3}){3})(?!(?:169\.254|192\.168)(?:\.\d{1,3}){2})"
    r"(?!172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2})(?:[1-9]\d?|1\d\d|2[01]\d|22[0-3])"
    r"(?:\.(?:1?\d{1,2}|2[0-4]\d|25[0-5])){2}\.(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-4])"
    rf"|(?:(?:{HOST}[A-Za-z0-9\u00a1-\uffff_-]{{0,62}})?{HOST}\.)+[{LOWER}]{{2,63}})"
    r"(?::\d{2,5})?(?:[/?#]\S*)?\Z"
)


def words(text: str) -> list[str]:
    return [token for run in SPACES.split(text) if run for token in cut_run(run)]


@cache
def cut_run(run: str) -> tuple[str, ...]:
    return tuple(with_specials(affixes(run)))


def affixes(run: str) -> list[str]:
    front: list[str] = []
    back: list[str] = []
    while run and run not in RULES:
        found = PREFIX.match(run)
        n_front = found.end() if found else 0
        if n_front and run[n_front:] in RULES:
            front, run = [*front, run[:n_front]], run[n_front:]
            break
        ending = SUFFIX.search(run[n_front:])
        n_back = len(ending[0]) if ending else 0
        if n_back and run[:-n_back] in RULES:
            back, run = [run[-n_back:], *back], run[:-n_back]
            break
        if not n_front and not n_back:
            break
        front += [run[:n_front]] if n_front else []
        back = [run[len(run) - n_back :], *back] if n_back else back
        run = run[n_front : len(run) - n_back]
    return front + middle(run) + back


def middle(run: str) -> list[str]:
    if run in RULES:
        return list(RULES[run])
    if not run or URL.match(run):
        return [run] if run else []
    pieces, at = [], 0
    for found in INFIX.finditer(run):
        if found.start():
            pieces += [run[at : found.start()], found[0]]
            at = found.end()
    return [piece for piece in [*pieces, run[at:]] if piece]


def with_specials(tokens: list[str]) -> list[str]:
    spans = [
        (first, last)
        for first in range(len(tokens))
        for last in range(first + 2, len(tokens) + 1)
        if PATTERNS.get("".join(tokens[first:last])) == tuple(tokens[first:last])
    ]
    chosen, seen = {}, set()
    for first, last in sorted(spans, key=lambda span: (span[0] - span[1], span[0])):
        if first not in seen and last - 1 not in seen:
            chosen[first] = last
        seen |= set(range(first, last))
    out: list[str] = []
    at = 0
    while at < len(tokens):
        last = chosen.get(at, at + 1)
        out += RULES["".join(tokens[at:last])] if at in chosen else tokens[at:last]
        at = last
    return out


def sentences(text: str) -> list[str]:
    """datatrove's sentences of an English text: the sentencizer's over these words and the white space between them."""
    starts, at, ended = [0], 0, False
    for word in words(text):
        first = text.index(word, at)
        if ended and text[at:first] not in ("", " "):  # a token of white space, which is no punctuation
            starts.append(at)
            ended = False
        if is_end_mark(word):
            ended = True
        elif ended and not all(unicodedata.category(char).startswith("P") for char in word):
            starts.append(first)
            ended = False
        at = first + len(word)
    if ended:
        starts.append(at)
    pieces = (text[start:stop].strip() for start, stop in pairwise([*starts, len(text)]))
    return [piece for piece in pieces if piece]


def is_end_mark(word: str) -> bool:
    return len(word) == 1 and bool(text_classes()[ord(word)] & SENTENCE_END)
