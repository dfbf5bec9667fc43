"""Small frozen views of the API's objects: only the fields that are read. What is missing has the API's default."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bluegreen.domain.values import dataclass, field
from bluegreen.platforms.kubernetes.node import Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bluegreen.platforms.kubernetes.node import Json

Labels = tuple[tuple[str, str], ...]
"""Sorted by name, so that two can be compared and a view can be hashed."""


def value_of(labels: Labels, name: str) -> str:
    """One of them; empty: not there."""
    return dict(labels).get(name, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """Who wrote some fields last (``managedFields``)."""

    manager: str
    operation: str
    at: float
    selector: bool = False
    """Whether a Service's selector is among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What every object has."""

    name: str
    uid: str
    version: str
    """``resourceVersion``: opaque, another one after each write."""
    generation: int
    """Counts writes of the spec."""
    labels: Labels
    annotations: Labels
    created: float
    """Seconds since 1970; 0: not said."""
    deleting: bool
    owner: str
    """The uid of the controller that made it; empty: none."""
    writers: tuple[Writer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    """A port that a Service offers."""

    name: str
    port: int
    target: str
    """A number or a name; empty: the same number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Where users are sent."""

    meta: Meta
    kind: str
    """``ClusterIP``, ``NodePort``, ``LoadBalancer``, ``ExternalName``."""
    address: str
    selector: Labels
    ports: tuple[ServicePort, ...]
    not_ready: bool = False
    """``publishNotReadyAddresses``."""
    inside: str = "Cluster"
    """``internalTrafficPolicy``."""
    outside: str = "Cluster"
    """``externalTrafficPolicy``, of a Service that is reached from outside."""
    affinity: str = "None"
    """``sessionAffinity``."""

    @property
    def headless(self) -> bool:
        """Whether it has no address of its own: its name leads to the pods themselves."""
        return self.address == "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """A container as a pod template has it."""

    name: str
    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One of an object's conditions. ``status``: ``True``, ``False`` or ``Unknown``."""

    kind: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One service in one slot: what it should be, and what the controller says that it is."""

    meta: Meta
    replicas: int
    paused: bool
    selector: Labels
    template_labels: Labels
    template_annotations: Labels
    containers: tuple[ContainerSpec, ...]
    template: Json = field(repr=False, hash=False)
    """The whole pod template, for comparing and carrying over. It may hold secrets: never shown as it is."""
    observed: int
    """The generation that the status is about."""
    current: int
    updated: int
    ready: int
    available: int
    conditions: tuple[Condition, ...]
    deadline: int = 600
    """``progressDeadlineSeconds``."""
    grace: int = 30
    """Its pods' ``terminationGracePeriodSeconds``."""

    @property
    def refused(self) -> str:
        """Why its pods cannot be made, by its controller's last word; empty: it does not say that they cannot."""
        said = (one.message for one in self.conditions if one.kind == "ReplicaFailure" and one.status == "True")
        return next(said, "")

    @property
    def unmade(self) -> str:
        """Why its newest ReplicaSet itself cannot be made; empty: it can. The spec does not count as seen then."""
        return next((one.message for one in self.conditions if one.reason == "ReplicaSetCreateError"), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSet:
    """One revision of a Deployment."""

    meta: Meta
    replicas: int
    current: int


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a container does. ``kind``: ``waiting``, ``running``, ``terminated``; empty: it is not said."""

    kind: str
    reason: str = ""
    message: str = ""
    exit_code: int = 0
    finished: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStatus:
    """A container as the kubelet sees it."""

    name: str
    image: str
    image_id: str
    state: State
    last: State
    restarts: int
    started: bool
    ready: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTimes:
    """For how long a container's probes may fail by their own settings, in seconds; None: it has no such probe."""

    container: str
    startup: int | None
    readiness: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One replica."""

    meta: Meta
    node: str
    phase: str
    address: str
    reason: str
    """Why it failed as a whole, for example ``Evicted``."""
    containers: tuple[ContainerStatus, ...]
    """Init containers among them, first."""
    conditions: tuple[Condition, ...]
    message: str = ""
    """With the reason."""
    nominated: str = ""
    """The node on which the scheduler makes room for it; empty: it does not."""
    probes: tuple[ProbeTimes, ...] = ()
    gates: tuple[str, ...] = ()
    """Conditions that others set, and that it is not ready without."""
    steps: tuple[str, ...] = ()
    """The init containers that have to end before the others start: not those that go on beside them."""

    @property
    def over(self) -> bool:
        """Whether it runs no more, and never will: it was evicted, or came to its end."""
        return self.phase in {"Succeeded", "Failed"}

    def condition(self, kind: str) -> Condition | None:
        """``Ready``, ``PodScheduled``, ...; None: nobody has said yet."""
        return next((one for one in self.conditions if one.kind == kind), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One place that requests are sent to. ``ready``, ``serving``: as the API reads them when they are not said."""

    addresses: tuple[str, ...]
    ready: bool
    serving: bool
    terminating: bool
    pod: str
    uid: str
    node: str

    @property
    def name(self) -> str:
        """The pod's; of what is no pod, its address."""
        return self.pod or next(iter(self.addresses), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSlice:
    """Some of a Service's endpoints."""

    meta: Meta
    service: str
    endpoints: tuple[Endpoint, ...]
    ports: tuple[tuple[str, int], ...] = ()
    """The Service's name for each, and the number that the pods listen on: named targets are resolved."""


def answering(slices: Iterable[EndpointSlice]) -> dict[str, bool]:
    """Whom the slices of one Service have, by name, and whether each gets requests wherever it stands.

    Of a Service with addresses of both families a pod stands in a slice of each, and while it is moved from one slice
    to another it may stand in both.
    """
    found: dict[str, bool] = {}
    for each in (endpoint for one in slices for endpoint in one.endpoints):
        found[each.name] = found.get(each.name, True) and each.ready and not each.terminating
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A PodDisruptionBudget."""

    meta: Meta
    selector: Labels
    """``matchLabels``."""
    minimum: str
    """``minAvailable``: a number or a share; empty: not set."""
    plain: bool
    """Whether ``matchLabels`` is all of its selector."""
    allowed: int
    """Pods that may be evicted now."""
    healthy: int
    desired: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lock that has to be renewed."""

    meta: Meta
    holder: str
    duration: int
    renewed: str
    """As it is written: it is only compared with itself, never with a clock."""
    transitions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigMap:
    """Names and texts."""

    meta: Meta
    data: Mapping[str, str] = field(repr=False, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a component of the cluster said about an object."""

    meta: Meta
    kind: str
    """``Normal`` or ``Warning``."""
    reason: str
    message: str
    about: str
    """The object's name."""
    about_uid: str
    last: float
    count: int
    field: str = ""
    """Which part of the object, as ``spec.containers{web}``; empty: all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaler:
    """A HorizontalPodAutoscaler."""

    meta: Meta
    target_kind: str
    target: str
    least: int
    most: int


# --- parsing ----------------------------------------------------------------------------------------------------


def _labels(node: Node) -> Labels:
    return tuple(sorted(node.pairs().items()))


def moment(text: str) -> float:
    """RFC 3339 in UTC, as the API server writes it, as seconds since 1970; 0 for what is none.

    By hand: the standard library's module of dates takes longer to import than all of a rollback's objects to parse.
    """
    found = _MOMENT.fullmatch(text)
    if found is None:
        return 0.0
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    return _days(year, month, day) * 86_400.0 + hour * 3600 + minute * 60 + second + float(found[7] or 0)


_MOMENT = re.compile(
    r"(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(\.\d+)?(?:Z|\+00:00)", re.ASCII
)


def _days(year: int, month: int, day: int) -> int:
    """Since 1970, in years that begin in March, so that a leap day is the last of its year."""
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 1 - 719_468


def meta_of(item: Json) -> Meta:
    """What every object has."""
    node = Node(item).at("metadata")
    owners = (owner for owner in node.at("ownerReferences").items() if owner.at("controller").flag())
    return Meta(
        name=node.at("name").text(),
        uid=node.at("uid").text(),
        version=node.at("resourceVersion").text(),
        generation=node.at("generation").number(),
        labels=_labels(node.at("labels")),
        annotations=_labels(node.at("annotations")),
        created=moment(node.at("creationTimestamp").text()),
        deleting=bool(node.at("deletionTimestamp")),
        owner=next((owner.at("uid").text() for owner in owners), ""),
        writers=tuple(_writer(one) for one in node.at("managedFields").items()),
    )


def _writer(node: Node) -> Writer:
    return Writer(
        manager=node.at("manager").text(),
        operation=node.at("operation").text(),
        at=moment(node.at("time").text()),
        selector=bool(node.at("fieldsV1", "f:spec", "f:selector")),
    )


def service_of(item: Json) -> Service:
    """Parse a Service."""
    spec = Node(item).at("spec")
    return Service(
        meta=meta_of(item),
        kind=spec.at("type").text() or "ClusterIP",
        address=spec.at("clusterIP").text(),
        selector=_labels(spec.at("selector")),
        ports=tuple(_port(one) for one in spec.at("ports").items()),
        not_ready=spec.at("publishNotReadyAddresses").flag(),
        inside=spec.at("internalTrafficPolicy").text() or "Cluster",
        outside=spec.at("externalTrafficPolicy").text() or "Cluster",
        affinity=spec.at("sessionAffinity").text() or "None",
    )


def _port(node: Node) -> ServicePort:
    return ServicePort(
        name=node.at("name").text(), port=node.at("port").number(), target=node.at("targetPort").either()
    )


def deployment_of(item: Json) -> Deployment:
    """Parse a Deployment."""
    spec, status = Node(item).at("spec"), Node(item).at("status")
    template = spec.at("template")
    return Deployment(
        meta=meta_of(item),
        replicas=spec.at("replicas").number(1),
        paused=spec.at("paused").flag(),
        selector=_labels(spec.at("selector", "matchLabels")),
        template_labels=_labels(template.at("metadata", "labels")),
        template_annotations=_labels(template.at("metadata", "annotations")),
        containers=tuple(_container(one) for one in template.at("spec", "containers").items()),
        template=template.mapping(),
        observed=status.at("observedGeneration").number(),
        current=status.at("replicas").number(),
        updated=status.at("updatedReplicas").number(),
        ready=status.at("readyReplicas").number(),
        available=status.at("availableReplicas").number(),
        conditions=_conditions(status),
        deadline=spec.at("progressDeadlineSeconds").number(600),
        grace=template.at("spec", "terminationGracePeriodSeconds").number(30),
    )


def _container(node: Node) -> ContainerSpec:
    return ContainerSpec(name=node.at("name").text(), image=node.at("image").text())


def _conditions(status: Node) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            kind=one.at("type").text(),
            status=one.at("status").text(),
            reason=one.at("reason").text(),
            message=one.at("message").text(),
        )
        for one in status.at("conditions").items()
    )


def replica_set_of(item: Json) -> ReplicaSet:
    """Parse a ReplicaSet."""
    node = Node(item)
    return ReplicaSet(
        meta=meta_of(item),
        replicas=node.at("spec", "replicas").number(1),
        current=node.at("status", "replicas").number(),
    )


def pod_of(item: Json) -> Pod:
    """Parse a Pod."""
    node = Node(item)
    status = node.at("status")
    kinds = (status.at("initContainerStatuses"), status.at("containerStatuses"))
    return Pod(
        meta=meta_of(item),
        node=node.at("spec", "nodeName").text(),
        phase=status.at("phase").text(),
        address=status.at("podIP").text(),
        reason=status.at("reason").text(),
        containers=tuple(_status(one) for kind in kinds for one in kind.items()),
        conditions=_conditions(status),
        message=status.at("message").text(),
        nominated=status.at("nominatedNodeName").text(),
        probes=tuple(_probe_times(one) for kind in _PROBED for one in node.at("spec", kind).items()),
        gates=tuple(one.at("conditionType").text() for one in node.at("spec", "readinessGates").items()),
        steps=tuple(
            one.at("name").text()
            for one in node.at("spec", "initContainers").items()
            if one.at("restartPolicy").text() != "Always"
        ),
    )


_PROBED = ("initContainers", "containers")
"""Init containers that go on running have probes too."""


def _probe_times(node: Node) -> ProbeTimes:
    startup, readiness = _window(node.at("startupProbe")), _window(node.at("readinessProbe"))
    return ProbeTimes(container=node.at("name").text(), startup=startup, readiness=readiness)


def _window(probe: Node) -> int | None:
    """Delay, all tries that the threshold allows, and the last one's time-out, with the API's defaults."""
    if not probe:
        return None
    tries = probe.at("periodSeconds").number(10) * probe.at("failureThreshold").number(3)
    return probe.at("initialDelaySeconds").number() + tries + probe.at("timeoutSeconds").number(1)


def _status(node: Node) -> ContainerStatus:
    return ContainerStatus(
        name=node.at("name").text(),
        image=node.at("image").text(),
        image_id=node.at("imageID").text(),
        state=_state(node.at("state")),
        last=_state(node.at("lastState")),
        restarts=node.at("restartCount").number(),
        started=node.at("started").flag(),
        ready=node.at("ready").flag(),
    )


def _state(node: Node) -> State:
    for kind in ("waiting", "running", "terminated"):
        found = node.at(kind)
        if found:
            return State(
                kind=kind,
                reason=found.at("reason").text(),
                message=found.at("message").text(),
                exit_code=found.at("exitCode").number(),
                finished=moment(found.at("finishedAt").text()),
            )
    return State(kind="")


def slice_of(item: Json) -> EndpointSlice:
    """Parse an EndpointSlice."""
    meta = meta_of(item)
    return EndpointSlice(
        meta=meta,
        service=value_of(meta.labels, "kubernetes.io/service-name"),
        endpoints=tuple(_endpoint(one) for one in Node(item).at("endpoints").items()),
        ports=tuple((one.at("name").text(), one.at("port").number()) for one in Node(item).at("ports").items()),
    )


def _endpoint(node: Node) -> Endpoint:
    conditions, target = node.at("conditions"), node.at("targetRef")
    # An endpoint that does not say is ready, and one that does not say whether it serves serves when it is ready.
    ready = conditions.at("ready").flag() if conditions.at("ready") else True
    return Endpoint(
        addresses=node.at("addresses").texts(),
        ready=ready,
        serving=conditions.at("serving").flag() if conditions.at("serving") else ready,
        terminating=conditions.at("terminating").flag(),
        pod=target.at("name").text() if target.at("kind").text() == "Pod" else "",
        uid=target.at("uid").text(),
        node=node.at("nodeName").text(),
    )


def budget_of(item: Json) -> Budget:
    """Parse a PodDisruptionBudget."""
    node = Node(item)
    return Budget(
        meta=meta_of(item),
        selector=_labels(node.at("spec", "selector", "matchLabels")),
        minimum=node.at("spec", "minAvailable").either(),
        plain=not tuple(node.at("spec", "selector", "matchExpressions").items()),
        allowed=node.at("status", "disruptionsAllowed").number(),
        healthy=node.at("status", "currentHealthy").number(),
        desired=node.at("status", "desiredHealthy").number(),
    )


def lease_of(item: Json) -> Lease:
    """Parse a Lease."""
    spec = Node(item).at("spec")
    return Lease(
        meta=meta_of(item),
        holder=spec.at("holderIdentity").text(),
        duration=spec.at("leaseDurationSeconds").number(),
        renewed=spec.at("renewTime").text(),
        transitions=spec.at("leaseTransitions").number(),
    )


def config_map_of(item: Json) -> ConfigMap:
    """Parse a ConfigMap."""
    return ConfigMap(meta=meta_of(item), data=Node(item).at("data").pairs())


def event_of(item: Json) -> Event:
    """Parse an Event of either kind of counting: an old one has ``count``, a new one a series."""
    node = Node(item)
    about = node.at("involvedObject")
    last = node.at("lastTimestamp").text() or node.at("series", "lastObservedTime").text()
    return Event(
        meta=meta_of(item),
        kind=node.at("type").text(),
        reason=node.at("reason").text(),
        message=node.at("message").text(),
        about=about.at("name").text(),
        about_uid=about.at("uid").text(),
        last=moment(last or node.at("eventTime").text()),
        count=node.at("count").number() or node.at("series", "count").number(1),
        field=about.at("fieldPath").text(),
    )


def scaler_of(item: Json) -> Scaler:
    """Parse a HorizontalPodAutoscaler."""
    spec = Node(item).at("spec")
    return Scaler(
        meta=meta_of(item),
        target_kind=spec.at("scaleTargetRef", "kind").text(),
        target=spec.at("scaleTargetRef", "name").text(),
        least=spec.at("minReplicas").number(1),
        most=spec.at("maxReplicas").number(),
    )
