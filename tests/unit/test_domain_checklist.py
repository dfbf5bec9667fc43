"""Each item of the checklist, from what the journal of a run can say."""

from __future__ import annotations

from typing import Any

import pytest

from bluegreen.domain.checklist import checklist, fulfilled
from bluegreen.domain.finding import ERROR_SHARE, METRICS, OVERHEAD, Finding, Judgement
from bluegreen.domain.finding import Outcome as Judged_as
from bluegreen.domain.five_minutes import time_of_day
from bluegreen.domain.plan import Options, Plan, SlotSpec
from bluegreen.domain.reading import Timing
from bluegreen.domain.release import (
    Answered,
    Began,
    Body,
    CheckKind,
    CheckMade,
    Confirmed,
    Ended,
    Entry,
    Item,
    Judged,
    Mark,
    Outcome,
    PodMark,
    Retiring,
    Standing,
    State,
    Tallied,
    Validated,
    Verified,
    fold,
)
from bluegreen.domain.stack import Limits, Slot

BLUE, GREEN = Slot.BLUE, Slot.GREEN
HEALTH, ERRORS, LATENCY, TRANSITION, STANDBY = range(5)


def plan() -> Plan:
    want = SlotSpec(slot=GREEN, revision="r-1", workloads=())
    return Plan(
        release="r-1",
        stack="alfred",
        active=BLUE,
        target=GREEN,
        changes=(),
        want=want,
        previous=None,
        options=Options(),
    )


def pod(**more: Any) -> PodMark:
    return PodMark(pod="g1", service="alfred-gateway", slot=GREEN, restarts=0, answers=((200, 5),), **more)


def mark(*pods: PodMark) -> Mark:
    return Mark(read_at=100.0, at=100.5, limits=Limits(), pods=pods or (pod(timing=Timing.OVERHEAD),))


def tallied(*answers: tuple[int, int], gaps: tuple[str, ...] = (), slot: Slot = GREEN) -> Tallied:
    answered = Answered(service="alfred-gateway", slot=slot, answers=answers)
    return Tallied(since=100.0, until=131.0, answered=(answered,), gaps=gaps)


def judgement(rule: str = OVERHEAD, outcome: Judged_as = Judged_as.PASS, *more: Finding) -> Judgement:
    return Judgement(outcome=outcome, findings=(Finding(rule=rule, outcome=outcome, figures="the figures"), *more))


def health(*, asked: int = 4, good: int = 4, unknown: int = 0) -> CheckMade:
    return CheckMade(
        name="health /ready", what=CheckKind.HEALTH, asked=asked, good=good, unknown=unknown, detail="refused"
    )


RELEASED = Ended(outcome=Outcome.RELEASED, standing=(Standing(service="alfred-gateway", ready=2, replicas=2),))


def items(
    *,
    validated: Validated | None = None,
    confirmed: Confirmed | None = None,
    judged: Judged | None = None,
    ended: Ended | None = RELEASED,
    more: tuple[Body, ...] = (),
) -> tuple[Item, ...]:
    bodies: list[Body | None] = [
        Began(plan=plan(), who="ann"),
        validated or Validated(slot=GREEN, checks=(health(),)),
        confirmed or Confirmed(slot=GREEN, how="seen", mark=mark()),
        judged or Judged(judgement=judgement(), tallied=tallied((200, 700))),
        *more,
        ended,
    ]
    run = fold(Entry(run="r-1", at=1.0, body=body) for body in bodies if body is not None)
    assert run is not None
    return checklist(run)


def test_a_good_release_has_five_items_and_one_is_open() -> None:
    found = items()
    assert [item.state for item in found] == [State.MET, State.NOT_YET, State.MET, State.MET, State.MET]
    assert [item.name for item in found] == [
        "health endpoints return 200 on the new slot",
        "error rate < 1 % for 5 minutes after the switch",
        "P95 latency within 150 ms of overhead",
        "no 502/503 during the transition",
        "old slot available for rollback",
    ]
    assert found[ERRORS].figures == "so far 0 of 700 answers of gateway were 5xx in 31 s; judged by bluegreen verify"


GONE = (Standing(service="alfred-gateway", ready=0, replicas=2),)
VERIFIED_GOOD = Verified(judgement=judgement(ERROR_SHARE), tallied=tallied((200, 9000)))
GAP = Finding(rule=METRICS, outcome=Judged_as.INCONCLUSIVE, figures="g1: refused")


