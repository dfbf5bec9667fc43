"""The release's story as ``kubectl describe`` shows it."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.talker_kit import CLOCK

from bluegreen.domain import events
from bluegreen.domain.cause import Cause
from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import Options, Plan, SlotSpec, WorkloadSpec
from bluegreen.domain.snapshot import Template
from bluegreen.domain.stack import Probe, Probes, Service, Slot, Stack
from bluegreen.platforms.kubernetes.kubeconfig import load_cluster
from bluegreen.platforms.kubernetes.story import Story

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed.cluster import Cluster as Testbed

pytestmark = pytest.mark.cluster

PROBES = Probes(startup=Probe(path="/"), readiness=Probe(path="/"), liveness=Probe(path="/"))
PATIENT = 60.0
"""Seconds: what is told is asked here, and not how soon."""
STACK = Stack(name="shop", services=(Service(name="web", image="web", port=80, probes=PROBES),))
SPEC = WorkloadSpec(service="web", image=ImageReference.parse("shop/web:v2"), replicas=2, template=Template())
PLAN = Plan(
    release="r-1",
    stack="shop",
    active=Slot.BLUE,
    target=Slot.GREEN,
    changes=(),
    want=SlotSpec(slot=Slot.GREEN, revision="r-1", workloads=(SPEC,)),
    previous=None,
    options=Options(),
)
CAUSE = Cause(service="web", slot=Slot.GREEN, reason="crash loop", exit_code=3)
RUN: Sequence[events.Event] = (
    events.Planned(plan=PLAN, dry_run=False),
    events.PhaseBegan(phase=events.Phase.DEPLOY, what="images into green"),
    events.PhaseDone(phase=events.Phase.VALIDATE, what="web 2/2 ready", took=1.0),
    events.Routed(slot=Slot.GREEN, services=("web",), took=0.2),
    events.Diagnosed(cause=CAUSE, log=(), where=""),
    events.Failing(why="all pods crash", users="users go back to blue"),
    events.CameBack(slot=Slot.BLUE, why="all pods crash", took=0.1),
)


def service() -> dict[str, object]:
    spec = {"selector": {"app": "web", "slot": "blue"}, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}


def deployment(name: str) -> dict[str, object]:
    """Of no pods: nobody else has anything to say of it."""
    labels = {"app": "web", "name": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "shop/web:v1"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def shop(cluster: Testbed) -> Iterator[str]:
    namespace = f"ask-{uuid.uuid4().hex[:6]}"
    cluster.kubectl("create", "namespace", namespace)
    manifest = "\n---\n".join(json.dumps(each) for each in (service(), deployment("web-green")))
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=manifest)
    yield namespace
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def told(cluster: Testbed, namespace: str, what: str) -> list[tuple[str, ...]]:
    """Type, reason, from and message of each Event of ours, as a person reads them."""
    shown = cluster.kubectl("-n", namespace, "describe", what).partition("\nEvents:")[2]
    rows = [re.split(r"\s{2,}", line.strip()) for line in shown.splitlines() if " bluegreen " in line]
    return [(kind, reason, message) for kind, reason, _age, _origin, message in rows]


def test_kubectl_describe_tells_the_story(cluster: Testbed, shop: str) -> None:
    story = Story(load_cluster(cluster.environment()), stack=STACK, namespace=shop, farewell=PATIENT)
    with cluster.within():
        began = CLOCK.now()
        for event in RUN:
            story(event)
        assert story.close() == ""
        whole = CLOCK.now() - began
    print(f"posted after {whole * 1000:.0f} ms")  # a run waits FAREWELL for it, 1 s
    assert sorted(told(cluster, shop, "service/web")) == [
        ("Normal", "Switched", "r-1: users go to green, after 0.20 s"),
        ("Warning", "ReleaseFailed", "r-1: all pods crash; users go back to blue"),
        ("Warning", "RolledBack", "r-1: users are back on blue, after 0.10 s: all pods crash"),
    ]
    assert sorted(told(cluster, shop, "deployment/web-green")) == [
        ("Normal", "Staging", "r-1: shop/web:v2, 2 pods"),
        ("Normal", "Validated", "r-1: web 2/2 ready"),
        ("Warning", "Doomed", "r-1: web in green: crash loop, exit code 3"),
        ("Warning", "ReleaseFailed", "r-1: all pods crash; users go back to blue"),
    ]
