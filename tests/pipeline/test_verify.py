"""The checklist's five minutes in virtual time: waited out, counted from the journal's mark, judged elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bluegreen.domain.checklist import State, checklist
from bluegreen.domain.errors import ExitCode, Interrupted, NotKnown, PlatformError, UsageError
from bluegreen.domain.events import Checklist, Summary, Waiting
from bluegreen.domain.finding import Outcome
from bluegreen.domain.plan import Options
from bluegreen.domain.release import Verified
from bluegreen.domain.stack import Slot, after
from bluegreen.domain.values import replace
from bluegreen.pipeline.verify import verify
from bluegreen.testing import Behaviour, Rehearsal, example_stack
from bluegreen.testing.platform import Fault

if TYPE_CHECKING:
    from bluegreen.domain.checklist import Item

BLUE, GREEN = Slot.BLUE, Slot.GREEN
SHORT = Options(validation_time=10.0)


def released(*, options: Options = SHORT, metered: bool = True, behaviour: Behaviour | None = None) -> Rehearsal:
    rehearsal = Rehearsal(example_stack(metered=metered))
    if behaviour is not None:
        rehearsal.platform.behaviours["v2"] = behaviour
    assert rehearsal.deploy("v2", options=options) is ExitCode.OK
    return rehearsal


def items(rehearsal: Rehearsal) -> tuple[Item, ...]:
    return checklist(rehearsal.last_run())


def states(rehearsal: Rehearsal) -> list[State]:
    return [item.state for item in items(rehearsal)]


def test_a_release_ends_with_its_checklist_and_one_item_open() -> None:
    rehearsal = released()

    told = [event for event in rehearsal.events if isinstance(event, Checklist)]
    assert [item.state for item in told[-1].items] == [State.MET, State.NOT_YET, State.MET, State.MET, State.MET]
    assert told[-1].items == items(rehearsal)
    assert isinstance(rehearsal.events[-1], Summary)


def test_verify_waits_for_the_rest_of_the_five_minutes_and_judges_them() -> None:
    rehearsal = released()
    started = rehearsal.clock.now()

    assert verify(rehearsal.tools(who="ci")) is ExitCode.OK

    run = rehearsal.last_run()
    assert run.mark is not None
    assert run.verified is not None
    waited = rehearsal.clock.now() - started
    assert waited == pytest.approx(290.0, abs=0.1)
    assert states(rehearsal) == [State.MET] * 5
    (answered,) = run.verified.tallied.answered
    assert answered.requests == pytest.approx(30_000, abs=10)  # 100 a second for 300 s
    waiting = [event for event in rehearsal.events if isinstance(event, Waiting)]
    assert waiting[-1].waited + waiting[-1].left == 300.0
    assert waiting[-1].left == pytest.approx(waited)


def test_errors_after_the_window_are_found_by_verify_and_nothing_is_rolled_back() -> None:
    rehearsal = released()
    rehearsal.platform.behaviours["v2"] = Behaviour(errors=0.05)

    assert verify(rehearsal.tools()) is ExitCode.NOT_FULFILLED

    assert states(rehearsal)[1] is State.NOT_MET
    assert rehearsal.routes == (GREEN, GREEN)
    summary = rehearsal.events[-1]
    assert isinstance(summary, Summary)
    assert summary.way_back == "bluegreen rollback"


def test_without_waiting_the_item_stays_open() -> None:
    rehearsal = released()
    assert verify(rehearsal.tools(), wait=False) is ExitCode.NOT_KNOWN
    assert rehearsal.last_run().verified is None


def test_what_was_judged_once_stands() -> None:
    rehearsal = released()
    verify(rehearsal.tools())
    before = rehearsal.last_run()
    rehearsal.platform.behaviours["v2"] = Behaviour(errors=1.0)
    rehearsal.clock.wait(until=after(rehearsal.clock.now(), 60.0))

    assert verify(rehearsal.tools()) is ExitCode.OK
    assert rehearsal.last_run() == before


def test_an_hour_later_a_clean_release_is_still_known_to_be_good() -> None:
    """No error in the whole time means none in the five minutes; the window's requests are enough to prove it."""
    rehearsal = released()
    rehearsal.clock.wait(until=after(rehearsal.clock.now(), 3600.0))
    assert verify(rehearsal.tools()) is ExitCode.OK
    assert "for certain within the five minutes" in items(rehearsal)[1].figures


