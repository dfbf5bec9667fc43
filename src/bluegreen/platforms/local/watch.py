"""The agent's stream, read: the newest frame, and whether there is an agent at all. Without a thread."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

from bluegreen.domain.stack import Seconds
from bluegreen.platforms.local.frame import frame_of

if TYPE_CHECKING:
    from pathlib import Path

    from bluegreen.platforms.local.frame import Frame
    from bluegreen.ports import Clock

SILENCE: Seconds = 3.0
"""The agent says something every second. One that has not for so long is frozen, and what it said is old."""
_CHUNK = 64 * 1024


class Watch:
    """A listener of the agent. It connects by itself, again and again; close it."""

    def __init__(self, path: Path, *, clock: Clock) -> None:
        """``path``: the agent's socket, which need not exist."""
        self._path = path
        self._clock = clock
        self._heard = clock.now()
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._frame: Frame | None = None

    def newest(self, *, timeout: Seconds) -> Frame | None:
        """The newest frame; only the first is waited for, so long. None: there is no agent, or it is silent."""
        if self._socket is None and not self._connect():
            return None
        if self._clock.now() - self._heard > SILENCE and not self._readable(0.0):
            self.close()
            return None
        wait = timeout if self._frame is None else 0.0
        while self._socket is not None and self._readable(wait):
            self._read(self._socket)
            wait = 0.0
        return self._frame

    def wait(self, *, timeout: Seconds) -> bool:
        """Wait until there is something to read. False, at once: there is no agent to wait for."""
        if self._socket is None:
            return False
        self._readable(timeout)
        return True

    def _readable(self, timeout: Seconds) -> bool:
        return self._socket is not None and bool(select.select([self._socket], [], [], timeout)[0])

    def close(self) -> None:
        """Let go of the agent."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._frame, self._buffer = None, None, b""

    def _connect(self) -> bool:
        """Whether there is one that has room for us: the queue of a frozen one fills up, and blocks without end."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)  # noqa: FBT003 - the standard library's own
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            return False
        self._socket = connection
        self._heard = self._clock.now()
        return True

    def _read(self, connection: socket.socket) -> None:
        try:
            chunk = connection.recv(_CHUNK)
        except OSError:
            chunk = b""
        if not chunk:
            self.close()
            return
        self._heard = self._clock.now()
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        try:
            if lines:
                self._frame = frame_of(lines[-1])
        except ValueError:  # an agent of another version, which goes on until the next ``up``
            self.close()
