"""The observation window in virtual time: what each kind of bad version, of traffic and of metrics comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bluegreen.domain.checklist import State, checklist
from bluegreen.domain.errors import ExitCode, PlatformError
from bluegreen.domain.events import Observed, Proved, Summary, Warned
from bluegreen.domain.plan import Options
from bluegreen.domain.release import Judged, Outcome
from bluegreen.domain.stack import HttpCheck, Instant, Probe, Probes, Slot
from bluegreen.domain.values import replace
from bluegreen.metrics.merged import WithArrivals
from bluegreen.pipeline.observe import LOOK_AGAIN
from bluegreen.pipeline.release import release
from bluegreen.pipeline.verify import verify
from bluegreen.testing import Behaviour, Fault, Rehearsal, example_stack
from bluegreen.testing.clock import EPOCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.finding import Judgement
    from bluegreen.domain.reading import Arrivals
    from bluegreen.testing import FakePlatform

BLUE, GREEN = Slot.BLUE, Slot.GREEN
CHECK = HttpCheck(name="works", service="pair-front", path="/")


def judged(rehearsal: Rehearsal) -> Judgement:
    found = rehearsal.last_run().judgement
    assert found is not None
    return found


def summary(rehearsal: Rehearsal) -> Summary:
    last = rehearsal.events[-1]
    assert isinstance(last, Summary)
    return last


def run(
    behaviour: Behaviour, options: Options | None = None, *, rate: float = 100.0, checked: bool = True
) -> Rehearsal:
    """A release of a version that behaves so. ``checked``: the app file has a check."""
    stack = replace(example_stack(), checks=(CHECK,) if checked else ())
    rehearsal = Rehearsal(stack, rate=rate)
    rehearsal.platform.behaviours["v2"] = behaviour
    rehearsal.platform.post_share = 0.2
    rehearsal.deploy("v2", options=options)
    return rehearsal


PROOF = Options(require_proof=True)
OURS = Options(synthetic_traffic=True)


@pytest.mark.parametrize(
    ("behaviour", "outcome", "named"),
    [
        (Behaviour(), Outcome.RELEASED, ""),
        (Behaviour(post_errors=0.05), Outcome.ROLLED_BACK, "error share: pair-front POST: "),
        (Behaviour(post_errors=0.01), Outcome.NOT_PROVEN, "error share: pair-front POST: "),
        (Behaviour(slow=0.1), Outcome.ROLLED_BACK, "P95 overhead"),
        (Behaviour(slow=0.02), Outcome.RELEASED, ""),
        (Behaviour(crash_after=21.0), Outcome.ROLLED_BACK, "crash"),
        (Behaviour(metrics_until=10.0), Outcome.NOT_PROVEN, "metrics: pair-front-green-0@r-1 and"),
        (Behaviour(counters_last=7.0), Outcome.RELEASED, ""),
        (Behaviour(counters_last=7.0, errors=0.05), Outcome.ROLLED_BACK, "error share"),
        (Behaviour(deaf=True), Outcome.ROLLED_BACK, "silence: pair-front: 0 requests in the 1"),
        (Behaviour(bad_after=8.0), Outcome.RELEASED, ""),  # an error page with status 200, which no counter tells
    ],
)
def test_each_kind_of_version(behaviour: Behaviour, outcome: Outcome, named: str) -> None:
    rehearsal = run(behaviour)
    ended = rehearsal.last_run().ended
    assert ended is not None
    assert ended.outcome is outcome
    assert named in ended.why
    assert rehearsal.routes == ((GREEN, GREEN) if outcome.in_effect else (BLUE, BLUE))


@pytest.mark.parametrize(
    ("away", "outcome", "judged_at"), [(3.0, Outcome.RELEASED, 33.0), (60.0, Outcome.ROLLED_BACK, 36.0)]
)
def test_counters_that_cannot_be_read_for_a_moment_at_the_end_are_waited_for(
    away: float, outcome: Outcome, judged_at: float
) -> None:
    """An API server that is started anew just then is no missing proof. What stays away is, a few seconds later."""
    rehearsal = Rehearsal()
    begins = 30.0

    def become(behaviour: Behaviour) -> None:
        rehearsal.platform.behaviours["v2"] = behaviour

    rehearsal.clock.at(begins, lambda: become(Behaviour(no_metrics=True)))
    rehearsal.clock.at(begins + away, lambda: become(Behaviour()))
    rehearsal.deploy("v2", options=PROOF)
    assert rehearsal.last_run().outcome is outcome
    at = next(entry.at for entry in rehearsal.last_run().entries if isinstance(entry.body, Judged))
    assert judged_at <= at - EPOCH <= judged_at + LOOK_AGAIN


def test_a_platform_that_cannot_be_seen_for_a_moment_at_the_end_is_looked_at_again() -> None:
    rehearsal = Rehearsal()

    def away(_name: str) -> None:
        if 30.0 <= rehearsal.clock.now() < 33.0:
            raise PlatformError("connection refused")

    rehearsal.platform.on_call = away
    assert rehearsal.deploy("v2") is ExitCode.OK
    assert rehearsal.last_run().outcome is Outcome.RELEASED


def test_counters_that_began_again_are_said() -> None:
    """Three resets in the window: had only its ends been read, the last seconds would have been all of it."""
    found = judged(run(Behaviour(counters_last=7.0, errors=0.05)))
    share = found.findings[0]
    assert share.of is not None
    assert share.of > 2000
    assert "pair-front-green-0@r-1: its counters began again from nothing" in found.notes[1]


def test_counters_that_began_again_hide_nothing_from_the_checklist() -> None:
    """As many answers as were judged, and no 502/503 is not said of those that nobody has counted."""
    rehearsal = run(Behaviour(counters_last=7.0))
    found = rehearsal.last_run()
    assert found.tallied is not None
    assert found.judgement is not None
    new = next(each for each in found.tallied.answered if each.slot is GREEN)
    assert new.requests == found.judgement.findings[0].of
    assert "its counters began again from nothing" in found.tallied.gaps[0]
    transition = checklist(found)[3]
    assert transition.state is State.UNKNOWABLE
    assert "0 of 2,400" in transition.figures


@pytest.mark.parametrize(("behaviour", "metered"), [(Behaviour(), True), (Behaviour(no_metrics=True), False)])
def test_each_look_says_whether_anybody_counts(behaviour: Behaviour, *, metered: bool) -> None:
    looks = [event for event in run(behaviour).events if isinstance(event, Observed)]
    assert looks
    assert {look.metered for look in looks} == {metered}


def test_silence_does_not_wait_for_the_end() -> None:
    rehearsal = run(Behaviour(deaf=True), Options(validation_time=300.0, keep_failed=True))
    assert rehearsal.clock.now() < 15


def test_the_old_slots_figures_of_the_time_before_the_switch() -> None:
    rehearsal = run(Behaviour(ready_after=40.0, post_errors=0.05))
    old = judged(rehearsal).findings[0].old
    assert old is not None
    assert (old.bad, round(old.seconds)) == (0, 40)
    assert old.of == pytest.approx(4000, abs=5)


def test_a_look_at_the_old_slot_that_fails_holds_nothing_up() -> None:
    def fail() -> None:
        raise PlatformError("connection refused")

    rehearsal = Rehearsal()
    rehearsal.platform.faults += [Fault(call="read", action=fail), Fault(call="read", action=fail)]
    assert rehearsal.deploy("v2") is ExitCode.OK
    assert judged(rehearsal).findings[0].old is None
    assert summary(rehearsal).outcome is Outcome.RELEASED
    assert rehearsal.clock.now() == pytest.approx(31.0, abs=0.1)


# Proof.


@pytest.mark.parametrize(
    ("behaviour", "rate", "settle"),
    [
        (Behaviour(), 0.0, "459 requests without an error"),
        (Behaviour(), 5.0, "309 more requests without an error, some 92 s of window in all at this rate"),
        (Behaviour(no_metrics=True), 100.0, "the metrics of pair-front-green-0@r-1"),
    ],
)
def test_what_proves_nothing_is_released_and_says_what_would_settle_it(
    behaviour: Behaviour, rate: float, settle: str
) -> None:
    rehearsal = run(behaviour, rate=rate)
    assert summary(rehearsal).outcome is Outcome.NOT_PROVEN
    assert summary(rehearsal).exit_code is ExitCode.OK
    told = [line for line in summary(rehearsal).details if line.startswith("to settle it: ")]
    assert told[0].startswith(f"to settle it: {settle}")


@pytest.mark.parametrize("rate", [0.0, 2.0])
def test_with_require_proof_it_is_rolled_back_and_says_why(rate: float) -> None:
    rehearsal = run(Behaviour(), PROOF, rate=rate)
    assert rehearsal.routes == (BLUE, BLUE)
    assert summary(rehearsal).exit_code is ExitCode.ROLLED_BACK
    assert any("not proven, which --require-proof asks for: " in line for line in summary(rehearsal).details)
    assert any(line.startswith("what to do: to settle it: ") for line in summary(rehearsal).details)


def test_with_require_proof_a_proven_release_stays() -> None:
    assert run(Behaviour(), PROOF).routes == (GREEN, GREEN)


def test_users_who_come_only_in_the_window_prove_that_it_serves() -> None:
    rehearsal = Rehearsal(rate=0.0)
    rehearsal.platform.entry_answers = False
    rehearsal.clock.at(rehearsal.clock.now() + 20.0, lambda: rehearsal.platform.users("pair-front", requests=1000))
    rehearsal.deploy("v2")
    assert [event.how for event in rehearsal.events if isinstance(event, Proved)] == [
        "",
        "the data plane has sent 1000 requests to green",
    ]
    assert summary(rehearsal).outcome is Outcome.RELEASED


def proofs(rehearsal: Rehearsal) -> list[str]:
    return [event.how for event in rehearsal.events if isinstance(event, Proved)]


def test_our_own_reads_of_the_metrics_are_no_users_at_its_end_either() -> None:
    """Probes so rare that what they may have asked does not hide the reads."""
    rare = Probe(path="/ready", period=300.0)
    back, front = example_stack().services
    stack = replace(
        example_stack(), services=(back, replace(front, probes=Probes(startup=rare, readiness=rare, liveness=rare)))
    )
    rehearsal = Rehearsal(stack, rate=0.0)
    rehearsal.platform.plane_counts = rehearsal.platform.entry_answers = False
    rehearsal.platform.reads_are_requests = True
    rehearsal.deploy("v2")
    assert proofs(rehearsal) == [""]


# Synthetic traffic.


def test_our_own_requests_are_no_proof_that_users_arrive() -> None:
    rehearsal = Rehearsal(replace(example_stack(), checks=(CHECK, replace(CHECK, name="again"))), rate=0.0)
    rehearsal.platform.plane_counts = rehearsal.platform.entry_answers = False
    options = replace(OURS, validation_time=60.0)
    rehearsal.deploy("v2", options=options)
    assert proofs(rehearsal) == [""]
    assert "no witness saw a user's request answered by the new slot" in rehearsal.last_run().ended.why  # type: ignore[union-attr]

    rehearsal.clock.at(rehearsal.clock.now() + 20.0, lambda: rehearsal.platform.users("pair-front", requests=1000))
    rehearsal.deploy("v3", options=options)
    assert proofs(rehearsal)[2].startswith("the pods of blue have counted ")


def test_each_service_is_asked_where_it_can_be() -> None:
    """The one behind has no address that users call: it is asked at its slot's own, whoever answered before it."""
    stack = replace(example_stack(), checks=(CHECK, replace(CHECK, name="behind", service="pair-back")))
    rehearsal = Rehearsal(stack)
    rehearsal.platform.no_entry = {"pair-back"}
    rehearsal.deploy("v2", options=OURS)
    found = judged(rehearsal).findings[-1]
    assert (found.rule, found.of) == ("synthetic traffic", 15 + 14)
    assert found.figures == "0 of 29 of our own requests went wrong"


