"""Requests are sent when they are due, whatever became of earlier ones, and none that was sent is forgotten."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter

import pytest
from tests.load.misbehaving import Deed, Server, WsDeed

from bluegreen.load import Cause, Kind, KindPlan, LoadPlan, LoadResult, Stop, run, run_async, to_text

LONG_ENOUGH = 3.0
"""Seconds, for a limit that is to be reached: a busy machine has sent what it had to by then."""


def causes(result: LoadResult) -> Counter[str]:
    return Counter(record.cause.value for record in result.records)


def one_kind(server: Server, kind: Kind, *, rate: float, seconds: float, timeout: float = 5.0) -> LoadPlan:
    connections = {Kind.NEW: 0}.get(kind, 2)
    plan = KindPlan(kind=kind, rate=rate, connections=connections, path="/", timeout=timeout)
    return LoadPlan(url=server.url, duration=seconds, kinds=(plan,))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Kind.NEW, Kind.KEEPALIVE, Kind.WEBSOCKET])
def test_a_server_that_stalls_slows_no_client_down(kind: Kind) -> None:
    hang = WsDeed.HANG if kind is Kind.WEBSOCKET else Deed.HANG
    with Server(always=hang) as server:
        result = run(one_kind(server, kind, rate=200.0, seconds=0.5, timeout=LONG_ENOUGH))
        assert server.requests == 100, "everything due was sent, though nothing was answered"
    assert causes(result) == {"timeout": 100}
    assert result.run.unsent == 0


@pytest.mark.slow
def test_latency_counts_from_when_a_request_was_due() -> None:
    async def stand_still() -> LoadResult:
        """Hold up the generator itself for 0.3 s, long before the end of its run."""
        with Server() as server:
            async with asyncio.TaskGroup() as tasks:
                load = tasks.create_task(run_async(one_kind(server, Kind.KEEPALIVE, rate=100.0, seconds=2.0)))
                await asyncio.to_thread(server.wait_for_requests, 5)
                time.sleep(0.3)  # noqa: ASYNC251 - it must not let the loop go on
            return await load

    result = asyncio.run(stand_still())
    assert result.columns.ok == result.columns.total == 200, "what was late is sent nevertheless"
    (row,) = result.tables.latency
    assert row.from_due.max >= 250.0, "a user would have waited that long"
    assert result.tables.lateness.max >= 250.0, "and the generator says that it was its own doing"
    assert result.tables.lateness.max <= row.from_due.max


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Kind.NEW, Kind.KEEPALIVE, Kind.WEBSOCKET])
def test_what_the_generator_did_not_see_is_no_waiting_of_its_users(kind: Kind) -> None:
    async def stand_still() -> LoadResult:
        """Hold up the generator for longer than its time limit, while answers arrive that are not late."""
        slow = WsDeed.LATE if kind is Kind.WEBSOCKET else Deed.LATE
        with Server(always=slow, late=0.01) as server:
            async with asyncio.TaskGroup() as tasks:
                load = tasks.create_task(run_async(one_kind(server, kind, rate=10.0, seconds=3.0, timeout=2.0)))
                await asyncio.to_thread(server.wait_for_requests, 5)
                time.sleep(2.5)  # noqa: ASYNC251 - it must not let the loop go on
            return await load

    result = asyncio.run(stand_still())
    assert causes(result) == {"none": 30}
    longest = max(standstill.seconds for standstill in result.run.standstills)
    assert longest >= 2.4
    assert f"the generator stood still for {longest:.2f} s" in to_text(result)


@pytest.mark.slow
def test_a_standstill_is_no_pardon_for_a_server_that_hangs() -> None:
    async def stand_still() -> LoadResult:
        with Server(always=Deed.HANG) as server:
            async with asyncio.TaskGroup() as tasks:
                load = tasks.create_task(run_async(one_kind(server, Kind.NEW, rate=20.0, seconds=0.5, timeout=0.4)))
                await asyncio.to_thread(server.wait_for_requests, 1)
                time.sleep(0.6)  # noqa: ASYNC251 - it must not let the loop go on
            return await load

    assert causes(asyncio.run(stand_still())) == {"timeout": 10}


@pytest.mark.slow
def test_kinds_of_the_same_rate_take_turns() -> None:
    kinds = tuple(KindPlan(kind=kind, rate=20.0, connections=2, path="/") for kind in (Kind.KEEPALIVE, Kind.POST))
    with Server() as server:
        result = run(LoadPlan(url=server.url, duration=0.3, kinds=kinds))
    due = sorted((record.due, record.kind) for record in result.records)
    assert [kind for _, kind in due] == [Kind.KEEPALIVE, Kind.POST] * 6
    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(due)]
    assert min(gaps) > 10_000, "the two never burst together"


@pytest.mark.slow
def test_what_is_under_way_at_the_end_is_waited_for_up_to_its_own_limit() -> None:
    with Server([Deed.RIGHT] * 9 + [Deed.HANG]) as server:
        result = run(one_kind(server, Kind.NEW, rate=100.0, seconds=0.1, timeout=LONG_ENOUGH))
    assert causes(result) == {"none": 9, "timeout": 1}
    assert result.run.seconds >= 0.09 + LONG_ENOUGH
    assert result.columns.failed == 1


@pytest.mark.slow
def test_an_answer_after_the_end_of_the_sending_still_counts() -> None:
    with Server(always=Deed.LATE, late=0.3) as server:
        result = run(one_kind(server, Kind.NEW, rate=100.0, seconds=0.1))
    assert causes(result) == {"none": 10}


async def stopped(server: Server, plan: LoadPlan, *, wishes: int) -> LoadResult:
    """Run ``plan`` and ask to stop that often, once 20 requests have come."""
    stop = Stop()
    async with asyncio.TaskGroup() as tasks:
        load = tasks.create_task(run_async(plan, stop=stop))
        await asyncio.to_thread(server.wait_for_requests, 20)
        for _ in range(wishes):
            stop.ask()
    return await load


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Kind.NEW, Kind.KEEPALIVE, Kind.WEBSOCKET])
def test_a_stop_waits_for_answers_and_a_second_one_counts_them_as_lost(kind: Kind) -> None:
    hang = WsDeed.HANG if kind is Kind.WEBSOCKET else Deed.HANG
    with Server(always=hang) as server:
        once = asyncio.run(
            stopped(server, one_kind(server, kind, rate=200.0, seconds=60.0, timeout=LONG_ENOUGH), wishes=1)
        )
    with Server(always=hang) as server:
        twice = asyncio.run(stopped(server, one_kind(server, kind, rate=200.0, seconds=60.0, timeout=30.0), wishes=2))
    assert set(causes(once)) == {"timeout"}
    assert set(causes(twice)) == {"in_flight_at_end"}
    assert once.columns.failed + once.run.unsent == 12_000
    assert twice.columns.failed + twice.run.unsent == 12_000
    assert twice.columns.failed >= 20
    assert once.run.stopped_early


@pytest.mark.slow
def test_more_connections_than_allowed_are_counted_and_not_hidden() -> None:
    with Server(always=Deed.HANG) as server:
        kind = KindPlan(kind=Kind.NEW, rate=100.0, timeout=LONG_ENOUGH)
        result = run(LoadPlan(url=server.url, duration=0.2, kinds=(kind,), max_connections=5))
        assert server.connections == 5
    assert causes(result) == {Cause.TIMEOUT.value: 5, Cause.NO_CONNECTION.value: 15}
    assert result.columns.failed == 20


@pytest.mark.slow
def test_a_pool_keeps_its_connections_and_uses_all_of_them() -> None:
    with Server() as server:
        kind = KindPlan(kind=Kind.KEEPALIVE, rate=100.0, connections=4)
        result = run(LoadPlan(url=server.url, duration=0.3, kinds=(kind,)))
        assert 4 <= server.connections <= 30, "four, and more only for requests that were due while all were busy"
    assert result.run.connections[Kind.KEEPALIVE].opened == server.connections
