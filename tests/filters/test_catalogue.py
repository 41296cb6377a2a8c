"""Project Gutenberg's catalogue: CSV and RDF read alike, columns in the part, and what is dropped for them."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from manifests.corpus import CorpusManifest
from manifests.errors import RecipeError
from pipelines.executor import build
from pipelines.filters.catalogue import BookCatalogue
from pipelines.plan import make_plan
from pipelines.read.pgcatalogue import Entry, read_catalogue
from tests.filters.batches import batch_of

HEADER = "Text#,Type,Issued,Title,Language,Authors,Subjects,LoCC,Bookshelves\n"
CSV = HEADER + (
    '1342,Text,1998-06-01,"Pride and\n Prejudice",en,"Austen, Jane, 1775-1817","Courtship -- Fiction; Sisters",PR,x\n'
    '2000,Text,1999-12-01,Don Quijote,"es; en",,,PQ,\n'
)
RDF = """<?xml version="1.0" encoding="utf-8"?>
<rdf:RDF xml:base="http://www.gutenberg.org/" xmlns:dcam="http://purl.org/dc/dcam/"
  xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:pgterms="http://www.gutenberg.org/2009/pgterms/"
  xmlns:dcterms="http://purl.org/dc/terms/">
  <pgterms:ebook rdf:about="ebooks/{number}">
    <dcterms:title>Pride and
 Prejudice</dcterms:title>
    <dcterms:rights>{rights}</dcterms:rights>
    <dcterms:creator><pgterms:agent rdf:about="2009/agents/68"><pgterms:name>Austen, Jane</pgterms:name>
      <pgterms:birthdate>1775</pgterms:birthdate><pgterms:deathdate>1817</pgterms:deathdate></pgterms:agent></dcterms:creator>
    <dcterms:creator><pgterms:agent><pgterms:name>Anonymous</pgterms:name></pgterms:agent></dcterms:creator>
    <dcterms:language><rdf:Description rdf:nodeID="N1"><rdf:value>en</rdf:value></rdf:Description></dcterms:language>
    <dcterms:subject><rdf:Description><dcam:memberOf rdf:resource="http://purl.org/dc/terms/LCSH"/>
      <rdf:value>Courtship -- Fiction</rdf:value></rdf:Description></dcterms:subject>
    <dcterms:subject><rdf:Description><dcam:memberOf rdf:resource="http://purl.org/dc/terms/LCC"/>
      <rdf:value>PR</rdf:value></rdf:Description></dcterms:subject>
    <dcterms:subject><rdf:Description><rdf:value>Sisters</rdf:value></rdf:Description></dcterms:subject>
  </pgterms:ebook>
