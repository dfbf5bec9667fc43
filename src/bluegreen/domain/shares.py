"""Shares of a window against their limits: errors of each service, of each part of its requests, and slow requests.

Each is one exact binomial test at the end. The more of them there are, the more must be found for one to fail
(Bonferroni), so that a good release is called bad in fewer than one of a hundred windows, however many parts it has.

The old slot's share stands beside the new one's and changes no outcome: the limit is the rule. It only explains.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from bluegreen.domain.finding import ERROR_SHARE, METRICS, OVERHEAD, Finding, OldShare, Outcome
from bluegreen.domain.odds import at_least, at_most, more_needed, worse_by_chance
from bluegreen.domain.reading import Timing, metered
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bluegreen.domain.reading import Tally
    from bluegreen.domain.window import Window

SIGNIFICANCE = 0.01
"""A good release is called bad in at most one of a hundred windows, all shares together."""

SLOW_SHARE = 0.05
"""P95 over a limit means: more than one in twenty requests takes longer."""

DOUBT = 0.05
"""A part that is worse than the rest of its service, with such odds, is not taken for proven; nor does it fail."""

ALIKE = "; too few by themselves, and no worse than the rest"
"""Why a part is good of which less is known than of a whole that is not proven."""

NO_METRICS = "name its services' metrics in the app file (metrics: requests)"
NO_TIMES = "name a histogram in the app file (metrics: overhead, or duration)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """A share to be judged, of both slots."""

    rule: str
    service: str
    part: str = ""
    what: str
    bad: int
    of: int
    old_bad: int
    old_of: int
    limit: float
    surely: int | None = None
    """So many are bad for certain: only they fail it. None: all of them are."""
    old_surely: int | None = None
    rest_bad: int = 0
    """Of a part: the same of the other parts of its service."""
    rest_of: int = 0
    """Never less than the bad ones: more may have been taken out of the whole than the part has (``Window.ours``)."""
    nobodys: int = 0
    """So many of them may be no user's (``Window.nobodys``): they prove nothing good."""


def share_findings(window: Window) -> list[Finding]:
    """Each metered service by itself: a front's errors must not be diluted by the good answers behind it."""
    names = metered(window.before, window.now, slot=window.slot)
    if not names:
        why = "no service's requests were counted"
        return [Finding(rule=METRICS, outcome=Outcome.INCONCLUSIVE, figures=why, settle=NO_METRICS)]
    shares = [share for name in names for share in _of_service(window, name)]
    found = [_judged(window, share, fail_at=SIGNIFICANCE / len(shares)) for share in shares]
    if not any(share.rule == OVERHEAD for share in shares):
        why = "no service's time is measured"
        found.append(Finding(rule=OVERHEAD, outcome=Outcome.INCONCLUSIVE, figures=why, settle=NO_TIMES))
    return found


def _of_service(window: Window, name: str) -> Iterator[_Share]:
    now, old = window.counted(name), window.old_counted(name)
    yield _Share(
        rule=ERROR_SHARE,
        service=name,
        what="5xx",
        bad=now.errors,
        of=now.requests,
        old_bad=old.errors,
        old_of=old.requests,
        limit=window.limits.error_share,
        nobodys=window.nobodys(name),
    )
    yield from _parts(window, name, now, old)
    if now.timing is not None:
        yield _slow(window, name, now, old)


def _parts(window: Window, name: str, now: Tally, old: Tally) -> Iterator[_Share]:
    """By method, when there are several: what fails for one of them only must not be diluted by the others."""
    if len(now.parts) < 2:
        return
    before = {part.name: part for part in old.parts}
    for part in now.parts:
        earlier = before.get(part.name)
        yield _Share(
            rule=ERROR_SHARE,
            service=name,
            part=part.name,
            what="5xx",
            bad=part.errors,
            of=part.requests,
            old_bad=earlier.errors if earlier else 0,
            old_of=earlier.requests if earlier else 0,
            limit=window.limits.error_share,
            rest_bad=now.errors - part.errors,
            rest_of=max(now.errors - part.errors, now.requests - part.requests),
        )


def _slow(window: Window, name: str, now: Tally, old: Tally) -> _Share:
    what = f"over {window.limits.p95_overhead_ms:g} ms"
    if now.timing is Timing.TOTAL:
        what += f" ({Timing.TOTAL})"
    return _Share(
        rule=OVERHEAD,
        service=name,
        what=what,
        bad=now.slow,
        surely=now.surely_slow,
        of=now.timed,
        old_bad=old.slow,
        old_surely=old.surely_slow,
        old_of=old.timed,
        limit=SLOW_SHARE,
        nobodys=window.nobodys(name),
    )


def _judged(window: Window, share: _Share, *, fail_at: float) -> Finding:
    outcome = share_outcome(
        bad=share.bad, surely=share.surely, of=share.of, limit=share.limit, fail_at=fail_at, ours=share.nobodys
    )
    alike = bool(share.part) and outcome is Outcome.INCONCLUSIVE and not _stands_out(share)
    if alike:
        outcome = Outcome.PASS  # the whole has to prove itself; a part that is like it keeps nobody from it
    more = _more(share) if outcome is Outcome.INCONCLUSIVE else None
    return Finding(
        rule=share.rule,
        outcome=outcome,
        figures=_figures(window, share) + (ALIKE if alike else ""),
        service=share.service,
        part=share.part,
        bad=share.bad if outcome is not Outcome.FAIL or share.surely is None else share.surely,
        of=share.of,
        limit=share.limit,
        old=_old(window, share),
        settle=_settle(window, share, more) if outcome is Outcome.INCONCLUSIVE else "",
        more=more,
    )