def test_a_service_that_could_not_be_asked_is_named() -> None:
    stack = replace(example_stack(), checks=(CHECK, replace(CHECK, name="behind", service="pair-back")))
    rehearsal = Rehearsal(stack)
    rehearsal.platform.no_entry = rehearsal.platform.no_preview = {"pair-back"}
    rehearsal.deploy("v2", options=OURS)
    found = judged(rehearsal).findings[-1]
    assert found.figures.startswith("0 of 15 of our own requests went wrong; not asked at the end: pair-back: ")


def test_an_error_page_that_comes_with_the_users_is_seen_by_our_own_requests() -> None:
    rehearsal = run(Behaviour(bad_after=8.0), OURS)
    finding = judged(rehearsal).findings[0]
    assert (finding.rule, rehearsal.routes) == ("synthetic traffic", (BLUE, BLUE))
    assert rehearsal.clock.now() < 30


def test_our_own_requests_are_counted_apart() -> None:
    rehearsal = run(Behaviour(), OURS)
    found = {finding.rule: finding for finding in judged(rehearsal).findings if not finding.part}
    assert summary(rehearsal).outcome is Outcome.RELEASED
    assert found["synthetic traffic"].of == 15
    with_users_only = judged(run(Behaviour())).findings[0].of
    assert found["error share"].of == pytest.approx(with_users_only, abs=2)


