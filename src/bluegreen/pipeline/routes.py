"""Writing routes: both or neither, and never over somebody else's write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import Held
from bluegreen.domain.routing import Move, Unknown, foreign
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bluegreen.domain.snapshot import Route
    from bluegreen.domain.stack import Seconds, Slot
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import Grip

FLOOR: Seconds = 5.0
"""A slot that users have left serves on at least this long: a node's proxy may learn of it late (measured: 1.1 s)."""

Moves = tuple[Move, ...]

TRIES = 3
"""How often a write is tried again after somebody else's write that changed nothing of ours."""


def moves_to(
    tools: Tools, routes: Iterable[Route], slot: Slot, *, order: Sequence[str], fallback: Slot | None = None
) -> tuple[Move, ...]:
    """The writes that bring these services to the slot, each from the version that was read."""
    versions = {route.service: route.version for route in routes}
    return tuple(
        Move(
            service=service,
            to=slot,
            expect=versions[service],
            fence=tools.new_id("w"),
            fallback=fallback,
        )
        for service in order
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was read after a write: the routes, those of them that do not carry our write, and what went wrong."""

    routes: Sequence[Route]
    strangers: tuple[Route, ...]
    """None when all is well."""
    trouble: str
    """Why a write did not go through, as far as the platform knows; empty: it knows of nothing."""


def write(tools: Tools, moves: Sequence[Move], *, grip: Grip) -> Written:
    """Write them all, then read all routes again.

    An answer that was lost is settled by this reading, for each write has an id of its own. Raises LostLock,
    PlatformError.
    """
    results = tools.platform.route(moves, grip=grip, until=tools.limit())
    read = tools.routes()
    strangers = foreign(read, moves)
    lost = [result.why for result in results if isinstance(result, Unknown)]
    return Written(routes=read, strangers=strangers, trouble=lost[0] if lost and strangers else "")


def stamp(
    tools: Tools,
    slot: Slot,
    *,
    grip: Grip,
    fallback: Slot | None = None,
    announce: Callable[[Moves], None] | None = None,
) -> Moves:
    """Put our mark on all routes without moving them, and return the writes.

    From then on a stale or frozen run's write is refused. Without a ``fallback`` it also ends that to the other slot:
    an unvalidated one, or one that is about to go, never gets a user. ``announce``: called before each try. Raises
    Held when a route is elsewhere, or they do not hold still.
    """
    routes, trouble = tools.routes(), ""
    for _ in range(TRIES):
        refuse_elsewhere(routes, slot)
        moves = moves_to(tools, routes, slot, order=tools.stack.names, fallback=fallback)
        if announce is not None:
            announce(moves)
        written = write(tools, moves, grip=grip)
        if not written.strangers:
            return moves
        refuse_elsewhere(written.strangers, slot)
        routes, trouble = written.routes, written.trouble
    raise not_holding_still(trouble)


def refuse_elsewhere(strangers: Sequence[Route], slot: Slot) -> None:
    """Raise Held when somebody moved a route away from the slot; a write that left it there is harmless."""
    for route in strangers:
        if route.slot is not slot:
            who = f" by {route.changed_by}" if route.changed_by else ""
            raise Held(
                f"{route.service} was moved to {route.slot or 'no slot'}{who} while this run worked",
                mend="bluegreen status shows the stack; bluegreen rollback --to SLOT brings it to one slot",
            )


def not_holding_still(trouble: str = "") -> Held:
    """The error for routes that somebody keeps writing, or that cannot be written because of ``trouble``."""
    if trouble:
        return Held(
            f"the routes could not be written: {trouble}",
            mend="mend that, then run this again; bluegreen status shows where users are",
        )
    return Held(
        f"the routes were changed by somebody else {TRIES} times in a row",
        mend="find out who writes them (bluegreen status), then run this again",
    )


def take_back(tools: Tools, moves: Sequence[Move], slot: Slot, *, grip: Grip) -> None:
    """Bring to the slot the routes that carry one of these writes of ours, and only those; in reverse order.

    Until none does: a write that comes between leaves ours where it was.
    """
    for _ in range(TRIES):
        read = tools.routes()
        strangers = {route.service for route in foreign(read, moves)}
        ours = [move.service for move in reversed(moves) if move.service not in strangers]
        if not ours:
            return
        tools.platform.route(moves_to(tools, read, slot, order=ours), grip=grip, until=tools.limit())
