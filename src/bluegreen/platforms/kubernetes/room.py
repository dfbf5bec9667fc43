"""Whether the nodes have room for a slot: pure arithmetic on what they can take and what is on them.

It is certain only of what no order of placing could change: a pod that no node takes, or more pods than all nodes
together could take if they were alone. What it does not read (spreading, anti-affinity, volumes) can only make less
room, so a certain no stays one; but nothing is certain in a cluster that may grow, or make room by evicting others.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from bluegreen.domain.values import dataclass, field
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.objects import meta_of, value_of
from bluegreen.platforms.kubernetes.quantity import Amounts, amounts, asked, plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.objects import Labels

_FIXED = ("kind://", "k3s://")
"""Providers whose clusters do not grow by themselves."""
_NOT_READY = "not ready"
_PASSING = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
"""Taints by which Kubernetes itself says how a node is doing: they go when it does better, and of some of them pods
get a toleration that their template has not.
"""
_KARPENTER = "karpenter.sh/nodepool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """The pods of one service that are to be placed."""

    service: str
    pods: int
    spec: Node = field(repr=False)
    """The pod's specification, of its template."""

    @property
    def each(self) -> Amounts:
        """What one of them takes."""
        return plus(asked(self.spec), {"pods": Fraction(1)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A node: what is still free on it, and whom it takes."""

    name: str
    free: Mapping[str, Fraction]
    labels: Labels
    taints: tuple[tuple[str, str, str], ...]
    """Key, value, effect; only those that keep pods away."""
    shut: str
    """Why it takes nobody; empty: it does."""
    grows: bool
    """It belongs to a provider that may add others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRoom:
    """The slot does not fit."""

    certain: bool
    why: str


def machines_of(nodes: Iterable[Json], pods: Iterable[Json], *, gone: Iterable[str]) -> tuple[Machine, ...]:
    """The nodes with what is free on them. ``gone``: uids of the pods that will have left."""
    left = set(gone)
    used: dict[str, Amounts] = {}
    for pod in pods:
        node = Node(pod)
        if _makes_room(node) or node.at("metadata", "uid").text() in left:
            continue
        place = node.at("spec", "nodeName").text()
        used[place] = plus(used.get(place, {}), asked(node.at("spec")), {"pods": Fraction(1)})
    return tuple(_machine(node, used) for node in nodes)


def _makes_room(pod: Node) -> bool:
    """It has ended, or is about to; or it is a placeholder that any other pod drives out."""
    ended = pod.at("status", "phase").text() in {"Succeeded", "Failed"}
    return ended or bool(pod.at("metadata", "deletionTimestamp")) or pod.at("spec", "priority").number() < 0


def _machine(item: Json, used: Mapping[str, Amounts]) -> Machine:
    node, meta = Node(item), meta_of(item)
    taken = used.get(meta.name, {})
    there = amounts(node.at("status", "allocatable"))
    provider = node.at("spec", "providerID").text()
    return Machine(
        name=meta.name,
        free={name: amount - taken.get(name, Fraction(0)) for name, amount in there.items()},
        labels=meta.labels,
        taints=tuple(_taints(node)),
        shut=_shut(node),
        grows=bool(value_of(meta.labels, _KARPENTER)) or (bool(provider) and not provider.startswith(_FIXED)),
    )


def _taints(node: Node) -> Iterable[tuple[str, str, str]]:
    for taint in node.at("spec", "taints").items():
        effect = taint.at("effect").text()
        if effect != "PreferNoSchedule":
            yield taint.at("key").text(), taint.at("value").text(), effect


def _shut(node: Node) -> str:
    if node.at("spec", "unschedulable").flag():
        return "cordoned"
    conditions = node.at("status", "conditions").items()
    ready = any(one.at("type").text() == "Ready" and one.at("status").text() == "True" for one in conditions)
    return "" if ready else _NOT_READY


# --- whom a node takes ------------------------------------------------------------------------------------------


def refusal(machine: Machine, need: Need) -> str:
    """Why the node takes no pod of it, however empty it is; empty: it does."""
    if machine.shut:
        return machine.shut
    keeping = [key for key, value, effect in machine.taints if not _tolerated((key, value, effect), need.spec)]
    if keeping:
        return _NOT_READY if all(key.startswith(_PASSING) for key in keeping) else "tainted"
    selector = need.spec.at("nodeSelector").pairs()
    chosen = all(value_of(machine.labels, name) == value for name, value in selector.items())
    return "" if chosen and _wanted_by(need.spec, machine) else "not among those that its template selects"


def _tolerated(taint: tuple[str, str, str], spec: Node) -> bool:
    return any(_tolerates(one, taint) for one in spec.at("tolerations").items())


def _tolerates(toleration: Node, taint: tuple[str, str, str]) -> bool:
    key, value, effect = taint
    if toleration.at("effect").text() not in {"", effect}:
        return False
    named, operator = toleration.at("key").text(), toleration.at("operator").text()
    if operator == "Exists":
        return named in {"", key}
    # What is not read holds: newer versions compare numbers as well.
    return named == key and (operator not in {"", "Equal"} or toleration.at("value").text() == value)


def _wanted_by(spec: Node, machine: Machine) -> bool:
    """Required node affinity: one of its terms has to hold, whole; what is not read holds."""
    required = spec.at("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    terms = [tuple(term.at("matchExpressions").items()) for term in required.at("nodeSelectorTerms").items()]
    return not terms or any(all(_holds(one, machine.labels) for one in term) for term in terms)


def _holds(expression: Node, labels: Labels) -> bool:
    found = dict(labels).get(expression.at("key").text())
    values = expression.at("values").texts()
    match expression.at("operator").text():
        case "In":
            return found in values
        case "NotIn":
            return found not in values
        case "Exists":
            return found is not None
        case "DoesNotExist":
            return found is None
        case _:
            return True


# --- whether it fits --------------------------------------------------------------------------------------------


def no_room(needs: Sequence[Need], machines: Sequence[Machine]) -> NoRoom | None:
    """Why the pods find no place; None: nothing speaks against it."""
    for need in needs:
        found = _alone(need, machines)
        if found:
            return NoRoom(certain=not _may_change(need, machines), why=found)
    left = _left_over(needs, machines)
    return NoRoom(certain=False, why=f"there may be no place for {_listed(left)}") if left else None


def _may_change(need: Need, machines: Sequence[Machine]) -> bool:
    """A cluster may grow, a node that is not ready may be so soon, and a pod with a priority may drive out others."""
    soon = any(machine.grows or refusal(machine, need) == _NOT_READY for machine in machines)
    return soon or bool(need.spec.at("priorityClassName").text())


def _alone(need: Need, machines: Sequence[Machine]) -> str:
    """Whether these pods would not fit even if no others were to be placed."""
    if need.pods <= 0:
        return ""
    reasons = [refusal(machine, need) for machine in machines]
    if all(reasons):
        return f"no node takes a pod of {need.service}: {_counted(reasons)}"
    each = need.each
    place = sum(_times(machine, each) for machine, reason in zip(machines, reasons, strict=True) if not reason)
    if place < need.pods:
        return f"the nodes have room for {place} of {_pods(need.pods)} of {need.service}"
    return ""


def _counted(reasons: Sequence[str]) -> str:
    counts = {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}
    return ", ".join(f"{count} {reason}" for reason, count in counts.items()) or "there is none"


def _times(machine: Machine, each: Mapping[str, Fraction]) -> int:
    """How many such pods the node has room for."""
    limits = [
        max(Fraction(0), machine.free.get(name, Fraction(0))) // amount for name, amount in each.items() if amount
    ]
    return int(min(limits, default=Fraction(0)))


def _left_over(needs: Sequence[Need], machines: Sequence[Machine]) -> list[str]:
    """The services of the pods that are left when all are placed, the largest first, each where most is free."""
    free = {machine.name: dict(machine.free) for machine in machines}
    left: list[str] = []
    for need in sorted(needs, key=lambda one: -one.each.get("cpu", Fraction(0))):
        each = need.each
        places = [machine.name for machine in machines if not refusal(machine, need)]
        placed = (_place(each, [free[name] for name in places]) for _ in range(need.pods))
        left.extend(need.service for found in placed if not found)
    return left


def _place(each: Mapping[str, Fraction], free: Sequence[Amounts]) -> bool:
    fitting = [one for one in free if all(one.get(name, Fraction(0)) >= amount for name, amount in each.items())]
    if not fitting:
        return False
    best = max(fitting, key=lambda one: one.get("cpu", Fraction(0)))
    for name, amount in each.items():
        best[name] -= amount
    return True


def _listed(left: Sequence[str]) -> str:
    counts = {service: left.count(service) for service in dict.fromkeys(left)}
    return ", ".join(f"{_pods(count)} of {service}" for service, count in counts.items())


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"
