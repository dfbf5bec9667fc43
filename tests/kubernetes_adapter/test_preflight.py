"""What speaks against a release: one thing wrong at a time, in a stack that is good otherwise."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes_adapter.alfred_kit import BLUE, CANARY, GREEN, Namespace, Object, alfred, meta, scaler
from tests.kubernetes_adapter.authority_kit import without
from tests.kubernetes_adapter.cluster_kit import Served, node
from tests.kubernetes_transport.server import refuse, reply, silence_while

from bluegreen.domain.errors import BluegreenError, ExitCode, NotStarted, PlatformError
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.rights import RIGHTS, rules
from bluegreen.ports import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REFUSE, WARN, NOTE = Severity.REFUSE, Severity.WARN, Severity.NOTE
GREEN_GATEWAY, GREEN_BACKEND, BLUE_BACKEND = "alfred-gateway-green", "alfred-backend-green", "alfred-backend-blue"


def test_a_good_stack_has_nothing_against_it_and_nothing_is_written() -> None:
    served = Served()
    assert served.findings() == ()
    written = [name for name, _ in served.written]
    assert written == [GREEN_BACKEND, "alfred-backend", GREEN_GATEWAY, "alfred-gateway"]


def test_the_very_patch_of_a_stage_is_sent_dry() -> None:
    served = Served()
    grown(served.there, 3)
    served.findings(tag="v9")
    ops = dict(served.written)[GREEN_BACKEND]
    assert isinstance(ops, list)
    assert {"op": "test", "path": "/metadata/generation", "value": 3} in ops
    assert {"op": "add", "path": "/spec/replicas", "value": 3} in ops
    assert [op["value"] for op in ops if op["path"].endswith("/image")] == ["alfredai/backend:v9"]
    assert dict(served.written)["alfred-backend"][1] == {  # type: ignore[index]
        "op": "replace",
        "path": "/spec/selector/slot",
        "value": "green",
    }


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that is wrong, and what is said."""

    wrong: Callable[[Served], object]
    says: str
    mend: str = ""
    severity: Severity = REFUSE
    pods: int = 2
    """Of each service in the slot that serves."""


def gateway_env(there: Namespace, *variables: dict[str, object], slot: str = "green") -> None:
    there.container(f"alfred-gateway-{slot}")["env"] = list(variables)


def by_way_of_a_proxy(there: Namespace) -> None:
    for slot in ("blue", "green"):
        gateway_env(there, env("http://localhost:15001"), slot=slot)


def template_label(there: Namespace, name: str, **labels: str) -> None:
    there.deployments[name]["spec"]["template"]["metadata"]["labels"] = labels


def mid_rollout(there: Namespace, *, stuck: bool = False, seen: bool = True) -> None:
    status = there.deployments[BLUE_BACKEND]["status"]
    status |= {"replicas": 3, "updatedReplicas": 1} if seen else {"observedGeneration": 2}
    if stuck:
        status["conditions"] = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]


def grown(there: Namespace, pods: int) -> None:
    """The slot that serves has so many pods of each service."""
    for name in ("alfred-backend-blue", "alfred-gateway-blue"):
        if name in there.deployments:
            there.deployments[name]["spec"]["replicas"] = pods


def quota(**hard: str) -> dict[str, object]:
    words = {name.replace("_", "."): amount for name, amount in hard.items()}
    used = {"pods": "8", "requests.cpu": "2", "requests.memory": "512Mi"}
    return {
        "metadata": {"name": "compute"},
        "spec": {"hard": words},
        "status": {"hard": words, "used": {name: used.get(name, "0") for name in words}},
    }


def env(value: str) -> dict[str, object]:
    return {"name": "BACKEND_URL", "value": value}


