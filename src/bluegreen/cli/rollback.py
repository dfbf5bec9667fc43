"""``bluegreen rollback``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bluegreen.cli.group import Command, calls_of, session_of
from bluegreen.cli.plain_rollback import Line, run
from bluegreen.domain.stack import Slot

if TYPE_CHECKING:
    from bluegreen.domain.errors import ExitCode


@click.command(
    cls=Command,
    examples=[
        ("to where users were before the last release", "bluegreen rollback"),
        ("to a slot by its name, with a word for the record", 'bluegreen rollback --to blue --reason "slow since v2"'),
    ],
)
@click.option("--to", type=click.Choice([slot.value for slot in Slot]), help="The slot, instead of the one before.")
@click.option("--cold", is_flag=True, help="Start the slot first when it does not run; users wait where they are.")
@click.option("--reason", default="", metavar="TEXT", help="Why, for the record.")
@click.pass_context
def command(context: click.Context, *, to: str | None, cold: bool, reason: str) -> ExitCode:
    """Bring users back to the slot that was active before, at once.

    It waits for nobody: a release that runs is overtaken, and stops. Trying it when there is nothing to take back does
    no harm.
    """
    slot = Slot(to) if to is not None else None
    return run(Line(session=session_of(context), to=slot, cold=cold, reason=reason), calls_of(context))
