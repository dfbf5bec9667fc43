"""Containers that end again and again, by what ended them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.health import graces
from bluegreen.domain.health.hiccups import CACHE_RACE
from bluegreen.domain.health.reasons import Reason
from bluegreen.domain.health.starting import REFUSED_STARTS
from bluegreen.domain.snapshot import Running, Waiting
from bluegreen.domain.stack import Instant, after

if TYPE_CHECKING:
    from bluegreen.domain.health.suspicion import Suspect, Suspicion
    from bluegreen.domain.snapshot import Container, Terminated

_STARTING = frozenset({"ContainerCreating", "PodInitializing", "Pending"})
"""Waiting in the usual way: the next life is about to begin."""


_ALWAYS = Instant(float("-inf"))
"""A service that needs no other has been free all the time."""
_NAMED = frozenset({Reason.OUT_OF_MEMORY, Reason.CANNOT_CREATE})
"""Where the platform's own word says more: they have nothing to do with what the service needs."""


def crash(suspect: Suspect) -> Suspicion | None:
    """More ends than are allowed. One that waits before its next start has ended once more than it was restarted."""
    container, last = suspect.container, suspect.container.last
    if last is None or _ends(container) <= graces.RESTARTS_ALLOWED:
        return None
    reason = _why(suspect, last)
    if reason not in _NAMED and _may_have_missed_a_need(suspect):
        return None
    word = last.reason if reason in _NAMED else ""
    return suspect.now(reason, word=word, detail=last.message, exit_code=last.exit_code)


def _ends(container: Container) -> int:
    """How often it has ended, for certain. Of its first end nothing is said while it waits: it may be a hiccup's."""
    state = container.state
    paused = isinstance(state, Waiting) and state.reason not in _STARTING and not CACHE_RACE.fits(state.message)
    return container.restarts + (1 if paused and container.restarts else 0)


def _may_have_missed_a_need(suspect: Suspect) -> bool:
    """Whether it may have ended because what its service needs was not ready: some programs leave waiting to whoever
    starts them again. Their first end after that counts, with those before it.
    """
    if suspect.free is None:
        return True
    if suspect.free == _ALWAYS or suspect.container.since is None:
        return False
    if suspect.container.condemned == "startup" and not suspect.container.started:
        return True  # probes.startup says when that is the cause
    running = isinstance(suspect.container.state, Running)
    return running or suspect.container.since <= after(suspect.free, graces.NEEDS)


def _why(suspect: Suspect, last: Terminated) -> Reason:
    if last.reason in REFUSED_STARTS:
        return Reason.CANNOT_CREATE  # the program has never run, so no log of it says why
    if last.reason == "OOMKilled":
        return Reason.OUT_OF_MEMORY
    if _is_of_a_hook(suspect.container):
        return Reason.HOOK
    if suspect.container.condemned == "liveness":
        return Reason.LIVENESS
    if last.exit_code == 0:
        return Reason.EXITS
    return Reason.CRASH_AFTER_READY if suspect.pod.was_ready else Reason.CRASH_LOOP


def _is_of_a_hook(container: Container) -> bool:
    state = container.state
    return container.condemned == "postStart" or (isinstance(state, Waiting) and state.reason == "PostStartHookError")
