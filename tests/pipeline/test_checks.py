"""The checks of the idle slot in virtual time: what is asked, how often, and what a release makes of the answers."""

from __future__ import annotations

import pytest

from bluegreen.domain.errors import ExitCode, PlatformError, UsageError
from bluegreen.domain.events import Checked, Failing, Note, Summary, Waiting, Warned
from bluegreen.domain.release import CheckKind, CheckMade, Outcome, Validated
from bluegreen.domain.stack import CommandCheck, HttpCheck, Repeat, Slot, Tells, Told
from bluegreen.domain.values import replace
from bluegreen.testing import Behaviour, Ending, Fault, Rehearsal, example_stack

BLUE, GREEN = Slot.BLUE, Slot.GREEN

WORK = HttpCheck(name="work", service="pair-front", path="/work")
SMOKE = CommandCheck(name="smoke", command=("./smoke.sh", "--quick"))


def rehearsal(*checks: HttpCheck | CommandCheck, how: Behaviour | None = None) -> Rehearsal:
    made = Rehearsal(replace(example_stack(), checks=checks))
    if how is not None:
        made.platform.behaviours["v2"] = how
    return made


def made(done: Rehearsal) -> tuple[CheckMade, ...]:
    """What the journal has of them."""
    (validated,) = (entry.body for entry in done.last_run().entries if isinstance(entry.body, Validated))
    return validated.checks


def why(done: Rehearsal) -> str:
    return next(event.why for event in done.events if isinstance(event, Failing))


def told(done: Rehearsal) -> list[tuple[str, bool]]:
    return [(event.name, event.passed) for event in done.events if isinstance(event, Checked)]


def test_every_stack_is_asked_on_every_pod_and_at_its_own_addresses() -> None:
    done = rehearsal()
    assert done.deploy("v2") is ExitCode.OK
    found = [(each.what, each.asked, each.good, each.unknown) for each in made(done)]
    health, in_slot = CheckKind.HEALTH, CheckKind.IN_SLOT
    assert found == [(health, 2, 2, 0), (health, 2, 2, 0), (in_slot, 1, 1, 0), (in_slot, 1, 1, 0)]
    assert told(done) == [("health endpoints of every pod", True), ("the slot's own addresses", True)]


def test_a_health_endpoint_that_is_bad_fails_the_release_in_seconds_with_pod_and_answer() -> None:
    done = rehearsal(how=Behaviour(checks_pass=False, answer="no\x1b[31m database"))
    assert done.deploy("v2") is ExitCode.FAILED
    assert "'health /health' (pair-back, pods) in green: pair-back-green-0@" in why(done)
    assert "answered 503, not 2xx or 3xx: 'no database'" in why(done)
    assert "tried 6 times in 5 s" in why(done)
    assert done.routes == (BLUE, BLUE)
    assert done.clock.now() < 10


def test_a_hiccup_of_a_health_endpoint_is_no_doom() -> None:
    done = rehearsal(how=Behaviour(bad_answers=2))
    assert done.deploy("v2") is ExitCode.OK
    waits = [want for event in done.events if isinstance(event, Waiting) for want in event.wants]
    assert any("check 'health /ready' (pair-front, pods) again" in want for want in waits)


def test_what_is_built_in_and_cannot_be_asked_is_not_known_and_said() -> None:
    """A kubelet has asked the readiness path already; the app file's own checks are another matter."""
    done = rehearsal(how=Behaviour(answer_after=6.0))
    assert done.deploy("v2") is ExitCode.OK
    assert {(each.what, each.good, each.unknown) for each in made(done)} == {
        (CheckKind.HEALTH, 0, 2),
        (CheckKind.IN_SLOT, 0, 1),
    }
    warned = [event.text for event in done.events if isinstance(event, Warned)]
    assert any("health endpoints of every pod: not known, so readiness alone decides" in text for text in warned)

    done = rehearsal(WORK, how=Behaviour(answer_after=6.0))
    assert done.deploy("v2") is ExitCode.FAILED
    assert "not reachable" in why(done)


def test_a_slot_without_an_address_of_its_own_is_asked_on_its_pods_only() -> None:
    done = rehearsal(WORK)
    done.platform.no_preview.add("pair-front")
    assert done.deploy("v2") is ExitCode.OK
    assert [event.text for event in done.events if isinstance(event, Note) and "address" in event.text] == [
        "pair-front: the slot has no address of its own; its checks were made on its pods only"
    ]
    assert [each.name for each in made(done) if each.what is CheckKind.APP] == ["'work' (pair-front, pods)"]
    assert [each.name for each in made(done) if each.what is CheckKind.IN_SLOT] == [
        "'its address in the slot' (pair-back, preview)"
    ]


def test_the_app_files_check_fails_at_its_first_bad_answer_unless_it_is_given_time() -> None:
    how = Behaviour(bad_answers=3)
    impatient = replace(WORK, repeat=Repeat())
    done = rehearsal(impatient, how=how)
    assert done.deploy("v2") is ExitCode.FAILED
    assert "check 'work' (pair-front, pods) in green" in why(done)

    patient = replace(WORK, repeat=Repeat(within=10.0, interval=0.5))
    assert rehearsal(patient, how=how).deploy("v2") is ExitCode.OK


