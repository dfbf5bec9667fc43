"""The fold of a journal, and which way is back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.domain_kit import BLUE, GREEN, plan, spec

from bluegreen.domain.judgement import Judgement
from bluegreen.domain.judgement import Outcome as Judged_
from bluegreen.domain.release import (
    Back,
    Began,
    Body,
    Confirmed,
    Ended,
    Entry,
    Judged,
    NoWayBack,
    Outcome,
    Restored,
    Restoring,
    Retiring,
    RollbackBegan,
    RollingBack,
    Run,
    RunKind,
    Staging,
    Switching,
    Validated,
    fold,
    way_back,
)
from bluegreen.domain.routing import Move
from bluegreen.domain.stack import Slot

PLAN = plan("r-1")
BEGAN = Began(plan=PLAN, who="ann")
THERE = (
    Move(service="pair-back", to=GREEN, expect="1", fence="w-1", fallback=BLUE),
    Move(service="pair-front", to=GREEN, expect="1", fence="w-2", fallback=BLUE),
)
BACK = (Move(service="pair-back", to=BLUE, expect="2", fence="w-3"),)
PLAIN = (Move(service="pair-back", to=GREEN, expect="2", fence="w-4"),)
GOOD = Judgement(outcome=Judged_.PASS)
CONFIRMED = Confirmed(slot=GREEN, how="green answers")
BY_HAND = RollbackBegan(to=BLUE, of="r-1", who="bob", reason="looks odd")


def entries(*bodies: Body, run: str = "r-1") -> list[Entry]:
    return [Entry(run=run, at=float(place), body=body) for place, body in enumerate(bodies, start=7)]


def folded(*bodies: Body, run: str = "r-1") -> Run:
    found = fold(entries(*bodies, run=run))
    assert found is not None
    return found


START = Run(id="r-1", kind=RunKind.RELEASE, began_at=7.0, who="ann", plan=PLAN)
SWITCHED = replace(START, staging=True, validated=True, moves=THERE, fences=frozenset({"w-1", "w-2"}))


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        ([BEGAN], START),
        ([BEGAN, Staging(slot=GREEN)], replace(START, staging=True)),
        ([BEGAN, Staging(slot=GREEN), Validated(slot=GREEN)], replace(START, staging=True, validated=True)),
        ([BEGAN, Staging(slot=GREEN), Validated(slot=GREEN), Switching(moves=THERE)], SWITCHED),
        (
            [BEGAN, Switching(moves=THERE), Switching(moves=PLAIN)],
            replace(START, moves=PLAIN, fences=frozenset({"w-1", "w-2", "w-4"})),
        ),
        (
            [BEGAN, Switching(moves=THERE), CONFIRMED, Judged(judgement=GOOD), Ended(outcome=Outcome.RELEASED)],
            replace(
                START,
                moves=THERE,
                fences=frozenset({"w-1", "w-2"}),
                confirmed=CONFIRMED,
                judgement=GOOD,
                ended=Ended(outcome=Outcome.RELEASED),
            ),
        ),
        (
            [BEGAN, Switching(moves=THERE), RollingBack(moves=BACK, why="bad")],
            replace(START, moves=THERE, back=BACK, fences=frozenset({"w-1", "w-2", "w-3"})),
        ),
        (
            [BEGAN, Staging(slot=GREEN), Restoring(spec=spec(revision="r-0", tag="v0"))],
            replace(START, staging=True),
        ),
        (
            [BEGAN, Staging(slot=GREEN), Restoring(spec=spec(revision="r-0", tag="v0")), Restored(slot=GREEN)],
            replace(START, staging=True, restored=True),
        ),
        (
            [BEGAN, Switching(moves=THERE), Retiring(slot=BLUE, moves=PLAIN)],
            replace(START, moves=THERE, retired=True, fences=frozenset({"w-1", "w-2", "w-4"})),
        ),
        (
            [BY_HAND, RollingBack(moves=BACK, why="bad")],
            Run(
                id="r-1",
                kind=RunKind.ROLLBACK,
                began_at=7.0,
                who="bob",
                to=BLUE,
                of="r-1",
                back=BACK,
                fences=frozenset({"w-3"}),
            ),
        ),
        # the first entries were lost: what is known is said, and no plan is made up
        ([Staging(slot=GREEN)], Run(id="r-1", kind=RunKind.RELEASE, began_at=7.0, who="", staging=True)),
    ],
)
def test_fold(bodies: list[Body], expected: Run) -> None:
    found = folded(*bodies)
    assert replace(found, entries=()) == expected
    assert [entry.body for entry in found.entries] == bodies


def test_the_fold_of_nothing_is_nothing() -> None:
    assert fold([]) is None


@pytest.mark.parametrize(
    ("bodies", "is_open", "serving"),
    [
        ([BEGAN], True, None),
        ([BEGAN, Switching(moves=THERE)], True, None),
        ([BEGAN, Ended(outcome=Outcome.FAILED)], False, BLUE),
        ([BEGAN, Ended(outcome=Outcome.TIMED_OUT)], False, BLUE),
        ([BEGAN, Ended(outcome=Outcome.INTERRUPTED)], False, BLUE),
        ([BEGAN, Ended(outcome=Outcome.ABANDONED)], False, BLUE),
        ([BEGAN, Switching(moves=THERE), Ended(outcome=Outcome.RELEASED)], False, GREEN),
        ([BEGAN, Switching(moves=THERE), Ended(outcome=Outcome.NOT_PROVEN)], False, GREEN),
        ([BEGAN, Switching(moves=THERE), Ended(outcome=Outcome.ROLLED_BACK)], False, BLUE),
        ([BEGAN, Switching(moves=THERE), Ended(outcome=Outcome.HELD)], True, None),
        ([BEGAN, Switching(moves=THERE), Ended(outcome=Outcome.YIELDED)], False, None),
        ([BEGAN, Ended(outcome=Outcome.HELD)], False, None),
        ([BEGAN, Switching(moves=THERE), Ended(outcome=Outcome.HELD), Ended(outcome=Outcome.ROLLED_BACK)], False, BLUE),
        ([BY_HAND], True, None),
        ([BY_HAND, Ended(outcome=Outcome.ROLLED_BACK)], False, BLUE),
        ([Staging(slot=GREEN), Ended(outcome=Outcome.ABANDONED)], False, None),
    ],
)
def test_what_is_open_and_where_users_were_left(bodies: list[Body], is_open: object, serving: Slot | None) -> None:
    found = folded(*bodies)
    assert found.open is is_open
    assert found.serving_after is serving


@pytest.mark.parametrize("outcome", Outcome)
def test_two_outcomes_are_in_effect(outcome: Outcome) -> None:
    assert outcome.in_effect is (outcome.value in {"released", "released, not proven"})


# The way back.


def run(
    name: str,
    outcome: Outcome | None = None,
    *,
    active: Slot = BLUE,
    staged: object = True,
    restored: object = False,
    switched: object = False,
) -> Run:
    """A release from ``active`` to the other slot."""
    bodies: list[Body] = [Began(plan=plan(name, active=active), who="ann")]
    bodies += [Staging(slot=active.other)] if staged else []
    bodies += [Switching(moves=THERE)] if switched else []
    bodies += [Restored(slot=active.other)] if restored else []
    bodies += [Ended(outcome=outcome)] if outcome is not None else []
    return folded(*bodies, run=name)


def by_hand(name: str, to: Slot, *, ended: object = True) -> Run:
    end: list[Body] = [Ended(outcome=Outcome.ROLLED_BACK)] if ended else []
    return folded(RollbackBegan(to=to, of="", who="bob"), *end, run=name)


RELEASED = run("r-1", Outcome.RELEASED)
FAILED = run("r-2", Outcome.FAILED, active=GREEN, restored=True)
LEFT = run("r-2", Outcome.FAILED, active=GREEN)
NO_PLAN = folded(Staging(slot=GREEN), run="r-0")
NEVER = NoWayBack("no release has switched this stack yet", settled=True)


@pytest.mark.parametrize(
    ("runs", "serving", "slot", "of"),
    [
        ([RELEASED], GREEN, BLUE, "r-1"),
        ([run("r-1", Outcome.NOT_PROVEN)], GREEN, BLUE, "r-1"),
        ([RELEASED], None, BLUE, "r-1"),  # split: by hand, half-way
        ([run("r-1", Outcome.HELD, switched=True)], None, BLUE, "r-1"),
        ([run("r-1", Outcome.HELD, switched=True)], GREEN, BLUE, "r-1"),
        ([run("r-1", Outcome.YIELDED, switched=True)], GREEN, BLUE, "r-1"),
        ([run("r-1", staged=False)], BLUE, BLUE, "r-1"),  # it runs, or was killed: wherever it is
        ([run("r-1")], BLUE, BLUE, "r-1"),
        ([run("r-1", switched=True)], GREEN, BLUE, "r-1"),
        ([run("r-1", switched=True)], None, BLUE, "r-1"),
        ([run("r-2", active=GREEN), RELEASED], GREEN, GREEN, "r-2"),
        ([FAILED, RELEASED], GREEN, BLUE, "r-1"),
        ([replace(FAILED, id="r-3"), FAILED, RELEASED], GREEN, BLUE, "r-1"),
        ([run("r-2", Outcome.ABANDONED, active=GREEN, staged=False), RELEASED], GREEN, BLUE, "r-1"),
        ([run("r-2", Outcome.TIMED_OUT, active=GREEN, restored=True), RELEASED], GREEN, BLUE, "r-1"),
        ([run("r-2", Outcome.YIELDED, active=GREEN, staged=False), RELEASED], GREEN, BLUE, "r-1"),
        ([run("r-2", Outcome.HELD, active=GREEN), RELEASED], BLUE, GREEN, "r-2"),  # moved there by hand, unproven
        ([run("r-2", Outcome.INTERRUPTED, active=GREEN, restored=True), RELEASED], GREEN, BLUE, "r-1"),
        ([run("r-2", Outcome.RELEASED, active=GREEN), RELEASED], BLUE, GREEN, "r-2"),
        ([NO_PLAN, RELEASED], GREEN, BLUE, "r-1"),
        ([by_hand("b-2", BLUE, ended=False), RELEASED], GREEN, BLUE, "b-2"),
        ([by_hand("b-2", BLUE, ended=False), RELEASED], BLUE, BLUE, "b-2"),
        ([by_hand("b-2", BLUE), RELEASED], None, BLUE, "b-2"),
        ([by_hand("b-2", BLUE), RELEASED], GREEN, BLUE, "b-2"),  # moved forward by hand since
        ([run("r-1", Outcome.ROLLED_BACK, switched=True)], GREEN, BLUE, "r-1"),  # the same after one by itself
        ([run("r-1", Outcome.ROLLED_BACK, switched=True)], None, BLUE, "r-1"),  # one Service of them
    ],
)
def test_the_way_back(runs: list[Run], serving: Slot | None, slot: Slot, of: str) -> None:
    found = way_back(runs, serving=serving)
    assert isinstance(found, Back)
    assert (found.slot, found.of.id) == (slot, of)


@pytest.mark.parametrize(
    ("runs", "serving", "expected"),
    [
        ([], BLUE, NEVER),
        ([NO_PLAN], BLUE, NEVER),
        ([], None, replace(NEVER, settled=False)),  # split, and nobody knows where users were
        ([run("r-1", Outcome.ABANDONED, staged=False)], BLUE, NEVER),
        ([run("r-1", Outcome.FAILED, restored=True)], BLUE, NEVER),
        (
            [RELEASED],
            BLUE,
            NoWayBack("users are back on blue, where they were before r-1", settled=True),
        ),
        (
            [run("r-1", Outcome.HELD, switched=True)],
            BLUE,
            NoWayBack("users are back on blue, where they were before r-1", settled=True),
        ),
        (
            [run("r-2", Outcome.ROLLED_BACK, active=GREEN, switched=True), RELEASED],
            GREEN,
            NoWayBack("r-2 was rolled back already: green serves again", settled=True),
        ),
        ([by_hand("b-2", BLUE), RELEASED], BLUE, NoWayBack("b-2 brought users back to blue already", settled=True)),
        (
            [LEFT, RELEASED],
            GREEN,
            NoWayBack("blue holds what r-2 left there: failed before the switch", settled=False),
        ),
        (
            [run("r-2", Outcome.TIMED_OUT, active=GREEN), RELEASED],
            GREEN,
            NoWayBack("blue holds what r-2 left there: timed out before the switch", settled=False),
        ),
        (
            [run("r-2", Outcome.INTERRUPTED, active=GREEN), RELEASED],
            GREEN,
            NoWayBack("blue holds what r-2 left there: interrupted before the switch", settled=False),
        ),
        (
            [run("r-2", Outcome.ABANDONED, active=GREEN), RELEASED],
            GREEN,
            NoWayBack("blue holds what r-2 left there: abandoned before the switch", settled=False),
        ),
        (  # it never moved anybody: users are where r-1 brought them
            [run("r-2", Outcome.YIELDED, active=GREEN), RELEASED],
            GREEN,
            NoWayBack("blue holds what r-2 left there: yielded to another run", settled=False),
        ),
        (
            [run("r-2", Outcome.HELD, active=GREEN), RELEASED],
            GREEN,
            NoWayBack("blue holds what r-2 left there: held", settled=False),
        ),
    ],
)
def test_no_way_back(runs: list[Run], serving: Slot | None, expected: NoWayBack) -> None:
    assert way_back(runs, serving=serving) == expected


def test_only_as_many_runs_are_read_as_are_needed() -> None:
    """Each is a read from the platform; a rollback waits for every one."""
    read: list[str] = []

    def reading(runs: list[Run]) -> object:
        for each in runs:
            read.append(each.id)
            yield each

    way_back(reading([RELEASED, FAILED]), serving=GREEN)  # type: ignore[arg-type]
    assert read == ["r-1"]
