"""The checklist's five minutes: waited out, counted from the mark that the release left in its journal, and judged.

It writes nothing but its own entry, takes no lock and holds nobody up: a rollback or the next release ends it. What it
cannot know it says; it never rolls back, for the release was judged and has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.checklist import State, checklist, fulfilled
from bluegreen.domain.errors import DeadlineExceeded, ExitCode, NotKnown, PlatformError, UsageError
from bluegreen.domain.events import Checklist, Note, Summary, Waiting
from bluegreen.domain.five_minutes import FIVE_MINUTES, is_late, judge_since, time_of_day
from bluegreen.domain.mark import reading_of, standing_of, tally_since
from bluegreen.domain.reading import nobodys, until_end
from bluegreen.domain.release import RollingBack, RunKind, Switching, Verified
from bluegreen.domain.stack import after
from bluegreen.pipeline.observe import LOOK_EVERY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bluegreen.domain.plan import Plan
    from bluegreen.domain.reading import Reading
    from bluegreen.domain.release import Mark, Run, Tallied
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Instant, Seconds
    from bluegreen.pipeline.tools import Tools

READ_LIMIT: Seconds = 5.0

READS = 5
"""How often each pod's metrics may have been read beside the window's looks: at the switch, and here."""

TRIES = 3
"""How often the counters are read at the end, when some cannot be read: a hiccup is no gap."""

AGAIN: Seconds = 2.0

CODES = {
    State.MET: ExitCode.OK,
    State.NOT_MET: ExitCode.NOT_FULFILLED,
    State.NOT_YET: ExitCode.NOT_KNOWN,
    State.UNKNOWABLE: ExitCode.NOT_KNOWN,
}

_HEADLINES = {
    State.MET: "the checklist is fulfilled",
    State.NOT_MET: "the checklist is not fulfilled",
    State.NOT_YET: "the checklist is not yet known",
    State.UNKNOWABLE: "the checklist cannot be known in full",
}


def verify(tools: Tools, *, release: str | None = None, wait: bool = True) -> ExitCode:
    """Judge what is left of a release's checklist and tell all of it. ``release`` None: the newest.

    ``wait`` False: what the five minutes have not settled yet stays open. Raises UsageError when there is no such
    release, NotKnown when it has not ended or users have left it, PlatformError, JournalError, Interrupted.
    """
    started = tools.clock.now()
    run, plan = _wanted(tools, release)
    if run.verified is None and run.mark is not None and _in_effect(run):
        _refuse_left(tools, run, plan, tools.snapshot())
        due = _due(tools, run.mark)
        if wait:
            _wait(tools, run, plan, due=due)
        if tools.clock.now() >= due:
            _judge(tools, run, plan, run.mark, due=due)
    return _tell(tools, run.id, started=started)


def _wanted(tools: Tools, name: str | None) -> tuple[Run, Plan]:
    """The release, and its plan. Only one that has brought users to a new version has a checklist."""
    run = tools.run(name) if name is not None else next(_switched(tools), None)
    if run is None and name is not None:
        raise UsageError(f"there is no release {name}", mend="bluegreen history lists them")
    if run is None:
        raise UsageError("no release has brought users to a new version yet", mend="bluegreen history lists all")
    if run.plan is None or run.kind is RunKind.ROLLBACK or run.confirmed is None:
        raise UsageError(f"{run.id} brought no user to a new version", mend="name a release of bluegreen history")
    if run.ended is None:
        raise NotKnown(f"{run.id} has not ended", mend="wait for it; if it was killed: bluegreen status")
    return run, run.plan


def _switched(tools: Tools) -> Iterator[Run]:
    return (run for run in tools.runs() if run.kind is RunKind.RELEASE and run.confirmed is not None)


def _in_effect(run: Run) -> bool:
    return run.ended is not None and run.ended.outcome.in_effect


# --- still in effect ----------------------------------------------------------------------------------------------


def _refuse_left(tools: Tools, run: Run, plan: Plan, live: Snapshot) -> None:
    """Raise NotKnown when users are not, or were not all the time, on what the release brought."""
    for route in live.routes:
        if route.slot is not plan.target:
            by = f" by {route.changed_by}" if route.changed_by else ""
            raise _left(run, f"{route.service} was moved to {route.slot or 'no slot'}{by}")
    for work in live.slot_workloads(plan.target):
        if work.revision != run.id:
            raise _left(run, f"{work.service} in {plan.target} holds what another run has staged")
    for later in tools.runs():
        if later.id == run.id:
            return
        if any(isinstance(entry.body, Switching | RollingBack) for entry in later.entries):
            raise _left(run, f"{later.id} has moved users since")


def _left(run: Run, how: str) -> NotKnown:
    return NotKnown(f"{run.id} is not in effect any more: {how}", mend="bluegreen status shows what serves")


# --- the five minutes ---------------------------------------------------------------------------------------------


def _due(tools: Tools, mark: Mark) -> Instant:
    """When the five minutes are over. Another machine's clock may differ, so never later than that from now."""
    rest = mark.at + FIVE_MINUTES - tools.clock.wall()
    return after(tools.clock.now(), min(max(rest, 0.0), FIVE_MINUTES))


