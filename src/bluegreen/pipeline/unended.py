"""The end, in the journal, of runs that never came to one: by where users are now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import JournalError
from bluegreen.domain.release import Ended, Outcome, Run, RunKind

if TYPE_CHECKING:
    from bluegreen.domain.stack import Slot
    from bluegreen.pipeline.tools import Tools


def end_open(tools: Tools, run: Run | None, *, slot: Slot, by: str) -> None:
    """Record that the run is over since ``by`` brought users to the slot, and so on with what it was taking back.

    One that still lives records its own end as well. A journal that fails stops nobody: users are safe.
    """
    while run is not None and run.outcome is None:
        tools.record_if_possible(run.id, _end_of(run, slot, by=by))
        try:
            run = tools.run(run.of) if run.of else None
        except JournalError:
            return


def _end_of(run: Run, slot: Slot, *, by: str) -> Ended:
    if run.kind is RunKind.ROLLBACK:
        outcome = Outcome.ROLLED_BACK if run.to is slot else Outcome.YIELDED
        return Ended(outcome=outcome, why=f"{by} brought users to {slot}")
    if run.plan is not None and run.plan.target is slot:
        return Ended(outcome=Outcome.YIELDED, why=f"{by} brought users to {slot}")
    return Ended(outcome=Outcome.ROLLED_BACK if run.moves else Outcome.ABANDONED, why=f"taken back by {by}")
