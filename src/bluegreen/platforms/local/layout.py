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
_FOLDERS = ("logs", "conf.d", "programs", "pids", "envoy")
_FILES = (
    *("state.db", "state.db-wal", "state.db-shm", "state.db-journal"),
    *("lock", "lock.rollback", "fence", "routes.lock", "sockets", "agent.json", "reserve"),
    *("supervisord.conf", "supervisord.alive"),
)
_MARKS = ("state.db", "sockets", "lock.rollback")
"""What every start leaves, and hardly anybody else."""
_BESIDE = (".writable.", ".agent.json.", ".supervisord.conf.", ".sockets.")
"""How files begin that are written beside another one, and that a kill may leave."""
_RUNTIME = "bluegreen-"
_TEMPORARY = Path("/tmp")  # noqa: S108 - the owner and the mode of our folder in it are checked
_LOGINS = Path("/run/user")
"""Its folders are removed when their user has logged out, and a stack serves on then."""
_LONGEST_BASE = 45
"""Bytes, so that the longest path of a socket, supervisord's with its pid while it is made, fits into 104."""


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
        self.supervisor_alive = self.state / "supervisord.alive"
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
        """As it was recorded by ``up``: another shell, or cron, may have another XDG_RUNTIME_DIR, or none.

        A record that is cut or not ours counts for nothing: ``down`` removes the folder that is named here.
        """
        try:
            recorded = Path(self._sockets.read_text(errors="replace").strip())
        except OSError:
            return self._choose_runtime()
        if recorded.is_absolute() and recorded.name.startswith(_RUNTIME):
            return recorded
        return self._choose_runtime()

    @property
    def _sockets(self) -> Path:
        return self.state / "sockets"

    def _choose_runtime(self) -> Path:
        from hashlib import sha256

        short = sha256(os.fsencode(self.state.resolve())).hexdigest()[:12]
        return _base() / f"{_RUNTIME}{os.getuid()}-{short}"

    def prepare(self) -> None:
        """Make the folders. Raises UsageError for a folder with somebody else's files, PlatformError for no right."""
        self.refuse_strangers()
        try:
            for folder in (self.state, *(self.state / name for name in _FOLDERS)):
                folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            self._prepare_runtime()
            self._record_runtime()
        except OSError as error:
            raise PlatformError(
                f"the state folder cannot be made: {error.filename or self.state}: {error.strerror}",
                mend="make room, or give a folder that you may write to by --state",
            ) from error

    def _record_runtime(self) -> None:
        from bluegreen.platforms.local.files import read_or_empty, write_whole

        if read_or_empty(self._sockets).strip() != str(self.runtime):
            write_whole(self._sockets, f"{self.runtime}\n")

    def refuse_closed(self) -> None:
        """Raise PlatformError for a folder that another account has closed, as it is after a start with sudo."""
        if self.state.is_dir() and not os.access(self.state, os.R_OK | os.X_OK):
            raise PlatformError(
                f"{self.state} is closed to you: it belongs to {_owner(self.state)}",
                mend="use the account that has started the stack, or another folder by --state",
            )

    def refuse_strange(self) -> None:
        """Raise UsageError for a folder with files where no ``up`` was ever at work: nothing in it is ours to end."""
        if not self.state.is_dir() or any((self.state / name).exists() for name in _MARKS):
            return
        strangers = self._strangers()
        if strangers:
            raise UsageError(
                f"{self.state} is no state folder: it holds {', '.join(strangers[:3])}, but nothing of bluegreen",
                mend="name the right folder by --state",
            )

    def remove(self) -> tuple[str, ...]:
        """Remove what is ours, and the folder with it unless something else lies in there; the names of what stays.

        Raises PlatformError for what cannot be removed.
        """
        try:
            for entry in self.state.iterdir():
                _remove_ours(entry)
            left = tuple(sorted(entry.name for entry in self.state.iterdir()))
            if not left and not self.state.is_mount():
                self.state.rmdir()
        except OSError as error:
            raise PlatformError(
                f"{error.filename} cannot be removed: {error.strerror}", mend="remove the state folder by hand"
            ) from error
        return left

    def _strangers(self) -> list[str]:
        return sorted(entry.name for entry in self.state.iterdir() if _holds_something(entry))

    def refuse_strangers(self) -> None:
        """Without its database a folder is nobody's, or half of one: what runs there could not be known."""
        if not self.state.exists() or self.database.exists():
            return
        if not self.state.is_dir():
            raise UsageError(f"{self.state} is not a folder", mend="give another one by --state")
        self.refuse_strange()
        strangers = self._strangers()
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


def _base() -> Path:
    """XDG_RUNTIME_DIR, where sockets can be there and stay for as long as the stack does; else /tmp."""
    wanted = Path(os.environ.get("XDG_RUNTIME_DIR") or _TEMPORARY)
    fits = wanted.is_absolute() and len(os.fsencode(wanted)) <= _LONGEST_BASE
    if fits and wanted.parent != _LOGINS and os.access(wanted, os.W_OK | os.X_OK):
        return wanted
    return _TEMPORARY


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return f"the user {path.stat().st_uid}"


def _holds_something(entry: Path) -> bool:
    """Whether it is more than what a start leaves that was killed before it made the database."""
    if entry.is_dir():
        return any(entry.iterdir())
    return entry.name not in {"lock", "lock.rollback", "fence", "sockets"}


def _remove_ours(entry: Path) -> None:
    import shutil

    if entry.name in _FOLDERS and not entry.is_symlink():
        shutil.rmtree(entry)
    elif entry.name in _FILES or entry.name.startswith(_BESIDE):
        entry.unlink()


def program_name(service: str, slot: str, number: int) -> str:
    """The name of one replica's program, log and pid file."""
    return f"{service}-{slot}-{number}"
