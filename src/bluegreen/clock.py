"""The real clock, and the one place where an interrupt arrives.

A signal handler only leaves word here; the next wait raises it. So a release is never torn apart between two writes
that belong together: it is interrupted where it waits, and nowhere else.
"""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bluegreen.domain.errors import Interrupted
from bluegreen.domain.stack import Instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class SystemClock:
    """ports.SteadyClock over the system's clocks."""

    def __init__(self) -> None:
        """Start without an interrupt pending; ``listen`` connects it to the process's signals."""
        self._told = threading.Event()
        self._signal = ""
        self._calm = False

    def listen(self) -> None:
        """Let SIGINT, SIGTERM and SIGHUP arrive here. Main thread only.

        SIGHUP comes when a terminal is closed or its connection is lost; under ``nohup`` it stays ignored.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:  # a shell passes it on: a second one must not end the way back
            signal.signal(number, signal.SIG_IGN)
        self.interrupt(signal.Signals(number).name)

    def interrupt(self, name: str) -> None:
        """Leave word that the process was told to stop by the signal of this name."""
        self._signal = name
        self._told.set()

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """As in ports.SteadyClock."""
        before, self._calm = self._calm, True
        try:
            yield
        finally:
            self._calm = before

    def now(self) -> Instant:
        """The monotonic clock, in seconds."""
        return Instant(time.monotonic())

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def wait(self, *, until: Instant) -> None:
        """Return at ``until``. Raises Interrupted at once when told to stop."""
        left = max(0.0, until - self.now())
        if self._calm:
            time.sleep(left)
        else:
            self._told.wait(left)
        self.raise_if_interrupted()

    def raise_if_interrupted(self) -> None:
        """Raise Interrupted for a signal that came since the last call; the next signal counts anew."""
        if self._told.is_set() and not self._calm:
            self._told.clear()
            raise Interrupted(signal=self._signal)
