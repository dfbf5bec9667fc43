"""The observation window: shares by the exact binomial test, hard triggers, and what cannot be said."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.domain_kit import BLUE, GREEN, pair, pod, whole_pods, workload

from bluegreen.domain.judgement import (
    Finding,
    Judgement,
    Outcome,
    Window,
    hard_triggers,
    judge,
)
from bluegreen.domain.odds import at_least, at_most
from bluegreen.domain.reading import Arrivals, Gap, Histogram, PodCounters, Reading, Timing
from bluegreen.domain.shares import share_outcome
from bluegreen.domain.snapshot import ContainerState, Pod, Snapshot, Terminated, Waiting, Workload
from bluegreen.domain.stack import Instant, Limits

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE
LOOP = Waiting(reason="CrashLoopBackOff")
ENDED = Terminated(exit_code=3)
INF = float("inf")


# Shares.


@pytest.mark.parametrize(("of", "needed"), [(20, 3), (50, 4), (100, 5), (300, 9), (1000, 19)])
def test_errors_needed_to_fail_at_one_percent(of: int, needed: int) -> None:
    assert share_outcome(bad=needed, of=of, limit=0.01) is FAIL
    assert share_outcome(bad=needed - 1, of=of, limit=0.01) is INCONCLUSIVE


@pytest.mark.parametrize(
    ("bad", "of", "limit", "expected"),
    [
        (0, 0, 0.01, INCONCLUSIVE),
        (1, 20, 0.01, INCONCLUSIVE),
        (2, 2, 0.01, FAIL),
        (0, 458, 0.01, INCONCLUSIVE),
        (0, 459, 0.01, PASS),
        (1, 661, 0.01, INCONCLUSIVE),
        (1, 662, 0.01, PASS),
        (3, 1000, 0.01, INCONCLUSIVE),
        (2, 1000, 0.01, PASS),
        (10, 1000, 0.01, INCONCLUSIVE),
        (100, 10_000, 0.01, INCONCLUSIVE),
        (50, 10_000, 0.01, PASS),
        (200, 10_000, 0.01, FAIL),
        (0, 89, 0.05, INCONCLUSIVE),
        (0, 90, 0.05, PASS),
        (1000, 1000, 0.05, FAIL),
        (500_000, 1_000_000, 0.01, FAIL),
        (5_000, 1_000_000, 0.01, PASS),
        (0, 1_000_000, 0.0, INCONCLUSIVE),
        (1, 1_000_000, 0.0, FAIL),
        (7, 7, 1.0, INCONCLUSIVE),
        (6, 7, 1.0, PASS),
    ],
)
def test_shares(bad: int, of: int, limit: float, expected: Outcome) -> None:
    assert share_outcome(bad=bad, of=of, limit=limit) is expected


def exactly(k: int, of: int, share: Fraction) -> Fraction:
    """P(X <= k), in whole numbers."""
    terms = (comb(of, i) * share**i * (1 - share) ** (of - i) for i in range(k + 1))
    return sum(terms, Fraction(0))


@given(st.integers(1, 300), st.integers(0, 300), st.sampled_from([Fraction(1, 100), Fraction(1, 20), Fraction(1, 2)]))
def test_the_two_tails_agree_with_exact_arithmetic(of: int, k: int, share: Fraction) -> None:
    k = min(k, of)
    assert at_most(k, of=of, share=float(share)) == pytest.approx(float(exactly(k, of, share)), abs=1e-12)
    expected = 1 - exactly(k - 1, of, share) if k else Fraction(1)
    assert at_least(k, of=of, share=float(share)) == pytest.approx(float(expected), abs=1e-12)


@given(st.integers(1, 2000), st.integers(0, 2000))
def test_more_bad_answers_never_make_it_better(of: int, bad: int) -> None:
    order = [PASS, INCONCLUSIVE, FAIL]
    bad = min(bad, of - 1)
    one, more = (share_outcome(bad=each, of=of, limit=0.01) for each in (bad, bad + 1))
    assert order.index(one) <= order.index(more)


# A window.


def reading(
    *, good: int = 0, bad: int = 0, fast: int = 0, slow: int = 0, old: int = 0, timing: Timing = Timing.OVERHEAD
) -> Reading:
    buckets = ((150.0, fast), (INF, fast + slow))
    counters = PodCounters(
        pod="pair-front-green-0@r-g",
        service="pair-front",
        slot=GREEN,
        answers=((200, good), (500, bad)),
        latency=Histogram(timing=timing, buckets=buckets),
    )
    arrivals = (
        Arrivals(service="pair-front", slot=GREEN, requests=good + bad),
        Arrivals(service="pair-front", slot=BLUE, requests=old),
    )
    return Reading(at=Instant(0.0), pods=(counters,), arrivals=arrivals)


START = reading(good=10, fast=10, old=1000)
ALL_GOOD = reading(good=1010, fast=1010, old=1000)


def window(now: Reading = ALL_GOOD, *, live: Snapshot | None = None, limits: Limits | None = None) -> Window:
    return Window(slot=GREEN, limits=limits or Limits(), before=START, now=now, at_switch=pair(), live=live or pair())


def only(found: tuple[Finding, ...]) -> Finding:
    assert len(found) == 1
    assert found[0].outcome is FAIL
    return found[0]


def test_a_good_window_passes_with_its_figures() -> None:
    assert judge(window()) == Judgement(
        outcome=PASS,
        findings=(
            Finding(
                rule="error share",
                outcome=PASS,
                figures="pair-front: 0 of 1,000 5xx (0.00%, limit 1.00%)",
                service="pair-front",
                bad=0,
                of=1000,
                limit=0.01,
            ),
            Finding(
                rule="P95 overhead",
                outcome=PASS,
                figures="pair-front: 0 of 1,000 over 150 ms (0.00%, limit 5.00%)",
                service="pair-front",
                bad=0,
                of=1000,
                limit=0.05,
            ),
        ),
        notes=("blue's figures from before the switch are not known",),
    )
    assert judge(window()).reasons == ()


@pytest.mark.parametrize(
    ("now", "outcome", "reasons"),
    [
        (
            START,
            INCONCLUSIVE,
            ["error share: pair-front: no requests were counted", "P95 overhead: pair-front: no requests were counted"],
        ),
        (
            reading(good=960, bad=50, fast=1010, old=1000),
            FAIL,
            ["error share: pair-front: 50 of 1,000 5xx (5.00%, limit 1.00%)"],
        ),
        (
            reading(good=1010, fast=910, slow=100, old=1000),
            FAIL,
            ["P95 overhead: pair-front: 100 of 1,000 over 150 ms (10.00%, limit 5.00%)"],
        ),
        (
            reading(good=960, bad=50, fast=910, slow=100, old=1000),
            FAIL,
            ["error share: pair-front: 50 of 1,000", "P95 overhead: pair-front: 100 of 1,000"],
        ),
        (  # what is not proven is no reason of what was found bad
            reading(good=110, fast=40, slow=70, old=1000),
            FAIL,
            ["P95 overhead: pair-front: 70 of 100 over 150 ms (70.00%, limit 5.00%)"],
        ),
        (
            reading(good=110, fast=110, old=1000),
            INCONCLUSIVE,
            ["error share: pair-front: 0 of 100 5xx (0.00%, limit 1.00%)"],
        ),
        (reading(good=1010, fast=40, old=1000), INCONCLUSIVE, ["P95 overhead: pair-front: 0 of 30 over 150 ms"]),
        (
            reading(good=1010, fast=910, slow=100, old=1000, timing=Timing.TOTAL),
            FAIL,
            ["P95 overhead: pair-front: 100 of 1,000 over 150 ms (total, not overhead) (10.00%, limit 5.00%)"],
        ),
    ],
)
def test_the_end_of_the_window(now: Reading, outcome: Outcome, reasons: list[str]) -> None:
    found = judge(window(now))
    assert found.outcome is outcome
    assert len(found.reasons) == len(reasons)
    assert all(line.startswith(wanted) for line, wanted in zip(found.reasons, reasons, strict=True))


def back(*, good: int, bad: int, times: Histogram | None = None) -> PodCounters:
    return PodCounters(
        pod="pair-back-green-0@r-g", service="pair-back", slot=GREEN, answers=((200, good), (500, bad)), latency=times
    )


def test_each_service_is_judged_by_itself() -> None:
    """The good answers of one do not make up for the bad ones of another."""
    now = replace(ALL_GOOD, pods=(*ALL_GOOD.pods, back(good=60, bad=40)))
    found = judge(window(now))
    assert found.outcome is FAIL
    assert found.reasons == ("error share: pair-back: 40 of 100 5xx (40.00%, limit 1.00%)",)
    assert hard_triggers(window(replace(now, pods=(*ALL_GOOD.pods, back(good=40, bad=60))))) == (
        Finding(
            rule="errors over half",
            outcome=FAIL,
            figures="pair-back: 60 of 100 answers were 5xx",
            service="pair-back",
            bad=60,
            of=100,
        ),
    )


def test_without_counters_and_without_times_nothing_is_proven() -> None:
    nothing = Reading(at=Instant(0.0))
    found = judge(replace(window(nothing), before=nothing))
    assert (found.outcome, found.reasons) == (INCONCLUSIVE, ("metrics: no service's requests were counted",))
    untimed = judge(replace(window(replace(nothing, pods=(back(good=1000, bad=0),))), before=nothing))
    assert untimed.outcome is INCONCLUSIVE
    assert untimed.reasons == ("P95 overhead: no service's time is measured",)


def test_the_stacks_own_limits_are_used() -> None:
    now = reading(good=960, bad=50, fast=910, slow=100, old=1000)
    assert judge(window(now, limits=Limits(error_share=0.2, p95_overhead_ms=INF))).outcome is PASS


@pytest.mark.parametrize(
    ("now", "outcome"), [(ALL_GOOD, INCONCLUSIVE), (reading(good=960, bad=50, fast=1010, old=1000), FAIL)]
)
def test_a_gap_keeps_a_window_from_passing_and_not_from_failing(now: Reading, outcome: Outcome) -> None:
    gap = Gap(pod="pair-front-green-1@r-g", slot=GREEN, why="connection refused")
    found = judge(window(replace(now, gaps=(gap,))))
    assert found.outcome is outcome
    assert (found.findings[0].rule, found.findings[0].outcome) == ("metrics", INCONCLUSIVE)
    assert found.findings[0].figures == "pair-front-green-1@r-g: connection refused"


def test_a_gap_of_the_old_slot_is_no_gap() -> None:
    gap = Gap(pod="pair-front-blue-1@r-b", slot=BLUE, why="connection refused")
    assert judge(window(replace(ALL_GOOD, gaps=(gap,)))).outcome is PASS


def test_a_pod_whose_counters_vanished_is_a_gap() -> None:
    found = judge(window(replace(ALL_GOOD, pods=())))
    assert found.outcome is INCONCLUSIVE
    assert found.reasons[0] == "metrics: pair-front-green-0@r-g: counted before, and gone now"


# Hard triggers.


FIRST = "pair-front-green-0@r-g"


def front(*pods: Pod | None) -> Workload:
    """The new slot's front with these pods; None: the one that was there at the switch."""
    kept = whole_pods("pair-front", GREEN, revision="r-g")
    live = [now or before for now, before in zip(pods, kept, strict=True)]
    return workload(*live, service="pair-front", revision="r-g")


