"""One verb, whatever is going on: users end on the slot that was active before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bluegreen.domain.errors import ExitCode, Held, JournalError, LostLock, PlatformError
from bluegreen.domain.events import Note, Planned, Summary, Waiting, Warned
from bluegreen.domain.health import SlotDoomed
from bluegreen.domain.plan import Options
from bluegreen.domain.release import Outcome, RunKind, Switching
from bluegreen.domain.stack import Slot, after
from bluegreen.domain.values import replace
from bluegreen.pipeline.back import BUSY
from bluegreen.pipeline.rollback import rollback
from bluegreen.pipeline.routes import moves_to
from bluegreen.ports import Grip, Purpose
from bluegreen.testing import Behaviour, Fault, Rehearsal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bluegreen.domain.release import Entry

BLUE, GREEN = Slot.BLUE, Slot.GREEN
BOBS = Purpose(kind=RunKind.ROLLBACK, run="b-bob", who="bob")


def summary(rehearsal: Rehearsal) -> Summary:
    last = rehearsal.events[-1]
    assert isinstance(last, Summary)
    return last


def headline(rehearsal: Rehearsal) -> str:
    return summary(rehearsal).headline


def test_after_a_release_users_are_back_in_milliseconds_and_the_left_slot_keeps_running() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    before = rehearsal.clock.now()
    assert rehearsal.rollback() is ExitCode.OK
    assert rehearsal.clock.now() - before < 0.01
    assert rehearsal.routes == (BLUE, BLUE)
    assert rehearsal.tags(GREEN) == ("v2", "v2")


def test_a_second_rollback_has_nothing_to_do_and_says_how_to_go_forward() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    rehearsal.rollback()
    assert rehearsal.rollback() is ExitCode.OK
    assert headline(rehearsal).startswith("nothing to roll back: b-")
    assert rehearsal.routes == (BLUE, BLUE)
    assert rehearsal.rollback(to=GREEN) is ExitCode.OK
    assert rehearsal.routes == (GREEN, GREEN)


def test_a_move_to_the_version_that_serves_takes_nothing_back() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    assert rehearsal.rollback(to=GREEN) is ExitCode.OK
    assert summary(rehearsal).details == ()


@pytest.mark.parametrize(
    ("to", "outcome", "details"),
    [
        (GREEN, Outcome.YIELDED, ()),
        (
            BLUE,
            Outcome.ROLLED_BACK,
            (
                "taken back: r-1",
                "pair-back: from team/back:v2 to team/back:v1",
                "pair-front: from team/front:v2 to team/front:v1",
            ),
        ),
    ],
)
def test_a_release_that_was_killed_in_its_window_ends_as_its_users_were_left(
    to: Slot, outcome: Outcome, details: tuple[str, ...]
) -> None:
    rehearsal = Rehearsal()
    rehearsal.clock.at(10.0, _be_killed)
    with pytest.raises(KeyboardInterrupt):
        rehearsal.deploy("v2")
    rehearsal.die()
    assert rehearsal.rollback(to=to) is ExitCode.OK
    assert summary(rehearsal).details == details
    first = rehearsal.tools().run("r-1")
    assert first is not None
    assert first.outcome is outcome
    assert first.serving_after is (BLUE if to is BLUE else None)


def _be_killed() -> None:
    raise KeyboardInterrupt


def test_after_an_automatic_rollback_it_does_not_go_to_what_just_failed() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(errors=1.0)
    rehearsal.deploy("v2", options=Options(keep_failed=True))
    assert rehearsal.rollback() is ExitCode.OK
    assert rehearsal.routes == (BLUE, BLUE)


def test_a_second_rollback_that_takes_over_and_does_the_same_is_no_failure_of_the_first() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    rehearsal.platform.faults.append(Fault(call="route", action=lambda: _all_well(rehearsal.rollback())))
    assert rehearsal.rollback() is ExitCode.OK
    assert rehearsal.routes == (BLUE, BLUE)
    assert headline(rehearsal) == "rolled back: blue serves"
    assert not rehearsal.last_run().open


def test_a_second_rollback_that_takes_over_and_goes_elsewhere_is_told() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    rehearsal.platform.faults.append(Fault(call="route", action=lambda: _all_well(rehearsal.rollback(to=GREEN))))
    with pytest.raises(LostLock):
        rehearsal.rollback()
    assert rehearsal.routes == (GREEN, GREEN)
    assert [run.outcome for run in rehearsal.tools().runs()][:2] == [Outcome.ROLLED_BACK, Outcome.YIELDED]


def _all_well(code: ExitCode) -> None:
    assert code is ExitCode.OK


def test_routes_that_cannot_be_written_are_held_with_the_reason_and_not_called_a_strangers() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    rehearsal.platform.faults += [Fault(call="route", action=_no_room) for _ in range(3)]
    with pytest.raises(Held, match="the routes could not be written: the disk is full"):
        rehearsal.rollback()
    assert rehearsal.routes == (GREEN, GREEN)


def _no_room() -> None:
    raise PlatformError("the disk is full")


def test_before_any_release_there_is_nothing_to_roll_back() -> None:
    rehearsal = Rehearsal()
    assert rehearsal.rollback() is ExitCode.OK
    assert headline(rehearsal) == "nothing to roll back: no release has switched this stack yet"


def test_after_a_failed_release_the_one_before_it_is_the_way_back() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    rehearsal.platform.behaviours["v3"] = Behaviour(crash_after=0.2)
    rehearsal.deploy("v3")
    assert rehearsal.tags(BLUE) == ("v1", "v1")
    assert rehearsal.rollback() is ExitCode.OK
    assert rehearsal.routes == (BLUE, BLUE)


def test_what_a_failed_release_left_for_looking_is_no_way_back() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    rehearsal.platform.behaviours["v3"] = Behaviour(never_ready=True)
    rehearsal.deploy("v3", options=Options(keep_failed=True, health_retries=1))
    with pytest.raises(Held, match="blue holds what r-"):
        rehearsal.rollback()
    assert rehearsal.routes == (GREEN, GREEN)


def test_a_target_without_a_ready_pod_is_refused_and_started_with_cold() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2", options=Options(scale_down_old=True))
    with pytest.raises(Held, match="no ready pod in blue"):
        rehearsal.rollback()
    assert rehearsal.routes == (GREEN, GREEN)
    assert rehearsal.rollback(cold=True) is ExitCode.OK
    assert rehearsal.routes == (BLUE, BLUE)
    assert rehearsal.tags(BLUE) == ("v1", "v1")


def test_what_a_way_back_waits_for_is_told_though_a_look_takes_its_time() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2", options=Options(scale_down_old=True))
    clock = rehearsal.clock
    rehearsal.platform.faults.append(Fault(call="answering", action=lambda: clock.wait(until=after(clock.now(), 0.1))))
    rehearsal.events.clear()
    began = clock.now()
    with pytest.raises(Held, match="no ready pod in blue"):
        rehearsal.rollback()
    assert clock.now() == pytest.approx(began + BUSY)
    wants = ("pair-back in blue to have a ready pod", "pair-front in blue to have a ready pod")
    assert [event for event in rehearsal.events if isinstance(event, Waiting)] == [
        Waiting(wants=wants, waited=0.0, left=BUSY)
    ]


def test_a_slot_that_is_being_ended_is_no_target_though_its_pods_are_ready() -> None:
    rehearsal = Rehearsal()
    refused: list[str] = []

    def try_it() -> None:
        with pytest.raises(Held) as error:
            rehearsal.rollback()
        refused.append(str(error.value))

    rehearsal.clock.at(6.2, try_it)
    options = Options(validation_time=4.0, scale_down_old=True)
    assert rehearsal.deploy("v2", options=options) is ExitCode.OK
    assert refused == ["pair-front has no ready pod in blue: users would be sent to nobody"]
    assert rehearsal.routes == (GREEN, GREEN)


def test_a_rollback_before_the_old_slot_is_ended_is_no_release() -> None:
    """5.5 s: the release waits for the floor, to end the old slot."""
    rehearsal = Rehearsal()
    codes: list[ExitCode] = []
    rehearsal.clock.at(5.5, lambda: codes.append(rehearsal.rollback()))
    code = rehearsal.deploy("v2", options=Options(validation_time=4.0, scale_down_old=True))
    assert codes == [ExitCode.OK]
    assert code is ExitCode.ROLLED_BACK
    assert rehearsal.routes == (BLUE, BLUE)
    assert rehearsal.tags(BLUE) == ("v1", "v1")


def test_a_cold_rollback_that_failed_is_not_carried_out_by_the_next_deploy() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2", options=Options(scale_down_old=True))
    rehearsal.platform.behaviours["v1"] = Behaviour(never_ready=True)
    with pytest.raises(SlotDoomed, match="readiness probe fails: readiness: GET /ready answered 503"):
        rehearsal.rollback(cold=True)
    assert rehearsal.last_run().outcome is Outcome.FAILED
    assert rehearsal.deploy("v3") is ExitCode.OK
    assert rehearsal.routes == (BLUE, BLUE)
    assert rehearsal.tags(BLUE) == ("v3", "v3")


def test_what_a_cold_rollback_started_is_good_to_be_put_back() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2", options=Options(scale_down_old=True))
    rehearsal.rollback(cold=True)
    rehearsal.deploy("v3")
    rehearsal.platform.behaviours["v4"] = Behaviour(never_ready=True)
    rehearsal.deploy("v4", options=Options(health_retries=1))
    assert rehearsal.tags(BLUE) == ("v1", "v1")


def test_a_cold_rollback_never_starts_what_a_failed_release_left_in_an_empty_slot() -> None:
    """The old slot was ended, so there was nothing to put back after v3 had failed in it."""
    rehearsal = Rehearsal()
    rehearsal.deploy("v2", options=Options(scale_down_old=True))
    rehearsal.platform.behaviours["v3"] = rehearsal.platform.behaviours["v4"] = Behaviour(never_ready=True)
    for bad in ("v3", "v4"):
        assert rehearsal.deploy(bad, options=Options(health_retries=1)) is ExitCode.TIMED_OUT
    rehearsal.platform.behaviours.clear()
    assert rehearsal.rollback(cold=True) is ExitCode.OK
    assert rehearsal.tags(BLUE) == ("v1", "v1")
    assert "pair-back: from team/back:v2 to team/back:v1" in summary(rehearsal).details


def test_a_cold_rollback_that_names_the_slot_does_not_start_what_was_just_rolled_back() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2", options=Options(scale_down_old=True))
    rehearsal.platform.behaviours["v3"] = Behaviour(errors=0.9)
    assert rehearsal.deploy("v3") is ExitCode.ROLLED_BACK
    assert rehearsal.rollback(to=BLUE, cold=True) is ExitCode.OK
    assert rehearsal.tags(BLUE) == ("v1", "v1")


def test_a_slot_that_has_never_served_anything_good_is_not_started_cold() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(never_ready=True)
    rehearsal.deploy("v2", options=Options(health_retries=1, keep_failed=True))
    with pytest.raises(Held, match="green holds what r-1 left there"):
        rehearsal.rollback(to=GREEN, cold=True)
    assert rehearsal.routes == (BLUE, BLUE)


def test_what_an_overtaken_release_left_is_never_put_back() -> None:
    rehearsal = Rehearsal()
    grips: list[Grip] = []
    rehearsal.clock.at(0.5, lambda: grips.append(rehearsal.tools(who="bob").lock.preempt(BOBS)))
    rehearsal.deploy("v2")
    rehearsal.die()
    rehearsal.platform.behaviours["v3"] = Behaviour(crash_after=0.2)
    rehearsal.deploy("v3")
    assert rehearsal.tags(GREEN) == ("v1", "v1")


def test_the_way_back_outlives_twenty_failed_releases() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    rehearsal.platform.behaviours["v3"] = Behaviour(crash_after=0.2)
    for _ in range(20):
        rehearsal.deploy("v3")
    assert rehearsal.rollback() is ExitCode.OK
    assert rehearsal.routes == (BLUE, BLUE)


def test_it_asks_nothing_of_the_slot_that_users_leave() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    rehearsal.platform.behaviours["v2"] = Behaviour(never_ready=True)
    assert rehearsal.rollback() is ExitCode.OK
    assert rehearsal.routes == (BLUE, BLUE)


def test_a_release_that_was_overtaken_says_so_though_it_sees_the_routes_first() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(never_ready=True)
    rehearsal.platform.lock_is_late = True

    def overtake() -> None:
        rehearsal.tools(who="bob").lock.preempt(BOBS)
        for service in rehearsal.stack.names:
            rehearsal.platform.patch_by_hand(service, GREEN)

    rehearsal.clock.at(5.0, overtake)
    assert rehearsal.deploy("v2") is ExitCode.HELD
    assert summary(rehearsal).outcome is Outcome.YIELDED
    assert "why: another run took over: rollback b-bob by bob" in summary(rehearsal).details


def test_a_release_that_was_overtaken_before_it_staged_claims_no_warm_slot() -> None:
    """Stopped while it waits for late nodes: what the slot holds by now is another run's affair."""
    rehearsal = Rehearsal()
    rehearsal.deploy("v2", options=Options(validation_time=0.0))

    def overtake() -> None:
        rehearsal.tools(who="bob").lock.preempt(BOBS)
        rehearsal.clock.interrupt(signal="SIGINT")

    rehearsal.clock.at(after(rehearsal.clock.now(), 0.5), overtake)
    rehearsal.platform.lock_is_late = True
    assert rehearsal.deploy("v3") is ExitCode.HELD
    assert summary(rehearsal).outcome is Outcome.YIELDED
    assert "warm" not in summary(rehearsal).way_back


