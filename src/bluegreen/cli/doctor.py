"""``bluegreen doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bluegreen.cli.group import Command, calls_of, session_of
from bluegreen.cli.screen import answer
from bluegreen.domain.errors import ExitCode
from bluegreen.ports import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.cli.calls import Calls
    from bluegreen.cli.session import Session
    from bluegreen.ports import Finding


@click.command(
    cls=Command,
    examples=[
        ("a stack on Kubernetes", "bluegreen doctor --namespace shop --app shop.yaml"),
        ("for a program", "bluegreen doctor --output json"),
    ],
)
@click.pass_context
def command(context: click.Context) -> ExitCode:
    """What speaks against a release of this stack, why it matters, and the command that mends it. Changes nothing.

    Exit code 0: nothing refuses a release. 9: something does.
    """
    return show(session_of(context), calls_of(context))


def show(session: Session, calls: Calls) -> ExitCode:
    """Look, and write what was found."""
    from bluegreen.cli.views.doctor import doctor_lines, examined, told
    from bluegreen.cli.views.json import fields

    found = calls.examine(session)
    answer(
        session,
        text=lambda paper: doctor_lines(paper, found),
        plain=lambda: [*(("found", fields(told(each))) for each in found), ("examined", fields(examined(found)))],
    )
    return code_of(found)


def code_of(found: Sequence[Finding]) -> ExitCode:
    """Whether a release would be refused."""
    refused = any(finding.severity is Severity.REFUSE for finding in found)
    return ExitCode.NOT_FIT if refused else ExitCode.OK
