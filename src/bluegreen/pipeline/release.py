"""One release, from the request to its end. Reads like the specification's list of phases.

Before the switch an error means that users saw nothing: the idle slot gets its previous images back. After it an error
means that users go back first. Whatever happens, the last event is a Summary with the way back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import (
    BluegreenError,
    ExitCode,
    Held,
    Interrupted,
    LostLock,
    ReleaseFailed,
    ReleaseTimedOut,
)
from bluegreen.domain.events import Failing, Note, Warned
from bluegreen.domain.finding import Judgement
from bluegreen.domain.finding import Outcome as Judged
from bluegreen.domain.health import SlotDoomed
from bluegreen.domain.release import Began, Ended, Outcome, RunKind
from bluegreen.domain.values import replace
from bluegreen.pipeline.back import go_back
from bluegreen.pipeline.deploy import deploy
from bluegreen.pipeline.detect import detect
from bluegreen.pipeline.ending import dry_run_done, nothing_to_do, summarise
from bluegreen.pipeline.observe import Watched, observe
from bluegreen.pipeline.oldslot import look_at, unless_asleep
from bluegreen.pipeline.pickup import pick_up
from bluegreen.pipeline.recorder import recorded
from bluegreen.pipeline.restore import restore
from bluegreen.pipeline.retire import retire
from bluegreen.pipeline.switch import switch, switch_again
from bluegreen.pipeline.turn import take_turn
from bluegreen.pipeline.validate import validate
from bluegreen.ports import Cover, Purpose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bluegreen.domain.cause import Cause
    from bluegreen.domain.image import ImageReference
    from bluegreen.domain.plan import Options, Plan
    from bluegreen.domain.release import Run
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Instant, Slot
    from bluegreen.pipeline.switch import Switched
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import Grip


def release(tools: Tools, *, images: Mapping[str, ImageReference], options: Options, dry_run: bool = False) -> ExitCode:
    """Release these images. Raises BluegreenError only when nothing was changed; every other end is a Summary."""
    run = tools.new_id("r")
    if dry_run:
        return dry_run_done(tools, detect(tools, images=images, options=options, run=run, dry_run=True))
    purpose = Purpose(kind=RunKind.RELEASE, run=run, who=tools.who)
    grip = take_turn(tools, purpose)
    try:
        return _locked(tools, images=images, options=options, run=run, grip=grip)
    finally:
        tools.lock.release(grip)


def _locked(tools: Tools, *, images: Mapping[str, ImageReference], options: Options, run: str, grip: Grip) -> ExitCode:
    found = pick_up(tools, grip=grip, resume=resume)
    if found is not None and found is not ExitCode.OK:
        return found
    tools = recorded(tools)
    plan = detect(tools, images=images, options=options, run=run, dry_run=False)
    if plan.nothing_to_do:
        return nothing_to_do(tools, plan)
    tools.record(run, Began(plan=plan, who=tools.who))
    return _phases(tools, plan, grip=grip)


def _phases(tools: Tools, plan: Plan, *, grip: Grip) -> ExitCode:
    started, wall = tools.clock.now(), tools.clock.wall()
    try:
        looks = look_at(tools, plan.active)
        deploy(tools, plan, grip=grip)
        looks += look_at(tools, plan.active)
        ready = validate(tools, plan, looks=looks)
    except BluegreenError as error:
        return _end_before(tools, plan, error, started=started, grip=grip)
    try:
        looks = unless_asleep(tools, looks, since=started, wall=wall)
        switched = switch(tools, plan, ready=ready, looks=looks, grip=grip)
    except BluegreenError as error:
        end = _end_after if _has_left(tools, plan) else _end_before
        return end(tools, plan, error, started=started, grip=grip)
    return _finish(tools, plan, switched, started=started, grip=grip)


def _has_left(tools: Tools, plan: Plan) -> bool:
    """Whether a write to a route was announced: users may have left the active slot.

    A journal that cannot be read says nothing; going back to the active slot is harmless then.
    """
    run = _so_far(tools, plan)
    return run is None or bool(run.moves)


def _has_staged(tools: Tools, plan: Plan) -> bool:
    """Whether a stage was announced; until then the idle slot is as it was, and is left alone."""
    run = _so_far(tools, plan)
    return run is None or run.staging


def _so_far(tools: Tools, plan: Plan) -> Run | None:
    """This release by its journal; None: that cannot be read."""
    try:
        with tools.clock.undisturbed():
            return tools.run(plan.release)
    except BluegreenError:
        return None


def resume(tools: Tools, plan: Plan, *, watched: Watched | None, snapshot: Snapshot, grip: Grip) -> ExitCode:
    """Take up a release that was killed after its switch: mark the routes anew, confirm, observe, end it.

    A judgement that is in the journal already stands, and so does its witness; a window that was not judged is watched
    again.
    """
    tools = recorded(tools)
    started = tools.clock.now()
    try:
        if watched is not None:
            _heed(watched.judgement)
        first = _so_far(tools, plan)
        switched = switch_again(tools, plan, snapshot=snapshot, grip=grip)
    except BluegreenError as error:
        return _end_after(tools, plan, error, started=started, grip=grip)
    if first is not None and first.mark is not None:
        switched = replace(switched, mark=first.mark)  # users came then, and what they met is counted from there
    return _finish(tools, plan, switched, watched=watched, started=started, grip=grip)


def _finish(
    tools: Tools, plan: Plan, switched: Switched, *, watched: Watched | None = None, started: Instant, grip: Grip
) -> ExitCode:
    try:
        watched = watched or observe(tools, plan, switched)
        _heed(watched.judgement)
        ended = _outcome(watched.judgement, proved=watched.proved or switched.proved)
        _require_proof(plan, ended)
    except BluegreenError as error:
        return _end_after(tools, plan, error, started=started, grip=grip)
    try:
        kept = _retire(tools, plan, switched, grip=grip) if plan.options.scale_down_old else None
    except (LostLock, Held) as error:
        return _end_yielded(tools, plan, error, started=started)
    _protect(tools, grip=grip)
    warm = kept is not None or not plan.options.scale_down_old
    return summarise(tools, plan, ended, started=started, warm=warm, error=kept)


def _require_proof(plan: Plan, ended: Ended) -> None:
    """``--require-proof``: a release that nothing proves is none. Raises ReleaseFailed."""
    if plan.options.require_proof and ended.outcome is Outcome.NOT_PROVEN:
        mend = f"to settle it: {'; '.join(ended.settle)}" if ended.settle else ""
        raise ReleaseFailed(f"it was not proven, which --require-proof asks for: {ended.why}", mend=mend)


def _heed(judgement: Judgement) -> None:
    if judgement.outcome is Judged.FAIL:
        raise ReleaseFailed("; ".join(judgement.reasons))


def _outcome(judgement: Judgement, *, proved: bool) -> Ended:
    if judgement.outcome is Judged.PASS and proved:
        return Ended(outcome=Outcome.RELEASED)
    missing, settle = list(judgement.reasons), list(judgement.settles)
    if not proved:
        missing.insert(0, "no witness saw a user's request answered by the new slot")
        settle = settle or ["a request of a user"]
    return Ended(outcome=Outcome.NOT_PROVEN, why="; ".join(missing), settle=tuple(settle))


def _retire(tools: Tools, plan: Plan, switched: Switched, *, grip: Grip) -> BluegreenError | None:
    """End the old slot; what has kept it from being ended, so that it is warm; None: nothing.

    A failure here is told and no more: the release itself is good. Raises LostLock and Held when users were moved.
    """
    try:
        retire(tools, plan, switched_at=switched.at, grip=grip)
    except (LostLock, Held):
        raise
    except BluegreenError as error:
        tools.emit(Warned(text=f"{plan.active} was not ended: {error}", mend=error.mend))
        return error
    return None


def _protect(tools: Tools, *, grip: Grip) -> None:
    try:
        with tools.clock.undisturbed():
            tools.platform.protect(Cover.ACTIVE, grip=grip, until=tools.limit())
    except BluegreenError as error:
        tools.emit(Warned(text=f"the disruption budgets were not set: {error}", mend=error.mend))


def _end_before(tools: Tools, plan: Plan, error: BluegreenError, *, started: Instant, grip: Grip) -> ExitCode:
    """Users saw nothing. Put the idle slot back, unless another run has taken over or it is wanted for looking."""
    if isinstance(error, Held) and _slots_of_users(tools) != {plan.active}:
        return _end_yielded(tools, plan, _lost(tools, grip=grip) or error, started=started)
    tools.emit(Failing(why=str(error), users="users saw nothing"))
    ended = Ended(outcome=_outcome_before(error), why=str(error), cause=_cause(error))
    if isinstance(error, LostLock):
        return summarise(tools, plan, ended, started=started, error=error, warm=False)
    try:
        warm = _put_back(tools, plan, left_at=None, grip=grip)
    except LostLock as lost:  # it slept through its own limit, for example: another run has the stack by now
        ended = Ended(outcome=Outcome.YIELDED, why=f"{lost}; before that: {error}")
        return summarise(tools, plan, ended, started=started, error=lost, warm=False)
    _protect(tools, grip=grip)
    return summarise(tools, plan, ended, started=started, error=error, warm=warm)


def _outcome_before(error: BluegreenError) -> Outcome:
    match error:
        case ReleaseTimedOut():
            return Outcome.TIMED_OUT
        case Interrupted():
            return Outcome.INTERRUPTED
        case LostLock():
            return Outcome.YIELDED
        case _:
            return Outcome.FAILED


def _cause(error: BluegreenError) -> Cause | None:
    return error.cause if isinstance(error, SlotDoomed) else None


def _put_back(tools: Tools, plan: Plan, *, left_at: Instant | None, grip: Grip) -> bool:
    """Whether the idle slot is warm with its previous images. Raises LostLock."""
    if not _has_staged(tools, plan):
        if lost := _lost(tools, grip=grip):  # it slept, for example: what the slot holds is another run's affair
            raise lost
        return plan.keeps_previous
    if plan.options.keep_failed:
        tools.emit(
            Note(text=f"{plan.target} keeps the failed version for looking (--keep-failed): there is no warm way back")
        )
        return False
    try:
        restore(tools, plan, left_at=left_at, grip=grip)
    except LostLock:
        raise
    except BluegreenError as error:
        text = f"{plan.target} did not get its previous images back: {error}"
        tools.emit(Warned(text=text, mend="users are not touched; the next deploy stages over it"))
        return False
    return plan.previous is not None


def _end_after(tools: Tools, plan: Plan, error: BluegreenError, *, started: Instant, grip: Grip) -> ExitCode:
    """Users may be on the new slot. Bring them back first; then everything else."""
    if isinstance(error, LostLock):
        return _end_yielded(tools, plan, error, started=started)
    if isinstance(error, Held):
        ended = Ended(outcome=Outcome.HELD, why=str(error))
        return summarise(tools, plan, ended, started=started, error=error, warm=True)
    tools.emit(Failing(why=str(error), users=f"users go back to {plan.active}"))
    try:
        go_back(tools, plan.active, run=plan.release, why=str(error), grip=grip)
    except LostLock as lost:
        return _end_yielded(tools, plan, lost, started=started)
    except BluegreenError as worse:
        ended = Ended(outcome=Outcome.HELD, why=f"{error}; and users could not be brought back: {worse}")
        return summarise(tools, plan, ended, started=started, error=worse, warm=False)
    ended = Ended(outcome=Outcome.ROLLED_BACK, why=str(error), cause=_cause(error))
    try:
        warm = _put_back(tools, plan, left_at=tools.clock.now(), grip=grip)
    except LostLock as lost:  # users are back all the same
        tools.emit(Warned(text=f"{plan.target} did not get its previous images back: {lost}", mend=lost.mend))
        return summarise(tools, plan, ended, started=started, error=error, warm=False)
    _protect(tools, grip=grip)
    return summarise(tools, plan, ended, started=started, error=error, warm=warm)


def _end_yielded(tools: Tools, plan: Plan, error: BluegreenError, *, started: Instant) -> ExitCode:
    """Somebody else has moved the routes: say where users are, and write nothing."""
    slots = _slots_of_users(tools)
    moved = Outcome.YIELDED if isinstance(error, LostLock) else Outcome.HELD
    outcome = Outcome.ROLLED_BACK if slots == {plan.active} else moved
    where = " and ".join(sorted(str(slot or "no slot") for slot in slots)) or "a slot that cannot be seen now"
    tools.emit(Failing(why=str(error), users=f"users are on {where}"))
    ended = Ended(outcome=outcome, why=str(error))
    return summarise(tools, plan, ended, started=started, error=error, warm=False)  # the slot holds what was staged


def _lost(tools: Tools, *, grip: Grip) -> LostLock | None:
    """Whether it was another run that has moved users: a watch may tell of the routes before it tells of the lock."""
    try:
        tools.platform.route((), grip=grip, until=tools.limit())
    except LostLock as lost:
        return lost
    except BluegreenError:
        return None
    return None


def _slots_of_users(tools: Tools) -> set[Slot | None]:
    """Where the routes lead; nowhere when the platform cannot be seen."""
    try:
        with tools.clock.undisturbed():
            return {route.slot for route in tools.routes()}
    except BluegreenError:
        return set()
