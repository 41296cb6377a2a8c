"""The walls of the house: who may import whom, and what nobody may use. Read from the source, never run.

    manifests  <-  pipelines, trainer  <-  corpus_tools

Imports inside functions count like any other.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("manifests", "pipelines", "trainer", "corpus_tools")

# What each package may import of ours, and what it must not import of others.
ALLOWED = {
    "manifests": {"manifests"},
    "pipelines": {"manifests", "pipelines"},
    "trainer": {"manifests", "trainer"},
    "corpus_tools": {"manifests", "pipelines", "trainer", "corpus_tools"},
}
FORBIDDEN = {
    "pipelines": {"torch", "safetensors"},
    "trainer": {"pyarrow", "numba", "datatrove", "fastwarc", "resiliparse", "duckdb"},
    "corpus_tools": {"torch"},
}
MANIFESTS_MAY_USE = {*sys.stdlib_module_names, "numpy", "xxhash", "pydantic", "pydantic_core"}
ONLY_IN = {
    "yaml": {"manifests/yamlfile.py"},
    "datatrove": {"pipelines/executor.py", "pipelines/read/datatrove.py"},
}
# Whatever unpickles runs code that a file brought along.
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
UNSAFE_CALLS = {"torch.load", "torch.save", "pandas.read_pickle"}
# A watched child answers its parent whatever happened; its answer is the report. A user's own file and function may
# raise anything, and so may the client of a store, which is anybody's package: all go on as one error that names the
# input. The tokenizers library raises plain Exception for a file that it cannot read.
MAY_CATCH_ALL = {
    ("pipelines/run.py", "run_task"),
    ("pipelines/child.py", "_answer"),
    ("pipelines/read/own.py", "calling"),
    ("pipelines/registry.py", "_loaded"),
    ("pipelines/remote/stores.py", "_of_client"),
    ("pipelines/tokens/tokenizer.py", "_read"),
}


def sources(*packages: str) -> list[Path]:
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def label(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported(tree: ast.AST, where: str) -> Iterator[tuple[int, str]]:
    """Yields (line, dotted name) of everything imported below `tree`; `where` resolves relative imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = where.removesuffix(".py").split("/")[: -node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and dotted(node.func).endswith(("import_module", "__import__")):
            yield from ((node.lineno, arg.value) for arg in node.args[:1] if isinstance(arg, ast.Constant))


def dotted(node: ast.expr) -> str:
    """Returns `a.b.c` for the expression a.b.c, and nothing for any other expression."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def wrong_imports(tree: ast.AST, where: str) -> list[str]:
    package = where.partition("/")[0]
    found = []
    for line, name in imported(tree, where):
        top = name.partition(".")[0]
        ours = top in OURS and top not in ALLOWED[package]
        foreign = top in FORBIDDEN.get(package, ()) or where not in ONLY_IN.get(top, {where})
        alien = package == "manifests" and top not in MANIFESTS_MAY_USE | {"manifests", "yaml"}
        if ours or foreign or alien:
            found.append(f"{where}:{line}: imports {name}")
    return found


def unsafe_uses(tree: ast.AST, where: str) -> list[str]:
    found = [
        f"{where}:{line}: imports {name}"
        for line, name in imported(tree, where)
        if name.partition(".")[0] in UNSAFE_MODULES
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and dotted(node) in UNSAFE_CALLS:
            found.append(f"{where}:{node.lineno}: uses {dotted(node)}")
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and not is_false(node.value):
            found.append(f"{where}:{node.value.lineno}: allows pickled arrays")
    return found


def is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def broad_handlers(tree: ast.AST, where: str, function: str = "") -> list[str]:
    found = []
    for node in ast.iter_child_nodes(tree):
        inside = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        hides = isinstance(node, ast.ExceptHandler) and catches_all(node) and not raises_again(node)
        if hides and (where, inside) not in MAY_CATCH_ALL:
            found.append(f"{where}:{node.lineno}: catches everything")
        found += broad_handlers(node, where, inside)
    return found


def catches_all(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or dotted(kind) in ("Exception", "BaseException") for kind in kinds)


def raises_again(handler: ast.ExceptHandler) -> bool:
    """Returns whether a handler only cleans up: it ends with a bare `raise`."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


@pytest.mark.parametrize("path", sources(*OURS), ids=label)
def test_a_module_imports_only_what_its_layer_may(path):
    assert wrong_imports(tree_of(path), label(path)) == []


@pytest.mark.parametrize("path", sources(*OURS, "benchmarks"), ids=label)
def test_nothing_unpickles(path):
    assert unsafe_uses(tree_of(path), label(path)) == []


@pytest.mark.parametrize("path", sources(*OURS), ids=label)
def test_only_a_task_s_own_frame_catches_everything(path):
    assert broad_handlers(tree_of(path), label(path)) == []


def test_the_command_imports_none_of_our_packages_until_it_needs_them():
    cli = ROOT / "corpus_tools" / "cli.py"
    if not cli.exists():
        pytest.skip("no command line yet")
    module = tree_of(cli)
    top = ast.Module([node for node in module.body if not isinstance(node, ast.FunctionDef)], [])
    heavy = {*OURS, "numpy", "pydantic", "pyarrow", "numba", "torch", "yaml", "duckdb", "datasketch"}
    assert [name for _, name in imported(top, label(cli)) if name.partition(".")[0] in heavy] == []


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("manifests/a.py", "import torch"),
        ("manifests/a.py", "def f():\n    import pyarrow.parquet"),
        ("manifests/a.py", "import yaml"),
        ("manifests/a.py", "from pipelines import stage"),
        ("pipelines/a.py", "import trainer.loop"),
        ("pipelines/a.py", "def f():\n    from corpus_tools.cli import main"),
        ("pipelines/a.py", "import torch"),
        ("pipelines/a.py", "import datatrove"),
        ("pipelines/a.py", "import importlib\nimportlib.import_module('trainer.loop')"),
        ("trainer/a.py", "from pipelines.stage import Rule"),
        ("trainer/a.py", "import pyarrow"),
        ("trainer/a.py", "import numba"),
    ],
)
def test_a_new_edge_is_seen(where, code):
    assert len(wrong_imports(ast.parse(code), where)) == 1


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("manifests/yamlfile.py", "import yaml"),
        ("manifests/a.py", "from __future__ import annotations\nimport numpy as np, xxhash, json, pydantic"),
        ("pipelines/executor.py", "from datatrove.executor import LocalPipelineExecutor"),
        ("pipelines/filters/a.py", "from . import gopher\nfrom ..stage import Rule"),
        ("corpus_tools/a.py", "def f():\n    import pipelines.plan, trainer.config, manifests"),
    ],
)
def test_a_rightful_edge_is_let_through(where, code):
    assert wrong_imports(ast.parse(code), where) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from dill import dumps",
        "import shelve",
        "import torch\ntorch.load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import numpy as np\nnp.load('x', allow_pickle=flag)",
    ],
)
def test_an_unpickling_is_seen(code):
    assert len(unsafe_uses(ast.parse(code), "trainer/a.py")) == 1


@pytest.mark.parametrize("kind", ["", " Exception", " BaseException as error", " (ValueError, Exception)"])
def test_a_broad_handler_is_seen_outside_run_task(kind):
    code = ast.parse(f"def run_task():\n    try:\n        f()\n    except{kind}:\n        pass\n")
    assert len(broad_handlers(code, "pipelines/plan.py")) == 1
    assert broad_handlers(code, "pipelines/run.py") == []


def test_a_handler_that_cleans_up_and_raises_again_is_let_through():
    code = ast.parse(
        "def f():\n    try:\n        g()\n    except BaseException:\n        undo()\n        raise\n"
    )
    assert broad_handlers(code, "manifests/commit.py") == []
