"""Phase 2: put the new images into the idle slot. Users are not touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.events import Phase, PhaseBegan, PhaseDone, Waiting
from bluegreen.domain.release import Staging, last_move
from bluegreen.pipeline.routes import FLOOR, stamp

if TYPE_CHECKING:
    from bluegreen.domain.plan import Plan
    from bluegreen.domain.stack import Seconds
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import Grip

STAGE_SLACK: Seconds = 30.0
"""Beyond the grace of the services that are ended first."""
GIVING_UP: Seconds = 10.0
"""And for each of them: so long beyond its grace a platform may wait for what does not end, until it gives that up."""


def deploy(tools: Tools, plan: Plan, *, grip: Grip) -> None:
    """Mark the routes as ours, then stage the slot. Raises LostLock, Held, PlatformError, DeadlineExceeded."""
    started = tools.clock.now()
    limit = stage_limit(tools)
    images = ", ".join(f"{tools.stack.short(change.service)} {change.after}" for change in plan.changes)
    tools.emit(PhaseBegan(phase=Phase.DEPLOY, what=f"{images} into {plan.target}", limit=limit))
    _keep_floor(tools, plan)
    stamp(tools, plan.active, grip=grip)
    tools.record(plan.release, Staging(slot=plan.target))
    order = ", then ".join(tools.stack.short(name) for name in tools.stack.end_order)
    tools.emit(Waiting(wants=(f"what runs in {plan.target} to end: {order}",), waited=0.0, left=limit))
    tools.platform.stage(plan.want, grip=grip, until=tools.limit(limit))
    tools.emit(PhaseDone(phase=Phase.DEPLOY, what=f"{plan.target} is staged", took=tools.since(started)))


def _keep_floor(tools: Tools, plan: Plan) -> None:
    """Let the slot serve on for FLOOR after users left it, whichever run moved them."""
    left = last_move(tools.runs())
    rest = min(FLOOR, left + FLOOR - tools.clock.wall()) if left is not None else 0.0
    if rest > 0:
        wants = (f"{plan.target}, which users have just left, to have served on for {FLOOR:g} s",)
        tools.emit(Waiting(wants=wants, waited=0.0, left=rest))
        tools.clock.wait(until=tools.limit(rest))


def stage_limit(tools: Tools) -> Seconds:
    """How long a stage may take: what it ends first has its grace, service after service."""
    return sum(service.grace + GIVING_UP for service in tools.stack.services) + STAGE_SLACK
