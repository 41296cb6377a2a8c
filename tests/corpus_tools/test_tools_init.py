"""`quern init`: what a file is, by its bytes, and files that the rest of Quern accepts."""

import bz2
import glob
import gzip
import io
import json
import lzma
import os
import random
import shlex
import subprocess
import sys
import time
from pathlib import Path

import lz4.frame
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
import zstandard
from click.testing import CliRunner

from corpus_tools.cli import main
from corpus_tools.init import _write, shipped, write_files
from corpus_tools.sniff import sniff
from manifests.errors import UsageError
from manifests.mixfile import MixFile
from manifests.yamlfile import load_yaml, validate
from pipelines.read.jsonl import Jsonl
from pipelines.stage import SourceFile, Split
from trainer.config import load_train

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
BOOK = (
    "The Project Gutenberg eBook\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\n"
    + "It was a dark night. " * 4000
)
ROW = json.dumps({"body": "some text " * 50, "post_id": "7", "link": "https://example.org/"}) + "\n"
ROW_COLUMNS = {"text": "body", "id": "post_id", "url": "link"}
# Longer than the head that is looked at.
LONG_ROW = ROW.replace("some text ", "some text " * 700).encode()


ARC = (
    b"filedesc://pages.arc 0.0.0.0 20080430204825 text/plain 77\n1 0 Someone\n"
    b"URL IP-address Archive-date Content-type Archive-length\n\n"
    b"http://a.org/ 10.0.0.1 20080430204826 text/html 44\nHTTP/1.1 200 OK\r\n\r\n<html>ab</html>\n"
)


