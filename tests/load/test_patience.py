"""Which time counts for the limit of a request, in a loop whose time goes on when the test says so."""

from __future__ import annotations

import asyncio

import pytest

from bluegreen.load.patience import STANDSTILL, Patience
from bluegreen.load.record import Clock

STEP = STANDSTILL - 0.05
"""Seconds after which a beat is late, as on a busy machine, and no standstill."""


class Loop(asyncio.SelectorEventLoop):
    """One whose timers go by virtual time."""

    now = 0.0

    def time(self) -> float:
        """As the loop's timers have it."""
        return self.now

    def pass_by(self, seconds: float) -> None:
        """Let time go on, with nobody looking."""
        self.now += seconds


async def given_up(patience: Patience, limit: float) -> bool:
    """Whether a request without an answer came to its limit."""
    try:
        async with patience.limit(limit):
            await asyncio.get_running_loop().create_future()
    except TimeoutError:
        return True
    return False


async def steps(loop: Loop, seconds: float) -> None:
    """Let time go on as on a machine that works."""
    for _ in range(round(seconds / STEP)):
        loop.pass_by(STEP)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@pytest.mark.parametrize("began", ["before", "after"])
def test_a_limit_is_moved_by_what_its_request_did_not_live_to_see(began: str) -> None:
    async def stand_still() -> list[bool]:
        loop, patience = asyncio.get_running_loop(), Patience(Clock())
        assert isinstance(loop, Loop)
        with patience.watching():
            if began == "after":
                loop.call_soon(loop.pass_by, 10.0)
            request = asyncio.create_task(given_up(patience, 5.0))
            await asyncio.sleep(0)
            if began == "before":
                loop.pass_by(10.0)
            await asyncio.sleep(0)
            await steps(loop, 4.0)
            early = request.done()
            await steps(loop, 2.0)
            late = request.done()
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
        assert len(patience.standstills) == 1
        return [early, late]

    with asyncio.Runner(loop_factory=Loop) as runner:
        assert runner.run(stand_still()) == [False, True]
