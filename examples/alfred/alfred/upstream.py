"""The gateway's way to its backend, and who answers there.

Decides what a failing backend looks like to a user: 502 it cannot be reached or broke off, 503 every connection is
in use, 504 it is too late. Who the backend is, is told by its own answers only: if it sits in another slot than the
gateway, the user is to see that.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from alfred.measured import Trouble
from alfred.pool import Broken, Exhausted, Pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from alfred.measured import Exchange, Header
    from alfred.pool import Reply

LONGEST_ANSWER: Final = 15.0
"""Seconds; the slowest right answer takes 10. A stream has them for its beginning."""
LONGEST_HEALTH: Final = 0.8
"""Seconds; a probe that waits longer has given up."""
HEALTH_KEPT: Final = 0.5
"""Seconds for which an answer about the backend's health is used again: many probes stay cheap."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A backend's answer that is a JSON object."""

    status: int
    content: dict[str, object]


class Upstream:
    """Requests to the backend at one address."""

    def __init__(self, url: str, *, longest: float = LONGEST_ANSWER) -> None:
        """``url`` is ``http://HOST[:PORT]``; an answer may take ``longest`` seconds. Nothing is sent yet."""
        self._longest = longest
        parts = urlsplit(url)
        self._pool = Pool(parts.hostname or "", parts.port or 80)
        self._host = b"host: " + parts.netloc.encode() + b"\r\n"

    async def ask(self, exchange: Exchange, *, target: bytes) -> Answer:
        """GET ``target`` for a user and wait for the whole answer. Raises Trouble if it is no JSON object."""
        return await self._answered(exchange, self._get(target))

    async def post(self, exchange: Exchange, *, target: bytes, body: bytes) -> Answer:
        """The same with POST and a body."""
        head = b"POST " + target + b" HTTP/1.1\r\n" + self._host
        return await self._answered(exchange, head + b"content-length: %d\r\n\r\n" % len(body) + body)

    async def open_stream(self, exchange: Exchange, *, target: bytes) -> Reply:
        """GET ``target`` and wait for the beginning of the answer; the caller closes it. Raises Trouble."""
        with _failures_told():
            async with asyncio.timeout(self._longest):
                reply = await self._pool.send(self._get(target))
        exchange.backend = who(reply)
        return reply

    async def health(self) -> Reply:
        """The backend's answer about its health. Raises Trouble."""
        with _failures_told():
            async with asyncio.timeout(LONGEST_HEALTH):
                reply = await self._pool.send(self._get(b"/health"))
                await read_whole(reply)
        return reply

    def close(self) -> None:
        """End all connections."""
        self._pool.close()

    def _get(self, target: bytes) -> bytes:
        return b"GET " + target + b" HTTP/1.1\r\n" + self._host + b"\r\n"

    async def _answered(self, exchange: Exchange, request: bytes) -> Answer:
        with _timed(exchange), _failures_told():
            async with asyncio.timeout(self._longest):
                reply = await self._pool.send(request)
                exchange.backend = who(reply)
                body = await read_whole(reply)
        return answer_in(body, status=reply.status)


class BackendHealth:
    """Whether the backend is healthy, known for a moment."""

    def __init__(self, upstream: Upstream) -> None:
        """Asks nothing yet."""
        self._upstream = upstream
        self._asking = asyncio.Lock()
        self._known_until = 0.0
        self._healthy = False
        self.who: list[Header] = []
        """The backend that answered last; empty if none did."""

    async def healthy(self) -> bool:
        """Ask, unless it was asked just now; those who come meanwhile wait for the one answer."""
        async with self._asking:
            if time.monotonic() >= self._known_until:
                await self._ask()
                self._known_until = time.monotonic() + HEALTH_KEPT
        return self._healthy

    async def _ask(self) -> None:
        self._healthy, self.who = False, []
        try:
            reply = await self._upstream.health()
        except Trouble:
            return
        self._healthy, self.who = reply.status == 200, who(reply)


def who(reply: Reply) -> list[Header]:
    """The backend's slot and version as headers for the client; none if something else answered in its place."""
    pairs = [(b"x-backend-slot", reply.headers.get(b"x-slot")), (b"x-backend-version", reply.headers.get(b"x-version"))]
    return [(name, value) for name, value in pairs if value is not None]


async def read_whole(reply: Reply) -> bytes:
    """The body of an answer, which is closed afterwards. Raises Broken."""
    try:
        return await reply.whole()
    finally:
        reply.close()


async def read_parts(reply: Reply) -> AsyncIterator[bytes]:
    """The body of an answer as it comes. Raises Trouble where it breaks off."""
    with _failures_told():
        async for part in reply.parts():
            yield part


def answer_in(body: bytes, *, status: int) -> Answer:
    """What a backend has answered. Raises Trouble if it is no JSON object."""
    try:
        content = json.loads(body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise Trouble(502, f"the backend answered {status} with something that is no JSON object")
    return Answer(status, content)


@contextmanager
def _timed(exchange: Exchange) -> Iterator[None]:
    begun = time.perf_counter()
    try:
        yield
    finally:
        exchange.upstream_ms = (time.perf_counter() - begun) * 1000


@contextmanager
def _failures_told() -> Iterator[None]:
    """Turn what goes wrong on the way to the backend into what the user is told."""
    try:
        yield
    except Broken as error:
        raise Trouble(502, f"the backend gave no whole answer: {error}") from error
    except Exhausted as error:
        raise Trouble(503, "the gateway has no connection left for the backend") from error
    except TimeoutError as error:
        raise Trouble(504, "the backend did not answer in time") from error
