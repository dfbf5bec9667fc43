"""Shares by parts, beside the old slot's, and what would settle them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from tests.unit.domain_kit import GREEN
from tests.unit.window_kit import Did, window

from bluegreen.domain.finding import Finding, OldShare, Outcome
from bluegreen.domain.judgement import hard_triggers, judge
from bluegreen.domain.reading import Histogram, Timing
from bluegreen.domain.shares import share_outcome
from bluegreen.domain.values import replace
from bluegreen.domain.window import Synthetic

if TYPE_CHECKING:
    from bluegreen.domain.reading import PodCounters, Reading
    from bluegreen.domain.window import Window

PASS, FAIL, INCONCLUSIVE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE


def of_part(findings: tuple[Finding, ...], part: str) -> Finding:
    return next(finding for finding in findings if (finding.rule, finding.part) == ("error share", part))


@pytest.mark.parametrize(
    ("new", "whole", "post", "judged"),
    [
        (Did(good=2000, posts=500), PASS, PASS, PASS),
        # 5 % of POST only: 0.5 % of the whole, which would pass
        (Did(good=4500, posts=475, bad_posts=25), PASS, FAIL, FAIL),
        # 1 % of POST only is the limit itself: nothing else would be honest
        (Did(good=4500, posts=495, bad_posts=5), PASS, INCONCLUSIVE, INCONCLUSIVE),
        # too few to tell, and none bad: the whole has to prove itself
        (Did(good=4500, posts=3), PASS, PASS, PASS),
        (Did(good=4500, posts=2, bad_posts=1), PASS, INCONCLUSIVE, INCONCLUSIVE),
        # too few to tell, and no worse than the rest; then worse, though its share is under the limit
        (Did(good=2397, bad=3, posts=599, bad_posts=1), PASS, PASS, PASS),
        (Did(good=2000, posts=496, bad_posts=4), PASS, INCONCLUSIVE, INCONCLUSIVE),
        (Did(good=100, posts=3), INCONCLUSIVE, PASS, INCONCLUSIVE),
    ],
)
def test_what_fails_for_one_method_is_not_diluted(new: Did, whole: Outcome, post: Outcome, judged: Outcome) -> None:
    found = judge(window(new))
    assert of_part(found.findings, "").outcome is whole
    assert of_part(found.findings, "POST").outcome is post
    assert found.outcome is judged


def test_a_failing_part_is_named_with_its_figures() -> None:
    found = judge(window(Did(good=4500, posts=475, bad_posts=25)))
    assert found.reasons == ("error share: pair-front POST: 25 of 500 5xx (5.00%, limit 1.00%)",)
    part = of_part(found.findings, "POST")
    assert (part.service, part.bad, part.of, part.limit) == ("pair-front", 25, 500, 0.01)


def test_a_part_of_which_little_is_known_says_why_it_is_good() -> None:
    """Beside a whole of which more is known, and which is not proven."""
    found = judge(window(Did(good=80, posts=20))).findings
    assert of_part(found, "").outcome is INCONCLUSIVE
    post = of_part(found, "POST")
    assert post.outcome is PASS
    assert post.figures.endswith("; too few by themselves, and no worse than the rest")
    assert "too few" not in of_part(judge(window(Did(good=1000, posts=1000))).findings, "POST").figures


@pytest.mark.parametrize(("new", "parts"), [(Did(good=1000), True), (Did(good=900, posts=100), False)])
def test_without_parts_there_is_one_share(new: Did, parts: object) -> None:
    found = judge(window(new, parts=parts))
    assert [finding.part for finding in found.findings if finding.rule == "error share"] == [""]


def test_more_shares_need_more_to_fail() -> None:
    """At 20 of 1,000 one of two shares fails; of four at once each needs more: a good version fails no oftener."""
    assert share_outcome(bad=19, of=1000, limit=0.01) is FAIL
    assert share_outcome(bad=19, of=1000, limit=0.01, fail_at=0.0025) is INCONCLUSIVE
    assert judge(window(Did(good=980, bad=20), parts=False)).outcome is FAIL
    assert judge(window(Did(good=490, bad=10, posts=490, bad_posts=10))).outcome is INCONCLUSIVE


# The old slot.


def test_the_old_slots_figures_stand_beside() -> None:
    found = judge(window(Did(good=950, bad=50), old=Did(good=1098, bad=2), parts=False))
    share = found.findings[0]
    assert share.old == OldShare(bad=2, of=1100, seconds=30.0)
    assert share.figures == "pair-front: 50 of 1,000 5xx (5.00%, limit 1.00%); blue before: 2 of 1,100 (0.18%)"
    assert found.notes == ()


@pytest.mark.parametrize(
    ("new", "old", "note"),
    [
        (
            (50, 1000),
            (60, 1000),
            "and green is not shown to be worse: going back will not mend it",
        ),
        ((50, 1000), (25, 1000), "and green is worse"),
        ((50, 1000), (5, 1000), ""),
        ((50, 1000), (15, 1000), ""),  # over the limit by chance, perhaps: nothing is said of it
        ((0, 1000), (60, 1000), ""),
    ],
)
def test_an_old_slot_that_was_over_the_limit_explains_and_changes_nothing(
    new: tuple[int, int], old: tuple[int, int], note: str
) -> None:
    did, was = (Did(good=of - bad, bad=bad) for bad, of in (new, old))
    found = judge(window(did, old=was, parts=False))
    assert found.outcome is (FAIL if new[0] else PASS)
    assert len(found.notes) == bool(note)
    start = "pair-front: blue was over this limit itself before the switch, "
    assert all(line == start + note for line in found.notes)


def test_less_time_than_the_windows_is_said() -> None:
    found = judge(window(Did(good=1000), old=Did(good=200), old_seconds=6.0))
    assert found.notes == ("blue's figures are of the last 6 s before the switch: no more was seen",)


def test_figures_that_are_not_known_are_said_to_be() -> None:
    assert judge(window(Did(good=1000))).notes == ("blue's figures from before the switch are not known",)
    assert judge(window(Did())).notes == (), "there is nothing to compare"


# What would settle it.


@pytest.mark.parametrize(
    ("new", "more", "settle"),
    [
        (Did(), 459, "459 requests without an error"),
        (Did(good=100), 359, "359 more requests without an error, some 138 s of window in all at this rate"),
        (Did(good=299, bad=1), 362, "362 more requests with no bad one among them, some 67 s of window"),
        (Did(good=990, bad=10), None, "a longer window: so far its share is not under the limit of 1.00%"),
    ],
)
def test_what_would_settle_it(new: Did, more: int | None, settle: str) -> None:
    share = judge(window(new, parts=False)).findings[0]
    assert share.outcome is INCONCLUSIVE
    assert share.more == more
    assert share.settle.startswith(settle)


@pytest.mark.parametrize(
    ("good", "settle"),
    [
        (100, "367 more requests without an error, some 150 s of window in all at this rate"),
        (8, "459 more requests without an error"),  # no user came, and more probes settle nothing
    ],
)
def test_the_rate_is_of_users_and_not_of_probes(good: int, settle: str) -> None:
    found = window(Did(good=good), old_since=8, parts=False)
    assert found.nobodys("pair-front") == 8
    assert judge(found).findings[0].settle == settle


def test_what_is_settled_says_nothing_of_it() -> None:
    assert judge(window(Did(good=1000))).settles == ()


def test_an_open_judgement_says_each_once() -> None:
    found = judge(window(Did(good=80, posts=20)))
    assert found.settles == ("359 more requests without an error, some 138 s of window in all at this rate",)


# The pipeline's own requests.


def ours(good: int = 0, failed: int = 0, *, service: str = "pair-front", by_entry: bool = True) -> Synthetic:
    return Synthetic(
        asked=good + failed,
        failed=failed,
        good=((service, good),) if good else (),
        by_entry=by_entry,
        wrong="the body does not hold 'x'" if failed else "",
    )


def test_our_own_requests_are_taken_out_of_users() -> None:
    found = judge(window(Did(good=464), synthetic=ours(good=10), parts=False))
    assert (found.findings[0].of, found.findings[0].outcome) == (454, INCONCLUSIVE)
    assert judge(window(Did(good=464), parts=False)).outcome is PASS


def test_our_own_requests_may_be_more_than_were_counted() -> None:
    """They ask readiness paths where the app file has no check, and many services leave those out of their counts."""
    few = window(Did(good=10, posts=9, bad_posts=1), synthetic=ours(good=15))
    post = of_part(judge(few).findings, "POST")
    assert (post.bad, post.of, post.outcome) == (1, 10, INCONCLUSIVE)


def test_our_own_requests_to_another_service_prove_nothing_good_behind_it() -> None:
    found = judge(window(Did(good=464), synthetic=ours(good=10, service="pair-back"), parts=False))
    assert (found.findings[0].of, found.findings[0].outcome) == (464, INCONCLUSIVE)
    assert judge(window(Did(good=900, bad=50), synthetic=ours(good=15, service="pair-back"))).outcome is FAIL


@pytest.mark.parametrize(
    ("made", "outcome", "words"),
    [
        (ours(good=15), PASS, "0 of 15 of our own requests went wrong"),
        (ours(good=14, failed=1), INCONCLUSIVE, "1 of 15 of our own requests went wrong; the last: the body"),
        (ours(good=13, failed=2), FAIL, "2 of 15 of our own"),
        (Synthetic(unmade="no address"), INCONCLUSIVE, "none could be made: no address"),
    ],
)
def test_our_own_requests_are_a_finding_of_their_own(made: Synthetic, outcome: Outcome, words: str) -> None:
    found = judge(window(Did(good=2000), synthetic=made))
    last = found.findings[-1]
    assert (last.rule, last.outcome) == ("synthetic traffic", outcome)
    assert last.figures.startswith(words)
    assert found.outcome is outcome


def test_our_own_good_requests_prove_no_share_of_users() -> None:
    assert judge(window(Did(good=15), synthetic=ours(good=15))).outcome is INCONCLUSIVE


def test_most_of_our_own_going_wrong_does_not_wait_for_the_end() -> None:
    assert [found.rule for found in hard_triggers(window(Did(), synthetic=ours(good=2, failed=3)))] == [
        "synthetic traffic"
    ]
    assert hard_triggers(window(Did(), synthetic=ours(good=2, failed=2))) == ()
    assert hard_triggers(window(Did(), synthetic=ours(good=3, failed=3))) == ()


def with_edges(found: Window, *, fast: int, between: int, slow: int, old: int = 0) -> Window:
    """Buckets that end at 100 and 250 ms, as the usual ones of client libraries do; the limit of 150 lies between."""

    def times(one: PodCounters, counts: tuple[int, int, int]) -> PodCounters:
        upto, middle, over = counts
        edges = ((100.0, upto), (250.0, upto + middle), (math.inf, upto + middle + over))
        return replace(one, latency=Histogram(timing=Timing.OVERHEAD, buckets=edges))

    def read(reading: Reading, new: tuple[int, int, int], was: tuple[int, int, int]) -> Reading:
        return replace(reading, pods=tuple(times(one, new if one.slot is GREEN else was) for one in reading.pods))

    assert found.old is not None
    none, before = (0, 0, 0), (1000, old, 0)
    span = replace(found.old, begin=read(found.old.begin, none, none), end=read(found.old.end, none, before))
    start, end = read(found.before, none, before), read(found.now, (fast, between, slow), before)
    return replace(found, old=span, before=start, now=end)


@pytest.mark.parametrize(
    ("fast", "between", "slow", "outcome"),
    [
        (700, 300, 0, INCONCLUSIVE),  # all of them may have taken 110 ms, or 240
        (980, 20, 0, PASS),  # even if all of them were slow
        (700, 200, 100, FAIL),  # those beyond are enough
        (960, 20, 20, INCONCLUSIVE),
    ],
)
def test_requests_in_the_bucket_of_the_limit_neither_fail_it_nor_pass(
    fast: int, between: int, slow: int, outcome: Outcome
) -> None:
    found = judge(with_edges(window(Did(good=1000), old=Did(good=1000)), fast=fast, between=between, slow=slow))
    times = next(finding for finding in found.findings if finding.rule == "P95 overhead")
    assert times.outcome is outcome
    assert times.bad == (slow if outcome is FAIL else between + slow)
    assert f"or {slow} of them: no bucket of its histogram ends there" in times.figures
    if outcome is INCONCLUSIVE and (between + slow) / 1000 > 0.05:
        assert times.settle == "a bucket that ends at 150 ms in pair-front's histogram"


def test_an_old_slot_in_the_same_bucket_was_not_over_the_limit() -> None:
    found = judge(with_edges(window(Did(good=1000), old=Did(good=1000)), fast=700, between=0, slow=300, old=500))
    assert not [note for note in found.notes if "was over this limit itself" in note]
