"""Where a command's answer goes. Nothing that goes wrong here can fail a release.

A reader that goes away (``bluegreen deploy | head``), a full disk behind ``>``, a terminal that is gone: the command
works on in silence. What it did is in the journal; its exit code tells how it ended.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from bluegreen.cli.session import Format, paper_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import IO

    from bluegreen.cli.session import Session
    from bluegreen.cli.views.paper import Paper
    from bluegreen.domain.codec import Plain
    from bluegreen.domain.events import Event


class Screen:
    """Writes lines, as long as somebody takes them."""

    def __init__(self, stream: IO[str]) -> None:
        """Characters that the stream cannot encode are written as their escapes, never as an error."""
        self._stream = stream
        self._gone = False
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")

    def write(self, line: str) -> None:
        """Write one line and flush it: a build log shows it when it happens."""
        if self._gone:
            return
        try:
            self._stream.write(f"{line}\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._gone = True
            abandon(self._stream)


def abandon(stream: IO[str]) -> None:
    """Let what is left in the stream's buffer go nowhere, so that Python's last flush does not complain."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # it is no file, or it is closed: nothing will be flushed
        return


def listener(session: Session, *, stream: IO[str] | None = None) -> Callable[[Event], None]:
    """What draws the run's events, in the format asked for. It never raises."""
    stream = stream or sys.stdout
    screen = Screen(stream)
    if session.output is Format.JSON:
        from bluegreen.cli.views.json import JsonView

        return Guarded(JsonView(screen.write))
    from bluegreen.cli.views.plain import PlainView

    return Guarded(PlainView(screen.write, paper_for(session, stream, os.environ)))


class Guarded:
    """A view that can fail nobody: what it cannot draw is named on the standard error, and the run goes on."""

    def __init__(self, view: Callable[[Event], None]) -> None:
        """``view`` may raise anything."""
        self._view = view

    def __call__(self, event: Event) -> None:
        """Draw the event if that is possible."""
        try:
            self._view(event)
        except Exception as error:  # noqa: BLE001 - whatever it is, a drawing must not end a release
            Screen(sys.stderr).write(f"warning: {type(event).__name__} could not be shown: {error!r}")


def answer(
    session: Session,
    *,
    text: Callable[[Paper], Iterable[str]],
    plain: Callable[[], Iterable[tuple[str, dict[str, Plain]]]],
) -> None:
    """Write a command's answer: as text, or as JSON lines, each with its kind and fields."""
    screen = Screen(sys.stdout)
    if session.output is Format.JSON:
        from bluegreen.cli.views.json import line

        for event, fields in plain():
            screen.write(line(event, fields))
        return
    for row in text(paper_for(session, sys.stdout, os.environ)):
        screen.write(row)
