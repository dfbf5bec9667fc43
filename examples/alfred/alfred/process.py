"""From the environment to a served address and an exit status: what both services have in common.

Exit status: 0 ended as told, 2 refused its settings or its address, 3 cannot start (a fault), 7 crashed (a fault).
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import TYPE_CHECKING, Final

import uvicorn

from alfred.faulty import Faulty
from alfred.lameduck import LONGEST_REQUEST, LameDuckServer
from alfred.log import say
from alfred.measured import Measured
from alfred.settings import SettingError, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import NoReturn

    from starlette.types import ASGIApp

    from alfred.lameduck import LameDuck, LongLived
    from alfred.metrics import Metrics
    from alfred.settings import Service, Settings

EXIT_REFUSED: Final = 2
EXIT_CANNOT_START: Final = 3
EXIT_CRASHED: Final = 7
BACKLOG: Final = 2048
KEEP_ALIVE: Final = 3900
"""Seconds. Longer than a proxy in front keeps idle connections (Envoy: an hour), so that the proxy ends them and
never this side under a request. Only a lame duck ends them sooner, announced."""


def run(service: Service, serve: Callable[[Settings], Coroutine[None, None, None]]) -> int:
    """Read the settings of ``service``, serve until told to go, and return the exit status."""
    try:
        settings = read_settings(os.environ, service=service)
    except SettingError as error:
        say(f"alfred: {error}")
        return EXIT_REFUSED
    if settings.faults.cannot_start:
        say("alfred: cannot start: database schema is newer than this version")
        return EXIT_CANNOT_START
    asyncio.run(serve(settings))
    return 0


async def serve(
    settings: Settings, routes: ASGIApp, *, metrics: Metrics, duck: LameDuck, websockets: LongLived | None = None
) -> None:
    """Serve ``routes`` with everything around them until told to go. Exits if the address is taken."""
    if settings.faults.in_requests:
        routes = Faulty(routes, settings.faults, metrics=metrics)
    app = Measured(routes, metrics=metrics, duck=duck)
    config = _config(settings, app, takes_websockets=websockets is not None)
    server = LameDuckServer(config, name=settings.name, duck=duck, websockets=websockets)
    with _listen(settings) as listener:
        if settings.faults.crash_after is not None:
            asyncio.get_running_loop().call_later(settings.faults.crash_after, _crash, settings.faults.crash_after)
        await server.serve(sockets=[listener])


def _config(settings: Settings, app: ASGIApp, *, takes_websockets: bool) -> uvicorn.Config:
    """uvicorn without what a request would pay for and nobody would read."""
    return uvicorn.Config(
        app,
        loop="asyncio",
        http="httptools",
        ws="websockets-sansio" if takes_websockets else "none",
        ws_per_message_deflate=False,
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=[("X-Slot", settings.slot), ("X-Version", settings.version)],
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=LONGEST_REQUEST,
    )


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.host, settings.port
    try:
        return _bound(host, port)
    except OSError as error:
        say(f"alfred: cannot listen on {host}:{port}: {error.strerror or error}; give another HOST or PORT")
        sys.exit(EXIT_REFUSED)


def _bound(host: str, port: int) -> socket.socket:
    """A socket that names its protocol: for one that does not, asyncio leaves Nagle's algorithm on, 40 ms an answer."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _crash(seconds: int) -> NoReturn:
    """Die as a segmentation fault would: nothing is finished, nobody is told."""
    say(f"alfred: crashed after {seconds} s of life, as ALFRED_FAULT wants")
    os._exit(EXIT_CRASHED)
