"""The launcher: ``python -m bluegreen.platforms.local.envoy_run STATE`` becomes Envoy, keeping its process id.

It decides the restart epoch. When the Envoy before still lives, the new one takes over its listening sockets, no
request is lost, and the old one ends after its drain; else the new one starts afresh from the same files. Which Envoy
that was is kept in ``STATE/envoy/running.json``, by process id and start time, because ids are given again. Nothing is
kept running by it: that is supervisord's part.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bluegreen.domain.errors import BluegreenError, NotStarted, PlatformError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.stack import Seconds

_WORKERS = 4
"""At most; each has its own connections to every replica."""
_BASE_ID_WAIT: Seconds = 5.0
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Envoy puts it; only on Linux


@dataclass(frozen=True, slots=True, kw_only=True)
class Born:
    """An Envoy that was started: ``started`` is opaque and, with the id, belongs to no other process ever."""

    pid: int
    started: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """How long the Envoy before may go on after a new one has taken over."""

    drain: Seconds = 20.0
    """Until its kept-alive connections have been closed, each after an answer."""
    end: Seconds = 75.0
    """Until it ends, whatever is still open: WebSockets, too. Longer than the 60 s that a pod gets to end."""


def started(pid: int) -> str | None:
    """When the process started, as an opaque text that another process of the same id will not have; None: it is gone."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.parent.parent.joinpath("self").exists():
        return _started_by_ps(pid)
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[0] in "ZX":
        return None  # dead, only not yet collected by its parent
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{fields[19]}"


def _started_by_ps(pid: int) -> str | None:
    """The same where there is no /proc (macOS)."""
    told = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return told.stdout.strip() or None


def living(state: Path) -> Born | None:
    """The Envoy that was started last from this state folder, if it still lives."""
    try:
        born = Born(**json.loads((state / "envoy" / "running.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None  # never started, or killed while it said so: then nothing of it runs that could be handed over
    return born if started(born.pid) == born.started else None


def command(state: Path, *, handover: Handover) -> list[str]:
    """The command line to become, and the record that says so already written.

    Raises NotStarted when Envoy is not installed or the stack was never prepared, PlatformError when the Envoy before
    lives but cannot be taken over.
    """
    bootstrap = state / "envoy" / "bootstrap.json"
    if not bootstrap.exists():
        raise NotStarted(f"{bootstrap} does not exist", mend="start the stack with `bluegreen up`")
    before = living(state)
    line = [_program(), "--config-path", str(bootstrap), "--log-level", "warning", *_times(handover)]
    line += ["--concurrency", str(min(_WORKERS, os.cpu_count() or 1)), *_epoch(state, before)]
    _record(state, epoch=0 if before is None else before.epoch + 1)
    return line


def _times(handover: Handover) -> list[str]:
    return ["--drain-time-s", f"{handover.drain:.0f}", "--parent-shutdown-time-s", f"{handover.end:.0f}"]


def _epoch(state: Path, before: Born | None) -> list[str]:
    base = state / "envoy" / "base-id"
    if before is not None:
        return ["--base-id", _base_id(base), "--restart-epoch", str(before.epoch + 1)]
    clean_up(state)
    return ["--use-dynamic-base-id", "--base-id-path", str(base)]


def _base_id(path: Path) -> str:
    """What the Envoy before chose at its start; when that is only just under way, it is waited for."""
    until = time.monotonic() + _BASE_ID_WAIT
    while time.monotonic() < until:
        if path.exists() and (text := path.read_text().strip()):
            return text
        time.sleep(0.01)
    raise PlatformError(
        f"{path} was not written by the Envoy that runs", mend="end it with `bluegreen down`, then `up`"
    )


def _record(state: Path, *, epoch: int) -> None:
    """This process, under the name of what it is about to become: ``exec`` keeps the id and the start time."""
    born = Born(pid=os.getpid(), started=started(os.getpid()) or "", epoch=epoch)
    fresh = state / "envoy" / f".running.{born.pid}"
    fresh.write_text(json.dumps(asdict(born)) + "\n")
    fresh.replace(state / "envoy" / "running.json")


def _program() -> str:
    """Envoy from the wheel, which puts it beside the interpreter, else from the PATH."""
    beside = Path(sys.executable).parent / "envoy"
    if os.access(beside, os.X_OK):
        return str(beside)
    found = shutil.which("envoy")
    if found is None:
        raise NotStarted("the program envoy is not installed", mend="install it with `pip install 'bluegreen[local]'`")
    return found


def clean_up(state: Path) -> None:
    """Remove what an Envoy that is gone left in shared memory. Does nothing while one of this folder lives."""
    if living(state) is not None:
        return
    base = state / "envoy" / "base-id"
    with_digits = base.read_text().strip() if base.exists() else ""
    if with_digits.isdigit():
        # Envoy names it by ten times its base id, so that its epochs have room between two of them.
        (_SHARED_MEMORY / f"envoy_shared_memory_{int(with_digits) * 10}").unlink(missing_ok=True)
    base.unlink(missing_ok=True)


def main(arguments: Sequence[str]) -> NoReturn:
    """Become Envoy. An error is one line for supervisord's log."""
    parser = argparse.ArgumentParser(prog="envoy_run", description="Start Envoy, or hand over from the one that runs.")
    parser.add_argument("state", type=Path, help="the state folder")
    parser.add_argument("--drain", type=float, default=Handover().drain, help="seconds; see Handover.drain")
    parser.add_argument("--end", type=float, default=Handover().end, help="seconds; see Handover.end")
    asked = parser.parse_args(arguments)
    try:
        line = command(asked.state, handover=Handover(drain=asked.drain, end=asked.end))
    except BluegreenError as error:
        sys.exit(f"envoy_run: {error}; {error.mend}")
    os.execv(line[0], line)  # noqa: S606 - becoming the program is the point


if __name__ == "__main__":
    main(sys.argv[1:])