def test_without_users_our_own_requests_prove_no_share() -> None:
    rehearsal = run(Behaviour(), OURS, rate=0.0)
    assert summary(rehearsal).outcome is Outcome.NOT_PROVEN
    assert judged(rehearsal).findings[0].of == 1  # the one that looked for a witness


def test_an_address_that_cannot_be_reached_is_said_before_anything_is_written() -> None:
    rehearsal = Rehearsal(replace(example_stack(), checks=(CHECK,)))
    rehearsal.platform.entry_answers = False
    rehearsal.platform.behaviours["v2"] = Behaviour(bad_after=8.0)
    rehearsal.deploy("v2", options=OURS, dry_run=True)
    text = "pair-front cannot be asked from here at the address that users call: synthetic traffic goes to green's own"
    assert [event.text.startswith(text) for event in rehearsal.events if isinstance(event, Warned)] == [True]
    assert rehearsal.deploy("v2", options=OURS) is ExitCode.ROLLED_BACK
    assert judged(rehearsal).findings[0].rule == "synthetic traffic"


def test_only_requests_that_change_nothing_are_made() -> None:
    post = replace(CHECK, name="order", method="POST")
    rehearsal = Rehearsal(replace(example_stack(), checks=(CHECK, post)))
    rehearsal.deploy("v2", options=OURS)
    found = [finding for finding in judged(rehearsal).findings if finding.rule == "synthetic traffic"]
    assert found[0].of == 15


