"""What people are told of a run, and when."""

from __future__ import annotations

import pytest

from bluegreen.domain.errors import ExitCode, UsageError
from bluegreen.domain.events import Summary
from bluegreen.domain.notice import LARGEST, USUAL, Notice, Occasion, notice_of, wanted
from bluegreen.domain.release import Outcome
from bluegreen.domain.stack import Slot
from bluegreen.domain.values import replace
from bluegreen.testing import Behaviour, Fault, Rehearsal, example_stack


def notice(rehearsal: Rehearsal) -> Notice:
    found = notice_of(rehearsal.events)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("occasion", "on", "told"),
    [
        (Occasion.FAILURE, USUAL, True),
        (Occasion.HELD, USUAL, True),
        (Occasion.RELEASE, USUAL, False),
        (Occasion.RELEASE, (Occasion.RELEASE,), True),
        (Occasion.FAILURE, (Occasion.RELEASE,), False),
    ],
)
def test_people_are_told_of_what_they_asked_for(occasion: Occasion, on: tuple[Occasion, ...], *, told: bool) -> None:
    assert wanted(Notice(occasion=occasion, title="", text=""), on) is told


def test_a_release_says_from_which_version_to_which_and_the_way_back() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    found = notice(rehearsal)
    assert (found.occasion, found.title) == (Occasion.RELEASE, "pair: released: green serves")
    assert found.text.splitlines()[:2] == [
        "pair-back: from team/back:v1 to team/back:v2",
        "pair-front: from team/front:v1 to team/front:v2",
    ]
    assert "way back: bluegreen rollback" in found.text
    assert found.text.endswith("exit code 0")


def test_a_service_that_stays_as_it_is_is_not_named() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy_one("pair-back", "v2")
    assert "pair-front" not in notice(rehearsal).text


def test_a_failure_says_why_and_that_users_saw_nothing() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(crash_after=0.5)
    rehearsal.deploy("v2")
    found = notice(rehearsal)
    assert (found.occasion, found.title) == (Occasion.FAILURE, "pair: failed before the switch: blue serves")
    assert "why: " in found.text
    assert "users are where they were" in found.text


def test_a_rollback_by_itself_says_why() -> None:
    rehearsal = Rehearsal(replace(example_stack(), contacts=("ann",)))
    rehearsal.platform.behaviours["v2"] = Behaviour(errors=0.9)
    assert rehearsal.deploy("v2") is ExitCode.ROLLED_BACK
    found = notice(rehearsal)
    assert wanted(found, ()), "of a rollback people are always told"
    assert (found.occasion, found.title) == (Occasion.ROLLBACK, "pair: rolled back: blue serves")
    assert "pair-back: from team/back:v1 to team/back:v2" in found.text
    assert "why: " in found.text
    assert "to be told" not in found.text


def test_a_rollback_by_hand_says_what_it_took_back() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    release = rehearsal.last_run().id
    rehearsal.events.clear()
    rehearsal.rollback(reason="checkout is slow")
    found = notice(rehearsal)
    assert wanted(found, ()), "of a rollback people are always told"
    assert (found.occasion, found.title) == (Occasion.ROLLBACK, "pair: rolled back: blue serves")
    assert found.text.splitlines()[:4] == [
        f"taken back: {release}",
        "pair-back: from team/back:v2 to team/back:v1",
        "pair-front: from team/front:v2 to team/front:v1",
        "why: checkout is slow",
    ]


def test_a_rollback_by_hand_with_kubectl_in_the_window_is_noticed() -> None:
    rehearsal = Rehearsal()

    def by_hand() -> None:
        for name in reversed(rehearsal.stack.names):
            rehearsal.platform.patch_by_hand(name, Slot.BLUE)

    rehearsal.clock.at(15.0, by_hand)
    rehearsal.deploy("v2")
    found = notice(rehearsal)
    assert wanted(found, ()), "of a rollback people are always told"
    assert (found.occasion, found.title) == (Occasion.ROLLBACK, "pair: rolled back: blue serves")
    assert "by kubectl" in found.text