def other(
    name: str = FIRST,
    *,
    ready: bool = True,
    state: ContainerState | None = None,
    last: Terminated | None = None,
    restarts: int = 0,
    terminating: bool = False,
) -> Pod:
    return pod(
        name,
        service="pair-front",
        revision="r-g",
        ready=ready,
        state=state,
        last=last,
        restarts=restarts,
        terminating=terminating,
    )


@pytest.mark.parametrize(
    ("pods", "rule", "figures"),
    [
        ((other(restarts=1, last=ENDED), None), "crash", f"pair-front: pod {FIRST} ended with exit code 3"),
        ((other(restarts=1), None), "crash", f"pair-front: pod {FIRST} ended"),
        ((other(state=LOOP, ready=False), None), "crash", f"pair-front: pod {FIRST} ended"),
        ((other(state=ENDED, ready=False), None), "crash", f"pair-front: pod {FIRST} ended"),
        ((other(terminating=True), None), "crash", f"pair-front: pod {FIRST} is gone"),
        (
            (other("pair-front-green-9@r-g"), None),
            "crash",
            f"pair-front: pod {FIRST} is gone",
        ),
        (
            (other(ready=False), other("pair-front-green-1@r-g", ready=False)),
            "no ready pod",
            "pair-front in green: 0 of 2 ready",
        ),
    ],
)
def test_pods_that_roll_back_at_once(pods: tuple[Pod | None, Pod | None], rule: str, figures: str) -> None:
    found = only(hard_triggers(window(live=pair(replace=(front(*pods),)))))
    assert (found.rule, found.figures) == (rule, figures)
    assert judge(window(live=pair(replace=(front(*pods),)))) == Judgement(outcome=FAIL, findings=(found,))


