"""The pages a benchmark reads: real ones below ../shared/data where that is present, else the demo's crawl.

    html/**/*.html(.gz)  and  warc/**/*.warc.gz, responses 200 of HTML   ->  distinct bodies   ->  one WARC

The file is what a crawler writes: one gzip member for each record, a payload type as Common Crawl's have.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import xxhash
from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

Pages = list[tuple[str, bytes]]

# readability's expected.html is an answer, no page; resources are tables and snippets.
NO_PAGES = ("expected.html",)
FOLDERS = ("article-extraction-benchmark/html", "cs336", "readability", "trafilatura/pages")
# Well-formed files of real crawls; the rest of the folder is made to be broken.
CRAWLS = (
    "aut/example.warc.gz", "aut/issue-493.warc", "cmoncrawl/mini.warc.gz",
    "commoncrawl-whirlwind/whirlwind.warc.gz", "dolma/sample-0000.warc.gz", "jwarc/cc.warc.gz",
    "pywb/dupes.warc.gz", "pywb/example-extra.warc", "pywb/iana.warc.gz", "resiliparse/clueweb-quirk.warc.gz",
    "resiliparse/warcfile.warc.gz", "ukwa-discovery/transfer_compression_gzip.warc",
    "ukwa-suite/main-page.warc.gz", "ukwa-suite/post-blackout.warc.gz", "warcio/example-iana.org-chunked.warc",
)  # fmt: skip


def find_pages(data: Path, *, most: int) -> tuple[str, Pages]:
    """Where they come from and up to `most` pages with distinct bodies, in the order of their hashes."""
    if (data / "html").is_dir():
        found = {body: url for url, body in [*_crawled(data / "warc"), *_files(data / "html")]}
        origin = f"{len(found)} real pages"
    else:
        found = {body: url for url, body in _demo()}
        origin = f"{len(found)} pages of the demo's crawl"
    # In the order of hashes, or a cut would keep one site and lose the rest.
    pages = sorted(
        ((url, body) for body, url in found.items()), key=lambda page: xxhash.xxh64(page[1]).digest()
    )
    return origin, pages[:most]


def pack_pages(pages: Pages, *, least: int) -> Pages:
    """At least `least` pages: all of them, and from the first again, under addresses of their own, as often as needed.

    >>> pack_pages([("http://a.example/", b"a"), ("http://b.example/", b"b")], least=3)[2]
    ('http://a.example/?copy=1', b'a')
    """
    packed = list(pages)
    for n in range(len(pages), least):
        url, body = pages[n % len(pages)]
        packed.append((f"{url}{'&' if '?' in url else '?'}copy={n // len(pages)}", body))
    return packed


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    paths = [p for name in FOLDERS for p in (folder / name).rglob("*") if p.name not in NO_PAGES]
    for path in sorted(p for p in paths if p.name.endswith((".html", ".html.gz"))):
        data = path.read_bytes()
        body = gzip.decompress(data) if path.suffix == ".gz" else data
        yield f"http://pages.example/{path.relative_to(folder)}", body


def _crawled(folder: Path) -> Iterator[tuple[str, bytes]]:
    for name in CRAWLS:
        with (folder / name).open("rb") as file:
            try:
                yield from _responses(file)
            except ArchiveLoadFailed as error:
                raise SystemExit(f"{folder / name}: {error}") from error


def _responses(file: object) -> Iterator[tuple[str, bytes]]:
    for record in ArchiveIterator(file):
        if record.rec_type != "response" or record.http_headers is None:
            continue
        media = record.http_headers.get_header("Content-Type") or ""
        body = record.content_stream().read()
        if record.http_headers.get_statuscode() == "200" and media.startswith("text/html") and body.strip():
            yield record.rec_headers.get_header("WARC-Target-URI").strip("<>"), body


def _demo() -> Iterator[tuple[str, bytes]]:
    from corpus_tools.demo.pages import crawl_pages
    from corpus_tools.demo.render import module_names, render

    for page in crawl_pages(dict(render(list(module_names())))):
        if page.status == 200 and page.content_type.startswith("text/html"):
            yield page.url, page.body


def write_warc(path: Path, pages: Sequence[tuple[str, bytes]]) -> None:
    """One response a page, in order; addresses that occur twice get a number."""
    seen: dict[str, int] = {}
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for url, body in pages:
            seen[url] = seen.get(url, 0) + 1
            unique = url if seen[url] == 1 else f"{url}#{seen[url]}"
            headers = [("Content-Type", "text/html"), ("Content-Length", str(len(body)))]
            http = StatusAndHeaders("200 OK", headers, protocol="HTTP/1.1")
            kind = {"WARC-Identified-Payload-Type": "text/html", "WARC-Date": "2026-01-05T06:00:00Z"}
            writer.write_record(
                writer.create_warc_record(
                    unique, "response", BytesIO(body), http_headers=http, warc_headers_dict=kind
                )
            )
