"""What a figure is worth nothing without: the machine, its load, the versions and the commit."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"

ONE_THREAD = {
    f"{name}_NUM_THREADS": "1" for name in ("OMP", "RAYON", "MKL", "OPENBLAS", "NUMBA", "NUMEXPR", "ARROW")
} | {"OMP_THREAD_LIMIT": "1", "TOKENIZERS_PARALLELISM": "false"}


def describe(packages: tuple[str, ...]) -> dict[str, Any]:
    """The machine and the versions of this environment's packages."""
    return {
        "commit": _commit(),
        "cores": os.cpu_count(),
        "cpu": _cpu(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _commit() -> str:
    """The commit, with `+` where files differ from it."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    changed = subprocess.run(
        [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=False
    )
    return (head.stdout.strip() or "unknown") + ("+" if changed.stdout.strip() else "")


def one_core() -> int | None:
    """Bind this process and its children to the last core it may use; None where that cannot be done."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def peers_python() -> Path:
    """The interpreter of the peers' environment: $QUERN_PEERS, else .venv-peers as `make bench` builds it."""
    path = Path(os.environ.get("QUERN_PEERS", ROOT / ".venv-peers/bin/python"))
    if not path.exists():
        raise SystemExit(
            f"{path}: no peers to measure against. `make bench` installs them, or set QUERN_PEERS."
        )
    return path.absolute()


def run_side(
    python: Path | str,
    script: str,
    task: Mapping[str, Any],
    *,
    folder: Path,
    packages: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A side in a fresh process of one thread: it reads task.json and writes answer.json in `folder`.

    packages: a folder of packages that it takes before those of its environment. variables: its environment, this
    process's unless given.
    """
    folder.mkdir(parents=True)
    (folder / "task.json").write_text(json.dumps(task))
    env = {**(variables or os.environ), **ONE_THREAD, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf")}
    if packages is not None:
        env["PYTHONPATH"] = str(packages)
    side = ROOT / "benchmarks" / "sides" / script
    with (folder / "log").open("wb") as log:
        done = subprocess.run(
            [str(python), str(side), str(folder)], env=env, stdout=log, stderr=log, check=False
        )
    if done.returncode:
        raise SystemExit(f"{script} failed:\n" + (folder / "log").read_text(errors="replace")[-4000:])
    answer: dict[str, Any] = json.loads((folder / "answer.json").read_text())
    return answer


def write_result(name: str, result: Mapping[str, Any]) -> None:
    """benchmarks/results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")
