"""A recipe: what a person wrote in YAML, resolved into frozen stages and lists of files, or refused with reasons.

    sources:                                     Source(name, reader=Warc(), files=(crawl/1.warc.gz, ...),
      - name: web                                       steps=(Step("extract", Extract()),
        read: warc                      ->                     Step("language", Language(keep=("en",))),
        paths: ["crawl/*.warc.gz"]                             Step("save", None), ...))
        steps: [extract, language: {keep: [en]}, save, gopher_quality]
    steps: [exact, minhash]                      run on all sources together

A step has a name that its values, its account and `--set` go by: its stage's, with `_2`, `_3` for further uses
on a document's way. Two sources that use one stage share the step's name. `--set gopher_quality.min_words=60`
reaches a step wherever it stands.

Everything wrong is found before any work, each mistake at its line and column: wrong keys, readers and steps all at
once; files that are not there, and steps that do not fit together, once every key is right. Loading reads directories,
path lists and the files that stages depend on (to digest them); never the documents.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from manifests.errors import RecipeError
from manifests.mistakes import did_you_mean
from manifests.nearby import did_you_mean_path, found_at
from manifests.quantities import Count
from manifests.yamlfile import REMEDY, Loc, YamlError, apply_overrides, load_yaml, validate
from pipelines.batch import DOCUMENT
from pipelines.flow import check_flow
from pipelines.inputs import InputFile, choose, find_dataset, find_files, readable_address, repeated_files
from pipelines.over_all import misplaced, unknown_sources, unmade_scores
from pipelines.places import escaped, is_remote, is_utf8
from pipelines.registry import reader_class, user_reader
from pipelines.stage import Read
from pipelines.steps import (
    TAKEN,
    Reading,
    Step,
    at_home,
    default_steps,
    own_code,
    read_steps,
    spell_out,
    step_spec,
)
from pipelines.tokens import Tokens

__all__ = ["Recipe", "Source", "Step", "Take", "load_recipe", "resolved"]

# A reader's name, the reader, and of a user's own `FILE.py:Name` and the file's digest.
_Reader = tuple[str, Read, tuple[str, str] | tuple[()]]
_CATALOGUE = "catalogue"


# --- as written ------------------------------------------------------------------------------------


class _Written(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Take(_Written):
    """A choice of files by hash of their paths."""

    files: Count = Field(ge=1)
    """How many."""
    seed: int = 0
    """Another seed, another choice."""


class Dataset(_Written):
    """A folder as the Hugging Face Hub lays datasets out."""

    dataset: str
    """The folder."""
    config: str | None = None
    """The configuration, named by the README or a folder; the default one if left out."""
    split: str = "train"
    """The split; `all` for every one."""


class _WrittenSource(_Written):
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    read: str | dict[str, Any]
    paths: tuple[str | Dataset, ...] = Field(min_length=1)
    root: str | None = None
    take: Take | None = None
    licence: str | None = None
    steps: list[Any] | None = None


class _WrittenRecipe(_Written):
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    sources: tuple[_WrittenSource, ...] = Field(min_length=1)
    steps: list[Any] = []
    tokens: Tokens | None = None


# --- as resolved -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """One source: a reader and its name in recipes (`kind`), files in the order of their paths, own steps.

    use, digest: of a user's own reader, `FILE.py:Name` and the digest of the file.
    """

    name: str
    kind: str
    reader: Read
    files: tuple[InputFile, ...]
    licence: str | None
    take: Take | None
    steps: tuple[Step, ...]
    use: str | None = None
    digest: str | None = None

    def read(self) -> Step:
        """Its reading, as the first of its steps."""
        return Step("read", self.reader, "read", self.use, self.digest)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole recipe. folder: where it stands, from which relative paths are taken."""

    name: str
    folder: Path
    sources: tuple[Source, ...]
    steps: tuple[Step, ...]
    tokens: Tokens | None


def load_recipe(
    path: Path, overrides: Sequence[str] = (), *, allow_code: bool = False, out: Path | None = None
) -> Recipe:
    """Returns the recipe at `path` with every `--set` of `overrides` applied.

    allow_code: whether stages of the user's own (`use: ./rules.py:Name`) may be imported, which runs them.
    out: the store it is built into, whose corpora no wildcard of `against` finds: the same ones before and after.

    Raises: RecipeError with every mistake, one a line.
    """
    try:
        value, positions = load_yaml(path)
        spelt = [one for text in overrides for one in spell_out(value, text)]
        value = apply_overrides(value, positions, spelt)
    except YamlError as error:
        raise RecipeError(str(error)) from error
    reading = Reading(positions, path.parent, allow_code, out)
    recipe = _read(reading, value)
    if recipe is None or reading.mistakes:
        raise RecipeError("\n".join([*reading.ordered(), REMEDY]))
    return recipe


