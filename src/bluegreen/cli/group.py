"""The command group and the commands' common class: lazy, with the global options before or after the command's name.

click gives an option to the group or to a command, not to both; here each command accepts the group's options too, and
what stands nearer to the end of the line wins. Every option has an environment variable; one that starts like ours and
is not ours is told, for it is most often a typo that would silently do nothing.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from bluegreen.cli.calls import Calls
from bluegreen.cli.place import said_of
from bluegreen.cli.program import PLAIN, VARIABLE, Program, program_of
from bluegreen.cli.screen import Screen
from bluegreen.cli.session import (
    DEBUG,
    DEFAULT_STATE,
    PREFIX,
    USUAL,
    Format,
    Kind,
    folder,
    not_empty,
    session_from,
)
from bluegreen.domain.errors import ExitCode, UsageError
from bluegreen.domain.stack import PROMETHEUS_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bluegreen.cli.session import Session

_META: Final = "bluegreen.global."
_PROGRAM: Final = "bluegreen.program"

COMMANDS: Final[Mapping[str, str]] = {
    "up": "start the stack on this machine",
    "down": "end the stack on this machine",
    "deploy": "release new images into the idle slot, then switch users to it",
    "rollback": "bring users back to the slot that was active before",
    "verify": "the post-deployment checklist, once its five minutes are over",
    "status": "what serves now, what stands by, what is unfinished",
    "doctor": "what speaks against a release, why, and what mends it",
    "history": "the releases and rollbacks so far",
    "show": "everything about one release",
    "logs": "the last lines of the replicas' logs",
    "schema": "the JSON Schema of the app file",
}


class Folder(click.ParamType[Path]):
    """A folder, which need not exist."""

    name = "folder"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """Read it. Raises UsageError."""
        return folder(str(value), of=said_of(param, ctx))


class Named(click.ParamType[str]):
    """A name that must not be empty, as an unset variable of a script makes it."""

    name = "name"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        """Read it. Raises UsageError."""
        return not_empty(str(value), of=said_of(param, ctx))


class File(click.Path):
    """A file's path, which a shell completes. An empty one is refused: it would be the folder at hand."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:  # noqa: ANN401
        """Read it. Raises UsageError."""
        return Path(not_empty(str(value), of=said_of(param, ctx)))


def global_options() -> list[click.Option]:
    """The options of every command."""
    return [
        _global(
            "--state",
            type=Folder(),
            metavar="DIR",
            help=f"Where this machine's stack is kept (default {DEFAULT_STATE}).",
        ),
        _global(
            "--app",
            type=File(),
            metavar="FILE",
            help="The app file (default ./bluegreen.yaml, else the built-in Alfred stack).",
        ),
        _global(
            "--platform",
            type=click.Choice([each.value for each in Kind]),
            help="Where the stack runs (default: local, or kubernetes when --namespace or --context is given).",
        ),
        _global(
            "--namespace",
            type=Named(),
            metavar="NAME",
            help="Kubernetes: the stack's namespace (default: the stack's name).",
        ),
        _global(
            "--context",
            type=Named(),
            metavar="NAME",
            help="Kubernetes: the context of the kubeconfig (default: its current one).",
        ),
        _global(
            "--direct",
            is_flag=True,
            help="Kubernetes: ask pods at their own addresses, not by way of the API server.",
        ),
        _global(
            "--output",
            type=click.Choice([each.value for each in Format]),
            help="Text for people, one JSON object a line for programs; of show also a page (default text).",
        ),
        _global(
            "--notify",
            multiple=True,
            metavar="URL",
            help="Who is told how a run ends: a URL of apprise, which is never shown. May be given again.",
        ),
        _global("--no-color", is_flag=True, help="No colour, whatever the terminal; NO_COLOR does the same."),
    ]


def _global(*flags: str, **settings: Any) -> click.Option:  # noqa: ANN401 - click's own settings
    return click.Option(flags, expose_value=False, callback=_remember, **settings)


def _remember(context: click.Context, parameter: click.Parameter, value: object) -> object:
    """Keep what was given; a command's own options come after the group's, and win."""
    name = str(parameter.name)
    if context.get_parameter_source(name) in {ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT}:
        context.meta[_META + name] = value
    return value


def session_of(context: click.Context) -> Session:
    """The global options as given so far."""
    given = {name.removeprefix(_META): value for name, value in context.meta.items() if name.startswith(_META)}
    return session_from(given, _program(context))


