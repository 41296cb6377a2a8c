"""Values as YAML on one line, such that reading it gives the same values.

    {"text": "body", "id": "true"}   ->   {text: body, id: "true"}

A word stands plain only where YAML reads it as that word: `2024`, `1e5` and `null` are quoted. No block style, no tags.
"""

from __future__ import annotations

import json
import re
from typing import Any

from manifests.yamlfile import parse_yaml

__all__ = ["flow", "quoted", "said"]

_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")
# JSON lets them stand in a string, YAML does not.
_UNPRINTED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def flow(value: Any) -> str:
    """A value as YAML on one line.

    >>> flow({"text": "body", "ids": [7, "2024", "null", "a b"]})
    '{text: body, ids: [7, "2024", "null", "a b"]}'
    """
    if isinstance(value, dict):
        inside = ", ".join(f"{k}: {flow(v)}" for k, v in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list):
        return f"[{', '.join(flow(v) for v in value)}]"
    if not isinstance(value, str):
        return json.dumps(value)
    is_plain = _WORD.fullmatch(value) and parse_yaml(value, file="a word")[0] == value
    return value if is_plain else quoted(value)


def quoted(text: str) -> str:
    """A text between quotation marks."""
    written = json.dumps(text, ensure_ascii=False)
    return _UNPRINTED.sub(lambda char: f"\\u{ord(char[0]):04x}", written)


def said(line: str, why: str = "") -> str:
    """A line of YAML with its reason as a comment."""
    return f"{line.ljust(41)} # {why}" if why else line