@pytest.mark.parametrize(
    "live",
    [
        pair(),
        pair(replace=(front(other(ready=False), None),)),  # one that is not ready is no crash
        pair(replace=(workload(slot=BLUE, service="pair-front", replicas=2),)),  # the old slot may do what it likes
    ],
)
def test_pods_that_do_not(live: Snapshot) -> None:
    assert hard_triggers(window(live=live)) == ()


def test_a_pod_that_was_not_ready_at_the_switch_can_be_as_it_was() -> None:
    starting = front(other(state=Waiting(reason="ContainerCreating"), ready=False), None)
    found = replace(window(live=pair(replace=(starting,))), at_switch=pair(replace=(starting,)))
    assert hard_triggers(found) == ()


def test_a_workload_that_was_scaled_to_nothing_lost_its_pods() -> None:
    found = hard_triggers(window(live=pair(replace=(workload(service="pair-front", replicas=0, revision="r-g"),))))
    assert [finding.rule for finding in found] == ["crash", "crash"]


def test_traffic_that_falls_back_to_the_old_slot() -> None:
    found = only(hard_triggers(window(reading(good=1010, fast=1010, old=1030))))
    assert found.rule == "fallback"
    assert found.figures == "30 of 1,030 requests were answered by blue since the switch: green did not take them"
    assert (found.bad, found.of) == (30, 1030)


