"""Books of Project Gutenberg as its mirrors keep them: a text, an HTML page or a zip of either, one document.

    The Project Gutenberg EBook of Emma ... *** START OF THIS PROJECT GUTENBERG EBOOK EMMA ***     header
    Produced by An Anonymous Volunteer                                                             note
    EMMA  By Jane Austen  VOLUME I ...                                                             text
    End of Project Gutenberg's Emma  *** END OF ... *** START: FULL LICENSE ***                    footer

The header also has an older form, a licence called the small print, that ends in `*END THE SMALL PRINT
...*END*`. A file without any of these marks is all text: mirrors strip them. The title and the number come
from the header.

Locator: empty where a file is one document; the member's name where a zip holds several (`bookfiles.py`), which is
the origin's `record_id` too.
Encoding: byte order mark, valid UTF-8, the one the header declares (a label of the web's standard, or one of DOS's),
Windows-1252; of an HTML page as for any page. Latin-1 and ASCII are read as Windows-1252, as browsers do.
Line ends become \\n; nothing else in a text is touched, hard line breaks included. Editions of one book share
their number, kept as `ref`: the step `editions` keeps the best of them. The number is the header's or else the file
name's (`booknames.py`); pieces of one book, several in a zip, have none.
Price: 80 MB/s, half of it the search for the footer.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from pipelines import heartbeat
from pipelines.batch import Batch, BatchBuilder, Record
from pipelines.extract.labels import codec_of, decode_mostly
from pipelines.read.bookfiles import BookFile, Limits, book_files, html_book, is_html
from pipelines.read.booknames import HEADER_SIZE, book_number, is_edition
from pipelines.stage import LARGEST, Read, Split

__all__ = ["Gutenberg", "body_of", "decode_book", "title_of"]

_START = re.compile(r"\*\*\*\s*START OF TH(?:IS|E) PROJECT GUTENBERG[^*]{0,400}\*\*\*[^\n]*", re.IGNORECASE)
_SMALL_PRINT = re.compile(r"^\*END\*?\s*THE SMALL PRINT[^\n]*$", re.IGNORECASE | re.MULTILINE)
_END = re.compile(
    r"^[ \t]*(?:\*\*\*\s*END OF TH(?:IS|E) PROJECT GUTENBERG"
    r"|(?:THE )?END OF (?:THE |THIS )?PROJECT GUTENBERG"
    r"|(?:ENDE (?:DIESES|DES|VON)|FIN D[EU]|FINE D(?:I|EL)|FIM D[EO]|EINDE VAN|SLUTET PÅ)\s[^\n]{0,20}"
    r"PRO[JG]E[CK]?T+O? GUTENBERG"
    r"|\*{3,}\s*THIS FILE SHOULD BE NAMED)",
    re.IGNORECASE | re.MULTILINE,
)
# Matched where a paragraph's first letter stands, on a line's length: what may repeat is bounded.
_CREDIT = re.compile(
    r"(?:(?:e-?text|e-?book|text|this (?:e-?text|e-?book|file)(?: was)?)?\s{0,4}"
    r"(?:produced|prepared|transcribed|scanned|typed|digitized|created|proofread|converted)\b[^\n]{0,40}\b(?:by|from)\b"
    r"|(?:html|updated|revised) (?:version|edition)s?\b[^\n]{0,20}\bby\b"
    r"|transcriber'?s?'? notes?\b|note du transcripteur|anmerkungen? zur transkription|opmerkingen van de bewerker"
    r"|nota del transcriptor|special thanks (?:are|is) due|note: (?:project gutenberg|images of)"
    r"|START OF TH(?:IS|E) PROJECT GUTENBERG)",
    re.IGNORECASE,
)
_CREDIT_CHARS = 200
_BEFORE_CREDIT = " \t\n[({*_"
_NOTE = re.compile(r"transcriber.?s.? note|\bproject gutenberg\b", re.IGNORECASE)
_CLOSING_NOTE = re.compile(
    r"^[ \t*_=\[]*(?:Transcriber.?s.? Notes?|Anmerkungen? zur Transkription|Note (?:du|sur la) transcript\w+"
    r"|(?:Au lecteur\.?\s+)?Ce livre électronique reproduit intégralement)\b",
    re.IGNORECASE | re.MULTILINE,
)
_TITLE = re.compile(r"^Title:[ \t]*([^\n]+(?:\n[ \t]+[^\n]+)*)", re.MULTILINE)
_FIRST_LINE = re.compile(
    r"(?:The )?Project Gutenberg(?:'s)?(?: E-?(?:Text|Book) of)? ([^\n]{1,200}?)(?:, (?:by|compiled)\b|\n|$)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\[E-?(?:book|text) ?#([1-9]\d{0,6})\]", re.IGNORECASE)
_ENCODING = re.compile(rb"^Character set encoding:[ \t]*([^\r\n]{1,60})", re.MULTILINE | re.IGNORECASE)
# No page of the web is written in these.
_DOS = {"cp437": "cp437", "ibm437": "cp437", "cp850": "cp850", "ibm850": "cp850"}
_MAX_CREDITS = 8
_MAX_CREDIT_CHARS = 1_000
_HEADING_CHARS = 60
_CLOSING_FRAC = 0.05


class Gutenberg(Read):
    """Project Gutenberg's books without their header, licence and notes on production."""

    name: ClassVar[str] = "gutenberg"
    version: ClassVar[int] = 7
    reads: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[tuple[str, ...]] = ("text", "title", "ref")
    libraries: ClassVar[tuple[str, ...]] = ("resiliparse",)
    reasons: ClassVar[tuple[str, ...]] = (
        "too_large",
        "not_text",
        "unknown_encoding",
        "no_body",
        "damaged",
        "no_book",
        "page_too_large",
        "too_deep",
        "unknown_packing",
        "overlapping",
        "archive_too_large",
        "too_compressed",
        "not_the_book",
    )

    max_bytes: int = Field(default=64 << 20, ge=1, le=LARGEST)
    """Books above this many bytes, in a zip or not, are dropped as `too_large`."""
    max_page_bytes: int = Field(default=16 << 20, ge=1, le=LARGEST)
    """HTML pages above this many bytes are dropped as `page_too_large`."""
    max_tags: int = Field(default=500_000, ge=1, le=LARGEST)
    """HTML pages with more `<` than this, which take 0.5 s, are dropped as `page_too_large`. So are those with 10,000
    `<option`, or as many attributes in one tag, which take the square of that, and those that become 500,000 elements
    because nothing closes their formatting, and those of which to tell how deep they are takes 60 million steps."""
    max_archive_bytes: int | None = Field(default=1 << 30, ge=1, le=LARGEST)
    """Books with which those of one zip inflate to more bytes than this are dropped as `archive_too_large`."""
    max_ratio: int | None = Field(default=100, ge=1, le=LARGEST)
    """Books with which those of one zip inflate to more than a MiB and this many times their packed bytes are dropped
    as `too_compressed`. Text makes 3; the most that a zip can is 1,000."""

    def batches(self, split: Split, *, skip: frozenset[int] = frozenset()) -> Iterator[Batch]:
        """A row for each book in the file; one for a file without any."""
        file = split.file
        builder = BatchBuilder(file.source)
        heartbeat.at(0)
        limits = Limits(self.max_bytes, self.max_archive_bytes, self.max_ratio)
        for ordinal, book in enumerate(book_files(file, limits)):
            record = Record(
                path=file.path,
                locator=book.member,
                offset=0,
                length=file.size,
                licence=file.licence,
                record_id=book.member or None,
            )
            if ordinal not in skip:
                self._fill(record, book, file.path)
            yield from builder.add(record)
            heartbeat.at(ordinal + 1)
        heartbeat.idle()
        yield from builder.flush()

    def _fill(self, record: Record, book: BookFile, path: str) -> None:
        """Fill in the book, or the verdict that it is none."""
        text, page_title, reason = "", None, book.reason
        if not reason and is_html(book.data):
            text, page_title, reason = html_book(
                book.data, max_bytes=self.max_page_bytes, max_tags=self.max_tags
            )
        elif not reason:
            text, reason = decode_book(book.data)
        record.text = None if reason else body_of(text)
        if not reason and not record.text:
            record.text, reason = None, "no_body"
        title, number = title_of(text)
        record.title = title or title_of(page_title or "")[0] or page_title
        record.ref = _ref(number, book, path)
        record.verdict = 1 + self.reasons.index(reason) if reason else 0


