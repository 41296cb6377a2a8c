"""mix.yaml -> MixManifest: what a person wrote, held against what the corpora hold, before any GPU hour.

    name: small
    corpora: [out/corpus.json]              or {label: path, ...}
    seq_len: 256
    seed: 1
    sources:                                a source not named here stands under its own name
      books: {from: [label/books], where: {language: en}, max_epochs: 8, licences: [MIT]}
    phases: [{tokens: 2M, weights: {web: 0.3, books: 0.7}}]
    allow:
      - {verdict: unchecked, source: books, because: "checked by hand"}

Refused, all at once and each at its line: an unknown corpus, source or key; a corpus or a shard twice; two tokenizers;
a source without tokens, or below a row; too many epochs (16, or its max_epochs); contaminated documents that were kept;
each with a remedy, which is fed when it is pasted (`mixremedy.py`).
"""

from __future__ import annotations

import fnmatch
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from manifests.corpus import CorpusManifest, Partition, TokenizerEntry
from manifests.errors import MixError, QuernError
from manifests.mistakes import did_you_mean
from manifests.mix import Allowed, MixCorpus, MixManifest, MixPhase, MixShard, MixSource
from manifests.mixcheck import check, key_text, shares_of, weights_text
from manifests.mixremedy import Wanted, epochs_text, is_fed, shorter_rows, small_text, with_phases
from manifests.quantities import Count, Share
from manifests.yamlfile import Positions, apply_overrides, load_yaml, validate

__all__ = ["MixFile", "ResolvedMix", "load_mix", "mix_of_corpus"]

MAX_EPOCHS = 16
TOO_SMALL = "too_small"
_LEAST_WEIGHT = Fraction(1, 10_000)
_REMEDY = "see with `quern audit` which step dropped them, and build again"


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
class ResolvedMix:
    """A mix and where its corpora lie on this machine (corpus digest -> store folder); remarks: what was left out."""

    manifest: MixManifest
    locations: dict[str, Path]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Corpus:
    label: str
    root: Path
    manifest: CorpusManifest

    @property
    def digest(self) -> str:
        return self.manifest.digest


class _Mistakes:
    """Collects every mistake of a mix file, each with its place, so that they are told at once."""

    def __init__(self, positions: Positions) -> None:
        self._positions = positions
        self._found: list[str] = []
        self._advice: list[str] = []

    def add(self, loc: Sequence[str | int], text: str) -> None:
        self._found.append(f"{self._positions.where(tuple(loc))}: {text}")

    def advise(self, text: str) -> None:
        """Adds a way out of several mistakes, told behind them."""
        self._advice.append(text)

    def stop(self) -> None:
        if self._found:
            remedy = "Nothing was read or trained. Correct the mix and run the same command again."
            raise MixError("\n".join([*self._found, *self._advice, remedy]))


def load_mix(path: Path, overrides: Sequence[str] = ()) -> ResolvedMix:
    """The mix of a mix.yaml, checked against the manifests of its corpora.

    Raises: UsageError with the place of every mistake; DamageError.
    """
    value, positions = load_yaml(path)
    value = apply_overrides(value, positions, list(overrides))
    config = validate(MixFile, value, positions)
    mistakes = _Mistakes(positions)
    corpora = _open_corpora(config, path.parent, mistakes)
    tokenizer = _one_tokenizer(corpora, mistakes)
    names, sources = _sources(config, corpora, mistakes)
    phases = _phases(config, names, mistakes)
    manifest = _manifest(config, corpora, tokenizer, sources=sources, phases=phases)
    _feasible(manifest, config, mistakes, is_written=True)
    return ResolvedMix(manifest, {c.digest: c.root for c in corpora})


