"""Counters followed through a window: resets cost what was not read, and what vanished is said."""

from __future__ import annotations

from functools import reduce

import pytest
from tests.unit.domain_kit import BLUE, GREEN

from bluegreen.domain.course import Course, begin, follow
from bluegreen.domain.reading import Arrivals, Gap, Histogram, Part, PodCounters, Reading, Timing, arrived, tally
from bluegreen.domain.stack import Instant
from bluegreen.domain.values import replace

INF = float("inf")
Answered = dict[int, int]


def counted(
    answers: Answered, *, pod: str = "p-0", posts: Answered | None = None, slow: int | None = None
) -> PodCounters:
    total = sum(answers.values())
    return PodCounters(
        pod=pod,
        service="web",
        slot=GREEN,
        answers=tuple(answers.items()),
        parts=(Part(name="POST", answers=tuple(posts.items())),) if posts is not None else (),
        latency=None
        if slow is None
        else Histogram(timing=Timing.OVERHEAD, buckets=((150.0, total - slow), (INF, total))),
    )


def look(*pods: PodCounters, gaps: tuple[Gap, ...] = (), sent: int | None = None) -> Reading:
    arrivals = () if sent is None else (Arrivals(service="web", slot=GREEN, requests=sent),)
    return Reading(at=Instant(0.0), pods=pods, gaps=gaps, arrivals=arrivals)


def gone_through(*looks: Reading) -> Course:
    return reduce(follow, looks[1:], begin(looks[0]))


def of_window(*looks: Reading) -> tuple[int, int, tuple[str, ...]]:
    """Requests, errors, and the reasons of the gaps."""
    counts = tally(looks[0], gone_through(*looks).total, slot=GREEN, limit_ms=150.0)
    return counts.requests, counts.errors, tuple(gap.why for gap in counts.gaps)


BEFORE = "was there before and is gone"


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([{200: 5}, {200: 9, 500: 1}, {200: 20, 500: 4}], (19, 4, ())),
        # a reset in the middle: what came after it is added to what was read before it
        ([{200: 5, 500: 0}, {200: 900, 500: 40}, {200: 30, 500: 2}, {200: 50, 500: 2}], (895 + 40 + 52, 42, ())),
        ([{200: 5}, {200: 900, 500: 40}, {200: 10}, {200: 20}], (895 + 40 + 20, 40, ())),
        ([{200: 5}, {200: 900}, {404: 1}, {404: 3}], (895 + 3, 0, ())),
        # a series that is gone while another goes on, for good and for a while
        ([{200: 5, 500: 1}, {200: 90, 500: 9}, {200: 95}], (90 + 8, 8, (f"its count of answers 500 {BEFORE}",))),
        ([{200: 5, 500: 1}, {200: 90, 500: 9}, {200: 95}, {200: 99, 500: 10}], (94 + 9, 9, ())),
        ([{200: 5}, {200: 90}, {}], (85, 0, (f"its count of answers 200 {BEFORE}",))),
        ([{200: 5}, {200: 90}, {}, {200: 91}], (86, 0, ())),
    ],
)
def test_resets_and_vanished_series(looks: list[Answered], expected: tuple[int, int, tuple[str, ...]]) -> None:
    assert of_window(*(look(counted(answers)) for answers in looks)) == expected


def test_a_pod_that_is_not_heard_keeps_what_it_had_and_is_a_gap() -> None:
    gap = Gap(pod="p-0", slot=GREEN, why="timed out")
    start, then = look(counted({200: 5})), look(counted({200: 90, 500: 2}))
    assert of_window(start, then, look(gaps=(gap,))) == (87, 2, ("timed out",))
    assert of_window(start, then, look()) == (87, 2, ("counted before, and gone now",))
    assert of_window(start, then, look(gaps=(gap,)), look(counted({200: 95, 500: 2}))) == (92, 2, ())


def test_a_pod_that_came_later_counts_from_nothing() -> None:
    pods = counted({200: 9}), counted({200: 7, 500: 1}, pod="p-1")
    assert of_window(look(counted({200: 5})), look(*pods)) == (12, 1, ())


def test_which_counters_began_again_is_remembered() -> None:
    looks = [look(counted({200: count}), counted({200: 1}, pod="p-1")) for count in (9, 3, 4, 1)]
    assert gone_through(*looks).restarted == ("p-0",)


def test_parts_and_times_are_followed_as_well() -> None:
    looks = [
        look(counted({200: total}, posts={500: bad}, slow=slow))
        for total, bad, slow in [(10, 0, 0), (100, 4, 20), (30, 1, 5), (50, 2, 5)]
    ]
    found = tally(looks[0], gone_through(*looks).total, slot=GREEN, limit_ms=150.0)
    assert [(part.name, part.errors) for part in found.parts] == [("POST", 4 + 2)]
    assert (found.timed, found.slow) == (90 + 50, 20 + 5)


