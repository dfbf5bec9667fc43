"""The way back: users to the slot that was active. What is left in the other one is put in order later (restore.py).

It asks nothing of the failed slot, and it is recorded as well as it can be: a journal that fails must not keep users on
a bad version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import Held
from bluegreen.domain.events import CameBack, Waiting
from bluegreen.domain.release import RollingBack
from bluegreen.domain.values import dataclass
from bluegreen.pipeline.routes import TRIES, moves_to, not_holding_still, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.snapshot import Route
    from bluegreen.domain.stack import Seconds, Slot
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import Grip

BUSY: Seconds = 2.0
"""How long a slot that does not answer is looked at again, before users are kept from it."""

LOOK_AGAIN: Seconds = 0.2


def go_back(tools: Tools, slot: Slot, *, run: str, why: str, grip: Grip) -> None:
    """Bring all routes to the slot, in reverse switch order. A second Ctrl-C waits until that is done.

    Raises Held when the slot has no ready pod (nothing is written then) or the routes do not hold still.
    """
    with tools.clock.undisturbed():
        refuse_cold(tools, slot)
        tools.record_if_possible(run, bring_back(tools, slot, run=run, why=why, grip=grip).entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class CameTo:
    """The routes as they were read after users were brought back, and the entry of the writes that did it."""

    routes: Sequence[Route]
    entry: RollingBack


def bring_back(
    tools: Tools, slot: Slot, *, run: str, why: str, grip: Grip, routes: Sequence[Route] | None = None
) -> CameTo:
    """As ``go_back``, for a slot that was looked at just now. The entry is the caller's to record.

    ``routes``: as they were read last. They may be old: a write from an old version is refused, and then they are read.
    """
    started = tools.clock.now()
    routes, trouble = routes or tools.routes(), ""
    for _ in range(TRIES):
        moves = moves_to(tools, routes, slot, order=tools.stack.names[::-1])
        written = write(tools, moves, grip=grip)
        routes, trouble = written.routes, written.trouble
        entry = RollingBack(moves=moves, why=why)
        if all(route.slot is slot for route in routes):
            tools.emit(CameBack(slot=slot, why=why, took=tools.since(started), stack=tools.stack.name))
            return CameTo(routes=routes, entry=entry)
        tools.record_if_possible(run, entry)
    raise not_holding_still(trouble)


def refuse_cold(tools: Tools, slot: Slot) -> None:
    """Raise Held when a service has no ready pod in the slot: users would be sent to nobody.

    One look may be wrong: pods of a busy machine do not answer in time. So they are looked at again for a moment.
    """
    silent: list[str] = []
    for waited in tools.looks(BUSY, every=LOOK_AGAIN):
        silent = _silent(tools, slot)
        if not silent:
            return
        if not waited:
            wants = tuple(f"{service} in {slot} to have a ready pod" for service in silent)
            tools.emit(Waiting(wants=wants, waited=waited, left=BUSY))
    raise Held(
        f"{silent[0]} has no ready pod in {slot}: users would be sent to nobody",
        mend=f"bluegreen rollback --to {slot} --cold starts it first; users stay where they are until then",
    )


def _silent(tools: Tools, slot: Slot) -> list[str]:
    answering = tools.platform.answering(slot, until=tools.limit())
    return [service for service in tools.stack.names if service not in answering]
