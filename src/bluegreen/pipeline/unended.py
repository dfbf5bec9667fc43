"""The end, in the journal, of runs that never came to one: by where users are now."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from bluegreen.domain.errors import JournalError
from bluegreen.domain.release import Ended, Outcome, Run, RunKind

if TYPE_CHECKING:
    from bluegreen.domain.stack import Slot
    from bluegreen.pipeline.tools import Tools


def end_open(tools: Tools, newest: Run, *, slot: Slot, by: str) -> None:
    """Record that the runs are over that had not ended when ``by`` brought users to the slot: the newest, and those
    beneath it.

    One that still lives records its own end as well. A journal that fails stops nobody: users are safe.
    """
    for run in _open(tools, newest, by=by):
        tools.record_if_possible(run.id, _end_of(run, slot, by=by))


def _open(tools: Tools, newest: Run, *, by: str) -> tuple[Run, ...]:
    """No release begins above a run that is open; a rollback does."""
    if newest.kind is RunKind.RELEASE:
        return (newest,)
    try:
        return tuple(takewhile(lambda run: run.outcome is None, (run for run in tools.runs() if run.id != by)))
    except JournalError:
        return (newest,)


def _end_of(run: Run, slot: Slot, *, by: str) -> Ended:
    if run.kind is RunKind.ROLLBACK:
        outcome = Outcome.ROLLED_BACK if run.to is slot else Outcome.YIELDED
        return Ended(outcome=outcome, why=f"{by} brought users to {slot}")
    if run.plan is not None and run.plan.target is slot:
        return Ended(outcome=Outcome.YIELDED, why=f"{by} brought users to {slot}")
    return Ended(outcome=Outcome.ROLLED_BACK if run.moves else Outcome.ABANDONED, why=f"taken back by {by}")
