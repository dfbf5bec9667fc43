"""What a rule makes of what it is shown: a cause, and since when it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.cause import Cause
from bluegreen.domain.health.reasons import ADVICE
from bluegreen.domain.stack import after
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from bluegreen.domain.health.reasons import Reason
    from bluegreen.domain.snapshot import Container, Pod
    from bluegreen.domain.stack import Instant, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """A cause that counts from ``due`` on, if nothing changes until then; None: it counts now."""

    cause: Cause
    due: Instant | None = None

    def counts(self, at: Instant) -> bool:
        """Whether it dooms at this instant."""
        return self.due is None or self.due <= at


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """One container of a pod, as the rules look at it."""

    pod: Pod
    container: Container
    free: Instant | None = None
    """Since when all that its service needs has been ready; None: it is not."""
    limit: Instant | None = None
    """Until when the slot may take; None: nobody says."""

    def now(self, reason: Reason, *, word: str = "", detail: str = "", exit_code: int | None = None) -> Suspicion:
        """A cause that counts at once."""
        made = cause(self.pod, reason, container=self.container.name, word=word, detail=detail, exit_code=exit_code)
        return Suspicion(cause=made)

    def later(self, reason: Reason, *, grace: Seconds, word: str = "", detail: str = "") -> Suspicion | None:
        """A cause that counts once this state has lasted for the grace; None: since when it lasts is not known."""
        made = cause(self.pod, reason, container=self.container.name, word=word, detail=detail)
        return lasting(made, since=self.container.since, grace=grace)


def cause(
    pod: Pod,
    reason: Reason,
    *,
    container: str = "",
    word: str = "",
    detail: str = "",
    exit_code: int | None = None,
) -> Cause:
    """The cause with the reason's own advice."""
    return Cause(
        service=pod.service,
        slot=pod.slot,
        pod=pod.name,
        container=container,
        reason=reason,
        word=word,
        detail=detail,
        exit_code=exit_code,
        advice=ADVICE[reason],
    )


def lasting(made: Cause, *, since: Instant | None, grace: Seconds) -> Suspicion | None:
    """A cause that counts once it has lasted for the grace; None: since when it lasts is not known."""
    return Suspicion(cause=made, due=after(since, grace)) if since is not None else None
