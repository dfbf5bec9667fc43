"""Whole releases in virtual time: what each end leaves behind, and how long it took."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bluegreen.domain.errors import ExitCode, HeldBy, Interrupted, JournalError, PlatformError, UsageError
from bluegreen.domain.events import CameBack, Diagnosed, PhaseDone, Summary, Waiting, Warned
from bluegreen.domain.plan import Options
from bluegreen.domain.release import Outcome, RunKind, Switching
from bluegreen.domain.snapshot import Template
from bluegreen.domain.stack import HttpCheck, Slot, after
from bluegreen.pipeline.release import release
from bluegreen.ports import Cover, Purpose
from bluegreen.testing import Behaviour, FakeLock, Fault, Rehearsal, example_stack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bluegreen.domain.release import Entry
    from bluegreen.ports import Journal

BLUE, GREEN = Slot.BLUE, Slot.GREEN


def summary(rehearsal: Rehearsal) -> Summary:
    last = rehearsal.events[-1]
    assert isinstance(last, Summary)
    return last


def phases(rehearsal: Rehearsal) -> list[str]:
    return [event.phase.value for event in rehearsal.events if isinstance(event, PhaseDone)]


def test_a_good_release_runs_the_five_phases_and_keeps_the_old_slot_warm() -> None:
    rehearsal = Rehearsal()
    assert rehearsal.deploy("v2") is ExitCode.OK
    assert phases(rehearsal) == ["detect", "deploy", "validate", "switch", "observe"]
    assert rehearsal.routes == (GREEN, GREEN)
    assert rehearsal.tags(GREEN) == ("v2", "v2")
    assert rehearsal.tags(BLUE) == ("v1", "v1")
    assert summary(rehearsal).outcome is Outcome.RELEASED
    assert rehearsal.last_run().outcome is Outcome.RELEASED


def test_a_healthy_slot_never_waits_for_a_retry_and_the_window_is_as_long_as_asked() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2", options=Options(validation_time=60.0))
    assert rehearsal.clock.now() == pytest.approx(61.0, abs=0.1)


def test_looking_for_a_witness_is_a_part_of_the_window() -> None:
    rehearsal = Rehearsal(rate=0)
    rehearsal.platform.entry_answers = False
    rehearsal.deploy("v2", options=Options(validation_time=60.0))
    assert summary(rehearsal).outcome is Outcome.NOT_PROVEN
    assert rehearsal.clock.now() == pytest.approx(61.0, abs=0.1)


def test_a_watch_that_is_behind_our_own_writes_is_no_stranger() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.watch_is_late = True
    assert rehearsal.deploy("v2") is ExitCode.OK
    assert rehearsal.routes == (GREEN, GREEN)
    assert summary(rehearsal).outcome is Outcome.RELEASED


def test_a_carried_image_whose_tag_has_moved_is_told() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.builds["v1"] = 1
    assert rehearsal.deploy_one("pair-back", "v2") is ExitCode.OK
    warned = [event.text for event in rehearsal.events if isinstance(event, Warned)]
    assert warned == ["pair-front: team/front:v1 is other bits in green than in blue: its tag moved"]
    assert rehearsal.tags(GREEN) == ("v2", "v1")


def test_a_carried_image_of_the_same_bits_is_no_news() -> None:
    rehearsal = Rehearsal()
    assert rehearsal.deploy_one("pair-back", "v2") is ExitCode.OK
    assert not [event for event in rehearsal.events if isinstance(event, Warned)]


def test_a_slot_that_users_have_left_serves_on_for_five_seconds_whichever_run_moved_them() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2", options=Options(validation_time=0.0))
    left = rehearsal.clock.now()
    rehearsal.clock.at(left + 4.9, lambda: tags.extend(rehearsal.tags(BLUE)))
    tags: list[str] = []
    assert rehearsal.deploy("v3", options=Options(validation_time=0.0)) is ExitCode.OK
    assert tags == ["v1", "v1"]


def test_a_journal_that_cannot_be_read_after_the_switch_brings_users_back() -> None:
    rehearsal = Rehearsal()
    tools = rehearsal.tools()
    journal = Unreadable(tools.journal, after=Switching)
    images = {name: rehearsal.image(name, "v2") for name in rehearsal.stack.names}
    assert release(replace(tools, journal=journal), images=images, options=Options()) is ExitCode.ROLLED_BACK
    assert rehearsal.routes == (BLUE, BLUE)


class Unreadable:
    """A journal on a disk that fails for good after the first entry of a kind."""

    def __init__(self, journal: Journal, *, after: type) -> None:
        self._journal, self._after, self._broken = journal, after, False

    def record(self, *entries: Entry) -> None:
        self._check()
        self._journal.record(*entries)
        self._broken = any(isinstance(entry.body, self._after) for entry in entries)

    def entries(self, run: str) -> Sequence[Entry]:
        self._check()
        return self._journal.entries(run)

    def runs(self, *, newest: int) -> Iterable[str]:
        self._check()
        return self._journal.runs(newest=newest)

    def _check(self) -> None:
        if self._broken:
            raise JournalError("state.db cannot be used: disk I/O error")


def test_a_doom_is_told_with_its_cause_when_its_log_cannot_be_read() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(crash_after=0.2)
    rehearsal.platform.faults.append(Fault(call="diagnose", action=_unreachable))
    assert rehearsal.deploy("v2") is ExitCode.FAILED
    ended = rehearsal.last_run().ended
    assert ended is not None
    assert ended.cause is not None


def test_a_window_of_no_length_is_looked_at_once() -> None:
    rehearsal = Rehearsal()
    assert rehearsal.deploy("v2", options=Options(validation_time=0.0)) is ExitCode.OK
    assert summary(rehearsal).outcome is Outcome.NOT_PROVEN


def test_budgets_cover_both_slots_while_users_may_be_on_either() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    assert rehearsal.platform.covers == [Cover.BOTH, Cover.ACTIVE]


def test_dry_run_changes_nothing_and_records_nothing() -> None:
    rehearsal = Rehearsal()
    assert rehearsal.deploy("v2", dry_run=True) is ExitCode.OK
    assert rehearsal.tags(GREEN) == ("v1", "v1")
    assert not rehearsal.journal.runs(newest=1)
    assert not {"stage", "route", "protect", "end"} & set(rehearsal.platform.calls)


def test_the_same_images_and_settings_are_nothing_to_do() -> None:
    rehearsal = Rehearsal()
    assert rehearsal.deploy("v1") is ExitCode.OK
    assert summary(rehearsal).headline == "nothing to do: blue serves this already"
    assert "stage" not in rehearsal.platform.calls


def test_force_stages_again_what_is_active_already() -> None:
    rehearsal = Rehearsal()
    assert rehearsal.deploy("v1", options=Options(force=True)) is ExitCode.OK
    assert rehearsal.routes == (GREEN, GREEN)


def test_the_same_image_with_other_settings_is_a_release() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.settings["pair-front"] = Template(settings=(("environment.LOG", "debug"),))
    rehearsal.deploy("v1")
    assert rehearsal.routes == (GREEN, GREEN)


def test_a_missing_image_is_refused_before_anything_is_written() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v9"] = Behaviour(missing=True)
    with pytest.raises(UsageError, match="team/back:v9 does not exist"):
        rehearsal.deploy("v9")
    assert not rehearsal.journal.runs(newest=1)
    assert rehearsal.lock_state.holder is None


def test_a_crash_loop_is_told_in_seconds_and_the_idle_slot_gets_its_images_back() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(ready_after=5.0, crash_after=0.2, exit_code=3)
    assert rehearsal.deploy("v2") is ExitCode.FAILED
    told = next(event for event in rehearsal.events if isinstance(event, Diagnosed))
    assert (told.cause.reason, told.cause.exit_code) == ("crash loop", 3)
    assert rehearsal.clock.now() < 4
    assert rehearsal.routes == (BLUE, BLUE)
    assert rehearsal.tags(GREEN) == ("v1", "v1")
    assert rehearsal.last_run().restored
    what = "what to do: its last log lines say why: bluegreen logs back --slot green shows more"
    assert what in summary(rehearsal).details


def test_logs_that_go_with_the_pods_are_not_promised_for_good() -> None:
    """When the slot was put back, its logs are those of the version before."""
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(crash_after=0.2)
    rehearsal.platform.logs_are_there = "while its pods are there"
    rehearsal.deploy("v2")
    told = [line for line in summary(rehearsal).details if line.startswith("what to do: ")]
    assert told == [
        "what to do: its last log lines say why: bluegreen logs back --slot green shows more while its pods are there"
    ]


def test_keep_failed_leaves_the_failed_version_and_says_so() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(crash_after=0.2)
    rehearsal.deploy("v2", options=Options(keep_failed=True))
    assert rehearsal.tags(GREEN) == ("v2", "v2")
    assert "green holds nothing to go back to" in summary(rehearsal).way_back


def test_what_a_failed_run_left_is_never_put_back() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(crash_after=0.2)
    rehearsal.platform.behaviours["v3"] = Behaviour(crash_after=0.2)
    rehearsal.deploy("v2", options=Options(keep_failed=True))
    rehearsal.deploy("v3")
    assert rehearsal.tags(GREEN) == ("v1", "v1")


def test_never_ready_times_out_and_names_the_limit() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(never_ready=True)
    assert rehearsal.deploy("v2", options=Options(health_retries=2)) is ExitCode.TIMED_OUT
    why = rehearsal.last_run().ended
    assert why is not None
    assert "health validation's 10 s" in why.why
    assert "GET /ready answered 503" in why.why
    assert any(isinstance(event, Waiting) for event in rehearsal.events)


def test_a_crash_after_the_switch_brings_users_back_at_once_and_the_old_images_too() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(crash_after=8.0)
    assert rehearsal.deploy("v2") is ExitCode.ROLLED_BACK
    back = next(event for event in rehearsal.events if isinstance(event, CameBack))
    assert back.slot is BLUE
    assert back.took < 0.1
    assert rehearsal.routes == (BLUE, BLUE)
    assert rehearsal.tags(GREEN) == ("v1", "v1")
    assert rehearsal.clock.now() < 8 + 5 + 3


def test_errors_over_the_limit_roll_back_at_the_end_of_the_window() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(errors=0.05)
    assert rehearsal.deploy("v2") is ExitCode.ROLLED_BACK
    ended = rehearsal.last_run().ended
    assert ended is not None
    assert "error share" in ended.why


def test_more_than_half_bad_does_not_wait_for_the_end() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(errors=0.9)
    rehearsal.deploy("v2", options=Options(validation_time=300.0, keep_failed=True))
    assert rehearsal.clock.now() < 6


def test_a_slow_version_is_rolled_back() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(slow=1.0)
    assert rehearsal.deploy("v2") is ExitCode.ROLLED_BACK
    assert "P95 overhead" in summary(rehearsal).details[1]


def test_without_traffic_it_is_released_and_not_proven() -> None:
    rehearsal = Rehearsal(rate=0.0)
    assert rehearsal.deploy("v2") is ExitCode.OK
    assert summary(rehearsal).outcome is Outcome.NOT_PROVEN
    assert rehearsal.routes == (GREEN, GREEN)


def test_without_metrics_it_is_released_and_not_proven() -> None:
    rehearsal = Rehearsal(example_stack(metered=False))
    assert rehearsal.deploy("v2") is ExitCode.OK
    assert summary(rehearsal).outcome is Outcome.NOT_PROVEN


def test_without_an_entry_address_the_data_planes_counters_are_the_witness() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.entry_answers = False
    assert rehearsal.deploy("v2") is ExitCode.OK
    confirmed = rehearsal.last_run().confirmed
    assert confirmed is not None
    assert "the data plane has sent" in confirmed.how


def test_where_the_data_plane_does_not_count_the_pods_own_counters_are_the_witness() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.entry_answers = rehearsal.platform.plane_counts = False
    assert rehearsal.deploy("v2") is ExitCode.OK
    confirmed = rehearsal.last_run().confirmed
    assert confirmed is not None
    assert "beyond their probes" in confirmed.how
    assert summary(rehearsal).outcome is Outcome.RELEASED


def test_without_a_witness_it_is_looked_for_a_handful_of_times() -> None:
    rehearsal = Rehearsal(rate=0.0)
    rehearsal.platform.entry_answers = rehearsal.platform.plane_counts = False
    assert rehearsal.deploy("v2") is ExitCode.OK
    confirmed = rehearsal.last_run().confirmed
    assert confirmed is not None
    assert confirmed.how == ""
    assert rehearsal.platform.calls.count("check") < 10


def test_a_person_who_moves_a_route_while_a_witness_is_looked_for_is_noticed_at_once() -> None:
    rehearsal = Rehearsal(rate=0.0)
    rehearsal.platform.entry_answers = rehearsal.platform.plane_counts = False
    deploying = after(rehearsal.clock.now(), 3.0)
    rehearsal.clock.at(deploying, lambda: rehearsal.platform.patch_by_hand("pair-front", BLUE))
    assert rehearsal.deploy("v2") is ExitCode.HELD
    assert rehearsal.clock.now() < after(deploying, 1.0)
    assert rehearsal.routes == (GREEN, BLUE)


def test_without_the_right_to_reach_pods_readiness_alone_decides_and_that_is_said() -> None:
    stack = example_stack()
    check = HttpCheck(name="pair", service="pair-front", path="/work")
    rehearsal = Rehearsal(replace(stack, checks=(check,)))
    rehearsal.platform.missing_right = "get pods/proxy"
    assert rehearsal.deploy("v2") is ExitCode.OK
    warned = [event for event in rehearsal.events if isinstance(event, Warned)]
    assert ["get pods/proxy" in event.text and bool(event.mend) for event in warned] == [True]


def test_scale_down_old_ends_the_old_slot_last_and_says_what_that_costs() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2", options=Options(scale_down_old=True))
    assert rehearsal.tags(BLUE) == ("", "")
    assert phases(rehearsal)[-1] == "retire"
    way = "bluegreen rollback --cold   (a cold start: blue was ended before the five minutes are known)"
    assert summary(rehearsal).way_back == way


def test_an_old_slot_that_was_ended_by_half_is_not_called_warm() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.faults.append(Fault(call="end", nth=2, action=_unreachable))
    assert rehearsal.deploy("v2", options=Options(scale_down_old=True)) is ExitCode.OK
    way = "bluegreen rollback --cold   (to blue, which has no ready pod of front: a cold start)"
    assert summary(rehearsal).way_back == way
    assert rehearsal.rollback(cold=True) is ExitCode.OK
    assert rehearsal.tags(BLUE) == ("v1", "v1")


def test_a_write_that_moves_nobody_does_not_keep_the_old_slot_from_being_ended() -> None:
    """As of a controller that annotates the Service just then."""
    rehearsal = Rehearsal()
    first_of_the_end = 2 + 2 + 1  # the stamp and the switch write two each
    touch = Fault(
        call="route", nth=first_of_the_end, action=lambda: rehearsal.platform.patch_by_hand("pair-back", GREEN)
    )
    rehearsal.platform.faults.append(touch)
    assert rehearsal.deploy("v2", options=Options(scale_down_old=True)) is ExitCode.OK
    assert rehearsal.tags(BLUE) == ("", "")


def test_a_move_by_hand_while_the_floor_is_waited_for_is_not_repaired() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2", options=Options(validation_time=0.0))
    moved = rehearsal.clock.now() + 1.0
    rehearsal.clock.at(moved, lambda: rehearsal.platform.patch_by_hand("pair-front", BLUE))
    assert rehearsal.deploy("v3") is ExitCode.HELD
    assert rehearsal.routes == (GREEN, BLUE)
    assert rehearsal.tags(BLUE) == ("v1", "v1")


def test_a_second_deploy_is_told_who_holds_the_lock() -> None:
    rehearsal = Rehearsal()
    other = Purpose(kind=RunKind.RELEASE, run="r-other", who="carol")
    FakeLock(rehearsal.lock_state, clock=rehearsal.clock).take(other, until=rehearsal.clock.now())
    with pytest.raises(HeldBy, match="r-other by carol"):
        rehearsal.deploy("v2")
    assert rehearsal.platform.calls == []


@pytest.mark.parametrize("room", range(8))
def test_a_full_disk_stops_the_release_before_the_step_it_could_not_record(room: int) -> None:
    rehearsal = Rehearsal()
    rehearsal.journal.full_after = room
    try:
        code = rehearsal.deploy("v2")
    except JournalError as error:
        code = error.exit_code
        assert rehearsal.platform.calls.count("stage") == 0
    recorded = rehearsal.journal.full_after == 0
    assert recorded
    expected = {0: 6, 1: 6, 2: 6, 3: 6, 4: 3, 5: 3, 6: 0, 7: 0}
    assert code == expected[room]
    serving = GREEN if code == 0 else BLUE
    assert rehearsal.routes == (serving, serving)


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("moment", [0.5, 1.0005, 10.0])
def test_interrupted_in_any_phase_users_are_where_they_were(moment: float, signal: str) -> None:
    rehearsal = Rehearsal()
    rehearsal.clock.at(moment, lambda: rehearsal.clock.interrupt(signal=signal))
    assert rehearsal.deploy("v2") == {"SIGINT": 130, "SIGTERM": 143}[signal]
    assert rehearsal.routes == (BLUE, BLUE)
    assert rehearsal.tags(GREEN) == ("v1", "v1")
    assert rehearsal.lock_state.holder is None


def test_interrupted_before_it_has_staged_anything_the_idle_slot_is_left_as_it_is() -> None:
    """It was left by users a second ago, and serves on for those whom a late node still sends there."""
    rehearsal = Rehearsal()
    rehearsal.deploy("v2", options=Options(validation_time=0.0))
    rehearsal.clock.at(rehearsal.clock.now() + 1.0, rehearsal.clock.interrupt)
    assert rehearsal.deploy("v3") is ExitCode.INTERRUPTED
    assert rehearsal.platform.calls.count("stage") == 1
    assert rehearsal.tags(BLUE) == ("v1", "v1")
    assert "blue is warm with what it held before" in summary(rehearsal).way_back
    assert rehearsal.rollback() is ExitCode.OK
    assert rehearsal.routes == (BLUE, BLUE)


def test_what_was_kept_of_a_failed_release_is_not_called_warm_when_the_next_one_is_stopped_at_once() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(never_ready=True)
    rehearsal.deploy("v2", options=Options(keep_failed=True, health_retries=1))
    rehearsal.platform.faults.append(Fault(call="routes", action=_stopped))
    assert rehearsal.deploy("v3") is ExitCode.INTERRUPTED
    assert rehearsal.tags(GREEN) == ("v2", "v2")
    assert "green holds nothing to go back to" in summary(rehearsal).way_back


def test_a_second_interrupt_ends_the_cleaning_up_and_says_what_is_left() -> None:
    rehearsal = Rehearsal()
    rehearsal.clock.at(0.5, rehearsal.clock.interrupt)
    rehearsal.clock.at(0.7, rehearsal.clock.interrupt)
    assert rehearsal.deploy("v2") is ExitCode.INTERRUPTED
    assert not rehearsal.last_run().restored
    assert "holds nothing to go back to" in summary(rehearsal).way_back


def test_the_platform_lost_between_the_two_writes_is_held_and_the_next_deploy_ends_it() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.faults.append(Fault(call="route", nth=4, action=_unreachable))
    rehearsal.platform.faults.append(Fault(call="routes", nth=3, action=_unreachable))
    assert rehearsal.deploy("v2") is ExitCode.HELD
    assert rehearsal.routes == (GREEN, BLUE)
    rehearsal.platform.faults.clear()
    assert rehearsal.deploy("v3") is ExitCode.OK
    assert rehearsal.routes == (GREEN, GREEN)


def _stopped() -> None:
    """As a call to an API server is when the process is told to stop while it waits for the answer."""
    raise Interrupted(signal="SIGINT")


def _unreachable() -> None:
    raise PlatformError("connection refused")


def taken_over(rehearsal: Rehearsal) -> None:
    """Another run takes the lock."""
    theirs = Purpose(kind=RunKind.RELEASE, run="r-other", who="carol")
    rehearsal.lock_state.renew(theirs, now=rehearsal.clock.now())


def taken_over_asleep(rehearsal: Rehearsal) -> None:
    """The same, and when this run wakes its call's time is up."""
    taken_over(rehearsal)
    _unreachable()


def test_a_run_that_fails_after_it_lost_the_lock_yields_and_says_to_whom() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.faults.append(Fault(call="stage", action=lambda: taken_over_asleep(rehearsal)))
    assert rehearsal.deploy("v2") is ExitCode.HELD
    assert summary(rehearsal).outcome is Outcome.YIELDED
    assert any("r-other by carol" in line and "connection refused" in line for line in summary(rehearsal).details)
    assert rehearsal.platform.calls.count("protect") == 0


def test_a_run_that_loses_the_lock_after_it_brought_users_back_says_that_it_did() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(errors=1.0)
    rehearsal.platform.faults.append(Fault(call="stage", nth=2, action=lambda: taken_over(rehearsal)))
    assert rehearsal.deploy("v2") is ExitCode.ROLLED_BACK
    assert rehearsal.routes == (BLUE, BLUE)
    assert any("r-other by carol" in event.text for event in rehearsal.events if isinstance(event, Warned))


def test_a_lost_answer_is_read_back_and_counts_as_done_when_it_was() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.faults.append(Fault(call="route", nth=3, action=_unreachable, after=True))
    assert rehearsal.deploy("v2") is ExitCode.OK
    assert rehearsal.routes == (GREEN, GREEN)
