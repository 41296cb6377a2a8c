"""`quern demo`: the commands a user would type, each printed before it runs, in a folder of their own.

    DIR/crawl/           the input                     crawl.py
    DIR/recipe.yaml      what to build                 pipelines/recipes/demo.yaml
    DIR/mix.yaml         what the model reads          mix.yaml
    DIR/train.yaml       how it is trained             train.yaml
    DIR/corpora/demo/    quern build recipe.yaml       DIR/runs/demo/    quern train train.yaml

The three YAML files are written once; what a user changes in them stays. How many tokens mix.yaml asks for is the
machine's to say: twenty steps are timed, and training is given three minutes (`budget.py`). Everything after the crawl
is done by child processes of the same interpreter, so what the demo shows is what the commands do. Called again it
goes on where it stopped, because each of its commands does.

Price: 4 minutes on 2 idle cores, 3 of them training; 65 MB of disk.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from textwrap import indent
from typing import Any

from corpus_tools.demo.budget import LEAST, N_STEPS, budget, pace, with_budget
from corpus_tools.demo.crawl import Crawl, crawl
from corpus_tools.demo.summary import check_result, result_of, show_result
from corpus_tools.screen import clean, size
from manifests.commit import commit_bytes
from manifests.errors import QuernError
from trainer.config import load_train
from trainer.metrics import read_lines

__all__ = ["PROMPTS", "run_demo"]

PROMPTS = ("This module provides", "Return the number of", "def __init__(self,")
_ROOT = Path(__file__).resolve().parents[2]
_FILES = {
    "recipe.yaml": files("pipelines") / "recipes" / "demo.yaml",
    "mix.yaml": files("corpus_tools.demo") / "mix.yaml",
    "train.yaml": files("corpus_tools.demo") / "train.yaml",
}
_CORPUS, _RUN, _TIMED = "corpora/demo", "runs/demo", "runs/timed"
_KEPT_PAGE = "https://docs.handbook.example/library/textwrap.html"
_DROPPED_PAGE = "https://notes.example/forum/csv"


def run_demo(out: Path) -> None:
    """Run the whole path in `out` and show what came of it.

    Raises: QuernError when a command fails, or when the model is no better than counting.
    """
    started = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    with _told("A crawl of what this Python installation carries"):
        _say(_crawled(crawl(out)))
    _write_files(out)
    with _told("Build: pages to text, rules, duplicates, tokens"):
        _quern(out, "build", "recipe.yaml")
    with _told("Ask: is it whole, what is in it, why is a page there or not"):
        _quern(out, "verify", _CORPUS)
        _quern(out, "audit", _CORPUS)
        _quern(out, "explain", _CORPUS, _KEPT_PAGE, "--max", "1")
        _quern(out, "explain", _CORPUS, _DROPPED_PAGE, "--max", "2")  # its request, too
    if _budget_is_open(out):
        with _told(f"Time this machine: {N_STEPS} steps say how much the model can read in three minutes"):
            _set_budget(out)
    with _told("Train: which tokens, then a small model on them"):
        _quern(out, "mix", "check", "mix.yaml")
        _quern(out, "train", "train.yaml")
    with _told("Write: three samples"):
        samples = _samples(out)
    result = result_of(out, corpus=_CORPUS, run=_RUN, samples=samples)
    _say(show_result(result, out, seconds=time.monotonic() - started))
    check_result(result)


def _write_files(out: Path) -> None:
    """Write the files a user would, where they are not there yet."""
    for name, shipped in _FILES.items():
        if not (out / name).exists():
            commit_bytes(out, name, shipped.read_bytes())
    _say(f"Wrote {', '.join(_FILES)}: look at them, change them, run the commands again.")


def _budget_is_open(out: Path) -> bool:
    """Whether nothing is trained yet and nobody has said how much: mix.yaml is the shipped one, and the batch small."""
    is_shipped = (out / "mix.yaml").read_bytes() == _FILES["mix.yaml"].read_bytes()
    return is_shipped and not (out / _RUN).exists() and N_STEPS * load_train(out / "train.yaml").batch < LEAST


def _set_budget(out: Path) -> None:
    """Let a short run say how many tokens a second there are, and mix.yaml ask for as many as they make."""
    batch, timed = load_train(out / "train.yaml").batch, out / _TIMED
    shutil.rmtree(timed, ignore_errors=True)  # of a demo that was stopped, and perhaps changed since
    changed = [f"tokens={N_STEPS * batch}", "evaluate.tokens=1Ki", "sample.prompts=[]"]
    _quern(out, "train", "train.yaml", "--out", _TIMED, *(word for key in changed for word in ("--set", key)))
    speeds = [line["tokens_per_s"] for line in read_lines(timed / "metrics.jsonl", "step")]
    shutil.rmtree(timed)
    n_tokens, mix = budget(speeds), (out / "mix.yaml").read_text(encoding="utf-8")
    commit_bytes(out, "mix.yaml", with_budget(mix, n_tokens).encode())
    minutes = n_tokens / pace(speeds) / 60
    _say(f"{pace(speeds):,.0f} tokens a second: mix.yaml asks for {n_tokens:,}, {minutes:.1f} minutes")


def _crawled(made: Crawl) -> str:
    n_warcs = sum(file.path.endswith(".warc.gz") for file in made.files)
    return (
        f"{made.n_pages:,} pages in {n_warcs} WARC files, {made.n_code_files:,} source files, "
        f"{made.n_packages:,} package descriptions, a benchmark: {size(made.n_bytes)} in {made.folder}"
    )


def _samples(out: Path) -> list[dict[str, Any]]:
    """What the trained model writes on from each prompt."""
    answer = _quern(out, "sample", _RUN, *PROMPTS, "--tokens", "80", "--json", captured=True)
    rows: list[dict[str, Any]] = json.loads(answer)
    for row in rows:
        _say(clean("\n" + indent(row["prompt"] + row["text"].rstrip(), "  | ", predicate=lambda _: True)))
    return rows


def _quern(out: Path, *words: str, captured: bool = False) -> str:
    """Print a command, run it in `out`, and return what it wrote if `captured`.

    Raises: QuernError with the command's own exit code if it fails.
    """
    _say(f"\n$ {shlex.join(['quern', *words])}")
    command = [sys.executable, "-m", "corpus_tools.cli", *words]
    stdout = subprocess.PIPE if captured else None
    done = subprocess.run(command, cwd=out, env=_environment(), stdout=stdout, text=True, check=False)
    if done.returncode:
        raise _Failed(words, done.returncode)
    return done.stdout or ""


class _Failed(QuernError):
    """A command of the demo failed; it has said why."""

    def __init__(self, words: Sequence[str], code: int) -> None:
        super().__init__(
            f"quern {words[0]}: expected exit code 0, got {code}; the reason stands above. The demo ends here. "
            "Correct what is named there and run `quern demo` again: what is finished is not done again."
        )
        self.exit_code = code if code > 0 else 128 - code


def _environment() -> dict[str, str]:
    """The child's: ours, the place our packages are in (the child runs in another folder), and patient threads.

    Threads that spin while they wait cost a busy machine dear: on 2 cores beside other work, training ran at 500
    tokens/s, and at 2,500 with threads that sleep.
    """
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"OMP_WAIT_POLICY": "PASSIVE", **os.environ, "PYTHONPATH": os.pathsep.join(paths)}


@contextmanager
def _told(title: str) -> Iterator[None]:
    """Print a heading before and the seconds after."""
    _say(f"\n=== {title}")
    started = time.monotonic()
    yield
    _say(f"--- {time.monotonic() - started:.0f} s")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
