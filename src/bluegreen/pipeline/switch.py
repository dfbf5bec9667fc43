"""Phase 4: move the routes, all or none, and have the data plane itself confirm it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import DeadlineExceeded, Held, LostLock, PlatformError, ReleaseFailed, Unseen
from bluegreen.domain.events import Phase, PhaseBegan, PhaseDone, Proved, Routed, Waiting
from bluegreen.domain.health import Ready, judge
from bluegreen.domain.mark import mark_of
from bluegreen.domain.reading import arrived, baseline, risen
from bluegreen.domain.release import Confirmed, Switching
from bluegreen.domain.routing import foreign, routed
from bluegreen.domain.stack import HttpCheck, after
from bluegreen.domain.values import dataclass, replace
from bluegreen.domain.window import Span, span_before
from bluegreen.pipeline.routes import (
    TRIES,
    Written,
    moves_to,
    not_holding_still,
    refuse_elsewhere,
    stamp,
    take_back,
    write,
)
from bluegreen.ports import Check, Cover, Through

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.plan import Plan
    from bluegreen.domain.reading import Reading
    from bluegreen.domain.release import Mark
    from bluegreen.domain.routing import Move
    from bluegreen.domain.snapshot import Route, Snapshot
    from bluegreen.domain.stack import Instant, Seconds, Slot
    from bluegreen.domain.window import Synthetic
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import CheckResult, Grip

ARRIVAL_LIMIT: Seconds = 10.0
"""How long the data plane may take to send users only to the new slot."""

WITNESS_LIMIT: Seconds = 5.0
"""How long a witness is looked for. Without traffic and without an entry address there is none, and that is said."""

LOOK_AGAIN: Seconds = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """A switch that has arrived: our writes, and where the observation window starts from."""

    moves: tuple[Move, ...]
    at: Instant
    before: Reading
    at_switch: Snapshot
    proved: bool
    mark: Mark
    """The counters of both slots before the first write, as the journal has them."""
    reads: int = 0
    """How often each pod's metrics have been read since ``before``, that reading among them."""
    old: Span | None = None
    """What the old slot did before; None: that is not known."""


def switch(tools: Tools, plan: Plan, *, ready: Snapshot, grip: Grip, looks: tuple[Reading, ...] = ()) -> Switched:
    """Move users to the target slot. ``looks``: at the old one, earlier, to compare the window with.

    Raises Held (somebody else's write, platform lost in between), ReleaseFailed (the slot is no longer ready, the data
    plane does not follow), LostLock, JournalError. The caller brings users back.
    """
    started = tools.clock.now()
    order = ", then ".join(tools.stack.short(name) for name in tools.stack.names)
    tools.emit(PhaseBegan(phase=Phase.SWITCH, what=f"users to {plan.target}: {order}", limit=ARRIVAL_LIMIT))
    tools.platform.protect(Cover.BOTH, grip=grip, until=tools.limit())
    before = _read(tools, ready)
    old = span_before(looks, end=before.reading, seconds=plan.options.validation_time)
    moves = _move_all(tools, plan, grip=grip)
    switched = _arrive(tools, plan, moves=moves, before=before, at_switch=ready, started=started)
    return replace(switched, old=old)


def switch_again(tools: Tools, plan: Plan, *, snapshot: Snapshot, grip: Grip) -> Switched:
    """Write the routes anew where they are already, so that a frozen run's write is refused; raises as ``switch``."""
    started = tools.clock.now()
    before = _read(tools, snapshot)
    moves = stamp(
        tools,
        plan.target,
        grip=grip,
        fallback=plan.active,
        announce=lambda moves: tools.record(plan.release, Switching(moves=moves)),
    )
    return _arrive(tools, plan, moves=moves, before=before, at_switch=snapshot, started=started)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    """The counters before the first write, and when they were read, in seconds since 1970."""

    reading: Reading
    at: float


def _read(tools: Tools, snapshot: Snapshot) -> _Before:
    at = tools.clock.wall()
    return _Before(reading=tools.metrics.read(snapshot, until=tools.limit()), at=at)


