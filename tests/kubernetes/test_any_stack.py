"""Stacks that are not Alfred: released and rolled back under load, and refused where a switch would lose requests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.stack_kit import AnyStack, counts, push_relay, users

from cluster_harness import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.cluster import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.soak]

STACKS = ("market", *(pytest.param(name, marks=pytest.mark.long) for name in ("pages", "forum")))


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_of_its_own_conventions_is_released_and_rolled_back_under_load(
    cluster: Cluster, tmp_path: Path, name: str
) -> None:
    stack = AnyStack(cluster, name, folder=tmp_path)
    try:
        stack.install(f"{stack.namespace}-1")
        push_relay(cluster, tag=f"{stack.namespace}-2")
        before = stack.sides()
        with users(stack) as loads:
            told = stack.release(f"{stack.namespace}-2")
            assert "released" in told
            after = stack.sides()
            stack.must("rollback")
            assert stack.sides() == before
            found = counts(loads)
        assert after == set(stack.stack.sides) - before
        assert found.failed == 0, found.told()
        assert found.requests > 300
        served = {version for version, _ in found.versions()}
        assert {one.partition(" ")[0] for one in served} == {f"{stack.namespace}-1", f"{stack.namespace}-2"}
    finally:
        stack.remove()


@pytest.fixture(scope="module")
def forum(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnyStack]:
    """Two services; each test leaves their Services as they were."""
    stack = AnyStack(cluster, "forum", folder=tmp_path_factory.mktemp("forum"))
    try:
        stack.install(f"{stack.namespace}-1")
        yield stack
    finally:
        stack.remove()


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A change of a real object, the rule that tells it, and whether its own mend heals it."""

    rule: str
    spec: dict[str, Any] | None = None
    """Of the Service ``talk``, by a merge patch."""
    marks: dict[str, str | None] | None = None
    """Its annotations."""
    anew: bool = False
    """The Service is made anew: what is changed cannot be changed in place."""
    elsewhere: bool = False
    """The idle slot's pods say another number for their port."""
    heals: bool = True


REFUSALS = {
    "headless": Refusal(rule="headless-service", spec={"clusterIP": "None"}, anew=True, heals=False),
    "ExternalName": Refusal(
        rule="external-name",
        spec={"type": "ExternalName", "externalName": "talk.example", "selector": None, "clusterIP": None},
        anew=True,
    ),
    "selector-less": Refusal(rule="no-selector", spec={"selector": None}),
    "no slot label": Refusal(rule="no-slot-label", spec={"selector": {"track": None}}),
    "split": Refusal(rule="split-stack", spec={"selector": {"track": "blue"}}, heals=False),
    "publishNotReadyAddresses": Refusal(rule="not-ready-addresses", spec={"publishNotReadyAddresses": True}),
    "Local inside": Refusal(rule="internal-traffic-local", spec={"internalTrafficPolicy": "Local"}),
    "Local outside": Refusal(
        rule="external-traffic-local", spec={"type": "NodePort", "externalTrafficPolicy": "Local"}
    ),
    "IP targets, AWS": Refusal(
        rule="ip-targets", marks={"service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip"}
    ),
    "IP targets, GCP": Refusal(rule="ip-targets", marks={"cloud.google.com/neg": '{"exposed_ports":{"8080":{}}}'}),
    "different ports": Refusal(
        rule="different-ports",
        spec={"ports": [{"name": "web", "port": 8080, "targetPort": "main"}]},
        elsewhere=True,
    ),
    "different numbers": Refusal(
        rule="different-ports",
        spec={"ports": [{"name": "web", "port": 8080, "targetPort": 8080}]},
        elsewhere=True,
    ),
}


@pytest.fixture
def talk(forum: AnyStack) -> Iterator[dict[str, Any]]:
    """The Service that a test breaks; put back afterwards."""
    found = forum.get("service", "talk")
    kept = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "talk"},
        "spec": {key: found["spec"][key] for key in ("selector", "ports")},
    }
    yield kept
    forum.kubectl("delete", "service", "talk", "talk-users", "--ignore-not-found")
    forum.apply(kept)
    forum.cluster.kubectl("uncordon", "-l", "kubernetes.io/os=linux")


