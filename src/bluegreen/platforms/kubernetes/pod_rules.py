"""What a pod template has against staying available and ending well: pure, each with the exact mend.

Judged is the template that the next release puts in the idle slot: a change of it reaches users validated. The template
of the slot that serves is left alone, for a change of it would replace the pods that serve.
"""

from __future__ import annotations

import json
import re
from math import ceil
from typing import TYPE_CHECKING

from bluegreen.domain.errors import UsageError
from bluegreen.domain.image import ImageReference
from bluegreen.domain.rules import Rule
from bluegreen.domain.values import dataclass
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.verdicts import note, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bluegreen.domain.stack import Seconds, Service
    from bluegreen.ports import Finding

GRACE = 30
"""``terminationGracePeriodSeconds`` where it is not said."""
ENDING = 10
"""Seconds that a pod should have to end after its ``preStop`` and its lame duck: for what is under way."""
PRE_STOP = 5
"""Seconds after which every node knows that a pod is ending: measured up to 1.1 (docs/design.md)."""
_PERIOD, _TIMEOUT, _FAILURES = 10, 1, 3
"""Of a probe that does not say: the API's defaults."""
_SLEEP = re.compile(r"\bsleep ([0-9]{1,5})\b")
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """One pod template: whose it is, and the container whose image a release replaces."""

    service: Service
    workload: str
    namespace: str
    template: Node
    container: Node
    labels: tuple[tuple[str, str], ...]
    """What the slot's pods are found by."""
    replicas: int
    """Of the slot that serves: a stage takes that size over."""
    port: int
    """Where users' requests arrive in it."""

    @property
    def name(self) -> str:
        """Of the container."""
        return self.container.at("name").text()

    def patch(self, **container: object) -> str:
        """The command that changes these fields of the container."""
        return self.patch_pods(containers=[{"name": self.name, **container}])

    def patch_pods(self, **spec: object) -> str:
        """The command that changes these fields of the pods."""
        change = json.dumps({"spec": {"template": {"spec": spec}}}, separators=(",", ":"))
        return f"kubectl patch deployment {self.workload} -n {self.namespace} -p '{change}'"


def serving_findings(pods: Pods) -> Iterator[Finding]:
    """What loses requests at a release: a release tells it as well."""
    if not pods.container.at("readinessProbe"):
        yield warn(
            Rule.NO_READINESS,
            f"Deployment {pods.workload} has no readiness probe: its pods count as ready before they answer",
            pods.patch(readinessProbe=_asking(pods)),
        )
    yield from _ending(pods)


def pod_findings(pods: Pods) -> Iterator[Finding]:
    """All others."""
    yield from _liveness(pods)
    yield from _slow_probes(pods)
    yield from _lame_duck(pods)
    yield from _images(pods)
    yield from _spread(pods)


# --- ending -------------------------------------------------------------------------------------------------------


def _ending(pods: Pods) -> Iterator[Finding]:
    """What requests meet when these pods are ended one day."""
    before = pods.container.at("lifecycle", "preStop")
    if not before:
        yield warn(
            Rule.NO_PRE_STOP,
            f"Deployment {pods.workload} has no preStop: when its pods end, requests that are still sent to them are "
            "lost",
            pods.patch(lifecycle={"preStop": {"sleep": {"seconds": PRE_STOP}}}),
        )
        return
    sleep = before.at("sleep", "seconds").number() or _slept(before)
    grace = pods.template.at("spec", "terminationGracePeriodSeconds").number(GRACE)
    wanted = ceil(sleep + pods.service.lame_duck + ENDING)
    if grace < wanted:
        duck = f", its lame duck {pods.service.lame_duck:g}" if pods.service.lame_duck else ""
        yield warn(
            Rule.SHORT_GRACE,
            f"Deployment {pods.workload} gives its pods {grace} s to end, and preStop takes {sleep} of them{duck}: "
            "what is under way may be cut off",
            pods.patch_pods(terminationGracePeriodSeconds=max(wanted, 60)),
        )


def _slept(before: Node) -> int:
    """By a command, as it is done where the kubelet does not sleep by itself."""
    return sum(map(int, _SLEEP.findall(" ".join(before.at("exec", "command").texts()))))


def _lame_duck(pods: Pods) -> Iterator[Finding]:
    """It cannot be seen from outside, so the app file says it."""
    if not pods.service.lame_duck:
        yield warn(
            Rule.NO_LAME_DUCK,
            f"{pods.service.name} is not said to be a lame duck: when its old pods end, each connection that clients "
            "keep open breaks once",
            "let it answer on for 5 s after SIGTERM, each answer with Connection: close, and write lame_duck: 5 into "
            "the app file",
        )


# --- probes -------------------------------------------------------------------------------------------------------


def _asking(pods: Pods) -> dict[str, object]:
    """A probe by what is known: the app file's, another probe's request, or a connection to the port."""
    known = next((request for probe in _PROBES if (request := _request(pods.container.at(probe)))), {})
    declared = pods.service.probes
    if declared is not None:
        return {"httpGet": {"path": declared.readiness.path, "port": pods.port}, "periodSeconds": 5}
    return {**(known or {"tcpSocket": {"port": pods.port}}), "periodSeconds": 5}