def _arrive(
    tools: Tools, plan: Plan, *, moves: tuple[Move, ...], before: _Before, at_switch: Snapshot, started: Instant
) -> Switched:
    """Wait until the data plane sends users only to the target slot, then look for a witness."""
    live = wait_until_routed(tools, plan.target, sizes=plan.sizes, moves=moves)
    at, arrived_at = tools.clock.now(), tools.clock.wall()
    tools.emit(Routed(slot=plan.target, services=tools.stack.names, took=at - started))
    start = baseline(before.reading, tools.metrics.read(live, until=tools.limit()), slot=plan.target)
    how, reads = confirm(tools, plan.target, moves=moves, live=live, start=start)
    mark = mark_of(
        before.reading,
        at_switch,
        slot=plan.target,
        limits=tools.stack.limits,
        read_at=before.at,
        at=arrived_at,
    )
    tools.record(plan.release, Confirmed(slot=plan.target, how=how, mark=mark))
    tools.emit(Proved(slot=plan.target, how=how))
    tools.emit(PhaseDone(phase=Phase.SWITCH, what=f"{plan.target} serves", took=tools.since(started)))
    return Switched(moves=moves, at=at, before=start, at_switch=at_switch, proved=bool(how), mark=mark, reads=reads)


def _move_all(tools: Tools, plan: Plan, *, grip: Grip) -> tuple[Move, ...]:
    trouble = ""
    for _ in range(TRIES):
        snapshot = tools.snapshot()
        refuse_elsewhere(snapshot.routes, plan.active)
        _still_ready(snapshot, plan)
        moves = moves_to(tools, snapshot.routes, plan.target, order=tools.stack.names, fallback=plan.active)
        tools.record(plan.release, Switching(moves=moves))
        written = _write_all(tools, plan, moves, grip=grip)
        if not written.strangers:
            return moves
        trouble = written.trouble
    raise not_holding_still(trouble)


def _write_all(tools: Tools, plan: Plan, moves: Sequence[Move], *, grip: Grip) -> Written:
    """Write; when a stranger's write came between, take ours back.

    Raises Held when the platform is lost in between, LostLock when a person has moved again what we had just moved.
    """
    try:
        written = write(tools, moves, grip=grip)
        if written.strangers:
            take_back(tools, moves, plan.active, grip=grip)
            _yield_to_hand(written.strangers, moves)
    except (PlatformError, DeadlineExceeded) as error:
        raise Held(
            f"the platform was lost in the middle of the switch ({error}); both slots keep serving",
            mend="run bluegreen status; the next deploy or rollback ends this",
        ) from error
    return written


def _yield_to_hand(strangers: Sequence[Route], moves: Sequence[Move]) -> None:
    """A route that carries our write and leads elsewhere was moved after it: nobody's wish is overridden by a retry."""
    ours = {move.fence for move in moves}
    for route in strangers:
        if route.fence in ours:
            raise moved_by_somebody(route)


def _still_ready(snapshot: Snapshot, plan: Plan) -> None:
    verdict = judge(snapshot, plan.target, revision=plan.release)
    if not isinstance(verdict, Ready):
        raise ReleaseFailed(f"{plan.target} was ready and is not any more, just before the switch")


def wait_until_routed(
    tools: Tools, slot: Slot, *, sizes: Sequence[tuple[str, int]], moves: Sequence[Move] = ()
) -> Snapshot:
    """Wait until no route has an endpoint outside the slot, and enough of them are ready.

    Raises ReleaseFailed when the data plane does not follow, LostLock when one of these writes is no longer in force.
    """
    started = tools.clock.now()
    deadline = tools.limit(ARRIVAL_LIMIT)
    try:
        for snapshot in tools.platform.changes(until=deadline):
            if yield_to_strangers(tools, snapshot, moves) and routed(snapshot, slot, at_least=sizes):
                return snapshot
            wants = (f"the data plane to send users only to {slot}",)
            tools.emit(Waiting(wants=wants, waited=tools.since(started), left=deadline - tools.clock.now()))
    except Unseen as error:
        what = f"it was not seen within {ARRIVAL_LIMIT:g} s that the data plane followed to {slot}: {error}"
        raise ReleaseFailed(what, mend=error.mend) from error
    except DeadlineExceeded as error:
        raise ReleaseFailed(f"the data plane did not follow to {slot} within {ARRIVAL_LIMIT:g} s") from error
    raise AssertionError("a watch never just ends")  # the port's contract


