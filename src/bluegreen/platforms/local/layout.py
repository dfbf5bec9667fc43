"""Where everything of one stack lies: the state folder, and the short folder for its sockets.

The state folder (``--state``) is the truth that survives a reboot. Sockets lie apart, because the path of a Unix socket
may hold about a hundred bytes only; that folder is made again when a reboot has emptied it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bluegreen.domain.errors import PlatformError, UsageError

_PRIVATE = 0o700


class Layout:
    """Paths of one state folder. Making one touches nothing but the record of where the sockets are."""

    def __init__(self, state: Path) -> None:
        """``state``: the folder given by ``--state``; it need not exist."""
        self.state = state.absolute()
        self.database = self.state / "state.db"
        self.lock = self.state / "lock"
        self.fence = self.state / "fence"
        self.envoy = self.state / "envoy"
        self.logs = self.state / "logs"
        self.conf = self.state / "conf.d"
        self.scripts = self.state / "programs"
        self.pids = self.state / "pids"
        self.supervisor_conf = self.state / "supervisord.conf"
        self.tally = self.state / "agent.json"
        self.runtime = self._runtime()

    @property
    def admin(self) -> Path:
        """Envoy's admin API."""
        return self.runtime / "envoy.sock"

    @property
    def supervisor(self) -> Path:
        """Supervisord's XML-RPC."""
        return self.runtime / "supervisor.sock"

    @property
    def agent(self) -> Path:
        """The agent's stream of states."""
        return self.runtime / "agent.sock"

    def log(self, program: str) -> Path:
        """A program's log."""
        return self.logs / f"{program}.log"

    def _runtime(self) -> Path:
        """As it was recorded by ``up``: another shell, or cron, may have another XDG_RUNTIME_DIR, or none."""
        try:
            recorded = (self.state / "sockets").read_text().strip()
        except OSError:
            recorded = ""
        return Path(recorded) if recorded else self._choose_runtime()

    def _choose_runtime(self) -> Path:
        from hashlib import sha256

        base = os.environ.get("XDG_RUNTIME_DIR") or "/tmp"  # noqa: S108 - its owner and mode are checked below
        short = sha256(os.fsencode(self.state.resolve())).hexdigest()[:12]
        return Path(base) / f"bluegreen-{os.getuid()}-{short}"

    def prepare(self) -> None:
        """Make the folders. Raises UsageError for a folder with somebody else's files, PlatformError for no right."""
        self._refuse_strangers()
        try:
            for folder in (self.state, self.logs, self.conf, self.scripts, self.pids, self.envoy):
                folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            self._prepare_runtime()
            (self.state / "sockets").write_text(f"{self.runtime}\n")
        except OSError as error:
            raise PlatformError(
                f"the state folder cannot be made: {error.filename}: {error.strerror}",
                mend="give a folder that you may write to by --state",
            ) from error

    def _refuse_strangers(self) -> None:
        """Without its database a folder is nobody's, or half of one: what runs there could not be known."""
        if not self.state.exists() or self.database.exists():
            return
        if not self.state.is_dir():
            raise UsageError(f"{self.state} is not a folder", mend="give another one by --state")
        strangers = sorted(entry.name for entry in self.state.iterdir() if _holds_something(entry))
        if strangers:
            raise UsageError(
                f"{self.state} is no state folder, or half of one: no state.db, but {', '.join(strangers[:3])}",
                mend="give another folder by --state; if it is yours: bluegreen down --purge",
            )

    def _prepare_runtime(self) -> None:
        """A folder in /tmp may have been laid there by somebody else: only our own private one is used."""
        if not self.runtime.exists() and not self.runtime.parent.is_dir():
            self.runtime = self._choose_runtime()
        self.runtime.mkdir(mode=_PRIVATE, exist_ok=True)
        found = self.runtime.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise PlatformError(
                f"{self.runtime} belongs to somebody else",
                mend="remove it, or set XDG_RUNTIME_DIR to a folder of your own",
            )
        self.runtime.chmod(_PRIVATE)


def _holds_something(entry: Path) -> bool:
    """Whether it is more than what a start leaves that was killed before it made the database."""
    if entry.is_dir():
        return any(entry.iterdir())
    return entry.name not in {"lock", "lock.rollback", "fence", "sockets"}


def program_name(service: str, slot: str, number: int) -> str:
    """The name of one replica's program, log and pid file."""
    return f"{service}-{slot}-{number}"
