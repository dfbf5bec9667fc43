"""One TCP connection and how it ended, and the one place that opens them.

Decides the cause of a connect that fails and tells a reset from an orderly end. Knows no protocol above TCP, and
never opens a connection that was not asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bluegreen.load.record import Break, Cause, Micros, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bluegreen.load.plan import Target
    from bluegreen.load.record import Clock

LINGER: Final = 0.5
"""Seconds for the server to close what it said it would: whoever closes first keeps the port for a minute."""


class Fault(Exception):
    """A request ended without a whole answer; carries the outcome."""

    def __init__(self, outcome: Outcome) -> None:
        """``outcome``: what the record will say."""
        super().__init__(outcome.cause)
        self.outcome = outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How and when the other side ended a connection."""

    reset: bool
    at: Micros


class Wire(asyncio.Protocol):
    """A connection that is read by one task at a time."""

    def __init__(self, clock: Clock, budget: Budget) -> None:
        """Not connected yet; ``budget`` is told when it is and when it is gone."""
        self._clock = clock
        self._budget = budget
        self._data = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self.end: End | None = None
        """Set as soon as the other side has ended it, whoever is reading or not."""

    @property
    def unread(self) -> bool:
        """Whether bytes have arrived that nobody has taken."""
        return bool(self._data)

    def write(self, data: bytes) -> None:
        """Send; what is written after the end is gone, and ``receive`` tells so."""
        if self._transport is not None and self.end is None:
            self._transport.write(data)

    async def receive(self) -> bytes:
        """The next bytes, or none once the connection has ended."""
        if not self._data and self.end is None:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = bytes(self._data)
        self._data.clear()
        return data

    def retire(self) -> None:
        """Let go of a connection in good order, leaving the first word to the server for ``LINGER`` seconds."""
        if self._transport is not None and self._linger is None:
            self._linger = asyncio.get_running_loop().call_later(LINGER, self.abort)

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to (asyncio calls this)."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            self._budget.opened(self)

    def data_received(self, data: bytes) -> None:
        """Keep bytes for the reader (asyncio calls this)."""
        self._data += data
        self._wake()

    def eof_received(self) -> None:
        """The server has closed in good order (asyncio calls this, and closes our side)."""
        self._ended(reset=False)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone (asyncio calls this): with an exception it was reset."""
        self._transport = None
        if self._linger is not None:
            self._linger.cancel()
        self._ended(reset=exc is not None)
        self._budget.closed(self)

    def _ended(self, *, reset: bool) -> None:
        if self.end is None:
            self.end = End(reset=reset, at=self._clock.now())
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Budget:
    """How many connections may be open at once, and which are."""

    def __init__(self, limit: int) -> None:
        """``limit``: connections, those still connecting included."""
        self._limit = limit
        self._connecting = 0
        self._open: set[Wire] = set()
        self._empty = asyncio.Event()

    @contextlib.contextmanager
    def connecting(self) -> Iterator[None]:
        """Reserve one while it is being opened. Raises Fault when there is none left."""
        if self._connecting + len(self._open) >= self._limit:
            raise Fault(Outcome(cause=Cause.NO_CONNECTION))
        self._connecting += 1
        try:
            yield
        finally:
            self._connecting -= 1

    def opened(self, wire: Wire) -> None:
        """One is open."""
        self._open.add(wire)

    def closed(self, wire: Wire) -> None:
        """One is gone."""
        self._open.discard(wire)
        if not self._open:
            self._empty.set()

    async def end_all(self) -> None:
        """Drop every connection and wait until each is gone."""
        self._empty.clear()
        for wire in list(self._open):
            wire.abort()
        if self._open:
            await self._empty.wait()


class Connector:
    """Opens connections to the one target of a run."""

    def __init__(self, target: Target, *, clock: Clock, budget: Budget) -> None:
        """Nothing is opened before it is asked for."""
        self.target = target
        self._clock = clock
        self._budget = budget

    async def connect(self) -> Wire:
        """Open one connection, once. Raises Fault with the cause; a time limit is the caller's business."""
        wire = Wire(self._clock, self._budget)
        loop = asyncio.get_running_loop()
        with self._budget.connecting():
            try:
                await loop.create_connection(lambda: wire, self.target.address, self.target.port)
            except OSError as error:
                raise Fault(Outcome(cause=connect_cause(error))) from error
        return wire


_OUR_OWN_LIMIT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})


def connect_cause(error: OSError) -> Cause:
    """What a failed connect is called."""
    if isinstance(error, TimeoutError):
        return Cause.CONNECT_TIMEOUT
    if isinstance(error, ConnectionRefusedError):
        return Cause.CONNECT_REFUSED
    if error.errno in _OUR_OWN_LIMIT:
        return Cause.NO_CONNECTION
    return Cause.CONNECT_FAILED


def broken(end: End, *, first_byte: bool, reused: bool, slot: str = "", version: str = "") -> Outcome:
    """The outcome of a request whose connection ended before its answer was whole."""
    cause = Cause.RESET_BEFORE_FIRST_BYTE
    if first_byte:
        cause = Cause.RESET_AFTER_FIRST_BYTE if end.reset else Cause.TRUNCATED
    how = _HOW[end.reset, reused]
    return Outcome(cause=cause, how=how, slot=slot, version=version, fault_at=end.at)


_HOW: Final = {
    (False, False): Break.FRESH_EOF,
    (True, False): Break.FRESH_RESET,
    (False, True): Break.STALE_EOF,
    (True, True): Break.STALE_RESET,
}
