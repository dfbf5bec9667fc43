"""What every phase works with, and the few things that all of them do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bluegreen.domain.errors import JournalError
from bluegreen.domain.events import Warned
from bluegreen.domain.release import Entry, Run, fold
from bluegreen.domain.stack import Instant, Seconds, after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bluegreen.domain.events import Event
    from bluegreen.domain.release import Body
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Stack
    from bluegreen.ports import Clock, Journal, Lock, Metrics, Platform

CALL_LIMIT: Seconds = 10.0
"""How long one call to the platform may take, where no other limit is named."""

HISTORY = 21
"""How many runs are looked at to find the way back: the twenty that a journal keeps, and the last good one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The ports, the stack, and where events go."""

    stack: Stack
    platform: Platform
    lock: Lock
    journal: Journal
    metrics: Metrics
    clock: Clock
    emit: Callable[[Event], None]
    new_id: Callable[[str], str]
    """Makes a new opaque id that starts with the given letters."""
    who: str

    def limit(self, seconds: Seconds = CALL_LIMIT) -> Instant:
        """The instant ``seconds`` from now."""
        return after(self.clock.now(), seconds)

    def since(self, start: Instant) -> Seconds:
        """Seconds from ``start`` until now."""
        return self.clock.now() - start

    def snapshot(self) -> Snapshot:
        """The stack now."""
        return self.platform.snapshot(until=self.limit())

    def record(self, run: str, body: Body) -> None:
        """Make one entry durable. Raises JournalError, upon which the step it announces must not be taken."""
        self.journal.record(Entry(run=run, at=self.clock.wall(), body=body))

    def record_if_possible(self, run: str, body: Body) -> None:
        """Record what has happened already: a journal that fails now must not stop the way back."""
        try:
            self.record(run, body)
        except JournalError as error:
            self.emit(Warned(text=f"not recorded: {error}", mend=error.mend))

    def runs(self) -> Iterator[Run]:
        """The newest runs, newest first, each read when it is asked for."""
        for name in self.journal.runs(newest=HISTORY):
            run = fold(self.journal.entries(name))
            if run is not None:
                yield run
