"""What a mix.yaml may say, and what its sources find in the corpora that it names.

    corpora: [a/corpus.json, b/corpus.json]   ->  Corpus(label, root, manifest) each, opened and held side by side
    sources: {books: {from: ["*/books"]}}     ->  MixSource: the shards, licences and holdout of all that it chooses

Manifests are read, shards are not. Mistakes are collected, each with its place, and told at once (`Mistakes.stop`);
whether the weights can be met is asked in `mixfile.py`.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from manifests.corpus import CorpusManifest, Partition, TokenizerEntry
from manifests.errors import MixError, QuernError
from manifests.mistakes import did_you_mean
from manifests.mix import MixShard, MixSource
from manifests.mixcheck import weights_text
from manifests.quantities import Count, Share
from manifests.yamlfile import Positions

__all__ = [
    "REMEDY",
    "Allow",
    "Corpus",
    "Mistakes",
    "MixFile",
    "PhaseChoice",
    "SourceChoice",
    "json_text",
    "one_tokenizer",
    "open_corpora",
    "sources_of",
]

MAX_EPOCHS = 16
REMEDY = "see with `quern audit` which step dropped them, and build again"
_LEAST_WEIGHT = Fraction(1, 10_000)


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, populate_by_name=True
    )


class SourceChoice(_Model):
    """One source of a mix, drawn from one or several corpora."""

    from_: list[str] = Field(alias="from")
    """`corpus/source` patterns; `*` stands for any."""
    where: dict[str, str] = {}
    """Partition columns and the value each must have."""
    max_epochs: int | None = Field(default=None, gt=0)
    """How often it may be read; above 16 only by this key."""
    licences: list[str] | None = None
    """Licences its partitions may carry; none: any."""


class PhaseChoice(_Model):
    """A stretch of the run with fixed weights."""

    tokens: Count
    """Tokens of the phase, rounded down to whole rows."""
    weights: dict[str, Share]
    """Shares of tokens by source; they are divided by their sum."""


class Allow(_Model):
    """A verdict to override. Too many epochs are allowed by a source's `max_epochs`."""

    verdict: Literal["unchecked", "marked"]
    """`unchecked`: held against no benchmark; `marked`: benchmark text was found and kept."""
    source: str
    """One of the mix's sources, or `*` for all."""
    because: str


class MixFile(_Model):
    """The keys of mix.yaml."""

    name: str
    corpora: list[str] | dict[str, str]
    seq_len: int = Field(ge=8)
    seed: int = Field(default=0, ge=0)
    sources: dict[str, SourceChoice] | None = None
    phases: list[PhaseChoice] = Field(min_length=1)
    allow: list[Allow] = []


@dataclass(frozen=True)
class Corpus:
    """A corpus of the mix, under the label that patterns know it by; root: its store's folder on this machine."""

    label: str
    root: Path
    manifest: CorpusManifest

    @property
    def digest(self) -> str:
        """The corpus's own."""
        return self.manifest.digest


