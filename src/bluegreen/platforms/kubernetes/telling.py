"""Which events of a run are told as Kubernetes Events, and on which objects. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.events import (
    CameBack,
    Diagnosed,
    Failing,
    Phase,
    PhaseBegan,
    PhaseDone,
    Proved,
    Routed,
    Summary,
)
from bluegreen.domain.release import Outcome
from bluegreen.domain.values import dataclass
from bluegreen.platforms.kubernetes.names import marks_of
from bluegreen.platforms.kubernetes.resources import DEPLOYMENTS, SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bluegreen.domain.events import Event
    from bluegreen.domain.plan import Plan
    from bluegreen.domain.stack import Slot, Stack
    from bluegreen.platforms.kubernetes.resources import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Which object an Event is about."""

    kind: str
    name: str

    @property
    def resource(self) -> Resource:
        """Where it is found."""
        return SERVICES if self.kind == "Service" else DEPLOYMENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One Event."""

    about: About
    reason: str
    message: str
    warning: bool = False


def tell(event: Event, *, stack: Stack, plan: Plan | None, run: str) -> Iterator[Told]:
    """What an event of a run says about which objects. ``plan``: the release's, once it is known."""
    for told in (*_of_services(event, stack), *_of_deployments(event, stack, plan)):
        yield Told(
            about=told.about,
            reason=told.reason,
            message=f"{run}: {told.message}" if run else told.message,
            warning=told.warning,
        )


def _of_services(event: Event, stack: Stack) -> Iterator[Told]:
    match event:
        case Routed():
            yield from _services(stack, "Switched", f"users go to {event.slot}, after {event.took:.2f} s")
        case Proved(how=""):
            yield from _services(stack, "NotProven", f"no witness that {event.slot} serves")
        case Proved():
            yield from _services(stack, "Confirmed", f"{event.slot} serves: {event.how}")
        case PhaseDone(phase=Phase.OBSERVE):
            yield from _services(stack, "Observed", event.what)
        case Failing():
            yield from _services(stack, "ReleaseFailed", f"{event.why}; {event.users}", warning=True)
        case CameBack():
            text = f"users are back on {event.slot}, after {event.took:.2f} s: {event.why}"
            yield from _services(stack, "RolledBack", text, warning=True)
        case Summary(outcome=Outcome.RELEASED | Outcome.NOT_PROVEN):
            yield from _services(stack, "Released", event.headline)
        case Summary(outcome=Outcome.HELD | Outcome.YIELDED):
            yield from _services(stack, "Held", "; ".join((event.headline, *event.details)), warning=True)


def _of_deployments(event: Event, stack: Stack, plan: Plan | None) -> Iterator[Told]:
    if isinstance(event, Diagnosed):
        text = "; ".join(part for part in (str(event.cause), event.cause.advice) if part)
        yield _deployment(stack, event.cause.service, event.cause.slot, "Doomed", text, warning=True)
    if plan is None:
        return
    match event:
        case PhaseBegan(phase=Phase.DEPLOY):
            for spec in plan.want.workloads:
                yield _deployment(stack, spec.service, plan.target, "Staging", f"{spec.image}, {spec.replicas} pods")
        case PhaseDone(phase=Phase.VALIDATE):
            yield from _deployments(stack, plan.target, "Validated", event.what)
        case Failing():
            text = f"{event.why}; {event.users}"
            yield from _deployments(stack, plan.target, "ReleaseFailed", text, warning=True)
        case PhaseDone(phase=Phase.RESTORE):
            yield from _deployments(stack, plan.target, "Restored", event.what)
        case PhaseDone(phase=Phase.RETIRE):
            yield from _deployments(stack, plan.active, "Retired", event.what)


def _services(stack: Stack, reason: str, message: str, *, warning: bool = False) -> Iterator[Told]:
    for name in stack.names:
        users = marks_of(stack.service(name)).users
        yield Told(about=About(kind="Service", name=users), reason=reason, message=message, warning=warning)


def _deployments(stack: Stack, slot: Slot, reason: str, message: str, *, warning: bool = False) -> Iterator[Told]:
    for service in stack.names:
        yield _deployment(stack, service, slot, reason, message, warning=warning)


def _deployment(stack: Stack, service: str, slot: Slot, reason: str, message: str, *, warning: bool = False) -> Told:
    about = About(kind="Deployment", name=marks_of(stack.service(service)).workload(slot))
    return Told(about=about, reason=reason, message=message, warning=warning)
