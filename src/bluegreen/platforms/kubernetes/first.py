"""What a stack starts with when the pipeline owns its Deployments: read from the chart's PodTemplates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import SlotSpec, WorkloadSpec
from bluegreen.domain.stack import Slot
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.stage_patch import no_container, place_of
from bluegreen.platforms.kubernetes.templates import for_slot, template_of

if TYPE_CHECKING:
    from bluegreen.domain.stack import Instant, Service, Stack
    from bluegreen.platforms.kubernetes.live import Live
    from bluegreen.platforms.kubernetes.node import Node
    from bluegreen.platforms.kubernetes.slots import Slots

FIRST = Slot.BLUE


def first_spec(live: Live, run: str, *, slots: Slots, stack: Stack, until: Instant) -> SlotSpec | None:
    """The first slot; None: a service has no PodTemplate, so the chart owns the Deployments."""
    specs = []
    for service in stack.services:
        chart = slots.pod_template(service.name, until=until)
        if chart is None:
            return None
        specs.append(_spec(chart, service, stack, key=live.services[0].meta.uid))
    return SlotSpec(slot=FIRST, revision=run, workloads=tuple(specs))


def _spec(chart: Node, service: Service, stack: Stack, *, key: str) -> WorkloadSpec:
    template = for_slot(chart.at("template").mapping(), FIRST, names.marks_of(service))
    replicas = chart.at("metadata", "annotations").pairs().get(names.REPLICAS, "")
    return WorkloadSpec(
        service=service.name,
        image=ImageReference.parse(_image(chart, service)),
        replicas=int(replicas) if replicas.isdigit() else service.replicas,
        template=template_of(template, service=service, slot=FIRST, stack=names.marks_of_all(stack), key=key),
    )


def _image(chart: Node, service: Service) -> str:
    containers = list(chart.at("template", "spec", "containers").items())
    there = [container.at("name").text() for container in containers]
    place = place_of(service, there)
    if place is None:
        raise no_container(service, there, where=f"PodTemplate {service.name}")
    return containers[place].at("image").text()
