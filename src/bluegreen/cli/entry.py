"""``main``: runs a command line and answers with its exit code. The only place that turns errors into words.

Every error becomes one line that says what and where, and one that says what to do. A traceback never reaches the
screen: it goes into a file, for a report, unless BLUEGREEN_DEBUG is set.
"""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING

import click

from bluegreen import __version__
from bluegreen.cli.calls import Calls
from bluegreen.cli.group import DEBUG, PREFIX, Group, global_options, peek
from bluegreen.cli.screen import Screen
from bluegreen.cli.session import Format, Session, paper_for
from bluegreen.domain.errors import BluegreenError, ExitCode, Held, Interrupted, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

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

cli = Group(
    "bluegreen",
    help=HELP,
    params=list[click.Parameter](global_options()),
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": PREFIX},
)
cli = click.version_option(__version__, prog_name="bluegreen", message="%(prog)s %(version)s")(cli)


def main(argv: Sequence[str] | None = None, *, calls: Calls | None = None) -> int:
    """Run one command line, and return its exit code. Raises nothing.

    ``calls``: another way into the rest of the program, for tests.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(words, calls)
    except click.exceptions.NoArgsIsHelpError as error:
        Screen(sys.stderr).write(error.format_message())
        return int(ExitCode.USAGE)
    except SystemExit as error:  # click ends a shell completion so
        return int(error.code or 0)
    except BaseException as error:  # noqa: BLE001 - the last line of defence: an exit code, whatever happened
        return int(_tell(_translated(error, words), words))
    finally:
        _flush()


def _run(words: list[str], calls: Calls | None) -> int:
    code: ExitCode | int | None = cli.main(
        args=words, prog_name="bluegreen", standalone_mode=False, obj=calls or Calls()
    )
    return int(code or ExitCode.OK)


def _translated(error: BaseException, words: Sequence[str]) -> BluegreenError:
    """Our own error for whatever came up."""
    if isinstance(error, BluegreenError):
        return error
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return Interrupted(signal="SIGINT")
    return _crash(error, words)


def _usage(error: click.ClickException) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "bluegreen"
    near = getattr(error, "possibilities", None)
    mend = f"did you mean {near[0]}?" if near else f"{path} --help shows how it is used"
    return UsageError(_without_hint(error), mend=mend)


def _without_hint(error: click.ClickException) -> str:
    """click's sentence as ours: no capital, no full stop, no suggestion, which is the mend."""
    if isinstance(error, click.exceptions.NoSuchOption):
        return f"there is no option {error.option_name}"
    if isinstance(error, click.exceptions.NoSuchCommand):
        return f"there is no command {error.command_name}"
    text = " ".join(error.format_message().split()).rstrip(".")
    return text[:1].lower() + text[1:]


def _crash(error: BaseException, words: Sequence[str]) -> BluegreenError:
    """A fault of ours. What the stack is in now is not known, so a person has to look."""
    where = _report(error, words)
    return Held(
        f"bluegreen itself has a fault: {type(error).__name__}: {error}",
        mend=f"look at bluegreen status; please report this with {where}",
    )


def _report(error: BaseException, words: Sequence[str]) -> str:
    """Keep the traceback in a file of its own, and say where."""
    import tempfile
    import traceback

    if os.environ.get(DEBUG):
        traceback.print_exception(error)
        return "the traceback above"
    text = f"bluegreen {__version__}, Python {sys.version}, command {words[:1]}\n"
    text += "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="bluegreen-fault-", suffix=".txt", encoding="utf-8", delete=False
        ) as file:
            file.write(text)
    except OSError:
        return f"what {DEBUG}=1 prints"
    return file.name


def _tell(error: BluegreenError, words: Sequence[str]) -> ExitCode:
    if _wants_json(words):
        from bluegreen.cli.views.json import error_line

        Screen(sys.stdout).write(error_line(error))
    from bluegreen.cli.views.paper import clean

    paper = paper_for(Session(colour="--no-color" not in words), sys.stderr, os.environ)
    screen = Screen(sys.stderr)
    screen.write(f"{paper.paint('error:', 'red')} {clean(str(error))}")
    if error.mend:
        screen.write(f"  {clean(error.mend)}")
    return error.exit_code


def _wants_json(words: Sequence[str]) -> bool:
    """Asked of the bare words: the error may be that they cannot be parsed."""
    asked = peek(words, "--output") or os.environ.get(f"{PREFIX}_OUTPUT")
    return asked == Format.JSON


def _flush() -> None:
    """Let what click has written go out, or go nowhere when its reader is gone, so that Python's end is quiet."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _abandon(stream)


def _abandon(stream: IO[str]) -> None:
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # it is no file, or it is closed: nothing is left to be flushed
        return