def test_of_nothing_nobody_is_told() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2", dry_run=True)
    assert notice_of(rehearsal.events) is None
    assert notice_of([]) is None
    rehearsal.rollback()
    assert notice_of(rehearsal.events) is None


class Killed(BaseException):
    """The process is gone."""


def test_a_killed_release_that_the_same_deploy_ends_is_told() -> None:
    """As a job that is run again does: it ends the first release, and then has nothing to do itself."""
    rehearsal = Rehearsal()

    def kill() -> None:
        raise Killed

    rehearsal.clock.at(15.0, kill)
    with pytest.raises(Killed):
        rehearsal.deploy("v2")
    rehearsal.die()
    rehearsal.events.clear()
    killed = rehearsal.last_run().id
    assert rehearsal.deploy("v2") is ExitCode.OK
    found = notice(rehearsal)
    assert (found.occasion, found.title) == (Occasion.RELEASE, "pair: released: green serves")
    assert found.text.splitlines()[0] == "pair to back team/back:v2, front team/front:v2"
    assert killed in found.text


def killed_between_the_two_writes(verb: str) -> Rehearsal:
    """A stack on two slots: a deploy or a rollback was killed after its first write."""
    rehearsal = Rehearsal()
    if verb == "rollback":
        rehearsal.deploy("v2")

    def kill() -> None:
        raise Killed

    stamps = {"deploy": 2, "rollback": 0}
    rehearsal.platform.faults.append(Fault(call="route", nth=stamps[verb] + 2, action=kill))
    with pytest.raises(Killed):
        rehearsal.rollback() if verb == "rollback" else rehearsal.deploy("v2")
    assert len(set(rehearsal.routes)) == 2
    rehearsal.platform.faults.clear()
    rehearsal.die()
    rehearsal.events.clear()
    return rehearsal


@pytest.mark.parametrize(
    ("verb", "why"),
    [
        ("deploy", "it was stopped in the middle of the switch"),
        ("rollback", "the rollback was stopped in the middle"),
    ],
)
def test_users_who_were_brought_back_before_a_release_are_told_of_with_it(verb: str, why: str) -> None:
    rehearsal = killed_between_the_two_writes(verb)
    assert rehearsal.deploy("v3") is ExitCode.OK
    found = notice(rehearsal)
    assert (found.occasion, found.title) == (Occasion.RELEASE, "pair: released: green serves")
    assert found.text.splitlines()[0] == f"users were brought back to blue: {why}"
    assert wanted(found, ()), "of a rollback people are always told"


def test_users_who_were_brought_back_by_a_deploy_with_nothing_else_to_do_are_told_of() -> None:
    rehearsal = killed_between_the_two_writes("deploy")
    assert rehearsal.deploy("v1") is ExitCode.OK
    found = notice(rehearsal)
    assert (found.occasion, found.title) == (Occasion.ROLLBACK, "pair: nothing to do: blue serves this already")
    assert found.text.startswith("users were brought back to blue: it was stopped in the middle of the switch\n")


def test_users_who_were_brought_back_by_a_deploy_that_was_then_refused_are_told_of() -> None:
    rehearsal = killed_between_the_two_writes("deploy")
    rehearsal.platform.behaviours["v3"] = Behaviour(missing=True)
    with pytest.raises(UsageError) as refused:
        rehearsal.deploy("v3")
    assert rehearsal.routes == (Slot.BLUE, Slot.BLUE)
    found = notice_of(rehearsal.events, refused.value)
    assert found is not None
    assert wanted(found, ()), "of a rollback people are always told"
    assert (found.occasion, found.title) == (Occasion.ROLLBACK, "pair: rolled back: blue serves")
    assert found.text.splitlines() == [
        "users were brought back to blue: it was stopped in the middle of the switch",
        f"then: {refused.value}",
        refused.value.mend,
        "exit code 2",
    ]


def test_a_notice_is_bounded() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    last = rehearsal.events[-1]
    assert isinstance(last, Summary)
    long = replace(last, details=("x" * 10_000,), outcome=Outcome.HELD)
    found = notice_of([long])
    assert found is not None
    assert found.occasion is Occasion.HELD
    assert len(found.text) == LARGEST
