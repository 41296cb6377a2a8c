"""The nearest path that is there: part by part, never a tree, and nothing for what is far off."""

import os
from pathlib import Path

import pytest

from manifests.nearby import did_you_mean_path, names_in


@pytest.fixture
def folder(tmp_path):
    for path in (
        "books.jsonl",
        "tokenizer.json",
        "rules.py",
        "data/[odd].txt",
        "crawl/1.warc.gz",
        "CC-MAIN-1.gz",
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "crawl" / "deep").mkdir()
    (tmp_path / "crawl" / "deep" / "2.wet.gz").touch()
    (tmp_path / ".hidden.jsonl").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("boks.jsonl", "books.jsonl"),
        ("Books.JSONL", "books.jsonl"),
        ("books", "books.jsonl"),
        ("tok.json", "tokenizer.json"),
        ("./rul.py", "./rules.py"),
        ("crwl/1.warc", "crawl/1.warc.gz"),
        ("data/../boks.jsonl", "data/../books.jsonl"),
        ("crawl/*.warc", "crawl/*.warc.gz"),
        ("crwl/*.warc.gz", "crawl/*.warc.gz"),
        ("crwl/*.warc", "crawl/*.warc.gz"),
        ("crwl/[0-9].warc", "crawl/[0-9].warc.gz"),
        ("CC-MIAN-*.gz", "CC-MAIN-*.gz"),
        ("crwl/**/*.warc.gz", "crawl/**/*.warc.gz"),
        ("crwl/**/*.wet.gz", "crawl/**/*.wet.gz"),
        ("crwl/*/*.wet.gz", "crawl/*/*.wet.gz"),
        (".hiden.jsonl", ".hidden.jsonl"),
    ],
)
def test_the_nearest_path_is_named_as_it_is_written(folder, written, near):
    assert did_you_mean_path(written, folder) == f'; did you mean "{near}"?'
    if not written.startswith("."):
        assert did_you_mean_path(f"{folder}/{written}") == f'; did you mean "{folder}/{near}"?'


@pytest.mark.parametrize(
    "written",
    [
        "",
        "mix.json",
        "crawl/9.warc.gz",
        "crwl/9.zip",
        "crwl/*.zip",
        "nothing/1.warc.gz",
        "crawl/*.parquet",
        "crawl/**/*.wet",
        "x*",
        "hidden.jsonl",
        "s3://crwl/1.warc",
        "https://host/boks.jsonl",
        "crwl/" + "1.warc.gz" * 99,
    ],
)
def test_of_what_is_far_off_hidden_or_elsewhere_nothing_is_said(folder, written):
    assert did_you_mean_path(written, folder) == ""


def test_what_could_not_be_meant_is_passed_over(folder):
    (folder / "book").mkdir()
    assert did_you_mean_path("boks", folder, fits=Path.is_dir) == '; did you mean "book"?'
    assert did_you_mean_path("crawl", folder) == ""
    assert did_you_mean_path("crwl", folder, fits=lambda path: (path / "1.warc.gz").is_file()) != ""
    assert did_you_mean_path("*.jsonl", folder, fits=Path.is_dir) == ""


def test_of_a_large_folder_some_names_are_looked_at_and_of_a_tree_none_below(tmp_path, monkeypatch):
    for i in range(4100):
        (tmp_path / f"{i}.warc.gz").touch()
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
    assert len(names_in(tmp_path)) == 4096
    assert did_you_mean_path("**/*.wrc.gz", tmp_path) == '; did you mean "**/*.warc.gz"?'
    listed.clear()
    (tmp_path / "deep" / "deeper" / "deepest").mkdir(parents=True)
    assert did_you_mean_path("depper/**/*.gz", tmp_path / "deep") == '; did you mean "deeper/**/*.gz"?'
    assert listed == [tmp_path / "deep", tmp_path / "deep" / "deeper"]
