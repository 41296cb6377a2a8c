"""Finished corpora that new documents are compared with: read through their manifest, and never touched.

    against: [corpora/2026-10]    ->  every final part, without what its own gathers dropped and cut

Nothing of a finished corpus is copied; its texts are read again for every corpus that is compared with it, at the price
of signing. The manifest's digest is in the key of the step and in `parents` of the corpus that is built; no task reads
another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from manifests.commit import FileRef
from manifests.corpus import CorpusManifest, find_manifest
from manifests.errors import RecipeError, TaskError
from pipelines.cuts import CUTS, without_cuts
from pipelines.parquet import read_table

__all__ = ["FinishedPart", "digests_of", "finished_parts"]


class FinishedPart(NamedTuple):
    """A final part of a finished corpus, and the verdicts of its dropping gathers, in their order."""

    corpus: str
    source: str
    root: Path
    ref: FileRef
    verdicts: Sequence[FileRef]
    n_docs: int

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Columns of all rows, `text` as it was cut, verified."""
        table = read_table(self.root, self.ref, columns)
        if "text" not in table.column_names:
            return table
        text = without_cuts(table.column("text"), (read_table(self.root, ref, CUTS) for ref in self.verdicts))
        return table.set_column(table.column_names.index("text"), "text", text)

    def alive(self) -> npt.NDArray[np.bool_]:
        """bool[n_docs]: rows that no gather dropped."""
        alive = np.ones(self.n_docs, dtype=np.bool_)
        for ref in self.verdicts:
            alive &= np.asarray(read_table(self.root, ref, ["verdict"]).column("verdict")) == 0
        return alive


def digests_of(folder: Path, against: Sequence[str]) -> dict[str, str]:
    """The digest of each corpus's manifest; paths start in `folder`.

    Raises: RecipeError for one that is named twice, or that is a sample; MissingFileError, FormatError, DigestError.
    """
    seen: dict[str, str] = {}
    for path in against:
        manifest = CorpusManifest.read(Path(path), folder)
        if manifest.sample:
            raise RecipeError(
                f"against: expected whole corpora, got {path}, a sample of {manifest.sample}: copies of the rest would "
                "stay. Build it without --sample"
            )
        if manifest.digest in seen.values():
            first = next(name for name, digest in seen.items() if digest == manifest.digest)
            raise RecipeError(
                f"against: expected every corpus once, got {path}, the same as {first}; remove one"
            )
        seen[path] = manifest.digest
    return seen


def finished_parts(folder: Path, against: Sequence[str], digests: Mapping[str, str]) -> list[FinishedPart]:
    """The final parts of all corpora, in order.

    digests: of their manifests, as `digests_of` found them before the build.

    Raises: TaskError for a corpus that was built anew since.
    """
    parts = []
    for path in against:
        file = find_manifest(folder / path)
        stat = file.stat()
        found, of_corpus = _final_parts(file, (stat.st_ino, stat.st_mtime_ns, stat.st_size))
        if found != digests[path]:
            raise TaskError(
                f"{path}: expected the corpus {digests[path][:12]}, with which documents are compared, found "
                f"{found[:12]}: it was built anew meanwhile. Some would be compared with the one, some with the other. "
                "Build again; finished corpora must not change while this runs."
            )
        parts += of_corpus
    return parts


@lru_cache(maxsize=16)
def _final_parts(file: Path, _state: tuple[int, ...]) -> tuple[str, list[FinishedPart]]:
    """The digest of a manifest and the final parts it names; read once by a process while the file stays as it is."""
    manifest = CorpusManifest.read(file)
    digest, root = manifest.digest, manifest.root(file)
    place = {step.name: at for at, step in enumerate(manifest.steps)}
    verdicts: dict[str, list[FileRef]] = {}
    for entry in sorted(manifest.verdicts, key=lambda v: place[v.step]):
        if entry.action == "drop":
            verdicts.setdefault(entry.part_key, []).append(entry.verdict)
    name = f"{manifest.name}@{digest[:12]}"
    return digest, [
        FinishedPart(name, part.source, root, part.part, verdicts.get(part.key, []), part.n_docs)
        for part in manifest.parts
        if part.final
    ]
