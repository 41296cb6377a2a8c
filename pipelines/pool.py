"""A pool of watched children: hands out units, watches records, restarts what died, and loses nothing.

    queue of indices ──> idle child ──> answer      unit done
                            │ dead, hung, too large
                            └─> the record it was at: once is an accident (the unit runs again),
                                twice is the record's fault (it is quarantined, the unit runs again without it),
                                and again all the same: what goes wrong there needs no record

Memory is a record's fault only if it took at least half of the limit by itself: a child that was large before came
there by all it did, so its unit is tried again, and fails in the end. Then no verdict of memory in that unit stands
either: with a larger --memory those records may be read.

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

from manifests.errors import Stopped, UsageError
from pipelines import heartbeat
from pipelines.child import OUT_OF_MEMORY
from pipelines.memory import resident

__all__ = ["Event", "Limits", "Pool", "Work", "stopped", "worker_environment"]

Event = dict[str, Any]
MAX_TRIES = 3
POLL_SECONDS = 0.1
_MEMORY = "quarantined_memory"
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
    """said: the beginning of a line; seen: its last heartbeat, and since when.

    idle: bytes it took before any task, 0 until it has said so;
    size, size_before: bytes it takes now, and took when it was last seen at another record;
    met: the steps it has done a unit of, whose modules, kernels and models it holds.
    """

    process: subprocess.Popen[bytes]
    beat: mmap.mmap
    job: tuple[Work, int] | None = None
    said: bytes = b""
    seen: tuple[int, int, int] = (0, -1, 0)
    since: float = 0.0
    idle: int = 0
    size: int = 0
    size_before: int = 0
    met: set[str] = field(default_factory=set)


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
                self._collect(key.data, failed)
            for child in list(self._children):
                self._watch(child, queue, failed)
            if number := self.stop():
                self._drain(failed)
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
        child.job, child.since = job, time.monotonic()
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
                env=worker_environment(),
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

    def _collect(self, child: _Child, failed: dict[str, str]) -> None:
        assert child.process.stdout is not None
        # Not by lines: of two that came at once the second would wait in a buffer that the selector cannot see.
        *lines, child.said = (child.said + os.read(child.process.stdout.fileno(), 1 << 16)).split(b"\n")
        for line in lines:  # half a line stays: it died in the middle of its answer, and the watch sees to it
            answer = json.loads(line)
            if "idle" in answer:
                child.idle = child.size = self._fitting(answer["idle"])
            elif child.job is not None:
                self._answered(child, child.job, answer, failed)

    def _answered(
        self, child: _Child, job: tuple[Work, int], answer: dict[str, Any], failed: dict[str, str]
    ) -> None:
        (work, index), child.job = job, None
        label = work.labels[index]
        if answer["ok"]:
            first = work.step not in child.met
            child.met.add(work.step)
            unit = {"unit": label, "key": work.keys[index], "index": index, "first": first}
            self.on_event({"kind": "unit_done", "step": work.step, **unit, **answer})
        else:
            error = answer["error"] + ("\n" + answer["trace"] if answer["trace"] else "")
            failed[f"{work.step}: {label}"] = error
            self.on_event({"kind": "failed", "step": work.step, "unit": label, "error": answer["error"]})

    def _fitting(self, idle: int) -> int:
        limit = self.limits.memory_bytes
        if idle < limit:
            return idle
        raise UsageError(
            f"--memory: expected more than {idle / 1e9:.2f} GB for each of {self.n_workers} workers, which is what one "
            f"takes before it reads anything, got {limit / 1e9:.2f} GB for each. No unit could be done. Give "
            f"--memory {4 * self.n_workers * idle / 1e9:.1f} or more, or take fewer workers."
        )

    def _watch(self, child: _Child, queue: deque[tuple[Work, int]], failed: dict[str, str]) -> None:
        if child not in self._children:
            return
        if (status := child.process.poll()) is not None:
            short = status == OUT_OF_MEMORY
            self._died(child, "memory" if short else "crash", queue, failed)
        elif child.job is not None:
            self._look(child)
            if time.monotonic() - child.since > self._patience(child):
                self._died(child, "hang", queue, failed)
            elif child.idle and child.size > self.limits.memory_bytes:
                self._died(child, "memory", queue, failed)

    def _look(self, child: _Child) -> None:
        seen = heartbeat.read(child.beat[:])
        if seen[1:] != child.seen[1:]:
            child.size_before = child.size
        if seen != child.seen:
            child.seen, child.since = seen, time.monotonic()
        child.size = resident(child.process.pid)

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
        was_large = reason == "memory" and 2 * child.size_before > self.limits.memory_bytes
        if work.may_quarantine and ordinal >= 0 and (split, ordinal) not in judged and not was_large:
            self._suspect(work, index, (split, ordinal), f"quarantined_{reason}")
            queue.appendleft((work, index))
        else:
            self._again(work, index, reason, queue, failed)

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
        self, work: Work, index: int, reason: str, queue: deque[tuple[Work, int]], failed: dict[str, str]
    ) -> None:
        key = work.keys[index]
        self._tries[key] = self._tries.get(key, 0) + 1
        if self._tries[key] < MAX_TRIES:
            queue.appendleft((work, index))
            return
        failed[f"{work.step}: {work.labels[index]}"] = f"failed {MAX_TRIES} times: {_WHY[reason]}"
        if reason == "memory":
            self._withdraw(work.quarantine, key)

    def _withdraw(self, quarantine: dict[str, dict[tuple[int, int], str]], key: str) -> None:
        # The unit lacks memory without these records too, so nothing says that they were at fault.
        if _MEMORY in quarantine.get(key, {}).values():
            quarantine[key] = {place: why for place, why in quarantine[key].items() if why != _MEMORY}
            self.on_quarantine()

    def _drain(self, failed: dict[str, str]) -> None:
        # Units at work may end; ten seconds later, or at a second interrupt, they are given up whole.
        deadline, first = time.monotonic() + 10, self.stop()
        while any(c.job for c in self._children) and time.monotonic() < deadline and self.stop() == first:
            for key, _ in self._selector.select(POLL_SECONDS):
                self._collect(key.data, failed)
            if all(c.process.poll() is not None for c in self._children if c.job):
                return


def stopped(number: int) -> Stopped:
    """Returns what to raise once `stop` has answered `number`."""
    return Stopped("Stopped; finished units stand. The same command goes on from here.", number % 1000)


def worker_environment() -> dict[str, str]:
    """Returns the environment a worker starts with: this one's, one thread, and the system's allocator."""
    # One thread a worker: the pool is the parallelism, and native libraries must not add their own.
    threads = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
    )
    # A child finds modules where its parent does, and nowhere else.
    path = os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path)
    other = {"TOKENIZERS_PARALLELISM": "false", "ARROW_DEFAULT_MEMORY_POOL": "system", "PYTHONPATH": path}
    return {**os.environ, **threads, **other}
