"""A polite stop: SIGTERM, SIGINT or SIGUSR1 set a flag that the loop reads between two steps.

SIGINT ends with exit code 130, SIGTERM and SIGUSR1 (what Slurm sends ahead of a time limit) with 143, after a
checkpoint. A second SIGINT stops at once, without one.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

__all__ = ["StopFlag"]

_WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class StopFlag:
    """While the block runs, `number` is the exit's signal number, or 0 if nobody asked to stop.

    with StopFlag() as flag:
        while not flag.number: ...
    """

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # a notebook's helper thread may not listen
            self._before = {s: signal.signal(s, self._note) for s in _WATCHED}
        return self

    def __exit__(self, *_: object) -> None:
        for watched, handler in self._before.items():
            signal.signal(watched, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self.number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = int(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)
