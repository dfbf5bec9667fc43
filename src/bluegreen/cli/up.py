"""``bluegreen up``."""

from __future__ import annotations

import click

from bluegreen.cli.arguments import Pair, ports_named
from bluegreen.cli.group import Command, calls_of, session_of
from bluegreen.cli.screen import listener
from bluegreen.cli.status import show


@click.command(
    cls=Command,
    examples=[
        ("the stack of ./bluegreen.yaml, or the built-in Alfred, on its own ports", "bluegreen up"),
        ("another app file, and any port that is free", "bluegreen up --app shop.yaml --port web=0"),
    ],
)
@click.option(
    "--port",
    type=Pair(example="--port backend=8000"),
    multiple=True,
    metavar="SERVICE=PORT",
    help="The port that users call; 0 chooses a free one, which is remembered.",
)
@click.pass_context
def command(context: click.Context, port: tuple[tuple[str, str], ...]) -> None:
    """Start the stack on this machine, or bring it back after a reboot.

    The processes of each service run in both slots, behind Envoy. What is up already stays as it is; what was active
    before is active again.
    """
    session, calls = session_of(context), calls_of(context)
    with listener(session) as emit:
        calls.up(session, ports=ports_named(port), emit=emit)
    show(session, calls)
