"""The report of one run, made from its journal alone: what happened when, what was checked and counted, by whom. Pure.

It says how each figure is known, and what could not be known. Views draw it; as a JSON line it is ``report``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.checklist import BAD_GATEWAY, checklist
from bluegreen.domain.finding import Finding, Outcome
from bluegreen.domain.mark import errors_of
from bluegreen.domain.release import (
    Answered,
    Began,
    CheckMade,
    Confirmed,
    Ended,
    Item,
    Judged,
    PhaseTime,
    Restored,
    Restoring,
    Retiring,
    RollbackBegan,
    RollingBack,
    RunKind,
    Sample,
    Staging,
    Switching,
    Validated,
    Verified,
)
from bluegreen.domain.stack import Seconds, Slot
from bluegreen.domain.values import dataclass, replace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bluegreen.domain.release import Body, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What the release did to one service."""

    service: str
    served: str
    """The image that users were on."""
    brought: str
    carried: bool
    """It was not named: the active slot's was carried over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that was recorded, in words; ``at`` in seconds since 1970."""

    at: float
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the pods of both slots answered to users between two readings of their counters."""

    since: float
    """Just before the switch, in seconds since 1970."""
    until: float
    """At the end of the observation window: what was answered until then is counted."""
    latest: float
    """Nothing that came after that is counted; what came between the two may be."""
    synthetic: int
    """Requests of our own among them (``--synthetic-traffic``)."""
    answered: tuple[Answered, ...]
    requests: int
    errors: int
    """Answers with status 5xx."""
    bad_gateway: int
    """Of those, 502 and 503."""
    gaps: tuple[str, ...]
    """What could not be counted, a line each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run. Times are seconds since 1970, durations seconds; None: not known, or not come to."""

    id: str
    kind_of_run: RunKind
    stack: str
    who: str
    began_at: float
    took: Seconds | None
    headline: str
    outcome: str | None
    why: str
    settle: tuple[str, ...]
    """Not proven: what would settle it."""
    cause: str
    """Why a pod was bad, where that is what ended the release."""
    mend: str
    active: Slot | None
    """The slot that served before."""
    target: Slot | None
    """The slot that users were to be brought to."""
    serving_after: Slot | None
    of: str
    """The run that a rollback took back; empty: it is a release, or no such run is known."""
    images: tuple[Image, ...]
    phases: tuple[PhaseTime, ...]
    course: tuple[Moment, ...]
    moved_in: Seconds | None
    back_in: Seconds | None
    checks: tuple[CheckMade, ...]
    witness: str
    """Who saw the new slot answer users; empty: nobody."""
    counted: Counted | None
    samples: tuple[Sample, ...]
    """Counts of the new slot since the reading before the switch; the last is of the window's end."""
    judged: str
    """``pass``, ``fail``, ``inconclusive``; empty: the window was not judged."""
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    """What a reader of the findings has to know, a line each."""
    verified: tuple[Finding, ...]
    """Of the five minutes after the switch."""
    checklist: tuple[Item, ...]
    warnings: tuple[str, ...]
    unknown: tuple[str, ...]
    """What could not be known besides the items of the checklist, and why, a line each."""


def report_of(run: Run) -> Report:
    """Make the report."""
    ended, plan, course = run.ended, run.plan, run.ended.course if run.ended is not None else None
    cause = ended.cause if ended is not None else None
    return Report(
        id=run.id,
        kind_of_run=run.kind,
        stack=plan.stack if plan is not None else "",
        who=run.who,
        began_at=run.began_at,
        took=ended.took if ended is not None and ended.took else None,
        headline=headline(run),
        outcome=str(run.outcome) if run.outcome is not None else None,
        why=ended.why if ended is not None else "",
        settle=ended.settle if ended is not None else (),
        cause=str(cause) if cause is not None else "",
        mend=cause.advice if cause is not None else "",
        active=plan.active if plan is not None else None,
        target=plan.target if plan is not None else run.to,
        serving_after=run.serving_after,
        of=run.of,
        images=tuple(_images(run)),
        phases=tuple(_with_end(run, phase) for phase in _phases(run)),
        course=tuple(Moment(at=entry.at, what=told(entry.body)) for entry in run.entries),
        moved_in=course.moved_in if course is not None else None,
        back_in=course.back_in if course is not None else None,
        checks=_checks(run),
        witness=run.confirmed.how if run.confirmed is not None else "",
        counted=_counted(run),
        samples=tuple(_samples(run)),
        judged=str(run.judgement.outcome) if run.judgement is not None else "",
        findings=run.judgement.findings if run.judgement is not None else (),
        notes=run.judgement.notes if run.judgement is not None else (),
        verified=run.verified.judgement.findings if run.verified is not None else (),
        checklist=checklist(run),
        warnings=course.warnings if course is not None else (),
        unknown=tuple(dict.fromkeys(_unknown(run))),
    )


