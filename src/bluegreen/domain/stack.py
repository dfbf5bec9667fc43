"""The stack: which services belong together, how each is probed, and in which order they move."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

from bluegreen.domain.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Seconds = float
Instant = NewType("Instant", float)
"""A point on the monotonic clock of this process, in seconds."""


def after(start: Instant, seconds: Seconds) -> Instant:
    """The instant ``seconds`` after ``start``."""
    return Instant(start + seconds)


class Slot(StrEnum):
    """One complete copy of the stack."""

    BLUE = "blue"
    GREEN = "green"

    @property
    def other(self) -> Slot:
        """The slot that is not this one."""
        return Slot.GREEN if self is Slot.BLUE else Slot.BLUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One HTTP probe, in the terms of the Kubernetes pod specification."""

    path: str
    period: Seconds = 10.0
    timeout: Seconds = 1.0
    failures: int = 3
    """Failures in a row before it counts as failed (``failureThreshold``)."""

    @property
    def window(self) -> Seconds:
        """How long this probe may fail before the platform acts on it."""
        return self.period * self.failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """The three probes of a service."""

    startup: Probe
    readiness: Probe
    liveness: Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Another service of the stack that this one calls, in its own slot."""

    service: str
    variable: str
    """The environment variable that carries the slot's own address of that service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricNames:
    """What a service's own metrics are called (Prometheus text format); an empty name: it has none."""

    path: str = "/metrics"
    requests: str = ""
    """A counter with the label ``status``."""
    duration: str = ""
    """A histogram in milliseconds of the whole request."""
    overhead: str = ""
    """A histogram in milliseconds of what this service adds: upstream time and long-lived connections not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service of the stack. What only one platform uses is said so, and is data here, never logic."""

    name: str
    image: str
    """The repository without a tag, for example ``alfredai/backend``, or a whole reference to start with."""
    port: int
    """The port that users call."""
    probes: Probes
    replicas: int = 2
    container: str = ""
    """Kubernetes: the container whose image a release replaces; empty: the only one."""
    command: tuple[str, ...] = ()
    """One machine: how the process is started; empty: the image's own ``run``."""
    environment: tuple[tuple[str, str], ...] = ()
    needs: tuple[Need, ...] = ()
    metrics: MetricNames | None = None
    grace: Seconds = 60.0
    """From the request to end to the kill (``terminationGracePeriodSeconds``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCheck:
    """One custom check of the app file: a request to every pod of a service in the idle slot."""

    name: str
    service: str
    path: str
    status: int = 200
    contains: str = ""
    """Text that the body must hold; empty: any body."""
    headers: tuple[tuple[str, str], ...] = ()
    """Headers that the answer must carry, with these values."""
    timeout: Seconds = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a release may not exceed in the observation window."""

    error_share: float = 0.01
    """Share of answers with status 5xx; the specification says 1 %."""
    p95_overhead_ms: float = 150.0
    """What the gateway may add, in milliseconds, at the 95th percentile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Services released together. ``services`` is the switch order; a rollback goes the other way."""

    name: str
    services: tuple[Service, ...]
    checks: tuple[HttpCheck, ...] = ()
    limits: Limits = field(default_factory=Limits)
    contacts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could not be released: no services, a name twice, a need of a stranger or of itself."""
        _check_names(self)
        end_order(self.services)

    def service(self, name: str) -> Service:
        """The service of that name. Raises UsageError with the names that exist."""
        for service in self.services:
            if service.name == name:
                return service
        raise UsageError(
            f"stack {self.name} has no service {name!r}",
            mend=f"its services are {', '.join(self.names)}",
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The services' names in switch order."""
        return tuple(service.name for service in self.services)

    def short(self, name: str) -> str:
        """``alfred-backend`` in the stack ``alfred`` is ``backend``: the name that flags and lines use."""
        return name.removeprefix(f"{self.name}-") or name

    @property
    def end_order(self) -> tuple[str, ...]:
        """Dependents first: the order in which the services of a slot are ended."""
        return end_order(self.services)


def _check_names(stack: Stack) -> None:
    if not stack.services:
        raise UsageError(f"stack {stack.name} has no services", mend="name at least one service")
    for name in stack.names:
        if stack.names.count(name) > 1:
            raise UsageError(f"stack {stack.name} names the service {name!r} twice", mend="give each its own name")


def end_order(services: Sequence[Service]) -> tuple[str, ...]:
    """Sort so that whoever needs a service comes before it; ties keep reverse switch order.

    Raises UsageError when services need each other in a circle, or need one that the stack does not have.
    """
    waiting = {service.name: {need.service for need in service.needs} for service in services}
    _check_needs(waiting)
    order: list[str] = []
    while waiting:
        free = [name for name in reversed(waiting) if not _needed_by(waiting, name)]
        if not free:
            circle = " and ".join(_circle(waiting))
            raise UsageError(f"services need each other in a circle: {circle}", mend="remove one of the needs")
        order.append(free[0])
        del waiting[free[0]]
    return tuple(order)


def _circle(waiting: Mapping[str, set[str]]) -> list[str]:
    """Of services that are all needed by one another, those in a circle: not the ones that need none of the rest."""
    left = dict(waiting)
    while ends := [name for name, needs in left.items() if not needs & left.keys()]:
        for name in ends:
            del left[name]
    return sorted(left)


def _needed_by(waiting: Mapping[str, Iterable[str]], name: str) -> bool:
    return any(name in needs for needs in waiting.values())


def _check_needs(needs: Mapping[str, Iterable[str]]) -> None:
    for name, wanted in needs.items():
        for other in wanted:
            if other not in needs or other == name:
                raise UsageError(
                    f"service {name!r} needs {other!r}, which is not another service of the stack",
                    mend=f"the services are {', '.join(needs)}",
                )