def _read(reading: Reading, value: Any) -> Recipe | None:
    """Returns the recipe that `value` means, None where a key of it is wrong; what is wrong is left with `reading`."""
    try:
        written = validate(_WrittenRecipe, value, reading.positions)
    except YamlError as error:
        reading.mistakes.extend(error.mistakes)
        _check_stages(reading, value)
        return None
    return _resolve(reading, written)


def _check_stages(reading: Reading, value: Any) -> None:
    """Finds what is wrong with the readers and steps of a recipe whose keys are: else a second run would tell it."""
    recipe = value if isinstance(value, dict) else {}
    sources = recipe.get("sources")
    for i, source in enumerate(sources if isinstance(sources, list) else []):
        if isinstance(source, dict):
            _check_source(reading, source, ("sources", i))
    _check_steps(reading, recipe, ())


def _check_source(reading: Reading, source: dict[str, Any], loc: Loc) -> None:
    read = source.get("read")
    if isinstance(read, str | dict):
        with reading.collect((*loc, "read")):
            _read_as(reading, read, (*loc, "read"), set(TAKEN))
    _check_steps(reading, source, loc)


def _check_steps(reading: Reading, around: dict[str, Any], loc: Loc) -> None:
    steps = around.get("steps")
    read_steps(reading, steps if isinstance(steps, list) else [], (*loc, "steps"), set(TAKEN))


def _resolve(reading: Reading, written: _WrittenRecipe) -> Recipe:
    numbered = enumerate(written.sources)
    found = [source for i, each in numbered for source in _source(reading, each, ("sources", i))]
    _refuse_equal_names(reading, written)
    taken = {*TAKEN, *(step.name for source in found for step in source.steps)}
    steps = read_steps(reading, written.steps, ("steps",), taken)
    reading.mistakes.extend(misplaced([step for source in found for step in source.steps], steps))
    reading.mistakes.extend(unknown_sources(steps, [source.name for source in written.sources]))
    if not reading.mistakes:  # of which these could be the consequences
        reading.mistakes.extend(unmade_scores(steps, found))
        for source in found:
            reading.mistakes.extend(check_flow(source.reader, [*source.steps, *steps]))
    if written.tokens is not None:
        _check_tokens(reading, written.tokens, [*(s for source in found for s in source.steps), *steps])
    tokens = None if written.tokens is None else at_home(written.tokens, reading.folder)
    return Recipe(written.name, reading.folder, tuple(found), steps, tokens)


def _refuse_equal_names(reading: Reading, written: _WrittenRecipe) -> None:
    seen: dict[str, int] = {}
    for i, source in enumerate(written.sources):
        if seen.setdefault(source.name, i) != i:
            where = reading.positions.where(("sources", i, "name"))
            first = reading.positions.where(("sources", seen[source.name], "name"))
            reading.mistakes.append(
                f'{where}: expected a new name, got "{source.name}" again (first at {first})'
            )
    for i, name in enumerate(source.name for source in written.sources):
        whole, _, number = name.rpartition(".")
        if whole in seen and number.isdecimal():
            where = reading.positions.where(("sources", i, "name"))
            reading.mistakes.append(
                f'{where}: expected another name, got "{name}", which is that of a stretch of "{whole}" between saves'
            )


def _source(reading: Reading, written: _WrittenSource, loc: Loc) -> list[Source]:
    files = _files(reading, written, loc)
    items, found, taken = written.steps, [], set(TAKEN)
    before: tuple[Step, ...] = ()
    with reading.collect((*loc, "read")):
        before, (kind, reader, own) = _read_as(reading, written.read, (*loc, "read"), taken)
        items = default_steps(reader) if items is None else items
        found.append((kind, reader, own))
    steps = (*before, *read_steps(reading, items or [], (*loc, "steps"), taken))
    return [
        Source(written.name, kind, reader, files, written.licence, written.take, steps, *own)
        for kind, reader, own in found
    ]


def _read_as(
    reading: Reading, written: str | dict[str, Any], loc: Loc, taken: set[str]
) -> tuple[tuple[Step, ...], _Reader]:
    """How a source is read, behind the step that `read: {gutenberg: {catalogue: FILE}}` stands for."""
    params = written.get("gutenberg") if isinstance(written, dict) else None
    if not isinstance(params, dict) or _CATALOGUE not in params:
        return (), _reader(reading, written, loc)
    item = {"book_catalogue": {"file": params[_CATALOGUE]}}
    before = read_steps(reading, [item], (*loc, "gutenberg", _CATALOGUE), taken)
    read = {"gutenberg": {key: value for key, value in params.items() if key != _CATALOGUE}}
    return before, _reader(reading, read, loc)


def _reader(reading: Reading, written: str | dict[str, Any], loc: Loc) -> _Reader:
    if isinstance(written, str):
        return written, reader_class(written)(), ()
    if "use" in written:
        own = own_code(reading, str(written["use"]))
        params = {key: value for key, value in written.items() if key != "use"}
        model = user_reader(own[0], reading.folder)
        reader = validate(model, params, reading.positions, base=loc)
        return model.name, at_home(reader, reading.folder), own
    if len(written) != 1:
        raise RecipeError(f"expected one reader, such as {{warc: {{}}}}, got {len(written)}")
    kind, params = next(iter(written.items()))
    model, beside = reader_class(kind), (_CATALOGUE,) if kind == "gutenberg" else ()
    reader = validate(
        model, {} if params is None else params, reading.positions, base=(*loc, kind), beside=beside
    )
    return kind, at_home(reader, reading.folder), ()


