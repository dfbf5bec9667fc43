"""Which slot is active, and when a switch has arrived: pure readings of a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.stack import Slot
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bluegreen.domain.snapshot import Route, Snapshot
    from bluegreen.domain.stack import Instant, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One write to one route: from the version judged to a slot, under an id of its own."""

    service: str
    to: Slot
    expect: str
    """The route's version that was judged; the write is refused when it is another by now."""
    fence: str
    """A new opaque id for this write, by which it is recognised afterwards."""
    fallback: Slot | None = None
    """Where requests may go when the slot has no ready pod, on platforms that can do that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The data plane has taken the write."""

    move: Move
    at: Instant
    took: Seconds
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Somebody else wrote the route since it was judged; nothing was written."""

    move: Move
    found: Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The answer was lost: the write may or may not have happened. Read the route again before anything else."""

    move: Move
    why: str


RouteResult = Moved | Conflict | Unknown


@dataclass(frozen=True, slots=True)
class Active:
    """All routes name this slot."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class Split:
    """The routes name different slots, or one names none: ``where`` is a pair (service, slot) each."""

    where: tuple[tuple[str, Slot | None], ...]

    def __str__(self) -> str:
        """For the screen: ``backend on green, gateway on blue``."""
        return ", ".join(f"{service} on {slot or 'no slot'}" for service, slot in self.where)


def active(routes: Sequence[Route]) -> Active | Split:
    """Find the slot that serves. The slot is the whole stack (specification, decision 1)."""
    slots = {route.slot for route in routes}
    only = slots.pop() if len(slots) == 1 else None
    if only is None:
        return Split(tuple((route.service, route.slot) for route in routes))
    return Active(only)


def routed(snapshot: Snapshot, slot: Slot, *, at_least: Sequence[tuple[str, int]]) -> bool:
    """Whether the data plane sends each service only to pods of the slot, enough of them ready.

    ``at_least``: the ready pods that each service needs.
    """
    return all(_route_arrived(snapshot.route(service), slot, wanted) for service, wanted in at_least)


def _route_arrived(route: Route, slot: Slot, wanted: int) -> bool:
    strangers = any(endpoint.slot is not slot for endpoint in route.endpoints)
    ready = sum(endpoint.ready for endpoint in route.endpoints)
    return route.slot is slot and not strangers and ready >= wanted


def foreign(routes: Iterable[Route], moves: Sequence[Move]) -> tuple[Route, ...]:
    """The routes that no longer carry our write: another run or a person has changed them since."""
    ours = {move.service: move for move in moves}
    return tuple(
        route
        for route in routes
        if (move := ours.get(route.service)) is not None and (route.fence != move.fence or route.slot is not move.to)
    )
