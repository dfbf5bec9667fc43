"""Virtual time: a wait takes none, and a test can assert exactly how long something took."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bluegreen.domain.errors import Interrupted
from bluegreen.domain.stack import Instant, Seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EPOCH = 1_750_000_000.0


class FakeClock:
    """ports.SteadyClock whose time moves only when somebody waits. Things can be set to happen at given times."""

    def __init__(self) -> None:
        """Start at zero."""
        self._now = 0.0
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._signal = ""
        self._calm = False
        self._slept = 0.0

    def now(self) -> Instant:
        """Virtual seconds since the clock was made."""
        return Instant(self._now)

    def wall(self) -> float:
        """A wall clock that runs along."""
        return EPOCH + self._slept + self._now

    def sleep(self, seconds: Seconds) -> None:
        """Let the machine be suspended: the wall clock goes on, the monotonic one stands still."""
        self._slept += seconds

    def at(self, when: Seconds, action: Callable[[], None]) -> None:
        """Do something when the time comes."""
        self._due.append((when, action))
        self._due.sort(key=lambda due: due[0])

    def interrupt(self, *, signal: str = "SIGINT") -> None:
        """Leave word that the process was told to stop; the next wait raises it."""
        self._signal = signal

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """As in ports.SteadyClock."""
        before, self._calm = self._calm, True
        try:
            yield
        finally:
            self._calm = before

    def wait(self, *, until: Instant) -> None:
        """Move to ``until``, or to the interrupt that comes before."""
        self.raise_if_interrupted()
        while self._due and self._due[0][0] <= until:
            self._run_next()
            self.raise_if_interrupted()
        self._now = max(self._now, until)

    def next_due(self) -> Instant | None:
        """When the next thing is set to happen; None: nothing is."""
        return Instant(self._due[0][0]) if self._due else None

    def raise_if_interrupted(self) -> None:
        """Raise the interrupt that came since the last call."""
        if self._signal and not self._calm:
            signal, self._signal = self._signal, ""
            raise Interrupted(signal=signal)

    def _run_next(self) -> None:
        when, action = self._due.pop(0)
        self._now = max(self._now, when)
        action()
