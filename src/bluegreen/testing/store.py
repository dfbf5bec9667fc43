"""A lock and a journal in memory, with the faults that real ones have.

A lock that is held answers as ``flock`` with LOCK_NB does; one whose holder died is free, because the kernel has closed
its file. One that ``lasts`` answers as a Lease does: whether its holder lives is seen by what the holder renews, and
when that has stood still for long enough it is free.

A journal without room answers as SQLite does: SQLITE_FULL, "database or disk is full", and nothing is kept.
"""

from __future__ import annotations

from copy import copy
from itertools import count
from typing import TYPE_CHECKING

from bluegreen.domain.errors import HeldBy, JournalError, LostLock
from bluegreen.domain.stack import Instant, after
from bluegreen.domain.values import dataclass, field
from bluegreen.ports import Grip, Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bluegreen.domain.release import Entry
    from bluegreen.domain.stack import Seconds
    from bluegreen.testing.clock import FakeClock

START = Instant(0.0)
FOREVER = Instant(float("inf"))
RENEWAL: Seconds = 5.0
"""How often a living holder renews a lock that ``lasts``."""


@dataclass(slots=True)
class LockState:
    """What all runs on one stack share: the newest fence, and who holds the lock."""

    lasts: Seconds | None = None
    """How long a silent holder has the lock; None: the kernel frees it when its holder dies."""
    holder: Grip | None = None
    fence: str = ""
    numbers: count[int] = field(default_factory=lambda: count(1))
    taken: Instant = START
    died: Instant | None = None

    def renew(self, purpose: Purpose, *, now: Instant) -> Grip:
        """A grip with a fence newer than all others."""
        self.fence = f"fence-{next(self.numbers)}"
        self.holder = Grip(purpose=purpose, fence=self.fence)
        self.taken, self.died = now, None
        return self.holder

    def die(self, *, now: Instant) -> None:
        """Let the holder be killed."""
        self.died = now
        if self.lasts is None:
            self.holder = None

    def sign(self, *, now: Instant) -> tuple[str, int]:
        """What changes with each sign of life."""
        end = now if self.died is None else min(now, self.died)
        return self.fence, int((end - self.taken) // RENEWAL)

    def check(self, grip: Grip) -> None:
        """Raise LostLock when another run has a newer fence."""
        if grip.fence != self.fence:
            by = self.holder.purpose if self.holder is not None else None
            taken_by = f"{by.kind} {by.run} by {by.who}" if by is not None else "a run that has ended"
            raise LostLock(f"another run took over: {taken_by}", taken_by=taken_by)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A sign of life, since when it has stood still, and whether another one came before it."""

    sign: tuple[str, int]
    since: Instant
    alive: bool


class FakeLock:
    """ports.Lock over a shared state."""

    def __init__(self, state: LockState, *, clock: FakeClock) -> None:
        """Work on ``state``; two locks on one state are two processes."""
        self._state = state
        self._clock = clock
        self._seen: _Seen | None = None

    def take(self, purpose: Purpose, *, until: Instant) -> Grip:
        """Take it, waiting until the deadline for whatever is set to happen. Raises HeldBy with the holder."""
        while (held := self._state.holder) is not None:
            seen = self._look()
            if self._is_over(seen):
                break
            if self._clock.now() >= until:
                raise _held_by(held.purpose, alive=seen.alive)
            self._clock.wait(until=min(until, self._next_look()))
        return self._state.renew(purpose, now=self._clock.now())

    def preempt(self, purpose: Purpose) -> Grip:
        """Take over at once."""
        return self._state.renew(purpose, now=self._clock.now())

    def release(self, grip: Grip) -> None:
        """Give it back, if it is still ours."""
        if self._state.holder == grip:
            self._state.holder = None

    def _look(self) -> _Seen:
        now = self._clock.now()
        sign = self._state.sign(now=now)
        if self._seen is None or self._seen.sign != sign:
            alive = self._state.lasts is None or self._seen is not None
            self._seen = _Seen(sign=sign, since=now, alive=alive)
        return self._seen

    def _is_over(self, seen: _Seen) -> bool:
        return self._state.lasts is not None and self._clock.now() - seen.since >= self._state.lasts

    def _next_look(self) -> Instant:
        due = self._clock.next_due()
        soon = FOREVER if self._state.lasts is None else after(self._clock.now(), 1.0)
        return soon if due is None else min(soon, due)


def _held_by(purpose: Purpose, *, alive: bool) -> HeldBy:
    holder = f"{purpose.kind} {purpose.run} by {purpose.who}"
    mend = "wait for it, or roll back"
    return HeldBy(f"another run holds the lock: {holder}", holder=holder, alive=alive, mend=mend)


class FakeJournal:
    """ports.Journal in memory. ``full_after``: the disk is full after so many more entries (SQLITE_FULL)."""

    def __init__(self) -> None:
        """Start empty, with room for everything."""
        self._entries: list[Entry] = []
        self.full_after: int | None = None
        self.on_call: Callable[[str], None] = lambda _name: None
        """Called at the start of every call, as the platform's."""

    def session(self) -> FakeJournal:
        """The same journal as another process has it."""
        return copy(self)

    def record(self, *entries: Entry) -> None:
        """Keep these entries, all or none."""
        self.on_call("record")
        if self.full_after is not None:
            if self.full_after < len(entries):
                raise JournalError("the journal cannot be written: database or disk is full", mend="free some space")
            self.full_after -= len(entries)
        self._entries += entries

    def entries(self, run: str) -> Sequence[Entry]:
        """All entries of the run in order."""
        self.on_call("entries")
        return tuple(entry for entry in self._entries if entry.run == run)

    def runs(self, *, newest: int) -> Sequence[str]:
        """The newest runs by their first entry, newest first."""
        self.on_call("runs")
        names = list(dict.fromkeys(entry.run for entry in self._entries))
        return tuple(reversed(names))[:newest]
