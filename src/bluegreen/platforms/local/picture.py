"""The snapshot, put together from what is recorded, what the agent tells and what the data plane has. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.snapshot import Endpoint, Route, Snapshot, Wanted, Workload
from bluegreen.domain.stack import Slot
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bluegreen.domain.plan import WorkloadSpec
    from bluegreen.domain.snapshot import Pod
    from bluegreen.domain.stack import Instant
    from bluegreen.platforms.local.dataplane import PlaneCounters, PlaneRoute
    from bluegreen.platforms.local.store import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """What the data plane has. ``counters`` None: Envoy does not answer; the files are known all the same."""

    routes: tuple[PlaneRoute, ...]
    ports: Mapping[tuple[str, Slot], tuple[int, ...]]
    counters: tuple[PlaneCounters, ...] | None

    def healthy(self, service: str, slot: Slot) -> int | None:
        """Replicas that Envoy would use; None: it does not say."""
        for found in self.counters or ():
            if found.service == service and found.slot is slot:
                return found.healthy
        return None


def compose(*, at: Instant, record: Record, pods: Sequence[Pod], plane: Plane, wanted: Sequence[Wanted]) -> Snapshot:
    """The stack at one instant."""
    return Snapshot(
        at=at,
        routes=tuple(route_of(route, pods=pods, plane=plane) for route in plane.routes),
        workloads=tuple(
            _workload(record, service, slot, pods=pods, plane=plane) for slot in Slot for service in record.stack.names
        ),
        wanted=tuple(wanted),
    )


def route_of(route: PlaneRoute, *, pods: Sequence[Pod], plane: Plane) -> Route:
    """Where a service's users go."""
    return Route(
        service=route.service,
        slot=route.slot,
        version=route.version,
        fence=route.fence,
        fallback=route.fallback,
        endpoints=_endpoints(route, pods, plane),
    )


def _endpoints(route: PlaneRoute, pods: Sequence[Pod], plane: Plane) -> tuple[Endpoint, ...]:
    """The replicas behind the route; as many of them are ready as Envoy counts, those first that are so themselves."""
    slot = route.slot
    if slot is None:
        return ()
    by_port = {pod.address.rpartition(":")[2]: pod for pod in pods if pod.service == route.service}
    ports = plane.ports.get((route.service, slot), ())
    known = sorted((by_port.get(str(port)) for port in ports), key=lambda pod: pod is None or not pod.ready)
    healthy = plane.healthy(route.service, slot)
    return tuple(
        Endpoint(
            pod=pod.name if pod is not None else "",
            slot=slot,
            ready=(pod is not None and pod.ready) if healthy is None else place < healthy,
        )
        for place, pod in enumerate(known)
    )


def _workload(record: Record, service: str, slot: Slot, *, pods: Sequence[Pod], plane: Plane) -> Workload:
    held = record.slot(slot)
    spec = _spec_of(record, service, slot)
    if held is None or spec is None:
        return Workload(service=service, slot=slot, image=None, replicas=0)
    mine = tuple(pod for pod in pods if pod.service == service and pod.slot is slot)
    replicas = 0 if held.ended else spec.replicas
    return Workload(
        service=service,
        slot=slot,
        image=spec.image,
        replicas=replicas,
        revision=held.spec.revision,
        template=spec.template,
        pods=mine,
        settled=len(mine) == replicas,
        image_ids=frozenset(replica.image_id for replica in record.of_slot(slot, service) if replica.image_id),
        reachable=plane.healthy(service, slot),
        needs=tuple(need.service for need in record.stack.service(service).needs),
    )


def _spec_of(record: Record, service: str, slot: Slot) -> WorkloadSpec | None:
    held = record.slot(slot)
    if held is None:
        return None
    return next((spec for spec in held.spec.workloads if spec.service == service), None)
