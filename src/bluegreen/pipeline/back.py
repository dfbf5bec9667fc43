"""The way back: users to the slot that was active, then the failed slot put in order. In that order, always.

It asks nothing of the failed slot, and it is recorded as well as it can be: a journal that fails must not keep users on
a bad version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import Held
from bluegreen.domain.events import CameBack, Phase, PhaseBegan, PhaseDone
from bluegreen.domain.release import Restored, Restoring, RollingBack
from bluegreen.domain.stack import after
from bluegreen.pipeline.deploy import stage_limit
from bluegreen.pipeline.routes import FLOOR, TRIES, moves_to, not_holding_still, write
from bluegreen.pipeline.validate import wait_until_ready

if TYPE_CHECKING:
    from bluegreen.domain.plan import Plan
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Instant, Slot
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import Grip


def go_back(tools: Tools, slot: Slot, *, run: str, why: str, grip: Grip) -> Snapshot:
    """Bring all routes to the slot, in reverse switch order.

    Raises Held when the slot has no ready pod (nothing is written then) or the routes do not hold still.
    """
    started = tools.clock.now()
    snapshot = tools.snapshot()
    refuse_cold(snapshot, slot)
    trouble = ""
    for _ in range(TRIES):
        moves = moves_to(tools, snapshot, slot, order=tools.stack.names[::-1])
        written = write(tools, moves, grip=grip)
        snapshot, trouble = written.snapshot, written.trouble
        tools.record_if_possible(run, RollingBack(moves=moves, why=why))
        if all(route.slot is slot for route in snapshot.routes):
            tools.emit(CameBack(slot=slot, why=why, took=tools.since(started)))
            return snapshot
    raise not_holding_still(trouble)


def refuse_cold(snapshot: Snapshot, slot: Slot) -> None:
    """Raise Held when a service has no ready pod in the slot: users would be sent to nobody."""
    for workload in snapshot.slot_workloads(slot):
        if not workload.answers:
            raise Held(
                f"{workload.service} has no ready pod in {slot}: users would be sent to nobody",
                mend=f"bluegreen rollback --to {slot} --cold starts it first; users stay where they are until then",
            )


def restore(tools: Tools, plan: Plan, *, left_at: Instant | None, grip: Grip) -> None:
    """Put the target slot's previous images back and wait for them; a slot that held nothing is ended.

    ``left_at``: when users left the slot, None: they never were there. Raises what deploy and validate raise.
    """
    started = tools.clock.now()
    if left_at is not None:
        tools.clock.wait(until=after(left_at, FLOOR))
    if plan.previous is None:
        tools.platform.end(plan.target, order=tools.stack.end_order, grip=grip, until=tools.limit(stage_limit(tools)))
        tools.record_if_possible(plan.release, Restored(slot=plan.target))
        return
    limit = plan.options.health_deadline
    images = ", ".join(f"{tools.stack.short(work.service)} {work.image}" for work in plan.previous.workloads)
    tools.emit(PhaseBegan(phase=Phase.RESTORE, what=f"{images} back into {plan.target}", limit=limit))
    tools.record_if_possible(plan.release, Restoring(spec=plan.previous))
    tools.platform.stage(plan.previous, grip=grip, until=tools.limit(stage_limit(tools)))
    wait_until_ready(tools, plan.target, revision=plan.previous.revision, limit=limit)
    tools.record_if_possible(plan.release, Restored(slot=plan.target))
    what = f"{plan.target} is warm again"
    tools.emit(PhaseDone(phase=Phase.RESTORE, what=what, took=tools.since(started)))
