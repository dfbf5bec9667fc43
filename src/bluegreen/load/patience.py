"""Time limits of requests, in time that this process has seen.

Decides when a request is given up. A machine that stands still, or has no processor for the generator, stops the clock
of its users too: they come back to find the limit over and the answer there, unread. So the limit counts only what the
generator was awake for, and for how long it was not is part of the result.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bluegreen.load.plan import Seconds
    from bluegreen.load.record import Clock, Micros

_BEAT: Final = 0.05
STANDSTILL: Final = 0.25
"""Seconds by which a beat is late when the generator is said to have stood still; a busy one is late by a few
hundredths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standstill:
    """A time in which the generator saw nothing."""

    end: Micros
    seconds: Seconds


class Patience:
    """The limits of all requests that are under way."""

    def __init__(self, clock: Clock) -> None:
        """Notices nothing yet."""
        self._clock = clock
        self._limits: dict[asyncio.Timeout, float] = {}
        """Each with the loop's time at which it began."""
        self._due = 0.0
        self._beat: asyncio.TimerHandle | None = None
        self.standstills: list[Standstill] = []

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Notice within this block when the generator stands still."""
        self._next()
        try:
            yield
        finally:
            if self._beat is not None:
                self._beat.cancel()

    @contextlib.asynccontextmanager
    async def limit(self, seconds: Seconds) -> AsyncIterator[None]:
        """Raises TimeoutError when the block takes longer than ``seconds`` of those that the generator saw."""
        async with asyncio.timeout(seconds) as limit:
            self._limits[limit] = asyncio.get_running_loop().time()
            try:
                yield
            finally:
                del self._limits[limit]

    def _next(self) -> None:
        # A plain call, not a task: of what is due when the loop goes on it comes before every limit that ran out after
        # it was due, and so in time to move it. The beat before that is not told apart from time that was seen.
        loop = asyncio.get_running_loop()
        self._due = loop.time() + _BEAT
        self._beat = loop.call_at(self._due, self._look)

    def _look(self) -> None:
        late = asyncio.get_running_loop().time() - self._due
        if late >= STANDSTILL:
            self.standstills.append(Standstill(end=self._clock.now(), seconds=late))
            self._move(late)
        self._next()

    def _move(self, seconds: Seconds) -> None:
        """Each limit, but none by more than its own age: one may have begun since, ahead of the beat that tells."""
        now = asyncio.get_running_loop().time()
        for limit, began in self._limits.items():
            when = limit.when()
            if when is not None and not limit.expired():
                limit.reschedule(when + min(seconds, now - began))
