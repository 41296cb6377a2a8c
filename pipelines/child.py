"""The watched child: a long-lived process that runs whole units while its parent only watches.

    parent ──{"spec": path, "index": 7, "quarantine": [...]}──> child's stdin       a line a task
    parent <──{"idle": 41222144}─────────────────────────────── child's stdout      bytes it takes before any task
    parent <──{"ok": true, "seconds": 3.2, ...}──────────────── child's stdout      a line an answer
    parent <── shared memory: beats, record, split ─────────── heartbeat.py

No text crosses the pipe (a piped sandbox costs 9 to 17% of extraction); the heartbeat costs nothing per record.
When a child hangs, dies or grows too large the parent knows the record from the heartbeat. A child dies with its
parent: by signal where the system has one (Linux), by the end of its standard input elsewhere.

Run as `python -m pipelines.child BEAT_FD PARENT_PID`; BEAT_FD is a file the child inherits, open and without a name.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from manifests.errors import QuernError, system_error_text
from manifests.receipt import Receipt
from pipelines import heartbeat
from pipelines.memory import resident

__all__ = ["OUT_OF_MEMORY", "main"]

OUT_OF_MEMORY = 86
"""The exit status of a child that could not get memory it asked for."""
_PR_SET_PDEATHSIG = 1


def main(beat_fd: int, parent: int) -> None:
    """Answer tasks until the parent closes the pipe."""
    _die_with_parent(parent)
    # An interrupt is the parent's to handle: it lets units end or kills them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    heartbeat.open_map(beat_fd)
    from pipelines.run import run_task  # here, so that what it takes is in what is said next

    answers.write(json.dumps({"idle": resident(os.getpid())}) + "\n")
    for line in sys.stdin:
        answers.write(json.dumps(_answer(run_task, json.loads(line))) + "\n")


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above; 1 may be its number in a container
            sys.exit(1)


def _answer(run_task: Callable[..., Receipt], task: dict[str, Any]) -> dict[str, Any]:
    started = time.monotonic()
    quarantine = {(split, ordinal): why for split, ordinal, why in task["quarantine"]}
    try:
        receipt = run_task(Path(task["spec"]), task["index"], quarantine)
    except MemoryError:
        traceback.print_exc()
        os._exit(OUT_OF_MEMORY)  # at once: the heartbeat still says at which record
    except QuernError as error:
        return {"ok": False, "error": _with_notes(str(error), error), "trace": ""}
    except OSError as error:
        # A full disk, a file without rights: where and what, not the way there. A library's own OSError has no number.
        trace = traceback.format_exc() if error.errno is None else ""
        return {"ok": False, "error": _with_notes(system_error_text(error), error), "trace": trace}
    except BaseException as error:  # noqa: BLE001 - the answer is the report; the parent decides
        return {"ok": False, "error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
    finally:
        heartbeat.idle()
    tally = receipt.tally
    return {
        "ok": True,
        "seconds": time.monotonic() - started,
        "n_read": tally.n_read,
        "bytes_read": tally.bytes_read,
        "n_kept": tally.n_kept,
        "bytes_kept": tally.bytes_kept,
        "dropped": tally.dropped,
        "written": sum(ref.size for ref in receipt.outputs.values()),
    }


def _with_notes(text: str, error: BaseException) -> str:
    return f"{text} ({'; '.join(getattr(error, '__notes__', []))})"


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
