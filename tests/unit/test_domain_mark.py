"""Counting on from the switch: what a mark keeps, what is a gap, and that it fits into a journal's entry."""

from __future__ import annotations

import json
from math import inf

import pytest

from bluegreen.domain.codec import from_plain, to_plain
from bluegreen.domain.finding import Outcome
from bluegreen.domain.five_minutes import judge_since
from bluegreen.domain.mark import MOST_GAPS, MOST_PODS, mark_of, tally_since
from bluegreen.domain.reading import Gap, Histogram, PodCounters, Reading, Timing, by_reason
from bluegreen.domain.release import Answered, Confirmed, Ended, Entry, Judged, Mark, Tallied
from bluegreen.domain.snapshot import Container, Pod, Snapshot, Workload
from bluegreen.domain.stack import Instant, Limits, Slot
from bluegreen.domain.values import replace
from bluegreen.platforms.kubernetes.entries import LARGEST, entry_of, text_of

BLUE, GREEN = Slot.BLUE, Slot.GREEN
LIMITS = Limits()


def histogram(*, fast: int, slow: int) -> Histogram:
    return Histogram(timing=Timing.OVERHEAD, buckets=((150.0, fast), (inf, fast + slow)))


def counters(pod: str, *, slot: Slot = GREEN, ok: int = 0, bad: int = 0, slow: int = 0) -> PodCounters:
    return PodCounters(
        pod=pod,
        service="web",
        slot=slot,
        answers=((200, ok), (503, bad)),
        latency=histogram(fast=ok + bad - slow, slow=slow),
    )


def reading(*pods: PodCounters, gaps: tuple[Gap, ...] = ()) -> Reading:
    return Reading(at=Instant(0.0), pods=pods, gaps=gaps)


def live(*, restarts: int = 0, pods: tuple[str, ...] = ("g1", "g2", "b1")) -> Snapshot:
    found = tuple(
        Pod(
            name=name,
            service="web",
            slot=GREEN,
            revision="r",
            ready=True,
            containers=(Container(name="web", restarts=restarts),),
        )
        for name in pods
    )
    work = Workload(service="web", slot=GREEN, image=None, replicas=2, revision="r", pods=found)
    return Snapshot(at=Instant(0.0), routes=(), workloads=(work,))


def marked(*pods: PodCounters, gaps: tuple[Gap, ...] = ()) -> Mark:
    return mark_of(reading(*pods, gaps=gaps), live(), slot=GREEN, limits=LIMITS, read_at=100.0, at=101.0)


def since(mark: Mark, *pods: PodCounters, restarts: int = 0, gaps: tuple[Gap, ...] = ()) -> Tallied:
    return tally_since(mark, reading(*pods, gaps=gaps), live(restarts=restarts), now=Instant(0.5), wall=400.5)


def test_only_what_came_after_the_mark_counts() -> None:
    mark = marked(counters("g1", ok=5), counters("b1", slot=BLUE, ok=1000, bad=3))
    found = since(mark, counters("g1", ok=105, bad=2, slow=4), counters("b1", slot=BLUE, ok=1010, bad=4))

    assert (found.gaps, found.since, found.until, found.latest) == ((), 100.0, 400.0, 400.5)
    assert found.answered == (
        Answered(service="web", slot=GREEN, answers=((200, 100), (503, 2)), timed=102, slow=4, timing=Timing.OVERHEAD),
        Answered(service="web", slot=BLUE, answers=((200, 10), (503, 1)), timed=11, slow=0, timing=Timing.OVERHEAD),
    )


def test_a_pod_that_began_after_the_mark_counts_from_nothing() -> None:
    found = since(marked(counters("g1", ok=5)), counters("g1", ok=10), counters("g2", ok=7))
    assert (found.answered[0].requests, found.gaps) == (12, ())


@pytest.mark.parametrize(
    ("pods", "restarts", "gaps", "told", "counted"),
    [
        pytest.param((counters("g1", ok=9),), 1, (), "g1: it was started again", 9, id="restarted, and counts more"),
        pytest.param((counters("g1", ok=2),), 0, (), "g1: it was started again", 2, id="its counter fell"),
        pytest.param((), 0, (), "g1: it was counted at the switch and is gone", 0, id="gone"),
        pytest.param((), 0, (Gap(pod="g1", slot=GREEN, why="refused"),), "g1: refused", 0, id="not read now"),
    ],
)
def test_what_cannot_be_counted_is_a_gap_with_its_reason(
    pods: tuple[PodCounters, ...], restarts: int, gaps: tuple[Gap, ...], told: str, counted: int
) -> None:
    found = since(marked(counters("g1", ok=5)), *pods, restarts=restarts, gaps=gaps)
    assert len(found.gaps) == 1
    assert told in found.gaps[0]
    assert sum(each.requests for each in found.answered) == counted