@pytest.mark.parametrize("moment", [0.5, 5.0, 20.0])
def test_a_running_release_is_taken_over_and_yields(moment: float) -> None:
    """0.5 s: while it validates; later: in its window. It is the running release that notices."""
    rehearsal = Rehearsal()
    codes: list[ExitCode] = []
    rehearsal.clock.at(moment, lambda: codes.append(rehearsal.rollback()))
    code = rehearsal.deploy("v2", options=Options(validation_time=30.0))
    assert codes == [ExitCode.OK]
    assert code in {ExitCode.HELD, ExitCode.ROLLED_BACK}
    assert rehearsal.routes == (BLUE, BLUE)
    assert rehearsal.clock.now() < moment + 5


def test_a_running_release_that_staged_leaves_no_half_staged_slot_after_a_rollback() -> None:
    rehearsal = Rehearsal()
    codes: list[ExitCode] = []
    rehearsal.clock.at(0.5, lambda: codes.append(rehearsal.rollback()))
    rehearsal.deploy("v2")
    assert rehearsal.tags(GREEN) == ("v1", "v1")
    told = next(event for event in rehearsal.events if isinstance(event, Summary))
    assert told.details == ("taken back: r-1",)  # nobody was on v2


def test_a_release_that_switches_just_before_it_is_taken_over_has_left_no_half_staged_slot() -> None:
    """Users were on it a moment ago: what a late node still sends there must be answered."""
    rehearsal = Rehearsal()

    def goes_on() -> None:
        """Between what the rollback has read of it and the lock."""
        grip, process = rehearsal.lock_state.holder, rehearsal.platform.session()
        assert grip is not None
        now = after(rehearsal.clock.now(), 1.0)
        moves = moves_to(rehearsal.tools(), process.routes(until=now), GREEN, order=rehearsal.stack.names)
        rehearsal.tools().record("r-1", Switching(moves=moves))
        process.route(moves, grip=grip, until=now)

    def by_hand() -> None:
        rehearsal.platform.faults.append(Fault(call="answering", action=goes_on))
        assert rehearsal.rollback() is ExitCode.OK

    rehearsal.clock.at(0.5, by_hand)
    rehearsal.deploy("v2")
    assert rehearsal.routes == (BLUE, BLUE)
    assert rehearsal.platform.calls.count("stage") == 1
    assert rehearsal.tags(GREEN) == ("v2", "v2")


