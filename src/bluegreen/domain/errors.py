"""The one tree of errors, with the exit code of each. The only place where exit codes are decided.

    BluegreenError
    ├── UsageError ............................ 2    the command or the app file is wrong; nothing was changed
    │   └── AppFileError ...................... 2    with path and line
    ├── ReleaseFailed ......................... 1    before the switch: users saw nothing
    │   └── ReleaseTimedOut ................... 70   before the switch; names the limit that ran out
    ├── LockError
    │   ├── HeldBy ............................ 4    another release holds the lock (never raised by a rollback)
    │   └── LostLock .......................... 5    another run took over; this one has yielded
    ├── NotKnown .............................. 8    verify: what it would judge is not there (yet, or any more)
    ├── Held .................................. 5    a person must decide: drift, a split stack, no warm way back
    ├── PlatformError ......................... 6    unreachable, not started, or a right is missing
    │   ├── NotStarted ........................ 6
    │   └── JournalError ...................... 6    an entry could not be made durable
    ├── DeadlineExceeded ...................... 70   a wait ran into its limit; the pipeline says which
    │   └── Unseen ............................ 70   and the platform could not be watched any more
    └── Interrupted ........................... 130 / 143    SIGINT / SIGTERM or SIGHUP, after the stack was left safe

Each error says what happened, where, and what to do: ``str(error)`` is one line for the screen, ``mend`` the next step.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """What the process answers to whoever started it. Documentation is generated from this class."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        """Attach the meaning to the number."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    OK = 0, "released (proven or not: the summary says which), or nothing to do"
    FAILED = 1, "failed before the switch: users saw nothing"
    USAGE = 2, "usage or configuration: nothing was changed"
    ROLLED_BACK = 3, "rolled back after the switch"
    LOCKED = 4, "another release holds the lock"
    HELD = 5, "held: a person must decide (drift, a split stack, no warm way back)"
    UNREACHABLE = 6, "platform unreachable, or a permission is missing"
    NOT_FULFILLED = 7, "verify: an item of the checklist is not met"
    NOT_KNOWN = 8, "verify: no item is unmet, but one is not yet known, or cannot be known"
    NOT_FIT = 9, "doctor: something was found that refuses a release"
    TIMED_OUT = 70, "timed out before the switch: users saw nothing; the message names the limit"
    INTERRUPTED = 130, "interrupted (SIGINT), after the stack was left safe"
    TERMINATED = 143, "terminated (SIGTERM, or SIGHUP: its terminal is gone), after the stack was left safe"


class BluegreenError(Exception):
    """Base of every error that a user may see."""

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, *, mend: str = "") -> None:
        """``message``: what and where, one line. ``mend``: what to do about it."""
        super().__init__(message)
        self.mend = mend


class UsageError(BluegreenError):
    """The command line or the configuration is wrong; nothing was changed."""

    exit_code = ExitCode.USAGE


class AppFileError(UsageError):
    """The app file is wrong, at ``path``:``line`` (counted from 1; 0 when it is about the whole file)."""

    def __init__(self, message: str, *, path: str, line: int = 0, mend: str = "") -> None:
        """Put the place in front of the message, as compilers do."""
        place = f"{path}:{line}" if line else path
        super().__init__(f"{place}: {message}", mend=mend)
        self.path = path
        self.line = line


class ReleaseFailed(BluegreenError):
    """The release ended before the switch."""

    exit_code = ExitCode.FAILED


class ReleaseTimedOut(ReleaseFailed):
    """The release ended before the switch because a limit ran out; the message names it."""

    exit_code = ExitCode.TIMED_OUT


class LockError(BluegreenError):
    """Base: somebody else works on this stack."""


class HeldBy(LockError):
    """Another run holds the lock; ``holder`` says who.

    ``alive`` False: it may be dead, which nobody can tell yet. Ask again: its lock is free by itself after a while, or
    it is seen to live.
    """

    exit_code = ExitCode.LOCKED

    def __init__(self, message: str, *, holder: str, alive: bool = True, mend: str = "") -> None:
        """``holder``: one line for the screen, for example ``deploy r-1a2b by ann on ci-7, pid 4711``."""
        super().__init__(message, mend=mend)
        self.holder = holder
        self.alive = alive


class LostLock(LockError):
    """This run's fence is no longer the newest: another run, most often a rollback, took over."""

    exit_code = ExitCode.HELD

    def __init__(self, message: str, *, taken_by: str, mend: str = "") -> None:
        """``taken_by``: who took over, as far as it is known."""
        super().__init__(message, mend=mend)
        self.taken_by = taken_by


class Held(BluegreenError):
    """The stack is in a state that only a person may resolve; both slots keep serving."""

    exit_code = ExitCode.HELD


class NotKnown(BluegreenError):
    """A checklist cannot be judged: its release has not ended, or users have left it."""

    exit_code = ExitCode.NOT_KNOWN


class PlatformError(BluegreenError):
    """The platform cannot be reached, or refuses."""

    exit_code = ExitCode.UNREACHABLE


class NotStarted(PlatformError):
    """The stack does not exist on this platform, or is not running."""


class JournalError(PlatformError):
    """An entry could not be made durable, so the step that it announces must not be taken."""


class DeadlineExceeded(BluegreenError):
    """A wait ran into its limit. The pipeline turns it into an error that names the limit."""

    exit_code = ExitCode.TIMED_OUT


class Unseen(DeadlineExceeded):
    """A wait ran into its limit while the platform could not be watched, and why not: what was seen last is old."""


class Interrupted(BluegreenError):
    """The process was told to stop: ``signal`` is ``SIGINT``, ``SIGTERM`` or ``SIGHUP``."""

    def __init__(self, *, signal: str) -> None:
        """Choose the exit code that shells use for this signal."""
        super().__init__(f"interrupted by {signal}")
        self.signal = signal
        self.exit_code = ExitCode.INTERRUPTED if signal == "SIGINT" else ExitCode.TERMINATED
