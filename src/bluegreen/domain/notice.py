"""What people are told of a run that is over: a pure text of what happened, and the rule of when they are told.

The addresses of those people are secrets and never come here: see ``bluegreen.notify``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bluegreen.domain.events import Planned, Summary
from bluegreen.domain.release import Outcome
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bluegreen.domain.events import Event
    from bluegreen.domain.plan import Plan

LARGEST: Final = 2000
"""Characters of a notice; some services take no more."""
_SKIPPED: Final = "to be told: "
"""Begins the line with the contacts: whoever reads the notice has been told."""


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


def wanted(occasion: Occasion, on: Iterable[Occasion]) -> bool:
    """Whether people are told of it. Of a rollback they are always told (specification: rollback by hand)."""
    return occasion is Occasion.ROLLBACK or occasion in on


def notice_of(events: Iterable[Event]) -> Notice | None:
    """The notice of the last run that came to an outcome, from all that was told; None: there was none."""
    plans: dict[str, Plan] = {}
    summary: Summary | None = None
    for event in events:
        match event:
            case Planned(plan=plan):
                plans[plan.release] = plan
            case Summary(outcome=outcome) if outcome is not None:
                summary = event
            case _:
                pass
    if summary is None or summary.outcome is None:
        return None
    occasion = _OCCASIONS.get(summary.outcome, Occasion.FAILURE)
    stack = f"{summary.stack}: " if summary.stack else ""
    return Notice(occasion=occasion, title=f"{stack}{summary.headline}", text=_text(summary, plans.get(summary.run)))


def _text(summary: Summary, plan: Plan | None) -> str:
    details = [line for line in summary.details if not line.startswith(_SKIPPED)]
    if plan is not None:
        details[:1] = _versions(plan)  # which begin with the stack and the new images alone
    way = f"way back: {summary.way_back}" if summary.way_back.startswith("bluegreen ") else summary.way_back
    end = f"{summary.run}, exit code {int(summary.exit_code)}"
    text = "\n".join(line for line in (*details, way, end) if line)
    return text if len(text) <= LARGEST else f"{text[: LARGEST - 1]}…"


def _versions(plan: Plan) -> list[str]:
    """From which version to which, a service a line; one that stays as it is, is not named."""
    return [
        f"{change.service}: from {change.serving} to {change.after}"
        for change in plan.changes
        if change.serving != change.after
    ]
