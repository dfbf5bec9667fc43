"""The three states of a disruption budget, and that each change leads from any of them to the next."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.kubernetes_transport.kit import RecordingClock, serving
from tests.kubernetes_transport.server import refuse, reply

from bluegreen.domain.stack import Instant, Slot
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.budgets import change_of, cover_with
from bluegreen.platforms.kubernetes.objects import budget_of
from bluegreen.ports import Cover

MARK = "bluegreen.dev/min-available"


def budget(selector: dict[str, str], minimum: int | str, mark: str = "") -> dict[str, Any]:
    return {
        "metadata": {"name": "web-pdb", "resourceVersion": "9", "annotations": {MARK: mark} if mark else {}},
        "spec": {"minAvailable": minimum, "selector": {"matchLabels": selector}},
    }


BLUE = {"app": "web", "slot": "blue"}
GREEN = {"app": "web", "slot": "green"}
STATES = {
    "blue": budget(BLUE, 2),
    "green": budget(GREEN, 2),
    "both": budget({"app": "web"}, "100%", mark="2"),
    "both, a share": budget({"app": "web"}, "100%", mark="50%"),
    "half written": budget(BLUE, "100%", mark="2"),
}


def merged(target: dict[str, Any], patch: Any) -> dict[str, Any]:
    """RFC 7386: what the API server makes of a merge patch."""
    made = dict(target)
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        elif isinstance(value, dict):
            made[name] = merged(made.get(name) or {}, value)
        else:
            made[name] = value
    return made


@pytest.mark.parametrize("slot", [Slot.BLUE, Slot.GREEN, None])
@pytest.mark.parametrize("state", STATES)
def test_every_change_arrives_and_is_made_once(state: str, slot: Slot | None) -> None:
    found = STATES[state]
    change = change_of(budget_of(found), names.convention("web"), slot=slot)
    after = merged(found, change) if change is not None else found
    minimum = found["metadata"]["annotations"].get(MARK) or str(found["spec"]["minAvailable"])
    view = budget_of(after)
    selector = {"app": "web"} if slot is None else {"app": "web", "slot": str(slot)}
    assert dict(view.selector) == selector
    assert view.minimum == ("100%" if slot is None else minimum)
    assert change_of(view, names.convention("web"), slot=slot) is None


def test_a_change_is_only_good_for_the_budget_that_was_judged() -> None:
    change = change_of(budget_of(STATES["blue"]), names.convention("web"), slot=None)
    assert change is not None
    assert change["metadata"]["resourceVersion"] == "9"  # type: ignore[index]


OTHERS = {
    "maxUnavailable": {"maxUnavailable": 1, "selector": {"matchLabels": BLUE}},
    "expressions": {
        "minAvailable": 1,
        "selector": {"matchLabels": BLUE, "matchExpressions": [{"key": "tier", "operator": "Exists"}]},
    },
    "nothing": {},
}


@pytest.mark.parametrize("slot", [Slot.BLUE, Slot.GREEN, None])
@pytest.mark.parametrize("spec", OTHERS.values(), ids=OTHERS.keys())
def test_one_that_cannot_be_turned_without_inventing_is_left_as_it_is(spec: dict[str, Any], slot: Slot | None) -> None:
    """The API server would refuse both kinds of minimum at once, and the release would end there."""
    found = {"metadata": {"name": "web-pdb", "resourceVersion": "9"}, "spec": spec}
    assert change_of(budget_of(found), names.convention("web"), slot=slot) is None


@pytest.mark.parametrize("slot", [Slot.BLUE, None])
def test_one_that_the_chart_leaves_to_the_pipeline_is_known_by_its_mark(slot: Slot | None) -> None:
    """``ownership: pipeline``: the chart writes the least number into the mark, and no spec."""
    found = {"metadata": {"name": "web-pdb", "resourceVersion": "9", "annotations": {MARK: "2"}}, "spec": {}}
    change = change_of(budget_of(found), names.convention("web"), slot=slot)
    view = budget_of(merged(found, change))
    assert (dict(view.selector), view.minimum) == (({"app": "web"}, "100%") if slot is None else (BLUE, "2"))


def test_only_a_budget_by_labels_alone_is_turned_in_one_request(clock: RecordingClock) -> None:
    left = {"metadata": {"name": "web-pdb", "resourceVersion": "9"}, "spec": OTHERS["expressions"]}
    refused = refuse(422, "Invalid", "the server rejected our request due to an error in our request")
    with serving(clock, refused, reply(left)) as (server, api):
        marks = names.convention("web")
        assert cover_with(api, marks, cover=Cover.ACTIVE, active=Slot.GREEN, namespace="n", until=Instant(30.0))
    assert [heard.method for heard in server.heard] == ["PATCH", "GET"]
    test, _ = json.loads(server.heard[0].body)
    assert test == {"op": "test", "path": "/spec/selector", "value": {"matchLabels": BLUE}}
