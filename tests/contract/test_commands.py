"""ports.Commands: real processes and the fake, held to the same."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from bluegreen.clock import SystemClock
from bluegreen.commands.run import LINES, ProcessCommands
from bluegreen.domain.errors import Interrupted
from bluegreen.domain.excerpt import LARGEST
from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import WorkloadSpec
from bluegreen.domain.snapshot import Template
from bluegreen.domain.stack import CommandCheck, Slot, after
from bluegreen.ports import Commands, Errand, ErrandEnd
from bluegreen.testing import Ending, FakeClock, FakeCommands, example_stack

if TYPE_CHECKING:
    from bluegreen.domain.stack import Seconds
    from bluegreen.ports import Clock

GREEN = Slot.GREEN

LONG_ENOUGH = 3.0
"""Seconds, for a program that is to be killed: a busy machine has started it by then, and heard its first word."""

SOON = 60.0
"""Seconds in which a busy machine has ended what would go on for ten minutes."""


def errand(*command: str, timeout: Seconds = 60.0) -> Errand:
    return Errand(
        check=CommandCheck(name="c", command=command, timeout=timeout),
        slot=GREEN,
        release="r-1",
        workloads=tuple(
            WorkloadSpec(service=name, image=ImageReference.parse(f"team/{name}:v2"), replicas=2, template=Template())
            for name in example_stack().names
        ),
    )


# --- the contract -------------------------------------------------------------------------------------------------


class Stand(Protocol):
    """Where commands run, and one that ends as it is told."""

    commands: Commands
    clock: Clock

    def program(self, ending: Ending) -> str:
        """The name of a program that ends so."""


class FakeStand:
    """In virtual time."""

    def __init__(self, _: Path) -> None:
        self.clock = FakeClock()
        self.commands = FakeCommands(self.clock)
        self.commands.missing.add("/no/such/program")

    def program(self, ending: Ending) -> str:
        name = f"program-{len(self.commands.endings)}"
        self.commands.endings[name] = [ending]
        return name


class RealStand:
    """A script of a shell."""

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock()
        self.commands = ProcessCommands(example_stack(), clock=self.clock, environment=dict(os.environ))
        self._folder = folder

    def program(self, ending: Ending) -> str:
        script = self._folder / f"program-{len(list(self._folder.iterdir()))}"
        script.write_text(f"#!/bin/sh\necho '{ending.said}'\nsleep {ending.took}\nexit {ending.code}\n")
        script.chmod(0o755)
        return str(script)


@pytest.fixture(params=[FakeStand, RealStand], ids=["fake", "processes"])
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Stand:
    made: Stand = request.param(tmp_path)
    return made


def run(stand: Stand, name: str, *, timeout: Seconds = 60.0) -> ErrandEnd:
    wanted = errand(name, timeout=timeout)
    return stand.commands.run(wanted, until=after(stand.clock.now(), timeout))


@pytest.mark.parametrize("code", [0, 1, 3])
def test_the_exit_code_decides_and_the_output_is_told(stand: Stand, code: int) -> None:
    end = run(stand, stand.program(Ending(code=code, said="all of it")))
    assert end == ErrandEnd(passed=code == 0, detail=f"exit code {code}: all of it")


def test_one_without_a_word_is_told_by_its_code_alone(stand: Stand) -> None:
    assert run(stand, stand.program(Ending())).detail == "exit code 0"


def test_at_its_limit_it_is_killed(stand: Stand) -> None:
    began = stand.clock.now()
    end = run(stand, stand.program(Ending(took=600.0, said="begun")), timeout=LONG_ENOUGH)
    assert end == ErrandEnd(passed=False, detail="killed at its limit of 3 s: begun")
    assert stand.clock.now() - began < SOON


def test_a_program_that_is_not_there_is_known_before_and_fails_when_it_is_run(stand: Stand) -> None:
    check = errand("/no/such/program").check
    assert stand.commands.examine(check) == "there is no program /no/such/program here that may be run"
    end = run(stand, "/no/such/program")
    assert end == ErrandEnd(passed=False, detail="/no/such/program cannot be run: No such file or directory")
    there = errand(stand.program(Ending())).check
    assert stand.commands.examine(there) == ""


# --- real processes only ------------------------------------------------------------------------------------------

CLOCK = SystemClock()


def python(
    text: str, *, timeout: Seconds = 60.0, clock: SystemClock = CLOCK, environment: dict[str, str] | None = None
) -> ErrandEnd:
    commands = ProcessCommands(
        example_stack(),
        clock=clock,
        environment=environment if environment is not None else {"PATH": os.defpath},
        addresses=[("pair-back", GREEN, "http://back-green:8000"), ("pair-back", Slot.BLUE, "http://back-blue:8000")],
    )
    wanted = errand(sys.executable, "-c", text, timeout=timeout)
    return commands.run(wanted, until=after(clock.now(), timeout))


def test_it_is_told_of_slot_versions_and_addresses_and_of_nothing_else() -> None:
    end = python("import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))", environment={"A": "b"})
    names = ["BACK_ADDRESS", "BACK_IMAGE", "BACK_VERSION", "FRONT_ADDRESS", "FRONT_IMAGE", "FRONT_VERSION"]
    wanted = ["A", *(f"CHECK_{name}" for name in (*names, "RELEASE", "SLOT", "STACK"))]
    assert end.detail == f"exit code 0: {wanted}"
    said = python(
        "import os; print(*(os.environ['CHECK_' + name] for name in ('STACK', 'RELEASE', 'SLOT', 'BACK_VERSION',"
        " 'BACK_IMAGE', 'BACK_ADDRESS')))"
    )
    assert said.detail == "exit code 0: pair r-1 green v2 team/pair-back:v2 http://back-green:8000"


def test_its_output_is_bounded_and_holds_neither_control_characters_nor_secrets() -> None:
    end = python(
        "print('first'); [print(i, 'x' * 200) for i in range(20_000)];"
        "print('\\x1b[31mred\\x07', 'password=hunter2', end='')"
    )
    assert end.passed
    assert "hunter2" not in end.detail
    assert "\x1b" not in end.detail
    assert end.detail.endswith("red  password=***")
    assert "first" not in end.detail
    assert len(end.detail) < LARGEST + 100
    assert end.detail.count(" / ") == LINES - 1


def test_nobody_waits_for_its_standard_input() -> None:
    assert python("import sys; print(repr(sys.stdin.read()))").detail == "exit code 0: ''"


def test_a_signal_is_told_by_its_name() -> None:
    assert python("import os; os.kill(os.getpid(), 9)").detail == "ended by SIGKILL"


CHILDREN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "time.sleep(600)"])
print(child.pid, flush=True)
{end}
"""