def _patient_probes(pods: Pods) -> dict[str, object]:
    """A liveness probe that gives readiness twice its time, and a startup probe for it where there is none."""
    ready, declared = pods.container.at("readinessProbe"), pods.service.probes
    request: dict[str, object] = {**(_request(ready) or {"tcpSocket": {"port": pods.port}})}
    if declared is not None:
        request = {"httpGet": {"path": declared.liveness.path, "port": pods.port}}
    alive = {**request, "periodSeconds": _PERIOD, "failureThreshold": max(_FAILURES, _patience(ready, every=_PERIOD))}
    starts = bool(pods.container.at("startupProbe"))
    return {"livenessProbe": alive} if starts else {"livenessProbe": alive, "startupProbe": _starting(request)}


def _starting(request: Mapping[str, object]) -> dict[str, object]:
    """A startup probe: a minute and a half to begin to answer."""
    return {**request, "periodSeconds": 3, "failureThreshold": 30}


def _patience(ready: Node, *, every: Seconds) -> int:
    """Failures in a row, one ``every`` so many seconds, that take twice as long as readiness waits."""
    return ceil(2 * _window(ready) / every)


def _request(probe: Node) -> dict[str, dict[str, object]]:
    """What the probe does, without how often."""
    kinds = ("httpGet", "tcpSocket", "exec", "grpc")
    return {kind: dict(probe.at(kind).mapping()) for kind in kinds if probe.at(kind)}


def _numbered(probe: Node, pods: Pods) -> dict[str, object]:
    """The request with the number of its port: one probe may say the name of it, the other the number."""
    numbers = {one.at("name").text(): one.at("containerPort").number() for one in pods.container.at("ports").items()}
    return {
        kind: {name: numbers.get(str(value), value) if name == "port" else value for name, value in what.items()}
        for kind, what in _request(probe).items()
    }


def _window(probe: Node) -> Seconds:
    """How long it may fail."""
    return probe.at("periodSeconds").number(_PERIOD) * probe.at("failureThreshold").number(_FAILURES)


def _liveness(pods: Pods) -> Iterator[Finding]:
    alive, ready = pods.container.at("livenessProbe"), pods.container.at("readinessProbe")
    if not alive:
        yield note(
            Rule.NO_LIVENESS, f"Deployment {pods.workload} has no liveness probe", pods.patch(**_patient_probes(pods))
        )
        return
    if not pods.container.at("startupProbe"):
        yield warn(
            Rule.NO_STARTUP,
            f"Deployment {pods.workload} has a liveness probe and no startup probe",
            pods.patch(startupProbe=_starting(_request(alive))),
        )
    if _numbered(alive, pods) == _numbered(ready, pods) and _window(alive) < 2 * _window(ready):
        failures = _patience(ready, every=alive.at("periodSeconds").number(_PERIOD))
        yield warn(
            Rule.EQUAL_PROBES,
            f"Deployment {pods.workload} asks the same for liveness as for readiness, and kills a pod after "
            f"{_window(alive):g} s of it, where it is without users after {_window(ready):g}",
            pods.patch(livenessProbe={"failureThreshold": failures}),
        )


def _slow_probes(pods: Pods) -> Iterator[Finding]:
    for name in _PROBES:
        probe = pods.container.at(name)
        timeout = probe.at("timeoutSeconds").number(_TIMEOUT)
        period = probe.at("periodSeconds").number(_PERIOD)
        if probe and timeout > period:
            yield warn(
                Rule.SLOW_PROBE,
                f"Deployment {pods.workload}: its {name} comes each {period} s and may take {timeout}",
                pods.patch(**{name: {"timeoutSeconds": period}}),
            )


# --- images and places --------------------------------------------------------------------------------------------


def _images(pods: Pods) -> Iterator[Finding]:
    policy = pods.container.at("imagePullPolicy").text()
    if policy in {"Always", "Never"}:
        yield warn(
            Rule.PULL_POLICY,
            f"Deployment {pods.workload} pulls its image {policy}",
            pods.patch(imagePullPolicy="IfNotPresent"),
        )
    for kind in ("containers", "initContainers"):
        for one in pods.template.at("spec", kind).items():
            name, image = one.at("name").text(), one.at("image").text()
            if name != pods.name and _moves(image):
                lasting = f"{name}={image.removesuffix(':latest')}:TAG"
                yield warn(
                    Rule.MOVING_TAG,
                    f"Deployment {pods.workload}: the image of its container {name}, {image}, has no tag that stays",
                    f"kubectl set image deployment/{pods.workload} -n {pods.namespace} {lasting}",
                )


def _moves(image: str) -> bool:
    try:
        reference = ImageReference.parse(image)
    except UsageError:
        return False
    return not reference.digest and reference.tag in {"", "latest"}


def _spread(pods: Pods) -> Iterator[Finding]:
    if pods.replicas == 1:
        return
    spec = pods.template.at("spec")
    if tuple(spec.at("topologySpreadConstraints").items()) or spec.at("affinity", "podAntiAffinity"):
        return
    constraint = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": dict(pods.labels)},
    }
    yield warn(
        Rule.NO_SPREAD,
        f"Deployment {pods.workload} says nothing of where its pods are to be: all may be on one node",
        pods.patch_pods(topologySpreadConstraints=[constraint]),
    )
