"""Time in a thread of the adapter's own."""

from __future__ import annotations

import threading
import time

from bluegreen.domain.errors import Interrupted
from bluegreen.domain.stack import Instant


class ThreadClock:
    """Time in a thread of ours: signals are the main thread's, so only ``stop`` ends its waits."""

    def __init__(self) -> None:
        """Running."""
        self._over = threading.Event()

    def now(self) -> Instant:
        """The monotonic clock."""
        return Instant(time.monotonic())

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def wait(self, *, until: Instant) -> None:
        """Return at ``until``. Raises Interrupted once it is stopped."""
        self._over.wait(max(0.0, until - self.now()))
        self.raise_if_interrupted()

    def raise_if_interrupted(self) -> None:
        """Raise Interrupted, now and ever after, once it is stopped."""
        if self._over.is_set():
            raise Interrupted(signal="SIGTERM")

    def stop(self) -> None:
        """From any thread."""
        self._over.set()
