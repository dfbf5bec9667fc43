"""What a release makes of verdicts that time alone brings about: each told at its instant, though nothing changes."""

from __future__ import annotations

import pytest

from bluegreen.domain.errors import ExitCode, Unseen
from bluegreen.domain.events import Diagnosed, PhaseDone, Waiting
from bluegreen.domain.health import Reason, graces
from bluegreen.domain.plan import Options
from bluegreen.domain.release import Ended
from bluegreen.testing import Behaviour, Fault, Rehearsal

KEEP = Options(keep_failed=True)
"""So that the clock stands where the release failed."""


def deploy(how: Behaviour, *, options: Options = KEEP) -> tuple[Rehearsal, ExitCode]:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = how
    return rehearsal, rehearsal.deploy("v2", options=options)


def ended(rehearsal: Rehearsal) -> Ended:
    found = rehearsal.last_run().ended
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("how", "reason", "after"),
    [
        (Behaviour(unplaced="0/2 nodes are available"), Reason.UNSCHEDULABLE, graces.UNSCHEDULABLE),
        # Two windows of 3 tries every 5 s, each to the end of its last try.
        (Behaviour(never_ready=True), Reason.READINESS, 2 * 16.0 + graces.PROBE_SLACK),
        (Behaviour(ready_after=500.0), Reason.STARTUP, 91.0 + graces.PROBE_SLACK),
    ],
)
def test_a_cause_that_needs_time_is_told_when_its_time_has_come(how: Behaviour, reason: Reason, after: float) -> None:
    rehearsal, code = deploy(how)
    assert code is ExitCode.FAILED
    cause = ended(rehearsal).cause
    assert cause is not None
    assert cause.reason == reason
    assert after <= rehearsal.clock.now() < after + 1.0


def test_a_limit_that_comes_first_is_named_with_what_was_seen() -> None:
    rehearsal, code = deploy(
        Behaviour(unplaced="0/2 nodes are available"), options=Options(keep_failed=True, health_retries=2)
    )
    assert code is ExitCode.TIMED_OUT
    assert "health validation's 10 s: back 0/2 ready" in ended(rehearsal).why.replace("pair-", "")
    assert "0/2 nodes are available" in ended(rehearsal).why
    assert not any(isinstance(event, Diagnosed) for event in rehearsal.events)


def test_a_cluster_that_cannot_be_watched_at_the_limit_is_named_and_not_the_version() -> None:
    """What was seen last may be minutes old: it says nothing of the slot."""
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(ready_after=100.0)
    rehearsal.clock.at(10.0, out_of_sight)
    assert rehearsal.deploy("v2", options=Options(keep_failed=True, health_retries=2)) is ExitCode.TIMED_OUT
    assert ended(rehearsal).why == (
        "green was not seen ready within the health validation's 10 s: the cluster could not be watched: refused"
    )


def test_a_cluster_that_cannot_be_watched_after_the_writes_is_named_and_not_the_data_plane() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.faults.append(Fault(call="changes", nth=2, action=out_of_sight))
    assert rehearsal.deploy("v2") is ExitCode.ROLLED_BACK
    assert ended(rehearsal).why == (
        "it was not seen within 10 s that the data plane followed to green: the cluster could not be watched: refused"
    )


def out_of_sight() -> None:
    raise Unseen("the cluster could not be watched: refused", mend="kubectl cluster-info")


def unseen(start: float, end: float) -> tuple[Rehearsal, ExitCode]:
    """A pod without a place, and an API server that is away from then until then."""
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(unplaced="0/2 nodes are available")
    rehearsal.platform.unseen = (start, end)
    return rehearsal, rehearsal.deploy("v2", options=KEEP)


def test_what_cannot_be_seen_grows_no_older() -> None:
    """The pod may have been placed while nobody could look: its grace begins anew when it is seen again."""
    rehearsal, code = unseen(5.0, 100.0)
    assert code is ExitCode.FAILED
    assert 100.0 + graces.UNSCHEDULABLE <= rehearsal.clock.now() < 101.0 + graces.UNSCHEDULABLE


def test_a_limit_that_comes_while_nothing_can_be_seen_says_so() -> None:
    rehearsal, code = unseen(5.0, 1000.0)
    assert code is ExitCode.TIMED_OUT
    assert "could not be watched" in ended(rehearsal).why


def test_one_end_at_the_start_costs_the_seconds_in_which_it_could_come_again() -> None:
    rehearsal, code = deploy(Behaviour(ready_after=0.5, crash_after=0.2, crashes=1))
    assert code is ExitCode.OK
    validated = next(event for event in rehearsal.events if isinstance(event, PhaseDone) and event.phase == "validate")
    assert graces.STEADY + 1.7 <= validated.took < graces.STEADY + 1.8  # 0.2 s, the pause of 1 s, 0.5 s
    waits = [event.wants for event in rehearsal.events if isinstance(event, Waiting)]
    assert any("has to stay ready for 10 s" in want for wants in waits for want in wants)


def test_a_good_slot_waits_for_nothing() -> None:
    rehearsal, _ = deploy(Behaviour(ready_after=1.0))
    validated = next(event for event in rehearsal.events if isinstance(event, PhaseDone) and event.phase == "validate")
    assert validated.took == pytest.approx(1.0)


def test_the_cause_goes_into_the_journal_with_its_last_lines() -> None:
    rehearsal, _ = deploy(Behaviour(crash_after=0.2, exit_code=3))
    cause = ended(rehearsal).cause
    assert cause is not None
    assert (cause.exit_code, cause.log) == (3, ("the last line of pair-back-green-0@r-1",))
