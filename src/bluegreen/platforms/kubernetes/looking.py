"""How the stack's objects are read: asked for anew for a look, followed by reflectors for a watch.

A watch starts its reflectors at the first question and keeps them until it is closed: nothing that happens in between
is missed.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Final

from bluegreen.domain.errors import DeadlineExceeded, Unseen
from bluegreen.domain.stack import Instant, Seconds, after
from bluegreen.domain.values import dataclass, replace
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.errors import MissingRight, NotFound, Unauthorized
from bluegreen.platforms.kubernetes.live import Live
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.objects import (
    answering,
    deployment_of,
    event_of,
    lease_of,
    pod_of,
    scaler_of,
    service_of,
    slice_of,
)
from bluegreen.platforms.kubernetes.resources import (
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    POD_TEMPLATES,
    PODS,
    SCALERS,
    SERVICES,
    SLICES,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bluegreen.domain.errors import BluegreenError
    from bluegreen.domain.stack import Marks, Slot, Stack
    from bluegreen.platforms.kubernetes.cluster import Cluster
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.objects import EndpointSlice, Lease, Service
    from bluegreen.platforms.kubernetes.resources import Resource
    from bluegreen.platforms.kubernetes.transport import Api
    from bluegreen.platforms.kubernetes.watch import Inbox, Reflector
    from bluegreen.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of object that a snapshot is made of."""

    name: str
    resource: Resource
    parse: Callable[[Json], Any]
    labels: str = ""
    fields: str = ""


def kinds_of(stack: Stack) -> tuple[Kind, ...]:
    """What a snapshot is made of, each with its label selector."""
    marks = names.marks_of_all(stack)
    pods = _in_all(marks)
    # Deployments that were found by their pods' labels need not carry any themselves.
    deployments = pods if all(service.marks is None for service in stack.services) else ""
    return (
        Kind(name="services", resource=SERVICES, parse=service_of),
        Kind(name="slices", resource=SLICES, parse=slice_of, labels=_service_names(marks)),
        Kind(name="deployments", resource=DEPLOYMENTS, parse=deployment_of, labels=deployments),
        Kind(name="pods", resource=PODS, parse=pod_of, labels=pods),
    )


EVENTS_OF_PODS = Kind(name="events", resource=EVENTS, parse=event_of, fields="involvedObject.kind=Pod")
"""Followed as well, to know why pods do not start. Without it, or without the right to it, the rest is as good."""


def _service_names(marks: Sequence[Marks]) -> str:
    return f"kubernetes.io/service-name in ({','.join(name for one in marks for name in services_of(one))})"


def _in_all(marks: Sequence[Marks]) -> str:
    """A label selector that all pods of the stack meet; pods of others may meet it as well. Empty: there is none."""
    labels = [dict(one.labels) for one in marks]
    shared = [key for key in labels[0] if all(key in one for one in labels)]
    return ",".join(f"{key} in ({','.join(dict.fromkeys(one[key] for one in labels))})" for key in shared)


def services_of(marks: Marks) -> tuple[str, ...]:
    """The names of the Service that users call, and of the slots' own."""
    return (marks.users, *(name for _, name in marks.previews))


