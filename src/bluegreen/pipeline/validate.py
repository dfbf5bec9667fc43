"""Phase 3: wait until the slot is ready, then check it. A doomed slot is told at once, with its cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import DeadlineExceeded, PlatformError, ReleaseTimedOut, Unseen
from bluegreen.domain.events import Diagnosed, Phase, PhaseBegan, PhaseDone, Waiting, Warned
from bluegreen.domain.health import Doomed, Limit, Progressing, Reason, SlotDoomed, TimedOut, explained, judge
from bluegreen.domain.plan import other_bits
from bluegreen.domain.release import Validated
from bluegreen.domain.values import replace
from bluegreen.pipeline.checks import check_slot
from bluegreen.pipeline.counters import await_counters
from bluegreen.pipeline.routes import refuse_elsewhere
from bluegreen.ports import Diagnosis

if TYPE_CHECKING:
    from bluegreen.domain.cause import Cause
    from bluegreen.domain.health import Verdict
    from bluegreen.domain.plan import Plan
    from bluegreen.domain.reading import Reading
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Instant, Seconds, Slot
    from bluegreen.pipeline.tools import Tools

STALE: Seconds = 2.0
"""Checks, and counters that were waited for, that took longer end with another look at the slot."""

_RUNS = frozenset({Reason.STARTUP, Reason.READINESS})
"""Causes of a program that goes on: it has a log, and no exit code."""


def validate(tools: Tools, plan: Plan, *, looks: tuple[Reading, ...] = ()) -> Snapshot:
    """Return the snapshot in which the slot was ready and its checks had passed.

    ``looks``: at the old slot, before. Where its counters trail, the new slot's first ones are waited for as well.

    Raises ReleaseFailed with the cause, ReleaseTimedOut with the limit, Held when somebody moves users meanwhile,
    Interrupted, LostLock, PlatformError.
    """
    started = tools.clock.now()
    limit = plan.options.health_deadline
    what = f"{plan.target} until it is ready"
    tools.emit(PhaseBegan(phase=Phase.VALIDATE, what=what, limit=limit))
    ready = wait_until_ready(tools, plan.target, revision=plan.release, limit=limit, users=plan.active)
    for service in other_bits(ready, plan):
        image = next(change.after for change in plan.changes if change.service == service)
        tools.emit(
            Warned(text=f"{service}: {image} is other bits in {plan.target} than in {plan.active}: its tag moved")
        )
    checking = tools.clock.now()
    made = check_slot(tools, plan)
    if any(look.lag for look in looks):
        await_counters(tools, plan, ready=ready)
    if tools.since(checking) > STALE:  # pods may have changed meanwhile
        ready = wait_until_ready(tools, plan.target, revision=plan.release, limit=limit, users=plan.active)
    tools.record(plan.release, Validated(slot=plan.target, checks=made))
    sizes = ", ".join(f"{tools.stack.short(name)} {size}/{size} ready" for name, size in plan.sizes)
    tools.emit(PhaseDone(phase=Phase.VALIDATE, what=sizes, took=tools.since(started)))
    return ready


def wait_until_ready(tools: Tools, slot: Slot, *, revision: str, limit: Seconds, users: Slot | None = None) -> Snapshot:
    """Wait for the verdict. Each change of the pods wakes it; none of them costs a retry.

    ``users``: where they have to stay meanwhile; Held is raised as soon as somebody moves them, for what is waited for
    cannot be switched to then. None: they may be anywhere.
    """
    started = tools.clock.now()
    given = _given(tools, limit)
    last: Snapshot | None = None
    due: Instant | None = None

    def again() -> Instant | None:
        return due

    try:
        for last in tools.platform.changes(until=given.at, again=again):
            if users is not None and any(route.slot is not users for route in last.routes):
                refuse_elsewhere(tools.routes(), users)  # read again: a watch may be behind
            verdict = judge(last, slot, revision=revision, limit=given)
            if not isinstance(verdict, Progressing):
                return _ready(tools, last, verdict, slot=slot)
            due = verdict.again
            left = given.at - tools.clock.now()
            tools.emit(Waiting(wants=verdict.wants, waited=tools.since(started), left=left))
    except Unseen as error:
        raise ReleaseTimedOut(f"{slot} was not seen ready within {given.name}: {error}", mend=error.mend) from error
    except DeadlineExceeded as error:
        if last is None:
            raise _timed_out(slot, TimedOut(given, ("no answer from the platform",))) from error
        last = replace(last, at=given.at)  # nothing has changed until then
        return _ready(tools, last, judge(last, slot, revision=revision, limit=given), slot=slot)
    raise AssertionError("a watch never just ends")  # the port's contract


def _given(tools: Tools, limit: Seconds) -> Limit:
    return Limit(
        name=f"the health validation's {limit:g} s",
        at=tools.limit(limit),
        mend="mend the version, or give it longer with --health-retries",
    )


def _ready(tools: Tools, snapshot: Snapshot, verdict: Verdict, *, slot: Slot) -> Snapshot:
    """The snapshot of a slot that is ready. Raises what else the verdict says."""
    match verdict:
        case Doomed(cause):
            raise _doomed(tools, cause)
        case TimedOut():
            raise _timed_out(slot, verdict)
        case _:
            return snapshot


def _doomed(tools: Tools, cause: Cause) -> SlotDoomed:
    try:
        found = tools.platform.diagnose(cause, until=tools.limit())
    except (PlatformError, DeadlineExceeded) as error:  # the cause is known; only its log is not
        found = Diagnosis(where=f"its log cannot be read now: {error}")
    cause = explained(cause, log=found.log, event=found.event)
    tools.emit(Diagnosed(cause=cause, log=found.log, where=found.where))
    return SlotDoomed(cause, mend=_what_to_do(tools, cause, found.while_there))


def _what_to_do(tools: Tools, cause: Cause, while_there: str) -> str:
    """The cause's own advice; for what has run, where more of its log is as well, and for how long."""
    if cause.exit_code is None and cause.reason not in _RUNS:
        return cause.advice
    more = f"bluegreen logs {tools.stack.short(cause.service)} --slot {cause.slot} shows more"
    lasting = f"{more} {while_there}" if while_there else more
    return f"{cause.advice}: {lasting}" if cause.advice else lasting


def _timed_out(slot: Slot, found: TimedOut) -> ReleaseTimedOut:
    missing = "; ".join(found.wants)
    return ReleaseTimedOut(f"{slot} was not ready within {found.limit.name}: {missing}", mend=found.limit.mend)
