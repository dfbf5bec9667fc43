"""What a stack's objects are called, found by their labels; and what is said where that cannot be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes_adapter.alfred_kit import Namespace, alfred, copied
from tests.kubernetes_adapter.shop_kit import KEY, Shop, budget, deployment, service, shop

from bluegreen.domain.rules import Rule
from bluegreen.domain.stack import Service, Slot, Stack
from bluegreen.platforms.kubernetes.budgets import WHOLE
from bluegreen.platforms.kubernetes.discovery import Objects, discover
from bluegreen.platforms.kubernetes.names import MINIMUM
from bluegreen.platforms.kubernetes.objects import budget_of, deployment_of, service_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluegreen.domain.stack import Marks

BLUE, GREEN = Slot.BLUE, Slot.GREEN


def marks(stack: Stack, name: str) -> Marks:
    found = stack.service(name).marks
    assert found is not None
    return found


def test_a_stack_with_names_and_labels_of_its_own_is_found() -> None:
    found = discover(shop(), Shop().objects)
    assert found.doubts == ()
    store = marks(found.stack, "storefront")
    assert (store.slot_label, store.values) == (KEY, ((BLUE, "left"), (GREEN, "right")))
    assert store.labels == (("app.kubernetes.io/name", "storefront"),)
    assert store.workloads == ((BLUE, "storefront-on-the-left"), (GREEN, "storefront-on-the-right"))
    assert store.previews == ((BLUE, "storefront-left"), (GREEN, "storefront-right"))
    assert store.budget == "storefront-guard"


def test_a_port_by_its_name_is_the_services() -> None:
    assert discover(shop(), Shop().objects).stack.service("storefront").port == 80


def test_a_longer_grace_of_its_pods_is_the_services() -> None:
    """In either slot: a stage ends the one, a retire the other. What the app file gives it besides stays."""
    there = Shop()
    there.deployments["prices-on-the-right"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 300
    found = discover(shop(), there.objects).stack
    assert [found.service(name).grace for name in ("prices", "storefront")] == [300, 60]


def of_chart(there: Namespace) -> Objects:
    return Objects(
        services=tuple(map(service_of, copied(there.services.values()))),
        deployments=tuple(map(deployment_of, copied(there.deployments.values()))),
        budgets=tuple(map(budget_of, copied(there.budgets.values()))),
        namespace="alfred",
    )


def test_a_stack_that_keeps_to_the_convention_needs_no_names() -> None:
    found = discover(alfred(), of_chart(Namespace()))
    assert found.doubts == ()
    assert found.stack == alfred()


def test_a_slots_own_service_that_our_chart_makes_is_missing_when_it_is_not_there() -> None:
    """Where a stack of others has none, it has none; see below."""
    there = Namespace()
    del there.services["alfred-gateway-green"]
    assert discover(alfred(), of_chart(there)).stack == alfred(), "the convention has it"


def test_nothing_at_all_leaves_the_convention() -> None:
    found = discover(alfred(), Objects(services=(), deployments=(), namespace="alfred"))
    assert found.stack == alfred()


def test_one_service_beside_strangers_in_the_same_namespace() -> None:
    there = Shop()
    there.deployments["batch"] = deployment("batch", app="batch", side="left")
    alone = shop(Service(name="shop-prices", users="prices", image="shop/prices", port=80))
    found = discover(alone, there.objects)
    assert found.doubts == ()
    assert marks(found.stack, "shop-prices").users == "prices"
    assert marks(found.stack, "shop-prices").workload(GREEN) == "prices-on-the-right"


def test_what_the_app_file_says_of_the_slots_counts() -> None:
    stack = shop(slot_label=KEY, slot_values=((BLUE, "right"), (GREEN, "left")))
    assert marks(discover(stack, Shop().objects).stack, "prices").workload(BLUE) == "prices-on-the-right"


def test_a_slot_without_a_service_of_its_own_has_none() -> None:
    there = Shop()
    del there.services["prices-right"]
    found = marks(discover(shop(), there.objects).stack, "prices")
    assert (found.preview(BLUE), found.preview(GREEN)) == ("prices-left", "")


def test_a_label_that_is_named_and_has_one_value_is_one_slot_only() -> None:
    there = Shop()
    one_side(there)
    (doubt,) = discover(shop(slot_label=KEY), there.objects).doubts
    assert (doubt.rule, f"one slot only, {KEY}=left" in doubt.text) == (Rule.UNKNOWN_SLOTS, True)


def test_a_label_that_is_named_and_that_nothing_carries_is_a_slip_of_the_pen() -> None:
    (doubt,) = discover(shop(slot_label="shop.example/sied"), Shop().objects).doubts
    assert (doubt.rule, doubt.text) == (
        Rule.UNKNOWN_SLOTS,
        "no pods carry the label shop.example/sied, which the app file names",
    )
    assert KEY in doubt.mend


def test_a_budget_that_says_it_otherwise_is_not_turned() -> None:
    there = Shop()
    there.budgets["prices-guard"]["spec"] |= {"minAvailable": None, "maxUnavailable": 1}
    assert marks(discover(shop(), there.objects).stack, "prices").budget == ""


def each_its_own(there: Shop) -> None:
    """A budget for each slot of ``prices``."""
    there.budgets["right-guard"] = budget("right-guard", app="prices")
    there.budgets["right-guard"]["spec"]["selector"]["matchLabels"][KEY] = "right"


@pytest.mark.parametrize("most", [None, 1])
def test_where_each_slot_has_a_budget_of_its_own_none_is_turned(most: int | None) -> None:
    """Turned, two of them would cover the same pods, which then cannot be evicted at all."""
    there = Shop()
    each_its_own(there)
    if most is not None:  # then that one could not be turned in any case
        there.budgets["right-guard"]["spec"] |= {"minAvailable": None, "maxUnavailable": most}
    assert marks(discover(shop(), there.objects).stack, "prices").budget == ""


def test_a_budget_by_a_label_that_the_service_does_not_select_is_the_services_all_the_same() -> None:
    there = Shop()
    there.budgets["prices-guard"]["spec"]["selector"]["matchLabels"]["pod"] = "yes"
    assert marks(discover(shop(), there.objects).stack, "prices").budget == "prices-guard"


def test_a_budget_that_a_killed_run_has_turned_to_both_slots_is_the_services_still() -> None:
    """It is wider than it was by our own write, so that others' pods may be among those it covers."""
    there = Shop()
    there.deployments["worker"] = deployment("worker", app="prices", side="left")
    there.deployments["worker"]["spec"]["template"]["metadata"]["labels"].pop(KEY)
    assert marks(discover(shop(), there.objects).stack, "prices").budget == "prices-guard"

    guard = there.budgets["prices-guard"]
    guard["metadata"]["annotations"] = {MINIMUM: "1"}
    guard["spec"]["minAvailable"] = WHOLE
    guard["spec"]["selector"]["matchLabels"].pop(KEY)
    assert marks(discover(shop(), there.objects).stack, "prices").budget == "prices-guard"


