"""What the stack's own objects have against a release: pure, from what was listed. Each with a command that mends it.

Values of environment variables are judged here and never shown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bluegreen.domain.rules import Rule
from bluegreen.domain.stack import Slot
from bluegreen.domain.values import dataclass
from bluegreen.platforms.kubernetes.names import own_service
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.pod_rules import Pods, serving_findings
from bluegreen.platforms.kubernetes.stage_patch import no_container, place_of
from bluegreen.platforms.kubernetes.templates import for_slot
from bluegreen.platforms.kubernetes.verdicts import note, refuse, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bluegreen.domain.stack import Need, Service, Stack
    from bluegreen.platforms.kubernetes.live import Live
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.objects import Deployment
    from bluegreen.ports import Finding

_OWN_POD = frozenset({"localhost", "127", "::1"})
_RESOLVER = re.compile(r"(?:dns|passthrough|xds|kubernetes|k8s):(?://[^/]*/|(?=[a-z]))")
"""How a target of gRPC begins: ``dns:///prices:80``."""
_ADDRESS = re.compile(
    r"(?!(?s:.*)[^\w.:/-])"
    rf"(?P<before>(?:(?:https?|wss?|grpcs?|h2c|tcp)://|{_RESOLVER.pattern})?)[a-z0-9-]+"
    r"(?P<domain>\.(?P<namespace>[a-z0-9-]+)(?:\.svc(?:\.cluster\.local)?)?\.?)?(?::(?P<port>[0-9]{1,5}))?(?P<after>/?)"
)
"""An address and nothing else, in which there is nothing to hide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the stack is, and which of its slots a release is about to change."""

    stack: Stack
    live: Live
    target: Slot
    namespace: str

    def workload(self, service: str, slot: Slot) -> str:
        """The name of the Deployment of the service in the slot."""
        return self.live.marks_of(service).workload(slot)

    def template(self, service: str, slot: Slot) -> Json | None:
        """The pod template of the service in the slot, as the release will have it; None: nothing says.

        What is to be changed gets the chart's, where the chart leaves the Deployments to the pipeline.
        """
        chart = self.live.chart(service)
        if slot is self.target and chart is not None:
            return for_slot(chart, slot, self.live.marks_of(service))
        found = self.live.deployment(service, slot)
        return found.template if found is not None else None


def fitness_findings(place: Place) -> Iterator[Finding]:
    """All of them, service by service."""
    for service in place.stack.services:
        yield from _of_target(place, service)
        serving = place.live.deployment(service.name, place.target.other)
        if serving is not None:
            yield from _of_active(place, serving)
        for need in service.needs:
            yield from _of_need(place, service, need)


# --- the slot that is to be changed -----------------------------------------------------------------------------


def _of_target(place: Place, service: Service) -> Iterator[Finding]:
    found, template = place.live.deployment(service.name, place.target), place.template(service.name, place.target)
    if found is not None:
        yield from _movable(place, found)
    if template is None:
        return
    name = place.workload(service.name, place.target)
    yield from _selected(place, service, Node(template).at("metadata", "labels").pairs())
    container = _container(template, service)
    if container is None:
        error = no_container(service, _containers(template), where=f"Deployment {name}")
        yield refuse(Rule.NO_CONTAINER, str(error), error.mend)
        return
    pods = pods_of(place, service)
    if pods is not None:
        yield from serving_findings(pods)


def pods_of(place: Place, service: Service) -> Pods | None:
    """The pods that the next release makes of the service; None: it cannot be told what they are."""
    template = place.template(service.name, place.target)
    container = _container(template, service) if template is not None else None
    if template is None or container is None:
        return None
    marks = place.live.marks_of(service.name)
    serving = place.live.deployment(service.name, place.target.other)
    return Pods(
        service=service,
        workload=marks.workload(place.target),
        namespace=place.namespace,
        template=Node(template),
        container=container,
        labels=tuple(marks.selector(place.target).items()),
        replicas=serving.replicas if serving is not None else service.replicas,
        port=_users_port(place, service, container),
    )


def _users_port(place: Place, service: Service, container: Node) -> int:
    """Where users' Service sends its requests, which is not always the container's first port."""
    ports = [(one.at("name").text(), one.at("containerPort").number()) for one in container.at("ports").items()]
    users = place.live.users(service.name)
    target = next((one.target for one in users.ports if one.port == service.port), "") if users is not None else ""
    if target.isdigit():
        return int(target)
    found = [number for name, number in ports if target and name == target] or [number for _, number in ports]
    return next(iter(found), service.port)


