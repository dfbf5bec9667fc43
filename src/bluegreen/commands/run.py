"""A command check as a process: bounded in time and in output, told of the release, and left nothing behind.

It is started without a shell, in a process group of its own, with nothing on its standard input. At its limit, or when
the release is interrupted, the whole group is asked to end and then killed; what is left of the group after its own end
is killed as well. A program that leaves the group on purpose is not followed, and one that has become another user (by
sudo, for one) may not be killed by us: it is not waited for, and told.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from bluegreen.domain.excerpt import LARGEST, excerpt
from bluegreen.domain.stack import after
from bluegreen.ports import ErrandEnd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bluegreen.domain.stack import CommandCheck, Instant, Seconds, Slot, Stack
    from bluegreen.ports import Clock, Errand

PREFIX: Final = "CHECK"
"""Of the variables that tell a command of the release."""

LINES: Final = 5
"""Of the output's end, for the screen."""

_GLANCE: Seconds = 0.02
"""How late its end, or an interrupt, may be noticed."""
_GRACE: Seconds = 1.0
"""From the request to end until the kill."""
_KEPT: Final = 16 * LARGEST
"""Bytes of output that are kept while it runs: the last ones."""
_CHUNK: Final = 64 * 1024


class ProcessCommands:
    """ports.Commands by processes of this machine."""

    def __init__(
        self,
        stack: Stack,
        *,
        clock: Clock,
        environment: Mapping[str, str],
        addresses: Sequence[tuple[str, Slot, str]] = (),
    ) -> None:
        """``environment``: what a command gets besides its own variables. ``addresses``: a service's own in a slot."""
        self._stack = stack
        self._clock = clock
        self._environment = environment
        self._addresses = {(service, slot): address for service, slot, address in addresses}

    def examine(self, check: CommandCheck) -> str:
        """As in ports.Commands."""
        program = check.command[0]
        if shutil.which(program, path=self._environment.get("PATH", os.defpath)):
            return ""
        return f"there is no program {program} here that may be run"

    def run(self, errand: Errand, *, until: Instant) -> ErrandEnd:
        """As in ports.Commands."""
        try:
            process = subprocess.Popen(
                errand.check.command,
                env={**self._environment, **self.variables(errand)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            return ErrandEnd(passed=False, detail=f"{errand.check.command[0]} cannot be run: {why}")
        output = _Output(process)
        try:
            late = self._wait(process, until=until)
        finally:
            _end_group(process)
            lines = output.lines()
        return _end(process, lines, late=late, limit=errand.check.timeout)

    def variables(self, errand: Errand) -> dict[str, str]:
        """What a command is told: the stack, the release, the slot, and of each service version, image and address."""
        told = {"STACK": self._stack.name, "RELEASE": errand.release, "SLOT": str(errand.slot)}
        for spec in errand.workloads:
            short = self._stack.short(spec.service).upper().replace("-", "_")
            told[f"{short}_VERSION"] = spec.image.version
            told[f"{short}_IMAGE"] = str(spec.image)
            told[f"{short}_ADDRESS"] = self._addresses.get((spec.service, errand.slot), "")
        return {f"{PREFIX}_{name}": value for name, value in told.items()}

    def _wait(self, process: subprocess.Popen[bytes], *, until: Instant) -> bool:
        """Until it has ended by itself, or is late: whether it is. Raises Interrupted."""
        while process.poll() is None:
            now = self._clock.now()
            if now >= until:
                return True
            self._clock.wait(until=min(until, after(now, _GLANCE)))
        return False


class _Output:
    """The end of what a process writes, read in a thread so that it never waits for us."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Begin to read."""
        self._process = process
        self._kept = b""
        self._thread = threading.Thread(target=self._read, name="command output", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None  # noqa: S101 - it was asked for
        with stream, suppress(OSError):
            while chunk := os.read(stream.fileno(), _CHUNK):
                self._kept = (self._kept + chunk)[-_KEPT:]

    def lines(self) -> tuple[str, ...]:
        """The last lines, fit to be shown. Its group has ended; who left the group may hold the output open."""
        self._thread.join(_GRACE)
        return excerpt(self._kept.decode(errors="replace"), lines=LINES)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ask what is left of the group to end, then kill it."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    _signal(process, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):  # another user's, which we may not kill
        process.wait(_GRACE)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody is left in it
        os.killpg(process.pid, number)


def _end(process: subprocess.Popen[bytes], lines: tuple[str, ...], *, late: bool, limit: Seconds) -> ErrandEnd:
    said = f": {' / '.join(lines)}" if lines else ""
    if process.returncode is None:
        return ErrandEnd(passed=False, detail=f"at its limit of {limit:g} s, and may not be killed: it runs on{said}")
    if late:
        return ErrandEnd(passed=False, detail=f"killed at its limit of {limit:g} s{said}")
    code = process.returncode
    if code < 0:
        return ErrandEnd(passed=False, detail=f"ended by {_name(-code)}{said}")
    return ErrandEnd(passed=code == 0, detail=f"exit code {code}{said}")


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
