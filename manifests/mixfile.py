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

Refused, all at once and each at its line: an unknown corpus, source or key; a corpus twice; a shard twice, or in two
sources; two tokenizers; a source without tokens, or below a row; too many epochs (16, or its max_epochs); contaminated
documents that were kept; each with a remedy, which is fed when it is pasted (`mixremedy.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from manifests.corpus import CorpusManifest, TokenizerEntry
from manifests.errors import MixError
from manifests.mistakes import Mistakes
from manifests.mix import Allowed, MixCorpus, MixManifest, MixPhase, MixSource
from manifests.mixcheck import CheckRow, Shared, check, check_shared, key_text, shares_of, weights_text
from manifests.mixkeys import MixFile, PhaseChoice
from manifests.mixremedy import (
    REMEDY,
    Wanted,
    empty_text,
    epochs_text,
    fed_text,
    is_fed,
    shorter_rows,
    small_text,
    with_phases,
)
from manifests.mixsources import (
    Corpus,
    choices_of,
    json_text,
    one_tokenizer,
    open_corpora,
    partitions_of,
    sources_of,
)
from manifests.yamlfile import OnePlace, Positions, apply_overrides, load_yaml, validate

__all__ = ["MixFile", "ResolvedMix", "load_mix", "mix_of_corpus"]

TOO_SMALL = "too_small"
_LEAST_WEIGHT = Fraction(1, 10_000)


@dataclass(frozen=True)
class ResolvedMix:
    """A mix and where its corpora lie on this machine (corpus digest -> store folder); remarks: what it leaves out."""

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
    mix = _resolved(config, corpora, tokenizer, mistakes)
    _feasible(mix, config, mistakes, is_written=True, whole=lambda: _whole_text(config, corpora, tokenizer))
    return ResolvedMix(
        mix, {c.digest: c.root for c in corpora}, _unweighed(config, path) + _without_rows(mix, path)
    )


def mix_of_corpus(path: Path, *, seq_len: int, seed: int, tokens: int, place: str = "") -> ResolvedMix:
    """All sources of one corpus by their tokens: what `mix: DIR` in train.yaml means.

    Sources that hold no row of `seq_len` are left out: the mix's `allowed` and the remarks name them.
    place: what asks for it, such as `train.yaml:3:9`, for what is refused.

    Raises: MixError, DamageError.
    """
    manifest = CorpusManifest.read(path)
    mistakes = Mistakes(OnePlace(place or str(path)))
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
        lengths = shorter_rows(seq_len, at_most=min(max(counts.values()) // 2, tokens))
        wishes = (wanted._replace(seq_len=n) for n in lengths)
        shorter = next((w.seq_len for w in wishes if _is_whole_fed(corpora, tokenizer, w, counts)), None)
        mistakes.add((), _none_large_text(counts, seq_len, shorter))
        mistakes.stop()
    assert made is not None
    mix, config = made
    _feasible(mix, config, mistakes, is_written=False, whole=str)
    left_out = tuple(f"{path}: left out {a.source}: {a.because}" for a in mix.allowed)
    return ResolvedMix(mix, {corpora[0].digest: corpora[0].root}, left_out + _without_rows(mix, path))


def _unweighed(config: MixFile, path: Path) -> tuple[str, ...]:
    return tuple(
        f"{path}: {name} is defined under `sources`, has no weight in any phase and is not read"
        for name in config.sources or {}
        if name not in config.weighed
    )


def _without_rows(mix: MixManifest, path: Path) -> tuple[str, ...]:
    return tuple(
        f"{path}: {row.source} has a weight too small for one of the {mix.n_rows:,} rows and is not read"
        for row in check(mix)
        if "no_rows" in row.verdict
    )


def _trial() -> Mistakes:
    # What a trial gets wrong is nobody's mistake.
    return Mistakes(Positions(""))


def _resolved(
    config: MixFile, corpora: list[Corpus], tokenizer: tuple[Corpus, TokenizerEntry], mistakes: Mistakes
) -> MixManifest:
    names, sources = sources_of(config, corpora, mistakes)
    phases = _phases(config, names, mistakes)
    return _manifest(config, corpora, tokenizer, sources=sources, phases=phases)


def _whole_text(config: MixFile, corpora: list[Corpus], tokenizer: tuple[Corpus, TokenizerEntry]) -> str:
    """The weights of all sources that hold a row, by their tokens, for every phase; "" where they cannot be fed."""
    choices = choices_of(config, corpora)
    counts = {
        name: sum(p.n_tokens for _, p in partitions_of(choices[name], corpora) if p.split == "train")
        for name in sorted({s.name for c in corpora for s in c.manifest.sources})
    }
    large = {name: n for name, n in counts.items() if n >= 2 * config.seq_len}
    total = sum(large.values())
    weights = {name: max(Fraction(n * 10_000 // total, 10_000), _LEAST_WEIGHT) for name, n in large.items()}
    phases = [phase.model_copy(update={"weights": weights}) for phase in config.phases]
    try:
        mix = _resolved(config.model_copy(update={"phases": phases}), corpora, tokenizer, _trial())
    except MixError:
        return ""
    return fed_text(f"write  weights: {weights_text(weights)}", mix)


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
    mix = _resolved(config, corpora, tokenizer, mistakes)
    return mix.model_copy(update={"allowed": left_out}), config


def _is_whole_fed(
    corpora: list[Corpus],
    tokenizer: tuple[Corpus, TokenizerEntry],
    wish: _Wish,
    counts: Mapping[str, int],
) -> bool:
    try:
        made = _whole(corpora, tokenizer, wish, counts, _trial())
    except MixError:
        return False
    return made is not None and is_fed(made[0])


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
        if not n_rows:
            expected = f"expected at least one row of {config.seq_len} tokens for `phases[{i}].tokens`"
            mistakes.add(("phases", i, "tokens"), f"{expected}, got {phase.tokens}")
        if not sum(weights):
            got = "only 0" if phase.weights else "none"
            mistakes.add(
                ("phases", i, "weights"), f"expected one weight above 0 for `phases[{i}].weights`, got {got}"
            )
        if not n_rows or not sum(weights):
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


def _feasible(
    mix: MixManifest, config: MixFile, mistakes: Mistakes, *, is_written: bool, whole: Callable[[], str]
) -> None:
    """Returns if the mix can be fed with text that may be trained on.

    is_written: whether somebody wrote it, in a mix.yaml; whole: what can be written where no source is left.

    Raises: MixError.
    """
    rows = check(mix)
    phases = [Wanted(phase.tokens, phase.weights) for phase in config.phases]
    small = _small(rows, mix, config)
    # What is proposed for the others holds once the small ones are out.
    rest = with_phases(mix, phases, without=small)
    instead = whole() if small and not rest.phases else ""
    for i, phase in enumerate(config.phases):
        for row in (each for each in rows if each.source in small and each.source in phase.weights):
            text = small_text if row.available else empty_text
            told = text(row, mix, phases, at=i, small=small, whole=instead)
            mistakes.add(("phases", i, "weights", row.source), told)
    for row in rows:
        place = ("phases", _first_phase(row, config), "weights", row.source)
        if row.has_too_many_epochs and row.source not in small:
            mistakes.add(place, epochs_text(row, rest, is_written=is_written))
        if row.is_contaminated:
            mistakes.add(place, _contaminated_text(row.source))
    by_name = {row.source: row for row in rows}
    for shared in (each for each in check_shared(mix) if each.has_too_many_epochs):
        last = by_name[[*shared.epochs][-1]]
        mistakes.add(("phases", _first_phase(last, config), "weights", last.source), _shared_text(shared))
    _advise(rows, rest, config, mistakes, is_written=is_written)
    mistakes.stop()


def _small(rows: Sequence[CheckRow], mix: MixManifest, config: MixFile) -> set[str]:
    """The sources that make no row: those without tokens; and all others, if one of them is to be read."""
    empty = {row.source for row in rows if not row.available and row.source in config.drawn}
    if not empty and not any(row.has_too_many_epochs for row in rows):
        return set()
    return empty | {r.source for r in rows if r.source in config.drawn and r.available < 2 * mix.seq_len}


def _first_phase(row: CheckRow, config: MixFile) -> int:
    return next((i for i, phase in enumerate(config.phases) if phase.weights.get(row.source)), 0)


def _advise(
    rows: Sequence[CheckRow], rest: MixManifest, config: MixFile, mistakes: Mistakes, *, is_written: bool
) -> None:
    ways: list[tuple[str, str, object, str]] = []
    epochs = {row.source: math.ceil(row.epochs) for row in check(rest) if row.has_too_many_epochs}
    if epochs:
        ways.append(("it", "sources", config.sources, _sources_line(epochs, config)))
    marked = [row.source for row in rows if row.is_contaminated]
    if marked:
        ways.append(("that text", "allow", config.allow, _allow_line(marked, config)))
    for what, key, there, line in ways:
        if not is_written:
            mistakes.advise(f"Or write a mix.yaml that allows {what}:  {line}")
        else:
            mistakes.advise(f"Or allow {what}{f', in place of the `{key}:` there' if there else ''}:  {line}")


def _shared_text(shared: Shared) -> str:
    by_whom = ", ".join(f'"{name}" {epochs:.1f}' for name, epochs in shared.epochs.items())
    return (
        f"expected shards that several sources draw to be read at most {shared.max_epochs} times by all together, got "
        f"{sum(shared.epochs.values()):.1f} ({by_whom}). Give them less weight or fewer tokens, leave one out, or "
        "allow it with a larger `max_epochs` in each of them"
    )


def _contaminated_text(source: str) -> str:
    return (
        f"expected no benchmark text in {source}, its corpus marked some and kept it. Drop it in the recipe, and build "
        "again"
    )


def _allow_line(marked: Sequence[str], config: MixFile) -> str:
    """One `allow:` for all sources with benchmark text, with what is allowed there now."""
    made = [(a.verdict, a.source, a.because) for a in config.allow]
    made += [("marked", source, "...") for source in marked]
    each = (
        f"{{verdict: {verdict}, source: {json_text(source)}, because: {json_text(because)}}}"
        for verdict, source, because in made
    )
    return f"allow: [{', '.join(each)}]"


def _sources_line(epochs: Mapping[str, int], config: MixFile) -> str:
    """One `sources:` for all sources of too many epochs, with what is defined there now."""
    made = {
        name: choice.model_dump(mode="json", by_alias=True) for name, choice in (config.sources or {}).items()
    }
    for name, most in epochs.items():
        made[name] = {**made.get(name, {"from": [f"*/{name}"]}), "max_epochs": most}
    each = (
        f"{key_text(name)}: {_flow({k: v for k, v in choice.items() if v})}" for name, choice in made.items()
    )
    return f"sources: {{{', '.join(each)}}}"


def _flow(choice: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {json_text(value)}" for key, value in choice.items()) + "}"
