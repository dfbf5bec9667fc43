"""What probes make of a process, as on Kubernetes: started, ready, alive. Pure; the agent sends the requests.

Until the startup probe has passed nothing else is asked. A process that is not ready is asked four times a second, so
that one that becomes ready never waits for the period; then its probes keep their periods. Failures in a row count.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from bluegreen.domain.stack import Instant, after
from bluegreen.domain.values import dataclass, replace

if TYPE_CHECKING:
    from bluegreen.domain.stack import Probe, Probes, Seconds

EAGER: Seconds = 0.25
"""Between two probes of a process that is not ready."""
_GOOD = range(200, 400)


class Kind(StrEnum):
    """The three probes."""

    STARTUP = "startup"
    READINESS = "readiness"
    LIVENESS = "liveness"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: a status, or why none did."""

    status: int | None = None
    why: str = ""

    @property
    def good(self) -> bool:
        """Kubernetes takes every status from 200 to 399."""
        return self.status in _GOOD

    def __str__(self) -> str:
        """As in ``GET /ready answered 503``."""
        if self.status is not None:
            return f"answered {self.status}"
        return self.why


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """One process, from its start to its end."""

    begun: Instant
    readiness_due: Instant
    liveness_due: Instant
    started: bool = False
    ready: bool = False
    misses: int = 0
    """Readiness, in a row."""
    silences: int = 0
    """Liveness, in a row."""
    failing: str = ""
    hopeless: str = ""
    """Why the process must be started again; empty: it need not."""

    @property
    def unasked(self) -> bool:
        """Whether nothing is known of its readiness yet."""
        return not self.ready and not self.misses and not self.failing


def newborn(now: Instant) -> Health:
    """A process that has just started."""
    return Health(begun=now, readiness_due=now, liveness_due=now)


def probe_of(probes: Probes, kind: Kind) -> Probe:
    """The probe of that kind."""
    match kind:
        case Kind.STARTUP:
            return probes.startup
        case Kind.READINESS:
            return probes.readiness
        case Kind.LIVENESS:
            return probes.liveness


def due(health: Health) -> tuple[Kind, Instant]:
    """Which probe is next, and when."""
    if not health.started:
        return Kind.STARTUP, health.readiness_due
    if health.liveness_due < health.readiness_due:
        return Kind.LIVENESS, health.liveness_due
    return Kind.READINESS, health.readiness_due


def judged(health: Health, kind: Kind, answer: Answer, *, probes: Probes, now: Instant) -> Health:
    """The health after one probe's answer."""
    match kind:
        case Kind.STARTUP:
            return _after_startup(health, answer, probes, now)
        case Kind.READINESS:
            return _after_readiness(health, answer, probes.readiness, now)
        case Kind.LIVENESS:
            return _after_liveness(health, answer, probes.liveness, now)


def _after_startup(health: Health, answer: Answer, probes: Probes, now: Instant) -> Health:
    if answer.good:
        return replace(
            health, started=True, failing="", readiness_due=now, liveness_due=after(now, probes.liveness.period)
        )
    failing = _words(Kind.STARTUP, probes.startup, answer)
    late = now >= after(health.begun, probes.startup.window)
    return replace(health, failing=failing, hopeless=failing if late else "", readiness_due=after(now, EAGER))


def _after_readiness(health: Health, answer: Answer, probe: Probe, now: Instant) -> Health:
    if answer.good:
        return replace(health, ready=True, misses=0, failing="", readiness_due=after(now, probe.period))
    misses = health.misses + 1
    ready = health.ready and misses < probe.failures
    pause = min(EAGER, probe.period) if not ready else probe.period
    failing = _words(Kind.READINESS, probe, answer)
    return replace(health, ready=ready, misses=misses, failing=failing, readiness_due=after(now, pause))


def _after_liveness(health: Health, answer: Answer, probe: Probe, now: Instant) -> Health:
    next_due = after(now, probe.period)
    if answer.good:
        return replace(health, silences=0, liveness_due=next_due)
    silences = health.silences + 1
    failing = _words(Kind.LIVENESS, probe, answer)
    hopeless = failing if silences >= probe.failures else ""
    return replace(health, silences=silences, failing=failing, hopeless=hopeless, liveness_due=next_due)


def _words(kind: Kind, probe: Probe, answer: Answer) -> str:
    return f"{kind}: GET {probe.path} {answer}"
