"""How a run ends on the screen, in the journal, and in the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.checklist import checklist
from bluegreen.domain.errors import BluegreenError, DeadlineExceeded, ExitCode, Interrupted, PlatformError
from bluegreen.domain.events import Checklist, Summary, Warned
from bluegreen.domain.mark import standing_of
from bluegreen.domain.release import Ended, Outcome
from bluegreen.domain.values import replace

if TYPE_CHECKING:
    from bluegreen.domain.plan import Plan
    from bluegreen.domain.release import Standing
    from bluegreen.domain.stack import Instant, Slot
    from bluegreen.pipeline.tools import Tools

CODES = {
    Outcome.RELEASED: ExitCode.OK,
    Outcome.NOT_PROVEN: ExitCode.OK,
    Outcome.FAILED: ExitCode.FAILED,
    Outcome.TIMED_OUT: ExitCode.TIMED_OUT,
    Outcome.ROLLED_BACK: ExitCode.ROLLED_BACK,
    Outcome.INTERRUPTED: ExitCode.INTERRUPTED,
    Outcome.YIELDED: ExitCode.HELD,
    Outcome.HELD: ExitCode.HELD,
    Outcome.ABANDONED: ExitCode.FAILED,
}
"""The exit code of each outcome; an error that ended the run may name a more exact one."""


def nothing_to_do(tools: Tools, plan: Plan) -> ExitCode:
    """End a run that has nothing to change."""
    images = ", ".join(f"{tools.stack.short(change.service)} {change.serving}" for change in plan.changes)
    headline = f"nothing to do: {plan.active} serves this already"
    details = (images, "the same references and the same settings; --force stages it again")
    return unchanged(tools, plan.release, headline=headline, details=details)


def unchanged(tools: Tools, run: str, *, headline: str, details: tuple[str, ...]) -> ExitCode:
    """End a run that has changed nothing and has no outcome to record."""
    tools.emit(
        Summary(
            run=run,
            outcome=None,
            headline=headline,
            details=details,
            way_back="",
            took=0.0,
            exit_code=ExitCode.OK,
            stack=tools.stack.name,
        )
    )
    return ExitCode.OK


def dry_run_done(tools: Tools, plan: Plan) -> ExitCode:
    """End a dry run."""
    unfinished = next(tools.runs(), None)
    details = []
    if unfinished is not None and unfinished.open:
        how = "never ended" if unfinished.outcome is None else "was held"
        details.append(f"{unfinished.id} {how}: a deploy ends it first")
    return unchanged(tools, plan.release, headline="dry run: nothing was changed", details=tuple(details))


def summarise(
    tools: Tools, plan: Plan, ended: Ended, *, started: Instant, warm: bool, error: BluegreenError | None = None
) -> ExitCode:
    """Record the end and say it, whoever interrupts that. ``warm``: the slot that does not serve can be returned to at
    once, as far as we know; the slot that users have left is looked at besides.
    """
    with tools.clock.undisturbed():
        return _summarise(tools, plan, ended, started=started, warm=warm, error=error)


def _summarise(
    tools: Tools, plan: Plan, ended: Ended, *, started: Instant, warm: bool, error: BluegreenError | None
) -> ExitCode:
    took = tools.since(started)
    code = _code(ended.outcome, error)
    standing = _standing(tools, plan.active) if ended.outcome.in_effect else None
    tools.record_if_possible(plan.release, replace(ended, took=took, standing=standing, course=tools.course()))
    if ended.outcome.in_effect:
        _tell_checklist(tools, plan.release)
    tools.emit(
        Summary(
            run=plan.release,
            outcome=ended.outcome,
            headline=_headline(plan, ended),
            details=_details(tools, plan, ended, error),
            way_back=_way_back(plan, ended, warm=warm, missing=_missing(tools, standing)),
            took=took,
            exit_code=code,
            stack=tools.stack.name,
        )
    )
    return code


def _standing(tools: Tools, slot: Slot) -> tuple[Standing, ...] | None:
    """How the slot stands that users have left; None: it cannot be seen now."""
    try:
        return standing_of(tools.snapshot().slot_workloads(slot))
    except (PlatformError, DeadlineExceeded):
        return None


def _missing(tools: Tools, standing: tuple[Standing, ...] | None) -> str:
    """The services of the slot that nobody answers for; empty: none, or the slot was not seen."""
    return " and ".join(tools.stack.short(each.service) for each in standing or () if not each.ready)


def _tell_checklist(tools: Tools, release: str) -> None:
    """As far as it is known. A journal that cannot be read now is told, and changes nothing of how the run ended."""
    try:
        run = tools.run(release)
    except BluegreenError as error:
        tools.emit(Warned(text=f"the checklist cannot be made: {error}", mend="bluegreen show makes it later"))
        return
    items = checklist(run) if run is not None else ()
    if items:
        tools.emit(Checklist(run=release, items=items))


def _code(outcome: Outcome, error: BluegreenError | None) -> ExitCode:
    """An interrupted run says so even when users were brought back; a failure before the switch keeps its own code."""
    if isinstance(error, Interrupted):
        return error.exit_code
    if outcome is Outcome.FAILED and error is not None:
        return error.exit_code
    return CODES[outcome]


def _headline(plan: Plan, ended: Ended) -> str:
    if ended.outcome.in_effect:
        return f"{ended.outcome}: {plan.target} serves"
    if ended.outcome in {Outcome.HELD, Outcome.YIELDED}:
        return f"{ended.outcome}: a person must decide"
    return f"{ended.outcome}: {plan.active} serves"


def _details(tools: Tools, plan: Plan, ended: Ended, error: BluegreenError | None) -> tuple[str, ...]:
    images = ", ".join(f"{tools.stack.short(change.service)} {change.after}" for change in plan.changes)
    lines = [f"{plan.stack} to {images}"]
    if ended.why:
        lines.append(f"why: {ended.why}")
    if ended.settle:
        lines.append(f"to settle it: {'; '.join(ended.settle)}")
    if error is not None and error.mend:
        lines.append(f"what to do: {error.mend}")
    if ended.outcome in {Outcome.ROLLED_BACK, Outcome.HELD} and tools.stack.contacts:
        lines.append(f"to be told: {', '.join(tools.stack.contacts)}")
    return tuple(lines)


def _way_back(plan: Plan, ended: Ended, *, warm: bool, missing: str) -> str:
    if ended.outcome.in_effect and warm and missing:
        return f"bluegreen rollback --cold   (to {plan.active}, which has no ready pod of {missing}: a cold start)"
    if ended.outcome.in_effect and warm:
        return f"bluegreen rollback   (to {plan.active}, which is warm: at once)"
    if ended.outcome.in_effect:
        why = f"{plan.active} was ended before the five minutes are known"
        return f"bluegreen rollback --cold   (a cold start: {why})"
    if ended.outcome is Outcome.HELD:
        return f"bluegreen rollback --to {plan.active}"
    if ended.outcome is Outcome.YIELDED:
        return "bluegreen status shows where users are now, and where a rollback leads"
    return further_back(plan.target, warm=warm)


def further_back(idle: Slot, *, warm: bool) -> str:
    """What to say of the idle slot when users are where they were."""
    if warm:
        return f"users are where they were; {idle} is warm with what it held before"
    return f"users are where they were; {idle} holds nothing to go back to"
