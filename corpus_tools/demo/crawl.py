"""The demo's input, written once: a crawl, a folder of source code, package descriptions, a benchmark.

    DIR/crawl/web/crawl-00000.warc.gz ...    pydoc pages inside a site, their copies, other hosts' junk
    DIR/crawl/code/argparse.py ...           the standard library's source
    DIR/crawl/docs/packages.jsonl            long descriptions of the installed packages
    DIR/crawl/bench/questions.jsonl          twenty questions, six of which quote the crawl
    DIR/crawl/crawl.json                     written last: what the files were made from, and their digests

The bytes follow from the Python version, the set of installed packages and this package alone. A crawl that is
there already, made from the same, is used again.

Price: 15 s and 16 MB of disk.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpus_tools.demo.pages import crawl_pages
from corpus_tools.demo.render import module_names, render
from corpus_tools.demo.shelves import bench_rows, code_files, package_rows
from corpus_tools.demo.warcfile import warc_files
from manifests.commit import FileRef, commit_bytes
from manifests.digest import digest_bytes, digest_value, read_sealed, seal

__all__ = ["Crawl", "crawl"]

# Raised when the pages change, so that a crawl of an older version is not used again.
_VERSION = 1
_FOLDER = "crawl"
_RECORD = f"{_FOLDER}/crawl.json"
_FILE_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Crawl:
    """What was written: the folder, every file with its digest, and how much there is of each."""

    folder: Path
    files: tuple[FileRef, ...]
    n_pages: int
    n_code_files: int
    n_packages: int

    @property
    def n_bytes(self) -> int:
        """Bytes of all files, as stored."""
        return sum(file.size for file in self.files)


def crawl(out: Path, *, modules: Sequence[str] | None = None) -> Crawl:
    """The crawl in `out/crawl`, written now unless the same one is there; of `modules` (default: all)."""
    names = list(module_names() if modules is None else modules)
    made_from = digest_value(_made_from(names))
    record = out / _RECORD
    if record.exists() and (found := _found(out, made_from)) is not None:
        return found
    shutil.rmtree(out / _FOLDER, ignore_errors=True)
    return _write(out, names, made_from)


def _made_from(names: Sequence[str]) -> dict[str, object]:
    packages = {f"{d.metadata['Name']} {d.version}" for d in importlib.metadata.distributions()}
    return {
        "modules": list(names),
        "packages": sorted(packages),
        "python": platform.python_version(),
        "version": _VERSION,
    }


def _found(out: Path, made_from: str) -> Crawl | None:
    """The crawl that is there, if it was made from the same and none of its files is gone."""
    record = read_sealed(out / _RECORD)
    files = tuple(FileRef.from_json(file) for file in record["files"])
    if record["made_from"] != made_from or not all((out / file.path).is_file() for file in files):
        return None
    counts = {name: record[name] for name in ("n_pages", "n_code_files", "n_packages")}
    return Crawl(folder=out / _FOLDER, files=files, **counts)


def _write(out: Path, names: Sequence[str], made_from: str) -> Crawl:
    pages = crawl_pages(dict(render(names)))
    code, packages = code_files(), package_rows()
    web = [
        (f"web/crawl-{i:05d}.warc.gz", data)
        for i, data in enumerate(warc_files(pages, max_bytes=_FILE_BYTES))
    ]
    shelves = [
        *web,
        *((f"code/{path}", data) for path, data in code),
        ("docs/packages.jsonl", _jsonl(packages)),
        ("bench/questions.jsonl", _jsonl(bench_rows())),
    ]
    files = tuple(_put(out, f"{_FOLDER}/{path}", data) for path, data in shelves)
    counts = {"n_pages": len(pages), "n_code_files": len(code), "n_packages": len(packages)}
    record = {**counts, "files": [file.as_json() for file in files], "made_from": made_from}
    commit_bytes(out, _RECORD, seal(record))
    return Crawl(folder=out / _FOLDER, files=files, **counts)


def _put(out: Path, path: str, data: bytes) -> FileRef:
    """Write an input. Only the record is committed: five hundred fsyncs would cost more than the crawl."""
    (out / path).parent.mkdir(parents=True, exist_ok=True)
    (out / path).write_bytes(data)
    return FileRef(path=path, size=len(data), digest=digest_bytes(data))


def _jsonl(rows: Iterable[dict[str, str]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8", "replace")
