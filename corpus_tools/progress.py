"""What a build shows while it works: one moving line a step on a terminal, a plain line every 5 s elsewhere.

    web  ━━━━━━━━━━━━━━━  412/1,000 units  1,204 docs/s  5.3 MB/s  kept 61%  too_few_words 12% ...  ETA 3:10

Everything goes to stderr. Rates are of the step being worked on; the time left assumes that the units to come
are like those done. Reasons are the heaviest three, as shares of the documents the step has read.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

from corpus_tools.screen import clean, count, size

__all__ = ["PlainDisplay", "Progress", "StepRate", "TerminalDisplay", "clock", "progress"]

Event = Mapping[str, Any]
PLAIN_EVERY_S = 5.0


@dataclass
class StepRate:
    """What is known of one step: units done of all, documents, bytes, drops by reason, and since when."""

    step: str
    n_units: int
    started: float
    n_done: int = 0
    n_docs: int = 0
    n_bytes: int = 0
    n_new: int = 0
    dropped: Counter[str] = field(default_factory=Counter)

    def take(self, event: Event) -> None:
        """Count a finished unit."""
        self.n_new += 1
        self.n_done += 1
        self.n_docs += event["n_read"]
        self.n_bytes += event["bytes_read"]
        for reasons in event["dropped"].values():
            self.dropped.update(reasons)

    def seconds_left(self, now: float) -> float | None:
        """Seconds until the last unit, if the rest goes as the units of this run went."""
        if not self.n_new:
            return None
        return (now - self.started) / self.n_new * (self.n_units - self.n_done)

    def line(self, now: float) -> str:
        """Rates, drops and the time left, in one line."""
        seconds = max(now - self.started, 1e-3)
        parts = [f"{count(self.n_done)}/{count(self.n_units)} units"]
        if self.n_docs:
            parts += [
                f"{self.n_docs / seconds:,.0f} docs/s",
                f"{size(self.n_bytes / seconds)}/s",
                *self._drops(),
            ]
        return "  ".join([*parts, *self._time(now)])

    def _time(self, now: float) -> list[str]:
        left = self.seconds_left(now)
        if left is None:
            return []
        return [f"ETA {clock(left)}" if self.n_done < self.n_units else f"in {clock(now - self.started)}"]

    def _drops(self) -> list[str]:
        n_kept = self.n_docs - sum(self.dropped.values())
        worst = [f"{reason} {n / self.n_docs:.0%}" for reason, n in self.dropped.most_common(3)]
        return [f"kept {n_kept / self.n_docs:.0%}", *worst]


def clock(seconds: float) -> str:
    """A span of time as hours, minutes and seconds.

    >>> clock(75), clock(3671)
    ('1:15', '1:01:11')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Display(Protocol):
    """Where progress is shown."""

    def show(self, rate: StepRate, now: float) -> None: ...

    def say(self, text: str) -> None: ...

    def close(self) -> None: ...


class PlainDisplay:
    """A line at most every 5 s, and one when a step ends: for files, pipes and continuous integration."""

    def __init__(self, stream: TextIO, every_s: float = PLAIN_EVERY_S) -> None:
        self._stream = stream
        self._every_s = every_s
        self._last = float("-inf")

    def show(self, rate: StepRate, now: float) -> None:
        """Write a line, unless one was written just before."""
        if now - self._last >= self._every_s or rate.n_done == rate.n_units:
            self._last = now
            self.say(f"{rate.step}: {rate.line(now)}")

    def say(self, text: str) -> None:
        """Write a line now."""
        self._stream.write(clean(text) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing to undo."""


class TerminalDisplay:
    """A bar a step, drawn by rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        text = TextColumn("{task.fields[line]}", markup=False)
        name = TextColumn("{task.description}", markup=False)
        self._bars = Bars(name, BarColumn(20), text, console=Console(stderr=True), refresh_per_second=5)
        self._tasks: dict[str, Any] = {}
        self._bars.start()

    def show(self, rate: StepRate, now: float) -> None:
        """Move the step's bar."""
        if rate.step not in self._tasks:
            self._tasks[rate.step] = self._bars.add_task(clean(rate.step), total=rate.n_units, line="")
        self._bars.update(
            self._tasks[rate.step], completed=rate.n_done, total=rate.n_units, line=clean(rate.line(now))
        )

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(clean(text), markup=False, highlight=False)

    def close(self) -> None:
        """Leave the bars as they are and give the terminal back."""
        self._bars.stop()


class Progress:
    """Takes a build's events and shows them.

    with progress() as show:
        build(plan, on_event=show)
    """

    def __init__(self, display: Display, clock: Callable[[], float] = time.monotonic) -> None:
        self._display = display
        self._clock = clock
        self._rates: dict[str, StepRate] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.close()

    def __call__(self, event: Event) -> None:
        """Take one event of the executor."""
        kind = event["kind"]
        if kind in ("unit_done", "step"):
            self._move(event)
        elif kind in ("retry", "quarantine", "failed"):
            self._display.say(_trouble(event))

    def _move(self, event: Event) -> None:
        now = self._clock()
        if event["kind"] == "step":
            self._rates[event["step"]] = StepRate(event["step"], event["n_units"], now, event["n_done"])
        else:
            self._rates[event["step"]].take(event)
        self._display.show(self._rates[event["step"]], now)


def _trouble(event: Event) -> str:
    what = {"retry": "tried again", "quarantine": "record set aside", "failed": "failed"}[event["kind"]]
    why = event.get("reason") or event.get("error")
    return f"{event.get('step')} {event.get('unit')}: {what}{f': {why}' if why else ''}"


def progress() -> Progress:
    """Progress for this process's stderr: bars if it is a terminal, plain lines otherwise."""
    return Progress(TerminalDisplay() if sys.stderr.isatty() else PlainDisplay(sys.stderr))
