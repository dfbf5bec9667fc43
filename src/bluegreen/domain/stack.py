"""The stack: which services belong together, how each is probed, and in which order they move."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NewType

from bluegreen.domain.errors import UsageError
from bluegreen.domain.values import dataclass, field

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

    @classmethod
    def named(cls, text: str) -> Slot | None:
        """The slot of that name, as a label or a header has it; None: there is no such slot."""
        return cls(text) if text in set(cls) else None

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
    """A histogram of the whole request: in milliseconds, or in seconds when its name ends in ``_seconds``."""
    overhead: str = ""
    """The same of what this service adds: upstream time and long-lived connections not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Where in an answer a service says something of itself; both empty: nowhere."""

    header: str = ""
    json: str = ""
    """A path, as in JsonCondition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tells:
    """How a service says in which slot it runs, and which version it is: its image's tag."""

    path: str
    slot: Told = field(default_factory=Told)
    version: Told = field(default_factory=Told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Kubernetes: how the objects of one service are called and labelled, and by which label a slot is told."""

    service: str
    """The service's name in the stack."""
    users: str
    """The Service that users call."""
    labels: tuple[tuple[str, str], ...]
    """What every pod of it carries, in either slot."""
    slot_label: str
    """The label that names the slot: the key of the selector that a switch writes."""
    values: tuple[tuple[Slot, str], ...]
    """What that label says in each slot."""
    workloads: tuple[tuple[Slot, str], ...]
    """The Deployments."""
    previews: tuple[tuple[Slot, str], ...]
    """The slots' own Services; a slot that has none is not there."""
    budget: str
    """The PodDisruptionBudget; empty: there is none that can be turned."""

    def value(self, slot: Slot) -> str:
        """What the slot's label says in this slot."""
        return dict(self.values)[slot]

    def selector(self, slot: Slot) -> dict[str, str]:
        """What a Service selects that sends to the slot."""
        return {**dict(self.labels), self.slot_label: self.value(slot)}

    def slot_named(self, labels: Mapping[str, str]) -> Slot | None:
        """The slot that these labels, or this selector, name; None: none that is known."""
        value = labels.get(self.slot_label)
        return next((slot for slot, name in self.values if name == value), None)

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether what carries these labels belongs to the service, in whatever slot."""
        return all(labels.get(name) == value for name, value in self.labels)

    def workload(self, slot: Slot) -> str:
        """The Deployment of the slot."""
        return dict(self.workloads)[slot]

    def preview(self, slot: Slot) -> str:
        """The slot's own Service; empty: it has none."""
        return dict(self.previews).get(slot, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service of the stack. What only one platform uses is said so, and is data here, never logic."""

    name: str
    image: str
    """The repository without a tag, for example ``alfredai/backend``, or a whole reference to start with."""
    port: int
    """The port that users call."""
    probes: Probes | None = None
    """None: the app file names none. On Kubernetes the pods have their own; on one machine there must be some."""
    replicas: int = 2
    entry: str = ""
    """Kubernetes: where users call it from outside, ``https://alfred.example``; empty: only inside the cluster."""
    port_name: str = ""
    """Kubernetes: the name of that port in the Service, from which its number is read; empty: the number is given."""
    users: str = ""
    """Kubernetes: the Service that users call; empty: it is called like this service."""
    marks: Marks | None = None
    """Kubernetes: what its objects are called, as they were found; None: the convention of its name."""
    container: str = ""
    """Kubernetes: the container whose image a release replaces; empty: the only one."""
    command: tuple[str, ...] = ()
    """One machine: how the process is started; empty: the image's own ``run``."""
    environment: tuple[tuple[str, str], ...] = ()
    needs: tuple[Need, ...] = ()
    metrics: MetricNames | None = None
    tells: Tells | None = None
    """None: it says nothing of itself that could be compared."""
    grace: Seconds = 60.0
    """From the request to end to the kill (``terminationGracePeriodSeconds``)."""
    lame_duck: Seconds = 0.0
    """For how long it answers on after it was told to end, each answer with ``Connection: close``; 0: it does not."""

    @property
    def probed(self) -> Probes:
        """Its probes. Raises UsageError when the app file names none."""
        if self.probes is None:
            raise UsageError(
                f"the app file does not say how to probe {self.name}",
                mend=f"write health: /path, a path that answers 200, into the service {self.name}",
            )
        return self.probes

    @property
    def ready_path(self) -> str:
        """The path of its readiness probe; the root when the app file names no probes."""
        return self.probes.readiness.path if self.probes is not None else "/"

    def named(self, slot: Slot) -> str:
        """What the slot is called where the service runs."""
        return self.marks.value(slot) if self.marks is not None else str(slot)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """How often a check has to be good, and for how long it is tried again."""

    consecutive: int = 1
    """Good ones in a row."""
    interval: Seconds = 1.0
    """From the end of one to the beginning of the next."""
    within: Seconds = 0.0
    """For so long a bad one only begins the row anew; 0: the first bad one fails."""

    @property
    def longest(self) -> Seconds:
        """How long it may go on, without the time that the tries themselves take."""
        return max(self.within, (self.consecutive - 1) * self.interval)


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonCondition:
    """What one value of a JSON body must be. Without any condition it must be there, and not null."""

    path: str
    """Keys and, in lists, numbers from 0, with dots between them: ``database.replicas.0.state``."""
    equals: str = ""
    """The value as JSON, ``"ok"``, ``3``, ``true``; empty: any."""
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCheck:
    """One custom check of the app file: a request to every pod of a service in the idle slot."""

    name: str
    service: str
    path: str
    method: str = "GET"
    """GET or POST."""
    body: str = ""
    """What a POST sends."""
    request_headers: tuple[tuple[str, str], ...] = ()
    status: int = 200
    """The status that the answer must have; 1 to 5 stand for a whole class: 2 for all of 2xx."""
    other_statuses: tuple[int, ...] = ()
    """Others that are as good."""
    contains: str = ""
    """Text that the body must hold; empty: any body."""
    matches: str = ""
    """A regular expression that must be found in the body's first 64 KiB; empty: any body."""
    json: tuple[JsonCondition, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    """Headers that the answer must carry, with these values."""
    latency: Seconds | None = None
    """How long the whole answer may take; None: as long as the timeout."""
    timeout: Seconds = 5.0
    """Of one request."""
    repeat: Repeat = field(default_factory=Repeat)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandCheck:
    """One custom check of the app file: a program that is run where the release runs, and must end with 0."""

    name: str
    command: tuple[str, ...]
    """The program and its arguments; no shell reads them."""
    timeout: Seconds = 30.0
    """Of one run; then it is killed with all that it started."""
    repeat: Repeat = field(default_factory=Repeat)


CustomCheck = HttpCheck | CommandCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a release may not exceed in the observation window."""

    error_share: float = 0.01
    """Share of answers with status 5xx; the specification says 1 %."""
    p95_overhead_ms: float = 150.0
    """What the gateway may add, in milliseconds, at the 95th percentile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queries:
    """What Prometheus is asked for one service; an empty one is made from the service's own metric names.

    ``$pods`` stands for a pattern of the service's pods. Each is to give raw counters by pod, never rates.
    """

    service: str
    requests: str = ""
    """Requests by pod and status."""
    duration: str = ""
    """Buckets of the whole request's time by pod and ``le``."""
    overhead: str = ""
    """Buckets of what the service itself adds, by pod and ``le``."""


PROMETHEUS_VARIABLES: Final = tuple(f"BLUEGREEN_PROMETHEUS_{name}" for name in ("TOKEN", "USER", "PASSWORD"))
"""The environment variables that hold what a Prometheus server wants to see of us. No options, for a command line can
be seen; never shown, and passed on to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """A Prometheus server from which the counters are read, instead of from the pods."""

    url: str
    pod_label: str = ""
    """The label that tells which pod a series is of; ``instance`` holds its address, any other one its name. Empty:
    ``pod`` on Kubernetes, ``instance`` on one machine."""
    status_label: str = "status"
    scale: float | None = None
    """Milliseconds in the unit of the histograms' edges: 1, or 1000 for seconds; None: their names tell."""
    scrapes: str = "up"
    """A selector of series with a sample at each scrape of a pod: they tell how old the counters are."""
    queries: tuple[Queries, ...] = ()
    token_file: str = ""
    """A file with a bearer token; empty: the environment's, if any."""
    ca_file: str = ""
    """Certificates of the authorities that vouch for the server; empty: the machine's."""

    def __post_init__(self) -> None:
        """Refuse an address that would carry a secret to the screen, or that is none."""
        scheme, slashes, rest = self.url.partition("://")
        host = (rest if slashes else self.url).partition("/")[0]
        if "@" in host or set(self.url) & {"?", "#"}:
            raise UsageError(
                "prometheus: the URL has a user or a query in it, which could be shown",
                mend="credentials come from a file or from the environment (docs/prometheus.md)",
            )
        plain = self.url.isprintable() and " " not in self.url
        if not slashes or scheme not in {"http", "https"} or not host.partition(":")[0] or not plain:
            raise UsageError(f"prometheus: {self.url!r} is no URL of a server", mend="write https://host:9090")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Services released together. ``services`` is the switch order; a rollback goes the other way."""

    name: str
    services: tuple[Service, ...]
    checks: tuple[CustomCheck, ...] = ()
    limits: Limits = field(default_factory=Limits)
    contacts: tuple[str, ...] = ()
    prometheus: Prometheus | None = None
    """Where the counters are read; None: from the pods."""
    slot_label: str = ""
    """Kubernetes: the label that names the slot; empty: it is found."""
    slot_values: tuple[tuple[Slot, str], ...] = ()
    """Kubernetes: what that label says in each slot; empty: it is found."""

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
    def needed(self) -> frozenset[str]:
        """The services that another one of the stack calls."""
        return frozenset(need.service for service in self.services for need in service.needs)

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
