"""The objects of one stack at one instant, as they were listed or watched: what every part of the adapter reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.values import dataclass
from bluegreen.platforms.kubernetes.names import marks_named

if TYPE_CHECKING:
    from bluegreen.domain.stack import Marks, Slot
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.objects import Deployment, EndpointSlice, Event, Pod, Scaler, Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """All objects of the namespace that carry the name of one of the stack's services."""

    services: tuple[Service, ...]
    slices: tuple[EndpointSlice, ...]
    deployments: tuple[Deployment, ...]
    pods: tuple[Pod, ...] = ()
    events: tuple[Event, ...] = ()
    """What was said of pods; only a watch has it, and only where the account may see it."""
    scalers: tuple[Scaler, ...] = ()
    charts: tuple[tuple[str, Json], ...] = ()
    """``ownership: pipeline``: each service's PodTemplate, slot-neutral."""
    marks: tuple[Marks, ...] = ()
    """What the services' objects are called; one that is not here has the convention's names."""

    def marks_of(self, service: str) -> Marks:
        """What the objects of the service are called."""
        return marks_named(self.marks, service)

    def users(self, service: str) -> Service | None:
        """The Service that users of the service call; None: there is none."""
        return self.service(self.marks_of(service).users)

    def service(self, name: str) -> Service | None:
        """The Service of that name: a service's own, or a slot's; None: there is none."""
        return next((service for service in self.services if service.meta.name == name), None)

    def deployment(self, service: str, slot: Slot) -> Deployment | None:
        """The Deployment of the service in the slot, by its name, else by its labels; None: there is none."""
        marks = self.marks_of(service)
        name, wanted = marks.workload(slot), marks.selector(slot).items()
        by_name = next((found for found in self.deployments if found.meta.name == name), None)
        return by_name or next((one for one in self.deployments if wanted <= dict(one.meta.labels).items()), None)

    def chart(self, service: str) -> Json | None:
        """The pod template that the chart has for the service; None: the chart owns the Deployments."""
        return dict(self.charts).get(service)

    def slices_of(self, service: str) -> tuple[EndpointSlice, ...]:
        """The slices of the Service of that name."""
        return tuple(each for each in self.slices if each.service == service)
