"""Domain values to JSON and back: every entry of a journal and every event, whatever is in them."""

from __future__ import annotations

import dataclasses
import json
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.domain_kit import GREEN, PAIR, plan

from bluegreen.domain import events
from bluegreen.domain.codec import from_plain, kind, to_plain
from bluegreen.domain.events import Event, Phase, PhaseBegan
from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import Plan
from bluegreen.domain.release import Body, Ended, Entry, Outcome, Staging
from bluegreen.domain.snapshot import Container, Pod, Waiting
from bluegreen.domain.stack import Slot, Stack

FEW = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
BODIES: tuple[type, ...] = get_args(Body)
EVENTS: tuple[type, ...] = get_args(Event)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)  # JSON has no lone surrogates

st.register_type_strategy(float, FINITE)
st.register_type_strategy(str, TEXT)


def through_json(value: object) -> object:
    return json.loads(json.dumps(to_plain(value), allow_nan=False))


def anything(cls: type) -> st.SearchStrategy[object]:
    """Any value of the class: all of its fields drawn, the ones with a default too."""
    return st.builds(cls, **{field.name: ... for field in dataclasses.fields(cls) if field.init})


@pytest.mark.parametrize("cls", BODIES, ids=kind)
@given(data=st.data())
@FEW
def test_every_entry_of_a_journal_comes_back_the_same(cls: type, data: st.DataObject) -> None:
    entry = Entry(run=data.draw(TEXT), at=data.draw(FINITE), body=data.draw(anything(cls)))  # type: ignore[arg-type]
    assert from_plain(Entry, through_json(entry)) == entry


@pytest.mark.parametrize("cls", EVENTS, ids=kind)
@given(data=st.data())
@FEW
def test_every_event_comes_back_the_same(cls: type, data: st.DataObject) -> None:
    event = data.draw(anything(cls))
    assert from_plain(cls, through_json(event)) == event


def test_every_class_of_the_module_of_events_is_in_the_one_stream() -> None:
    found = {
        cls for cls in vars(events).values() if dataclasses.is_dataclass(cls) and cls.__module__ == events.__name__
    }
    assert found == set(EVENTS)


def test_names_of_kinds_are_snake_case_and_their_own() -> None:
    assert kind(PhaseBegan) == "phase_began"
    for members in (BODIES, EVENTS):
        assert len({kind(cls) for cls in members}) == len(members)


def test_the_plain_form_of_an_event_is_what_the_json_lines_promise() -> None:
    event = PhaseBegan(phase=Phase.SWITCH, what="users to green", limit=10.0)
    assert to_plain(event) == {"kind": "phase_began", "phase": "switch", "what": "users to green", "limit": 10.0}


def test_a_stack_and_a_plan_come_back() -> None:
    assert from_plain(Stack, through_json(PAIR)) == PAIR
    assert from_plain(Plan, through_json(plan())) == plan()


ENTRY = to_plain(Entry(run="r-1", at=1.0, body=Ended(outcome=Outcome.RELEASED, took=2.0)))


def changed(**fields: object) -> dict[str, object]:
    assert isinstance(ENTRY, dict)
    return {**ENTRY, **fields}


def body(**fields: object) -> dict[str, object]:
    found = changed()["body"]
    assert isinstance(found, dict)
    return changed(body={**found, **fields})


def test_fields_of_a_newer_version_are_ignored_and_missing_ones_take_their_default() -> None:
    whole = from_plain(Entry, ENTRY)
    assert from_plain(Entry, changed(colour="mauve")) == whole
    assert from_plain(Entry, body(mood={"deep": [1, None]})) == whole
    assert from_plain(Entry, changed(body={"kind": "ended", "outcome": "released"})) == dataclasses.replace(
        whole, body=Ended(outcome=Outcome.RELEASED)
    )
    assert from_plain(Entry, changed(at=1)) == whole  # JSON writers drop a fraction of nothing


@pytest.mark.parametrize(
    ("plain", "why"),
    [
        (None, "None is not a entry"),
        ([], "is not a entry"),
        ("r-1", "is not a entry"),
        ({}, "entry: "),
        (changed(run=1), "1 is not str"),
        (changed(run=None), "None is not str"),
        (changed(at="now"), "'now' is not float"),
        (changed(at=True), "True is not float"),
        (changed(at=None), "None is not float"),
        (changed(body=None), "None is none of began, rollback_began"),
        (changed(body="ended"), "'ended' is none of began"),
        (changed(body={"kind": "exploded"}), "'exploded' is none of began, rollback_began, staging"),
        (changed(body={"kind": ["ended"]}), "['ended'] is none of began"),
        (changed(body={"kind": "ended"}), "ended: "),
        (body(outcome="splendid"), "'splendid' is not a valid Outcome"),
        (body(outcome=None), "None is not a valid Outcome"),
        (body(outcome=[]), "[] is not a valid Outcome"),
        (body(outcome={"a": 1}), "is not a valid Outcome"),
        (body(why=7), "7 is not str"),
        (body(cause=7), "7 is not a cause"),
        (body(cause={"kind": "effect"}), "'effect' is none of cause"),
        (changed(body={"kind": "switching", "moves": {}}), "{} is not a list"),
        (changed(body={"kind": "switching", "moves": [1]}), "1 is not a move"),
    ],
)
def test_what_does_not_fit_is_one_value_error_in_one_line(plain: object, why: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is asserted below
        from_plain(Entry, plain)
    assert type(caught.value) is ValueError
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_true_is_no_number_and_one_is_no_truth() -> None:
    good = to_plain(Container(name="main", restarts=1))
    assert isinstance(good, dict)
    for wrong in ({"restarts": True}, {"restarts": 1.0}, {"started": 1}):
        with pytest.raises(ValueError, match=r"is not (int|bool)"):
            from_plain(Container, {**good, **wrong})


def test_a_value_that_refuses_itself_is_a_value_error_too() -> None:
    plain = to_plain(PAIR)
    assert isinstance(plain, dict)
    with pytest.raises(ValueError, match="stack: stack pair has no services"):
        from_plain(Stack, {**plain, "services": []})


def test_a_fixed_tuple_needs_its_length() -> None:
    assert from_plain(tuple[str, int], ["a", 1]) == ("a", 1)
    for wrong in (["a"], ["a", 1, 2], [1, "a"], "a1"):
        with pytest.raises(ValueError, match=r"not|argument"):
            from_plain(tuple[str, int], wrong)


def test_sets_are_written_in_order() -> None:
    assert to_plain(frozenset({"b", "a"})) == ["a", "b"]
    assert from_plain(frozenset[str], ["b", "a", "b"]) == frozenset({"a", "b"})


def test_a_member_of_a_union_is_known_by_its_kind() -> None:
    waiting = Container(name="c", state=Waiting(reason="x"))
    pod = Pod(name="p", service="s", slot=GREEN, revision="r", ready=False, containers=(waiting,))
    assert from_plain(Pod, through_json(pod)) == pod


@pytest.mark.parametrize("value", [object(), {"a": 1}, 1 + 2j, b"x", Staging])
def test_what_has_no_plain_form_is_a_mistake_of_ours(value: object) -> None:
    with pytest.raises(TypeError, match="has no plain form"):
        to_plain(value)


def test_enums_are_their_values_and_images_are_whole() -> None:
    assert to_plain((Slot.BLUE, ImageReference.parse("a:v1"))) == [
        "blue",
        {"kind": "image_reference", "registry": "docker.io", "repository": "library/a", "tag": "v1", "digest": ""},
    ]
