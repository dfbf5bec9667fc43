"""The one stream of events: what a run tells while it works. Views draw them; they can fail nobody.

The same values are the JSON lines of ``--output json``: the event's name is its class name in snake case, its fields
are the fields here. ``VERSION`` changes when a field changes its meaning or goes.

Five kinds of lines are no events of a run. ``error`` is the last line of a command that was refused or could not be
carried out: ``message`` (what and where), ``mend`` (what to do, may be empty) and ``exit_code``; a run that has a
``summary`` has none. ``status``, ``run``, ``report`` and ``log_tail`` are the answers of the commands that only look.
"""

from __future__ import annotations

from enum import StrEnum

from bluegreen.domain.cause import Cause
from bluegreen.domain.errors import ExitCode
from bluegreen.domain.finding import Judgement
from bluegreen.domain.plan import Plan
from bluegreen.domain.release import Item, Outcome
from bluegreen.domain.stack import Seconds, Slot
from bluegreen.domain.values import dataclass

VERSION = 1


class Phase(StrEnum):
    """The specification's six phases, in its order; then what only a failed release does."""

    DETECT = "detect"
    DEPLOY = "deploy"
    VALIDATE = "validate"
    SWITCH = "switch"
    OBSERVE = "observe"
    RETIRE = "retire"
    RESTORE = "restore"
    """The failed slot's previous images are put back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseBegan:
    """A phase begins; ``limit`` is how long it may take, None: it does not wait."""

    phase: Phase
    what: str
    limit: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseDone:
    """A phase is over and was good."""

    phase: Phase
    what: str
    took: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The plan, before any write."""

    plan: Plan
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What is waited for, how long already, and how long it may still take (seconds)."""

    wants: tuple[str, ...]
    waited: Seconds
    left: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something worth knowing that is no error."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something that a person should look at; ``mend`` says how."""

    text: str
    mend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One custom check's result."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """The data plane has taken the routes; ``took`` from the first write to the last acknowledgement."""

    slot: Slot
    services: tuple[str, ...]
    took: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """Who witnesses that the slot serves; ``how`` empty: nobody could."""

    slot: Slot
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One look in the window, for the screen only: the judgement is at its end."""

    requests: int
    errors: int
    slow: int
    left: Seconds
    timed: int = 0
    """Of the requests, those whose time was measured; the slow ones are among them."""
    metered: bool = True
    """False: nobody counts requests here, so that the counts say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowJudged:
    """The window's judgement."""

    judgement: Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosed:
    """Why something is bad, with the last lines of its log; ``cause`` has the platform's last word about it."""

    cause: Cause
    log: tuple[str, ...]
    where: str
    """Where more of the log is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """The release cannot go on; ``users`` says what they noticed."""

    why: str
    users: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CameBack:
    """Users are back on ``slot``; ``took`` from the decision to the last acknowledgement."""

    slot: Slot
    why: str
    took: Seconds
    stack: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """The post-deployment checklist of a release that is in effect, before its summary and when it was verified."""

    run: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The last event of every run, and of every verification, but for who was told of it."""

    run: str
    outcome: Outcome | None
    """None: there was nothing to do, or it is of a verification."""
    headline: str
    details: tuple[str, ...]
    way_back: str
    took: Seconds
    exit_code: ExitCode
    stack: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified:
    """Somebody was told how the run ended, or ``why`` not. ``to``: their service, and its host where it has one."""

    to: str
    why: str = ""


Event = (
    PhaseBegan
    | PhaseDone
    | Planned
    | Waiting
    | Note
    | Warned
    | Checked
    | Routed
    | Proved
    | Observed
    | WindowJudged
    | Diagnosed
    | Failing
    | CameBack
    | Checklist
    | Summary
    | Notified
)
