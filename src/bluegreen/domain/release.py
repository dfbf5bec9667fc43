"""The journal's entries and their fold: what a run has done, how it ended, and which way is back.

Every entry is made durable before the step that it announces is taken. So the fold of a journal that just stops says
how far a killed run can have come, and the next command knows what to do.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bluegreen.domain.cause import Cause
from bluegreen.domain.finding import Judgement
from bluegreen.domain.plan import Plan, SlotSpec
from bluegreen.domain.routing import Move
from bluegreen.domain.stack import Limits, Seconds, Slot
from bluegreen.domain.values import dataclass, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bluegreen.domain.image import ImageReference


class RunKind(StrEnum):
    """What a run was asked to do."""

    RELEASE = "release"
    ROLLBACK = "rollback"


class Outcome(StrEnum):
    """How a run ended."""

    RELEASED = "released"
    NOT_PROVEN = "released, not proven"
    FAILED = "failed before the switch"
    TIMED_OUT = "timed out before the switch"
    ROLLED_BACK = "rolled back"
    INTERRUPTED = "interrupted before the switch"
    YIELDED = "yielded to another run"
    HELD = "held"
    ABANDONED = "abandoned before the switch"

    @property
    def in_effect(self) -> bool:
        """Whether users are on what this release brought."""
        return self in {Outcome.RELEASED, Outcome.NOT_PROVEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """A release with this plan begins; nothing was written yet."""

    plan: Plan
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackBegan:
    """A rollback by hand begins: all routes to ``to``. ``of``: the release it takes back, if one is known."""

    to: Slot
    of: str
    who: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """The slot's workloads are about to be replaced."""

    slot: Slot


class CheckKind(StrEnum):
    """What a check is about."""

    HEALTH = "health"
    """On every pod each path that a probe asks is good."""
    IN_SLOT = "in-slot"
    """The slot's own addresses, at which its services find each other, answer from this slot."""
    IDENTITY = "identity"
    """The pods say that they are of this slot and this version."""
    APP = "app"
    """The app file's own."""

    @property
    def words(self) -> str:
        """For the screen: all of them together."""
        return _TITLES[self]