def confirm(tools: Tools, slot: Slot, *, moves: Sequence[Move], live: Snapshot, start: Reading) -> tuple[str, int]:
    """Find a witness that the slot serves users, and say which; empty: nobody could tell.

    With it, how often each pod's metrics have been read until now: both slots' twice for ``start``.

    Raises ReleaseFailed when the entry addresses go on answering from another slot, LostLock when a route is moved by
    somebody else meanwhile.
    """
    deadline, pause = tools.limit(WITNESS_LIMIT), LOOK_AGAIN
    reads = 2
    while True:
        results = [one for one in tools.platform.check(_entries(tools, slot), until=tools.limit()) if _was_asked(one)]
        strays = [result for result in results if result.answered_by is slot.other]
        if results and all(result.answered_by is slot for result in results):
            return f"{slot} answers at the address that users call", reads
        if not strays and (how := _counted(tools, slot, live=live, start=start, reads=reads)):
            return how, reads + 1
        reads += 1
        if tools.clock.now() >= deadline:
            break
        _watch_routes(tools, moves, until=min(deadline, after(tools.clock.now(), pause)))
        pause *= 2  # so that a witness that never comes costs a handful of looks
    if strays:
        raise ReleaseFailed(f"{strays[0].check.check.service} is still answered by {slot.other} at its entry address")
    return "", reads


def _was_asked(result: CheckResult) -> bool:
    """A service that users only meet behind another one has no address to be asked at."""
    return result.passed is not None


def _watch_routes(tools: Tools, moves: Sequence[Move], *, until: Instant) -> None:
    """Wait. Raises LostLock as soon as a person or another run moves a route."""
    try:
        for live in tools.platform.changes(until=until):
            yield_to_strangers(tools, live, moves)
    except DeadlineExceeded:
        return
    except PlatformError:
        tools.clock.wait(until=until)


def yield_to_strangers(tools: Tools, live: Snapshot, moves: Sequence[Move]) -> bool:
    """A person's two kubectl lines, or another run's rollback, end this run: nothing of theirs is written over.

    Whether the snapshot has our writes. A watch may be behind them, most of all on a busy platform: so what looks like
    a stranger's write is read again, and only that reading ends the run. Raises LostLock, PlatformError.
    """
    if not foreign(live.routes, moves):
        return True
    strangers = foreign(tools.routes(), moves)
    if strangers:
        raise moved_by_somebody(strangers[0])
    return False


def moved_by_somebody(route: Route) -> LostLock:
    """The error for a route that a person or another run has moved since we wrote it."""
    who = route.changed_by or "somebody else"
    return LostLock(f"{route.service} was moved to {route.slot or 'no slot'} by {who}", taken_by=who)


def _entries(tools: Tools, slot: Slot) -> list[Check]:
    return [
        Check(
            check=HttpCheck(name="entry", service=service.name, path=service.ready_path),
            slot=slot,
            through=Through.ENTRY,
        )
        for service in tools.stack.services
    ]


def _counted(tools: Tools, slot: Slot, *, live: Snapshot, start: Reading, reads: int) -> str:
    now = tools.metrics.read(live, until=tools.limit())
    return counted_by(tools, slot, start=start, now=now, reads=reads)


def counted_by(
    tools: Tools, slot: Slot, *, start: Reading, now: Reading, reads: int, made: Synthetic | None = None
) -> str:
    """What counters say: the data plane's, and where it does not count, the pods' own. Empty: they say nothing.

    ``reads``: how often each pod's metrics had been read before ``now``, for it may count that as a request. ``made``:
    requests of our own. A service that others call may have been asked any number of times for them.
    """
    sent = arrived(start, now, slot=slot)
    if sent is not None:
        return f"the data plane has sent {sent} requests to {slot}" if sent else ""
    called = tools.stack.needed if made is not None else ()
    counted = sum(
        max(0, risen(start, now, stack=tools.stack, slot=slot, service=name, reads=reads) - _sent(made, name))
        for name in tools.stack.names
        if name not in called
    )
    return f"the pods of {slot} have counted {counted} requests beyond their probes" if counted else ""


def _sent(made: Synthetic | None, service: str) -> int:
    return made.sent_to(service) if made is not None else 0