def test_two_lines_of_kubectl_in_the_window_are_noticed_recorded_and_not_repaired() -> None:
    rehearsal = Rehearsal()

    def by_hand() -> None:
        for service in rehearsal.stack.names:
            rehearsal.platform.patch_by_hand(service, BLUE)

    rehearsal.clock.at(10.0, by_hand)
    assert rehearsal.deploy("v2") is ExitCode.ROLLED_BACK
    assert rehearsal.clock.now() < 11
    assert rehearsal.routes == (BLUE, BLUE)
    ended = rehearsal.last_run().ended
    assert ended is not None
    assert "by kubectl" in ended.why
    assert rehearsal.tags(GREEN) == ("v2", "v2")
    assert summary(rehearsal).way_back == "users are where they were; green holds nothing to go back to"


def test_one_line_of_kubectl_in_the_window_is_held_for_a_person() -> None:
    rehearsal = Rehearsal()
    rehearsal.clock.at(10.0, lambda: rehearsal.platform.patch_by_hand("pair-front", BLUE))
    assert rehearsal.deploy("v2") is ExitCode.HELD
    assert rehearsal.routes == (GREEN, BLUE)
    assert rehearsal.last_run().outcome is Outcome.YIELDED


def test_a_persons_line_between_our_two_writes_is_not_written_over() -> None:
    """Toward the service that is still to be written it is a no-op that nobody can see; the other one counts."""
    rehearsal = Rehearsal()

    def by_hand() -> None:
        assert rehearsal.routes == (GREEN, BLUE)
        rehearsal.platform.patch_by_hand("pair-back", BLUE)

    second_of_the_switch = 2 + 2  # the stamp writes two
    rehearsal.platform.faults.append(Fault(call="route", nth=second_of_the_switch, action=by_hand))
    code = rehearsal.deploy("v2")
    assert rehearsal.routes == (BLUE, BLUE)
    assert code is ExitCode.ROLLED_BACK
    ended = rehearsal.last_run().ended
    assert ended is not None
    assert "by kubectl" in ended.why


