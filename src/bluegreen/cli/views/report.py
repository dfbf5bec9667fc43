"""The report of one run as text: its plan, its course, what was checked and counted, and what nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.cli.views.history import what_of
from bluegreen.cli.views.paper import count, moment, seconds
from bluegreen.cli.views.plain import JUDGED, cause_lines, checklist_lines, judgement_lines
from bluegreen.cli.views.plan import plan_body
from bluegreen.domain.release import RunKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from bluegreen.cli.views.paper import Paper
    from bluegreen.domain.finding import Finding
    from bluegreen.domain.release import Answered, CheckMade, PhaseTime, Run
    from bluegreen.domain.report import Counted, Report

_JUDGED: Final = "judged"


def report_lines(paper: Paper, run: Run, report: Report) -> list[str]:
    """Everything of one run."""
    lines = paper.paragraph(f"{run.kind} {run.id}: {report.headline}", style="bold")
    lines += paper.field("began", began_words(report))
    if moved := list(moved_words(report)):
        lines += paper.field("users", "; ".join(moved))
    if run.kind is RunKind.ROLLBACK:
        lines += paper.field("what", what_of(run))
    if run.plan is not None:
        plan = f"{run.plan.stack}: {run.plan.active} served, {run.plan.target} got the new version"
        lines += [*paper.field("plan", plan), *plan_body(paper, run.plan)]
    lines += [*_course(paper, report), *_phases(paper, report), *_checks(paper, report.checks)]
    lines += [*_findings(paper, run), *_answers(paper, report), *checklist_lines(paper, report.checklist)]
    return lines + _listed(paper, "warnings", report.warnings) + _listed(paper, "not known", report.unknown)


def began_words(report: Report) -> str:
    """``2026-11-29 06:26:45Z, by ann on build-1, pid 7, took 22 s``."""
    by = f", by {report.who}" if report.who else ""
    took = f", took {seconds(report.took)}" if report.took is not None else ""
    return f"{moment(report.began_at)}{by}{took}"


def asked_words(report: Report) -> Iterator[str]:
    """What a rollback was to do."""
    if report.kind_of_run is RunKind.ROLLBACK:
        yield f"Users were to go to {report.target}{f', taking back {report.of}' if report.of else ''}."


def moved_words(report: Report) -> Iterator[str]:
    """How long users were on their way."""
    if report.moved_in is not None:
        yield f"switched in {seconds(report.moved_in)}"
    if report.back_in is not None:
        yield f"brought back in {seconds(report.back_in)}"


def took_words(phase: PhaseTime) -> str:
    """How long a phase took, or how it ended."""
    if phase.took is not None:
        return seconds(phase.took)
    return f"{seconds(phase.lasted)}, not good" if phase.lasted is not None else "broken off"


def rule_rows(findings: Iterable[Finding]) -> list[tuple[str, ...]]:
    """Rule, outcome and figures of each, for a table."""
    return [
        (" ".join(filter(None, (each.rule, each.service, each.part))), JUDGED[each.outcome], each.figures)
        for each in findings
    ]


def _course(paper: Paper, report: Report) -> list[str]:
    """What happened when, in seconds since the run began."""
    lines = paper.field("course", "seconds since it began")
    for entry in report.course:
        lines += paper.field(f"   {seconds(entry.at - report.began_at)}", entry.what)
    return lines


def _phases(paper: Paper, report: Report) -> list[str]:
    lines: list[str] = []
    for phase in report.phases:
        lines += paper.field(f"   {phase.phase}", phase.what, right=took_words(phase))
    return [*paper.field("phases", "and how long each took"), *lines] if lines else []


def _checks(paper: Paper, checks: Iterable[CheckMade]) -> list[str]:
    return _listed(paper, "checked", map(check_words, checks))


def check_words(check: CheckMade) -> str:
    """``'health /ready' (alfred-gateway, pods): 2 of 2 good``."""
    unknown = f", {check.unknown} not known" if check.unknown else ""
    detail = f": {check.detail}" if check.detail and check.good != check.asked else ""
    return f"{check.name}: {check.good} of {check.asked} good{unknown}{detail}"


def _findings(paper: Paper, run: Run) -> list[str]:
    lines: list[str] = []
    if run.judgement is not None:
        lines += judgement_lines(paper, run.judgement, label=_JUDGED)
    if run.verified is not None:
        lines += judgement_lines(paper, run.verified.judgement, of="the five minutes after the switch", label=_JUDGED)
    if run.ended is None:
        return lines
    if run.ended.why:
        lines += paper.field("why", run.ended.why)
    if run.ended.settle:
        lines += paper.text(f"to settle it: {'; '.join(run.ended.settle)}")
    if run.ended.cause is not None:
        lines += cause_lines(paper, run.ended.cause)
    return lines


def _answers(paper: Paper, report: Report) -> list[str]:
    """Who answered, and what was lost."""
    lines: list[str] = []
    if report.witness:
        lines += paper.field("witness", report.witness)
    if report.counted is not None:
        lines += paper.field("lost", lost_words(report.counted))
        for each in report.counted.answered:
            lines += paper.text(answered_words(each, stack=report.stack))
    return lines


def lost_words(counted: Counted) -> str:
    """What users lost, as far as it was counted, and by whom."""
    if not counted.requests:
        return f"not known: no answer was counted {_span(counted)}"
    lost = f"{counted.errors:,} of {count(counted.requests, 'answer')} of all services were 5xx"
    time = _span(counted)
    time += f", {counted.synthetic:,} of our own among them" if counted.synthetic else ""
    return f"{lost}, {counted.bad_gateway:,} of them 502 or 503, {time}; counted by the pods of both slots"


def _span(counted: Counted) -> str:
    return f"in the {seconds(counted.until - counted.since)} from just before the switch to the end of the window"


def answered_words(each: Answered, *, stack: str) -> str:
    """``gateway in green: 702 answers, 700 with 200, 2 with 500``."""
    name = each.service.removeprefix(f"{stack}-") or each.service
    statuses = ", ".join(f"{number:,} with {status}" for status, number in each.answers)
    return f"{name} in {each.slot}: {count(each.requests, 'answer')}{f', {statuses}' if statuses else ''}"


def _listed(paper: Paper, label: str, texts: Iterable[str]) -> list[str]:
    lines: list[str] = []
    for each in texts:
        lines += paper.field("" if lines else label, each)
    return lines