def warc(kind, n=3):
    record = f"WARC/1.0\r\nWARC-Type: {kind}\r\nContent-Length: 5\r\n\r\nhello\r\n\r\n".encode()
    return [b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 0\r\n\r\n\r\n\r\n", *([record] * n)]


def parquet():
    sink = io.BytesIO()
    pq.write_table(pa.table({"content": ["a", "b"], "url": ["u", "v"]}), sink)
    return sink.getvalue()


def with_dictionary(records, *, is_packed):
    """A Zstandard WARC whose frames need the dictionary in its first, skippable frame, longer than a head."""
    noise = random.Random(0).randbytes(300_000)
    dictionary = zstandard.ZstdCompressionDict(noise, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    packed = zstandard.ZstdCompressor(dict_data=dictionary)
    lead = zstandard.compress(noise) if is_packed else noise
    head = b"\x5d\x2a\x4d\x18" + len(lead).to_bytes(4, "little") + lead
    return head + b"".join(packed.compress(record + noise[:5000]) for record in records)


FILES = {
    "pages.warc.gz": (b"".join(gzip.compress(r) for r in warc("response")), "warc", {}),
    "pages.arc": (ARC, "warc", {}),
    "pages.arc.gz": (gzip.compress(ARC), "warc", {}),
    "pages.arc.lz4": (lz4.frame.compress(ARC), "warc", {}),
    "quotes.arc": (ARC + b"<p>WARC-Type: conversion" * 9, "warc", {}),
    "pages.warc": (b"".join(warc("response")), "warc", {}),
    "list.txt": (b"warc/a.warc.gz\nwarc/b.warc.gz\n" * 9, "gutenberg", {}),
    "numbered.txt": (b"warc/1.gz\nwarc/2.gz\n" * 9, "gutenberg", {}),
    "text.warc.wet.gz": (b"".join(gzip.compress(r) for r in warc("conversion")), "wet", {}),
    "pages.warc.lz4": (b"".join(lz4.frame.compress(r) for r in warc("response")), "warc", {}),
    "text.warc.wet.lz4": (b"".join(lz4.frame.compress(r) for r in warc("conversion")), "wet", {}),
    "text.warc.wet.zst": (b"".join(zstandard.compress(r) for r in warc("conversion")), "wet", {}),
    "dictionary.warc.zst": (with_dictionary(warc("response"), is_packed=False), "warc", {}),
    "packed_dictionary.warc.wet.zst": (with_dictionary(warc("conversion"), is_packed=True), "wet", {}),
    "note_first.warc.zst": (
        b"\x50\x2a\x4d\x18\x04\x00\x00\x00note" + zstandard.compress(warc("response")[0]),
        "warc",
        {},
    ),
    "rows.jsonl.lz4": (lz4.frame.compress(ROW.encode() * 9), None, {}),
    "rows.jsonl.bz2": (bz2.compress(ROW.encode() * 9), "jsonl", ROW_COLUMNS),
    "rows.jsonl.xz": (lzma.compress(ROW.encode() * 9), "jsonl", ROW_COLUMNS),
    "long.jsonl.xz": (lzma.compress(LONG_ROW * 2), "jsonl", ROW_COLUMNS),
    "cut.jsonl.bz2": (bz2.compress(ROW.encode() * 9)[:-9], "jsonl", ROW_COLUMNS),
    "pages.warc.bz2": (bz2.compress(b"".join(warc("response"))), None, {}),
    "text.txt.gz": (gzip.compress(BOOK.encode()), None, {}),
    "text.txt.zst": (zstandard.compress(BOOK.encode()), None, {}),
    "prog.py.gz": (gzip.compress(b"import os\n"), None, {}),
    "prog.py.xz": (lzma.compress(b"import os\n"), None, {}),
    "table.parquet.gz": (gzip.compress(parquet()), None, {}),
    "cut.warc.zst": (b"\x5d\x2a\x4d\x18\xff", None, {}),
    "rows.jsonl": (ROW.encode() * 9, "jsonl", ROW_COLUMNS),
    "rows.jsonl.gz": (gzip.compress(ROW.encode() * 9), "jsonl", ROW_COLUMNS),
    "rows.jsonl.zst": (zstandard.compress(ROW.encode() * 9), "jsonl", ROW_COLUMNS),
    "bom.jsonl": (b"\xef\xbb\xbf" + ROW.encode() * 9, "jsonl", ROW_COLUMNS),
    "long.jsonl": (LONG_ROW * 2, "jsonl", ROW_COLUMNS),
    "long.jsonl.gz": (gzip.compress(b"\xef\xbb\xbf\n" + LONG_ROW * 2), "jsonl", ROW_COLUMNS),
    "long.jsonl.zst": (zstandard.compress(LONG_ROW * 2), "jsonl", ROW_COLUMNS),
    "broken_row.jsonl": (LONG_ROW.replace(b'"body": ', b'"body" '), "jsonl", {}),
    "cut_row.jsonl.gz": (gzip.compress(ROW.encode())[:-60], "jsonl", {}),
    "bad_first.jsonl": (b'{"text": broken\n' + ROW.encode() * 9, "jsonl", ROW_COLUMNS),
    "bad_first.log": (b'{"text": broken\n' + ROW.encode() * 9, "jsonl", ROW_COLUMNS),
    "list_first.ndjson": (b'["a"]\n' + ROW.encode() * 9, "jsonl", ROW_COLUMNS),
    "list_first.ndjson.gz": (gzip.compress(b'["a"]\n' + ROW.encode() * 9), "jsonl", ROW_COLUMNS),
    "numbers.jsonl": (b"[1,2,3]\n[4]\n", None, {}),
    "carriage.jsonl": (ROW.replace("\n", "\r").encode() * 9, None, {}),
    "blank.jsonl": (b" " * 300_000 + ROW.encode(), None, {}),
    "array.json": (json.dumps([json.loads(ROW)] * 9).encode(), None, {}),
    "array_of_many.json": (json.dumps([json.loads(ROW)] * 999).encode(), None, {}),
    "long_array.json": (b"[" + LONG_ROW.strip() + b"," + LONG_ROW + b"]", None, {}),
    "pretty.json": (json.dumps(json.loads(ROW), indent=2).encode(), None, {}),
    "pretty_array.txt": (json.dumps([json.loads(ROW)] * 9, indent=2).encode(), None, {}),
    "pretty_many.json": (json.dumps([json.loads(ROW)] * 999, indent=2).encode(), None, {}),
    "pretty_rows.jsonl": (json.dumps(json.loads(ROW), indent=2).encode() * 9, None, {}),
    "array.json.gz": (gzip.compress(json.dumps([json.loads(ROW)] * 9).encode()), None, {}),
    "table.csv": (b"id,text\n" + b"1,hello world this is\n" * 9, None, {}),
    "table.tsv.gz": (gzip.compress(b"id\ttext\n1\thello\n"), None, {}),
    "illustration.txt": (b"[Illustration]\n\n" + BOOK.encode(), "gutenberg", {}),
    "footnote.txt": (b"[1] As he says in [2], where more is said.\n" * 9, "gutenberg", {}),
    "verse.txt": (b"{The moon speaks}\nI am the moon.\n" * 9, "gutenberg", {}),
    "brace.txt": (b"{a note}", "gutenberg", {}),
    "minified.js": (b"{" + b"let a = 1; " * 30_000 + b"}", "code", {}),
    "deep.txt": (b'{"a":' * 40_000 + b"\n", "gutenberg", {}),
    "table.parquet": (parquet(), "parquet", {"text": "content"}),
    "book.txt": (BOOK.encode(), "gutenberg", {}),
    "plain.txt": ("Just text, öäü. ".encode() * 99, "gutenberg", {}),
    "tool.py": (b"import os\n", "code", {}),
    "misnamed.txt": (b"".join(warc("response")), "warc", {}),
    "image.png": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00" * 9, None, {}),
    "CC.warc.paths.gz": (gzip.compress(b"crawl-data/x.warc.gz\n"), None, {}),
    "broken.jsonl.gz": (gzip.compress(ROW.encode() * 200)[:-9], "jsonl", ROW_COLUMNS),
    "empty": (b"", None, {}),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_known_by_its_bytes(tmp_path, name):
    data, reader, params = FILES[name]
    (tmp_path / name).write_bytes(data)
    found = sniff(tmp_path / name)
    assert found.reader == reader
    assert found.params == params


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (
            "rows.jsonl.lz4",
            "JSON lines, but packed by LZ4, which the reader `jsonl` does not unpack: unpack it",
        ),
        (
            "prog.py.gz",
            "source code by its name, but packed by gzip, which the reader `code` does not unpack",
        ),
    ],
)
def test_a_file_that_its_reader_does_not_unpack_says_how_it_is_packed(tmp_path, name, why):
    (tmp_path / name).write_bytes(FILES[name][0])
    assert why in sniff(tmp_path / name).why


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("array.json", "JSON that is not in lines: "),
        ("pretty_many.json", "JSON that is not in lines: "),
        ("carriage.jsonl", "JSON lines by its name, but none of its first lines is a row: "),
        ("table.csv", "a table, not a text: "),
    ],
)
def test_what_is_structured_and_not_in_lines_is_left_out_and_says_what_to_do(tmp_path, name, what):
    (tmp_path / name).write_bytes(FILES[name][0])
    assert sniff(tmp_path / name).why == f"{what}convert to JSON Lines, one object a line"


