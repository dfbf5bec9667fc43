"""The stack: order, needs, names."""

from __future__ import annotations

from itertools import permutations

import pytest
from tests.unit.domain_kit import PAIR, service

from bluegreen.domain.errors import UsageError
from bluegreen.domain.stack import Instant, Probe, Service, Slot, Stack, after


def stack(*services: Service) -> Stack:
    return Stack(name="shop", services=services)


@pytest.mark.parametrize(
    ("services", "ends"),
    [
        ([service("a")], "a"),
        ([service("a"), service("b")], "b a"),
        ([service("a"), service("b", "a")], "b a"),
        ([service("a", "b"), service("b")], "a b"),
        ([service("a"), service("b", "a"), service("c", "a", "b")], "c b a"),
        ([service("a", "c"), service("b"), service("c")], "b a c"),
        ([service("db"), service("api", "db"), service("web", "api"), service("job", "db")], "job web api db"),
    ],
)
def test_dependents_end_first_and_ties_keep_the_reverse_of_the_switch_order(services: list[Service], ends: str) -> None:
    assert stack(*services).end_order == tuple(ends.split())


def test_in_any_switch_order_nobody_ends_before_who_needs_him() -> None:
    services = [service("a"), service("b", "a"), service("c", "a"), service("d", "b", "c")]
    for order in permutations(services):
        ends = stack(*order).end_order
        for each in services:
            assert all(ends.index(each.name) < ends.index(need.service) for need in each.needs)


@pytest.mark.parametrize(
    ("services", "why"),
    [
        ([], "stack shop has no services"),
        ([service("a"), service("a")], "names the service 'a' twice"),
        ([service("a", "a")], "service 'a' needs 'a', which is not another service"),
        ([service("a", "x")], "service 'a' needs 'x', which is not another service"),
        ([service("a", "b"), service("b", "a")], "need each other in a circle: a and b"),
        ([service("a"), service("b", "c"), service("c", "d"), service("d", "b", "a")], "circle: b and c and d"),
        ([service("a", "b"), service("b", "c"), service("c", "b")], "circle: b and c"),
    ],
)
def test_what_could_not_be_released_is_refused(services: list[Service], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        stack(*services)
    assert why in str(caught.value)
    assert caught.value.mend


@pytest.mark.parametrize(
    ("name", "short"),
    [("pair-back", "back"), ("pair", "pair"), ("pair-", "pair-"), ("pairs-x", "pairs-x"), ("other", "other")],
)
def test_short_names(name: str, short: str) -> None:
    assert PAIR.short(name) == short


def test_a_stranger_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(UsageError, match="stack pair has no service 'back'") as caught:
        PAIR.service("back")
    assert caught.value.mend == "its services are pair-back, pair-front"
    assert PAIR.service("pair-back").name == "pair-back"


def test_slots_are_each_others_other() -> None:
    assert (Slot.BLUE.other, Slot.GREEN.other) == (Slot.GREEN, Slot.BLUE)
    assert str(Slot.BLUE) == "blue"


def test_a_probe_fails_after_its_window() -> None:
    assert Probe(path="/", period=5.0, failures=3).window == 15.0
    assert after(Instant(2.0), 1.5) == 3.5
