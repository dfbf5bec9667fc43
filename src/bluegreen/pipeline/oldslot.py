"""What the old slot does while users are on it: looks at its counters, taken where the release waits for nothing.

The window's figures mean little without them. They are extra: a look that fails is left out, and holds nothing up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import DeadlineExceeded, PlatformError
from bluegreen.domain.values import replace

if TYPE_CHECKING:
    from bluegreen.domain.reading import Reading
    from bluegreen.domain.stack import Instant, Seconds, Slot
    from bluegreen.pipeline.tools import Tools

LOOK_LIMIT: Seconds = 1.0
"""A pod that is slower than this is left out. The others answer in some 20 ms."""


ASLEEP: Seconds = 5.0
"""The two clocks of a machine that works hardly ever get further apart; if they do, the looks are lost for nothing."""


def unless_asleep(tools: Tools, looks: tuple[Reading, ...], *, since: Instant, wall: float) -> tuple[Reading, ...]:
    """The looks, but none when the machine was suspended: the clock that they were dated by stood still, users did not.

    ``since`` and ``wall``: when they began, by both clocks.
    """
    apart = tools.clock.wall() - wall - tools.since(since)
    return looks if abs(apart) <= ASLEEP else ()


def look_at(tools: Tools, slot: Slot) -> tuple[Reading, ...]:
    """The slot's counters now; nothing, when they cannot be read. Raises Interrupted."""
    until = tools.limit(LOOK_LIMIT)
    try:
        live = tools.platform.snapshot(until=until)
        return (tools.metrics.read(replace(live, workloads=live.slot_workloads(slot)), until=until),)
    except (PlatformError, DeadlineExceeded):
        return ()