def _wait(tools: Tools, run: Run, plan: Plan, *, due: Instant) -> None:
    """Wait until then, and stop as soon as users leave."""
    if tools.clock.now() >= due:
        return
    end = time_of_day(tools.clock.wall() + (due - tools.clock.now()))
    tools.emit(Note(text=f"{run.id} serves, and is judged at {end}; to stop waiting changes nothing of it"))
    while tools.clock.now() < due:
        left = due - tools.clock.now()
        wants = (f"the end of the five minutes, at {end}",)
        tools.emit(Waiting(wants=wants, waited=FIVE_MINUTES - left, left=left))
        _watch(tools, run, plan, until=due)


def _watch(tools: Tools, run: Run, plan: Plan, *, until: Instant) -> None:
    """Look at each change until then. A platform that cannot be seen for a while is looked at again."""
    known: object = None
    try:
        for live in tools.platform.changes(until=until):
            if live.routes != known:
                known = live.routes
                _refuse_left(tools, run, plan, live)
    except DeadlineExceeded:
        return
    except PlatformError:
        tools.clock.wait(until=min(until, tools.limit(AGAIN)))


def _judge(tools: Tools, run: Run, plan: Plan, mark: Mark, *, due: Instant) -> None:
    """Count, judge, and keep it. What was recorded stands: later counters would say less of these minutes."""
    live, reading, tallied = _count(tools, plan, mark, due=due)
    others = _nobodys(tools, run, mark, reading, tallied)
    judgement = judge_since(mark, tallied, slot=plan.target, window=run.tallied, nobodys=others)
    standing = standing_of(live.slot_workloads(plan.active))
    tools.record(run.id, Verified(judgement=judgement, tallied=tallied, standing=standing))


def _nobodys(tools: Tools, run: Run, mark: Mark, reading: Reading, tallied: Tallied) -> tuple[tuple[str, int], ...]:
    """How many of each service's requests may be probes, and reads of its metrics in the window and here.

    Asked late, of those in the window: no others are counted as good.
    """
    assert run.plan is not None  # noqa: S101 - a release that has brought users to a version has one
    counted = run.tallied if is_late(tallied, mark) and run.tallied is not None else tallied
    before = reading_of(mark)
    seconds = counted.until - counted.since
    reads = int(run.plan.options.validation_time / LOOK_EVERY) + READS
    slot, stack = run.plan.target, tools.stack
    return tuple(
        (name, nobodys(before, reading, stack=stack, slot=slot, service=name, seconds=seconds, reads=reads))
        for name in stack.names
    )


def _count(tools: Tools, plan: Plan, mark: Mark, *, due: Instant) -> tuple[Snapshot, Reading, Tallied]:
    """What the new slot has answered since the switch.

    Read again while counters trail behind the end of the five minutes, and a few times while a pod cannot be read.
    """
    tries = TRIES
    while True:
        live = tools.snapshot()
        reading = tools.metrics.read(live, until=tools.limit(READ_LIMIT))
        now, at = tools.clock.now(), tools.clock.wall()
        tries -= 1
        whole = not any(gap.slot is plan.target for gap in reading.gaps)
        if reading.is_due(due, now=now) and (whole or tries <= 0):
            whole_reading = until_end(reading, due)
            tallied = tally_since(mark, whole_reading, live, now=now, wall=at, slots=(plan.target,))
            return live, reading, tallied
        tools.clock.wait(until=tools.limit(AGAIN))


# --- telling it ---------------------------------------------------------------------------------------------------


def _tell(tools: Tools, release: str, *, started: Instant) -> ExitCode:
    run = tools.run(release)
    assert run is not None  # noqa: S101 - it was found just now
    items = checklist(run)
    state = fulfilled(items)
    tools.emit(Checklist(run=release, items=items))
    tools.emit(
        Summary(
            run=release,
            outcome=None,
            headline=_HEADLINES[state],
            details=tuple(f"{item.state}: {item.name}" for item in items if item.state is not State.MET),
            way_back="bluegreen rollback" if state is State.NOT_MET and _in_effect(run) else "",
            took=tools.since(started),
            exit_code=CODES[state],
        )
    )
    return CODES[state]