def _ref(in_header: str | None, book: BookFile, path: str) -> str | None:
    """The number of the whole book that a file or member is; None where it is unknown, or the book is in pieces."""
    if in_header:
        is_piece = book.shares_number and not is_edition(book.name, in_header)
        return None if is_piece else in_header
    names = [f"{path.rpartition('/')[0]}/{book.name}"] if book.name else []
    names += [] if book.member else [path]
    return next(filter(None, map(book_number, names)), None)


def decode_book(data: bytes) -> tuple[str, str | None]:
    """(text with \\n line ends, None), or ("", why it is no text)."""
    head = data[:4096]
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = _decode(data, "utf-16")
    elif b"\x00" in head:
        return "", "not_text"
    else:
        text = _decode(data, "utf-8-sig")
        text = _decode_as_declared(data) if text is None else text
        text = _decode(data, "cp1252") if text is None else text
    return (
        ("", "unknown_encoding") if text is None else (text.replace("\r\n", "\n").replace("\r", "\n"), None)
    )


def _decode(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except UnicodeDecodeError:
        return None


def _decode_as_declared(data: bytes) -> str | None:
    declared = _ENCODING.search(data[:HEADER_SIZE])
    codec = _codec(declared.group(1).decode("latin-1")) if declared else None
    return decode_mostly(data, codec) if codec else None


def _codec(label: str) -> str | None:
    """Python's name for an encoding as headers spell it (`Latin-4`, `ISO Latin-1`, `CP-850`); None for none.

    >>> [_codec(label) for label in ("Latin-4", "ISO Latin-1", "ISO 8859-1", "CP-850", "UTF-8", "rot13")]
    ['iso8859-4', 'cp1252', 'cp1252', 'cp850', None, None]
    """
    words = label.strip().lower().replace("iso latin", "latin")
    for name in (words, words.replace("-", ""), words.replace(" ", "-"), words.split(" ")[0]):
        if codec := codec_of(name) or _DOS.get(name):
            # What is no valid UTF-8 in most places was declared by mistake.
            return None if codec == "utf-8" else codec
    return None


def title_of(text: str) -> tuple[str | None, str | None]:
    """(title, number) from a header; None for what it does not say."""
    head = text[:HEADER_SIZE]
    number = _NUMBER.search(head)
    title = _TITLE.search(head) or _FIRST_LINE.match(head.lstrip("\ufeff \n"))
    return (" ".join(title.group(1).split()) or None) if title else None, number.group(1) if number else None


def body_of(text: str) -> str:
    """The book in a file: what stands between header and footer, without notes on its production.

    >>> footer = "End of Project Gutenberg's X"
    >>> body_of(f"*** START OF THIS PROJECT GUTENBERG EBOOK X ***\\n\\nProduced by A\\n\\nOnce.\\n\\n{footer}")
    'Once.\\n'
    """
    middle = len(text) // 2
    # Only small print before the text is a header; newer files carry it at their end.
    starts = list(_START.finditer(text, 0, max(middle, HEADER_SIZE)))
    starts = starts or list(_SMALL_PRINT.finditer(text, 0, middle))
    start = starts[-1].end() if starts else 0
    # Not the first mark of all: books quote one another. The licence behind the last one has 20,000 characters.
    late = max(start, min((start + len(text)) // 2, len(text) - HEADER_SIZE))
    end = _END.search(text, late) or _END.search(text, start)
    body = _without_credits(text[start : end.start() if end else len(text)].strip("\n"))
    closing = _CLOSING_NOTE.search(body, int(len(body) * (1 - _CLOSING_FRAC)))
    # The end without any white space: a few books go on for pages of ideographic spaces.
    body = (body[: closing.start()] if closing else body).lstrip("\n").rstrip()
    return body + "\n" if body else ""


def _without_credits(body: str) -> str:
    """The body without the paragraphs at its start that say who produced the file."""
    in_note = False
    for _ in range(_MAX_CREDITS):
        paragraph = body.partition("\n\n")[0]
        if len(paragraph) > _MAX_CREDIT_CHARS:
            break
        # A note's heading may stand alone; its paragraphs are then indented.
        is_credit = _CREDIT.match(paragraph.lstrip(_BEFORE_CREDIT)[:_CREDIT_CHARS])
        if not is_credit and not (in_note and paragraph[:1] == " "):
            break
        in_note = in_note or (len(paragraph) < _HEADING_CHARS and "note" in paragraph.lower())
        body = body[len(paragraph) :].lstrip("\n")
    *head, rest = body.split("\n\n", _MAX_CREDITS)
    kept = [p for p in head if len(p) > _MAX_CREDIT_CHARS or not _NOTE.search(p)]
    return "\n\n".join([*kept, rest]).lstrip("\n")