def headline(run: Run) -> str:
    """``released: green serves``."""
    if run.ended is None:
        return "has not ended"
    serves = f": {run.serving_after} serves" if run.serving_after is not None else ""
    return f"{run.ended.outcome}{serves}"


def _images(run: Run) -> Iterator[Image]:
    for change in run.plan.changes if run.plan is not None else ():
        yield Image(
            service=change.service, served=str(change.serving), brought=str(change.after), carried=change.carried
        )


def _checks(run: Run) -> tuple[CheckMade, ...]:
    found = [entry.body.checks for entry in run.entries if isinstance(entry.body, Validated)]
    return found[-1] if found else ()


def _counted(run: Run) -> Counted | None:
    tallied = run.tallied
    if tallied is None:
        return None
    return Counted(
        since=tallied.since,
        until=tallied.until,
        latest=tallied.latest or tallied.until,
        synthetic=tallied.synthetic,
        answered=tallied.answered,
        requests=sum(each.requests for each in tallied.answered),
        errors=sum(errors_of(each) for each in tallied.answered),
        bad_gateway=sum(each.of(*BAD_GATEWAY) for each in tallied.answered),
        gaps=tallied.gaps,
    )


def _samples(run: Run) -> Iterator[Sample]:
    """The looks in the window, from the reading before the switch, where all counts begin, to the one at its end."""
    course = run.ended.course if run.ended is not None else None
    if course is None or run.tallied is None or run.plan is None:
        return
    target = [each for each in run.tallied.answered if each.slot is run.plan.target]
    yield Sample(at=run.tallied.since, requests=0, errors=0, slow=0)
    yield from (each for each in course.samples if run.tallied.since < each.at < run.tallied.until)
    yield Sample(
        at=run.tallied.until,
        requests=sum(each.requests for each in target),
        errors=sum(errors_of(each) for each in target),
        slow=sum(each.slow for each in target),
        timed=sum(each.timed for each in target),
    )


# --- the phases -----------------------------------------------------------------------------------------------------

_BEGINNINGS = {Staging: "deploy", Switching: "switch", Confirmed: "observe", Retiring: "retire", Restoring: "restore"}
_ENDS = (Validated, Confirmed, Judged, Restored, Ended, RollingBack)
_BAD_ENDS = (Judged, RollingBack, Restoring, Ended)
"""What is recorded first when a phase was not good."""


def _phases(run: Run) -> Iterator[PhaseTime]:
    """As the process told them at its end; before that, and for one that was killed, as the entries lie."""
    course = run.ended.course if run.ended is not None else None
    told_since = course.phases[0].at if course is not None and course.phases else None
    for phase in _from_entries(run):
        if told_since is None or phase.at < told_since:
            yield phase
    if course is not None:
        yield from course.phases


def _with_end(run: Run, phase: PhaseTime) -> PhaseTime:
    """A phase that was not good went on until the first entry that says so."""
    if phase.took is not None:
        return phase
    own = Restoring if phase.phase == "restore" else ()
    later = (entry for entry in run.entries if entry.at >= phase.at and isinstance(entry.body, _BAD_ENDS))
    end = next((entry.at for entry in later if not isinstance(entry.body, own)), None)
    return replace(phase, lasted=end - phase.at) if end is not None else phase


