r"""How a record begins: the header blocks of WARC and ARC, told apart, found again and read.

    WARC/1.0\r\nWARC-Type: response\r\n ... \r\n\r\n                          a block of fields
    http://a.org/ 192.0.2.1 20080430204826 text/html 680\n                   ARC 1: one line, last the length
    http://a.org/ 192.0.2.1 20080430204826 text/html 200 - - 0 a.arc 680\n   ARC 2: four words more

An ARC line becomes the fields a WARC record would have, so that what reads records need not know of ARC:
`filedesc:` is the `warcinfo`, http and https are a `response`, every other scheme a `resource` of the line's type.
An address may hold spaces, so a line is read from its IP address and date on; where another word stands in place of
one of these, the address ends at its first space. A date of 14 digits is written as WARC writes it; of any other
there is none. Where a record ended, any line from `scheme:` to a number is a record line, so that an odd one costs
itself and not the record before it; of lines above 16 KiB this is not seen.

Source: https://archive.org/web/researcher/ArcFileFormat.php; ISO 28500 (WARC).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["ARC", "FORMS", "WARC", "Form", "parse_headers"]


@dataclass(frozen=True, slots=True)
class Form:
    """One way of writing records.

    n_begin: bytes that `begins` and `follows` need to see; begins: whether a record stands here, wherever that is,
    line ends before it or not (some writers put a record's last ones at the head of the next member);
    follows: the same, less strict, where a record ended; following: matches where the next record begins, from the
    line end before it; head_end: matches the end of a header block; cut: matches all of what is left where a stream
    ends before it can be told to begin a record; headers: the fields of a header block, none of an odd line.
    """

    n_begin: int
    begins: Callable[[bytes], bool]
    follows: Callable[[bytes], bool]
    following: re.Pattern[bytes]
    head_end: re.Pattern[bytes]
    cut: re.Pattern[bytes]
    headers: Callable[[bytes], dict[str, str]]


def parse_headers(head: bytes) -> dict[str, str]:
    """Header fields by lower-case name, the first of several, folded lines joined; the first line is skipped.

    >>> parse_headers(b"WARC/1.0\\r\\nA-b: 1\\r\\n  2\\r\\n\\r\\n")
    {'a-b': '1 2'}
    """
    fields: dict[str, str] = {}
    folded: dict[str, list[str]] = {}
    name = ""
    for line in head.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")[1:]:
        if line[:1] in (" ", "\t") and name:
            folded.setdefault(name, [fields[name]]).append(line.strip())
            continue
        key, colon, value = line.partition(":")
        name = key.strip().lower() if colon else ""
        if name and name not in fields:
            fields[name] = value.strip()
        else:
            name = ""  # so that what is folded under it joins nothing
    return fields | {name: " ".join(filter(None, parts)) for name, parts in folded.items()}


# Bounds keep a search linear where a page is one line of a megabyte. Lengths that are no number count as lines:
# their record is then one row, and not the end of the one before.
_LINE = re.compile(
    rb"(?:([A-Za-z][A-Za-z0-9+.-]{0,30}:[^\r\n]{0,8000}?) (?:[0-9A-Fa-f.:]{3,45}|-) (\d{8,20}|-)"
    rb"((?: [^ \r\n]{0,1000}){0,16})|(filedesc:)[^\r\n]{0,8000}) (-?\w{1,20})[ \t]*\r?\n"
)
_ARC_OVERLAP = 16 << 10
# Any words for IP address and date, the groups as above. Pages hold such lines ("margin: 0 0 0 5"), so none is
# looked for in bytes that are no record.
_LOOSE = re.compile(
    rb"([A-Za-z][A-Za-z0-9+.-]{0,30}:[^ \r\n]{0,16000}) [^ \r\n]{1,200} ([^ \r\n]{1,200})"
    rb"((?: [^ \r\n]{0,1000}){1,16})() (\d{1,20})[ \t]*\r?\n"
)
_ODD = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,30}:[^\r\n]{0,16200} -?\d{1,20}[ \t]*\r?\n")


def _arc_begins(data: bytes) -> bool:
    return _LINE.match(data.lstrip(b"\r\n")) is not None


def _arc_follows(data: bytes) -> bool:
    return _arc_begins(data) or _ODD.match(data.lstrip(b"\r\n")) is not None


def _arc_headers(head: bytes) -> dict[str, str]:
    """The fields of a record line; none of an odd one.

    >>> _arc_headers(b"dns:a.org 192.0.2.1 20080430204826 text/dns 56\\n")["warc-date"]
    '2008-04-30T20:48:26Z'
    """
    line = _LINE.match(head) or _LOOSE.match(head)
    if line is None:
        return {}
    url, digits, media, filedesc, length = (
        (group or b"").decode("utf-8", "replace") for group in line.groups()
    )
    scheme = (url or filedesc).partition(":")[0].lower()
    kind = {"filedesc": "warcinfo", "http": "response", "https": "response"}.get(scheme, "resource")
    # The second version's words stand behind the type.
    fields = {"warc-type": kind, "content-type": media.strip().partition(" ")[0], "content-length": length}
    return {**fields, "warc-target-uri": url, "warc-date": _date(digits)}


def _date(digits: str) -> str:
    if len(digits) != 14 or not (digits.isascii() and digits.isdigit()):
        return ""
    year, *rest = digits[:4], *(digits[i : i + 2] for i in range(4, 14, 2))
    return f"{year}-{rest[0]}-{rest[1]}T{rest[2]}:{rest[3]}:{rest[4]}Z"


def _warc_begins(data: bytes) -> bool:
    return data.lstrip(b"\r\n")[:5].upper() == b"WARC/"


WARC = Form(
    n_begin=16,
    begins=_warc_begins,
    follows=_warc_begins,
    following=re.compile(rb"\n\r?\n(?=[Ww][Aa][Rr][Cc]/[01]\.)"),
    # Real files end header lines with \r\n, \n and even \r\r\n.
    head_end=re.compile(rb"\n\r*\n"),
    cut=re.compile(rb"[Ww](?:[Aa](?:[Rr][Cc]?)?)?"),
    headers=parse_headers,
)
ARC = Form(
    n_begin=_ARC_OVERLAP,
    begins=_arc_begins,
    follows=_arc_follows,
    following=re.compile(rb"\n(?=" + _LINE.pattern + rb")"),
    head_end=re.compile(rb"\n"),
    cut=re.compile(rb"(?:https?|ftp|dns|filedesc):[^\r\n]{0,8000}"),
    headers=_arc_headers,
)
FORMS = (WARC, ARC)
"""In the order in which they are tried."""
