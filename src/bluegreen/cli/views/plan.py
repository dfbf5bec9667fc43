"""A plan as lines: what will change, in which order, within which limits, and what happens if it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.cli.views.paper import seconds

if TYPE_CHECKING:
    from bluegreen.cli.views.paper import Paper
    from bluegreen.domain.plan import Change, Plan


def plan_lines(paper: Paper, plan: Plan, *, dry_run: bool) -> list[str]:
    """The whole plan."""
    if plan.nothing_to_do:
        return paper.paragraph(f"{plan.stack}: {plan.active} serves these images with these settings already")
    what = "dry run of a release" if dry_run else f"release {plan.release}"
    headline = f"{what} of {plan.stack}: {plan.active} serves, {plan.target} gets the new version"
    return [*paper.paragraph(headline, style="bold"), *plan_body(paper, plan), ""]


def plan_body(paper: Paper, plan: Plan) -> list[str]:
    """The plan without its headline."""
    lines: list[str] = []
    for change in plan.changes:
        lines += _change_lines(paper, plan, change)
    for note in plan.notes:
        lines += paper.field("   note", note)
    lines += paper.field("   limits", _limits(plan))
    lines += paper.field("   order", _order(plan))
    lines += paper.field("   on failure", _if_it_fails(plan))
    return lines + paper.field("   then", _then(plan))


def _change_lines(paper: Paper, plan: Plan, change: Change) -> list[str]:
    lines = paper.field(f"   {short(plan, change.service)}", _change(plan, change))
    if not change.carried and change.before != change.serving:
        lines += paper.text(f"{plan.active} serves {change.serving}")
    for difference in change.differences:
        lines += paper.text(f"differs from {plan.active}: {difference}")
    return lines


def _change(plan: Plan, change: Change) -> str:
    after = f"{change.after}, carried over from {plan.active}" if change.carried else str(change.after)
    return after if change.carried and change.before == change.after else f"{change.before or 'nothing'} -> {after}"


def short(plan: Plan, service: str) -> str:
    """The name that flags and lines use (domain/stack.py)."""
    return service.removeprefix(f"{plan.stack}-") or service


def _limits(plan: Plan) -> str:
    options = plan.options
    window = f"observation window {seconds(options.validation_time)}"
    return f"health validation at most {seconds(options.health_deadline)}; {window}"


def _order(plan: Plan) -> str:
    names = ", then ".join(short(plan, change.service) for change in plan.changes)
    return f"{names}; back in reverse"


def _if_it_fails(plan: Plan) -> str:
    before = f"before the switch users stay on {plan.active}"
    return f"{before}; after it they go back to {plan.active} by themselves; {_left(plan)}"


def _left(plan: Plan) -> str:
    if plan.options.keep_failed:
        return f"{plan.target} keeps the failed version for looking (--keep-failed)"
    if plan.previous is None:
        return f"{plan.target} is ended again"
    images = ", ".join(f"{short(plan, work.service)} {work.image}" for work in plan.previous.workloads)
    return f"{plan.target} gets back what was good in it: {images}"


def _then(plan: Plan) -> str:
    if plan.options.scale_down_old:
        return f"{plan.active} is ended after the window (--scale-down-old)"
    return f"{plan.active} goes on running, as the way back"