def test_a_budget_of_all_programs_is_turned_by_none() -> None:
    there = Shop()
    del there.budgets["prices-guard"], there.budgets["storefront-guard"]
    there.budgets["all"] = budget("all", app="x", selector={"matchLabels": {"pod": "yes"}})
    found = discover(shop(), there.objects).stack
    assert [marks(found, name).budget for name in found.names] == ["", ""]


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """What cannot be told, and what is said of it."""

    wrong: Callable[[Shop], object]
    rule: Rule
    says: str
    mend: str


def third_side(there: Shop) -> None:
    there.deployments["x"] = deployment("x", app="prices", side="middle")


def own_values(there: Shop) -> None:
    """As a release of a chart for each service and slot has it."""
    every = [one["spec"]["selector"] for one in there.services.values()]
    every += [one["spec"]["template"]["metadata"]["labels"] for one in there.deployments.values()]
    for labels in every:
        labels[KEY] = f"{labels['app.kubernetes.io/name']}-{labels[KEY]}"


def second_difference(there: Shop) -> None:
    for name, one in there.deployments.items():
        labels = one["spec"]["template"]["metadata"]["labels"]
        labels["zone"] = name[-4:]
        labels[KEY] = "left"
    there.deployments["prices-on-the-right"]["spec"]["template"]["metadata"]["labels"][KEY] = "right"
    for name in ("prices", "storefront"):
        there.services[name]["spec"]["selector"].pop(KEY)
    for one in there.deployments.values():
        one["spec"]["template"]["metadata"]["labels"]["tone"] = one["spec"]["template"]["metadata"]["labels"]["zone"]


