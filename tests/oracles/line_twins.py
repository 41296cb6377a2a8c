"""Slow, obvious twins of the kernels behind FineWeb's and C4's rules: Python strings, no shared code."""

from __future__ import annotations

import re

from datatrove.utils.text import TERMINAL_PUNCTUATION

from tests.oracles import spacy_twin


def fineweb_counts(text: str, *, short_line_chars: int) -> dict[str, int]:
    text = text.replace("\r\n", "\n")
    lines = [line for line in text.split("\n") if line.strip()]
    return {
        "n_lines": len(lines),
        "n_ended_lines": sum(line[-1] in TERMINAL_PUNCTUATION for line in lines),
        "n_short_lines": sum(len(line) <= short_line_chars for line in lines),
        "n_dup_line_chars": sum(len(line) for i, line in enumerate(lines) if line in lines[:i]),
        "n_newlines": len(re.findall("\n", text)),
        "n_chars": len(text) - text.count("\n"),
        "n_words": len(text.split()),
    }


POLICIES = (
    "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"
)  # fmt: skip


def ascii_lower(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text)


def c4_line(line: str, rules: dict[str, int | bool | None]) -> str | None:
    """What is left of a line; None where it goes."""
    line, words = line.strip(), line.split()
    if rules["max_word_chars"] is not None and max(map(len, words), default=0) > rules["max_word_chars"]:
        return None
    if rules["citations"]:
        line = re.sub(r"\[(\d*|edit|citation needed)\]", "", line)
    says = ascii_lower(line)
    if rules["end_marks"] and (line[-1:] not in tuple(".?!\"'") or line[-3:] == "..."):
        return None
    if len(words) < (rules["min_words"] or 0):
        return None
    if "lorem ipsum" in says and rules["spare_lorem_ipsum"]:
        return line
    if "javascript" in says and rules["javascript"]:
        return None
    if "{" in says and rules["spare_curly_bracket"]:
        return line
    return None if rules["policy"] and any(policy in says for policy in POLICIES) else line


def c4_text(text: str, rules: dict[str, int | bool | None]) -> str:
    kept = [c4_line(line, rules) for line in text.splitlines()]
    return "\n".join(line for line in kept if line is not None).strip()


def sentences(line: str) -> list[str]:
    """Sentences of a line by white space: marks end one before a space, behind what closes it."""
    closing = r"""[^\w\s$+<=>^`|~]"""
    ends = rf"(?<!\.)[.](?!\.){closing}*(?=\s|$)|[!?]{closing}*(?=\s|$)|[。！？]"
    pieces = re.split(f"(?:{ends})+", line)
    return [piece for piece in pieces if re.search(r"[\w$+<=>^`|~]", piece)]


def c4_counts(text: str) -> dict[str, int]:
    lines = text.splitlines()
    first = {
        phrase: next((i for i, line in enumerate(lines, 1) if phrase in ascii_lower(line)), 0)
        for phrase in ("lorem ipsum", "{")
    }
    return {
        "n_sentences": sum(len(sentences(line)) for line in lines),
        "lorem_ipsum_line": first["lorem ipsum"],
        "curly_bracket_line": first["{"],
    }


def c4_sentence_counts(text: str) -> dict[str, int]:
    units = spacy_twin.sentences(text)
    first = {
        phrase: next((i for i, unit in enumerate(units, 1) if phrase in ascii_lower(unit)), 0)
        for phrase in ("lorem ipsum", "{")
    }
    return {
        "n_sentences": len(units),
        "lorem_ipsum_line": first["lorem ipsum"],
        "curly_bracket_line": first["{"],
    }


def has_listed_word(text: str, words: tuple[str, ...], *, alone: bool) -> bool:
    """datatrove's expression over a list of bad words."""
    either = "|".join(map(re.escape, words))
    return re.search(rf"(?:\W|^)({either})(?:\W|$)" if alone else either, text.lower()) is not None


def long_paragraphs(text: str, least_chars: int) -> int:
    return sum(len(line) >= least_chars for line in text.split("\n"))
