"""Everything known of the stack at one instant, and the questions that it answers by itself.

The words are those of the Kubernetes API, because they are the field's: a platform that has no pods calls its replicas
so, and one that has no container states says what it knows in their terms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from bluegreen.domain.stack import Instant, Seconds, Slot
from bluegreen.domain.values import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bluegreen.domain.image import ImageReference
    from bluegreen.domain.stack import Probes

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The container is not running (yet, or again): ``reason`` is a word such as ``CrashLoopBackOff``."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """The container runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminated:
    """The container ended."""

    exit_code: int
    reason: str = ""
    message: str = ""


ContainerState = Waiting | Running | Terminated


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """How long a container's own probes may fail before they say that it is bad: all of delay, tries and time-outs.

    None: it has no such probe, or nobody knows.
    """

    startup: Seconds | None = None
    readiness: Seconds | None = None

    @classmethod
    def of(cls, probes: Probes) -> Windows:
        """Those of the stack's own probes, to the end of the last try."""
        startup, readiness = probes.startup, probes.readiness
        return cls(startup=startup.window + startup.timeout, readiness=readiness.window + readiness.timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a pod: its state, how it ended last, and what its probes say."""

    name: str
    state: ContainerState = field(default_factory=Running)
    last: Terminated | None = None
    restarts: int = 0
    started: bool = True
    """The startup probe has passed."""
    failing: str = ""
    """Which probe fails and how, for example ``readiness: GET /ready answered 503``; empty: none."""
    windows: Windows = field(default_factory=Windows)
    condemned: str = ""
    """The probe for whose failures the platform ends it, or ended it last (``startup``, ``liveness``), or its hook
    (``postStart``); empty: none."""
    since: Instant | None = None
    """Since when it has been seen in this state (``dating.py``); None: nobody has looked twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What the platform says keeps a pod from starting or serving: ``reason`` is a word such as ``FailedMount``."""

    reason: str
    message: str = ""
    since: Instant | None = None
    """Since when there has been trouble, of whatever kind; None as in a container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One replica. ``name`` is its identity: a replica that was replaced has another name."""

    name: str
    service: str
    slot: Slot
    revision: str
    """The release that staged it; only pods of the wanted revision are judged."""
    ready: bool
    containers: tuple[Container, ...] = ()
    address: str = ""
    """``host:port`` where it answers directly; empty where it cannot be reached."""
    terminating: bool = False
    unplaced: str = ""
    """Why it has no place to run; empty: it has one."""
    promised: str = ""
    """Who is about to give it one all the same (an autoscaler, a gate that will be opened); empty: nobody says so."""
    trouble: Trouble | None = None
    since: Instant | None = None
    """Since when it has been seen as it is: ready or not, with a place or without one; None as in a container."""
    was_ready: bool = False
    """It has been seen ready, now or before."""

    @property
    def restarts(self) -> int:
        """Restarts of all its containers."""
        return sum(container.restarts for container in self.containers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A pod that is over and was to serve: ``reason`` is a word such as ``Evicted``."""

    pod: str
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """What a workload is made of besides its image: flat settings, so that two can be compared line by line."""

    settings: tuple[tuple[str, str], ...] = ()

    def differences(self, other: Template) -> tuple[str, ...]:
        """One line a setting that differs, ``name: here -> there``; sorted by name."""
        here, there = dict(self.settings), dict(other.settings)
        names = sorted(here.keys() | there.keys())
        return tuple(
            f"{name}: {here.get(name, '(not set)')} -> {there.get(name, '(not set)')}"
            for name in names
            if here.get(name) != there.get(name)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a stage would make of a service now, besides its image."""

    service: str
    replicas: int
    template: Template = field(default_factory=Template)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One service in one slot."""

    service: str
    slot: Slot
    image: ImageReference | None
    """None: nothing was ever staged here."""
    replicas: int
    revision: str = ""
    template: Template = field(default_factory=Template)
    pods: tuple[Pod, ...] = ()
    settled: bool = True
    """The platform has finished making the workload what was asked (a completed rollout)."""
    image_ids: frozenset[str] = frozenset()
    """What the pods really run, when the platform knows: digests."""
    reachable: int | None = None
    """Pods that the data plane counts as ready behind the slot's own address; None: it does not say."""
    problem: str = ""
    """What stops the platform from making its pods (a quota, an admission refusal, a pause); empty: nothing."""
    problem_since: Instant | None = None
    """Since when something has; None as in a container."""
    since: Instant | None = None
    """Since when this revision has been seen; None as in a container."""
    overdue: Seconds | None = None
    """The platform's own limit for getting there, when it says that this has run out; None: it does not."""
    lost: tuple[Lost, ...] = ()
    """The pods of the wanted revision that are over: evicted, refused by their node."""
    needs: tuple[str, ...] = ()
    """The services of its own slot that it calls: it may not be ready before they are."""

    @property
    def current(self) -> tuple[Pod, ...]:
        """The pods of the wanted revision that are not on their way out."""
        return tuple(pod for pod in self.pods if pod.revision == self.revision and not pod.terminating)

    @property
    def ready(self) -> int:
        """How many of the current pods are ready."""
        return sum(pod.ready for pod in self.current)

    @property
    def answers(self) -> bool:
        """Whether a user who is sent here meets somebody: a slot that is being ended leaves the data plane first."""
        return self.ready > 0 and self.reachable != 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One backend of a route as the data plane has it."""

    pod: str
    slot: Slot
    ready: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where one service's users go."""

    service: str
    slot: Slot | None
    """None: the route names no slot that we know."""
    version: str
    """Opaque; a write that carries an older one is refused (``resourceVersion``)."""
    fence: str = ""
    """The id of the last write that was ours, or of another run's."""
    fallback: Slot | None = None
    """Where requests go when the slot has no ready pod; None: nowhere."""
    endpoints: tuple[Endpoint, ...] = ()
    changed_by: str = ""
    """Who wrote it last, as far as the platform knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The stack at one instant. ``wanted`` is what a stage would write besides the images, a service each."""

    at: Instant
    routes: tuple[Route, ...]
    workloads: tuple[Workload, ...]
    wanted: tuple[Wanted, ...] = ()

    def differs(self, other: Snapshot) -> bool:
        """Whether the stack is another one than in ``other``; when it was looked at says nothing."""
        return (self.routes, self.workloads) != (other.routes, other.workloads)

    def route(self, service: str) -> Route:
        """The route of the service. Raises KeyError for a stranger: the platform yields whole stacks only."""
        return _only((route for route in self.routes if route.service == service), service)

    def workload(self, service: str, slot: Slot) -> Workload:
        """The workload of the service in the slot; KeyError as above."""
        found = (work for work in self.workloads if work.service == service and work.slot is slot)
        return _only(found, f"{service} in {slot}")

    def slot_workloads(self, slot: Slot) -> tuple[Workload, ...]:
        """All workloads of the slot, in the stack's order."""
        return tuple(work for work in self.workloads if work.slot is slot)

    def stage_of(self, service: str) -> Wanted:
        """What a stage would write for the service besides its image; KeyError as above."""
        return _only((wanted for wanted in self.wanted if wanted.service == service), service)


def _only(found: Iterable[T], what: str) -> T:
    for item in found:
        return item
    raise KeyError(what)
