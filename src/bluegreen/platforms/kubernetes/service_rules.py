"""What the Services that users call have against a switch: pure, from what was listed, each with the exact mend.

A switch changes one label of a Service's selector. These are the Services for which that moves nobody, moves users late
or moves some of them nowhere.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bluegreen.domain.errors import UsageError
from bluegreen.domain.routing import Split, active
from bluegreen.domain.rules import Rule
from bluegreen.domain.stack import Slot
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.others import OUTSIDE
from bluegreen.platforms.kubernetes.route import route_of
from bluegreen.platforms.kubernetes.verdicts import refuse, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bluegreen.domain.stack import Marks
    from bluegreen.platforms.kubernetes.fitness import Place
    from bluegreen.platforms.kubernetes.live import Live
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.objects import Deployment, Pod, Service
    from bluegreen.ports import Finding

_KEEPERS = ("argocd", "kustomize-controller", "helm-controller", "flux-", "fleetagent")
"""How the managers begin by which Argo CD, Flux and Fleet write."""
_AWS = "service.beta.kubernetes.io/aws-load-balancer"
_ALB = "alb.ingress.kubernetes.io/target-type"
_NEG = "cloud.google.com/neg"
_AWS_GATE = "target-health.elbv2.k8s.aws/"
"""Begins the readiness gate that the AWS Load Balancer Controller gives to pods which it registers by their addresses;
the name of its TargetGroupBinding follows.
"""


def service_findings(place: Place) -> Iterator[Finding]:
    """All of them, service by service."""
    yield from _split(place)
    for service in place.stack.services:
        marks = place.live.marks_of(service.name)
        users = place.live.service(marks.users)
        if users is not None:
            yield from unswitchable(users, marks, place)
            yield from _of_traffic(users, marks, place)


def require_switchable(place: Place) -> None:
    """Return when each Service that users call can name a slot. Raises UsageError with the mend.

    A Service whose selector and Deployments the pipeline is yet to make (``ownership: pipeline``) has none so far.
    """
    found: list[Finding] = []
    for service in place.stack.services:
        marks = place.live.marks_of(service.name)
        users = place.live.service(marks.users)
        if users is not None and (users.selector or place.live.chart(service.name) is None):
            found += unswitchable(users, marks, place)
    if found:
        raise UsageError("; ".join(finding.text for finding in found), mend=found[0].mend)


def _split(place: Place) -> Iterator[Finding]:
    routes = [route_of(users, marks) for marks, users in _users(place.live, place) if users.selector]
    found = active(routes) if routes else None
    if isinstance(found, Split) and all(slot is not None for _, slot in found.where):
        yield refuse(
            Rule.SPLIT_STACK,
            f"the stack is split: {found}",
            f"bring all to one slot, for example: bluegreen rollback --to {found.where[0][1]}",
        )


def _users(live: Live, place: Place) -> Iterator[tuple[Marks, Service]]:
    for service in place.stack.services:
        marks = live.marks_of(service.name)
        users = live.service(marks.users)
        if users is not None:
            yield marks, users


# --- Services that no slot can be written into --------------------------------------------------------------------


def unswitchable(users: Service, marks: Marks, place: Place) -> Iterator[Finding]:
    """Why a switch of this Service would be none; at most one reason."""
    name = users.meta.name
    if users.kind == "ExternalName":
        ports = _ports(users, place, marks)
        spec = {"type": "ClusterIP", "externalName": None, **_selecting(marks, place), "ports": ports}
        mend = _selecting_pods(_patch(name, place, spec), marks, place)
        yield refuse(Rule.EXTERNAL_NAME, f"Service {name} is an ExternalName", mend)
    elif users.headless:
        yield refuse(
            Rule.HEADLESS,
            f"Service {name} is headless (clusterIP: None)",
            f"make one with an address, and name it in the app file ({marks.service}: kubernetes: service): "
            f"{_exposing(users, marks, place)}",
        )
    elif not users.selector:
        mend = _selecting_pods(_patch(name, place, _selecting(marks, place)), marks, place)
        yield refuse(Rule.NO_SELECTOR, f"Service {name} has no selector", mend)
    elif marks.slot_label not in dict(users.selector):
        yield refuse(
            Rule.NO_SLOT_LABEL,
            f"Service {name} selects {_shown(users)} and no slot: it has the pods of both",
            _naming(_serving(users, marks, place), marks, place),
        )


def _has_pods(slot: Slot, marks: Marks, place: Place) -> bool:
    """Whether there are pods that such a selector would find, as far as the Deployment says."""
    found = place.live.deployment(marks.service, slot)
    return found is not None and marks.selector(slot).items() <= dict(found.template_labels).items()


def _selecting_pods(command: str, marks: Marks, place: Place) -> str:
    """The command; where its selector is only what it would be by convention, how the right one is found."""
    if _has_pods(place.target.other, marks, place):
        return command
    return (
        "give it the labels that the pods which serve have, and their slot's, as its selector: "
        f"kubectl get pods -n {place.namespace} --show-labels"
    )


def _naming(slot: Slot, marks: Marks, place: Place) -> str:
    """The command that sends users to the slot. Without pods in it that would send them nowhere."""
    if not _has_pods(slot, marks, place):
        return f"make a Deployment for each slot first, whose pods carry {marks.slot_label}: docs/appfile.md"
    return _patch(marks.users, place, {"selector": {marks.slot_label: marks.value(slot)}})


def _exposing(users: Service, marks: Marks, place: Place) -> str:
    return exposing(f"{users.meta.name}-users", _serving(users, marks, place), users=users, marks=marks, place=place)


def exposing(name: str, slot: Slot, *, users: Service | None, marks: Marks, place: Place) -> str:
    """The command that makes a Service of this name for the slot, with the ports that users' has."""
    selector = ",".join(f"{key}={value}" for key, value in marks.selector(slot).items())
    ports = users.ports if users is not None else ()
    where = f"-n {place.namespace}"
    if len(ports) > 1:  # kubectl expose would give all of them one target
        each = " ".join(f"--tcp={port.port}:{port.target or port.port}" for port in ports)
        return (
            f"kubectl create service clusterip {name} {where} {each} && "
            f"kubectl set selector svc {name} {where} {selector}"
        )
    number = ports[0].port if ports else place.stack.service(marks.service).port
    target = f" --target-port={ports[0].target}" if ports and ports[0].target else ""
    workload = marks.workload(slot)
    return f"kubectl expose deployment {workload} {where} --name={name} --port={number}{target} --selector={selector}"