def _program(context: click.Context) -> Program:
    """How its user calls us; the group has found it in the bare words."""
    program = context.meta.get(_PROGRAM, PLAIN)
    assert isinstance(program, Program)  # noqa: S101 - the group puts it there
    return program


def calls_of(context: click.Context) -> Calls:
    """The way into the rest of the program."""
    calls = context.obj
    assert isinstance(calls, Calls)  # noqa: S101 - main puts it there
    return calls


class Command(click.Command):
    """A command with examples and the global options."""

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - click's own settings
        examples: Sequence[tuple[str, str]] = (),
        exit_codes: bool = False,
        **settings: Any,  # noqa: ANN401 - the same
    ) -> None:
        """``examples``: pairs of what it does and the command line. ``exit_codes``: a build server acts on them."""
        self.examples = examples
        self.exit_codes = exit_codes
        super().__init__(*args, **settings)
        for option in global_options():
            option.allow_from_autoenv = False  # the group has read the environment; it must not win over its line
            self.params.append(option)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does it, but every error knows which command it is about."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    formats: tuple[Format, ...] = USUAL
    """What it can be asked to write."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own type
        """Run it, after a word about environment variables that nobody reads. Raises UsageError."""
        output = session_of(ctx).output
        if output not in self.formats:
            names = " or ".join(self.formats)
            raise UsageError(f"--output {output} is not for bluegreen {ctx.info_name}", mend=f"it writes {names}")
        for line in strangers(ctx, os.environ):
            Screen(sys.stderr).write(line)
        return super().invoke(ctx)

    def get_help(self, ctx: click.Context) -> str:
        """As click does it, with command lines that work for whoever asks."""
        return _program(ctx).said(super().get_help(ctx))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, and the exit codes where they matter."""
        write_examples(formatter, self.examples)
        super().format_epilog(ctx, formatter)
        if self.exit_codes:
            write_exit_codes(formatter)


class Group(click.Group):
    """The commands, each imported when it is called."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note how we are called, before anything in the line can be wrong."""
        ctx.meta[_PROGRAM] = program_of(args, os.environ)
        return super().parse_args(ctx, args)

    def get_help(self, ctx: click.Context) -> str:
        """As that of a command."""
        return _program(ctx).said(super().get_help(ctx))

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click passes it
        """All names, in the order of a stack's life."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import the command."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"bluegreen.cli.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101 - each module of a command has one
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with our names to suggest from: click only knows commands that were imported."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise click.exceptions.NoSuchCommand(name, possibilities=list(COMMANDS), ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """The list, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The exit codes, from the one place that decides them."""
        write_exit_codes(formatter)
        super().format_epilog(ctx, formatter)


def write_examples(formatter: click.HelpFormatter, examples: Iterable[tuple[str, str]]) -> None:
    """Command lines to copy, each with what it does below it."""
    pairs = list(examples)
    if not pairs:
        return
    with formatter.section("Examples"):
        for what, command in pairs:
            formatter.write(f"{'':>{formatter.current_indent}}{command}\n")
            with formatter.indentation():
                formatter.write_text(what)


def write_exit_codes(formatter: click.HelpFormatter) -> None:
    """Each number with its meaning."""
    with formatter.section("Exit codes"):
        formatter.write_dl([(str(int(code)), code.meaning) for code in ExitCode])


def strangers(context: click.Context, environment: Mapping[str, str]) -> list[str]:
    """A warning for each BLUEGREEN_ variable that neither the group nor this command reads.

    Another command's variables are left alone: its options are not known here.
    """
    known = _known(context)
    others = tuple(f"{PREFIX}_{name.upper()}_" for name in COMMANDS if name != context.info_name)
    found = sorted(name for name in environment if name.startswith(f"{PREFIX}_") and name not in known)
    return [_stranger(name, known) for name in found if not name.startswith(others)]


def _known(context: click.Context) -> set[str]:
    names = {DEBUG, VARIABLE, *PROMETHEUS_VARIABLES}
    level: click.Context | None = context
    while level is not None:
        for parameter in level.command.get_params(level):
            if isinstance(parameter, click.Option) and parameter.allow_from_autoenv:
                names.add(f"{level.auto_envvar_prefix}_{str(parameter.name).upper()}")
        level = level.parent
    return names


def _stranger(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known], n=1)
    hint = f"did you mean {PREFIX}{close[0]}?" if close else "bluegreen reads no such variable"
    return f"warning: the environment variable {name} does nothing; {hint}"
