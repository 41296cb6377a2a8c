"""The files of a source with their digests, each read once: its size and time of change tell whether to read it again.

    runs/inputs.json    {path on this machine: [bytes, nanoseconds, xxh3-128]}     private to the store's machine

Losing that file, or damaging it, costs one more read of the input. A digest is remembered only where the file was the
same before and after it was read; whoever reads the file later looks again whether it still is (`run.py`).

A remote file is not read for a digest: what its store says of it stands in its place (`etag:...`), asked anew for
every plan, for 16 files at a time: 90,000 of a web server that answers in 0.1 s take ten minutes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from manifests.commit import commit_bytes
from manifests.digest import digest_file
from manifests.errors import InputError, UsageError
from pipelines.inputs import InputFile
from pipelines.places import Found
from pipelines.recipe import Source
from pipelines.stage import SourceFile

__all__ = ["FileList", "list_files"]

_DIGESTS = "runs/inputs.json"
_AT_ONCE = 16
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class FileList:
    """A source's input: its files in the order of their paths. times: {path: when it last changed, in nanoseconds}.

    The times are this machine's: what reads a file compares them, and no digest covers them.
    """

    source: str
    files: tuple[SourceFile, ...]
    times: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The list as the corpus keeps it."""
        rows = [{"digest": f.digest, "path": f.path, "size": f.size} for f in self.files]
        return {"files": rows, "format": "quern.files", "source": self.source, "version": 1}


def list_files(source: Source, out: Path) -> FileList:
    """The files of a source; digests are remembered in the store `out`.

    Raises: UsageError if `out` is a file; InputError with the remote files that cannot be read.
    """
    known = _known_digests(out)
    fresh: dict[str, list[Any]] = {}
    files, times = _remote_files(source), {}
    for file in (file for file in source.files if isinstance(file.root, Path)):
        stat = file.full.stat()
        name = str(file.full.resolve())
        entry = known.get(name)
        if not isinstance(entry, list) or entry[:-1] != [stat.st_size, stat.st_mtime_ns]:
            entry = [stat.st_size, stat.st_mtime_ns, digest_file(file.full)]
            after = file.full.stat()
            if entry[:-1] == [after.st_size, after.st_mtime_ns]:
                fresh[name] = entry
        times[file.path] = entry[1]
        files.append(SourceFile(source.name, file.root, file.path, entry[0], entry[2], source.licence))
    if fresh:
        commit_bytes(out, _DIGESTS, json.dumps({**known, **fresh}, sort_keys=True).encode())
    return FileList(source.name, tuple(sorted(files, key=lambda file: file.path)), times)


def _remote_files(source: Source) -> list[SourceFile]:
    remote = [file for file in source.files if isinstance(file.root, str)]
    if not remote:
        return []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(pool.map(_looked_up, remote))
    if failed := [str(answer) for answer in answers if isinstance(answer, InputError)]:
        some = "\n".join(f"  {error}" for error in failed[:_SHOWN])
        raise InputError(
            f'source "{source.name}": {len(failed)} of {len(remote)} remote files cannot be read, so nothing was '
            f"planned:\n{some}\nMend their paths, or wait for the server."
        )
    return [
        SourceFile(source.name, file.root, file.path, found.size, found.identity, source.licence)
        for file, found in zip(remote, answers, strict=True)
        if isinstance(found, Found)
    ]


def _looked_up(file: InputFile) -> Found | InputError:
    from pipelines.remote.stream import look_up

    try:
        return file.found or look_up(file.where)
    except InputError as error:
        return error


def _known_digests(out: Path) -> Mapping[str, Any]:
    if out.exists() and not out.is_dir():
        raise UsageError(
            f"{out}: expected a folder to build into, found a file. Nothing was built. Give another --out."
        )
    try:
        known = json.loads((out / _DIGESTS).read_bytes())
    except (FileNotFoundError, ValueError):
        known = {}
    return known if isinstance(known, dict) else {}
