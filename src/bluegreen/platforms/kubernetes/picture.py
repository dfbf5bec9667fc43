"""The snapshot, put together from the stack's objects. Pure: the API's words in, the domain's out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import UsageError
from bluegreen.domain.excerpt import excerpt, shown
from bluegreen.domain.image import ImageReference
from bluegreen.domain.snapshot import (
    Container,
    Endpoint,
    Lost,
    Pod,
    Route,
    Running,
    Snapshot,
    Template,
    Terminated,
    Waiting,
    Wanted,
    Windows,
    Workload,
)
from bluegreen.domain.stack import Slot
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.objects import answering, value_of
from bluegreen.platforms.kubernetes.route import route_of
from bluegreen.platforms.kubernetes.sayings import LONGEST, NOT_SEEN, NOTHING, sayings
from bluegreen.platforms.kubernetes.sizes import sizes
from bluegreen.platforms.kubernetes.stage_patch import place_of
from bluegreen.platforms.kubernetes.templates import for_slot, template_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bluegreen.domain.snapshot import ContainerState
    from bluegreen.domain.stack import Instant, Marks, Stack
    from bluegreen.domain.stack import Service as StackService
    from bluegreen.platforms.kubernetes import objects
    from bluegreen.platforms.kubernetes.live import Live
    from bluegreen.platforms.kubernetes.sayings import Sayings


_LONGEST_SAID = 2000
"""Characters of a component's message. A runtime repeats the image's name before it comes to the point."""
_LAST_WORDS = 3
"""Lines of what a container left when it ended."""


def compose(live: Live, *, stack: Stack, at: Instant) -> Snapshot:
    """The stack at one instant. What a stage would write is what the idle slot holds, at the active slot's size."""
    pods = _pods(live, stack)
    workloads = tuple(_workload(live, stack, service, slot, pods) for slot in Slot for service in stack.services)
    routes = tuple(_route(live, service, pods) for service in stack.names)
    return Snapshot(at=at, routes=routes, workloads=workloads, wanted=_wanted(live, stack, routes))


def _wanted(live: Live, stack: Stack, routes: Sequence[Route]) -> tuple[Wanted, ...]:
    serving = routes[0].slot
    idle = (serving or Slot.GREEN).other
    return tuple(
        Wanted(service=service.name, replicas=size.replicas, template=_next_settings(live, stack, service, slot=idle))
        for service, size in zip(stack.services, sizes(stack, live, active=serving, scalers=live.scalers), strict=True)
    )


def _next_settings(live: Live, stack: Stack, service: StackService, *, slot: Slot) -> Template:
    """The settings that the next stage gives the service: the chart's, else those that the slot has."""
    chart = live.chart(service.name)
    if chart is None:
        return settings_of(live, stack, service, slot)
    made, all_marks = for_slot(chart, slot, names.marks_of(service)), names.marks_of_all(stack)
    return template_of(made, service=service, slot=slot, stack=all_marks, key=_key(live))


def _key(live: Live) -> str:
    """The seal's: always the same for one stack, and in no plan or journal."""
    return live.services[0].meta.uid


# --- routes -------------------------------------------------------------------------------------------------------


def _route(live: Live, service: str, pods: Mapping[str, Pod]) -> Route:
    found, marks = live.users(service), live.marks_of(service)
    assert found is not None  # noqa: S101 - looking.live_of has seen to it
    slot = marks.slot_named(dict(found.selector))
    return route_of(found, marks, endpoints=_endpoints(live, marks.users, pods, stranger=slot))


def _endpoints(live: Live, service: str, pods: Mapping[str, Pod], *, stranger: Slot | None) -> tuple[Endpoint, ...]:
    """What is no pod of the stack's is told as one of the other slot: users must not be sent to it."""
    other = stranger.other if stranger is not None else Slot.BLUE
    return tuple(
        Endpoint(pod=name, slot=pods[name].slot if name in pods else other, ready=ready)
        for name, ready in sorted(answering(live.slices_of(service)).items())
    )


# --- workloads ----------------------------------------------------------------------------------------------------


