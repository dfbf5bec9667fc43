"""Taking the lock: at once, or after a holder that may be dead has been silent for long enough.

A holder that lives is never waited for: who starts two deploys at once wants to know that, not to queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import HeldBy
from bluegreen.domain.events import Note, Waiting
from bluegreen.domain.stack import after

if TYPE_CHECKING:
    from bluegreen.domain.stack import Seconds
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import Grip, Purpose

SILENCE_LIMIT: Seconds = 40.0
"""How long a holder may leave it open whether it lives: more than twice what any lock outlasts its holder by. A look
that came too late proves nothing about the time before it, and the counting begins anew."""

ASK_AGAIN: Seconds = 1.0


def take_turn(tools: Tools, purpose: Purpose) -> Grip:
    """Take the lock. Raises HeldBy as soon as its holder is seen to live."""
    started = tools.clock.now()
    deadline = after(started, SILENCE_LIMIT)
    silent = ""
    while True:
        try:
            grip = tools.lock.take(purpose, until=tools.clock.now())
        except HeldBy as held:
            now = tools.clock.now()
            if held.alive or now >= deadline:
                raise
            silent = held.holder
            wants = (f"a sign of life of {silent}; without one its lock is free",)
            tools.emit(Waiting(wants=wants, waited=tools.since(started), left=deadline - now))
            tools.clock.wait(until=min(deadline, after(now, ASK_AGAIN)))
        else:
            if silent:
                tools.emit(Note(text=f"the lock is free: {silent} gave no sign of life, or has just given it back"))
            return grip