def test_what_init_proposes_for_packed_files_is_read(tmp_path):
    rows = {name: data for name, (data, reader, _) in FILES.items() if reader == "jsonl" and "rows" in name}
    for name, data in rows.items():
        (tmp_path / name).write_bytes(data)
        found = sniff(tmp_path / name)
        split = Split(SourceFile("rows", tmp_path, name, found.n_bytes, "0" * 32), 0, found.n_bytes)
        [batch] = Jsonl(**found.params).batches(split)
        assert batch.column("text").to_pylist() == [json.loads(ROW)["body"]] * 9
    assert len(rows) == 5


def accepted(folder):
    """Load what was written as the commands would; returns the recipe, the mix and the training configuration."""
    from pipelines.recipe import load_recipe

    mix, positions = load_yaml(folder / "mix.yaml")
    return (
        load_recipe(folder / "recipe.yaml"),
        validate(MixFile, mix, positions),
        load_train(folder / "train.yaml"),
    )


def test_one_book_gives_three_files_that_are_accepted(tmp_path):
    (tmp_path / "book.txt").write_text(BOOK)
    made = write_files([str(tmp_path / "book.txt")], tmp_path / "out", force=False)
    assert list(made.files) == ["recipe.yaml", "mix.yaml", "train.yaml"]
    recipe, mix, train = accepted(tmp_path / "out")
    assert [f.path for s in recipe.sources for f in s.files] == ["book.txt"]
    assert (recipe.name, mix.name, train.name) == ("book", "book", "book")
    assert "vocab_size: 2048" in made.files["recipe.yaml"]
    assert recipe.tokens is not None
    assert train.model.preset == "llama-1m"


