"""Ports on the loopback: which are free, and who holds one that is not."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from bluegreen.domain.errors import PlatformError

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "127.0.0.1"
_RANGE = range(20_000, 32_000)
"""Below the ports that systems give to outgoing connections, so that none of those can take a replica's port."""
_LISTENING = "0A"


def bindable(port: int) -> bool:
    """Whether a program could listen there now."""
    return not _refusal(port)


def obstacle(port: int) -> str:
    """Why none can, as the end of a sentence about the port; empty: one can."""
    match _refusal(port):
        case 0:
            return ""
        case errno.EACCES:
            return "is for root alone on this machine"
        case _:
            return f"is taken by {holder(port) or 'another program'}"


def _refusal(port: int) -> int:
    """The system's number for what speaks against it; 0: nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL}:
                return error.errno
            raise
    return 0


class Ports:
    """Chooses free ports, none of them twice and none that is spoken for."""

    def __init__(self, spoken_for: set[int]) -> None:
        """``spoken_for``: ports that programs will want, whether or not they listen now."""
        self._taken = set(spoken_for)

    def claim(self, port: int) -> bool:
        """Take this very port, if it is free."""
        if port in self._taken or not bindable(port):
            return False
        self._taken.add(port)
        return True

    def choose(self) -> int:
        """Take any free port. Raises PlatformError when there is none."""
        start = int.from_bytes(os.urandom(2), "big") % len(_RANGE)
        for step in range(len(_RANGE)):
            port = _RANGE[(start + step) % len(_RANGE)]
            if self.claim(port):
                return port
        raise PlatformError("no port is free", mend="end programs that listen on the loopback")


def holder(port: int) -> str:
    """Who listens there, as far as the system tells us: ``nginx (pid 4711)``; empty: it does not tell."""
    inodes = {inode for table in ("tcp", "tcp6") for inode in _listening(Path(f"/proc/net/{table}"), port)}
    if not inodes:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        if _holds(process, inodes):
            return f"{_command(process)} (pid {process.name})"
    return ""


def _listening(table: Path, port: int) -> Iterator[str]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
            yield f"socket:[{fields[9]}]"


def _holds(process: Path, inodes: set[str]) -> bool:
    try:
        return any(_target(handle) in inodes for handle in (process / "fd").iterdir())
    except OSError:
        return False  # it is another user's, or it is gone


def _target(handle: Path) -> str:
    try:
        return str(handle.readlink())
    except OSError:
        return ""


def _command(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return "a program"
    return " ".join(word.decode(errors="replace") for word in words[:3] if word)[:80] or "a program"
