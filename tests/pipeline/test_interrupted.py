"""Told to stop at any call, once or again and again: users are on one slot, and how it ended is told and on record.

A call to an API server notices an interrupt while it waits for the answer. So here every call of the platform and of
the journal does, where the fakes by themselves are interrupted in waits alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bluegreen.domain.errors import ExitCode, Interrupted
from bluegreen.domain.events import Summary
from bluegreen.domain.plan import Options
from bluegreen.domain.release import Outcome
from bluegreen.domain.stack import Slot
from bluegreen.testing import Rehearsal

if TYPE_CHECKING:
    from collections.abc import Callable

BLUE, GREEN = Slot.BLUE, Slot.GREEN
OPTIONS = Options(validation_time=8.0, scale_down_old=True)

ONCE = 0
ALWAYS = -1


def impatient(rehearsal: Rehearsal, *, call: int, again: int = ONCE) -> list[str]:
    """Somebody presses Ctrl-C at this call and ``again`` so many calls later. The calls that are made, by name."""
    calls: list[str] = []

    def heard(name: str) -> None:
        calls.append(name)
        if len(calls) in {call, call + again} or (again == ALWAYS and len(calls) >= call):
            rehearsal.clock.interrupt()
        rehearsal.clock.raise_if_interrupted()

    rehearsal.platform.on_call = rehearsal.journal.on_call = heard
    return calls


def left_alone(rehearsal: Rehearsal) -> Rehearsal:
    rehearsal.platform.on_call = rehearsal.journal.on_call = lambda _name: None
    return rehearsal


def deploy(rehearsal: Rehearsal) -> ExitCode | Interrupted:
    """How it ended; or that it was stopped before it had begun."""
    try:
        return rehearsal.deploy("v2", options=OPTIONS)
    except Interrupted as error:
        return error


def calls_of(run: Callable[[Rehearsal], object], *, made: Callable[[], Rehearsal] = Rehearsal) -> range:
    """All calls that it makes, by number."""
    rehearsal = made()
    calls = impatient(rehearsal, call=0)
    run(rehearsal)
    return range(1, len(calls) + 1)


@pytest.mark.parametrize("again", [ONCE, 1, 2, 3, 5, 8, ALWAYS])
@pytest.mark.parametrize("call", calls_of(deploy))
def test_a_release_ends_with_users_on_one_slot_and_says_so(call: int, again: int) -> None:
    rehearsal = Rehearsal()
    impatient(rehearsal, call=call, again=again)
    end = deploy(rehearsal)
    last = next(left_alone(rehearsal).tools().runs(), None)
    if isinstance(end, Interrupted):
        assert last is None
        assert rehearsal.routes == (BLUE, BLUE)
        return
    assert last is not None
    assert last.outcome in {Outcome.INTERRUPTED, Outcome.ROLLED_BACK, Outcome.RELEASED}
    serving = GREEN if last.outcome is Outcome.RELEASED else BLUE
    assert rehearsal.routes == (serving, serving)
    assert isinstance(rehearsal.events[-1], Summary)
    assert end is ExitCode.INTERRUPTED or serving is GREEN
    assert rehearsal.lock_state.holder is None


def released() -> Rehearsal:
    rehearsal = Rehearsal()
    rehearsal.deploy("v2", options=Options(validation_time=0.0))
    return rehearsal


@pytest.mark.parametrize("again", [ONCE, 1, 2, 3, ALWAYS])
@pytest.mark.parametrize("call", calls_of(Rehearsal.rollback, made=released))
def test_a_rollback_is_done_whole_or_not_at_all(call: int, again: int) -> None:
    rehearsal = released()
    impatient(rehearsal, call=call, again=again)
    try:
        assert rehearsal.rollback() is ExitCode.OK
        serving = BLUE
    except Interrupted:
        serving = GREEN
    assert left_alone(rehearsal).routes == (serving, serving)
    if serving is BLUE:
        assert rehearsal.last_run().outcome is Outcome.ROLLED_BACK
        assert any(event.outcome is Outcome.ROLLED_BACK for event in rehearsal.events if isinstance(event, Summary))
