"""A server that does wrong on purpose, one deed for each request, and knows what it did.

Raw asyncio on a thread of its own, so that it can be asked for while a client blocks. It shares no code with the
load generator. What it does is a script: request number n gets the nth deed, whatever connection it comes on, and
a right answer once the script is used up.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import socket
import struct
import threading
from collections import Counter, deque
from enum import StrEnum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

LIMIT = 10.0
"""Seconds that any wait in these tests may take before it fails."""

BODY = b'{"message": "right", "padding": "................................"}'
ERROR_PAGE = b"<html><body>Something went wrong, please try again later.....</body></html>"


class Deed(StrEnum):
    """What is done with a request."""

    RIGHT = "right"
    RIGHT_CHUNKED = "right_chunked"
    RIGHT_TWICE = "right_twice"
    """A second answer follows the first, which nobody asked for."""
    LATE = "late"
    ANNOUNCED_CLOSE = "announced_close"
    CLOSE_WHEN_IDLE = "close_when_idle"
    RESET_WHEN_IDLE = "reset_when_idle"
    RESET_AT_ONCE = "reset_at_once"
    CLOSE_AT_ONCE = "close_at_once"
    HALF_HEAD = "half_head"
    RESET_IN_HEAD = "reset_in_head"
    SHORT_BODY = "short_body"
    SHORT_CHUNKS = "short_chunks"
    NO_LENGTH = "no_length"
    RESET_IN_BODY = "reset_in_body"
    STATUS_500 = "status_500"
    ERROR_PAGE = "error_page"
    GARBAGE = "garbage"
    HANG = "hang"
    HANG_IN_BODY = "hang_in_body"


IDLE_DEEDS = frozenset({Deed.CLOSE_WHEN_IDLE, Deed.RESET_WHEN_IDLE})
"""Deeds that cost the next request on the same connection."""


class WsDeed(StrEnum):
    """What is done with a message on a WebSocket, or with the wish for one."""

    ECHO = "echo"
    WRONG_ECHO = "wrong_echo"
    HANG = "hang"
    LATE = "late"
    CLOSE_1001 = "close_1001"
    CLOSE_1011 = "close_1011"
    CLOSE_1012 = "close_1012"
    DROP = "drop"
    """Ends the connection without a close frame: 1006 to the client."""
    ECHO_THEN_1011 = "echo_then_1011"
    ECHO_THEN_1012 = "echo_then_1012"
    ECHO_THEN_DROP = "echo_then_drop"


class Handshake(StrEnum):
    """What is done with the wish for a WebSocket."""

    ACCEPT = "accept"
    STATUS_503 = "status_503"
    CLOSE_AT_ONCE = "close_at_once"
    HALF_HEAD = "half_head"
    HANG = "hang"
    GARBAGE = "garbage"


class Server:
    """A listener on a free port of 127.0.0.1 that follows a script. A context manager."""

    def __init__(
        self,
        script: Iterable[Deed | WsDeed] = (),
        *,
        always: Deed | WsDeed = Deed.RIGHT,
        handshakes: Iterable[Handshake] = (),
        version: str = "v1",
        late: float = 0.2,
    ) -> None:
        """``always``: what is done when the script is used up. ``version``: which one answers."""
        self.script = deque(script)
        self._always = always
        self._handshakes = deque(handshakes)
        self._late = late
        self._names = f"X-Slot: blue\r\nX-Version: {version}\r\n".encode()
        self._version = version
        self.done: Counter[str] = Counter()
        """How often each deed was done."""
        self.overtaken: Counter[WsDeed] = Counter()
        """Messages that came when their socket had been ended already, by the deed that did it."""
        self.connections = 0
        self._open: set[asyncio.Task[None]] = set()
        self._seen = threading.Condition()
        self._requests = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def requests(self) -> int:
        """How many requests or messages have come."""
        return self._requests

    def wait_for_requests(self, number: int) -> None:
        """Wait until that many have come; fails after LIMIT seconds."""
        with self._seen:
            came = self._seen.wait_for(lambda: self._requests >= number, LIMIT)
        assert came, f"the server saw {self._requests} requests, not {number}, in {LIMIT} s"

    def __enter__(self) -> Self:
        """Start to listen."""
        self._thread.start()
        assert self._ready.wait(LIMIT), "the misbehaving server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        """Stop: every connection is dropped."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(LIMIT)
        assert not self._thread.is_alive(), "the misbehaving server did not stop"

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        async with server:
            await self._stop.wait()
            for task in list(self._open):
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await Conversation(self, reader, writer).run()
        finally:
            self._open.discard(task)
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def count_request(self) -> None:
        """One more has come."""
        with self._seen:
            self._requests += 1
            self._seen.notify_all()

    def next_deed(self) -> Deed | WsDeed:
        """What to do now. A deed that the next request pays for waits until no other connection can get that one."""
        alone = len(self._open) == 1
        deed = next((deed for deed in self.script if alone or deed not in IDLE_DEEDS), None)
        if deed is None:
            deed = self._always
        else:
            self.script.remove(deed)
        self.done[deed] += 1
        return deed

    def next_handshake(self) -> Handshake:
        """What to do with a wish for a WebSocket."""
        if not self._handshakes:
            return Handshake.ACCEPT
        deed = self._handshakes.popleft()
        self.done[f"handshake_{deed}"] += 1
        return deed

    @property
    def late(self) -> float:
        """Seconds before an answer that comes late."""
        return self._late

    def answer(self, body: bytes, *, status: bytes = b"200 OK", extra: bytes = b"") -> bytes:
        """A whole answer."""
        length = f"Content-Length: {len(body)}\r\n".encode()
        return b"HTTP/1.1 " + status + b"\r\n" + self._names + extra + length + b"\r\n" + body

    def chunked(self, *, whole: bool) -> bytes:
        """An answer in chunks, with or without the last one."""
        head = b"HTTP/1.1 200 OK\r\n" + self._names + b"Transfer-Encoding: chunked\r\n\r\n"
        chunks = b"%x\r\n%s\r\n" % (len(BODY), BODY)
        return head + chunks + b"0\r\n\r\n" * whole

    def echo(self, text: str) -> str:
        """What is sent back for a message."""
        return json.dumps({"slot": "blue", "version": self._version, "echo": text})


