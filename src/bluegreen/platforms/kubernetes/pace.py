"""How long to wait before the next try: back-off with jitter, and what the server asks for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluegreen.domain.stack import Seconds


def chance() -> float:
    """From 0 to below 1. The module ``random`` costs 5 ms to import."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Settings of waiting."""

    first: Seconds = 0.1
    """After the first failure; then twice as long each time."""
    longest: Seconds = 5.0
    outage: Seconds = 5.0
    """How long one call puts up with a server that does not answer, within its own limit; a run sets it higher than a
    command that only looks, which should say soon that nobody is there."""
    stranger: Seconds = 5.0
    """The same, at most, for a server that has not answered yet: its address is more likely wrong than it is down."""
    chance: Callable[[], float] = chance


class Backoff:
    """One row of tries."""

    def __init__(self, pace: Pace) -> None:
        """Nothing has failed yet."""
        self._pace = pace
        self._failures = 0

    def worked(self) -> None:
        """Begin anew."""
        self._failures = 0

    def next(self, *, asked: Seconds = 0.0) -> Seconds:
        """The next pause: half of it by chance, so that many clients do not come back at once; never under ``asked``.

        What the server asks for is lengthened by chance too, by a tenth at most.
        """
        pause = min(self._pace.longest, self._pace.first * (1 << self._failures))
        self._failures = min(self._failures + 1, 16)
        drawn = self._pace.chance()
        return max(pause * (0.5 + drawn / 2), asked * (1 + drawn / 10))
