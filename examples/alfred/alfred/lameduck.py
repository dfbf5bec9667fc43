"""The graceful end: serve on for some seconds, say goodbye in every answer, and only then go.

A switch of traffic moves no connection that clients keep: only the process that holds it can end it, and a
connection that is closed between two requests loses the second. So after SIGTERM this server

1. answers on for the lame duck's seconds, each answer with ``Connection: close`` (``measured`` adds it), while
   readiness says no, so that nobody is sent here any more;
2. tells every WebSocket 1012 and gives it a moment for the closing handshake: a socket closed over unread bytes
   is reset, and the reset can overtake the goodbye;
3. stops accepting, closes connections that asked for nothing in all that time, and finishes what is in flight.

A second signal ends step 1 at once. uvicorn does none of the first two by itself.
"""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

import uvicorn

from alfred.log import say

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from types import FrameType

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
FAREWELL: Final = 1.0
"""Seconds that WebSocket clients get to answer the close."""
LONGEST_REQUEST: Final = 45
"""Seconds that the last requests get after the lame duck, before they are cut off."""


class LameDuck:
    """Whether this process is leaving, and until when it serves on."""

    def __init__(self, *, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Not leaving; ``clock`` counts seconds."""
        self._seconds = seconds
        self._clock = clock
        self._until: float | None = None

    @property
    def leaving(self) -> bool:
        """Whether it was told to go."""
        return self._until is not None

    @property
    def over(self) -> bool:
        """Whether it has served on for long enough."""
        return self._until is not None and self._clock() >= self._until

    def begin(self) -> None:
        """Leave in a while."""
        self._until = self._clock() + self._seconds

    def hurry(self) -> None:
        """Leave now."""
        self._until = self._clock()


class LongLived(Protocol):
    """Connections that do not end by being answered."""

    async def say_goodbye(self) -> None:
        """Tell each of them that the service restarts (1012)."""


class LameDuckServer(uvicorn.Server):
    """uvicorn with the end described above."""

    def __init__(self, config: uvicorn.Config, *, name: str, duck: LameDuck, websockets: LongLived | None) -> None:
        """``name`` is what its log lines call it; ``websockets`` is None for a service that takes none."""
        super().__init__(config)
        self._name = name
        self._duck = duck
        self._websockets = websockets

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept, and say where."""
        await super().startup(sockets)
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            say(f"{self._name} listens on http://{host}:{port}")

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals while the server runs. uvicorn would raise them again afterwards: exit -15, not 0."""
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the lame duck; a second signal ends it, a third one is uvicorn's affair."""
        if self.should_exit:
            super().handle_exit(sig, frame)
        elif self._duck.leaving:
            self._duck.hurry()
        else:
            self._duck.begin()
            say(f"{self._name} was told to go: it serves on, and closes each connection with its next answer")

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second; true ends its main loop."""
        if self._duck.over:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the WebSockets go first, then whatever else is open."""
        if self._websockets is not None:
            await self._say_goodbye(self._websockets)
        await super().shutdown(sockets)
        say(f"{self._name} has ended")

    async def _say_goodbye(self, websockets: LongLived) -> None:
        """Close the WebSockets in order; clients that do not play their part, or do not even read, are cut off."""
        try:
            async with asyncio.timeout(FAREWELL):
                await websockets.say_goodbye()
                while self._websocket_transports():  # noqa: ASYNC110 - uvicorn tells no event
                    await asyncio.sleep(0.01)
        except TimeoutError:
            for transport in self._websocket_transports():
                transport.abort()

    def _websocket_transports(self) -> list[asyncio.Transport]:
        protocol = self.config.ws_protocol_class
        if protocol is None:
            return []
        return [one.transport for one in self.server_state.connections if isinstance(one, protocol)]
