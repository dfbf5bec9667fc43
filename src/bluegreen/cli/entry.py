"""``main``: runs a command line and answers with its exit code. The only place that turns errors into words.

Every error becomes one line that says what and where, and one that says what to do. A traceback never reaches the
screen: it goes into a file, for a report, unless BLUEGREEN_DEBUG is set.
"""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING

from bluegreen import __version__
from bluegreen.cli import plain_rollback
from bluegreen.cli.calls import Calls
from bluegreen.cli.program import peek, program_of
from bluegreen.cli.screen import Screen, open_closed
from bluegreen.cli.session import DEBUG, PREFIX, Format, Session, paper_for, wants_colour
from bluegreen.domain.errors import BluegreenError, Held, Interrupted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.errors import ExitCode


def main(argv: Sequence[str] | None = None, *, calls: Calls | None = None) -> int:
    """Run one command line, and return its exit code. Raises nothing.

    ``calls``: another way into the rest of the program, for tests.
    """
    open_closed()
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(words, calls or Calls())
    except SystemExit as error:  # click ends a shell completion so
        return int(error.code or 0)
    except BaseException as error:  # noqa: BLE001 - the last line of defence: an exit code, whatever happened
        return int(_tell(_translated(error, words), words))
    finally:
        _flush()


def _run(words: list[str], calls: Calls) -> int:
    """A rollback as it is most often asked for is read without click, whose import alone takes a tenth of its time."""
    line = plain_rollback.line_of(words, os.environ)
    if line is not None:
        return int(plain_rollback.run(line, calls))
    from bluegreen.cli.commands import run

    return run(words, calls)


def _translated(error: BaseException, words: Sequence[str]) -> BluegreenError:
    """Our own error for whatever came up."""
    if isinstance(error, BluegreenError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(signal="SIGINT")
    return _crash(error, words)


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
    text = f"bluegreen {__version__}, Python {sys.version}, command {_first(words)}\n"
    text += "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="bluegreen-fault-", suffix=".txt", encoding="utf-8", delete=False
        ) as file:
            file.write(text)
    except OSError:
        return f"what {DEBUG}=1 prints"
    return file.name


def _first(words: Sequence[str]) -> str:
    """The first word without its value, which may be a secret."""
    return words[0].partition("=")[0] if words else ""


def _tell(error: BluegreenError, words: Sequence[str]) -> ExitCode:
    session = Session(colour=wants_colour(words, os.environ), program=program_of(words, os.environ))
    if _wants_json(words):
        from bluegreen.cli.views.json import error_line

        Screen(sys.stdout).write(error_line(error, session.program))
    paper = paper_for(session, sys.stderr, os.environ)
    screen = Screen(sys.stderr)
    screen.write(f"{paper.paint('error:', 'red')} {paper.line(str(error))}")
    if error.mend:
        screen.write(f"  {paper.line(error.mend)}")
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
