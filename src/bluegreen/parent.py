"""Notices in a CI job that the process which started us has died, and takes that for a SIGTERM.

A build server that cancels a job signals the shell of its step, and nobody else. That shell dies of the second signal
while it waits for us, and we would release on with nobody watching, until the server ends us without a word. Outside of
CI an orphan is often meant (``nohup``), so there nothing is watched.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bluegreen.domain.stack import Seconds

VARIABLES: Final = ("GITHUB_ACTIONS", "CI")
"""Either is ``true`` in a job of nearly every build server."""

INIT: Final = 1
"""Its children have no other parent: either they never had one, or it is gone already."""

LOOK: Seconds = 0.5
"""How often it is looked where the system cannot tell it."""


def in_ci(environment: Mapping[str, str]) -> bool:
    """Whether a build server runs us."""
    return any(environment.get(name, "").lower() in {"true", "1"} for name in VARIABLES)


@cache
def watch_parent() -> None:
    """Send this process a SIGTERM when its parent dies; it then does what it does for any other one. Once is enough."""
    parent = os.getppid()
    if parent > INIT:
        threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()


def _watch(parent: int) -> None:
    _await_end(parent)
    os.kill(os.getpid(), signal.SIGTERM)


def _await_end(parent: int) -> None:
    """Return when we are nobody's child any more: told by the system where it can, else looked at now and then."""
    with suppress(AttributeError, OSError):  # no Linux, or an old one, or no such process any more
        poll = select.poll()
        poll.register(os.pidfd_open(parent), select.POLLIN)
        poll.poll()
    while os.getppid() == parent:
        time.sleep(LOOK)
