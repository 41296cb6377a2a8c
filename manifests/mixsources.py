"""What the sources of a mix.yaml find in the corpora that it names.

    corpora: [a/corpus.json, b/corpus.json]   ->  Corpus(label, root, manifest) each, opened and held side by side
    sources: {books: {from: ["*/books"]}}     ->  MixSource: the shards, licences and holdout of all that it chooses

Manifests are read, shards are not. Mistakes are collected, each with its place, and told at once (`Mistakes.stop`);
whether the weights can be met is asked in `mixfile.py`.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manifests.corpus import CorpusManifest, Partition, TokenizerEntry
from manifests.errors import QuernError
from manifests.mistakes import Mistakes, did_you_mean
from manifests.mix import MixShard, MixSource
from manifests.mixkeys import MixFile, SourceChoice

__all__ = [
    "Corpus",
    "choices_of",
    "json_text",
    "one_tokenizer",
    "open_corpora",
    "partitions_of",
    "sources_of",
]

MAX_EPOCHS = 16
_MOST_LISTED = 16
_WILDCARD = re.compile(r"[*?\[]")


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


def open_corpora(config: MixFile, folder: Path, mistakes: Mistakes) -> list[Corpus]:
    """The corpora that the file names from its `folder`, in its order.

    Raises: MixError where one is not there, is damaged or is named twice.
    """
    found: dict[str | int, Corpus] = {}
    for key, text in _named(config).items():
        try:
            manifest = CorpusManifest.read(Path(text), folder)
        except QuernError as error:
            mistakes.add(("corpora", key), str(error))
            continue
        found[key] = Corpus(
            key if isinstance(key, str) else manifest.name, manifest.root(folder / text), manifest
        )
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

    Raises: MixError where one is unknown or misspelt, finds no tokens that it was defined to find, finds a
    shard twice, or holds another licence.
    """
    choices = choices_of(config, corpora)
    used = config.weighed
    for i, phase in enumerate(config.phases):
        for name in sorted(set(phase.weights) - set(choices)):
            loc = ("phases", i, "weights", name)
            mistakes.add(
                loc, f'expected a source ({_listed([*choices])}), got "{name}"{did_you_mean(name, choices)}'
            )
    _refuse_unknown_allowed(config, choices, mistakes)
    _refuse_misspelt(config, choices, corpora, mistakes)
    misnamed = _refuse_unknown_from(config, corpora, mistakes)
    named = [name for name in choices if name in used]
    sources = [_source(name, choices[name], corpora, mistakes) for name in named]
    chosen = {name: partitions_of(choices[name], corpora) for name in named}
    for name in named:
        _refuse_repeated_shards(_place(name, config), name, chosen[name], mistakes)
    empty = {source.name for source in sources if not source.n_tokens}
    _refuse_empty(empty - misnamed, config, corpora, mistakes)
    mistakes.stop()
    return named, sources


def _place(name: str, config: MixFile) -> tuple[str, ...]:
    return ("sources", name) if name in (config.sources or {}) else ("corpora",)


def _refuse_unknown_allowed(config: MixFile, choices: Mapping[str, SourceChoice], mistakes: Mistakes) -> None:
    for i, allow in enumerate(config.allow):
        if allow.source not in (*choices, "*"):
            mistakes.add(
                ("allow", i, "source"),
                f'expected a source of the mix ({_listed([*choices])}) or "*", got "{allow.source}"'
                f"{did_you_mean(allow.source, choices)}",
            )


def _refuse_misspelt(
    config: MixFile, choices: Mapping[str, SourceChoice], corpora: Sequence[Corpus], mistakes: Mistakes
) -> None:
    """Refuses what is defined, has no weight, and is a source misspelt that has one, no definition, and its text.

    Any other may stand there without a weight, for a phase that is yet to come.
    """
    defined = config.sources or {}
    undefined = config.weighed & {*choices} - {*defined}
    for name in (name for name in defined if name not in config.weighed):
        drawn = {partition.source for _, partition in partitions_of(defined[name], corpora)}
        if near := did_you_mean(name, (each for each in undefined & drawn if _is_slip(name, each))):
            mistakes.add(
                ("sources", name),
                f'expected a source that a phase weighs ({_listed(sorted(config.weighed))}), got "{name}"{near} What '
                "it says would hold for no source. Correct the name, or give it a weight, 0 if it is not to be read",
            )


def _is_slip(name: str, other: str) -> bool:
    """Whether a name may be another one misspelt: word for word near it, with the same numbers.

    >>> [_is_slip("web", other) for other in ("wbe", "web_de", "web2", "wiki")]
    [True, False, False, False]
    """
    words, others = (re.findall(r"\d+|[^\W\d_]+", each.lower()) for each in (name, other))
    return len(words) == len(others) and all(
        word == its or (not word.isdigit() and bool(did_you_mean(word, [its])))
        for word, its in zip(words, others, strict=True)
    )