def test_n_in_a_row_take_n_minus_one_intervals_and_a_bad_one_begins_the_row_anew() -> None:
    check = replace(WORK, repeat=Repeat(consecutive=4, interval=2.0, within=60.0))
    done = rehearsal(check)
    before = rehearsal()
    assert done.deploy("v2") is before.deploy("v2") is ExitCode.OK
    assert done.clock.now() - before.clock.now() == pytest.approx(6.0, abs=0.01)
    waits = [want for event in done.events if isinstance(event, Waiting) for want in event.wants]
    assert "check 'work' (pair-front, pods) again: 3 of 4 in a row, tried 3 times in 4 s" in waits


def test_a_row_that_is_not_whole_in_time_fails() -> None:
    check = replace(WORK, repeat=Repeat(consecutive=4, interval=2.0, within=7.0))
    done = rehearsal(check, how=Behaviour(bad_answers=1))
    assert done.deploy("v2") is ExitCode.FAILED
    assert "3 of 4 in a row, tried 4 times in 6 s" in why(done)


def test_a_pod_that_says_another_version_or_slot_is_not_what_was_staged() -> None:
    stack = example_stack()
    tells = Tells(path="/ready", slot=Told(header="X-Slot"), version=Told(json="version"))
    services = tuple(replace(each, tells=tells) for each in stack.services)
    good = Behaviour(headers=(("X-Slot", "green"),), answer='{"version": "v2"}')
    for how, said in (
        (good, ""),
        (replace(good, headers=(("X-Slot", "blue"),)), "the header X-Slot is 'blue', not 'green'"),
        (replace(good, answer='{"version": "v1"}'), 'version is "v1", not "v2"'),
    ):
        done = Rehearsal(replace(stack, services=services))
        done.platform.behaviours["v2"] = how
        assert done.deploy("v2") is (ExitCode.FAILED if said else ExitCode.OK)
        assert not said or said in why(done)
        assert said or ("slot and version as expected", True) in told(done)


def test_a_command_is_told_of_the_release_and_decides_by_its_exit_code() -> None:
    done = rehearsal(SMOKE)
    assert done.deploy("v2") is ExitCode.OK
    (errand,) = done.commands.errands
    assert (errand.check, errand.slot, errand.release) == (SMOKE, GREEN, done.last_run().id)
    assert [spec.image.tag for spec in errand.workloads] == ["v2", "v2"]
    assert ("'smoke' (command)", True) in told(done)
    assert made(done)[-1].name == "'smoke' (command)"

    done = rehearsal(SMOKE)
    done.commands.endings["./smoke.sh"] = [Ending(code=3, said="no database")]
    assert done.deploy("v2") is ExitCode.FAILED
    assert "check 'smoke' (command) in green: exit code 3: no database" in why(done)


def test_a_command_is_killed_at_its_limit_and_may_be_tried_again() -> None:
    check = replace(SMOKE, timeout=10.0, repeat=Repeat(consecutive=2, interval=1.0, within=30.0))
    done = rehearsal(check)
    done.commands.endings["./smoke.sh"] = [Ending(took=99.0), Ending(), Ending(took=0.5)]
    assert done.deploy("v2") is ExitCode.OK
    assert len(done.commands.errands) == 3


def test_a_command_that_is_not_there_is_told_before_anything_is_written() -> None:
    done = rehearsal(SMOKE)
    done.commands.missing.add("./smoke.sh")
    with pytest.raises(UsageError, match="check 'smoke': there is no program"):
        done.deploy("v2")
    assert "stage" not in done.platform.calls


def test_after_checks_that_took_long_the_slot_is_looked_at_again_before_the_switch() -> None:
    check = replace(WORK, repeat=Repeat(consecutive=3, interval=4.0, within=60.0))
    done = rehearsal(check)
    assert done.deploy("v2") is ExitCode.OK
    staged = done.platform.calls.index("stage")
    calls = done.platform.calls[staged : done.platform.calls.index("route", staged)]
    last = max(place for place, call in enumerate(calls) if call == "check")
    assert "changes" in calls[last:]
    done = rehearsal(replace(check, repeat=Repeat(consecutive=3, interval=4.0)), how=Behaviour(crash_after=8.5))
    assert done.deploy("v2") is ExitCode.FAILED
    assert done.routes == (BLUE, BLUE)


def test_an_interrupt_between_two_tries_leaves_users_where_they_were() -> None:
    check = replace(WORK, repeat=Repeat(consecutive=3, interval=30.0))
    done = rehearsal(check)
    done.clock.at(20.0, done.clock.interrupt)
    assert done.deploy("v2") is ExitCode.INTERRUPTED
    assert done.routes == (BLUE, BLUE)
    assert done.last_run().outcome is Outcome.INTERRUPTED


def test_a_platform_that_cannot_be_asked_at_all_ends_the_release() -> None:
    done = rehearsal()

    def gone() -> None:
        raise PlatformError("the API server cannot be reached")

    done.platform.faults.append(Fault(call="check", action=gone))
    assert done.deploy("v2") is ExitCode.UNREACHABLE
    summary = done.events[-1]
    assert isinstance(summary, Summary)
    assert done.routes == (BLUE, BLUE)