def broken(stack: AnyStack, wanted: Refusal, kept: dict[str, Any]) -> None:
    """Let the real object be so."""
    if wanted.anew:
        stack.kubectl("delete", "service", "talk")
        spec = {**kept["spec"], **(wanted.spec or {})}
        stack.apply({**kept, "spec": {key: value for key, value in spec.items() if value is not None}})
        return
    if wanted.elsewhere:
        pointer = "/spec/template/spec/containers/0/ports/0/containerPort"
        ops = [{"op": "replace", "path": pointer, "value": 8081}]
        stack.kubectl("patch", "deployment", "talk-blue", "--type=json", "-p", json.dumps(ops))
        wait_until(lambda: is_seen(stack, "talk-blue"), what="talk-blue to be seen by its controller", limit=60)
    change = {"metadata": {"annotations": wanted.marks or {}}, "spec": wanted.spec or {}}
    stack.kubectl("patch", "service", "talk", "--type=merge", "-p", json.dumps(change))


def is_seen(stack: AnyStack, deployment: str) -> bool:
    """Whether its controller has written what it adds by itself to a new template: the revision."""
    found = stack.get("deployment", deployment)
    return bool(found["status"].get("observedGeneration") == found["metadata"]["generation"])


def one_node_has_none_of_the_idle_slot(stack: AnyStack) -> None:
    """Leave the idle slot on one node only."""
    nodes = sorted({pod["spec"]["nodeName"] for pod in stack.get("pods", "-l", "app=talk,track=green")["items"]})
    assert len(nodes) == 2, "the slot that serves is on both nodes"
    stack.cluster.kubectl("cordon", nodes[0])
    stack.kubectl("delete", "pods", "-l", "app=talk,track=blue", "--grace-period=1", "--wait=true")
    stack.kubectl("rollout", "status", "deployment/talk-blue", "--timeout=110s")


@pytest.mark.parametrize("wanted", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_real_service_that_would_lose_requests_is_refused_before_the_first_write(
    forum: AnyStack, talk: dict[str, Any], wanted: Refusal
) -> None:
    broken(forum, wanted, talk)
    if "Local" in json.dumps(wanted.spec):
        one_node_has_none_of_the_idle_slot(forum)
    before = forum.get("services,deployments,poddisruptionbudgets")
    found = [each for each in forum.doctor(code=9) if each["rule"] == wanted.rule]
    assert len(found) == 1, found
    code = 5 if wanted.rule == "split-stack" else 2
    done = forum.run("deploy", *forum.images(f"{forum.namespace}-1"), "--force")
    told = " ".join((done.out + done.err).split())
    assert done.code == code, told
    if code == 2:
        assert " ".join(found[0]["mend"].split()[-3:]) in told
    assert versions(forum.get("services,deployments,poddisruptionbudgets")) == versions(before), "nothing was written"
    if wanted.heals:
        forum.shell(pasted(found[0]["mend"]))
        assert wanted.rule not in {each["rule"] for each in forum.doctor(code=0)}


def pasted(mend: str) -> str:
    """The command of a mend, which begins after what it says in words."""
    return mend[mend.index("kubectl ") :]


def versions(listing: dict[str, Any]) -> dict[str, Any]:
    """What each object asks for: statuses move by themselves."""
    return {
        f"{each['kind']}/{each['metadata']['name']}": (each["spec"], each["metadata"].get("annotations"))
        for each in listing["items"]
    }


def test_a_second_service_with_users_of_its_own_is_refused(forum: AnyStack) -> None:
    """It would stay on the slot that the release after the next one ends."""
    selector, ports = {"app": "talk", "track": "green"}, [{"port": 80, "targetPort": 8080}]
    spec = {"type": "NodePort", "selector": selector, "ports": ports}
    forum.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "talk-outside"}, "spec": spec})
    try:
        (found,) = [each for each in forum.doctor(code=9) if each["rule"] == "other-service"]
        assert "Service talk-outside sends to talk in green as well" in found["text"]
        done = forum.run("deploy", *forum.images(f"{forum.namespace}-1"), "--force")
        assert done.code == 2, done.out + done.err
    finally:
        forum.kubectl("delete", "service", "talk-outside")
    assert "other-service" not in {each["rule"] for each in forum.doctor(code=0)}