class BusyPlane:
    """The data plane's counters, of which one question goes unanswered."""

    def __init__(self, platform: FakePlatform, *, unanswered: int) -> None:
        self._platform, self._unanswered, self._asked = platform, unanswered, 0

    def __call__(self, until: Instant) -> Sequence[Arrivals]:
        self._asked += 1
        if self._asked == self._unanswered:
            raise PlatformError("Envoy does not answer")
        return self._platform.read(self._platform.snapshot(until=until), until=until).arrivals


def deploy_with_busy_plane(rehearsal: Rehearsal, *, unanswered: int) -> ExitCode:
    tools = rehearsal.tools()
    plane = BusyPlane(rehearsal.platform.session(), unanswered=unanswered)
    tools.platform.plane_counts = False  # type: ignore[attr-defined]
    images = {name: rehearsal.image(name, "v2") for name in rehearsal.stack.names}
    return release(replace(tools, metrics=WithArrivals(tools.metrics, plane)), images=images, options=Options())


LONG_AGO, BEFORE, ROUTED = 50.0, 3, 4
"""For so long the old slot has had users; the readings right before the switch, and when it had arrived."""


def test_a_data_plane_that_is_silent_right_after_the_switch_sends_nobody_back() -> None:
    """What it had counted before is not what fell back: its counters are as old as its process."""
    rehearsal = Rehearsal()
    rehearsal.clock.wait(until=Instant(LONG_AGO))
    assert deploy_with_busy_plane(rehearsal, unanswered=ROUTED) is ExitCode.OK
    assert rehearsal.routes == (GREEN, GREEN)
    assert judged(rehearsal).reasons == (
        "metrics: the data plane could not be asked right after the switch: what blue still got is not known",
    )


def test_requests_that_the_data_plane_counted_long_before_are_no_witness() -> None:
    rehearsal = Rehearsal(rate=0.0)
    rehearsal.deploy("v3")
    rehearsal.platform.users("pair-front", requests=1000)
    rehearsal.rollback()
    rehearsal.platform.entry_answers = False
    assert deploy_with_busy_plane(rehearsal, unanswered=BEFORE) is ExitCode.OK
    confirmed = rehearsal.last_run().confirmed
    assert confirmed is not None
    assert confirmed.how == ""


