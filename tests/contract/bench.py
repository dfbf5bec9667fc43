"""What a test of the contract stands at: one stack on one platform, and what it needs to do to it.

Every platform that can be held to the contract gives a Bench; the tests know nothing else of it. A test begins with
users on a slot whose pods are ready, the lock free, and anything at all in the other slot; so a costly stack can serve
many tests, put in order between them.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING, Protocol

from bluegreen.domain.errors import DeadlineExceeded
from bluegreen.domain.health import Progressing, Ready, judge
from bluegreen.domain.plan import SlotSpec, WorkloadSpec
from bluegreen.domain.release import RunKind
from bluegreen.domain.routing import Active, Move, active
from bluegreen.domain.stack import Instant, Slot, after
from bluegreen.ports import Purpose, never

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from bluegreen.domain.image import ImageReference
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Seconds, Stack
    from bluegreen.ports import Grip, Journal, Lock, Metrics, Platform, SteadyClock

PATIENCE = 60.0
"""Seconds (of the bench's own clock) after which something that has to happen is said not to."""

SOON = 10.0
"""Seconds in which somebody else's change has to be seen, on a machine that is busy with other suites."""

_numbers = count(1)


class Make(StrEnum):
    """How the image of a service behaves."""

    GOOD = "good"
    CANNOT_START = "cannot-start"
    """Its process ends at once with an exit code that is not zero, and a last line in its log."""
    NEVER_READY = "never-ready"
    MISSING = "missing"
    """There is no such image."""


class Bench(Protocol):
    """One stack of at least two services, the last of which has metrics, and many processes that work on it."""

    @property
    def stack(self) -> Stack:
        """The stack, with no custom checks."""

    @property
    def clock(self) -> SteadyClock:
        """The clock of all deadlines."""

    @property
    def evicts(self) -> bool:
        """Whether disruption budgets are written, so that ``protect`` is a write."""

    @property
    def falls_back(self) -> bool:
        """Whether a route can have a second slot, for when the first has nobody to answer."""

    @property
    def counts_users(self) -> bool:
        """Whether the data plane itself counts what it sends to each slot."""

    @property
    def knows_images(self) -> bool:
        """Whether it can be known before a stage that an image is missing."""

    @property
    def reaches_entry(self) -> bool:
        """Whether the address that users call can be asked from where the commands run."""

    def platform(self) -> Platform:
        """A new session, as another process has it."""

    def lock(self) -> Lock:
        """The same."""

    def journal(self) -> Journal:
        """The same."""

    def metrics(self) -> Metrics:
        """The same."""

    def image(self, service: str, make: Make) -> ImageReference:
        """An image of the service."""

    def users(self, service: str, *, requests: int) -> None:
        """Let users make so many requests at the address that they call, and return when all are answered."""

    def later(self, seconds: Seconds, action: Callable[[], object]) -> None:
        """Have something done by somebody else after so many seconds: in virtual time, or by another thread."""

    def interrupt(self) -> None:
        """Tell this process to stop, as SIGINT does."""

    def dead_holder(self, purpose: Purpose) -> None:
        """Let another process take the lock and be killed while it holds it."""

    def no_room(self) -> AbstractContextManager[None]:
        """As long as it lasts, nothing more can be made durable."""


def new_run(letter: str = "r") -> str:
    """A name that no run had before."""
    return f"{letter}-{next(_numbers)}"


def purpose(kind: RunKind = RunKind.RELEASE, *, who: str = "ann") -> Purpose:
    """Why somebody takes the lock."""
    return Purpose(kind=kind, run=new_run(), who=who)


def limit(bench: Bench, seconds: Seconds = PATIENCE) -> Instant:
    """So many seconds from now."""
    return after(bench.clock.now(), seconds)


def look(bench: Bench) -> Snapshot:
    """What a newcomer sees."""
    return bench.platform().snapshot(until=limit(bench))


def home(bench: Bench) -> Slot:
    """The slot that users are on."""
    found = active(look(bench).routes)
    assert isinstance(found, Active), f"the bench has left the stack split: {found}"
    return found.slot


_held: list[tuple[Lock, Grip]] = []


def grip(bench: Bench) -> Grip:
    """A grip that is the newest: whoever had one before has lost the lock."""
    lock = bench.lock()
    newest = lock.preempt(purpose(RunKind.ROLLBACK))
    let_go()
    _held.append((lock, newest))
    return newest


def let_go() -> None:
    """Give back what ``grip`` took: after each test, and what was lost already."""
    while _held:
        lock, held = _held.pop()
        lock.release(held)


def spec(bench: Bench, slot: Slot, make: Make = Make.GOOD, *, run: str = "") -> SlotSpec:
    """What a stage makes of a slot, when all of its images are of this make."""
    wanted = look(bench)
    return SlotSpec(
        slot=slot,
        revision=run or new_run(),
        workloads=tuple(
            WorkloadSpec(
                service=name,
                image=bench.image(name, make),
                replicas=wanted.stage_of(name).replicas,
                template=wanted.stage_of(name).template,
            )
            for name in bench.stack.names
        ),
    )


def moves(snapshot: Snapshot, to: Slot, *, order: Sequence[str], fallback: Slot | None = None) -> tuple[Move, ...]:
    """The writes of a switch."""
    return tuple(
        Move(service=name, to=to, expect=snapshot.route(name).version, fence=new_run("w"), fallback=fallback)
        for name in order
    )


def stamp(bench: Bench) -> None:
    """What another process does that takes over and marks all routes where they are."""
    live = look(bench)
    platform = bench.platform()
    platform.route(moves(live, home(bench), order=bench.stack.names), grip=grip(bench), until=limit(bench))


def wait(
    bench: Bench,
    platform: Platform,
    done: Callable[[Snapshot], bool],
    *,
    what: str,
    again: Callable[[], Instant | None] = never,
) -> Snapshot:
    """Watch until it is so; fail with what was waited for when it never is."""
    last: Snapshot | None = None
    try:
        for last in platform.changes(until=limit(bench), again=again):
            if done(last):
                return last
    except DeadlineExceeded as error:
        raise AssertionError(f"{what}: not within {PATIENCE:g} s; last seen: {last}") from error
    raise AssertionError("a watch never just ends")


def stage_good(bench: Bench, slot: Slot) -> SlotSpec:
    """Stage good images into the slot and wait until they are ready."""
    wanted = spec(bench, slot)
    bench.platform().stage(wanted, grip=grip(bench), until=limit(bench))
    wait_ready(bench, wanted)
    return wanted


def wait_ready(bench: Bench, wanted: SlotSpec) -> Snapshot:
    """Wait until the slot is what the spec says."""

    due: Instant | None = None

    def ready(live: Snapshot) -> bool:
        nonlocal due
        verdict = judge(live, wanted.slot, revision=wanted.revision)
        due = verdict.again if isinstance(verdict, Progressing) else None
        return isinstance(verdict, Ready)

    return wait(bench, bench.platform(), ready, what=f"{wanted.slot} ready", again=lambda: due)
