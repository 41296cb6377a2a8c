"""A pool of watched children: hands out units, watches records, restarts what died, and loses nothing.

    queue of indices ──> idle child ──> answer      unit done
                            │ dead, hung, too large
                            └─> the record it was at: once is an accident (the unit runs again),
                                twice is the record's fault (it is quarantined, the unit runs again without it),
                                and again all the same: what goes wrong there needs no record

A hang is judged by a wall clock, which is no function of the input: so its verdict is written down once, in the
corpus's quarantine, and every later run of the unit reads it. A unit that dies without naming a record, or at one
that is in quarantine already, is tried three times; then it is failed, the others go on, and the build stops before
the next barrier.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from manifests.errors import Stopped
from pipelines import heartbeat
from pipelines.child import OUT_OF_MEMORY

__all__ = ["Event", "Limits", "Pool", "Work", "stopped"]

Event = dict[str, Any]
MAX_TRIES = 3
POLL_SECONDS = 0.1
_PAGE = os.sysconf("SC_PAGE_SIZE")
_WHY = {
    "crash": "its process died",
    "hang": "its process gave no sign of life",
    "memory": "out of memory; give more with --memory, or take fewer workers",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one record and one child may take; backstops, meant never to decide.

    record_seconds: for one record, four times as long at its second try; unit_seconds: without any sign of life.
    """

    record_seconds: float = 30.0
    unit_seconds: float = 3600.0
    memory_bytes: int = 4 << 30


@dataclass(slots=True)
class Work:
    """The unfinished tasks of one step. quarantine: {task key: {(split, ordinal): reason}}, grown in place."""

    step: str
    spec: Path
    indices: Sequence[int]
    keys: Sequence[str]
    labels: Sequence[str]
    quarantine: dict[str, dict[tuple[int, int], str]]
    may_quarantine: bool = False


