"""The three states of a disruption budget, and that each change leads from any of them to the next."""

from __future__ import annotations

from typing import Any

import pytest

from bluegreen.domain.stack import Slot
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.budgets import change_of
from bluegreen.platforms.kubernetes.objects import budget_of

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
