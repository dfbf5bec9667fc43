"""ports.Platform.route: compare and swap, in order, never over somebody else's write."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.contract.bench import grip, home, limit, look, moves, purpose, stage_good, stamp, wait

from bluegreen.domain.errors import Interrupted, LostLock
from bluegreen.domain.routing import Conflict, Moved, routed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.contract.bench import Bench

    from bluegreen.domain.routing import Move, RouteResult


def ours(bench: Bench) -> tuple[Move, ...]:
    """Writes that leave users where they are."""
    live = look(bench)
    return moves(live, home(bench), order=bench.stack.names)


def written(bench: Bench) -> list[tuple[str, str]]:
    return [(route.version, route.fence) for route in look(bench).routes]


def kinds(results: Sequence[RouteResult]) -> list[type]:
    return [type(result) for result in results]


def test_a_switch_and_what_is_known_of_it(bench: Bench) -> None:
    old = home(bench)
    new = old.other
    wanted = stage_good(bench, new)
    sent = moves(look(bench), new, order=bench.stack.names, fallback=old)
    start = bench.clock.now()
    results = bench.platform().route(sent, grip=grip(bench), until=limit(bench))
    assert [result.move for result in results] == list(sent)
    live = look(bench)
    for move, result in zip(sent, results, strict=True):
        assert isinstance(result, Moved)
        assert start <= result.at <= bench.clock.now()
        assert 0 <= result.took <= result.at - start
        route = live.route(move.service)
        assert (route.slot, route.fence) == (new, move.fence)
        assert route.fallback == (old if bench.falls_back else None)
        assert route.version == result.version != move.expect
    sizes = tuple((work.service, work.replicas) for work in wanted.workloads)
    wait(bench, bench.platform(), lambda now: routed(now, new, at_least=sizes), what="the data plane to follow")


def test_routes_are_written_in_the_order_given(bench: Bench) -> None:
    backwards = moves(look(bench), home(bench), order=bench.stack.names[::-1])
    results = bench.platform().route(backwards, grip=grip(bench), until=limit(bench))
    assert [result.move.service for result in results] == list(bench.stack.names[::-1])
    times = [result.at for result in results if isinstance(result, Moved)]
    assert len(times) == len(backwards)
    assert times == sorted(times)


def test_each_write_makes_a_new_version_even_to_the_same_slot(bench: Bench) -> None:
    versions = set()
    for _ in range(3):
        stamp(bench)
        versions.add(look(bench).routes[0].version)
    assert len(versions) == 3


def test_no_writes_are_no_results(bench: Bench) -> None:
    before = written(bench)
    assert list(bench.platform().route((), grip=grip(bench), until=limit(bench))) == []
    assert written(bench) == before


def test_a_write_from_a_version_that_is_gone_is_refused_and_changes_nothing(bench: Bench) -> None:
    stale = ours(bench)
    stamp(bench)
    before = look(bench)
    results = bench.platform().route(stale, grip=grip(bench), until=limit(bench))
    assert kinds(results) == [Conflict]
    conflict = results[0]
    assert isinstance(conflict, Conflict)
    route = before.route(stale[0].service)
    found = conflict.found
    assert (found.service, found.slot, found.version, found.fence) == (
        route.service,
        route.slot,
        route.version,
        route.fence,
    )
    assert look(bench).routes == before.routes


def test_the_same_write_twice_is_done_once(bench: Bench) -> None:
    """It is refused, or known by its fence to be done: to a platform its answer may have been lost."""
    sent, held = ours(bench), grip(bench)
    assert kinds(bench.platform().route(sent, grip=held, until=limit(bench))) == [Moved] * len(sent)
    before = written(bench)
    again = bench.platform().route(sent, grip=held, until=limit(bench))
    assert kinds(again) in ([Conflict], [Moved] * len(sent))
    assert written(bench) == before


def test_an_interrupt_tears_no_two_writes_apart(bench: Bench) -> None:
    sent, held = ours(bench), grip(bench)
    with bench.clock.undisturbed():
        bench.interrupt()
        assert kinds(bench.platform().route(sent, grip=held, until=limit(bench))) == [Moved] * len(sent)
    with pytest.raises(Interrupted):
        bench.clock.raise_if_interrupted()


@pytest.mark.parametrize("place", [0, 1])
def test_it_stops_at_the_first_that_fails(bench: Bench, place: int) -> None:
    stale = ours(bench)
    stamp(bench)
    sent = [
        replace(move, expect=old.expect) if n == place else move
        for n, (move, old) in enumerate(zip(ours(bench), stale, strict=True))
    ]
    before = written(bench)
    results = bench.platform().route(sent, grip=grip(bench), until=limit(bench))
    assert kinds(results) == [Moved] * place + [Conflict]
    after = written(bench)
    assert [fence for _, fence in after[:place]] == [move.fence for move in sent[:place]]
    assert after[place:] == before[place:]


def test_a_run_that_lost_the_lock_writes_nothing(bench: Bench) -> None:
    held = grip(bench)
    sent = ours(bench)
    grip(bench)
    before = written(bench)
    with pytest.raises(LostLock) as caught:
        bench.platform().route(sent, grip=held, until=limit(bench))
    assert caught.value.taken_by
    with pytest.raises(LostLock):
        bench.platform().route((), grip=held, until=limit(bench))
    assert written(bench) == before


def test_no_write_at_all_tells_whether_the_lock_is_still_held(bench: Bench) -> None:
    before = written(bench)
    assert list(bench.platform().route((), grip=grip(bench), until=limit(bench))) == []
    assert written(bench) == before


def test_a_run_that_slept_through_anothers_whole_turn_writes_nothing(bench: Bench) -> None:
    first = bench.lock()
    held = first.take(purpose(), until=limit(bench))
    first.release(held)  # as the kernel or an expired lease does for a frozen process
    second = bench.lock()
    second.release(second.take(purpose(), until=limit(bench)))
    before = written(bench)
    with pytest.raises(LostLock):
        bench.platform().route(ours(bench), grip=held, until=limit(bench))
    assert written(bench) == before
