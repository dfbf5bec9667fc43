"""``bluegreen down``."""

from __future__ import annotations

import click

from bluegreen.cli.group import Command, calls_of, session_of
from bluegreen.cli.screen import listener
from bluegreen.domain.events import Note


@click.command(
    cls=Command,
    examples=[
        ("end all processes; bluegreen up brings the same slot back", "bluegreen down"),
        ("and forget the stack", "bluegreen down --purge"),
    ],
)
@click.option("--purge", is_flag=True, help="Remove the state folder too: history, logs and ports are gone then.")
@click.pass_context
def command(context: click.Context, *, purge: bool) -> None:
    """End the stack on this machine. Users are cut off: it is the only command that does that."""
    session = session_of(context)
    with listener(session) as emit:
        ended = calls_of(context).down(session, purge=purge, emit=emit)
        emit(Note(text=_words(purge=purge) if ended else "nothing of the stack was running here"))


def _words(*, purge: bool) -> str:
    return "the stack has ended" if purge else "the stack has ended; bluegreen up brings the same slot back"