def pid_in(detail: str) -> int:
    return int(detail.rpartition(" ")[2])


def gone(pid: int) -> bool:
    """Whether the process has ended; one that nobody has waited for yet has."""
    limit = time.monotonic() + SOON
    while time.monotonic() < limit:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("end", ["time.sleep(600)", "sys.exit(0)"], ids=["killed", "ended by itself"])
def test_all_of_its_group_is_gone_with_it_deaf_children_as_well(end: str) -> None:
    result = python(CHILDREN.format(end=end), timeout=2 * LONG_ENOUGH)
    assert gone(pid_in(result.detail)), result
    assert result.passed is (end == "sys.exit(0)")


@pytest.mark.slow
def test_a_child_that_keeps_the_output_open_holds_nobody_up() -> None:
    text = (
        "import subprocess, sys; p = subprocess.Popen(['sleep', '600'], start_new_session=True);"
        "print(p.pid, flush=True)"
    )
    began = time.monotonic()
    result = python(text)
    pid = pid_in(result.detail)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    assert result.passed
    assert time.monotonic() - began < SOON


FOREIGN = """
import os, sys
from tests.contract.test_commands import CLOCK, after, errand, example_stack, ProcessCommands
commands = ProcessCommands(example_stack(), clock=CLOCK, environment=dict(os.environ))
wanted = errand("setpriv", "--reuid=65534", "--clear-groups", "sh", "-c", "echo $$; exec sleep 600", timeout=3)
print(commands.run(wanted, until=after(CLOCK.now(), 3)).detail)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="not run: only root can give up its rights"
)
def test_one_that_has_become_another_user_is_told_and_holds_nobody_up() -> None:
    """As with sudo: whoever releases may not kill it."""
    bare = ("setpriv", "--bounding-set=-kill", "--inh-caps=-kill", sys.executable, "-c", FOREIGN)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        bare, capture_output=True, text=True, timeout=60, check=False, env=environment, stdin=subprocess.DEVNULL
    )
    assert done.stdout.startswith("at its limit of 3 s, and may not be killed: it runs on: "), done
    os.kill(pid_in(done.stdout), signal.SIGKILL)


@pytest.mark.slow
def test_an_interrupt_ends_it_at_once() -> None:
    clock = SystemClock()
    began = time.monotonic()
    timer = threading.Timer(0.3, lambda: clock.interrupt("SIGINT"))
    timer.start()
    with pytest.raises(Interrupted):
        python("import time; time.sleep(600)", timeout=600.0, clock=clock)
    timer.join()
    assert time.monotonic() - began < SOON


def test_what_is_no_program_is_told(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    commands = ProcessCommands(example_stack(), clock=CLOCK, environment={})
    assert commands.examine(errand(str(text)).check) != ""
    end = commands.run(errand(str(text)), until=after(CLOCK.now(), 5.0))
    assert end == ErrandEnd(passed=False, detail=f"{text} cannot be run: Permission denied")
