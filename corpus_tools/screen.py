"""What people and programs read: tables and JSON on stdout, remarks on stderr, nothing that drives a terminal.

    rows: list[dict]  --table-->  name    n_docs     --emit(json)-->  [{"name": "web", "n_docs": 2106}]
                                  web      2,106

Text of a corpus was written by strangers. Shown raw on a terminal it could move the cursor, retitle the
window or reorder a line; `clean` shows every such character as its escape instead.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from manifests.errors import system_error_text

__all__ = ["clean", "count", "emit", "note", "refused_by_the_system", "size", "table", "tidy"]

# C0 and C1 controls, DEL, surrogates, line and paragraph separators, and what sets or hides the direction of
# text. Kept: newline, tab, and the two joiners that Persian, Hindi and emoji need.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)


def clean(text: str) -> str:
    r"""`text` with everything that could drive a terminal shown as an escape; newlines and tabs stay.

    >>> clean("a\x1b[2Jb\u202ec")
    'a\\x1b[2Jb\\u202ec'
    """
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def tidy(text: str, n_chars: int = 80) -> str:
    """`text` cleaned, on one line, cut to `n_chars`."""
    line = clean(" ".join(text.split()))
    return line if len(line) <= n_chars else line[: n_chars - 1] + "…"


def count(n: int) -> str:
    """A whole number with its thousands apart.

    >>> count(1234567)
    '1,234,567'
    """
    return f"{n:,}"


def size(n_bytes: float) -> str:
    """Bytes in the unit a person would choose.

    >>> size(532), size(5_347_123)
    ('532 B', '5.3 MB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if abs(n_bytes) < 1000:
            return f"{n_bytes:.0f} B" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"


def table(rows: Sequence[Mapping[str, Any]], columns: Iterable[str] | None = None, *, title: str = "") -> str:
    """Rows as aligned text: numbers to the right with thousands apart, everything cleaned, one line a row."""
    names = list(columns) if columns is not None else list(rows[0]) if rows else []
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    right = [any(_is_number(row.get(n)) for row in rows) for n in names]
    widths = [max(_width(line[i]) for line in [names, *cells]) for i in range(len(names))]
    lines = [_line(line, widths, right) for line in [names, *cells]]
    return "\n".join([*([title] if title else []), *lines]) + "\n"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    return count(value) if isinstance(value, int) else clean(str(value)).replace("\n", " ").replace("\t", " ")


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    pads = [" " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True)]
    parts = [p + c if r else c + p for c, p, r in zip(cells, pads, right, strict=True)]
    return "  ".join(parts).rstrip()


def emit(data: Any, *, as_json: bool, text: str) -> None:
    """Write the answer to stdout: `data` as one JSON document, or `text`, which must be clean."""
    if as_json:
        # On a terminal JSON is kept to ASCII, so that no string in it can drive the terminal.
        text = json.dumps(data, ensure_ascii=sys.stdout.isatty(), indent=2).replace("\x7f", "\\u007f")
    sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")


def note(text: str) -> None:
    """Say something to the person, on stderr, cleaned."""
    sys.stderr.write(clean(text) + "\n")


def refused_by_the_system(error: OSError, verb: str | None) -> str:
    """What the system refused `quern VERB`, what it would have caused, and what to do."""
    return (
        f"{system_error_text(error)}, so `quern {verb}` could not go on. What was finished before stands. Mend "
        "the path, its rights or the room on the disk, and run the same command: it goes on from there."
    )