class Mistakes:
    """Collects every mistake of a mix file, each with its place, so that they are told at once."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._found: list[str] = []
        self._advice: list[str] = []

    def add(self, loc: Sequence[str | int], text: str) -> None:
        """Adds what is wrong at a place of the file."""
        self._found.append(f"{self._positions.where(tuple(loc))}: {text}")

    def advise(self, text: str) -> None:
        """Adds a way out of several mistakes, told behind them."""
        self._advice.append(text)

    def stop(self) -> None:
        """Goes on where nothing was wrong.

        Raises: MixError with every mistake so far, and the ways out.
        """
        if self._found:
            remedy = "Nothing was read or trained. Correct the mix and run the same command again."
            raise MixError("\n".join([*self._found, *self._advice, remedy]))


def open_corpora(config: MixFile, folder: Path, mistakes: Mistakes) -> list[Corpus]:
    """The corpora that the file names from its `folder`, in its order.

    Raises: MixError where one is not there, is damaged or is named twice.
    """
    found: dict[str | int, Corpus] = {}
    for key, text in _named(config).items():
        path = folder / text
        try:
            manifest = CorpusManifest.read(path)
        except QuernError as error:
            mistakes.add(("corpora", key), str(error))
            continue
        found[key] = Corpus(key if isinstance(key, str) else manifest.name, manifest.root(path), manifest)
    _refuse_repeated(found, config, mistakes)
    mistakes.stop()
    return list(found.values())


def _named(config: MixFile) -> dict[str | int, str]:
    return dict(config.corpora.items() if isinstance(config.corpora, dict) else enumerate(config.corpora))


def _refuse_repeated(found: Mapping[str | int, Corpus], config: MixFile, mistakes: Mistakes) -> None:
    first: dict[str, str | int] = {}
    for key, corpus in found.items():
        first.setdefault(corpus.digest, key)
    once = {key: path for key, path in _named(config).items() if key in first.values()}
    line = json_text(once if isinstance(config.corpora, dict) else list(once.values()))
    for key, corpus in ((k, c) for k, c in found.items() if first[c.digest] != k):
        mistakes.add(
            ("corpora", key),
            f"expected each corpus once, got {_named(config)[key]} again (as {found[first[corpus.digest]].label}, "
            f"digest {corpus.digest[:8]}). Its tokens would count twice, and be read twice as often as `max_epochs` "
            f"allows. Write  corpora: {line}",
        )


def json_text(value: object) -> str:
    """A value to be pasted: a line of JSON is one of YAML, whatever the names in it."""
    return json.dumps(value, ensure_ascii=False)


def one_tokenizer(corpora: list[Corpus], mistakes: Mistakes) -> tuple[Corpus, TokenizerEntry]:
    """The tokenizer that all corpora share, and the first that holds it.

    Raises: MixError where there are two, or none.
    """
    found = {
        c.manifest.tokenizer.digest: (c, c.manifest.tokenizer)
        for c in reversed(corpora)
        if c.manifest.tokenizer
    }
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        mistakes.add(
            ("corpora",),
            "expected corpora with tokens, got text alone. Add `tokens:` to the recipe and build again",
        )
    else:
        each = "; ".join(f"{c.label} has {digest[:8]}" for digest, (c, _) in found.items())
        mistakes.add(
            ("corpora",),
            f"expected one tokenizer in all corpora, got {len(found)} ({each}): the same number would mean different "
            "text. Build one of them again with `tokens: {use: ...}` naming the other's tokenizer.json",
        )
    mistakes.stop()
    raise AssertionError("stop() raises")


def sources_of(
    config: MixFile, corpora: list[Corpus], mistakes: Mistakes
) -> tuple[list[str], list[MixSource]]:
    """The names of the sources that any phase uses, in the order of the choices, and what each finds.

    Raises: MixError where one is unknown, finds no tokens, finds a shard twice or holds another licence.
    """
    choices = _choices(config, corpora)
    used = {name for phase in config.phases for name in phase.weights}
    for i, phase in enumerate(config.phases):
        for name in sorted(set(phase.weights) - set(choices)):
            known = ", ".join(choices)
            loc = ("phases", i, "weights", name)
            mistakes.add(loc, f'expected a source ({known}), got "{name}"{did_you_mean(name, choices)}')
    _refuse_unknown_allowed(config, choices, mistakes)
    named = [name for name in choices if name in used]
    sources = [_source(name, choices[name], corpora, mistakes) for name in named]
    for name in named:
        place = ("sources", name) if name in (config.sources or {}) else ("corpora",)
        _refuse_repeated_shards(place, name, _partitions(choices[name], corpora), mistakes)
    _refuse_empty({source.name for source in sources if not source.n_tokens}, config, corpora, mistakes)
    mistakes.stop()
    return named, sources


def _refuse_unknown_allowed(config: MixFile, choices: Mapping[str, SourceChoice], mistakes: Mistakes) -> None:
    for i, allow in enumerate(config.allow):
        if allow.source not in (*choices, "*"):
            mistakes.add(
                ("allow", i, "source"),
                f'expected a source of the mix ({", ".join(choices)}) or "*", got "{allow.source}"'
                f"{did_you_mean(allow.source, choices)}",
            )


def _choices(config: MixFile, corpora: Sequence[Corpus]) -> dict[str, SourceChoice]:
    # A source that the file does not define is the one of that name in every corpus.
    every = sorted({s.name for c in corpora for s in c.manifest.sources})
    return {**{name: SourceChoice(from_=[f"*/{name}"]) for name in every}, **(config.sources or {})}


def _refuse_empty(empty: set[str], config: MixFile, corpora: Sequence[Corpus], mistakes: Mistakes) -> None:
    defined = config.sources or {}
    partitions = {(c.label, p.source, str(p.columns or "")) for c in corpora for p in c.manifest.partitions}
    there = ", ".join(sorted(f"{label}/{source} {columns}".strip() for label, source, columns in partitions))
    for name in sorted(empty & set(defined)):
        mistakes.add(("sources", name), f'expected "{name}" to find tokens, it finds none among: {there}')
    others = _weights_by_tokens(config, corpora)
    is_left = any(w and n not in empty for phase in config.phases for n, w in phase.weights.items())
    for i, phase in enumerate(config.phases):
        for name in (each for each in phase.weights if each in empty and each not in defined):
            left = {each: weight for each, weight in phase.weights.items() if each not in empty}
            if any(left.values()):
                remedy = f"Write  weights: {weights_text(left)}  or "
            else:
                remedy = (
                    "Take the phase out, or "
                    if is_left
                    else f"Write  weights: {others}  or "
                    if others
                    else ""
                )
            mistakes.add(
                ("phases", i, "weights", name),
                f'expected tokens to train on in "{name}", found none: no document was kept, or all are held out. '
                f"{remedy}{REMEDY if remedy else REMEDY.capitalize()}",
            )


def _weights_by_tokens(config: MixFile, corpora: Sequence[Corpus]) -> str:
    """The weights of the corpora's sources that have tokens, as these are; "" where none has."""
    choices = _choices(config, corpora)
    counts = {
        name: sum(p.n_tokens for _, p in _partitions(choices[name], corpora) if p.split == "train")
        for name in sorted({s.name for c in corpora for s in c.manifest.sources})
    }
    total = sum(counts.values())
    shares = {
        name: max(Fraction(n * 10_000 // total, 10_000), _LEAST_WEIGHT) for name, n in counts.items() if n
    }
    return weights_text(shares) if shares else ""


def _source(name: str, choice: SourceChoice, corpora: list[Corpus], mistakes: Mistakes) -> MixSource:
    chosen = _partitions(choice, corpora)
    _check_licences(name, choice, chosen, mistakes)
    kinds = {p.holdout for _, p in chosen if p.split == "heldout"}
    holdout = "span" if "span" in kinds else "cluster" if kinds else "none"
    licences: dict[str, int] = {}
    for _, partition in chosen:
        for licence, n in partition.licences.items():
            licences[licence] = licences.get(licence, 0) + n
    return MixSource(
        name=name,
        train=_shards(chosen, "train"),
        heldout=_shards(chosen, "heldout"),
        holdout=holdout,
        max_epochs=choice.max_epochs or MAX_EPOCHS,
        licences=licences,
        contamination=_contamination([c.manifest for c, _ in chosen]),
    )


def _partitions(choice: SourceChoice, corpora: Sequence[Corpus]) -> list[tuple[Corpus, Partition]]:
    return [(c, p) for c in corpora for p in c.manifest.partitions if _chosen(c, p, choice)]


def _refuse_repeated_shards(
    loc: Sequence[str | int], name: str, chosen: list[tuple[Corpus, Partition]], mistakes: Mistakes
) -> None:
    # Corpora of other recipes may still hold the same shards: a build under another name, or with one source more.
    first: dict[str, Corpus] = {}
    left: dict[str, None] = {}
    again: dict[str, Corpus] = {}
    for corpus, partition in ((c, p) for c, p in chosen if p.split == "train"):
        roots = [shard.root for shard in partition.shards if shard.n_tokens]
        known = next((first[root] for root in roots if first.get(root, corpus) is not corpus), None)
        path = f"{corpus.label}/{partition.source}"
        if known is None:
            first |= dict.fromkeys(roots, corpus)
            left[path] = None
        else:
            again[path] = known
    line = f"{name}: {{from: {json_text([path for path in left if path not in again])}}}"
    for path, known in again.items():
        is_other = not path.startswith(f"{known.label}/")
        labelled = (
            "Give the corpora labels of their own,  corpora: {a: ..., b: ...}  and name one under `sources`"
        )
        remedy = f"Write under `sources`:  {line}" if is_other else labelled
        mistakes.add(
            loc,
            f"expected the shards of {name} once, got those of {path} again (as {known.label}, digest "
            f"{known.digest[:8]}). Their tokens would count twice, and be read twice as often as `max_epochs` "
            f"allows. {remedy}",
        )


def _chosen(corpus: Corpus, partition: Partition, choice: SourceChoice) -> bool:
    path = f"{corpus.label}/{partition.source}"
    named = any(fnmatch.fnmatchcase(path, pattern) for pattern in choice.from_)
    return named and all(partition.columns.get(k) == v for k, v in choice.where.items())


def _check_licences(
    name: str, choice: SourceChoice, chosen: list[tuple[Corpus, Partition]], mistakes: Mistakes
) -> None:
    if choice.licences is None:
        return
    others = sorted({x for _, p in chosen for x in p.licences} - set(choice.licences))
    if others:
        mistakes.add(
            ("sources", name, "licences"),
            f"expected only {', '.join(choice.licences)}, its partitions also hold {', '.join(others)}. "
            "A mix selects whole partitions: build with `tokens: {partition: [licence]}` and choose by `where`",
        )


def _shards(chosen: list[tuple[Corpus, Partition]], split: str) -> list[MixShard]:
    return [
        MixShard(
            corpus=corpus.digest,
            shard=s.shard,
            root=s.root,
            documents=s.documents,
            n_tokens=s.n_tokens,
            n_bytes=s.n_bytes,
        )
        for corpus, partition in chosen
        if partition.split == split
        for s in partition.shards
    ]


def _contamination(manifests: list[CorpusManifest]) -> Any:
    if not manifests or any(not m.benchmarks for m in manifests):
        return "unchecked"
    kept = any(b.action == "mark" and b.n_documents for m in manifests for b in m.benchmarks)
    return "marked" if kept else "clean"
