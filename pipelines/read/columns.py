"""Rows of tables as documents: which column holds what, and what can be wrong with a row.

    {"body": "Once.", "post_id": 7, "link": "http://..."}   with text: body, id: post_id, url: link
    ->  text "Once.", ref "7", url "http://..."

    {"doc": {"text": "Once.", "meta": {"id": 7}}}           with text: doc.text, id: doc.meta.id
    ->  text "Once.", ref "7"

The source's own id is kept as `ref`. A column that is not named is looked for under its own name and may be
missing; the text column must be there. A name with dots is a column of that name, else a path into nested ones.
Numbers and dates are kept as Python writes them (7, 1.5, 2024-01-02 00:00:00), bytes if they are UTF-8, lists and
mappings not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from pipelines.batch import Record
from pipelines.stage import LARGEST, Read, SourceFile

__all__ = ["ROW_REASONS", "MappedColumns", "fill", "new_record"]

ROW_REASONS = ("no_text", "not_a_string", "lone_surrogate", "too_large")


class MappedColumns(Read):
    """What readers of tables share: the names of the columns."""

    text: str = "text"
    """Column of the text."""
    id: str = "id"
    """Column of the source's own id, kept as `ref`."""
    url: str = "url"
    """Column of the address."""
    date: str = "date"
    """Column of the date."""
    title: str = "title"
    """Column of the title."""
    licence: str = "licence"
    """Column of the licence; where a row has none, the source's counts."""
    max_bytes: int = Field(default=64 << 20, ge=1, le=LARGEST)
    """Rows whose text has more bytes are dropped as `too_large`."""

    def mapping(self) -> dict[str, str]:
        """Document column -> column of the table."""
        names = {
            "ref": self.id,
            "url": self.url,
            "date": self.date,
            "title": self.title,
            "licence": self.licence,
        }
        return {"text": self.text, **names}


def fill(record: Record, row: Mapping[str, Any], reader: MappedColumns) -> str | None:
    """Put a row's values into a record; returns the reason why it is no document, or None."""
    text = _value(row, reader.text)
    if text is None or text == "":
        return "no_text"
    if not isinstance(text, str):
        return "not_a_string"
    if not _is_unicode(text):
        return "lone_surrogate"
    if len(text) > reader.max_bytes or (not text.isascii() and len(text.encode()) > reader.max_bytes):
        return "too_large"
    for name, column in reader.mapping().items():
        setattr(record, name, _plain(_value(row, column)) or getattr(record, name))
    record.text = text
    return None


def new_record(file: SourceFile, index: int) -> Record:
    """The record of row `index` of a file, with the source's licence."""
    return Record(path=file.path, locator=index, offset=0, length=file.size, licence=file.licence)


def _value(row: Mapping[str, Any], column: str) -> Any:
    """A row's value in a column, which may be nested; None where there is none.

    >>> [_value({"a.b": 1, "c": {"d": 2}}, column) for column in ("a.b", "c.d", "c.d.e", "x")]
    [1, 2, None, None]
    """
    if column in row or "." not in column:
        return row.get(column)
    value: Any = row
    for name in column.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _plain(value: Any) -> str | None:
    """A value of a column that is kept as a string; None where there is none."""
    if value is None or isinstance(value, dict | list):
        return None
    if isinstance(value, bytes):
        value = value.decode("utf-8", "surrogateescape")  # what is no UTF-8 becomes no Unicode
    text = value if isinstance(value, str) else str(value)
    return text if _is_unicode(text) else None


def _is_unicode(text: str) -> bool:
    # JSON can spell half a surrogate pair, which no encoding can write.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
