"""Which slot is active, when a switch has arrived, and whose writes the routes carry."""

from __future__ import annotations

import pytest
from tests.unit.domain_kit import BLUE, GREEN, pair, route, snapshot

from bluegreen.domain.routing import Active, Move, Split, active, foreign, routed
from bluegreen.domain.snapshot import Endpoint, Route
from bluegreen.domain.stack import Slot


@pytest.mark.parametrize(
    ("serving", "expected", "words"),
    [
        ((BLUE, BLUE), Active(BLUE), ""),
        ((GREEN, GREEN), Active(GREEN), ""),
        ((BLUE, GREEN), None, "pair-back on blue, pair-front on green"),
        ((None, GREEN), None, "pair-back on no slot, pair-front on green"),
        ((None, None), None, "pair-back on no slot, pair-front on no slot"),
    ],
)
def test_active_is_the_slot_of_the_whole_stack(
    serving: tuple[Slot | None, Slot | None], expected: Active | None, words: str
) -> None:
    found = active(pair(serving=serving).routes)
    if expected is not None:
        assert found == expected
        return
    assert isinstance(found, Split)
    assert str(found) == words


def ends(*pods: tuple[Slot, bool]) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(pod=f"p-{number}", slot=slot, ready=ready) for number, (slot, ready) in enumerate(pods))


@pytest.mark.parametrize(
    ("slot", "endpoints", "arrived"),
    [
        (GREEN, ends((GREEN, True), (GREEN, True)), True),
        (GREEN, ends((GREEN, True), (GREEN, True), (GREEN, False)), True),
        (GREEN, ends((GREEN, True), (GREEN, False)), False),
        (GREEN, ends((GREEN, True), (GREEN, True), (BLUE, True)), False),
        (GREEN, ends((GREEN, True), (GREEN, True), (BLUE, False)), False),
        (GREEN, (), False),
        (BLUE, ends((GREEN, True), (GREEN, True)), False),
        (None, ends((GREEN, True), (GREEN, True)), False),
    ],
)
def test_routed_means_that_the_data_plane_has_followed(
    slot: Slot | None, endpoints: tuple[Endpoint, ...], arrived: object
) -> None:
    found = Route(service="pair-back", slot=slot, version="1", endpoints=endpoints)
    assert routed(snapshot(routes=(found,)), GREEN, at_least=(("pair-back", 2),)) is arrived


def test_routed_needs_every_service() -> None:
    live = snapshot(routes=(route("pair-back", GREEN), route("pair-front", BLUE)))
    sizes = (("pair-back", 2), ("pair-front", 2))
    assert not routed(live, GREEN, at_least=sizes)
    assert routed(live, GREEN, at_least=sizes[:1])


def test_routed_of_a_stranger_is_a_mistake_and_no_success() -> None:
    with pytest.raises(KeyError, match="stranger"):
        routed(snapshot(routes=()), GREEN, at_least=(("stranger", 1),))


@pytest.mark.parametrize(
    ("found", "strange"),
    [
        (route("pair-back", GREEN, fence="w-1"), False),
        (route("pair-back", GREEN, fence="w-1", version="9"), False),
        (route("pair-back", GREEN, fence="w-2"), True),
        (route("pair-back", GREEN), True),
        (route("pair-back", BLUE, fence="w-1"), True),  # a person's patch leaves our annotation in place
        (route("pair-back", None, fence="w-1"), True),
        (route("pair-front", BLUE), False),  # we did not write that one
    ],
)
def test_foreign_routes_carry_another_write_or_another_slot(found: Route, strange: object) -> None:
    ours = Move(service="pair-back", to=GREEN, expect="1", fence="w-1")
    assert foreign([found], [ours]) == ((found,) if strange else ())
