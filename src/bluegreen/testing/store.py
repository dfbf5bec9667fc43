"""A lock and a journal in memory, with the faults that real ones have.

A lock that is held answers as ``flock`` with LOCK_NB does; one whose holder died is free, because the kernel has closed
its file. A journal without room answers as SQLite does: SQLITE_FULL, "database or disk is full", and nothing is kept.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from bluegreen.domain.errors import HeldBy, JournalError, LostLock
from bluegreen.ports import Grip, Purpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.release import Entry
    from bluegreen.domain.stack import Instant
    from bluegreen.testing.clock import FakeClock


@dataclass(slots=True)
class LockState:
    """What all runs on one stack share: the newest fence, and who holds the lock."""

    holder: Grip | None = None
    fence: str = ""
    numbers: count[int] = field(default_factory=lambda: count(1))

    def renew(self, purpose: Purpose) -> Grip:
        """A grip with a fence newer than all others."""
        self.fence = f"fence-{next(self.numbers)}"
        self.holder = Grip(purpose=purpose, fence=self.fence)
        return self.holder

    def check(self, grip: Grip) -> None:
        """Raise LostLock when another run has a newer fence."""
        if grip.fence != self.fence:
            by = self.holder.purpose if self.holder is not None else None
            taken_by = f"{by.kind} {by.run} by {by.who}" if by is not None else "a run that has ended"
            raise LostLock(f"another run took over: {taken_by}", taken_by=taken_by)


class FakeLock:
    """ports.Lock over a shared state."""

    def __init__(self, state: LockState, *, clock: FakeClock | None = None) -> None:
        """Work on ``state``; two locks on one state are two processes. Without a clock it cannot wait."""
        self._state = state
        self._clock = clock

    def take(self, purpose: Purpose, *, until: Instant) -> Grip:
        """Take it, waiting until the deadline for whatever is set to happen. Raises HeldBy with the holder."""
        while (held := self._state.holder) is not None:
            if self._clock is None or self._clock.now() >= until:
                raise _held_by(held.purpose)
            due = self._clock.next_due()
            self._clock.wait(until=until if due is None else min(due, until))
        return self._state.renew(purpose)

    def preempt(self, purpose: Purpose) -> Grip:
        """Take over at once."""
        return self._state.renew(purpose)

    def release(self, grip: Grip) -> None:
        """Give it back, if it is still ours."""
        if self._state.holder == grip:
            self._state.holder = None


def _held_by(purpose: Purpose) -> HeldBy:
    holder = f"{purpose.kind} {purpose.run} by {purpose.who}"
    return HeldBy(f"another run holds the lock: {holder}", holder=holder, mend="wait for it, or roll back")


class FakeJournal:
    """ports.Journal in memory. ``full_after``: the disk is full after so many more entries (SQLITE_FULL)."""

    def __init__(self) -> None:
        """Start empty, with room for everything."""
        self._entries: list[Entry] = []
        self.full_after: int | None = None

    def session(self) -> FakeJournal:
        """The same journal as another process has it."""
        return copy(self)

    def record(self, entry: Entry) -> None:
        """Keep one entry."""
        if self.full_after is not None:
            if self.full_after <= 0:
                raise JournalError("the journal cannot be written: database or disk is full", mend="free some space")
            self.full_after -= 1
        self._entries.append(entry)

    def entries(self, run: str) -> Sequence[Entry]:
        """All entries of the run in order."""
        return tuple(entry for entry in self._entries if entry.run == run)

    def runs(self, *, newest: int) -> Sequence[str]:
        """The newest runs by their first entry, newest first."""
        names = list(dict.fromkeys(entry.run for entry in self._entries))
        return tuple(reversed(names))[:newest]
