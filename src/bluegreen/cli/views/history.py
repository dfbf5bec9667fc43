"""Past runs as a list; one of them in full is the report (report.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.cli.views.paper import moment, seconds
from bluegreen.cli.views.plan import short
from bluegreen.domain.release import RunKind
from bluegreen.domain.report import headline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.cli.views.paper import Paper
    from bluegreen.domain.codec import Plain
    from bluegreen.domain.release import Run


def history_lines(paper: Paper, runs: Sequence[Run]) -> list[str]:
    """One entry a run, newest first."""
    if not runs:
        return paper.paragraph("no release yet")
    return [line for run in runs for line in _entry(paper, run)]


def _entry(paper: Paper, run: Run) -> list[str]:
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


def history_fields(run: Run) -> dict[str, Plain]:
    """The run for JSON lines, without its entries and its plan's details."""
    return {
        "id": run.id,
        "kind_of_run": run.kind.value,
        "began_at": run.began_at,
        "who": run.who,
        "what": what_of(run),
        "outcome": run.outcome.value if run.outcome is not None else None,
        "serving_after": run.serving_after.value if run.serving_after is not None else None,
        "took": run.ended.took if run.ended is not None else None,
    }