def one_side(there: Shop) -> None:
    for name in ("prices-on-the-right", "storefront-on-the-right"):
        del there.deployments[name]


DOUBTS = {
    "three values of the label": Doubt(
        wrong=third_side,
        rule=Rule.UNKNOWN_SLOTS,
        says="has the values left, middle, right",
        mend="kubernetes: {slots: {blue: left, green: middle}}",
    ),
    "slots of each service's own": Doubt(
        wrong=own_values,
        rule=Rule.UNKNOWN_SLOTS,
        says=f"{KEY} has other values for each service (prices-left, prices-right, storefront-left, storefront-right)",
        mend="the same for all services",
    ),
    "two labels that differ": Doubt(
        wrong=second_difference,
        rule=Rule.UNKNOWN_SLOTS,
        says="which label names the slot",
        mend="kubernetes: {slot_label: LABEL}",
    ),
    "one slot only": Doubt(
        wrong=one_side,
        rule=Rule.UNKNOWN_SLOTS,
        says="there is one slot only: no Deployment differs",
        mend="a second one",
    ),
    "two Deployments for one slot": Doubt(
        wrong=lambda s: s.deployments.update(canary=deployment("canary", app="prices", side="right")),
        rule=Rule.UNKNOWN_SLOTS,
        says="Deployments canary and prices-on-the-right",
        mend="kubectl get pods -n shop -l app.kubernetes.io/name=prices",
    ),
    "no port of that name": Doubt(
        wrong=lambda s: s.spec("storefront").update(ports=[{"name": "http", "port": 80}]),
        rule=Rule.UNKNOWN_PORT,
        says="Service storefront has no port called web; it has http (80)",
        mend="storefront: port",
    ),
}


@pytest.mark.parametrize("case", DOUBTS.values(), ids=DOUBTS.keys())
def test_what_cannot_be_told_is_said(case: Doubt) -> None:
    there = Shop()
    case.wrong(there)
    doubts = [each for each in discover(shop(), there.objects).doubts if case.says in each.text]
    assert [each.rule for each in doubts] == [case.rule], discover(shop(), there.objects).doubts
    assert case.mend in doubts[0].mend


def called_by(there: Shop, key: str) -> Shop:
    """The shop, whose programs are told by another label than a recommended one."""
    usual = "app.kubernetes.io/name"
    every = [one["spec"]["selector"] for one in there.services.values()]
    every += [one["spec"]["template"]["metadata"]["labels"] for one in there.deployments.values()]
    for labels in every:
        labels[key] = labels.pop(usual)
    return there


def test_a_label_with_a_services_name_says_which_program_it_is() -> None:
    found = discover(shop(), called_by(Shop(), "program").objects)
    assert found.doubts == ()
    assert marks(found.stack, "prices").slot_label == KEY


@pytest.mark.parametrize("key", ["program", "io.kompose.service"])
def test_another_program_is_no_slot_of_this_one(key: str) -> None:
    """The idle slot is yet to be made; beside it runs a program that differs in its name alone."""
    there = called_by(Shop(), key)
    one_side(there)
    alone = shop(Service(name="shop-prices", users="prices", image="shop/prices", port=80))
    (doubt,) = discover(alone, there.objects).doubts
    assert (doubt.rule, "there is one slot only" in doubt.text) == (Rule.UNKNOWN_SLOTS, True)
    assert "prices-on-the-left" in doubt.mend


