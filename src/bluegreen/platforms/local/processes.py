"""Processes by pid and start: what is ended by pid must still be the process that was recorded.

A pid is used again after its process is gone. Together with the instant at which the process started (and, on Linux,
the boot that it started in) it names one process for ever.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from bluegreen.domain.errors import PlatformError
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from bluegreen.domain.stack import Instant, Seconds
    from bluegreen.ports import Clock

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_TICK = 0.05
_KILL_LIMIT: Seconds = 5.0
_GONE = frozenset({"Z", "X", "x"})

IDENTITY_SCRIPT = (
    "read -r boot </proc/sys/kernel/random/boot_id; echo \"$boot $(cut -d' ' -f22 /proc/$$/stat)\""
    if _BOOT.exists()
    else "ps -o lstart= -p $$"
)
"""Shell that prints what ``identity`` says of the shell itself; a program started by exec stays the same process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process for ever."""

    pid: int
    identity: str

    def alive(self) -> bool:
        """Whether it still runs; one that has ended and was not waited for does not."""
        return identity(self.pid) == self.identity

    def signal(self, number: int, *, group: bool = False) -> None:
        """Send a signal; nothing happens when it is gone, or has become another user's, as by sudo.

        ``group``: to its whole process group, which it leads.
        """
        if not self.alive():
            return
        send = os.killpg if group else os.kill
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send(self.pid, number)


def identity(pid: int) -> str:
    """When the process started, in the system's own words; empty: there is no such process."""
    if _BOOT.exists():
        return _linux_identity(pid)
    return _other_identity(pid)


def _linux_identity(pid: int) -> str:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = status.rpartition(")")[2].split()  # the name in brackets may hold anything
    threads_left = int(fields[17])
    if fields[0] in _GONE and threads_left <= 1:
        return ""  # as long as another of its threads ends, its sockets are open
    return f"{_BOOT.read_text().strip()} {fields[19]}"


def _other_identity(pid: int) -> str:
    import subprocess

    found = subprocess.run(
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=5
    )
    return " ".join(found.stdout.split())


def recorded(path: Path) -> Process | None:
    """The process of a pid file (``pid`` and, on the next line, its identity) if it still lives; None otherwise."""
    try:
        first, _, rest = path.read_text().partition("\n")
        process = Process(pid=int(first), identity=" ".join(rest.split()))
    except (OSError, ValueError):
        return None
    return process if process.identity and process.alive() else None


def record(path: Path, pid: int) -> None:
    """Write a pid file that ``recorded`` can read."""
    from bluegreen.platforms.local.files import write_whole

    write_whole(path, f"{pid}\n{identity(pid)}\n")


def end_all(processes: list[Process], *, clock: Clock, until: Instant) -> None:
    """Ask all of them to end, and kill what still lives at ``until``. Returns when they are gone.

    A wait that is interrupted leaves them asked to end. Raises PlatformError for those that will not go.
    """
    from bluegreen.domain.stack import after

    for process in processes:
        process.signal(signal.SIGTERM, group=True)
    left = wait_gone(processes, clock=clock, until=until)
    for process in left:
        process.signal(signal.SIGKILL, group=True)
    left = wait_gone(left, clock=clock, until=after(clock.now(), _KILL_LIMIT))
    if left:
        pids = ",".join(str(process.pid) for process in left)
        raise PlatformError(f"process {pids} did not end, not even by kill", mend=f"see whose it is: ps -fp {pids}")


def wait_gone(processes: list[Process], *, clock: Clock, until: Instant) -> list[Process]:
    """Wait until they have ended; the ones that have not at ``until``."""
    from bluegreen.domain.stack import Instant

    left = [process for process in processes if process.alive()]
    while left and clock.now() < until:
        clock.wait(until=Instant(min(until, clock.now() + _TICK)))
        left = [process for process in left if process.alive()]
    return left