def mix_of_corpus(path: Path, *, seq_len: int, seed: int, tokens: int) -> ResolvedMix:
    """All sources of one corpus by their tokens: what `mix: DIR` in train.yaml means.

    Sources that hold no row of `seq_len` are left out: the mix's `allowed` and the remarks name them.

    Raises: MixError, DamageError.
    """
    manifest = CorpusManifest.read(path)
    mistakes = _Mistakes(Positions(str(path)))
    corpora = [_Corpus(manifest.name, manifest.root(path), manifest)]
    tokenizer = _one_tokenizer(corpora, mistakes)
    counts = {s.name: manifest.n_tokens(s.name) for s in manifest.sources if manifest.n_tokens(s.name)}
    if not counts:
        mistakes.add(
            ("corpora",),
            f"expected tokens to train on, found none: no document was kept, or all are held out; {_REMEDY}",
        )
        mistakes.stop()
    wanted = _Wish(seq_len, seed, tokens)
    made = _whole(corpora, tokenizer, wanted, counts, mistakes)
    if made is None:
        lengths = (wanted._replace(seq_len=n) for n in shorter_rows(seq_len))
        found = ((each.seq_len, _whole(corpora, tokenizer, each, counts, mistakes)) for each in lengths)
        shorter = next((n for n, mix in found if mix is not None and is_fed(mix[0])), None)
        mistakes.add((), _none_large_text(counts, seq_len, shorter))
        mistakes.stop()
    assert made is not None
    mix, config = made
    _feasible(mix, config, mistakes, is_written=False)
    left_out = tuple(f"{path}: left out {a.source}: {a.because}" for a in mix.allowed)
    return ResolvedMix(mix, {corpora[0].digest: corpora[0].root}, left_out)


class _Wish(NamedTuple):
    """What train.yaml says of a mix that is a corpus."""

    seq_len: int
    seed: int
    tokens: int


def _whole(
    corpora: list[_Corpus],
    tokenizer: tuple[_Corpus, TokenizerEntry],
    wish: _Wish,
    counts: Mapping[str, int],
    mistakes: _Mistakes,
) -> tuple[MixManifest, MixFile] | None:
    """The mix of a corpus's sources that hold a row, by their tokens; None where none does."""
    large = {name: n for name, n in counts.items() if n >= 2 * wish.seq_len}
    if not large:
        return None
    weights = {name: Fraction(n, sum(large.values())) for name, n in large.items()}
    left_out = [
        Allowed(verdict=TOO_SMALL, source=name, because=f"its {n:,} tokens make no row of {wish.seq_len}")
        for name, n in counts.items()
        if name not in large
    ]
    config = MixFile.model_construct(
        name=corpora[0].manifest.name,
        corpora=[str(corpora[0].root)],
        seq_len=wish.seq_len,
        seed=wish.seed,
        sources=None,
        phases=[PhaseChoice.model_construct(tokens=wish.tokens, weights=weights)],
        allow=[],
    )
    names, sources = _sources(config, corpora, mistakes)
    phases = _phases(config, names, mistakes)
    mix = _manifest(config, corpora, tokenizer, sources=sources, phases=phases)
    return mix.model_copy(update={"allowed": left_out}), config


def _none_large_text(counts: Mapping[str, int], seq_len: int, shorter: int | None) -> str:
    name = max(counts, key=lambda each: counts[each])
    remedy = (
        f"Write  seq_len: {shorter}  in the training file" if shorter else "Build a corpus with more text"
    )
    return (
        f"expected at least {2 * seq_len:,} tokens in one source for rows of {seq_len}, got {counts[name]:,} in {name} "
        f"at most. No row could be made of any. {remedy}"
    )


def _open_corpora(config: MixFile, folder: Path, mistakes: _Mistakes) -> list[_Corpus]:
    found: dict[str | int, _Corpus] = {}
    for key, text in _named(config).items():
        path = folder / text
        try:
            manifest = CorpusManifest.read(path)
        except QuernError as error:
            mistakes.add(("corpora", key), str(error))
            continue
        found[key] = _Corpus(key if isinstance(key, str) else manifest.name, manifest.root(path), manifest)
    _refuse_repeated(found, config, mistakes)
    mistakes.stop()
    return list(found.values())


def _named(config: MixFile) -> dict[str | int, str]:
    return dict(config.corpora.items() if isinstance(config.corpora, dict) else enumerate(config.corpora))


