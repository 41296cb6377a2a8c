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

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from manifests.corpus import CorpusManifest, TokenizerEntry
from manifests.mix import Allowed, MixCorpus, MixManifest, MixPhase, MixSource
from manifests.mixcheck import check, key_text, shares_of
from manifests.mixremedy import Wanted, epochs_text, is_fed, shorter_rows, small_text, with_phases
from manifests.mixsources import (
    REMEDY,
    Corpus,
    Mistakes,
    MixFile,
    PhaseChoice,
    json_text,
    one_tokenizer,
    open_corpora,
    sources_of,
)
from manifests.yamlfile import Positions, apply_overrides, load_yaml, validate

__all__ = ["MixFile", "ResolvedMix", "load_mix", "mix_of_corpus"]

TOO_SMALL = "too_small"


@dataclass(frozen=True)
class ResolvedMix:
    """A mix and where its corpora lie on this machine (corpus digest -> store folder); remarks: what was left out."""

    manifest: MixManifest
    locations: dict[str, Path]
    remarks: tuple[str, ...] = ()


def load_mix(path: Path, overrides: Sequence[str] = ()) -> ResolvedMix:
    """The mix of a mix.yaml, checked against the manifests of its corpora.

    Raises: UsageError with the place of every mistake; DamageError.
    """
    value, positions = load_yaml(path)
    value = apply_overrides(value, positions, list(overrides))
    config = validate(MixFile, value, positions)
    mistakes = Mistakes(positions)
    corpora = open_corpora(config, path.parent, mistakes)
    tokenizer = one_tokenizer(corpora, mistakes)
    names, sources = sources_of(config, corpora, mistakes)
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
    mistakes = Mistakes(Positions(str(path)))
    corpora = [Corpus(manifest.name, manifest.root(path), manifest)]
    tokenizer = one_tokenizer(corpora, mistakes)
    counts = {s.name: manifest.n_tokens(s.name) for s in manifest.sources if manifest.n_tokens(s.name)}
    if not counts:
        mistakes.add(
            ("corpora",),
            f"expected tokens to train on, found none: no document was kept, or all are held out; {REMEDY}",
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
    corpora: list[Corpus],
    tokenizer: tuple[Corpus, TokenizerEntry],
    wish: _Wish,
    counts: Mapping[str, int],
    mistakes: Mistakes,
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
    names, sources = sources_of(config, corpora, mistakes)
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


def _phases(config: MixFile, names: list[str], mistakes: Mistakes) -> list[MixPhase]:
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
    corpora: list[Corpus],
    tokenizer: tuple[Corpus, TokenizerEntry],
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


def _feasible(mix: MixManifest, config: MixFile, mistakes: Mistakes, *, is_written: bool) -> None:
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
        f'recipe, or add to the mix: allow: [{{verdict: marked, source: {json_text(source)}, because: "..."}}]'
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
    return "{" + ", ".join(f"{key}: {json_text(value)}" for key, value in choice.items()) + "}"
