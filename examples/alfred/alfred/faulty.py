"""A layer that misbehaves in requests to /api/, as configured. A good version does without it.

Probes are left alone: the versions that hurt are those that their probes call healthy. Nothing here is random, so
that a share can be checked exactly.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.responses import HTMLResponse

from alfred.measured import Trouble

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from alfred.faults import Faults
    from alfred.metrics import Metrics

HOARD_LIMIT_MB: Final = 512
"""It is to be noticed, not to take the machine down."""
ERROR_PAGE: Final = "<!doctype html><title>Error</title><h1>Something went wrong</h1><p>Please try again later.</p>"


class EvenShare:
    """Picks an exact share of what it is asked about: ``percent`` of any hundred in a row, spread evenly."""

    def __init__(self, percent: int) -> None:
        """``percent`` from 0, none, to 100, all."""
        self._percent = percent
        self._asked = 0

    def picks_next(self) -> bool:
        """Whether the next one is among them."""
        before = self._asked * self._percent // 100
        self._asked += 1
        return self._asked * self._percent // 100 > before


class Hoard:
    """Memory that grows by each request and is never given back, up to a limit."""

    def __init__(self, *, step_mb: int, limit_mb: int = HOARD_LIMIT_MB) -> None:
        """Grows by ``step_mb`` megabytes at a time, to ``limit_mb`` at most."""
        self._step_mb = step_mb
        self._limit_mb = limit_mb
        self._kept: list[bytes] = []

    @property
    def size_mb(self) -> int:
        """What is kept now."""
        return len(self._kept) * self._step_mb

    def grow(self) -> None:
        """Take some more, unless that would be too much. It is written to: untouched pages cost nothing."""
        if self.size_mb + self._step_mb <= self._limit_mb:
            self._kept.append(b"\xa5" * (self._step_mb * 1024 * 1024))


class Connections:
    """Knows the connections that a request has come on before, by the client's address; the oldest are forgotten."""

    def __init__(self, *, most: int = 10_000) -> None:
        """Remembers ``most`` of them."""
        self._known: dict[object, None] = {}
        self._most = most

    def used_before(self, client: object) -> bool:
        """Whether there was a request on it."""
        before = client in self._known
        self._known[client] = None
        if len(self._known) > self._most:
            del self._known[next(iter(self._known))]
        return before


class Faulty:
    """An ASGI layer in front of a service's routes."""

    def __init__(self, app: ASGIApp, faults: Faults, *, metrics: Metrics) -> None:
        """``faults`` says in which ways ``app`` is spoilt, and ``metrics`` with it."""
        self._app = app
        self._faults = faults
        self._metrics = metrics
        self._asked = 0
        self._kept_alive = EvenShare(faults.kept_alive_errors)
        self._connections = Connections()
        self._errors = EvenShare(faults.errors)
        self._post_errors = EvenShare(faults.post_errors)
        self._tail = EvenShare(faults.tail_percent if faults.tail_ms else 0)
        self._hoard = Hoard(step_mb=faults.memory_mb) if faults.memory_mb else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, badly where it is due."""
        if scope["type"] == "http" and scope["path"] == "/metrics" and self._had(self._faults.metrics_gone):
            raise Trouble(404, "this version has lost its metrics on purpose")
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        self._count()
        await self._delay()
        if self._hoard is not None:
            self._hoard.grow()
        if self._fails(scope):
            raise Trouble(500, "this version fails here on purpose")
        if self._faults.error_page or self._had(self._faults.error_page_after):
            await HTMLResponse(ERROR_PAGE)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _delay(self) -> None:
        delay_ms = self._faults.slow_ms
        if self._tail.picks_next():
            delay_ms += self._faults.tail_ms
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)

    def _fails(self, scope: Scope) -> bool:
        failed = self._errors.picks_next()
        if self._connections.used_before(scope["client"]):
            failed = self._kept_alive.picks_next() or failed
        if scope["method"] == "POST":
            return self._post_errors.picks_next() or failed
        return failed

    def _count(self) -> None:
        self._asked += 1
        if self._faults.counters_reset and self._asked % self._faults.counters_reset == 0:
            self._metrics.begin_again()

    def _had(self, limit: int | None) -> bool:
        """Whether it has had so many requests; never, without a limit."""
        return limit is not None and self._asked > limit
