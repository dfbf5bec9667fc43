"""What the observation window says: pass, fail or inconclusive. One pure function over one value.

Hard triggers act at any moment: a crash, a service without a ready pod, traffic falling back to the old slot, more than
half of the answers bad, silence. Everything else is one look at the end of the window, with minimum counts and an exact
binomial test: many looks need corrections that nobody understands, and a plain ``errors / requests > 1 %`` calls a good
release bad in every fifth window of 50 requests (true share 0.5 %).

The rules themselves: ``shares``, ``silence``, and here what the pods show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.finding import (
    CRASH,
    ERROR_SHARE,
    FALLBACK,
    GROSS,
    METRICS,
    NO_READY_POD,
    OVERHEAD,
    SYNTHETIC,
    Finding,
    Judgement,
    Outcome,
)
from bluegreen.domain.odds import at_least
from bluegreen.domain.reading import arrived, by_reason, metered
from bluegreen.domain.shares import explained, share_findings, share_outcome
from bluegreen.domain.silence import fallen_silent, left_behind, silent
from bluegreen.domain.snapshot import Running
from bluegreen.domain.window import Span, Synthetic, Window

if TYPE_CHECKING:
    from bluegreen.domain.reading import Tally
    from bluegreen.domain.snapshot import Pod, Snapshot
    from bluegreen.domain.stack import Slot

__all__ = ["Finding", "Judgement", "Outcome", "Span", "Synthetic", "Window", "hard_triggers", "judge"]

GROSS_MINIMUM = 100
"""Answers needed before more than half of them being bad counts as proof at once."""

GROSS_SHARE = 0.5

FALLBACK_CHANCE = 1e-4
"""So rarely as many requests would go back to the old slot by chance, if as many as the limit of errors do: then they
roll back at once. Less than at the end of the window, for it is asked at each look.
"""

SYNTHETIC_MINIMUM = 5
"""Our own requests needed for the same."""

SYNTHETIC_SHARE = 0.01
"""Of our own requests, whose answers are known beforehand, so many may go wrong."""


def hard_triggers(window: Window) -> tuple[Finding, ...]:
    """The findings that roll back at once; empty: none."""
    names = metered(window.before, window.now, slot=window.slot)
    gross = [trigger for name in names for trigger in _gross_errors(name, window.counted(name))]
    return (
        *_crashes(window),
        *_no_ready_pod(window),
        *_fallen_back(window),
        *gross,
        *silent(window),
        *_synthetic_gross(window),
    )


def judge(window: Window) -> Judgement:
    """The one look at the end of the window."""
    hard = hard_triggers(window)
    if hard:
        return Judgement(outcome=Outcome.FAIL, findings=hard, notes=notes(window, hard))
    findings = (
        *_gaps(window),
        *_unseen_arrivals(window),
        *share_findings(window),
        *fallen_silent(window),
        *_synthetic(window),
    )
    return Judgement(outcome=_worst(findings), findings=findings, notes=notes(window, findings))


def notes(window: Window, findings: tuple[Finding, ...]) -> tuple[str, ...]:
    """What a reader of these findings has to know."""
    return (
        *explained(window, findings),
        *_baseline(window, findings),
        *_resets(window),
        *left_behind(window),
        *_few_strays(window, findings),
    )


def _baseline(window: Window, findings: tuple[Finding, ...]) -> list[str]:
    """Said where shares are compared, and the old slot was seen for less time than the new one, by more than a look."""
    shown = any(finding.rule in {ERROR_SHARE, OVERHEAD} and finding.of for finding in findings)
    old, name = window.old, window.slot.other
    if not shown or (old is not None and old.seconds >= window.seconds - 2.0):
        return []
    if old is None:
        return [f"{name}'s figures from before the switch are not known"]
    return [f"{name}'s figures are of the last {old.seconds:.0f} s before the switch: no more was seen"]


def _resets(window: Window) -> list[str]:
    return [
        f"{pod}: its counters began again from nothing; what came between that and the look before it is not counted"
        for pod in window.restarted
    ]


def _worst(findings: tuple[Finding, ...]) -> Outcome:
    outcomes = {finding.outcome for finding in findings}
    for outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
        if outcome in outcomes:
            return outcome
    return Outcome.PASS


def _failed(rule: str, figures: str, *, service: str = "", bad: int | None = None, of: int | None = None) -> Finding:
    return Finding(rule=rule, outcome=Outcome.FAIL, figures=figures, service=service, bad=bad, of=of)


def _crashes(window: Window) -> list[Finding]:
    earlier = {pod.name: pod for pod in _pods(window.at_switch, window.slot)}
    later = {pod.name: pod for pod in _pods(window.live, window.slot)}
    return [
        _failed(CRASH, f"{pod.service}: pod {name} {_how_it_ended(later.get(name))}", service=pod.service)
        for name, pod in earlier.items()
        if pod.ready and _has_crashed(pod, later.get(name))
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


def _no_ready_pod(window: Window) -> list[Finding]:
    return [
        _failed(NO_READY_POD, f"{work.service} in {work.slot}: 0 of {work.replicas} ready", service=work.service)
        for work in window.live.slot_workloads(window.slot)
        if work.replicas and work.ready == 0
    ]


def _pods(snapshot: Snapshot, slot: Slot) -> list[Pod]:
    return [pod for work in snapshot.slot_workloads(slot) for pod in work.current]


def _fallen_back(window: Window) -> list[Finding]:
    """More than chance explains at the limit of the error share. Fewer are a note: a worker of a busy data plane may
    learn of the switch a request late, and a machine that pauses for a moment lets connections time out.
    """
    strays, of = _strays(window)
    if at_least(strays, of=of, share=window.limits.error_share) >= FALLBACK_CHANCE:
        return []
    return [_failed(FALLBACK, _fell_back(window, strays, of=of), bad=strays, of=of)]


def _strays(window: Window) -> tuple[int, int]:
    """The requests that the old slot answered, and all since the switch; nothing, where they are not counted."""
    strays = arrived(window.before, window.now, slot=window.slot.other) or 0
    return strays, strays + (arrived(window.before, window.now, slot=window.slot) or 0)


def _fell_back(window: Window, strays: int, *, of: int) -> str:
    were, them = ("was", "it") if strays == 1 else ("were", "them")
    why = f"{window.slot} did not take {them}"
    return f"{strays:,} of {of:,} requests {were} answered by {window.slot.other} since the switch: {why}"


def _few_strays(window: Window, findings: tuple[Finding, ...]) -> list[str]:
    strays, of = _strays(window)
    told = any(finding.rule == FALLBACK for finding in findings)
    return [f"{FALLBACK}: {_fell_back(window, strays, of=of)}"] if strays and not told else []


def _gross_errors(name: str, counts: Tally) -> list[Finding]:
    if counts.requests < GROSS_MINIMUM or counts.errors <= GROSS_SHARE * counts.requests:
        return []
    figures = f"{name}: {counts.errors:,} of {counts.requests:,} answers were 5xx"
    return [_failed(GROSS, figures, service=name, bad=counts.errors, of=counts.requests)]


def _gaps(window: Window) -> list[Finding]:
    return [
        Finding(
            rule=METRICS,
            outcome=Outcome.INCONCLUSIVE,
            figures=f"{who}: {why}",
            settle=f"the metrics of {who}, read at the end of the window",
        )
        for who, why in by_reason((gap.pod, gap.why) for gap in window.counted().gaps)
    ]


def _unseen_arrivals(window: Window) -> list[Finding]:
    """A data plane that counts, and was silent when the window began: nobody knows who fell back to the old slot."""
    old = window.slot.other
    counts = any(item.slot is old for item in window.now.arrivals)
    if not counts or arrived(window.before, window.now, slot=old) is not None:
        return []
    why = f"the data plane could not be asked right after the switch: what {old} still got is not known"
    settle = "the data plane's counters, read at both ends of a window"
    return [Finding(rule=METRICS, outcome=Outcome.INCONCLUSIVE, figures=why, settle=settle)]


def _synthetic_gross(window: Window) -> list[Finding]:
    made = window.synthetic
    if made is None or made.asked < SYNTHETIC_MINIMUM or made.failed <= GROSS_SHARE * made.asked:
        return []
    return [_of_synthetic(made, Outcome.FAIL)]


def _synthetic(window: Window) -> list[Finding]:
    """Our own requests pass when none went wrong: they are a check, and prove no share of users' errors."""
    made = window.synthetic
    if made is None:
        return []
    if not made.asked:
        why = f"none could be made: {made.unmade or 'nobody was asked'}"
        return [Finding(rule=SYNTHETIC, outcome=Outcome.INCONCLUSIVE, figures=why, settle="an address that answers")]
    outcome = share_outcome(bad=made.failed, of=made.asked, limit=SYNTHETIC_SHARE)
    if not made.failed:
        outcome = Outcome.PASS
    return [_of_synthetic(made, outcome)]


def _of_synthetic(made: Synthetic, outcome: Outcome) -> Finding:
    wrong = f"; the last: {made.wrong}" if made.wrong else ""
    unmade = f"; not asked at the end: {made.unmade}" if made.unmade else ""
    return Finding(
        rule=SYNTHETIC,
        outcome=outcome,
        figures=f"{made.failed:,} of {made.asked:,} of our own requests went wrong{wrong}{unmade}",
        bad=made.failed,
        of=made.asked,
        limit=SYNTHETIC_SHARE,
        settle="a longer window" if outcome is Outcome.INCONCLUSIVE else "",
    )
