"""``bluegreen show``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bluegreen.cli.group import Command, calls_of, session_of
from bluegreen.cli.screen import answer
from bluegreen.domain.errors import UsageError

if TYPE_CHECKING:
    from bluegreen.cli.calls import Calls
    from bluegreen.cli.session import Session
    from bluegreen.domain.release import Run


@click.command(
    cls=Command,
    examples=[
        ("the newest, or one of bluegreen history", "bluegreen show"),
        ("its journal, for a program", "bluegreen show r-1a2b --output json"),
    ],
)
@click.argument("release", required=False)
@click.pass_context
def command(context: click.Context, release: str | None) -> None:
    """Everything about one release or rollback: its plan, what happened when, the judgement, the end.

    Without RELEASE it is the newest. Changes nothing.
    """
    from bluegreen.cli.views.history import run_lines
    from bluegreen.cli.views.json import fields

    session, calls = session_of(context), calls_of(context)
    run = _newest(calls, session) if release is None else calls.run(session, release)
    if run is None:
        raise UsageError(f"there is no release {release or 'yet'}", mend="bluegreen history lists them")
    answer(session, text=lambda paper: run_lines(paper, run), plain=lambda: [("run", fields(run))])


def _newest(calls: Calls, session: Session) -> Run | None:
    return next(iter(calls.runs(session, newest=1)), None)
