"""Where a command's answer goes. Nothing that goes wrong here can fail a release, or hold it up.

A reader that goes away (``bluegreen deploy | head``), a full disk behind ``>``, a terminal stopped with Ctrl-S: the
command works on. Events are drawn in a thread of their own; what the command did is in the journal, and its exit code
tells how it ended.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from bluegreen.cli.session import Format, paper_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import IO

    from bluegreen.cli.calls import Calls
    from bluegreen.cli.session import Session
    from bluegreen.cli.views.paper import Paper
    from bluegreen.domain.codec import Plain
    from bluegreen.domain.events import Event
    from bluegreen.domain.stack import Seconds

LAST_WORDS: Seconds = 30.0
"""How long the end of a command waits for somebody to take what is left to say."""

QUIET: Seconds = 1.0
"""After so much silence a view may say what is being waited for."""


_SLOW_READER: Seconds = 0.05


class View(Protocol):
    """Draws events. May raise anything."""

    def __call__(self, event: Event) -> None:
        """Draw one event."""

    def remind(self) -> None:
        """Nothing has happened for a while."""


class Screen:
    """Writes lines, as long as somebody takes them.

    Past Python's own buffer, whose lock a hanging write would keep until Python's end, which then could not come.
    """

    def __init__(self, stream: IO[str]) -> None:
        """``stream`` may be any; one without a file behind it is written to as it is."""
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._file = _file_of(stream)
        self._gone = False
        self._for_runner = in_job(os.environ)

    def write(self, line: str) -> None:
        """Write one line at once. Characters that the stream cannot encode become their escapes, never an error."""
        self.command(_no_command(line) if self._for_runner else line)

    def command(self, line: str) -> None:
        """The same of a line that may be a command for the runner of GitHub Actions."""
        if self._gone:
            return
        data = f"{line}\n".encode(self._encoding, "backslashreplace")
        try:
            self._put(data)
        except (OSError, ValueError):
            self._gone = True

    def _put(self, data: bytes) -> None:
        if self._file is None:
            self._stream.write(data.decode(self._encoding))
            return
        while data:
            try:
                data = data[os.write(self._file, data) :]
            except BlockingIOError:  # whoever started us has made it so; its reader is slow
                time.sleep(_SLOW_READER)


def open_closed() -> None:
    """Let each standard stream that whoever started us has closed (``>&-``) lead nowhere.

    Python has None for it then; and the first file of ours would get its number, and what is written to it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - until the end


def in_job(environment: Mapping[str, str]) -> bool:
    """Whether the runner of GitHub Actions reads what is written."""
    return environment.get("GITHUB_ACTIONS") == "true"


def _no_command(line: str) -> str:
    """The line as the runner takes it for text, whoever has written it: its commands begin a line with ``::``, or have
    ``##[`` anywhere. JSON stays what it says.
    """
    line = line.replace("##[", "##\\u005b" if line.startswith("{") else "## [")
    return line.replace("::", ": :", 1) if line.lstrip().startswith("::") else line


def _file_of(stream: IO[str]) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None


class Drawing:
    """A listener whose view works in a thread, and can fail nobody."""

    def __init__(self, view: View, *, quiet: Seconds = QUIET) -> None:
        """Start the thread. ``quiet``: after so much silence the view is reminded."""
        self._view = view
        self._quiet = quiet
        self._queue: SimpleQueue[Event | threading.Event | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="drawing", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Draw it soon. Never waits."""
        self._queue.put(event)

    def flush(self, *, limit: Seconds) -> None:
        """Wait until what was told so far is drawn, but no longer than this."""
        drawn = threading.Event()
        self._queue.put(drawn)
        drawn.wait(limit)

    def close(self, *, limit: Seconds) -> None:
        """Draw what is left, but wait no longer than this for somebody to take it. May be called again."""
        self._queue.put(None)
        self._thread.join(limit)

    def _work(self) -> None:
        while True:
            try:
                event = self._queue.get(timeout=self._quiet)
            except Empty:
                self._guard(self._view.remind)
                continue
            if event is None:
                return
            if isinstance(event, threading.Event):
                event.set()
            else:
                self._draw(event)

    def _draw(self, event: Event) -> None:
        self._guard(lambda: self._view(event))

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, a drawing must not end a release
            Screen(sys.stderr).write(f"warning: something could not be shown: {error!r}")


class Listener:
    """What a run's events are told to."""

    def __init__(self, drawing: Drawing, *others: Callable[[Event], None]) -> None:
        """``others``: who hears them after the drawing."""
        self._drawing = drawing
        self._others = others

    def __call__(self, event: Event) -> None:
        """Tell it."""
        self._drawing(event)
        for other in self._others:
            other(event)

    def flush(self, *, limit: Seconds) -> None:
        """As Drawing has it."""
        self._drawing.flush(limit=limit)


class Heard:
    """Passes events on and keeps them: what people are told when the run is over."""

    def __init__(self, listener: Callable[[Event], None]) -> None:
        """``listener``: who is to hear them as well."""
        self._listener = listener
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Keep it."""
        self.events.append(event)
        self._listener(event)


@contextmanager
def listener(session: Session, calls: Calls | None = None, *, last_words: Seconds = LAST_WORDS) -> Iterator[Listener]:
    """What draws a run's events, in the format asked for, until the block ends.

    ``calls``: for the report in the summary of a step of GitHub Actions; None: it gets none.
    """
    drawing = Drawing(_view(session, sys.stdout))
    try:
        if calls is not None and in_job(os.environ):
            with _job(session, calls, drawing, last_words=last_words) as emit:
                yield emit
        else:
            yield Listener(drawing)
    finally:
        drawing.close(limit=last_words)


@contextmanager
def _job(session: Session, calls: Calls, drawing: Drawing, *, last_words: Seconds) -> Iterator[Listener]:
    """The same, and at the end what the runner of GitHub Actions shows."""
    from bluegreen.cli.github import Job
    from bluegreen.domain.errors import BluegreenError

    job = Job(session, calls)
    try:
        yield Listener(drawing, job)
    except BluegreenError as error:
        job.refused(error)
        raise
    finally:
        drawing.close(limit=last_words)
        job.tell(os.environ)


def _view(session: Session, stream: IO[str]) -> View:
    screen = Screen(stream)
    if session.output is Format.JSON:
        from bluegreen.cli.views.json import JsonView

        return JsonView(screen.write)
    from bluegreen.cli.views.plain import PlainView

    return PlainView(screen.write, paper_for(session, stream, os.environ), now=time.monotonic)


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