def _serving(users: Service, marks: Marks, place: Place) -> Slot:
    """The slot that the Service names; where it names none, the one that the other services' users are on."""
    return marks.slot_named(dict(users.selector)) or place.target.other


def _selecting(marks: Marks, place: Place) -> dict[str, object]:
    """The selector that a Service should have: of the slot that is not to be changed."""
    return {"selector": marks.selector(place.target.other)}


def _ports(users: Service, place: Place, marks: Marks) -> list[dict[str, object]]:
    """What it offered, else the app file's; sent to where its pods listen, which it never had to know."""
    listening = [number for _, number in _ports_of(place.live.deployment(marks.service, place.target.other))]
    wanted = {port.port: port.name for port in users.ports} or {place.stack.service(marks.service).port: ""}
    return [
        {
            **({"name": name} if name else {}),
            "port": number,
            "targetPort": number if number in listening or not listening else listening[0],
        }
        for number, name in wanted.items()
    ]


def _shown(users: Service) -> str:
    return ",".join(f"{key}={value}" for key, value in users.selector)


def _patch(name: str, place: Place, spec: object) -> str:
    change = json.dumps({"spec": spec}, separators=(",", ":"))
    return f"kubectl patch svc {name} -n {place.namespace} -p '{change}'"


# --- Services that move users late, or some of them nowhere -------------------------------------------------------


def _of_traffic(users: Service, marks: Marks, place: Place) -> Iterator[Finding]:
    name = users.meta.name
    if users.not_ready:
        yield refuse(
            Rule.NOT_READY_ADDRESSES,
            f"Service {name} has publishNotReadyAddresses",
            _patch(name, place, {"publishNotReadyAddresses": False}),
        )
    yield from dict.fromkeys(_different_ports(users, marks, place))  # two ports may have one target
    yield from _local(users, marks, place)
    yield from _foreign(users, place)
    yield from _ip_targets(users, marks, place)
    yield from _kept(users)
    if users.affinity == "ClientIP":
        yield warn(
            Rule.SESSION_AFFINITY,
            f"Service {name} has sessionAffinity ClientIP",
            _patch(name, place, {"sessionAffinity": "None", "sessionAffinityConfig": None}),
        )