def _refuse_unknown_from(config: MixFile, corpora: Sequence[Corpus], mistakes: Mistakes) -> set[str]:
    """The sources, weighed or not, under whose `from` something stands that is no source of any corpus.

    A pattern with a wildcard may find nothing where another one beside it finds some.
    """
    there = [f"{c.label}/{source.name}" for c in corpora for source in c.manifest.sources]
    anywhere = [f"*/{source.name}" for c in corpora for source in c.manifest.sources]
    unknown = {
        (name, i): text
        for name, choice in (config.sources or {}).items()
        for i, text in _unmatched(choice.from_, there)
    }
    for (name, i), text in unknown.items():
        near = did_you_mean(text, anywhere if text.startswith("*") else there) or _near_bare(text, corpora)
        told = f'expected a source of a corpus ({_listed(there)}), got "{text}"{near}'
        mistakes.add(("sources", name, "from", i), told)
    return {name for name, _ in unknown}


def _near_bare(text: str, corpora: Sequence[Corpus]) -> str:
    """The nearest source of any corpus to a name that stands there without one."""
    near = did_you_mean(text, {source.name for c in corpora for source in c.manifest.sources})
    return near.replace('"', '"*/', 1) if "/" not in text else ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_LISTED]) + (", ..." if len(names) > _MOST_LISTED else "")


def _unmatched(patterns: Sequence[str], there: Sequence[str]) -> list[tuple[int, str]]:
    """The patterns that had to find something and do not, with their places.

    >>> _unmatched(["*/web", "*/wiki", "c/boks"], ["c/web", "c/books"]), _unmatched(["*/wiki"], ["c/web"])
    ([(2, 'c/boks')], [(0, '*/wiki')])
    """
    found = [any(fnmatch.fnmatchcase(each, text) for each in there) for text in patterns]
    return [
        (i, text)
        for i, text in enumerate(patterns)
        if not found[i] and not (any(found) and _WILDCARD.search(text))
    ]


def choices_of(config: MixFile, corpora: Sequence[Corpus]) -> dict[str, SourceChoice]:
    """Every source that a phase may name: one that the file does not define is that of its name in every corpus."""
    every = sorted({s.name for c in corpora for s in c.manifest.sources})
    return {**{name: SourceChoice(from_=[f"*/{name}"]) for name in every}, **(config.sources or {})}


def _refuse_empty(empty: set[str], config: MixFile, corpora: Sequence[Corpus], mistakes: Mistakes) -> None:
    partitions = {(c.label, p.source, str(p.columns or "")) for c in corpora for p in c.manifest.partitions}
    there = _listed(sorted(f"{label}/{source} {columns}".strip() for label, source, columns in partitions))
    for name in sorted(empty & set(config.sources or {})):
        choice = (config.sources or {})[name]
        drawn = partitions_of(choice.model_copy(update={"where": {}}), corpora)
        found = [partition.columns for _, partition in drawn]
        absent = [column for column in choice.where if not any(column in each for each in found)]
        if found and absent:
            mistakes.add(("sources", name, "where", absent[0]), _no_column(name, absent[0], found))
            continue
        column, near = _unknown_value(choice.where, found)
        place = ("sources", name, "where", column) if column else ("sources", name)
        mistakes.add(place, f'expected "{name}" to find tokens, it finds none among: {there}{near}')


def _no_column(name: str, column: str, found: Sequence[Mapping[str, str]]) -> str:
    """What to say of a column that no partition of a source has; found: the columns of each."""
    there = sorted({name for each in found for name in each})
    if there:
        return (
            f'expected a column of the partitions of "{name}" ({", ".join(there)}), got "{column}"'
            f"{did_you_mean(column, there)}"
        )
    return (
        f'expected no `where` for "{name}", whose partitions have no columns, got "{column}". '
        f"Columns that tell partitions apart stand in the recipe: `tokens: {{partition: [language]}}`"
    )


def _unknown_value(where: Mapping[str, str], found: Sequence[Mapping[str, str]]) -> tuple[str, str]:
    """The first column under `where` whose value no partition has, and the nearest spelling."""
    for column, value in where.items() if found else ():
        values = {each[column] for each in found if column in each}
        if value not in values:
            return column, did_you_mean(value, values)
    return "", ""


def _source(name: str, choice: SourceChoice, corpora: list[Corpus], mistakes: Mistakes) -> MixSource:
    chosen = partitions_of(choice, corpora)
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


def partitions_of(choice: SourceChoice, corpora: Sequence[Corpus]) -> list[tuple[Corpus, Partition]]:
    """The partitions that a source chooses, and the corpus of each."""
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
    held = {x for _, p in chosen for x in p.licences}
    others = sorted(held - set(choice.licences))
    if others:
        misspelt = [
            did_you_mean(x, (o for o in others if _is_slip(x, o))) for x in choice.licences if x not in held
        ]
        near = next(filter(None, misspelt), ".")
        mistakes.add(
            ("sources", name, "licences"),
            f"expected only {', '.join(choice.licences)}, its partitions also hold {', '.join(others)}{near} "
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
