"""The standard library's pydoc pages, rendered in a child process that can be lost.

    names -> child: import, pydoc.HTMLDoc -> one JSON line a module -> (name, html)

Importing everything runs other people's code: some modules hang, exit or open windows. So the child imports,
with an alarm that ends it when one module takes too long; the parent leaves out the module that ended it and
goes on with the rest in a new child.

The page of a module must be a function of the Python version alone. The child therefore runs with an empty
environment and a fixed hash seed; addresses in memory and the installation's own paths are replaced, and of
module-level values only numbers are printed (`os.environ` would put the user's secrets on a page).

Price: 7 s for the 364 modules of Python 3.11: 12 MB of HTML.
"""

from __future__ import annotations

import importlib
import json
import os
import pydoc
import re
import signal
import subprocess
import sys
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["LIBRARY", "as_blocks", "module_names", "render"]

LIBRARY = Path(os.__file__).parent
# Modules that open a browser or print on import, applications, tests, tables, and code for other systems.
_LEFT_OUT = {
    "__hello__", "__phello__", "antigravity", "distutils", "encodings", "ensurepip", "idlelib", "lib2to3",
    "msilib", "msvcrt", "nt", "pydoc_data", "test", "this", "turtledemo", "winreg", "winsound",
}  # fmt: skip
_LEFT_OUT_BELOW = {"__main__", "test", "tests", "idle_test", "__pycache__", "site-packages"}
# Python twins of C modules: their pages differ from their twins' by a few words, as mirrors of the web do.
_TWINS = {"_pydecimal", "_pyio", "_collections_abc", "_strptime", "_threading_local"}
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "PYTHONUTF8": "1",
}
# Prose is wrapped between this width and 79 columns.
_PROSE_WIDTH = 55
_STOCK = (types.WrapperDescriptorType, types.MethodWrapperType, types.BuiltinFunctionType)
_INHERITED = re.compile(r"<hr>\n[A-Z][a-z ]+ inherited from .*?(?=<hr>|\Z)", re.DOTALL)
_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")


def module_names() -> list[str]:
    """The dotted names of the library's public modules and submodules, sorted."""
    tops = [name for name in sys.stdlib_module_names if name not in _LEFT_OUT]
    public = [name for name in tops if not name.startswith("_") or name in _TWINS]
    return sorted({*public, *(sub for name in public for sub in _submodules(name))})


def _submodules(package: str) -> Iterator[str]:
    for path in sorted((LIBRARY / package).rglob("*.py")):
        parts = path.relative_to(LIBRARY).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        # Submodules of tkinter repeat its page five times over.
        if package != "tkinter" and not any(
            part in _LEFT_OUT_BELOW or part.startswith("_") for part in parts[1:]
        ):
            yield ".".join(parts)


def render(names: Sequence[str], *, limit_s: int = 20) -> Iterator[tuple[str, str]]:
    """(module, HTML) in the order of `names`, without the modules that cannot be imported here."""
    waiting = list(names)
    while waiting:
        n_answers = 0
        for line in _child(waiting, limit_s):
            n_answers += 1
            name, html = json.loads(line)
            if html is not None:
                yield name, html
        # One answer short: the next module ended the child and is left out.
        waiting = waiting[n_answers + 1 :]


def _child(names: Sequence[str], limit_s: int) -> Iterator[bytes]:
    """The answers of one child, as far as it comes."""
    command = [sys.executable, "-P", "-s", "-S", "-W", "ignore", __file__, str(limit_s), *names]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command, stdin=quiet, stdout=subprocess.PIPE, stderr=quiet, env=_ENVIRONMENT, cwd="/"
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.endswith(b"\n"):
                yield line


def as_blocks(html: str) -> str:
    """Plain text (already escaped) as HTML: paragraphs, and what is indented as it stands.

    >>> as_blocks("One paragraph.\\n\\n    x = 1\\n    y = 2")
    '<p>One paragraph.</p>\\n<pre>    x = 1\\n    y = 2</pre>'
    """
    blocks = [block.strip("\n") for block in re.split(r"\n[ \t]*\n", html)]
    return "\n".join(_block(block) for block in blocks if block.strip())


def _block(text: str) -> str:
    lines = text.split("\n")
    # Short lines, prompts and indents were broken on purpose: code, tables, usage.
    kept = text.startswith((" ", "\t", "&gt;&gt;&gt;")) or max(map(len, lines)) < _PROSE_WIDTH
    return f"<pre>{text}</pre>" if kept and len(lines) > 1 else f"<p>{' '.join(text.split())}</p>"


class _Pages(pydoc.HTMLDoc):
    """pydoc's pages as a site would serve them: docstrings in paragraphs, a class's own members only.

    Inherited members and the special methods' stock phrases ("Return repr(self).") make up half of pydoc's
    text; repetition rules drop pages that are full of them. Values that differ between machines are left out.
    """

    def markup(self, text: str, escape: Any = None, *names: Any) -> str:
        # pydoc itself writes a no-break space for every space, which is no prose on any page.
        return as_blocks(super().markup(text, self.escape, *names)) if text else ""

    def section(self, title: str, cls: str, contents: str, *rest: Any) -> str:
        return super().section(title, cls, _INHERITED.sub("", contents), *rest)

    def docroutine(self, object: Any, name: str | None = None, *rest: Any, **named: Any) -> str:  # noqa: A002
        return "" if _says_nothing(object) else super().docroutine(object, name, *rest, **named)

    def docdata(self, object: Any, name: str | None = None, *rest: Any, **named: Any) -> str:  # noqa: A002
        return "" if name in {"__dict__", "__weakref__"} else super().docdata(object, name, *rest, **named)

    def docother(self, object: Any, name: str | None = None, mod: Any = None, *ignored: Any) -> str:  # noqa: A002
        if isinstance(object, bool | int | float):
            return super().docother(object, name, mod)
        return f"<strong>{name}</strong>: {type(object).__name__}" if name else type(object).__name__


def _says_nothing(routine: Any) -> bool:
    """True for special methods that bring no words of their own."""
    name = getattr(routine, "__name__", "")
    stock = isinstance(routine, _STOCK) or not getattr(routine, "__doc__", None)
    return stock and name.startswith("__") and name.endswith("__")


def _page(name: str) -> str | None:
    try:
        module = importlib.import_module(name)
    except ImportError:
        return None
    return _without_place(_Pages().document(module, name))


def _without_place(html: str) -> str:
    """The page without addresses in memory and without where Python is installed."""
    html = _ADDRESS.sub("", html.replace("&nbsp;", " "))
    for folder in (str(LIBRARY), sys.executable, sys.prefix, sys.base_prefix):
        html = html.replace(folder, "/usr/lib/python")
    return html


def _answer(limit_s: int, names: Sequence[str]) -> None:
    """Write one line a module; the alarm's default action ends the process, whatever it hangs in."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a module that prints must not answer
    for name in names:
        signal.alarm(limit_s)
        page = _page(name)
        signal.alarm(0)
        answers.write(json.dumps([name, page]) + "\n")
        answers.flush()


if __name__ == "__main__":
    _answer(int(sys.argv[1]), sys.argv[2:])
