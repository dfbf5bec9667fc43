"""Probes that fail for longer than their own settings allow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bluegreen.domain.health import graces
from bluegreen.domain.health.reasons import Reason
from bluegreen.domain.health.suspicion import cause, lasting
from bluegreen.domain.snapshot import Running
from bluegreen.domain.stack import Instant, after
from bluegreen.domain.values import replace

if TYPE_CHECKING:
    from bluegreen.domain.health.suspicion import Suspect, Suspicion


_NO_COMMAND = re.compile(r"executable file (?:\S+ )?not found|exec: \"[^\"]*\": .*no such file or directory")
"""What is said of a probe by command that the image does not hold. A kubelet throws such results away, forever."""

_NO_STARTUP_PROBE = "it has no startup probe, so only the limit says how long a start may take: --health-retries"


def startup(suspect: Suspect) -> Suspicion | None:
    """The startup probe's window is over: the platform says so by ending it, else the time does."""
    container = suspect.container
    if container.started or suspect.free is None:  # it may wait for what it needs in its start, too
        return None
    if container.condemned == "startup":
        last = container.last
        code, said = (last.exit_code, last.message) if last is not None else (None, "")
        found = suspect.now(Reason.STARTUP, detail=container.failing or said, exit_code=code)
        return replace(found, due=after(suspect.free, _two_lives(suspect)))
    if not isinstance(container.state, Running) or container.windows.startup is None:
        return None
    if _NO_COMMAND.search(container.failing):
        return suspect.now(Reason.STARTUP, detail=container.failing)
    if container.since is None:
        return None
    made = cause(suspect.pod, Reason.STARTUP, container=container.name, detail=container.failing)
    since = Instant(max(container.since, suspect.free))
    return lasting(made, since=since, grace=container.windows.startup + graces.PROBE_SLACK)


def _two_lives(suspect: Suspect) -> float:
    """How long after what it needs was ready its startup probe is the cause: the life that was ended for it may have
    begun before, and the next one has the probe's window, too.
    """
    return 2 * (suspect.container.windows.startup or 0.0) + graces.PROBE_SLACK


def readiness(suspect: Suspect) -> Suspicion | None:
    """It runs, what it needs is ready, and its readiness probe has failed through its window twice."""
    container = suspect.container
    fails = isinstance(container.state, Running) and container.started and container.failing
    if not fails or container.windows.readiness is None:
        return None
    if _NO_COMMAND.search(container.failing):
        return suspect.now(Reason.READINESS, detail=container.failing)
    if suspect.free is None or container.since is None:
        return None
    made = cause(suspect.pod, Reason.READINESS, container=container.name, detail=container.failing)
    since = Instant(max(container.since, suspect.free))
    found = lasting(made, since=since, grace=_patience(suspect, container.windows.readiness))
    return _at_the_limit(found, suspect) if container.windows.startup is None else found


def _at_the_limit(found: Suspicion | None, suspect: Suspect) -> Suspicion | None:
    """A program whose start may take as long as it may, by nobody's word but the limit's."""
    if found is None or found.due is None or suspect.limit is None or suspect.pod.was_ready:
        return found
    advice = f"{found.cause.advice}; {_NO_STARTUP_PROBE}"
    return replace(found, cause=replace(found.cause, advice=advice), due=Instant(max(found.due, suspect.limit)))


def _patience(suspect: Suspect, window: float) -> float:
    twice = graces.READINESS_WINDOWS * window + graces.PROBE_SLACK
    return max(twice, graces.SETTLING if suspect.container.windows.startup is not None else graces.WARM_UP)