def _stands_out(share: _Share) -> bool:
    """Whether a part of which too little is known looks worse than the limit, or than the rest of its service."""
    if not share.bad:
        return False
    chance = worse_by_chance(bad=share.bad, of=share.of, old_bad=share.rest_bad, old_of=share.rest_of)
    return share.bad / share.of >= share.limit or chance < DOUBT


def share_outcome(
    *, bad: int, surely: int | None = None, of: int, limit: float, fail_at: float = SIGNIFICANCE, ours: int = 0
) -> Outcome:
    """Test one share against its limit.

    Fail: so many bad ones would come by chance, at a true share equal to the limit, in less than ``fail_at`` of all
    windows. Pass: so few would in less than SIGNIFICANCE. Else inconclusive: too little to tell. ``ours``: so many may
    be the pipeline's own, and prove nothing good. ``surely``: so many of the bad ones are for certain, and
    only they fail it.
    """
    if of == 0:
        return Outcome.INCONCLUSIVE
    if at_least(bad if surely is None else surely, of=of, share=limit) < fail_at:
        return Outcome.FAIL
    if at_most(bad, of=max(bad, of - ours), share=limit) < SIGNIFICANCE:
        return Outcome.PASS
    return Outcome.INCONCLUSIVE


def _more(share: _Share) -> int | None:
    if share.of and share.bad / share.of >= share.limit:
        return None
    return more_needed(
        bad=share.bad, of=max(share.bad, share.of - share.nobodys), limit=share.limit, significance=SIGNIFICANCE
    )


def _settle(window: Window, share: _Share, more: int | None) -> str:
    """What would tell, in requests and, where some came, in seconds at their rate."""
    if more is None and _is_blurred(share):
        return f"a bucket that ends at {window.limits.p95_overhead_ms:g} ms in {share.service}'s histogram"
    if more is None:
        return f"a longer window: so far its share is not under the limit of {share.limit:.2%}"
    none_bad = "with no bad one among them" if share.bad or share.rule == OVERHEAD else "without an error"
    requests = "request" if more == 1 else "requests"
    if not share.of:
        return f"{more:,} {requests} {none_bad}"
    text = f"{more:,} more {requests} {none_bad}"
    if window.seconds > 0 and (users := max(share.bad, share.of - share.nobodys)):
        whole = window.seconds * (users + more) / users
        text += f", some {ceil(whole):,} s of window in all at this rate"
    return text


def _figures(window: Window, share: _Share) -> str:
    name = f"{share.service} {share.part}" if share.part else share.service
    if not share.of:
        return f"{name}: no requests were counted"
    text = f"{share.bad:,} of {share.of:,} {share.what} ({share.bad / share.of:.2%}, limit {share.limit:.2%})"
    if share.surely is not None and _is_blurred(share):
        text += blurred(share.surely)
    if share.old_of:
        before = f"{share.old_bad:,} of {share.old_of:,} ({share.old_bad / share.old_of:.2%})"
        text += f"; {window.slot.other} before: {before}"
    if _is_only_good_with_nobodys(share):
        text += f"; {min(share.nobodys, share.of):,} of them may be probes and requests of our own"
    return f"{name}: {text}"


def blurred(surely: int) -> str:
    """Behind a count of slow requests: so few of them are slow for certain."""
    return f", or {surely:,} of them: no bucket of its histogram ends there"


def _is_blurred(share: _Share) -> bool:
    return share.surely not in {None, share.bad}


def _is_only_good_with_nobodys(share: _Share) -> bool:
    every, users = (share_outcome(bad=share.bad, of=share.of, limit=share.limit, ours=n) for n in (0, share.nobodys))
    return every is Outcome.PASS and users is not Outcome.PASS


def _old(window: Window, share: _Share) -> OldShare | None:
    if window.old is None or not share.old_of:
        return None
    return OldShare(
        bad=share.old_bad if share.old_surely is None else share.old_surely, of=share.old_of, seconds=window.old.seconds
    )


def explained(window: Window, findings: Sequence[Finding]) -> list[str]:
    """What the old slot's figures say of those that failed: was it over the limit itself, and is the new one worse?

    Said of the old slot only when its own figures prove it, by the same test that fails a release. "Not shown to be
    worse" is all that can be said of the new one then: figures that do not differ do not show that it is as good.
    """
    return [_compared(window, finding) for finding in findings if _old_was_over(finding)]


def _old_was_over(finding: Finding) -> bool:
    if finding.outcome is not Outcome.FAIL or finding.old is None or finding.limit is None:
        return False
    old = share_outcome(bad=finding.old.bad, of=finding.old.of, limit=finding.limit)
    return old is Outcome.FAIL


def _compared(window: Window, finding: Finding) -> str:
    old = finding.old
    assert old is not None  # noqa: S101 - only those with one are compared
    assert finding.bad is not None  # noqa: S101
    assert finding.of is not None  # noqa: S101
    chance = worse_by_chance(bad=finding.bad, of=finding.of, old_bad=old.bad, old_of=old.of)
    name = f"{finding.service} {finding.part}" if finding.part else finding.service
    over = f"{window.slot.other} was over this limit itself before the switch"
    if chance < SIGNIFICANCE:
        return f"{name}: {over}, and {window.slot} is worse"
    return f"{name}: {over}, and {window.slot} is not shown to be worse: going back will not mend it"
