"""What the worlds of all platforms have: their shape, who runs them, and new ids."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bluegreen.clock import SystemClock
from bluegreen.domain.stack import PROMETHEUS_VARIABLES, Prometheus, Slot
from bluegreen.domain.values import dataclass, replace
from bluegreen.parent import in_ci, watch_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bluegreen.domain.reading import Reading
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import CommandCheck, Instant, Stack
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import Clock, Commands, Errand, ErrandEnd, Finding, LogTail, Metrics

DEFAULT_APP = Path("bluegreen.yaml")
"""The app file of the folder at hand. Here and not asked of ``appfile``, which costs a rollback 29 ms."""


SECRETS = frozenset({"BLUEGREEN_NOTIFY", *PROMETHEUS_VARIABLES})
"""Variables of ours that no other program gets to see, besides a kubeconfig's content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where one service answers: users' address, and each slot's own."""

    service: str
    users: str
    slots: tuple[tuple[Slot, str], ...]


class Tails(Protocol):
    """Reads the ends of the replicas' logs."""

    def __call__(self, services: Sequence[str], *, slot: Slot | None, lines: int) -> Sequence[LogTail]:
        """By service, slot and replica. ``slot`` None: both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The tools of one command, and what only a platform can tell."""

    tools: Tools
    addresses: tuple[Addresses, ...]
    tails: Tails
    untold: str = ""
    """Kubernetes: why it cannot be told which objects are of which slot; empty: it can."""


class LateMetrics:
    """ports.Metrics whose parser is imported at the first reading: a rollback never comes to it."""

    def __init__(self, make: Callable[[], Metrics], *, at_once: bool = False) -> None:
        """``make`` imports and opens them. ``at_once``: now, to tell a wrong setting before anything is written."""
        self._make = make
        self._metrics: Metrics | None = make() if at_once else None

    def read(self, snapshot: Snapshot, *, until: Instant) -> Reading:
        """As in ports.Metrics."""
        return self._made().read(snapshot, until=until)

    def foresee(self, snapshot: Snapshot, *, until: Instant) -> Sequence[Finding]:
        """As in ports.Metrics."""
        return self._made().foresee(snapshot, until=until)

    def _made(self) -> Metrics:
        if self._metrics is None:
            self._metrics = self._make()
        return self._metrics


def read_from(stack: Stack, url: str) -> Stack:
    """The stack, its counters read from the Prometheus server at this URL; empty: as it is. Raises UsageError."""
    if not url:
        return stack
    source = replace(stack.prometheus, url=url) if stack.prometheus is not None else Prometheus(url=url)
    return replace(stack, prometheus=source)


def prometheus_metrics(
    stack: Stack, source: Prometheus, *, pod_label: str, namespace: str = "", clock: Clock
) -> Metrics:
    """Counters from the server. ``pod_label``: unless the app file names one. Raises UsageError."""
    from bluegreen.metrics.prometheus import PrometheusMetrics
    from bluegreen.metrics.prometheus_server import Server

    source = replace(source, pod_label=source.pod_label or pod_label)
    return PrometheusMetrics(stack, source, Server(source, os.environ), clock=clock, namespace=namespace)


class LateCommands:
    """ports.Commands that are imported when the first of them is needed: a rollback never comes to it."""

    def __init__(self, make: Callable[[], Commands]) -> None:
        """``make`` imports them."""
        self._make = make
        self._commands: Commands | None = None

    def examine(self, check: CommandCheck) -> str:
        """As in ports.Commands."""
        return self._made().examine(check)

    def run(self, errand: Errand, *, until: Instant) -> ErrandEnd:
        """As in ports.Commands."""
        return self._made().run(errand, until=until)

    def _made(self) -> Commands:
        if self._commands is None:
            self._commands = self._make()
        return self._commands


def commands_of(stack: Stack, *, clock: Clock, addresses: Sequence[Addresses]) -> LateCommands:
    """The command checks, with an environment that holds no secret of ours."""

    def make() -> Commands:
        from bluegreen.commands.run import ProcessCommands

        places = [(each.service, slot, at) for each in addresses for slot, at in each.slots]
        return ProcessCommands(stack, clock=clock, environment=child_environment(), addresses=places)

    return LateCommands(make)


def open_environment() -> dict[str, str]:
    """Our environment without the secrets that are for nobody else: where the cluster is read from."""
    return {name: value for name, value in os.environ.items() if name not in SECRETS}


def child_environment() -> dict[str, str]:
    """What another program may see of our environment: no kubeconfig's content, and no secret of ours."""
    from bluegreen.platforms.kubernetes.kubeconfig import child_environment as without_content

    return without_content(open_environment())


def listening_clock() -> SystemClock:
    """A clock at which the process's signals arrive; in a CI job the death of its parent is one of them."""
    clock = SystemClock()
    clock.listen()
    if in_ci(os.environ):
        watch_parent()
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
