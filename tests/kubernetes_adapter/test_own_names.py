"""A stack with names, labels and slots of its own, through the parts of the adapter that Alfred's go through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.kubernetes_adapter.shop_kit import KEY, Shop, budget, deployment, shop

from bluegreen.domain.stack import Instant, Slot
from bluegreen.domain.values import replace
from bluegreen.platforms.kubernetes.budgets import change_of
from bluegreen.platforms.kubernetes.discovery import discover
from bluegreen.platforms.kubernetes.looking import kinds_of
from bluegreen.platforms.kubernetes.names import convention, marks_of_all
from bluegreen.platforms.kubernetes.objects import budget_of, slice_of
from bluegreen.platforms.kubernetes.picture import compose
from bluegreen.platforms.kubernetes.rights import RIGHTS, rules
from bluegreen.platforms.kubernetes.templates import template_of

if TYPE_CHECKING:
    from bluegreen.domain.stack import Marks, Stack

BLUE, GREEN = Slot.BLUE, Slot.GREEN


def found() -> Stack:
    return discover(shop(), Shop().objects).stack


def marks(name: str) -> Marks:
    one = found().service(name).marks
    assert one is not None
    return one


def test_users_pods_and_images_are_told_by_the_labels() -> None:
    snapshot = compose(Shop().live(found()), stack=found(), at=Instant(0))
    assert [(route.service, route.slot) for route in snapshot.routes] == [("prices", BLUE), ("storefront", BLUE)]
    for slot, side in ((BLUE, "left"), (GREEN, "right")):
        work = snapshot.workload("prices", slot)
        assert [pod.name for pod in work.pods] == [f"prices-{side}-1", f"prices-{side}-2"]
        assert str(work.image).endswith("shop/prices:v1")
    assert snapshot.stage_of("prices").template.differences(snapshot.workload("prices", BLUE).template) == ()


def test_a_port_is_the_one_that_users_call_among_several() -> None:
    made = {
        "metadata": {"name": "x", "labels": {"kubernetes.io/service-name": "prices-left"}},
        "ports": [{"name": "other", "port": 9}, {"name": "web", "port": 8080}],
    }
    live = replace(Shop().live(found()), slices=(slice_of(made),))
    pods = compose(live, stack=found(), at=Instant(0)).workload("prices", BLUE).pods
    assert {pod.address for pod in pods} == {"10.0.0.1:8080"}


def test_what_is_listed_is_asked_for_by_the_stacks_own_labels() -> None:
    by_name = {kind.name: kind.labels for kind in kinds_of(found())}
    assert by_name["pods"] == "app.kubernetes.io/name in (prices,storefront)"
    assert by_name["deployments"] == "", "they need not carry any labels themselves"
    assert "prices-left" in by_name["slices"]


def test_services_that_share_no_label_are_listed_whole() -> None:
    stack = found()
    odd = replace(marks("prices"), labels=(("other", "x"),))
    services = tuple(replace(one, marks=odd) if one.name == "prices" else one for one in stack.services)
    assert {kind.labels for kind in kinds_of(replace(stack, services=services)) if kind.name == "pods"} == {""}


def test_a_budget_is_turned_by_the_stacks_own_label() -> None:
    view = budget_of(budget("prices-guard", app="prices"))
    change = change_of(view, marks("prices"), slot=GREEN)
    assert change is not None
    assert change["spec"] == {
        "minAvailable": 1,
        "selector": {"matchLabels": {"app.kubernetes.io/name": "prices", KEY: "right"}},
    }
    both = change_of(view, marks("prices"), slot=None)
    assert both is not None
    assert both["spec"] == {
        "minAvailable": "100%",
        "selector": {"matchLabels": {"app.kubernetes.io/name": "prices", KEY: None}},
    }


def test_the_rights_are_about_the_stacks_own_objects() -> None:
    named = {name for rule in rules(RIGHTS, stack=found(), namespace="shop") for name in rule.objects}
    assert {"prices", "prices-on-the-left", "storefront-on-the-right", "storefront-guard"} <= named


def test_two_slots_of_the_same_settings_are_equal_whatever_they_are_called() -> None:
    stack, key = found(), "k"
    both = [
        template_of(
            deployment(f"storefront-on-the-{side}", app="storefront", side=side)["spec"]["template"],
            service=stack.service("storefront"),
            slot=slot,
            stack=marks_of_all(stack),
            key=key,
        )
        for slot, side in ((BLUE, "left"), (GREEN, "right"))
    ]
    assert both[0] == both[1]
    assert dict(both[0].settings)["spec.containers.app.env.PRICES"] == "http://prices-{slot}"


def test_the_convention_is_the_specifications() -> None:
    usual = convention("alfred-backend")
    assert usual.selector(GREEN) == {"app": "alfred-backend", "slot": "green"}
    assert (usual.workload(GREEN), usual.preview(GREEN)) == ("alfred-backend-green", "alfred-backend-green")
    assert usual.budget == "alfred-backend-pdb"
