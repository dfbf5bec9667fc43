"""The views: what is read of each object, and that missing and null read the same, as the API means them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.platforms.kubernetes import objects
from bluegreen.platforms.kubernetes.errors import NotKubernetes
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.objects import (
    Condition,
    ContainerSpec,
    ContainerStatus,
    Endpoint,
    ServicePort,
    State,
    Writer,
    value_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Tree = dict[str, object]

PARSERS: dict[str, Callable[[Tree], object]] = {
    "service": objects.service_of,
    "deployment": objects.deployment_of,
    "replica set": objects.replica_set_of,
    "pod": objects.pod_of,
    "slice": objects.slice_of,
    "budget": objects.budget_of,
    "lease": objects.lease_of,
    "config map": objects.config_map_of,
    "event": objects.event_of,
    "scaler": objects.scaler_of,
}
NULLS: Tree = dict.fromkeys(["metadata", "spec", "status", "data", "endpoints", "involvedObject", "series"])
INNER_NULLS: Tree = {
    "metadata": dict.fromkeys(["labels", "annotations", "ownerReferences", "managedFields", "generation"]),
    "spec": dict.fromkeys(["replicas", "selector", "ports", "template", "paused", "minAvailable", "scaleTargetRef"]),
    "status": dict.fromkeys(["conditions", "containerStatuses", "initContainerStatuses", "readyReplicas"]),
}


@pytest.mark.parametrize("parser", list(PARSERS.values()), ids=list(PARSERS))
def test_missing_and_null_read_the_same(parser: Callable[[Tree], object]) -> None:
    assert parser({}) == parser(NULLS) == parser(INNER_NULLS)


@pytest.mark.parametrize("parser", list(PARSERS.values()), ids=list(PARSERS))
@pytest.mark.parametrize("wrong", [{"metadata": []}, {"metadata": {"labels": {"a": 1}}}, {"metadata": {"uid": 1}}])
def test_another_type_is_told_by_its_place(parser: Callable[[Tree], object], wrong: Tree) -> None:
    with pytest.raises(NotKubernetes, match=r"something else than .* at \.metadata"):
        parser(wrong)


def test_meta() -> None:
    meta = objects.meta_of(
        {
            "metadata": {
                "name": "a",
                "uid": "u",
                "resourceVersion": "7",
                "generation": 3,
                "labels": {"b": "2", "a": "1"},
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "deletionTimestamp": "2026-01-02T00:00:00Z",
                "ownerReferences": [{"uid": "x"}, {"uid": "o", "controller": True}],
                "managedFields": [{"manager": "kubectl", "operation": "Update", "time": "2026-01-01T00:00:01Z"}],
            }
        }
    )
    assert (meta.name, meta.uid, meta.version, meta.generation, meta.owner) == ("a", "u", "7", 3, "o")
    assert meta.labels == (("a", "1"), ("b", "2"))
    assert value_of(meta.labels, "b") == "2"
    assert value_of(meta.labels, "c") == ""
    assert meta.created == 1767225600.0
    assert meta.deleting
    assert meta.writers == (Writer(manager="kubectl", operation="Update", at=1767225601.0),)


def test_service() -> None:
    service = objects.service_of(
        {"spec": {"clusterIP": "10.0.0.1", "selector": {"slot": "blue"}, "ports": [{"port": 80, "targetPort": "http"}]}}
    )
    assert service.kind == "ClusterIP"
    assert service.selector == (("slot", "blue"),)
    assert service.ports == (ServicePort(name="", port=80, target="http"),)


def test_deployment() -> None:
    template = {
        "metadata": {"labels": {"app": "a"}, "annotations": {"release": "r"}},
        "spec": {"containers": [{"name": "main", "image": "a:1"}]},
    }
    deployment = objects.deployment_of(
        {
            "spec": {"template": template, "selector": {"matchLabels": {"app": "a"}}, "paused": True},
            "status": {
                "observedGeneration": 4,
                "updatedReplicas": 1,
                "readyReplicas": 2,
                "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}],
            },
        }
    )
    assert deployment.replicas == 1, "what the API means when it is left out"
    assert deployment.paused
    assert deployment.containers == (ContainerSpec(name="main", image="a:1"),)
    assert (deployment.template_labels, deployment.template_annotations) == ((("app", "a"),), (("release", "r"),))
    assert deployment.template == template
    assert (deployment.observed, deployment.updated, deployment.ready, deployment.available) == (4, 1, 2, 0)
    assert deployment.conditions == (
        Condition(kind="Progressing", status="False", reason="ProgressDeadlineExceeded", message=""),
    )
    assert hash(deployment) == hash(deployment)


def test_pod() -> None:
    crash = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    ended = {"terminated": {"exitCode": 3, "reason": "Error", "finishedAt": "2026-01-01T00:00:00Z"}}
    pod = objects.pod_of(
        {
            "status": {
                "phase": "Running",
                "podIP": "10.1.1.1",
                "initContainerStatuses": [{"name": "init", "state": None}],
                "containerStatuses": [{"name": "main", "restartCount": 2, "state": crash, "lastState": ended}],
                "conditions": [{"type": "Ready", "status": "False"}],
            }
        }
    )
    assert [status.name for status in pod.containers] == ["init", "main"]
    assert pod.containers[1] == ContainerStatus(
        name="main",
        image="",
        image_id="",
        state=State(kind="waiting", reason="CrashLoopBackOff", message="back-off"),
        last=State(kind="terminated", reason="Error", exit_code=3, finished=1767225600.0),
        restarts=2,
        started=False,
        ready=False,
    )
    assert pod.containers[0].state == State(kind="")
    assert pod.condition("Ready") == Condition(kind="Ready", status="False", reason="", message="")
    assert pod.condition("PodScheduled") is None


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (None, (True, True, False)),
        ({}, (True, True, False)),
        ({"ready": None}, (True, True, False)),
        ({"ready": False}, (False, False, False)),
        ({"ready": False, "serving": True, "terminating": True}, (False, True, True)),
    ],
)
def test_an_endpoint_that_does_not_say(conditions: object, expected: tuple[bool, bool, bool]) -> None:
    found = objects.slice_of(
        {
            "metadata": {"labels": {"kubernetes.io/service-name": "alfred-backend"}},
            "endpoints": [
                {
                    "addresses": ["10.1.1.1"],
                    "conditions": conditions,
                    "targetRef": {"kind": "Pod", "name": "p", "uid": "u"},
                }
            ],
        }
    )
    assert found.service == "alfred-backend"
    ready, serving, terminating = expected
    assert found.endpoints == (
        Endpoint(
            addresses=("10.1.1.1",), ready=ready, serving=serving, terminating=terminating, pod="p", uid="u", node=""
        ),
    )  # fmt: skip


@pytest.mark.parametrize(("written", "read"), [(1, "1"), ("50%", "50%"), (None, "")])
def test_a_budget_may_be_a_number_or_a_share(written: object, read: str) -> None:
    found = objects.budget_of({"spec": {"minAvailable": written}, "status": {"disruptionsAllowed": 1}})
    assert (found.minimum, found.allowed) == (read, 1)


def test_lease_config_map_and_scaler() -> None:
    lease = objects.lease_of({"spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-.."}})
    assert (lease.holder, lease.duration, lease.renewed, lease.transitions) == ("a", 15, "2026-..", 0)
    data = objects.config_map_of({"data": {"entry": "canary"}})
    assert data.data == {"entry": "canary"}
    assert "canary" not in repr(data)
    scaler = objects.scaler_of({"spec": {"scaleTargetRef": {"kind": "Deployment", "name": "a"}, "maxReplicas": 5}})
    assert (scaler.target_kind, scaler.target, scaler.least, scaler.most) == ("Deployment", "a", 1, 5)


@pytest.mark.parametrize(
    ("fields", "last", "count"),
    [
        ({"lastTimestamp": "2026-01-01T00:00:00Z", "count": 4}, 1767225600.0, 4),
        ({"series": {"lastObservedTime": "2026-01-01T00:00:00.5Z", "count": 3}}, 1767225600.5, 3),
        ({"eventTime": "2026-01-01T00:00:00Z", "lastTimestamp": None, "series": None}, 1767225600.0, 1),
        ({"lastTimestamp": "soon"}, 0.0, 1),
    ],
)
def test_events_count_in_two_ways(fields: Tree, last: float, count: int) -> None:
    found = objects.event_of({"type": "Warning", "reason": "Failed", "involvedObject": {"name": "p"}, **fields})
    assert (found.kind, found.reason, found.about, found.last, found.count) == ("Warning", "Failed", "p", last, count)


def test_numbers_are_numbers_and_flags_are_flags() -> None:
    for wrong in (True, "1", 1.5):
        with pytest.raises(NotKubernetes, match="a number"):
            Node(wrong).number()
    with pytest.raises(NotKubernetes, match="true or false"):
        Node(1).flag()
    assert not Node(None)
    assert Node(0)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 12, 31)))  # noqa: DTZ001 - told as UTC
def test_a_moment_is_that_of_the_standard_library(when: datetime) -> None:
    text = when.isoformat() + "Z"
    assert objects.moment(text) == pytest.approx(datetime.fromisoformat(text).timestamp(), abs=1e-5)


@pytest.mark.parametrize("text", ["", "today", "2025-13-01T00:00:00Z", "2025-01-01", "2025-01-01T25:00:00Z"])
def test_what_is_no_moment_is_none(text: str) -> None:
    assert objects.moment(text) == 0.0
