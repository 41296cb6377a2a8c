"""The steps of a recipe: from names and parameters to stages, from stages to what a manifest holds, and back.

    [extract, language: {keep: [en]}, {use: ./rules.py:TooMany, max_frac: 0.3}, save, extract]
        -> Step("extract"), Step("language"), Step("TooMany"), Step("save", None), Step("extract_2")

A manifest holds a step's `params`, free of places on this machine; a worker is sent its `arguments`, which say where
to look, and makes the stage again from them (`stage_of`). Both are of one object, so what is recorded is what was run.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from manifests.digest import digest_file
from manifests.errors import QuernError, RecipeError, system_error_text
from manifests.mistakes import did_you_mean, shown
from manifests.nearby import did_you_mean_path, found_at
from manifests.yamlfile import Loc, Positions, YamlError, parse_yaml, validate
from pipelines.expand import expanded
from pipelines.registry import (
    READERS,
    RULE_SETS,
    SAVE,
    reader_class,
    stage_class,
    user_class,
    user_file,
    user_reader,
)
from pipelines.rulesets import rule_set, steps_of_set
from pipelines.stage import Read, Stage, short_names

__all__ = [
    "TAKEN",
    "Reading",
    "Step",
    "at_home",
    "default_steps",
    "own_code",
    "read_steps",
    "recorded",
    "spell_out",
    "stage_of",
    "step_spec",
]

# What the engine calls steps of its own: a user's step of that name would share their account.
TAKEN = frozenset({"read", "tokens"})
RECIPE_KEYS = ("name", "sources", "steps", "tokens")
S = TypeVar("S", bound=Stage)


# What no recipe can help.
_OF_THE_MACHINE = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE)


@dataclass(frozen=True, slots=True)
class Step:
    """One use of a stage; `stage` is None for `save`. where: its place in the recipe, for errors.

    use, digest: of a user's own stage, `FILE.py:Name` and the digest of the file. positions, params: of the recipe and
    of the step's parameters in it, None of a step that is read from a manifest.
    """

    name: str
    stage: Stage | None
    where: str
    use: str | None = None
    digest: str | None = None
    positions: Positions | None = field(default=None, repr=False, compare=False)
    params: Loc = field(default=(), repr=False, compare=False)

    def where_of(self, *keys: str | int) -> str:
        """Returns the place of a parameter, or of what is in it; the step's own where nobody wrote it."""
        if self.positions is None:
            return self.where
        found = self.positions.known((*self.params, *keys))
        return self.positions.where(found) if len(found) > len(self.params) else self.where


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading one recipe needs at hand, and the mistakes found so far.

    out: the store that is built, which no wildcard over corpora finds.
    """

    positions: Positions
    folder: Path
    allow_code: bool
    out: Path | None = None
    mistakes: list[str] = field(default_factory=list)

    @contextmanager
    def collect(self, loc: Loc) -> Iterator[None]:
        """Goes on after a mistake, so that one run shows them all."""
        try:
            yield
        except YamlError as error:
            self.mistakes.extend(error.mistakes)
        except QuernError as error:
            self.mistakes.append(f"{self.positions.where(loc)}: {error}")
        except OSError as error:  # a name too long, a folder that may not be entered
            if error.errno in _OF_THE_MACHINE:
                raise
            text = f"expected a path that this machine can look up, got {system_error_text(error)}"
            self.mistakes.append(f"{self.positions.where(loc)}: {text}")

    def ordered(self) -> list[str]:
        """Returns the mistakes, each once, in the order of the file; those of `--set` first."""
        return sorted(dict.fromkeys(self.mistakes), key=_line_and_column)


def _line_and_column(mistake: str) -> tuple[int, int]:
    place = re.search(r":([0-9]+):([0-9]+): ", mistake)
    return (int(place[1]), int(place[2])) if place and not mistake.startswith("--set") else (0, 0)


def read_steps(reading: Reading, items: Sequence[Any], loc: Loc, taken: set[str]) -> tuple[Step, ...]:
    """Returns the steps that `items`, which stand at `loc`, mean; names avoid those `taken`, which grows."""
    steps = []
    for i, item in enumerate(items):
        at, of_set = (*loc, i), rule_set(item)
        for each in [item] if of_set is None else steps_of_set(reading, item, at):
            with reading.collect(at):
                steps.append(_step(reading, each, at, taken, of_set))
    return tuple(steps)


def default_steps(reader: Read | type[Read]) -> list[Any]:
    """Returns the steps a reader brings for a source that names none; each is declared as a line of YAML."""
    return [parse_yaml(line, file=f"default steps of {reader.name}")[0] for line in reader.default_steps]


def _step(reading: Reading, item: Any, loc: Loc, taken: set[str], of_set: str | None) -> Step:
    """of_set: the name that the step's parameters stand under, where it is one of a set of rules."""
    name, params, params_loc = _parts(item, loc)
    params_loc = params_loc if of_set is None else (*loc, of_set)
    where = reading.positions.where(loc)
    if name == SAVE:
        _refuse_params(params)
        return Step(_unique(SAVE, taken), None, where)
    if isinstance(item, dict) and "use" in item:
        return _user_step(reading, item["use"], params, loc, taken)
    if name in READERS:
        raise RecipeError(f'expected a step, got the reader "{name}"; readers stand under `read`')
    model = stage_class(name)
    of_files = "against" in model.model_fields and isinstance(params, dict)
    if of_files and isinstance(params.get("against"), list):
        of_corpora = "against" in model.corpus_fields
        loc = (*params_loc, "against")
        params = {**params, "against": expanded(reading, params["against"], loc, of_corpora=of_corpora)}
    stage = _stage(reading, model, params, params_loc, needs_paths=True)
    return Step(_unique(name, taken), stage, where, positions=reading.positions, params=params_loc)


