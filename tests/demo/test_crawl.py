"""The demo's crawl: the same bytes each time, read by other people's WARC readers, junk of every kind in it."""

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from corpus_tools.demo.crawl import crawl
from corpus_tools.demo.junk import JUNK
from corpus_tools.demo.pages import crawl_pages, topic_texts
from corpus_tools.demo.render import as_blocks, module_names, render
from corpus_tools.demo.shelves import bench_rows, code_files, package_rows
from corpus_tools.demo.warcfile import Page, warc_files

ROOT = Path(__file__).resolve().parents[2]
MODULES = ["bisect", "calendar", "csv", "heapq", "os", "string", "textwrap", "unittest.mock"]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return crawl(tmp_path_factory.mktemp("demo"), modules=MODULES)


def warcs(made):
    return sorted((made.folder / "web").glob("*.warc.gz"))


def test_another_process_with_another_hash_seed_and_locale_writes_the_same_bytes(small, tmp_path):
    script = f"from pathlib import Path; from corpus_tools.demo.crawl import crawl; crawl(Path('.'), modules={MODULES})"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=env, check=True, timeout=60)
    assert (tmp_path / "crawl/crawl.json").read_bytes() == (small.folder / "crawl.json").read_bytes()
    assert all((tmp_path / file.path).stat().st_size == file.size for file in small.files)


def test_a_crawl_that_is_there_is_used_again_until_a_file_is_gone(tmp_path):
    first = crawl(tmp_path, modules=["heapq"])
    written = warcs(first)[0].stat().st_mtime_ns
    assert crawl(tmp_path, modules=["heapq"]) == first
    assert warcs(first)[0].stat().st_mtime_ns == written
    warcs(first)[0].unlink()
    assert crawl(tmp_path, modules=["heapq"]) == first
    assert warcs(first)[0].exists()


def test_warcio_reads_every_record_and_finds_every_digest_right(small):
    from warcio.archiveiterator import ArchiveIterator

    kinds = Counter()
    for path in warcs(small):
        with path.open("rb") as stream:
            for record in ArchiveIterator(stream, check_digests="raise"):
                record.content_stream().read()
                kinds[record.rec_type] += 1
    assert kinds == {"warcinfo": len(warcs(small)), "request": small.n_pages, "response": small.n_pages}


def test_fastwarc_reads_as_many_records_each_in_a_member_of_its_own(small):
    from fastwarc.warc import ArchiveIterator

    for path in warcs(small):
        with path.open("rb") as stream:
            records = [
                (r.stream_pos, r.verify_block_digest()) for r in ArchiveIterator(stream, parse_http=False)
            ]
        assert all(right for _, right in records)
        assert all(path.read_bytes()[at : at + 2] == b"\x1f\x8b" for at, _ in records)
        assert len({at for at, _ in records}) == len(records)


def test_a_file_ends_after_the_page_that_fills_it():
    pages = [Page(f"https://a.example/{i}", os.urandom(4000)) for i in range(10)]
    sizes = [len(data) for data in warc_files(pages, max_bytes=9000)]
    assert len(sizes) == 5
    assert all(size >= 9000 for size in sizes)
    assert list(warc_files([], max_bytes=9000)) == []


def test_pages_of_every_kind_of_junk_and_every_kind_of_copy_are_there():
    pages = crawl_pages(dict.fromkeys(MODULES, "<p>A page.</p>"))
    urls = {page.url for page in pages}
    assert len(urls) == len(pages)
    junk = [make("csv") for make in JUNK.values()]
    assert {page.url for page in junk} <= urls
    assert {page.status for page in junk} == {200, 301, 404}
    assert {"image/png", "application/json", "text/plain"} <= {page.content_type for page in junk}
    for part in ("/print/", "?lang=en", "//mirror."):
        assert any(part in url for url in urls), part


def test_each_module_becomes_a_page_with_links_to_others(small):
    text = b"".join(gzip.decompress(path.read_bytes()) for path in warcs(small))
    for name in MODULES:
        assert f"GET /library/{name}.html HTTP/1.1".encode() in text
    assert b'href="/library/heapq.html"' in text
    assert b"Heap queue algorithm" in text


def test_no_page_tells_what_this_machine_is_called_or_holds(monkeypatch):
    monkeypatch.setenv("A_SECRET", "swordfish")
    pages = dict(render(["os", "sys", "platform", "smtplib", "tempfile"]))
    assert len(pages) == 5
    text = " ".join(pages.values())
    for private in ("swordfish", "A_SECRET", sys.executable, sys.prefix, str(Path.home()), " at 0x"):
        assert private not in text.replace("/usr/lib/python", ""), private


def test_a_module_that_ends_the_process_is_left_out_and_the_rest_is_rendered():
    # unittest's __main__ runs tests and exits when it is imported.
    names = ["bisect", "unittest.__main__", "no_such_module", "heapq"]
    assert [name for name, _ in render(names)] == ["bisect", "heapq"]


def test_modules_that_open_windows_or_belong_to_the_tests_are_not_asked():
    names = module_names()
    assert {"antigravity", "this", "idlelib", "test", "turtledemo"} & set(names) == set()
    assert {"asyncio.events", "json.decoder", "urllib.request"} <= set(names)
    assert names == sorted(set(names))


def test_prose_becomes_paragraphs_and_code_keeps_its_lines():
    prose = "A sentence that somebody thought was long enough to be broken and\nwrapped at the usual seventy-nine."
    assert as_blocks(prose) == f"<p>{prose}</p>".replace("\n", " ")
    assert as_blocks("if x:\n    y()") == "<pre>if x:\n    y()</pre>"


def test_code_is_bounded_and_has_no_tests_in_it():
    files = code_files()
    paths = [path for path, _ in files]
    assert paths == sorted(set(paths))
    assert {"argparse.py", "asyncio/tasks.py"} <= set(paths)
    assert not any("test" in Path(path).parts or "site-packages" in path for path in paths)
    assert 1 << 20 < sum(len(data) for _, data in files) <= 12 << 20


def test_packages_describe_themselves_with_a_licence_and_an_address():
    rows = {row["id"]: row for row in package_rows()}
    assert rows["click"]["licence"] == "BSD-3-Clause"
    assert rows["click"]["url"].startswith("https://")
    assert len(rows["pydantic"]["text"]) > 1000
    assert "quern" not in rows


def test_six_of_twenty_questions_quote_the_crawl_word_for_word():
    topics = " ".join(" ".join(text.split()) for text in topic_texts().values())
    quoted = {row["id"] for row in bench_rows() if row["question"] in topics}
    assert len(bench_rows()) == 20
    assert quoted == {row["id"] for row in bench_rows() if row["id"].startswith("quoted-")}
    assert len(quoted) == 6


def test_what_is_written_as_json_lines_can_be_read_again(small):
    lines = (small.folder / "docs/packages.jsonl").read_text(encoding="utf-8").splitlines()
    assert len([json.loads(line) for line in lines]) == small.n_packages