def _movable(place: Place, found: Deployment) -> Iterator[Finding]:
    name = found.meta.name
    if found.meta.deleting:
        yield refuse(
            Rule.ROLLOUT, f"Deployment {name} is being deleted", "wait until it is gone, then install the chart again"
        )
    if found.paused:
        resume = f"kubectl rollout resume deployment/{name} -n {place.namespace}"
        yield refuse(Rule.ROLLOUT, f"Deployment {name} is paused: nothing written to it would be rolled out", resume)


def _containers(template: Json) -> list[str]:
    return [one.at("name").text() for one in Node(template).at("spec", "containers").items()]


def _container(template: Json, service: Service) -> Node | None:
    """The one whose image a release replaces; None: it cannot be told."""
    index = place_of(service, _containers(template))
    return None if index is None else tuple(Node(template).at("spec", "containers").items())[index]


def _selected(place: Place, service: Service, labels: Mapping[str, str]) -> Iterator[Finding]:
    """Whether users' Service and the slot's own would find its pods, and no others'."""
    marks = place.live.marks_of(service.name)
    own, value = marks.workload(place.target), marks.value(place.target)
    for name in filter(None, (marks.users, marks.preview(place.target))):
        there = place.live.service(name)
        if there is None:
            continue
        wanted = dict(there.selector)
        if name == marks.users:
            wanted[marks.slot_label] = value
        missed = [f"{key}={value}" for key, value in wanted.items() if labels.get(key) != value]
        if marks.slot_label not in wanted:
            change = f'{{"spec":{{"selector":{{"{marks.slot_label}":"{value}"}}}}}}'
            yield refuse(
                Rule.NO_SLOT_LABEL,
                f"Service {name} selects no slot: it is not the address of {place.target} alone",
                f"kubectl patch svc {name} -n {place.namespace} -p '{change}'",
            )
        elif missed:
            yield refuse(
                Rule.WRONG_SELECTOR,
                f"Service {name} would find no pod of {own}: they do not carry {', '.join(missed)}",
                f"let selector and template's labels agree: kubectl get svc {name} -n {place.namespace} -o wide",
            )


# --- the slot that serves ---------------------------------------------------------------------------------------


def _of_active(place: Place, found: Deployment) -> Iterator[Finding]:
    name = found.meta.name
    if found.paused:
        yield warn(
            Rule.ROLLOUT,
            f"Deployment {name}, which serves, is paused: the next release could not change it",
            f"kubectl rollout resume deployment/{name} -n {place.namespace}",
        )
    if found.observed >= found.meta.generation and found.updated >= found.current:
        return
    if any(one.kind == "Progressing" and one.status == "False" for one in found.conditions):
        yield warn(
            Rule.ROLLOUT,
            f"Deployment {name}, which serves, is stuck in the middle of a rollout",
            f"take that back: kubectl rollout undo deployment/{name} -n {place.namespace}",
        )
        return
    yield refuse(
        Rule.ROLLOUT,
        f"Deployment {name}, which serves, is in the middle of a rollout: nobody knows what to compare with, or to go "
        "back to",
        f"wait for it: kubectl rollout status deployment/{name} -n {place.namespace}",
    )


# --- who calls whom ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Value:
    """What a container's environment says of a variable. The text is never shown."""

    text: str | None
    hidden: str = ""
    """Why the text cannot be known; empty with no text: the variable is not set."""


def _of_need(place: Place, service: Service, need: Need) -> Iterator[Finding]:
    values = {slot: _value(place, service, need, slot) for slot in Slot}
    there, here = values[place.target], values[place.target.other]
    if there is None:
        return
    name = place.workload(service.name, place.target)
    if there.text is not None and here is not None and there.text == here.text:
        yield refuse(
            Rule.NEED_SHARED,
            f"{need.variable} is the same in both slots of {service.name}: what is validated in {place.target} would "
            f"not be the {need.service} that then serves",
            _set(place, service, need, place.target),
        )
        return
    if there.hidden:
        yield note(
            Rule.NEED_UNSET,
            f"{need.variable} of {name} {there.hidden}: whether it is the address of its own slot's {need.service} "
            "is not known",
            f"if it is not: {_set(place, service, need, place.target)}",
        )
    elif there.text is None:
        yield refuse(
            Rule.NEED_UNSET,
            f"{need.variable} of {name} is not set: it has to be the address of {need.service} in {place.target}",
            _set(place, service, need, place.target),
        )
    for slot in (place.target, place.target.other):
        yield from _address(place, service, need, slot, values[slot])


