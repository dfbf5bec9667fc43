"""The command line as click reads it, and click's errors as ours."""

from __future__ import annotations

import gc
import re
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

import click

from bluegreen import __version__
from bluegreen.cli.group import COMMANDS, Group, global_options
from bluegreen.cli.place import said_of
from bluegreen.cli.screen import Screen
from bluegreen.cli.session import PREFIX
from bluegreen.domain.errors import ExitCode, Interrupted, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.cli.calls import Calls

HELP = """Releases services that belong together as one, by blue-green, without losing a request.

Two slots, blue and green, each hold a complete copy of the stack. A new version goes into the idle one and is
validated there; then users are switched to it, and watched over. The other slot stays warm as the way back.

\b
  bluegreen up                                            start it here
  bluegreen deploy --backend-image alfredai/backend:v2    release a version
  bluegreen status                                        see what serves
  bluegreen rollback                                      go back, at once

Options may stand before or after the command. Each can be set in the environment: --state is BLUEGREEN_STATE,
--health-retries of deploy is BLUEGREEN_DEPLOY_HEALTH_RETRIES.
"""

_ADDRESS: Final = re.compile(r"://\S*?(?='?\)?(?:\s|$))")
"""What follows the scheme of a URL. One that is no option's value may be meant for ``--notify``, and a secret."""

_NO_BOOLEAN: Final = " is not a valid boolean"
"""What click says of a flag's variable, before a list of ten words that it takes."""

cli = Group(
    "bluegreen",
    help=HELP,
    params=list[click.Parameter](global_options()),
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": PREFIX},
)
cli = click.version_option(__version__, prog_name="bluegreen", message="%(prog)s %(version)s")(cli)


def run(words: list[str], calls: Calls) -> int:
    """Run one command line, and return its exit code. Raises BluegreenError, SystemExit after a shell completion."""
    gc.enable()
    try:
        code: ExitCode | int | None = cli.main(args=words, prog_name="bluegreen", standalone_mode=False, obj=calls)
    except click.exceptions.NoArgsIsHelpError as error:
        Screen(sys.stderr).write(error.format_message())
        return int(ExitCode.USAGE)
    except click.ClickException as error:
        raise _usage(error, words) from error
    except click.Abort as error:
        raise Interrupted(signal="SIGINT") from error
    return int(code or ExitCode.OK)


def _usage(error: click.ClickException, words: Sequence[str]) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "bluegreen"
    if isinstance(error, click.BadParameter):
        _name_its_variable(error)
    near = getattr(error, "possibilities", None)
    mend = f"did you mean {near[0]}?" if near else f"{path} --help shows how it is used"
    if isinstance(error, click.exceptions.NoSuchOption) and (owner := _owner(error.option_name, words)):
        mend = f"it belongs behind the command's name: bluegreen {owner} {error.option_name}"
    return UsageError(_ADDRESS.sub("://...", _without_hint(error)), mend=mend)


def _owner(option: str, words: Sequence[str]) -> str:
    """The command of the line whose option it is; empty: it stands where it belongs, or is nobody's."""
    for name in COMMANDS:
        if name in words and words.index(name) > _place(option, words):
            command = import_module(f"bluegreen.cli.{name}").command
            if any(option in each.opts for each in command.params) or (name == "deploy" and option.endswith("-image")):
                return name
    return ""


def _place(option: str, words: Sequence[str]) -> int:
    """Where it stands in the line, with or without its value."""
    return next((index for index, word in enumerate(words) if word.partition("=")[0] == option), len(words))


def _name_its_variable(error: click.BadParameter) -> None:
    """Where the value stands in the environment: click would name an option that nobody has typed."""
    place = said_of(error.param, error.ctx)
    if error.param is not None and place not in error.param.opts:
        error.param_hint = f"'{place}'"


def _without_hint(error: click.ClickException) -> str:
    """click's sentence as ours: no capital, no full stop, no suggestion, which is the mend."""
    if isinstance(error, click.exceptions.NoSuchOption):
        return f"there is no option {error.option_name}"
    if isinstance(error, click.exceptions.NoSuchCommand):
        return f"there is no command {error.command_name}"
    text = " ".join(error.format_message().split()).rstrip(".")
    before, boolean, _ = text.partition(_NO_BOOLEAN)
    if boolean:
        text = f"{before} is neither 'true' nor 'false'"
    return text[:1].lower() + text[1:]