def test_an_hour_later_errors_cannot_be_told_apart() -> None:
    rehearsal = released()
    rehearsal.platform.behaviours["v2"] = Behaviour(errors=0.005)
    rehearsal.clock.wait(until=after(rehearsal.clock.now(), 3600.0))
    assert verify(rehearsal.tools()) is ExitCode.NOT_KNOWN
    assert states(rehearsal)[1] is State.UNKNOWABLE


def test_a_rollback_ends_the_wait_at_once() -> None:
    rehearsal = released()

    def go_back() -> None:
        assert rehearsal.rollback() is ExitCode.OK

    rehearsal.clock.at(after(rehearsal.clock.now(), 60.0), go_back)
    started = rehearsal.clock.now()

    with pytest.raises(NotKnown, match=r"not in effect any more: pair-(front|back) was moved to blue"):
        verify(rehearsal.tools())
    assert rehearsal.clock.now() - started < 62.0


def test_a_rollback_and_a_way_forward_again_leave_nothing_to_judge() -> None:
    """Users were away for a while: the counters do not tell five minutes after the switch."""
    rehearsal = released()
    rehearsal.rollback()
    rehearsal.rollback(to=GREEN)
    with pytest.raises(NotKnown, match="has moved users since"):
        verify(rehearsal.tools(), release="r-1")


def test_a_release_that_was_staged_over_is_not_judged() -> None:
    rehearsal = released()
    rehearsal.deploy("v3", options=SHORT)
    rehearsal.deploy("v4", options=SHORT)
    assert rehearsal.routes == (GREEN, GREEN)
    first = [run.id for run in rehearsal.tools().runs()][-1]
    with pytest.raises(NotKnown, match="holds what another run has staged"):
        verify(rehearsal.tools(), release=first)


def test_a_stack_without_metrics_cannot_be_known() -> None:
    rehearsal = released(metered=False)
    assert verify(rehearsal.tools()) is ExitCode.NOT_KNOWN
    assert states(rehearsal)[1:4] == [State.UNKNOWABLE] * 3


def test_a_pod_that_was_started_again_is_a_gap() -> None:
    rehearsal = released(behaviour=Behaviour(crash_after=100.0))
    assert verify(rehearsal.tools()) is ExitCode.NOT_KNOWN
    found = items(rehearsal)[1]
    assert found.state is State.UNKNOWABLE
    assert "it was started again" in found.figures


def test_counters_that_say_less_than_in_the_window_prove_nothing() -> None:
    rehearsal = released(behaviour=Behaviour(counters_last=9.0))
    assert verify(rehearsal.tools()) is ExitCode.NOT_KNOWN
    found = items(rehearsal)[1]
    assert found.state is State.UNKNOWABLE
    assert "pair-front: its counters have begun again since the window" in found.figures


def test_a_slot_that_was_ended_as_asked_is_no_fault() -> None:
    rehearsal = released(options=Options(validation_time=10.0, scale_down_old=True))
    assert verify(rehearsal.tools()) is ExitCode.OK
    assert "given up as asked" in items(rehearsal)[4].figures


def test_a_slot_that_could_not_be_ended_is_not_called_ended() -> None:
    def fail() -> None:
        raise PlatformError("connection refused")

    rehearsal = Rehearsal()
    rehearsal.platform.faults.append(Fault(call="end", action=fail))
    rehearsal.deploy("v2", options=Options(validation_time=10.0, scale_down_old=True))
    assert (items(rehearsal)[4].state, items(rehearsal)[4].figures) == (State.MET, "blue: back 2/2, front 2/2 ready")


