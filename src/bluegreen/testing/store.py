"""A lock and a journal in memory, with the faults that real ones have."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from bluegreen.domain.errors import HeldBy, JournalError, LostLock
from bluegreen.ports import Grip, Purpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.release import Entry
    from bluegreen.domain.stack import Instant


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

    def __init__(self, state: LockState) -> None:
        """Work on ``state``; two locks on one state are two processes."""
        self._state = state

    def take(self, purpose: Purpose, *, until: Instant) -> Grip:
        """Take it if it is free. As a flock that is taken does, it raises at once when ``until`` is now."""
        del until
        if self._state.holder is not None:
            by = self._state.holder.purpose
            holder = f"{by.kind} {by.run} by {by.who}"
            raise HeldBy(f"another run holds the lock: {holder}", holder=holder, mend="wait for it, or roll back")
        return self._state.renew(purpose)

    def preempt(self, purpose: Purpose) -> Grip:
        """Take over at once."""
        return self._state.renew(purpose)

    def release(self, grip: Grip) -> None:
        """Give it back, if it is still ours."""
        if self._state.holder == grip:
            self._state.holder = None


class FakeJournal:
    """ports.Journal in memory. ``full_after``: the disk is full after so many more entries (SQLITE_FULL)."""

    def __init__(self) -> None:
        """Start empty, with room for everything."""
        self._entries: list[Entry] = []
        self.full_after: int | None = None

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