def _parts(item: Any, loc: Loc) -> tuple[str, Any, Loc]:
    """Returns a step's name, its parameters, and where those stand."""
    if isinstance(item, str):
        return item, {}, loc
    if isinstance(item, dict) and "use" in item:
        return str(item["use"]).rpartition(":")[2], {k: v for k, v in item.items() if k != "use"}, loc
    if isinstance(item, dict) and len(item) == 1:
        name, params = next(iter(item.items()))
        return name, {} if params is None else params, (*loc, name)
    raise RecipeError(
        f"expected a step: name, name: {{parameters}} or {{use: ./FILE.py:Name, ...}}, got {shown(item)}"
    )


def _refuse_params(params: Any) -> None:
    if params:
        raise RecipeError(f"expected `save` alone, got parameters {shown(params)}")


def _unique(name: str, taken: set[str]) -> str:
    k, unique = 1, name
    while unique in taken:
        k, unique = k + 1, f"{name}_{k + 1}"
    taken.add(unique)
    return unique


def _stage(reading: Reading, model: type[S], params: Any, loc: Loc, *, needs_paths: bool) -> S:
    """needs_paths: whether its `path_fields` are places here; a user's may be addresses, or names it knows."""
    stage = at_home(validate(model, params, reading.positions, base=loc), reading.folder)
    if needs_paths:
        _refuse_missing(reading, stage, loc)  # now, and not hours later
    named = [name for name in stage.path_fields if getattr(stage, name)]
    try:
        stage.side_inputs(reading.folder)  # which may be there, and of no use
        stage.check(reading.folder)
    except QuernError as error:
        if len(named) != 1:
            raise
        raise YamlError(f"{reading.positions.where((*loc, *named))}: {error}") from error
    return stage


def _refuse_missing(reading: Reading, stage: Stage, loc: Loc) -> None:
    """Raises: YamlError with every file or folder of a stage that is none, at its place; but for corpora."""
    mistakes = []
    for name in (name for name in stage.path_fields if name not in stage.corpus_fields):
        value = getattr(stage, name)
        fits = Path.is_dir if name in stage.folder_fields else Path.is_file
        for i, path in enumerate(value if isinstance(value, tuple) else (value,)):
            if path is not None and not (path and fits(reading.folder / path)):
                place = reading.positions.where((*loc, name, i))
                mistakes.append(f"{place}: {_missing_text(reading.folder, stage, name, str(path))}")
    if mistakes:
        raise YamlError(*mistakes)


def _missing_text(folder: Path, stage: Stage, name: str, path: str) -> str:
    is_folder = name in stage.folder_fields
    near = did_you_mean_path(path, folder, fits=Path.is_dir if is_folder else Path.is_file)
    kind = "folder" if is_folder else "file"
    return f"expected a {kind} for `{stage.name}.{name}`, {found_at(path, folder)}{near}"


def at_home(stage: S, folder: Path) -> S:
    """Returns the stage knowing the recipe's folder, if it has a `root` to know it by (part of no key).

    Side inputs inside that folder are named from it, so that an absolute path there is the relative one.
    """
    known: dict[str, Any] = {"root": folder} if "root" in type(stage).model_fields else {}
    for name in stage.path_fields:
        value = getattr(stage, name)
        known[name] = (
            tuple(_from(folder, path) for path in value) if isinstance(value, tuple) else _from(folder, value)
        )
    return stage.model_copy(update=known)


def _from(folder: Path, path: str | None) -> str | None:
    inside = path is not None and Path(path).is_absolute() and Path(path).is_relative_to(folder.absolute())
    return Path(str(path)).relative_to(folder.absolute()).as_posix() if inside else path


def _user_step(reading: Reading, use: Any, params: Mapping[str, Any], loc: Loc, taken: set[str]) -> Step:
    use, digest = own_code(reading, str(use))
    model = user_class(use, reading.folder)
    stage = _stage(reading, model, dict(params), loc, needs_paths=False)
    where = reading.positions.where(loc)
    return Step(_unique(model.name, taken), stage, where, use, digest, reading.positions, loc)