def _workload(live: Live, stack: Stack, service: StackService, slot: Slot, pods: Mapping[str, Pod]) -> Workload:
    found = live.deployment(service.name, slot)
    if found is None:
        return Workload(service=service.name, slot=slot, image=None, replicas=0)
    mine = tuple(pod for pod in pods.values() if (pod.service, pod.slot) == (service.name, slot))
    place = place_of(service, [container.name for container in found.containers])
    return Workload(
        service=service.name,
        slot=slot,
        image=_image(found, place),
        replicas=found.replicas,
        revision=value_of(found.template_annotations, names.RELEASE),
        template=settings_of(live, stack, service, slot),
        pods=mine,
        settled=_settled(found),
        image_ids=_image_ids(live, found, service, slot, place),
        reachable=_reachable(live, service.name, slot),
        problem=_problem(found),
        needs=tuple(need.service for need in service.needs),
        overdue=_overdue(found),
        lost=_lost(live, found, live.marks_of(service.name), slot),
    )


def settings_of(live: Live, stack: Stack, service: StackService, slot: Slot) -> Template:
    """The settings of the service in the slot, besides the image."""
    found = live.deployment(service.name, slot)
    if found is None:
        return Template()
    return template_of(found.template, service=service, slot=slot, stack=names.marks_of_all(stack), key=_key(live))


def _image(found: objects.Deployment, place: int | None) -> ImageReference | None:
    if place is None:
        return None
    try:
        return ImageReference.parse(found.containers[place].image)
    except UsageError:  # somebody wrote what no engine takes; its pods say so as well
        return None


def _settled(found: objects.Deployment) -> bool:
    """The controller has seen the newest spec, and no pod of an older one is left."""
    seen = found.observed >= found.meta.generation
    return seen and found.updated == found.replicas == found.current


def _problem(found: objects.Deployment) -> str:
    if found.paused:
        return f"the Deployment {found.meta.name} is paused: kubectl rollout resume deployment/{found.meta.name}"
    if found.observed < found.meta.generation:
        return _said(found.unmade)  # what else the controller said is about the spec before
    return _said(found.refused or found.unmade)


def _overdue(found: objects.Deployment) -> float | None:
    """Its progressDeadlineSeconds, when the controller says of the newest spec that they have run out."""
    if found.observed < found.meta.generation:
        return None
    said = next((one for one in found.conditions if one.kind == "Progressing"), None)
    over = said is not None and said.status == "False" and said.reason == "ProgressDeadlineExceeded"
    return float(found.deadline) if over else None


def _lost(live: Live, found: objects.Deployment, marks: Marks, slot: Slot) -> tuple[Lost, ...]:
    """Pods of the newest revision that failed as a whole, the newest last."""
    revision, wanted = value_of(found.template_annotations, names.RELEASE), marks.selector(slot).items()
    over = [
        pod
        for pod in live.pods
        if pod.phase == "Failed"
        and wanted <= dict(pod.meta.labels).items()
        and value_of(pod.meta.annotations, names.RELEASE) == revision
    ]
    return tuple(
        Lost(pod=pod.meta.name, reason=pod.reason or "Failed", message=shown(pod.message, longest=LONGEST))
        for pod in sorted(over, key=lambda each: each.meta.created)
    )


def _image_ids(
    live: Live, found: objects.Deployment, service: StackService, slot: Slot, place: int | None
) -> frozenset[str]:
    """What the named container of the newest pods really runs."""
    if place is None:
        return frozenset()
    name, revision = found.containers[place].name, value_of(found.template_annotations, names.RELEASE)
    wanted = live.marks_of(service.name).selector(slot).items()
    return frozenset(
        status.image_id
        for pod in live.pods
        if wanted <= dict(pod.meta.labels).items() and value_of(pod.meta.annotations, names.RELEASE) == revision
        for status in pod.containers
        if status.name == name and status.image_id
    )


def _reachable(live: Live, service: str, slot: Slot) -> int | None:
    """Ready pods behind the slot's own Service, as its slices have them; None: there is no such Service."""
    name = live.marks_of(service).preview(slot)
    if not live.slices_of(name):
        return None  # a Service with a selector has a slice, be it an empty one
    return sum(answering(live.slices_of(name)).values())


# --- pods ---------------------------------------------------------------------------------------------------------


def _pods(live: Live, stack: Stack) -> dict[str, Pod]:
    """The stack's pods by name; those that are over (evicted, completed) are none that could serve."""
    said = sayings(live.events)
    mine = [(pod, *of) for pod in live.pods if not pod.over and (of := _of(pod, stack)) is not None]
    coming = {slot for pod, _, slot in mine if _unplaced(pod) and said.get(pod.meta.uid, NOTHING).node_is_made}
    return {
        pod.meta.name: _pod(
            live,
            pod,
            service,
            slot,
            said=said.get(pod.meta.uid, NOTHING) if not _is_ready(pod) else NOTHING,
            coming=slot in coming,
        )
        for pod, service, slot in mine
    }


