"""Kernels compile on first use, into a folder of our own, with nowhere to write too."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.kernels import jit

ROOT = Path(__file__).parents[2]
COUNT = """
import numpy as np
from pipelines.kernels.words import _count_words, count_words
assert _count_words._compiled is None, "importing compiled it"
assert count_words(np.frombuffer(b"two words", np.uint8), np.array([0, 9], np.int64)).tolist() == [2]
import numba; print(numba.config.CACHE_DIR)
"""


def run(code: str, **env: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment = {**kept, "PYTHONPATH": str(ROOT), **env}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_compiled_code_goes_below_the_users_cache_and_only_on_first_use(tmp_path: Path) -> None:
    folder = Path(run(COUNT, XDG_CACHE_HOME=str(tmp_path)))
    assert folder.parent == tmp_path / "quern"
    assert list(folder.rglob("*.nbi"))


def test_with_no_writable_cache_a_private_temporary_one_serves(tmp_path: Path) -> None:
    blocked = tmp_path / "a-file"
    blocked.write_text("not a folder")
    folder = Path(run(COUNT, XDG_CACHE_HOME=str(blocked), TMPDIR=str(tmp_path)))
    assert folder.parent.parent == tmp_path
    assert folder.parent.stat().st_mode & 0o077 == 0


def test_a_cache_folder_the_user_names_is_kept_and_a_child_inherits_the_parents(tmp_path: Path) -> None:
    code = "import os; from pipelines.kernels import jit; print(os.environ['NUMBA_CACHE_DIR'])"
    first = run(code, NUMBA_CACHE_DIR=str(tmp_path))
    assert Path(first).parent == tmp_path
    assert run(code, NUMBA_CACHE_DIR=first) == first


def test_a_parent_can_compile_kernels_by_name(tmp_path: Path) -> None:
    code = """
import numba
from pipelines.kernels import jit
jit.compile_kernels(["words._count_words"])
print(numba.config.CACHE_DIR)
"""
    folder = Path(run(code, XDG_CACHE_HOME=str(tmp_path)))
    assert [path.name.split("-")[0] for path in folder.rglob("*.nbi")] == ["words._count_words"]


def test_a_modules_digest_changes_with_any_source_it_reaches_and_with_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sources = {
        "rule": b"from pipelines.kernels import table, other_table\nfrom pipelines.kernels.words import cut\n",
        "words": b"from pipelines.kernels.letters import is_letter\n",
        "letters": b"", "table": b"", "other_table": b"", "apart": b"from pipelines.kernels.rule import x\n",
    }  # fmt: skip
    functions = (jit.imported_kernels, jit._reached, jit.source_digest)
    monkeypatch.setattr(jit, "_SOURCES", sources)

    def digest() -> str:
        for function in functions:
            function.cache_clear()
        return jit.source_digest("rule")

    digests = [digest()]
    for name in ("apart", "letters", "table", "other_table", "words", "rule"):
        sources[name] += b"# changed\n"
        digests.append(digest())
    for function in functions:
        function.cache_clear()
    assert digests[0] == digests[1]
    assert len(set(digests)) == 6


def test_code_whose_source_changed_below_a_process_is_not_kept(tmp_path: Path) -> None:
    code = """
import numpy as np
from pipelines.kernels import jit
from pipelines.kernels.words import count_words
jit._source = lambda module: b"changed since"
assert count_words(np.frombuffer(b"two words", np.uint8), np.array([0, 9], np.int64)).tolist() == [2]
"""
    run(code, XDG_CACHE_HOME=str(tmp_path))
    assert not list(tmp_path.rglob("*.nbi"))


def _imports(source: Path) -> set[str]:
    nodes = [n for n in ast.walk(ast.parse(source.read_text())) if isinstance(n, ast.ImportFrom) and n.module]
    own = {node.module.split(".")[2] for node in nodes if node.module.startswith("pipelines.kernels.")}
    return own | {a.name for node in nodes if node.module == "pipelines.kernels" for a in node.names}


def test_every_import_of_a_kernel_module_is_found() -> None:
    for path in sorted((ROOT / "pipelines" / "kernels").glob("*.py")):
        if not path.stem.startswith(("__init__", "generate_")):  # those write tables and hold no kernel
            assert jit.imported_kernels(path.stem) == _imports(path), path.name


def test_a_kernel_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(AttributeError):
        jit.compile_kernels(["words.no_such_kernel"])