@pytest.mark.parametrize(
    ("given", "item", "state", "words"),
    [
        pytest.param(
            {"validated": Validated(slot=GREEN)}, HEALTH, State.UNKNOWABLE, "nobody has asked", id="health: not asked"
        ),
        pytest.param(
            {"validated": Validated(slot=GREEN, checks=(health(good=2, unknown=2),))},
            HEALTH,
            State.UNKNOWABLE,
            "2 of 4 answers of every pod good (200 to 399), on each path that its probes ask; refused",
            id="health: some not known",
        ),
        pytest.param(
            {"confirmed": Confirmed(slot=GREEN, how="seen")},
            ERRORS,
            State.UNKNOWABLE,
            "the counters at the switch were not recorded",
            id="errors: an older version's journal",
        ),
        pytest.param(
            {"confirmed": Confirmed(slot=GREEN, how="", mark=Mark(read_at=1, at=1, limits=Limits()))},
            ERRORS,
            State.UNKNOWABLE,
            "no service's requests are counted",
            id="errors: no metrics",
        ),
        pytest.param({"more": (VERIFIED_GOOD,)}, ERRORS, State.MET, "the figures", id="errors: verified"),
        pytest.param(
            {"more": (Verified(judgement=judgement(ERROR_SHARE, Judged_as.PASS, GAP), tallied=tallied()),)},
            ERRORS,
            State.UNKNOWABLE,
            "the figures; g1: refused",
            id="errors: a good share of what could be counted is not known",
        ),
        pytest.param(
            {"more": (Verified(judgement=judgement(ERROR_SHARE, Judged_as.FAIL, GAP), tallied=tallied()),)},
            ERRORS,
            State.NOT_MET,
            "the figures",
            id="errors: a bad share is bad whatever else could not be counted",
        ),
        pytest.param(
            {
                "judged": Judged(judgement=judgement(ERROR_SHARE, Judged_as.FAIL)),
                "ended": Ended(outcome=Outcome.ROLLED_BACK),
            },
            ERRORS,
            State.NOT_MET,
            "the figures",
            id="errors: rolled back for them",
        ),
        pytest.param(
            {"ended": Ended(outcome=Outcome.ROLLED_BACK)},
            ERRORS,
            State.UNKNOWABLE,
            "users left green before the five minutes were over",
            id="errors: rolled back for something else",
        ),
        pytest.param(
            {"judged": Judged(judgement=judgement(OVERHEAD, Judged_as.INCONCLUSIVE))},
            LATENCY,
            State.NOT_YET,
            "the figures; bluegreen verify counts on",
            id="latency: too little yet",
        ),
        pytest.param(
            {
                "judged": Judged(judgement=judgement(OVERHEAD, Judged_as.INCONCLUSIVE)),
                "confirmed": Confirmed(slot=GREEN, how="", mark=mark(pod())),
            },
            LATENCY,
            State.UNKNOWABLE,
            "the figures",
            id="latency: not measured",
        ),
        pytest.param(
            {"judged": Judged(judgement=judgement(OVERHEAD, Judged_as.FAIL))},
            LATENCY,
            State.NOT_MET,
            "the figures",
            id="latency: bad",
        ),
        pytest.param(
            {"ended": Ended(outcome=Outcome.RELEASED)},
            STANDBY,
            State.UNKNOWABLE,
            "nobody has looked",
            id="standby: unseen",
        ),
        pytest.param(
            {"ended": Ended(outcome=Outcome.RELEASED, standing=GONE)},
            STANDBY,
            State.NOT_MET,
            "blue: gateway 0/2 ready",
            id="standby: gone",
        ),
        pytest.param(
            {"more": (Retiring(slot=BLUE, moves=()),), "ended": Ended(outcome=Outcome.RELEASED, standing=GONE)},
            STANDBY,
            State.MET,
            "given up as asked",
            id="standby: ended as asked",
        ),
    ],
)
def test_items(given: dict[str, Any], item: int, state: State, words: str) -> None:
    found = items(**given)[item]
    assert (found.state, words in found.figures) == (state, True), found


@pytest.mark.parametrize(
    ("counted", "state", "words"),
    [
        pytest.param(tallied((200, 90), (503, 1)), State.NOT_MET, "gateway: 1 of 91", id="one 503"),
        pytest.param(tallied((200, 90), (502, 1), slot=BLUE), State.NOT_MET, "gateway: 1 of 91", id="of the old slot"),
        pytest.param(tallied((200, 90), (500, 3)), State.MET, "gateway: 0 of 93", id="other errors: another item's"),
        pytest.param(tallied((200, 90), gaps=("g1: refused",)), State.UNKNOWABLE, "g1: refused", id="a gap"),
        pytest.param(tallied(), State.UNKNOWABLE, "no answer was counted with its status", id="without the status"),
        pytest.param(None, State.UNKNOWABLE, "was not counted", id="an older version's journal"),
    ],
)
def test_the_transition(counted: Tallied | None, state: State, words: str) -> None:
    found = items(judged=Judged(judgement=judgement(), tallied=counted))[TRANSITION]
    assert (found.state, words in found.figures) == (state, True), found


@pytest.mark.parametrize(
    ("outcome", "state", "errors", "standby"),
    [
        (Outcome.ROLLED_BACK, State.MET, "users left green before", "users went back to blue"),
        (Outcome.INTERRUPTED, State.MET, "users left green before", "users went back to blue"),
        (Outcome.HELD, State.UNKNOWABLE, "where users were at its end is not known", "where users were at its end"),
        (Outcome.YIELDED, State.UNKNOWABLE, "where users were at its end is not known", "where users were at its end"),
    ],
)
def test_a_release_that_is_not_in_effect(outcome: Outcome, state: State, errors: str, standby: str) -> None:
    found = items(ended=Ended(outcome=outcome))
    assert (found[ERRORS].state, found[STANDBY].state) == (State.UNKNOWABLE, state)
    assert found[ERRORS].figures.startswith(errors)
    assert found[STANDBY].figures.startswith(standby)


def test_a_run_that_moved_nobody_has_no_checklist() -> None:
    run = fold([Entry(run="r-1", at=1.0, body=Began(plan=plan(), who="ann")), Entry(run="r-1", at=2.0, body=RELEASED)])
    assert run is not None
    assert checklist(run) == ()


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        ([], State.MET),
        ([State.MET, State.MET], State.MET),
        ([State.MET, State.UNKNOWABLE], State.UNKNOWABLE),
        ([State.UNKNOWABLE, State.NOT_YET], State.NOT_YET),
        ([State.UNKNOWABLE, State.NOT_YET, State.NOT_MET], State.NOT_MET),
    ],
)
def test_the_whole_is_as_its_worst_item(states: list[State], whole: State) -> None:
    assert fulfilled(Item(name="", state=state, figures="") for state in states) is whole


@pytest.mark.parametrize(("at", "told"), [(0, "00:00:00Z"), (1_750_000_010.9, "15:06:50Z"), (86_399, "23:59:59Z")])
def test_the_time_of_day(at: float, told: str) -> None:
    assert time_of_day(at) == told
