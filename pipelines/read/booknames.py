"""Which book of Project Gutenberg a file is, by its name, and by what its header says.

    1/3/4/1342/1342.txt   1342     a folder of that number: a mirror's layout
    pg84.txt.utf8           84     the prefix of generated files
    44157-h.zip          44157     an edition's code (-0 UTF-8, -8 eight bits, -h HTML) behind three digits or more
    austen/1.txt          none     a chapter, a volume, a page: numbers alone are anybody's
    pandp12.txt           none     names of before 2003; the header says it

A wrong number would make two books editions of one, and drop one of them; a missing one keeps both. Price: a regular
expression a name.

Source: https://www.gutenberg.org/help/file_formats.html
"""

from __future__ import annotations

import re

__all__ = ["HEADER_SIZE", "book_number", "file_number", "header_number", "is_edition"]

HEADER_SIZE = 30_000
"""Bytes or characters in which a header ends."""

_NAME = re.compile(r"(pg)?([1-9]\d{0,6})(?:-([0-9a-z]{1,6}))?(?:\.[a-z0-9-]{1,8}){1,3}", re.IGNORECASE)
_HEADER = re.compile(rb"\[E-?(?:book|text) ?#([1-9]\d{0,6})\]", re.IGNORECASE)
_CODES = ("0", "8", "h")
_SURE_DIGITS = 3


def file_number(name: str) -> str | None:
    """The number that a file is named by, whatever it may count; None for other names."""
    found = _NAME.fullmatch(name)
    return found.group(2) if found else None


def book_number(path: str) -> str | None:
    """The book's number where the name of a file and its folders are a mirror's; None for others.

    >>> [book_number(path) for path in ("1/3/4/1342/1342.txt", "pg84.txt.utf8", "44157-h.zip", "austen/1.txt")]
    ['1342', '84', '44157', None]
    """
    *folders, name = path.split("/")
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    prefix, number, code = found.groups()
    coded = len(number) >= _SURE_DIGITS and (code or "").lower() in _CODES
    placed = number in folders or f"{number}-h" in folders
    return number if prefix or coded or placed else None


def is_edition(path: str, number: str) -> bool:
    """Whether a file is named as an edition of the book of that number: `1342.txt`, `1342-8.txt`, not `1342-1.txt`."""
    found = _NAME.fullmatch(path.rpartition("/")[2])
    return found is not None and found.group(2) == number and (found.group(3) or "0").lower() in _CODES


def header_number(head: bytes) -> str | None:
    """The book's number in a header, `[EBook #1342]`; None where it has none."""
    found = _HEADER.search(head[:HEADER_SIZE])
    return found.group(1).decode() if found else None
