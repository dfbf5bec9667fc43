"""The report as one page of HTML that asks nobody for anything: no script, no font, no picture from elsewhere.

It works from a file, in light and dark, on paper and to a screen reader. Everything that is not ours is escaped, and a
policy in the page forbids whatever might have slipped through.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from bluegreen import __version__
from bluegreen.cli.views import charts
from bluegreen.cli.views.paper import clean, moment
from bluegreen.cli.views.plain import JUDGED
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
from bluegreen.domain.finding import Outcome
from bluegreen.domain.release import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bluegreen.cli.program import Program
    from bluegreen.domain.report import Report

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_STYLE: Final = """\
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --quiet: #6b7280; --line: #d7dbe0;
  --first: #1f6feb; --second: #c4320a; --good: #166534; --bad: #b42318; --open: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e6e8eb; --quiet: #9aa3ad; --line: #343a41;
  --first: #6ea8fe; --second: #ff8a65; --good: #6fcf97; --bad: #ff8f86; --open: #f0b64c; } }
@media print { :root { --paper: #fff; --ink: #000; --quiet: #555; --line: #bbb; --first: #1f6feb; --second: #c4320a;
  --good: #166534; --bad: #b42318; --open: #8a5a00; } figure, tr { break-inside: avoid; } h2 { break-after: avoid; } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 60rem; padding: 1.5rem; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .quiet { color: var(--quiet); }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; color: var(--quiet); }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } td.text { overflow-wrap: anywhere; min-width: 5.2em; } li { overflow-wrap: anywhere; }
th.number, td.number { text-align: right; } td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.state { white-space: nowrap; font-weight: 600; } .good { color: var(--good); } .bad { color: var(--bad); }
.open { color: var(--open); } figure { margin: 1rem 0; }
figure svg { width: 100%; max-width: 42rem; height: auto; display: block; }
@media (max-width: 36rem) { body { font-size: 14px; padding: 1rem; } td.state { white-space: normal; }
  th, td { padding-right: .5rem; } ul { padding-left: 1.2rem; } }
figcaption { color: var(--quiet); } details summary { cursor: pointer; color: var(--quiet); }
"""

_CLASSES: Final = {
    State.MET: "good",
    State.NOT_MET: "bad",
    State.NOT_YET: "open",
    State.UNKNOWABLE: "open",
    JUDGED[Outcome.PASS]: "good",
    JUDGED[Outcome.FAIL]: "bad",
    JUDGED[Outcome.INCONCLUSIVE]: "open",
}

SLOW_SHARE: Final = 0.05
"""What P95 allows: one in twenty (domain/judgement.py)."""

Row = tuple[str, ...]


def html_page(report: Report, program: Program) -> str:
    """The whole page, in ASCII. Raises UsageError when the library of the charts is not installed."""
    charts.require()
    title = f"{report.kind_of_run} {report.id}: {report.headline}"
    body = "\n".join(_body(report, program, title))
    page = f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="generator" content="bluegreen {_text(__version__)}">
<title>{_text(title)}</title>
<style>
{_STYLE}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>"""
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _text(text: str) -> str:
    return escape(clean(text), quote=True)


def _body(report: Report, program: Program, title: str) -> Iterator[str]:
    yield f"<h1>{_text(title)}</h1>"
    yield from (f"<p>{_text(line)}</p>" for line in _facts(report, program))
    yield _table("Images", ("service", "served before", "brought"), _images(report))
    rows = [(item.name, str(item.state), program.said(item.figures)) for item in report.checklist]
    yield _table("Post-deployment checklist", ("item", "state", "figures"), rows, state=1)
    yield from _timeline(report)
    yield from _window(report)
    yield _list("What was checked", map(check_words, report.checks))
    yield _list("Who answered, and what was lost", _answers(report))
    for title, found in (
        ("The observation window", report.findings),
        ("The five minutes after the switch", report.verified),
    ):
        yield _table(title, ("rule", "outcome", "figures"), rule_rows(found), state=1)
    yield _list("Notes on the window", report.notes)
    yield _list("Warnings", report.warnings)
    yield _list("What could not be known", map(program.said, report.unknown))
    yield _table("The journal", ("when", "what"), [(moment(each.at), each.what) for each in report.course])


def _facts(report: Report, program: Program) -> Iterator[str]:
    stack = f" of {report.stack}" if report.stack else ""
    yield f"A {report.kind_of_run}{stack}, begun {began_words(report)}."
    yield from asked_words(report)
    yield from (f"Users were {words}." for words in moved_words(report))
    if report.why:
        yield f"Why: {program.said(report.why)}"
    if report.settle:
        yield f"To settle it: {program.said('; '.join(report.settle))}"
    if report.cause:
        yield f"Cause: {report.cause}. {program.said(report.mend)}"


def _images(report: Report) -> list[Row]:
    return [
        (each.service, each.served, f"{each.brought}, carried over" if each.carried else each.brought)
        for each in report.images
    ]


def _answers(report: Report) -> Iterator[str]:
    if report.witness:
        yield report.witness
    if report.counted is not None:
        yield lost_words(report.counted)
        yield from (answered_words(each, stack=report.stack) for each in report.counted.answered)


# --- charts -----------------------------------------------------------------------------------------------------


def _timeline(report: Report) -> Iterator[str]:
    if not report.phases:
        return
    start = min(report.began_at, report.phases[0].at)
    rows = [
        (
            phase.phase,
            f"{phase.at - start:.2f} s",
            took_words(phase),
            phase.what,
        )
        for phase in report.phases
    ]
    chart = charts.phases_chart(report.phases, start=start)
    label = "; ".join(f"{row[0]} from {row[1]}, {row[2]}" for row in rows)
    table = _table("", ("phase", "began after", "took", "what"), rows)
    yield f"<section><h2>Phases</h2>{_figure(chart, label=label, caption='When each phase ran')}{table}</section>"


def _window(report: Report) -> Iterator[str]:
    """Charts of the looks at the counters in the window; two looks make the first point."""
    if len(report.samples) < 2:
        return
    start = report.samples[0].at
    last = report.samples[-1]
    rows = [
        (f"{each.at - start:.1f} s", f"{each.requests:,}", f"{each.errors:,}", f"{each.slow:,}", f"{each.timed:,}")
        for each in report.samples
    ]
    head = ("after", "requests", "5xx", "over the time limit", "of those measured")
    table = _details("The counts, since the switch", _table("", head, rows, numbers=True))
    label = f"{last.requests:,} requests and {last.errors:,} answers with 5xx in {last.at - start:.0f} seconds"
    yield "<section><h2>Under real users</h2>"
    yield _figure(
        charts.requests_chart(report.samples, start=start),
        label=label,
        caption="Requests and errors a second, all services together",
    )
    if last.timed:
        slow = f"{last.slow:,} of {last.timed:,} requests over the time limit"
        chart = charts.slow_chart(report.samples, start=start, limit=SLOW_SHARE)
        yield _figure(chart, label=slow, caption="Requests over the time limit, in percent; P95 allows 5 %")
    yield f"{table}</section>"


def _figure(svg: str, *, label: str, caption: str) -> str:
    return (
        f'<figure><div role="img" aria-label="{_text(caption)}: {_text(label)}">{svg}</div>'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
    )


# --- parts ------------------------------------------------------------------------------------------------------


def _details(title: str, inside: str) -> str:
    return f"<details><summary>{_text(title)}</summary>{inside}</details>"


def _section(title: str, inside: str) -> str:
    return f"<section><h2>{_text(title)}</h2>{inside}</section>" if title else inside


def _table(
    title: str, head: Sequence[str], rows: Sequence[Row], *, state: int | None = None, numbers: bool = False
) -> str:
    """Nothing when there are no rows. ``state``: the column whose word is a state."""
    if not rows:
        return ""
    kind = ' class="number"' if numbers else ""
    names = "".join(f'<th scope="col"{kind}>{_text(name)}</th>' for name in head)
    lines = "".join(f"<tr>{_cells(row, state=state, numbers=numbers)}</tr>\n" for row in rows)
    return _section(title, f"<table><thead><tr>{names}</tr></thead><tbody>\n{lines}</tbody></table>")


def _cells(row: Row, *, state: int | None, numbers: bool) -> str:
    return "".join(
        f'<td class="{_class(value, is_state=number == state, numbers=numbers)}">{_text(value)}</td>'
        for number, value in enumerate(row)
    )


def _class(value: str, *, is_state: bool, numbers: bool) -> str:
    if is_state:
        return f"state {_CLASSES.get(value, '')}"
    return "number" if numbers else "text"


def _list(title: str, items: Iterable[str]) -> str:
    lines = "".join(f"<li>{_text(item)}</li>" for item in items)
    return _section(title, f"<ul>{lines}</ul>") if lines else ""
