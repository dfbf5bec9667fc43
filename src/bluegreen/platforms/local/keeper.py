"""Supervisord's own log as events: it alone tells how a process ended. Pure.

XML-RPC does not: for a process that ended within its settling time it gives no exit status, and its event protocol
carries none either. The lines read here have been the same since supervisor 3.
"""

from __future__ import annotations

import re
import signal

from bluegreen.domain.values import dataclass

_SPAWNED = re.compile(r"spawned: '(?P<name>[^']+)' with pid (?P<pid>\d+)")
_ENDED = re.compile(r"(?:exited|stopped): (?P<name>\S+) \((?P<how>[^);]*)")
_STATUS = re.compile(r"exit status (\d+)")
_SIGNAL = re.compile(r"terminated by (SIG\w+)")
_SIGNAL_BASE = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Spawned:
    """A process was started."""

    name: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A process ended; ``exit_code`` as shells tell it: 128 and the signal's number."""

    name: str
    exit_code: int
    how: str


def event_from(line: str) -> Spawned | Ended | None:
    """The event that the line tells; None: it tells something else."""
    if found := _SPAWNED.search(line):
        return Spawned(name=found["name"], pid=int(found["pid"]))
    if found := _ENDED.search(line):
        return Ended(name=found["name"], exit_code=_exit_code(found["how"]), how=found["how"])
    return None


def _exit_code(how: str) -> int:
    if found := _STATUS.search(how):
        return int(found[1])
    if found := _SIGNAL.search(how):
        return _SIGNAL_BASE + _number(found[1])
    return -1


def _number(name: str) -> int:
    try:
        return signal.Signals[name].value
    except KeyError:
        return 0
