"""Books of Project Gutenberg made in memory, for tests: a text, a page, a zip; the row of a reader."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.read.gutenberg import Gutenberg
from tests.read.warcs import rows, source

BOOK = "CHAPTER I\n\nIt was a long night.\n" * 50
HEADER = (
    "The Project Gutenberg EBook of Long Nights, by A. Writer\n\nTitle: Long Nights\n  and Short Days\n\n"
    "Release Date: May, 1999 [EBook #1234]\n\nLanguage: English\n\nCharacter set encoding: {encoding}\n\n"
    "*** START OF THIS PROJECT GUTENBERG EBOOK LONG NIGHTS ***\n\n\nProduced by Somebody\n\n\n"
    "Transcriber's Note:\n\n    Spelling is kept.\n\n\n"
)
FOOTER = "\n\nEnd of the Project Gutenberg EBook of Long Nights\n\n*** END OF THIS PROJECT GUTENBERG EBOOK ***\n\nlaw"


def read(path: Path, data: bytes) -> dict:
    (row,) = rows(Gutenberg(), source(path, data))
    return row


PAGE = (
    "<!DOCTYPE html><html><head><title>The Project Gutenberg eBook of Long Nights, by A. Writer</title>"
    "<style>p {{color: red}}</style></head><body><pre>{header}</pre>\n<h1>LONG NIGHTS</h1>"
    "<p>It was <span class='pagenum'>[Pg 7]</span>a long&nbsp;night &mdash; and\ncold.</p><p>Größe.</p>"
    "<img alt='a drawing' src='x.png'><pre>{footer}</pre></body></html>"
)


def zipped(
    members: Mapping[str, bytes] | Sequence[tuple[str, bytes]], packing: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """A zip; as pairs, members may share a name."""
    pairs = members.items() if isinstance(members, Mapping) else members
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", packing) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data in pairs:
            archive.writestr(name, data)
    return packed.getvalue()
