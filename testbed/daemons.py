"""The long-running programs of the cluster: starting them, finding them again, the end of their logs."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.cgroups import Groups
from testbed.errors import TestbedError
from testbed.processes import called, send, start_time, state, wait_for
from testbed.spaces import Space, start

LOG_LINES = 6
# Environment that a server must not inherit: it would look for another cluster, or for a way out.
_LEFT_OUT = ("KUBECONFIG", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy")


@dataclass(frozen=True, slots=True)
class Daemon:
    """A program just started in a space."""

    name: str
    space: str
    pid: int
    log: Path

    def check(self) -> None:
        """Raises TestbedError with the log's last lines when the program has ended."""
        if start_time(self.pid) is None:
            raise TestbedError(f"{self.space}: {self.name} ended at once; the last lines of its log:\n{tail(self.log)}")


@dataclass(frozen=True, slots=True)
class Launcher:
    """Starts daemons in spaces of one cluster, all with the same environment."""

    groups: Groups
    logs: Path
    env: Mapping[str, str]

    def start(self, space: Space, name: str, command: Sequence[str | Path]) -> Daemon:
        log = self.logs / f"{space.name}.{name}.log"
        env = {key: value for key, value in self.env.items() if key not in _LEFT_OUT}
        pid = start(space.inside(command), name=space.name, groups=self.groups, log=log, env=env)
        return Daemon(name=name, space=space.name, pid=pid, log=log)


def find(groups: Groups, *, space: str, program: str) -> list[int]:
    """The processes of a space that were started under this name."""
    return [pid for pid in groups.pids(space, "sys") if Path(called(pid)).name == program]


def freeze(pids: Sequence[int]) -> None:
    """Stop without ending: connections stay open and unanswered, as on a machine that hangs. Waits until it is so."""
    send(signal.SIGSTOP, pids)
    wait_for(lambda: {state(pid) for pid in pids} <= {"T", ""}, what="processes to stop", limit=30, pause=0.002)


def thaw(pids: Sequence[int]) -> None:
    """Let them go on where they stopped."""
    send(signal.SIGCONT, pids)


def tail(log: Path, lines: int = LOG_LINES) -> str:
    """The end of a log, indented."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return "  (no log)"
    return "\n".join(f"  {line[:300]}" for line in text.strip().splitlines()[-lines:]) or "  (empty)"
