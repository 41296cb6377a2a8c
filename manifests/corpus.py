"""The corpus manifest: everything a corpus is, from its recipe to the digest of every file.

    DIR/corpus.json              the newest manifest (sealed JSON); each one also stays as corpora/<digest>.json
    DIR/files/<key>.json         a source's file list: path, size, digest of every input
    DIR/parts, dropped, verdicts, tokenizers, shards, receipts      named by key, shared by every manifest here
    DIR/quarantine/<digest>.json records judged by clock or crash, once (runs/quarantine.json: all the store's)
    DIR/runs/                    logs, rates, unfinished files: covered by no digest

A folder is a store. Readers open what a manifest names and never list a folder, so two builds share files and
an unfinished one disturbs nobody. All paths are relative: the folder may be moved, copied, mounted read-only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from manifests.commit import FileRef, commit_bytes, safe_relative
from manifests.digest import digest_value, read_sealed, seal
from manifests.errors import FormatError, MissingFileError, UsageError
from manifests.mistakes import did_you_mean
from manifests.nearby import did_you_mean_path

__all__ = [
    "Benchmark",
    "CorpusManifest",
    "PartEntry",
    "Partition",
    "Ref",
    "ShardEntry",
    "SourceEntry",
    "StepEntry",
    "TokenizerEntry",
    "VerdictEntry",
    "did_you_mean_corpus",
    "find_manifest",
    "is_corpus",
]

VERSION = 1


def _safe(ref: FileRef) -> FileRef:
    safe_relative(ref.path)
    return ref


Ref = Annotated[FileRef, AfterValidator(_safe)]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class SourceEntry(_Entry):
    """One source: its licence (SPDX or a word), its reader, its input."""

    name: str
    licence: str
    reader: str
    n_files: int
    n_bytes: int
    files: Ref


class StepEntry(_Entry):
    """One step's account over the whole build: what it read, kept, dropped by reason, measured."""

    name: str
    stage: str
    kind: Literal["read", "rewrite", "edit", "rule", "gather", "save", "tokens"]
    version: int
    key: str
    source: str | None
    action: str
    params: dict[str, Any]
    reasons: list[str]
    n_read: int
    n_kept: int
    dropped: dict[str, int]
    marked: dict[str, int]
    routed: int


class PartEntry(_Entry):
    """One part: the documents of a unit that passed `step` and all before it; and the dropped ones beside it.

    final: the source's last part, which gathers and tokens read; others stand where the recipe says `save`.
    """

    key: str
    source: str
    step: str
    unit: str
    final: bool
    part: Ref
    dropped: Ref | None
    n_docs: int
    n_bytes: int


class VerdictEntry(_Entry):
    """A gather's verdicts on one part: one row a row."""

    step: str
    action: str
    part_key: str
    verdict: Ref
    n_dropped: int


class TokenizerEntry(_Entry):
    """The tokenizer all shards of the corpus share. digest: of tokenizer.json's bytes."""

    file: Ref
    digest: str
    vocab_size: int
    eot: int
    eot_token: str
    trained: bool


class ShardEntry(_Entry):
    """A shard and its documents table (doc_id, start, end, n_bytes, origin). root: the shard's root digest."""

    shard: Ref
    root: str
    documents: Ref
    n_tokens: int
    n_docs: int
    n_bytes: int


class Partition(_Entry):
    """Shards of one source, split and combination of partition columns.

    split: `train` or `heldout`; holdout: how the split was cut, `cluster`, `span` (same documents) or `none`.
    """

    source: str
    split: Literal["train", "heldout"]
    holdout: Literal["cluster", "span", "none"]
    columns: dict[str, str]
    licences: dict[str, int]
    shards: list[ShardEntry]
    n_tokens: int
    n_docs: int
    n_bytes: int


class Benchmark(_Entry):
    """A benchmark the corpus was checked against, and what was found: shared n-grams, documents that hold one."""

    name: str
    digest: str
    step: str
    action: str
    n_items: int
    n_too_short: int
    n_hits: int
    n_documents: int


