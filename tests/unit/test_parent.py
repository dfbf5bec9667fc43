"""In a CI job the death of the parent is a SIGTERM; anywhere else it is nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from bluegreen.parent import in_ci

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMIT = 30.0

CHILD = """
import os, sys
from bluegreen.domain.errors import Interrupted
from bluegreen.domain.stack import after
from bluegreen.wiring.common import listening_clock

clock, parent, (said, go) = listening_clock(), os.getppid(), sys.argv[1:]

def say(word):
    with open(said, "a") as file:
        file.write(f"{word}\\n")

say(f"pid {os.getpid()}")
try:
    while os.getppid() == parent or not os.path.exists(go):
        clock.wait(until=after(clock.now(), 0.05))
    say("went on")
except Interrupted as error:
    say(f"interrupted {error.signal}")
"""

SHELL = '"$1" -c "$2" "$3" "$4"; echo "the shell is still there"'
"""A step's shell: it waits for its command, and has more to do."""


def orphaned(folder: Path, environment: dict[str, str]) -> list[str]:
    """What a child says whose shell is killed, and that is then let go if it lives."""
    said, go = folder / "said", folder / "go"
    words = ["sh", "-c", SHELL, "sh", sys.executable, CHILD, str(said), str(go)]
    clean = {name: value for name, value in os.environ.items() if name not in {"CI", "GITHUB_ACTIONS"}}
    with subprocess.Popen(words, env={**clean, **environment}, stdout=subprocess.DEVNULL) as shell:
        wait_for(lambda: said.exists() and said.read_text().endswith("\n"), "the child says who it is")
        shell.kill()
    go.touch()
    wait_for(lambda: len(said.read_text().splitlines()) == 2, "the child ends")
    return said.read_text().splitlines()[1:]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, f"not within {LIMIT:.0f} s: {what}"
        time.sleep(0.02)


@pytest.mark.parametrize("variable", ["CI", "GITHUB_ACTIONS"])
def test_in_ci(variable: str, tmp_path: Path) -> None:
    assert orphaned(tmp_path, {variable: "true"}) == [f"interrupted {signal.SIGTERM.name}"]


def test_elsewhere(tmp_path: Path) -> None:
    assert orphaned(tmp_path, {}) == ["went on"]


@pytest.mark.parametrize(
    ("environment", "yes"),
    [({}, False), ({"CI": "true"}, True), ({"CI": "1"}, True), ({"CI": "false"}, False), ({"CI": ""}, False)],
)
def test_what_counts_as_ci(environment: dict[str, str], yes: bool) -> None:  # noqa: FBT001
    assert in_ci(environment) is yes
