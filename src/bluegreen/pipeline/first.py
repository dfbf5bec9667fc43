"""The first start of a stack that has never served: one slot is made, and users get it when it is ready.

Only for platforms where nothing else makes the first slot. Nobody can be hurt by it: a route that names a slot is left
where it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import Held
from bluegreen.domain.events import Note, Waiting
from bluegreen.domain.release import RunKind
from bluegreen.pipeline.deploy import stage_limit
from bluegreen.pipeline.routes import moves_to, not_holding_still, write
from bluegreen.pipeline.switch import wait_until_routed
from bluegreen.pipeline.turn import take_turn
from bluegreen.pipeline.validate import wait_until_ready
from bluegreen.ports import Cover, Purpose

if TYPE_CHECKING:
    from bluegreen.domain.plan import SlotSpec
    from bluegreen.domain.stack import Seconds
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import Grip

READY_LIMIT: Seconds = 150.0
"""As long as a health validation by default."""


def first_start(tools: Tools, want: SlotSpec) -> None:
    """Make the slot, wait until it is ready, and let the routes name it.

    Raises Held when a route names a slot already, and what deploy and validate raise.
    """
    grip = take_turn(tools, Purpose(kind=RunKind.RELEASE, run=want.revision, who=tools.who))
    try:
        _refuse_served(tools)
        _start(tools, want, grip=grip)
    finally:
        tools.lock.release(grip)


def _refuse_served(tools: Tools) -> None:
    for route in tools.routes():
        if route.slot is not None:
            raise Held(
                f"{route.service} is on {route.slot} already, while another service is on no slot",
                mend=f"bluegreen rollback --to {route.slot} brings all services there",
            )


def _start(tools: Tools, want: SlotSpec, *, grip: Grip) -> None:
    images = ", ".join(f"{tools.stack.short(work.service)} {work.image}" for work in want.workloads)
    tools.emit(Waiting(wants=(f"{want.slot} to be ready with {images}",), waited=0.0, left=READY_LIMIT))
    tools.platform.stage(want, grip=grip, until=tools.limit(stage_limit(tools)))
    ready = wait_until_ready(tools, want.slot, revision=want.revision, limit=READY_LIMIT)
    written = write(tools, moves_to(tools, ready.routes, want.slot, order=tools.stack.names), grip=grip)
    if written.strangers:
        raise not_holding_still(written.trouble)
    wait_until_routed(tools, want.slot, sizes=[(work.service, work.replicas) for work in want.workloads])
    tools.platform.protect(Cover.ACTIVE, grip=grip, until=tools.limit())
    tools.emit(Note(text=f"{want.slot} serves"))
