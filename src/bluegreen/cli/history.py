"""``bluegreen history``."""

from __future__ import annotations

import click

from bluegreen.cli.arguments import Count
from bluegreen.cli.group import Command, calls_of, session_of
from bluegreen.cli.screen import answer

NEWEST = 20


@click.command(cls=Command, examples=[("the last three", "bluegreen history -n 3")])
@click.option("-n", "--newest", type=Count(), default=NEWEST, show_default=True, help="How many, newest first.")
@click.pass_context
def command(context: click.Context, newest: int) -> None:
    """The releases and rollbacks so far, newest first: when, what, how it ended. Changes nothing."""
    from bluegreen.cli.views.history import history_fields, history_lines

    session = session_of(context)
    runs = calls_of(context).runs(session, newest=newest)
    answer(
        session,
        text=lambda paper: history_lines(paper, runs),
        plain=lambda: [("run", history_fields(run)) for run in runs],
    )