def _files(reading: Reading, written: _WrittenSource, loc: Loc) -> tuple[InputFile, ...]:
    files: list[InputFile] = []
    with reading.collect((*loc, "root")):
        _refuse_unreadable_root(written.root, reading.folder)
        files = _found_files(reading, written, loc)
    with reading.collect((*loc, "take", "files")):
        files = _taken(files, written.take)
    return tuple(sorted(files, key=lambda file: file.path))


def _refuse_unreadable_root(root: str | None, folder: Path) -> None:
    if root is not None and is_remote(root):
        readable_address(root)
        return
    if root is None or (folder / root).is_dir():
        return
    near = did_you_mean_path(root, folder, fits=Path.is_dir)
    raise RecipeError(f"expected a folder for `root`, {found_at(root, folder)}{near}")


def _found_files(reading: Reading, written: _WrittenSource, loc: Loc) -> list[InputFile]:
    files: list[InputFile] = []
    for i, pattern in enumerate(written.paths):
        with reading.collect((*loc, "paths", i)):
            files += _nameable(_found(pattern, written.root, reading.folder))
    with reading.collect((*loc, "paths")):
        _refuse_repeated(files)
    return files


def _nameable(files: list[InputFile]) -> list[InputFile]:
    """Returns the files.

    Raises: RecipeError where the names of some, or of folders around them, are no Unicode.
    """
    odd = [escaped(file.where) for file in files if not is_utf8(file.where)]
    if odd:
        some = ", ".join(odd[:3]) + (f" and {len(odd) - 3} more" if len(odd) > 3 else "")
        remedy = "rename them"
        if sys.getfilesystemencoding() != "utf-8":
            remedy += f", or leave the locale, which reads names as {sys.getfilesystemencoding()}"
        raise RecipeError(
            f"expected files whose names are UTF-8, got {some}: no manifest could name their documents; {remedy}"
        )
    return files


def _found(entry: str | Dataset, root: str | None, folder: Path) -> list[InputFile]:
    if isinstance(entry, str):
        return find_files(entry, root=root, folder=folder)
    return find_dataset(entry.dataset, config=entry.config, split=entry.split, root=root, folder=folder)


def _refuse_repeated(files: Sequence[InputFile]) -> None:
    for first, second in repeated_files(files):
        if first.where == second.where:
            raise RecipeError(f"expected every file once, got {first.path} by two of the paths")
        raise RecipeError(
            f"expected every file below one root, got {first.path} in {first.root} and in {second.root}: their "
            "documents would have equal ids; add  root:  with a folder that holds both"
        )


def _taken(files: list[InputFile], take: Take | None) -> list[InputFile]:
    if take is None or not files:
        return files
    if take.files > len(files):
        raise RecipeError(
            f"expected at most {len(files)}, which is how many files there are, got {take.files}"
        )
    return choose(files, n_files=take.files, seed=take.seed)


def _may_be_tokenizer(path: Path) -> bool:
    return path.is_file() and path.suffix == ".json"


def _check_tokens(reading: Reading, tokens: Tokens, steps: Sequence[Step]) -> None:
    with reading.collect(("tokens", "use")):
        if tokens.use is not None and not (reading.folder / tokens.use).is_file():
            near = did_you_mean_path(tokens.use, reading.folder, fits=_may_be_tokenizer)
            raise RecipeError(f"expected a tokenizer.json, {found_at(tokens.use, reading.folder)}{near}")
        tokens.check(reading.folder)
    made = {*DOCUMENT.names, *(name for step in steps if step.stage for name in step.stage.writes)} - {"text"}
    for i, column in enumerate(tokens.partition):
        with reading.collect(("tokens", "partition", i)):
            if column not in made:
                known = ", ".join(sorted(made))
                raise RecipeError(f'expected a column ({known}), got "{column}"{did_you_mean(column, made)}')


def resolved(recipe: Recipe) -> dict[str, Any]:
    """Returns the recipe as a manifest holds it: every default written out, no floats, no place on this machine.

    Roots and paths are left out, because the files themselves are listed beside it.
    """
    return {
        "name": recipe.name,
        "sources": [_source_spec(source) for source in recipe.sources],
        "steps": [step_spec(step) for step in recipe.steps],
        "tokens": None if recipe.tokens is None else recipe.tokens.params(),
    }


def _source_spec(source: Source) -> dict[str, Any]:
    return {
        "name": source.name,
        "licence": source.licence,
        "read": {key: value for key, value in step_spec(source.read()).items() if key != "step"},
        "take": None if source.take is None else source.take.model_dump(),
        "steps": [step_spec(step) for step in source.steps],
    }
