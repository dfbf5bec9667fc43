"""The fence: the id of the run that may write, in one small file.

A file of its own and not a row of the database, for the sake of a rollback: it is read in microseconds, and replacing
it in place needs no free block on a full disk. Every write that a run makes is made inside ``held``; the lock in there
is held for single writes only, so nobody waits for it longer than that.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bluegreen.domain.errors import LostLock, PlatformError
from bluegreen.domain.stack import after
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bluegreen.ports import Clock, Grip

_LENGTH = 512
_PATIENCE = 0.5
_RETRY = 0.002
_READS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Who may write. ``by`` is a line for the screen."""

    id: str
    by: str


class FenceFile:
    """The fence of one stack."""

    def __init__(self, path: Path, *, clock: Clock) -> None:
        """``path`` need not exist: then nobody has written yet."""
        self._path = path
        self._clock = clock

    def read(self) -> Fence | None:
        """The newest fence. Raises PlatformError when the file cannot be read."""
        try:
            for _ in range(_READS):
                found = _parsed(self._path.read_bytes())
                if found is not None:
                    return found
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(self._path, error) from error
        return None

    def write(self, fence: Fence) -> None:
        """Let another run have its way. Raises PlatformError when it cannot be written."""
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unreadable(self._path, error) from error
        try:
            self._lock(handle)
            os.pwrite(handle, _record(fence), 0)
            os.fsync(handle)
        except OSError as error:
            raise _unreadable(self._path, error) from error
        finally:
            os.close(handle)

    @contextmanager
    def held(self, grip: Grip) -> Iterator[None]:
        """Keep the fence where it is for one write. Raises LostLock when it is not the grip's."""
        try:
            handle = os.open(self._path, os.O_RDWR)
        except OSError as error:
            raise _unreadable(self._path, error) from error
        try:
            self._lock(handle)
            check(self.read(), grip)
            yield
        finally:
            os.close(handle)

    def _lock(self, handle: int) -> None:
        """Wait for single writes of others, but not for a process that is frozen in the middle of one.

        What that one does when it wakes is caught by the compare-and-swap of the routes.
        """
        limit = after(self._clock.now(), _PATIENCE)
        while self._clock.now() < limit:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._clock.wait(until=after(self._clock.now(), _RETRY))
            else:
                return


def check(fence: Fence | None, grip: Grip) -> None:
    """Raise LostLock when another run has a newer fence."""
    if fence is not None and fence.id == grip.fence:
        return
    by = fence.by if fence is not None else "somebody who removed the state folder"
    raise LostLock(
        f"{by} took over from {grip.purpose.run}",
        taken_by=by,
        mend="bluegreen status shows where the stack is now",
    )


def _record(fence: Fence) -> bytes:
    """The id at both ends: a reader that meets a half-written record sees that they differ, and reads again."""
    room = _LENGTH - 2 * (len(fence.id) + 1) - 1
    by = " ".join(fence.by.split()).encode()[:room].decode(errors="ignore")
    return f"{fence.id}\n{by}".encode().ljust(_LENGTH - len(fence.id) - 2) + f"\n{fence.id}\n".encode()


def _parsed(record: bytes) -> Fence | None:
    lines = record.decode(errors="replace").split("\n")
    if len(lines) < 3 or lines[0] != lines[2]:  # id, who, id
        return None
    return Fence(id=lines[0], by=lines[1].strip())


def _unreadable(path: Path, error: OSError) -> PlatformError:
    return PlatformError(
        f"the fence {path} cannot be used: {error.strerror}", mend="bluegreen up makes the state folder whole again"
    )