def test_a_folder_of_many_kinds_gives_a_source_of_each_and_says_what_was_left_out(tmp_path):
    for name, (data, _, _) in FILES.items():
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_bytes(data)
    made = write_files([str(tmp_path / "data")], tmp_path / "out", force=False)
    recipe, mix, _ = accepted(tmp_path / "out")
    found = {s.name: {f.path for f in s.files} for s in recipe.sources}
    assert found["web"] == {name for name, (_, reader, _) in FILES.items() if reader == "warc"}
    assert found["books"] == {name for name, (_, reader, _) in FILES.items() if reader == "gutenberg"}
    assert set(mix.phases[0].weights) == set(found)
    left_out = {name for name, (_, reader, _) in FILES.items() if reader is None}
    told = (tmp_path / "out" / ".left_out.txt").read_text().splitlines()
    assert {Path(line.partition(": ")[0]).name for line in told} == left_out
    assert sum(remark.startswith("left out ") for remark in made.remarks) == 21


@pytest.mark.parametrize("n_more", [0, 1, 1200])
def test_of_many_files_left_out_the_first_are_named_and_all_in_a_file(tmp_path, n_more):
    data = tmp_path / "data"
    data.mkdir()
    (data / "book.txt").write_text(BOOK)
    names = [f"{n:04}.pdf" for n in range(20 + n_more)]
    for name in names:
        (data / name).write_bytes(b"%PDF-1.7\n\0")
    made = write_files([str(data)], tmp_path / "out", force=False)
    told = [remark for remark in made.text().splitlines() if remark.startswith("left out ")]
    assert [line.partition(": ")[0] for line in told[:20]] == [
        f"left out {data / name}" for name in names[:20]
    ]
    listed = tmp_path / "out" / ".left_out.txt"
    if not n_more:
        assert len(told) == 20
        assert not listed.exists()
        return
    more = "1 file" if n_more == 1 else "1,200 files"
    assert told[20:] == [f"left out {more} more: .left_out.txt names all {20 + n_more:,}"]
    whole = listed.read_text().splitlines()
    assert [line.partition(": ")[0] for line in whole] == [str(data / name) for name in names]
    assert f"left out {whole[0]}" == told[0]
    assert str(listed) in made.text()
    accepted(tmp_path / "out")


def test_files_left_out_may_have_any_name(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "book.txt").write_text(BOOK)
    for n in range(21):
        (tmp_path / "data" / os.fsdecode(b"%02d\xff\n.pdf" % n)).write_bytes(b"%PDF-1.7\n\0")
    made = write_files([str(tmp_path / "data")], tmp_path / "out", force=False)
    lines = (tmp_path / "out" / ".left_out.txt").read_text().splitlines()
    assert len(lines) == 21
    assert lines[0].startswith(f"{tmp_path / 'data'}/00\\udcff\\n.pdf: ")
    assert f"left out {lines[0]}" in made.text().encode().decode().splitlines()