def test_slots_own_services_that_are_called_by_the_slot_alone_name_no_program() -> None:
    there = Shop()
    every = [one["spec"]["selector"] for one in there.services.values()]
    every += [one["spec"]["template"]["metadata"]["labels"] for one in there.deployments.values()]
    for labels in every:
        labels[KEY] = {"left": "blue", "right": "green"}[labels[KEY]]
    for slot, side in (("blue", "left"), ("green", "right")):
        there.services[slot] = there.services.pop(f"prices-{side}")
        there.services[slot]["metadata"]["name"] = slot
    found = discover(shop(Service(name="prices", image="shop/prices", port=80)), there.objects)
    assert found.doubts == ()
    assert [marks(found.stack, "prices").preview(slot) for slot in Slot] == ["blue", "green"]


def test_a_program_with_a_colour_within_its_name_is_no_slot() -> None:
    there = called_by(Shop(), "app")
    one_side(there)
    for one in there.deployments.values():
        labels = one["spec"]["template"]["metadata"]["labels"]
        labels["app"] = labels["app"].replace("storefront", "evergreen")
    (doubt,) = discover(shop(Service(name="prices", image="shop/prices", port=80)), there.objects).doubts
    assert "there is one slot only" in doubt.text


def by_release(there: Shop, name: str = "prices-{}") -> Shop:
    """A Helm release for each slot, which nothing but its name tells from the other's."""
    for one in there.services.values():
        selector = one["spec"]["selector"]
        selector["app.kubernetes.io/instance"] = name.format(selector.pop(KEY))
    for one in there.deployments.values():
        labels = one["spec"]["template"]["metadata"]["labels"]
        labels["app.kubernetes.io/instance"] = name.format(labels.pop(KEY))
    return there


def test_slots_that_are_releases_of_a_chart_are_asked_about_with_the_line_that_settles_it() -> None:
    there = by_release(Shop()).objects
    prices = Service(name="prices", image="shop/prices", port=80)
    (doubt,) = discover(shop(prices), there).doubts
    assert "prices-on-the-right has another app.kubernetes.io/instance" in doubt.text
    assert doubt.mend.endswith("kubernetes: {slot_label: app.kubernetes.io/instance}")

    settled = discover(shop(prices, slot_label="app.kubernetes.io/instance"), there)
    assert settled.doubts == ()
    assert marks(settled.stack, "prices").values == ((BLUE, "prices-left"), (GREEN, "prices-right"))


def test_as_are_those_whose_releases_are_called_like_slots() -> None:
    there = by_release(Shop(), "{}-green").objects
    (doubt,) = discover(shop(Service(name="prices", image="shop/prices", port=80)), there).doubts
    assert doubt.mend.endswith("kubernetes: {slot_label: app.kubernetes.io/instance}")


@pytest.mark.parametrize(("left", "right", "blue"), [("primary", "green", "primary"), ("active", "blue", "blue")])
def test_blue_and_green_are_what_they_say_beside_another_word(left: str, right: str, blue: str) -> None:
    there = Shop()
    every = [one["spec"]["selector"] for one in there.services.values()]
    every += [one["spec"]["template"]["metadata"]["labels"] for one in there.deployments.values()]
    for labels in every:
        labels[KEY] = {"left": left, "right": right}[labels[KEY]]
    assert marks(discover(shop(), there.objects).stack, "prices").value(BLUE) == blue


def test_a_selector_of_the_slot_alone_is_refused() -> None:
    """Else the pods of a service would be known by a label that they do not carry."""
    there = Shop()
    for one in there.services.values():
        one["spec"]["selector"].pop("app.kubernetes.io/name")
    doubts = discover(shop(slot_label=KEY), there.objects).doubts
    assert f"Service prices selects {KEY} and nothing else" in doubts[0].text


def test_a_service_without_a_selector_is_known_by_its_deployments() -> None:
    there = Shop()
    there.services["prices"] = service("prices", app="prices", side="left", selector=None)
    for side in ("left", "right"):
        made = there.deployments.pop(f"prices-on-the-{side}")
        made["metadata"]["name"] = f"prices-{side}"
        there.deployments[f"prices-{side}"] = made
    found = marks(discover(shop(), there.objects).stack, "prices")
    assert dict(found.labels)["app.kubernetes.io/name"] == "prices"
    assert found.workload(GREEN) == "prices-right"
