"""The clocks: the real one and the shipped fake answer the same questions the same way."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from bluegreen.clock import SystemClock
from bluegreen.domain.errors import Interrupted
from bluegreen.domain.stack import after
from bluegreen.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bluegreen.ports import Clock, SteadyClock


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def told(clock: Clock) -> None:
    """Leave word that the process was told to stop."""
    if isinstance(clock, FakeClock):
        clock.interrupt(signal="SIGTERM")
    elif isinstance(clock, SystemClock):
        clock.interrupt("SIGTERM")


@pytest.fixture(params=[FakeClock, SystemClock])
def clock(request: pytest.FixtureRequest) -> SteadyClock:
    made: SteadyClock = request.param()
    return made


def test_a_wait_ends_at_its_instant_and_not_before(clock: Clock) -> None:
    until = after(clock.now(), 0.02)
    clock.wait(until=until)
    assert until <= clock.now() < until + 1.0


def test_a_wait_for_the_past_returns_at_once_and_time_stands_or_goes_on(clock: Clock) -> None:
    before = clock.now()
    clock.wait(until=after(before, -5.0))
    assert before <= clock.now() < before + 1.0


def test_the_wall_clock_runs_along(clock: Clock) -> None:
    wall, start = clock.wall(), clock.now()
    clock.wait(until=after(start, 0.02))
    assert clock.wall() - wall == pytest.approx(clock.now() - start, abs=0.5)
    assert wall > 1_700_000_000


@pytest.mark.parametrize("seconds", [60.0, -1.0])
def test_a_wait_is_ended_by_an_interrupt_that_came_before_it(clock: Clock, seconds: float) -> None:
    start = clock.now()
    told(clock)
    with pytest.raises(Interrupted) as caught:
        clock.wait(until=after(start, seconds))
    assert caught.value.signal == "SIGTERM"
    assert clock.now() < start + 1.0


def test_an_interrupt_is_raised_once_and_the_next_counts_anew(clock: Clock) -> None:
    clock.raise_if_interrupted()
    for _ in range(2):
        told(clock)
        with pytest.raises(Interrupted):
            clock.raise_if_interrupted()
        clock.raise_if_interrupted()
        clock.wait(until=clock.now())


def test_an_undisturbed_wait_is_as_long_as_asked_and_the_interrupt_comes_after_it(clock: SteadyClock) -> None:
    with clock.undisturbed():
        told(clock)
        until = after(clock.now(), 0.02)
        with clock.undisturbed():
            clock.wait(until=until)
        clock.raise_if_interrupted()
        assert clock.now() >= until
    with pytest.raises(Interrupted):
        clock.wait(until=clock.now())


@pytest.fixture
def listening() -> Iterator[SystemClock]:
    """A clock that has the process's signals; whoever had them before gets them back."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may do so under nohup
    clock = SystemClock()
    clock.listen()
    yield clock
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_a_wait_that_is_under_way(listening: SystemClock, number: signal.Signals) -> None:
    started = time.monotonic()
    timer = threading.Timer(0.05, os.kill, (os.getpid(), number))
    timer.start()
    with pytest.raises(Interrupted) as caught:
        listening.wait(until=after(listening.now(), 30.0))
    timer.join()
    assert caught.value.signal == number.name
    assert time.monotonic() - started < 10.0


def test_a_signal_between_two_waits_tears_nothing_apart(listening: SystemClock) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    listening.now()  # nothing but a wait, or a question for it, raises
    with pytest.raises(Interrupted):
        listening.wait(until=listening.now())


def test_a_second_hangup_of_the_same_terminal_is_no_second_word(listening: SystemClock) -> None:
    os.kill(os.getpid(), signal.SIGHUP)
    with pytest.raises(Interrupted):
        listening.raise_if_interrupted()
    os.kill(os.getpid(), signal.SIGHUP)
    listening.raise_if_interrupted()


def test_under_nohup_a_terminal_may_go(listening: SystemClock) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    listening.listen()
    os.kill(os.getpid(), signal.SIGHUP)
    listening.raise_if_interrupted()


# What only virtual time can do.


def test_things_happen_at_their_time_and_in_order() -> None:
    clock, seen = FakeClock(), []
    for when in (3.0, 1.0, 2.0, 9.0):
        clock.at(when, lambda when=when: seen.append((when, clock.now())))  # type: ignore[misc]
    assert clock.next_due() == 1.0
    clock.wait(until=after(clock.now(), 3.0))
    assert seen == [(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]
    assert (clock.now(), clock.next_due()) == (3.0, 9.0)


def test_an_interrupt_that_is_set_for_a_time_ends_the_wait_there() -> None:
    clock = FakeClock()
    clock.at(2.0, clock.interrupt)
    with pytest.raises(Interrupted):
        clock.wait(until=after(clock.now(), 60.0))
    assert clock.now() == 2.0


def test_something_that_happens_may_set_the_next_thing() -> None:
    clock, seen = FakeClock(), []
    clock.at(1.0, lambda: clock.at(1.5, lambda: seen.append(clock.now())))
    clock.wait(until=after(clock.now(), 2.0))
    assert seen == [1.5]
    assert clock.next_due() is None
