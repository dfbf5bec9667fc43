"""Why it could not be set up: what, and what to do."""

from __future__ import annotations

from typing import Final

CONFIGURATION: Final = 2
UNREACHABLE: Final = 6
"""The exit codes of bluegreen's own domain/errors.py for the same two cases; it cannot be imported yet."""


class NotReady(Exception):
    """It could not be set up."""

    def __init__(self, what: str, *, mend: str, code: int = UNREACHABLE) -> None:
        """``what`` and ``mend``: one line each."""
        super().__init__(what)
        self.mend = mend
        self.code = code


class NoPip(Exception):
    """There is none for this Python."""


def unreachable(why: str) -> NotReady:
    """The package index did not give what was asked for."""
    mend = "see that this machine reaches its package index (PIP_INDEX_URL, pip.conf), then run it again"
    return NotReady(f"its packages could not be fetched: {why}", mend=mend)


def differs(what: str) -> NotReady:
    """What came is not what was locked."""
    return NotReady(
        f"{what} is not the file that requirements/kubernetes.lock names: its SHA-256 differs; nothing was installed",
        mend="do not use it; ask whoever runs the package index (PIP_INDEX_URL, pip.conf) why it differs",
    )


def no_wheel(what: str) -> NotReady:
    """The index answers, and has nothing that fits."""
    return NotReady(
        f"the package index has no ready-made {what} for this Python on this machine",
        mend="use another Python (Linux and macOS: 3.11 to 3.14), or another index (PIP_INDEX_URL, pip.conf)",
    )
