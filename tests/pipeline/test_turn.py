"""Taking the lock from a holder that may be dead: told, waited for as long as it must be, and no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bluegreen.domain.errors import ExitCode, HeldBy, Interrupted
from bluegreen.domain.events import Note, Waiting
from bluegreen.domain.release import RunKind
from bluegreen.domain.stack import Seconds, Slot
from bluegreen.pipeline.turn import SILENCE_LIMIT, take_turn
from bluegreen.ports import Purpose
from bluegreen.testing import FakeLock, Rehearsal
from bluegreen.testing.store import RENEWAL

if TYPE_CHECKING:
    from bluegreen.ports import Grip

LASTS: Seconds = 15.0
CAROLS = Purpose(kind=RunKind.RELEASE, run="r-carol", who="carol")
OURS = Purpose(kind=RunKind.RELEASE, run="r-ours", who="ann")


def held() -> tuple[Rehearsal, FakeLock, Grip]:
    """A stack whose lock carol holds, of the kind that lasts."""
    rehearsal = Rehearsal()
    rehearsal.lock_state.lasts = LASTS
    lock = FakeLock(rehearsal.lock_state, clock=rehearsal.clock)
    return rehearsal, lock, lock.take(CAROLS, until=rehearsal.clock.now())


def waits(rehearsal: Rehearsal) -> list[Waiting]:
    return [event for event in rehearsal.events if isinstance(event, Waiting)]


def test_a_dead_runs_lock_is_taken_when_it_has_been_silent_long_enough_and_that_is_told() -> None:
    rehearsal, _, _ = held()
    rehearsal.die()
    grip = take_turn(rehearsal.tools(), OURS)
    assert grip.purpose == OURS
    assert rehearsal.clock.now() == LASTS
    told = waits(rehearsal)
    assert told[0].wants == ("a sign of life of release r-carol by carol; without one its lock is free",)
    assert [(wait.waited, wait.left) for wait in told] == [(each, SILENCE_LIMIT - each) for each in range(15)]
    assert [event.text for event in rehearsal.events if isinstance(event, Note)] == [
        "the lock is free: release r-carol by carol gave no sign of life, or has just given it back"
    ]


def test_a_holder_that_lives_is_never_waited_for_beyond_its_next_sign_of_life() -> None:
    rehearsal, _, _ = held()
    with pytest.raises(HeldBy, match="r-carol by carol") as refused:
        take_turn(rehearsal.tools(), OURS)
    assert refused.value.exit_code is ExitCode.LOCKED
    assert rehearsal.clock.now() <= RENEWAL + 1
    assert rehearsal.platform.calls == []


def test_a_holder_that_gives_it_back_meanwhile_is_followed_at_once() -> None:
    rehearsal, lock, grip = held()
    rehearsal.clock.at(2.5, lambda: lock.release(grip))
    take_turn(rehearsal.tools(), OURS)
    assert rehearsal.clock.now() == 3.0


def test_a_lock_that_the_kernel_keeps_is_refused_at_once() -> None:
    rehearsal = Rehearsal()
    FakeLock(rehearsal.lock_state, clock=rehearsal.clock).take(CAROLS, until=rehearsal.clock.now())
    with pytest.raises(HeldBy):
        take_turn(rehearsal.tools(), OURS)
    assert rehearsal.clock.now() == 0.0
    assert waits(rehearsal) == []


def test_a_counting_that_began_anew_is_waited_for() -> None:
    """A machine that stood still for some seconds has not looked meanwhile: it has to begin again."""
    rehearsal, _, _ = held()
    rehearsal.lock_state.lasts = 33.0
    rehearsal.die()
    take_turn(rehearsal.tools(), OURS)
    assert rehearsal.clock.now() == 33.0


def test_a_holder_that_leaves_it_open_for_ever_is_refused_at_the_limit() -> None:
    rehearsal, _, _ = held()
    rehearsal.lock_state.lasts = 1000.0
    rehearsal.die()
    with pytest.raises(HeldBy):
        take_turn(rehearsal.tools(), OURS)
    assert rehearsal.clock.now() == SILENCE_LIMIT


def test_an_interrupt_ends_the_waiting_and_nothing_was_changed() -> None:
    rehearsal, _, _ = held()
    rehearsal.die()
    rehearsal.clock.at(4.2, rehearsal.clock.interrupt)
    with pytest.raises(Interrupted):
        rehearsal.deploy("v2")
    assert rehearsal.platform.calls == []


def test_after_a_killed_run_the_next_deploy_ends_it_and_goes_on() -> None:
    rehearsal, _, _ = held()
    rehearsal.die()
    assert rehearsal.deploy("v2") is ExitCode.OK
    assert rehearsal.routes == (Slot.GREEN, Slot.GREEN)


def test_a_rollback_waits_for_nobody() -> None:
    rehearsal = Rehearsal()
    rehearsal.lock_state.lasts = LASTS
    rehearsal.deploy("v2")
    FakeLock(rehearsal.lock_state, clock=rehearsal.clock).take(CAROLS, until=rehearsal.clock.now())
    before = rehearsal.clock.now()
    assert rehearsal.rollback() is ExitCode.OK
    assert rehearsal.clock.now() - before < 0.01
