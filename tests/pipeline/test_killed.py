"""Killed at any call, the stack serves, and the next command knows what to do.

The run is stopped at every single call that it makes to the platform, before it and after each write; then each verb is
tried as the next command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bluegreen.domain.errors import ExitCode, PlatformError
from bluegreen.domain.events import Summary
from bluegreen.domain.plan import Options
from bluegreen.domain.release import Outcome
from bluegreen.domain.stack import Slot, after
from bluegreen.testing import Behaviour, Fault, Rehearsal

if TYPE_CHECKING:
    from collections.abc import Callable

BLUE, GREEN = Slot.BLUE, Slot.GREEN
SHORT = Options(validation_time=4.0, scale_down_old=True)


class Killed(BaseException):
    """What SIGKILL looks like from inside a test: nothing after it runs but the kernel's release of the lock."""


def killed_at(call: int, *, options: Options = SHORT) -> tuple[Rehearsal, str] | None:
    """A rehearsal whose deploy was killed at its ``call``-th call, and that call's name; None: it ended before."""
    rehearsal = Rehearsal()
    seen: list[str] = []

    def count(name: str) -> None:
        seen.append(name)
        if len(seen) == call:
            raise Killed

    rehearsal.platform.on_call = count
    try:
        rehearsal.deploy("v2", options=options)
    except Killed:
        rehearsal.platform.on_call = lambda _name: None
        rehearsal.die()
        return rehearsal, seen[-1]
    return None


def every_kill() -> list[int]:
    calls = 1
    while killed_at(calls) is not None:
        calls += 1
    assert calls > 30
    return list(range(1, calls))


CALLS = every_kill()


def killed(call: int) -> Rehearsal:
    found = killed_at(call)
    assert found is not None
    return found[0]


def serves(rehearsal: Rehearsal) -> bool:
    """Whether every route leads to a slot with ready pods."""
    snapshot = rehearsal.platform.snapshot(until=rehearsal.clock.now())
    return all(
        route.slot is not None and snapshot.workload(route.service, route.slot).ready for route in snapshot.routes
    )


@pytest.mark.parametrize("call", CALLS)
def test_the_stack_serves_right_after_the_kill(call: int) -> None:
    assert serves(killed(call))


@pytest.mark.parametrize("call", CALLS)
def test_the_next_deploy_ends_what_was_left_and_releases(call: int) -> None:
    rehearsal = killed(call)
    assert rehearsal.deploy("v3", options=Options(validation_time=4.0)) is ExitCode.OK
    assert serves(rehearsal)
    serving = set(rehearsal.routes)
    assert len(serving) == 1
    assert rehearsal.tags(serving.pop() or BLUE) == ("v3", "v3")
    assert all(run.outcome is not None for run in rehearsal.tools().runs())


@pytest.mark.parametrize("call", CALLS)
def test_the_same_deploy_again_ends_with_the_same_result(call: int) -> None:
    rehearsal = killed(call)
    assert rehearsal.deploy("v2", options=SHORT) is ExitCode.OK
    assert rehearsal.routes == (GREEN, GREEN)
    assert rehearsal.tags(GREEN) == ("v2", "v2")


@pytest.mark.parametrize("call", CALLS)
def test_a_rollback_brings_users_to_the_slot_that_was_active(call: int) -> None:
    rehearsal = killed(call)
    cold = not all(rehearsal.tags(BLUE))
    assert rehearsal.rollback(cold=cold) is ExitCode.OK
    assert rehearsal.routes == (BLUE, BLUE)
    assert rehearsal.tags(BLUE) == ("v1", "v1")
    assert serves(rehearsal)


@pytest.mark.parametrize("call", CALLS)
def test_a_bad_release_that_was_killed_is_rolled_back_by_the_next_deploy(call: int) -> None:
    """After the switch the window is watched again: what was not proven is not assumed."""
    rehearsal = killed(call)
    rehearsal.platform.behaviours["v2"] = Behaviour(errors=1.0)
    code = rehearsal.deploy("v2", options=SHORT)
    if code is ExitCode.OK:  # it had been judged, and only its end was not recorded
        assert rehearsal.last_run().judgement is not None
        return
    assert code is ExitCode.ROLLED_BACK
    assert rehearsal.routes == (BLUE, BLUE)


def test_a_witness_that_was_found_before_the_kill_stands_with_the_judgement() -> None:
    """Users are gone by the time the next command looks, and their address cannot be asked from there."""
    rehearsal = Rehearsal(rate=0.0)
    rehearsal.clock.at(rehearsal.clock.now() + 20.0, lambda: rehearsal.platform.users("pair-front", requests=1000))

    def kill(name: str) -> None:
        if name == "end":
            raise Killed

    rehearsal.platform.on_call = kill
    with pytest.raises(Killed):
        rehearsal.deploy("v2", options=Options(require_proof=True, scale_down_old=True))
    rehearsal.platform.on_call = lambda _name: None
    rehearsal.platform.entry_answers = False
    rehearsal.die()

    rehearsal.deploy("v2")
    run = rehearsal.tools().run("r-1")
    assert run is not None
    assert run.outcome is Outcome.RELEASED
    assert run.confirmed is not None
    assert run.confirmed.how == "green answers at the address that users call"


