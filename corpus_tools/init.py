"""`quern init`: recipe.yaml, mix.yaml and train.yaml, commented, fitted to the data by looking at it.

    NAME            a shipped recipe, as it is shipped: printed, or written with --out DIR
    FILES...        sources by what the files are, sizes by how much there is
    NAME FILES...   the shipped recipe's steps over these files: printed, or written with --out DIR

Sizes follow from the bytes of text, roughly reckoned: a vocabulary that such a corpus can fill, a model of a
twentieth of the tokens trained on (Hoffmann et al. 2022), at most four times over the same text. Every choice
carries its reason as a comment. Files that are left out are told with the reason, the first 20 on the screen; where
there are more, all of them in left_out.txt. Nothing is replaced without --force.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from corpus_tools.screen import size, table
from corpus_tools.sniff import Found, sniff, walk_files
from corpus_tools.yamltext import flow, quoted, said
from manifests.errors import UsageError
from manifests.yamlfile import parse_yaml
from pipelines.places import escaped, is_utf8

__all__ = ["Written", "fitted", "shipped", "shipped_text", "write_files"]

_RECIPES = files("pipelines") / "recipes"
_NAMES = {
    "warc": "web",
    "wet": "web_text",
    "gutenberg": "books",
    "code": "code",
    "jsonl": "rows",
    "parquet": "table",
}
# Steps by reader where there are no others: English rules for text, none for code; `save` behind what is dear.
_STEPS = {
    "warc": ["extract", "language: {keep: [en]}", "save", "gopher_repetition", "gopher_quality"],
    "wet": ["language: {keep: [en]}", "gopher_repetition", "gopher_quality"],
    "jsonl": ["language: {keep: [en]}", "gopher_repetition", "gopher_quality"],
    "parquet": ["language: {keep: [en]}", "gopher_repetition", "gopher_quality"],
    "gutenberg": [],
    "code": [],
}
_VOCABS = ((1 << 20, 2048), (1 << 23, 4096), (1 << 25, 8192), (1 << 28, 16384), (1 << 31, 32768))
# Name, parameters in the layers: the largest that a twentieth of the trained tokens allows.
_MODELS = (
    ("llama-1m", 0),
    ("llama-2m", 2_000_000),
    ("llama-4m", 4_000_000),
    ("llama-10m", 10_000_000),
    ("llama-25m", 25_000_000),
    ("llama-50m", 50_000_000),
    ("llama-124m", 124_000_000),
    ("llama-350m", 350_000_000),
    ("llama-1b", 1_000_000_000),
)
BYTES_PER_TOKEN = 4
EPOCHS = 2
N_LISTED = 20
# Hidden, so that no wildcard over the data it lies beside takes it for data.
_LEFT_OUT = ".left_out.txt"
_OWN = ("recipe.yaml", "mix.yaml", "train.yaml")


@dataclass(frozen=True)
class Written:
    """What `quern init` made: files by name (folder None: to be printed), what it found, where the corpus will be."""

    folder: Path | None
    files: dict[str, str]
    remarks: tuple[str, ...] = ()
    corpus: str = ""

    def as_json(self) -> dict[str, Any]:
        """Names, contents and remarks."""
        folder = None if self.folder is None else str(self.folder)
        return {"folder": folder, "files": self.files, "remarks": list(self.remarks)}

    def text(self) -> str:
        """The recipe to print, or what was written and what to do next."""
        if self.folder is None:
            return next(iter(self.files.values()))
        paths = "\n".join(str(self.folder / name) for name in self.files)
        recipe = shlex.quote(str(self.folder / "recipe.yaml"))
        # The mix names the corpus from its own folder, and a build stands where it was started.
        out = f" --out {shlex.quote(str(self.folder / self.corpus))}" if self.folder != Path() else ""
        return "\n".join([*self.remarks, paths, f"\nquern plan {recipe}{out}", f"quern build {recipe}{out}"])


def shipped() -> list[dict[str, str]]:
    """The shipped recipes: name and first line."""
    found = sorted((f for f in _RECIPES.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    return [
        {"name": f.name.removesuffix(".yaml"), "is": _first_line(f.read_text(encoding="utf-8"))}
        for f in found
    ]


def _first_line(text: str) -> str:
    return text.partition("\n")[0].lstrip("# ")


def shipped_text() -> str:
    """The shipped recipes as a table."""
    return table(shipped())


def write_files(words: Sequence[str], out: Path | None, *, force: bool = False) -> Written:
    """Make the files for a recipe's name, for data, or for both, and write them into `out`.

    Without `out` a recipe asked for by name is only to be printed; what is made from data alone is written here.

    Raises: UsageError for what is not there, is not readable, or would be replaced.
    """
    names = {row["name"] for row in shipped()}
    name = words[0] if words[0] in names and not Path(words[0]).exists() else None
    if name is not None and len(words) == 1:
        text = (_RECIPES / f"{name}.yaml").read_text(encoding="utf-8")
        made = Written(out, {"recipe.yaml": text}, corpus=f"corpora/{name}")
    else:
        paths = walk_files(words[1:]) if name else walk_files(words, names)
        folder = out or Path()
        # What an earlier call wrote here is no data.
        own = {(folder / each).resolve() for each in _OWN}
        made = fitted([path for path in paths if path.resolve() not in own], folder, like=name)
    if name is not None and out is None:
        return replace(made, folder=None)
    assert made.folder is not None
    _write(made.folder, made.files, force=force)
    return made


def _write(folder: Path, texts: dict[str, str], *, force: bool) -> None:
    there = [name for name in texts if (folder / name).exists()]
    if there and not force:
        raise UsageError(
            f"{folder}: expected no {' and no '.join(there)}, found them. They may hold changes of yours, and nothing "
            "was written. Give --out another folder, or --force to replace them."
        )
    folder.mkdir(parents=True, exist_ok=True)
    # All encoded and written before any takes the place of another.
    for name, data in {name: text.encode() for name, text in texts.items()}.items():
        (folder / f".{name}.new").write_bytes(data)
    for name in texts:
        (folder / f".{name}.new").replace(folder / name)
    if _LEFT_OUT not in texts:
        (folder / _LEFT_OUT).unlink(missing_ok=True)


# --- fitted to files -------------------------------------------------------------------------------


def fitted(paths: Sequence[Path], folder: Path, *, like: str | None = None) -> Written:
    """The three files for some data, to stand in `folder`.

    Raises: UsageError where no file can be read.
    """
    found = [_nameable(sniff(path), folder) for path in paths]
    groups = _grouped(found)
    if not groups:
        why = "; ".join(f"{_named(f.path)}: {f.why}" for f in found[:3]) or "no files"
        raise UsageError(
            f"expected WARC, JSON lines, Parquet, text or code, found none ({why}). Nothing was written. "
            "Name other files, or convert these to JSON lines with a column `text`."
        )
    name = _corpus_name(paths)
    texts = {"recipe.yaml": _recipe(name, groups, folder, like)}
    if not like or "tokens:" in texts["recipe.yaml"]:
        texts |= {"mix.yaml": _mix(name, groups), "train.yaml": _train(name, groups)}
    left_out = [f for f in found if f.reader is None]
    if len(left_out) > N_LISTED:
        texts[_LEFT_OUT] = "".join(f"{_named(f.path)}: {f.why}\n" for f in left_out)
    return Written(folder, texts, tuple(_remarks(groups, left_out)), f"corpora/{name}")


def _nameable(found: Found, folder: Path) -> Found:
    """What was found, without a reader where a recipe in `folder` could not name the file."""
    if is_utf8(os.path.relpath(found.path.resolve(), folder.resolve())):
        return found
    return replace(
        found, reader=None, params={}, why="its name is no UTF-8, so no recipe can name it: rename it"
    )


def _grouped(found: Iterable[Found]) -> dict[str, list[Found]]:
    """Source name -> its files; files of one reader and the same columns are one source."""
    groups: dict[str, list[Found]] = {}
    keys: dict[str, str] = {}
    for item in (f for f in found if f.reader is not None):
        key = f"{item.reader} {sorted(item.params.items())}"
        if key not in keys:
            base = _NAMES[str(item.reader)]
            taken = sum(n.partition("_")[0] == base for n in groups)
            keys[key] = base if base not in groups else f"{base}_{taken + 1}"
        groups.setdefault(keys[key], []).append(item)
    return groups


def _corpus_name(paths: Sequence[Path]) -> str:
    common = paths[0] if len(paths) == 1 else Path(os.path.commonpath([p.resolve().parent for p in paths]))
    word = re.sub(r"[^a-z0-9]+", "-", common.name.partition(".")[0].lower()).strip("-")
    return word or "corpus"


def _remarks(groups: dict[str, list[Found]], left_out: Sequence[Found]) -> Iterable[str]:
    for name, items in groups.items():
        stored, text = size(sum(f.n_bytes for f in items)), size(sum(f.text_bytes for f in items))
        yield f"{name}: {_files(len(items))}, {items[0].why}, {stored}, about {text} of text"
    for item in left_out[:N_LISTED]:
        yield f"left out {_named(item.path)}: {item.why}"
    if n_more := max(0, len(left_out) - N_LISTED):
        yield f"left out {_files(n_more)} more: {_LEFT_OUT} names all {len(left_out):,}"


def _named(path: Path) -> str:
    return escaped(str(path)).replace("\n", "\\n")


def _files(n: int) -> str:
    return "1 file" if n == 1 else f"{n:,} files"


def _text_bytes(groups: dict[str, list[Found]]) -> int:
    return sum(f.text_bytes for items in groups.values() for f in items)


# --- the recipe ------------------------------------------------------------------------------------


def _recipe(name: str, groups: dict[str, list[Found]], folder: Path, like: str | None) -> str:
    model = _shipped_value(like)
    sources = "".join(_source(n, items, folder, model) for n, items in groups.items())
    gathers = model.get("steps", []) if model else None
    head = (
        f"# Made by `quern init` from {_files(sum(map(len, groups.values())))}. Every line may be changed.\n"
    )
    head += "#   quern plan recipe.yaml --probe 60s;  quern build recipe.yaml\n"
    tokens = _tokens(groups) if not model or "tokens" in model else ""
    return f"{head}name: {flow(name)}\nsources:\n{sources}{_gathers(gathers)}{tokens}"


def _shipped_value(name: str | None) -> dict[str, Any]:
    if name is None:
        return {}
    text = (_RECIPES / f"{name}.yaml").read_text(encoding="utf-8")
    value, _ = parse_yaml(text, file=f"{name}.yaml")
    return dict(value)


def _source(name: str, items: Sequence[Found], folder: Path, model: dict[str, Any]) -> str:
    reader = str(items[0].reader)
    steps = [flow(step) for step in _like_steps(reader, model)] if model else _STEPS[reader]
    lines = [
        f"  - name: {name}",
        said(f"    read: {{{reader}: {flow(items[0].params)}}}", items[0].why),
        *_paths(items, folder),
        said("    licence: unknown", "SPDX or a word; every report repeats it"),
        "    steps:" + ("" if steps else " []"),
        *(said(f"      - {step}", _REASONS.get(step, "")) for step in steps),
    ]
    return "".join(line.rstrip() + "\n" for line in lines)


_REASONS = {
    "extract": "HTML -> the page's own text",
    "language: {keep: [en]}": "the rules below count English words",
    "save": "a threshold moved below does not extract again",
    "gopher_repetition": "lines and phrases that repeat",
    "gopher_quality": "length, words, symbols, stop words",
}


def _like_steps(reader: str, model: dict[str, Any]) -> list[Any]:
    # The steps of the shipped recipe's source of this reader, else of its first; pages need extracting first.
    sources = model["sources"]
    same = [s for s in sources if reader in (s["read"] if isinstance(s["read"], dict) else [s["read"]])]
    steps = list((same or sources)[0].get("steps") or [])
    return ["extract", *steps] if reader == "warc" and "extract" not in steps else steps


def _paths(items: Sequence[Found], folder: Path) -> Iterable[str]:
    """One wildcard where it means exactly these files, else the files by name below their common folder."""
    paths = [f.path.resolve() for f in items]
    root = Path(os.path.commonpath([p.parent for p in paths]))
    wildcard = _wildcard(root, paths) if len(paths) > 1 else None
    if len(paths) == 1 or wildcard:
        yield f"    paths: [{_quoted(root / (wildcard or paths[0].name), folder)}]"
        return
    yield f"    root: {_quoted(root, folder)}"
    yield "    paths:"
    yield from (f"      - {_quoted(path, root)}" for path in sorted(paths))


def _wildcard(root: Path, paths: Sequence[Path]) -> str | None:
    endings = {"".join(p.suffixes[-2:]) if p.suffix == ".gz" else p.suffix for p in paths}
    for pattern in (f"{deep}*{ending}" for ending in sorted(endings) for deep in ("", "**/")):
        if _matching(root, pattern) == set(paths):
            return pattern
    return None


def _matching(root: Path, pattern: str) -> set[Path]:
    # As a recipe's `paths` are read.
    names = glob.glob(pattern, root_dir=root, recursive=True)
    return {root / name for name in names if (root / name).is_file()}


def _quoted(path: Path, folder: Path) -> str:
    name = Path(os.path.relpath(path, folder.resolve())).as_posix()
    # A path that begins so is a list of paths.
    return quoted(f"./{name}" if name.startswith("@") else name)


def _gathers(steps: list[Any] | None) -> str:
    if not steps:
        lines = (
            said("steps:", "from here on all sources together"),
            said("  - exact", "one of every set of equal texts stays"),
            said("  - minhash", "and one of every set of nearly equal ones"),
        )
        return "\n".join(lines) + "\n"
    return "steps:\n" + "".join(f"  - {flow(step)}\n" for step in steps)


def _tokens(groups: dict[str, list[Found]]) -> str:
    n_bytes = _text_bytes(groups)
    why = f"what about {size(n_bytes)} of text fill; or  use: tokenizer.json"
    lines = (
        "tokens:",
        said(f"  train: {{vocab_size: {_vocab(n_bytes)}}}", why),
        said("  holdout: 1%", "of each source's text, for evaluation"),
    )
    return "\n".join(lines) + "\n"


def _vocab(n_bytes: int) -> int:
    return next((vocab for limit, vocab in _VOCABS if n_bytes < limit), 65_536)


# --- the mix and the run ---------------------------------------------------------------------------


def _mix(name: str, groups: dict[str, list[Found]]) -> str:
    n_bytes = _text_bytes(groups)
    shares = {n: sum(f.text_bytes for f in items) / max(1, n_bytes) for n, items in groups.items()}
    weights = {n: f"{max(share, 0.0001):.4f}".rstrip("0").rstrip(".") for n, share in shares.items()}
    rows = ", ".join(f"{n}: {w}" for n, w in weights.items())
    lines = (
        "# What the model reads, how often, in which order.   quern mix check mix.yaml",
        f"name: {flow(name)}",
        f"corpora: [{flow(f'corpora/{name}')}]",
        said(f"seq_len: {_seq_len(n_bytes)}", "tokens in a row"),
        "seed: 1",
        said("phases:", "shares of tokens, as the sources' sizes are"),
        f"  - {{tokens: {_tokens_wanted(n_bytes)}, weights: {{{rows}}}}}  # about {EPOCHS} times over the text",
    )
    return "\n".join(lines) + "\n"


def _tokens_wanted(n_bytes: int) -> int:
    step = _batch(n_bytes)
    return max(1, n_bytes // BYTES_PER_TOKEN * EPOCHS // step) * step


def _seq_len(n_bytes: int) -> int:
    return 128 if n_bytes < 1 << 20 else 256 if n_bytes < 1 << 28 else 1024


def _batch(n_bytes: int) -> int:
    # Tokens in a step: at least some hundred steps, whatever the size.
    wanted = max(2048, n_bytes // BYTES_PER_TOKEN * EPOCHS // 500)
    return int(min(1 << 19, 1 << (wanted.bit_length() - 1)))


def _train(name: str, groups: dict[str, list[Found]]) -> str:
    n_bytes = _text_bytes(groups)
    tokens = _tokens_wanted(n_bytes)
    model = [m for m, n_params in _MODELS if n_params <= tokens // 20][-1]
    lines = (
        "# One file for a laptop, one GPU or eight.   quern train train.yaml   starts, and goes on",
        f"name: {flow(name)}",
        "mix: mix.yaml",
        said(f"model: {{preset: {model}}}", f"for {tokens:,} tokens: about 20 for each parameter"),
        said(f"batch: {_batch(n_bytes)}", "tokens in one step, whatever the machine"),
        "seed: 1",
    )
    return "\n".join(lines) + "\n"
