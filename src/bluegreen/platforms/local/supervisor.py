"""Supervisord from outside: start it, ask it, let it start and stop programs. XML-RPC over its Unix socket.

Imports of XML-RPC and HTTP are made where they are used: a rollback needs none of them.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, cast

from bluegreen.domain.errors import NotStarted, PlatformError
from bluegreen.domain.stack import after
from bluegreen.domain.values import dataclass
from bluegreen.platforms.local import processes
from bluegreen.platforms.local.files import write_whole
from bluegreen.platforms.local.programs import clean_environment, program_conf, script_text, supervisor_conf

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from bluegreen.domain.stack import Instant, Seconds
    from bluegreen.platforms.local.layout import Layout
    from bluegreen.platforms.local.programs import Program
    from bluegreen.ports import Clock

_CALL_SECONDS = 5.0
ARRIVAL = 10.0
"""From a supervisord's start until it answers, on a machine that is very busy; 0.2 on one that is not."""
_TICK = 0.05
_AT_ONCE = False
"""Not to wait for the end of what is asked for: our waits have limits of their own."""
_GOING = frozenset({"STARTING", "RUNNING", "STOPPING"})

NOT_RUNNING, BAD_NAME, ALREADY_ADDED, ALREADY_STARTED = 70, 10, 90, 60
"""Supervisord's fault codes that say no more than that the work is done already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessInfo:
    """One program as supervisord sees it."""

    name: str
    state: str
    pid: int

    @property
    def going(self) -> bool:
        """Whether it has a process."""
        return self.state in _GOING


class Supervisor:
    """The supervisord of one state folder."""

    def __init__(self, layout: Layout, *, clock: Clock) -> None:
        """Nothing is asked before the first call."""
        self._layout = layout
        self._clock = clock

    def answering(self) -> bool:
        """Whether it lives and listens."""
        try:
            return bool(self._call("getState"))
        except NotStarted:
            return False

    def pid(self) -> int:
        """Its process. Raises NotStarted, PlatformError."""
        return cast("int", self._call("getPID"))

    def infos(self) -> dict[str, ProcessInfo]:
        """All programs by name. Raises NotStarted, PlatformError."""
        found = cast("list[dict[str, object]]", self._call("getAllProcessInfo"))
        infos = (
            ProcessInfo(name=str(item["name"]), state=str(item["statename"]), pid=cast("int", item["pid"]))
            for item in found
        )
        return {info.name: info for info in infos}

    def start(self, *, until: Instant) -> None:
        """Start supervisord, with everything that is configured. Raises PlatformError, DeadlineExceeded."""
        try:
            write_whole(self._layout.supervisor_conf, supervisor_conf(self._layout))
            with self._layout.supervisor_alive.open("w") as alive:
                fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)  # handed on: held for as long as supervisord lives
                self._launch(alive.fileno(), until=until)
        except (subprocess.SubprocessError, OSError) as error:
            raise _not_starting(self._layout, error) from error
        if not self.arrive(until=until):
            raise _silent(self._layout)

    def _launch(self, alive: int, *, until: Instant) -> None:
        subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", self._layout.supervisor_conf.name],
            cwd=self._layout.state,
            env=clean_environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=max(1.0, until - self._clock.now()),
            check=True,
            pass_fds=(alive,),
        )

    def arrive(self, *, until: Instant) -> bool:
        """Wait until the one that was started answers, and record it; False: it has ended.

        Raises PlatformError when it does neither.
        """
        while self.lives():
            if self.answering():
                processes.record(self._layout.pids / "supervisord", self.pid())
                return True
            if self._clock.now() >= until:
                raise _silent(self._layout)
            self._clock.wait(until=after(self._clock.now(), _TICK))
        return False

    def lives(self) -> bool:
        """Whether there is one, answering or not: as the kernel knows it, by the lock that was handed on to it."""
        try:
            with self._layout.supervisor_alive.open() as alive:
                fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def end_lost(self) -> bool:
        """End the one whose socket is gone, as a log-out that removes its folder leaves it; whether there was one.

        Nobody could ever reach it again. It is killed, so that what it keeps serves on.
        """
        process = processes.recorded(self._layout.pids / "supervisord")
        if process is None or self._layout.supervisor.exists():
            return False
        process.signal(signal.SIGKILL)
        processes.wait_gone([process], clock=self._clock, until=after(self._clock.now(), _CALL_SECONDS))
        return True

    def put(self, programs: Iterable[Program]) -> None:
        """Write what these programs are; a running supervisord is not told. Raises PlatformError."""
        try:
            for program in programs:
                write_whole(self._layout.scripts / f"{program.name}.sh", script_text(program), mode=0o700)
                write_whole(self._layout.conf / f"{program.name}.conf", program_conf(program))
        except OSError as error:
            raise PlatformError(
                f"the start scripts in {self._layout.scripts} cannot be written: {error.strerror}",
                mend="see the disk and the rights of the folder",
            ) from error

    def forget(self, names: Iterable[str]) -> None:
        """Remove what these programs were; a running supervisord is not told."""
        for name in names:
            for path in (self._layout.conf / f"{name}.conf", self._layout.scripts / f"{name}.sh"):
                path.unlink(missing_ok=True)

    def add(self, names: Sequence[str]) -> None:
        """Start programs that were put. Each begins with a fresh count of tries."""
        self._call("reloadConfig")
        for name in names:
            self._call("addProcessGroup", name, fine=ALREADY_ADDED)

    def ask_stop(self, names: Iterable[str]) -> None:
        """Let these programs be told to end; supervisord kills what outlives its grace."""
        for name in names:
            self._call("stopProcessGroup", name, _AT_ONCE, fine=BAD_NAME)

    def wait_stopped(self, names: Sequence[str], *, until: Instant) -> None:
        """Wait until none of them has a process. Raises PlatformError naming the ones that will not go."""
        while True:
            infos = self.infos()
            left = [name for name in names if name in infos and infos[name].going]
            if not left:
                return
            if self._clock.now() >= until:
                raise PlatformError(f"{', '.join(left)} did not end, not even by kill", mend=_see(self._layout))
            self._clock.wait(until=after(self._clock.now(), _TICK))

    def remove(self, names: Iterable[str]) -> None:
        """Let supervisord forget stopped programs."""
        for name in names:
            self._call("removeProcessGroup", name, fine=BAD_NAME)

    def shut_down(self) -> None:
        """Ask supervisord to end."""
        self._call("shutdown")

    def _call(self, method: str, *values: object, fine: int = 0) -> object:
        """One call. ``fine``: the fault that means that there was nothing to do."""
        import xmlrpc.client

        request = xmlrpc.client.dumps(cast("tuple[str, ...]", values), f"supervisor.{method}")
        answer = _post(self._layout.supervisor, request.encode(), timeout=_CALL_SECONDS)
        try:
            return xmlrpc.client.loads(answer)[0][0]
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == fine:
                return None
            raise PlatformError(
                f"supervisord refuses {method}: {fault.faultString}", mend=_see(self._layout)
            ) from fault


def _post(path: Path, body: bytes, *, timeout: Seconds) -> str:
    """POST to the Unix socket. Raises NotStarted when nobody listens, PlatformError when the answer is lost."""
    import http.client
    import socket

    connection = http.client.HTTPConnection("localhost", timeout=timeout)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.sock.settimeout(timeout)
        connection.sock.connect(str(path))
        connection.request("POST", "/RPC2", body=body, headers={"Content-Type": "text/xml"})
        return connection.getresponse().read().decode()
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NotStarted("supervisord does not run", mend="bluegreen up") from error
    except (OSError, http.client.HTTPException) as error:
        raise PlatformError(f"supervisord does not answer: {error}", mend="bluegreen up") from error
    finally:
        connection.close()


def _silent(layout: Layout) -> PlatformError:
    return PlatformError("supervisord was started but does not answer", mend=_see(layout))


def _not_starting(layout: Layout, error: Exception) -> PlatformError:
    words = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
    return PlatformError(f"supervisord does not start: {words[-1] if words else error}", mend=_see(layout))


def _see(layout: Layout) -> str:
    return f"its log is {layout.logs / 'supervisord.log'}"
