"""Where a host is: looked up once, then again from time to time while the address that is known goes on being used.

A resolver waits five seconds for an answer whose packet was lost, longer than anybody may wait for a connection, and
its lookups hold the few threads that all others need: one lost packet would be a handful of users' 504. A Service's
address does not change for as long as the Service is there, so nobody who has one waits for the next.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Resolver = Callable[[str], Awaitable[tuple[str, ...]]]

FRESH_SECONDS: Final = 10.0
"""How long an address is used before it is looked up again, behind the users' backs."""


async def look_up(host: str) -> tuple[str, ...]:
    """The addresses of a host, the best first. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class Address:
    """The addresses of one host."""

    def __init__(self, host: str, *, resolver: Resolver = look_up, fresh_seconds: float = FRESH_SECONDS) -> None:
        """Looks nothing up yet."""
        self._host = host
        self._resolver = resolver
        self._fresh_seconds = fresh_seconds
        self._known: tuple[str, ...] = ()
        self._fresh_until = 0.0
        self._looking: asyncio.Task[OSError | None] | None = None

    async def all(self) -> tuple[str, ...]:
        """Those that are known; only when there are none is a lookup waited for. Raises OSError."""
        if self._looking is None and asyncio.get_running_loop().time() >= self._fresh_until:
            self._looking = asyncio.create_task(self._look())
        if self._looking is not None and not self._known:
            # Shielded: one who gives up does not take the lookup from the others.
            found = await asyncio.shield(self._looking)
            if isinstance(found, OSError):
                raise found
        return self._known

    def doubt(self) -> None:
        """Nobody answered there: look it up again at the next chance."""
        self._fresh_until = 0.0

    async def _look(self) -> OSError | None:
        """The error is an answer, not raised: perhaps nobody is waiting for it any more."""
        try:
            self._known = await self._resolver(self._host)
        except OSError as error:
            return error
        else:
            self._fresh_until = asyncio.get_running_loop().time() + self._fresh_seconds
            return None
        finally:
            self._looking = None
