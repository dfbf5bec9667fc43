"""Past runs as text: the list of them, and everything that the journal says of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.cli.views.paper import moment, seconds
from bluegreen.cli.views.plain import cause_lines, judgement_lines
from bluegreen.cli.views.plan import plan_body, short
from bluegreen.domain.judgement import Outcome
from bluegreen.domain.release import (
    Began,
    Confirmed,
    Ended,
    Judged,
    Restored,
    Restoring,
    Retiring,
    RollbackBegan,
    RollingBack,
    RunKind,
    Staging,
    Switching,
    Validated,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.cli.views.paper import Paper
    from bluegreen.domain.codec import Plain
    from bluegreen.domain.release import Body, Run

_Late = Judged | RollingBack | Restoring | Restored | Retiring | Ended

_WINDOW = {
    Outcome.PASS: "the observation window was good",
    Outcome.FAIL: "the observation window was bad",
    Outcome.INCONCLUSIVE: "the observation window proved nothing",
}


def history_lines(paper: Paper, runs: Sequence[Run]) -> list[str]:
    """One entry a run, newest first."""
    if not runs:
        return paper.paragraph("no release yet")
    return [line for run in runs for line in _entry(paper, run)]


def _entry(paper: Paper, run: Run) -> list[str]:
    took = seconds(run.ended.took) if run.ended is not None and run.ended.took else ""
    lines = paper.field(run.id, f"{moment(run.began_at)}  {_end(run)}", right=took)
    what = [_what(run), f"by {run.who}" if run.who else ""]
    return lines + paper.text("; ".join(word for word in what if word))


def _end(run: Run) -> str:
    if run.ended is None:
        return "has not ended"
    serves = f": {run.serving_after} serves" if run.serving_after is not None else ""
    return f"{run.ended.outcome}{serves}"


def _what(run: Run) -> str:
    if run.kind is RunKind.ROLLBACK:
        of = f", taking back {run.of}" if run.of else ""
        return f"rollback to {run.to}{of}"
    if run.plan is None:
        return "release"
    return ", ".join(f"{short(run.plan, change.service)} {change.after}" for change in run.plan.changes)


def history_fields(run: Run) -> dict[str, Plain]:
    """The run for JSON lines, without its entries and its plan's details."""
    return {
        "id": run.id,
        "kind_of_run": run.kind.value,
        "began_at": run.began_at,
        "who": run.who,
        "what": _what(run),
        "outcome": run.outcome.value if run.outcome is not None else None,
        "serving_after": run.serving_after.value if run.serving_after is not None else None,
        "took": run.ended.took if run.ended is not None else None,
    }


def run_lines(paper: Paper, run: Run) -> list[str]:
    """Everything of one run."""
    headline = f"{run.kind} {run.id}: {_end(run)}"
    lines = paper.paragraph(headline, style="bold")
    lines += paper.field("began", f"{moment(run.began_at)}{f', by {run.who}' if run.who else ''}")
    if run.kind is RunKind.ROLLBACK:
        lines += paper.field("what", _what(run))
    if run.plan is not None:
        plan = f"{run.plan.stack}: {run.plan.active} served, {run.plan.target} got the new version"
        lines += [*paper.field("plan", plan), *plan_body(paper, run.plan)]
    return lines + _course(paper, run) + _findings(paper, run)


def _course(paper: Paper, run: Run) -> list[str]:
    """What happened when, in seconds since the run began."""
    lines = paper.field("course", "seconds since it began")
    for entry in run.entries:
        lines += paper.field(f"   {seconds(entry.at - run.began_at)}", _words(entry.body))
    return lines


def _words(body: Body) -> str:
    match body:
        case Began():
            return "the plan was made; nothing was written yet"
        case RollbackBegan(to=to, reason=reason):
            return f"rollback to {to}{f': {reason}' if reason else ''}"
        case Staging(slot=slot):
            return f"{slot} gets the new version"
        case Validated(slot=slot):
            return f"{slot} is ready and its checks have passed"
        case Switching(moves=moves):
            return f"the routes go to {moves[0].to}" if moves else "the routes are about to move"
        case Confirmed(slot=slot, how=how):
            return f"{slot} serves; {how or 'nobody could witness it'}"
        case _:
            return _late_words(body)


def _late_words(body: _Late) -> str:
    match body:
        case Judged(judgement=judgement):
            return _WINDOW[judgement.outcome]
        case RollingBack(why=why):
            return f"the routes go back: {why}"
        case Restoring(spec=spec):
            return f"{spec.slot} gets its previous images back"
        case Restored(slot=slot):
            return f"{slot} is in order again"
        case Retiring(slot=slot):
            return f"{slot} is ended"
        case Ended(outcome=outcome):
            return f"the end: {outcome}"


def _findings(paper: Paper, run: Run) -> list[str]:
    lines: list[str] = []
    if run.judgement is not None:
        lines += judgement_lines(paper, run.judgement)
    if run.ended is None:
        return lines
    if run.ended.why:
        lines += paper.field("   why", run.ended.why)
    if run.ended.cause is not None:
        lines += cause_lines(paper, run.ended.cause)
    return lines