def own_code(reading: Reading, use: str) -> tuple[str, str]:
    """Returns `FILE.py:Name` from the recipe's folder, and the digest of the file, which may be run.

    Raises: RecipeError without leave to run it, or if there is no such file.
    """
    path = user_file(use, reading.folder)
    file, _, name = use.rpartition(":")
    use = f"{_from(reading.folder, file)}:{name}"
    if not reading.allow_code:
        raise RecipeError(
            f"expected leave to run {use}, which is code, got none; read it, then add  --allow-code"
        )
    return use, digest_file(path)


# --- what a manifest holds -------------------------------------------------------------------------


def step_spec(step: Step) -> dict[str, Any]:
    """Returns a step as a manifest holds it: name, stage, version, parameters; of a user's own, file and digest."""
    if step.stage is None:
        return {"step": step.name, "stage": SAVE, "version": 1, "params": {}}
    own = {} if step.use is None else {"use": short_names([step.use])[0], "digest": step.digest}
    return {
        "step": step.name,
        "stage": step.stage.name,
        "version": step.stage.version,
        "params": step.stage.params(),
        **own,
    }


def stage_of(spec: Mapping[str, Any], folder: Path) -> Stage | None:
    """Returns the stage that a step of the plan, or the `read` of a source, described; None for `save`.

    folder: the recipe's. A user's own file is run only if it still has the recorded digest.

    Raises: RecipeError if that file has changed, or the stage's version is another than the recorded one.
    """
    if spec["stage"] == SAVE:
        return None
    model = _model_of(spec, folder)
    if model.version != spec["version"]:
        raise RecipeError(
            f"expected version {spec['version']} of {spec['stage']}, found {model.version}: its output would differ "
            "from what was recorded. Build again with this version, or install the recorded one."
        )
    return at_home(recorded(model, spec["params"], spec["stage"]), folder)


def recorded(model: type[S], params: Mapping[str, Any], name: str) -> S:
    """Returns a stage with the parameters that a manifest holds.

    Raises: RecipeError for one that this version refuses and the version that recorded it did not.
    """
    try:
        return model.model_validate(params)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join([name, *map(str, first["loc"])])
        raise RecipeError(
            f"{key}: expected a parameter of this version, found one recorded that it refuses ({first['msg']}). What "
            "it decided cannot be decided again. Build again with another."
        ) from error


def _model_of(spec: Mapping[str, Any], folder: Path) -> type[Stage]:
    if "use" not in spec:
        name: str = spec["stage"]
        return reader_class(name) if name in READERS else stage_class(name)
    found = digest_file(user_file(spec["use"], folder))
    if found != spec["digest"]:
        raise RecipeError(
            f"{spec['use']}: expected digest {spec['digest']}, found {found}: it was edited meanwhile"
        )
    # The read of a source as manifests hold it has no step's name, a worker's is called `read`: no user's step is.
    of_reader = spec.get("step", "read") == "read"
    return (user_reader if of_reader else user_class)(spec["use"], folder)


# --- --set -----------------------------------------------------------------------------------------


def spell_out(value: Any, override: str) -> list[str]:
    """Returns `--set STEP.key=value` as one override for every place where a step of that name stands.

    Overrides that begin with a key of recipes, or have another form, are returned as they are. A source without steps
    gets its reader's own written into `value` when one of them is meant.

    Raises: YamlError where no step has that name.
    """
    path, equals, written = override.partition("=")
    head, _, rest = path.partition(".")
    if not equals or head in RECIPE_KEYS or not isinstance(value, dict) or not rest:
        return [override]
    places = [*_places(value)]
    if found := [f"{prefix}.{rest}={written}" for name, prefix in places if name == head]:
        return found
    known = [*dict.fromkeys(name for name, _ in places), *RECIPE_KEYS]
    whole = [name for name in known if head in RULE_SETS.get(name, ())]  # of whose steps `head` is one
    near = f'; did you mean "{whole[0]}"?' if whole else did_you_mean(head, known)
    raise YamlError(
        f'--set {override}: expected a step of this recipe or a key of it ({", ".join(known)}), got "{head}"{near}'
    )


def _places(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the name of every step and the path that `--set` enters it by."""
    used, sources = set(TAKEN), value.get("sources")
    for i, source in enumerate(sources if isinstance(sources, list) else []):
        taken = set(TAKEN)
        yield from _named(_steps_of(source), f"sources.{i}.steps", taken)
        used |= taken
    yield from _named(value.get("steps"), "steps", used)


def _named(items: Any, prefix: str, taken: set[str]) -> Iterator[tuple[str, str]]:
    for i, item in enumerate(items if isinstance(items, list) else []):
        key = item if isinstance(item, str) else next(iter(item), "") if isinstance(item, dict) else ""
        label = str(item["use"]).rpartition(":")[2] if key == "use" else key
        yield _unique(label, taken), f"{prefix}.{i}" if key == "use" else f"{prefix}.{i}.{key}"


def _steps_of(source: Any) -> Any:
    if isinstance(source, dict) and source.get("steps") is None:
        read = source.get("read")
        kind = next(iter(read), "") if isinstance(read, dict) else read
        if isinstance(kind, str) and kind in READERS:
            source["steps"] = default_steps(reader_class(kind))
    return source.get("steps") if isinstance(source, dict) else None