def test_a_pod_that_could_not_be_read_at_the_switch_is_not_counted_from_nothing() -> None:
    mark = marked(gaps=(Gap(pod="g1", slot=GREEN, why="timed out"),))
    found = since(mark, counters("g1", ok=100_000))
    assert found.answered == ()
    assert found.gaps == ("g1: at the switch timed out",)


def test_only_the_slots_asked_for_are_counted_and_missed() -> None:
    mark = marked(counters("g1"), counters("b1", slot=BLUE), gaps=(Gap(pod="b2", slot=BLUE, why="refused"),))
    found = tally_since(mark, reading(counters("g1", ok=3)), live(), now=Instant(0.0), wall=400.0, slots=(GREEN,))
    assert ([each.slot for each in found.answered], found.gaps) == ([GREEN], ())


def test_a_mark_is_bounded_and_says_what_it_left_out_the_old_slot_first() -> None:
    many = [counters(f"g{i}", ok=i) for i in range(150)]
    old = [counters(f"b{i}", slot=BLUE, ok=i) for i in range(150)]
    mark = marked(*old, *many)
    assert (len(mark.pods), mark.left_out) == (MOST_PODS, 100)
    assert sum(pod.slot is GREEN for pod in mark.pods) == 150
    assert "100 more pods were not recorded at the switch" in since(mark, *old, *many).gaps

    text = text_of(Entry(run="r-1", at=1.0, body=Confirmed(slot=GREEN, how="seen", mark=mark)))
    assert len(text) < LARGEST / 4
    assert entry_of(text, run="r-1").body == Confirmed(slot=GREEN, how="seen", mark=mark)


def test_many_gaps_are_told_in_few_lines() -> None:
    unread = (Gap(pod=f"g{i}", slot=GREEN, why=f"reason {i}") for i in range(100))
    found = since(marked(gaps=tuple(unread)))
    assert len(found.gaps) == MOST_GAPS
    assert found.gaps[-1] == "and 81 more like these"


@pytest.mark.parametrize(
    "old",
    [
        '{"kind":"entry","run":"r-1","at":1.0,"body":{"kind":"confirmed","slot":"green","how":"x"}}',
        (
            '{"kind":"entry","run":"r-1","at":1.0,"body":{"kind":"judged","judgement":'
            '{"kind":"judgement","outcome":"pass","findings":[]}}}'
        ),
        '{"kind":"entry","run":"r-1","at":1.0,"body":{"kind":"ended","outcome":"released","why":"","cause":null,"took":3.5}}',
    ],
)
def test_entries_of_older_versions_still_decode(old: str) -> None:
    entry = from_plain(Entry, json.loads(old))
    match entry.body:
        case Confirmed(mark=mark):
            assert mark is None
        case Judged(tallied=tallied):
            assert tallied is None
        case Ended(standing=standing, course=course):
            assert (standing, course) == (None, None)
        case other:
            pytest.fail(f"{other} was not expected")
    assert from_plain(Entry, json.loads(json.dumps(to_plain(entry)))) == entry


# --- the five minutes -----------------------------------------------------------------------------------------------


