"""What others see: exported names, the cost of asking for help, and help texts that show how."""

import ast
import importlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("manifests", "pipelines", "trainer", "corpus_tools")
CLI = ROOT / "corpus_tools" / "cli.py"
HELP_LIMIT_S = 0.2
ASK = "from corpus_tools.cli import main; main()"
HEAVY = {"numpy", "pydantic", "pyarrow", "numba", "torch", "yaml", "duckdb", "datasketch", "datatrove"}

needs_cli = pytest.mark.skipif(not CLI.exists(), reason="no command line yet")


def modules() -> list[str]:
    """Returns the dotted names of all our modules."""
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    names = [path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for path in paths]
    return [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]


def body_of(name: str) -> list[ast.stmt]:
    path = ROOT / name.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8")).body


def exported(body: list[ast.stmt]) -> list[str] | None:
    """Returns the names in a module's `__all__`, or None where it has none."""
    for node in body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == "__all__":
            return list(ast.literal_eval(node.value))
    return None


def reading_order(name: str) -> tuple[int, list[str | int]]:
    """Returns the sorting key of an exported name: constants, classes, functions; numbers by value."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, [int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", name)]


OURS = {name: exported(body_of(name)) for name in modules()}


@pytest.mark.parametrize("name", modules())
def test_a_module_lists_what_it_exports_in_order(name):
    names = OURS[name] or []
    assert names == sorted(set(names), key=reading_order)
    assert [public for public in names if not hasattr(importlib.import_module(name), public)] == []


@pytest.mark.parametrize("name", modules())
def test_a_module_uses_only_what_another_exports(name):
    unlisted = [
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.Module(body_of(name), []))
        if isinstance(node, ast.ImportFrom) and node.module in OURS
        for alias in node.names
        if alias.name not in (OURS[node.module] or []) and f"{node.module}.{alias.name}" not in OURS
    ]
    assert unlisted == []


@pytest.mark.parametrize("name", [name for name in PACKAGES if name in OURS])
def test_a_package_says_what_it_exports(name):
    assert OURS[name] is not None


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *args], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )


def seconds_of(*command: str) -> float:
    """Returns the wall seconds from a command's start to its end."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    before = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=True, timeout=60)
    return time.perf_counter() - before


@needs_cli
def test_asking_for_help_takes_at_most_200_ms_more_than_python_alone():
    installed = Path(sys.executable).with_name("quern")
    ask = [str(installed)] if installed.exists() else [sys.executable, "-c", ASK]
    # In turn, and the best of many: a busy machine slows some of them, and never makes one faster.
    spans = [(seconds_of(*ask, "--help"), seconds_of(sys.executable, "-c", "pass")) for _ in range(15)]
    helped, alone = (min(column) for column in zip(*spans, strict=True))
    assert helped - alone <= HELP_LIMIT_S


@needs_cli
def test_asking_for_help_imports_nothing_heavy():
    report = run("-X", "importtime", "-c", ASK, "--help").stderr
    loaded = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in report.splitlines() if "|" in line
    }
    assert "click" in loaded
    assert loaded & HEAVY == set()


def commands() -> list[list[str]]:
    """Returns the path of every command, from the command line's own tree."""
    if not CLI.exists():
        return []
    import click

    from corpus_tools.cli import main

    def below(command: click.Command, path: list[str]) -> list[list[str]]:
        children = command.commands if isinstance(command, click.Group) else {}
        return [path, *(found for name in sorted(children) for found in below(children[name], [*path, name]))]

    return below(main, [])


@needs_cli
@pytest.mark.parametrize("path", commands(), ids=lambda path: " ".join(["quern", *path]))
def test_every_help_ends_with_an_example(path):
    from click.testing import CliRunner

    from corpus_tools.cli import main

    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    assert " ".join(["quern", *path]) in result.output.rstrip().splitlines()[-1]