def test_a_write_that_moves_nobody_does_not_hold_a_release_that_is_taken_up() -> None:
    rehearsal = Rehearsal()

    def kill(name: str) -> None:
        if name == "end":
            raise Killed

    rehearsal.platform.on_call = kill
    with pytest.raises(Killed):
        rehearsal.deploy("v2", options=SHORT)
    rehearsal.platform.on_call = lambda _name: None
    rehearsal.die()
    rehearsal.platform.faults.append(
        Fault(call="route", action=lambda: rehearsal.platform.patch_by_hand("pair-back", GREEN))
    )
    assert rehearsal.deploy("v2") is ExitCode.OK
    assert rehearsal.routes == (GREEN, GREEN)


@pytest.mark.parametrize(
    ("call", "nth", "moved"),
    [("route", 2 * (2 + 1) + 1, ("pair-back",)), ("check", 2, ("pair-back", "pair-front"))],
    ids=["between its two writes", "after the switch"],
)
def test_a_release_that_users_have_met_is_not_called_abandoned_before_the_switch(
    call: str, nth: int, moved: tuple[str, ...]
) -> None:
    """A person has patched back what it had moved. A write is two calls here: before it, and when it is done."""
    rehearsal, seen = Rehearsal(), list[str]()

    def kill(name: str) -> None:
        seen.append(name)
        if name == call and seen.count(name) == nth:
            raise Killed

    rehearsal.platform.on_call = kill
    with pytest.raises(Killed):
        rehearsal.deploy("v2")
    rehearsal.platform.on_call = lambda _name: None
    rehearsal.die()
    for service in moved:
        rehearsal.platform.patch_by_hand(service, BLUE)
    assert rehearsal.routes == (BLUE, BLUE)

    assert rehearsal.deploy("v3") is ExitCode.OK
    run = rehearsal.tools().run("r-1")
    assert run is not None
    assert run.outcome is Outcome.ROLLED_BACK


def test_a_slot_that_was_emptied_by_a_killed_run_gets_its_images_back_when_the_next_one_fails() -> None:
    """A platform ends what runs in the slot before it makes the new pods, and draining takes its time."""
    rehearsal = Rehearsal()

    def end_one_and_die() -> None:
        grip = rehearsal.lock_state.holder
        assert grip is not None
        until = after(rehearsal.clock.now(), 10.0)
        rehearsal.platform.session().end(GREEN, order=["pair-front"], grip=grip, until=until)
        raise Killed

    rehearsal.platform.faults.append(Fault(call="stage", action=end_one_and_die))
    with pytest.raises(Killed):
        rehearsal.deploy("v2")
    rehearsal.die()
    assert rehearsal.tags(GREEN) == ("v1", "")
    rehearsal.platform.behaviours["v3"] = Behaviour(never_ready=True)
    for _ in range(2):
        assert rehearsal.deploy("v3", options=Options(health_retries=1)) is ExitCode.TIMED_OUT
        assert rehearsal.tags(GREEN) == ("v1", "v1")


def test_a_dry_run_says_what_a_deploy_would_end_first() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.faults.append(Fault(call="routes", nth=3, action=_lost))
    assert rehearsal.deploy("v2") is ExitCode.HELD
    rehearsal.platform.faults.clear()
    rehearsal.deploy("v3", dry_run=True)
    last = rehearsal.events[-1]
    assert isinstance(last, Summary)
    assert last.details == ("r-1 was held: a deploy ends it first",)


def _lost() -> None:
    raise PlatformError("connection refused")


def killed_rollback(call: int, *, to: Slot | None = None) -> Rehearsal | None:
    """A release that was killed in its window, and its rollback at the ``call``-th call; None: that ended before."""
    rehearsal, seen = Rehearsal(), list[str]()

    def in_the_window(name: str) -> None:
        if name == "read" and rehearsal.last_run().confirmed is not None:
            raise Killed

    def count(name: str) -> None:
        seen.append(name)
        if len(seen) == call:
            raise Killed

    rehearsal.platform.on_call = in_the_window
    with pytest.raises(Killed):
        rehearsal.deploy("v2")
    rehearsal.die()
    rehearsal.platform.on_call = count
    try:
        rehearsal.rollback(to=to)
    except Killed:
        rehearsal.platform.on_call = lambda _name: None
        rehearsal.die()
        return rehearsal
    return None


ROLLBACK_CALLS = 10


@pytest.mark.parametrize("to", [None, GREEN])
@pytest.mark.parametrize("verb", [Rehearsal.deploy, Rehearsal.rollback])
@pytest.mark.parametrize("call", range(1, ROLLBACK_CALLS + 1))
def test_after_a_killed_rollback_of_a_killed_release_the_next_command_ends_both(
    call: int, verb: Callable[[Rehearsal], ExitCode], to: Slot | None
) -> None:
    rehearsal = killed_rollback(call, to=to)
    assert rehearsal is not None
    assert verb(rehearsal) is ExitCode.OK
    assert serves(rehearsal)
    assert not [run.id for run in rehearsal.tools().runs() if run.open]
    if verb is Rehearsal.rollback and to is None:
        assert rehearsal.routes == (BLUE, BLUE)


def test_the_rollback_has_no_more_calls_at_which_it_could_be_killed() -> None:
    assert killed_rollback(ROLLBACK_CALLS + 1) is None