def _local(users: Service, marks: Marks, place: Place) -> Iterator[Finding]:
    """Nodes that have a pod of the slot that serves get its users; what they would find of the other slot."""
    wanted = (
        (Rule.INTERNAL_LOCAL, "internalTrafficPolicy", users.inside == "Local"),
        (Rule.EXTERNAL_LOCAL, "externalTrafficPolicy", users.outside == "Local" and users.kind in OUTSIDE),
    )
    bare = sorted(_nodes(marks, place.target.other, place.live) - _nodes(marks, place.target, place.live))
    for rule, policy, local in wanted:
        mend = _patch(users.meta.name, place, {policy: "Cluster"})
        if local and bare:
            text = f"Service {users.meta.name} has {policy} Local, and {place.target} has no ready pod on "
            yield refuse(rule, text + ", ".join(bare), mend)
        elif local:
            text = f"Service {users.meta.name} has {policy} Local: whether {place.target} will have a pod on each node "
            yield warn(rule, f"{text}that has users is known only when its new pods are placed", mend)


def _nodes(marks: Marks, slot: Slot, live: Live) -> set[str]:
    """Where ready pods of the slot are."""
    return {
        pod.node
        for pod in _pods(marks, slot, live)
        if (ready := pod.condition("Ready")) is not None and ready.status == "True"
    }


def _pods(marks: Marks, slot: Slot, live: Live) -> Iterator[Pod]:
    """Those that are to stay."""
    wanted = marks.selector(slot).items()
    return (pod for pod in live.pods if wanted <= dict(pod.meta.labels).items() and not pod.meta.deleting)


def _kept(users: Service) -> Iterator[Finding]:
    """Whoever wrote a selector last owns it: after a release that is us, unless it was written back."""
    keepers = [one.manager for one in users.meta.writers if one.selector and one.manager.startswith(_KEEPERS)]
    if keepers:
        yield warn(
            Rule.KEPT,
            f"the selector of Service {users.meta.name} is written by {keepers[0]}, which may move users back",
            "let it leave alone what a release writes: docs/appfile.md has the settings",
        )


def _foreign(users: Service, place: Place) -> Iterator[Finding]:
    """Addresses of no pod: written by hand, left from before there was a selector, or of another cluster."""
    slices = place.live.slices_of(users.meta.name)
    found = sorted({each.meta.name for each in slices if any(not one.pod for one in each.endpoints)})
    if found:
        yield refuse(
            Rule.FOREIGN_ENDPOINTS,
            f"Service {users.meta.name} has addresses of no pod, in EndpointSlice {', '.join(found)}",
            f"see who keeps them, and remove them: kubectl get endpointslice -n {place.namespace} -o yaml "
            f"{' '.join(found)}",
        )


def _ip_targets(users: Service, marks: Marks, place: Place) -> Iterator[Finding]:
    found = _ip_target(users)
    if found is not None:
        mark, change = found
        yield refuse(
            Rule.IP_TARGETS,
            f"Service {users.meta.name} is behind a load balancer that sends to pods by their addresses ({mark})",
            f"let it send to nodes: kubectl annotate svc {users.meta.name} -n {place.namespace} --overwrite {change}",
        )
        return
    yield from _gated(users, marks, place)


def _gated(users: Service, marks: Marks, place: Place) -> Iterator[Finding]:
    """What is set up elsewhere, at an Ingress for one, shows on the pods that serve."""
    serving = place.target.other
    gates = (gate for pod in _pods(marks, serving, place.live) for gate in pod.gates)
    gate = next((gate for gate in gates if gate.startswith(_AWS_GATE)), None)
    if gate is not None:
        binding, workload = gate.removeprefix(_AWS_GATE), marks.workload(serving)
        yield refuse(
            Rule.IP_TARGETS,
            f"Service {users.meta.name} is behind a load balancer that sends to pods by their addresses: its pods have "
            f"the readiness gate {gate}",
            f"annotate what the TargetGroupBinding {binding} was made for, an Ingress or a Service, with "
            f"{_ALB}=instance or {_AWS}-nlb-target-type=instance; then let the pods lose the gate: "
            f"kubectl rollout restart deployment/{workload} -n {place.namespace}",
        )