_TITLES: Final = {
    CheckKind.HEALTH: "health endpoints of every pod",
    CheckKind.IN_SLOT: "the slot's own addresses",
    CheckKind.IDENTITY: "slot and version as expected",
    CheckKind.APP: "the app file's checks",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckMade:
    """What a check came to, in figures: for the journal, the checklist and the report."""

    name: str
    what: CheckKind
    asked: int
    """Answers that were wanted in the last round: of pods, of addresses, of a program."""
    good: int
    unknown: int = 0
    """Those that could not be made: nobody knows."""
    detail: str = ""
    """The first that was not good, else what a good one said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """The slot is ready and its checks passed."""

    slot: Slot
    checks: tuple[CheckMade, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Switching:
    """These routes are about to be written."""

    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodMark:
    """What one pod had counted at the switch, as small as it can be: ``timed`` and ``slow`` stand for its histogram."""

    pod: str
    service: str
    slot: Slot
    restarts: int
    answers: tuple[tuple[int, int], ...]
    """``(status, count)``"""
    timed: int = 0
    slow: int = 0
    """Of the timed, those that may be over the limit."""
    surely_slow: int | None = None
    """Of these, those that are: fewer, where no bucket of the histogram ends at the limit. None: all."""
    timing: str = ""
    """What the histogram measures (reading.Timing); empty: there is none."""
    process: Seconds | None = None
    """When the process that had counted began, in seconds since 1970; none: its page does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A pod whose counters could not be read at the switch, and why."""

    pod: str
    slot: Slot
    why: str
    absent: bool = False
    """It was read, and had no such counter yet: what it counts later, it counts from nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The counters of both slots as they were just before the switch: from here a later process counts on."""

    read_at: float
    """When they were read, in seconds since 1970."""
    at: float
    """When the data plane had followed the switch."""
    limits: Limits
    """Those of the stack at that time: a share over another limit could not be counted from here."""
    pods: tuple[PodMark, ...] = ()
    gaps: tuple[Unread, ...] = ()
    left_out: int = 0
    """Pods beyond what an entry holds. What they answer since then cannot be known later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What one service answered in one slot between two readings."""

    service: str
    slot: Slot
    answers: tuple[tuple[int, int], ...]
    """``(status, count)``, without those that did not occur."""
    timed: int = 0
    slow: int = 0
    """Of the timed, those that may be over the limit."""
    surely_slow: int | None = None
    """Of these, those that are: fewer, where no bucket of the histogram ends at the limit. None: all."""
    timing: str = ""

    @property
    def requests(self) -> int:
        """All answers."""
        return sum(count for _, count in self.answers)

    def of(self, *statuses: int) -> int:
        """The answers with one of these statuses."""
        return sum(count for status, count in self.answers if status in statuses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallied:
    """What both slots answered from the mark at the switch to another reading."""

    since: float
    """When the first reading was made, in seconds since 1970."""
    until: float
    """What was answered until then is counted."""
    answered: tuple[Answered, ...] = ()
    gaps: tuple[str, ...] = ()
    """What could not be counted, a line each; empty: everything that these services' pods count."""
    latest: float = 0.0
    """Nothing that came after that is counted; what came between the two may be. 0: not recorded."""
    synthetic: int = 0
    """Requests of our own among them (``--synthetic-traffic``)."""

    @property
    def statuses(self) -> tuple[int, ...]:
        """All that occurred, rising."""
        return tuple(sorted({status for each in self.answered for status, _ in each.answers}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one service stands in a slot that does not serve."""

    service: str
    ready: int
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """The data plane's own witness says that the slot serves; ``how`` says which witness, empty: none answered."""

    slot: Slot
    how: str
    mark: Mark | None = None
    """None: an older version of this program has switched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The observation window's result."""

    judgement: Judgement
    tallied: Tallied | None = None
    """What was answered between the switch and the end of the window; None: not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The five minutes after the switch were judged, by counters from the mark on."""

    judgement: Judgement
    tallied: Tallied
    standing: tuple[Standing, ...] = ()
    """The slot that does not serve, at that time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RollingBack:
    """These routes are about to be, or have just been, written back: recorded after the writes when not before."""

    moves: tuple[Move, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoring:
    """The slot's previous images are about to be put back."""

    spec: SlotSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """The slot's previous images are back and ready."""

    slot: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Retiring:
    """The slot is about to be ended: the way back will be a cold start. First these writes end the fallback to it."""

    slot: Slot
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseTime:
    """One phase as it was: when it began (seconds since 1970), how long it took; None: it was not good to its end."""

    phase: str
    at: float
    what: str
    took: Seconds | None = None
    lasted: Seconds | None = None
    """In a report, of one that was not good: how long it went on; None: not known, or it was good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look in the window: counts since the switch, of all metered services; ``at`` in seconds since 1970."""

    at: float
    requests: int
    errors: int
    slow: int
    timed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What one process told while it worked, bounded, for the report."""

    phases: tuple[PhaseTime, ...] = ()
    samples: tuple[Sample, ...] = ()
    warnings: tuple[str, ...] = ()
    moved_in: Seconds | None = None
    """From the first write of the switch until the data plane had followed."""
    back_in: Seconds | None = None
    """The same of the way back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The run is over."""

    outcome: Outcome
    why: str = ""
    cause: Cause | None = None
    took: Seconds = 0.0
    standing: tuple[Standing, ...] | None = None
    """The slot that users left, at the end of a release that is in effect; None: not known."""
    course: Course | None = None
    settle: tuple[str, ...] = ()
    """Not proven: what would settle it."""


Body = (
    Began
    | RollbackBegan
    | Staging
    | Validated
    | Switching
    | Confirmed
    | Judged
    | Verified
    | RollingBack
    | Restoring
    | Restored
    | Retiring
    | Ended
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry: the run it belongs to, when it was written (seconds since 1970) and what it says."""

    run: str
    at: float
    body: Body


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The fold of a run's entries."""

    id: str
    kind: RunKind
    began_at: float
    who: str
    plan: Plan | None = None
    to: Slot | None = None
    """Where a rollback by hand goes."""
    of: str = ""
    staging: bool = False
    """The target slot may hold something else than before."""
    validated: bool = False
    moves: tuple[Move, ...] = ()
    """The writes of the switch; not empty: some or all of them may have happened."""
    confirmed: Confirmed | None = None
    """The last one with a witness; else the last."""
    mark: Mark | None = None
    """The first one: it counts from before any user came, also when another process took the release up."""
    judgement: Judgement | None = None
    tallied: Tallied | None = None
    """From the mark to the end of the window."""
    verified: Verified | None = None
    back: tuple[Move, ...] = ()
    """The writes of the way back."""
    fences: frozenset[str] = frozenset()
    """The ids of all writes that it announced."""
    restored: bool = False
    retired: bool = False
    ended: Ended | None = None
    entries: tuple[Entry, ...] = field(default=(), repr=False)

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None: it runs, or it was killed."""
        return self.ended.outcome if self.ended is not None else None

    @property
    def open(self) -> bool:
        """Whether the next command has something to end: it never ended, or was held after its first write."""
        return self.outcome is None or (self.outcome is Outcome.HELD and bool(self.moves))

    @property
    def serving_after(self) -> Slot | None:
        """The slot that users were left on; None: it has not ended, or not in a place that it knows."""
        if self.outcome in {None, Outcome.HELD, Outcome.YIELDED}:
            return None
        if self.plan is None:
            return None if self.outcome is Outcome.FAILED else self.to
        return self.plan.target if self.outcome.in_effect else self.plan.active


class State(StrEnum):
    """What is known of an item of the checklist."""

    MET = "met"
    NOT_MET = "not met"
    NOT_YET = "not yet known"
    UNKNOWABLE = "cannot be known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item of the checklist: what it asks for, and how that is with the figures that say so."""

    name: str
    state: State
    figures: str


def fold(entries: Iterable[Entry]) -> Run | None:
    """Fold one run's entries in order; None: there are none."""
    run: Run | None = None
    for entry in entries:
        if run is None:
            run = _begin(entry)
        run = replace(_step(run, entry.body), entries=(*run.entries, entry))
    return run


def _begin(entry: Entry) -> Run:
    match entry.body:
        case RollbackBegan(to=to, of=of, who=who):
            return Run(id=entry.run, kind=RunKind.ROLLBACK, began_at=entry.at, who=who, to=to, of=of)
        case Began(plan=plan, who=who):
            return Run(id=entry.run, kind=RunKind.RELEASE, began_at=entry.at, who=who, plan=plan)
        case _:
            return Run(id=entry.run, kind=RunKind.RELEASE, began_at=entry.at, who="")


def _step(run: Run, body: Body) -> Run:
    match body:
        case Staging():
            return replace(run, staging=True)
        case Validated():
            return replace(run, validated=True)
        case Switching(moves=moves):
            return replace(run, moves=moves, fences=run.fences | fences_of(moves))
        case Confirmed():
            seen = run.confirmed is not None and run.confirmed.how and not body.how
            return replace(run, confirmed=run.confirmed if seen else body, mark=run.mark or body.mark)
        case Judged(judgement=judgement, tallied=tallied):
            return replace(run, judgement=judgement, tallied=tallied)
        case Verified():
            return replace(run, verified=body)
        case RollingBack(moves=moves):
            return replace(run, back=moves, fences=run.fences | fences_of(moves))
        case Restored():
            return replace(run, restored=True)
        case Retiring(moves=moves):
            return replace(run, retired=True, fences=run.fences | fences_of(moves))
        case Ended():
            return replace(run, ended=body)
        case _:
            return run


def fences_of(moves: Iterable[Move]) -> frozenset[str]:
    """The ids of these writes."""
    return frozenset(move.fence for move in moves)


def put_back(plan: Plan, find: Callable[[str], Run | None], runs: Iterable[Run]) -> Plan:
    """The plan with a previous content of its slot that is worth putting back. ``find``: a run by its id; ``runs``: the
    newest first.

    What a failed run left in the slot is not: then it is what that run itself would have put back. One that was killed
    while it staged may have left nothing at all.
    """
    previous = plan.previous or _cut_short(runs, plan.target)
    while previous is not None and (left := find(previous.revision)) is not None and left_bad(left):
        previous = left.plan.previous if left.plan is not None else None
    return replace(plan, previous=previous)


def _cut_short(runs: Iterable[Run], slot: Slot) -> SlotSpec | None:
    """What the slot held when the run began that emptied it and came no further; None: it is empty on purpose."""
    for run in runs:
        plan = run.plan
        if run.to is slot or (plan is not None and plan.active is slot and run.retired):
            return None
        if plan is not None and plan.target is slot and run.staging:
            return plan.previous if left_bad(run) and not run.restored else None
    return None


def left_bad(run: Run) -> bool:
    """Whether what the run has staged is not to be trusted: it failed, or nothing says that it was good."""
    if run.kind is RunKind.ROLLBACK:
        return False  # a cold start staged again what had served before
    return run.outcome is None or run.outcome in {
        Outcome.YIELDED,
        Outcome.FAILED,
        Outcome.TIMED_OUT,
        Outcome.ROLLED_BACK,
        Outcome.INTERRUPTED,
        Outcome.ABANDONED,
    }


def served_in(runs: Iterable[Run], slot: Slot) -> tuple[tuple[str, ImageReference], ...]:
    """What users were on when the slot served last, ``(service, image)`` each, by the newest run first.

    Empty: no run on record says so.
    """
    for run in runs:
        plan = run.plan
        if plan is not None and plan.active is slot:
            return tuple((change.service, change.serving) for change in plan.changes)
        if plan is not None and run.outcome is not None and run.outcome.in_effect:
            return tuple((spec.service, spec.image) for spec in plan.want.workloads)
    return ()


def last_move(runs: Iterable[Run]) -> float | None:
    """When users were last moved, or were about to be, in seconds since 1970; None: no run on record did."""
    moves = (
        entry.at for run in runs for entry in reversed(run.entries) if isinstance(entry.body, Switching | RollingBack)
    )
    return next(moves, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """Where a rollback leads: to ``slot``, taking back the run ``of``."""

    slot: Slot
    of: Run


@dataclass(frozen=True, slots=True)
class NoWayBack:
    """There is nothing to take back, and why; ``settled``: users already are where a rollback would bring them."""

    why: str
    settled: bool


def way_back(runs: Iterable[Run], *, serving: Slot | None) -> Back | NoWayBack:
    """Which slot was active before, by the newest run first. ``serving``: the slot of all routes; None: split.

    A rollback's target is never the thing that just failed: after a rollback, by itself or by hand, there is nothing
    more to take back, and a person who wants to go further must name the slot.
    """
    for run in runs:
        if run.plan is None and run.kind is RunKind.RELEASE:
            continue
        found = _back_from(run, serving)
        if found is not None:
            return found
    return NoWayBack("no release has switched this stack yet", settled=serving is not None)


def _back_from(run: Run, serving: Slot | None) -> Back | NoWayBack | None:
    if run.kind is RunKind.ROLLBACK:
        return None if run.outcome is Outcome.FAILED else _after_rollback(run, serving)
    plan = run.plan
    assert plan is not None  # noqa: S101 - way_back leaves the others out
    if run.outcome is None:
        return Back(slot=plan.active, of=run)
    stopped = run.outcome in {Outcome.HELD, Outcome.YIELDED}
    if run.outcome.in_effect or (stopped and (run.moves or serving is not plan.active)):
        return _after_switch(run, plan, serving)
    if run.outcome is Outcome.ROLLED_BACK and serving is plan.active:
        return NoWayBack(f"{run.id} was rolled back already: {plan.active} serves again", settled=True)
    if run.outcome is Outcome.ROLLED_BACK:
        return Back(slot=plan.active, of=run)  # somebody has moved users away from there since
    if run.staging and not run.restored:
        why = f"{plan.target} holds what {run.id} left there: {run.outcome}"
        return NoWayBack(why, settled=False)
    return None  # it never switched and left nothing behind: the run before it decides


def _after_switch(run: Run, plan: Plan, serving: Slot | None) -> Back | NoWayBack | None:
    if serving is plan.active:
        return NoWayBack(f"users are back on {plan.active}, where they were before {run.id}", settled=True)
    return Back(slot=plan.active, of=run)


def _after_rollback(run: Run, serving: Slot | None) -> Back | NoWayBack:
    to = run.to or Slot.BLUE
    if run.ended is not None and serving is to:
        return NoWayBack(f"{run.id} brought users back to {to} already", settled=True)
    return Back(slot=to, of=run)
