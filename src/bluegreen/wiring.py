"""The composition root: the only module that knows which adapters there are, and imports those in use.

A command opens a world: the pipeline's tools over one stack's adapters. Heavy parts are imported when they are used, so
that a rollback starts as fast as it can.
"""

from __future__ import annotations

import os
import pwd
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bluegreen.clock import SystemClock
from bluegreen.domain.errors import UsageError
from bluegreen.domain.reading import Arrivals
from bluegreen.domain.stack import Slot, after
from bluegreen.pipeline.tools import Tools
from bluegreen.platforms.local.addresses import ADDRESS
from bluegreen.platforms.local.journal import LocalJournal
from bluegreen.platforms.local.layout import Layout
from bluegreen.platforms.local.lock import LocalLock
from bluegreen.platforms.local.platform import LocalPlatform
from bluegreen.platforms.local.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bluegreen.domain.events import Event
    from bluegreen.domain.reading import Reading
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Instant, Need, Seconds, Stack
    from bluegreen.platforms.local.control import Up
    from bluegreen.platforms.local.envoy import Front
    from bluegreen.platforms.local.store import Store
    from bluegreen.ports import Clock, Metrics

DEFAULT_APP = Path("bluegreen.yaml")

UP_LIMIT: Seconds = 150.0
"""How long ``up`` waits for the active slot: as long as a health validation by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where one service answers: users' address, and each slot's own."""

    service: str
    users: str
    slots: tuple[tuple[Slot, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The tools of one command, and what only this machine's platform can tell."""

    tools: Tools
    addresses: tuple[Addresses, ...]
    logs: Path


@contextmanager
def open_world(*, state: Path, app: Path | None, emit: Callable[[Event], None]) -> Iterator[World]:
    """The world of ``deploy``: the stack as the app file has it now, else as the state folder has it.

    Raises AppFileError, UsageError (the app file is another stack's), NotStarted, PlatformError.
    """
    layout = Layout(state)
    with open_store(layout) as store:
        stack = _stack_of_app(app, recorded=store.record().stack)
        yield _world(layout, store, stack=stack, emit=emit)


@contextmanager
def open_world_fast(*, state: Path, emit: Callable[[Event], None]) -> Iterator[World]:
    """The world of every other command: the stack as the state folder has it. Raises NotStarted, PlatformError."""
    layout = Layout(state)
    with open_store(layout) as store:
        yield _world(layout, store, stack=store.record().stack, emit=emit)


def stack_of(*, state: Path, app: Path | None) -> Stack:
    """The stack that ``deploy`` would release, for its options. Raises as ``open_world``."""
    with open_store(Layout(state)) as store:
        return _stack_of_app(app, recorded=store.record().stack)


def up(*, state: Path, app: Path | None, ports: Mapping[str, int], emit: Callable[[Event], None]) -> Up:
    """Bring the app file's stack up on this machine. ``ports``: by full or short service name, 0 for any free one.

    Raises AppFileError, and what platforms.local.control.up raises.
    """
    from bluegreen.appfile import load_app
    from bluegreen.platforms.local.control import Asked
    from bluegreen.platforms.local.control import up as bring_up

    found = load_app(app)
    clock = listening_clock()
    by_service = _by_full_name(found.stack, ports)
    asked = Asked(stack=found.stack, images=found.local.images, ports=by_service, who=who())
    return bring_up(asked, layout=Layout(state), clock=clock, emit=emit, until=after(clock.now(), UP_LIMIT))


def down(*, state: Path, purge: bool, emit: Callable[[Event], None]) -> bool:
    """End everything on this machine; whether there was anything. Raises what platforms.local.control.down raises."""
    from bluegreen.platforms.local.control import down as bring_down

    return bring_down(layout=Layout(state), clock=listening_clock(), emit=emit, who=who(), purge=purge)


def listening_clock() -> SystemClock:
    """A clock at which the process's signals arrive."""
    clock = SystemClock()
    clock.listen()
    return clock


def who() -> str:
    """Who runs this, for the journal and for whoever finds the lock taken."""
    return f"{_user()} on {os.uname().nodename}, pid {os.getpid()}"


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def new_id(letters: str) -> str:
    """A new opaque id, short enough to be read out."""
    return f"{letters}-{os.urandom(4).hex()}"


def full_name(stack: Stack, name: str) -> str:
    """The service of that full or short name; a full name wins. Raises UsageError with the names that exist."""
    short = [service for service in stack.names if stack.short(service) == name]
    if name not in stack.names and len(short) == 1:
        return short[0]
    return stack.service(name).name


def _by_full_name(stack: Stack, ports: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, port in ports.items():
        service = full_name(stack, name)
        if service in found:
            raise UsageError(f"two ports are named for {service}", mend="name one for each service")
        found[service] = port
    return found


def _stack_of_app(app: Path | None, *, recorded: Stack) -> Stack:
    """A file that is named counts, then the folder's own; without either the stack is as ``up`` was given it."""
    if app is None and not DEFAULT_APP.exists():
        return recorded
    from bluegreen.appfile import load_app

    found = load_app(app)
    _refuse_another(found.stack, recorded, path=str(found.path))
    return found.stack


def _refuse_another(found: Stack, recorded: Stack, *, path: str) -> None:
    if (found.name, _shape(found)) == (recorded.name, _shape(recorded)):
        return
    what = "its services, or whom they need, are not those of" if found.name == recorded.name else "it is not about"
    raise UsageError(
        f"{path}: {what} the stack {recorded.name}, which is up here",
        mend="name the right file with --app or the right state with --state; or bluegreen down --purge, then up",
    )


def _shape(stack: Stack) -> tuple[tuple[str, tuple[Need, ...]], ...]:
    """What cannot change between two releases: the services and whom they call."""
    return tuple((service.name, service.needs) for service in stack.services)


def _world(layout: Layout, store: Store, *, stack: Stack, emit: Callable[[Event], None]) -> World:
    clock = listening_clock()
    platform = LocalPlatform(layout, store, clock=clock, stack=stack)
    tools = Tools(
        stack=stack,
        platform=platform,
        lock=LocalLock(layout, clock=clock),
        journal=LocalJournal(store),
        metrics=_LateMetrics(stack, platform, clock),
        clock=clock,
        emit=emit,
        new_id=new_id,
        who=who(),
    )
    fronts = store.record().fronts
    return World(tools=tools, addresses=tuple(map(_addresses, fronts)), logs=layout.logs)


def _addresses(front: Front) -> Addresses:
    slots = tuple((slot, _url(port)) for slot, port in front.preview_ports)
    return Addresses(service=front.service, users=_url(front.public_port), slots=slots)


def _url(port: int) -> str:
    return f"http://{ADDRESS}:{port}"


class _LateMetrics:
    """ports.Metrics whose parser is imported at the first reading: a rollback never comes to it."""

    def __init__(self, stack: Stack, platform: LocalPlatform, clock: Clock) -> None:
        self._stack = stack
        self._platform = platform
        self._clock = clock
        self._metrics: Metrics | None = None

    def read(self, snapshot: Snapshot, *, until: Instant) -> Reading:
        if self._metrics is None:
            self._metrics = self._open()
        return self._metrics.read(snapshot, until=until)

    def _open(self) -> Metrics:
        from bluegreen.metrics.merged import WithArrivals
        from bluegreen.metrics.scrape import ScrapeMetrics

        return WithArrivals(ScrapeMetrics(self._stack, clock=self._clock), self._arrivals)

    def _arrivals(self, until: Instant) -> Sequence[Arrivals]:
        counters = self._platform.plane.counters(timeout=max(0.01, until - self._clock.now()))
        return [
            Arrivals(service=each.service, slot=each.slot, requests=each.requests, in_flight=each.in_flight)
            for each in counters
        ]