def _ip_target(users: Service) -> tuple[str, str] | None:
    """The annotation that says so, and what to annotate instead; None: none does."""
    marks = dict(users.meta.annotations)
    aws = f"{_AWS}-nlb-target-type"
    if marks.get(aws) == "ip":
        return f"{aws}: ip", f"{aws}=instance"
    if marks.get(f"{_AWS}-type") == "nlb-ip":
        return f"{_AWS}-type: nlb-ip", f"{_AWS}-type=external {aws}=instance"
    if marks.get(_ALB) == "ip":
        return f"{_ALB}: ip", f"{_ALB}=instance"
    if f"{_NEG}-status" in marks or "exposed_ports" in marks.get(_NEG, ""):
        return _NEG, f"{_NEG}-status- {_NEG}={json.dumps(json.dumps({'ingress': False}))}"
    return None


# --- ports --------------------------------------------------------------------------------------------------------


def _different_ports(users: Service, marks: Marks, place: Place) -> Iterator[Finding]:
    """A target that is a name leads to whatever number each slot's pods give it."""
    for port in users.ports:
        if port.target.isdigit():
            yield from _missing_number(users, int(port.target), marks, place)
        if not port.target or port.target.isdigit():
            continue
        found = {slot: _target(place.live.deployment(marks.service, slot), port.target) for slot in Slot}
        here, there = found[place.target.other], found[place.target]
        if place.live.deployment(marks.service, place.target) is None or _number(here) == _number(there):
            continue
        said = f"no port called {port.target}" if there is None else f"{port.target} on port {there[1]}"
        served = f"on {here[1]}" if here is not None else "nowhere"
        yield refuse(
            Rule.DIFFERENT_PORTS,
            f"Service {users.meta.name} sends to port {port.target}: {marks.workload(place.target)} has {said}, and "
            f"{marks.workload(place.target.other)} has it {served}",
            _same_port(marks.workload(place.target), there, here, port.target, place),
        )


def _missing_number(users: Service, number: int, marks: Marks, place: Place) -> Iterator[Finding]:
    """A number that the slot that serves says it has, and the other one, which has others, does not."""
    found = {slot: _ports_of(place.live.deployment(marks.service, slot)) for slot in Slot}
    here, there = found[place.target.other], found[place.target]
    served = next((one for one in here if one[1] == number), None)
    if served is None or not there or number in {one[1] for one in there}:
        return
    others = ", ".join(str(one[1]) for one in there)
    yield refuse(
        Rule.DIFFERENT_PORTS,
        f"Service {users.meta.name} sends to port {number}: {marks.workload(place.target.other)} has it, and "
        f"{marks.workload(place.target)} has {others}",
        _same_port(marks.workload(place.target), there[0] if len(there) == 1 else None, served, str(number), place),
    )


Target = tuple[str, int]
"""Where the number stands in the pod template, as a JSON Pointer, and the number."""


def _number(target: Target | None) -> int | None:
    """Where it stands may differ: one slot has a sidecar or a port more."""
    return target[1] if target is not None else None


def _target(found: Deployment | None, name: str) -> Target | None:
    """The container port of that name; init containers that go on running may have it as well."""
    if found is None:
        return None
    return next((target for port, target in _all_ports(found.template) if port == name), None)


def _ports_of(found: Deployment | None) -> list[Target]:
    """All that its containers say they have; empty: it says nothing of that."""
    return [target for _, target in _all_ports(found.template)] if found is not None else []


def _all_ports(template: Json) -> Iterator[tuple[str, Target]]:
    """Each with its name."""
    for kind in ("containers", "initContainers"):
        for index, container in enumerate(Node(template).at("spec", kind).items()):
            if kind == "initContainers" and container.at("restartPolicy").text() != "Always":
                continue
            for number, port in enumerate(container.at("ports").items()):
                pointer = f"/spec/template/spec/{kind}/{index}/ports/{number}/containerPort"
                yield port.at("name").text(), (pointer, port.at("containerPort").number())


def _same_port(workload: str, there: Target | None, here: Target | None, name: str, place: Place) -> str:
    if there is None or here is None:
        return f"give its container the port {name}: kubectl edit deployment/{workload} -n {place.namespace}"
    ops = json.dumps([{"op": "replace", "path": there[0], "value": here[1]}], separators=(",", ":"))
    return (
        f"let it listen there as well: kubectl patch deployment {workload} -n {place.namespace} --type=json -p '{ops}'"
    )