class Conversation:
    """One connection as the server has it."""

    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client has connected."""
        self._server = server
        self._reader = reader
        self._writer = writer

    async def run(self) -> None:
        """Answer requests until a deed ends the connection."""
        while True:
            head = await self._reader.readuntil(b"\r\n\r\n")
            await self._reader.readexactly(_length(head))
            if b"\r\nUpgrade: websocket\r\n" in head:
                await self._websocket(head)
                return
            self._server.count_request()
            deed = self._server.next_deed()
            assert isinstance(deed, Deed)
            if await self._do(deed) or b"\r\nConnection: close\r\n" in head:
                return

    async def _do(self, deed: Deed) -> bool:
        """Returns whether the connection is at its end."""
        if deed in (Deed.HANG, Deed.HANG_IN_BODY):
            self._writer.write(self._server.answer(BODY)[:-10] * (deed is Deed.HANG_IN_BODY))
            await self._reader.read()  # until the client gives up
            return True
        if deed is Deed.LATE:
            await asyncio.sleep(self._server.late)
        sent, end = self._deeds()[deed]
        self._writer.write(sent)
        if end is not None:
            await end()
        return end is not None

    def _deeds(self) -> dict[Deed, tuple[bytes, Callable[[], Awaitable[None]] | None]]:
        """What each deed sends, and how it ends the connection, if it does."""
        right = self._server.answer(BODY)
        goodbye = self._server.answer(BODY, extra=b"Connection: close\r\n")
        return {
            Deed.RIGHT: (right, None),
            Deed.LATE: (right, None),
            Deed.RIGHT_TWICE: (right + right, None),
            Deed.RIGHT_CHUNKED: (self._server.chunked(whole=True), None),
            Deed.ANNOUNCED_CLOSE: (goodbye, self._close),
            Deed.CLOSE_WHEN_IDLE: (right, self._close),
            Deed.RESET_WHEN_IDLE: (right, self._reset),
            Deed.RESET_AT_ONCE: (b"", self._reset),
            Deed.CLOSE_AT_ONCE: (b"", self._close),
            Deed.HALF_HEAD: (right[:30], self._close),
            Deed.RESET_IN_HEAD: (right[:30], self._reset),
            Deed.SHORT_BODY: (right[:-10], self._close),
            Deed.RESET_IN_BODY: (right[:-10], self._reset),
            Deed.SHORT_CHUNKS: (self._server.chunked(whole=False), self._close),
            Deed.NO_LENGTH: (b"HTTP/1.1 200 OK\r\n\r\n" + BODY, self._close),
            Deed.STATUS_500: (self._server.answer(b"broken", status=b"500 Internal Server Error"), None),
            Deed.ERROR_PAGE: (self._server.answer(ERROR_PAGE), None),
            Deed.GARBAGE: (b"\x00\x01 this is not HTTP\r\n\r\n", self._close),
        }

    async def _close(self) -> None:
        """An orderly end: FIN."""
        await self._writer.drain()
        self._writer.close()

    async def _reset(self) -> None:
        """RST."""
        sock: socket.socket = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def _websocket(self, head: bytes) -> None:
        deed = self._server.next_handshake()
        refusals = {
            Handshake.STATUS_503: self._server.answer(b"no", status=b"503 Service Unavailable"),
            Handshake.CLOSE_AT_ONCE: b"",
            Handshake.HALF_HEAD: b"HTTP/1.1 101 Switching",
            Handshake.GARBAGE: b"\x00\x01 this is not HTTP\r\n\r\n",
        }
        if deed is Handshake.HANG:
            await self._reader.read()
        elif deed is Handshake.ACCEPT:
            self._writer.write(_accepted(head))
            await self._messages()
        else:
            self._writer.write(refusals[deed])
            await self._close()

    async def _messages(self) -> None:
        while True:
            opcode, data = await _read_frame(self._reader)
            if opcode == 8:
                self._writer.write(_frame(8, data))
                return
            if opcode == 1:
                self._server.count_request()
                deed = self._server.next_deed()
                assert isinstance(deed, WsDeed)
                if deed is WsDeed.LATE:
                    await asyncio.sleep(self._server.late)
                if self._answer_message(deed, data.decode()):
                    await self._count_overtaken(deed)
                    return

    def _answer_message(self, deed: WsDeed, text: str) -> bool:
        """Returns whether the socket is at its end."""
        echo = _frame(1, self._server.echo(text).encode())
        closes = {code: _frame(8, struct.pack("!H", code) + b"bye") for code in (1001, 1011, 1012)}
        sent, ends = {
            WsDeed.ECHO: (echo, False),
            WsDeed.WRONG_ECHO: (_frame(1, self._server.echo("something else").encode()), False),
            WsDeed.HANG: (b"", False),
            WsDeed.LATE: (echo, False),
            WsDeed.CLOSE_1001: (closes[1001], True),
            WsDeed.CLOSE_1011: (closes[1011], True),
            WsDeed.CLOSE_1012: (closes[1012], True),
            WsDeed.DROP: (b"", True),
            WsDeed.ECHO_THEN_1011: (echo + closes[1011], True),
            WsDeed.ECHO_THEN_1012: (echo + closes[1012], True),
            WsDeed.ECHO_THEN_DROP: (echo, True),
        }[deed]
        self._writer.write(sent)
        return ends

    async def _count_overtaken(self, deed: WsDeed) -> None:
        """Say that nothing more will come, and count what the client had sent before it knew."""
        self._writer.write_eof()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                opcode, _ = await _read_frame(self._reader)
                self._server.overtaken[deed] += opcode == 1


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _accepted(head: bytes) -> bytes:
    key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
    digest = hashlib.sha1(key.partition(b":")[2].strip() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    accept = b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    return b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + accept


def _frame(opcode: int, data: bytes) -> bytes:
    assert len(data) < 126, "the test keeps its messages short"
    return bytes([0x80 | opcode, len(data)]) + data


async def _read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Opcode and unmasked data of a short frame from a client."""
    first, second = await reader.readexactly(2)
    mask = await reader.readexactly(4)
    data = await reader.readexactly(second & 0x7F)
    return first & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