CASES = {
    "Deployment paused": Case(
        wrong=lambda s: s.there.deployments[GREEN_BACKEND]["spec"].update(paused=True),
        says="Deployment alfred-backend-green is paused",
        mend="kubectl rollout resume deployment/alfred-backend-green -n alfred",
    ),
    "active Deployment paused": Case(
        wrong=lambda s: s.there.deployments[BLUE_BACKEND]["spec"].update(paused=True),
        says="Deployment alfred-backend-blue, which serves, is paused",
        mend="kubectl rollout resume deployment/alfred-backend-blue -n alfred",
        severity=WARN,
    ),
    "active slot in the middle of a rollout": Case(
        wrong=lambda s: mid_rollout(s.there),
        says="alfred-backend-blue, which serves, is in the middle of a rollout",
        mend="kubectl rollout status deployment/alfred-backend-blue -n alfred",
    ),
    "active slot changed, and its controller has not seen it": Case(
        wrong=lambda s: mid_rollout(s.there, seen=False),
        says="alfred-backend-blue, which serves, is in the middle of a rollout",
        mend="kubectl rollout status",
    ),
    "active slot stuck": Case(
        wrong=lambda s: mid_rollout(s.there, stuck=True),
        says="alfred-backend-blue, which serves, is stuck in the middle of a rollout",
        mend="kubectl rollout undo deployment/alfred-backend-blue -n alfred",
        severity=WARN,
    ),
    "Deployment about to go": Case(
        wrong=lambda s: s.there.deployments[GREEN_BACKEND]["metadata"].update(deletionTimestamp="2026-01-01T00:00:00Z"),
        says="Deployment alfred-backend-green is being deleted",
        mend="wait",
    ),
    "Deployment missing": Case(
        wrong=lambda s: s.there.deployments.pop(GREEN_BACKEND),
        says="there is no Deployment alfred-backend-green in namespace alfred",
        mend="helm upgrade --install alfred tools/helm/alfred -n alfred",
    ),
    "active Deployment missing": Case(
        wrong=lambda s: s.there.deployments.pop(BLUE_BACKEND),
        says="there is no Deployment alfred-backend-blue in namespace alfred",
        mend="helm upgrade --install",
    ),
    "container of another name": Case(
        wrong=lambda s: s.there.container(GREEN_BACKEND).update(name="app"),
        says="Deployment alfred-backend-green has no container 'backend'; it has app",
        mend="alfred-backend: container: NAME",
    ),
    "pods that the Service would not find": Case(
        wrong=lambda s: template_label(s.there, GREEN_BACKEND, app="alfred-backend", slot="blue"),
        says="Service alfred-backend would find no pod of alfred-backend-green: they do not carry slot=green",
        mend="kubectl get svc alfred-backend -n alfred",
    ),
    "a Service that selects more than app and slot": Case(
        wrong=lambda s: s.there.services["alfred-gateway"]["spec"]["selector"].update(tier="front"),
        says="Service alfred-gateway would find no pod of alfred-gateway-green: they do not carry tier=front",
    ),
    "a slot's own Service that selects no slot": Case(
        wrong=lambda s: s.there.services[GREEN_BACKEND]["spec"]["selector"].pop("slot"),
        says="Service alfred-backend-green selects no slot",
        mend='kubectl patch svc alfred-backend-green -n alfred -p \'{"spec":{"selector":{"slot":"green"}}}\'',
    ),
    "no readiness probe": Case(
        wrong=lambda s: s.there.container(GREEN_BACKEND).pop("readinessProbe"),
        says="alfred-backend-green has no readiness probe",
        severity=WARN,
    ),
    "no preStop": Case(
        wrong=lambda s: s.there.container(GREEN_BACKEND).pop("lifecycle"),
        says="alfred-backend-green has no preStop",
        mend="sleep",
        severity=WARN,
    ),
    "too little time to end": Case(
        wrong=lambda s: s.there.spec(GREEN_BACKEND).update(terminationGracePeriodSeconds=10),
        says="alfred-backend-green gives its pods 10 s to end, and preStop takes 5 of them",
        mend="terminationGracePeriodSeconds",
        severity=WARN,
    ),
    "no budget": Case(
        wrong=lambda s: s.there.budgets.pop("alfred-gateway-pdb"),
        says="there is no PodDisruptionBudget alfred-gateway-pdb",
        mend="kubectl create poddisruptionbudget alfred-gateway-pdb -n alfred --selector=app=alfred-gateway,slot=blue",
        severity=WARN,
    ),
    # --- who calls whom
    "both slots call the same backend": Case(
        wrong=lambda s: gateway_env(s.there, env("http://alfred-backend-blue:8000")),
        says="BACKEND_URL is the same in both slots of alfred-gateway",
        mend="kubectl set env deployment/alfred-gateway-green -n alfred BACKEND_URL=http://alfred-backend-green:8000",
    ),
    "the slot calls the other slot": Case(
        wrong=lambda s: gateway_env(s.there, env("http://alfred-backend-blue.alfred.svc:8000")),
        says="BACKEND_URL of alfred-gateway-green is the address of alfred-backend in blue, the other slot",
        mend="kubectl set env deployment/alfred-gateway-green",
    ),
    "the slot that serves calls the one that is to be changed": Case(
        wrong=lambda s: gateway_env(s.there, env("alfred-backend-green:8000"), slot="blue"),
        says="BACKEND_URL of alfred-gateway-blue is the address of alfred-backend in green, the other slot",
        mend="kubectl set env deployment/alfred-gateway-blue",
    ),
    "the slot calls whom users call": Case(
        wrong=lambda s: gateway_env(s.there, env(f"http://u:{CANARY}@alfred-backend:8000/")),
        says="BACKEND_URL of alfred-gateway-green is the address that users call",
        mend="let alfred-backend-green be the host in it: kubectl edit deployment/alfred-gateway-green -n alfred",
    ),
    "the slot that serves calls whom users call": Case(
        wrong=lambda s: gateway_env(s.there, env("alfred-backend.alfred:8000"), slot="blue"),
        says="BACKEND_URL of alfred-gateway-blue is the address that users call",
        severity=WARN,
    ),
    "nobody knows whom the slot calls": Case(
        wrong=lambda s: gateway_env(s.there, env("http://10.0.0.7:8000")),
        says="whether BACKEND_URL of alfred-gateway-green is the address of alfred-backend in green is not known",
        severity=WARN,
    ),
    "an address that is none": Case(
        wrong=lambda s: gateway_env(s.there, env("http://[::1")),
        says="whether BACKEND_URL of alfred-gateway-green is the address of alfred-backend in green is not known",
        severity=WARN,
    ),
    "the variable is not set": Case(
        wrong=lambda s: gateway_env(s.there),
        says="BACKEND_URL of alfred-gateway-green is not set",
        mend="kubectl set env",
    ),
    "the variable comes from elsewhere": Case(
        wrong=lambda s: gateway_env(s.there, {"name": "BACKEND_URL", "valueFrom": {"configMapKeyRef": {"key": "a"}}}),
        says="BACKEND_URL of alfred-gateway-green comes from valueFrom",
        severity=NOTE,
    ),
    "the variable is made of others": Case(
        wrong=lambda s: gateway_env(s.there, env("http://$(HOST):8000")),
        says="BACKEND_URL of alfred-gateway-green is made of other variables",
        severity=NOTE,
    ),
    "the slot calls by way of a proxy in its pods": Case(
        wrong=lambda s: by_way_of_a_proxy(s.there),
        says="BACKEND_URL of alfred-gateway-green leads to a proxy in its own pod",
        severity=NOTE,
    ),
    "the variable may come with others": Case(
        wrong=lambda s: s.there.container(GREEN_GATEWAY).update(env=[], envFrom=[{"secretRef": {"name": "x"}}]),
        says="BACKEND_URL of alfred-gateway-green may come from envFrom",
        mend="if it is not: kubectl set env deployment/alfred-gateway-green -n alfred BACKEND_URL=http://alfred-backend",
        severity=NOTE,
    ),
    # --- size and room
    "an autoscaler that allows too few": Case(
        wrong=lambda s: s.there.scalers.append(scaler(GREEN_BACKEND, most=2)),
        pods=3,
        says="HorizontalPodAutoscaler alfred-backend-green-hpa allows alfred-backend-green 2 pods at most",
        mend='kubectl patch hpa alfred-backend-green-hpa -n alfred --type merge -p \'{"spec":{"maxReplicas":3}}\'',
    ),
    "a quota of pods": Case(
        wrong=lambda s: s.quotas.append(quota(pods="9")),
        says="ResourceQuota compute leaves no room for the second slot: pods would be 10 of 9",
        mend="kubectl describe quota compute -n alfred",
        pods=3,
    ),
    "a quota of processor time": Case(
        wrong=lambda s: s.quotas.append(quota(requests_cpu="2400m", requests_memory="1Gi")),
        says="ResourceQuota compute leaves no room for the second slot: requests.cpu would be 2500m of 2400m",
        pods=3,
    ),
    "a quota of memory": Case(
        wrong=lambda s: s.quotas.append(quota(requests_memory="600Mi")),
        says="requests.memory would be 640Mi of 600Mi",
        pods=3,
    ),
    "a quota with scopes": Case(
        wrong=lambda s: s.quotas.append({**quota(pods="9"), "spec": {"scopes": ["BestEffort"]}}),
        says="ResourceQuota compute is for some pods only",
        severity=NOTE,
        pods=3,
    ),
    "all nodes cordoned": Case(
        wrong=lambda s: [one["spec"].update(unschedulable=True) for one in s.nodes],
        says="green beside blue does not fit the cluster: no node takes a pod of alfred-backend: 2 cordoned",
        mend="kubectl describe nodes",
    ),
    "nodes too small": Case(
        wrong=lambda s: s.nodes.__setitem__(slice(None), [node("n1", cpu="300m"), node("n2", cpu="200m")]),
        says="the nodes have room for 1 of 2 pods of alfred-backend",
    ),
    "the only node that is large enough is away for a moment": Case(
        wrong=lambda s: s.nodes.__setitem__(slice(None), [node("n1", cpu="300m"), away("n2")]),
        says="the nodes have room for 1 of 2 pods of alfred-backend",
        severity=WARN,
    ),
    "nodes too small, but there may be more soon": Case(
        wrong=lambda s: s.nodes.__setitem__(slice(None), [node("n1", cpu="300m", providerID="aws:///eu/i-1")]),
        says="the nodes have room for 1 of 2 pods of alfred-backend",
        severity=WARN,
    ),
    "room for each service, but not for both": Case(
        wrong=lambda s: s.nodes.__setitem__(slice(None), [node("n1", cpu="800m")]),
        says="there may be no place for 1 pod of alfred-gateway",
        severity=WARN,
    ),
    # --- what the cluster says of the writes
    "admission refuses the image": Case(
        wrong=lambda s: s.instead.update(
            {f"PATCH {GREEN_BACKEND}": [refuse(403, "Forbidden", 'admission webhook "p" denied the request: unsigned')]}
        ),
        says='would refuse the change of Deployment alfred-backend-green: admission webhook "p" denied the request: '
        "unsigned (403)",
        mend="whoever made the rule",
    ),
    "admission refuses the switch": Case(
        wrong=lambda s: s.instead.update({"PATCH alfred-gateway": [refuse(403, "Forbidden", "denied: frozen")]}),
        says="the cluster would refuse the change of Service alfred-gateway: denied: frozen (403)",
    ),
    "the object would be invalid": Case(
        wrong=lambda s: s.instead.update(
            {
                f"PATCH {GREEN_BACKEND}": [
                    refuse(
                        422,
                        "Invalid",
                        f'Deployment is invalid: spec: Invalid value: {{"token":"{CANARY}"}}: no',
                        details={"causes": [{"field": "spec"}]},
                    )
                ]
            }
        ),
        says="Deployment is invalid: spec: Invalid value: (not shown)",
    ),
    "a webhook that takes no dry run": Case(
        wrong=lambda s: s.instead.update(
            {f"PATCH {GREEN_BACKEND}": [refuse(400, "BadRequest", 'admission webhook "p" does not support dry run')]}
        ),
        says="whether the cluster would take the change of Deployment alfred-backend-green is not known",
        severity=NOTE,
    ),
    "somebody else changes the Deployment all the time": Case(
        wrong=lambda s: s.instead.update({f"PATCH {GREEN_BACKEND}": [refuse(422, "Invalid", "test failed")] * 2}),
        says="Deployment alfred-backend-green is being changed by somebody else just now",
        mend="--show-managed-fields",
        severity=WARN,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_one_thing_wrong(case: Case) -> None:
    served = Served()
    grown(served.there, case.pods)
    case.wrong(served)
    found = served.findings()
    about = [one for one in found if case.says in one.text]
    assert len(about) == 1, shown(found)
    assert (about[0].severity, case.mend in about[0].mend) == (case.severity, True), shown(found)
    assert {one.severity for one in found} == {case.severity}, shown(found)
    assert CANARY not in shown(found)
    for one in found:
        assert "\n" not in one.text + one.mend
        assert one.mend or one.severity is NOTE


def shown(found: Sequence[Finding]) -> str:
    return "\n".join(f"{one.severity}: {one.text} | {one.mend}" for one in found)


def running(slot: str, number: int, *, phase: str = "Running") -> Object:
    name = f"{slot}-{number}"
    return {
        "metadata": {"name": name, "uid": name, "labels": {"app": "alfred-backend", "slot": slot}},
        "spec": {"nodeName": "n1", "containers": [{"resources": {"requests": {"cpu": "250m"}}}]},
        "status": {"phase": phase},
    }


def pod_template(service: str) -> Object:
    """As the chart makes it with ``ownership: pipeline``: of no slot yet."""
    spec = Namespace().spec(f"{service}-green")
    neutral = json.loads(json.dumps(spec).replace("green", "__SLOT__"))
    return {"metadata": meta(service), "template": {"metadata": {"labels": {"app": service}}, "spec": neutral}}


def full_of_both_slots(served: Served) -> None:
    served.nodes = [node("n1", cpu="2")]
    served.pods = [running(slot, number) for slot in ("blue", "green") for number in range(4)]
    served.there.pods = [pod for pod in served.pods if pod["metadata"]["labels"]["slot"] == "green"]


def full_of_ended_pods(served: Served) -> None:
    served.nodes = [node("n1", cpu="1")]
    served.pods = [running("blue", number, phase="Succeeded") for number in range(4)]


def left_to_the_pipeline(served: Served) -> None:
    del served.there.deployments[GREEN_BACKEND]
    served.templates["alfred-backend"] = pod_template("alfred-backend")


def away(name: str) -> Object:
    return {**node(name), "status": {**node(name)["status"], "conditions": [{"type": "Ready", "status": "Unknown"}]}}


def full_of(served: Served, **pod: Any) -> None:
    """Of pods that make room. ``pod``: fields of the specification, or what its metadata says."""
    full_of_ended_pods(served)
    for one in served.pods:
        one["status"]["phase"] = "Running"
        one["metadata"] |= pod.get("metadata", {})
        one["spec"] |= pod.get("spec", {})


def seen_a_moment_later(served: Served) -> None:
    """An autoscaler has written a size, and its controller sees that while we look."""
    found = served.there.deployments[BLUE_BACKEND]
    found["status"]["observedGeneration"] = 2
    later = json.loads(json.dumps(found))
    later["status"]["observedGeneration"] = 3
    served.instead = {f"GET deployments/{BLUE_BACKEND}": [reply(later)]}


GOOD: dict[str, Callable[[Served], object]] = {
    "a quota with just enough room": lambda s: s.quotas.append(quota(pods="8", requests_cpu="2", limits_cpu="1")),
    "a slot that is staged over frees its own room": lambda s: full_of_both_slots(s),
    "pods that have ended take no room": lambda s: full_of_ended_pods(s),
    "pods that are about to end take no room": lambda s: full_of(
        s, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}
    ),
    "placeholders take no room": lambda s: full_of(s, spec={"priority": -10}),
    "a size that was written just now is no rollout": seen_a_moment_later,
    "an autoscaler that is content": lambda s: s.there.scalers.append(scaler(GREEN_BACKEND, least=2)),
    "somebody changed the Deployment once": lambda s: s.instead.update(
        {f"PATCH {GREEN_BACKEND}": [refuse(422, "Invalid", "test failed")]}
    ),
    "the active slot grows": lambda s: s.there.deployments[BLUE_BACKEND]["status"].update(
        {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 1}
    ),
    "a Deployment that the pipeline makes": lambda s: left_to_the_pipeline(s),
    "a preStop of another kind": lambda s: s.there.container(GREEN_BACKEND).update(
        lifecycle={"preStop": {"exec": {"command": ["sleep", "5"]}}}
    ),
    "a version with a plus": lambda s: s.version.update(minor="30+"),
    "a version with a word": lambda s: s.version.update(minor="31-vendor.4"),
    "a version that is no number": lambda s: s.version.update(minor="main"),
    "a version that is left out": lambda s: s.version.update(minor=None),
    "a server that does not tell its version": lambda s: s.instead.update({"GET /version": [refuse(403, "Forbidden")]}),
}


@pytest.mark.parametrize("change", GOOD.values(), ids=GOOD.keys())
def test_nothing_wrong(change: Callable[[Served], object]) -> None:
    served = Served()
    change(served)
    assert served.findings() == ()


# --- what ends it at once -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Error:
    """What is wrong with the platform, and the error that it is."""

    wrong: Callable[[Served], object]
    kind: type[BluegreenError] = PlatformError
    says: str
    mend: str


def left(served: Served, *, plural: str, verb: str, name: str = "") -> None:
    served.reviewer.rules = without(served.reviewer.rules, plural=plural, verb=verb, name=name)


def empty() -> Namespace:
    there = Namespace()
    there.services.clear()
    there.deployments.clear()
    return there


def only_looks(served: Served) -> None:
    served.reviewer.rules = rules([one for one in RIGHTS if one.reading], stack=alfred(), namespace="alfred")


def nothing_new(served: Served) -> None:
    left(served, plural="configmaps", verb="create")
    left(served, plural="leases", verb="create")


ERRORS = {
    "cluster too old": Error(
        wrong=lambda s: s.version.update(minor="29"),
        says=r"the cluster is Kubernetes 1\.29; 1\.30 is the oldest",
        mend="--context",
    ),
    "one right missing": Error(
        wrong=lambda s: left(s, plural="services", verb="patch", name="alfred-gateway"),
        says=r"ann lacks a right in namespace alfred: patch services alfred-gateway \(to switch users",
        mend="kubectl auth can-i patch services/alfred-gateway -n alfred",
    ),
    "several rights missing": Error(
        wrong=lambda s: nothing_new(s),
        says=r"ann lacks 2 rights in namespace alfred: create leases.* \(to take the lock .*\); create configmaps \(to",
        mend="kubectl auth can-i create leases.coordination.k8s.io -n alfred",
    ),
    "an account that only looks": Error(
        wrong=lambda s: only_looks(s),
        says="lacks 15 rights in namespace alfred: get, list poddisruptionbudgets.policy; list replicasets.apps; "
        "patch services alfred-backend, alfred-gateway; patch deployments.apps alfred-backend-blue, .*-green; patch",
        mend="give them to the account, then check: kubectl auth can-i get poddisruptionbudgets.policy -n alfred",
    ),
    "namespace missing": Error(
        wrong=lambda s: s.instead.update({"GET /namespaces/alfred": [refuse(404, "NotFound")]}),
        kind=NotStarted,
        says="the cluster has no namespace alfred",
        mend="--namespace",
    ),
    "namespace going": Error(
        wrong=lambda s: setattr(s, "phase", "Terminating"),
        kind=NotStarted,
        says="the namespace alfred is being deleted",
        mend="kubectl get namespace alfred",
    ),
    "chart not installed": Error(
        wrong=lambda s: setattr(s, "there", empty()),
        kind=NotStarted,
        says="the stack alfred is not whole in namespace alfred: there is no Service alfred-backend, alfred-gateway$",
        mend="helm upgrade --install alfred tools/helm/alfred -n alfred --create-namespace "
        "--set backend.image=alfredai/backend:TAG --set gateway.image=alfredai/gateway:TAG",
    ),
    "one Service missing": Error(
        wrong=lambda s: s.there.services.pop("alfred-gateway-green"),
        kind=NotStarted,
        says="there is no Service alfred-gateway-green$",
        mend="helm upgrade --install",
    ),
    "a Service that selects another app": Error(
        wrong=lambda s: s.there.services["alfred-backend"]["spec"]["selector"].update(app="alfred"),
        kind=NotStarted,
        says="selects app=alfred and slot=blue",
        mend="kubectl patch svc alfred-backend",
    ),
    "the right is taken away between the review and the dry run": Error(
        wrong=lambda s: s.instead.update(
            {f"PATCH {GREEN_BACKEND}": [refuse(403, "Forbidden", 'user "x" cannot patch resource "deployments"')]}
        ),
        says="the account may not patch deployments.apps in namespace alfred",
        mend="kubectl auth can-i patch deployments.apps/alfred-backend-green -n alfred",
    ),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS.keys())
def test_a_platform_that_is_not_fit(case: Error) -> None:
    served = Served()
    case.wrong(served)
    with pytest.raises(case.kind, match=case.says) as caught:
        served.findings()
    assert case.mend in caught.value.mend
    assert caught.value.exit_code is ExitCode.UNREACHABLE
    assert CANARY not in f"{caught.value}{caught.value.mend}"


# --- what can be done without -------------------------------------------------------------------------------------

DEGRADED = [
    ("namespaces", "get", "alfred", NOTE, "cannot be told from an empty one"),
    ("pods/proxy", "get", "", WARN, "only readiness is validated"),
    ("services/proxy", "get", "", WARN, "the slots' own addresses are not asked"),
    ("pods/log", "get", "", NOTE, "the log of a container that fails is not shown"),
    ("events", "create", "", NOTE, "kubectl describe does not show the release"),
    ("resourcequotas", "list", "", NOTE, "a quota that leaves no room"),
    ("horizontalpodautoscalers", "list", "", WARN, "an autoscaler of the idle slot is not seen"),
    ("podtemplates", "get", "", NOTE, "cannot be made from the chart's PodTemplate"),
]


@pytest.mark.parametrize(("plural", "verb", "name", "severity", "lost"), DEGRADED, ids=[row[0] for row in DEGRADED])
def test_a_right_that_a_release_can_do_without(
    plural: str, verb: str, name: str, severity: Severity, lost: str
) -> None:
    served = Served()
    left(served, plural=plural, verb=verb, name=name)
    (found,) = served.findings()
    assert found.severity is severity
    assert f"without the right to {verb} {plural}" in found.text
    assert lost in found.text
    assert f"kubectl auth can-i {verb} " in found.mend


def test_without_rights_outside_the_namespace_the_room_is_not_known() -> None:
    """Two rights, one loss: said once."""
    served = Served()
    served.reviewer.everywhere = ()
    served.nodes = []
    (found,) = served.findings()
    assert found.severity is NOTE
    assert "without the right to list nodes: whether the nodes have room" in found.text


def test_who_asks_pods_directly_needs_no_proxy() -> None:
    served = Served()
    left(served, plural="pods/proxy", verb="get")
    left(served, plural="services/proxy", verb="get")
    assert served.findings(direct=True) == ()


def test_an_account_that_may_not_ask_for_its_rights_goes_on_and_says_so() -> None:
    served = Served()
    no = refuse(403, "Forbidden", 'cannot create resource "x"')
    served.instead = {"POST reviews": [no, no]}
    (found,) = served.findings()
    assert found.severity is NOTE
    assert "whether the account has all rights is not known" in found.text
    assert found.mend.endswith(" --list -n alfred --as=ACCOUNT")


def test_an_account_of_which_nothing_is_known_may_lack_what_is_not_needed() -> None:
    served = Served()
    no = refuse(403, "Forbidden", 'cannot create resource "x"')
    never = {place: [refuse(403, "Forbidden", f'cannot list resource "{kind}"')] for place, kind in UNSEEN.items()}
    served.instead = {"POST reviews": [no, no], **never}
    found = served.findings()
    assert [one.severity for one in found] == [NOTE, NOTE], shown(found)
    assert "may not list nodes" in found[1].text


UNSEEN = {"GET resourcequotas": "resourcequotas", "GET /api/v1/nodes": "nodes"}


def test_a_cluster_too_large_to_be_listed_does_not_hold_a_release_up() -> None:
    served = Served()
    served.instead = {"GET /api/v1/pods": [silence_while(lambda: served.clock.skip(1.0))]}
    (found,) = served.findings()
    assert found.severity is NOTE
    assert "whether the nodes have room for green is not known" in found.text


def test_an_autoscaler_that_may_not_be_patched_refuses_only_when_it_must_be() -> None:
    served = Served()
    left(served, plural="horizontalpodautoscalers", verb="patch")
    served.there.scalers.append(scaler(GREEN_BACKEND, least=2))
    assert {one.severity for one in served.findings()} == {NOTE}
    served.there.deployments[BLUE_BACKEND]["spec"]["replicas"] = 5
    refused = [one.text for one in served.findings() if one.severity is REFUSE]
    assert len(refused) == 1
    assert "the account may not patch it" in refused[0]


def test_a_missing_deployment_and_no_right_to_see_how_to_make_it() -> None:
    served = Served()
    left(served, plural="podtemplates", verb="get")
    served.there.deployments.pop(GREEN_BACKEND)
    served.instead = {"GET podtemplates/alfred-backend": [refuse(403, "Forbidden", 'cannot get resource "x"')]}
    assert "there is no Deployment alfred-backend-green" in served.findings()[0].text


def test_the_ones_that_refuse_come_first_and_nothing_is_tried_then() -> None:
    served = Served()
    served.there.budgets.clear()
    served.there.deployments[GREEN_BACKEND]["spec"]["paused"] = True
    left(served, plural="pods/log", verb="get")
    assert [one.severity for one in served.findings()] == [REFUSE, WARN, WARN, NOTE]
    assert served.written == []


def test_a_deployment_that_the_pipeline_makes_is_made_dry() -> None:
    served = Served()
    left_to_the_pipeline(served)
    assert served.findings() == ()
    made: Any = dict(served.written)["deployments"]
    assert made["metadata"]["name"] == GREEN_BACKEND
    assert made["spec"]["selector"]["matchLabels"] == {"app": "alfred-backend", "slot": "green"}
    assert made["spec"]["template"]["metadata"]["labels"] == {"app": "alfred-backend", "slot": "green"}


def test_the_template_that_will_be_is_judged_and_not_the_one_that_is() -> None:
    """The chart leaves the Deployments to the pipeline, and its template has changed since green was staged."""
    served = Served()
    chart = pod_template("alfred-gateway")
    chart["template"]["spec"]["containers"][0]["env"] = [{"name": "BACKEND_URL", "value": "http://alfred-backend:8000"}]
    served.templates["alfred-gateway"] = chart
    assert [one.severity for one in served.findings()] == [REFUSE]

    chart["template"]["spec"]["containers"][0]["env"][0]["value"] = "http://alfred-backend-__SLOT__:8000"
    served.there.container(GREEN_GATEWAY)["env"] = []
    assert served.findings() == ()


def test_the_other_way_round() -> None:
    """Green serves; blue is to be changed."""
    there = Namespace()
    for name in ("alfred-backend", "alfred-gateway"):
        there.services[name]["spec"]["selector"]["slot"] = "green"
    served = Served(there)
    assert served.findings() == ()
    assert next(name for name, _ in served.written) == names.workload("alfred-backend", BLUE)
    there.deployments[names.workload("alfred-backend", GREEN)]["spec"]["paused"] = True
    assert [one.severity for one in served.findings()] == [WARN]
