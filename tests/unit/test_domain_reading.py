"""Counters: what happened between two readings, and what cannot be said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.domain_kit import BLUE, GREEN

from bluegreen.domain.reading import (
    Arrivals,
    Gap,
    Histogram,
    PodCounters,
    Reading,
    Tally,
    Timing,
    arrived,
    baseline,
    metered,
    nobodys,
    risen,
    tally,
    until_end,
)
from bluegreen.domain.stack import Instant, Probe, Probes, Service, Slot, Stack

INF = float("inf")


def latency(fast: int, slow: int, *, timing: Timing = Timing.OVERHEAD) -> Histogram:
    return Histogram(timing=timing, buckets=((100.0, fast), (150.0, fast), (INF, fast + slow)))


def counters(
    pod: str = "p-0",
    *,
    good: int = 0,
    bad: int = 0,
    times: Histogram | None = None,
    slot: Slot = GREEN,
    service: str = "web",
) -> PodCounters:
    return PodCounters(pod=pod, service=service, slot=slot, answers=((200, good), (500, bad)), latency=times)


def reading(*pods: PodCounters, gaps: tuple[Gap, ...] = (), arrivals: tuple[Arrivals, ...] = ()) -> Reading:
    return Reading(at=Instant(0.0), pods=pods, gaps=gaps, arrivals=arrivals)


def between(before: Reading, now: Reading) -> Tally:
    return tally(before, now, slot=GREEN, limit_ms=150.0)


def answered(*answers: tuple[int, int], pod: str = "p-0") -> PodCounters:
    return PodCounters(pod=pod, service="web", slot=GREEN, answers=answers)


NO_200 = Gap(pod="p-0", slot=GREEN, why="its count of answers 200 was there before and is gone")
NO_500 = Gap(pod="p-0", slot=GREEN, why="its count of answers 500 was there before and is gone")
GONE = Gap(pod="p-0", slot=GREEN, why="counted before, and gone now")
UNREAD = Gap(pod="p-0", slot=GREEN, why="timed out")


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (reading(), reading(), Tally()),
        (reading(), reading(counters(good=7, bad=2)), Tally(requests=9, errors=2)),
        (reading(counters(good=5, bad=1)), reading(counters(good=9, bad=4)), Tally(requests=7, errors=3)),
        (reading(counters(good=5, bad=1)), reading(counters(good=5, bad=1)), Tally()),
        # a reset: the new process counts from nothing, all of its counters
        (reading(counters(good=90, bad=1)), reading(counters(good=3, bad=0)), Tally(requests=3)),
        (reading(counters(good=90, bad=1)), reading(counters(good=30, bad=5)), Tally(requests=35, errors=5)),
        (reading(answered((200, 90), (500, 2))), reading(answered((404, 3))), Tally(requests=3)),
        # a series that is gone while others go on: nobody knows what it would say
        (reading(answered((200, 90), (500, 2))), reading(answered((200, 95))), Tally(requests=5, gaps=(NO_500,))),
        (reading(answered((200, 90), (500, 0))), reading(answered((200, 95))), Tally(requests=5)),
        (reading(answered((200, 90))), reading(answered()), Tally(gaps=(NO_200,))),
        # a counter that appears only with its first error
        (reading(answered((200, 90))), reading(answered((200, 95), (502, 3))), Tally(requests=8, errors=3)),
        (
            reading(answered((200, 1))),
            reading(answered((200, 1), (404, 5), (499, 5), (599, 5))),
            Tally(requests=15, errors=5),
        ),
        # pods: a new one, a vanished one, one that could not be read, of the other slot
        (
            reading(counters("p-0", good=5)),
            reading(counters("p-0", good=6), counters("p-1", good=10, bad=1)),
            Tally(requests=12, errors=1),
        ),
        (reading(counters(good=5)), reading(counters("p-1", good=2)), Tally(requests=2, gaps=(GONE,))),
        (reading(counters(good=5)), reading(gaps=(UNREAD,)), Tally(gaps=(UNREAD,))),
        (reading(), reading(gaps=(UNREAD, replace(UNREAD, slot=BLUE))), Tally(gaps=(UNREAD,))),
        (reading(counters(slot=BLUE)), reading(counters("p-9", good=9, slot=BLUE)), Tally()),
        (reading(counters(good=5), gaps=(UNREAD,)), reading(counters(good=6)), Tally(requests=1)),
    ],
)
def test_tally_of_answers(before: Reading, now: Reading, expected: Tally) -> None:
    assert between(before, now) == expected


def test_one_service_of_a_slot_by_itself() -> None:
    before = reading(counters("a", good=1, service="api"), counters("w", good=1))
    now = reading(counters("a", good=3, bad=1, service="api"), counters("w", good=9), counters("x", slot=BLUE))
    assert tally(before, now, slot=GREEN, limit_ms=1.0, service="api") == Tally(requests=3, errors=1)
    assert tally(before, now, slot=GREEN, limit_ms=1.0, service="web") == Tally(requests=8)
    assert between(before, now) == Tally(requests=11, errors=1)
    assert metered(reading(), now, slot=GREEN) == ("api", "web")
    assert metered(before, reading(), slot=GREEN) == ("api", "web")
    assert metered(now, slot=BLUE) == ("web",)


def timed(count: int, slow: int, timing: Timing | None = Timing.OVERHEAD) -> Tally:
    return Tally(timed=count, slow=slow, surely_slow=slow, timing=timing)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (None, latency(8, 2), timed(10, 2)),
        (latency(8, 2), latency(18, 5), timed(13, 3)),
        (latency(8, 2), latency(8, 2), timed(0, 0)),
        (latency(80, 20), latency(3, 1), timed(4, 1)),  # a reset
        (latency(8, 2), None, timed(0, 0, None)),
        (None, latency(1, 0, timing=Timing.TOTAL), timed(1, 0, Timing.TOTAL)),
    ],
)
def test_tally_of_times(before: Histogram | None, now: Histogram | None, expected: Tally) -> None:
    assert between(reading(counters(times=before)), reading(counters(times=now))) == expected


EDGES = Histogram(timing=Timing.TOTAL, buckets=((10.0, 1), (100.0, 4), (250.0, 8), (INF, 10)))


@pytest.mark.parametrize(
    ("limit", "above"),
    [(5.0, 10), (10.0, 9), (99.0, 9), (100.0, 6), (150.0, 6), (249.9, 6), (250.0, 2), (1e9, 2), (INF, 0)],
)
def test_over_a_limit_between_two_edges_the_lower_edge_counts(limit: float, above: int) -> None:
    assert EDGES.above(limit) == above


@pytest.mark.parametrize(
    ("limit", "above"),
    [(5.0, 9), (10.0, 9), (99.0, 6), (100.0, 6), (150.0, 2), (249.9, 2), (250.0, 2), (1e9, 0), (INF, 0)],
)
def test_over_a_limit_for_certain_are_only_those_beyond_its_bucket(limit: float, above: int) -> None:
    assert EDGES.surely_above(limit) == above


def test_a_histogram_without_buckets_is_empty() -> None:
    empty = Histogram(timing=Timing.TOTAL, buckets=())
    assert (empty.count, empty.above(1.0), empty.surely_above(1.0)) == (0, 0, 0)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=2, max_size=2), st.integers(0, 9))
def test_a_tally_is_never_negative_and_never_more_than_what_was_counted(
    counts: list[tuple[int, int]], slow: int
) -> None:
    (good_1, bad_1), (good_2, bad_2) = counts
    before = reading(counters(good=good_1, bad=bad_1, times=latency(good_1, slow)))
    found = between(before, reading(counters(good=good_2, bad=bad_2, times=latency(good_2, slow))))
    assert 0 <= found.errors <= found.requests <= good_2 + bad_2
    assert 0 <= found.slow <= found.timed <= good_2 + slow


def sent(requests: int, slot: Slot = GREEN, service: str = "web") -> Arrivals:
    return Arrivals(service=service, slot=slot, requests=requests)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ((), (), None),
        ((sent(5),), (), None),
        ((), (sent(5, BLUE),), None),
        ((), (sent(5),), None),  # of which time they are, nobody knows
        ((sent(5),), (sent(9), sent(7, service="api")), 4),
        ((sent(5),), (sent(5),), 0),
        ((sent(5),), (sent(9), sent(3, BLUE)), 4),
        ((sent(5),), (sent(2),), 2),  # the data plane was started again
        ((sent(5), sent(1, service="api")), (sent(6), sent(4, service="api")), 4),
    ],
)
def test_arrivals(before: tuple[Arrivals, ...], now: tuple[Arrivals, ...], expected: int | None) -> None:
    assert arrived(reading(arrivals=before), reading(arrivals=now), slot=GREEN) == expected


def test_the_window_starts_before_the_switch_for_the_new_slot_and_after_it_for_the_old() -> None:
    old_gap = Gap(pod="b-0", slot=BLUE, why="x")
    before = reading(
        counters(good=1),
        counters("b-0", good=100, slot=BLUE),
        gaps=(UNREAD, old_gap),
        arrivals=(sent(1), sent(100, BLUE)),
    )
    routed = reading(counters(good=9), counters("b-0", good=103, slot=BLUE), arrivals=(sent(9), sent(103, BLUE)))
    start = baseline(before, routed, slot=GREEN)
    old = counters("b-0", good=103, slot=BLUE)
    assert start == reading(counters(good=1), old, gaps=(UNREAD,), arrivals=(sent(1), sent(103, BLUE)))
    assert arrived(start, routed, slot=GREEN) == 8
    assert arrived(start, routed, slot=BLUE) == 0


FAST = Probe(path="/health", period=5.0)
PROBED = Stack(
    name="web",
    services=(
        Service(
            name="web", image="web", port=1, probes=Probes(startup=FAST, readiness=FAST, liveness=Probe(path="/health"))
        ),
    ),
)
"""In 20 seconds its probes can have asked 1 + 4, 1 + 4 and 1 + 2 times."""


@pytest.mark.parametrize(("counted", "expected"), [(0, 0), (13, 0), (14, 1), (500, 487)])
def test_what_pods_count_beyond_their_probes_is_users_work(counted: int, expected: int) -> None:
    before = Reading(at=Instant(0.0), pods=(_counters("g-0", 7, GREEN), _counters("b-0", 0, BLUE)))
    now = Reading(at=Instant(20.0), pods=(_counters("g-0", 7 + counted, GREEN), _counters("b-0", 900, BLUE)))
    assert risen(before, now, stack=PROBED, slot=GREEN) == expected


@pytest.mark.parametrize(("reads", "expected"), [(0, 7), (6, 1), (9, 0)])
def test_a_pod_may_count_our_own_reads_of_its_metrics(reads: int, expected: int) -> None:
    before = Reading(at=Instant(0.0), pods=(_counters("g-0", 7, GREEN),))
    now = Reading(at=Instant(20.0), pods=(_counters("g-0", 27, GREEN),))
    assert risen(before, now, stack=PROBED, slot=GREEN, reads=reads) == expected


def test_a_pod_that_was_ready_with_a_count_of_nothing_does_not_count_its_probes() -> None:
    before = Reading(at=Instant(0.0), pods=(_counters("g-0", 0, GREEN),))
    now = Reading(at=Instant(20.0), pods=(_counters("g-0", 1, GREEN),))
    assert risen(before, now, stack=PROBED, slot=GREEN) == 1


def test_a_pod_that_was_not_there_before_is_no_witness() -> None:
    now = Reading(at=Instant(20.0), pods=(_counters("g-9", 900, GREEN),))
    assert risen(Reading(at=Instant(0.0)), now, stack=PROBED, slot=GREEN) == 0


def _counters(pod: str, count: int, slot: Slot) -> PodCounters:
    return PodCounters(pod=pod, service="web", slot=slot, answers=((200, count),))


def test_probes_are_allowed_for_the_time_between_a_pods_own_counts() -> None:
    """A source that scrapes has counted each pod at another time than the others."""
    old = replace(_counters("g-0", 7, GREEN), at=Instant(0.0))
    new = replace(_counters("g-0", 7 + 13, GREEN), at=Instant(20.0))
    before, now = Reading(at=Instant(15.0), pods=(old,)), Reading(at=Instant(16.0), pods=(new,))
    assert risen(before, now, stack=PROBED, slot=GREEN) == 0


def scraped(at: float, *, lag: float = 15.0) -> Reading:
    """One pod as a source that scrapes by itself has it."""
    found = PodCounters(pod="g-1", service="web", slot=GREEN, answers=((200, 5),), at=Instant(at))
    return Reading(at=Instant(at), pods=(found,), lag=lag)


@pytest.mark.parametrize(
    ("at", "now", "due"),
    [
        (100.0, 100.0, True),  # all of the window is counted
        (99.9, 100.0, False),  # the next scrape will have it
        (99.9, 114.9, False),
        (99.9, 115.0, True),  # it should have come
    ],
)
def test_the_windows_end_is_waited_for_one_lag_at_most(at: float, now: float, due: bool) -> None:  # noqa: FBT001
    assert scraped(at).is_due(Instant(100.0), now=Instant(now)) is due


def test_a_source_that_does_not_trail_is_never_waited_for() -> None:
    assert Reading(at=Instant(99.0)).is_due(Instant(100.0), now=Instant(100.0))


def test_a_pod_counted_last_before_the_end_is_a_gap_and_keeps_its_counts() -> None:
    found = until_end(scraped(97.5), Instant(100.0))
    assert [(gap.pod, gap.why) for gap in found.gaps] == [("g-1", "it was last counted 2.5 s before the window's end")]
    assert found.pods == scraped(97.5).pods
    assert until_end(scraped(100.0), Instant(100.0)) == scraped(100.0)
    assert until_end(Reading(at=Instant(1.0)), Instant(100.0)).gaps == ()


@pytest.mark.parametrize(
    ("idle", "counted", "expected"),
    [
        (0, 500, 0),  # an app whose idle pods count nothing counts neither probes nor reads
        (9, 500, 12),  # as many as an idle pod, and one more of each
        (900, 500, 5 + 3 + 6),  # users are still on it: no more than there can have been
        (None, 500, 5 + 3 + 6),
        (9, 4, 4),
    ],
)
def test_how_many_of_a_pods_requests_may_be_of_nobody(idle: int | None, counted: int, expected: int) -> None:
    """In 20 seconds: a readiness probe each five, a liveness probe each ten, six reads."""
    old = () if idle is None else (0, idle)
    before, now = (
        Reading(at=Instant(at), pods=(_counters("g-0", mine, GREEN), *(_counters("b-0", n, BLUE) for n in left)))
        for at, mine, left in [(0.0, 7, old[:1]), (20.0, 7 + counted, old[1:])]
    )
    found = nobodys(before, now, stack=PROBED, slot=GREEN, service="web", seconds=20.0, reads=6)
    assert found == expected