def _of(pod: objects.Pod, stack: Stack) -> tuple[StackService, Slot] | None:
    """Of which service and slot it is; None: of none."""
    labels = dict(pod.meta.labels)
    marks = next((one for one in map(names.marks_of, stack.services) if one.holds(labels)), None)
    slot = marks.slot_named(labels) if marks is not None else None
    return (stack.service(marks.service), slot) if marks is not None and slot is not None else None


def _is_ready(pod: objects.Pod) -> bool:
    ready = pod.condition("Ready")
    return ready is not None and ready.status == "True" and not pod.meta.deleting


def _unplaced(pod: objects.Pod) -> str:
    """Why it has no place; empty: it has one."""
    placed = pod.condition("PodScheduled")
    if placed is None:
        return NOT_SEEN if not pod.node and not _is_ready(pod) else ""
    return _said(placed.message) if placed.status == "False" else ""


def _pod(live: Live, pod: objects.Pod, service: StackService, slot: Slot, *, said: Sayings, coming: bool) -> Pod:
    """``said``: what was said of it while it is not ready; of one that is it is history. ``coming``: as in promise."""
    port, unplaced = port_of(live, service, slot), _unplaced(pod)
    return Pod(
        name=pod.meta.name,
        service=service.name,
        slot=slot,
        revision=value_of(pod.meta.annotations, names.RELEASE),
        ready=_is_ready(pod),
        containers=tuple(_container(pod, each, said) for each in pod.containers if not _is_done(each)),
        address=f"{pod.address}:{port}" if pod.address and port else "",
        terminating=pod.meta.deleting,
        unplaced=unplaced,
        promised=said.promise(pod, coming=coming) if unplaced else "",
        trouble=said.trouble(pod) if not _is_ready(pod) else None,
    )


def _is_done(status: objects.ContainerStatus) -> bool:
    """An init container that has come to its good end."""
    return status.state.kind == "terminated" and status.state.exit_code == 0 and status.ready


def _container(pod: objects.Pod, status: objects.ContainerStatus, said: Sayings) -> Container:
    times = next((each for each in pod.probes if each.container == status.name), None)
    return Container(
        name=status.name,
        state=_state(status.state),
        last=_last(pod, status),
        restarts=status.restarts,
        started=status.started,
        failing=_failing(status, said),
        windows=Windows(startup=times.startup, readiness=times.readiness) if times is not None else Windows(),
        condemned=said.condemned(status.name),
    )


def _last(pod: objects.Pod, status: objects.ContainerStatus) -> Terminated | None:
    """How it ended before. A step that was done is no end to speak of: it is made again with each new sandbox."""
    done = status.name in pod.steps and status.last.exit_code == 0
    return _ended(status.last) if status.last.kind == "terminated" and not done else None


def _failing(status: objects.ContainerStatus, said: Sayings) -> str:
    """In the kubelet's words where it has told them."""
    if status.state.kind != "running" or status.ready:
        return ""
    if status.started:
        return said.probe(status.name, kind="readiness") or "not ready yet"
    return said.probe(status.name, kind="startup") or "starting up"


def _state(state: objects.State) -> ContainerState:
    match state.kind:
        case "waiting":
            return Waiting(reason=state.reason, message=_said(state.message))
        case "terminated":
            return _ended(state)
        case "running":
            return Running()
        case _:
            return Waiting(reason="Pending")


def _ended(state: objects.State) -> Terminated:
    """A program may leave any text when it ends, and a kubelet the end of its log: the last lines say why."""
    last_words = " ".join(excerpt(state.message, lines=_LAST_WORDS))
    return Terminated(exit_code=state.exit_code, reason=state.reason, message=last_words)


def _said(message: str) -> str:
    """What a component of the cluster said, whole and as it may be shown: it is told, and kept in the journal."""
    return shown(message, longest=_LONGEST_SAID)


def port_of(live: Live, service: StackService, slot: Slot) -> int:
    """The port that the service's pods in the slot listen on, as its slices have it; 0: no Service has such pods.

    A Service may offer more than one: the one that users call is told by its name.
    """
    marks = live.marks_of(service.name)
    slices = (*live.slices_of(marks.preview(slot)), *live.slices_of(marks.users))
    found = live.service(marks.users)
    named = next((one.name for one in found.ports if one.port == service.port), "") if found is not None else ""
    ports = [(name, port) for each in slices for name, port in each.ports]
    return next((port for name, port in ports if name == named), next((port for _, port in ports), 0))
