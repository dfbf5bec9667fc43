"""What the pipeline needs from outside, as small protocols.

Rules that hold for every implementation, and that the contract suite checks: each call has a deadline and raises
DeadlineExceeded at it, or PlatformError before; what fans out is one batch call; values that come back are immutable;
threads stay inside an adapter. ``until`` is an Instant of the Clock that the adapter was made with.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from bluegreen.domain.stack import Instant, Slot
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from bluegreen.domain.cause import Cause
    from bluegreen.domain.notice import Notice
    from bluegreen.domain.plan import Plan, SlotSpec, WorkloadSpec
    from bluegreen.domain.reading import Reading
    from bluegreen.domain.release import Entry, RunKind
    from bluegreen.domain.routing import Move, RouteResult
    from bluegreen.domain.snapshot import Route, Snapshot
    from bluegreen.domain.stack import CommandCheck, HttpCheck


def never() -> Instant | None:
    """A reader of a watch that is interested in changes only."""
    return None


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


class SteadyClock(Clock, Protocol):
    """A clock at which interrupts can be made to wait: what belongs together is not torn apart. One thread's."""

    def undisturbed(self) -> AbstractContextManager[None]:
        """In this block an interrupt is left where it is; it arrives at the first wait after it."""


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
    """One writer at a time. A dead holder's lock is free by itself, at once or when it has been silent for a while."""

    def take(self, purpose: Purpose, *, until: Instant) -> Grip:
        """Take it, waiting until the deadline. Raises HeldBy with the holder, and whether it is seen to live.

        What is seen of the holder is remembered from call to call of one object.
        """

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
    rule: str = ""
    """The name of the rule (``domain/rules.py``); empty: it is of this moment, or of this plan."""
    why: str = ""
    """Why it matters."""


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
    missing_right: str = ""
    """The right that it takes and the account lacks, in a Role's words: ``get pods/proxy``; empty: none. Then there is
    one such result for the check, however many pods it is about."""
    absent: bool = False
    """There is no such place: the slot has no address of its own for the service. Not passed, not failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A command check to be run, and what it is told of the release."""

    check: CommandCheck
    slot: Slot
    release: str
    workloads: tuple[WorkloadSpec, ...]
    """What the slot holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrandEnd:
    """How a command check ended. One that could not be started, or was killed at its limit, has not passed."""

    passed: bool
    detail: str
    """How it ended, and the last lines of its output, fit to be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What helps a person: the last log lines, bounded and without control characters, and where more is."""

    log: tuple[str, ...] = ()
    where: str = ""
    event: str = ""
    """What the platform said last about it; empty: nothing, or it cannot be known."""
    while_there: str = ""
    """For how long more of the log can be seen, as a clause; empty: for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTail:
    """The end of one replica's log, and where the whole of it is."""

    where: str
    lines: tuple[str, ...]


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

    def examine(self, *, until: Instant) -> Sequence[Finding]:
        """What speaks against any release of this stack, and what one would lose; the ones that refuse first.

        Changes nothing, not even by a dry run. Raises PlatformError when there is nothing to look at.
        """

    def snapshot(self, *, until: Instant) -> Snapshot:
        """The stack now."""

    def routes(self, *, until: Instant) -> Sequence[Route]:
        """Where users go now and by whose write, in the stack's order; a snapshot's routes without their endpoints."""

    def answering(self, slot: Slot, *, until: Instant) -> frozenset[str]:
        """The services whose workload answers in the slot: users who are sent there meet somebody."""

    def changes(self, *, until: Instant, again: Callable[[], Instant | None] = never) -> Iterator[Snapshot]:
        """The stack now, then again at each change. Never just ends. Its states are dated (``domain/dating.py``).

        ``again`` is asked before each wait: when the reader has to look again though nothing changes, because a state
        that lasts means something else then. None: only a change matters. What cannot be seen is not looked at again.

        Raises DeadlineExceeded at ``until``, as Unseen when nothing could be seen there; Interrupted, or LostLock when
        another run has taken over.
        """

    def stage(self, want: SlotSpec, *, grip: Grip, until: Instant) -> None:
        """Make the slot what the spec says; what ran there is ended first, by needs. Returns when it was asked for.

        No request falls back to the slot from then on. Raises LostLock, and Held when users are on the slot: it is not
        touched then.
        """

    def route(self, moves: Sequence[Move], *, grip: Grip, until: Instant) -> Sequence[RouteResult]:
        """Write the routes in this order, each only from the version that was judged. Stops at the first that fails.

        Returns one result for each write tried. Raises LostLock before the first write, also when there is none to
        make; a lock that is lost later ends the results.
        """

    def protect(self, cover: Cover, *, grip: Grip, until: Instant, routes: Sequence[Route] | None = None) -> None:
        """Let the disruption budgets cover what may serve. Nothing to do on a platform that evicts nobody.

        ``routes``: as they were read just now with our own writes, which shows that nobody has taken over; None: they
        are read. Raises LostLock.
        """

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

    def record(self, *entries: Entry) -> None:
        """Append these entries of one run, all or none."""

    def entries(self, run: str) -> Sequence[Entry]:
        """All entries of a run in order; empty: no such run."""

    def runs(self, *, newest: int) -> Iterable[str]:
        """The ids of the newest runs, newest first; each is looked for when it is asked for."""


class Commands(Protocol):
    """Runs the app file's command checks where the release runs."""

    def examine(self, check: CommandCheck) -> str:
        """Why this command cannot be run here, as far as that is known beforehand; empty: nothing speaks against it."""

    def run(self, errand: Errand, *, until: Instant) -> ErrandEnd:
        """Run it; at ``until`` it is killed, with all that it has started in its process group. Raises Interrupted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What came of a notice at one address. ``to``: as it may be shown; ``why`` it was not sent, empty: it was."""

    to: str
    why: str = ""


class Notifier(Protocol):
    """Tells people of a run that is over."""

    def send(self, notice: Notice, *, until: Instant) -> Sequence[Delivery]:
        """Send it to all at once, and give up at ``until``. Raises nothing: what went wrong is in the deliveries."""


class Metrics(Protocol):
    """Counters by pod identity; gaps are explicit."""

    def read(self, snapshot: Snapshot, *, until: Instant) -> Reading:
        """All counters of the pods in the snapshot. Never raises for a pod that cannot be read: that is a gap."""

    def foresee(self, snapshot: Snapshot, *, until: Instant) -> Sequence[Finding]:
        """What will stay unproven because it cannot be counted, as far as it can be known before the first write.

        Warnings and notes only; nothing is refused for it, and nothing raised.
        """
