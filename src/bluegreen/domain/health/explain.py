"""What the log adds to a cause: some programs are known to be wrong only by what was written when they ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.health.reasons import ADVICE, Reason
from bluegreen.domain.health.starting import FOREIGN_BINARY
from bluegreen.domain.values import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.cause import Cause

_VAGUE = frozenset({Reason.CRASH_LOOP, Reason.CRASH_AFTER_READY})


def explained(cause: Cause, *, log: Sequence[str], event: str = "") -> Cause:
    """The cause with its last log lines and event, and with the reason that they give where it had none better."""
    found = replace(cause, log=tuple(log), event=event)
    foreign = next((line for line in log if FOREIGN_BINARY.search(line)), "")
    if cause.reason not in _VAGUE or not foreign:
        return found
    reason = Reason.WRONG_ARCHITECTURE
    return replace(found, reason=reason, advice=ADVICE[reason], detail=cause.detail or foreign.strip())
