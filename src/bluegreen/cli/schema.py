"""``bluegreen schema``."""

from __future__ import annotations

import json
import sys

import click

from bluegreen.cli.group import Command, session_of
from bluegreen.cli.screen import Screen
from bluegreen.cli.session import Format


@click.command(cls=Command, examples=[("for an editor", "bluegreen schema > bluegreen.schema.json")])
@click.pass_context
def command(context: click.Context) -> None:
    """The JSON Schema of the app file, for editors and checkers."""
    from bluegreen.appfile import json_schema

    indent = None if session_of(context).output is Format.JSON else 2
    Screen(sys.stdout).write(json.dumps(json_schema(), indent=indent))