class Sight:
    """Looks at one stack's objects. One thread's.

    Services are read one by one, which is exact: where users go, and by whose write. What controllers make of that
    (slices, pods) is late by nature, so lists are taken from the API server's cache: an exact list after any write
    waits for the cache to catch up with the whole cluster, up to 0.1 s each (docs/design.md). Never older than what
    this process has seen or written itself.
    """

    def __init__(self, api: Api, *, stack: Stack, namespace: str) -> None:
        """Nothing was seen yet."""
        self._api = api
        self._stack = stack
        self._namespace = namespace
        self._marks = names.marks_of_all(stack)
        self._kinds = kinds_of(stack)
        self._seen: dict[Resource, str] = {}
        self._uids: dict[str, str] = {}

    def wrote(self, resource: Resource, version: str) -> None:
        """No later look may be older than this version of ours."""
        self._seen[resource] = version

    def at_least(self, resource: Resource) -> str:
        """The version that a list of the kind must have; ``0``: any."""
        return self._seen.get(resource, "0")

    def routes(self, *, until: Instant) -> tuple[Service, ...]:
        """The Services that users call. Raises PlatformError when one is not there, with why, as far as it is known."""
        users = tuple(marks.users for marks in self._marks)
        found = tuple(self._service(name, until=until) for name in users)
        missing = [name for name, service in zip(users, found, strict=True) if service is None]
        if missing:
            from bluegreen.platforms.kubernetes.standing import explain_absence

            raise explain_absence(missing, api=self._api, stack=self._stack, namespace=self._namespace, until=until)
        return tuple(service for service in found if service is not None)

    def _service(self, name: str, *, until: Instant) -> Service | None:
        try:
            found = service_of(self._api.get(SERVICES.one(self._namespace, name), until=until))
        except NotFound:
            return None
        self._uids[name] = found.meta.uid
        return found

    def uid(self, service: str) -> str:
        """Of the Service of that name, as it was seen last; empty: it was not."""
        return self._uids.get(service, "")

    def ready_behind_slot(self, slot: Slot, *, until: Instant) -> dict[str, int] | None:
        """How many ready pods each service's own Service of the slot has; None: not every service has one."""
        kind = next(kind for kind in self._kinds if kind.resource is SLICES)
        slices: list[EndpointSlice] = list(self._list(kind, until=until))
        behind = {marks.service: marks.preview(slot) for marks in self._marks}
        if not {each.service for each in slices}.issuperset(behind.values()):
            return None  # a Service with a selector has a slice, be it an empty one; a slot may have no Service
        return {
            service: sum(answering(each for each in slices if each.service == name).values())
            for service, name in behind.items()
        }

    def look(self, *, until: Instant) -> Live:
        """The objects that a snapshot is made of. Raises as Api; PlatformError as ``routes``."""
        services = self.routes(until=until)
        found = {kind.name: self._list(kind, until=until) for kind in self._kinds if kind.resource is not SERVICES}
        return live_of(services, found, marks=self._marks)

    def look_ahead(self, *, until: Instant) -> Live:
        """As ``look``, with what a plan is made of: the slots' own Services, autoscalers, the chart's pod templates.

        The Services one by one, too: one that was deleted a moment ago is still in a cache.

        An account that may not list them is told so by the preflight; here there are none then.
        """
        live = self.look(until=until)
        own = (name for marks in self._marks for name in services_of(marks)[1:])
        services = [service for name in own if (service := self._service(name, until=until)) is not None]
        charts = [Node(item) for item in self._any(POD_TEMPLATES, until=until)]
        by_name = {chart.at("metadata", "name").text(): chart.at("template").mapping() for chart in charts}
        return replace(
            live,
            services=(*live.services, *services),
            scalers=tuple(map(scaler_of, self._any(SCALERS, until=until))),
            charts=tuple((name, by_name[name]) for name in self._stack.names if name in by_name),
        )

    def _any(self, resource: Resource, *, until: Instant) -> tuple[Json, ...]:
        return listed(self._api, resource, namespace=self._namespace, until=until)

    def _list(self, kind: Kind, *, until: Instant) -> tuple[Any, ...]:
        path = kind.resource.all(self._namespace)
        listing = self._api.list(path, labels=kind.labels, at_least=self.at_least(kind.resource), until=until)
        self._seen[kind.resource] = listing.version
        return tuple(kind.parse(item) for item in listing.items)


def listed(api: Api, resource: Resource, *, namespace: str, until: Instant) -> tuple[Json, ...]:
    """All of a kind; none when the account may not list it."""
    try:
        return api.list(resource.all(namespace), at_least="0", until=until).items
    except MissingRight:
        return ()


def live_of(services: tuple[Service, ...], found: dict[str, tuple[Any, ...]], *, marks: tuple[Marks, ...] = ()) -> Live:
    """The objects of one stack; ``marks``: what they are called."""
    return Live(
        services=services,
        slices=_sorted(found["slices"]),
        deployments=_sorted(found["deployments"]),
        pods=_sorted(found["pods"]),
        events=found.get("events", ()),
        marks=marks,
    )


def _sorted(objects: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted(objects, key=lambda each: (each.meta.name, each.meta.uid)))


