"""A supervisord that nobody can reach any more. Its part is played by a program that only waits."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.unit.layout_kit import layout_in

from bluegreen.clock import SystemClock
from bluegreen.platforms.local import processes
from bluegreen.platforms.local.layout import Layout
from bluegreen.platforms.local.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLOCK = SystemClock()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return layout_in(tmp_path)


@pytest.fixture
def keeper(layout: Layout) -> Iterator[subprocess.Popen[bytes]]:
    """It holds the lock, and is on record as one that has answered."""
    waiting = "import fcntl, sys; fcntl.flock(file := open(sys.argv[1], 'w'), fcntl.LOCK_EX); print(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", waiting, str(layout.supervisor_alive)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        processes.record(layout.pids / "supervisord", process.pid)
        yield process
        process.kill()


def test_one_whose_socket_is_gone_is_ended(layout: Layout, keeper: subprocess.Popen[bytes]) -> None:
    supervisor = Supervisor(layout, clock=CLOCK)
    assert supervisor.lives()
    assert not supervisor.answering()

    assert supervisor.end_lost()

    assert not supervisor.lives()
    assert keeper.wait(5) == -9
    assert not supervisor.end_lost()


def test_one_that_has_its_socket_is_left_alone_however_silent(layout: Layout, keeper: subprocess.Popen[bytes]) -> None:
    layout.supervisor.touch()
    supervisor = Supervisor(layout, clock=CLOCK)
    assert not supervisor.end_lost()
    assert supervisor.lives()


def test_one_that_is_still_starting_is_left_alone(layout: Layout, keeper: subprocess.Popen[bytes]) -> None:
    """It has no socket yet, and nobody has recorded it."""
    (layout.pids / "supervisord").unlink()
    supervisor = Supervisor(layout, clock=CLOCK)
    assert not supervisor.end_lost()
    assert supervisor.lives()


def test_a_pid_that_is_somebody_elses_by_now_is_left_alone(layout: Layout, keeper: subprocess.Popen[bytes]) -> None:
    (layout.pids / "supervisord").write_text(f"{keeper.pid}\nof-another-boot 4711\n")
    assert not Supervisor(layout, clock=CLOCK).end_lost()
    assert keeper.poll() is None
