"""The page of the commands: arguments, options, defaults and environment variables, as click knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from scripts.reference.paper import code, page, sentence, table

from bluegreen.cli.calls import Calls
from bluegreen.cli.commands import cli
from bluegreen.cli.group import COMMANDS, global_options
from bluegreen.cli.session import DEBUG, PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HEADS = ("option", "meaning", "default", "environment")
INTRODUCTION = f"""\
`bluegreen [OPTIONS] COMMAND …`; the deployment script takes the same words, and means `deploy` where none is given. The
exit codes are on [a page of their own](exit-codes.md), the lines of `--output json` on [another](json.md).

Options of every command stand before or after its name. `NO_COLOR` and `FORCE_COLOR` are respected.
`{DEBUG}=1` prints the traceback of a fault of the program itself. A variable that begins with `{PREFIX}_` and is read
by nobody is told.
"""


def commands() -> str:
    """The page."""
    group = click.Context(cli, info_name="bluegreen", auto_envvar_prefix=PREFIX, obj=Calls())
    everywhere = [option_row(option, group) for option in global_options()]
    return page(
        "Commands",
        INTRODUCTION,
        "## Of every command\n\n" + table(HEADS, everywhere),
        *(_command(name, group) for name in COMMANDS),
    )


def _command(name: str, group: click.Context) -> str:
    command = cli.get_command(group, name)
    assert command is not None
    context = click.Context(command, info_name=name, parent=group)
    shared = {flag for option in global_options() for flag in option.opts} | {"--help"}
    own = [each for each in command.get_params(context) if shared.isdisjoint(each.opts)]
    words = " ".join(part for part in command.collect_usage_pieces(context) if part != "[OPTIONS]")
    parts = [f"## bluegreen {' '.join(f'{name} {words}'.split())}", sentence(command.help)]
    parts.append(table(HEADS, (option_row(each, context) for each in own if isinstance(each, click.Option))))
    if any(each.metavar == "SERVICE=REF" for each in own):
        parts.append("Each service of the stack has an option of its own besides, such as `--backend-image REF`.")
    parts.extend(_examples(getattr(command, "examples", ())))
    return "\n\n".join(part for part in parts if part)


def _examples(examples: Sequence[tuple[str, str]]) -> Iterator[str]:
    if examples:
        width = max(len(line) for _, line in examples)
        yield "```text\n" + "\n".join(f"{line:{width}}  # {what}" for what, line in examples) + "\n```"


def option_row(option: click.Option, context: click.Context) -> tuple[str, ...]:
    """One option."""
    flags = ", ".join(option.opts)
    value = "" if option.is_flag else f" {option.make_metavar(context)}"
    repeated = " May be given again." if option.multiple and "again" not in (option.help or "") else ""
    variable = f"{context.auto_envvar_prefix}_{str(option.name).upper()}" if option.allow_from_autoenv else ""
    return (code(flags + value), f"{option.help or ''}{repeated}", _default(option), code(variable) if variable else "")


def _default(option: click.Option) -> str:
    if isinstance(option.show_default, str):
        return option.show_default
    return str(option.default) if option.show_default else ""