def judged(
    *,
    ok: int,
    bad: int = 0,
    slow: int = 0,
    after: float = 300.0,
    window: int | None = None,
    long: float = 30.0,
    ours: int = 0,
    gap: str = "",
) -> Outcome:
    """``window``: so many requests in the observation window, of ``long`` seconds, ``ours`` of them our own."""
    answered = Answered(
        service="web", slot=GREEN, answers=((200, ok), (500, bad)), timed=ok + bad, slow=slow, timing=Timing.OVERHEAD
    )
    tallied = Tallied(since=100.0, until=101.0 + after, answered=(answered,), gaps=(gap,) if gap else ())
    earlier = (
        Tallied(
            since=100.0,
            until=101.0 + long,
            answered=(Answered(service="web", slot=GREEN, answers=((200, window),), timed=window),),
            synthetic=ours,
        )
        if window is not None
        else None
    )
    return judge_since(marked(), tallied, slot=GREEN, window=earlier).outcome


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        ({"ok": 459}, Outcome.PASS),
        ({"ok": 300}, Outcome.INCONCLUSIVE),
        ({"ok": 0}, Outcome.INCONCLUSIVE),
        ({"ok": 950, "bad": 50}, Outcome.FAIL),
        # two shares are tested: each fails for less than 1 % of chance in two (19 of 1000: 0.7 %, 20: 0.3 %)
        ({"ok": 981, "bad": 19}, Outcome.INCONCLUSIVE),
        ({"ok": 980, "bad": 20}, Outcome.FAIL),
        ({"ok": 5000, "slow": 400}, Outcome.FAIL),
        ({"ok": 5000, "gap": "g1: it was started again"}, Outcome.INCONCLUSIVE),
        ({"ok": 950, "bad": 50, "gap": "g1: it was started again"}, Outcome.FAIL),
        ({"ok": 100_000, "after": 3600.0, "window": 459}, Outcome.PASS),
        ({"ok": 100_000, "after": 3600.0, "window": 300}, Outcome.INCONCLUSIVE),
        ({"ok": 100_000, "after": 3600.0}, Outcome.INCONCLUSIVE),
        ({"ok": 50_000, "bad": 50_000, "after": 3600.0, "window": 459}, Outcome.INCONCLUSIVE),
        ({"ok": 459, "after": 314.0}, Outcome.PASS),
        # counted an hour later, on a machine whose clock is more than that behind
        ({"ok": 100_000, "after": -400.0}, Outcome.INCONCLUSIVE),
        ({"ok": 100_000, "after": -400.0, "window": 459}, Outcome.PASS),
        # a window that was itself longer than the five minutes: its requests are not all of theirs
        ({"ok": 100_000, "after": 3600.0, "window": 2000, "long": 600.0}, Outcome.INCONCLUSIVE),
        # our own good requests prove nothing of users'
        ({"ok": 459, "window": 100, "ours": 1}, Outcome.INCONCLUSIVE),
        ({"ok": 474, "window": 100, "ours": 15}, Outcome.PASS),
        ({"ok": 100_000, "after": 3600.0, "window": 459, "ours": 1}, Outcome.INCONCLUSIVE),
    ],
    ids=str,
)
def test_five_minutes_are_judged_by_the_exact_test(given: dict[str, int], outcome: Outcome) -> None:
    assert judged(**given) is outcome  # type: ignore[arg-type]  # a table of keyword arguments


def test_pods_that_cannot_be_read_for_the_same_reason_are_told_together() -> None:
    gaps = [("g1", "refused"), ("g2", "no answer"), ("g3", "refused"), ("g4", "no answer"), ("g5", "refused")]
    assert list(by_reason(gaps)) == [("g1 and 2 more pods", "refused"), ("g2 and g4", "no answer")]
    assert list(by_reason(gaps[:2])) == gaps[:2]


@pytest.mark.parametrize(("restarts", "answered", "gap"), [(0, 0, "at the switch another process"), (1, 10, "started")])
def test_another_process_of_the_same_container_is_a_gap_and_counts_nothing(
    restarts: int, answered: int, gap: str
) -> None:
    """Of a container that was started again it is known when it began: after the switch."""
    mark = marked(replace(counters("g1", ok=5), process=100.0))
    found = since(mark, replace(counters("g1", ok=10), process=100.02), restarts=restarts)
    assert (found.answered[0].requests, len(found.gaps)) == (answered, 1)
    assert gap in found.gaps[0]


def test_a_pod_that_had_no_such_counter_yet_counts_from_nothing() -> None:
    """Many libraries write no counter before its first event: five minutes later it has counted since the switch."""
    mark = marked(gaps=(Gap(pod="g1", slot=GREEN, why="its metrics have no hits_total", absent=True),))
    found = since(mark, counters("g1", ok=10, bad=1))
    assert (found.answered[0].requests, found.gaps) == (11, ())
    assert from_plain(Mark, to_plain(mark)) == mark


@pytest.mark.parametrize(
    ("between", "slow", "outcome"), [(300, 0, Outcome.INCONCLUSIVE), (20, 0, Outcome.PASS), (0, 300, Outcome.FAIL)]
)
def test_five_minutes_of_times_in_the_bucket_of_the_limit_are_not_known(
    between: int, slow: int, outcome: Outcome
) -> None:
    edges = ((100.0, 1000), (250.0, 1000 + between), (inf, 1000 + between + slow))
    times = Histogram(timing=Timing.OVERHEAD, buckets=edges)
    mark = marked(counters("g1"))
    tallied = since(mark, replace(counters("g1", ok=1000 + between + slow), latency=times))
    assert from_plain(Tallied, to_plain(tallied)) == tallied
    found = judge_since(mark, tallied, slot=GREEN, window=None)
    overhead = next(each for each in found.findings if each.rule == "P95 overhead")
    assert overhead.outcome is outcome
    assert ("or 0 of them" in overhead.figures) is bool(between)
