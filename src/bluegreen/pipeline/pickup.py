"""What a killed run left: found by the fold of its journal, and ended before anything new begins.

Before its first write to a route, users saw nothing: it is recorded as abandoned. In the middle of the switch, or of
the way back, users are brought to the slot that was active. After the switch a window that was not judged is
watched again, from its start: what was not proven is not assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bluegreen.domain.errors import ExitCode
from bluegreen.domain.events import Note
from bluegreen.domain.release import Ended, Outcome, Run, RunKind
from bluegreen.pipeline.back import go_back
from bluegreen.pipeline.observe import Watched
from bluegreen.pipeline.routes import refuse_elsewhere
from bluegreen.pipeline.unended import end_open

if TYPE_CHECKING:
    from bluegreen.domain.plan import Plan
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Slot
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import Grip


class Resume(Protocol):
    """How a release goes on once its slot serves (release.resume; passed in, for the two need each other)."""

    def __call__(
        self, tools: Tools, plan: Plan, *, watched: Watched | None, snapshot: Snapshot, grip: Grip
    ) -> ExitCode:
        """Confirm, observe unless that was ``watched``, and end it."""


def pick_up(tools: Tools, *, grip: Grip, resume: Resume) -> ExitCode | None:
    """End the newest run if it never ended, or was held in the middle. None: there was none; else how it ended.

    Raises Held when somebody else has moved a route meanwhile: that is never repaired.
    """
    run = next(tools.runs(), None)
    if run is None or not run.open:
        return None
    if run.kind is RunKind.ROLLBACK:
        return _end_rollback(tools, run, grip=grip)
    if run.plan is None or not run.moves:
        return _close(tools, run, why="it was stopped before the switch; users saw nothing")
    return _end_release(tools, run, run.plan, grip=grip, resume=resume)


def _close(tools: Tools, run: Run, *, outcome: Outcome = Outcome.ABANDONED, why: str) -> ExitCode:
    """Users are where they were: only its end is missing."""
    tools.emit(Note(text=f"{run.id} never ended: {why}"))
    tools.record(run.id, Ended(outcome=outcome, why=why))
    return ExitCode.OK


def _end_rollback(tools: Tools, run: Run, *, grip: Grip) -> ExitCode:
    slot = run.to
    assert slot is not None  # noqa: S101 - a rollback's first entry names it
    tools.emit(Note(text=f"{run.id}, a rollback to {slot}, never ended: it is ended now"))
    end = _bring_back(tools, run, slot, why="the rollback was stopped in the middle", grip=grip)
    end_open(tools, run, slot=slot, by=run.id)
    return end


def _bring_back(tools: Tools, run: Run, slot: Slot, *, why: str, grip: Grip) -> ExitCode:
    go_back(tools, slot, run=run.id, why=why, grip=grip)
    tools.record(run.id, Ended(outcome=Outcome.ROLLED_BACK, why=why))
    return ExitCode.OK


def _end_release(tools: Tools, run: Run, plan: Plan, *, grip: Grip, resume: Resume) -> ExitCode:
    snapshot = tools.snapshot()
    slots = {route.slot for route in snapshot.routes}
    if slots == {plan.active} and not run.back:
        return _close_in_place(tools, run, plan, snapshot)
    _refuse_strangers(snapshot, run, plan)
    if slots != {plan.target} or run.back:
        tools.emit(Note(text=f"{run.id} was stopped in the middle of its switch: users go back to {plan.active}"))
        return _bring_back(tools, run, plan.active, why="it was stopped in the middle of the switch", grip=grip)
    where = "in its observation window" if run.judgement is None else "after its judgement"
    tools.emit(Note(text=f"{run.id} was stopped {where}: it goes on from there"))
    return resume(tools, plan, watched=_watched(run), snapshot=snapshot, grip=grip)


def _close_in_place(tools: Tools, run: Run, plan: Plan, snapshot: Snapshot) -> ExitCode:
    """Users are on the active slot, not by a way back that is on record: they never left it, or somebody moved them."""
    if run.confirmed is None and all(route.fence not in run.fences for route in snapshot.routes):
        return _close(tools, run, why=f"it was stopped at the switch; {plan.active} serves")
    why = f"it was stopped after users had met {plan.target}; they are back on {plan.active}"
    return _close(tools, run, outcome=Outcome.ROLLED_BACK, why=why)


def _watched(run: Run) -> Watched | None:
    """How its window went, by its journal; None: that was not recorded."""
    if run.judgement is None:
        return None
    return Watched(judgement=run.judgement, proved=run.confirmed is not None and bool(run.confirmed.how))


def _refuse_strangers(snapshot: Snapshot, run: Run, plan: Plan) -> None:
    """A route that left the active slot by a write that is not this run's was moved by somebody else."""
    strangers = [route for route in snapshot.routes if route.fence not in run.fences]
    refuse_elsewhere(strangers, plan.active)