# Several processes behind one address, each with counters of its own.


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_an_old_slot_whose_processes_answer_in_turn_makes_nobody_silent(workers: int) -> None:
    """The one has counted a million more than the other: the difference is no traffic of the time before the switch."""
    rehearsal = Rehearsal()
    rehearsal.platform.plane_counts = False
    rehearsal.platform.behaviours["v1"] = Behaviour(workers=workers)
    rehearsal.clock.wait(until=Instant(100_000.0))
    assert rehearsal.deploy("v2") is ExitCode.OK
    assert summary(rehearsal).outcome is Outcome.RELEASED
    old = judged(rehearsal).findings[0].old
    assert old is None or old.of <= 3000


@pytest.mark.parametrize(("rate", "most"), [(4.0, 120), (100.0, 3000)])
def test_what_processes_that_answer_in_turn_have_counted_is_counted_once(rate: float, most: int) -> None:
    """Read as resets, thirty requests would come to hundreds, which prove; and one error to a dozen, which condemn."""
    rehearsal = run(Behaviour(workers=3, ready_after=30.0), Options(validation_time=60.0), rate=rate / 2)
    found = judged(rehearsal)
    share = found.findings[1] if found.findings[0].rule == "metrics" else found.findings[0]
    assert share.of is not None
    assert share.of <= most
    assert summary(rehearsal).outcome is Outcome.NOT_PROVEN
    assert "each look reads one: not all is counted" in rehearsal.last_run().ended.why  # type: ignore[union-attr]


def test_processes_that_answer_in_turn_are_not_waited_for_at_the_end() -> None:
    """They are no hiccup: five seconds later there are as many."""

    def judged_at(behaviour: Behaviour) -> float:
        entries = run(behaviour, Options(validation_time=8.0)).last_run().entries
        return next(entry.at for entry in entries if isinstance(entry.body, Judged))

    assert judged_at(Behaviour(workers=2)) == judged_at(Behaviour())


def test_errors_that_were_counted_of_some_processes_still_count() -> None:
    assert run(Behaviour(workers=2, errors=0.05)).routes == (BLUE, BLUE)


# Probes, and our own reads.


@pytest.mark.parametrize(("rate", "outcome"), [(0.0, Outcome.NOT_PROVEN), (100.0, Outcome.RELEASED)])
def test_an_app_that_counts_our_reads_is_not_proven_by_them(rate: float, outcome: Outcome) -> None:
    """Ten minutes of looks at two pods are six hundred requests, all of them good, whether a user came or not."""
    rehearsal = Rehearsal(rate=rate)
    rehearsal.platform.reads_are_requests, rehearsal.platform.plane_counts = True, False
    rehearsal.deploy("v2", options=Options(validation_time=600.0))
    assert summary(rehearsal).outcome is outcome
    told = "604 of them may be probes and requests of our own"
    assert (told in judged(rehearsal).findings[0].figures) is (outcome is Outcome.NOT_PROVEN)


def test_a_machine_that_slept_during_the_release_takes_an_hours_traffic_for_no_seconds() -> None:
    """A laptop that was closed while the new slot became ready: its clock stood still, and users went on."""
    rehearsal = Rehearsal(rate=10.0)
    rehearsal.platform.behaviours["v2"] = Behaviour(ready_after=20.0)

    def suspend() -> None:
        rehearsal.clock.sleep(3600.0)
        rehearsal.platform.users("pair-front", requests=36_000)

    rehearsal.clock.at(10.0, suspend)
    assert rehearsal.deploy("v2", options=Options(validation_time=60.0)) is ExitCode.OK
    assert summary(rehearsal).outcome is Outcome.RELEASED
    assert judged(rehearsal).findings[0].old is None


def test_counters_that_come_with_the_first_request_prove_what_others_do() -> None:
    """They are the witness where the data plane does not count, and the checklist's five minutes are known by them."""
    rehearsal = Rehearsal()
    rehearsal.platform.plane_counts = rehearsal.platform.entry_answers = False
    rehearsal.platform.behaviours |= {"v1": Behaviour(late_counters=True), "v2": Behaviour(late_counters=True)}
    assert rehearsal.deploy("v2") is ExitCode.OK
    assert proofs(rehearsal)[0].startswith("the pods of green have counted ")
    assert summary(rehearsal).outcome is Outcome.RELEASED
    assert verify(rehearsal.tools()) is ExitCode.OK