def _address(place: Place, service: Service, need: Need, slot: Slot, value: _Value | None) -> Iterator[Finding]:
    """Whose address it is, by its host."""
    if value is None or value.text is None:
        return
    host, name = _host(value.text), place.workload(service.name, slot)
    needed = place.live.marks_of(need.service)
    if host == own_service(needed, slot):
        return
    mend = _set(place, service, need, slot)
    if host == own_service(needed, slot.other):
        yield refuse(
            Rule.NEED_SHARED,
            f"{need.variable} of {name} is the address of {need.service} in {slot.other}, the other slot",
            mend,
        )
    elif host == needed.users:
        said = f"{need.variable} of {name} is the address that users call, and not that of {need.service} in {slot}"
        yield (refuse if slot is place.target else warn)(Rule.NEED_SHARED, said, mend)
    elif slot is place.target:
        said = f"whether {need.variable} of {name} is the address of {need.service} in {slot} is not known"
        yield warn(Rule.NEED_UNSET, said, mend)


def _value(place: Place, service: Service, need: Need, slot: Slot) -> _Value | None:
    """None: there is no such container to ask."""
    template = place.template(service.name, slot)
    container = _container(template, service) if template is not None else None
    if container is None:
        return None
    for one in reversed(tuple(container.at("env").items())):
        if one.at("name").text() == need.variable:
            return _said(one)
    return _Value(None, hidden="may come from envFrom" if tuple(container.at("envFrom").items()) else "")


def _said(one: Node) -> _Value:
    text = one.at("value").text()
    if one.at("valueFrom"):
        return _Value(None, hidden="comes from valueFrom")
    if "$(" in text:
        return _Value(None, hidden="is made of other variables")
    if _host(text) in _OWN_POD:
        return _Value(None, hidden="leads to a proxy in its own pod")
    return _Value(text or None)


def _host(text: str) -> str:
    """The name before the first dot, of a URL, of ``host:port`` or of a target of gRPC; empty: there is none to be
    found.
    """
    place = _RESOLVER.sub("", text)
    try:
        host = urlsplit(place if "://" in place else f"//{place}").hostname
    except ValueError:
        return ""
    return (host or "").partition(".")[0]


def _set(place: Place, service: Service, need: Need, slot: Slot) -> str:
    """The command that lets the variable lead to its own slot, in the form that it is written in today."""
    own, deployment = own_service(place.live.marks_of(need.service), slot), place.workload(service.name, slot)
    address = _address_of(own, place, service, need, slot)
    if not address:
        return f"let {own} be the host in it: kubectl edit deployment/{deployment} -n {place.namespace}"
    template = place.template(service.name, slot)
    names = _containers(template) if template is not None else []
    index = place_of(service, names)
    which = f" -c {names[index]}" if index is not None and len(names) > 1 else ""
    return f"kubectl set env deployment/{deployment} -n {place.namespace}{which} {need.variable}={address}"


def _address_of(own: str, place: Place, service: Service, need: Need, slot: Slot) -> str:
    """Empty: as it is written there is more in it, which may be a secret."""
    port = _own_port(own, place, place.stack.service(need.service).port)
    for each in (slot, slot.other):
        value = _value(place, service, need, each)
        if value is None or value.text is None:
            continue
        found = _ADDRESS.fullmatch(value.text)
        if found is None or (found["namespace"] or place.namespace) != place.namespace:
            return ""
        number = f":{_own_port(own, place, int(found['port']))}" if found["port"] else ""
        return f"{found['before']}{own}{found['domain'] or ''}{number}{found['after']}"
    return f"http://{own}:{port}"


def _own_port(own: str, place: Place, wanted: int) -> int:
    """That port of the slot's own Service; where it has none such, its first."""
    found = place.live.service(own)
    numbers = [port.port for port in found.ports] if found is not None else []
    return wanted if wanted in numbers or not numbers else numbers[0]
