"""Stacks that are not Alfred: released and rolled back under load, and refused where a switch would lose requests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.stack_kit import AnyStack, counts, push_relay, users

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
    change = {"metadata": {"annotations": wanted.marks or {}}, "spec": wanted.spec or {}}
    stack.kubectl("patch", "service", "talk", "--type=merge", "-p", json.dumps(change))


def one_node_has_none_of_the_idle_slot(stack: AnyStack) -> None:
    """Leave the idle slot on one node only."""
    nodes = sorted({pod["spec"]["nodeName"] for pod in stack.get("pods", "-l", "app=talk,track=green")["items"]})
    assert len(nodes) == 2, "the slot that serves is on both nodes"
    stack.cluster.kubectl("cordon", nodes[0])
    stack.kubectl("delete", "pods", "-l", "app=talk,track=blue", "--grace-period=1", "--wait=true")
    stack.kubectl("rollout", "status", "deployment/talk-blue", "--timeout=60s")


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