def test_a_controller_that_writes_while_a_write_is_taken_back_does_not_leave_the_stack_split() -> None:
    """A cloud's controller notes something on each Service, and moves nobody: before our second write, and again."""
    rehearsal = Rehearsal()

    def note_on(service: str) -> None:
        slot = rehearsal.platform.session().snapshot(until=rehearsal.clock.now()).route(service).slot
        assert slot is not None
        rehearsal.platform.patch_by_hand(service, slot, who="cloud-controller")

    second_of_the_switch, first_taken_back = 2 + 2, 2 + 3
    rehearsal.platform.faults += [
        Fault(call="route", nth=second_of_the_switch, action=lambda: note_on("pair-front")),
        Fault(call="route", nth=first_taken_back, action=lambda: note_on("pair-back")),
    ]
    assert rehearsal.deploy("v2") is ExitCode.OK
    assert rehearsal.routes == (GREEN, GREEN)


def test_a_premature_switch_by_hand_is_held_at_once_and_the_slot_with_users_is_left_alone() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(never_ready=True)
    rehearsal.clock.at(0.5, lambda: rehearsal.platform.patch_by_hand("pair-front", GREEN))
    assert rehearsal.deploy("v2") is ExitCode.HELD
    assert rehearsal.clock.now() == pytest.approx(0.5)
    assert rehearsal.tags(GREEN) == ("v2", "v2")
    last = summary(rehearsal)
    assert last.headline == "held: a person must decide"
    assert last.way_back == "bluegreen rollback --to blue"
    assert rehearsal.rollback(to=BLUE) is ExitCode.OK
    assert rehearsal.routes == (BLUE, BLUE)


