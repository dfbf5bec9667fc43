"""``bluegreen logs``."""

from __future__ import annotations

import click

from bluegreen.cli.arguments import Count
from bluegreen.cli.group import Command, Named, calls_of, session_of
from bluegreen.cli.screen import answer
from bluegreen.domain.stack import Slot

LINES = 20


@click.command(
    cls=Command,
    examples=[("the gateway's replicas in green, 100 lines each", "bluegreen logs gateway --slot green -n 100")],
)
@click.argument("service", type=Named(), required=False)
@click.option("--slot", type=click.Choice([slot.value for slot in Slot]), help="One slot only.")
@click.option("-n", "--lines", type=Count(), default=LINES, show_default=True, help="How many lines of each log.")
@click.pass_context
def command(context: click.Context, service: str | None, slot: str | None, lines: int) -> None:
    """The last lines of the replicas' logs, of one service or of all. Changes nothing."""
    from bluegreen.cli.views.json import fields
    from bluegreen.cli.views.logs import log_lines

    session = session_of(context)
    tails = calls_of(context).logs(session, service=service, slot=Slot(slot) if slot is not None else None, lines=lines)
    answer(
        session,
        text=lambda paper: log_lines(paper, tails),
        plain=lambda: [("log_tail", fields(tail)) for tail in tails],
    )
