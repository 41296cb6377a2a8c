"""What Project Gutenberg's catalogue knows of a book: author, language, subjects and rights, as columns.

    ref 1342  ->  author "Austen, Jane, 1775-1817", language "en", subjects "Courtship -- Fiction; ...",
                  rights "Public domain in the USA."
    ref null  ->  all null

`language` is the first of a book's languages, as the catalogue spells it (`en`, `zh`, `enm`), so a step after this
one may be routed by it, and books need no `language` step. A title that the book's own header gave stays: the
catalogue's is for headers without one. The CSV has no rights: for `public_domain` give the RDF.
Documents are looked up by `ref`, which the `gutenberg` reader fills.

Price: a look-up a book, and the catalogue once a process (`read/pgcatalogue.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from manifests.digest import digest_file
from manifests.errors import RecipeError
from pipelines.batch import Batch, Values
from pipelines.read.pgcatalogue import Entry, check_catalogue, read_catalogue
from pipelines.stage import Rule, Verdicts, first_failing

__all__ = ["BookCatalogue"]

_NOTHING = Entry(None, None, (), None, None)


class BookCatalogue(Rule):
    """Gives books their catalogue's columns; drops those in other languages or still in copyright, if asked to."""

    name: ClassVar[str] = "book_catalogue"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("ref", "title")
    writes: ClassVar[tuple[str, ...]] = ("author", "language", "subjects", "rights", "title")
    reasons: ClassVar[tuple[str, ...]] = ("not_in_catalogue", "other_language", "in_copyright")
    path_fields: ClassVar[tuple[str, ...]] = ("file",)
    measuring: ClassVar[tuple[str, ...]] = ("file",)
    labels: ClassVar[tuple[str, ...]] = ("language", "rights")

    file: str
    """pg_catalog.csv or rdf-files.tar.zip, from the recipe's folder."""
    keep: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Languages to keep, as the catalogue spells them; all if left out."""
    catalogued: bool = False
    """Whether books that are not in the catalogue are dropped."""
    public_domain: bool = False
    """Whether books whose rights do not begin with "Public domain" are dropped."""
    root: Path | None = Field(default=None, exclude=True)
    """The recipe's folder."""

    def side_inputs(self, folder: Path) -> dict[str, str]:
        """The catalogue's digest.

        Raises: RecipeError if there is no such file, or it does not begin like a catalogue.
        """
        if not (folder / self.file).is_file():
            raise RecipeError(
                f'expected pg_catalog.csv or rdf-files.tar.zip, found nothing at "{self.file}"; correct the path'
            )
        check_catalogue(folder / self.file)
        return {self.file: digest_file(folder / self.file)}

    def numbers(self) -> tuple[str, ...]:
        """Whether it is there; all else is text."""
        return ("in_catalogue",)

    def measure(self, batch: Batch) -> dict[str, Any]:
        """The five columns, string[n_docs], null where nothing is known; in_catalogue: uint8[n_docs]."""
        path = (self.root or Path()) / self.file
        catalogue = read_catalogue(path, path.stat().st_mtime_ns)
        entries = [catalogue.get(ref or "") for ref in batch.column("ref").to_pylist()]
        found = [entry or _NOTHING for entry in entries]
        return {
            "author": pa.array([e.author for e in found], pa.string()),
            "language": pa.array([e.languages[0] if e.languages else None for e in found], pa.string()),
            "subjects": pa.array([e.subjects for e in found], pa.string()),
            "rights": pa.array([e.rights for e in found], pa.string()),
            "title": pc.coalesce(batch.column("title"), pa.array([e.title for e in found], pa.string())),
            "in_catalogue": np.array([entry is not None for entry in entries], np.uint8),
        }

    def decide(self, values: Values) -> Verdicts:
        """Not in the catalogue, then another language (or none that is known), then rights."""
        unknown = np.asarray(values["in_catalogue"]) == 0
        foreign = reserved = np.zeros(len(unknown), np.bool_)
        if self.keep is not None:
            wanted = pc.is_in(values["language"], value_set=pa.array(self.keep, pa.string()))
            foreign = ~np.asarray(wanted, np.bool_)
        if self.public_domain:
            free = pc.starts_with(values["rights"], "Public domain").fill_null(False)  # noqa: FBT003
            reserved = ~np.asarray(free, np.bool_)
        return first_failing(len(unknown), [unknown & self.catalogued, foreign, reserved])

    def limits(self) -> dict[str, tuple[str, str]]:
        """What is asked of a book."""
        asked = {"not_in_catalogue": ("in_catalogue", ">= 1")} if self.catalogued else {}
        if self.keep is not None:
            asked["other_language"] = ("language", f"in {', '.join(self.keep)}")
        if self.public_domain:
            asked["in_copyright"] = ("rights", 'begins with "Public domain"')
        return asked
