"""``bluegreen show``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from bluegreen.cli.group import Command, Named, calls_of, session_of
from bluegreen.cli.screen import Screen, answer
from bluegreen.cli.session import Format
from bluegreen.domain.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bluegreen.cli.calls import Calls
    from bluegreen.cli.session import Session
    from bluegreen.domain.release import Run
    from bluegreen.domain.report import Report


class Show(Command):
    """The one command that also writes pages."""

    formats = tuple(Format)


@click.command(
    cls=Show,
    examples=[
        ("the newest, or one of bluegreen history", "bluegreen show"),
        ("its journal and its report, for a program", "bluegreen show r-1a2b3c4d --output json"),
        ("for a pull request or a step summary", "bluegreen show --output markdown"),
        ("a page with charts, in one file", "bluegreen show --output html > release.html"),
    ],
)
@click.argument("release", type=Named(), required=False)
@click.pass_context
def command(context: click.Context, release: str | None) -> None:
    """The report of one release or rollback: its plan, what happened when, what was checked, counted and judged.

    It says what could not be known, too. Without RELEASE it is the newest. Changes nothing.
    """
    from bluegreen.cli.views.json import fields
    from bluegreen.cli.views.report import report_lines
    from bluegreen.domain.report import report_of

    session, calls = session_of(context), calls_of(context)
    run = _newest(calls, session) if release is None else calls.run(session, release)
    if run is None:
        mend = "bluegreen history lists them" if release else "bluegreen deploy makes one"
        raise UsageError(f"there is no release {release or 'yet'}", mend=mend)
    report = report_of(run)
    if session.output in {Format.MARKDOWN, Format.HTML}:
        _write_page(session, report)
        return
    answer(
        session,
        text=lambda paper: report_lines(paper, run, report),
        plain=lambda: [("run", fields(run)), ("report", fields(report))],
    )


def _newest(calls: Calls, session: Session) -> Run | None:
    """The newest run. Raises JournalError when it cannot be read: the one before it is not what was asked for."""
    from bluegreen.cli.views.history import Unread

    newest = next(iter(calls.runs(session, newest=1)), None)
    return calls.run(session, newest.id) if isinstance(newest, Unread) else newest


def _write_page(session: Session, report: Report) -> None:
    screen = Screen(sys.stdout)
    for line in _page(session, report):
        screen.write(line)


def _page(session: Session, report: Report) -> Iterable[str]:
    if session.output is Format.HTML:
        from bluegreen.cli.views.html import html_page

        return (html_page(report, session.program),)
    from bluegreen.cli.views.markdown import markdown_lines

    return markdown_lines(report, session.program)