@dataclass(slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    beat: mmap.mmap
    job: tuple[Work, int] | None = None
    seen: tuple[int, int, int] = (0, -1, 0)
    since: float = 0.0
    started: float = 0.0


@dataclass(slots=True)
class Pool:
    """Children that run tasks; use as a context manager. `run` returns the tasks that failed.

    stop: asked now and then; a true answer ends the handing out (the number is the signal to exit with).
    """

    n_workers: int
    limits: Limits = field(default_factory=Limits)
    on_event: Callable[[Event], None] = lambda _: None
    on_quarantine: Callable[[], None] = lambda: None
    stop: Callable[[], int] = lambda: 0
    _children: list[_Child] = field(default_factory=list)
    _selector: selectors.DefaultSelector = field(default_factory=selectors.DefaultSelector)
    _suspects: dict[tuple[str, int, int], int] = field(default_factory=dict)
    _tries: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in list(self._children):
            self._end(child)
        self._selector.close()

    def run(self, works: Sequence[Work]) -> dict[str, str]:
        """Run all tasks of all works, in the order given; returns {step and task: error} of those that failed.

        Raises: Stopped when asked to stop; finished tasks stand.
        """
        queue = deque((work, index) for work in works for index in work.indices)
        failed: dict[str, str] = {}
        while queue or any(c.job for c in self._children):
            self._hand_out(queue)
            for key, _ in self._selector.select(POLL_SECONDS):
                self._collect(key.data, queue, failed)
            for child in list(self._children):
                self._watch(child, queue, failed)
            if number := self.stop():
                self._drain(queue, failed)
                raise stopped(number)
        return failed

    def _hand_out(self, queue: deque[tuple[Work, int]]) -> None:
        idle = [c for c in self._children if c.job is None]
        while queue and (idle or len(self._children) < self.n_workers):
            child = idle.pop() if idle else self._start()
            self._give(child, queue.popleft())

    def _give(self, child: _Child, job: tuple[Work, int]) -> None:
        work, index = job
        skips = [[s, o, why] for (s, o), why in work.quarantine.get(work.keys[index], {}).items()]
        line = json.dumps({"spec": str(work.spec), "index": index, "quarantine": skips}) + "\n"
        child.job, child.since, child.started = job, time.monotonic(), time.monotonic()
        child.seen = heartbeat.read(child.beat[:])
        assert child.process.stdin is not None
        try:
            child.process.stdin.write(line.encode())
            child.process.stdin.flush()
        except BrokenPipeError:
            pass  # it died while idle; the watch finds it and the job goes back

    def _start(self) -> _Child:
        with tempfile.TemporaryFile() as file:  # without a name, it is gone with those who have it open
            fd = file.fileno()
            os.truncate(fd, heartbeat.SIZE)
            beat = mmap.mmap(fd, heartbeat.SIZE)
            process = subprocess.Popen(
                # -P: a folder somebody built in may hold a numpy.py, and --allow-code was not given.
                [sys.executable, "-P", "-m", "pipelines.child", str(fd), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(fd,),
                env=_environment(),
            )
        child = _Child(process, beat)
        assert process.stdout is not None
        self._selector.register(process.stdout, selectors.EVENT_READ, child)
        self._children.append(child)
        return child

    def _end(self, child: _Child) -> None:
        assert child.process.stdout is not None
        self._children.remove(child)
        self._selector.unregister(child.process.stdout)
        child.process.kill()
        child.process.wait()
        for pipe in (child.process.stdin, child.process.stdout):
            # A task the dead child never read is still in the pipe's buffer and cannot be flushed.
            with contextlib.suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
        child.beat.close()

    def _collect(self, child: _Child, queue: deque[tuple[Work, int]], failed: dict[str, str]) -> None:
        assert child.process.stdout is not None
        line = child.process.stdout.readline()
        if not line.endswith(b"\n") or child.job is None:
            return  # it died, perhaps in the middle of its answer: the watch sees to it
        (work, index), child.job = child.job, None
        answer = json.loads(line)
        label = work.labels[index]
        if answer["ok"]:
            self.on_event({"kind": "unit_done", "step": work.step, "unit": label, **answer})
        else:
            error = answer["error"] + ("\n" + answer["trace"] if answer["trace"] else "")
            failed[f"{work.step}: {label}"] = error
            self.on_event({"kind": "failed", "step": work.step, "unit": label, "error": answer["error"]})

    def _watch(self, child: _Child, queue: deque[tuple[Work, int]], failed: dict[str, str]) -> None:
        if child not in self._children:
            return
        if (status := child.process.poll()) is not None:
            short = status == OUT_OF_MEMORY
            self._died(child, "memory" if short else "crash", queue, failed)
        elif child.job is not None:
            seen, now = heartbeat.read(child.beat[:]), time.monotonic()
            if seen != child.seen:
                child.seen, child.since = seen, now
            if now - child.since > self._patience(child):
                self._died(child, "hang", queue, failed)
            elif _resident(child.process.pid) > self.limits.memory_bytes:
                self._died(child, "memory", queue, failed)

    def _patience(self, child: _Child) -> float:
        assert child.job is not None
        _, ordinal, split = child.seen
        work, index = child.job
        if ordinal < 0 or not work.may_quarantine:
            return self.limits.unit_seconds
        key = work.keys[index]
        return self.limits.record_seconds * (4 if (key, split, ordinal) in self._suspects else 1)

    def _died(
        self, child: _Child, reason: str, queue: deque[tuple[Work, int]], failed: dict[str, str]
    ) -> None:
        child.process.kill()
        child.process.wait()
        # Read after the kill: the record may have ended in between and the next one must not be blamed unseen.
        _, ordinal, split = heartbeat.read(child.beat[:])
        job = child.job
        self._end(child)
        if job is None:
            return
        work, index = job
        self.on_event({"kind": "retry", "step": work.step, "unit": work.labels[index], "reason": reason})
        judged = work.quarantine.get(work.keys[index], {})
        if work.may_quarantine and ordinal >= 0 and (split, ordinal) not in judged:
            self._suspect(work, index, (split, ordinal), f"quarantined_{reason}")
            queue.appendleft((work, index))
        else:
            self._again(work, index, _WHY[reason], queue, failed)

    def _suspect(self, work: Work, index: int, place: tuple[int, int], reason: str) -> None:
        suspect = (work.keys[index], *place)
        self._suspects[suspect] = self._suspects.get(suspect, 0) + 1
        if self._suspects[suspect] >= 2:
            work.quarantine.setdefault(work.keys[index], {})[place] = reason
            self.on_quarantine()
            self.on_event(
                {
                    "kind": "quarantine",
                    "step": work.step,
                    "unit": work.labels[index],
                    "reason": reason,
                    "record": place[1],
                }
            )

    def _again(
        self, work: Work, index: int, why: str, queue: deque[tuple[Work, int]], failed: dict[str, str]
    ) -> None:
        key = work.keys[index]
        self._tries[key] = self._tries.get(key, 0) + 1
        if self._tries[key] >= MAX_TRIES:
            failed[f"{work.step}: {work.labels[index]}"] = f"failed {MAX_TRIES} times: {why}"
        else:
            queue.appendleft((work, index))

    def _drain(self, queue: deque[tuple[Work, int]], failed: dict[str, str]) -> None:
        # Units at work may end; ten seconds later, or at a second interrupt, they are given up whole.
        queue.clear()
        deadline, first = time.monotonic() + 10, self.stop()
        while any(c.job for c in self._children) and time.monotonic() < deadline and self.stop() == first:
            for key, _ in self._selector.select(POLL_SECONDS):
                self._collect(key.data, queue, failed)
            if all(c.process.poll() is not None for c in self._children if c.job):
                return


def stopped(number: int) -> Stopped:
    """Returns what to raise once `stop` has answered `number`."""
    return Stopped("Stopped; finished units stand. The same command goes on from here.", number % 1000)


def _environment() -> dict[str, str]:
    # One thread a worker: the pool is the parallelism, and native libraries must not add their own.
    threads = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
    )
    # A child finds modules where its parent does, and nowhere else.
    path = os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path)
    other = {"TOKENIZERS_PARALLELISM": "false", "ARROW_DEFAULT_MEMORY_POOL": "system", "PYTHONPATH": path}
    return {**os.environ, **threads, **other}


def _resident(pid: int) -> int:
    # Without pages of mapped files: those of a gather's scratch are the system's to drop.
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_bytes().split()
        return (int(resident) - int(shared)) * _PAGE
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return _resident_elsewhere(pid) if sys.platform == "darwin" else 0


def _resident_elsewhere(pid: int) -> int:
    out = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=False)
    return int(out.stdout or 0) * 1024
