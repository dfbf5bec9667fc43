"""Services beside those of the stack that send to its pods as well: a release moves none of them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.rules import Rule
from bluegreen.domain.stack import Slot
from bluegreen.platforms.kubernetes.names import marks_of
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.verdicts import refuse, warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bluegreen.domain.stack import Marks, Stack
    from bluegreen.platforms.kubernetes.discovery import Objects
    from bluegreen.platforms.kubernetes.objects import Deployment, Service, ServicePort
    from bluegreen.ports import Finding

OUTSIDE = frozenset({"NodePort", "LoadBalancer"})
"""The kinds of Service that are reached from outside the cluster."""


def other_services(stack: Stack, there: Objects) -> Iterator[Finding]:
    """A finding for each that may have users, service by service."""
    all_marks = tuple(map(marks_of, stack.services))
    known = {name for marks in all_marks for name in (marks.users, *_own(marks))}
    for marks in all_marks:
        users = there.service(marks.users)
        if users is not None:
            named = stack.service(marks.service).port
            yield from _of_service(marks, users, known, there, named=named)


def _own(marks: Marks) -> Iterator[str]:
    """The slots' own Services. One that is alone, and not called as such, may as well be a second one of users."""
    names = dict(marks.previews)
    alone = len(names) == 1
    return (name for slot, name in names.items() if not alone or name.endswith(f"-{marks.value(slot)}"))


def _of_service(marks: Marks, users: Service, known: set[str], there: Objects, *, named: int) -> Iterator[Finding]:
    """``named``: the port of the app file."""
    numbers = numbers_of(marks, there)
    others = [each for each in there.services if each.meta.name not in known and same_port(each, users, numbers)]
    sent = {each.meta.name: _slots_of(each, marks, there) for each in others}
    for each in others:
        slots = sent[each.meta.name]
        if len(slots) == 1 and not _in_pairs(slots[0], sent):
            yield _pinned(each, marks, slots[0], there.namespace)
        elif len(slots) > 1 and not each.headless and same_port(each, users, numbers, named=named):
            # A headless one is how pods find each other; one for both slots of another port is there for metrics.
            yield _of_both(each, marks, there.namespace)


def same_port(other: Service, users: Service, numbers: Mapping[str, set[str]], *, named: int = 0) -> bool:
    """Whether it sends to a port that users' requests go to: not so one for metrics alone. ``named``: of these one.

    ``numbers``: as ``numbers_of`` has them, for one may say by name what the other says by number.
    """
    wanted = [port for port in users.ports if port.port == named] or users.ports
    return not _targets(other.ports, numbers).isdisjoint(_targets(wanted, numbers))


def _targets(ports: Iterable[ServicePort], numbers: Mapping[str, set[str]]) -> set[str]:
    targets = [port.target or str(port.port) for port in ports]
    return {number for target in targets for number in numbers.get(target, (target,))}


def numbers_of(marks: Marks, there: Objects) -> dict[str, set[str]]:
    """Of each name of a port, the numbers that pods of either slot give it."""
    own, found = dict(marks.workloads).values(), dict[str, set[str]]()
    for each in there.deployments:
        if each.meta.name in own:
            for name, number in _named_ports(each):
                found.setdefault(name, set()).add(number)
    return found


def _named_ports(found: Deployment) -> Iterator[tuple[str, str]]:
    for kind in ("containers", "initContainers"):
        for container in Node(found.template).at("spec", kind).items():
            for port in container.at("ports").items():
                yield port.at("name").text(), str(port.at("containerPort").number())


def _slots_of(service: Service, marks: Marks, there: Objects) -> tuple[Slot, ...]:
    """The slots whose pods it selects."""
    wanted = dict(service.selector).items()
    by_name = {each.meta.name: dict(each.template_labels).items() for each in there.deployments}
    return tuple(slot for slot in Slot if wanted and wanted <= by_name.get(marks.workload(slot), {}.items()))


def _in_pairs(slot: Slot, sent: dict[str, tuple[Slot, ...]]) -> bool:
    """Whether the other slot has as many of its own."""
    return list(sent.values()).count((slot,)) <= list(sent.values()).count((slot.other,))


def _pinned(other: Service, marks: Marks, slot: Slot, namespace: str) -> Finding:
    name = other.meta.name
    return (refuse if other.kind in OUTSIDE else warn)(
        Rule.OTHER_SERVICE,
        f"Service {name} sends to {marks.service} in {slot} as well, and stays there when {marks.users} is switched",
        f"let its users call {marks.users}, and remove it; or make its like for {slot.other}, if no users call it: "
        f"kubectl get svc {name} -n {namespace} -o wide",
    )


def _of_both(other: Service, marks: Marks, namespace: str) -> Finding:
    name = other.meta.name
    return (refuse if other.kind in OUTSIDE else warn)(
        Rule.OTHER_SERVICE,
        f"Service {name} sends to {marks.service} in both slots: whoever calls it meets the idle one as well",
        f"let its users call {marks.users}: kubectl get svc {name} -n {namespace} -o wide",
    )
