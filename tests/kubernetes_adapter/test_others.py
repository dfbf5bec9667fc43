"""Services beside a stack's own that have its pods: their users are not moved by a release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes_adapter.alfred_kit import Namespace
from tests.kubernetes_adapter.cluster_kit import Served
from tests.kubernetes_adapter.shop_kit import KEY, Shop, service, shop

from bluegreen.domain.rules import Rule
from bluegreen.domain.stack import Slot
from bluegreen.platforms.kubernetes.discovery import discover
from bluegreen.platforms.kubernetes.verdicts import warn
from bluegreen.ports import Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluegreen.ports import Finding

REFUSE, WARN = Severity.REFUSE, Severity.WARN


def beside(there: Shop, name: str, *, side: str, **spec: Any) -> object:
    """One more Service of ``prices``; without a side it has the pods of both."""
    there.services[name] = service(name, app="prices", side=side, **spec)
    if not side:
        there.spec(name)["selector"].pop(KEY)
    return there


@dataclass(frozen=True, kw_only=True)
class Case:
    """One that has users of its own."""

    wrong: Callable[[Shop], object]
    severity: Severity
    says: str


CASES = {
    "a load balancer of the slot that serves": Case(
        wrong=lambda s: beside(s, "prices-lb", side="left", type="LoadBalancer"),
        severity=REFUSE,
        says="Service prices-lb sends to prices in blue as well, and stays there when prices is switched",
    ),
    "a second one within the cluster": Case(
        wrong=lambda s: beside(s, "prices-grpc", side="right"), severity=WARN, says="prices-grpc sends to prices in gre"
    ),
    "one for both slots, from outside": Case(
        wrong=lambda s: beside(s, "prices-np", side="", type="NodePort"), severity=REFUSE, says="in both slots"
    ),
    "one that has the number of a port which users' has by name": Case(
        wrong=lambda s: beside(s, "prices-np", side="left", type="NodePort", ports=[{"port": 80, "targetPort": 8080}]),
        severity=REFUSE,
        says="Service prices-np sends to prices in blue as well",
    ),
    "one for both slots": Case(wrong=lambda s: beside(s, "all", side=""), severity=WARN, says="in both slots"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_another_service_of_users(case: Case) -> None:
    there = Shop()
    case.wrong(there)
    (found,) = discover(shop(), there.objects).doubts
    assert (found.rule, found.severity) == (Rule.OTHER_SERVICE, case.severity)
    assert case.says in found.text
    assert "kubectl get svc" in found.mend


def for_each(there: Shop) -> None:
    for side in ("left", "right"):
        beside(there, f"grpc-{side}", side=side)


METRICS = [{"name": "metrics", "port": 9090, "targetPort": "metrics"}]
FINE: dict[str, Callable[[Shop], object]] = {
    "one for each slot": for_each,
    "another port": lambda s: beside(s, "prices-metrics", side="", ports=METRICS),
    "a port that users' Service has as well, for metrics of both": lambda s: [
        s.spec("prices")["ports"].extend(METRICS),
        beside(s, "prices-metrics", side="", ports=METRICS),
    ],
    "by which pods find each other": lambda s: beside(s, "prices-peers", side="", clusterIP="None"),
    "of others": lambda s: s.services.update(batch=service("batch", app="batch", side="left", type="NodePort")),
    "without a selector": lambda s: s.services.update(x=service("x", app="x", side="left", selector=None)),
}


@pytest.mark.parametrize("fine", FINE.values(), ids=FINE.keys())
def test_what_must_not_trigger(fine: Callable[[Shop], object]) -> None:
    there = Shop()
    fine(there)
    assert discover(shop(), there.objects).doubts == ()


def previews(there: Shop) -> tuple[str, str]:
    found = discover(shop(), there.objects).stack.service("prices").marks
    assert found is not None
    return found.preview(Slot.BLUE), found.preview(Slot.GREEN)


def test_a_load_balancer_is_not_taken_for_a_slots_own_address() -> None:
    there = Shop()
    for side in ("left", "right"):
        del there.services[f"prices-{side}"]
    beside(there, "prices-lb", side="left", type="LoadBalancer")
    assert previews(there) == ("", "")
    assert [each.severity for each in discover(shop(), there.objects).doubts] == [REFUSE]


def test_a_headless_service_is_a_slots_own_where_it_is_called_so() -> None:
    """As clients of gRPC want it, which spread their calls themselves."""
    there = Shop()
    for side in ("left", "right"):
        there.spec(f"prices-{side}")["clusterIP"] = "None"
    assert previews(there) == ("prices-left", "prices-right")
    beside(there, "left-prices", side="left")
    assert previews(there) == ("left-prices", "prices-right")


def test_of_several_the_one_with_users_port_is_the_slots_own() -> None:
    there = Shop()
    for side in ("left", "right"):
        there.services[f"z-{side}"] = there.services.pop(f"prices-{side}")
        there.services[f"z-{side}"]["metadata"]["name"] = f"z-{side}"
        beside(there, f"metrics-{side}", side=side, ports=METRICS)
    assert previews(there) == ("z-left", "z-right")


def test_a_release_tells_what_was_found_with_the_objects_as_well() -> None:
    said: tuple[Finding, ...] = (warn(Rule.OTHER_SERVICE, "a second Service", "one is enough"),)
    assert said[0] in Served(Namespace()).findings(doubts=said)
