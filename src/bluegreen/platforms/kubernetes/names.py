"""What our objects and our marks on others' objects are called. A mark that two places must agree on is only here.

What the stack's own objects are called is data of the stack (``Marks``); where nothing else was found it is the
specification's convention, which is here as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.stack import Marks, Slot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.stack import Service, Stack

PREFIX = "bluegreen.dev"

MANAGER = "bluegreen"
"""Our name in ``managedFields``, and in the label ``app.kubernetes.io/managed-by``."""

APP = "app"
"""The convention's label with the service's name (specification, Labels)."""
SLOT = "slot"
"""The convention's label with the slot's name, and the key of a Service's selector that a switch writes."""

FENCE = f"{PREFIX}/fence"
"""On a Service: the id of the last write to its route that was a run's."""
RELEASE = f"{PREFIX}/release"
"""On a pod template: the release that staged it. On a journal's ConfigMap: the run. On the Lease: the run
that holds it, or held it last."""
MINIMUM = f"{PREFIX}/min-available"
"""On a PodDisruptionBudget: the specification's minimum, while the budget covers both slots."""
LEAST = f"{PREFIX}/min-replicas"
"""On a HorizontalPodAutoscaler: its own minReplicas, while a release keeps the slot at the size of the active one."""
HOLDER = f"{PREFIX}/holder"
"""On the Lease: who holds it, or held it last, as people read it."""
OUTCOME = f"{PREFIX}/outcome"
"""On a journal's ConfigMap: how the run ended."""
ORDER = f"{PREFIX}/order"
"""On a journal's ConfigMap: greater than that of every run that began before, as far as its writer saw."""
SCHEMA = f"{PREFIX}/schema"
"""On a journal's ConfigMap: which version of bluegreen's entries it holds."""
REPLICAS = f"{PREFIX}/replicas"
"""On the chart's PodTemplate (``ownership: pipeline``): how many pods a slot starts with."""
STACK = f"{PREFIX}/stack"
"""A label of what is ours alone: the Lease and the ConfigMaps of one stack."""


def workload(service: str, slot: Slot) -> str:
    """By the convention, the Deployment of the service in the slot, and the slot's own Service."""
    return f"{service}-{slot}"


CHARTS = frozenset({"alfred"})
"""Stacks whose chart is shipped here: what it makes is there, or missing."""


def budget(service: str) -> str:
    """By the convention, the PodDisruptionBudget of a service."""
    return f"{service}-pdb"


def convention(service: str, *, users: str = "") -> Marks:
    """What the objects of a service are called when nothing says otherwise: the specification's names and labels."""
    both = tuple((slot, workload(service, slot)) for slot in Slot)
    return Marks(
        service=service,
        users=users or service,
        labels=((APP, service),),
        slot_label=SLOT,
        values=tuple((slot, str(slot)) for slot in Slot),
        workloads=both,
        previews=both,
        budget=budget(service),
    )


def usual(marks: Marks, slot: Slot) -> str:
    """What a slot's Deployment and its own Service are called when nothing says otherwise."""
    return f"{marks.users}-{marks.value(slot)}"


def own_service(marks: Marks, slot: Slot) -> str:
    """The slot's own Service; where there is none, what it would be called."""
    return marks.preview(slot) or usual(marks, slot)


def marks_of(service: Service) -> Marks:
    """What the objects of the service are called."""
    return service.marks or convention(service.name, users=service.users)


def marks_of_all(stack: Stack) -> tuple[Marks, ...]:
    """Those of all services, in the stack's order."""
    return tuple(map(marks_of, stack.services))


def marks_named(marks: Sequence[Marks], service: str) -> Marks:
    """Those of the service of this name; what is not among them has the convention's."""
    return next((one for one in marks if one.service == service), None) or convention(service)


def lease(stack: Stack) -> str:
    """The lock of a stack."""
    return f"bluegreen-{stack.name}"


def journal(stack: Stack, run: str) -> str:
    """The ConfigMap that holds the journal of one run."""
    return f"bluegreen-{stack.name}-{run}"


def ours(stack: Stack) -> dict[str, str]:
    """The labels of the Lease and the ConfigMaps."""
    return {STACK: stack.name, "app.kubernetes.io/managed-by": MANAGER}
