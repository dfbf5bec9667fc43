"""The caller's clock, at which interrupts can be made to wait: two writes that belong together are not torn apart."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bluegreen.domain.errors import Interrupted
from bluegreen.domain.stack import after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bluegreen.domain.stack import Instant, Seconds
    from bluegreen.ports import Clock

_SOON: Seconds = 2.0


class SteadyClock:
    """ports.Clock over another one. One thread's."""

    def __init__(self, clock: Clock) -> None:
        """Interrupts arrive as they do at ``clock``."""
        self._clock = clock
        self._calm = False
        self._told: Interrupted | None = None

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """In this block an interrupt waits; it arrives at the first wait after it."""
        self._calm = True
        try:
            yield
        finally:
            self._calm = False

    def now(self) -> Instant:
        """As in ports.Clock."""
        return self._clock.now()

    def soon(self) -> Instant:
        """The limit of a question that a healthy API server answers at once."""
        return after(self.now(), _SOON)

    def wall(self) -> float:
        """As in ports.Clock."""
        return self._clock.wall()

    def wait(self, *, until: Instant) -> None:
        """As in ports.Clock."""
        if not self._calm:
            self.raise_if_interrupted()
            self._clock.wait(until=until)
            return
        while self.now() < until:
            with self._kept():
                self._clock.wait(until=until)

    def raise_if_interrupted(self) -> None:
        """As in ports.Clock."""
        if self._calm:
            return
        if self._told is not None:
            told, self._told = self._told, None
            raise told
        self._clock.raise_if_interrupted()

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Keep an interrupt for later."""
        try:
            yield
        except Interrupted as told:
            self._told = told
