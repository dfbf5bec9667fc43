"""Small builders for tests of the domain: everything has a default, so that a test names only what it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import Options, Plan, SlotSpec, WorkloadSpec, make_plan
from bluegreen.domain.snapshot import Container, Endpoint, Pod, Route, Running, Snapshot, Template, Wanted, Workload
from bluegreen.domain.stack import Instant, Need, Probe, Probes, Service, Slot, Stack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bluegreen.domain.snapshot import ContainerState, Terminated

BLUE, GREEN = Slot.BLUE, Slot.GREEN
PROBES = Probes(startup=Probe(path="/"), readiness=Probe(path="/"), liveness=Probe(path="/"))


def image(text: str) -> ImageReference:
    return ImageReference.parse(text)


def service(name: str, *needs: str, image: str = "", replicas: int = 2) -> Service:
    wanted = tuple(Need(service=need, variable=f"{need.upper()}_URL") for need in needs)
    return Service(name=name, image=image or f"team/{name}", port=8000, probes=PROBES, needs=wanted, replicas=replicas)


PAIR = Stack(name="pair", services=(service("pair-back"), service("pair-front", "pair-back")))


def pod(
    name: str = "p-0",
    *,
    service: str = "pair-back",
    slot: Slot = GREEN,
    revision: str = "r-1",
    ready: bool = True,
    state: ContainerState | None = None,
    last: Terminated | None = None,
    restarts: int = 0,
    terminating: bool = False,
    failing: str = "",
    unplaced: str = "",
    since: float | None = None,
) -> Pod:
    container = Container(name="main", state=state or Running(), last=last, restarts=restarts, failing=failing)
    return Pod(
        name=name,
        service=service,
        slot=slot,
        revision=revision,
        ready=ready,
        containers=(container,),
        terminating=terminating,
        unplaced=unplaced,
        since=Instant(since) if since is not None else None,
    )


def workload(
    *pods: Pod,
    service: str = "pair-back",
    slot: Slot = GREEN,
    tag: str = "v1",
    replicas: int = 2,
    revision: str = "r-1",
    settled: bool = True,
    reachable: int | None = None,
    problem: str = "",
    problem_since: float | None = None,
    needs: tuple[str, ...] = (),
    template: Template | None = None,
) -> Workload:
    return Workload(
        service=service,
        slot=slot,
        image=image(f"team/{service}:{tag}") if tag else None,
        replicas=replicas,
        revision=revision,
        template=template or Template(),
        pods=pods,
        settled=settled,
        reachable=reachable,
        problem=problem,
        problem_since=Instant(problem_since) if problem_since is not None else None,
        needs=needs,
    )


def route(service: str, slot: Slot | None = BLUE, *, version: str = "1", fence: str = "", ready: int = 2) -> Route:
    ends = () if slot is None else tuple(Endpoint(pod=f"p-{i}", slot=slot, ready=True) for i in range(ready))
    return Route(service=service, slot=slot, version=version, fence=fence, endpoints=ends)


def snapshot(
    *workloads: Workload, routes: tuple[Route, ...] = (), wanted: tuple[Wanted, ...] = (), at: float = 0.0
) -> Snapshot:
    return Snapshot(at=Instant(at), routes=routes, workloads=workloads, wanted=wanted)


def whole_pods(name: str, slot: Slot, *, revision: str = "r-0", replicas: int = 2) -> tuple[Pod, ...]:
    return tuple(
        pod(f"{name}-{slot}-{number}@{revision}", service=name, slot=slot, revision=revision)
        for number in range(replicas)
    )


def pair(
    *,
    serving: tuple[Slot | None, Slot | None] = (BLUE, BLUE),
    tags: Mapping[Slot, str] | None = None,
    revisions: Mapping[Slot, str] | None = None,
    replace: tuple[Workload, ...] = (),
    replicas: int = 2,
    template: Template | None = None,
) -> Snapshot:
    """The pair, everything ready. ``replace``: workloads instead of the usual ones."""
    tags, revisions = tags or {BLUE: "v1", GREEN: "v0"}, revisions or {BLUE: "r-b", GREEN: "r-g"}
    other = {(work.service, work.slot): work for work in replace}
    usual = [
        workload(
            *whole_pods(name, slot, revision=revisions[slot]),
            service=name,
            slot=slot,
            tag=tags[slot],
            revision=revisions[slot],
        )
        for slot in Slot
        for name in PAIR.names
    ]
    return snapshot(
        *(other.get((work.service, work.slot), work) for work in usual),
        routes=tuple(route(name, slot) for name, slot in zip(PAIR.names, serving, strict=True)),
        wanted=tuple(Wanted(service=name, replicas=replicas, template=template or Template()) for name in PAIR.names),
    )


def spec(slot: Slot = GREEN, *, revision: str, tag: str) -> SlotSpec:
    works = tuple(
        WorkloadSpec(service=name, image=image(f"team/{name}:{tag}"), replicas=2, template=Template())
        for name in PAIR.names
    )
    return SlotSpec(slot=slot, revision=revision, workloads=works)


def plan(release: str = "r-1", *, active: Slot = BLUE, tag: str = "v2", options: Options | None = None) -> Plan:
    images = {name: image(f"team/{name}:{tag}") for name in PAIR.names}
    live = pair(serving=(active, active))
    return make_plan(live, stack=PAIR, images=images, options=options or Options(), release=release)
