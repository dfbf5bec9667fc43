"""Kept-alive connections to one server: HTTP/1.1 as far as a gateway needs it, on the parser that uvicorn uses.

Decides which connection a request takes and when one is let go. A request is sent once; if its connection breaks,
the caller is told. Not here: time limits for answers and what a failure means to a user (``upstream``), TLS,
redirects, and answers that end only with their connection, which count as broken off.

A general client library would cost three times as much for each request as all the rest of the gateway, and
nearly all of what the gateway adds to an answer would be the library's.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import httptools

from alfred.address import Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MOST: Final = 500
"""Connections at a time; a request that would need one more is refused rather than kept waiting."""
IDLE_SECONDS: Final = 30.0
"""Far below the other side's limit: whoever sends requests has to be the one who ends an idle connection, or a
request can cross the other side's goodbye."""
CONNECT_SECONDS: Final = 3.0
"""Longer than a lost first packet takes to be sent again, which is one second: on a cluster a node's proxy may drop one
while it learns of other endpoints (measured: a limit of 1 s made that one 504 in 8,775 requests)."""


class Broken(Exception):
    """The server could not be reached, or its answer broke off or is no HTTP; the text says which."""


class Exhausted(Exception):
    """All connections are in use."""


class Reply:
    """An answer as it arrives on a line."""

    def __init__(self, line: Line) -> None:
        """Nothing has arrived."""
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        """Names in small letters."""
        self._line = line
        self._begun = False
        self._complete = False
        self._error: Broken | None = None
        self._parts: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None

    async def head(self) -> None:
        """Wait for status and headers. Raises Broken."""
        while not self._begun:
            await self._news()

    async def whole(self) -> bytes:
        """Wait for the whole body. Raises Broken."""
        while not self._complete:
            await self._news()
        return b"".join(self._parts)

    async def parts(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises Broken where it breaks off."""
        while self._parts or not self._complete:
            if not self._parts:
                await self._news()
            parts, self._parts = self._parts, []
            for part in parts:
                yield part

    def close(self) -> None:
        """No more of it is wanted: an answer that is not complete costs its connection."""
        if not self._complete:
            self._line.hang_up()

    def takes_head(self, status: int) -> None:
        """The line has read status and headers."""
        self.status = status
        self._begun = True
        self._tell()

    def takes_part(self, part: bytes) -> None:
        """The line has read some of the body."""
        self._parts.append(part)
        self._tell()

    def ends(self, error: Broken | None = None) -> None:
        """The line has read all there is, or has broken."""
        self._error = error
        self._complete = error is None
        self._tell()

    def _tell(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _news(self) -> None:
        """Wait for anything to happen. Raises Broken if nothing more can."""
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter


class Line(asyncio.Protocol):
    """One connection, which serves one request at a time."""

    def __init__(self, pool: Pool) -> None:
        """``pool`` is told when the connection is open, free, or gone."""
        self.idle_since = 0.0
        self._pool = pool
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._reply: Reply | None = None

    @property
    def usable(self) -> bool:
        """Whether a request can be sent, as far as is known."""
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, request: bytes) -> Reply:
        """Send a request on a line that is usable and free."""
        self._reply = reply = Reply(self)
        if self._transport is not None:
            self._transport.write(request)
        return reply

    def hang_up(self) -> None:
        """End the connection, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
        self._pool.opened(self)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio. Bytes that nobody asked for, or that are no HTTP, end the connection."""
        if self._reply is None:
            self.hang_up()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._break("it is no HTTP")
            self.hang_up()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Called by asyncio."""
        self._pool.lost(self)
        self._break("the connection ended")

    def on_message_begin(self) -> None:
        """Called by the parser."""
        if self._reply is None:
            self.hang_up()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        if self._reply is not None:
            self._reply.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        if self._reply is not None:
            self._reply.takes_head(self._parser.get_status_code())

    def on_body(self, part: bytes) -> None:
        """Called by the parser."""
        if self._reply is not None:
            self._reply.takes_part(part)

    def on_message_complete(self) -> None:
        """Called by the parser. From here on the line is free, unless the server said that it ends."""
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.ends()
        if self._parser.should_keep_alive():
            self._pool.free(self)
        else:
            self.hang_up()

    def _break(self, why: str) -> None:
        reply, self._reply = self._reply, None
        if reply is not None:
            reply.ends(Broken(why))


class Pool:
    """All lines to one server."""

    def __init__(self, host: str, port: int, *, most: int = MOST, idle_seconds: float = IDLE_SECONDS) -> None:
        """Connects to nothing yet; ``most`` connections are open at a time, unused ones for ``idle_seconds``."""
        self._address = Address(host)
        self._port = port
        self._most = most
        self._idle_seconds = idle_seconds
        self._lines: set[Line] = set()
        self._idle: dict[Line, None] = {}
        """In the order in which they became free."""

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._lines)

    async def send(self, request: bytes) -> Reply:
        """Send a request, once, and wait for the head of its answer; whoever asked closes the reply.

        Raises Broken, Exhausted, or TimeoutError if it takes too long to connect.
        """
        line = await self._take()
        reply = line.ask(request)
        try:
            await reply.head()
        except BaseException:
            reply.close()
            raise
        return reply

    def close(self) -> None:
        """Hang up everywhere."""
        for line in self._lines:
            line.hang_up()

    def opened(self, line: Line) -> None:
        """A line has its connection."""
        self._lines.add(line)

    def lost(self, line: Line) -> None:
        """A line has lost it."""
        self._lines.discard(line)
        self._idle.pop(line, None)

    def free(self, line: Line) -> None:
        """A line has nothing to do. The one that has waited longest is let go if that is long."""
        line.idle_since = asyncio.get_running_loop().time()
        self._idle[line] = None
        longest = next(iter(self._idle))
        if line.idle_since - longest.idle_since > self._idle_seconds:
            longest.hang_up()

    async def _take(self) -> Line:
        """The line used last, so that the others can grow old, or a new one."""
        while self._idle:
            line, _ = self._idle.popitem()
            if line.usable:
                return line
        if self.open >= self._most:
            raise Exhausted
        return await self._connect()

    async def _connect(self) -> Line:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await self._connect_somewhere()
        except TimeoutError:
            self._address.doubt()
            raise
        except OSError as error:
            self._address.doubt()
            raise Broken(f"no connection: {error.strerror or error}") from error

    async def _connect_somewhere(self) -> Line:
        """At the first of the server's addresses that takes it. Raises OSError."""
        loop = asyncio.get_running_loop()
        *others, last = await self._address.all()
        for address in others:
            with contextlib.suppress(OSError):
                return (await loop.create_connection(lambda: Line(self), address, self._port))[1]
        return (await loop.create_connection(lambda: Line(self), last, self._port))[1]
