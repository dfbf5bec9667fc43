"""A slot that a release has left is put in order, when its users are elsewhere: its previous images come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.events import Phase, PhaseBegan, PhaseDone
from bluegreen.domain.release import Restored, Restoring
from bluegreen.domain.stack import after
from bluegreen.pipeline.deploy import stage_limit
from bluegreen.pipeline.routes import FLOOR
from bluegreen.pipeline.validate import wait_until_ready

if TYPE_CHECKING:
    from bluegreen.domain.plan import Plan
    from bluegreen.domain.stack import Instant
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import Grip


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
