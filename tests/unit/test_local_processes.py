"""Processes that will not go, and those that we may not end."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bluegreen.domain.errors import PlatformError
from bluegreen.domain.stack import Instant
from bluegreen.platforms.local.processes import Process, end_all
from bluegreen.testing import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

SIGNALLER = """
import os, signal
from bluegreen.platforms.local.processes import Process, identity
stranger = os.getppid() if os.getuid() == 0 else 1
process = Process(pid=stranger, identity=identity(stranger))
if os.getuid() == 0:
    os.setresuid(65534, 65534, 65534)
process.signal(signal.SIGURG)  # which everybody ignores
print("alive" if process.alive() else "gone")
"""


class Immortal(Process):
    """As one that waits for a disk that does not answer."""

    def alive(self) -> bool:
        return True

    def signal(self, number: int, *, group: bool = False) -> None:
        """It is not heard."""


def test_what_will_not_go_is_named_after_the_kill_and_the_wait_ends() -> None:
    clock = FakeClock()
    with pytest.raises(PlatformError, match="process 4711 did not end, not even by kill") as refused:
        end_all([Immortal(pid=4711, identity="one")], clock=clock, until=Instant(20.0))
    assert 20 <= clock.now() <= 26
    assert refused.value.mend == "see whose it is: ps -fp 4711"


def test_another_users_process_is_left_alone_without_a_fault(tmp_path: Path) -> None:
    """A program may become another user's by sudo, and the agent must outlive the try to end it."""
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLER],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
        cwd=tmp_path,
        timeout=20,
    )
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