def _refuse_repeated(found: Mapping[str | int, _Corpus], config: MixFile, mistakes: _Mistakes) -> None:
    first: dict[str, str | int] = {}
    for key, corpus in found.items():
        first.setdefault(corpus.digest, key)
    once = {key: path for key, path in _named(config).items() if key in first.values()}
    line = _json(once if isinstance(config.corpora, dict) else list(once.values()))
    for key, corpus in ((k, c) for k, c in found.items() if first[c.digest] != k):
        mistakes.add(
            ("corpora", key),
            f"expected each corpus once, got {_named(config)[key]} again (as {found[first[corpus.digest]].label}, "
            f"digest {corpus.digest[:8]}). Its tokens would count twice, and be read twice as often as `max_epochs` "
            f"allows. Write  corpora: {line}",
        )


def _json(value: object) -> str:
    # A line of JSON is one of YAML, whatever the names in it.
    return json.dumps(value, ensure_ascii=False)


def _one_tokenizer(corpora: list[_Corpus], mistakes: _Mistakes) -> tuple[_Corpus, TokenizerEntry]:
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


def _sources(
    config: MixFile, corpora: list[_Corpus], mistakes: _Mistakes
) -> tuple[list[str], list[MixSource]]:
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


def _refuse_unknown_allowed(
    config: MixFile, choices: Mapping[str, SourceChoice], mistakes: _Mistakes
) -> None:
    for i, allow in enumerate(config.allow):
        if allow.source not in (*choices, "*"):
            mistakes.add(
                ("allow", i, "source"),
                f'expected a source of the mix ({", ".join(choices)}) or "*", got "{allow.source}"'
                f"{did_you_mean(allow.source, choices)}",
            )


def _choices(config: MixFile, corpora: Sequence[_Corpus]) -> dict[str, SourceChoice]:
    # A source that the file does not define is the one of that name in every corpus.
    every = sorted({s.name for c in corpora for s in c.manifest.sources})
    return {**{name: SourceChoice(from_=[f"*/{name}"]) for name in every}, **(config.sources or {})}


def _refuse_empty(empty: set[str], config: MixFile, corpora: Sequence[_Corpus], mistakes: _Mistakes) -> None:
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
                f"{remedy}{_REMEDY if remedy else _REMEDY.capitalize()}",
            )


def _weights_by_tokens(config: MixFile, corpora: Sequence[_Corpus]) -> str:
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


def _source(name: str, choice: SourceChoice, corpora: list[_Corpus], mistakes: _Mistakes) -> MixSource:
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


def _partitions(choice: SourceChoice, corpora: Sequence[_Corpus]) -> list[tuple[_Corpus, Partition]]:
    return [(c, p) for c in corpora for p in c.manifest.partitions if _chosen(c, p, choice)]


def _refuse_repeated_shards(
    loc: Sequence[str | int], name: str, chosen: list[tuple[_Corpus, Partition]], mistakes: _Mistakes
) -> None:
    # Corpora of other recipes may still hold the same shards: a build under another name, or with one source more.
    first: dict[str, _Corpus] = {}
    left: dict[str, None] = {}
    again: dict[str, _Corpus] = {}
    for corpus, partition in ((c, p) for c, p in chosen if p.split == "train"):
        roots = [shard.root for shard in partition.shards if shard.n_tokens]
        known = next((first[root] for root in roots if first.get(root, corpus) is not corpus), None)
        path = f"{corpus.label}/{partition.source}"
        if known is None:
            first |= dict.fromkeys(roots, corpus)
            left[path] = None
        else:
            again[path] = known
    line = f"{name}: {{from: {_json([path for path in left if path not in again])}}}"
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


def _chosen(corpus: _Corpus, partition: Partition, choice: SourceChoice) -> bool:
    path = f"{corpus.label}/{partition.source}"
    named = any(fnmatch.fnmatchcase(path, pattern) for pattern in choice.from_)
    return named and all(partition.columns.get(k) == v for k, v in choice.where.items())