</rdf:RDF>"""
FREE, RESERVED = (
    "Public domain in the USA.",
    "Copyrighted. Read the copyright notice inside this book for details.",
)


def tar_of(records: dict[str, str], mode: str = "w") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:
        for name, text in records.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def zip_of(name: str, data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return packed.getvalue()


RECORDS = {
    "cache/epub/1342/pg1342.rdf": RDF.format(number=1342, rights=FREE),
    "cache/epub/999/pg999.rdf": "<rdf:RDF",  # cut
    "cache/epub/84/pg84.rdf": RDF.format(number=84, rights=RESERVED),
}
AUSTEN = Entry(
    "Austen, Jane, 1775-1817; Anonymous",
    "Pride and Prejudice",
    ("en",),
    "Courtship -- Fiction; Sisters",
    FREE,
)


def rule_of(folder: Path, **params) -> BookCatalogue:
    (folder / "rdf.tar.zip").write_bytes(zip_of("rdf-files.tar", tar_of(RECORDS)))
    return BookCatalogue(file="rdf.tar.zip", root=folder, **params)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("rdf-files.tar.zip", zip_of("rdf-files.tar", tar_of(RECORDS))),
        ("rdf-files.tar.bz2", tar_of(RECORDS, "w:bz2")),
        ("rdf-files.tar", tar_of(RECORDS)),
    ],
)
def test_rdf_is_read_from_every_package_and_a_broken_record_costs_itself(
    tmp_path: Path, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    found = read_catalogue(tmp_path / name, 0)
    assert found["1342"] == AUSTEN
    assert {number: entry.rights for number, entry in found.items()} == {"1342": FREE, "84": RESERVED}


@pytest.mark.parametrize(("name", "pack"), [("pg_catalog.csv", bytes), ("pg_catalog.csv.gz", gzip.compress)])
def test_csv_gives_what_it_has(tmp_path: Path, name: str, pack) -> None:
    (tmp_path / name).write_bytes(pack(("\ufeff" + CSV).encode()))
    assert read_catalogue(tmp_path / name, 0) == {
        "1342": AUSTEN._replace(author="Austen, Jane, 1775-1817", rights=None),
        "2000": Entry(None, "Don Quijote", ("es", "en"), None, None),
    }


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b"no,such\n1,2\n"),
        ("a.csv.gz", gzip.compress(CSV.encode())[:-20]),
        ("a.tar.zip", zip_of("readme.txt", b"x")),
        ("a.tar.zip", zip_of("a.tar", tar_of({}))),
        ("a.tar", b"not a tar" * 100),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(RecipeError, match="pg_catalog"):
        read_catalogue(tmp_path / name, 0)


@pytest.mark.parametrize(
    ("params", "reasons"),
    [
        ({}, [None, None, None, None]),
        ({"keep": ("en", "fr")}, [None, None, "other_language", "other_language"]),
        ({"keep": ("fr",)}, ["other_language"] * 4),
        ({"catalogued": True}, [None, None, "not_in_catalogue", "not_in_catalogue"]),
        ({"public_domain": True}, [None, "in_copyright", "in_copyright", "in_copyright"]),
    ],
)
def test_books_are_dropped_for_what_the_catalogue_says(tmp_path: Path, params: dict, reasons: list) -> None:
    rule = rule_of(tmp_path, **params)
    refs = pa.array(["1342", "84", "7", None], pa.string())
    verdicts = rule.decide(rule.measure(batch_of(["x"] * 4).with_column(pa.field("ref", pa.string()), refs)))
    assert [rule.reasons[code - 1] if code else None for code in verdicts] == reasons


def test_a_build_keeps_the_columns_and_digests_the_catalogue(tmp_path: Path) -> None:
    rule_of(tmp_path)
    for number, head in (
        (1342, "Title: Own\n\n*** START OF THIS PROJECT GUTENBERG EBOOK OWN ***\n"),
        (84, ""),
        (7, ""),
    ):
        (tmp_path / f"pg{number}.txt").write_text(f"{head}Book {number}. " + "Once upon a time. " * 50)
    (tmp_path / "recipe.yaml").write_text(
        "name: b\nsources:\n  - {name: books, read: gutenberg, paths: ['*.txt'],\n"
        "     steps: [book_catalogue: {file: rdf.tar.zip, catalogued: true}]}\n"
        "tokens: {train: {vocab_size: 300}, holdout: 10%}\n"
    )
    plan = make_plan(tmp_path / "recipe.yaml", tmp_path / "out")
    build(plan, workers=0)
    step = CorpusManifest.read(tmp_path / "out").steps[1]
    assert (step.n_read, step.dropped) == (3, {"not_in_catalogue": 1})
    (part,) = (tmp_path / "out" / "parts").glob("*.parquet")
    rows = sorted(
        pq.read_table(part, columns=["ref", "author", "language", "rights", "title"]).to_pylist(), key=str
    )
    assert rows == [
        {"ref": ref, "author": AUSTEN.author, "language": "en", "rights": rights, "title": title}
        for ref, rights, title in (("1342", FREE, "Own"), ("84", RESERVED, AUSTEN.title))
    ]
    stage = plan.recipe.sources[0].steps[0].stage
    before = stage.side_inputs(tmp_path)
    with (tmp_path / "rdf.tar.zip").open("ab") as file:
        file.write(b"another")
    assert stage.side_inputs(tmp_path) != before
