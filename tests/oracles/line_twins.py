"""Slow, obvious twins of the kernels behind FineWeb's and C4's rules: Python strings, no shared code."""

from __future__ import annotations

import re

from datatrove.utils.text import TERMINAL_PUNCTUATION


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