def _from_entries(run: Run) -> Iterator[PhaseTime]:
    for number, entry in enumerate(run.entries):
        name = _BEGINNINGS.get(type(entry.body))
        if name is None:
            continue
        ends = (other.at for other in run.entries[number + 1 :] if isinstance(other.body, _ENDS))
        end = next(ends, None)
        yield PhaseTime(
            phase=name, at=entry.at, what=told(entry.body), took=end - entry.at if end is not None else None
        )


# --- what could not be known ------------------------------------------------------------------------------------------


def _unknown(run: Run) -> Iterator[str]:
    if run.ended is None:
        yield "the run has not ended, or was killed: what it saw since its last entry is not recorded"
    elif run.kind is RunKind.RELEASE and run.ended.course is None:
        yield "how long each phase took was not recorded: the times are those of the journal's entries"
    if run.confirmed is not None:
        yield from _not_counted(run)


def _not_counted(run: Run) -> Iterator[str]:
    """After a switch: everything that users may have met and that no counter here tells."""
    if run.confirmed is not None and not run.confirmed.how:
        yield "no witness saw a user's request answered by the new slot"
    if run.tallied is None:
        yield "what was answered after the switch was not counted"
        return
    counted = {each.service for each in run.tallied.answered if each.answers or each.requests}
    for change in run.plan.changes if run.plan is not None else ():
        if change.service not in counted:
            yield f"{change.service}: its answers are not counted, for it has no metrics, or nobody called it"
    yield from (f"not counted: {gap}" for gap in run.tallied.gaps)
    yield (
        "a request that reached no pod is in no pod's counter: a connection that was refused or broke, an answer that "
        "a proxy in front made itself"
    )


# --- words ----------------------------------------------------------------------------------------------------------

_Late = Judged | Verified | RollingBack | Restoring | Restored | Retiring | Ended

_WINDOW = {
    Outcome.PASS: "the observation window was good",
    Outcome.FAIL: "the observation window was bad",
    Outcome.INCONCLUSIVE: "the observation window proved nothing",
}
_FIVE_MINUTES = {
    Outcome.PASS: "the five minutes after the switch were good",
    Outcome.FAIL: "the five minutes after the switch were bad",
    Outcome.INCONCLUSIVE: "the five minutes after the switch proved nothing",
}


def told(body: Body) -> str:
    """One entry of a journal in words."""
    match body:
        case Began():
            return "the plan was made; nothing was written yet"
        case RollbackBegan(to=to, reason=reason):
            return f"rollback to {to}{f': {reason}' if reason else ''}"
        case Staging(slot=slot):
            return f"{slot} gets the new version"
        case Validated(slot=slot, checks=checks):
            return f"{slot} is ready and its checks have passed{_figures(checks)}"
        case Switching(moves=moves):
            return f"the routes go to {moves[0].to}" if moves else "the routes are about to move"
        case Confirmed(slot=slot, how=how):
            return f"{slot} serves; {how or 'nobody could witness it'}"
        case _:
            return _told_late(body)


def _figures(checks: tuple[CheckMade, ...]) -> str:
    """How many answers there were; empty: the journal is from before they were kept."""
    if not checks:
        return ""
    asked, unknown = sum(each.asked for each in checks), sum(each.unknown for each in checks)
    return f": {asked - unknown} answers, all good{f'; {unknown} could not be had' if unknown else ''}"


def _told_late(body: _Late) -> str:
    match body:
        case Judged(judgement=judgement):
            return _WINDOW[judgement.outcome]
        case Verified(judgement=judgement):
            return _FIVE_MINUTES[judgement.outcome]
        case RollingBack(why=why):
            return f"the routes go back: {why}"
        case Restoring(spec=spec):
            return f"{spec.slot} gets its previous images back"
        case Restored(slot=slot):
            return f"{slot} is in order again"
        case Retiring(slot=slot):
            return f"{slot} is ended"
        case Ended(outcome=outcome):
            return f"the end: {outcome}"