def _check_licences(
    name: str, choice: SourceChoice, chosen: list[tuple[_Corpus, Partition]], mistakes: _Mistakes
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


def _shards(chosen: list[tuple[_Corpus, Partition]], split: str) -> list[MixShard]:
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


def _phases(config: MixFile, names: list[str], mistakes: _Mistakes) -> list[MixPhase]:
    phases = []
    for i, phase in enumerate(config.phases):
        weights = [Fraction(phase.weights.get(name, 0)) for name in names]
        n_rows = phase.tokens // config.seq_len
        if not n_rows or not sum(weights):
            mistakes.add(
                ("phases", i), f"expected at least one row of {config.seq_len} tokens and one weight above 0"
            )
            continue
        phases.append(MixPhase(n_rows=n_rows, shares=shares_of(weights)))
    mistakes.stop()
    return phases


def _manifest(
    config: MixFile,
    corpora: list[_Corpus],
    tokenizer: tuple[_Corpus, TokenizerEntry],
    *,
    sources: list[MixSource],
    phases: list[MixPhase],
) -> MixManifest:
    corpus, entry = tokenizer
    return MixManifest(
        name=config.name,
        seq_len=config.seq_len,
        seed=config.seed,
        tokenizer=entry.digest,
        vocab_size=entry.vocab_size,
        eot=entry.eot,
        tokenizer_file=entry.file,
        tokenizer_corpus=corpus.digest,
        corpora=[MixCorpus(label=c.label, name=c.manifest.name, digest=c.digest) for c in corpora],
        sources=sources,
        phases=phases,
        allowed=[Allowed(verdict=a.verdict, source=a.source, because=a.because) for a in config.allow],
    )


def _feasible(mix: MixManifest, config: MixFile, mistakes: _Mistakes, *, is_written: bool) -> None:
    rows = check(mix)
    phases = [Wanted(phase.tokens, phase.weights) for phase in config.phases]
    many = [row for row in rows if row.verdict == "too_many_epochs"]
    small = [row.source for row in many if row.available < 2 * mix.seq_len]
    # What is proposed for the others holds once the small ones are out.
    rest = with_phases(mix, phases, without=small)
    for row in rows:
        places = [i for i, p in enumerate(config.phases) if p.weights.get(row.source)] or [0]
        if row.verdict == "contaminated":
            mistakes.add(("phases", places[0], "weights", row.source), _contaminated_text(row.source))
        if row.source in small:
            for i in places:
                mistakes.add(
                    ("phases", i, "weights", row.source), small_text(row, mix, phases, at=i, small=small)
                )
        elif row in many:
            text = epochs_text(row, rest, is_written=is_written)
            mistakes.add(("phases", places[0], "weights", row.source), text)
    if len(many) > len(small):
        mistakes.advise(_allow_text(rest, config, is_written=is_written))
    mistakes.stop()


def _contaminated_text(source: str) -> str:
    return (
        f"expected no benchmark text in {source}, its corpus marked some and kept it. Drop it in the "
        f'recipe, or add to the mix: allow: [{{verdict: marked, source: {_json(source)}, because: "..."}}]'
    )


def _allow_text(mix: MixManifest, config: MixFile, *, is_written: bool) -> str:
    """One `sources:` for all sources of too many epochs, with what is defined there now."""
    epochs = {row.source: math.ceil(row.epochs) for row in check(mix) if row.verdict == "too_many_epochs"}
    made = {
        name: choice.model_dump(mode="json", by_alias=True) for name, choice in (config.sources or {}).items()
    }
    for name, most in epochs.items():
        made[name] = {**made.get(name, {"from": [f"*/{name}"]}), "max_epochs": most}
    each = (
        f"{key_text(name)}: {_flow({k: v for k, v in choice.items() if v})}" for name, choice in made.items()
    )
    line = f"sources: {{{', '.join(each)}}}"
    if not is_written:
        return f"Or write a mix.yaml that allows it:  {line}"
    return f"Or allow it{', in place of the `sources:` there' if config.sources else ''}:  {line}"


def _flow(choice: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {_json(value)}" for key, value in choice.items()) + "}"
