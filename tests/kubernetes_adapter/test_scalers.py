"""Autoscalers are told their least size with the rights that the list has, ``list`` and ``patch``, and no others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.kubernetes_transport.kit import RecordingClock, serving
from tests.kubernetes_transport.server import refuse, reply

from bluegreen.domain.stack import Instant
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.rights import RIGHTS
from bluegreen.platforms.kubernetes.scalers import Scalers
from bluegreen.testing import example_stack

if TYPE_CHECKING:
    from tests.kubernetes_transport.server import ScriptedServer

    from bluegreen.platforms.kubernetes.transport import Api

ALL = "/apis/autoscaling/v2/namespaces/n/horizontalpodautoscalers"
LIMIT = Instant(30.0)


def scaler(least: int, *, version: int, mark: str = "") -> dict[str, Any]:
    return {
        "metadata": {
            "name": "green",
            "uid": "uid-green",
            "resourceVersion": str(version),
            "annotations": {names.LEAST: mark} if mark else {},
        },
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "pair-back-green"},
            "minReplicas": least,
            "maxReplicas": 9,
        },
    }


def listed(*items: dict[str, Any]) -> Any:
    return reply({"metadata": {"resourceVersion": "9"}, "items": list(items)})


def scalers(api: Api) -> Scalers:
    return Scalers(api, stack=example_stack(), namespace="n")


def asked(server: ScriptedServer) -> list[tuple[str, Any]]:
    """The verb that the account needs for each request, and what was written."""
    verbs = {"GET": "get", "PATCH": "patch"}
    return [
        ("list" if heard.path == ALL else verbs[heard.method], json.loads(heard.body)["spec"] if heard.body else None)
        for heard in server.heard
    ]


def test_no_right_is_used_that_the_list_has_not(clock: RecordingClock) -> None:
    raised = scaler(3, version=2, mark="1")
    script = (listed(scaler(1, version=1)), reply(raised), listed(raised), reply(scaler(1, version=3)))
    with serving(clock, *script) as (server, api):
        scalers(api).hold("pair-back-green", 3, until=LIMIT)
        scalers(api).let_go(until=LIMIT)
    assert asked(server) == [
        ("list", None),
        ("patch", {"minReplicas": 3}),
        ("list", None),
        ("patch", {"minReplicas": 1}),
    ]
    may = {verb for right in RIGHTS for verb in right.verbs if right.plural == "horizontalpodautoscalers"}
    assert {verb for verb, _ in asked(server)} <= may


def test_one_that_has_moved_meanwhile_is_judged_again(clock: RecordingClock) -> None:
    script = (
        listed(scaler(1, version=1)),
        refuse(409, "Conflict"),
        listed(scaler(2, version=2)),
        reply(scaler(3, version=3, mark="2")),
    )
    with serving(clock, *script) as (server, api):
        scalers(api).hold("pair-back-green", 3, until=LIMIT)
    assert [verb for verb, _ in asked(server)] == ["list", "patch", "list", "patch"]
    assert json.loads(server.heard[3].body)["metadata"] == {"resourceVersion": "2", "annotations": {names.LEAST: "2"}}


def test_one_that_is_gone_meanwhile_is_nobodys_trouble(clock: RecordingClock) -> None:
    with serving(clock, listed(scaler(1, version=1)), refuse(404, "NotFound"), listed()) as (server, api):
        scalers(api).hold("pair-back-green", 3, until=LIMIT)
    assert [verb for verb, _ in asked(server)] == ["list", "patch", "list"]
