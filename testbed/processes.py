"""Running programs and looking at processes, by what the kernel says in /proc.

A process is known by its id and start time together, because ids are given out again.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from testbed.errors import TestbedError

PROC = Path("/proc")
T = TypeVar("T")


def run(
    command: Iterable[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    limit: float = 120,
) -> str:
    """Standard output of a command. Raises TestbedError with the end of its error output; `limit` is in seconds."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, env=env, cwd=cwd, input=stdin, capture_output=True, text=True, timeout=limit, check=False
        )
    except FileNotFoundError as error:
        raise TestbedError(f"{words[0]}: no such program; install it") from error
    except subprocess.TimeoutExpired as error:
        raise TestbedError(f"{Path(words[0]).name}: no end after {limit:.0f} s") from error
    if done.returncode != 0:
        complaint = " / ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise TestbedError(f"{Path(words[0]).name}: exit {done.returncode}: {complaint}")
    return done.stdout


def start_time(pid: int) -> int | None:
    """Clock ticks from boot to the start of the process; None when there is none, or only its zombie."""
    fields = _stat(pid)
    if not fields or fields[0] == "Z":
        return None
    return int(fields[19])


def state(pid: int) -> str:
    """The letter for what the process does: R runs, S sleeps, T is stopped, Z is dead; empty when there is none."""
    return next(iter(_stat(pid)), "")


def argv(pid: int) -> list[str]:
    """The command line; empty for a zombie, a kernel thread or no process."""
    try:
        raw = (PROC / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return raw.decode(errors="replace").rstrip("\0").split("\0")


def called(pid: int) -> str:
    """The name under which the process was started; empty for a zombie, a kernel thread or no process."""
    return next(iter(argv(pid)), "")


def all_pids() -> Iterator[int]:
    """Every process there is now, zombies too."""
    return (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())


def first_child(pid: int, *, limit: float = 30) -> int:
    """The process that `pid` forks, waited for."""
    children = PROC / str(pid) / "task" / str(pid) / "children"

    def look() -> int | None:
        try:
            ids = children.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return next(iter(map(int, ids)), None)

    return wait_for(look, what=f"a child of process {pid}", limit=limit, pause=0.002)


def send(signum: signal.Signals, pids: Sequence[int]) -> None:
    """Signal each process that is still there."""
    for pid in pids:
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            continue


def wait_for(look: Callable[[], T | None], *, what: str, limit: float, pause: float = 0.05) -> T:
    """The first result that is not None or False. Raises TestbedError that names `what` after `limit` seconds."""
    end = time.monotonic() + limit
    while True:
        found = look()
        if found is not None and found is not False:
            return found
        if time.monotonic() >= end:
            raise TestbedError(f"waited {limit:.0f} s for {what}")
        time.sleep(pause)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command name, which may itself hold spaces and brackets."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(") ")[2].split()
