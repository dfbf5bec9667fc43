"""One writer at a time: a lock that the kernel frees when its holder dies, and a fence that a rollback may move on.

Two files carry kernel locks. ``lock`` is held by the run that took its turn. ``lock.rollback`` is held, shared, by
rollbacks that took over without waiting; as long as one of them lives nobody takes a new turn.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from bluegreen.domain.errors import HeldBy, PlatformError
from bluegreen.domain.stack import Instant, after
from bluegreen.platforms.local.fence import Fence, FenceFile
from bluegreen.ports import Grip

if TYPE_CHECKING:
    from pathlib import Path

    from bluegreen.platforms.local.layout import Layout
    from bluegreen.ports import Clock, Purpose

_RETRY = 0.05


class LocalLock:
    """ports.Lock over the files of one state folder. One at most is held by one object."""

    def __init__(self, layout: Layout, *, clock: Clock) -> None:
        """Nothing is touched before ``take`` or ``preempt``."""
        self._turn_path = layout.lock
        self._rollback_path = layout.lock.with_name("lock.rollback")
        self._fence = FenceFile(layout.fence, clock=clock)
        self._clock = clock
        self._held: list[int] = []

    def take(self, purpose: Purpose, *, until: Instant) -> Grip:
        """Take a turn, waiting until the deadline. Raises HeldBy with the holder, PlatformError."""
        turn = _opened(self._turn_path)
        self._held.append(turn)
        try:
            while True:
                if self._try(turn) and (grip := self._written_alone(purpose)) is not None:
                    return grip
                self._wait_turn(until)
        except BaseException:
            self._let_go()
            raise

    def preempt(self, purpose: Purpose) -> Grip:
        """Take over at once: the running one's next write raises LostLock."""
        rollback = _opened(self._rollback_path)
        self._held.append(rollback)
        limit = after(self._clock.now(), 1.0)
        while not self._try(rollback, fcntl.LOCK_SH) and self._clock.now() < limit:
            self._clock.wait(until=after(self._clock.now(), _RETRY))  # somebody is just taking a turn: that is short
        return self._written(purpose)

    def release(self, grip: Grip) -> None:
        """Give it back. Harmless when it was lost meanwhile."""
        del grip  # the kernel's locks are ours alone, whoever has the fence
        self._let_go()

    def _wait_turn(self, until: Instant) -> None:
        now = self._clock.now()
        if now >= until:
            raise self._held_by()
        self._clock.wait(until=Instant(min(until, now + _RETRY)))

    def _held_by(self) -> HeldBy:
        fence = self._fence.read()
        holder = fence.by if fence is not None else "a command that is just starting"
        return HeldBy(
            f"the stack is being worked on by {holder}",
            holder=holder,
            mend="wait for it, or bluegreen rollback takes over at once",
        )

    def _written_alone(self, purpose: Purpose) -> Grip | None:
        """The grip, unless a rollback is under way. One that begins now waits until our fence is written."""
        rollback = _opened(self._rollback_path)
        try:
            return self._written(purpose) if self._try(rollback) else None
        finally:
            os.close(rollback)

    def _try(self, handle: int, how: int = fcntl.LOCK_EX) -> bool:
        try:
            fcntl.flock(handle, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _written(self, purpose: Purpose) -> Grip:
        grip = Grip(purpose=purpose, fence=os.urandom(8).hex())
        self._fence.write(Fence(id=grip.fence, by=described(purpose)))
        return grip

    def _let_go(self) -> None:
        while self._held:
            os.close(self._held.pop())


def described(purpose: Purpose) -> str:
    """The holder, as people read it: ``release r-1a2b by ann on ci-7, pid 4711``."""
    what = purpose.run if purpose.run in {"up", "down"} else f"{purpose.kind} {purpose.run}"
    return f"{what} by {purpose.who}"


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise PlatformError(
            f"the lock {path} cannot be taken: {error.strerror}", mend="bluegreen up makes the state folder whole"
        ) from error
