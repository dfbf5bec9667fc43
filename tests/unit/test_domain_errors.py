"""One tree of errors; what its docstring draws is what the classes are."""

from __future__ import annotations

import re

import pytest

from bluegreen.domain import errors
from bluegreen.domain.cause import Cause
from bluegreen.domain.errors import (
    AppFileError,
    BluegreenError,
    ExitCode,
    HeldBy,
    Interrupted,
    LockError,
    LostLock,
    UsageError,
)
from bluegreen.domain.health import SlotDoomed
from bluegreen.domain.stack import Slot

LINE = re.compile(r"^(?P<lead>[│ ├└─]*)(?P<name>[A-Z]\w+)(?: \.+ (?P<codes>\d+(?: / \d+)?))?")


def drawn() -> dict[str, tuple[str, tuple[int, ...]]]:
    """The docstring's tree: parent and exit codes by name."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    above: dict[int, str] = {}
    _, _, tree = (errors.__doc__ or "").partition("BluegreenError")
    for line in ("BluegreenError" + tree).split("\n\n")[0].splitlines():
        match = LINE.match(line.removeprefix("    "))
        assert match is not None, line
        depth = len(match["lead"]) // 4
        above[depth] = match["name"]
        codes = tuple(int(code) for code in (match["codes"] or "").split(" / ") if code)
        found[match["name"]] = (above[depth - 1] if depth else "", codes)
    return found


def classes(of: type[BluegreenError] = BluegreenError) -> list[type[BluegreenError]]:
    """All subclasses that the tree draws: an adapter may refine one for itself."""
    mine = [cls for cls in of.__subclasses__() if cls.__module__ == "bluegreen.domain.errors"]
    return [of, *(each for cls in mine for each in classes(cls))]


def made(cls: type[BluegreenError]) -> BluegreenError:
    """An instance with whatever that class demands."""
    if issubclass(cls, AppFileError):
        return cls("m", path="bluegreen.yaml", line=3)
    if issubclass(cls, HeldBy):
        return cls("m", holder="h")
    if issubclass(cls, LostLock):
        return cls("m", taken_by="t")
    if issubclass(cls, Interrupted):
        return cls(signal="SIGINT")
    return cls("m")


def test_the_drawn_tree_is_the_tree() -> None:
    in_code = {cls.__name__: cls.__bases__[0].__name__ if cls is not BluegreenError else "" for cls in classes()}
    assert {name: parent for name, (parent, _) in drawn().items()} == in_code


@pytest.mark.parametrize("cls", [cls for cls in classes() if drawn()[cls.__name__][1]], ids=lambda cls: cls.__name__)
def test_exit_codes_are_the_documented_ones(cls: type[BluegreenError]) -> None:
    assert made(cls).exit_code in drawn()[cls.__name__][1]


def test_every_error_that_is_raised_has_a_documented_exit_code() -> None:
    """Only the two bases that nobody raises have none."""
    assert [name for name, (_, codes) in drawn().items() if not codes] == ["BluegreenError", LockError.__name__]


@pytest.mark.parametrize(("signal", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 143)])
def test_interrupts_have_the_shells_codes(signal: str, code: int) -> None:
    error = Interrupted(signal=signal)
    assert (error.exit_code, str(error)) == (code, f"interrupted by {signal}")


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (ExitCode.OK, 0),
        (ExitCode.FAILED, 1),
        (ExitCode.USAGE, 2),
        (ExitCode.ROLLED_BACK, 3),
        (ExitCode.LOCKED, 4),
        (ExitCode.HELD, 5),
        (ExitCode.UNREACHABLE, 6),
        (ExitCode.TIMED_OUT, 70),
        (ExitCode.INTERRUPTED, 130),
        (ExitCode.TERMINATED, 143),
    ],
)
def test_exit_codes_say_what_they_mean(code: ExitCode, value: int) -> None:
    assert code == value
    assert code.value == value
    assert code.meaning


def test_there_are_no_other_exit_codes() -> None:
    assert sorted(ExitCode) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 70, 130, 143]


def test_an_error_keeps_what_its_reader_needs() -> None:
    cause = Cause(service="s", slot=Slot.BLUE, reason="crash loop")
    assert SlotDoomed(cause).cause == cause
    assert SlotDoomed(cause).exit_code is ExitCode.FAILED
    assert UsageError("m", mend="do this").mend == "do this"
    assert BluegreenError("m").mend == ""
    assert HeldBy("m", holder="ann").holder == "ann"
    assert LostLock("m", taken_by="bob").taken_by == "bob"


@pytest.mark.parametrize(("line", "text"), [(3, "app.yaml:3: no such key"), (0, "app.yaml: no such key")])
def test_the_place_in_the_app_file_comes_first(line: int, text: str) -> None:
    error = AppFileError("no such key", path="app.yaml", line=line)
    assert (str(error), error.path, error.line) == (text, "app.yaml", line)
