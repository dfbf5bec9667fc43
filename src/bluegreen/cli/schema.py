"""``bluegreen schema``."""

from __future__ import annotations

import json
import sys

import click

from bluegreen.cli.group import Command
from bluegreen.cli.screen import Screen


@click.command(cls=Command, examples=[("for an editor", "bluegreen schema > bluegreen.schema.json")])
def command() -> None:
    """The JSON Schema of the app file, for editors and checkers."""
    from bluegreen.appfile import json_schema

    Screen(sys.stdout).write(json.dumps(json_schema(), indent=2))
