"""ports.Lock: one writer at a time, taken over by a rollback without waiting, free by itself when its holder dies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contract.bench import SOON, limit, purpose

from bluegreen.domain.errors import HeldBy
from bluegreen.domain.release import RunKind

if TYPE_CHECKING:
    from tests.contract.bench import Bench

    from bluegreen.ports import Purpose


def test_a_free_lock_is_taken_at_once_and_says_for_what(bench: Bench) -> None:
    why, start, lock = purpose(), bench.clock.now(), bench.lock()
    grip = lock.take(why, until=limit(bench))
    assert bench.clock.now() - start < SOON
    assert grip.purpose == why
    assert grip.fence
    lock.release(grip)


def test_a_second_one_is_told_who_holds_it(bench: Bench) -> None:
    lock, why = bench.lock(), purpose(who="ann")
    grip = lock.take(why, until=limit(bench))
    with pytest.raises(HeldBy) as caught:
        bench.lock().take(purpose(who="bob"), until=bench.clock.now())
    for text in (caught.value.holder, str(caught.value)):
        assert why.run in text
        assert "ann" in text
        assert "\n" not in text
    assert caught.value.mend
    lock.release(grip)


def test_after_a_release_it_can_be_taken_again_with_a_newer_fence(bench: Bench) -> None:
    fences = set()
    for _ in range(3):
        lock = bench.lock()
        grip = lock.take(purpose(), until=bench.clock.now())
        fences.add(grip.fence)
        lock.release(grip)
    assert len(fences) == 3


def test_the_same_object_can_take_it_again(bench: Bench) -> None:
    lock = bench.lock()
    lock.release(lock.take(purpose(), until=bench.clock.now()))
    lock.release(lock.take(purpose(), until=bench.clock.now()))


def test_who_waits_gets_it_when_it_is_given_back(bench: Bench) -> None:
    first, second = bench.lock(), bench.lock()
    grip = first.take(purpose(), until=limit(bench))
    start = bench.clock.now()
    bench.later(0.5, lambda: first.release(grip))
    second.release(second.take(purpose(), until=limit(bench)))
    assert 0.4 <= bench.clock.now() - start < 0.5 + SOON


def test_who_waits_in_vain_is_told_at_the_deadline(bench: Bench) -> None:
    first = bench.lock()
    grip = first.take(purpose(), until=limit(bench))
    until = limit(bench, 0.5)
    with pytest.raises(HeldBy):
        bench.lock().take(purpose(), until=until)
    assert until <= bench.clock.now() < until + SOON
    first.release(grip)


def test_a_failed_take_holds_nothing(bench: Bench) -> None:
    first, second, third = bench.lock(), bench.lock(), bench.lock()
    grip = first.take(purpose(), until=limit(bench))
    with pytest.raises(HeldBy):
        second.take(purpose(), until=bench.clock.now())
    first.release(grip)
    third.release(third.take(purpose(), until=bench.clock.now()))


def test_a_dead_holders_lock_is_free_by_itself(bench: Bench) -> None:
    bench.dead_holder(purpose())
    lock = bench.lock()
    lock.release(lock.take(purpose(), until=limit(bench)))


# Preemption.


def rollback() -> Purpose:
    return purpose(RunKind.ROLLBACK, who="bob")


def test_a_rollback_takes_a_free_lock(bench: Bench) -> None:
    lock, why = bench.lock(), rollback()
    grip = lock.preempt(why)
    assert grip.purpose == why
    lock.release(grip)


def test_a_rollback_never_waits(bench: Bench) -> None:
    first, second = bench.lock(), bench.lock()
    held = first.take(purpose(), until=limit(bench))
    start = bench.clock.now()
    grip = second.preempt(rollback())
    assert bench.clock.now() - start < SOON
    assert grip.fence != held.fence
    second.release(grip)
    first.release(held)


def test_while_a_rollback_works_nobody_takes_a_turn_whoever_gives_back(bench: Bench) -> None:
    first, second, third = bench.lock(), bench.lock(), bench.lock()
    held = first.take(purpose(), until=limit(bench))
    why = rollback()
    grip = second.preempt(why)
    first.release(held)  # it was lost meanwhile: harmless
    with pytest.raises(HeldBy) as caught:
        third.take(purpose(), until=bench.clock.now())
    assert why.run in caught.value.holder
    second.release(grip)
    third.release(third.take(purpose(), until=bench.clock.now()))


def test_a_rollback_takes_over_from_a_rollback(bench: Bench) -> None:
    first, second = bench.lock(), bench.lock()
    one, two = first.preempt(rollback()), second.preempt(rollback())
    assert one.fence != two.fence
    first.release(one)
    second.release(two)
    third = bench.lock()
    third.release(third.take(purpose(), until=bench.clock.now()))


def test_what_is_given_back_twice_is_harmless(bench: Bench) -> None:
    first, second = bench.lock(), bench.lock()
    grip = first.take(purpose(), until=limit(bench))
    first.release(grip)
    other = second.take(purpose(), until=bench.clock.now())
    first.release(grip)
    with pytest.raises(HeldBy):
        bench.lock().take(purpose(), until=bench.clock.now())
    second.release(other)
