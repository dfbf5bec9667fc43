"""One verb, whatever is going on: users end on the slot that was active before.

Never waits for the lock: it takes it over, and the running release stops at its next write. Routes first, records as
well as it can, and asks nothing of the slot that users leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import BluegreenError, ExitCode, Held, JournalError, LostLock
from bluegreen.domain.events import Note, Summary, Warned
from bluegreen.domain.release import Ended, NoWayBack, Outcome, RollbackBegan, RunKind, way_back
from bluegreen.domain.routing import Active, active
from bluegreen.domain.values import dataclass, replace
from bluegreen.pipeline.back import bring_back, refuse_cold
from bluegreen.ports import Cover, Purpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.plan import Plan
    from bluegreen.domain.release import Run
    from bluegreen.domain.snapshot import Route
    from bluegreen.domain.stack import Instant, Seconds, Slot
    from bluegreen.pipeline.back import CameTo
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import Grip

OVERTAKER_LIMIT: Seconds = 2.0
"""How long another rollback that took over may take to do what this one was about to do."""

LOOK_AGAIN: Seconds = 0.05


def rollback(tools: Tools, *, to: Slot | None = None, cold: bool = False, reason: str = "") -> ExitCode:
    """Bring users to the slot that was active before, or to the slot named.

    Raises Held when that slot has no ready pod (``cold`` starts it first) or there is no way back to trust.
    """
    started = tools.clock.now()
    routes = tools.routes()
    found = _target(tools, routes, to)
    if isinstance(found, NoWayBack):
        return _nothing_to_do(tools, found)
    if not cold:
        refuse_cold(tools, found.slot)
    run = tools.new_id("b")
    grip = tools.lock.preempt(Purpose(kind=RunKind.ROLLBACK, run=run, who=tools.who))
    try:
        _get_ready(tools, found, run=run, cold=cold, reason=reason, grip=grip)
        with tools.clock.undisturbed():  # what takes so little time is done whole, and told
            came = bring_back(tools, found.slot, run=run, why=reason or "asked for by hand", grip=grip, routes=routes)
            ended = Ended(outcome=Outcome.ROLLED_BACK, why=reason, took=tools.since(started))
            tools.record_if_possible(run, came.entry, ended)
            _end_open(tools, found, run=run)
            _say(tools, run, found, started=started)
        _tidy(tools, found, came, grip=grip)
    except LostLock as lost:
        _heed_overtaker(tools, lost, run, found, started=started)
    finally:
        tools.lock.release(grip)
    return ExitCode.OK


def _get_ready(tools: Tools, way: _Way, *, run: str, cold: bool, reason: str, grip: Grip) -> None:
    """Look at the slot again, after what the run that was taken over did until now, or start it; and begin the record.

    Raises Held, and what stage and validate raise.
    """
    if not cold:
        refuse_cold(tools, way.slot)
    of = way.of.id if way.of is not None else ""
    tools.record_if_possible(run, RollbackBegan(to=way.slot, of=of, who=tools.who, reason=reason))
    if cold:
        from bluegreen.pipeline.cold import warm_up

        warm_up(tools, way.slot, run=run, grip=grip)


def _heed_overtaker(tools: Tools, lost: LostLock, run: str, way: _Way, *, started: Instant) -> None:
    """Another rollback took over. When it brings users to the same slot, as a second press of the button does, all is
    well; else its error is ours.
    """
    if not _arrives(tools, way.slot):
        tools.record_if_possible(run, Ended(outcome=Outcome.YIELDED, why=str(lost), took=tools.since(started)))
        raise lost
    tools.record_if_possible(run, Ended(outcome=Outcome.ROLLED_BACK, why=str(lost), took=tools.since(started)))
    tools.emit(Note(text=f"{lost}, and has done the same"))
    _say(tools, run, replace(way, of=None), started=started)


def _arrives(tools: Tools, slot: Slot) -> bool:
    looks = tools.looks(OVERTAKER_LIMIT, every=LOOK_AGAIN)
    return any(all(route.slot is slot for route in tools.routes()) for _ in looks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """Where users are to go."""

    slot: Slot
    of: Run | None = None
    """The run that this takes back; None: none, or none is known."""
    newest: Run | None = None
    """The run by which the way back was found; it is taken back unless it was going to the slot itself."""


def _target(tools: Tools, routes: Sequence[Route], to: Slot | None) -> _Way | NoWayBack:
    found = active(routes)
    serving = found.slot if isinstance(found, Active) else None
    try:
        back = way_back(tools.runs(), serving=serving)
    except JournalError as error:
        return _without_journal(tools, error, to)
    if isinstance(back, NoWayBack):
        return back if to is None and back.settled else _without_way_back(back, to)
    slot = to or back.slot
    return _Way(slot=slot, of=back.of if slot is back.slot else None, newest=back.of)


def _without_way_back(found: NoWayBack, to: Slot | None) -> _Way:
    """A slot that is named, whatever it holds."""
    if to is None:
        raise Held(f"no way back to trust: {found.why}", mend="deploy a good version, or name the slot with --to")
    return _Way(slot=to)


def _without_journal(tools: Tools, error: JournalError, to: Slot | None) -> _Way:
    """A journal that cannot be read keeps nobody from a slot that is named."""
    if to is None:
        named = "name the slot, which needs no journal: bluegreen rollback --to SLOT"
        raise JournalError(str(error), mend=f"{named}; or {error.mend}" if error.mend else named) from error
    tools.emit(Warned(text=f"what this takes back is not known: {error}", mend=error.mend))
    return _Way(slot=to)


def _nothing_to_do(tools: Tools, found: NoWayBack) -> ExitCode:
    tools.emit(
        Summary(
            run="",
            outcome=None,
            headline=f"nothing to roll back: {found.why}",
            details=("to move users to the other slot all the same, name it: bluegreen rollback --to SLOT",),
            way_back="",
            took=0.0,
            exit_code=ExitCode.OK,
            stack=tools.stack.name,
        )
    )
    return ExitCode.OK


def _say(tools: Tools, run: str, way: _Way, *, started: Instant) -> None:
    details = _taken_back(way.of, way.slot) if way.of is not None else []
    if tools.stack.contacts:
        details.append(f"to be told: {', '.join(tools.stack.contacts)}")
    tools.emit(
        Summary(
            run=run,
            outcome=Outcome.ROLLED_BACK,
            headline=f"rolled back: {way.slot} serves",
            details=tuple(details),
            way_back=f"forward again: bluegreen rollback --to {way.slot.other}",
            took=tools.since(started),
            exit_code=ExitCode.OK,
            stack=tools.stack.name,
        )
    )


def _taken_back(of: Run, slot: Slot) -> list[str]:
    """The run, and from which version to which, where users were on what it brought."""
    if of.kind is RunKind.ROLLBACK:
        return [f"to where {of.id} was to bring users"]
    details = [f"taken back: {of.id}"]
    met = bool(of.moves) if of.outcome is None else of.outcome is not Outcome.ROLLED_BACK
    if of.plan is not None and of.plan.active is slot and met:
        details += [
            f"{change.service}: from {change.after} to {change.serving}"
            for change in of.plan.changes
            if change.after != change.serving
        ]
    return details


def _end_open(tools: Tools, way: _Way, *, run: str) -> None:
    if way.newest is not None and way.newest.outcome is None:
        from bluegreen.pipeline.unended import end_open

        end_open(tools, way.newest, slot=way.slot, by=run)


def _tidy(tools: Tools, way: _Way, came: CameTo, *, grip: Grip) -> None:
    """After users are safe: budgets follow, and a release stopped before its switch leaves no half-staged slot."""
    try:
        tools.platform.protect(Cover.ACTIVE, grip=grip, until=tools.limit(), routes=came.routes)
        plan = _half_staged(tools, way.of)
        if plan is not None:
            tools.emit(Note(text=f"{plan.release} was stopped while it staged {plan.target}"))
            from bluegreen.pipeline.restore import restore

            restore(tools, plan, left_at=None, grip=grip)
    except BluegreenError as error:
        tools.emit(Warned(text=f"{way.slot} serves, but the other slot was not put in order: {error}", mend=error.mend))


def _half_staged(tools: Tools, of: Run | None) -> Plan | None:
    """The plan of a release that was stopped while it staged; None: there is none.

    Until it was taken over it may have gone on, and have sent users to what is no half-staged slot then: so its journal
    is read again.
    """
    if of is None or of.plan is None or of.outcome is not None or not of.staging or of.moves:
        return None
    now = tools.run(of.id)
    return of.plan if now is not None and not now.moves else None
