"""The gateway, port 8080: what users talk to. It passes work on to the backend of its own slot.

Paths: ``/healthz`` (startup and liveness), ``/ready`` (readiness), ``/metrics``, ``/api/work``, ``/api/slow``,
``/api/stream``, the WebSocket ``/ws``, and ``/`` for people.
"""

from __future__ import annotations

import html
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route, Router, WebSocketRoute

from alfred import process
from alfred.echo import EchoSockets
from alfred.lameduck import LameDuck
from alfred.measured import Exchange, Trouble
from alfred.metrics import CONTENT_TYPE, STATUSES, GatewayMetrics
from alfred.queries import read_body
from alfred.settings import Service
from alfred.upstream import BackendHealth, Upstream, answer_in, read_parts, read_whole

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send
    from starlette.websockets import WebSocket

    from alfred.pool import Reply
    from alfred.settings import Settings
    from alfred.upstream import Answer

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Alfred</title>
<body style="font: 1.2rem sans-serif; margin: 4rem; border-left: 1rem solid {slot}; padding-left: 2rem">
<h1>Alfred</h1>
<p>You are talking to the <b>{slot}</b> slot, version <b>{version}</b>.</p>
<p>Try <a href="/api/work">/api/work</a>, <a href="/api/slow?seconds=2">/api/slow</a>,
<a href="/api/stream?chunks=10&amp;interval=0.5">/api/stream</a>, <a href="/metrics">/metrics</a>.</p>
</body></html>
"""


class Gateway:
    """The handlers."""

    def __init__(self, settings: Settings, upstream: Upstream, *, duck: LameDuck) -> None:
        """Serves nothing yet."""
        self._me = {"service": "gateway", "slot": settings.slot, "version": settings.version}
        self._never_ready = settings.faults.never_ready
        self._duck = duck
        self._upstream = upstream
        self._backend = BackendHealth(upstream)
        self.websockets = EchoSockets({"slot": settings.slot, "version": settings.version})
        self.metrics = GatewayMetrics(settings.service)
        self.metrics.gauge("websockets_open", "WebSockets open now", read=lambda: len(self.websockets))

    def routes(self) -> Router:
        """What answers which path."""
        return Router(
            [
                Route("/api/work", self.relay, methods=["GET", "POST"]),
                Route("/api/slow", self.relay),
                Route("/api/stream", self.stream),
                WebSocketRoute("/ws", self.websockets.serve),
                WebSocketRoute("/{path:path}", self.no_websocket),
                Route("/healthz", self.alive),
                Route("/ready", self.ready),
                Route("/metrics", self.show_metrics),
                Route("/", self.page),
            ],
            redirect_slashes=False,
        )

    async def alive(self, _request: Request) -> Response:
        """Alive, also while it is leaving: a lame duck must not be shot."""
        return JSONResponse({**self._me, "alive": True})

    async def ready(self, request: Request) -> Response:
        """Ready for users, which it is only together with its backend."""
        ready = not (self._duck.leaving or self._never_ready) and await self._backend.healthy()
        Exchange.of(request).backend = self._backend.who
        return JSONResponse({**self._me, "ready": ready}, status_code=200 if ready else 503)

    async def show_metrics(self, _request: Request) -> Response:
        """The counters, for Prometheus."""
        return Response(self.metrics.render(), media_type=CONTENT_TYPE)

    async def page(self, _request: Request) -> Response:
        """Who is answering, for people."""
        return HTMLResponse(PAGE.format(slot=self._me["slot"], version=html.escape(self._me["version"])))

    async def relay(self, request: Request) -> Response:
        """Pass a request on and say who did; a status of the backend stays what it is."""
        exchange, target = Exchange.of(request), _target(request)
        if request.method == "POST":
            return self._told(await self._upstream.post(exchange, target=target, body=await read_body(request)))
        return self._told(await self._upstream.ask(exchange, target=target))

    async def no_websocket(self, websocket: WebSocket) -> None:
        """Refuse a WebSocket elsewhere. uvicorn leaves its default headers out here, so the answer brings them."""
        who = {"x-slot": self._me["slot"], "x-version": self._me["version"]}
        await websocket.send_denial_response(JSONResponse({"error": "use /ws"}, status_code=404, headers=who))

    async def stream(self, request: Request) -> Response:
        """Pass a stream on as it comes. It breaks off where the backend's does."""
        exchange = Exchange.of(request)
        reply = await self._upstream.open_stream(exchange, target=_target(request))
        if reply.status != 200:
            return self._told(answer_in(await read_whole(reply), status=reply.status))
        exchange.long_lived = True
        return PassedThrough(reply)

    def _told(self, answer: Answer) -> Response:
        if answer.status not in STATUSES:
            raise Trouble(502, f"the backend answered {answer.status}")
        return JSONResponse({**self._me, "backend": answer.content}, status_code=answer.status)


class PassedThrough(StreamingResponse):
    """The backend's stream as the answer to a user; when either side leaves, the other is let go."""

    def __init__(self, reply: Reply) -> None:
        """``reply`` is open and nothing of its body was read."""
        super().__init__(read_parts(reply), media_type=reply.headers.get(b"content-type", b"").decode("latin-1"))
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, and end the way to the backend whatever happens."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._reply.close()


def _target(request: Request) -> bytes:
    """Path and query as they came, still encoded: decoded ones could hold the end of a line."""
    path: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return path + b"?" + query if query else path


async def _serve(settings: Settings) -> None:
    duck = LameDuck(seconds=settings.lame_duck)
    upstream = Upstream(settings.backend_url)
    gateway = Gateway(settings, upstream, duck=duck)
    with closing(upstream):
        await process.serve(
            settings, gateway.routes(), metrics=gateway.metrics, duck=duck, websockets=gateway.websockets
        )


def main() -> int:
    """Run the gateway that the environment describes; returns the exit status."""
    return process.run(Service.GATEWAY, _serve)


if __name__ == "__main__":
    sys.exit(main())
