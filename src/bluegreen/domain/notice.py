"""What people are told of a run that is over: a pure text of what happened, and the rule of when they are told.

The addresses of those people are secrets and never come here: see ``bluegreen.notify``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bluegreen.domain.events import CameBack, Planned, Summary
from bluegreen.domain.release import Outcome
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bluegreen.domain.errors import BluegreenError
    from bluegreen.domain.events import Event
    from bluegreen.domain.plan import Plan

LARGEST: Final = 2000
"""Characters of a notice; some services take no more."""
_SKIPPED: Final = "to be told: "
"""Begins the line with the contacts: whoever reads the notice has been told."""
_WHY: Final = "why: "


class Occasion(StrEnum):
    """What a notice is about."""

    RELEASE = "release"
    """A new version serves."""
    FAILURE = "failure"
    """A release ended before the switch: users saw nothing."""
    ROLLBACK = "rollback"
    """Users are back where they were, by hand or by itself."""
    HELD = "held"
    """A person must decide."""


USUAL: Final = (Occasion.ROLLBACK, Occasion.FAILURE, Occasion.HELD)
"""What is told of unless the app file says otherwise."""

_OCCASIONS: Final = {
    Outcome.RELEASED: Occasion.RELEASE,
    Outcome.NOT_PROVEN: Occasion.RELEASE,
    Outcome.ROLLED_BACK: Occasion.ROLLBACK,
    Outcome.HELD: Occasion.HELD,
    Outcome.YIELDED: Occasion.HELD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notice, the same for everybody."""

    occasion: Occasion
    title: str
    text: str
    came_back: bool = False
    """Whether users were brought back, be it on the way to something else: as a killed run was ended first."""


def wanted(notice: Notice, on: Iterable[Occasion]) -> bool:
    """Whether people are told of it. Of a rollback they are always told (specification: rollback by hand)."""
    return notice.came_back or notice.occasion in on


def notice_of(events: Iterable[Event], error: BluegreenError | None = None) -> Notice | None:
    """The notice of the last run that came to an outcome, from all that was told; None: there was none.

    A command that has brought users back, and then had nothing else to do or was refused, is told of by that.
    ``error``: with which the command ended.
    """
    plans: dict[str, Plan] = {}
    end: Summary | None = None
    back: CameBack | None = None
    for event in events:
        match event:
            case Planned(plan=plan):
                plans[plan.release] = plan
            case CameBack():
                back = event
            case Summary(outcome=outcome) if outcome is not None or (back is not None and end is None):
                end = event
            case _:
                pass
    if end is not None:
        return _notice(end, plans.get(end.run), back)
    return _back_alone(back, error) if back is not None else None


def _back_alone(back: CameBack, error: BluegreenError | None) -> Notice:
    """Users were brought back, and what was to follow came no further."""
    then = (f"then: {error}", error.mend, f"exit code {int(error.exit_code)}") if error is not None else ()
    return Notice(
        occasion=Occasion.ROLLBACK,
        title=f"{_of(back.stack)}rolled back: {back.slot} serves",
        text=_bounded(line for line in (_came_back(back), *then) if line),
        came_back=True,
    )


def _came_back(back: CameBack) -> str:
    return f"users were brought back to {back.slot}: {back.why}"


def _of(stack: str) -> str:
    return f"{stack}: " if stack else ""


def _notice(end: Summary, plan: Plan | None, back: CameBack | None) -> Notice:
    """``back``: how users were brought back, by this run or on its way."""
    occasion = _OCCASIONS.get(end.outcome, Occasion.FAILURE) if end.outcome is not None else Occasion.ROLLBACK
    return Notice(
        occasion=occasion,
        title=f"{_of(end.stack)}{end.headline}",
        text=_text(end, plan, back),
        came_back=back is not None or occasion is Occasion.ROLLBACK,
    )


def _text(summary: Summary, plan: Plan | None, back: CameBack | None) -> str:
    details = [line for line in summary.details if not line.startswith(_SKIPPED)]
    if plan is not None and summary.outcome is not None:
        details[:1] = _versions(plan)  # which begin with the stack and the new images alone
    way = f"way back: {summary.way_back}" if summary.way_back.startswith("bluegreen ") else summary.way_back
    end = ", ".join(word for word in (summary.run, f"exit code {int(summary.exit_code)}") if word)
    return _bounded(line for line in (*_with_back(details, summary, back), way, end) if line)


def _bounded(lines: Iterable[str]) -> str:
    text = "\n".join(lines)
    return text if len(text) <= LARGEST else f"{text[: LARGEST - 1]}…"


def _with_back(details: list[str], summary: Summary, back: CameBack | None) -> list[str]:
    """The details, and why users were brought back: what happened ahead of it, or what a person gave as the reason."""
    if back is None:
        return details
    if summary.outcome is not Outcome.ROLLED_BACK:
        return [_came_back(back), *details]
    told = any(line.startswith(_WHY) for line in details)
    return details if told else [*details, f"{_WHY}{back.why}"]


def _versions(plan: Plan) -> list[str]:
    """From which version to which, a service a line; one that stays as it is, is not named."""
    return [
        f"{change.service}: from {change.serving} to {change.after}"
        for change in plan.changes
        if change.serving != change.after
    ]