def test_the_humans_lines_toward_the_live_slot_before_a_switch_are_harmless() -> None:
    rehearsal = Rehearsal()
    rehearsal.clock.at(0.5, lambda: rehearsal.platform.patch_by_hand("pair-front", BLUE))
    assert rehearsal.deploy("v2") is ExitCode.OK
    assert rehearsal.routes == (GREEN, GREEN)


MOVED = "r-1 left users on green, and somebody has moved them to blue since (written last by kubectl)"


def test_two_lines_of_kubectl_after_a_release_are_told_by_the_next_one_recorded_and_not_repaired() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    for service in rehearsal.stack.names:
        rehearsal.platform.patch_by_hand(service, BLUE)
    assert rehearsal.deploy("v3", dry_run=True) is ExitCode.OK
    assert [event.plan.notes[0] for event in rehearsal.events if isinstance(event, Planned)][1:] == [MOVED]
    assert rehearsal.routes == (BLUE, BLUE)
    rehearsal.events.clear()
    assert rehearsal.deploy("v1") is ExitCode.OK
    assert [event.text for event in rehearsal.events if isinstance(event, Note)] == [MOVED], "nothing else to do"
    assert rehearsal.deploy("v3") is ExitCode.OK
    kept = rehearsal.last_run().plan
    assert kept is not None
    assert kept.notes[0] == MOVED
    rehearsal.deploy("v4", dry_run=True)
    assert MOVED not in str(rehearsal.events[-3:]), "told once"


