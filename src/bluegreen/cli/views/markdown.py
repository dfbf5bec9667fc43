"""The report as Markdown, for a job's step summary. What is not ours is escaped: it is shown, and does nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bluegreen.cli.views.paper import clean
from bluegreen.cli.views.report import (
    answered_words,
    asked_words,
    began_words,
    check_words,
    lost_words,
    moved_words,
    rule_rows,
    took_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bluegreen.cli.program import Program
    from bluegreen.domain.finding import Finding
    from bluegreen.domain.report import Report

_ACTIVE: Final = re.compile(r"[\\`*_{}\[\]<>#|&~@!$^]|:(?=\S)|(?<=www)\.", re.IGNORECASE)
"""What Markdown, HTML, or GitHub's own additions (mentions, links, formulas, emoji) may read as more than itself."""


def escaped(text: str) -> str:
    """The text as Markdown that shows exactly it, in one line."""
    return _ACTIVE.sub(lambda found: f"&#{ord(found[0])};", clean(text))


def markdown_lines(report: Report, program: Program) -> Iterator[str]:
    """The whole page."""

    def said(text: str) -> str:
        return escaped(program.said(text))

    yield f"## {escaped(f'{report.kind_of_run} {report.id}')}: {escaped(report.headline)}"
    yield ""
    yield from _facts(report)
    if report.why:
        yield from ("", f"**Why:** {said(report.why)}")
    if report.settle:
        yield from ("", f"**To settle it:** {said('; '.join(report.settle))}")
    if report.cause:
        yield from ("", f"**Cause:** {said(report.cause)}. {said(report.mend)}")
    yield from _table("Images", ("service", "served before", "brought"), _images(report))
    rows = [(item.name, str(item.state), program.said(item.figures)) for item in report.checklist]
    yield from _table("Post-deployment checklist", ("item", "state", "figures"), rows)
    yield from _table("Phases", ("phase", "began", "took", "what"), _phases(report))
    yield from _list("Checked", map(check_words, report.checks))
    yield from _list("Counted", _counted(report))
    yield from _findings("The observation window", report.findings)
    yield from _findings("The five minutes after the switch", report.verified)
    yield from _list("Notes", report.notes)
    yield from _list("Warnings", report.warnings)
    yield from _list("What could not be known", map(program.said, report.unknown))
    yield ""


def _facts(report: Report) -> Iterator[str]:
    yield escaped(f"Began {began_words(report)}.")
    yield from map(escaped, asked_words(report))
    if report.witness:
        yield escaped(f"Witness: {report.witness}.")
    yield from (escaped(f"Users were {words}.") for words in moved_words(report))


def _images(report: Report) -> list[tuple[str, ...]]:
    return [
        (each.service, each.served, f"{each.brought}, carried over" if each.carried else each.brought)
        for each in report.images
    ]


def _phases(report: Report) -> list[tuple[str, ...]]:
    return [
        (
            phase.phase,
            f"{max(0.0, phase.at - report.began_at):.1f} s",
            took_words(phase),
            phase.what,
        )
        for phase in report.phases
    ]


def _counted(report: Report) -> Iterator[str]:
    if report.counted is not None:
        yield lost_words(report.counted)
        yield from (answered_words(each, stack=report.stack) for each in report.counted.answered)


def _findings(title: str, findings: Iterable[Finding]) -> Iterator[str]:
    return _table(title, ("rule", "outcome", "figures"), rule_rows(findings))


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Nothing at all when there are no rows."""
    lines = [f"| {' | '.join(map(escaped, row))} |" for row in rows]
    if lines:
        yield from ("", f"### {title}", "", f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *lines)


def _list(title: str, items: Iterable[str]) -> Iterator[str]:
    lines = [f"- {escaped(item)}" for item in items]
    if lines:
        yield from ("", f"### {title}", "", *lines)