@pytest.mark.parametrize(("strays", "of", "triggers"), [(3, 3, True), (2, 2, False), (4, 20, True), (3, 20, False)])
def test_so_few_requests_that_fall_back_may_be_chance(strays: int, of: int, *, triggers: bool) -> None:
    """A worker of the data plane that is late, or a machine that pauses."""
    now = window(reading(good=10 + of - strays, fast=10 + of - strays, old=1000 + strays))
    assert bool(hard_triggers(now)) is triggers


def test_a_few_that_fell_back_are_told() -> None:
    found = judge(window(reading(good=1010, fast=1010, old=1001)))
    assert found.outcome is PASS
    assert "fallback: 1 of 1,001 requests was answered by blue since the switch: green did not take it" in found.notes


@pytest.mark.parametrize(
    ("good", "bad", "triggers"),
    [(0, 100, True), (0, 99, False), (49, 51, True), (50, 50, False), (1000, 999, False), (1000, 1001, True)],
)
def test_more_than_half_bad_of_a_hundred(good: int, bad: int, triggers: object) -> None:
    found = hard_triggers(window(reading(good=10 + good, bad=bad, fast=10, old=1000)))
    assert bool(found) is triggers
    if triggers:
        assert only(found).figures == f"pair-front: {bad:,} of {good + bad:,} answers were 5xx"


def test_all_triggers_are_told_together() -> None:
    live = pair(replace=(front(other(restarts=1), None),))
    found = hard_triggers(window(reading(good=10, bad=200, fast=10, old=1020), live=live))
    assert [finding.rule for finding in found] == ["crash", "fallback", "errors over half"]
