"""How large a stage makes each service, and what an autoscaler of the idle slot has to be told for that.

The idle slot gets the live size of the active one. A HorizontalPodAutoscaler of the idle Deployment would make it
smaller again, for nobody uses it yet: its ``minReplicas`` is raised to that size for the release, its own is remembered
in a mark on it, and put back afterwards. One that keeps more than that has its way. So nobody fights over ``replicas``.
An autoscaler of the active Deployment is left alone: its work is what the live size is. Pure; who writes, and when, is
the platform's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.rules import Rule
from bluegreen.domain.values import dataclass
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.objects import value_of
from bluegreen.platforms.kubernetes.verdicts import note, refuse, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bluegreen.domain.stack import Service, Slot, Stack
    from bluegreen.platforms.kubernetes.live import Live
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.objects import Deployment, Scaler
    from bluegreen.ports import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a stage makes of one service's size."""

    service: str
    replicas: int
    scaler: Scaler | None = None
    """The autoscaler of the idle Deployment; None: there is none."""

    @property
    def differs(self) -> bool:
        """Whether the autoscaler's least size is another one now: it has to be told."""
        return self.scaler is not None and self.scaler.least != self.replicas


def sizes(stack: Stack, live: Live, *, active: Slot | None, scalers: Sequence[Scaler]) -> tuple[Size, ...]:
    """One for each service, in the stack's order. ``active``: None when users are on no single slot."""
    return tuple(_size(service, live, active, scalers) for service in stack.services)


def _size(service: Service, live: Live, active: Slot | None, scalers: Sequence[Scaler]) -> Size:
    if active is None:
        return Size(service=service.name, replicas=service.replicas)
    serving = live.deployment(service.name, active)
    idle = live.deployment(service.name, active.other)
    name = idle.meta.name if idle else live.marks_of(service.name).workload(active.other)
    scaler = scaler_for(name, scalers)
    least = own_least(scaler) if scaler else 0
    return Size(service=service.name, replicas=max(_live_size(serving, service), least), scaler=scaler)


def _live_size(serving: Deployment | None, service: Service) -> int:
    """As large as what serves; of what serves nobody, the app file's."""
    return serving.replicas if serving is not None and serving.replicas else service.replicas


def scaler_for(deployment: str, scalers: Sequence[Scaler]) -> Scaler | None:
    """The autoscaler of that Deployment."""
    found = (one for one in scalers if (one.target_kind, one.target) == ("Deployment", deployment))
    return next(found, None)


def enlarging(deployment: Deployment, replicas: int, *, scalers: Sequence[Scaler], namespace: str) -> str:
    """The command that makes a Deployment as large, and keeps it so: an autoscaler would take a size back."""
    found = scaler_for(deployment.meta.name, scalers)
    if found is None:
        return f"kubectl scale deployment {deployment.meta.name} -n {namespace} --replicas={replicas}"
    most = f',"maxReplicas":{replicas}' if found.most < replicas else ""
    change = f'{{"spec":{{"minReplicas":{replicas}{most}}}}}'
    return f"kubectl patch hpa {found.meta.name} -n {namespace} --type merge -p '{change}'"


# --- what the autoscaler is told --------------------------------------------------------------------------------


def own_least(scaler: Scaler) -> int:
    """Its least size when no release is on: the remembered one, else the one it has."""
    mark = value_of(scaler.meta.annotations, names.LEAST)
    return int(mark) if mark.isascii() and mark.isdigit() else scaler.least  # a mark that is no number is nobody's


def raising(scaler: Scaler, replicas: int) -> Json:
    """The merge patch that keeps the slot at that size. What a killed run remembered stays remembered."""
    return _patch(scaler, mark=str(own_least(scaler)), least=replicas)


def putting_back(scaler: Scaler) -> Json | None:
    """The merge patch that gives it its own least size again; None: it has it."""
    if not value_of(scaler.meta.annotations, names.LEAST):
        return None
    return _patch(scaler, mark=None, least=own_least(scaler))


def _patch(scaler: Scaler, *, mark: str | None, least: int) -> Json:
    return {
        "metadata": {"resourceVersion": scaler.meta.version, "annotations": {names.LEAST: mark}},
        "spec": {"minReplicas": least},
    }


# --- what speaks against it -------------------------------------------------------------------------------------


def size_findings(found: Sequence[Size], *, namespace: str, may_patch: bool) -> Iterator[Finding]:
    """What a person should know of the autoscalers. ``may_patch``: whether the account may raise their least size."""
    for size in found:
        if size.scaler is not None:
            yield from _of_scaler(size, size.scaler, namespace=namespace, may_patch=may_patch)


def _of_scaler(size: Size, scaler: Scaler, *, namespace: str, may_patch: bool) -> Iterator[Finding]:
    name = f"HorizontalPodAutoscaler {scaler.meta.name}"
    if scaler.most < size.replicas:
        yield _too_small(size, scaler, name=name, namespace=namespace)
        return
    if not size.differs:
        return
    if not may_patch:
        yield _unraised(size, scaler, name=name, namespace=namespace)
        return
    yield note(
        Rule.SCALER,
        f"{name} keeps {scaler.target} at {size.replicas} pods or more until the release is over, "
        f"then at {own_least(scaler)} again",
    )
    if scaler.meta.owner:
        yield warn(
            Rule.SCALER,
            f"{name} is kept by another controller, which may undo that",
            f"give the owner of {scaler.meta.name} a least size of {size.replicas} for the release",
        )


def _too_small(size: Size, scaler: Scaler, *, name: str, namespace: str) -> Finding:
    change = f'{{"spec":{{"maxReplicas":{size.replicas}}}}}'
    return refuse(
        Rule.SCALER,
        f"{name} allows {scaler.target} {scaler.most} pods at most, and the slot that serves has {size.replicas}",
        f"kubectl patch hpa {scaler.meta.name} -n {namespace} --type merge -p '{change}'",
    )


def _unraised(size: Size, scaler: Scaler, *, name: str, namespace: str) -> Finding:
    return refuse(
        Rule.SCALER,
        f"{name} would make {scaler.target} smaller than the {size.replicas} pods of the slot that serves, and "
        "the account may not patch it",
        f"give it the right, then check: kubectl auth can-i patch hpa -n {namespace}",
    )
