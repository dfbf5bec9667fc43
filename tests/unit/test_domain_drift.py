"""Users elsewhere than the newest run left them: told when it is certain, and only then."""

from __future__ import annotations

import pytest
from tests.unit.domain_kit import BLUE, GREEN, plan, route

from bluegreen.domain.drift import drift
from bluegreen.domain.release import Began, Body, Ended, Entry, Outcome, RollbackBegan, Run, fold
from bluegreen.domain.stack import Slot
from bluegreen.domain.values import replace


def folded(name: str, *bodies: Body) -> Run:
    found = fold(Entry(run=name, at=1.0, body=body) for body in bodies)
    assert found is not None
    return found


def release(name: str, outcome: Outcome | None, *, active: Slot = BLUE) -> Run:
    ends = [Ended(outcome=outcome)] if outcome is not None else []
    return folded(name, Began(plan=plan(name, active=active), who="ann"), *ends)


def back(name: str, to: Slot, outcome: Outcome | None = Outcome.ROLLED_BACK) -> Run:
    ends = [Ended(outcome=outcome)] if outcome is not None else []
    return folded(name, RollbackBegan(to=to, of="r-1", who="bob"), *ends)


RELEASED = release("r-1", Outcome.RELEASED)


@pytest.mark.parametrize(
    ("runs", "serving", "left_by"),
    [
        ([], BLUE, ""),
        ([RELEASED], GREEN, ""),
        ([RELEASED], BLUE, "r-1"),
        ([release("r-1", Outcome.NOT_PROVEN)], BLUE, "r-1"),
        ([release("r-1", Outcome.ROLLED_BACK)], BLUE, ""),
        ([release("r-1", Outcome.ROLLED_BACK)], GREEN, "r-1"),
        ([release("r-2", Outcome.FAILED, active=GREEN), RELEASED], GREEN, ""),
        ([release("r-2", Outcome.FAILED, active=GREEN), RELEASED], BLUE, "r-2"),
        ([release("r-2", Outcome.FAILED, active=BLUE), RELEASED], BLUE, ""),  # it was seen, and told, by r-2
        ([release("r-1", None)], GREEN, ""),  # it works, or was killed: its own end says where users are
        ([release("r-1", Outcome.HELD)], BLUE, ""),
        ([release("r-1", Outcome.YIELDED)], GREEN, ""),
        ([back("b-2", BLUE), RELEASED], BLUE, ""),
        ([back("b-2", BLUE), RELEASED], GREEN, "b-2"),
        ([back("b-2", BLUE, None), RELEASED], GREEN, ""),
        ([back("b-2", BLUE, Outcome.FAILED), RELEASED], GREEN, ""),  # a cold start that failed moved nobody
        ([back("b-2", BLUE, Outcome.FAILED), RELEASED], BLUE, "r-1"),
    ],
)
def test_whether_somebody_has_moved_users(runs: list[Run], serving: Slot, left_by: str) -> None:
    found = drift(runs, [route("pair-back", serving), route("pair-front", serving)])
    assert (found.run if found is not None else "") == left_by
    assert found is None or (found.left, found.now) == (serving.other, serving)


@pytest.mark.parametrize("other", [GREEN, None])
def test_a_split_stack_is_told_by_itself(other: Slot | None) -> None:
    assert drift([RELEASED], [route("pair-back", BLUE), route("pair-front", other)]) is None


def test_it_names_who_wrote_the_routes_as_far_as_that_is_known() -> None:
    routes = [route("pair-back", BLUE), route("pair-front", BLUE)]
    plain = "r-1 left users on green, and somebody has moved them to blue since"
    assert str(drift([RELEASED], routes)) == plain
    by = [replace(each, changed_by="kubectl-patch") for each in routes]
    assert str(drift([RELEASED], by)) == f"{plain} (written last by kubectl-patch)"
    by[1] = replace(by[1], changed_by="helm")
    assert str(drift([RELEASED], by)) == f"{plain} (written last by kubectl-patch and helm)"
