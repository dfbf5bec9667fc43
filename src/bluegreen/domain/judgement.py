"""What the observation window says: pass, fail or inconclusive. One pure function over one value.

Hard triggers act at any moment: a crash, a service without a ready pod, traffic falling back to the old slot, more than
half of the answers bad. Everything else is one look at the end of the window, with minimum counts and an exact binomial
test: many looks need corrections that nobody understands, and a plain ``errors / requests > 1 %`` calls a good release
bad in every fifth window of 50 requests (true share 0.5 %).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import exp, lgamma, log, log1p
from typing import TYPE_CHECKING

from bluegreen.domain.reading import Reading, Tally, Timing, arrived, metered, tally
from bluegreen.domain.snapshot import Running
from bluegreen.domain.stack import Limits, Slot

if TYPE_CHECKING:
    from bluegreen.domain.snapshot import Pod, Snapshot

SIGNIFICANCE = 0.01
"""A good release is called bad in at most one of a hundred windows, a rule."""

GROSS_MINIMUM = 100
"""Answers needed before more than half of them being bad counts as proof at once."""

GROSS_SHARE = 0.5

SLOW_SHARE = 0.05
"""P95 over a limit means: more than one in twenty requests takes longer."""


OVERHEAD = "P95 overhead"


class Outcome(StrEnum):
    """What a rule, or the window as a whole, comes to."""

    PASS = "pass"  # noqa: S105 - a word of the domain, no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule's result with its figures, for the screen and the record."""

    rule: str
    outcome: Outcome
    figures: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The window's result: failed if any rule failed, passed if all passed."""

    outcome: Outcome
    findings: tuple[Finding, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """The findings that kept it from passing, a line each."""
        return tuple(
            f"{finding.rule}: {finding.figures}" for finding in self.findings if finding.outcome is not Outcome.PASS
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """All that the judgement may look at: both ends of the time since the switch."""

    slot: Slot
    """The new slot."""
    limits: Limits
    before: Reading
    now: Reading
    at_switch: Snapshot
    live: Snapshot


def hard_triggers(window: Window) -> tuple[Finding, ...]:
    """The findings that roll back at once; empty: none."""
    gross = [trigger for name in _metered(window) for trigger in _gross_errors(name, _tally(window, name))]
    found = (*_crashes(window), *_no_ready_pod(window), *_fallen_back(window), *gross)
    return tuple(Finding(rule=rule, outcome=Outcome.FAIL, figures=figures) for rule, figures in found)


def judge(window: Window) -> Judgement:
    """The one look at the end of the window."""
    hard = hard_triggers(window)
    if hard:
        return Judgement(outcome=Outcome.FAIL, findings=hard)
    findings = (*_gaps(window), *_shares(window))
    return Judgement(outcome=_worst(findings), findings=findings)


def _shares(window: Window) -> list[Finding]:
    """Each metered service by itself: a front's errors must not be diluted by the good answers behind it."""
    names = _metered(window)
    if not names:
        return [Finding(rule="metrics", outcome=Outcome.INCONCLUSIVE, figures="no service's requests were counted")]
    found = [finding for name in names for finding in _of_service(window, name)]
    if not any(finding.rule == OVERHEAD for finding in found):
        found.append(Finding(rule=OVERHEAD, outcome=Outcome.INCONCLUSIVE, figures="no service's time is measured"))
    return found


def _of_service(window: Window, name: str) -> list[Finding]:
    counts = _tally(window, name)
    found = [_error_share(name, counts, window.limits)]
    if counts.timing is not None:
        found.append(_overhead(name, counts, window.limits))
    return found


def _worst(findings: tuple[Finding, ...]) -> Outcome:
    outcomes = {finding.outcome for finding in findings}
    for outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
        if outcome in outcomes:
            return outcome
    return Outcome.PASS


def _metered(window: Window) -> tuple[str, ...]:
    return metered(window.before, window.now, slot=window.slot)


def _tally(window: Window, service: str | None = None) -> Tally:
    limit = window.limits.p95_overhead_ms
    return tally(window.before, window.now, slot=window.slot, limit_ms=limit, service=service)


def _crashes(window: Window) -> list[tuple[str, str]]:
    earlier = {pod.name: pod for pod in _pods(window.at_switch, window.slot)}
    later = {pod.name: pod for pod in _pods(window.live, window.slot)}
    return [
        ("crash", f"{pod.service}: pod {name} {_how_it_ended(later.get(name))}")
        for name, pod in earlier.items()
        if _has_crashed(pod, later.get(name))
    ]


def _has_crashed(before: Pod, now: Pod | None) -> bool:
    """A pod that was ready has crashed when it is gone, was started again, or does not run."""
    if now is None or now.restarts > before.restarts:
        return True
    return any(not isinstance(container.state, Running) for container in now.containers)


def _how_it_ended(pod: Pod | None) -> str:
    if pod is None:
        return "is gone"
    ended = next((container.last for container in pod.containers if container.last is not None), None)
    return f"ended with exit code {ended.exit_code}" if ended is not None else "ended"


def _no_ready_pod(window: Window) -> list[tuple[str, str]]:
    return [
        ("no ready pod", f"{work.service} in {work.slot}: 0 of {work.replicas} ready")
        for work in window.live.slot_workloads(window.slot)
        if work.replicas and work.ready == 0
    ]


def _pods(snapshot: Snapshot, slot: Slot) -> list[Pod]:
    return [pod for work in snapshot.slot_workloads(slot) for pod in work.current]


def _fallen_back(window: Window) -> list[tuple[str, str]]:
    strays = arrived(window.before, window.now, slot=window.slot.other)
    if not strays:
        return []
    return [("fallback", f"{strays} requests were answered by {window.slot.other} since the switch")]


def _gross_errors(name: str, counts: Tally) -> list[tuple[str, str]]:
    if counts.requests < GROSS_MINIMUM or counts.errors <= GROSS_SHARE * counts.requests:
        return []
    return [("errors over half", f"{name}: {counts.errors} of {counts.requests} answers were 5xx")]


def _gaps(window: Window) -> list[Finding]:
    return [
        Finding(rule="metrics", outcome=Outcome.INCONCLUSIVE, figures=f"{gap.pod}: {gap.why}")
        for gap in _tally(window).gaps
    ]


def _error_share(name: str, counts: Tally, limits: Limits) -> Finding:
    figures = f"{name}: {_share(counts.errors, counts.requests, '5xx', limits.error_share)}"
    outcome = share_outcome(bad=counts.errors, of=counts.requests, limit=limits.error_share)
    return Finding(rule="error share", outcome=outcome, figures=figures)


def _overhead(name: str, counts: Tally, limits: Limits) -> Finding:
    what = f"over {limits.p95_overhead_ms:g} ms"
    if counts.timing is Timing.TOTAL:
        what += f" ({Timing.TOTAL})"
    figures = f"{name}: {_share(counts.slow, counts.timed, what, SLOW_SHARE)}"
    outcome = share_outcome(bad=counts.slow, of=counts.timed, limit=SLOW_SHARE)
    return Finding(rule=OVERHEAD, outcome=outcome, figures=figures)


def _share(bad: int, of: int, what: str, limit: float) -> str:
    if not of:
        return "no requests were counted"
    return f"{bad} of {of} {what} ({bad / of:.2%}, limit {limit:.2%})"


def share_outcome(*, bad: int, of: int, limit: float) -> Outcome:
    """Test one share against its limit.

    Fail: so many bad ones would come by chance, at a true share equal to the limit, in less than SIGNIFICANCE of all
    windows. Pass: so few would. Else inconclusive: too little to tell.
    """
    if of == 0:
        return Outcome.INCONCLUSIVE
    if at_least(bad, of=of, share=limit) < SIGNIFICANCE:
        return Outcome.FAIL
    if at_most(bad, of=of, share=limit) < SIGNIFICANCE:
        return Outcome.PASS
    return Outcome.INCONCLUSIVE


def at_most(k: int, *, of: int, share: float) -> float:
    """Probability of ``k`` or fewer successes in ``of`` trials (exact binomial)."""
    if share <= 0:
        return 1.0
    if share >= 1:
        return 1.0 if k >= of else 0.0
    return min(1.0, sum(_binomial(i, of=of, share=share) for i in range(k + 1)))


def at_least(k: int, *, of: int, share: float) -> float:
    """Probability of ``k`` or more successes in ``of`` trials (exact binomial)."""
    if k <= 0:
        return 1.0
    return max(0.0, 1.0 - at_most(k - 1, of=of, share=share))


def _binomial(k: int, *, of: int, share: float) -> float:
    ways = lgamma(of + 1) - lgamma(k + 1) - lgamma(of - k + 1)
    return exp(ways + k * log(share) + (of - k) * log1p(-share))
