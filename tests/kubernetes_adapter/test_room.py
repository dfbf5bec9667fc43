"""Amounts, what a pod takes, whom a node takes, and whether a slot fits: by table, and against trying every placing."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.kubernetes_adapter.cluster_kit import node

from bluegreen.platforms.kubernetes.errors import NotKubernetes
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.quantity import asked, quantity, shown
from bluegreen.platforms.kubernetes.room import Need, machines_of, no_room, refusal

MEBI = 2**20


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("2", 2),
        ("250m", Fraction(1, 4)),
        ("0.5", Fraction(1, 2)),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("100n", Fraction(1, 10**7)),
        ("7u", Fraction(7, 10**6)),
        ("64Mi", 64 * MEBI),
        ("1.5Gi", 1536 * MEBI),
        ("1Ei", 2**60),
        ("128k", 128_000),
        ("2G", 2 * 10**9),
        ("1e3", 1000),
        ("12E-1", Fraction(6, 5)),
        ("1E", 10**18),
        ("-1", -1),
        ("128974848000m", 128_974_848),
    ],
)
def test_amounts(text: str, amount: Fraction | int) -> None:
    assert quantity(text) == amount


@pytest.mark.parametrize("text", ["", "m", "1 Gi", "1KI", "0x10", "1e", "ten", "1e99999", "--1", "1Mi "])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(NotKubernetes):
        quantity(text)


@pytest.mark.parametrize(
    ("resource", "amount", "text"),
    [
        ("cpu", Fraction(5, 2), "2500m"),
        ("requests.cpu", Fraction(1, 3), "334m"),
        ("limits.memory", Fraction(64 * MEBI + 1), "65Mi"),
        ("pods", Fraction(9), "9"),
        ("requests.nvidia.com/gpu", Fraction(2), "2"),
    ],
)
def test_amounts_for_people(resource: str, amount: Fraction, text: str) -> None:
    assert shown(resource, amount) == text


def container(cpu: str, **more: Any) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": cpu}}, **more}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [container("1"), container("500m")]}, "1500m"),
        ({"containers": [container("1")], "initContainers": [container("2"), container("3")]}, "3"),
        ({"containers": [container("1")], "initContainers": [container("500m")]}, "1"),
        ({"containers": [container("1")], "initContainers": [container("2", restartPolicy="Always")]}, "3"),
        (
            {
                "containers": [container("1")],
                "initContainers": [container("2", restartPolicy="Always"), container("4")],
            },
            "6",
        ),
        (
            {
                "containers": [container("1")],
                "initContainers": [container("4"), container("2", restartPolicy="Always")],
            },
            "4",
        ),
        ({"containers": [{"resources": {"limits": {"cpu": "3"}}}]}, "3"),
        ({"containers": [{"resources": {"limits": {"cpu": "3"}, "requests": {"cpu": "1"}}}]}, "1"),
        ({"containers": [{"resources": {"limits": {"cpu": "3"}, "requests": {"memory": "1Mi"}}}]}, "3"),
        ({"containers": [{}], "resources": {"limits": {"cpu": "4"}}}, "4"),
        ({"containers": [container("1")], "resources": {"limits": {"cpu": "4"}}}, "1"),
        ({"containers": [container("1")], "overhead": {"cpu": "250m"}}, "1250m"),
        ({"containers": [container("1")], "resources": {"requests": {"cpu": "2"}}}, "2"),
    ],
)
def test_what_a_pod_takes(spec: dict[str, Any], cpu: str) -> None:
    """As the Kubernetes documentation counts it, sidecars among it."""
    assert asked(Node(spec))["cpu"] == quantity(cpu)


# --- whom a node takes --------------------------------------------------------------------------------------------


def need(pods: int = 1, cpu: str = "1", *, service: str = "back", **spec: Any) -> Need:
    return Need(service=service, pods=pods, spec=Node({"containers": [container(cpu)], **spec}))


def taint(key: str, value: str = "", effect: str = "NoSchedule") -> dict[str, str]:
    return {"key": key, "value": value, "effect": effect}


def affinity(*terms: list[dict[str, Any]]) -> dict[str, Any]:
    listed = [{"matchExpressions": term} for term in terms]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": listed}}}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


HOST = "kubernetes.io/hostname"
TAINTED = [taint("team", "red")]
TAKES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "anybody": ({}, {}, ""),
    "a taint": ({"taints": TAINTED}, {}, "tainted"),
    "a taint that only prefers": ({"taints": [taint("team", effect="PreferNoSchedule")]}, {}, ""),
    "a taint that is tolerated": (
        {"taints": TAINTED},
        {"tolerations": [{"key": "team", "operator": "Equal", "value": "red"}]},
        "",
    ),
    "Equal is what is not said": ({"taints": TAINTED}, {"tolerations": [{"key": "team", "value": "red"}]}, ""),
    "another value": ({"taints": TAINTED}, {"tolerations": [{"key": "team", "value": "blue"}]}, "tainted"),
    "an operator of a newer Kubernetes, which is not read": (
        {"taints": [taint("level", "950")]},
        {"tolerations": [{"key": "level", "operator": "Gt", "value": "900"}]},
        "",
    ),
    "any value": ({"taints": TAINTED}, {"tolerations": [{"key": "team", "operator": "Exists"}]}, ""),
    "any taint": ({"taints": TAINTED}, {"tolerations": [{"operator": "Exists"}]}, ""),
    "another effect": (
        {"taints": TAINTED},
        {"tolerations": [{"operator": "Exists", "effect": "NoExecute"}]},
        "tainted",
    ),
    "one of two taints": (
        {"taints": [*TAINTED, taint("gpu", effect="NoExecute")]},
        {"tolerations": [{"key": "team", "operator": "Exists"}]},
        "tainted",
    ),
    "a taint that will pass": ({"taints": [taint("node.kubernetes.io/memory-pressure")]}, {}, "not ready"),
    "a taint that will pass beside one that stays": (
        {"taints": [taint("node.kubernetes.io/network-unavailable"), *TAINTED]},
        {},
        "tainted",
    ),
    "a taint that will pass is tolerated": (
        {"taints": [taint("node.kubernetes.io/disk-pressure")]},
        {"tolerations": [{"operator": "Exists"}]},
        "",
    ),
    "cordoned": ({"unschedulable": True}, {}, "cordoned"),
    "the label": ({}, {"nodeSelector": {HOST: "n1"}}, ""),
    "another label": ({}, {"nodeSelector": {HOST: "n2"}}, "not among those that its template selects"),
    "In": ({}, {"affinity": affinity([expression(HOST, "In", "n1", "n2")])}, ""),
    "NotIn": ({}, {"affinity": affinity([expression(HOST, "NotIn", "n1")])}, "not among those"),
    "NotIn of a label that is not there": ({}, {"affinity": affinity([expression("x", "NotIn", "y")])}, ""),
    "Exists": ({}, {"affinity": affinity([expression("x", "Exists")])}, "not among those"),
    "DoesNotExist": ({}, {"affinity": affinity([expression("x", "DoesNotExist")])}, ""),
    "all of a term": (
        {},
        {"affinity": affinity([expression(HOST, "In", "n1"), expression("x", "Exists")])},
        "not among those",
    ),
    "any of the terms": ({}, {"affinity": affinity([expression("x", "Exists")], [expression(HOST, "Exists")])}, ""),
    "what is not read holds": ({}, {"affinity": affinity([expression("cores", "Gt", "64")])}, ""),
}


@pytest.mark.parametrize(("of_node", "of_pod", "why"), TAKES.values(), ids=TAKES.keys())
def test_whom_a_node_takes(of_node: dict[str, Any], of_pod: dict[str, Any], why: str) -> None:
    (machine,) = machines_of([node("n1", **of_node)], [], gone=())
    found = refusal(machine, need(**of_pod))
    assert found.startswith(why)
    assert bool(found) == bool(why)


# --- whether it fits ----------------------------------------------------------------------------------------------


def test_every_resource_counts() -> None:
    machines = machines_of([node("n1", cpu="4", memory="1Gi", pods="3")], [], gone=())
    assert no_room([need(3)], machines) is None
    few = no_room([need(4, "100m")], machines)
    assert few is not None
    assert (few.certain, few.why) == (True, "the nodes have room for 3 of 4 pods of back")
    large = Need(service="back", pods=1, spec=Node({"containers": [{"resources": {"requests": {"memory": "2Gi"}}}]}))
    assert no_room([large], machines) is not None
    strange = Need(service="back", pods=1, spec=Node({"containers": [{"resources": {"requests": {"gpu": "1"}}}]}))
    assert no_room([strange], machines) is not None


def test_a_node_that_is_over_full_takes_nobody() -> None:
    """More is asked of it than it has: pods that were placed before it shrank."""
    pod = {"metadata": {"uid": "a"}, "spec": {"nodeName": "n1", "containers": [container("5")]}}
    found = no_room([need()], machines_of([node("n1", cpu="4")], [pod], gone=()))
    assert found is not None
    assert found.why == "the nodes have room for 0 of 1 pod of back"
    assert no_room([need()], machines_of([node("n1", cpu="4")], [pod], gone=["a"])) is None


def test_no_nodes_and_no_pods() -> None:
    none = no_room([need()], ())
    assert none is not None
    assert none.why == "no node takes a pod of back: there is none"
    assert no_room([need(0)], ()) is None
    assert no_room([], machines_of([node("n1")], [], gone=())) is None


def test_a_node_that_is_being_set_up_may_take_pods_soon() -> None:
    """The cloud takes the one away; and a pod that asks for memory gets a toleration of the other."""
    for key in ("node.cloudprovider.kubernetes.io/uninitialized", "node.kubernetes.io/memory-pressure"):
        found = no_room([need()], machines_of([node("n1", taints=[taint(key)])], [], gone=()))
        assert found is not None
        assert not found.certain


def test_a_pod_with_a_priority_may_drive_out_others() -> None:
    found = no_room([need(priorityClassName="high", cpu="9")], machines_of([node("n1")], [], gone=()))
    assert found is not None
    assert found.certain is False


SMALL = st.integers(min_value=1, max_value=4)


@given(nodes=st.lists(st.integers(0, 6), min_size=1, max_size=3), wanted=st.lists(st.tuples(SMALL, SMALL), max_size=2))
def test_what_is_said_agrees_with_trying_every_placing(nodes: list[int], wanted: list[tuple[int, int]]) -> None:
    """Certain: no placing exists. Nothing said: one does."""
    machines = machines_of([node(f"n{index}", cpu=str(cpu)) for index, cpu in enumerate(nodes)], [], gone=())
    needs = [need(pods, str(cpu), service=f"s{index}") for index, (pods, cpu) in enumerate(wanted)]
    found = no_room(needs, machines)
    fits = fits_somehow(nodes, [cpu for pods, cpu in wanted for _ in range(pods)])
    if found is None:
        assert fits
    elif found.certain:
        assert not fits


def fits_somehow(nodes: list[int], pods: list[int]) -> bool:
    return any(
        all(
            sum(cpu for cpu, at in zip(pods, places, strict=True) if at == index) <= room
            for index, room in enumerate(nodes)
        )
        for places in product(range(len(nodes)), repeat=len(pods))
    )
