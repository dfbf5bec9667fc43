"""Past runs as a list; one of them in full is the report (report.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.cli.views.paper import moment, seconds
from bluegreen.cli.views.plan import short
from bluegreen.domain.release import RunKind
from bluegreen.domain.report import headline
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from bluegreen.cli.views.paper import Paper
    from bluegreen.domain.codec import Plain
    from bluegreen.domain.release import Run

NAMES: Final = ("id", "kind_of_run", "began_at", "who", "what", "outcome", "serving_after", "took", "unread")
"""Of the fields of a run for JSON lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A run whose journal cannot be read: a newer version has written it, or it is damaged."""

    id: str
    why: str
    mend: str = ""


def history_lines(paper: Paper, runs: Sequence[Run | Unread]) -> list[str]:
    """One entry a run, newest first."""
    if not runs:
        return paper.paragraph("no release yet")
    return [line for run in runs for line in _entry(paper, run)]


def _entry(paper: Paper, run: Run | Unread) -> list[str]:
    if isinstance(run, Unread):
        return [*paper.field(run.id, run.why, style="yellow"), *(paper.text(run.mend) if run.mend else ())]
    took = f"took {seconds(run.ended.took)}" if run.ended is not None and run.ended.took else ""
    lines = paper.field(run.id, f"{moment(run.began_at)}  {headline(run)}")
    what = [what_of(run), f"by {run.who}" if run.who else "", took]
    return lines + paper.text("; ".join(word for word in what if word))


def what_of(run: Run) -> str:
    """What it was to do, in a line."""
    if run.kind is RunKind.ROLLBACK:
        of = f", taking back {run.of}" if run.of else ""
        return f"rollback to {run.to}{of}"
    if run.plan is None:
        return "release"
    return ", ".join(f"{short(run.plan, change.service)} {change.after}" for change in run.plan.changes)


def history_fields(run: Run | Unread) -> dict[str, Plain]:
    """The run for JSON lines, without its entries and its plan's details."""
    if isinstance(run, Unread):
        return dict.fromkeys(NAMES) | {"id": run.id, "unread": run.why}
    return {
        "id": run.id,
        "kind_of_run": run.kind.value,
        "began_at": run.began_at,
        "who": run.who,
        "what": what_of(run),
        "outcome": run.outcome.value if run.outcome is not None else None,
        "serving_after": run.serving_after.value if run.serving_after is not None else None,
        "took": run.ended.took if run.ended is not None else None,
        "unread": "",
    }