def test_a_split_stack_is_refused_by_deploy_and_ended_by_a_rollback_that_names_the_slot() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.patch_by_hand("pair-front", GREEN)
    with pytest.raises(Held, match="pair-back on blue, pair-front on green"):
        rehearsal.deploy("v2")
    assert rehearsal.rollback(to=BLUE) is ExitCode.OK
    assert rehearsal.routes == (BLUE, BLUE)


def test_a_split_stack_is_never_called_settled() -> None:
    """Where no release has switched it yet, nobody knows on which slot users were: a person names it."""
    rehearsal = Rehearsal()
    rehearsal.platform.patch_by_hand("pair-front", GREEN)
    with pytest.raises(Held, match="no way back to trust") as held:
        rehearsal.rollback()
    assert "--to" in held.value.mend
    assert rehearsal.routes == (BLUE, GREEN)


@pytest.mark.parametrize("moved", [("pair-front",), ("pair-back", "pair-front")])
def test_users_who_were_moved_forward_by_hand_after_a_bad_release_are_brought_back(moved: tuple[str, ...]) -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(errors=1.0)
    assert rehearsal.deploy("v2") is ExitCode.ROLLED_BACK
    for service in moved:
        rehearsal.platform.patch_by_hand(service, GREEN)
    assert rehearsal.rollback() is ExitCode.OK
    assert rehearsal.routes == (BLUE, BLUE)
    assert summary(rehearsal).headline == "rolled back: blue serves"
    assert "v2" not in " ".join(summary(rehearsal).details), "nobody was on it: green had its previous images back"


def test_a_full_disk_does_not_keep_users_on_a_bad_version() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    rehearsal.journal.full_after = 0
    assert rehearsal.rollback() is ExitCode.OK
    assert rehearsal.routes == (BLUE, BLUE)


class Unreadable:
    """A journal that another version has written, or whose disk has failed."""

    def record(self, *entries: Entry) -> None:
        raise JournalError("the journal cannot be used")

    def entries(self, run: str) -> Sequence[Entry]:
        raise JournalError("an entry is of another version", mend="upgrade this program")

    def runs(self, *, newest: int) -> Iterable[str]:
        return ["r-1"]


@pytest.mark.parametrize("cold", [False, True])
def test_a_journal_that_cannot_be_read_does_not_keep_users_from_a_slot_that_is_named(*, cold: bool) -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2", options=Options(scale_down_old=cold))
    tools = replace(rehearsal.tools(), journal=Unreadable())
    assert rollback(tools, to=BLUE, cold=cold) is ExitCode.OK
    assert rehearsal.routes == (BLUE, BLUE)
    warned = [event for event in rehearsal.events if isinstance(event, Warned)]
    assert warned[0].text == "what this takes back is not known: an entry is of another version"
    assert warned[0].mend == "upgrade this program"


def test_a_journal_that_cannot_be_read_is_told_with_the_way_that_needs_none() -> None:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2")
    with pytest.raises(JournalError, match="another version") as error:
        rollback(replace(rehearsal.tools(), journal=Unreadable()))
    way = "name the slot, which needs no journal: bluegreen rollback --to SLOT; or upgrade this program"
    assert error.value.mend == way
    assert rehearsal.routes == (GREEN, GREEN)
