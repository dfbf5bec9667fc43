"""The specification's post-deployment checklist: five items, each judged with its figures. Pure.

What cannot be seen is never met. An item that only time can settle is not yet known; one that nobody has counted cannot
be known, and says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.finding import ERROR_SHARE, GROSS, METRICS, OVERHEAD, Outcome
from bluegreen.domain.mark import errors_of
from bluegreen.domain.release import CheckKind, Item, State, Validated
from bluegreen.domain.stack import Limits
from bluegreen.domain.values import replace

__all__ = ["Item", "State", "checklist", "fulfilled"]

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bluegreen.domain.finding import Judgement
    from bluegreen.domain.plan import Plan
    from bluegreen.domain.release import Answered, Mark, Run, Standing, Tallied
    from bluegreen.domain.stack import Slot

BAD_GATEWAY = (502, 503)


def checklist(run: Run) -> tuple[Item, ...]:
    """The five items, in the specification's order; none for a run that brought no user to a new version."""
    plan = run.plan
    if plan is None or run.confirmed is None:
        return ()
    limits = run.mark.limits if run.mark is not None else Limits()
    return (
        _item("health endpoints return 200 on the new slot", _health(run)),
        _item(f"error rate < {100 * limits.error_share:.3g} % for 5 minutes after the switch", _errors(run, plan)),
        _item(f"P95 latency within {limits.p95_overhead_ms:g} ms of overhead", _latency(run, plan)),
        _item("no 502/503 during the transition", _transition(run, plan)),
        _item("old slot available for rollback", _standby(run, plan)),
    )


Found = tuple[State, str]


def _item(name: str, found: Found) -> Item:
    state, figures = found
    return Item(name=name, state=state, figures=figures)


def fulfilled(items: Iterable[Item]) -> State:
    """The checklist as a whole: not met when any item is not; else what keeps it from being met."""
    states = {item.state for item in items}
    for state in (State.NOT_MET, State.NOT_YET, State.UNKNOWABLE):
        if state in states:
            return state
    return State.MET


# --- the items ----------------------------------------------------------------------------------------------------


def _health(run: Run) -> Found:
    validated = next((entry.body for entry in reversed(run.entries) if isinstance(entry.body, Validated)), None)
    if validated is None:
        return State.UNKNOWABLE, "the journal does not say that the slot was validated"
    made = [check for check in validated.checks if check.what is CheckKind.HEALTH]
    asked, good = sum(check.asked for check in made), sum(check.good for check in made)
    if not asked:
        return State.UNKNOWABLE, "the pods were ready by their own probes; nobody has asked them besides"
    figures = f"{good} of {asked} answers of every pod good (200 to 399), on each path that its probes ask"
    unsure = [check.detail for check in made if check.unknown]
    if unsure:
        return State.UNKNOWABLE, f"{figures}; {unsure[0]}"
    return State.MET if good == asked else State.NOT_MET, figures


def _errors(run: Run, plan: Plan) -> Found:
    if run.verified is not None:
        return _by_findings(run.verified.judgement, ERROR_SHARE)
    if run.ended is not None and not run.ended.outcome.in_effect:
        return _left_early(run, plan)
    if run.mark is None:
        return State.UNKNOWABLE, "the counters at the switch were not recorded"
    if not any(pod.slot is plan.target for pod in run.mark.pods):
        return State.UNKNOWABLE, "no service's requests are counted"
    so_far = f"so far {_told(run.tallied, plan)}; " if run.tallied is not None else ""
    return State.NOT_YET, f"{so_far}judged by bluegreen verify"


_LOST_SIGHT: Found = (State.UNKNOWABLE, "where users were at its end is not known")
"""Of a release that was held, or gave way to another run or a person."""


def _left_early(run: Run, plan: Plan) -> Found:
    """Users did not stay for five minutes; what was found until then may be enough."""
    judgement = run.judgement
    if judgement is not None:
        bad = [
            each for each in judgement.findings if each.outcome is Outcome.FAIL and each.rule in {ERROR_SHARE, GROSS}
        ]
        if bad:
            return State.NOT_MET, "; ".join(each.figures for each in bad)
    if run.serving_after is None:
        return _LOST_SIGHT
    return State.UNKNOWABLE, f"users left {plan.target} before the five minutes were over"


