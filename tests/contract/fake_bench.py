"""The shipped fakes at the bench."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.contract.bench import Make

from bluegreen.domain.stack import after
from bluegreen.testing import Behaviour, FakeLock, Rehearsal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bluegreen.domain.image import ImageReference
    from bluegreen.domain.stack import Seconds, Stack
    from bluegreen.ports import Metrics, Purpose
    from bluegreen.testing import FakeClock, FakeJournal, FakePlatform

BEHAVIOURS = {
    Make.GOOD: Behaviour(
        answer='{"ok": true, "n": 3, "list": ["a"]}', headers=(("X-Told", "yes"),), answer_after=0.002
    ),
    Make.CANNOT_START: Behaviour(crash_after=0.1, ready_after=1.0),
    Make.NEVER_READY: Behaviour(never_ready=True),
    Make.MISSING: Behaviour(missing=True),
}


class FakeBench:
    """A bench in memory and virtual time."""

    evicts = True
    falls_back = True
    counts_users = True
    knows_images = True
    reaches_entry = True

    def __init__(self, *, lasts: Seconds | None = None) -> None:
        """Users are on blue. ``lasts``: how long a dead holder's lock is held."""
        self.rehearsal = Rehearsal(rate=0.0)
        self.rehearsal.lock_state.lasts = lasts
        self.rehearsal.platform.behaviours.update({str(make): how for make, how in BEHAVIOURS.items()})
        self._journals: list[FakeJournal] = []

    @property
    def stack(self) -> Stack:
        """As in Bench; so are all the others."""
        return self.rehearsal.stack

    @property
    def clock(self) -> FakeClock:
        return self.rehearsal.clock

    def platform(self) -> FakePlatform:
        return self.rehearsal.platform.session()

    def lock(self) -> FakeLock:
        return FakeLock(self.rehearsal.lock_state, clock=self.clock)

    def journal(self) -> FakeJournal:
        self._journals.append(self.rehearsal.journal.session())
        return self._journals[-1]

    def metrics(self) -> Metrics:
        return self.rehearsal.platform.session()

    def image(self, service: str, make: Make) -> ImageReference:
        return self.rehearsal.image(service, make)

    def users(self, service: str, *, requests: int) -> None:
        self.rehearsal.platform.users(service, requests=requests)

    def later(self, seconds: Seconds, action: Callable[[], object]) -> None:
        def act() -> None:
            action()

        self.clock.at(after(self.clock.now(), seconds), act)

    def interrupt(self) -> None:
        self.clock.interrupt()

    def dead_holder(self, purpose: Purpose) -> None:
        self.lock().take(purpose, until=self.clock.now())
        self.rehearsal.die()

    @contextmanager
    def no_room(self) -> Iterator[None]:
        for journal in self._journals:
            journal.full_after = 0
        yield
        for journal in self._journals:
            journal.full_after = None


class ScrapedBench(FakeBench):
    """The same, its counters read from a Prometheus server that scrapes each second; its data plane counts nothing."""

    counts_users = False

    def __init__(self) -> None:
        """Scraped for a while already."""
        super().__init__()
        self.rehearsal.platform.plane_counts = False
        self.rehearsal.scraped_by(interval=1.0)
        self.clock.wait(until=after(self.clock.now(), 3.0))

    def metrics(self) -> Metrics:
        return self.rehearsal.tools().metrics