def test_a_wait_that_is_stopped_judges_nothing() -> None:
    rehearsal = released()
    rehearsal.clock.at(after(rehearsal.clock.now(), 5.0), lambda: rehearsal.clock.interrupt(signal="SIGTERM"))
    with pytest.raises(Interrupted):
        verify(rehearsal.tools())
    assert rehearsal.last_run().verified is None
    assert verify(rehearsal.tools()) is ExitCode.OK


def test_a_platform_that_cannot_be_seen_for_a_while_is_waited_for() -> None:
    from bluegreen.domain.errors import PlatformError

    def refuse() -> None:
        raise PlatformError("connection refused")

    rehearsal = released()
    rehearsal.platform.faults.append(Fault(call="changes", action=refuse))
    assert verify(rehearsal.tools()) is ExitCode.OK


@pytest.mark.parametrize(
    ("release", "error"),
    [("r-99", "there is no release r-99"), ("b-", "there is no release b-"), (None, "no release has brought users")],
)
def test_what_cannot_be_verified_is_refused(release: str | None, error: str) -> None:
    rehearsal = Rehearsal()
    with pytest.raises(UsageError, match=error):
        verify(rehearsal.tools(), release=release)


def test_a_release_that_was_rolled_back_has_its_checklist_too() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v2"] = Behaviour(errors=0.05)
    assert rehearsal.deploy("v2", options=SHORT) is ExitCode.ROLLED_BACK
    assert verify(rehearsal.tools()) is ExitCode.NOT_FULFILLED
    assert states(rehearsal)[1] is State.NOT_MET


def test_a_killed_release_is_verified_from_its_first_mark() -> None:
    """Taken up in its window, it counts from before any user came."""
    rehearsal = Rehearsal()
    calls: list[str] = []

    def kill(name: str) -> None:
        calls.append(name)
        if rehearsal.last_run().confirmed is not None and len(calls) > 40:
            raise KeyboardInterrupt

    rehearsal.deploy("v1b", options=SHORT)
    rehearsal.platform.on_call = kill
    with pytest.raises(KeyboardInterrupt):
        rehearsal.deploy("v2", options=Options(validation_time=60.0))
    rehearsal.platform.on_call = lambda _name: None
    rehearsal.die()
    first = rehearsal.last_run().mark
    assert first is not None

    rehearsal.clock.wait(until=after(rehearsal.clock.now(), 40.0))
    rehearsal.deploy("v2", options=SHORT)
    run = next(run for run in rehearsal.tools().runs() if run.mark is not None and run.mark == first)
    assert verify(rehearsal.tools(), release=run.id) is ExitCode.OK
    verified = next(entry.body for entry in rehearsal.journal.entries(run.id) if isinstance(entry.body, Verified))
    assert verified.tallied.since == first.read_at
    assert run.tallied is not None
    assert run.tallied.since == first.read_at  # its transition was then, not when it was taken up
    assert verified.judgement.outcome is Outcome.PASS


@pytest.mark.parametrize(("rate", "state"), [(0.0, State.UNKNOWABLE), (100.0, State.MET)])
def test_probes_and_our_own_reads_do_not_fulfil_the_checklist(rate: float, state: State) -> None:
    back, front = example_stack().services
    rehearsal = Rehearsal(replace(example_stack(), services=(back, replace(front, replicas=4))), rate=rate)
    rehearsal.platform.reads_are_requests, rehearsal.platform.plane_counts = True, False
    rehearsal.deploy("v2", options=Options(validation_time=295.0))
    verify(rehearsal.tools())
    assert states(rehearsal)[1] is state
    assert ("may be probes and reads of the metrics" in items(rehearsal)[1].figures) is (state is State.UNKNOWABLE)


def test_asked_late_only_the_probes_of_the_window_are_taken_out() -> None:
    rehearsal = released()
    rehearsal.platform.reads_are_requests = True
    rehearsal.clock.wait(until=after(rehearsal.clock.now(), 7200.0))
    assert verify(rehearsal.tools()) is ExitCode.OK