def test_a_pipe_and_a_link_to_nothing_are_left_out_by_name(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "book.txt").write_text(BOOK)
    (tmp_path / "data" / "gone.txt").symlink_to(tmp_path / "nowhere.txt")
    os.mkfifo(tmp_path / "data" / "pipe.txt")
    # In a process of its own: whoever opens a pipe waits for ever.
    words = [sys.executable, "-m", "corpus_tools.cli", "init", "data", "--out", "out"]
    done = subprocess.run(
        words, check=True, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )
    assert "left out data/gone.txt: a link to nothing" in done.stdout
    assert "left out data/pipe.txt: no regular file" in done.stdout
    assert [f.path for s in accepted(tmp_path / "out")[0].sources for f in s.files] == ["book.txt"]


def test_files_of_a_tree_are_named_by_one_wildcard(tmp_path):
    for i in range(6):
        (tmp_path / "books" / f"shelf{i % 2}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "books" / f"shelf{i % 2}" / f"{i}.txt").write_text(BOOK)
    write_files([str(tmp_path / "books")], tmp_path, force=False)
    assert 'paths: ["books/**/*.txt"]' in (tmp_path / "recipe.yaml").read_text()
    assert len(accepted(tmp_path)[0].sources[0].files) == 6


def test_a_shipped_recipe_is_printed_or_its_steps_are_put_over_files(tmp_path):
    assert {row["name"] for row in shipped()} >= {"demo", "gutenberg", "look"}
    printed = CliRunner().invoke(main, ["init", "gutenberg"])
    assert printed.stdout.startswith("#")
    assert "gutenberg" in printed.stdout
    (tmp_path / "rows.jsonl").write_text(ROW * 9)
    both = CliRunner().invoke(main, ["init", "look", str(tmp_path / "rows.jsonl")])
    assert "action: mark" in both.stdout
    assert "rows.jsonl" in both.stdout
    write_files(["look", str(tmp_path / "rows.jsonl")], tmp_path / "out", force=False)
    text = (tmp_path / "out" / "recipe.yaml").read_text()
    assert "action: mark" in text
    assert "tokens:" not in text


def test_nothing_is_replaced_unless_it_is_forced(tmp_path):
    (tmp_path / "book.txt").write_text(BOOK)
    (tmp_path / "mix.yaml").write_text("mine")
    with pytest.raises(UsageError, match=r"mix\.yaml"):
        write_files([str(tmp_path / "book.txt")], tmp_path, force=False)
    assert not (tmp_path / "recipe.yaml").exists()
    write_files([str(tmp_path / "book.txt")], tmp_path, force=True)
    assert (tmp_path / "mix.yaml").read_text() != "mine"


@pytest.mark.parametrize("name", ["no-such-recipe", "image.png"])
def test_what_cannot_be_read_is_refused(tmp_path, name):
    (tmp_path / "image.png").write_bytes(FILES["image.png"][0])
    with pytest.raises(UsageError):
        write_files([str(tmp_path / name)], tmp_path / "out", force=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["2024", "true", "1e5", "null", "0x1f", "1_000", "2024-01-01", "off"])
def test_a_name_that_spells_another_value_is_quoted(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "book.txt").write_text(BOOK)
    write_files([str(tmp_path / name)], tmp_path / "out")
    (tmp_path / f"{name}.txt").write_text(BOOK)
    write_files([str(tmp_path / f"{name}.txt")], tmp_path / "alone")
    recipe, mix, train = accepted(tmp_path / "alone")
    word = name.replace("_", "-")
    assert (recipe.name, mix.name, train.name) == (word, word, word)
    assert list(mix.corpora) == [f"corpora/{word}"]
    assert [file.path for source in accepted(tmp_path / "out")[0].sources for file in source.files] == [
        "book.txt"
    ]


@pytest.mark.parametrize(
    "name", ["@list.txt", "new\nline.txt", "a\x7f\x85.txt", "a\u2028b.txt", 'with "quote" #.txt']
)
def test_a_file_of_any_name_in_unicode_is_named_so_that_it_is_found(tmp_path, name):
    (tmp_path / name).write_text(BOOK)
    write_files([str(tmp_path / name)], tmp_path)
    assert [file.path for file in accepted(tmp_path)[0].sources[0].files] == [name]


def test_a_file_whose_name_is_no_unicode_is_left_out_with_the_reason(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name in (b"b\xff.txt", b"ok.txt", b"also.txt"):
        (data / os.fsdecode(name)).write_text(BOOK)
    made = write_files([str(data)], tmp_path / "out")
    assert (
        f"left out {data}/b\\udcff.txt: its name is no UTF-8, so no recipe can name it: rename it"
        in made.text()
    )
    assert [file.path for file in accepted(tmp_path / "out")[0].sources[0].files] == ["also.txt", "ok.txt"]
    with pytest.raises(UsageError, match=r"b\\udcff\.txt: its name is no UTF-8"):
        write_files([str(data / os.fsdecode(b"b\xff.txt"))], tmp_path / "alone")
    assert not (tmp_path / "alone").exists()


def test_what_cannot_be_written_leaves_what_was_there(tmp_path):
    (tmp_path / "recipe.yaml").write_text("name: mine")
    with pytest.raises(UnicodeEncodeError):
        _write(tmp_path, {"recipe.yaml": "name: x", "mix.yaml": "\udcff"}, force=True)
    assert (tmp_path / "recipe.yaml").read_text() == "name: mine"
    assert not (tmp_path / "mix.yaml").exists()


def test_init_leaves_nothing_but_its_files(tmp_path):
    (tmp_path / "book.txt").write_text(BOOK)
    write_files([str(tmp_path / "book.txt")], tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "mix.yaml",
        "recipe.yaml",
        "train.yaml",
    ]


def test_a_recipe_s_name_misspelt_is_told_the_nearest():
    with pytest.raises(UsageError, match=r'nothing of that name; did you mean "crawl"\? Nothing was written'):
        write_files(["crwal"], None)
    with pytest.raises(UsageError, match=r"nothing of that name\. Nothing was written"):
        write_files(["demo", "crwal"], None)


def test_the_commands_printed_build_the_corpus_the_mix_names_and_can_be_pasted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a book.txt").write_text("One two three four. " * 500)
    made = write_files(["a book.txt"], Path("my book"))
    command = shlex.split(made.text().splitlines()[-1])
    assert command[:3] == ["quern", "build", "my book/recipe.yaml"]
    [named] = yaml.safe_load((tmp_path / "my book" / "mix.yaml").read_text())["corpora"]
    assert Path(command[4]) == Path("my book") / named


def test_what_init_wrote_beside_the_data_is_no_data_for_the_recipe_nor_for_the_next_call(
    tmp_path, monkeypatch
):
    for n in range(3):
        (tmp_path / f"b{n}.txt").write_text(BOOK)
    for n in range(22):
        (tmp_path / f"t{n}.csv").write_text("a,b\n1,2\n")
    monkeypatch.chdir(tmp_path)
    first = write_files(["."], None)
    assert (tmp_path / ".left_out.txt").exists()
    assert first.files["recipe.yaml"] == write_files(["."], None, force=True).files["recipe.yaml"]
    assert set(glob.glob("*.txt")) == {"b0.txt", "b1.txt", "b2.txt"}
    assert 'paths: ["*.txt"]' in first.files["recipe.yaml"]
    for path in tmp_path.glob("*.csv"):
        path.unlink()
    write_files(["."], None, force=True)
    assert not (tmp_path / ".left_out.txt").exists()


def test_a_head_of_empty_lines_takes_no_time(tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b"{" + b"\n" * 262_143)
    start = time.process_time()
    sniff(path)
    assert time.process_time() - start < 1
