"""The world of a stack on one machine."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bluegreen.domain.errors import NotStarted, UsageError
from bluegreen.domain.reading import Arrivals
from bluegreen.domain.stack import after
from bluegreen.pipeline.tools import Tools
from bluegreen.platforms.local.addresses import ADDRESS
from bluegreen.platforms.local.journal import LocalJournal
from bluegreen.platforms.local.layout import Layout
from bluegreen.platforms.local.lock import LocalLock
from bluegreen.platforms.local.platform import LocalPlatform
from bluegreen.platforms.local.store import open_store
from bluegreen.wiring.common import (
    DEFAULT_APP,
    Addresses,
    LateMetrics,
    World,
    commands_of,
    full_name,
    listening_clock,
    new_id,
    prometheus_metrics,
    read_from,
    who,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bluegreen.domain.events import Event
    from bluegreen.domain.stack import Instant, Need, Seconds, Slot, Stack
    from bluegreen.platforms.local.control import Up
    from bluegreen.platforms.local.envoy import Front
    from bluegreen.platforms.local.store import Store
    from bluegreen.ports import Clock, Finding, LogTail, Metrics

UP_LIMIT: Seconds = 150.0
"""How long ``up`` waits for the active slot: as long as a health validation by default."""


@contextmanager
def open_world(
    *, state: Path, app: Path | None, prometheus: str = "", emit: Callable[[Event], None]
) -> Iterator[World]:
    """The world of ``deploy``: the stack as the app file has it now, else as the state folder has it.

    ``prometheus``: the URL of the server that counters are read from; empty: as the app file says. Raises
    AppFileError, UsageError (the app file is another stack's), NotStarted, PlatformError.
    """
    layout = Layout(state)
    with open_store(layout) as store:
        stack = read_from(_stack_of_app(app, recorded=store.record().stack), prometheus)
        yield _world(layout, store, stack=stack, emit=emit, releases=True)


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
    _require_local(found.stack, path=found.path)
    clock = listening_clock()
    by_service = _by_full_name(found.stack, ports)
    asked = Asked(stack=found.stack, images=found.local.images, ports=by_service, who=who())
    return bring_up(asked, layout=Layout(state), clock=clock, emit=emit, until=after(clock.now(), UP_LIMIT))


def examine(*, state: Path, app: Path | None) -> Sequence[Finding]:
    """What speaks against the stack on this machine, or against bringing it up. Raises AppFileError, PlatformError."""
    from bluegreen.appfile import load_app
    from bluegreen.platforms.local.examine import machine_findings, ordered, stack_findings

    try:
        with open_world_fast(state=state, emit=lambda _event: None) as world:
            return world.tools.platform.examine(until=world.tools.limit())
    except NotStarted:
        found = load_app(app)
        _require_local(found.stack, path=found.path)
        return ordered([*machine_findings(state.absolute()), *stack_findings(found.stack, found.local.images)])


def down(*, state: Path, purge: bool, emit: Callable[[Event], None]) -> bool:
    """End everything on this machine; whether there was anything. Raises what platforms.local.control.down raises."""
    from bluegreen.platforms.local.control import down as bring_down

    return bring_down(layout=Layout(state), clock=listening_clock(), emit=emit, who=who(), purge=purge)


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
    _require_local(found.stack, path=found.path)
    _refuse_another(found.stack, recorded, path=str(found.path))
    return found.stack


def _require_local(found: Stack, *, path: Path | None) -> None:
    """What an app file may leave to Kubernetes must be said for one machine."""
    for service in found.services:
        if service.port_name:
            raise UsageError(
                f"{path}: the port of {service.name} is the name {service.port_name}, which only Kubernetes knows",
                mend="give its number; on Kubernetes a number does as well",
            )
        _ = service.probed


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


def _world(
    layout: Layout, store: Store, *, stack: Stack, emit: Callable[[Event], None], releases: bool = False
) -> World:
    clock = listening_clock()
    platform = LocalPlatform(layout, store, clock=clock, stack=stack)
    addresses = tuple(map(_addresses, store.record().fronts))
    tools = Tools(
        stack=stack,
        platform=platform,
        lock=LocalLock(layout, clock=clock),
        journal=LocalJournal(store),
        metrics=LateMetrics(
            partial(_metrics, stack, platform, clock), at_once=releases and stack.prometheus is not None
        ),
        commands=commands_of(stack, clock=clock, addresses=addresses),
        clock=clock,
        emit=emit,
        new_id=new_id,
        who=who(),
    )
    return World(tools=tools, addresses=addresses, tails=partial(_tails, layout.logs))


def _tails(folder: Path, services: Sequence[str], *, slot: Slot | None, lines: int) -> Sequence[LogTail]:
    from bluegreen.platforms.local.tails import tails_in

    return tails_in(folder, services=services, slot=slot, lines=lines)


def _addresses(front: Front) -> Addresses:
    slots = tuple((slot, _url(port)) for slot, port in front.preview_ports)
    return Addresses(service=front.service, users=_url(front.public_port), slots=slots)


def _url(port: int) -> str:
    return f"http://{ADDRESS}:{port}"


def _metrics(stack: Stack, platform: LocalPlatform, clock: Clock) -> Metrics:
    from bluegreen.metrics.merged import WithArrivals

    def arrivals(until: Instant) -> Sequence[Arrivals]:
        counters = platform.plane.counters(timeout=max(0.01, until - clock.now()))
        return [
            Arrivals(service=each.service, slot=each.slot, requests=each.requests, in_flight=each.in_flight)
            for each in counters
        ]

    return WithArrivals(_pods(stack, clock), arrivals)


def _pods(stack: Stack, clock: Clock) -> Metrics:
    if stack.prometheus is not None:
        return prometheus_metrics(stack, stack.prometheus, pod_label="instance", clock=clock)
    from bluegreen.metrics.scrape import ScrapeMetrics

    return ScrapeMetrics(stack, clock=clock)