def test_a_data_plane_that_was_started_again() -> None:
    course = gone_through(look(sent=5), look(sent=900), look(sent=20), look(sent=None), look(sent=30))
    assert arrived(look(sent=5), course.total, slot=GREEN) == 895 + 30
    assert arrived(look(sent=5), course.total, slot=BLUE) is None


def test_one_counter_that_fell_is_enough() -> None:
    """The others have grown beyond what they were: all of that is of the new process."""
    histogram = counted({200: 90}, slow=40).latency
    grew = counted({200: 100, 500: 1}, slow=10)
    before = replace(counted({200: 30, 500: 2}), latency=histogram)
    found = tally(look(before), gone_through(look(before), look(grew)).total, slot=GREEN, limit_ms=150.0)
    assert (found.requests, found.timed, found.slow) == (101, 101, 10)


SINCE_THE_START = replace(counted({200: 93}, slow=0), answers=((200, 90), (500, 23)))


@pytest.mark.parametrize(
    ("before", "after", "restarted", "errors"),
    [
        (counted({200: 30, 500: 2}, slow=0), SINCE_THE_START, False, 21),
        (counted({200: 80, 500: 20}, slow=0), SINCE_THE_START, True, 23),  # its times were counted a hundred times
        (counted({200: 30, 500: 2}, posts={500: 2}), counted({200: 90, 500: 3}, posts={500: 1}), True, 3),
    ],
    ids=["none fell", "times fell", "a part fell"],
)
def test_times_and_parts_tell_as_well(before: PodCounters, after: PodCounters, restarted: object, errors: int) -> None:
    course = gone_through(look(before), look(after))
    assert bool(course.restarted) is restarted
    assert tally(look(before), course.total, slot=GREEN, limit_ms=150.0).errors == errors


FIRST, SECOND = 100.0, 100.02
"""When two processes of one pod began."""


def of(process: float | None, answers: Answered) -> Reading:
    return look(replace(counted(answers), process=process))


SIDE_BY_SIDE = "it has several processes with counters of their own, of which each look reads one: not all is counted"


@pytest.mark.parametrize(
    ("looks", "expected", "restarted"),
    [
        # each process goes on from where it was itself; what one had counted before it was first read is not known
        (
            [of(FIRST, {200: 90}), of(SECOND, {200: 50}), of(FIRST, {200: 95, 500: 1}), of(SECOND, {200: 52})],
            (8, 1, (SIDE_BY_SIDE,)),
            True,
        ),
        ([of(FIRST, {200: 50}), of(SECOND, {200: 90}), of(FIRST, {200: 55})], (5, 0, (SIDE_BY_SIDE,)), True),
        # a process that is not read again has ended, as far as anybody knows
        ([of(FIRST, {200: 90}), of(200.0, {200: 4}), of(200.0, {200: 9, 500: 1})], (6, 1, ()), True),
        # but one that is a new one at each look: what it answers is hardly ever counted
        (
            [of(FIRST, {200: 90}), of(200.0, {200: 4, 500: 9}), of(202.0, {500: 9})],
            (0, 0, (SIDE_BY_SIDE,)),
            True,
        ),
        # the same one, of which the kernel tells another second, as it does after its clock was set
        ([of(FIRST, {200: 90}), of(FIRST + 1.0, {200: 95}), of(FIRST, {200: 99})], (9, 0, ()), False),
        # one that begins again in itself, and one that does not say which it is
        ([of(FIRST, {200: 90}), of(FIRST, {200: 5})], (5, 0, ()), True),
        ([of(FIRST, {200: 90}), of(None, {200: 95})], (5, 0, ()), False),
    ],
)
def test_each_process_is_followed_by_itself(
    looks: list[Reading], expected: tuple[int, int, tuple[str, ...]], restarted: object
) -> None:
    assert of_window(*looks) == expected
    assert bool(gone_through(*looks).restarted) is restarted


@pytest.mark.parametrize(
    ("absent", "expected"),
    [
        (False, (10, 1, ("at the switch timed out",))),  # the seven are of its start: answers to its probes
        (True, (30, 8, ())),  # it had no such counter yet: many libraries write none before its first event
    ],
)
def test_a_pod_that_could_not_be_read_at_the_switch_counts_from_its_first_look(
    absent: bool,  # noqa: FBT001 - a row of the table
    expected: tuple[int, int, tuple[str, ...]],
) -> None:
    start = look(gaps=(Gap(pod="p-0", slot=GREEN, why="timed out", absent=absent),))
    assert of_window(start, look(counted({200: 13, 503: 7})), look(counted({200: 22, 503: 8}))) == expected