class Watching:
    """All reflectors of one stack. Close it."""

    def __init__(self, cluster: Cluster, *, stack: Stack, namespace: str, clock: Clock, sight: Sight) -> None:
        """Start them. They have listed nothing yet; their lists are no older than what ``sight`` has seen."""
        from bluegreen.platforms.kubernetes.watch import Inbox

        self._stack = stack
        self._marks = names.marks_of_all(stack)
        self._namespace = namespace
        self._clock = clock
        self._inbox: Inbox = Inbox()
        self._bearing = Bearing()
        lease = Kind(name="lease", resource=LEASES, parse=lease_of, labels=f"{names.STACK}={stack.name}")
        self._reflectors = {
            kind.name: self._reflector(cluster, kind, at_least=sight.at_least(kind.resource))
            for kind in (*kinds_of(stack), lease)
        }
        self._events = self._reflector(cluster, EVENTS_OF_PODS, at_least="0")
        for reflector in self._all():
            reflector.start()

    def _all(self) -> Iterator[Reflector[Any]]:
        yield from self._reflectors.values()
        yield self._events

    def _reflector(self, cluster: Cluster, kind: Kind, *, at_least: str) -> Reflector[Any]:
        from bluegreen.platforms.kubernetes.watch import Reflector

        path = kind.resource.all(self._namespace)
        return Reflector(
            cluster,
            path,
            name=kind.name,
            parse=kind.parse,
            inbox=self._inbox,
            labels=kind.labels,
            fields=kind.fields,
            at_least=at_least,
        )

    def close(self) -> None:
        """End them."""
        for reflector in self._all():
            reflector.close()

    def live(self, *, until: Instant) -> Live:
        """The newest objects, as soon as each kind was listed once.

        Raises DeadlineExceeded, Interrupted, and what makes a kind unreadable for good.
        """
        while any(reflector.view is None for reflector in self._reflectors.values()):
            self.wait(until=until)
        found = {name: tuple(self._objects(name)) for name in self._reflectors}
        found["events"] = _objects_in(self._events)
        return live_of(self._routes(found["services"]), found, marks=self._marks)

    def _routes(self, services: Sequence[Service]) -> tuple[Service, ...]:
        by_name = {service.meta.name: service for service in services}
        users = tuple(marks.users for marks in self._marks)
        missing = [name for name in users if name not in by_name]
        if missing:
            from bluegreen.platforms.kubernetes.standing import absent

            gone = [("Service", name) for name in missing]
            raise absent(gone, stack=self._stack, namespace=self._namespace)
        return tuple(by_name[name] for name in users)

    def lease(self) -> Lease | None:
        """The newest state of the lock; None: there is none."""
        return next(iter(self._objects("lease")), None)

    def _objects(self, name: str) -> Iterable[Any]:
        return _objects_in(self._reflectors[name])

    def wait(self, *, until: Instant) -> None:
        """Return at the next news, having taken all that is there.

        Raises DeadlineExceeded, Unseen with what is the matter, Interrupted, and what will not get better by waiting.
        """
        over = min(until, self._heed())
        try:
            self._inbox.take(until=over, clock=self._clock)
        except DeadlineExceeded as error:
            if over >= until:
                trouble = self.trouble
                raise (
                    Unseen(f"the cluster could not be watched: {trouble}", mend=trouble.mend) if trouble else error
                ) from None
        self._inbox.take_all()
        self._heed()

    def _heed(self) -> Instant:
        """Until when what refuses a watch is borne with. Raises it then."""
        refusals = [each for each in self._reflectors.values() if isinstance(each.trouble, _REFUSED)]
        new = next((each.trouble for each in refusals if each.view is None), None)
        if new is not None:
            raise new
        return self._bearing.until(refusals[0].trouble if refusals else None, now=self._clock.now())

    @property
    def trouble(self) -> BluegreenError | None:
        """Why what is known may be old; None: it is what is there."""
        return next((each.trouble for each in self._reflectors.values() if each.trouble is not None), None)


_REFUSED = (MissingRight, Unauthorized, NotFound)
"""What does not get better by waiting, as a rule."""


class Bearing:
    """For how long a watch that has worked may be refused: API servers that are started anew one by one, or the webhook
    that knows the tokens, refuse for a moment what they have allowed and will allow (kopf retries a
    403 of a watch for the same reason).
    """

    LIMIT: Final[Seconds] = 5.0

    def __init__(self) -> None:
        """Nothing is refused."""
        self._since: Instant | None = None

    def until(self, trouble: BluegreenError | None, *, now: Instant) -> Instant:
        """The end of patience; without trouble there is none. Raises the trouble at that end."""
        if trouble is None:
            self._since = None
            return Instant(inf)
        self._since = now if self._since is None else self._since
        end = after(self._since, self.LIMIT)
        if now >= end:
            raise trouble
        return end


def _objects_in(reflector: Reflector[Any]) -> tuple[Any, ...]:
    return tuple(reflector.view.objects.values()) if reflector.view is not None else ()