def _latency(run: Run, plan: Plan) -> Found:
    if run.verified is not None:
        return _by_findings(run.verified.judgement, OVERHEAD)
    if run.judgement is None:
        return State.UNKNOWABLE, "the observation window was not judged"
    state, figures = _by_findings(run.judgement, OVERHEAD)
    goes_on = run.ended is None or run.ended.outcome.in_effect
    if state is State.UNKNOWABLE and goes_on and _is_timed(run.mark, plan.target):
        return State.NOT_YET, f"{figures}; bluegreen verify counts on"
    return state, figures


def _is_timed(mark: Mark | None, slot: Slot) -> bool:
    return mark is not None and any(pod.timing for pod in mark.pods if pod.slot is slot)


_STATES = {Outcome.PASS: State.MET, Outcome.FAIL: State.NOT_MET, Outcome.INCONCLUSIVE: State.UNKNOWABLE}


def _by_findings(judgement: Judgement, rule: str) -> Found:
    """What the findings of one rule say. What could not be counted keeps a good one from being known."""
    found = [each for each in judgement.findings if each.rule == rule]
    if not found:
        gaps = [each.figures for each in judgement.findings if each.rule == METRICS]
        return State.UNKNOWABLE, "; ".join(gaps) or f"the judgement says nothing of it ({rule})"
    states = {_STATES[each.outcome] for each in found}
    figures = [each.figures for each in found]
    if State.NOT_MET in states:
        return State.NOT_MET, "; ".join(figures)
    gaps = [each.figures for each in judgement.findings if each.rule == METRICS]
    if gaps or State.UNKNOWABLE in states:
        return State.UNKNOWABLE, "; ".join([*figures, *gaps])
    return State.MET, "; ".join(figures)


def _transition(run: Run, plan: Plan) -> Found:
    tallied = run.tallied
    if tallied is None:
        return State.UNKNOWABLE, "what was answered during the transition was not counted"
    if not any(each.answers for each in tallied.answered):
        return State.UNKNOWABLE, "; ".join(["no answer was counted with its status", *tallied.gaps])
    bad = sum(each.of(*BAD_GATEWAY) for each in tallied.answered)
    counts = "; ".join(
        f"{_short(plan, each.service)}: {each.of(*BAD_GATEWAY)} of {each.requests:,}" for each in _merged(tallied)
    )
    figures = (
        f"{counts} answers in the {tallied.until - tallied.since:.0f} s from the switch, by the pods' own counters"
    )
    if bad:
        return State.NOT_MET, figures
    if tallied.gaps:
        return State.UNKNOWABLE, "; ".join([figures, *tallied.gaps])
    return State.MET, figures


def _merged(tallied: Tallied) -> Iterator[Answered]:
    """Each service once, both slots together."""
    for service in dict.fromkeys(each.service for each in tallied.answered):
        parts = [each for each in tallied.answered if each.service == service]
        answers = tuple((status, sum(part.of(status) for part in parts)) for status in tallied.statuses)
        yield replace(parts[0], answers=answers)


def _standby(run: Run, plan: Plan) -> Found:
    standing = _standing(run)
    if run.retired and not _is_ready(standing):
        return State.MET, f"given up as asked: {plan.active} was ended (--scale-down-old)"
    if run.ended is not None and not run.ended.outcome.in_effect:
        if run.serving_after is None:
            return _LOST_SIGHT
        return State.MET, f"users went back to {plan.active}"
    if standing is None:
        return State.UNKNOWABLE, f"nobody has looked at {plan.active} at the end"
    counts = ", ".join(f"{_short(plan, each.service)} {each.ready}/{each.replicas}" for each in standing)
    return State.MET if _is_ready(standing) else State.NOT_MET, f"{plan.active}: {counts} ready"


def _is_ready(standing: tuple[Standing, ...] | None) -> bool:
    return bool(standing) and all(each.ready for each in standing or ())


def _standing(run: Run) -> tuple[Standing, ...] | None:
    if run.verified is not None:
        return run.verified.standing
    return run.ended.standing if run.ended is not None else None


def _short(plan: Plan, service: str) -> str:
    return service.removeprefix(f"{plan.stack}-") or service


def _told(tallied: Tallied, plan: Plan) -> str:
    """``0 of 702 answers of gateway were 5xx in 30 s``."""
    found = [each for each in tallied.answered if each.slot is plan.target]
    counts = ", ".join(
        f"{errors_of(each):,} of {each.requests:,} answers of {_short(plan, each.service)}" for each in found
    )
    return f"{counts} were 5xx in {tallied.until - tallied.since:.0f} s" if counts else "nothing was counted"
