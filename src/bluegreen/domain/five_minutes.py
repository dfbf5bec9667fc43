"""The five minutes after the switch, judged by counters that another process has read at the switch. Pure.

The same exact tests as the observation window's (shares.py), with the same correction for how many there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.finding import ERROR_SHARE, METRICS, OVERHEAD, Finding, Judgement, Outcome
from bluegreen.domain.mark import errors_of
from bluegreen.domain.reading import Timing
from bluegreen.domain.shares import SIGNIFICANCE, SLOW_SHARE, blurred, share_outcome
from bluegreen.domain.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bluegreen.domain.release import Answered, Mark, Tallied
    from bluegreen.domain.stack import Limits, Seconds, Slot

FIVE_MINUTES: Seconds = 300.0
"""The specification's: how long after the switch the error rate counts."""

LATE: Seconds = 60.0
"""So much more is still called five minutes: a Prometheus may scrape once a minute. The figures say how long it was."""


def judge_since(
    mark: Mark, tallied: Tallied, *, slot: Slot, window: Tallied | None, nobodys: tuple[tuple[str, int], ...] = ()
) -> Judgement:
    """Judge what the slot has answered since the switch, by the exact test of the observation window.

    Asked long after the five minutes, the counters cover more than those: then the errors of the whole time, which are
    at least those of the five minutes, are tested against the requests of the ``window`` alone, which are at most
    theirs unless it was longer or came later. So a good one is good, and a bad one is not known. Our own requests in
    the window (``--synthetic-traffic``) prove nothing good, nor do ``nobodys``: so many of a service's may be probes.
    """
    late = is_late(tallied, mark)
    inside = window.answered if window is not None and not is_late(window, mark) else ()
    known = {each.service: each for each in inside if each.slot is slot}
    ours = window.synthetic if window is not None else 0
    findings: list[Finding] = [Finding(rule=METRICS, outcome=Outcome.INCONCLUSIVE, figures=gap) for gap in tallied.gaps]
    mine = [each for each in tallied.answered if each.slot is slot]
    findings += _begun_again(mine, tallied, window)
    shares = sum(2 if each.timing else 1 for each in mine)
    test = _Test(seconds=tallied.until - mark.at, ours=ours, fail_at=SIGNIFICANCE / max(1, shares))
    for each in mine:
        least = known.get(each.service) if late else each
        of_service = replace(test, nobodys=dict(nobodys).get(each.service, 0))
        findings += _shares(each, least, limits=mark.limits, test=of_service)
    findings += _uncounted(findings)
    return Judgement(outcome=_worst(findings), findings=tuple(findings))


def _begun_again(mine: Sequence[Answered], tallied: Tallied, window: Tallied | None) -> Iterator[Finding]:
    """Counters that say less than in the window, counted from the same mark: what they had said is lost to them."""
    if window is None or window.since != tallied.since:
        return
    for each in mine:
        seen = next((one for one in window.answered if (one.service, one.slot) == (each.service, each.slot)), None)
        if seen is not None and (each.requests < seen.requests or errors_of(each) < errors_of(seen)):
            figures = f"{each.service}: its counters have begun again since the window, so a part is not counted"
            yield Finding(rule=METRICS, outcome=Outcome.INCONCLUSIVE, figures=figures)


def is_late(tallied: Tallied, mark: Mark) -> bool:
    """Whether it covers more than the five minutes, or may: another machine's clock can be behind."""
    return not 0 <= tallied.until - mark.at <= FIVE_MINUTES + LATE


def _uncounted(findings: Sequence[Finding]) -> list[Finding]:
    """One for each rule that nothing was counted for."""
    why = {ERROR_SHARE: "no service's requests were counted", OVERHEAD: "no service's time is measured"}
    said = {finding.rule for finding in findings}
    return [
        Finding(rule=rule, outcome=Outcome.INCONCLUSIVE, figures=figures)
        for rule, figures in why.items()
        if rule not in said
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    """What all shares have in common."""

    seconds: Seconds
    """How long was counted."""
    ours: int
    """So many of the requests may be our own."""
    fail_at: float
    """As of ``share_outcome``."""
    nobodys: int = 0
    """So many more of a service's may be no user's."""
    surely: int | None = None
    """As of ``share_outcome``."""


def _shares(each: Answered, least: Answered | None, *, limits: Limits, test: _Test) -> Iterator[Finding]:
    """``least``: the same service's requests that lie in the five minutes for certain; the same value: all of them."""
    all_of_them = least is each
    yield _share(
        Finding(
            rule=ERROR_SHARE,
            outcome=Outcome.INCONCLUSIVE,
            figures="5xx",
            service=each.service,
            bad=errors_of(each),
            of=each.requests,
            limit=limits.error_share,
        ),
        least=None if all_of_them else least.requests if least is not None else 0,
        test=test,
    )
    if each.timing:
        more = "" if each.timing == Timing.OVERHEAD else f" ({each.timing})"
        yield _share(
            Finding(
                rule=OVERHEAD,
                outcome=Outcome.INCONCLUSIVE,
                figures=f"over {limits.p95_overhead_ms:g} ms{more}",
                service=each.service,
                bad=each.slow,
                of=each.timed,
                limit=SLOW_SHARE,
            ),
            least=None if all_of_them else least.timed if least is not None else 0,
            test=replace(test, surely=each.surely_slow),
        )


def _share(counted: Finding, *, least: int | None, test: _Test) -> Finding:
    """The finding tested; its figures say what is bad. ``least`` None: the counts are of the five minutes."""
    bad, of, limit = counted.bad or 0, counted.of or 0, counted.limit or 0.0
    if not of:
        return replace(counted, figures=f"{counted.service}: no requests were counted")
    share = f"({bad / of:.2%}, limit {limit:.2%}) in {_words(test.seconds)}"
    figures = f"{counted.service}: {bad:,} of {of:,} {counted.figures} {share}"
    if test.surely is not None:
        figures += blurred(max(0, test.surely))
    figures += f", {test.ours:,} of our own may be among them" if test.ours else ""
    if least is not None:
        figures += f", of which {least:,} for certain within the five minutes"
    outcome, others = (_outcome(counted, least, test, ours=ours) for ours in (test.ours + test.nobodys, test.ours))
    if outcome is not others:
        figures += f"; {min(test.nobodys, of):,} may be probes and reads of the metrics"
    return replace(counted, figures=figures, outcome=outcome)


def _outcome(counted: Finding, least: int | None, test: _Test, *, ours: int) -> Outcome:
    bad, of, limit = counted.bad or 0, counted.of or 0, counted.limit or 0.0
    if least is None:
        surely = test.surely
        return share_outcome(bad=bad, surely=surely, of=of, limit=limit, fail_at=test.fail_at, ours=ours)
    good = bad < least and share_outcome(bad=bad, of=least, limit=limit, ours=ours) is Outcome.PASS
    return Outcome.PASS if good else Outcome.INCONCLUSIVE


def _words(seconds: Seconds) -> str:
    return f"{seconds:.0f} s" if seconds >= 0 else "a time that is not known, for clocks differ"


def _worst(findings: Iterable[Finding]) -> Outcome:
    outcomes = {finding.outcome for finding in findings}
    for outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
        if outcome in outcomes:
            return outcome
    return Outcome.PASS


def time_of_day(at: float) -> str:
    """Seconds since 1970 as ``07:32:10Z``: until when somebody waits."""
    seconds = int(at) % 86_400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}Z"
