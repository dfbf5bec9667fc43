"""What the observation window says, as values: a finding a rule, and the judgement that they come to.

Apart from the rules themselves (``judgement``), for the journal and the screen need these values and a rollback has no
time to import the rules. Nothing has to read ``figures``: whatever a finding counts is in its numbers as well.
"""

from __future__ import annotations

from enum import StrEnum

from bluegreen.domain.stack import Seconds
from bluegreen.domain.values import dataclass

ERROR_SHARE = "error share"
"""Answers with status 5xx among a service's answers, or among those of one part of its requests."""
OVERHEAD = "P95 overhead"
"""Requests over the limit of milliseconds, among those whose time was measured."""
METRICS = "metrics"
"""Counters that could not be read, or that are not named at all."""
CRASH = "crash"
NO_READY_POD = "no ready pod"
FALLBACK = "fallback"
"""Requests that the data plane sent to the old slot after the switch."""
GROSS = "errors over half"
SILENCE = "silence"
"""Next to nothing arrives, although the old slot had traffic."""
SYNTHETIC = "synthetic traffic"
"""The pipeline's own requests, whose right answers are known; counted apart from users'."""


class Outcome(StrEnum):
    """What a rule, or the window as a whole, comes to."""

    PASS = "pass"  # noqa: S105 - a word of the domain, no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class OldShare:
    """The same share in the old slot, in the ``seconds`` before the switch."""

    bad: int
    of: int
    seconds: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule's result with its figures, for the screen and the record."""

    rule: str
    """One of the names above."""
    outcome: Outcome
    figures: str
    """A line for people; all that is counted in it stands below as well."""
    service: str = ""
    """Whose; empty: the window as a whole."""
    part: str = ""
    """Which part of the service's requests: the value of their label ``method``; empty: all of them."""
    bad: int | None = None
    """What the rule counts against the version; None: it counts nothing."""
    of: int | None = None
    """Out of so many."""
    limit: float | None = None
    """The share that may not be exceeded, 0.01 is 1 %; None: the rule has none."""
    old: OldShare | None = None
    """The old slot's figures beside it; None: they are not known."""
    settle: str = ""
    """Inconclusive: what would settle it, for people."""
    more: int | None = None
    """Inconclusive: how many more requests without a bad one would; None: no number of them is known to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The window's result: failed if any rule failed, passed if all passed."""

    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    """What a reader of the findings has to know, a line each: what was not seen, what the old slot's figures say."""

    @property
    def settles(self) -> tuple[str, ...]:
        """What would settle the inconclusive ones, each once."""
        open_ones = (finding.settle for finding in self.findings if finding.outcome is Outcome.INCONCLUSIVE)
        return tuple(dict.fromkeys(settle for settle in open_ones if settle))

    @property
    def reasons(self) -> tuple[str, ...]:
        """The findings that made it what it is, a line each: where some failed, what is not proven is no reason."""
        if self.outcome is Outcome.PASS:
            return ()
        found = (finding for finding in self.findings if finding.outcome is self.outcome)
        return tuple(f"{finding.rule}: {finding.figures}" for finding in found)
