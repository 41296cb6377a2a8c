"""The mix manifest: which tokens a run may see, in which shares, for how long. What a trainer opens.

    mix.yaml ──mixfile.load_mix()──> MixManifest ──order()──> Order ──rows(i)──> source k, window w
                                         │
                                         └──open_streams(locations)──> TokenStream of each source

A weight is a share of tokens, stored as an integer share of a period, exactly. A mix names shards by digest
and corpora by digest: where they lie is not part of it, so a run folder and its corpora may be moved. A mix
selects whole partitions, never rows, so no window crosses into text that was not chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from manifests.commit import FileRef, commit_bytes
from manifests.corpus import Ref
from manifests.digest import digest_value, read_sealed, seal
from manifests.errors import FormatError, MissingFileError
from manifests.nearby import did_you_mean_path
from manifests.order import Order, OrderPhase, OrderSource
from manifests.shards import Shard, TokenStream

__all__ = [
    "MAX_SEQ_LEN",
    "MIN_SEQ_LEN",
    "Allowed",
    "MixCorpus",
    "MixManifest",
    "MixPhase",
    "MixShard",
    "MixSource",
    "open_stream",
    "require_run",
]

VERSION = 1
MIN_SEQ_LEN = 8
MAX_SEQ_LEN = 1 << 20
"""The longest row: its rotary table takes half a GiB, and no model yet was trained from longer ones."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MixCorpus(_Entry):
    """A corpus the mix draws on; `label` is its name in the mix."""

    label: str
    name: str
    digest: str


class MixShard(_Entry):
    """A shard of a source: in which corpus, its file, root digest and documents table."""

    corpus: str
    shard: Ref
    root: str
    documents: Ref
    n_tokens: int
    n_bytes: int


class MixSource(_Entry):
    """A source of the mix: its training and held-out shards, in reading order.

    holdout: how the held-out text was cut (`cluster`, `span`: from the same documents, `none`).
    contamination: `clean` (checked, hits dropped), `marked` (checked, hits kept), `unchecked`.
    """

    name: str
    train: list[MixShard]
    heldout: list[MixShard]
    holdout: Literal["cluster", "span", "none"]
    max_epochs: int
    licences: dict[str, int]
    contamination: Literal["clean", "marked", "unchecked"]

    @property
    def n_tokens(self) -> int:
        """Training tokens."""
        return sum(s.n_tokens for s in self.train)


class MixPhase(_Entry):
    """`n_rows` rows of the mix's seq_len, dealt by integer shares, one per source in the mix's order."""

    n_rows: int
    shares: list[int]


class Allowed(_Entry):
    """A verdict of the check that a person overrode, and why; `too_small`: a source of a corpus that is left out."""

    verdict: str
    source: str
    because: str


class MixManifest(_Entry):
    """The whole mix; its digest names the data of a run."""

    name: str
    seq_len: int
    seed: int
    tokenizer: str
    vocab_size: int
    eot: int
    tokenizer_file: Ref
    tokenizer_corpus: str
    corpora: list[MixCorpus]
    sources: list[MixSource]
    phases: list[MixPhase]
    allowed: list[Allowed]

    def _value(self) -> dict[str, Any]:
        return {**self.model_dump(mode="json"), "format": "quern.mix", "version": VERSION}

    @property
    def digest(self) -> str:
        """The digest that names this mix."""
        return digest_value(self._value())

    @property
    def n_rows(self) -> int:
        """Rows of all phases."""
        return sum(p.n_rows for p in self.phases)

    def order(self) -> Order:
        """The order of the run this mix describes."""
        sources = tuple(OrderSource(s.name, s.n_tokens) for s in self.sources)
        phases = tuple(OrderPhase(p.n_rows, tuple(p.shares)) for p in self.phases)
        return Order(self.seed, self.seq_len, sources, phases)

    def write(self, root: Path, path: str = "mix.json") -> FileRef:
        """Commit the mix as sealed JSON."""
        return commit_bytes(root, path, seal(self._value()))

    @classmethod
    def read(cls, path: Path) -> MixManifest:
        """The verified mix of a mix.json.

        Raises: MissingFileError, FormatError, DigestError.
        """
        value = read_sealed(path)
        found = (value.pop("format", None), value.pop("version", None))
        if found != ("quern.mix", VERSION):
            raise FormatError(f"{path}: expected quern.mix version {VERSION}, found {found[0]} {found[1]}.")
        value.pop("digest")
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise FormatError(f"{path}: not a mix manifest of this version: {error}") from error

    def tokenizer_path(self, locations: Mapping[str, Path]) -> Path:
        """The tokenizer.json, verified by digest.

        Raises: MissingFileError, DigestError.
        """
        return self.tokenizer_file.check(_located(self.tokenizer_corpus, locations), deep=True)


def open_stream(shards: list[MixShard], locations: Mapping[str, Path]) -> TokenStream:
    """The tokens of some shards as one stream; every byte is checked before it is served.

    locations: corpus digest -> its store's folder on this machine.

    Raises: MissingFileError, FormatError, DigestError.
    """
    opened = []
    for entry in shards:
        path = entry.shard.check(_located(entry.corpus, locations))
        opened.append(Shard.open(path, root=entry.root))
    return TokenStream(opened)


def _located(corpus: str, locations: Mapping[str, Path]) -> Path:
    if corpus not in locations:
        raise MissingFileError(
            f"corpus {corpus}: the mix needs it and nobody said where it is. Name its folder in the mix file's corpora."
        )
    return locations[corpus]


def require_run(folder: Path) -> None:
    """Returns if a run lies in `folder`: its mix and its configuration.

    Raises: MissingFileError, which names a corpus where one lies there.
    """
    if (folder / "config.json").is_file():
        return
    found = "a corpus" if (folder / "corpus.json").is_file() else "none"
    near = did_you_mean_path(str(folder), fits=lambda path: (path / "config.json").is_file())
    raise MissingFileError(
        f"{folder}: expected the folder of a run, found {found}{near or '.'} `quern train train.yaml` makes one."
    )
