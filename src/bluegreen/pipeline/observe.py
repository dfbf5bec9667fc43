"""Phase 5: watch the new slot under real users. Hard triggers act at once; one look at the end decides the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import DeadlineExceeded, Held, LostLock, PlatformError
from bluegreen.domain.events import Observed, Phase, PhaseBegan, PhaseDone, Warned, WindowJudged
from bluegreen.domain.judgement import Judgement, Outcome, Window, hard_triggers, judge
from bluegreen.domain.reading import tally
from bluegreen.domain.release import Judged
from bluegreen.domain.routing import foreign
from bluegreen.domain.stack import after

if TYPE_CHECKING:
    from bluegreen.domain.plan import Plan
    from bluegreen.domain.reading import Reading
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Instant, Seconds
    from bluegreen.pipeline.switch import Switched
    from bluegreen.pipeline.tools import Tools

LOOK_EVERY: Seconds = 2.0
"""One scrape a pod each two seconds; changes of pods and routes are seen at once."""

READ_LIMIT: Seconds = 2.0


def observe(tools: Tools, plan: Plan, switched: Switched) -> Judgement:
    """Return the window's judgement.

    Raises LostLock when a person or another run moves a route meanwhile, Held when the platform cannot be seen at the
    window's end, Interrupted.
    """
    started = tools.clock.now()
    window = plan.options.validation_time
    tools.emit(PhaseBegan(phase=Phase.OBSERVE, what=f"{plan.target} under real users", limit=window))
    judgement = _watch(tools, plan, switched, end=after(started, window))
    tools.record(plan.release, Judged(judgement=judgement))
    tools.emit(WindowJudged(judgement=judgement))
    if judgement.outcome is not Outcome.FAIL:
        tools.emit(PhaseDone(phase=Phase.OBSERVE, what=_words(judgement), took=tools.since(started)))
    return judgement


def _words(judgement: Judgement) -> str:
    return "good" if judgement.outcome is Outcome.PASS else "not proven: too little to tell"


def _watch(tools: Tools, plan: Plan, switched: Switched, *, end: Instant) -> Judgement:
    """Look every LOOK_EVERY and at each change, until a hard trigger or the end."""
    while True:
        tick = min(end, after(tools.clock.now(), LOOK_EVERY))
        window = _look(tools, plan, switched, until=tick)
        over = tools.clock.now() >= end
        if window is None and over:
            raise Held(
                "the platform could not be seen at the end of the window, so nothing can be judged",
                mend="both slots keep serving; the next bluegreen deploy or rollback ends this",
            )
        if window is None:
            continue
        hard = hard_triggers(window)
        if hard:
            return Judgement(outcome=Outcome.FAIL, findings=hard)
        if over:
            return judge(window)
        _tell(tools, window, end=end)


def _look(tools: Tools, plan: Plan, switched: Switched, *, until: Instant) -> Window | None:
    """The window as it is at ``until``, or sooner when a change already triggers; None: the platform was not seen."""
    try:
        live = _live(tools, plan, switched, until=until)
        reading = tools.metrics.read(live, until=tools.limit(READ_LIMIT))
    except (PlatformError, DeadlineExceeded) as error:
        tools.emit(Warned(text=f"the platform cannot be seen: {error}"))
        tools.clock.wait(until=until)
        return None
    return _window(tools, plan, switched, live=live, now=reading)


def _live(tools: Tools, plan: Plan, switched: Switched, *, until: Instant) -> Snapshot:
    """The last snapshot before ``until``, or the first one that triggers."""
    live = tools.snapshot()  # a window of no length is looked at once, too
    _yield_to_strangers(live, switched)
    try:
        for live in tools.platform.changes(until=until):
            _yield_to_strangers(live, switched)
            if hard_triggers(_window(tools, plan, switched, live=live, now=switched.before)):
                break
    except DeadlineExceeded:
        pass
    return live


def _window(tools: Tools, plan: Plan, switched: Switched, *, live: Snapshot, now: Reading) -> Window:
    return Window(
        slot=plan.target,
        limits=tools.stack.limits,
        before=switched.before,
        now=now,
        at_switch=switched.at_switch,
        live=live,
    )


def _yield_to_strangers(live: Snapshot, switched: Switched) -> None:
    """A person's two kubectl lines, or another run's rollback, end this run: nothing of theirs is written over."""
    strangers = foreign(live, switched.moves)
    if strangers:
        route = strangers[0]
        who = route.changed_by or "somebody else"
        raise LostLock(f"{route.service} was moved to {route.slot or 'no slot'} by {who}", taken_by=who)


def _tell(tools: Tools, window: Window, *, end: Instant) -> None:
    limit = tools.stack.limits.p95_overhead_ms
    counts = tally(window.before, window.now, slot=window.slot, limit_ms=limit)
    left = max(0.0, end - tools.clock.now())
    tools.emit(Observed(requests=counts.requests, errors=counts.errors, slow=counts.slow, left=left))
