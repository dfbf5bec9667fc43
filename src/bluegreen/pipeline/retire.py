"""Phase 6, when asked for: end the old slot, dependents first, without cutting anybody off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.events import Phase, PhaseBegan, PhaseDone, Warned
from bluegreen.domain.release import Retiring
from bluegreen.domain.stack import after
from bluegreen.pipeline.deploy import stage_limit
from bluegreen.pipeline.routes import FLOOR, stamp

if TYPE_CHECKING:
    from bluegreen.domain.plan import Plan
    from bluegreen.domain.stack import Instant
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import Grip


def retire(tools: Tools, plan: Plan, *, switched_at: Instant, grip: Grip) -> None:
    """End the slot that was active.

    Raises Held when somebody has moved users there, LostLock, PlatformError, DeadlineExceeded, Interrupted.
    """
    started = tools.clock.now()
    limit = stage_limit(tools)
    order = ", then ".join(tools.stack.short(name) for name in tools.stack.end_order)
    tools.emit(PhaseBegan(phase=Phase.RETIRE, what=f"end {plan.active}: {order}", limit=limit))
    tools.clock.wait(until=after(switched_at, FLOOR))
    stamp(  # from here on no request falls back to a slot that is about to go
        tools,
        plan.target,
        grip=grip,
        announce=lambda moves: tools.record(plan.release, Retiring(slot=plan.active, moves=moves)),
    )
    ended = tools.platform.end(plan.active, order=tools.stack.end_order, grip=grip, until=tools.limit(limit))
    if ended.cut:
        tools.emit(
            Warned(text=f"{ended.cut} long-lived connections of {plan.active} were still open and were told to go")
        )
    tools.emit(PhaseDone(phase=Phase.RETIRE, what=f"{plan.active} is ended", took=tools.since(started)))
