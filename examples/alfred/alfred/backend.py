"""The backend, port 8000: small work, slow work, and a stream.

Paths: ``/health`` (startup, readiness and liveness), ``/metrics``, ``/api/work``, ``/api/slow``, ``/api/stream``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, Router

from alfred import process
from alfred.lameduck import LameDuck
from alfred.measured import Exchange, Trouble
from alfred.metrics import CONTENT_TYPE, Metrics
from alfred.queries import LONGEST_STREAM, LONGEST_WAIT, MOST_CHUNKS, read_body, read_count, read_seconds
from alfred.settings import Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

    from alfred.settings import Settings


class Backend:
    """The handlers."""

    def __init__(self, settings: Settings, *, metrics: Metrics, duck: LameDuck) -> None:
        """Serves nothing yet."""
        self._me = {"service": "backend", "slot": settings.slot, "version": settings.version}
        self._never_ready = settings.faults.never_ready
        self._metrics = metrics
        self._duck = duck

    def routes(self) -> Router:
        """What answers which path."""
        return Router(
            [
                Route("/api/work", self.work, methods=["GET", "POST"]),
                Route("/health", self.health),
                Route("/api/slow", self.slow),
                Route("/api/stream", self.stream),
                Route("/metrics", self.metrics),
            ],
            redirect_slashes=False,
        )

    async def health(self, _request: Request) -> Response:
        """Healthy, unless it is leaving: this path is its readiness too, and nobody new is to come."""
        healthy = not (self._duck.leaving or self._never_ready)
        return JSONResponse({**self._me, "healthy": healthy}, status_code=200 if healthy else 503)

    async def metrics(self, _request: Request) -> Response:
        """The counters, for Prometheus."""
        return Response(self._metrics.render(), media_type=CONTENT_TYPE)

    async def work(self, request: Request) -> Response:
        """Something small, at once."""
        return JSONResponse({**self._me, "received": len(await read_body(request))})

    async def slow(self, request: Request) -> Response:
        """The same after ``seconds``, 2 unless told."""
        seconds = read_seconds(request, "seconds", usual=2, most=LONGEST_WAIT)
        await asyncio.sleep(seconds)
        return JSONResponse({**self._me, "waited": seconds})

    async def stream(self, request: Request) -> Response:
        """``chunks`` lines, 10 unless told, with ``interval`` seconds between them, 0.1 unless told."""
        chunks = read_count(request, "chunks", usual=10, most=MOST_CHUNKS)
        interval = read_seconds(request, "interval", usual=0.1, most=LONGEST_WAIT)
        if (chunks - 1) * interval > LONGEST_STREAM:
            raise Trouble(400, f"chunks and interval make more than {LONGEST_STREAM:g} s; ask for less of one")
        Exchange.of(request).long_lived = True
        return StreamingResponse(self._lines(chunks, interval), media_type="application/x-ndjson")

    async def _lines(self, chunks: int, interval: float) -> AsyncIterator[bytes]:
        for number in range(1, chunks + 1):
            yield json.dumps({**self._me, "chunk": number, "of": chunks}).encode() + b"\n"
            if number < chunks:
                await asyncio.sleep(interval)


async def _serve(settings: Settings) -> None:
    duck = LameDuck(seconds=settings.lame_duck)
    metrics = Metrics(settings.service)
    routes = Backend(settings, metrics=metrics, duck=duck).routes()
    await process.serve(settings, routes, metrics=metrics, duck=duck)


def main() -> int:
    """Run the backend that the environment describes; returns the exit status."""
    return process.run(Service.BACKEND, _serve)


if __name__ == "__main__":
    sys.exit(main())