class CorpusManifest(_Entry):
    """The whole corpus. store: where its files stand, `.` (beside it) or `..` (a sample inside a store).

    measure_all: every document that has text went through every step, so `whatif` is exact.
    key: digest of recipe, inputs and code versions: equal keys are equal corpora before anything runs.
    parents: digests of corpora it was built against; missing: units it lacks; a finished build has none.
    """

    name: str
    key: str
    store: Literal[".", ".."]
    sample: str | None
    measure_all: bool = False
    recipe: dict[str, Any]
    sources: list[SourceEntry]
    steps: list[StepEntry]
    parts: list[PartEntry]
    verdicts: list[VerdictEntry]
    tokenizer: TokenizerEntry | None
    partitions: list[Partition]
    benchmarks: list[Benchmark]
    receipts: list[Ref]
    quarantine: Ref | None
    parents: list[str]
    missing: list[str]
    libraries: dict[str, str]

    def sealed(self) -> bytes:
        """The manifest's bytes."""
        return seal({**self.model_dump(mode="json"), "format": "quern.corpus", "version": VERSION})

    @property
    def digest(self) -> str:
        """The digest that names this corpus everywhere: of its canonical bytes without the digest itself."""
        return digest_value({**self.model_dump(mode="json"), "format": "quern.corpus", "version": VERSION})

    def write(self, root: Path) -> Path:
        """Commit the manifest under its digest and then as the newest; returns the newest's path.

        A sample's manifest stands in `sample/` and names files of the store around it.
        """
        folder = "sample/" if self.sample else ""
        commit_bytes(root, f"{folder}corpora/{self.digest}.json", self.sealed())
        commit_bytes(root, f"{folder}corpus.json", self.sealed())
        return root / f"{folder}corpus.json"

    @classmethod
    def read(cls, path: Path, folder: Path = Path()) -> CorpusManifest:
        """The verified manifest of a corpus.json, a store folder, or `DIR@digest-prefix`, taken from `folder`.

        Raises: MissingFileError, FormatError, DigestError, UsageError for an unknown or ambiguous prefix.
        """
        path = find_manifest(path, folder)
        value = read_sealed(path)
        found = (value.pop("format", None), value.pop("version", None))
        if found != ("quern.corpus", VERSION):
            raise FormatError(
                f"{path}: expected quern.corpus version {VERSION}, found {found[0]} {found[1]}."
            )
        value.pop("digest")
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise FormatError(f"{path}: not a corpus manifest of this version: {error}") from error

    def root(self, path: Path) -> Path:
        """The store's folder, given the path this manifest was read from."""
        path = find_manifest(path)
        # The store itself may be called corpora: only a manifest named by its digest stands below one.
        is_newest = path.name == "corpus.json"
        folder = path.parent if is_newest or path.parent.name != "corpora" else path.parent.parent
        return folder if self.store == "." else folder.parent

    def files(self) -> Iterator[tuple[str, FileRef]]:
        """Every file of the corpus with its role; nothing else in the store belongs to it."""
        yield from (("files", s.files) for s in self.sources)
        for entry in self.parts:
            yield "part", entry.part
            if entry.dropped is not None:
                yield "dropped", entry.dropped
        yield from (("verdict", v.verdict) for v in self.verdicts)
        if self.tokenizer is not None:
            yield "tokenizer", self.tokenizer.file
        for shard in (s for p in self.partitions for s in p.shards):
            yield "shard", shard.shard
            yield "documents", shard.documents
        yield from (("receipts", ref) for ref in self.receipts)
        if self.quarantine is not None:
            yield "quarantine", self.quarantine

    def n_tokens(self, source: str, split: str = "train") -> int:
        """Tokens of one source and split."""
        return sum(p.n_tokens for p in self.partitions if (p.source, p.split) == (source, split))


def is_corpus(path: Path) -> bool:
    """Whether a finished corpus or its manifest is there."""
    return (path / "corpus.json").is_file() or (path.name == "corpus.json" and path.is_file())


def find_manifest(path: Path, folder: Path = Path()) -> Path:
    """The manifest a person means: a file, a folder's corpus.json, or `DIR@prefix` of a digest.

    folder: from which `path` is taken, as what a file says is from the file's folder.

    Raises: MissingFileError, UsageError.
    """
    written, path = str(path), folder / path
    if path.is_file() and path.suffix == ".json":
        return path
    if path.is_file():
        raise UsageError(
            f"{path}: expected a corpus folder or its manifest, got a file of another kind. Data that Quern did not "
            f"build is looked at with  quern init look {path} > look.yaml  and  quern build look.yaml."
        )
    store, at, prefix = str(path).rpartition("@")
    if at and Path(store).is_dir():
        there = sorted((Path(store) / "corpora").glob("*.json"))
        found = [each for each in there if each.stem.startswith(prefix)]
        if len(found) != 1 or not prefix:
            raise UsageError(
                f'{path}: expected the first digits of one manifest, got "{prefix}" with which {len(found)} begin'
                f"{did_you_mean(prefix, [each.stem[: max(len(prefix), 8)] for each in there])}. There are: "
                f"{', '.join(each.stem[:12] for each in (found or there)[:16]) or 'none'}."
            )
        return found[0]
    if (path / "corpus.json").is_file():
        return path / "corpus.json"
    if (path / "sample" / "corpus.json").is_file():
        raise MissingFileError(
            f"{path}: expected a corpus, found only a sample of one. Name {path / 'sample'} to look at the sample, or "
            "build the whole by `quern build` without --sample."
        )
    near = did_you_mean_corpus(written, folder) or "."
    makes = "" if "@" in path.name else f" `quern build RECIPE --out {path}` makes one."
    raise MissingFileError(f"{path}: expected a corpus folder or manifest, found none{near}{makes}")


def did_you_mean_corpus(
    written: str, folder: Path = Path(), *, fits: Callable[[Path], bool] = is_corpus
) -> str:
    """Returns `; did you mean "DIR@prefix"?` with the corpus nearest to `written`, or nothing if none is near.

    Behind another folder the prefix stays, and only a store is meant that has one manifest of it: without the prefix
    another corpus would be named. folder, fits: as for `did_you_mean_path`.
    """
    store, _, prefix = written.rpartition("@")
    if not (store and prefix.isalnum()):
        return did_you_mean_path(written, folder, fits=fits)

    def holds_it(path: Path) -> bool:
        return fits(path) and len([*(path / "corpora").glob(f"{prefix}*.json")]) == 1

    near = did_you_mean_path(store, folder, fits=holds_it)
    return near.removesuffix('"?') + f'@{prefix}"?' if near else ""
