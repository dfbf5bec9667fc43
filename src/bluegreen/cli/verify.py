"""``bluegreen verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bluegreen.cli.group import Command, Named, calls_of, session_of
from bluegreen.cli.screen import listener

if TYPE_CHECKING:
    from bluegreen.domain.errors import ExitCode


@click.command(
    cls=Command,
    exit_codes=True,
    examples=[
        ("wait for the rest of the five minutes, then judge", "bluegreen verify"),
        ("a release of bluegreen history", "bluegreen verify r-1a2b3c4d"),
        ("what is known by now, without waiting", "bluegreen verify --no-wait"),
    ],
)
@click.argument("release", type=Named(), required=False)
@click.option("--no-wait", is_flag=True, help="Do not wait: what five minutes have to settle stays open (exit code 8).")
@click.pass_context
def command(context: click.Context, /, *, release: str | None, no_wait: bool) -> ExitCode:
    """Judge the post-deployment checklist of a release, the newest by default, and print it.

    The error rate counts for five minutes after the switch, by the pods' counters since then. Nothing is changed, and
    nobody is held up: a rollback or another release ends the wait. A release that is found bad is not rolled back by
    this; the exit code says so.
    """
    session = session_of(context)
    with listener(session, calls_of(context)) as emit:
        return calls_of(context).verify(session, release=release, wait=not no_wait, emit=emit)
