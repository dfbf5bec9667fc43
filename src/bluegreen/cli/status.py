"""``bluegreen status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bluegreen.cli.group import Command, calls_of, session_of
from bluegreen.cli.screen import answer

if TYPE_CHECKING:
    from bluegreen.cli.calls import Calls
    from bluegreen.cli.session import Session


@click.command(cls=Command, examples=[("for a program", "bluegreen status --output json")])
@click.pass_context
def command(context: click.Context) -> None:
    """What serves now, what stands by, where to look, and what is unfinished. Changes nothing."""
    show(session_of(context), calls_of(context))


def show(session: Session, calls: Calls) -> None:
    """Look, and write what is there."""
    from bluegreen.cli.views.json import fields
    from bluegreen.cli.views.status import status_lines

    status = calls.status(session)
    answer(session, text=lambda paper: status_lines(paper, status), plain=lambda: [("status", fields(status))])
