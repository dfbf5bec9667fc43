"""Phase 3: wait until the slot is ready, then check it. A doomed slot is told at once, with its cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import DeadlineExceeded, PlatformError, ReleaseFailed, ReleaseTimedOut
from bluegreen.domain.events import Checked, Diagnosed, Phase, PhaseBegan, PhaseDone, Waiting, Warned
from bluegreen.domain.health import Doomed, Progressing, Ready, SlotDoomed, judge
from bluegreen.domain.plan import other_bits
from bluegreen.domain.release import Validated
from bluegreen.ports import Check, Diagnosis, Through

if TYPE_CHECKING:
    from bluegreen.domain.health import Cause
    from bluegreen.domain.plan import Plan
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import HttpCheck, Instant, Seconds, Slot
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import CheckResult

CHECK_SLACK: Seconds = 5.0


def validate(tools: Tools, plan: Plan) -> Snapshot:
    """Return the snapshot in which the slot was ready and its checks had passed.

    Raises ReleaseFailed with the cause, ReleaseTimedOut with the limit, Interrupted, LostLock, PlatformError.
    """
    started = tools.clock.now()
    limit = plan.options.health_deadline
    what = f"{plan.target} until it is ready"
    tools.emit(PhaseBegan(phase=Phase.VALIDATE, what=what, limit=limit))
    ready = wait_until_ready(tools, plan.target, revision=plan.release, limit=limit)
    for service in other_bits(ready, plan):
        image = next(change.after for change in plan.changes if change.service == service)
        tools.emit(
            Warned(text=f"{service}: {image} is other bits in {plan.target} than in {plan.active}: its tag moved")
        )
    check_slot(tools, plan.target)
    tools.record(plan.release, Validated(slot=plan.target))
    sizes = ", ".join(f"{tools.stack.short(name)} {size}/{size} ready" for name, size in plan.sizes)
    tools.emit(PhaseDone(phase=Phase.VALIDATE, what=sizes, took=tools.since(started)))
    return ready


def wait_until_ready(tools: Tools, slot: Slot, *, revision: str, limit: Seconds) -> Snapshot:
    """Wait for the verdict. Each change of the pods wakes it; none of them costs a retry."""
    started = tools.clock.now()
    deadline = tools.limit(limit)
    wants: tuple[str, ...] = ()
    try:
        for snapshot in tools.platform.changes(until=deadline):
            match judge(snapshot, slot, revision=revision):
                case Ready():
                    return snapshot
                case Doomed(cause):
                    raise _doomed(tools, cause)
                case Progressing(wants):
                    tools.emit(Waiting(wants=wants, waited=tools.since(started), left=deadline - tools.clock.now()))
    except DeadlineExceeded as error:
        raise _timed_out(slot, wants, limit) from error
    raise AssertionError("a watch never just ends")  # the port's contract


def _doomed(tools: Tools, cause: Cause) -> SlotDoomed:
    try:
        found = tools.platform.diagnose(cause, until=tools.limit())
    except (PlatformError, DeadlineExceeded) as error:  # the cause is known; only its log is not
        found = Diagnosis(where=f"its log cannot be read now: {error}")
    tools.emit(Diagnosed(cause=cause, log=found.log, where=found.where))
    return SlotDoomed(cause, mend=_what_to_do(tools, cause))


def _what_to_do(tools: Tools, cause: Cause) -> str:
    """The cause's own advice; for what has run and ended, where more of its log is as well."""
    if cause.exit_code is None:
        return cause.advice
    more = f"bluegreen logs {tools.stack.short(cause.service)} --slot {cause.slot} shows more"
    return f"{cause.advice}: {more}" if cause.advice else more


def _timed_out(slot: Slot, wants: tuple[str, ...], limit: Seconds) -> ReleaseTimedOut:
    missing = "; ".join(wants) or "no answer from the platform"
    return ReleaseTimedOut(
        f"{slot} was not ready within the health validation's {limit:g} s: {missing}",
        mend="mend the version, or give it longer with --health-retries",
    )


def check_slot(tools: Tools, slot: Slot) -> None:
    """Make the app file's checks on every pod of the slot, and its own addresses answer.

    Raises ReleaseFailed for a failed check, and for one that could not be made: missing evidence is never success.
    """
    wanted = [Check(check=check, slot=slot, through=Through.PODS) for check in tools.stack.checks]
    wanted += [Check(check=check, slot=slot, through=Through.PREVIEW) for check in tools.stack.checks]
    if not wanted:
        return
    results = tools.platform.check(wanted, until=_check_deadline(tools, tools.stack.checks))
    for result in results:
        tools.emit(Checked(name=_name(result), passed=result.passed is True, detail=result.detail))
    bad = [result for result in results if result.passed is not True]
    if bad:
        raise ReleaseFailed(f"check {_name(bad[0])} in {slot}: {bad[0].detail}")


def _check_deadline(tools: Tools, checks: tuple[HttpCheck, ...]) -> Instant:
    return tools.limit(max(check.timeout for check in checks) + CHECK_SLACK)


def _name(result: CheckResult) -> str:
    return f"{result.check.check.name!r} ({result.check.check.service}, {result.check.through})"