def test_what_keeps_a_repository_is_told_until_a_release_has_written_the_selector(forum: AnyStack) -> None:
    """The API server says who owns it: after a release that nobody took back it is us."""
    kept = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "talk"},
        "spec": {key: forum.get("service", "talk")["spec"][key] for key in ("selector", "ports")},
    }
    words = ("apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "-f", "-")
    forum.kubectl(*words, stdin=json.dumps(kept))
    (found,) = [each for each in forum.doctor(code=0) if each["rule"] == "kept-by-source"]
    assert "written by argocd-controller" in found["text"]
    told = forum.release(f"{forum.namespace}-1", "--force")
    assert "written by argocd-controller" in " ".join(told.split())
    try:
        assert "kept-by-source" not in {each["rule"] for each in forum.doctor(code=0)}
    finally:
        forum.must("rollback")


def test_budgets_of_each_slot_stay_and_let_the_pods_that_serve_be_evicted(forum: AnyStack) -> None:
    """Turned, two of them would cover the same pods, and the API refuses every eviction of those."""
    before = forum.get("pdb", "keep-talk")
    other = {"matchLabels": {"app": "talk", "track": "blue"}}
    forum.apply(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "keep-talk-blue"},
            "spec": {"minAvailable": 1, "selector": other},
        }
    )
    try:
        assert not {"budgets-overlap", "no-budget", "budget-kind"} & {each["rule"] for each in forum.doctor(code=0)}
        forum.release(f"{forum.namespace}-1", "--force")
        assert forum.get("pdb", "keep-talk")["spec"] == before["spec"]
        (side,) = forum.sides()
        pod = forum.get("pods", "-l", f"app=talk,track={side}")["items"][0]["metadata"]["name"]
        meta = {"name": pod, "namespace": forum.namespace}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
        path = f"/api/v1/namespaces/{forum.namespace}/pods/{pod}/eviction?dryRun=All"
        forum.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    finally:
        forum.must("rollback")
        forum.kubectl("delete", "pdb", "keep-talk-blue")


def test_a_slots_own_address_with_several_ports_is_made_as_it_is_told(forum: AnyStack) -> None:
    ports = [{"name": "web", "port": 80, "targetPort": "rpc"}, {"name": "more", "port": 81, "targetPort": 8080}]
    forum.kubectl("patch", "service", "threads", "--type=merge", "-p", json.dumps({"spec": {"ports": ports}}))
    kept = forum.get("service", "threads-on-blue")["spec"]
    forum.kubectl("delete", "service", "threads-on-blue")
    try:
        (found,) = [each for each in forum.doctor(code=9) if each["rule"] == "no-preview"]
        forum.shell(pasted(found["mend"]))
        assert "no-preview" not in {each["rule"] for each in forum.doctor(code=0)}
        made = forum.get("service", "threads-blue")["spec"]
        assert made["selector"] == kept["selector"]
        assert [(each["port"], each["targetPort"]) for each in made["ports"]] == [(80, "rpc"), (81, 8080)]
    finally:
        forum.kubectl("delete", "service", "threads-blue", "--ignore-not-found")
        forum.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "threads-on-blue"},
                "spec": {key: kept[key] for key in ("selector", "ports")},
            }
        )
        forum.kubectl("patch", "service", "threads", "--type=merge", "-p", json.dumps({"spec": {"ports": ports[:1]}}))
