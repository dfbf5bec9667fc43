"""Sends a notice to every URL at once, and never longer than it may.

Each URL has a process of its own (``child``): a service that never answers is killed with it, what the library leaves
behind ends with it, and nothing of it is imported here. The processes get the URLs by their standard input, so they are
in no list of processes.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from bluegreen.domain.notice import Occasion
from bluegreen.notify import child
from bluegreen.notify.address import shown
from bluegreen.ports import Delivery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bluegreen.domain.notice import Notice
    from bluegreen.domain.stack import Instant
    from bluegreen.ports import Clock

LIBRARY: Final = "apprise"

_KINDS: Final = {
    Occasion.RELEASE: "success",
    Occasion.FAILURE: "failure",
    Occasion.ROLLBACK: "warning",
    Occasion.HELD: "failure",
}
"""As the library names them; services draw them by colour."""

_WHY: Final = {
    child.NOT_TAKEN: "it was not taken: no answer, or a refusal",
    child.UNKNOWN: "no service has such a URL",
}


_LOOK: Final = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({LIBRARY!r}) is None)"
_LOOK_LIMIT: Final = 10.0


def available(environment: Mapping[str, str]) -> bool:
    """Whether the processes that send will find the library. It is looked for and not imported.

    The deployment script runs us without its Python's own packages, and those processes have them: there, one of them
    looks. ``environment``: as AppriseNotifier gets it.
    """
    if importlib.util.find_spec(LIBRARY) is not None:
        return True
    return bool(sys.flags.no_site) and _found_by_a_process(environment)


def _found_by_a_process(environment: Mapping[str, str]) -> bool:
    words = [sys.executable, "-P", "-c", _LOOK]
    try:
        found = subprocess.run(words, env=environment, capture_output=True, check=False, timeout=_LOOK_LIMIT)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return found.returncode == 0


def install() -> str:
    """The command that installs it for this Python."""
    return f"{sys.executable} -m pip install {LIBRARY}"


class AppriseNotifier:
    """ports.Notifier over apprise."""

    def __init__(self, urls: Sequence[str], *, clock: Clock, environment: Mapping[str, str]) -> None:
        """``environment``: what the processes get, without secrets of ours."""
        self._urls = tuple(dict.fromkeys(urls))
        self._clock = clock
        self._environment = environment

    def send(self, notice: Notice, *, until: Instant) -> Sequence[Delivery]:
        """As in ports.Notifier."""
        begun = [(url, self._begin(url, notice)) for url in self._urls]
        self._wait([process for _, process in begun if process is not None], until=until)
        return [Delivery(to=shown(url), why=_end(process)) for url, process in begun]

    def _wait(self, processes: Sequence[subprocess.Popen[str]], *, until: Instant) -> None:
        """Until all have ended, or it is late."""
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - self._clock.now()))

    def _begin(self, url: str, notice: Notice) -> subprocess.Popen[str] | None:
        """None: no process can be started."""
        wanted = {"url": url, "title": notice.title, "text": notice.text, "kind": _KINDS[notice.occasion]}
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", child.__name__],
                env={**self._environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
        except OSError:
            return None
        assert process.stdin is not None  # noqa: S101 - it was asked for
        with suppress(OSError), process.stdin:
            process.stdin.write(json.dumps(wanted))
        process.stdin = None
        return process


def _end(process: subprocess.Popen[str] | None) -> str:
    """End it, if it has not ended. Why nothing was sent; empty: it was."""
    if process is None:
        return "no process could be started for it"
    late = process.poll() is None
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with process:
        said = process.stdout.read() if process.stdout is not None else ""
    if said == child.SENT:
        return ""
    if said == child.MISSING:
        return f"{LIBRARY} is not installed: {install()}"
    return "no answer within its limit" if late else _WHY.get(said, "its process failed")
