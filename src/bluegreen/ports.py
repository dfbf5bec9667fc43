"""What the pipeline needs from outside, as small protocols.

Rules that hold for every implementation, and that the contract suite checks: each call has a deadline and raises
DeadlineExceeded at it, or PlatformError before; what fans out is one batch call; values that come back are immutable;
threads stay inside an adapter. ``until`` is an Instant of the Clock that the adapter was made with.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from bluegreen.domain.stack import Instant, Slot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bluegreen.domain.health import Cause
    from bluegreen.domain.plan import Plan, SlotSpec
    from bluegreen.domain.reading import Reading
    from bluegreen.domain.release import Entry, RunKind
    from bluegreen.domain.routing import Move, RouteResult
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import HttpCheck


class Clock(Protocol):
    """Time. Nothing else in the program reads a clock or sleeps."""

    def now(self) -> Instant:
        """The monotonic clock, in seconds."""

    def wall(self) -> float:
        """Seconds since 1970, for the record only."""

    def wait(self, *, until: Instant) -> None:
        """Return at ``until``. Raises Interrupted when the process is told to stop meanwhile."""

    def raise_if_interrupted(self) -> None:
        """Raise Interrupted, once, when the process was told to stop since the last call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """Why the lock is taken: shown to whoever finds it taken."""

    kind: RunKind
    run: str
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grip:
    """Proof that the lock is ours: every write carries its fence, and is refused once another run has a newer one."""

    purpose: Purpose
    fence: str


class Lock(Protocol):
    """One writer at a time. A dead holder's lock is free by itself."""

    def take(self, purpose: Purpose, *, until: Instant) -> Grip:
        """Take it, waiting until the deadline. Raises HeldBy with the holder."""

    def preempt(self, purpose: Purpose) -> Grip:
        """Take over at once, whoever holds it: their next write raises LostLock. For a rollback only; never waits."""

    def release(self, grip: Grip) -> None:
        """Give it back. Harmless when it was lost meanwhile."""


class Severity(StrEnum):
    """What a finding means for a release."""

    REFUSE = "refuse"
    WARN = "warn"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something found before the first write: what, where (in ``text``), and the mend."""

    severity: Severity
    text: str
    mend: str = ""


class Cover(StrEnum):
    """What the disruption budgets protect."""

    ACTIVE = "active"
    """The slot that serves, at the specification's minimum."""
    BOTH = "both"
    """Every pod of both slots, while users may be on either."""


class Through(StrEnum):
    """Which way a check takes."""

    PODS = "pods"
    """To every pod of the service in the slot."""
    PREVIEW = "preview"
    """To the slot's own address of the service."""
    ENTRY = "entry"
    """To the address that users call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A request to make: the check, the slot it is about, and the way it takes."""

    check: HttpCheck
    slot: Slot
    through: Through


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What came of it. ``passed`` None: it could not be made, which is never a failed check."""

    check: Check
    passed: bool | None
    detail: str
    answered_by: Slot | None = None
    """The slot that answered, as the data plane says; None: it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What helps a person: the last log lines, bounded and without control characters, and where more is."""

    log: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedSlot:
    """How a slot's end went: services in the order in which they were gone; what was still open when it was cut."""

    services: tuple[str, ...]
    cut: int = 0
    """Requests or WebSockets that were open when the drain's time was up."""


class Platform(Protocol):
    """One stack on one platform."""

    def preflight(self, plan: Plan, *, until: Instant) -> Sequence[Finding]:
        """What speaks against this plan, before anything is written."""

    def snapshot(self, *, until: Instant) -> Snapshot:
        """The stack now."""

    def changes(self, *, until: Instant) -> Iterator[Snapshot]:
        """The stack now, then again at each change. Never just ends.

        Raises DeadlineExceeded at ``until``, Interrupted, or LostLock when another run has taken over.
        """

    def stage(self, want: SlotSpec, *, grip: Grip, until: Instant) -> None:
        """Make the slot what the spec says; what ran there is ended first, by needs. Returns when it was asked for.

        No request falls back to the slot from then on. Raises LostLock, and Held when users are on the slot: it is not
        touched then.
        """

    def route(self, moves: Sequence[Move], *, grip: Grip, until: Instant) -> Sequence[RouteResult]:
        """Write the routes in this order, each only from the version that was judged. Stops at the first that fails.

        Returns one result for each write tried. Raises LostLock before the first write; a lock that is lost later ends
        the results.
        """

    def protect(self, cover: Cover, *, grip: Grip, until: Instant) -> None:
        """Let the disruption budgets cover what may serve. Nothing to do on a platform that evicts nobody."""

    def check(self, checks: Sequence[Check], *, until: Instant) -> Sequence[CheckResult]:
        """Make these requests, all at once. One result for each pod or address asked."""

    def diagnose(self, cause: Cause, *, until: Instant) -> Diagnosis:
        """Fetch what explains the cause."""

    def end(self, slot: Slot, *, order: Sequence[str], grip: Grip, until: Instant) -> EndedSlot:
        """End the slot's services in this order: each drained and gone before the next.

        Raises LostLock, and Held when users are on the slot.
        """


class Journal(Protocol):
    """The runs' entries. ``record`` is durable when it returns; it raises JournalError when it cannot be."""

    def record(self, entry: Entry) -> None:
        """Append one entry."""

    def entries(self, run: str) -> Sequence[Entry]:
        """All entries of a run in order; empty: no such run."""

    def runs(self, *, newest: int) -> Sequence[str]:
        """The ids of the newest runs, newest first."""


class Metrics(Protocol):
    """Counters by pod identity; gaps are explicit."""

    def read(self, snapshot: Snapshot, *, until: Instant) -> Reading:
        """All counters of the pods in the snapshot. Never raises for a pod that cannot be read: that is a gap."""
