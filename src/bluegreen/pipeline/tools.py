"""What every phase works with, and the few things that all of them do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import JournalError
from bluegreen.domain.events import Warned
from bluegreen.domain.release import Entry, Run, fold
from bluegreen.domain.stack import Instant, Seconds, after
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bluegreen.domain.events import Event
    from bluegreen.domain.release import Body, Course
    from bluegreen.domain.snapshot import Route, Snapshot
    from bluegreen.domain.stack import Stack
    from bluegreen.ports import Commands, Journal, Lock, Metrics, Platform, SteadyClock

CALL_LIMIT: Seconds = 10.0
"""How long one call to the platform may take, where no other limit is named."""

HISTORY = 21
"""How many runs are looked at to find the way back: the twenty that a journal keeps, and the last good one."""


def _no_notes() -> Course | None:
    """Nobody has listened."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The ports, the stack, and where events go."""

    stack: Stack
    platform: Platform
    lock: Lock
    journal: Journal
    metrics: Metrics
    commands: Commands
    clock: SteadyClock
    emit: Callable[[Event], None]
    new_id: Callable[[str], str]
    """Makes a new opaque id that starts with the given letters."""
    who: str
    course: Callable[[], Course | None] = _no_notes
    """What was told so far, for the record of a release's end (recorder.py)."""

    def limit(self, seconds: Seconds = CALL_LIMIT) -> Instant:
        """The instant ``seconds`` from now."""
        return after(self.clock.now(), seconds)

    def since(self, start: Instant) -> Seconds:
        """Seconds from ``start`` until now."""
        return self.clock.now() - start

    def snapshot(self) -> Snapshot:
        """The stack now."""
        return self.platform.snapshot(until=self.limit())

    def routes(self) -> Sequence[Route]:
        """Where users go now."""
        return self.platform.routes(until=self.limit())

    def looks(self, limit: Seconds, *, every: Seconds) -> Iterator[Seconds]:
        """Yield what was waited so far, at once and each ``every`` seconds, at the limit for the last time.

        For what no watch tells: the reader looks, and leaves when it is so. Raises Interrupted.
        """
        started, end = self.clock.now(), self.limit(limit)
        waited: Seconds = 0.0
        while True:
            yield waited
            now = self.clock.now()
            if now >= end:
                return
            self.clock.wait(until=min(end, after(now, every)))
            waited = self.since(started)

    def record(self, run: str, *bodies: Body) -> None:
        """Make these entries durable. Raises JournalError, upon which the step they announce must not be taken."""
        at = self.clock.wall()
        self.journal.record(*(Entry(run=run, at=at, body=body) for body in bodies))

    def record_if_possible(self, run: str, *bodies: Body) -> None:
        """Record what has happened already: a journal that fails now must not stop the way back."""
        try:
            self.record(run, *bodies)
        except JournalError as error:
            self.emit(Warned(text=f"not recorded: {error}", mend=error.mend))

    def run(self, name: str) -> Run | None:
        """One run; None: there is none of that name."""
        return fold(self.journal.entries(name))

    def runs(self) -> Iterator[Run]:
        """The newest runs, newest first, each read when it is asked for."""
        for name in self.journal.runs(newest=HISTORY):
            run = fold(self.journal.entries(name))
            if run is not None:
                yield run
