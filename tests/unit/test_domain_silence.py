"""Users who have stopped coming, and those who stay with the old slot."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.domain_kit import GREEN
from tests.unit.window_kit import Did, window

from bluegreen.domain.finding import Outcome
from bluegreen.domain.judgement import hard_triggers, judge
from bluegreen.domain.reading import Gap
from bluegreen.domain.stack import Instant
from bluegreen.domain.window import Synthetic

BUSY = Did(good=3000)
"""100 requests a second."""
GAP = Gap(pod="pair-front-green-0", slot=GREEN, why="timed out")


def rules(**how: object) -> list[str]:
    return [found.rule for found in hard_triggers(window(**how))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("new", "old", "seconds", "silent"),
    [
        (0, 3000, 10.0, True),
        (0, 3000, 9.0, False),  # too early to say anything
        (3, 3000, 10.0, True),  # hardly anything is left
        (80, 3000, 10.0, False),  # less than before, and not nothing
        (0, 60, 10.0, False),  # the pods' probes account for that much
        (0, 0, 30.0, False),  # there were no users before
        (0, 90, 30.0, True),
    ],
)
def test_nothing_arrives_although_the_old_slot_had_traffic(new: int, old: int, seconds: float, silent: object) -> None:
    found = rules(new=Did(good=new), old=Did(good=old), seconds=seconds)
    assert found == (["silence"] if silent else [])


def test_its_figures() -> None:
    found = hard_triggers(window(Did(), old=BUSY, seconds=12.0))[0]
    assert found.service == "pair-front"
    assert found.outcome is Outcome.FAIL
    assert found.figures.startswith("pair-front: 0 requests in the 12 s since the switch; blue had ")
    assert found.figures.endswith(" in 30 s before the switch")


def test_users_who_keep_their_connections_to_the_old_slot_are_not_lost() -> None:
    assert rules(new=Did(), old=BUSY, old_since=900, seconds=12.0) == []
    found = judge(window(Did(good=1000), old=BUSY, old_since=900))
    assert found.outcome is Outcome.PASS
    assert "requests were still answered by blue, over connections from before the switch" in found.notes[0]


@pytest.mark.parametrize(("reads", "told"), [(0, True), (17, False)])
def test_the_old_slot_may_count_our_reads_of_its_metrics(reads: int, told: object) -> None:
    """It has no users any more: twelve probes, and a read every two seconds."""
    left = replace(window(Did(good=1000), old=BUSY, old_since=12 + 17), reads=reads)
    assert bool([note for note in judge(left).notes if "still answered by blue" in note]) is told


def test_where_a_pod_says_nothing_silence_is_not_told() -> None:
    assert rules(new=Did(), old=BUSY, gaps=(GAP,)) == []
    unread = window(Did(), old=BUSY)
    assert hard_triggers(replace(unread, before=replace(unread.before, gaps=(GAP,)))) == ()
    assert hard_triggers(replace(unread, before=replace(unread.before, pods=unread.before.pods[:1]))) == ()


def test_a_service_behind_another_one_may_be_asked_less_on_purpose() -> None:
    """Nobody is rolled back for a cache; nor is anything proven of a service that nobody asks."""
    behind = window(Did(), old=BUSY, seconds=12.0, service="pair-back")
    assert hard_triggers(behind) == ()
    found = [finding for finding in judge(behind).findings if finding.rule == "silence"]
    assert [(finding.service, finding.outcome) for finding in found] == [("pair-back", Outcome.INCONCLUSIVE)]


def test_a_source_that_trails_is_not_silent() -> None:
    """What came in the last seconds is in its next scrape."""
    quiet = window(Did(), old=BUSY, seconds=15.0)
    late = tuple(replace(counters, at=Instant(104.0)) for counters in quiet.now.pods)
    assert hard_triggers(quiet) != ()
    assert hard_triggers(replace(quiet, now=replace(quiet.now, pods=late))) == ()


def test_without_the_old_slots_figures_silence_is_not_told() -> None:
    assert rules(new=Did()) == []


def test_a_way_that_our_own_requests_have_taken_is_open() -> None:
    made = Synthetic(asked=5, good=(("pair-front", 5),), by_entry=True)
    assert rules(new=Did(good=5), old=BUSY, synthetic=made) == []
    assert rules(new=Did(good=5), old=BUSY, synthetic=replace(made, by_entry=False)) == ["silence"]


def test_users_who_came_and_stopped_leave_it_open() -> None:
    """It may be their own affair, so nobody is rolled back for it, and nothing is proven."""
    found = judge(window(Did(good=2000), old=BUSY, late=Did(good=2000)))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert [finding.rule for finding in found.findings if finding.outcome is Outcome.INCONCLUSIVE] == ["silence"]
    assert "pair-front: 0 requests in the last 10 s of the window" in found.reasons[0]
    assert judge(window(Did(good=3000), old=BUSY, late=Did(good=2000))).outcome is Outcome.PASS


def test_of_our_own_requests_only_those_of_the_same_time_are_no_users() -> None:
    """Five checks a round: 75 in the window, 25 of them in its last 10 s, in which users came as before."""
    made, earlier = (Synthetic(asked=count, good=(("pair-front", count),), by_entry=True) for count in (75, 50))
    steady = window(Did(good=375), old=Did(good=300), late=Did(good=250), synthetic=made)
    steady = replace(steady, late_synthetic=earlier)
    assert [finding for finding in judge(steady).findings if finding.rule == "silence"] == []


@pytest.mark.parametrize(("new", "silent"), [(0, True), (6, False)])
def test_probes_that_are_not_counted_do_not_make_users_silent(new: int, silent: object) -> None:
    """2.3 requests a second before. Six now are all that the pod's probes may be, and may be users as well."""
    assert rules(new=Did(good=new), old=Did(good=70), seconds=10.0) == (["silence"] if silent else [])


@pytest.mark.parametrize("process", [None, 7.0])
def test_what_another_process_of_the_old_slot_has_counted_in_its_life_is_no_traffic_before_the_switch(
    process: float | None,
) -> None:
    """Each look reads one of several processes. One users a second before and after, and a million in a life."""
    before, seen = window(Did(good=10), old=BUSY, seconds=12.0), window(Did(good=10), old=Did(good=30), seconds=12.0)
    assert seen.old is not None
    life = tuple(replace(each, answers=((200, 2_000_000),), process=1.0) for each in seen.old.begin.pods)
    other = tuple(replace(each, answers=((200, 1_000_000),), process=process) for each in seen.old.end.pods)
    old = replace(seen.old, begin=replace(seen.old.begin, pods=life), end=replace(seen.old.end, pods=other))
    assert [found.rule for found in hard_triggers(before)] == ["silence"]
    assert hard_triggers(replace(seen, old=old)) == ()
    assert replace(seen, old=old).old_counted("pair-front").requests == 0
