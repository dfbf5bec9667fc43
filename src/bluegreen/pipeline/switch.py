"""Phase 4: move the routes, all or none, and have the data plane itself confirm it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bluegreen.domain.errors import DeadlineExceeded, Held, PlatformError, ReleaseFailed
from bluegreen.domain.events import Phase, PhaseBegan, PhaseDone, Proved, Routed, Waiting
from bluegreen.domain.health import Ready, judge
from bluegreen.domain.reading import arrived, baseline
from bluegreen.domain.release import Confirmed, Switching
from bluegreen.domain.routing import routed
from bluegreen.domain.stack import HttpCheck, after
from bluegreen.pipeline.routes import (
    TRIES,
    Written,
    moves_to,
    not_holding_still,
    refuse_elsewhere,
    take_back,
    write,
)
from bluegreen.ports import Check, Cover, Through

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.plan import Plan
    from bluegreen.domain.reading import Reading
    from bluegreen.domain.routing import Move
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Instant, Seconds, Slot
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import Grip

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


def switch(tools: Tools, plan: Plan, *, ready: Snapshot, grip: Grip) -> Switched:
    """Move users to the target slot.

    Raises Held (somebody else's write, platform lost in between), ReleaseFailed (the slot is no longer ready, the data
    plane does not follow), LostLock, JournalError. The caller brings users back.
    """
    started = tools.clock.now()
    order = ", then ".join(tools.stack.short(name) for name in tools.stack.names)
    tools.emit(PhaseBegan(phase=Phase.SWITCH, what=f"users to {plan.target}: {order}", limit=ARRIVAL_LIMIT))
    tools.platform.protect(Cover.BOTH, grip=grip, until=tools.limit())
    before = tools.metrics.read(ready, until=tools.limit())
    moves = _move_all(tools, plan, grip=grip)
    return _arrive(tools, plan, moves=moves, before=before, at_switch=ready, started=started)


def switch_again(tools: Tools, plan: Plan, *, snapshot: Snapshot, grip: Grip) -> Switched:
    """Write the routes anew where they are already, so that a frozen run's write is refused; raises as ``switch``."""
    started = tools.clock.now()
    before = tools.metrics.read(snapshot, until=tools.limit())
    moves = moves_to(tools, snapshot, plan.target, order=tools.stack.names, fallback=plan.active)
    tools.record(plan.release, Switching(moves=moves))
    written = write(tools, moves, grip=grip)
    if written.strangers:
        raise not_holding_still(written.trouble)
    return _arrive(tools, plan, moves=moves, before=before, at_switch=snapshot, started=started)


def _arrive(
    tools: Tools, plan: Plan, *, moves: tuple[Move, ...], before: Reading, at_switch: Snapshot, started: Instant
) -> Switched:
    """Wait until the data plane sends users only to the target slot, then look for a witness."""
    live = wait_until_routed(tools, plan.target, sizes=plan.sizes)
    at = tools.clock.now()
    tools.emit(Routed(slot=plan.target, services=tools.stack.names, took=at - started))
    start = baseline(before, tools.metrics.read(live, until=tools.limit()), slot=plan.target)
    how = confirm(tools, plan.target, live=live, start=start)
    tools.record(plan.release, Confirmed(slot=plan.target, how=how))
    tools.emit(Proved(slot=plan.target, how=how))
    tools.emit(PhaseDone(phase=Phase.SWITCH, what=f"{plan.target} serves", took=tools.since(started)))
    return Switched(moves=moves, at=at, before=start, at_switch=at_switch, proved=bool(how))


def _move_all(tools: Tools, plan: Plan, *, grip: Grip) -> tuple[Move, ...]:
    trouble = ""
    for _ in range(TRIES):
        snapshot = tools.snapshot()
        refuse_elsewhere(snapshot.routes, plan.active)
        _still_ready(snapshot, plan)
        moves = moves_to(tools, snapshot, plan.target, order=tools.stack.names, fallback=plan.active)
        tools.record(plan.release, Switching(moves=moves))
        written = _write_all(tools, plan, moves, grip=grip)
        if not written.strangers:
            return moves
        trouble = written.trouble
    raise not_holding_still(trouble)


def _write_all(tools: Tools, plan: Plan, moves: Sequence[Move], *, grip: Grip) -> Written:
    """Write; when a stranger's write came between, take ours back. Raises Held when the platform is lost in between."""
    try:
        written = write(tools, moves, grip=grip)
        if written.strangers:
            take_back(tools, moves, plan.active, grip=grip)
    except (PlatformError, DeadlineExceeded) as error:
        raise Held(
            f"the platform was lost in the middle of the switch ({error}); both slots keep serving",
            mend="run bluegreen status; the next deploy or rollback ends this",
        ) from error
    return written


def _still_ready(snapshot: Snapshot, plan: Plan) -> None:
    verdict = judge(snapshot, plan.target, revision=plan.release)
    if not isinstance(verdict, Ready):
        raise ReleaseFailed(f"{plan.target} was ready and is not any more, just before the switch")


def wait_until_routed(tools: Tools, slot: Slot, *, sizes: Sequence[tuple[str, int]]) -> Snapshot:
    """Wait until no route has an endpoint outside the slot, and enough of them are ready."""
    started = tools.clock.now()
    deadline = tools.limit(ARRIVAL_LIMIT)
    try:
        for snapshot in tools.platform.changes(until=deadline):
            if routed(snapshot, slot, at_least=sizes):
                return snapshot
            wants = (f"the data plane to send users only to {slot}",)
            tools.emit(Waiting(wants=wants, waited=tools.since(started), left=deadline - tools.clock.now()))
    except DeadlineExceeded as error:
        raise ReleaseFailed(f"the data plane did not follow to {slot} within {ARRIVAL_LIMIT:g} s") from error
    raise AssertionError("a watch never just ends")  # the port's contract


def confirm(tools: Tools, slot: Slot, *, live: Snapshot, start: Reading) -> str:
    """Find a witness that the slot serves users, and say which; empty: nobody could tell.

    Raises ReleaseFailed when the entry addresses go on answering from another slot.
    """
    deadline = tools.limit(WITNESS_LIMIT)
    while True:
        results = tools.platform.check(_entries(tools, slot), until=tools.limit())
        strays = [result for result in results if result.answered_by is slot.other]
        if results and all(result.answered_by is slot for result in results):
            return f"{slot} answers at the address that users call"
        if not strays and (counted := _counted(tools, slot, live=live, start=start)):
            return f"the data plane has sent {counted} requests to {slot}"
        if tools.clock.now() >= deadline:
            break
        tools.clock.wait(until=min(deadline, after(tools.clock.now(), LOOK_AGAIN)))
    if strays:
        raise ReleaseFailed(f"{strays[0].check.check.service} is still answered by {slot.other} at its entry address")
    return ""


def _entries(tools: Tools, slot: Slot) -> list[Check]:
    return [
        Check(
            check=HttpCheck(name="entry", service=service.name, path=service.probes.readiness.path),
            slot=slot,
            through=Through.ENTRY,
        )
        for service in tools.stack.services
    ]


def _counted(tools: Tools, slot: Slot, *, live: Snapshot, start: Reading) -> int:
    return arrived(start, tools.metrics.read(live, until=tools.limit()), slot=slot) or 0
