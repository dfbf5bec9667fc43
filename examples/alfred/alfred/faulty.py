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


class Faulty:
    """An ASGI layer in front of a service's routes."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        """``faults`` says in which ways ``app`` is spoilt."""
        self._app = app
        self._faults = faults
        self._errors = EvenShare(faults.errors)
        self._post_errors = EvenShare(faults.post_errors)
        self._tail = EvenShare(faults.tail_percent if faults.tail_ms else 0)
        self._hoard = Hoard(step_mb=faults.memory_mb) if faults.memory_mb else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, badly where it is due."""
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        await self._delay()
        if self._hoard is not None:
            self._hoard.grow()
        if self._fails(scope["method"]):
            raise Trouble(500, "this version fails here on purpose")
        if self._faults.error_page:
            await HTMLResponse(ERROR_PAGE)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _delay(self) -> None:
        delay_ms = self._faults.slow_ms
        if self._tail.picks_next():
            delay_ms += self._faults.tail_ms
        if delay_ms:
            await asyncio.sleep(delay_ms / 1000)

    def _fails(self, method: str) -> bool:
        failed = self._errors.picks_next()
        if method == "POST":
            return self._post_errors.picks_next() or failed
        return failed
