"""The outermost layer: every request is counted once, at its end, and every answer says what it has to say.

Decides when a connection is told that it ends: in each answer while the process is leaving, and in each stream,
which could not say so later. Slot and version of this process are in every answer by the server's default
headers (``process``), so that not even uvicorn's own refusals go without.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from alfred.log import say
from alfred.metrics import PROBES, GatewayMetrics

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from alfred.lameduck import LameDuck
    from alfred.metrics import Metrics

Header = tuple[bytes, bytes]
CLOSE: Final[Header] = (b"connection", b"close")
CLIENT_LEFT: Final = 499
BROKE_OFF: Final = 502
FAILED: Final = 500
_KEY: Final = "alfred.exchange"


class Trouble(Exception):
    """A request that gets an error for an answer; one that has begun to be answered breaks off."""

    def __init__(self, status: int, detail: str) -> None:
        """``detail`` is for the person who asked."""
        super().__init__(detail)
        self.status = status


@dataclass(slots=True)
class Exchange:
    """What is learned of one request while it is answered."""

    status: int = 0
    """What the client sees; 0 before the answer begins."""
    upstream_ms: float | None = None
    """Time spent waiting for the backend; None if it was not called."""
    backend: list[Header] = field(default_factory=list)
    """Who the backend said it is, in the headers for the client."""
    long_lived: bool = False

    @classmethod
    def of(cls, connection: HTTPConnection) -> Exchange:
        """The exchange that a handler is part of."""
        exchange: Exchange = connection.scope[_KEY]
        return exchange


class Measured:
    """An ASGI layer around a whole service."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, duck: LameDuck) -> None:
        """``app`` answers; its Trouble becomes an answer here."""
        self._app = app
        self._metrics = metrics
        self._duck = duck

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. WebSockets pass: they have a gauge of their own."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] in PROBES:
            await self._probe(scope, receive, send)
        else:
            await self._request(scope, receive, send)

    async def _probe(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange()
        try:
            await self._answer(exchange, scope, receive, send)
        finally:
            self._metrics.probe_ended(path=scope["path"], status=exchange.status or FAILED)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange()
        self._metrics.request_begins()
        begun = time.perf_counter()
        try:
            await self._answer(exchange, scope, receive, send)
        finally:
            self._count(exchange, method=scope["method"], duration_ms=(time.perf_counter() - begun) * 1000)

    def _count(self, exchange: Exchange, *, method: str, duration_ms: float) -> None:
        metrics = self._metrics
        metrics.request_ended(method=method, status=exchange.status or FAILED, duration_ms=duration_ms)
        if isinstance(metrics, GatewayMetrics) and not exchange.long_lived:
            metrics.split(duration_ms=duration_ms, upstream_ms=exchange.upstream_ms)

    async def _answer(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *self._marks(exchange)]
            await send(message)

        scope[_KEY] = exchange
        try:
            await self._app(scope, receive, send_marked)
        except ClientDisconnect:
            exchange.status = CLIENT_LEFT
        except Trouble as trouble:
            if exchange.status:
                exchange.status = _broken(exchange)
                say(f"an answer broke off: {trouble}")
            else:
                await JSONResponse({"error": str(trouble)}, status_code=trouble.status)(scope, receive, send_marked)
        except BaseException:
            exchange.status = _broken(exchange)
            raise

    def _marks(self, exchange: Exchange) -> list[Header]:
        if self._duck.leaving or exchange.long_lived:
            return [*exchange.backend, CLOSE]
        return exchange.backend


def _broken(exchange: Exchange) -> int:
    """What counts for an answer that is left without its end; uvicorn then cuts the connection.

    A clean end would be a lie to the client, and the status of its first line would be one to the metrics.
    """
    if exchange.status:
        return BROKE_OFF
    return FAILED
