"""What goes wrong in drawing fails nobody and holds up nobody."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bluegreen.cli.screen import Drawing, Screen
from bluegreen.cli.session import Session, paper_for
from bluegreen.domain.events import Note

if TYPE_CHECKING:
    from bluegreen.domain.events import Event

LIMIT = 30.0


@dataclass
class Canvas:
    """A view that notes what it draws, and fails at one text."""

    drawn: list[str] = field(default_factory=list)
    bad: str = ""

    def __call__(self, event: Event) -> None:
        assert isinstance(event, Note)
        if event.text == self.bad:
            raise ZeroDivisionError("cannot draw")
        self.drawn.append(event.text)

    def remind(self) -> None:
        """Nothing to say."""


def test_events_are_drawn_in_order_before_the_end() -> None:
    canvas = Canvas()
    drawing = Drawing(canvas)
    for number in range(100):
        drawing(Note(text=str(number)))
    drawing.close(limit=LIMIT)

    assert canvas.drawn == [str(number) for number in range(100)]


def test_a_view_that_fails_is_told_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    canvas = Canvas(bad="2")
    drawing = Drawing(canvas)
    for number in range(4):
        drawing(Note(text=str(number)))
    drawing.close(limit=LIMIT)

    assert canvas.drawn == ["0", "1", "3"]
    assert capsys.readouterr().err == "warning: something could not be shown: ZeroDivisionError('cannot draw')\n"


def test_a_view_that_hangs_holds_up_nobody() -> None:
    free = threading.Event()

    @dataclass
    class Hanging(Canvas):
        def __call__(self, event: Event) -> None:
            free.wait(LIMIT)
            super().__call__(event)

    canvas = Hanging()
    drawing = Drawing(canvas)
    drawing(Note(text="a"))
    drawing(Note(text="b"))
    drawing.close(limit=0.01)
    assert canvas.drawn == []

    free.set()
    drawing.close(limit=LIMIT)
    assert canvas.drawn == ["a", "b"]


def test_a_view_is_reminded_in_silence() -> None:
    reminded = threading.Event()

    @dataclass
    class Waiting(Canvas):
        def remind(self) -> None:
            reminded.set()

    drawing = Drawing(Waiting(), quiet=0.01)
    assert reminded.wait(LIMIT)
    drawing.close(limit=LIMIT)


def test_a_reader_that_went_away_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a pipe has no path
        screen = Screen(stream)
        screen.write("one")
        screen.write("two")


def test_characters_that_the_stream_cannot_write_are_escaped() -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii") as stream:
        Screen(stream).write("blué")
        stream.flush()
        assert raw.getvalue() == b"blu\\xe9\n"


def test_a_reader_that_is_slow_gets_everything() -> None:
    """The pipe is set not to block, as some build servers do, and is full after the first lines."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    line = "x" * 1000
    with open(writer, "w", encoding="utf-8") as stream, open(reader, "rb") as source:  # noqa: PTH123 - as above
        screen = Screen(stream)

        def write() -> None:
            for _ in range(200):
                screen.write(line)

        thread = threading.Thread(target=write)
        thread.start()
        got = source.read(200 * 1001)
        thread.join(LIMIT)

    assert got == f"{line}\n".encode() * 200


PROGRAM = """
import sys
from bluegreen.cli.screen import listener
from bluegreen.cli.session import Session
from bluegreen.domain.events import Note

with listener(Session()) as emit:
    for number in range(3000):
        emit(Note(text=f"{number} " + "x" * 60))
    print("worked", file=sys.stderr, flush=True)
sys.exit(3)
"""


def test_a_pipe_that_nobody_reads_does_not_hold_up_the_work() -> None:
    """The pipe is full after some hundred lines; the work ends, and then what is left is said to whoever reads."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "worked\n"  # before anybody has read a line
        out, err = process.communicate(timeout=LIMIT)

    assert (process.returncode, err) == (3, "")
    assert len(out.splitlines()) == 3000


def test_a_pipe_that_is_closed_does_not_change_the_exit_code() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.wait(LIMIT)

    assert (process.returncode, err) == (3, "worked\n")


def test_a_reader_that_never_reads_cannot_keep_the_process() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.replace("Session()", "Session(), last_words=0.1")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.wait(LIMIT) == 3
        assert process.stderr is not None
        assert process.stderr.read() == "worked\n"


WITHOUT = "import os, sys; [os.close(int(each)) for each in sys.argv[1]]; os.execv(sys.argv[2], sys.argv[2:])"
"""Becomes a program that has some of its standard streams closed, as a shell does it with ``>&-``."""


@pytest.mark.parametrize("closed", ["0", "1", "2", "12", "012"])
@pytest.mark.parametrize(("words", "code"), [(("--version",), 0), (("status", "--output", "json"), 6), (("x",), 2)])
def test_a_stream_that_is_closed_from_the_start_leads_nowhere(closed: str, words: tuple[str, ...], code: int) -> None:
    begin = [sys.executable, "-c", WITHOUT, closed, sys.executable, "-m", "bluegreen", "--state", "/nowhere"]
    done = subprocess.run([*begin, *words], capture_output=True, text=True, timeout=LIMIT, check=False)

    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "fault" not in done.stderr
    assert bool(done.stderr) is (code != 0 and "2" not in closed)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "colour"),
    [
        (Terminal(), {}, True),
        (io.StringIO(), {}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": "0"}, False),
        (io.StringIO(), {"FORCE_COLOR": ""}, False),
        (io.StringIO(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_when_there_is_colour(stream: io.StringIO, environment: dict[str, str], *, colour: bool) -> None:
    assert paper_for(Session(), stream, environment).colour is colour
    assert paper_for(Session(colour=False), stream, environment).colour is False


def test_a_closed_stream_has_no_colour() -> None:
    stream = io.StringIO()
    stream.close()

    assert paper_for(Session(), stream, {}).colour is False


@pytest.mark.parametrize(
    ("columns", "width"), [("40", 40), ("200", 80), ("0", 80), ("x", 80), ("", 80), ("9" * 5000, 80)]
)
def test_the_width(columns: str, width: int) -> None:
    assert paper_for(Session(), io.StringIO(), {"COLUMNS": columns}).width == width
